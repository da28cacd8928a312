//! Compares two responses: status, fields, content, in this order. Owns the order; each part has a module of its own,
//! and `findings` collects the differences.

use std::time::SystemTime;

use crossfade_journal::comparison::{Class, Verdict};
use http::StatusCode;

use crate::answer::Answer;
use crate::evidence::Salt;
use crate::findings::{Comparison, Findings, Values};
use crate::rules::Rules;
use crate::spot::Spot;
use crate::work::{Stop, Work, never_over};
use crate::{content, fields};

/// The circumstances of a comparison.
#[derive(Clone, Copy)]
#[expect(missing_debug_implementations, reason = "a function has none")]
pub struct Settings<'a> {
    /// The rules.
    pub rules: &'a Rules,
    /// The date, for entries of `accepted` that expire.
    pub now: SystemTime,
    /// The salt of digests.
    pub salt: &'a Salt,
    /// A content is not whole. Where nothing before it differs, the result is `Unknown`, `too-large`.
    pub is_cut: bool,
    /// Called at least once per 16,384 units of work. If it returns a reason the comparison ends as `Lost` with that reason.
    pub is_over: &'a dyn Fn() -> Option<&'static str>,
}

impl<'a> Settings<'a> {
    /// Returns settings without a time limit.
    #[must_use]
    pub fn new(rules: &'a Rules, now: SystemTime, salt: &'a Salt) -> Self {
        Settings { rules, now, salt, is_cut: false, is_over: &never_over }
    }
}

/// Compares two responses to the same request: the primary's and the mirror's, or two of the same system. Work and memory are
/// bounded, whatever the responses contain: beyond the limits the result is `Unknown`, `too-large`.
#[must_use]
pub fn compare(primary: &Answer<'_>, mirror: &Answer<'_>, settings: &Settings<'_>) -> Comparison {
    let work = Work::new(settings.is_over);
    if primary.status.as_u16() >= 500 {
        return Comparison::without_differences(Verdict::Failed, None);
    }
    let mut findings = Findings::new(settings, &work, [primary.time, mirror.time]);
    let stop = parts(primary, mirror, settings.is_cut, &mut findings).err();
    findings.conclude(stop)
}

/// Compares the parts in order.
fn parts(primary: &Answer<'_>, mirror: &Answer<'_>, is_cut: bool, findings: &mut Findings<'_>) -> Result<(), Stop> {
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
        let status = |answer: &Answer<'_>| answer.status.as_u16().to_string();
        // With different statuses, everything else would differ as well.
        return findings
            .report(Class::Status, &Spot::Status, marks, &|| Values::texts(status(primary), status(mirror)));
    }
    fields::compare(primary.headers, mirror.headers, findings)?;
    if is_cut && !findings.marks(&Spot::Body).is_ignored {
        return Err(Stop::TooLarge);
    }
    content::compare(primary, mirror, findings)
}
