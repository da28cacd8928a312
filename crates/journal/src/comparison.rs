//! One comparison as a line of the log: written by the function, read by `crossfade report`. The format is documented in
//! `docs/comparison-log.md`; a change that old readers would misread needs a new [`VERSION`].

use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize};

use crate::written::rfc3339;

/// The version of the format.
pub const VERSION: u32 = 1;

/// One line: what became of one copy of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Always `compare`, and always first: tells the line from others in the same log.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// [`VERSION`].
    pub version: u32,
    /// When the request came, UTC.
    #[serde(with = "rfc3339")]
    pub time: SystemTime,
    /// What the primary's answer is compared with.
    pub against: Against,
    /// The Lambda request id, as in the access log: the id of this sample.
    pub request_id: String,
    /// The route that matched.
    pub route: String,
    /// Of the client's request.
    pub method: String,
    /// The path with its changing segments folded: `/orders/{id}`.
    pub endpoint: String,
    /// What came out.
    pub verdict: Verdict,
    /// Why there is nothing to compare, in a word: `time`, `budget`, `shutdown`, `frozen`, `open`, `too-large`, `off`, …
    /// An `open` circuit breaker was `down` once, and is read as `open`.
    #[serde(default, deserialize_with = "reason", skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// At most 20, each pointer and class once; those that nobody accepted first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u32,
    /// Whether the copy went without the client's credentials.
    #[serde(default, skip_serializing_if = "is_false")]
    pub credentials_withheld: bool,
    /// The back end whose answer the client got.
    pub primary: Side,
    /// The back end whose answer nobody got: the mirror, or the primary's again.
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

/// What an answer is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Against {
    /// That of the other system.
    Mirror,
    /// That of the same system, asked once more: what differs is noise.
    #[serde(rename = "self")]
    Itself,
}

/// What came of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing differs that matters.
    Match,
    /// All that differs has been accepted.
    Accepted,
    /// Something differs, or the mirror gave no answer or one from 500.
    Different,
    /// The primary gave no answer or one from 500: there is nothing to hold the mirror to. Two failures are no match.
    Failed,
    /// Both answered, but could not be compared; `reason` says why.
    Unknown,
    /// The copy was not sent, its answer did not come in time, or the comparison did not end in time; `reason` says why.
    Lost,
}

/// How a thing differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Another status, or no answer.
    Status,
    /// A field is missing, extra or has another value.
    Header,
    /// JSON: a member that only the primary has.
    Missing,
    /// JSON: a member that only the mirror has.
    Extra,
    /// JSON: another type of value; or content that is JSON on one side only.
    Type,
    /// JSON: another value of the same type.
    Value,
    /// JSON: an array with the same elements in another order.
    Order,
    /// JSON: an array with another number of elements.
    Length,
    /// Text or HTML that differs after normalisation.
    Text,
    /// Any other content that is not the same byte for byte.
    Bytes,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// How it differs.
    pub class: Class,
    /// Where: `status`, a field's name, `body`, or a JSON Pointer (RFC 6901) with `*` for the indices of arrays and for
    /// members whose names look like ids.
    pub pointer: String,
    /// The first place in this answer, if it is not the pointer itself: indices in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Whether it has been accepted.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accepted: bool,
    /// The primary's value, cut and redacted; only if `keepValues` asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// The mirror's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
}

/// One of the two answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// The name of the back end.
    pub backend: String,
    /// Absent if there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why there was none (RFC 9209).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// From sending to the last byte, without the time for a new connection. Milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<f64>,
    /// Content, as it was sent. Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// What was asked, for repeating it: values of the query as `***` unless `keepValues` asks for them. Only with
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
