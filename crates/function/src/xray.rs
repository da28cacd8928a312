//! Subsegments for AWS X-Ray: one for each attempt of a sampled request, sent to the daemon beside the function.
//!
//! Owns the documents (X-Ray developer guide, "Segment documents") and the daemon's address and protocol ("Sending segment documents
//! to the X-Ray daemon"). Called after the response has been posted; never waits, and a datagram that is lost is lost. The ids
//! and times are `journal`'s.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossfade_journal::{Outcome, Span, Trace};
use crossfade_proxy::Invocation;
use serde_json::{Value, json};

use crate::log::log_warning;

/// Before each document.
const HEADER: &str = "{\"format\":\"json\",\"version\":1}\n";

/// Characters of most strings, and of names.
const MAX_STRING: usize = 250;
const MAX_NAME: usize = 200;

/// The daemon; `None` if its address is unusable, which has been logged.
pub(crate) type Daemon = Option<(UdpSocket, SocketAddr)>;

/// Sends the spans so far. `daemon` is opened for the first ones.
#[cold]
pub(crate) fn send(trace: &Trace, invocation: &Invocation, address: Option<&str>, daemon: &mut Option<Daemon>) {
    let spans = trace.take();
    let (Some(trace_id), Some(parent_id)) = (trace.xray_trace_id(), trace.xray_parent()) else { return };
    if spans.is_empty() {
        return;
    }
    let now = invocation.started.elapsed();
    let Some((socket, address)) = daemon.get_or_insert_with(|| open(address)) else { return };
    for span in spans {
        let mut document = document(&span, invocation.time, now);
        document["trace_id"] = trace_id.into();
        document["parent_id"] = parent_id.into();
        // One that does not fit into the socket's buffer is lost.
        let _ = socket.send_to(format!("{HEADER}{document}").as_bytes(), *address);
    }
}

fn open(address: Option<&str>) -> Daemon {
    let Some(found) = address.and_then(udp) else {
        log_warning(match address {
            Some(_) => "no subsegments are sent to X-Ray: `AWS_XRAY_DAEMON_ADDRESS` has no IP address and port for UDP",
            None => "no subsegments are sent to X-Ray: Lambda has not set `AWS_XRAY_DAEMON_ADDRESS`",
        });
        return None;
    };
    let any = if found.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
    match socket {
        Ok(socket) => Some((socket, found)),
        Err(error) => {
            log_warning(&format!("no subsegments are sent to X-Ray: {error}"));
            None
        }
    }
}

/// The address for UDP: `127.0.0.1:2000` for both protocols, or `tcp:127.0.0.1:2000 udp:127.0.0.2:2001` in either order. A name
/// would have to be looked up, which takes time; Lambda's is an address.
fn udp(text: &str) -> Option<SocketAddr> {
    let address = |text: &str| {
        let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
        text.parse().ok()
    };
    let mut parts = text.split_whitespace();
    match (parts.next()?, parts.next(), parts.next()) {
        (only, None, None) if !only.starts_with("tcp:") => address(only.strip_prefix("udp:").unwrap_or(only)),
        (first, Some(second), None) => {
            let (tcp, udp) = if first.starts_with("udp:") { (second, first) } else { (first, second) };
            udp.strip_prefix("udp:").filter(|_| tcp.starts_with("tcp:")).and_then(address)
        }
        _ => None,
    }
}

/// The document of a span, without the ids that it shares with others.
fn document(span: &Span, time: SystemTime, now: Duration) -> Value {
    let seconds = |since: Duration| {
        let date = (time + since).duration_since(UNIX_EPOCH).unwrap_or_default();
        date.as_micros() as f64 / 1e6
    };
    let ended = span.took.map_or(now, |took| span.began.saturating_add(took));
    let mut document = json!({
        "type": "subsegment",
        "id": format!("{:016x}", span.id),
        "name": name(&span.backend),
        "namespace": "remote",
        "start_time": seconds(span.began),
        "end_time": seconds(ended.max(span.began)),
        "http": { "request": { "method": shortened(&span.method), "url": shortened(&span.url) } },
        "annotations": { "crossfade_role": span.role.as_str() },
    });
    match span.outcome {
        Outcome::Status(status) => {
            document["http"]["response"] = json!({ "status": status });
            if let Some(length) = span.content_length {
                document["http"]["response"]["content_length"] = length.into();
            }
            let flags: &[&str] = match status {
                429 => &["error", "throttle"],
                400..500 => &["error"],
                500.. => &["fault"],
                _ => &[],
            };
            flags.iter().for_each(|flag| document[flag] = true.into());
        }
        Outcome::Error(_) | Outcome::Unfinished | Outcome::Open => {
            let reason = match span.outcome {
                Outcome::Error(error) => error,
                _ => "unfinished",
            };
            document["fault"] = true.into();
            let exception =
                json!({ "id": format!("{:016x}", !span.id), "type": reason, "message": reason, "remote": true });
            document["cause"] = json!({ "exceptions": [exception] });
        }
    }
    document
}

/// A name with the characters that X-Ray allows.
fn name(text: &str) -> String {
    let allowed = |it: char| it.is_alphanumeric() || it.is_whitespace() || "_.:/%&#=+\\-@".contains(it);
    text.chars().map(|it| if allowed(it) { it } else { '_' }).take(MAX_NAME).collect()
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_STRING).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossfade_journal::Role;

    #[test]
    fn addresses_of_the_daemon() {
        for (text, expected) in [
            ("127.0.0.1:2000", Some("127.0.0.1:2000")),
            ("169.254.100.1:2000", Some("169.254.100.1:2000")),
            ("localhost:2000", Some("127.0.0.1:2000")),
            ("[::1]:2000", Some("[::1]:2000")),
            ("tcp:127.0.0.1:2000 udp:127.0.0.2:2001", Some("127.0.0.2:2001")),
            ("udp:127.0.0.2:2001 tcp:127.0.0.1:2000", Some("127.0.0.2:2001")),
            ("  udp:127.0.0.2:2001   tcp:[::1]:2000 ", Some("127.0.0.2:2001")),
            ("udp:127.0.0.2:2001", Some("127.0.0.2:2001")),
            ("tcp:127.0.0.1:2000", None),
            ("udp:127.0.0.1:2000 udp:127.0.0.1:2001", None),
            ("127.0.0.1:2000 127.0.0.1:2001", None),
            ("127.0.0.1", None),
            ("127.0.0.1:", None),
            ("127.0.0.1:65536", None),
            ("daemon:2000", None),
            ("", None),
            (" ", None),
        ] {
            assert_eq!(udp(text), expected.map(|address| address.parse().unwrap()), "{text}");
        }
    }

    fn span(outcome: Outcome) -> Span {
        Span {
            id: 0xabc,
            backend: "modern".to_owned(),
            role: Role::First,
            method: "GET".to_owned(),
            url: "https://modern.example.com/a".to_owned(),
            began: Duration::from_millis(2),
            took: Some(Duration::from_micros(40_500)),
            outcome,
            content_length: Some(7),
        }
    }

    fn time() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_767_225_600_123)
    }

    /// Flags as in the guide: `error` for 4xx, `throttle` for 429, `fault` for 5xx and for a call without a response.
    #[test]
    fn an_outcome_is_an_error_or_a_fault() {
        for (outcome, flags) in [
            (Outcome::Status(200), [false, false, false]),
            (Outcome::Status(304), [false, false, false]),
            (Outcome::Status(404), [true, false, false]),
            (Outcome::Status(429), [true, true, false]),
            (Outcome::Status(499), [true, false, false]),
            (Outcome::Status(503), [false, false, true]),
            (Outcome::Error("connection_refused"), [false, false, true]),
            (Outcome::Unfinished, [false, false, true]),
        ] {
            let document = document(&span(outcome), time(), Duration::from_secs(1));
            let found = ["error", "throttle", "fault"].map(|flag| document.get(flag).is_some());
            assert_eq!(found, flags, "{document}");
            let is_status = matches!(outcome, Outcome::Status(_));
            assert_eq!(document.get("cause").is_none(), is_status, "{document}");
            assert_eq!(document["http"].get("response").is_some(), is_status, "{document}");
        }
        let refused = document(&span(Outcome::Error("connection_refused")), time(), Duration::ZERO);
        assert_eq!(refused["cause"]["exceptions"][0]["type"], "connection_refused");
    }

    #[test]
    fn a_document_is_within_the_limits() {
        let long = Span {
            backend: "a\u{0}b ü(c)".repeat(100),
            method: "M".repeat(300),
            url: "ü".repeat(40_000),
            took: None,
            ..span(Outcome::Unfinished)
        };
        let document = document(&long, time(), Duration::from_secs(3));
        let (name, url) = (document["name"].as_str().unwrap(), document["http"]["request"]["url"].as_str().unwrap());
        assert!(name.starts_with("a_b ü_c_") && name.chars().count() == 200, "{name}");
        assert_eq!(url.chars().count(), 250);
        assert!(document.to_string().len() < 64 * 1024);
        // Given up: so far.
        assert_eq!(document["end_time"].as_f64(), Some(1_767_225_603.123));
    }
}
