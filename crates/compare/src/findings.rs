//! Collects the differences into the result: each class at each pointer once, with accepted ones marked. Owns the
//! limits, and applies `ignore`, `accepted`, `keepValues` and `redact` to all kinds of content.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use crossfade_journal::comparison::{Class, Difference, Verdict};

use crate::matcher::Marks;
use crate::rules::{Place, Rules};
use crate::shown;
use crate::spot::Spot;
use crate::work::{Stop, Work};

/// Differences in a record, each pointer and class once, unaccepted ones first.
const MAX_LISTED: usize = 20;
/// Distinct differences that are counted.
const MAX_DISTINCT: usize = 500;
/// Memory for distinct differences, in bytes of their pointers.
const MAX_KEPT: usize = 1024 * 1024;
/// Cost of recording a difference, in units of work.
const FOUND_WORK: usize = 64;

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// [`Verdict::Match`], `Accepted`, `Different`, `Failed` or `Unknown`; `Lost` if time ran out.
    pub verdict: Verdict,
    /// For `Unknown`: `coding`, `not-modified` or `too-large`. For `Lost`: the reason that `is_over` returned.
    pub reason: Option<&'static str>,
    /// At most 20, each pointer and class once, unaccepted ones first.
    pub differences: Vec<Difference>,
    /// Number of further differences; beyond a few hundred they are not counted.
    pub more: u32,
}

impl Comparison {
    /// Returns a result without differences.
    #[must_use]
    pub fn without_differences(verdict: Verdict, reason: Option<&'static str>) -> Self {
        Comparison { verdict, reason, differences: Vec::new(), more: 0 }
    }
}

/// Collects differences; see the module.
pub(crate) struct Findings<'r> {
    pub(crate) rules: &'r Rules,
    pub(crate) work: &'r Work<'r>,
    pub(crate) now: SystemTime,
    /// Keyed by class and pointer; the number is the order in which they were found.
    found: BTreeMap<(Class, String), (usize, Found)>,
    kept: usize,
    is_any_open: bool,
    is_any_accepted: bool,
}

/// A difference without its class and pointer.
struct Found {
    at: Option<String>,
    accepted: bool,
    values: [Option<String>; 2],
}

impl<'r> Findings<'r> {
    pub(crate) fn new(rules: &'r Rules, work: &'r Work<'r>, now: SystemTime) -> Self {
        Self { rules, work, now, found: BTreeMap::new(), kept: 0, is_any_open: false, is_any_accepted: false }
    }

    /// Returns the rules that apply to a spot outside JSON.
    pub(crate) fn marks(&self, spot: &Spot<'_>) -> Marks {
        // Text may contain values that a rule describes by their place in JSON.
        let is_hidden = |place: &Place| place.is(spot) || matches!((place, spot), (Place::Pointer(_), Spot::Body));
        Marks {
            is_ignored: self.rules.ignore.iter().any(|place| place.is(spot)),
            is_accepted: self.rules.accepted.iter().any(|accepted| accepted.holds(self.now) && accepted.place.is(spot)),
            is_redacted: self.rules.redact.iter().any(is_hidden),
        }
    }

    /// Records a difference. `values` returns the values of the primary and of the mirror, if there is something to
    /// show.
    pub(crate) fn report<'v>(
        &mut self,
        class: Class,
        spot: &Spot<'_>,
        marks: Marks,
        values: &dyn Fn() -> [Option<Cow<'v, str>>; 2],
    ) -> Result<(), Stop> {
        self.report_at(class, spot, marks, &|| spot.at(), values)
    }

    /// Like [`Findings::report`], with a place inside the spot that the kind of content describes in words.
    pub(crate) fn report_at<'v>(
        &mut self,
        class: Class,
        spot: &Spot<'_>,
        marks: Marks,
        at: &dyn Fn() -> Option<String>,
        values: &dyn Fn() -> [Option<Cow<'v, str>>; 2],
    ) -> Result<(), Stop> {
        if marks.is_ignored {
            return Ok(());
        }
        let accepted = marks.is_accepted;
        self.is_any_open |= !accepted;
        self.is_any_accepted |= accepted;
        let pointer = spot.pointer();
        self.work.spend(FOUND_WORK + 2 * pointer.len())?;
        let key = (class, pointer);
        let order = match self.found.get(&key) {
            // The first unaccepted occurrence is the one to show.
            Some((order, known)) if known.accepted && !accepted => *order,
            Some(_) => return Ok(()),
            None if self.found.len() >= MAX_DISTINCT || self.kept >= MAX_KEPT => return Ok(()),
            None => self.found.len(),
        };
        let values = if self.rules.keep_values { values() } else { [None, None] };
        let has_value = values.iter().any(Option::is_some);
        if has_value {
            self.work.spend(spot.length())?;
        }
        let is_secret = has_value && (marks.is_redacted || shown::is_secret_spot(spot));
        let values = values.map(|value| value.map(|value| shown::value(&value, is_secret)));
        let at = at();
        self.kept += key.1.len() + at.as_ref().map_or(0, String::len);
        self.found.insert(key, (order, Found { at, accepted, values }));
        Ok(())
    }

    /// Returns the result: the verdict, the differences, and the number of further ones. `stop` is the reason why the
    /// rest could not be compared. If time ran out there are no differences, because their number would depend on the
    /// time.
    pub(crate) fn conclude(self, stop: Option<Stop>) -> Comparison {
        let (verdict, reason) = match stop {
            Some(Stop::Over) => {
                return Comparison::without_differences(Verdict::Lost, Some(self.work.reason()));
            }
            _ if self.is_any_open => (Verdict::Different, None),
            Some(Stop::TooLarge) => (Verdict::Unknown, Some("too-large")),
            Some(Stop::Coding) => (Verdict::Unknown, Some("coding")),
            Some(Stop::NotModified) => (Verdict::Unknown, Some("not-modified")),
            None if self.is_any_accepted => (Verdict::Accepted, None),
            None => (Verdict::Match, None),
        };
        let mut list: Vec<_> = self.found.into_iter().map(Some).collect();
        // Sorting numbers reuses code that is already linked.
        let place = |(index, entry): (usize, &Option<(_, (usize, Found))>)| {
            let (order, accepted) = entry.as_ref().map_or((0, false), |(_, (order, found))| (*order, found.accepted));
            u64::from(accepted) << 63 | (order as u64) << 32 | index as u64
        };
        let mut places: Vec<u64> = list.iter().enumerate().map(place).collect();
        places.sort_unstable();
        let more = list.len().saturating_sub(MAX_LISTED);
        let listed = places.into_iter().take(MAX_LISTED);
        let listed = listed.filter_map(|place| list.get_mut(place as u32 as usize)?.take());
        let differences = listed.map(|((class, pointer), (_, found))| {
            let Found { at, accepted, values: [primary, mirror] } = found;
            Difference { at, accepted, primary, mirror, ..Difference::new(class, pointer) }
        });
        let differences = differences.collect();
        Comparison { verdict, reason, differences, more: u32::try_from(more).unwrap_or(u32::MAX) }
    }
}
