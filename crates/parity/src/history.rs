//! Noise that is slower than a repeated request: banners that change every minute, caches of different ages, feeds that lag.
//!
//! Owns the values of one place over time, by request, in bounded memory. Repeating a request at once shows nothing here: both
//! systems give their own value again. But the primary's values change over time, and the mirror's are among them.

use std::collections::BTreeMap;

use crossfade_journal::comparison::Digest;

/// Requests per place, and distinct values per request and system, that are kept.
const MAX_TRACKS: usize = 64;
const MAX_VALUES: usize = 16;
/// Of so many requests, one must change over time, for the place to do so: data changes as well, but seldom.
const MOVING: u64 = 4;
/// Differences that must be explained by the primary's values at other times, and one in how many.
const EXPLAINED: (u64, u64) = (2, 10);
/// Without an explained difference: how often the primary must return to an earlier value, and in how many differences
/// the mirror's value must not be among them, for the mirror's values to be others. Also the number of changes of the primary
/// for one of the mirror from which on the mirror's value does not change with the time.
const RETURNS: u64 = 6;
const NEVER: u64 = 8;
/// One in so many changes may return to an earlier value, if the values depend on the time.
const FORWARD: u64 = 5;
/// Requests that keep their value, from which on the values do not depend on the time.
const STEADY: u64 = 5;
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

/// Conclusion about the differences from the primary's values over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slow {
    /// There is no sign that they change, or the mirror's are never among them although they recur.
    No,
    /// They change over time, and the mirror's are among them.
    Noise,
    /// They change, but it cannot be said whether with the time, and whether the mirror's are among them.
    Changing,
}

#[derive(Debug, Default)]
struct Track {
    differences: u64,
    primary: Values,
    mirror: Values,
    /// The last value of the primary, and its request; and the last value of the mirror.
    last: Option<(Value, Digest)>,
    last_mirror: Option<Value>,
    mirror_changes: u64,
    /// Times that the primary had another value than before, and those at which it had had it already.
    changes: u64,
    returns: u64,
    /// Values of the mirror that were not kept, and those of them that the primary had had.
    others: u64,
    others_explained: u64,
    /// Neighbours in time with different requests, and those of them with different values of the primary.
    neighbours: u64,
    changes_of_neighbours: u64,
}

/// Counts of values; at most `MAX_VALUES` of them.
#[derive(Debug, Default)]
struct Values(Vec<(Value, u64)>);

/// Several tracks together.
#[derive(Default)]
struct Sum {
    /// Tracks with at least two responses, those of them that change, and those whose primary had one value at least twice.
    tracks: u64,
    moving: u64,
    steady: u64,
    /// Differences in which the mirror's value is among the primary's of the track, and others.
    explained: u64,
    unexplained: u64,
    changes: u64,
    mirror_changes: u64,
    returns: u64,
    order: Order,
}

/// The number of changes from one value to the next, and its distribution if the values were in a random order.
#[derive(Clone, Copy, Default)]
struct Order {
    changes: f64,
    mean: f64,
    variance: f64,
}

impl History {
    /// Adds a difference, in the order of the log, with its values unless a repeat at once gave others. `exact` is a hash of the
    /// exact place if there are several, and `room` the number of further tracks in all histories.
    pub(crate) fn add(
        &mut self,
        room: &mut usize,
        salt: Digest,
        exact: Option<u64>,
        request: Digest,
        values: Option<[Value; 2]>,
    ) {
        for key in [(salt, exact, None), (salt, exact, Some(request))] {
            let known = self.tracks.contains_key(&key);
            if !known && (*room == 0 || self.tracks.len() >= MAX_TRACKS) {
                continue;
            }
            *room -= usize::from(!known);
            let track = self.tracks.entry(key).or_default();
            track.differences += 1;
            if let Some(values) = values {
                track.add(request, values);
            }
        }
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

    /// `responses` returns the number of compared responses to a request, whether they differ or not; 0 if it is not known.
    pub(crate) fn slow(&self, responses: impl Fn((Digest, Digest)) -> u64) -> Slow {
        let (mut requests, mut all, mut neighbours) = (Sum::default(), Sum::default(), Order::default());
        for ((salt, exact, request), track) in &self.tracks {
            match request {
                // Of several exact places, a record has one.
                Some(_) if exact.is_some() => requests.add(track, 0),
                Some(request) => requests.add(track, responses((*salt, *request))),
                None => {
                    all.add(track, 0);
                    neighbours.add(&track.primary, track.neighbours, track.changes_of_neighbours);
                }
            }
        }
        // Different requests have the same value at the same time, and another one later.
        let is_of_the_place = neighbours.is_grouped() && !(requests.moving == 0 && requests.steady >= STEADY);
        let all = match (is_of_the_place, all.slow()) {
            (true, slow) if neighbours.is_surely_grouped() => slow,
            (true, Slow::Noise) => Slow::Changing,
            _ => Slow::No,
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
            self.changes += u64::from(last != primary);
            self.returns += u64::from(last != primary && self.primary.count(primary) > 0);
            self.neighbours += u64::from(of != request);
            self.changes_of_neighbours += u64::from(of != request && last != primary);
        }
        self.last = Some((primary, request));
        self.mirror_changes += u64::from(self.last_mirror.replace(mirror).is_some_and(|last| last != mirror));
        self.primary.add(primary);
        if !self.mirror.add(mirror) {
            self.others += 1;
            self.others_explained += u64::from(self.primary.count(mirror) > 0);
        }
    }

    /// Returns the number of values of the primary, and how many of them would differ from another one at any other time.
    fn spread(&self) -> (u64, f64) {
        let sum = self.primary.sum();
        (sum, sum as f64 * self.primary.change())
    }
}

impl Values {
    fn count(&self, value: Value) -> u64 {
        self.0.iter().find(|(known, _)| *known == value).map_or(0, |(_, count)| *count)
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// Returns the probability that two of the values, at different times, differ.
    fn change(&self) -> f64 {
        let all = self.sum() as f64;
        let equal: f64 = self.0.iter().map(|(_, count)| *count as f64).map(|count| count * (count - 1.0)).sum();
        if all < 2.0 { 0.0 } else { 1.0 - equal / (all * (all - 1.0)) }
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

impl Order {
    fn add(&mut self, values: &Values, pairs: u64, changes: u64) {
        let change = values.change();
        self.changes += changes as f64;
        self.mean += pairs as f64 * change;
        self.variance += pairs as f64 * change * (1.0 - change);
    }

    /// Returns whether equal values are next to each other more often than in a random order.
    fn is_grouped(&self) -> bool {
        self.mean >= 1.5 && self.changes * 2.0 <= self.mean
    }

    fn is_surely_grouped(&self) -> bool {
        self.is_grouped() && self.changes + DEVIATIONS * self.variance.sqrt() <= self.mean
    }
}

impl Sum {
    fn add(&mut self, track: &Track, responses: u64) {
        let (seen, is_changing) = (track.primary.sum(), track.primary.0.len() > 1);
        if seen == 0 {
            return;
        }
        self.tracks += u64::from(track.differences.max(responses) >= 2);
        // A difference that depends on the request alone does not come and go.
        self.moving += u64::from(is_changing || track.differences < responses);
        self.steady += u64::from(!is_changing && seen >= 2);
        if !is_changing {
            return;
        }
        self.changes += track.changes;
        self.mirror_changes += track.mirror_changes;
        self.returns += track.returns;
        self.order.add(&track.primary, seen.saturating_sub(1), track.changes);
        for (value, count) in &track.mirror.0 {
            let is_explained = track.primary.count(*value) > 0;
            *if is_explained { &mut self.explained } else { &mut self.unexplained } += count;
        }
        self.explained += track.others_explained;
        self.unexplained += track.others - track.others_explained;
    }

    fn slow(&self) -> Slow {
        let is_explained =
            self.explained >= EXPLAINED.0 && self.explained * EXPLAINED.1 >= self.explained + self.unexplained;
        // Values that return in any order may be those of other users.
        let is_of_its_time = self.returns * FORWARD <= self.changes || self.order.is_surely_grouped();
        let is_another = self.explained == 0 && self.returns >= RETURNS && self.unexplained >= NEVER;
        let is_the_mirror = self.changes == 0 && self.steady >= STEADY;
        // Noise of the same kind would change in both systems.
        let is_frozen = self.changes >= NEVER && self.mirror_changes * NEVER <= self.changes;
        if self.moving == 0 || self.moving * MOVING < self.tracks || is_another || is_the_mirror || is_frozen {
            Slow::No
        } else if is_explained && is_of_its_time {
            Slow::Noise
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
            history.add(
                &mut room,
                Digest(0),
                None,
                Digest(*request),
                Some([Some(Digest(*primary)), Some(Digest(*mirror))]),
            );
        }
        history.slow(|_| 0)
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
        // Ten requests to one replica, ten to the other.
        let two_replicas =
            |mirror: fn(u32) -> u32, count: u32| -> Vec<_> { (0..count).map(|n| (1, n / 10 % 2, mirror(n))).collect() };
        assert_eq!(slow(&two_replicas(|_| 7, 90)), Slow::No);
        assert_eq!(slow(&two_replicas(|_| 7, 15)), Slow::Changing);
        assert_eq!(slow(&two_replicas(|n| 1 - n / 10 % 2, 60)), Slow::Noise);
    }

    #[test]
    fn a_difference_that_comes_and_goes_does_not_depend_on_the_request() {
        for (requests, responses, expected) in [(3, 1, Slow::No), (3, 2, Slow::Changing), (1, 2, Slow::Changing)] {
            let (mut history, mut room) = (History::default(), 1_000);
            for request in 0..requests {
                history.add(&mut room, Digest(0), None, Digest(request), Some([Some(Digest(1)), Some(Digest(2))]));
            }
            assert_eq!(history.slow(|_| responses), expected, "{requests} requests with {responses} responses");
        }
    }

    #[test]
    fn a_value_that_is_frozen_is_no_noise() {
        let clock = |count: u32, mirror: fn(u32) -> u32| -> Vec<_> { (0..count).map(|n| (1, n, mirror(n))).collect() };
        assert_eq!(slow(&clock(12, |_| 3)), Slow::No);
        assert_eq!(slow(&clock(12, |_| 99)), Slow::No);
        assert_eq!(slow(&clock(12, |n| n + 1)), Slow::Noise);
        assert_eq!(slow(&clock(4, |_| 99)), Slow::Changing);
    }

    #[test]
    fn the_values_of_other_users_are_no_noise() {
        // The same request by five users, to whom the mirror gives the data of the next one.
        let users = (0..60_u32).map(|n| n * n * 7 / 3 % 5);
        let differences: Vec<_> = users.map(|user| (1, user, (user + 1) % 5)).collect();
        assert_eq!(slow(&differences), Slow::Changing);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut history, mut room) = (History::default(), 40);
        for n in 0..10_000 {
            history.add(&mut room, Digest(n % 3), None, Digest(n), Some([Some(Digest(n)), None]));
        }
        assert_eq!((history.tracks.len(), room), (40, 0));
        assert!(history.tracks.values().all(|track| track.primary.0.len() <= MAX_VALUES));
    }
}
