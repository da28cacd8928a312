//! Evidence from repeating a request. Owns exact places and their digests, and the conclusion for each difference; who
//! repeats requests, and when, is decided by the caller.
//!
//! A record folds places (`/items/*/price`), so that a difference in it stands for several. Whether the primary differs
//! from itself must be known where the systems differ, not somewhere in the same list: a noisy element hides nothing but
//! itself.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crossfade_journal::comparison::{Digest, Repeated};

/// Exact places that are kept. Beyond this, the evidence is that of the first ones.
const MAX_OCCURRENCES: usize = 20_000;
/// Ancestors of exact places that are kept.
const MAX_TRAIL: usize = 100_000;

/// A hash of an exact place: all its steps, with indices.
pub(crate) type Exact = u64;

/// The digest of a value that is not there.
pub(crate) const ABSENT: u64 = 0;

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
    /// Index of the difference in the comparison.
    difference: u32,
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
    /// `true` if some did not fit.
    is_cut: bool,
}

impl Places {
    /// Adds a place. `trail` are its ancestors.
    pub(crate) fn add(
        &mut self,
        difference: usize,
        trail: &[Exact],
        exact: Exact,
        covers: bool,
        digests: [Option<u64>; 2],
    ) {
        if self.occurrences.len() >= MAX_OCCURRENCES || self.trail.len() + trail.len() > MAX_TRAIL {
            self.is_cut = true;
            return;
        }
        let begin = self.trail.len() as u32;
        self.trail.extend_from_slice(trail);
        let trail = begin..self.trail.len() as u32;
        self.occurrences.push(Occurrence { difference: difference as u32, exact, trail, covers, digests });
    }

    /// Numbers the differences anew: `orders` has the old numbers, in the new order. Others get none.
    pub(crate) fn reordered(mut self, orders: &[usize]) -> Places {
        let new: HashMap<u32, u32> = orders.iter().zip(0..).map(|(old, new)| (*old as u32, new)).collect();
        for place in &mut self.occurrences {
            // Places of differences that are not listed still show what varies.
            place.difference = new.get(&place.difference).copied().unwrap_or(u32::MAX);
        }
        self
    }

    /// Returns the conclusion for each of `count` differences. `primary` are the places where the repeated response of the
    /// primary differs from the first, `mirror` those of the mirror.
    pub(crate) fn weigh(&self, count: usize, primary: &Places, mirror: Option<&Places>) -> Vec<Option<Repeated>> {
        let (primary, mirror) = (primary.index(), mirror.map(Places::index));
        let mut conclusions = vec![None; count];
        for occurrence in &self.occurrences {
            let here = self.conclusion(occurrence, &primary, mirror.as_ref());
            if let Some(slot) = conclusions.get_mut(occurrence.difference as usize) {
                *slot = match (*slot, here) {
                    (Some(known), Some(here)) => Some(std::cmp::min::<Repeated>(known, here)),
                    (known, here) => known.or(here),
                };
            }
        }
        conclusions
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

    fn places(found: &[(usize, &str, [Option<u64>; 2])]) -> Places {
        let mut places = Places::default();
        for (difference, step, digests) in found {
            places.add(*difference, &[place("above")], place(step), true, *digests);
        }
        places
    }

    #[test]
    fn a_difference_is_as_certain_as_its_most_certain_place() {
        use Repeated::{Primary, Same, Swapped, Unstable, Varies};
        let (a, b) = ([Some(1), Some(2)], [Some(1), Some(3)]);
        for (found, primary, mirror, expected) in [
            (&[(0, "x", a)][..], &[][..], Some(&[][..]), Some(Same)),
            (&[(0, "x", a)], &[], None, Some(Primary)),
            (&[(0, "x", a)], &[], Some(&[(0, "x", a)][..]), Some(Unstable)),
            (&[(0, "x", a)], &[(0, "x", b)], Some(&[]), Some(Varies)),
            (&[(0, "x", a)], &[(0, "x", a)], Some(&[]), Some(Swapped)),
            (&[(0, "x", a)], &[(0, "y", a)], Some(&[]), Some(Same)),
            // The whole that contains it is another.
            (&[(0, "x", a)], &[(0, "above", a)], Some(&[]), Some(Varies)),
            // With another status nothing else is compared.
            (&[(0, "x", a)], &[(0, "status", a)], Some(&[]), Some(Varies)),
            (&[(0, "x", a)], &[], Some(&[(0, "status", a)]), Some(Unstable)),
            (&[(0, "status", a)], &[(0, "status", a)], None, Some(Swapped)),
            // A noisy place hides nothing but itself.
            (&[(0, "x", a), (0, "y", a)], &[(0, "x", b)], Some(&[]), Some(Same)),
            (&[(0, "x", [Some(1), Some(ABSENT)])], &[(0, "x", [Some(1), Some(ABSENT)])], None, Some(Swapped)),
            // Values without digests equal no others.
            (&[(0, "x", [Some(1), None])], &[(0, "x", [Some(1), None])], None, Some(Varies)),
        ] {
            let mirror = mirror.map(|mirror| places(mirror));
            let actual = places(found).weigh(1, &places(primary), mirror.as_ref());
            assert_eq!(actual, [expected], "{found:?} {primary:?}");
        }
    }

    #[test]
    fn places_that_do_not_fit_are_no_evidence() {
        let mut many = Places::default();
        (0..MAX_OCCURRENCES as u64 + 1).for_each(|at| many.add(0, &[], at, true, [None; 2]));
        assert_eq!(places(&[(0, "x", [None; 2])]).weigh(1, &many, None), [None]);
    }
}
