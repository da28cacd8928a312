//! Authentication that belongs to a connection (NTLM, Negotiate): nobody is authenticated by what another one sent.
//!
//! The back end is a stand-in: it takes any NTLM or Negotiate credentials for a user's name and, as IIS does, every later
//! request on that connection for that user's. It does none of the cryptography.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::support::{self, OK, Origin, ProxyOf as _, Tls, ask, config, get, request};

/// The user that the connection belongs to.
type User = Arc<Mutex<Option<String>>>;

async fn answer(
    request: Request<Incoming>,
    user: User,
    challenges: &'static [&'static str],
) -> Result<Response<Full<Bytes>>, Infallible> {
    if let Some(credentials) = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        let (scheme, name) = credentials.split_once(' ').unwrap();
        if ["ntlm", "negotiate"].contains(&&*scheme.to_ascii_lowercase()) {
            *user.lock().unwrap() = Some(name.to_owned());
        }
    }
    if request.uri().path() == "/slow" {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let user = user.lock().unwrap().clone();
    let mut response = Response::new(Full::new(Bytes::from(user.clone().unwrap_or_default())));
    if user.is_none() && request.uri().path() != "/public" {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        for challenge in challenges {
            response.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
    }
    Ok(response)
}

async fn stand_in(tls: Tls, challenges: &'static [&'static str]) -> Origin {
    Origin::start(tls, move |conn| async move {
        let user = User::default();
        let service = service_fn(move |request| answer(request, user.clone(), challenges));
        let io = TokioIo::new(conn.socket);
        let _ = match tls {
            Tls::Http2 => {
                hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await
            }
            _ => hyper::server::conn::http1::Builder::new().serve_connection(io, service).await,
        };
    })
    .await
}

const NTLM: &[&str] = &["NTLM"];

fn with(target: &str, credentials: &str) -> Request<Bytes> {
    request(Method::GET, target, &[("host", "www.example.com"), ("authorization", credentials)], "")
}

#[tokio::test]
async fn nobody_is_authenticated_by_the_credentials_of_another() {
    for tls in [Tls::Plain, Tls::Good, Tls::Http2] {
        for credentials in ["NTLM alice", "ntlm alice", "Negotiate alice", "NEGOTIATE alice"] {
            let origin = stand_in(tls, NTLM).await;
            let proxy = origin.proxy();
            // A connection is there that others may be on.
            assert_eq!(ask(&proxy, get("/public")).await.status, 200);
            let alice = ask(&proxy, with("/", credentials)).await;
            assert_eq!((alice.status, &alice.body[..]), (200, &b"alice"[..]), "{tls:?}");
            assert!(["ntlm", "negotiate"].contains(&alice.record["connection_auth"].as_str().unwrap()));
            for _ in 0..3 {
                let bob = ask(&proxy, get("/")).await;
                assert_eq!((bob.status, &bob.body[..]), (401, &b""[..]), "{tls:?} {credentials}");
            }
        }
    }
}

#[tokio::test]
async fn not_even_while_the_request_with_the_credentials_is_on_its_way() {
    let origin = stand_in(Tls::Http2, NTLM).await;
    let proxy = origin.proxy();
    assert_eq!(ask(&proxy, get("/public")).await.status, 200);
    let late = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        ask(&proxy, get("/")).await
    };
    let (alice, bob) = tokio::join!(ask(&proxy, with("/slow", "NTLM alice")), late);
    assert_eq!((&alice.body[..], bob.status, &bob.body[..]), (&b"alice"[..], 401, &b""[..]));
}

#[tokio::test]
async fn a_connection_on_which_such_authentication_was_asked_for_carries_nothing_else() {
    let challenges: [(&'static [&'static str], bool); 6] = [
        (&["NTLM"], true),
        (&["Basic realm=\"shop\", nEgOtIaTe"], true),
        (&["Basic realm=\"a, b\"", "Bearer", "ntlm"], true),
        (&["Negotiate oYG2MIGzoAMKAQE=, NTLM"], true),
        (&["Basic realm=\"NTLM\""], false),
        (&["Bearer realm=\"shop\", error=\"invalid_token\""], false),
    ];
    for tls in [Tls::Plain, Tls::Http2] {
        for (challenges, is_bound) in challenges {
            let origin = stand_in(tls, challenges).await;
            let proxy = origin.proxy();
            for _ in 0..3 {
                assert_eq!(ask(&proxy, get("/")).await.status, 401);
            }
            let expected = if is_bound { 3 } else { 1 };
            assert_eq!(origin.connections(), expected, "{tls:?} {challenges:?}");
        }
    }
}

#[tokio::test]
async fn a_shared_connection_is_not_put_back_by_another_request_that_was_on_it() {
    let origin = stand_in(Tls::Http2, NTLM).await;
    let proxy = origin.proxy();
    assert_eq!(ask(&proxy, get("/public")).await.status, 200);
    // Both are on the first connection; the one that ends last was not asked for anything.
    let (slow, fast) = tokio::join!(ask(&proxy, get("/slow")), ask(&proxy, get("/")));
    assert_eq!((slow.status, fast.status, origin.connections()), (401, 401, 1));
    assert_eq!(ask(&proxy, get("/public")).await.status, 200);
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn nor_by_copies() {
    let legacy = Origin::answering(Tls::Plain, OK).await;
    let modern = stand_in(Tls::Plain, NTLM).await;
    let proxy = config(
        &format!(
            "backends:\n  legacy: {}\n  modern: {}\ndefault:\n  forward: legacy\n  mirror: {{ backend: modern, percent: 100, \
             credentials: true }}\n",
            legacy.url(),
            modern.url()
        ),
        &[],
    );
    let status = |answer: &support::Answer| answer.comparisons[0]["mirror"]["status"].clone();
    assert_eq!(status(&ask(&proxy, with("/", "NTLM alice")).await), 200);
    assert_eq!(status(&ask(&proxy, get("/")).await), 401);
}

#[tokio::test]
async fn other_authentication_keeps_its_connection() {
    let origin = Origin::answering(Tls::Good, OK).await;
    let proxy = origin.proxy();
    for credentials in ["Basic bnRsbTp4", "Bearer ntlm", "Digest username=\"negotiate\""] {
        let answer = ask(&proxy, with("/", credentials)).await;
        assert_eq!(answer.status, 200);
        assert!(answer.record["connection_auth"].is_null());
    }
    assert_eq!(origin.connections(), 1);
}
