//! Collects the differences into the result: each class at each pointer once, with accepted ones marked. Owns the
//! limits, and applies `ignore`, `accepted`, `keepValues` and `redact` to all kinds of content.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crossfade_journal::comparison::{Class, Difference, Digest, Verdict};

use crate::comparison::Settings;
use crate::evidence::{self, ABSENT, Exact, NOWHERE, PRESENT, Places, Salt, continued};
use crate::matcher::Marks;
use crate::rules::{Place, Rules};
use crate::shown;
use crate::sorting;
use crate::spot::{self, Elements, Spot};
use crate::treat_equal::{TreatEqual, are_alike, generalized, replaced};
use crate::work::{Stop, Work};

/// Bytes of the places that a record lists; further ones are digests.
const MAX_LISTED: usize = 6 * 1024;
/// Differences in a record, each pointer and class once, unaccepted ones first.
const MAX_DIFFERENCES: usize = 200;
/// Distinct differences that are counted.
const MAX_DISTINCT: usize = 2_000;
/// Memory for distinct differences, in bytes of their pointers.
const MAX_KEPT: usize = 1024 * 1024;
/// Bytes of a value whose kinds are looked for.
const MAX_KIND: usize = 2 * 1024;
/// Cost of recording a difference, in units of work.
const FOUND_WORK: usize = 64;
/// Contents within contents.
const MAX_NESTING: usize = 4;

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// [`Verdict::Match`], `Accepted`, `Different`, `Failed` or `Unknown`; `Lost` if time ran out.
    pub verdict: Verdict,
    /// For `Unknown`: `coding`, `not-modified` or `too-large`. For `Lost`: the reason that `is_over` returned.
    pub reason: Option<&'static str>,
    /// Each pointer and class once, unaccepted ones first; at most 200, of which those that have no room have a digest as
    /// their pointer.
    pub differences: Vec<Difference>,
    /// Number of further differences; beyond a few thousand, each of their occurrences counts.
    pub more: u32,
    /// Units of work spent, at most [`MAX_WORK`](crate::MAX_WORK).
    pub work: u64,
    places: Places,
}

impl Comparison {
    /// Returns a result without differences.
    #[must_use]
    pub fn without_differences(verdict: Verdict, reason: Option<&'static str>) -> Self {
        Comparison { verdict, reason, differences: Vec::new(), more: 0, work: 0, places: Places::default() }
    }

    /// Returns a result with one difference, which covers all others.
    #[must_use]
    pub fn of(difference: Difference) -> Self {
        let mut comparison = Self::without_differences(Verdict::Different, None);
        let exact = continued(NOWHERE, difference.pointer.as_bytes());
        let chosen = comparison.places.add(&[], exact, true, [None; 2]);
        comparison.places.choose(vec![chosen]);
        comparison.differences.push(difference);
        comparison
    }

    /// Returns whether the comparison came to a result that shows where two responses differ, if they do.
    #[must_use]
    pub fn is_conclusive(&self) -> bool {
        matches!(self.verdict, Verdict::Match | Verdict::Accepted | Verdict::Different)
    }

    /// Adds the evidence of repeated requests to the differences: `primary` compares the primary's first response with its
    /// second, `mirror` likewise. Comparisons that are not conclusive add nothing.
    pub fn repeat(&mut self, primary: &Comparison, mirror: Option<&Comparison>) {
        if !primary.is_conclusive() {
            return;
        }
        let mirror = mirror.filter(|mirror| mirror.is_conclusive()).map(|mirror| &mirror.places);
        let conclusions = self.places.weigh(&primary.places, mirror);
        for (difference, conclusion) in self.differences.iter_mut().zip(conclusions) {
            difference.repeated = conclusion;
        }
    }
}

/// One of the two values at a place.
#[derive(Clone, Debug)]
pub(crate) enum Seen<'v> {
    /// The response has no value there.
    Absent,
    /// The response has one, with nothing to show or to compare.
    Unknown,
    Text(Cow<'v, str>),
    /// A value that is shown in another form.
    Digested {
        shown: Cow<'v, str>,
        digest: u64,
    },
}

impl Seen<'_> {
    fn digest(&self) -> Option<u64> {
        match self {
            Seen::Absent => Some(ABSENT),
            Seen::Unknown => None,
            Seen::Text(text) => Some(continued(NOWHERE, text.as_bytes())),
            Seen::Digested { digest, .. } => Some(*digest),
        }
    }

    fn shown(&self) -> Option<&str> {
        match self {
            Seen::Absent | Seen::Unknown => None,
            Seen::Text(shown) | Seen::Digested { shown, .. } => Some(shown),
        }
    }
}

/// Returns a text that may be shown.
pub(crate) fn text(text: &str) -> Seen<'_> {
    Seen::Text(text.into())
}

/// Both values at a place.
#[derive(Clone, Debug)]
pub(crate) struct Values<'v> {
    pub(crate) seen: [Seen<'v>; 2],
    /// See [`Difference::distance`].
    pub(crate) distance: Option<[f64; 2]>,
}

impl<'v> Values<'v> {
    pub(crate) fn of(primary: Seen<'v>, mirror: Seen<'v>) -> Self {
        Values { seen: [primary, mirror], distance: None }
    }

    /// Two values with nothing to show.
    pub(crate) fn unknown() -> Self {
        Self::of(Seen::Unknown, Seen::Unknown)
    }

    pub(crate) fn texts(primary: impl Into<Cow<'v, str>>, mirror: impl Into<Cow<'v, str>>) -> Self {
        Self::of(Seen::Text(primary.into()), Seen::Text(mirror.into()))
    }
}

/// Collects differences; see the module.
pub(crate) struct Findings<'r> {
    pub(crate) rules: &'r Rules,
    pub(crate) work: &'r Work<'r>,
    pub(crate) now: SystemTime,
    /// Times at which the responses arrived.
    pub(crate) times: [SystemTime; 2],
    salt: &'r Salt,
    /// Of the choice among exact places.
    seed: u64,
    /// The values that contain the content that is being compared.
    outer: Vec<Outer>,
    /// Keyed by class and pointer; the number is the order in which they were found.
    found: BTreeMap<(Class, String), (usize, Found)>,
    places: Places,
    kept: usize,
    /// Differences for which there was no room.
    dropped: usize,
    is_any_open: bool,
    is_any_accepted: bool,
    /// Number of differences that were found, ignored ones as well.
    pub(crate) reported: u64,
}

/// A value that contains content of its own.
struct Outer {
    pointer: String,
    at: Option<String>,
    exact: Exact,
    trail: Vec<Exact>,
    marks: Marks,
}

/// A difference without its class and pointer.
struct Found {
    difference: Difference,
    kinds: Vec<TreatEqual>,
    /// The exact place that it is judged by: its number in `places`, itself, and its rank among the others.
    chosen: Option<usize>,
    exact: Exact,
    rank: u64,
}

impl<'r> Findings<'r> {
    pub(crate) fn new(settings: &Settings<'r>, work: &'r Work<'r>, times: [SystemTime; 2]) -> Self {
        let Settings { rules, now, salt, .. } = *settings;
        let [primary, mirror] =
            times.map(|time| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64));
        Self {
            rules,
            work,
            now,
            times,
            salt,
            seed: primary ^ mirror.rotate_left(32),
            outer: Vec::new(),
            found: BTreeMap::new(),
            places: Places::default(),
            kept: 0,
            dropped: 0,
            is_any_open: false,
            is_any_accepted: false,
            reported: 0,
        }
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

    /// Returns `true` if two texts are equal for the rules: the same, apart from what is masked or of an interchangeable kind,
    /// and from clocks.
    pub(crate) fn are_equal(&self, primary: &str, mirror: &str) -> Result<bool, Stop> {
        if primary == mirror {
            return Ok(true);
        }
        let (ours, theirs) = (self.masked(primary)?, self.masked(mirror)?);
        Ok(ours == theirs || are_alike(&ours, &theirs, &self.rules.treat_equal, self.times, self.work)?)
    }

    /// Returns a text in which everything that is interchangeable is the same, apart from times.
    pub(crate) fn without_masked<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, Stop> {
        match self.masked(text)? {
            Cow::Borrowed(text) => replaced(text, &self.rules.treat_equal, self.work),
            Cow::Owned(text) => Ok(Cow::Owned(replaced(&text, &self.rules.treat_equal, self.work)?.into_owned())),
        }
    }

    /// Returns a text in which everything that is masked is the same.
    fn masked<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, Stop> {
        let mut text = Cow::Borrowed(text);
        for mask in &self.rules.mask {
            text = Cow::Owned(mask.masked(&text, self.work)?.into_owned());
        }
        Ok(text)
    }

    /// Compares the content of a value, whose places are then inside the value's place. Returns `None`, without comparing,
    /// if contents are nested too deeply.
    pub(crate) fn inside<T>(
        &mut self,
        spot: &Spot<'_>,
        marks: Marks,
        compare: impl FnOnce(&mut Self) -> Result<T, Stop>,
    ) -> Result<Option<T>, Stop> {
        if self.outer.len() >= MAX_NESTING {
            return Ok(None);
        }
        let (trail, exact) = self.exact(spot, false);
        self.work.spend(FOUND_WORK + 8 * trail.len())?;
        let outer = Outer {
            pointer: self.pointer(spot),
            at: self.at(spot.at(), spot),
            exact,
            trail,
            marks: marks | self.outer.last().map(|outer| outer.marks).unwrap_or_default(),
        };
        self.outer.push(outer);
        let compared = compare(self);
        self.outer.pop();
        compared.map(Some)
    }

    /// Records a difference. `values` returns the values of the primary and of the mirror.
    pub(crate) fn report<'v>(
        &mut self,
        class: Class,
        spot: &Spot<'_>,
        marks: Marks,
        values: &dyn Fn() -> Values<'v>,
    ) -> Result<(), Stop> {
        self.record(class, spot, marks, false, values)
    }

    /// Records that the words of two texts differ, whatever numbers are between them: a number that varies does not hide a
    /// word. The digests of the values are those of the words.
    pub(crate) fn report_words<'v>(
        &mut self,
        spot: &Spot<'_>,
        marks: Marks,
        values: &dyn Fn() -> Values<'v>,
    ) -> Result<(), Stop> {
        self.record(Class::Text, spot, marks, true, values)
    }

    fn record<'v>(
        &mut self,
        class: Class,
        spot: &Spot<'_>,
        marks: Marks,
        is_words: bool,
        values: &dyn Fn() -> Values<'v>,
    ) -> Result<(), Stop> {
        self.reported = self.reported.saturating_add(1);
        let marks = marks | self.outer.last().map(|outer| outer.marks).unwrap_or_default();
        if marks.is_ignored {
            return Ok(());
        }
        let pointer = self.pointer(spot);
        self.work.spend(FOUND_WORK + 2 * pointer.len())?;
        let is_covered = |place: &Place| place.covers(&pointer);
        if self.rules.ignore.iter().any(is_covered) {
            return Ok(());
        }
        let accepted = marks.is_accepted
            || self.rules.accepted.iter().any(|accepted| accepted.holds(self.now) && is_covered(&accepted.place));
        self.is_any_open |= !accepted;
        self.is_any_accepted |= accepted;
        let key = (class, pointer);
        let known = self.found.get(&key);
        if known.is_none() && (self.found.len() >= MAX_DISTINCT || self.kept >= MAX_KEPT) {
            self.dropped = self.dropped.saturating_add(1);
            return Ok(());
        }
        let Values { seen, distance } = values();
        self.work.spend(seen.iter().filter_map(Seen::shown).map(str::len).sum())?;
        let [ours, theirs] = &seen;
        let [time, other] = self.times;
        let digests = [self.digest(ours, time)?, self.digest(theirs, other)?];
        let (trail, exact) = self.exact(spot, class == Class::Extra);
        let covers = is_words || matches!(class, Class::Missing | Class::Type | Class::Value);
        // An array of another length or in another order is there, and has the elements that it has.
        let value = match class {
            Class::Length | Class::Order => None,
            _ => self.places.add(&trail, exact, covers, digests),
        };
        let chosen = match class {
            Class::Length | Class::Order => {
                let mut trail = trail;
                trail.push(evidence::kind(exact));
                self.places.add(&trail, continued(exact, class.as_str().as_bytes()), false, digests)
            }
            Class::Type => self.places.add(&trail, evidence::kind(exact), true, digests),
            // That it is there, whatever the value.
            Class::Missing | Class::Extra => {
                let there =
                    seen.each_ref().map(|seen| Some(if matches!(seen, Seen::Absent) { ABSENT } else { PRESENT }));
                self.places.add(&trail, evidence::kind(exact), true, there)
            }
            Class::Text if is_words => {
                let mut trail = trail;
                trail.push(evidence::kind(exact));
                self.places.add(&trail, evidence::words(exact), false, digests)
            }
            _ => value,
        };
        let rank = evidence::rank(exact, self.seed);
        let (mut kinds, mut distance) = (self.kinds(&seen)?, distance);
        // What is known by its content only shows whether it is there again.
        let (mut order, mut slot) = (self.found.len(), spot.is_loose().then(|| evidence::slot(exact)));
        if let Some((known, found)) = self.found.get_mut(&key) {
            if found.exact != exact {
                found.difference.slot.get_or_insert(evidence::slot(found.exact));
                slot = Some(evidence::slot(exact));
            }
            if !found.difference.accepted || accepted {
                found.merge(&kinds, distance);
                (kinds, distance) = (found.kinds.clone(), found.difference.distance);
            }
            if (found.difference.accepted, found.rank) <= (accepted, rank) {
                return Ok(());
            }
            order = *known;
            let length = found.difference.at.as_ref().map_or(0, String::len);
            self.kept = self.kept.saturating_sub(key.1.len().saturating_add(length));
        }
        let mut values = [None, None];
        if self.rules.keep_values && seen.iter().any(|seen| seen.shown().is_some()) {
            self.work.spend(spot.length())?;
            let is_redacted = marks.is_redacted || self.rules.redact.iter().any(|place| place.covers(&key.1));
            let is_secret = is_redacted || shown::is_secret_spot(spot);
            values = seen.each_ref().map(|seen| seen.shown().map(|value| shown::value(value, is_secret)));
        }
        let [primary, mirror] = values;
        let at = self.at(spot.at(), spot);
        let digests = digests.map(|digest| digest.filter(|digest| *digest != ABSENT).map(|digest| self.salted(digest)));
        self.kept += key.1.len() + at.as_ref().map_or(0, String::len);
        let shown = Difference { at, accepted, slot, distance, digests, primary, mirror, ..Difference::new(class, "") };
        self.found.insert(key, (order, Found { difference: shown, kinds, chosen, exact, rank }));
        Ok(())
    }

    /// Returns the digest of a value. Those of two values that are equal for the rules are the same, as far as that can be seen
    /// in one of them: a clock is always the same value.
    fn digest(&self, seen: &Seen<'_>, time: SystemTime) -> Result<Option<u64>, Stop> {
        let Seen::Text(text) = seen else { return Ok(seen.digest()) };
        if text.len() > MAX_KIND {
            return Ok(seen.digest());
        }
        let text = self.masked(text)?;
        let text = generalized(&text, &self.rules.treat_equal, time, self.work)?;
        Ok(Some(continued(NOWHERE, text.as_bytes())))
    }

    /// Returns the kinds that would make both values equal. Long texts have none.
    fn kinds(&self, seen: &[Seen<'_>; 2]) -> Result<Vec<TreatEqual>, Stop> {
        let [Seen::Text(one), Seen::Text(other)] = seen else { return Ok(Vec::new()) };
        let is_alike = |kinds: &[TreatEqual]| are_alike(one, other, kinds, self.times, self.work);
        let mut kinds = Vec::new();
        if one.len().max(other.len()) <= MAX_KIND && is_alike(&TreatEqual::ALL)? {
            for kind in TreatEqual::ALL {
                if is_alike(&[kind])? {
                    kinds.push(kind);
                }
            }
        }
        Ok(kinds)
    }

    /// Returns `true` if `ignore` has this place, or one that contains it.
    pub(crate) fn is_ignored(&self, spot: &Spot<'_>) -> bool {
        let pointer = self.pointer(spot);
        self.rules.ignore.iter().any(|place| place.covers(&pointer))
    }

    /// Records elements of an array that vary, as evidence about differences of another comparison.
    pub(crate) fn vary(&mut self, array: &Spot<'_>, elements: &[Elements]) -> Result<(), Stop> {
        let (trail, array) = self.exact(array, false);
        self.vary_at(&trail, array, elements)
    }

    /// Records that an array has other elements: then the order of those that are left is another as well.
    pub(crate) fn vary_order(&mut self, array: &Spot<'_>) {
        let (trail, array) = self.exact(array, false);
        self.vary_order_at(&trail, array);
    }

    /// Likewise, for a content of lines or rows.
    pub(crate) fn vary_content(&mut self, elements: &[Elements]) -> Result<(), Stop> {
        self.vary_at(&[], spot::elements(self.begin()), elements)
    }

    /// Returns the exact place of the value that contains the content that is being compared.
    pub(crate) fn begin(&self) -> Exact {
        self.outer.last().map_or(NOWHERE, |outer| outer.exact)
    }

    /// Records elements of a sequence that vary, likewise.
    pub(crate) fn vary_at(&mut self, trail: &[Exact], sequence: Exact, elements: &[Elements]) -> Result<(), Stop> {
        self.work.spend(elements.len())?;
        for varying in elements {
            let exact = varying.exact(sequence);
            self.places.add(trail, exact, true, [None; 2]);
            self.places.add(trail, evidence::kind(exact), true, [None; 2]);
        }
        Ok(())
    }

    /// Records that something at an exact place varies, as evidence about differences of another comparison.
    pub(crate) fn vary_here(&mut self, trail: &[Exact], exact: Exact) {
        self.places.add(trail, exact, true, [None; 2]);
    }

    /// Likewise, for the order of the elements at an exact place.
    pub(crate) fn vary_order_at(&mut self, trail: &[Exact], exact: Exact) {
        self.places.add(trail, continued(exact, Class::Order.as_str().as_bytes()), false, [None; 2]);
    }

    /// Returns the pointer of a spot, with those of the values that contain it.
    fn pointer(&self, spot: &Spot<'_>) -> String {
        match (self.outer.last(), spot) {
            (Some(outer), Spot::Body | Spot::Json([])) => outer.pointer.clone(),
            (Some(outer), _) => format!("{} >> {}", outer.pointer, spot.pointer()),
            (None, _) => spot.pointer(),
        }
    }

    fn at(&self, at: Option<String>, spot: &Spot<'_>) -> Option<String> {
        let Some(outer) = self.outer.last() else { return at };
        if at.is_none() && outer.at.is_none() {
            return None;
        }
        let above = outer.at.as_ref().unwrap_or(&outer.pointer);
        Some(match (at, spot) {
            (None, Spot::Body | Spot::Json([])) => above.clone(),
            (None, _) => format!("{above} >> {}", spot.pointer()),
            (Some(at), _) => format!("{above} >> {at}"),
        })
    }

    /// Returns the hashes of an exact place's ancestors, and its own.
    fn exact(&self, spot: &Spot<'_>, is_extra: bool) -> (Vec<Exact>, Exact) {
        let (mut trail, begin) = match self.outer.last() {
            Some(outer) => (outer.trail.clone(), outer.exact),
            None => (Vec::new(), NOWHERE),
        };
        if !self.outer.is_empty() {
            trail.push(begin);
        }
        let exact = spot.exact(begin, is_extra, &mut trail);
        (trail, exact)
    }

    fn salted(&self, digest: u64) -> Digest {
        self.salt.digest(&digest.to_le_bytes())
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
        let mut list: Vec<_> = self.found.iter().collect();
        sorting::sort_by(&mut list, &|(_, (one, left)), (_, (other, right))| {
            (left.difference.accepted, one).cmp(&(right.difference.accepted, other))
        });
        let mut room = MAX_LISTED;
        let (mut differences, mut chosen) = (Vec::new(), Vec::new());
        for ((class, pointer), (_, found)) in list.iter().take(MAX_DIFFERENCES) {
            let Found { difference, kinds, .. } = found;
            let length = pointer.len() + difference.at.as_ref().map_or(0, String::len);
            let mut difference = difference.clone();
            difference.class = *class;
            match room.checked_sub(length) {
                Some(left) => {
                    room = left;
                    difference.pointer.clone_from(pointer);
                    difference.kinds = kinds.iter().map(|kind| kind.name().to_owned()).collect();
                }
                // Its place still counts, and can be recognised in other records.
                None => {
                    let Digest(digest) = self.salted(continued(NOWHERE, pointer.as_bytes()));
                    let whole = Difference::new(*class, format!("#{digest:08x}"));
                    let Difference { accepted, slot, .. } = difference;
                    difference = Difference { accepted, slot, ..whole };
                }
            }
            differences.push(difference);
            chosen.push(found.chosen);
        }
        let more = list.len().saturating_sub(differences.len()).saturating_add(self.dropped);
        let mut places = self.places;
        places.choose(chosen);
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        Comparison { verdict, reason, differences, more, work: self.work.spent(), places }
    }
}

impl Found {
    /// Takes in another occurrence at the same place: rules must hold for all of them.
    fn merge(&mut self, kinds: &[TreatEqual], distance: Option<[f64; 2]>) {
        self.kinds.retain(|kind| kinds.contains(kind));
        let larger = |one: [f64; 2], other: [f64; 2]| [one[0].max(other[0]), one[1].max(other[1])];
        self.difference.distance = self.difference.distance.zip(distance).map(|(one, other)| larger(one, other));
    }
}
