//! The HTTP server that the processes of one environment talk to: which call goes where, how answers and refusals look. Web
//! pages get nothing (`guard`).
//! The calls themselves are in `runtime_api` and `extensions_api`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::desk::Desk;
use super::{extensions_api, runtime_api};
use crate::{guard, pieces};

/// The largest answer of a function that Lambda takes, in bytes ("Lambda quotas": 6 MB; the number is the one that its error
/// message gives).
pub(super) const MAX_RESPONSE: usize = 6_291_556;
/// The longest text of an error that is told.
const LONGEST_ERROR: usize = 500;

/// What a process gets instead of what it asked for, in Lambda's words where they are known
/// (aws-lambda-runtime-interface-emulator).
pub(super) struct Rejection(pub(super) StatusCode, pub(super) &'static str, pub(super) String);

impl Rejection {
    pub(super) fn forbidden(kind: &'static str, message: impl Into<String>) -> Self {
        Self(StatusCode::FORBIDDEN, kind, message.into())
    }

    pub(super) fn no_such_call() -> Self {
        Self(StatusCode::NOT_FOUND, "NotFound", "no such call".to_owned())
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let Self(status, kind, message) = self;
        let body = serde_json::json!({ "errorMessage": message, "errorType": kind });
        json(status, body.to_string().into())
    }
}

pub(super) fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn accepted() -> Response<Full<Bytes>> {
    json(StatusCode::ACCEPTED, Bytes::from_static(br#"{"status":"OK"}"#))
}

/// Serves connections until the future is dropped, which also ends them.
pub(super) async fn serve(desk: Arc<Desk>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    let port = listener.local_addr().map_or(0, |address| address.port());
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    // Out of file descriptors, for instance: others will be freed.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        let _ = stream.set_nodelay(true);
        let desk = Arc::clone(&desk);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let desk = Arc::clone(&desk);
                async move {
                    Ok::<_, Infallible>(answer(&desk, port, request).await.unwrap_or_else(Rejection::into_response))
                }
            });
            // An error here is the process hanging up; its end is noticed elsewhere.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(desk: &Desk, port: u16, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Rejection> {
    let (parts, body) = request.into_parts();
    if let Some(why) = guard::page(&parts.headers, port) {
        return Err(Rejection::forbidden("Forbidden", why));
    }
    let path = parts.uri.path();
    if parts.method == Method::GET {
        return match path {
            "/2018-06-01/runtime/invocation/next" => runtime_api::next(desk).await,
            "/2020-01-01/extension/event/next" => extensions_api::next(desk, &parts.headers).await,
            _ => Err(Rejection::no_such_call()),
        };
    }
    // Read in any case: a connection with an unread body would be closed, and the function with it.
    let content = collect(body).await;
    if parts.method == Method::PUT && matches!(path, "/2022-07-01/telemetry" | "/2020-08-15/logs") {
        return extensions_api::subscribe(desk, &parts.headers, path);
    }
    if parts.method != Method::POST {
        return Err(Rejection::no_such_call());
    }
    if let Some(call) = path.strip_prefix("/2020-01-01/extension/") {
        return extensions_api::post(desk, call, &parts.headers, content);
    }
    let call = path.strip_prefix("/2018-06-01/runtime/").ok_or_else(Rejection::no_such_call)?;
    runtime_api::post(desk, call, &parts.headers, content)
}

/// The body of a call.
pub(super) enum Content {
    Whole(Bytes),
    TooLarge,
    CutOff,
}

/// Reads all of a body and keeps no more than Lambda would. The rest is read too, so that the function hears the answer.
async fn collect(mut body: Incoming) -> Content {
    let mut pieces = Vec::new();
    let mut length = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Content::CutOff };
        let Ok(data) = frame.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length <= MAX_RESPONSE {
            pieces.push(data);
        }
    }
    if length > MAX_RESPONSE { Content::TooLarge } else { Content::Whole(pieces::join(pieces)) }
}

/// `Type: message` on one line, from what was reported, however much of it is there. `field` has the type as well.
pub(super) fn describe_error(headers: &HeaderMap, field: &str, content: Content) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Sent {
        error_message: String,
        error_type: String,
    }
    let body = match content {
        Content::Whole(bytes) => bytes,
        Content::TooLarge | Content::CutOff => Bytes::new(),
    };
    let sent: Sent = serde_json::from_slice(&body).unwrap_or_default();
    let header = headers.get(field).map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
    let kind = if sent.error_type.is_empty() { header.unwrap_or_default() } else { sent.error_type };
    let text = match (kind.is_empty(), sent.error_message.is_empty()) {
        (false, false) => format!("{kind}: {}", sent.error_message),
        (false, true) => kind,
        (true, false) => sent.error_message,
        (true, true) if body.is_empty() => "no details given".to_owned(),
        (true, true) => String::from_utf8_lossy(&body).into_owned(),
    };
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(LONGEST_ERROR) {
        line.truncate(cut);
        line.push('…');
    }
    line
}
