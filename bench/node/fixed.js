'use strict';
// What a careful engineer makes of the article's handler with nothing but Node 20: its own `fetch` (undici, connections
// kept), the query rebuilt from raw pieces, bodies as bytes both ways, redirects passed on, hop-by-hop fields removed, the
// answer in the header mode of the request, a timeout below Lambda's own. It is the fair opponent. What `fetch` itself does
// (URLs normalised, answers decompressed) is left as it is, since that is what one gets.

const { STATUS_CODES } = require('node:http');

const backend = process.env.BACKEND;

// RFC 9110 section 7.6.1, and the fields a client library must set itself.
const HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'te',
  'trailer', 'transfer-encoding', 'upgrade'];
const NOT_FORWARDED = new Set([...HOP_BY_HOP, 'host', 'content-length', 'expect', 'proxy']);
// `fetch` has decompressed the body, so its length and coding no longer hold.
const NOT_RETURNED = new Set([...HOP_BY_HOP, 'content-length', 'content-encoding', 'set-cookie']);

exports.handler = async (event, context) => {
  const multi = event.multiValueHeaders !== undefined;
  const received = multi ? event.multiValueHeaders : single(event.headers);
  if (received['user-agent']?.[0]?.startsWith('ELB-HealthChecker/') && !received['x-forwarded-for']) {
    return answer(multi, 200, [['content-type', 'text/plain']], Buffer.from('ok'));
  }
  const budget = Math.max(1, context.getRemainingTimeInMillis() - 500);
  try {
    const response = await fetch(backend + target(event, multi), {
      method: event.httpMethod,
      headers: forwarded(received),
      body: body(event),
      redirect: 'manual',
      signal: AbortSignal.timeout(budget),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const gone = new Set([...NOT_RETURNED, ...named(response.headers.get('connection'))]);
    const fields = [...response.headers].filter(([name]) => !gone.has(name));
    for (const cookie of response.headers.getSetCookie()) fields.push(['set-cookie', cookie]);
    return answer(multi, response.status, fields, bytes);
  } catch (error) {
    console.error(error);
    const status = error.name === 'TimeoutError' ? 504 : 502;
    return answer(multi, status, [['content-type', 'text/plain']], Buffer.from(`${status} ${STATUS_CODES[status]}\n`));
  }
};

function single(headers = {}) {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
}

function named(connection) {
  return (connection ?? '').split(',').map((name) => name.trim().toLowerCase()).filter(Boolean);
}

// ALB leaves keys and values encoded as the client sent them, so they are joined as they are.
function target(event, multi) {
  const query = multi ? event.multiValueQueryStringParameters : event.queryStringParameters;
  const pieces = Object.entries(query ?? {}).flatMap(([key, value]) => [value].flat().map((one) => `${key}=${one}`));
  return event.path + (pieces.length ? `?${pieces.join('&')}` : '');
}

function forwarded(received) {
  const gone = new Set([...NOT_FORWARDED, ...named(received.connection?.join(','))]);
  for (const name of Object.keys(received)) if (name.startsWith('x-forwarded-')) gone.delete(name);
  const headers = new Headers();
  for (const [name, values] of Object.entries(received)) {
    if (gone.has(name)) continue;
    headers.set(name, values.join(name === 'cookie' ? '; ' : ', '));
  }
  if (received.host) headers.set('x-forwarded-host', received.host[0]);
  return headers;
}

function body(event) {
  if (event.httpMethod === 'GET' || event.httpMethod === 'HEAD' || !event.body) return undefined;
  return Buffer.from(event.body, event.isBase64Encoded ? 'base64' : 'utf8');
}

// A JSON object holds each name once, so in single-value mode further cookies go under case variants of the name.
function answer(multi, status, fields, bytes) {
  const headers = {};
  let variant = 0;
  for (const [name, value] of fields) {
    if (multi) (headers[name] ??= []).push(value);
    else headers[name === 'set-cookie' ? spelling(name, variant++) : name] = value;
  }
  return {
    statusCode: status,
    statusDescription: `${status} ${STATUS_CODES[status] ?? 'Unknown'}`,
    [multi ? 'multiValueHeaders' : 'headers']: headers,
    body: bytes.toString('base64'),
    isBase64Encoded: true,
  };
}

function spelling(name, variant) {
  let bit = 0;
  return name.replace(/[a-z]/g, (letter) => ((variant >> bit++) & 1 ? letter.toUpperCase() : letter));
}
