//! The evidence that a place is a regression, and the decision over all places of a report.
//!
//! Owns the e-values and the procedure of Wang and Ramdas; `docs/report.md` states hypotheses, assumptions and sources.

use crate::binomial::mixture;
use crate::place::{Likeness, Trials};

/// The rate of false discoveries over all places of a report.
pub(crate) const FALSE_DISCOVERIES: f64 = 0.05;
/// Largest probability, if both systems draw from the same values, that both give their own value again: given that they
/// differ, and for any response.
const SAME_IF_DIFFERENT: f64 = 0.25;
const SAME: f64 = 0.125;
/// Probability that a repeated value of the primary is the primary's, if it is one of the two.
const LIKE_PRIMARY: f64 = 0.5;
/// Probability that of two systems that draw from the same values it is the mirror that gives a certain value.
const FAVOURITE: f64 = 0.5;
/// Factor by which the mirror may differ from the primary more often than the primary from itself.
const RATIO: f64 = 1.2;

/// Counts of a place, for its e-value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Both systems gave their own value again.
    pub(crate) same: u64,
    /// Differences whose requests were repeated.
    pub(crate) repeated: u64,
    /// Responses of the mirror that were compared, without those that differ and were not repeated.
    pub(crate) measured: u64,
    /// Of repeated requests, here and where the value is only in the other system.
    pub(crate) likeness: Likeness,
    /// Differences in which only one system gave the value that the mirror had given most often before.
    pub(crate) favourite: Likeness,
    /// Comparisons of the primary with the mirror, and those that differ here.
    pub(crate) mirror: u64,
    pub(crate) mirror_differs: u64,
    /// Comparisons of the primary with itself, and those that differ here.
    pub(crate) itself: u64,
    pub(crate) itself_differs: u64,
}

impl Counts {
    /// Returns the e-value of the hypothesis that the mirror's value is another draw of the primary's: its mean is at most 1
    /// if that holds. The average of e-values is an e-value (Vovk and Wang 2021).
    pub(crate) fn e_value(&self) -> f64 {
        let signs = self.likeness.primary + self.likeness.mirror;
        let all = [
            mixture(self.same, self.repeated, SAME_IF_DIFFERENT),
            mixture(self.same, self.measured, SAME),
            mixture(self.likeness.primary, signs, LIKE_PRIMARY),
            mixture(self.favourite.mirror, self.favourite.mirror + self.favourite.primary, FAVOURITE),
            self.rates(),
        ];
        all.iter().sum::<f64>() / all.len() as f64
    }

    /// Compares the share of the comparisons with the mirror that differ with the share of the self-comparisons that do.
    /// Given the number of comparisons that differ, those with the mirror are hypergeometric, which a binomial distribution
    /// bounds in convex order (Hoeffding 1963); likewise for the comparisons that do not differ.
    fn rates(&self) -> f64 {
        let (mirror, itself) = (self.mirror as f64, self.itself as f64);
        let differ = mixture(
            self.mirror_differs,
            self.mirror_differs + self.itself_differs,
            RATIO * mirror / (RATIO * mirror + itself),
        );
        let equal = |all: u64, part: u64| all.saturating_sub(part);
        let (mirror_equal, itself_equal) =
            (equal(self.mirror, self.mirror_differs), equal(self.itself, self.itself_differs));
        let agree = mixture(itself_equal, itself_equal + mirror_equal, RATIO * itself / (RATIO * itself + mirror));
        (differ + agree) / 2.0
    }

    /// Returns `true` if the e-value could be decisive with other results of the same number of trials.
    pub(crate) fn is_testable(&self) -> bool {
        let differ = self.mirror_differs + self.itself_differs;
        let best = Counts {
            same: self.repeated,
            likeness: Likeness { primary: self.repeated.max(self.likeness.primary + self.likeness.mirror), mirror: 0 },
            favourite: Likeness { primary: 0, mirror: self.favourite.primary + self.favourite.mirror },
            mirror_differs: differ.min(self.mirror),
            itself_differs: differ.saturating_sub(self.mirror),
            ..*self
        };
        best.e_value() * FALSE_DISCOVERIES >= 1.0
    }

    /// Returns the number of further differences after which the e-value reaches a bound, if in all of them both systems give
    /// their own value again; `None` if it is more than 10,000.
    pub(crate) fn further(&self, bound: f64) -> Option<u64> {
        let after = |more: u64| Counts {
            same: self.same + more,
            repeated: self.repeated + more,
            measured: self.measured + more,
            likeness: Likeness { primary: self.likeness.primary + more, ..self.likeness },
            mirror: self.mirror + more,
            mirror_differs: self.mirror_differs + more,
            ..*self
        };
        let mut most = 1;
        while after(most).e_value() < bound {
            most *= 2;
            if most > 16_384 {
                return None;
            }
        }
        let mut least = most / 2;
        while least + 1 < most {
            let middle = (least + most) / 2;
            *if after(middle).e_value() < bound { &mut least } else { &mut most } = middle;
        }
        Some(most)
    }
}

/// Returns the average of the e-values of several exact places; `None` if there are not several.
pub(crate) fn of_slots(trials: impl Iterator<Item = Trials>) -> Option<f64> {
    let e_values: Vec<f64> = trials.map(|trials| mixture(trials.same, trials.all, SAME_IF_DIFFERENT)).collect();
    (e_values.len() > 1).then(|| e_values.iter().sum::<f64>() / e_values.len() as f64)
}

/// Returns the e-value from which on hypotheses are rejected, by the procedure of Wang and Ramdas (2022): under any
/// dependence between the e-values, the rate of false discoveries is at most [`FALSE_DISCOVERIES`].
pub(crate) fn threshold(e_values: &[f64]) -> f64 {
    let mut sorted = e_values.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let bound = |rank: u64| sorted.len().max(1) as f64 / (rank as f64 * FALSE_DISCOVERIES);
    let rejected = (1..).zip(&sorted).filter(|(rank, e_value)| **e_value >= bound(*rank)).map(|(rank, _)| rank).last();
    bound(rejected.unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of `repeated` differences among as many responses, of which `same` are reproducible.
    fn repeated(same: u64, swapped: u64, varies: u64) -> Counts {
        let all = same + swapped + varies;
        Counts {
            same,
            repeated: all,
            measured: all,
            likeness: Likeness { primary: same, mirror: swapped },
            mirror: all,
            mirror_differs: all,
            ..Counts::default()
        }
    }

    fn rates(mirror_differs: u64, mirror: u64, itself_differs: u64, itself: u64) -> Counts {
        Counts { mirror, mirror_differs, itself, itself_differs, ..Counts::default() }
    }

    #[test]
    fn evidence_grows_with_what_noise_cannot_explain() {
        for (counts, at_least, below) in [
            (Counts::default(), 1.0, 1.0001),
            (repeated(6, 0, 0), 6_020.0, f64::MAX),
            (repeated(1, 0, 0), 1.0, 20.0),
            // A token, and two replicas.
            (repeated(0, 0, 40), 0.0, 1.0),
            (Counts { measured: 200, ..repeated(25, 25, 50) }, 0.0, 1.0),
            // The primary varies in 75 %, and never to the mirror's value.
            (repeated(25, 0, 75), 100_000.0, f64::MAX),
            // A token that is always the same.
            (Counts { favourite: Likeness { primary: 0, mirror: 20 }, ..repeated(0, 0, 40) }, 5_000.0, f64::MAX),
            (Counts { favourite: Likeness { primary: 9, mirror: 11 }, ..repeated(0, 0, 40) }, 0.0, 1.0),
            (rates(1, 130, 0, 62), 0.0, 2.0),
            (rates(1_000, 1_000, 750, 1_000), 100_000.0, f64::MAX),
            (rates(490, 10_000, 490, 10_000), 0.0, 1.0),
            (rates(100, 10_000, 400, 10_000), 0.0, 1.0),
            (rates(500, 10_000, 300, 10_000), 20.0, f64::MAX),
        ] {
            let found = counts.e_value();
            assert!((at_least..below).contains(&found), "{counts:?}: {found}");
        }
    }

    #[test]
    fn one_reproducible_place_is_found_among_many_that_vary() {
        let trials = |same, all| Trials { same, all };
        let varying = || std::iter::repeat_n(trials(0, 10), 30);
        assert!(of_slots(varying().chain([trials(10, 10)])).is_some_and(|e_value| e_value > 1_000.0));
        assert!(of_slots(varying()).is_some_and(|e_value| e_value < 1.0));
        assert_eq!(of_slots([trials(10, 10)].into_iter()), None);
    }

    #[test]
    fn only_what_could_be_decisive_is_tested() {
        for (counts, expected) in [
            (repeated(0, 0, 1), false),
            (repeated(0, 0, 6), true),
            (rates(1, 130, 0, 62), false),
            (rates(200, 200, 0, 0), false),
            (rates(100, 200, 90, 200), true),
        ] {
            assert_eq!(counts.is_testable(), expected, "{counts:?}");
        }
    }

    #[test]
    fn further_differences_are_as_many_as_needed() {
        let counts = repeated(2, 0, 0);
        let more = counts.further(6_000.0).unwrap();
        assert!(repeated(2 + more, 0, 0).e_value() >= 6_000.0 && repeated(1 + more, 0, 0).e_value() < 6_000.0);
        assert_eq!(repeated(0, 1_000_000, 0).further(20.0), None);
    }

    #[test]
    fn the_threshold_falls_with_the_number_of_rejections() {
        for (e_values, expected) in [
            (&[][..], 20.0),
            (&[19.0], 20.0),
            (&[20.0], 20.0),
            (&[30.0, 1.0], 40.0),
            (&[40.0, 1.0], 40.0),
            (&[30.0, 21.0, 1.0], 60.0),
            (&[30.0, 30.0, 1.0], 30.0),
        ] {
            assert!((threshold(e_values) - expected).abs() < 1e-9, "{e_values:?}: {}", threshold(e_values));
        }
    }
}
