//! One request as a line of the log: written by the function, read by `crossfade dev` and its inspector. The format is
//! documented in `docs/configuration.md`; a change that old readers would misread needs a new version.
//!
//! Knows no bodies, no fields of the client, no query: nothing secret can get into it, save what a path has.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::attempt::{Attempt, Journal, Outcome, Role};
use crate::otel::OurNames;
use crate::written::{milliseconds, rfc3339};

/// The version of the format. The first one had no `version` and no `journal`, `passed_over` for `skipped`, and in it `down`
/// for `open`. The first two had no `target` and no `began_ms`, and counted `first_byte_ms` from the event.
const VERSION: u32 = 3;

/// The largest weight: that of the smallest share, a thousandth of a percent.
const MOST: u32 = 100_000;

/// One line of the access log. Times are milliseconds, sizes are bytes of content. It borrows what it is written from; a
/// line that is read owns its texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct AccessRecord<'t> {
    /// Always `access`, and always first: tells the line from others in the same log.
    #[serde(rename = "type")]
    kind: Kind,
    /// 3. A line without one is of version 1. Older lines become ones of version 3 when they are read.
    #[serde(default = "first_version")]
    pub version: u32,
    /// Arrival of the request, UTC.
    #[serde(default = "unknown_time", with = "rfc3339")]
    pub time: SystemTime,
    /// The Lambda request id.
    #[serde(default)]
    pub request_id: Cow<'t, str>,
    /// The value of `X-Amzn-Trace-Id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Cow<'t, str>>,
    /// The trace of X-Ray that the attempts are in, if it was sampled and `tracing.xray` is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xray_trace_id: Option<Cow<'t, str>>,
    /// The trace id of `traceparent`, if `tracing.w3c` is `create`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub w3c_trace_id: Option<Cow<'t, str>>,
    /// The name that API Gateway or a function URL gave the request: in its own log, and in the client's response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub front_request_id: Option<Cow<'t, str>>,
    /// Absent, like the next, if the event could not be read or was a health check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Cow<'t, str>>,
    /// Without the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Cow<'t, str>>,
    /// The number of requests that the line stands for, where only a share of those without a failure is logged; absent
    /// for 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
    /// The version of the live state that decided; absent without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<u32>,
    /// The route that matched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Cow<'t, str>>,
    /// The back end whose response or error the client got; absent if the request was sent to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<Cow<'t, str>>,
    /// The back end that the route chose; absent if it is `backend`, which `failover` may have replaced it with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Cow<'t, str>>,
    /// The reason for the route's choice: `only`, `weight`, `hash`, `pin`, `opt-in`, `otherwise` or `assigned`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Cow<'t, str>>,
    /// The back ends that failed before the request went to another one, and those whose circuit breaker was open.
    #[serde(default, alias = "passed_over", skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped<'t>>,
    /// The client's status.
    #[serde(default)]
    pub status: u16,
    /// Content received.
    #[serde(default)]
    pub request_bytes: u64,
    /// Content of the response.
    #[serde(default)]
    pub response_bytes: u64,
    /// Content that was stored in the bucket of `spill`, to which the client was redirected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spilled_bytes: Option<u64>,
    /// From the event to the response.
    #[serde(default)]
    pub total_ms: f64,
    /// From the event to the beginning of the attempt that decided; absent if nothing was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_ms: Option<f64>,
    /// For a new connection; absent if one was there. Like the next, of the attempt that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<f64>,
    /// From the beginning of that attempt to the head of the response, a new connection included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<f64>,
    /// Duration of all attempts together, with new connections; absent if there was none, and without metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_ms: Option<f64>,
    /// Number of times the request was sent, to all back ends together; a connection that could not be made does not count.
    #[serde(default)]
    pub attempts: u32,
    /// Number of these that `retry` asked for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// Each attempt in order, including those without a connection and back ends that were skipped. Absent if there was only
    /// one: then the line says it all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub journal: Vec<AttemptRecord<'t>>,
    /// `ntlm` or `negotiate`: the request or a response had authentication of that kind, which belongs to a connection.
    /// The connection was closed after it, so that no other client is authenticated by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_auth: Option<Cow<'t, str>>,
    /// The error type (RFC 9209) of a response that is ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Cow<'t, str>>,
    /// The same in words, with what the client does not see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Cow<'t, str>>,
}

/// A back end that failed or was passed by, and that another one replaced.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Skipped<'t> {
    /// Its name.
    #[serde(default)]
    pub backend: Cow<'t, str>,
    /// `open` (the circuit breaker), a status, or an error type (RFC 9209).
    #[serde(default, deserialize_with = "outcome")]
    pub outcome: Cow<'t, str>,
}

/// A back end that a request went to, or that was skipped, as [`AccessRecord::steps`] returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'r> {
    /// Its name.
    pub backend: &'r str,
    /// The reason for the route's choice, or `failover`.
    pub by: Option<&'r str>,
    /// Its last outcome; `None` for the last step if the client got its response or error.
    pub outcome: Option<&'r str>,
}

/// Renders as `modern by pin: 503` or `legacy by failover`; the only target needs no reason.
impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.backend)?;
        if let Some(by) = self.by.filter(|by| *by != "only") {
            write!(f, " by {by}")?;
        }
        self.outcome.map_or(Ok(()), |outcome| write!(f, ": {outcome}"))
    }
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord<'t> {
    /// The name of the back end.
    pub backend: Cow<'t, str>,
    /// The reason for the attempt.
    pub role: Role,
    /// `open` (circuit breaker: not sent), a status, or an error type (RFC 9209).
    pub outcome: Cow<'t, str>,
    /// For a new connection; absent if one was there, or none could be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<f64>,
    /// From the beginning of the attempt to the head of the response, a new connection included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<f64>,
    /// From the event to the beginning of the attempt.
    pub began_ms: f64,
    /// From there to its end, without the time for a new connection.
    pub took_ms: f64,
    /// As [`AccessRecord::connection_auth`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_auth: Option<Cow<'t, str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Access,
}

impl<'t> AccessRecord<'t> {
    /// The version of the format that is written.
    pub const VERSION: u32 = VERSION;

    /// The record of a request that came at `time`, as far as its journal has it.
    #[must_use]
    pub fn new(time: SystemTime, request_id: &'t str, journal: &Journal<'t>) -> Self {
        let deciding = journal.deciding();
        let backend = journal.backend();
        let is_retry = |attempt: &&Attempt<'_>| attempt.role == Role::Retry;
        let attempts = || journal.attempts();
        AccessRecord {
            kind: Kind::Access,
            version: VERSION,
            time,
            request_id: request_id.into(),
            trace_id: None,
            xray_trace_id: None,
            w3c_trace_id: None,
            front_request_id: None,
            method: None,
            path: None,
            weight: None,
            live: None,
            route: journal.route.map(Cow::from),
            backend: backend.map(Cow::from),
            target: journal.target.filter(|target| Some(*target) != backend).map(Cow::from),
            chosen: journal.chosen.map(Cow::from),
            skipped: journal.skipped().map(Skipped::from).collect(),
            status: 0,
            request_bytes: 0,
            response_bytes: 0,
            spilled_bytes: None,
            total_ms: 0.0,
            began_ms: deciding.filter(|attempt| attempt.outcome != Outcome::Open).map(|it| milliseconds(it.began)),
            connect_ms: deciding.and_then(|attempt| attempt.connect).map(milliseconds),
            first_byte_ms: deciding.and_then(Attempt::until_first_byte).map(milliseconds),
            backend_ms: None,
            attempts: attempts().filter(|attempt| attempt.is_sent).count() as u32,
            retries: attempts().filter(is_retry).count() as u32,
            journal: if journal.len() > 1 { attempts().map(AttemptRecord::from).collect() } else { Vec::new() },
            connection_auth: attempts().filter_map(|attempt| attempt.auth).last().map(Cow::from),
            error: None,
            detail: None,
        }
    }
}

impl AccessRecord<'_> {
    /// Completes the record of a response that was streamed: it has ended after so many bytes, so long after the event and
    /// after its head, or has failed with an error of this type (RFC 9209).
    pub fn end(&mut self, bytes: u64, total_ms: f64, more_ms: f64, error: Option<&'static str>) {
        (self.response_bytes, self.total_ms) = (bytes, total_ms);
        // The attempts of a failover may have overlapped with the content.
        self.backend_ms = self.backend_ms.map(|ms| to_the_microsecond(ms + more_ms).min(total_ms));
        let backend = self.backend.as_ref();
        if let Some(deciding) = self.journal.iter_mut().rfind(|attempt| Some(&attempt.backend) == backend) {
            deciding.took_ms = to_the_microsecond(deciding.took_ms + more_ms);
            if let Some(error) = error {
                deciding.outcome = error.into();
            }
        }
    }

    /// The back ends that the request went to in turn, each with the reason for it. Several attempts at one back end are one
    /// step.
    #[must_use]
    pub fn steps(&self) -> Vec<Step<'_>> {
        let attempts = self.journal.iter().map(|attempt| (&*attempt.backend, Some(&*attempt.outcome)));
        // Lines of version 1, and those with a single attempt, have no journal.
        let skipped = self.skipped.iter().map(|skipped| (&*skipped.backend, Some(&*skipped.outcome)));
        let is_skipped = |backend: &&str| self.skipped.iter().any(|skipped| skipped.backend == *backend);
        let last = self.backend.as_deref().filter(|backend| !is_skipped(backend)).map(|backend| (backend, None));
        let all: Vec<_> = if self.journal.is_empty() { skipped.chain(last).collect() } else { attempts.collect() };
        let mut steps: Vec<Step<'_>> = Vec::new();
        for (backend, outcome) in all {
            match steps.last_mut().filter(|step| step.backend == backend) {
                Some(step) => step.outcome = outcome,
                None => {
                    let by = if steps.is_empty() { self.chosen.as_deref() } else { Some(Role::Failover.as_str()) };
                    steps.push(Step { backend, by, outcome });
                }
            }
        }
        // The record itself has the outcome of the last one, unless the client got the response of an earlier one.
        if let Some(step) = steps.last_mut().filter(|step| self.backend.as_deref() == Some(step.backend)) {
            step.outcome = None;
        }
        steps
    }

    /// Returns `true` if the client got a failure: a status from 500, or a streamed response that broke off.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.status >= 500 || (self.status < 400 && self.error.is_some())
    }

    /// The number of requests that the line stands for.
    #[must_use]
    pub fn requests(&self) -> u64 {
        u64::from(self.weight.unwrap_or(1).clamp(1, MOST))
    }

    /// Brings a record of an older version to this one's meaning.
    fn upgrade(&mut self) {
        if self.version < VERSION {
            let deciding = self.journal.iter().rfind(|attempt| Some(&attempt.backend) == self.backend.as_ref());
            self.began_ms = deciding.map(|attempt| attempt.began_ms);
            self.first_byte_ms = self.first_byte_ms.map(|ms| ms - self.began_ms.unwrap_or_default());
            for attempt in &mut self.journal {
                attempt.first_byte_ms = attempt.first_byte_ms.map(|ms| ms - attempt.began_ms);
            }
            self.version = VERSION;
        }
    }
}

impl Serialize for AccessRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for AccessRecord<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut record = deserializer.deserialize_map(Line(PhantomData))?;
        AccessRecord::upgrade(&mut record);
        Ok(record)
    }
}

/// Reads a line with our names or with OpenTelemetry's.
struct Line<'t>(PhantomData<AccessRecord<'t>>);

impl<'de, 't> Visitor<'de> for Line<'t> {
    type Value = AccessRecord<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an access line")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        AccessRecord::deserialize(MapAccessDeserializer::new(OurNames::of(members)))
    }
}

impl<'t> From<&Attempt<'t>> for Skipped<'t> {
    fn from(attempt: &Attempt<'t>) -> Self {
        Skipped { backend: attempt.backend.into(), outcome: word(attempt.outcome) }
    }
}

impl<'t> From<&Attempt<'t>> for AttemptRecord<'t> {
    fn from(attempt: &Attempt<'t>) -> Self {
        AttemptRecord {
            backend: attempt.backend.into(),
            role: attempt.role,
            outcome: word(attempt.outcome),
            connect_ms: attempt.connect.map(milliseconds),
            first_byte_ms: attempt.until_first_byte().map(milliseconds),
            began_ms: milliseconds(attempt.began),
            took_ms: milliseconds(attempt.took),
            connection_auth: attempt.auth.map(Cow::from),
        }
    }
}

fn to_the_microsecond(milliseconds: f64) -> f64 {
    (milliseconds * 1000.0).round() / 1000.0
}

fn word(outcome: Outcome) -> Cow<'static, str> {
    match outcome {
        Outcome::Unfinished => "unfinished".into(),
        Outcome::Open => "open".into(),
        Outcome::Status(status) => status.to_string().into(),
        Outcome::Error(error_type) => error_type.into(),
    }
}

/// An outcome in this version's words.
fn outcome<'de, 't, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'t, str>, D::Error> {
    let outcome = String::deserialize(deserializer)?;
    Ok(if outcome == "down" { "open".into() } else { outcome.into() })
}

fn first_version() -> u32 {
    1
}

fn unknown_time() -> SystemTime {
    UNIX_EPOCH
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}
