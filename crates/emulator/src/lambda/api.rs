//! The HTTP server that the processes of one environment call, and the dispatch of calls to `runtime_api` and
//! `extensions_api`. Requests of web pages are rejected (`guard`).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::call::{Content, MAX_RESPONSE, Rejection};
use super::coordinator::Coordinator;
use super::{extensions_api, runtime_api};
use crate::{guard, pieces};

const RUNTIME_API: &str = "/2018-06-01/runtime/";

/// Serves connections until the future is dropped, which also ends them.
pub(super) async fn serve(coordinator: Arc<Coordinator>, listener: TcpListener) {
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
        let coordinator = Arc::clone(&coordinator);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let coordinator = Arc::clone(&coordinator);
                async move {
                    Ok::<_, Infallible>(
                        answer(&coordinator, port, request).await.unwrap_or_else(Rejection::into_response),
                    )
                }
            });
            // An error here is the process hanging up; its end is noticed elsewhere.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    coordinator: &Coordinator,
    port: u16,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Rejection> {
    let (parts, body) = request.into_parts();
    if let Some(why) = guard::page(&parts.headers, port) {
        return Err(Rejection::forbidden("Forbidden", why));
    }
    let path = parts.uri.path();
    if path.starts_with(RUNTIME_API) {
        coordinator.runtime_called();
    }
    if parts.method == Method::GET {
        return match path {
            "/2018-06-01/runtime/invocation/next" => runtime_api::next(coordinator).await,
            "/2020-01-01/extension/event/next" => extensions_api::next(coordinator, &parts.headers).await,
            _ => Err(Rejection::no_such_call()),
        };
    }
    let streamed = match (&parts.method, path.strip_prefix(RUNTIME_API)) {
        (&Method::POST, Some(call)) => runtime_api::streamed(call, &parts.headers),
        _ => Ok(None),
    };
    if let Ok(Some(id)) = streamed {
        return runtime_api::stream(coordinator, id, &parts.headers, body).await;
    }
    // Read in any case: a connection with an unread body would be closed, and the function with it.
    let content = collect(body).await;
    streamed?;
    if parts.method == Method::PUT && matches!(path, "/2022-07-01/telemetry" | "/2020-08-15/logs") {
        return extensions_api::subscribe(coordinator, &parts.headers, path);
    }
    if parts.method != Method::POST {
        return Err(Rejection::no_such_call());
    }
    if let Some(call) = path.strip_prefix("/2020-01-01/extension/") {
        return extensions_api::post(coordinator, call, &parts.headers, content);
    }
    let call = path.strip_prefix(RUNTIME_API).ok_or_else(Rejection::no_such_call)?;
    runtime_api::post(coordinator, call, &parts.headers, content)
}

/// Reads all of a body but keeps no more than Lambda accepts. The rest is read so that the function gets the response.
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
