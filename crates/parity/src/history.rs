//! Noise that is slower than a repeated request: banners that change every minute, caches of different ages, feeds that lag.
//!
//! Owns the values of one place over time, by request, in bounded memory. Repeating a request at once shows nothing here: both
//! systems give their own value again. But the primary's values change over time, and the mirror's are among them.

use std::collections::BTreeMap;

use crossfade_journal::comparison::Digest;

use crate::place::Likeness;

/// Requests per place, and distinct values per request and system, that are kept.
const MAX_TRACKS: usize = 64;
const MAX_VALUES: usize = 16;
/// Differences that must be explained by the primary's values at other times, and one in how many.
const EXPLAINED: (u64, u64) = (2, 10);
/// Without an explained difference: how often the primary must return to an earlier value, and in how many differences
/// the mirror's value must not be among them, for the mirror's values to be others.
const RETURNS: u64 = 6;
const NEVER: u64 = 8;
/// Requests that keep their value, from which on values do not belong to the place alone.
const STEADY_REQUESTS: u64 = 5;

/// Standard deviations below the mean number of changes from which on chance is no explanation.
const DEVIATIONS: f64 = 3.0;

/// `None` is the absent value.
type Value = Option<Digest>;

/// The values of both systems at a place.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// By salt, exact place and request; without a request: whatever the request.
    tracks: BTreeMap<(Digest, Option<u64>, Option<Digest>), Track>,
}

/// What the primary's values over time say about the differences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slow {
    /// There is no sign that they change, or the mirror's are never among them although they recur.
    No,
    /// They change, and the mirror's are among them.
    Noise,
    /// They change, and it cannot be said whether the mirror's are among them.
    Changing,
}

/// That a value belongs to the place and the time, not to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belongs {
    Surely,
    Perhaps,
}

#[derive(Debug, Default)]
struct Track {
    primary: Values,
    mirror: Values,
    /// The last value of the primary, and its request.
    last: Option<(Value, Digest)>,
    /// The values of the first of a pair of neighbours in time, and such pairs in which one system alone had its value again.
    first: Option<[Value; 2]>,
    again: Likeness,
    /// Times that the primary had a value again after another one.
    returns: u64,
    /// Values of the mirror that were not kept, and those of them that the primary had had.
    others: u64,
    others_explained: u64,
    /// Neighbours in time with different requests, and those of them with different values of the primary.
    neighbours: u64,
    changes: u64,
}

/// Counts of values; at most `MAX_VALUES` of them.
#[derive(Debug, Default)]
struct Values(Vec<(Value, u64)>);

/// Differences in tracks.
#[derive(Default)]
struct Sum {
    tracks: u64,
    changed: u64,
    explained: u64,
    unexplained: u64,
    returns: u64,
}

impl History {
    /// Adds the values of a difference, in the order of the log. `exact` is a hash of the exact place if there are
    /// several, and `room` the number of further tracks in all histories.
    pub(crate) fn add(
        &mut self,
        room: &mut usize,
        salt: Digest,
        exact: Option<u64>,
        request: Digest,
        values: [Value; 2],
    ) {
        for key in [(salt, exact, None), (salt, exact, Some(request))] {
            let known = self.tracks.contains_key(&key);
            if !known && (*room == 0 || self.tracks.len() >= MAX_TRACKS) {
                continue;
            }
            *room -= usize::from(!known);
            self.tracks.entry(key).or_default().add(request, values);
        }
    }

    /// Returns in how many pairs of neighbours in time one system alone had its value again. The pairs have no difference in
    /// common: if both systems draw from the same values, it is either system equally often.
    pub(crate) fn again(&self) -> Likeness {
        let of_all = self.tracks.iter().filter(|((.., request), _)| request.is_none()).map(|(_, track)| track.again);
        of_all.fold(Likeness::default(), |sum, again| Likeness {
            primary: sum.primary + again.primary,
            mirror: sum.mirror + again.mirror,
        })
    }

    /// Returns the share of the primary's values that would differ from its value for the same request at any other time. If as
    /// many differ when the request is repeated at once, the noise is not slow.
    pub(crate) fn spread(&self) -> f64 {
        let spread = |is_one_request: bool| {
            let tracks = self.tracks.iter().filter(|((.., request), _)| request.is_some() == is_one_request);
            let spreads = tracks.map(|(_, track)| track.spread()).filter(|(values, _)| *values > 1);
            spreads.fold((0, 0.0), |sum, spread| (sum.0 + spread.0, sum.1 + spread.1))
        };
        // If no request comes twice, all of them are taken for one.
        let (values, differing) = Some(spread(true)).filter(|(values, _)| *values > 0).unwrap_or_else(|| spread(false));
        differing / values.max(1) as f64
    }

    pub(crate) fn slow(&self) -> Slow {
        let (mut requests, mut all) = (Sum::default(), Sum::default());
        let mut is_likely = false;
        for ((_, _, request), track) in &self.tracks {
            match (request, track.belongs_to_the_place()) {
                (Some(_), _) => requests.add(track),
                (None, Some(likely)) => {
                    is_likely |= likely == Belongs::Surely;
                    all.add(track);
                }
                (None, None) => {}
            }
        }
        let is_steady = requests.tracks >= STEADY_REQUESTS && requests.changed == 0;
        let all = match all.slow() {
            _ if is_steady => Slow::No,
            slow if is_likely => slow,
            Slow::Noise => Slow::Changing,
            Slow::Changing | Slow::No => Slow::No,
        };
        match (requests.slow(), all) {
            (Slow::Noise, _) | (_, Slow::Noise) => Slow::Noise,
            (Slow::Changing, _) | (_, Slow::Changing) => Slow::Changing,
            (Slow::No, Slow::No) => Slow::No,
        }
    }
}

impl Track {
    fn add(&mut self, request: Digest, [primary, mirror]: [Value; 2]) {
        if let Some((last, of)) = self.last {
            self.returns += u64::from(last != primary && self.primary.count(primary) > 0);
            self.neighbours += u64::from(of != request);
            self.changes += u64::from(of != request && last != primary);
        }
        self.last = Some((primary, request));
        match self.first.take() {
            None => self.first = Some([primary, mirror]),
            Some([of_primary, of_mirror]) => {
                let (is_primary, is_mirror) = (of_primary == primary, of_mirror == mirror);
                self.again.primary += u64::from(is_primary && !is_mirror);
                self.again.mirror += u64::from(is_mirror && !is_primary);
            }
        }
        self.primary.add(primary);
        if !self.mirror.add(mirror) {
            self.others += 1;
            self.others_explained += u64::from(self.primary.count(mirror) > 0);
        }
    }

    /// Returns the number of values of the primary, and how many of them would differ from another one at any other time.
    fn spread(&self) -> (u64, f64) {
        let counts = || self.primary.0.iter().map(|(_, count)| *count);
        let sum: u64 = counts().sum();
        let equal: f64 = counts().map(|count| (count as f64 / sum.max(1) as f64).powi(2)).sum();
        (sum, sum as f64 * (1.0 - equal))
    }

    /// Returns how certain it is that different requests have the same value at the same time, and another one later: values
    /// in a random order change more often from one request to the next. `None` if there is no sign of it.
    fn belongs_to_the_place(&self) -> Option<Belongs> {
        let (sum, differing) = self.spread();
        let equal = 1.0 - differing / sum.max(1) as f64;
        let (neighbours, changes) = (self.neighbours as f64, self.changes as f64);
        let (mean, deviation) = (neighbours * (1.0 - equal), (neighbours * equal * (1.0 - equal)).sqrt());
        match changes * 2.0 <= mean {
            true if changes + DEVIATIONS * deviation <= mean => Some(Belongs::Surely),
            true if self.neighbours >= 3 => Some(Belongs::Perhaps),
            _ => None,
        }
    }
}

impl Values {
    fn count(&self, value: Value) -> u64 {
        self.0.iter().find(|(known, _)| *known == value).map_or(0, |(_, count)| *count)
    }

    /// Returns `false` if there is no room for the value.
    fn add(&mut self, value: Value) -> bool {
        if let Some((_, count)) = self.0.iter_mut().find(|(known, _)| *known == value) {
            *count += 1;
        } else if self.0.len() < MAX_VALUES {
            self.0.push((value, 1));
        } else {
            return false;
        }
        true
    }
}

impl Sum {
    fn add(&mut self, track: &Track) {
        let seen: u64 = track.primary.0.iter().map(|(_, count)| count).sum();
        self.tracks += u64::from(seen >= 2);
        if track.primary.0.len() < 2 {
            return;
        }
        self.changed += 1;
        self.returns += track.returns;
        for (value, count) in &track.mirror.0 {
            let is_explained = track.primary.count(*value) > 0;
            *if is_explained { &mut self.explained } else { &mut self.unexplained } += count;
        }
        self.explained += track.others_explained;
        self.unexplained += track.others - track.others_explained;
    }

    fn slow(&self) -> Slow {
        let differences = self.explained + self.unexplained;
        if self.changed == 0 || self.changed * 4 < self.tracks {
            // A value that changes with a few requests is data, not noise.
            Slow::No
        } else if self.explained >= EXPLAINED.0 && self.explained * EXPLAINED.1 >= differences {
            Slow::Noise
        } else if self.explained == 0 && self.returns >= RETURNS && self.unexplained >= NEVER {
            Slow::No
        } else {
            Slow::Changing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each item is a request, the primary's value and the mirror's.
    fn slow(differences: &[(u32, u32, u32)]) -> Slow {
        let (mut history, mut room) = (History::default(), 1_000);
        for (request, primary, mirror) in differences {
            history.add(&mut room, Digest(0), None, Digest(*request), [Some(Digest(*primary)), Some(Digest(*mirror))]);
        }
        history.slow()
    }

    #[test]
    fn values_that_change_over_time_are_noise_if_the_mirror_has_them_as_well() {
        for (case, differences, expected) in [
            ("one difference", &[(1, 1, 2)][..], Slow::No),
            ("always the same", &[(1, 1, 2), (1, 1, 2), (2, 3, 4), (2, 3, 4)], Slow::No),
            ("a banner at one request", &[(1, 1, 2), (1, 1, 2), (1, 2, 3), (1, 3, 4)], Slow::Noise),
            ("a feed that lags", &[(1, 2, 1), (1, 3, 2), (1, 4, 3)], Slow::Noise),
            ("caches of different ages", &[(1, 1, 11), (1, 2, 12), (1, 3, 13), (1, 4, 14)], Slow::Changing),
            ("the values of other requests", &[(1, 1, 2), (2, 2, 1), (3, 1, 2), (4, 2, 1), (5, 3, 1)], Slow::No),
            ("sorted by request", &[(1, 1, 9), (1, 1, 9), (2, 2, 9), (2, 2, 9), (3, 3, 9), (3, 3, 9)], Slow::No),
            (
                "one of many requests has new data",
                &[
                    (1, 1, 9),
                    (1, 2, 9),
                    (2, 3, 9),
                    (3, 4, 9),
                    (2, 3, 9),
                    (3, 4, 9),
                    (4, 5, 9),
                    (4, 5, 9),
                    (5, 6, 9),
                    (5, 6, 9),
                ],
                Slow::No,
            ),
        ] {
            assert_eq!(slow(differences), expected, "{case}");
        }
    }

    #[test]
    fn a_banner_is_noise_although_no_request_comes_twice() {
        let banner =
            |count: u32, mirror: fn(u32) -> u32| -> Vec<_> { (0..count).map(|n| (n, n / 5, mirror(n / 5))).collect() };
        assert_eq!(slow(&banner(5, |value| value + 1)), Slow::No);
        assert_eq!(slow(&banner(11, |value| value + 1)), Slow::Changing);
        assert_eq!(slow(&banner(20, |value| value + 1)), Slow::Noise);
        assert_eq!(slow(&banner(20, |value| value + 100)), Slow::Changing);
        // A Boolean that is inverted, in no order.
        let inverted: Vec<_> = (0..40).map(|n: u32| (n, n * n / 3 % 2, 1 - n * n / 3 % 2)).collect();
        assert_eq!(slow(&inverted), Slow::No);
    }

    #[test]
    fn a_value_that_never_occurs_among_recurring_ones_is_another() {
        let two_replicas =
            |mirror: fn(u32) -> u32, count: u32| -> Vec<_> { (0..count).map(|n| (1, n / 2 % 2, mirror(n))).collect() };
        assert_eq!(slow(&two_replicas(|_| 7, 16)), Slow::No);
        assert_eq!(slow(&two_replicas(|_| 7, 14)), Slow::Changing);
        assert_eq!(slow(&two_replicas(|n| 1 - n / 2 % 2, 12)), Slow::Noise);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut history, mut room) = (History::default(), 40);
        for n in 0..10_000 {
            history.add(&mut room, Digest(n % 3), None, Digest(n), [Some(Digest(n)), None]);
        }
        assert_eq!((history.tracks.len(), room), (40, 0));
        assert!(history.tracks.values().all(|track| track.primary.0.len() <= MAX_VALUES));
    }
}
