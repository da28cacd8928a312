//! Compares two responses: status, fields, content, in this order. Owns the order; each part has a module of its own,
//! and `findings` collects the differences.

use std::time::SystemTime;

use crossfade_journal::comparison::{Class, Verdict};
use http::StatusCode;

use crate::answer::Answer;
use crate::findings::{Comparison, Findings};
use crate::rules::Rules;
use crate::spot::Spot;
use crate::work::{Stop, Work, never_over};
use crate::{content, fields};

/// Compares the responses of the primary and of the mirror to the same request. Work and memory are bounded, whatever
/// the responses contain: beyond the limits the result is `Unknown`, `too-large`.
#[must_use]
pub fn compare(primary: &Answer<'_>, mirror: &Answer<'_>, rules: &Rules, now: SystemTime) -> Comparison {
    compare_until(primary, mirror, rules, now, &never_over)
}

/// Like [`compare`], with a time limit: `is_over` is called at least once per 16,384 units of work, and if it returns a
/// reason the comparison ends as `Lost` with that reason.
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

/// Like [`compare_until`], and also returns the units of work spent, at most [`MAX_WORK`](crate::MAX_WORK).
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

/// Compares the parts in order.
fn parts(primary: &Answer<'_>, mirror: &Answer<'_>, findings: &mut Findings<'_>) -> Result<(), Stop> {
    if (primary.status == StatusCode::NOT_MODIFIED) != (mirror.status == StatusCode::NOT_MODIFIED)
        && [primary, mirror]
            .iter()
            .all(|answer| answer.status == StatusCode::NOT_MODIFIED || answer.status.is_success())
    {
        // A validator belongs to one system: the client has the primary's, which the mirror cannot know.
        return Err(Stop::NotModified);
    }
    let marks = findings.marks(&Spot::Status);
    if primary.status != mirror.status && !marks.is_ignored {
        let status = |answer: &Answer<'_>| Some(answer.status.as_u16().to_string().into());
        // With different statuses, everything else would differ as well.
        return findings.report(Class::Status, &Spot::Status, marks, &|| [status(primary), status(mirror)]);
    }
    fields::compare(primary.headers, mirror.headers, findings)?;
    content::compare(primary, mirror, findings)
}
