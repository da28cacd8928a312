//! One comparison as a line of the log: written by the function, read by `crossfade report`. `docs/comparison-log.md`
//! documents the format; a change that old readers would misread needs a new [`VERSION`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::written::rfc3339;

/// Version of the format. Version 1 has no evidence and no digests, and is read as well: see [`is_supported`].
pub const VERSION: u32 = 2;

/// Returns whether records of a version of the format can be read as [`Record`].
#[must_use]
pub fn is_supported(version: u32) -> bool {
    (1..=VERSION).contains(&version)
}

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
    /// Reason why the request was not repeated although the responses differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_repeated: Option<NotRepeated>,
    /// Digest of all that usually decides about the response: method, host, target, content, credentials, and the fields of
    /// content negotiation and ranges. Equal for equal requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Digest>,
    /// The version of the live state that decided about the request; absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<u32>,
    /// Names the secret salt of all digests in the record. Digests with different salts have nothing to do with each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<Digest>,
    /// Each pointer and class once, unaccepted ones first. Those that do not fit have a digest as their pointer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// Number of further differences, whose places are not known.
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
    /// The response of the other system, to a request that was sent again because the responses to it had differed. It is evidence
    /// about these differences, and no sample of the traffic.
    Again,
}

/// A reason why a request was not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotRepeated {
    /// The method is not safe.
    Unsafe,
    /// The share that `noise.repeat` sets excluded it.
    Share,
    /// There was no time left.
    Budget,
    /// The primary did not respond to the repeated request, or responded with 429 or 5xx and had not done so before; or its
    /// circuit breaker for copies is open, or the response could not be compared.
    Failed,
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
    /// A field, or a part of it, has another value.
    Header,
    /// A part that only the primary has: a field, a member, an element, a line.
    Missing,
    /// A part that only the mirror has.
    Extra,
    /// JSON: another type of value. Otherwise: another kind of content.
    Type,
    /// Another value of the same type.
    Value,
    /// The same elements in another order.
    Order,
    /// Another number of elements.
    Length,
    /// Text that differs after normalisation.
    Text,
    /// Other content that is not byte for byte the same.
    Bytes,
    /// Only one of the contents is valid for its media type.
    Invalid,
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
            Class::Invalid => "invalid",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Kind of the difference.
    pub class: Class,
    /// The place, as `docs/comparison-log.md` documents it: `status`, `set-cookie/basket/secure`, `/items/*/price`,
    /// `selector: main > p.price`. `#` and a digest if the record has no room for the place.
    pub pointer: String,
    /// The exact place with its indices, if it is not the pointer itself. If the responses differ at several exact places, one
    /// of them, chosen at random; `repeated`, `digests` and the values are of the same one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// A number below 64 that is equal for equal exact places; `None` if the responses differ at one exact place only, which
    /// has a name or a position. It keeps exact places apart without naming them: among many that vary at random, one may be
    /// reproducible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u8>,
    /// `true` if the configuration accepts the difference.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accepted: bool,
    /// The result of repeating the request; `None` if it was not repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<Repeated>,
    /// The kinds of `treatEqual` that both values are of, wherever this response differs at the place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// The largest difference between numbers at the place, absolute and as a share of the larger one; `None` if anything
    /// else than numbers differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<[f64; 2]>,
    /// Digests of the primary's and of the mirror's value at the exact place; `None` for a value that is not there.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub digests: [Option<Digest>; 2],
    /// The primary's value, truncated and redacted; only with `keepValues`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// The mirror's value, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<String>,
}

impl Difference {
    /// Returns a difference of which only the kind and the place are known.
    #[must_use]
    pub fn new(class: Class, pointer: impl Into<String>) -> Self {
        Difference {
            class,
            pointer: pointer.into(),
            at: None,
            slot: None,
            accepted: false,
            repeated: None,
            kinds: Vec::new(),
            distance: None,
            digests: [None; 2],
            primary: None,
            mirror: None,
        }
    }
}

/// The result of repeating the request at once about a difference, at the exact place [`Difference::at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Repeated {
    /// Both systems gave their own value again: the difference is reproducible.
    Same,
    /// The primary gave its value again; the mirror was not asked again.
    Primary,
    /// The primary gave its value again, the mirror gave another one.
    Unstable,
    /// The primary gave another value, which is neither its first nor the mirror's.
    Varies,
    /// The primary gave the mirror's value.
    Swapped,
}

/// A salted 32-bit digest, written as eight hexadecimal digits. It shows whether two values are equal, and nothing else: the
/// salt is random, and never leaves the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub u32);

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:08x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        u32::from_str_radix(&text, 16).map(Digest).map_err(serde::de::Error::custom)
    }
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
    /// Fields of the request that many responses depend on, to repeat it: those of [`REPEATED_FIELDS`]. Only of the primary,
    /// and only with `url`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

/// The names of request fields that a record may keep: they are no credentials.
pub const REPEATED_FIELDS: [&str; 8] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "content-type",
    "if-modified-since",
    "if-none-match",
    "origin",
    "range",
];

fn reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let reason = Option::<String>::deserialize(deserializer)?;
    Ok(reason.map(|reason| if reason == "down" { "open".to_owned() } else { reason }))
}

fn is_empty(digests: &[Option<Digest>; 2]) -> bool {
    *digests == [None, None]
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_false(flag: &bool) -> bool {
    !*flag
}
