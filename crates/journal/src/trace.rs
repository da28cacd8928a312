//! The place of a request in a distributed trace: the ids that its attempts pass on to back ends, and a span for each attempt.
//!
//! Owns the two forms of a trace's parent, that of X-Ray (`X-Amzn-Trace-Id`) and that of W3C Trace Context (`traceparent`).
//! Sends nothing and knows no fields of a request: `proxy` sets the fields, `function` sends the spans.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::attempt::{Attempt, Outcome, Role};

/// The trace of one request. Requests without one have no ids to pass on and no spans.
#[derive(Debug)]
pub struct Trace {
    xray: Option<XRay>,
    w3c: Option<W3c>,
    seed: u64,
    spans: Mutex<Vec<Span>>,
}

/// The parts of a trace that the configuration asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Spans for X-Ray, if the platform has sampled the request.
    pub xray: bool,
    /// A `traceparent` for requests without one, and whether it has the flag `sampled` where X-Ray does not decide.
    pub w3c: Option<bool>,
}

/// A sampled trace of X-Ray.
#[derive(Debug)]
struct XRay {
    root: String,
    /// The segment that the spans hang below: 16 hexadecimal digits.
    parent: String,
    /// Other parameters of the platform's header, each with `;` before it.
    rest: String,
}

/// A trace that begins here.
#[derive(Debug)]
struct W3c {
    trace_id: String,
    is_sampled: bool,
}

/// One attempt, as a tracing system sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The id that the back end got as its parent.
    pub id: u64,
    /// The name of the back end.
    pub backend: String,
    /// The reason for the attempt.
    pub role: Role,
    /// The method of the request.
    pub method: String,
    /// The URL of the request without its query.
    pub url: String,
    /// From the beginning of the invocation to that of the attempt.
    pub began: Duration,
    /// From the beginning of the attempt to its end; `None` if it was given up.
    pub took: Option<Duration>,
    /// The result.
    pub outcome: Outcome,
    /// Bytes of content that the back end sent, if they were counted.
    pub content_length: Option<u64>,
}

impl Trace {
    /// The trace of a request, from the trace headers of the platform and of the front end; `None` if there is nothing to pass on
    /// and nothing to record. `seed` is random.
    #[must_use]
    pub fn new(wanted: Wanted, platform: Option<&str>, front: Option<&str>, seed: u128) -> Option<Box<Self>> {
        let xray = platform.filter(|_| wanted.xray).and_then(XRay::sampled);
        let w3c = wanted.w3c.map(|is_sampled| {
            let root = xray.as_ref().map(|xray| &*xray.root);
            let root = root.or_else(|| front.and_then(root_of)).or_else(|| platform.and_then(root_of));
            W3c {
                trace_id: root.map_or_else(|| random_trace_id(seed), w3c_of),
                is_sampled: if wanted.xray { xray.is_some() } else { is_sampled },
            }
        });
        let seed = seed as u64 ^ (seed >> 64) as u64;
        (xray.is_some() || w3c.is_some()).then(|| Box::new(Trace { xray, w3c, seed, spans: Mutex::default() }))
    }

    /// The id of X-Ray's trace, if spans are recorded for it.
    #[must_use]
    pub fn xray_trace_id(&self) -> Option<&str> {
        self.xray.as_ref().map(|xray| &*xray.root)
    }

    /// The segment of X-Ray that the spans hang below.
    #[must_use]
    pub fn xray_parent(&self) -> Option<&str> {
        self.xray.as_ref().map(|xray| &*xray.parent)
    }

    /// The trace id of a `traceparent` that is created.
    #[must_use]
    pub fn w3c_trace_id(&self) -> Option<&str> {
        self.w3c.as_ref().map(|w3c| &*w3c.trace_id)
    }

    /// The value of `X-Amzn-Trace-Id` for an attempt, counted from 0 in the order of the journal.
    #[must_use]
    pub fn amzn_trace_id(&self, attempt: usize) -> Option<String> {
        let XRay { root, rest, .. } = self.xray.as_ref()?;
        Some(format!("Root={root};Parent={:016x};Sampled=1{rest}", self.span_id(attempt)))
    }

    /// The value of `traceparent` for an attempt, if one is created (W3C Trace Context section 3.2).
    #[must_use]
    pub fn traceparent(&self, attempt: usize) -> Option<String> {
        let W3c { trace_id, is_sampled } = self.w3c.as_ref()?;
        Some(format!("00-{trace_id}-{:016x}-{:02x}", self.span_id(attempt), u8::from(*is_sampled)))
    }

    /// Other for each attempt, and the same in both forms, so that both systems have one parent.
    fn span_id(&self, attempt: usize) -> u64 {
        mixed(self.seed.wrapping_add(attempt as u64)).max(1)
    }

    /// Notes that an attempt begins.
    pub fn begin(&self, attempt: usize, method: &str, url: impl FnOnce() -> String) {
        if self.xray.is_some() {
            self.with(|spans| {
                spans.push(Span {
                    id: self.span_id(attempt),
                    backend: String::new(),
                    role: Role::First,
                    method: method.to_owned(),
                    url: url(),
                    began: Duration::ZERO,
                    took: None,
                    outcome: Outcome::Unfinished,
                    content_length: None,
                });
            });
        }
    }

    /// Notes the state of the last attempt, which may have ended.
    pub fn note(&self, attempt: &Attempt<'_>, content_length: Option<u64>) {
        self.with(|spans| {
            if let Some(span) = spans.last_mut() {
                attempt.backend.clone_into(&mut span.backend);
                (span.role, span.began, span.outcome) = (attempt.role, attempt.began, attempt.outcome);
                let took = attempt.connect.unwrap_or_default().saturating_add(attempt.took);
                span.took = (attempt.outcome != Outcome::Unfinished).then_some(took);
                span.content_length = content_length;
            }
        });
    }

    /// Completes the last attempt at a back end, whose response was streamed: its content ended so long after its head, or failed with
    /// an error of this type (RFC 9209).
    pub fn conclude(&self, backend: &str, more: Duration, content_length: u64, error: Option<&'static str>) {
        self.with(|spans| {
            if let Some(span) = spans.iter_mut().rfind(|span| span.backend == backend) {
                span.took = span.took.map(|took| took.saturating_add(more));
                span.content_length = Some(content_length);
                span.outcome = error.map_or(span.outcome, Outcome::Error);
            }
        });
    }

    /// Removes the spans so far.
    #[must_use]
    pub fn take(&self) -> Vec<Span> {
        self.with(std::mem::take)
    }

    fn with<R>(&self, change: impl FnOnce(&mut Vec<Span>) -> R) -> R {
        change(&mut self.spans.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl XRay {
    /// Reads the platform's header: `Root=1-…;Parent=…;Sampled=1`, in any order. `None` unless the request is sampled and has a
    /// segment that others can hang below.
    fn sampled(header: &str) -> Option<Self> {
        let (mut root, mut parent, mut is_sampled, mut rest) = (None, None, false, String::new());
        for (name, value) in parameters(header) {
            match name {
                "Root" => root = Some(value).filter(|value| is_root(value)),
                "Parent" => parent = Some(value).filter(|value| is_id(value, 16)),
                "Sampled" => is_sampled = value == "1",
                _ => rest.extend([";", name, "=", value]),
            }
        }
        let (root, parent) = (root.filter(|_| is_sampled)?.to_owned(), parent?.to_owned());
        Some(XRay { root, parent, rest })
    }
}

/// The trace id of a valid `traceparent`. One of a later version may have more after the four parts of version 00 (W3C Trace
/// Context section 3.2.4).
#[must_use]
pub fn trace_id_of(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.splitn(5, '-');
    let (version, trace_id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let has_more = parts.next().is_some();
    let is_hex = |text: &str, length| text.len() == length && text.bytes().all(is_lower_hex);
    let is_valid = is_hex(version, 2)
        && version != "ff"
        && !(has_more && version == "00")
        && is_id(trace_id, 32)
        && is_id(parent, 16)
        && is_hex(flags, 2);
    is_valid.then_some(trace_id)
}

/// The parameters of an X-Ray header.
fn parameters(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split(';').filter_map(|parameter| parameter.trim().split_once('='))
}

fn root_of(header: &str) -> Option<&str> {
    parameters(header).find(|(name, _)| *name == "Root").map(|(_, root)| root).filter(|root| is_root(root))
}

/// Returns whether a text is a trace id of X-Ray, like `1-5759e988-bd862e3fe1be46a994272793`.
fn is_root(text: &str) -> bool {
    let Some((time, id)) = text.strip_prefix("1-").and_then(|rest| rest.split_once('-')) else { return false };
    let is_hex = |text: &str, length| text.len() == length && text.bytes().all(is_lower_hex);
    // W3C has no trace id of zeros only.
    is_hex(time, 8) && is_hex(id, 24) && text.bytes().skip(2).any(|byte| !b"0-".contains(&byte))
}

/// The same trace in W3C's form, as the other tools of AWS write it.
fn w3c_of(root: &str) -> String {
    root.chars().skip(2).filter(|character| *character != '-').collect()
}

/// Returns whether a text is an id of this length: lower-case hexadecimal digits, not all of them zero.
fn is_id(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(is_lower_hex) && text.bytes().any(|byte| byte != b'0')
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Not the seed itself, whose bits choose targets.
fn random_trace_id(seed: u128) -> String {
    let (high, low) = (mixed((seed >> 64) as u64), mixed(seed as u64).max(1));
    format!("{high:016x}{low:016x}")
}

/// A uniformly distributed number from the seed of a request, for shares of requests. It is independent of the bits of the seed that decide
/// other shares.
#[must_use]
pub fn share_number(seed: u128) -> u64 {
    mixed(mixed(seed as u64) ^ (seed >> 64) as u64)
}

/// SplitMix64's finalizer: neighbours become unlike each other.
fn mixed(seed: u64) -> u64 {
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "1-5759e988-bd862e3fe1be46a994272793";
    const SAMPLED: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:1|b:2";

    fn wanted(xray: bool, w3c: Option<bool>) -> Wanted {
        Wanted { xray, w3c }
    }

    #[test]
    fn only_a_sampled_request_with_a_segment_has_spans() {
        let trace = |header| Trace::new(wanted(true, None), Some(header), None, 7);
        let sampled = trace(SAMPLED).unwrap();
        assert_eq!((sampled.xray_trace_id(), sampled.xray_parent()), (Some(ROOT), Some("53995c3f42cd8ad8")));
        let [first, second] = [0, 1].map(|attempt| sampled.amzn_trace_id(attempt).unwrap());
        assert!(first.starts_with("Root=1-5759e988-bd862e3fe1be46a994272793;Parent="), "{first}");
        assert!(first.ends_with(";Sampled=1;Lineage=a:1|b:2"), "{first}");
        assert_ne!(first, second, "each attempt is a parent of its own");
        assert_eq!(sampled.traceparent(0), None);

        let in_another_order = "Sampled=1; Parent=53995c3f42cd8ad8 ;Root=1-5759e988-bd862e3fe1be46a994272793";
        assert!(trace(in_another_order).is_some());
        for not in [
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=?",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad;Sampled=1",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=0000000000000000;Sampled=1",
            "Root=1-5759e988-BD862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "Root=1-5759e988bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "Parent=53995c3f42cd8ad8;Sampled=1",
            ";;=;Root",
            "",
        ] {
            assert!(trace(not).is_none(), "{not}");
        }
        assert!(Trace::new(wanted(false, None), Some(SAMPLED), None, 7).is_none(), "off");
    }

    #[test]
    fn both_systems_have_one_trace_and_one_parent() {
        let trace =
            Trace::new(wanted(true, Some(false)), Some(SAMPLED), Some("Root=1-00000001-000000000000000000000002"), 7);
        let trace = trace.unwrap();
        let (amzn, w3c) = (trace.amzn_trace_id(2).unwrap(), trace.traceparent(2).unwrap());
        let parent = amzn.split(';').nth(1).and_then(|it| it.strip_prefix("Parent=")).unwrap();
        assert_eq!(w3c, format!("00-5759e988bd862e3fe1be46a994272793-{parent}-01"));
    }

    #[test]
    fn a_created_parent_is_valid_and_continues_the_front_ends_trace() {
        let front = "Self=1-67891234-12456789abcdef012345678;Root=1-67891233-abcdef012345678912345678";
        let created = |xray, front, seed| {
            let unsampled = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0";
            Trace::new(wanted(xray, Some(true)), Some(unsampled), front, seed).unwrap().traceparent(0).unwrap()
        };
        for (xray, front, trace_id, flags) in [
            (false, Some(front), "67891233abcdef012345678912345678", "01"),
            (false, None, "5759e988bd862e3fe1be46a994272793", "01"),
            (false, Some("Root=x"), "5759e988bd862e3fe1be46a994272793", "01"),
            // X-Ray has decided.
            (true, None, "5759e988bd862e3fe1be46a994272793", "00"),
        ] {
            let value = created(xray, front, 7);
            assert_eq!(trace_id_of(&value), Some(trace_id), "{value}");
            assert!(value.ends_with(&format!("-{flags}")), "{value}");
        }
        let random = |seed| Trace::new(wanted(false, Some(true)), None, None, seed).unwrap().traceparent(0).unwrap();
        for seed in [0, 1, u128::MAX, 1 << 64] {
            assert!(trace_id_of(&random(seed)).is_some(), "{}", random(seed));
        }
        assert_ne!(random(1).get(..35), random(2).get(..35));
    }

    /// The examples of W3C Trace Context sections 3.2.2 to 3.2.4, and the neighbours of its limits.
    #[test]
    fn valid_and_invalid_parents() {
        let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for text in [
            valid,
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-has",
        ] {
            assert_eq!(trace_id_of(text), Some("4bf92f3577b34da6a3ce929d0e0e4736"), "{text}");
        }
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01extra",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(trace_id_of(text), None, "{text}");
        }
    }

    #[test]
    fn shares_of_requests_are_shares() {
        // Seeds whose upper or lower half is all that differs.
        for shift in [0, 64] {
            let numbers = (0..10_000_u128).map(|seed| share_number(seed << shift));
            let tenth = numbers.filter(|number| *number < u64::MAX / 10).count();
            assert!((850..1_150).contains(&tenth), "{tenth}");
        }
    }

    #[test]
    fn a_span_has_what_the_journal_has_of_its_attempt() {
        let trace = Trace::new(wanted(true, None), Some(SAMPLED), None, 7).unwrap();
        let ms = Duration::from_millis;
        let mut journal = crate::Journal::default();
        trace.begin(0, "GET", || "https://a/".to_owned());
        let attempt = journal.begin("a", Role::First, ms(2));
        attempt.connect = Some(ms(3));
        trace.note(attempt, None);
        attempt.end(ms(10), Outcome::Status(200), true);
        trace.note(attempt, Some(5));
        // The client gets this response after all, since the failover fails.
        trace.begin(1, "GET", || "https://b/".to_owned());
        trace.conclude("a", ms(4), 9, Some("connection_terminated"));
        let [first, second] = trace.take().try_into().unwrap();
        assert_eq!((first.began, first.took, first.content_length), (ms(2), Some(ms(12)), Some(9)));
        assert_eq!((first.backend.as_str(), first.outcome), ("a", Outcome::Error("connection_terminated")));
        assert_eq!((second.took, second.outcome), (None, Outcome::Unfinished));
        assert_eq!(trace.take(), []);
    }
}
