//! The result of judging, as data. Serialised, it is part of the JSON document that `docs/report.md` documents.
//!
//! Owns the form; `judge` owns where the figures come from.
//!
//! Unless stated otherwise, counts are records, shares are between 0 and 1, and times are in milliseconds. Text comes from
//! the log, at most 200 characters of it: whoever shows it must escape it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crossfade_journal::comparison::Class;
use serde::{Serialize, Serializer};

use crate::latency::Histogram;

/// All that the records say.
#[derive(Debug)]
pub struct Assessment {
    /// The conclusion, by thresholds that hold without a gate.
    pub judgement: Judgement,
    /// Sentences that say why the systems differ, or why there are not enough samples; each without a full stop.
    pub because: Vec<String>,
    /// Records that were counted, including self-comparisons of the primary.
    pub records: u64,
    /// Times of the first and the last request; `None` without records.
    pub span: Option<(SystemTime, SystemTime)>,
    /// Names of the primary and of the mirror, from the first record that compares the two.
    pub backends: Option<(String, String)>,
    /// All routes together.
    pub overall: Summary,
    /// Sorted by name; at most 201.
    pub routes: Vec<Route>,
    /// The lowest parity first. At most 1,000, and one named `(other)` for each route.
    pub endpoints: Vec<Endpoint>,
    /// All routes together, over time.
    pub timeline: Timeline,
    /// Sentences about what makes the figures less reliable, each without a full stop.
    pub hints: Vec<String>,
}

/// The conclusion. `docs/report.md` documents the thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// The new system responds as the old one does.
    Same,
    /// Parity is too low, overall or at an endpoint, or the new system is slower.
    Differs,
    /// There is no sign that they differ, but there are too few samples to say that they do not.
    NotEnoughSamples,
}

/// Figures for all routes, for one route or for one endpoint.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Copies that were to be sent: the sum of `compared`, `failed`, `unknown` and `lost`.
    pub copies: u64,
    /// Compared copies: the sum of `same` and `different`.
    pub compared: u64,
    /// The sum of `matching`, `accepted` and `noise_only`.
    pub same: u64,
    /// Pairs without a relevant difference.
    pub matching: u64,
    /// Pairs in which every difference is accepted.
    pub accepted: u64,
    /// Pairs in which every difference that is not accepted is noise.
    pub noise_only: u64,
    /// Compared copies that differ beyond noise.
    pub different: u64,
    /// Copies whose primary did not respond, or responded with 5xx.
    pub failed: u64,
    /// Copies with two responses that could not be compared.
    pub unknown: u64,
    /// Copies that were not sent, or not compared in time.
    pub lost: u64,
    /// `None` if nothing was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parity: Option<Parity>,
    /// Places at which the mirror differs beyond noise and accepted differences.
    pub regressions: u64,
    /// Compared pairs in which the mirror alone did not respond, or responded with 5xx.
    pub mirror_failed: u64,
    /// Comparisons of the primary with itself, which measure noise.
    pub self_compared: u64,
    /// `None` without a pair of responses below 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Responses of the primary (the old system).
    pub primary: Responses,
    /// Responses of the mirror (the new system).
    pub mirror: Responses,
    /// Splits `lost` by reason; at most 31 for one endpoint.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub lost_by_reason: BTreeMap<String, u64>,
    /// Splits `unknown` by reason; at most 31 for one endpoint.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown_by_reason: BTreeMap<String, u64>,
}

/// The share of the compared copies that are the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Parity {
    /// With noise counted as the same.
    #[serde(serialize_with = "rounded")]
    pub share: f64,
    /// Lower end of the 95 % interval of `share` (see [`wilson`](crate::wilson)).
    #[serde(serialize_with = "rounded")]
    pub low: f64,
    /// Upper end of that interval.
    #[serde(serialize_with = "rounded")]
    pub high: f64,
    /// With noise counted as different.
    #[serde(serialize_with = "rounded")]
    pub raw: f64,
}

/// Response times, of the pairs in which both systems responded below 500.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// Number of pairs.
    pub pairs: u64,
    /// Milliseconds of the primary (the old system).
    pub primary: Percentiles,
    /// Milliseconds of the mirror (the new system).
    pub mirror: Percentiles,
    /// Mirror divided by primary, minus 1: 0.1 means 10 % slower.
    pub change: Percentiles,
    /// All times of the primary and of the mirror; not serialised.
    #[serde(skip)]
    pub histograms: (Histogram, Histogram),
}

/// Percentiles by nearest rank, within 1 %. The unit is that of the field that holds them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// The median.
    #[serde(serialize_with = "rounded")]
    pub p50: f64,
    /// The 90th percentile.
    #[serde(serialize_with = "rounded")]
    pub p90: f64,
    /// The 95th percentile.
    #[serde(serialize_with = "rounded")]
    pub p95: f64,
    /// The 99th percentile.
    #[serde(serialize_with = "rounded")]
    pub p99: f64,
}

/// Responses of one system.
#[derive(Debug, Default, Serialize)]
pub struct Responses {
    /// By class, from `1xx` to `5xx`.
    pub statuses: [u64; 5],
    /// Requests without a response, by error type (RFC 9209); at most 31 for one endpoint.
    pub errors: BTreeMap<String, u64>,
}

/// Figures of a route.
#[derive(Debug, Serialize)]
pub struct Route {
    /// Its name, or `(other)` for those beyond the first 200.
    pub route: String,
    /// Of all its endpoints together.
    #[serde(flatten)]
    pub summary: Summary,
}

/// Figures of an endpoint, and where its responses differ.
#[derive(Debug, Serialize)]
pub struct Endpoint {
    /// Name of its route.
    pub route: String,
    /// Method of the requests, or `*` if this entry collects endpoints beyond the limit.
    pub method: String,
    /// A path with its changing segments folded, such as `/orders/{id}`, or `(other)` if it collects endpoints.
    pub endpoint: String,
    /// Figures of this endpoint.
    #[serde(flatten)]
    pub summary: Summary,
    /// Regressions first, then accepted ones, then noise; each by falling count. At most 500.
    pub differences: Vec<Difference>,
}

/// A place at which responses differ.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// The kind of difference.
    pub class: Class,
    /// The place: see [`crossfade_journal::comparison::Difference::pointer`].
    pub pointer: String,
    /// Conclusion about this place.
    pub mark: Mark,
    /// Records in which the mirror differs at this place.
    pub count: u64,
    /// Share of the compared records that differ at this place.
    #[serde(serialize_with = "rounded")]
    pub raw: f64,
    /// Share of the self-comparisons that differ at this place; `None` without self-comparisons.
    #[serde(serialize_with = "rounded_if")]
    pub noise: Option<f64>,
    /// At most as many as [`Tally::new`](crate::Tally::new) was asked to keep.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

/// Conclusion about a place, ordered by importance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// The mirror differs there clearly more often than the primary differs from itself.
    Regression,
    /// Every difference at this place is accepted.
    Accepted,
    /// The primary differs from itself at this place about as often.
    Noise,
}

/// One request whose responses differ at a place.
#[derive(Debug, Serialize)]
pub struct Example {
    /// Time of the request: RFC 3339, UTC, with milliseconds.
    pub time: String,
    /// The Lambda request ID, as in the access log.
    pub request_id: String,
    /// The exact place in this response, with the indices of arrays.
    pub at: String,
    /// The primary's response.
    pub primary: ExampleResponse,
    /// The mirror's response.
    pub mirror: ExampleResponse,
}

/// One of the two responses.
#[derive(Debug, Serialize)]
pub struct ExampleResponse {
    /// Name of the back end.
    pub backend: String,
    /// The status code, or the error type if there is no response.
    pub outcome: String,
    /// The value at the place, cut and redacted; `None` if the record has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// A `curl` command that repeats the request, quoted for a POSIX shell, or a `#` comment with the reason why it is missing.
    pub repeat: String,
}

/// Compared copies over time.
#[derive(Debug, Serialize)]
pub struct Timeline {
    /// Width of a bucket in seconds: a power of two that makes at most 240 buckets span all records.
    pub seconds: u64,
    /// Buckets in which something was compared, in order of time.
    pub buckets: Vec<Bucket>,
}

/// A span of time of the width [`Timeline::seconds`].
#[derive(Debug, Serialize)]
pub struct Bucket {
    /// Seconds since 1970.
    pub begin: u64,
    /// Compared copies of requests that arrived in this span.
    pub compared: u64,
    /// Those whose responses are the same, counting noise as the same.
    pub same: u64,
}

/// Rounds to six decimal places, more than samples support.
fn rounded<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((number * 1e6).round() / 1e6)
}

fn rounded_if<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => rounded(number, serializer),
        None => serializer.serialize_none(),
    }
}
