//! Evidence from repeating a request. Owns exact places and their digests, and the conclusion for each difference; who
//! repeats requests, and when, is decided by the caller.
//!
//! A record folds places (`/items/*/price`), so that a difference in it may stand for several exact ones. Its evidence is that of
//! one of them, chosen by a rule that depends on the two compared responses only: among many that vary at random, there is
//! always one that happens to repeat itself, which proves nothing. Over many records, [`slot`] keeps exact places apart, so that a
//! noisy element hides nothing but itself.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crossfade_journal::comparison::{Digest, Repeated};

/// Exact places that are kept. Beyond this, the evidence is that of the first ones.
const MAX_OCCURRENCES: usize = 20_000;
/// Ancestors of exact places that are kept.
const MAX_TRAIL: usize = 65_536;

/// Exact places under one folded place that are counted separately.
const SLOTS: u64 = 64;

/// A hash of an exact place: all its steps, with indices.
pub(crate) type Exact = u64;

/// The digest of a value that is not there.
pub(crate) const ABSENT: u64 = 0;
/// The digest of a value that is there, whichever it is.
pub(crate) const PRESENT: u64 = 1;

/// The hash of no place, from which all others begin.
pub(crate) const NOWHERE: Exact = 0xcbf2_9ce4_8422_2325;

/// The step to the status.
pub(crate) const STATUS: &[u8] = b"status";

/// Continues a hash with a step (FNV-1a, and a terminator).
pub(crate) fn continued(hash: Exact, step: &[u8]) -> Exact {
    const PRIME: u64 = 0x0100_0000_01b3;
    let next = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
    let hash = step.iter().fold(hash, next);
    next(hash, &0xFF) // occurs in no UTF-8
}

/// Returns the place of the kind of a value: that it is there, and its type. Where a token is missing, or null, it does not
/// matter that its value varies.
pub(crate) fn kind(exact: Exact) -> Exact {
    continued(exact, b"kind")
}

/// Returns the place of the words of a text.
pub(crate) fn words(exact: Exact) -> Exact {
    continued(exact, b"words")
}

/// Returns the rank of an exact place in a comparison: of several, the one with the lowest rank is chosen. Pseudo-random,
/// and different in each comparison (`seed`), so that no place hides another one for long.
pub(crate) fn rank(exact: Exact, seed: u64) -> u64 {
    // The finalizer of SplitMix64.
    let mixed = (exact ^ seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Returns a number below [`SLOTS`] that is equal for equal exact places, and too small to tell anything about their names.
pub(crate) fn slot(exact: Exact) -> u8 {
    (rank(exact, 0) % SLOTS) as u8
}

/// A secret that makes digests of values meaningless outside the process. Random, and never shown.
#[derive(Clone, Debug, Default)]
pub struct Salt(RandomState);

impl Salt {
    /// Returns the digest of a value.
    #[must_use]
    pub fn digest(&self, value: &[u8]) -> Digest {
        Digest(self.0.hash_one(value) as u32)
    }

    /// Returns the name of the salt, which tells nothing about it.
    #[must_use]
    pub fn name(&self) -> Digest {
        Digest(self.0.hash_one("the name of this salt") as u32)
    }
}

/// A difference at an exact place.
#[derive(Clone, Debug, PartialEq)]
struct Occurrence {
    exact: Exact,
    /// The ancestors, as a range of `trail`.
    trail: std::ops::Range<u32>,
    /// `true` if a difference here means that everything below may differ.
    covers: bool,
    digests: [Option<u64>; 2],
}

/// The exact places of a comparison's differences.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    occurrences: Vec<Occurrence>,
    trail: Vec<Exact>,
    /// Indices of the occurrences that differences are judged by; `None` for one that did not fit.
    chosen: Vec<Option<usize>>,
    /// `true` if some did not fit.
    is_cut: bool,
}

impl Places {
    /// Adds a place and returns its index. `trail` are its ancestors.
    pub(crate) fn add(
        &mut self,
        trail: &[Exact],
        exact: Exact,
        covers: bool,
        digests: [Option<u64>; 2],
    ) -> Option<usize> {
        if self.occurrences.len() >= MAX_OCCURRENCES || self.trail.len() + trail.len() > MAX_TRAIL {
            self.is_cut = true;
            return None;
        }
        let begin = self.trail.len() as u32;
        self.trail.extend_from_slice(trail);
        let trail = begin..self.trail.len() as u32;
        self.occurrences.push(Occurrence { exact, trail, covers, digests });
        Some(self.occurrences.len().saturating_sub(1))
    }

    /// Sets the places that the differences are judged by, as [`Places::add`] returned them.
    pub(crate) fn choose(&mut self, chosen: Vec<Option<usize>>) {
        self.chosen = chosen;
    }

    /// Returns the conclusion for each difference. `primary` are the places where the repeated response of the primary differs
    /// from the first, `mirror` those of the mirror.
    pub(crate) fn weigh(&self, primary: &Places, mirror: Option<&Places>) -> Vec<Option<Repeated>> {
        let (primary, mirror) = (primary.index(), mirror.map(Places::index));
        let conclude = |chosen: &Option<usize>| {
            let place = self.occurrences.get((*chosen)?)?;
            self.conclusion(place, &primary, mirror.as_ref())
        };
        self.chosen.iter().map(conclude).collect()
    }

    fn conclusion(&self, place: &Occurrence, primary: &Index<'_>, mirror: Option<&Index<'_>>) -> Option<Repeated> {
        if let Some(digest) = self.found(place, primary) {
            let [_, theirs] = place.digests;
            return Some(if theirs.is_some() && digest == theirs { Repeated::Swapped } else { Repeated::Varies });
        }
        // What did not fit may be here.
        if primary.is_cut {
            return None;
        }
        Some(match mirror {
            None => Repeated::Primary,
            Some(mirror) if self.found(place, mirror).is_some() => Repeated::Unstable,
            Some(mirror) if mirror.is_cut => Repeated::Primary,
            Some(_) => Repeated::Same,
        })
    }

    /// Returns the digest of the repeated response's value if it differs at the place, or at one that contains it. With another
    /// status it differs everywhere.
    fn found(&self, place: &Occurrence, index: &Index<'_>) -> Option<Option<u64>> {
        if let Some(found) = index.places.get(&place.exact) {
            return Some(found.digests[1]);
        }
        if index.places.contains_key(&continued(NOWHERE, STATUS)) {
            return Some(None);
        }
        let trail = self.trail.get(place.trail.start as usize..place.trail.end as usize).unwrap_or_default();
        trail.iter().any(|above| index.places.get(above).is_some_and(|found| found.covers)).then_some(None)
    }

    fn index(&self) -> Index<'_> {
        Index { places: self.occurrences.iter().map(|place| (place.exact, place)).collect(), is_cut: self.is_cut }
    }
}

struct Index<'p> {
    places: HashMap<Exact, &'p Occurrence>,
    is_cut: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(step: &str) -> Exact {
        continued(NOWHERE, step.as_bytes())
    }

    /// Differences at places; each is judged by its own.
    fn places(found: &[(&str, [Option<u64>; 2])]) -> Places {
        let mut places = Places::default();
        let add = |(step, digests): &(&str, _)| places.add(&[place("above")], place(step), true, *digests);
        let chosen = found.iter().map(add).collect();
        places.choose(chosen);
        places
    }

    #[test]
    fn the_evidence_is_that_of_the_exact_place() {
        use Repeated::{Primary, Same, Swapped, Unstable, Varies};
        let (a, b) = ([Some(1), Some(2)], [Some(1), Some(3)]);
        for (found, primary, mirror, expected) in [
            (a, &[][..], Some(&[][..]), Same),
            (a, &[], None, Primary),
            (a, &[], Some(&[("x", a)][..]), Unstable),
            (a, &[("x", b)], Some(&[]), Varies),
            (a, &[("x", a)], Some(&[]), Swapped),
            (a, &[("y", a)], Some(&[]), Same),
            // The whole that contains it is another.
            (a, &[("above", a)], Some(&[]), Varies),
            // With another status nothing else is compared.
            (a, &[("status", a)], Some(&[]), Varies),
            (a, &[], Some(&[("status", a)]), Unstable),
            ([Some(1), Some(ABSENT)], &[("x", [Some(1), Some(ABSENT)])], None, Swapped),
            // Values without digests equal no others.
            ([Some(1), None], &[("x", [Some(1), None])], None, Varies),
        ] {
            let mirror = mirror.map(places);
            let actual = places(&[("x", found)]).weigh(&places(primary), mirror.as_ref());
            assert_eq!(actual, [Some(expected)], "{found:?} {primary:?}");
        }
    }

    /// Every place must be chosen about equally often, or some would never be judged.
    #[test]
    fn ranks_favour_no_place() {
        let mut chosen = [0; 10];
        for seed in 0..10_000 {
            let best = (0..10).min_by_key(|at| rank(continued(NOWHERE, &[*at]), seed * 1_000_003)).unwrap();
            chosen[usize::from(best)] += 1;
        }
        assert!(chosen.iter().all(|count| (900..1_100).contains(count)), "{chosen:?}");
    }

    #[test]
    fn places_that_do_not_fit_are_no_evidence() {
        let mut many = Places::default();
        let indices: Vec<_> = (0..MAX_OCCURRENCES as u64 + 1).map(|at| many.add(&[], at, true, [None; 2])).collect();
        assert_eq!(indices.last(), Some(&None));
        assert_eq!(places(&[("x", [None; 2])]).weigh(&many, None), [None]);
    }
}
