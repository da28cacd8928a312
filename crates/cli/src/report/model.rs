//! The report as data: what all outputs show, and `--json` prints.
//!
//! Owns the form, which `docs/report.md` documents; where the figures come from is `judge`'s.

use std::collections::BTreeMap;

use crossfade_compare::Class;
use serde::{Serialize, Serializer};

use super::gate::Part;
use super::latency::Histogram;

/// All that is shown.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Of this document.
    pub(crate) version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    pub(crate) judgement: Judgement,
    /// Why, if it differs.
    pub(crate) because: Vec<String>,
    /// Empty without a gate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) gate: Vec<Part>,
    pub(crate) input: Input,
    pub(crate) overall: Summary,
    /// By name.
    pub(crate) routes: Vec<Route>,
    /// The worst first.
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) timeline: Timeline,
    pub(crate) hints: Vec<String>,
}

/// Whether the mirror's answers are the primary's, by the thresholds of `docs/report.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Judgement {
    Same,
    Differs,
    NotEnoughSamples,
}

/// What was read.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Input {
    pub(crate) records: u64,
    /// Left out by `--route`, `--since`, `--until`.
    pub(crate) left_out: u64,
    pub(crate) unreadable: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_unreadable: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    /// Names of the back ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) primary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mirror: Option<String>,
}

/// Figures of everything, of a route, or of an endpoint. Shares are between 0 and 1.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// Copies that were to be sent.
    pub(crate) copies: u64,
    pub(crate) compared: u64,
    /// Matches, accepted ones, and those that differ by noise only.
    pub(crate) same: u64,
    pub(crate) matching: u64,
    pub(crate) accepted: u64,
    pub(crate) noise_only: u64,
    pub(crate) different: u64,
    pub(crate) failed: u64,
    pub(crate) unknown: u64,
    pub(crate) lost: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parity: Option<Parity>,
    /// Places where the mirror differs, beyond noise and what is accepted.
    pub(crate) regressions: u64,
    /// Compared pairs in which the mirror alone gave no answer or one from 500.
    pub(crate) mirror_failed: u64,
    pub(crate) self_compared: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency: Option<Latency>,
    pub(crate) primary: Side,
    pub(crate) mirror: Side,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) lost_by_reason: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) unknown_by_reason: BTreeMap<String, u64>,
}

/// The share that is the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Parity {
    #[serde(serialize_with = "rounded")]
    pub(crate) share: f64,
    /// The 95 % interval of Wilson.
    #[serde(serialize_with = "rounded")]
    pub(crate) low: f64,
    #[serde(serialize_with = "rounded")]
    pub(crate) high: f64,
    /// With noise counted as different.
    #[serde(serialize_with = "rounded")]
    pub(crate) raw: f64,
}

/// Of the pairs that both answered below 500. Milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    pub(crate) pairs: u64,
    pub(crate) primary: Percentiles,
    pub(crate) mirror: Percentiles,
    /// Of the mirror against the primary: 0.1 is 10 % slower.
    pub(crate) change: Percentiles,
    #[serde(skip)]
    pub(crate) histograms: (Histogram, Histogram),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    #[serde(serialize_with = "rounded")]
    pub(crate) p50: f64,
    #[serde(serialize_with = "rounded")]
    pub(crate) p90: f64,
    #[serde(serialize_with = "rounded")]
    pub(crate) p95: f64,
    #[serde(serialize_with = "rounded")]
    pub(crate) p99: f64,
}

/// The answers of one system.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Side {
    /// From `1xx` to `5xx`.
    pub(crate) statuses: [u64; 5],
    /// By type, of those that gave no answer.
    pub(crate) errors: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Route {
    pub(crate) route: String,
    #[serde(flatten)]
    pub(crate) summary: Summary,
}

#[derive(Debug, Serialize)]
pub(crate) struct Endpoint {
    pub(crate) route: String,
    pub(crate) method: String,
    pub(crate) endpoint: String,
    #[serde(flatten)]
    pub(crate) summary: Summary,
    /// Regressions first, then by how often.
    pub(crate) differences: Vec<Difference>,
}

/// A place where answers differ.
#[derive(Debug, Serialize)]
pub(crate) struct Difference {
    pub(crate) class: Class,
    pub(crate) pointer: String,
    pub(crate) mark: Mark,
    /// Records in which the mirror differs there, and the share of the compared ones.
    pub(crate) count: u64,
    #[serde(serialize_with = "rounded")]
    pub(crate) raw: f64,
    /// The share in which the primary differs from itself; `null` if it was not asked.
    #[serde(serialize_with = "rounded_if")]
    pub(crate) noise: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) examples: Vec<Shown>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mark {
    Regression,
    Accepted,
    Noise,
}

/// An example with the commands that repeat it.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    pub(crate) time: String,
    pub(crate) request_id: String,
    pub(crate) at: String,
    pub(crate) primary: ShownSide,
    pub(crate) mirror: ShownSide,
}

#[derive(Debug, Serialize)]
pub(crate) struct ShownSide {
    pub(crate) backend: String,
    /// A status, or why there is none.
    pub(crate) outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    /// A `curl`, or a comment that says why there is none.
    pub(crate) repeat: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Timeline {
    /// Width of a bucket.
    pub(crate) seconds: u64,
    /// Those in which something was compared.
    pub(crate) buckets: Vec<Bucket>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Bucket {
    /// Seconds since 1970.
    pub(crate) begin: u64,
    pub(crate) compared: u64,
    pub(crate) same: u64,
}

/// Six digits after the point are more than the samples carry.
fn rounded<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((number * 1e6).round() / 1e6)
}

fn rounded_if<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => rounded(number, serializer),
        None => serializer.serialize_none(),
    }
}
