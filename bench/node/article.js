'use strict';
// The handler of the article that Crossfade's idea comes from ("How to use a AWS Lambda function as reverse proxy"), written
// anew from its description, with its faults on purpose: it is the yardstick. No query, no body, text only, redirects
// followed, no timeout, and the REQUEST's fields sent back as the answer's.

const fetch = require('node-fetch');

const backend = process.env.BACKEND;

exports.handler = async (event, context) => {
  const headers = event.headers;
  headers.proxyRequestId = context.awsRequestId;
  try {
    const response = await fetch(backend + event.path, { method: event.httpMethod, headers });
    const body = await response.text();
    return { statusCode: response.status, headers, body, isBase64Encoded: false };
  } catch (error) {
    return { statusCode: 500, headers, body: error.message, isBase64Encoded: false };
  }
};
