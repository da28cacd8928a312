//! The fields of a distributed trace: `X-Amzn-Trace-Id` of a request that X-Ray has sampled, and a `traceparent` for one without.
//!
//! Owns which of them are set, and the ids that differ from attempt to attempt. Without `tracing` in the configuration nothing
//! here runs, and whatever the client and the front end sent is forwarded as it is. The ids are `journal`'s.

use crossfade_journal::{Trace, trace_id_of};
use crossfade_route::Backend;
use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};
use http::request;

use crate::body::Body;
use crate::forwarding::X_AMZN_TRACE_ID;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The trace id of a request in W3C's form, if parents are created: the client's, or that of the created one.
pub(crate) fn w3c_trace_id(trace: &Trace, fields: &HeaderMap) -> Option<String> {
    let created = trace.w3c_trace_id()?;
    let received = received(fields).filter(|_| !is_of_the_connection(fields));
    Some(received.and_then(trace_id_of).unwrap_or(created).to_owned())
}

/// Sets the fields of the first attempt.
pub(crate) fn apply(trace: &Trace, fields: &mut HeaderMap) {
    if let Some(value) = value(trace, &X_AMZN_TRACE_ID, 0) {
        fields.insert(X_AMZN_TRACE_ID, value);
    }
    if trace.w3c_trace_id().is_some()
        && received(fields).and_then(trace_id_of).is_none()
        && let Some(value) = value(trace, &TRACEPARENT, 0)
    {
        fields.insert(TRACEPARENT, value);
        // It belongs to the parent that was missing or invalid (W3C Trace Context section 4.3).
        fields.remove(TRACESTATE);
    }
}

/// Notes that an attempt begins, and returns its request if it differs from the first one's. A field that the configuration has
/// changed or removed stays so.
pub(crate) fn begin(
    trace: &Trace,
    backend: &Backend,
    parts: &request::Parts,
    attempt: usize,
) -> Option<Box<request::Parts>> {
    trace.begin(attempt, parts.method.as_str(), || {
        let authority = backend.authority.to_str().unwrap_or_default();
        format!("{}://{authority}{}", backend.scheme.as_str(), parts.uri.path())
    });
    let mut own = None;
    for name in [X_AMZN_TRACE_ID, TRACEPARENT] {
        if attempt > 0
            && parts.headers.contains_key(&name)
            && parts.headers.get(&name) == value(trace, &name, 0).as_ref()
            && let Some(value) = value(trace, &name, attempt)
        {
            own.get_or_insert_with(|| Box::new(parts.clone())).headers.insert(name, value);
        }
    }
    own
}

/// The value of a field for an attempt, if it is ours.
fn value(trace: &Trace, name: &HeaderName, attempt: usize) -> Option<HeaderValue> {
    let value = if *name == TRACEPARENT { trace.traceparent(attempt) } else { trace.amzn_trace_id(attempt) };
    HeaderValue::try_from(value?).ok()
}

/// The length of the content, of a response that has arrived.
pub(crate) fn content_length(body: &Body<'_>) -> Option<u64> {
    match body {
        Body::Whole(content) => Some(content.len() as u64),
        Body::Streamed(_) => None,
    }
}

/// Returns `true` if `Connection` names the parent, which is then not forwarded (RFC 9110 section 7.6.1).
fn is_of_the_connection(fields: &HeaderMap) -> bool {
    let lines = fields.get_all(CONNECTION).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|option| option.trim().eq_ignore_ascii_case(TRACEPARENT.as_str()))
}

/// The only `traceparent` of a request: several are as invalid as none.
fn received(fields: &HeaderMap) -> Option<&str> {
    let mut lines = fields.get_all(TRACEPARENT).iter();
    lines.next().filter(|_| lines.next().is_none())?.to_str().ok()
}
