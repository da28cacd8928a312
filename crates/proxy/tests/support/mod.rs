//! A proxy in front of back ends that do what a test says, and requests for it.

#![allow(dead_code, unreachable_pub, missing_debug_implementations, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossfade_event::{Format, Front, alb};
use crossfade_proxy::{Body, Exchange, Invocation, Proxy};
use crossfade_route::{Nothing, PemFile, RoutingTable, Surroundings};
#[allow(unused_imports, reason = "each test binary uses its own part")]
pub use crossfade_testkit::{
    origin::{Conn, OK, Origin, Pems, Tls, silent},
    server::closed_port,
};
use http::{HeaderMap, Method, Request};
use tokio::time::Instant;

/// Another one for each request.
static SEED: AtomicU64 = AtomicU64::new(1);

/// A proxy whose only back end is this one.
pub trait ProxyOf {
    fn proxy(&self) -> Proxy {
        self.proxy_with("")
    }

    /// The same with more keys in the back end's map, each on its own line.
    fn proxy_with(&self, keys: &str) -> Proxy;
}

impl ProxyOf for Origin {
    fn proxy_with(&self, keys: &str) -> Proxy {
        proxy(&self.url(), keys, &self.ca_pem)
    }
}

pub fn proxy(url: &str, keys: &str, ca_pem: &[u8]) -> Proxy {
    let keys = keys.replace('\n', "\n    ");
    config(&format!("backends:\n  legacy:\n    url: {url}\n    {keys}\ndefault: {{ forward: legacy }}\n"), &[ca_pem])
}

/// A proxy with this configuration, `version` apart, that trusts these authorities.
pub fn config(text: &str, ca_pems: &[&[u8]]) -> Proxy {
    config_with(text, &Nothing, ca_pems)
}

/// The same with files.
pub fn config_with(text: &str, surroundings: &dyn Surroundings, ca_pems: &[&[u8]]) -> Proxy {
    Proxy::new(table(text, surroundings), cert_file(ca_pems), "crossfade-test").unwrap()
}

/// The proxy that takes the place of another one when this has become its configuration.
pub fn changed(proxy: &Proxy, text: &str, ca_pems: &[&[u8]]) -> Proxy {
    proxy.successor(table(text, &Nothing), cert_file(ca_pems)).unwrap()
}

fn table(text: &str, surroundings: &dyn Surroundings) -> RoutingTable {
    let text = format!("version: 1\n{text}");
    RoutingTable::from_config(&text, "test.yaml", surroundings).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn cert_file(ca_pems: &[&[u8]]) -> Option<PemFile> {
    Some(PemFile { path: "ca.pem".into(), text: ca_pems.concat() }).filter(|all| !all.text.is_empty())
}

/// An answer as text, and its record.
pub struct Answer {
    pub status: u16,
    pub fields: HeaderMap,
    pub body: Bytes,
    pub record: serde_json::Value,
    /// The records of its shadow requests.
    pub comparisons: Vec<serde_json::Value>,
}

impl Answer {
    pub fn error(&self) -> &str {
        let status = self.fields.get("proxy-status").map_or("", |value| value.to_str().unwrap());
        status.strip_prefix("crossfade; error=").unwrap_or(status)
    }
}

pub async fn ask(proxy: &Proxy, request: Request<Bytes>) -> Answer {
    ask_within(proxy, request, Duration::from_secs(10)).await
}

pub async fn ask_within(proxy: &Proxy, request: Request<Bytes>, limit: Duration) -> Answer {
    ask_at(proxy, request, limit, SystemTime::now()).await
}

/// As if it were so late by the clock on the wall.
pub async fn ask_later(proxy: &Proxy, request: Request<Bytes>, later: Duration) -> Answer {
    ask_at(proxy, request, Duration::from_secs(10), SystemTime::now() + later).await
}

async fn ask_at(proxy: &Proxy, request: Request<Bytes>, limit: Duration, time: SystemTime) -> Answer {
    let front = Front::from_fields(&alb::SINGLE, request.headers());
    let invocation = Invocation { front, ..invocation(limit, time) };
    let Exchange { response, record, pending } = proxy.handle(request, &invocation).await;
    let (head, body) = response.map(Body::whole).into_parts();
    let record = serde_json::to_value(record).unwrap();
    let records = match pending {
        Some(pending) => proxy.mirror(*pending, &invocation, std::future::pending()).await,
        None => Vec::new(),
    };
    let comparisons = records.iter().map(|record| serde_json::to_value(record).unwrap()).collect();
    Answer { status: head.status.as_u16(), fields: head.headers, body, record, comparisons }
}

pub fn invocation(limit: Duration, time: SystemTime) -> Invocation {
    invocation_from(&alb::SINGLE, limit, time)
}

/// An event in another format.
pub fn invocation_from(format: &'static Format, limit: Duration, time: SystemTime) -> Invocation {
    let started = Instant::now();
    Invocation {
        front: Front::new(format),
        request_id: "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned(),
        trace_id: None,
        trace: None,
        deployment: None,
        started,
        time,
        deadline: started + limit,
        seed: (u128::from(SEED.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15)) * 0x1_0000_0001)
            // In no small share of requests that are compared with themselves.
            | (0xffff << 80),
    }
}

pub fn request(method: Method, target: &str, fields: &[(&'static str, &str)], body: &str) -> Request<Bytes> {
    let mut request = Request::new(Bytes::copy_from_slice(body.as_bytes()));
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().unwrap();
    for (name, value) in fields {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

pub fn get(target: &str) -> Request<Bytes> {
    request(Method::GET, target, &[("host", "www.example.com")], "")
}
