//! The AWS service in front of the function: the format of its events, what it knows of a request, and what it can carry of a
//! response. Owns the types that say so; which format an event has is found in `detect`, and the bytes are the format's own.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::Scheme;
use http::{Request, Response, response};

use crate::{DecodeError, EncodeError};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// An event format: how its events are recognized and read, how its replies are written, and what they can carry.
/// All that Crossfade knows of a format is in one file with a value of this type.
pub struct Format {
    /// In tests and debug output: `alb-multi`.
    pub name: &'static str,
    /// The service that sends these events, as messages name it: `the load balancer`.
    pub service: &'static str,
    /// The first bytes of every event that the service itself sends, if they are enough to recognize it: a shortcut that
    /// saves the scan. Empty without such bytes.
    pub prefix: &'static str,
    /// Returns whether an event has this format. It may be asked before all of the event has been seen, so only members that
    /// are there may count, and they must be ones that no other format has.
    pub recognizes: fn(&Shape<'_>) -> bool,
    /// Reads an event of this format; its text is the event again, known to be UTF-8.
    pub decode: fn(&Bytes, &str) -> Result<Event, Undecodable>,
    /// Appends the reply to a buffer, which it leaves as it was on error.
    pub encode: fn(&Response<Bytes>, &mut Vec<u8>) -> Result<(), EncodeError>,
    /// Appends what a streamed reply begins with, up to the first byte of the content, to a buffer which it leaves as it was
    /// on error. `None` for a service that takes only whole replies.
    pub prelude: Option<Prelude>,
    /// Content of a response that could fit into a reply, bytes; more is not even read from a back end.
    pub max_response_bytes: usize,
}

/// Appends the head of a response in the form in which a streamed reply begins with it.
pub type Prelude = fn(&response::Parts, &mut Vec<u8>) -> Result<(), EncodeError>;

/// The names of members of an event that are there and not `null`, as far as it has been looked at. Sets, since each member
/// of an event may lead to a search.
#[derive(Debug, Default)]
pub struct Shape<'e> {
    pub(crate) members: BTreeSet<Cow<'e, str>>,
    pub(crate) context: BTreeSet<Cow<'e, str>>,
}

impl Shape<'_> {
    /// Returns whether the event has a member.
    #[must_use]
    pub fn has(&self, member: &str) -> bool {
        self.members.contains(member)
    }

    /// Returns whether `requestContext` has a member.
    #[must_use]
    pub fn context_has(&self, member: &str) -> bool {
        self.context.contains(member)
    }
}

/// A request with the service that it came through.
#[derive(Debug)]
pub struct Event {
    /// The request as the front end received it: an origin-form target, `host` among the fields, the content decoded.
    pub request: Request<Bytes>,
    /// Everything else that the front end says.
    pub front: Front,
}

/// An event that is not an HTTP request, and the format in which its sender expects the response.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Undecodable {
    /// As far as the event shows it.
    pub format: &'static Format,
    /// The problem.
    #[source]
    pub error: DecodeError,
}

/// The front end of one request. It travels with the request, so that nothing behind it has to know event formats.
#[derive(Clone, Debug)]
pub struct Front {
    /// The format to respond in.
    pub format: &'static Format,
    /// The front end checks the function's health; there is no client.
    pub is_health_check: bool,
    /// The address that the front end was contacted from, if it says so.
    pub source_ip: Option<IpAddr>,
    /// `http` or `https`, as the client used it.
    pub scheme: Scheme,
    /// The port that the client contacted; `None` for the scheme's own.
    pub port: Option<u16>,
    /// The part of the client's path that the front end keeps to itself, such as the stage of an API: `/prod`, or nothing.
    pub base_path: String,
    /// Names the request in the logs and traces of AWS (`X-Amzn-Trace-Id`).
    pub trace_id: Option<HeaderValue>,
    /// Names the request in the front end's own log, and to the client, if the front end has such names.
    pub request_id: Option<String>,
}

impl Front {
    /// A front end of which nothing is known but its format.
    #[must_use]
    pub fn new(format: &'static Format) -> Self {
        Front {
            format,
            is_health_check: false,
            source_ip: None,
            scheme: Scheme::HTTPS,
            port: None,
            base_path: String::new(),
            trace_id: None,
            request_id: None,
        }
    }

    /// A front end that says all that it knows in `X-Forwarded-For`, `-Proto`, `-Port` and `X-Amzn-Trace-Id`, whose values it
    /// writes itself or, for the first one, appends to. A missing or invalid value is unknown.
    #[must_use]
    pub fn from_fields(format: &'static Format, fields: &HeaderMap) -> Self {
        let text = |name: &HeaderName| fields.get(name).and_then(|value| value.to_str().ok());
        let scheme = if text(&X_FORWARDED_PROTO) == Some("http") { Scheme::HTTP } else { Scheme::HTTPS };
        Front {
            source_ip: forwarded_for(fields, 1),
            scheme,
            port: text(&X_FORWARDED_PORT).and_then(|port| port.parse().ok()),
            trace_id: fields.get(X_AMZN_TRACE_ID).cloned(),
            ..Front::new(format)
        }
    }

    /// The address of the client behind so many trusted proxies, of which the front end is the first one: with 1 the address
    /// that it was contacted from, with more the address that the last trusted proxy has appended to `X-Forwarded-For`.
    /// Everything before that is the client's claim.
    #[must_use]
    pub fn client_ip(&self, fields: &HeaderMap, trusted_hops: usize) -> Option<IpAddr> {
        match trusted_hops {
            1 => self.source_ip,
            hops => forwarded_for(fields, hops),
        }
    }
}

/// A member of `X-Forwarded-For`, counted from the end: 1 is the last one.
fn forwarded_for(fields: &HeaderMap, from_end: usize) -> Option<IpAddr> {
    let lines = fields.get_all(X_FORWARDED_FOR);
    let members = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let member = members.into_iter().nth(from_end.checked_sub(1)?)?;
    let text = std::str::from_utf8(member).ok()?.trim();
    // With a port where a load balancer's `xff_client_port` is on.
    let address = text.parse().or_else(|_| text.parse::<SocketAddr>().map(|with_port| with_port.ip())).ok();
    address.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alb;

    fn at(hops: usize, lines: &[&str]) -> Option<String> {
        let fields = lines.iter().map(|line| ("x-forwarded-for".parse().unwrap(), line.parse().unwrap())).collect();
        Front::from_fields(&alb::SINGLE, &fields).client_ip(&fields, hops).map(|ip| ip.to_string())
    }

    #[test]
    fn only_what_trusted_proxies_have_written_counts() {
        let lines = ["1.1.1.1, 2.2.2.2", "3.3.3.3"];
        assert_eq!(at(1, &lines).as_deref(), Some("3.3.3.3"));
        assert_eq!(at(2, &lines).as_deref(), Some("2.2.2.2"));
        assert_eq!(at(3, &lines).as_deref(), Some("1.1.1.1"));
        assert_eq!(at(4, &lines), None);
        assert_eq!(at(0, &lines), None);
    }

    #[test]
    fn addresses_in_every_form() {
        assert_eq!(at(1, &["192.0.2.7:5123"]).as_deref(), Some("192.0.2.7"));
        assert_eq!(at(1, &["[2001:db8::1]:443"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(at(1, &["[2001:db8::1]"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(at(1, &["2001:db8::1"]).as_deref(), Some("2001:db8::1"));
        for none in ["", "unknown", "_hidden", "1.2.3.4.5", "1.2.3.4,"] {
            assert_eq!(at(1, &[none]), None, "{none}");
        }
        assert_eq!(at(1, &[]), None);
    }

    #[test]
    fn scheme_and_port_are_the_clients() {
        let front = |proto: &str, port: &str| {
            let fields = [("x-forwarded-proto", proto), ("x-forwarded-port", port)];
            let fields = fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            let Front { scheme, port, .. } = Front::from_fields(&alb::SINGLE, &fields);
            (scheme.to_string(), port)
        };
        assert_eq!(front("http", "8080"), ("http".to_owned(), Some(8080)));
        assert_eq!(front("https", "443"), ("https".to_owned(), Some(443)));
        assert_eq!(front("ftp", "70000"), ("https".to_owned(), None));
    }
}
