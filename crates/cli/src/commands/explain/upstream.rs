//! The request that a back end receives, the primary or the mirror. Owns hiding its secrets.

use crossfade_journal::redaction::{HIDDEN, is_secret_parameter};
use crossfade_route::Backend;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(in crate::commands) struct Upstream {
    pub(super) method: String,
    pub(in crate::commands) url: String,
    pub(super) headers: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) addresses: Vec<String>,
}

impl Upstream {
    /// `asked` has the fields from the command line.
    pub(super) fn of(backend: &Backend, parts: &request::Parts, asked: &HeaderMap) -> Upstream {
        let authority = backend.authority.to_str().unwrap_or_default();
        Upstream {
            method: parts.method.to_string(),
            url: format!("{}://{authority}{}", backend.scheme.as_str(), parts.uri),
            headers: lines(&parts.headers, asked),
            addresses: backend.addresses.iter().map(|(host, port)| format!("{host} port {port}")).collect(),
        }
    }
}

/// The fields of a request, without values that look like secrets and were not on the command line: those come from the
/// configuration or the environment.
fn lines(fields: &HeaderMap, asked: &HeaderMap) -> Vec<(String, String)> {
    let shown = |name: &HeaderName, value: &HeaderValue| {
        let typed: Vec<String> = asked.get_all(name).iter().map(lossy).collect();
        let value = lossy(value);
        // Several `Cookie` lines were joined.
        let is_typed = typed.contains(&value) || typed.join("; ") == value;
        if is_secret_parameter(name.as_str()) && !is_typed { HIDDEN.to_owned() } else { value }
    };
    fields.iter().map(|(name, value)| (name.to_string(), shown(name, value))).collect()
}

pub(super) fn lossy(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
