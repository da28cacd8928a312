//! One comparison as a line of the log: written by the function, read by `crossfade report`. `docs/comparison-log.md`
//! documents the format; a change that old readers would misread needs a new [`VERSION`].

use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize};

use crate::written::rfc3339;

/// Version of the format.
pub const VERSION: u32 = 1;

/// One line: the outcome of one copy of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Always `compare`, and always first: distinguishes the line from others in the same log.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// [`VERSION`].
    pub version: u32,
    /// Time of the client's request, UTC.
    #[serde(with = "rfc3339")]
    pub time: SystemTime,
    /// The response that the primary's is compared with.
    pub against: Against,
    /// The Lambda request ID, as in the access log: identifies this sample.
    pub request_id: String,
    /// Name of the route that matched.
    pub route: String,
    /// Method of the client's request.
    pub method: String,
    /// The path with its variable segments replaced, such as `/orders/{id}`.
    pub endpoint: String,
    /// Result of the comparison.
    pub verdict: Verdict,
    /// Reason why nothing was compared: `time`, `budget`, `shutdown`, `frozen`, `open`, `too-large`, `off`, …
    /// Older lines have `down` for an `open` circuit breaker; it is read as `open`.
    #[serde(default, deserialize_with = "reason", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// At most 20, each pointer and class once, unaccepted ones first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// Number of further differences.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
    /// `true` if the copy was sent without the client's credentials.
    #[serde(default, skip_serializing_if = "is_false")]
    pub credentials_withheld: bool,
    /// The back end whose response the client got.
    pub primary: Side,
    /// The back end whose response was discarded: the mirror, or the primary again.
    pub mirror: Side,
}

/// See [`Record::kind`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A comparison.
    #[default]
    Compare,
}

/// The response that the primary's is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Against {
    /// The response of the other system.
    Mirror,
    /// A second response of the same system; its differences are noise.
    #[serde(rename = "self")]
    Itself,
}

/// Result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// There is no relevant difference.
    Match,
    /// All differences are accepted.
    Accepted,
    /// There is a difference, or the mirror did not respond or responded with 5xx.
    Different,
    /// The primary did not respond, or responded with 5xx: there is nothing to compare with. Two failures are not a
    /// match.
    Failed,
    /// Both responded, but could not be compared; `reason` says why.
    Unknown,
    /// The copy was not sent, or the response or the comparison took too long; `reason` says why.
    Lost,
}

/// Kind of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Another status, or no response.
    Status,
    /// A field is missing, extra or has another value.
    Header,
    /// JSON: a member that only the primary has.
    Missing,
    /// JSON: a member that only the mirror has.
    Extra,
    /// JSON: another type of value; or only one of the contents is JSON.
    Type,
    /// JSON: another value of the same type.
    Value,
    /// JSON: an array with the same elements in another order.
    Order,
    /// JSON: an array with another number of elements.
    Length,
    /// Text or HTML that differs after normalisation.
    Text,
    /// Other content that is not byte for byte the same.
    Bytes,
}

impl Class {
    /// The word for it in a record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Status => "status",
            Class::Header => "header",
            Class::Missing => "missing",
            Class::Extra => "extra",
            Class::Type => "type",
            Class::Value => "value",
            Class::Order => "order",
            Class::Length => "length",
            Class::Text => "text",
            Class::Bytes => "bytes",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Kind of the difference.
    pub class: Class,
    /// The place: `status`, a field's name, `body`, or a JSON Pointer (RFC 6901) with `*` for array indices and for
    /// members whose names look like IDs.
    pub pointer: String,
    /// The first place in this response with its indices, if it is not the pointer itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// `true` if the configuration accepts the difference.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accepted: bool,
    /// The primary's value, truncated and redacted; only with `keepValues`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// The mirror's value, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
}

/// One of the two responses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Name of the back end.
    pub backend: String,
    /// Status code; `None` without a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Error type (RFC 9209) if there is no response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Milliseconds from sending to the last byte, without the time to establish a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<f64>,
    /// Bytes of content as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// URL of the request, to repeat it. Values of the query are `***` unless `keepValues` is set. Only with
    /// [`Verdict::Different`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

fn reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let reason = Option::<String>::deserialize(deserializer)?;
    Ok(reason.map(|reason| if reason == "down" { "open".to_owned() } else { reason }))
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_false(flag: &bool) -> bool {
    !*flag
}
