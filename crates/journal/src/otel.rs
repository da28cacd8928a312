//! The names of the members of an access line in OpenTelemetry's semantic conventions: one table, for writing such lines, for
//! reading them, and for `docs/tracing.md`. Knows the names only; the members are `access`'s.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::value::{F64Deserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

/// `accessLog.names`: the names of the members of an access line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Crossfade's own.
    #[default]
    Crossfade,
    /// Those of OpenTelemetry's semantic conventions.
    Otel,
}

/// Members with a name in the conventions (1.44): `http`, `url`, `error` and `faas`, and for the trace id "Trace Context in non-OTLP
/// Log Formats". The route has none: `http.route` is a template of paths.
pub const OTEL_NAMES: [(&str, &str); 9] = [
    ("request_id", "faas.invocation_id"),
    ("w3c_trace_id", "trace_id"),
    ("method", "http.request.method"),
    ("path", "url.path"),
    ("status", "http.response.status_code"),
    ("request_bytes", "http.request.body.size"),
    ("response_bytes", "http.response.body.size"),
    (MILLISECONDS, SECONDS),
    ("error", "error.type"),
];

/// The duration of the request, which the conventions have in seconds.
const MILLISECONDS: &str = "total_ms";
const SECONDS: &str = "http.server.request.duration";

/// Before the names of all other members.
const PREFIX: &str = "crossfade.";

/// Members that keep their names: they tell the lines of a log apart and order them. The last two are Lambda's.
const KEPT: [&str; 5] = ["type", "version", "time", "timestamp", "level"];

/// Returns the name of a member in a line with OpenTelemetry's names.
#[must_use]
pub fn otel_name(member: &str) -> Cow<'_, str> {
    if KEPT.contains(&member) {
        return member.into();
    }
    match OTEL_NAMES.iter().find(|(ours, _)| *ours == member) {
        Some((_, name)) => (*name).into(),
        None => [PREFIX, member].concat().into(),
    }
}

/// Returns a line with OpenTelemetry's names for its members. It must be one that an [`AccessRecord`](crate::AccessRecord) was
/// written to; the members of objects within it keep their names.
#[must_use]
pub fn with_otel_names(line: &[u8]) -> Vec<u8> {
    let mut renamed = Vec::with_capacity(line.len().saturating_mul(3) / 2);
    let mut done = 0;
    for Member { name, value } in members(line) {
        let (Some(before), Some(text)) = (line.get(done..name.start), line.get(name.clone())) else { break };
        let member = std::str::from_utf8(text).unwrap_or_default();
        renamed.extend_from_slice(before);
        renamed.extend_from_slice(otel_name(member).as_bytes());
        done = name.end;
        let number = line.get(value.clone()).filter(|_| member == MILLISECONDS);
        let number = number.and_then(|number| std::str::from_utf8(number).ok()?.parse::<f64>().ok());
        if let (Some(milliseconds), Some(before)) = (number, line.get(done..value.start)) {
            renamed.extend_from_slice(before);
            renamed.extend_from_slice(seconds(milliseconds).to_string().as_bytes());
            done = value.end;
        }
    }
    renamed.extend_from_slice(line.get(done..).unwrap_or_default());
    renamed
}

/// Returns the text of the value that a line with OpenTelemetry's names has for a member of ours.
pub(crate) fn value_of<'l>(line: &'l [u8], ours: &str) -> Option<&'l str> {
    let name = otel_name(ours);
    let is_it = |member: &Member| line.get(member.name.clone()) == Some(name.as_bytes());
    std::str::from_utf8(line.get(members(line).find(is_it)?.value)?).ok()
}

/// To the microsecond, as the other times.
fn seconds(milliseconds: f64) -> f64 {
    (milliseconds * 1e3).round() / 1e6
}

fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e3
}

/// The places of a member's name, without its quotes, and of its value.
struct Member {
    name: Range<usize>,
    value: Range<usize>,
}

/// Finds the members of an object without white space, not those of objects within it.
fn members(object: &[u8]) -> impl Iterator<Item = Member> {
    let mut at = 0;
    std::iter::from_fn(move || {
        // `{` or `,`, then `"`.
        let start = at + 2;
        let name = start..end_of_string(object, start)?;
        let value = name.end + 2..end_of_value(object, name.end + 2)?;
        at = value.end;
        Some(Member { name, value })
    })
}

/// The position of the quote that ends a string whose content begins here.
fn end_of_string(text: &[u8], start: usize) -> Option<usize> {
    let mut is_escaped = false;
    let is_end = |byte: &u8| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    };
    Some(start + text.get(start..)?.iter().position(is_end)?)
}

/// The position after a value that begins here.
fn end_of_value(text: &[u8], start: usize) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, start);
    loop {
        match text.get(at)? {
            b'"' => at = end_of_string(text, at + 1)?,
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' if depth == 0 => return Some(at),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
}

/// The members of a line under our names, whichever names it has.
pub(crate) struct OurNames<A> {
    members: A,
    /// A member before had a name that only OpenTelemetry's lines have, so that `trace_id` is W3C's.
    is_otel: bool,
    /// The next value is in seconds.
    is_seconds: bool,
}

impl<A> OurNames<A> {
    pub(crate) fn of(members: A) -> Self {
        OurNames { members, is_otel: false, is_seconds: false }
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for OurNames<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.members.next_key_seed(Name { seed, is_otel: &mut self.is_otel, is_seconds: &mut self.is_seconds })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        if self.is_seconds {
            let value = milliseconds(self.members.next_value()?);
            return seed.deserialize(F64Deserializer::new(value));
        }
        self.members.next_value_seed(seed)
    }
}

/// A name, which is passed on as ours.
struct Name<'m, K> {
    seed: K,
    is_otel: &'m mut bool,
    is_seconds: &'m mut bool,
}

impl<'de, K: DeserializeSeed<'de>> DeserializeSeed<'de> for Name<'_, K> {
    type Value = K::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<K::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de, K: DeserializeSeed<'de>> Visitor<'de> for Name<'_, K> {
    type Value = K::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<K::Value, E> {
        let known = OTEL_NAMES.iter().find(|(_, theirs)| *theirs == name).map(|(ours, _)| *ours);
        let ours = match (known, name.strip_prefix(PREFIX)) {
            (Some("w3c_trace_id"), _) if !*self.is_otel => None,
            // Of a metric.
            (None, None) if *self.is_otel && !KEPT.contains(&name) => Some("_"),
            (known, prefixed) => known.or(prefixed),
        };
        *self.is_otel |= ours.is_some();
        *self.is_seconds = ours == Some(MILLISECONDS) && name == SECONDS;
        self.seed.deserialize(StrDeserializer::new(ours.unwrap_or(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_members_of_the_line_itself_are_renamed() {
        let line = r#"{"type":"access","path":"/a\\","detail":"\"status\":{[,\\\"","journal":[{"status":"x","took_ms":1.0},{}],"total_ms":40.123,"status":200}"#;
        let renamed = r#"{"type":"access","url.path":"/a\\","crossfade.detail":"\"status\":{[,\\\"","crossfade.journal":[{"status":"x","took_ms":1.0},{}],"http.server.request.duration":0.040123,"http.response.status_code":200}"#;
        assert_eq!(String::from_utf8(with_otel_names(line.as_bytes())).unwrap(), renamed);
        for nothing in ["", "{}", "{\"a", "[]", "{\"status\"", "{\"status\":"] {
            assert_eq!(with_otel_names(nothing.as_bytes()), nothing.as_bytes());
        }
    }

    #[test]
    fn times_survive_the_change_of_units() {
        for micros in (0..3_000_000).step_by(997).chain([1, 999, 1001, 29_999_999_999]) {
            let ms = f64::from(u32::try_from(micros % 4_000_000_000_u64).unwrap()) / 1e3;
            assert_eq!(milliseconds(seconds(ms)), ms);
        }
    }
}
