//! A client of the Lambda Runtime API: `next`, `response`, `error`, `init/error` over one kept connection.
//!
//! Owns the protocol (Lambda guide, "Using the Lambda runtime API for custom runtimes"). Decides nothing about
//! invocations. An own client because the official crate cannot lend the event's memory and costs more time than the
//! proxying (bench/README.md).

use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const VERSION: &str = "/2018-06-01/runtime";
const REQUEST_ID: HeaderName = HeaderName::from_static("lambda-runtime-aws-request-id");
const INVOCATION_ID: HeaderName = HeaderName::from_static("lambda-runtime-invocation-id");
const DEADLINE_MS: HeaderName = HeaderName::from_static("lambda-runtime-deadline-ms");
const TRACE_ID: HeaderName = HeaderName::from_static("lambda-runtime-trace-id");
const ERROR_TYPE: HeaderName = HeaderName::from_static("lambda-runtime-function-error-type");

/// Waits before asking again when the API does not answer.
const BACK_OFF: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(100), Duration::from_secs(1)];

/// A connection to the Runtime API.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    authority: String,
    host: HeaderValue,
    sender: Option<http1::SendRequest<Full<Bytes>>>,
}

/// One invocation, as the API hands it out.
#[derive(Debug)]
pub(crate) struct NextEvent {
    pub(crate) request_id: String,
    /// To be sent back as it came.
    pub(crate) invocation_id: Option<HeaderValue>,
    /// Milliseconds since 1970; absent only if the API is not Lambda's.
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) trace_id: Option<HeaderValue>,
    pub(crate) event: Bytes,
}

/// The Runtime API does not do its part. Fatal, but for what [`RuntimeApi::respond`] says of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("`AWS_LAMBDA_RUNTIME_API` is `{0}`, which is not host:port")]
    Authority(String),
    #[error("the Runtime API cannot be reached: {0}")]
    Connect(#[from] std::io::Error),
    #[error("the Runtime API broke off: {0}")]
    Http(#[from] hyper::Error),
    #[error("the Runtime API answered {status} to {call}")]
    Status { call: &'static str, status: StatusCode },
    #[error("the Runtime API sent an event without a request id")]
    NoRequestId,
}

impl RuntimeApi {
    pub(crate) fn new(authority: &str) -> Result<Self, ApiError> {
        let host = HeaderValue::from_str(authority).map_err(|_| ApiError::Authority(authority.to_owned()))?;
        Ok(RuntimeApi { authority: authority.to_owned(), host, sender: None })
    }

    /// Waits for the next event, for as long as it takes: the environment may be frozen in here.
    pub(crate) async fn next(&mut self) -> Result<NextEvent, ApiError> {
        let mut waits = BACK_OFF.iter();
        loop {
            let error = match self.ask_next().await {
                Ok(event) => return Ok(event),
                Err(error) => error,
            };
            match (&error, waits.next()) {
                // "Container error. Non-recoverable state. Runtime should exit promptly."
                (ApiError::Status { status, .. }, _) if status.is_server_error() => return Err(error),
                (_, Some(wait)) => tokio::time::sleep(*wait).await,
                (_, None) => return Err(error),
            }
        }
    }

    async fn ask_next(&mut self) -> Result<NextEvent, ApiError> {
        let path = format!("{VERSION}/invocation/next");
        let response = self.call(Method::GET, &path, HeaderMap::new(), Bytes::new()).await?;
        if response.status() != StatusCode::OK {
            return Err(ApiError::Status { call: "next", status: response.status() });
        }
        let (mut head, body) = response.into_parts();
        let event = body.collect().await?.to_bytes();
        let request_id = head.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        Ok(NextEvent {
            request_id: request_id.ok_or(ApiError::NoRequestId)?,
            invocation_id: head.headers.remove(INVOCATION_ID),
            deadline_ms: head.headers.get(DEADLINE_MS).and_then(|ms| ms.to_str().ok()?.parse().ok()),
            trace_id: head.headers.remove(TRACE_ID),
            event,
        })
    }

    /// Posts the reply to an invocation.
    ///
    /// # Errors
    ///
    /// `Status` says that Lambda has given the invocation up (410 Gone, 400) or refuses the reply; the next event can
    /// be asked for all the same, unless the status is 5xx.
    pub(crate) async fn respond(
        &mut self,
        request_id: &str,
        invocation_id: Option<HeaderValue>,
        reply: Bytes,
    ) -> Result<(), ApiError> {
        let path = format!("{VERSION}/invocation/{request_id}/response");
        let fields = invocation_id.map(|id| (INVOCATION_ID, id)).into_iter().collect();
        self.post("response", &path, fields, reply).await
    }

    /// Tells Lambda why the function cannot start.
    pub(crate) async fn init_error(&mut self, error_type: &'static str, message: &str) -> Result<(), ApiError> {
        let path = format!("{VERSION}/init/error");
        let fields = [(ERROR_TYPE, HeaderValue::from_static(error_type))].into_iter().collect();
        let body = serde_json::json!({ "errorMessage": message, "errorType": error_type, "stackTrace": [] });
        self.post("init/error", &path, fields, body.to_string().into()).await
    }

    async fn post(&mut self, call: &'static str, path: &str, fields: HeaderMap, body: Bytes) -> Result<(), ApiError> {
        let response = self.call(Method::POST, path, fields, body).await?;
        let status = response.status();
        // The connection is free for the next call only when the answer has been read.
        response.into_body().collect().await?;
        if status.is_success() { Ok(()) } else { Err(ApiError::Status { call, status }) }
    }

    async fn call(
        &mut self,
        method: Method,
        path: &str,
        mut fields: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, ApiError> {
        let target = path.parse().map_err(|_| ApiError::NoRequestId)?;
        fields.insert(HOST, self.host.clone());
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target;
        *request.headers_mut() = fields;
        let sender = self.connected().await?;
        match sender.send_request(request).await {
            Ok(response) => Ok(response),
            Err(error) => {
                self.sender = None;
                Err(error.into())
            }
        }
    }

    async fn connected(&mut self) -> Result<&mut http1::SendRequest<Full<Bytes>>, ApiError> {
        if let Some(mut sender) = self.sender.take()
            && sender.ready().await.is_ok()
        {
            return Ok(self.sender.insert(sender));
        }
        let tcp = TcpStream::connect(&self.authority).await?;
        tcp.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(tcp)).await?;
        tokio::spawn(async move {
            // Its errors reach the call that is on it.
            let _ = connection.await;
        });
        Ok(self.sender.insert(sender))
    }
}
