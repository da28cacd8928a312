//! Comparing two answers: status, fields, content, in this order. Owns the order; how each part is compared has its own
//! module, and what comes of it is in `findings`.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};

use crate::findings::Findings;
use crate::record::{Class, Difference, Verdict};
use crate::rules::Rules;
use crate::spot::Spot;
use crate::{content, fields};

/// An answer as its back end gave it.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: &'a HeaderMap,
    /// Its content, encoded as `Content-Encoding` says.
    pub body: &'a [u8],
}

/// Why answers cannot be compared of which one has no content, as the client has it already.
const NOT_MODIFIED: &str = "not-modified";

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// [`Verdict::Match`], `Accepted`, `Different`, `Failed` or `Unknown`.
    pub verdict: Verdict,
    /// For `Unknown`: why; `coding`, `not-modified` or `too-large`.
    pub reason: Option<&'static str>,
    /// Each pointer and class once, at most 20; those that nobody accepted first.
    pub differences: Vec<Difference>,
    /// How many more there are; beyond some hundreds they are not counted.
    pub more: u32,
}

/// Compares the answers of the primary and of the mirror to the same request. Bounded in time and memory, whatever they
/// hold.
#[must_use]
pub fn compare(primary: &Answer<'_>, mirror: &Answer<'_>, rules: &Rules, now: SystemTime) -> Comparison {
    let mut findings = Findings::new(rules, now);
    if primary.status.as_u16() >= 500 {
        return Comparison { verdict: Verdict::Failed, ..findings.conclude(None) };
    }
    if (primary.status == StatusCode::NOT_MODIFIED) != (mirror.status == StatusCode::NOT_MODIFIED)
        && [primary, mirror]
            .iter()
            .all(|answer| answer.status == StatusCode::NOT_MODIFIED || answer.status.is_success())
    {
        // Validators are each system's own: the client has the one system's, the other cannot know them.
        return findings.conclude(Some(NOT_MODIFIED));
    }
    if primary.status != mirror.status && !findings.is_ignored(&Spot::Status) {
        let status = |answer: &Answer<'_>| Some(answer.status.as_u16().to_string().into());
        findings.report(Class::Status, &Spot::Status, || [status(primary), status(mirror)]);
        // An answer of another status is about something else: the rest would differ in everything.
        return findings.conclude(None);
    }
    fields::compare(primary.headers, mirror.headers, &mut findings);
    let unknown = content::compare(primary, mirror, &mut findings).err();
    findings.conclude(unknown)
}
