//! The record of a request: one JSON line. Knows no bodies, no fields of the client, no query: nothing secret can get
//! into it (path apart, which is logged as it is).

use std::borrow::Cow;
use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossfade_route::Backend;
use serde::{Serialize, Serializer};

/// One line of the access log. Durations are milliseconds, sizes are bytes of content.
#[derive(Debug, Default, Serialize)]
pub struct AccessRecord {
    /// Always `access`; tells the line from others in the same log.
    #[serde(rename = "type")]
    pub kind: AccessKind,
    /// When the request came, UTC.
    #[serde(serialize_with = "rfc3339")]
    pub time: Option<SystemTime>,
    /// The Lambda request id.
    pub request_id: String,
    /// The value of `X-Amzn-Trace-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Absent, like the next, if the event could not be read or was a health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Without the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The route that matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The back end that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Why that back end: `only`, `weight`, `hash`, `pin`, `opt-in`, `otherwise` or `assigned`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<&'static str>,
    /// The back ends that were chosen first and failed, or were known to be down.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    /// What the client got.
    pub status: u16,
    /// Content received.
    pub request_bytes: usize,
    /// Content answered.
    pub response_bytes: usize,
    /// From the event to the answer.
    #[serde(serialize_with = "milliseconds")]
    pub total_ms: Option<Duration>,
    /// Time for a new connection; absent if one was there.
    #[serde(serialize_with = "milliseconds", skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<Duration>,
    /// From the event to the head of the answer.
    #[serde(serialize_with = "milliseconds", skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<Duration>,
    /// How often the request was sent, to all back ends together; a connection that could not be made is none.
    pub attempts: u32,
    /// How often of these because of `retry`.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// `ntlm` or `negotiate`: the request or the response had authentication of that kind, which belongs to a connection.
    /// The connection was closed after it, so that nobody else is authenticated by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_auth: Option<&'static str>,
    /// The error type (RFC 9209) of an answer that is ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'static str>,
    /// The same in words, with what the client is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A back end that another one has answered for.
#[derive(Debug, Serialize)]
pub struct PassedOver {
    /// Its name.
    pub backend: String,
    /// `down`, a status, or an error type (RFC 9209).
    pub outcome: Cow<'static, str>,
}

/// See [`AccessRecord::kind`].
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessKind {
    /// A request.
    #[default]
    Access,
}

impl AccessRecord {
    pub(crate) fn pass_over(&mut self, backend: &Backend, outcome: Cow<'static, str>) {
        self.passed_over.push(PassedOver { backend: backend.name.clone(), outcome });
    }

    /// Notes that the answer is ours.
    pub fn note(&mut self, error: &crate::ProxyError) {
        self.error = Some(error.error_type());
        self.detail = Some(with_causes(error));
    }
}

/// The error and, where the text of its source does not have them, the causes behind that: what the system said of a
/// connection. They are words of libraries and of the system, never of a message.
fn with_causes(error: &crate::ProxyError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source().and_then(Error::source);
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = inner.source();
    }
    text
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

fn milliseconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    let micros = duration.unwrap_or_default().as_micros();
    serializer.serialize_f64(micros as f64 / 1000.0)
}

fn rfc3339<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_millis(time.unwrap_or(UNIX_EPOCH)))
}
