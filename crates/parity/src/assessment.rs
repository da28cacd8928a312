//! The result of judging, as data. Serialised, it is part of the JSON document that `docs/report.md` documents.
//!
//! Owns the form; `judge` owns where the figures come from.
//!
//! Unless stated otherwise, counts are records, shares are between 0 and 1, and times are in milliseconds. Text comes from
//! the log, at most 200 characters of it: whoever shows it must escape it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crossfade_journal::comparison::{Class, NotRepeated};
use serde::{Serialize, Serializer};

use crate::latency::{Histogram, Percentile};
use crate::reason::Reason;

/// All that the records say.
#[derive(Debug)]
pub struct Assessment {
    /// The conclusion, by thresholds that hold without a gate.
    pub verdict: Verdict,
    /// Everything that speaks against [`Verdict::Same`]: first what proves a difference, then what could not be judged, then
    /// what needs more samples, each by falling impact. Empty for [`Verdict::Same`] only.
    pub reasons: Vec<Reason>,
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

/// The conclusion. `docs/report.md` documents what each requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The new system responds as the old one does, at every endpoint that was seen.
    Same,
    /// It is proved that the new system responds otherwise, fails or is slower somewhere.
    Differs,
    /// No difference is proved, but one could have been missed, and more samples of the same kind would not help.
    CannotBeJudged,
    /// No difference is proved, and more samples would decide.
    NotEnoughSamples,
}

impl Verdict {
    /// The word for it in the JSON document and in gates.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Same => "same",
            Verdict::Differs => "differs",
            Verdict::CannotBeJudged => "cannot-be-judged",
            Verdict::NotEnoughSamples => "not-enough-samples",
        }
    }
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
    /// Compared copies that differ beyond noise and accepted differences, whether that could be judged or not.
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
    /// Places by their marks.
    #[serde(flatten)]
    pub places: Places,
    /// Compared pairs in which the mirror alone did not respond, or responded with 5xx.
    pub mirror_failed: u64,
    /// Pairs in which the primary alone did not respond, or responded with 5xx.
    pub primary_failed: u64,
    /// Compared pairs in which both systems responded with 304, so that no content was compared.
    pub not_modified: u64,
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

/// Number of places at which the mirror differs, by mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Places {
    /// With [`Mark::Regression`].
    pub regressions: u64,
    /// With [`Mark::Unjudged`].
    pub unjudged: u64,
    /// With [`Mark::NotMeasured`].
    pub not_measured: u64,
    /// With [`Mark::Unclear`].
    pub unclear: u64,
    /// With [`Mark::Noise`].
    pub noise: u64,
}

/// The share of the compared copies that are the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Parity {
    /// With noise counted as the same; everything that is unclear, not measured or cannot be judged counts as different.
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
    /// 95 % intervals of the primary's percentiles.
    pub primary_interval: Intervals,
    /// 95 % intervals of the mirror's percentiles.
    pub mirror_interval: Intervals,
    /// Percentiles at which the mirror is slower, corrected for the number of percentiles and endpoints.
    pub slower: Vec<Percentile>,
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

impl Percentiles {
    /// Returns one of them.
    #[must_use]
    pub fn of(&self, percentile: Percentile) -> f64 {
        match percentile {
            Percentile::P50 => self.p50,
            Percentile::P95 => self.p95,
            Percentile::P99 => self.p99,
        }
    }
}

/// Intervals of percentiles, from order statistics: they hold for any distribution of response times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Intervals {
    /// Of the median.
    pub p50: Interval,
    /// Of the 95th percentile.
    pub p95: Interval,
    /// Of the 99th percentile.
    pub p99: Interval,
}

impl Intervals {
    /// Returns one of them.
    #[must_use]
    pub fn of(&self, percentile: Percentile) -> Interval {
        match percentile {
            Percentile::P50 => self.p50,
            Percentile::P95 => self.p95,
            Percentile::P99 => self.p99,
        }
    }
}

/// A confidence interval in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// `None` if there are too few samples for a lower end.
    #[serde(serialize_with = "rounded_if")]
    pub low: Option<f64>,
    /// `None` if there are too few samples for an upper end.
    #[serde(serialize_with = "rounded_if")]
    pub high: Option<f64>,
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
    /// The conclusion about its endpoints.
    pub verdict: Verdict,
    /// Of all its endpoints together.
    #[serde(flatten)]
    pub summary: Summary,
}

/// Names an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct EndpointName {
    /// Name of its route, or `(other)` for those beyond the first 200.
    pub route: String,
    /// Method of the requests, or `*` if this entry collects endpoints beyond the limit.
    pub method: String,
    /// A path with its changing segments folded, such as `/orders/{id}`, or `(other)` if it collects endpoints.
    pub endpoint: String,
}

/// Figures of an endpoint, and where its responses differ.
#[derive(Debug, Serialize)]
pub struct Endpoint {
    /// Its route, method and path.
    #[serde(flatten)]
    pub name: EndpointName,
    /// Figures of this endpoint.
    #[serde(flatten)]
    pub summary: Summary,
    /// In the order of their marks, each by falling count. At most 601.
    pub differences: Vec<Difference>,
}

/// A place at which responses differ.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// The kind of difference; `None` for the place `(other)`, which collects places beyond the limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// The system that has a value there.
    pub change: Change,
    /// The place: see [`crossfade_journal::comparison::Difference::pointer`]. `#` and a digest if it did not fit into the
    /// record; with `[…=*]` if it collects places beyond a limit; `(other)` for everything beyond that.
    pub pointer: String,
    /// Conclusion about this place.
    pub mark: Mark,
    /// Reason for the mark; only with [`Mark::NotMeasured`], [`Mark::Unjudged`] and noise that is slower than a repeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    /// Records in which the mirror differs at this place.
    pub count: u64,
    /// Those in which the difference is accepted.
    pub accepted: u64,
    /// Share of the compared records that differ at this place.
    #[serde(serialize_with = "rounded")]
    pub raw: f64,
    /// Share of the self-comparisons that differ at this place; `None` without self-comparisons.
    #[serde(serialize_with = "rounded_if")]
    pub noise: Option<f64>,
    /// Results of repeating the requests of `count`, without accepted ones.
    pub repeated: Outcomes,
    /// The evidence that this place is a regression: at least 1 in favour, at most 1 against. See `docs/report.md`.
    #[serde(serialize_with = "significant")]
    pub e_value: f64,
    /// Responses of this endpoint after which the place would be a regression if it goes on like this; only with
    /// [`Mark::Unclear`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needed: Option<u64>,
    /// At most as many as [`Tally::new`](crate::Tally::new) was asked to keep.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

/// The systems that have a value at a place. Differences of one kind are counted apart from those of another: that the
/// primary has another value each time does not explain why the mirror has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Both have one, or that is not known.
    Value,
    /// Only the primary has one.
    Missing,
    /// Only the mirror has one.
    Extra,
}

/// Number of differences by the result of repeating the request: see
/// [`Repeated`](crossfade_journal::comparison::Repeated).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcomes {
    /// Both systems gave their own value again.
    pub same: u64,
    /// The primary gave its value again; the mirror was not asked again.
    pub primary: u64,
    /// The primary gave its value again, the mirror gave another one.
    pub unstable: u64,
    /// The primary gave another value, which is neither its first nor the mirror's.
    pub varies: u64,
    /// The primary gave the mirror's value.
    pub swapped: u64,
    /// The request was not repeated.
    pub not_repeated: u64,
}

impl Outcomes {
    /// Differences of repeated requests.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.confirmed() + self.varied()
    }

    /// Repeated requests in which the primary gave its value again.
    #[must_use]
    pub fn confirmed(&self) -> u64 {
        self.same + self.primary + self.unstable
    }

    /// Repeated requests in which the primary differs from itself.
    #[must_use]
    pub fn varied(&self) -> u64 {
        self.varies + self.swapped
    }
}

/// Conclusion about a place, ordered by importance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// The mirror differs there in another way than the primary differs from itself; the false discovery rate over all
    /// places of a report is at most 5 %.
    Regression,
    /// The primary varies there, but the place is too coarse to see whether the mirror differs as well.
    Unjudged,
    /// The requests that differ were never repeated, or the primary changes too slowly for a repeat to show it.
    NotMeasured,
    /// There is too little evidence for a regression and for noise.
    Unclear,
    /// Every difference at this place is accepted.
    Accepted,
    /// The primary differs from itself at this place about as often.
    Noise,
}

impl Mark {
    /// The word for it in the JSON document.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Mark::Regression => "regression",
            Mark::Unjudged => "unjudged",
            Mark::NotMeasured => "not-measured",
            Mark::Unclear => "unclear",
            Mark::Accepted => "accepted",
            Mark::Noise => "noise",
        }
    }
}

/// Reason for a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Not measured: the method is not safe, so the requests were not repeated.
    Unsafe,
    /// Not measured: the share that `noise.repeat` sets excluded the requests.
    Share,
    /// Not measured: there was no time left to repeat the requests.
    Budget,
    /// Not measured: the primary did not respond to the repeated requests.
    Failed,
    /// Not measured: the log does not say why, as those of older versions.
    NeverRepeated,
    /// Not measured: the primary's values change over time, and the mirror's are never among them.
    Changing,
    /// Noise: the primary's values change over time, and the mirror's are among them.
    Slow,
    /// Unjudged: the primary varies, and what differs within the content is not known.
    Opaque,
    /// Unjudged: the primary varies at some of several places that are counted together.
    Collected,
}

impl From<NotRepeated> for Why {
    fn from(reason: NotRepeated) -> Why {
        match reason {
            NotRepeated::Unsafe => Why::Unsafe,
            NotRepeated::Share => Why::Share,
            NotRepeated::Budget => Why::Budget,
            NotRepeated::Failed => Why::Failed,
        }
    }
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
pub(crate) fn rounded<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((number * 1e6).round() / 1e6)
}

/// Rounds to three significant digits, for numbers of any size.
fn significant<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(format!("{number:.2e}").parse().unwrap_or(*number))
}

fn rounded_if<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => rounded(number, serializer),
        None => serializer.serialize_none(),
    }
}
