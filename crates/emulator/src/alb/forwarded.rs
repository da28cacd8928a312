//! What an ALB writes into a request: `Host`, `X-Forwarded-*` (user guide, "HTTP headers and Application Load Balancers",
//! with the attributes at their defaults) and `X-Amzn-Trace-Id` ("Request tracing").

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};

use super::error_page::Refusal;
use crate::random;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
/// A longer trace field is replaced.
const MAX_TRACE: usize = 7 * 1024;

/// Leaves exactly one `host`: the authority of an absolute target or of HTTP/2 if there is one, else the field as it came,
/// port included. (An ALB on port 80 or 443 drops the port; on another it adds it; this listener stands in for either.)
pub(super) fn settle_host(parts: &mut Parts, local: SocketAddr) -> Result<(), Refusal> {
    let mut sent = parts.headers.get_all(header::HOST).into_iter();
    let (first, second) = (sent.next(), sent.next());
    // User information has no place in `Host` (RFC 9110 section 7.2).
    let authority = parts.uri.authority().and_then(|authority| authority.as_str().rsplit('@').next());
    let host = match (authority, first) {
        // RFC 9112 section 3.2: more than one Host, or none in HTTP/1.1, is 400.
        (_, Some(_)) if second.is_some() => {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "the request has more than one `Host`"));
        }
        (Some(authority), _) => HeaderValue::from_str(authority).ok(),
        (None, Some(host)) => Some(host.clone()),
        (None, None) if parts.version < Version::HTTP_11 => HeaderValue::from_str(&local.to_string()).ok(),
        (None, None) => None,
    };
    let Some(host) = host else {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the request has no `Host`"));
    };
    parts.headers.insert(header::HOST, host);
    Ok(())
}

/// Adds what a load balancer tells the target about the client, and takes out what it deals with itself.
pub(super) fn add_fields(headers: &mut HeaderMap, peer: SocketAddr, local: SocketAddr) {
    // Answered by the load balancer ("How Elastic Load Balancing works").
    headers.remove(header::EXPECT);

    let mut addresses: Vec<u8> = Vec::new();
    for line in headers.get_all(&FORWARDED_FOR) {
        if !line.is_empty() {
            addresses.extend_from_slice(line.as_bytes());
            addresses.extend_from_slice(b", ");
        }
    }
    addresses.extend_from_slice(peer.ip().to_canonical().to_string().as_bytes());
    insert(headers, FORWARDED_FOR, &addresses);
    insert(headers, FORWARDED_PORT, local.port().to_string().as_bytes());
    insert(headers, FORWARDED_PROTO, b"http");

    let trace = headers.get(&TRACE_ID).map(|trace| trace.as_bytes().to_vec());
    insert(headers, TRACE_ID, &trace_id(trace.as_deref(), &new_trace_id()));
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    // Made of valid values and ASCII, so it is one.
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(name, value);
    }
}

/// `1-<seconds in hexadecimal>-<24 random digits>`.
fn new_trace_id() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("1-{seconds:08x}-{}", random::hex(24))
}

/// The trace field for the target: a new `Root` if there is none, else `Self` in front of what was sent.
fn trace_id(sent: Option<&[u8]>, new: &str) -> Vec<u8> {
    let sent = sent.filter(|sent| sent.len() <= MAX_TRACE).unwrap_or_default();
    let kept: Vec<&[u8]> = sent
        .split(|byte| *byte == b';')
        .map(<[u8]>::trim_ascii)
        .filter(|part| !part.is_empty() && !part.starts_with(b"Self="))
        .collect();
    let has_root = kept.iter().any(|part| part.starts_with(b"Root="));
    let mut value = format!("{}={new}", if has_root { "Self" } else { "Root" }).into_bytes();
    for part in kept {
        value.push(b';');
        value.extend_from_slice(part);
    }
    value
}

/// The trace of an invocation, as Lambda's Runtime API gives it: the request's root with a parent of its own.
pub(super) fn invocation_trace(headers: &HeaderMap) -> String {
    let field = headers.get(&TRACE_ID).map(HeaderValue::as_bytes).unwrap_or_default();
    let root = field.split(|byte| *byte == b';').find_map(|part| part.strip_prefix(b"Root="));
    let root = root.map(|root| String::from_utf8_lossy(root).into_owned()).unwrap_or_else(new_trace_id);
    format!("Root={root};Parent={};Sampled=0", random::hex(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn traced(sent: Option<&str>, expected: &str) {
        let value = trace_id(sent.map(str::as_bytes), "1-new");
        assert_eq!(String::from_utf8(value).unwrap(), expected);
    }

    #[test]
    fn the_trace_field_follows_the_documented_rules() {
        traced(None, "Root=1-new");
        traced(Some("Root=1-old"), "Self=1-new;Root=1-old");
        traced(Some("Self=1-before;Root=1-old;CalledFrom=app"), "Self=1-new;Root=1-old;CalledFrom=app");
        traced(Some("Root=1-old; Self=1-before"), "Self=1-new;Root=1-old");
        traced(Some("CalledFrom=app"), "Root=1-new;CalledFrom=app");
        traced(Some(&format!("Root=1-old;x={}", "a".repeat(8000))), "Root=1-new");
    }

    #[test]
    fn a_new_trace_id_has_the_time_and_24_digits() {
        let id = new_trace_id();
        let parts: Vec<&str> = id.split('-').collect();
        assert_eq!((parts[0], parts[1].len(), parts[2].len()), ("1", 8, 24), "{id}");
    }
}
