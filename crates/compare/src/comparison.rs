//! Comparing two answers: status, fields, content, in this order. Owns the order; how each part is compared has its own
//! module, and what comes of it is in `findings`.

use std::time::SystemTime;

use crossfade_journal::comparison::{Class, Difference, Verdict};
use http::{HeaderMap, StatusCode};

use crate::findings::Findings;
use crate::rules::Rules;
use crate::spot::Spot;
use crate::work::{Stop, Work, never_over};
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

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// [`Verdict::Match`], `Accepted`, `Different`, `Failed` or `Unknown`; `Lost` if the time was over before the end.
    pub verdict: Verdict,
    /// For `Unknown`: why; `coding`, `not-modified` or `too-large`. For `Lost` what said that the time is over.
    pub reason: Option<&'static str>,
    /// Each pointer and class once, at most 20; those that nobody accepted first.
    pub differences: Vec<Difference>,
    /// How many more there are; beyond some hundreds they are not counted.
    pub more: u32,
}

impl Comparison {
    /// A verdict that has no differences.
    #[must_use]
    pub fn without_differences(verdict: Verdict, reason: Option<&'static str>) -> Self {
        Comparison { verdict, reason, differences: Vec::new(), more: 0 }
    }
}

/// Compares the answers of the primary and of the mirror to the same request. Bounded in work and memory, whatever they
/// hold: what is more than that is `Unknown`, `too-large`.
#[must_use]
pub fn compare(primary: &Answer<'_>, mirror: &Answer<'_>, rules: &Rules, now: SystemTime) -> Comparison {
    compare_until(primary, mirror, rules, now, &never_over)
}

/// The same, as long as there is time: `is_over` is asked again and again, at least after each 16,384 units of work, and if
/// it gives a reason the comparison ends as `Lost` with that.
#[must_use]
pub fn compare_until(
    primary: &Answer<'_>,
    mirror: &Answer<'_>,
    rules: &Rules,
    now: SystemTime,
    is_over: &dyn Fn() -> Option<&'static str>,
) -> Comparison {
    measured(primary, mirror, rules, now, is_over).0
}

/// The same, with the units of work that it took; never more than [`MAX_WORK`](crate::MAX_WORK).
#[must_use]
pub fn measured(
    primary: &Answer<'_>,
    mirror: &Answer<'_>,
    rules: &Rules,
    now: SystemTime,
    is_over: &dyn Fn() -> Option<&'static str>,
) -> (Comparison, u64) {
    let work = Work::new(is_over);
    let mut findings = Findings::new(rules, &work, now);
    if primary.status.as_u16() >= 500 {
        return (Comparison::without_differences(Verdict::Failed, None), 0);
    }
    let stop = parts(primary, mirror, &mut findings).err();
    (findings.conclude(stop), work.spent())
}

/// One after the other.
fn parts(primary: &Answer<'_>, mirror: &Answer<'_>, findings: &mut Findings<'_>) -> Result<(), Stop> {
    if (primary.status == StatusCode::NOT_MODIFIED) != (mirror.status == StatusCode::NOT_MODIFIED)
        && [primary, mirror]
            .iter()
            .all(|answer| answer.status == StatusCode::NOT_MODIFIED || answer.status.is_success())
    {
        // Validators are each system's own: the client has the one system's, the other cannot know them.
        return Err(Stop::NotModified);
    }
    let marks = findings.marks(&Spot::Status);
    if primary.status != mirror.status && !marks.is_ignored {
        let status = |answer: &Answer<'_>| Some(answer.status.as_u16().to_string().into());
        // An answer of another status is about something else: the rest would differ in everything.
        return findings.report(Class::Status, &Spot::Status, marks, &|| [status(primary), status(mirror)]);
    }
    fields::compare(primary.headers, mirror.headers, findings)?;
    content::compare(primary, mirror, findings)
}
