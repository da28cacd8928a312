//! The fields that ALB writes into a request: `Host`, `X-Forwarded-*` (user guide, "HTTP headers and Application Load
//! Balancers"), `X-Amzn-Trace-Id` ("Request tracing"), and those about the client's TLS connection.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};

use super::connection_info::ConnectionInfo;
use super::error_page::Refusal;
use crate::http::Head;
use crate::{ForwardedFor, LoadBalancerAttributes, random};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
/// The longest trace field, in bytes; a longer one is replaced.
const MAX_TRACE: usize = 7 * 1024;

/// Settles `Host`: the authority of an absolute target or of HTTP/2 if there is one, else the field as it came; then
/// its port by `routing.http.preserve_host_header.enabled`, if the listener's port in AWS is known. Where it is not,
/// this listener stands in for any, and the port stays as it came.
pub(super) fn settle_host(
    head: &mut Head,
    preserve: bool,
    port: Option<u16>,
    local: SocketAddr,
) -> Result<(), Refusal> {
    let mut sent = head.headers.get_all(header::HOST).into_iter();
    let (first, second) = (sent.next(), sent.next());
    // User information has no place in `Host` (RFC 9110 section 7.2).
    let authority = head.authority.as_deref().and_then(|authority| authority.rsplit('@').next());
    let host = match (authority, first) {
        // RFC 9112 section 3.2: more than one Host, or none in HTTP/1.1, is 400. Preserving keeps all of them.
        (_, Some(_)) if second.is_some() && preserve => return Ok(()),
        (_, Some(_)) if second.is_some() => {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "the request has more than one `Host`"));
        }
        (Some(authority), _) => HeaderValue::from_str(authority).ok(),
        (None, Some(host)) => Some(host.clone()),
        (None, None) if head.version < Version::HTTP_11 => HeaderValue::from_str(&local.to_string()).ok(),
        (None, None) => None,
    };
    let Some(host) = host.filter(|host| !host.is_empty()) else {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the request has no `Host`"));
    };
    let host = match port {
        Some(port) if !preserve => with_port(host, port, local.port()),
        _ => host,
    };
    head.headers.insert(header::HOST, host);
    Ok(())
}

/// Removes the port of `Host` for 80 and 443, else adds it (API reference, `LoadBalancerAttribute`). Clients connect to
/// `local` instead of the listener's `port` in AWS, so `local` counts as that port.
#[must_use]
pub fn with_port(host: HeaderValue, port: u16, local: u16) -> HeaderValue {
    let Ok(text) = host.to_str() else { return host };
    let (name, sent) = match text.rsplit_once(':') {
        Some((name, sent)) if sent.bytes().all(|byte| byte.is_ascii_digit()) => (name, Some(sent)),
        _ => (text, None),
    };
    let is_own = sent.is_none() || sent == Some(local.to_string().as_str());
    let new = match port {
        80 | 443 => name.to_owned(),
        _ if is_own => format!("{name}:{port}"),
        _ => return host,
    };
    HeaderValue::from_str(&new).unwrap_or(host)
}

/// Adds the fields about the client, and removes those that the load balancer handles itself.
pub(super) fn add_fields(headers: &mut HeaderMap, attributes: &LoadBalancerAttributes, connection: &ConnectionInfo) {
    let (port, is_https) = (connection.local.port(), connection.tls.is_some());
    add_client_fields(headers, attributes, connection.peer, port, is_https, &new_trace_id());
    for name in connection.tls.iter().flat_map(|session| &session.own_names) {
        headers.remove(name);
    }
    for (name, value) in connection.tls.iter().flat_map(|session| &session.fields) {
        headers.insert(name, value.clone());
    }
}

/// Does the same for a client that is only described: its address, the listener's port and protocol, and the id of a new
/// trace. Adds no field about the client's TLS connection.
pub fn add_client_fields(
    headers: &mut HeaderMap,
    attributes: &LoadBalancerAttributes,
    client: SocketAddr,
    port: u16,
    is_https: bool,
    new_trace_id: &str,
) {
    // Answered by the load balancer ("How Elastic Load Balancing works").
    headers.remove(header::EXPECT);
    match attributes.forwarded_for {
        ForwardedFor::Append => append_address(headers, attributes.forwarded_for_port, client),
        ForwardedFor::Preserve => {}
        ForwardedFor::Remove => {
            headers.remove(&FORWARDED_FOR);
        }
    }
    insert(headers, FORWARDED_PORT, port.to_string().as_bytes());
    insert(headers, FORWARDED_PROTO, if is_https { b"https" } else { b"http" });

    let trace = headers.get(&TRACE_ID).map(|trace| trace.as_bytes().to_vec());
    let trace = trace.filter(|trace| trace.len() <= MAX_TRACE);
    insert(headers, TRACE_ID, &trace_id(trace.as_deref(), new_trace_id));
}

fn append_address(headers: &mut HeaderMap, with_port: bool, peer: SocketAddr) {
    let mut addresses: Vec<u8> = Vec::new();
    for line in headers.get_all(&FORWARDED_FOR) {
        if !line.is_empty() {
            addresses.extend_from_slice(line.as_bytes());
            addresses.extend_from_slice(b", ");
        }
    }
    let ip = peer.ip().to_canonical();
    let address = if with_port { SocketAddr::new(ip, peer.port()).to_string() } else { ip.to_string() };
    addresses.extend_from_slice(address.as_bytes());
    insert(headers, FORWARDED_FOR, &addresses);
}

/// Returns the value of the trace field, as the target gets it.
pub(crate) fn trace_of(headers: &HeaderMap) -> String {
    headers.get(&TRACE_ID).map(|trace| String::from_utf8_lossy(trace.as_bytes()).into_owned()).unwrap_or_default()
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    // Made of valid values and ASCII, so it is one.
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(name, value);
    }
}

/// `1-<seconds in hexadecimal>-<24 random digits>`.
pub(crate) fn new_trace_id() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("1-{seconds:08x}-{}", random::hex(24))
}

/// Returns the trace field for the target: a new `Root` if none was sent, else `Self` in front of the parts that were
/// sent.
fn trace_id(sent: Option<&[u8]>, new: &str) -> Vec<u8> {
    let kept: Vec<&[u8]> = sent
        .unwrap_or_default()
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

/// Returns the trace of an invocation, for Lambda's Runtime API: the request's root with a new parent.
pub(crate) fn invocation_trace(headers: &HeaderMap) -> String {
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
    }

    #[test]
    fn the_port_of_host_follows_the_listener_s() {
        let of = |host: &'static str, port| {
            let host = with_port(HeaderValue::from_static(host), port, 8080);
            host.to_str().unwrap().to_owned()
        };
        assert_eq!(of("a.example:8080", 443), "a.example");
        assert_eq!(of("a.example", 80), "a.example");
        assert_eq!(of("[::1]:8080", 80), "[::1]");
        assert_eq!(of("a.example", 8443), "a.example:8443");
        assert_eq!(of("a.example:8080", 8443), "a.example:8443");
        assert_eq!(of("a.example:9999", 8443), "a.example:9999");
    }

    #[test]
    fn a_new_trace_id_has_the_time_and_24_digits() {
        let id = new_trace_id();
        let parts: Vec<&str> = id.split('-').collect();
        assert_eq!((parts[0], parts[1].len(), parts[2].len()), ("1", 8, 24), "{id}");
    }
}
