'use strict';
// A Runtime API client in plain JavaScript: `node runtime.js ./handler.js`. It owns the loop `next` -> handler -> `response`
// (or `error`) on one kept connection, as AWS describes it on the page "Using the Lambda runtime API". AWS's own client for
// Node builds native code when it is installed, so it is not used here. It does not own what a handler does.

const http = require('node:http');
const path = require('node:path');

const { handler } = require(path.resolve(process.argv[2]));
const [hostname, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1, noDelay: true });

function call(method, resource, headers, body) {
  return new Promise((resolve, reject) => {
    const options = { agent, hostname, port, method, path: `/2018-06-01/runtime/${resource}`, headers };
    const request = http.request(options, (answer) => {
      const chunks = [];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('end', () => resolve({ headers: answer.headers, body: Buffer.concat(chunks) }));
      answer.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function serveOne() {
  const next = await call('GET', 'invocation/next');
  const requestId = next.headers['lambda-runtime-aws-request-id'];
  const deadline = Number(next.headers['lambda-runtime-deadline-ms']);
  process.env._X_AMZN_TRACE_ID = next.headers['lambda-runtime-trace-id'] ?? '';
  const context = { awsRequestId: requestId, getRemainingTimeInMillis: () => deadline - Date.now() };
  let outcome = 'response';
  let result;
  try {
    result = await handler(JSON.parse(next.body.toString('utf8')), context);
  } catch (error) {
    outcome = 'error';
    result = { errorType: error.name, errorMessage: error.message };
  }
  const body = Buffer.from(JSON.stringify(result ?? null));
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  const invocationId = next.headers['lambda-runtime-invocation-id'];
  if (invocationId) headers['lambda-runtime-invocation-id'] = invocationId;
  await call('POST', `invocation/${requestId}/${outcome}`, headers, body);
}

(async () => {
  for (;;) await serveOne();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
