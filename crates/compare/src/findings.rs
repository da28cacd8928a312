//! What has been found to differ: each kind of difference at each pointer once, with what was accepted told apart. Owns
//! the limits, and that `ignore`, `accepted`, `keepValues` and `redact` hold for all kinds of content alike.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::record::{Class, Difference, Verdict};
use crate::rules::{Place, Rules};
use crate::shown;
use crate::spot::Spot;

/// The most differences in a record, each pointer and class once. Those that nobody accepted come first.
const MAX_LISTED: usize = 20;
/// The most that are told apart; the rest is not counted.
const MAX_DISTINCT: usize = 500;
/// How much work goes into telling them apart, in bytes of pointers and looks at rules.
const MAX_WORK: usize = 16 * 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Findings<'r> {
    pub(crate) rules: &'r Rules,
    now: SystemTime,
    /// The number says in which order they were found.
    found: BTreeMap<(Class, String), (usize, Difference)>,
    is_any_open: bool,
    is_any_accepted: bool,
    work_left: usize,
}

impl<'r> Findings<'r> {
    pub(crate) fn new(rules: &'r Rules, now: SystemTime) -> Self {
        Self { rules, now, found: BTreeMap::new(), is_any_open: false, is_any_accepted: false, work_left: MAX_WORK }
    }

    /// Whether there is no more work for what else may differ.
    pub(crate) fn is_full(&self) -> bool {
        self.work_left == 0
    }

    /// Whether a spot may differ in any way.
    pub(crate) fn is_ignored(&self, spot: &Spot<'_>) -> bool {
        self.rules.ignore.iter().any(|place| place.covers(spot))
    }

    /// Takes a difference down. `values` are those of the primary and the mirror, if there is something to show.
    pub(crate) fn report<'v>(
        &mut self,
        class: Class,
        spot: &Spot<'_>,
        values: impl FnOnce() -> [Option<Cow<'v, str>>; 2],
    ) {
        self.report_at(class, spot, || spot.at(), values);
    }

    /// The same, with the place within the spot in the words of its kind of content.
    pub(crate) fn report_at<'v>(
        &mut self,
        class: Class,
        spot: &Spot<'_>,
        at: impl FnOnce() -> Option<String>,
        values: impl FnOnce() -> [Option<Cow<'v, str>>; 2],
    ) {
        let looks = self.rules.ignore.len() + self.rules.accepted.len();
        self.work_left = self.work_left.saturating_sub(looks);
        if self.is_full() || self.is_ignored(spot) {
            return;
        }
        let accepted = self.rules.accepted.iter().any(|accepted| accepted.holds(spot, self.now));
        self.is_any_open |= !accepted;
        self.is_any_accepted |= accepted;
        let pointer = spot.pointer();
        self.work_left = self.work_left.saturating_sub(pointer.len());
        let key = (class, pointer);
        let order = match self.found.get(&key) {
            // The first that nobody accepted is the one to show.
            Some((order, known)) if known.accepted && !accepted => *order,
            Some(_) => return,
            None if self.found.len() >= MAX_DISTINCT => return,
            None => self.found.len(),
        };
        let [primary, mirror] = if self.rules.keep_values { values() } else { [None, None] };
        let is_secret = (primary.is_some() || mirror.is_some()) && self.is_secret(spot);
        let show = |value: Option<Cow<'_, str>>| value.map(|value| shown::value(&value, is_secret));
        let (primary, mirror) = (show(primary), show(mirror));
        let difference = Difference { class, pointer: key.1.clone(), at: at(), accepted, primary, mirror };
        self.found.insert(key, (order, difference));
    }

    /// Whether the value at a spot stays out of the record.
    fn is_secret(&self, spot: &Spot<'_>) -> bool {
        self.rules.redact.iter().any(|place| match (place, spot) {
            // Text may hold whatever a rule means in JSON.
            (Place::Pointer(_), Spot::Body) => true,
            _ => place.covers(spot),
        }) || shown::is_secret_spot(spot)
    }

    /// What is in the record: the verdict, the differences, and how many more there are. `unknown` says why the rest
    /// could not be compared.
    pub(crate) fn conclude(self, unknown: Option<&'static str>) -> crate::Comparison {
        let unknown = unknown.or((self.work_left == 0).then_some("too-large"));
        let (verdict, reason) = match unknown {
            _ if self.is_any_open => (Verdict::Different, None),
            Some(reason) => (Verdict::Unknown, Some(reason)),
            None if self.is_any_accepted => (Verdict::Accepted, None),
            None => (Verdict::Match, None),
        };
        let mut list: Vec<_> = self.found.into_values().collect();
        list.sort_by_key(|(order, difference)| (difference.accepted, *order));
        let more = list.len().saturating_sub(MAX_LISTED);
        let differences = list.into_iter().take(MAX_LISTED).map(|(_, difference)| difference).collect();
        crate::Comparison { verdict, reason, differences, more: u32::try_from(more).unwrap_or(u32::MAX) }
    }
}
