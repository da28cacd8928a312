//! Shares, their confidence intervals, and the evidence that one is greater than another.

use crate::binomial::ln_mixture;

/// Returns `part` divided by `whole`, between 0 and 1; 0 if `whole` is 0.
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Returns the bounds of the 95 % interval of a share (Wilson 1927, without continuity correction), both between 0 and
/// 1; (0, 1) if `whole` is 0. `part` must not exceed `whole`.
pub fn wilson(part: u64, whole: u64) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    if whole == 0 {
        return (0.0, 1.0);
    }
    let (n, share) = (whole as f64, share(part, whole));
    let (centre, scale) = (share + Z * Z / (2.0 * n), 1.0 + Z * Z / n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    // Rounding errors could exceed the range at its ends.
    let low = if part == 0 { 0.0 } else { (centre - half) / scale };
    let high = if part == whole { 1.0 } else { (centre + half) / scale };
    (low, high)
}

/// Requests of which some failed. Each that failed has a line in the log; the lines of others may stand for several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trials {
    pub(crate) failed: u64,
    /// Lines of others, and the requests that they stand for.
    pub(crate) others: u64,
    stand_for: u64,
}

impl Trials {
    /// Returns trials that all have a line.
    pub(crate) fn of(failed: u64, all: u64) -> Trials {
        let others = all.saturating_sub(failed);
        Trials { failed, others, stand_for: others }
    }

    pub(crate) fn add(&mut self, is_failed: bool, requests: u64) {
        if is_failed {
            self.failed += 1;
        } else {
            self.others += 1;
            self.stand_for += requests;
        }
    }

    pub(crate) fn merge(&mut self, other: Trials) {
        self.failed += other.failed;
        self.others += other.others;
        self.stand_for += other.stand_for;
    }

    pub(crate) fn requests(&self) -> u64 {
        self.failed + self.stand_for
    }

    pub(crate) fn lines(&self) -> u64 {
        self.failed + self.others
    }

    pub(crate) fn is_reduced(&self) -> bool {
        self.stand_for > self.others
    }

    /// The lines that an estimate rests on. In a reduced log many failures say little about how many others there were.
    pub(crate) fn samples(&self) -> u64 {
        if self.is_reduced() { self.others } else { self.lines() }
    }

    /// The share of the requests that failed.
    pub(crate) fn share(&self) -> f64 {
        share(self.failed, self.requests())
    }

    /// Returns the probability that a line is one of a failure if this is the probability of a failure.
    fn of_lines(&self, failure: f64) -> f64 {
        let weight = if self.others == 0 { 1.0 } else { self.stand_for as f64 / self.others as f64 };
        weight * failure / (weight * failure + 1.0 - failure)
    }

    /// Returns the evidence, as the logarithm of an e-value, that failures are more frequent than this.
    pub(crate) fn ln_evidence_above(&self, failure: f64) -> f64 {
        ln_mixture(self.failed, self.lines(), self.of_lines(failure))
    }

    fn ln_evidence_below(&self, failure: f64) -> f64 {
        ln_mixture(self.others, self.lines(), 1.0 - self.of_lines(failure))
    }

    /// Returns the evidence, as the logarithm of an e-value, that failures are more frequent here than in `other`, by more than
    /// `margin`. The probability that it ever exceeds the logarithm of x is at most 1 / x if they are not, however often one
    /// looks: for the true share of `other`, both factors are e-values of independent trials, and the least product is no greater.
    pub(crate) fn ln_evidence_of_more(&self, other: Trials, margin: f64) -> f64 {
        let at = |failure: f64| self.ln_evidence_above(failure + margin) + other.ln_evidence_below(failure);
        // The first factor falls and the second one rises with it.
        let (mut low, mut high) = (0.0, 1.0 - margin);
        for _ in 0..60 {
            let (left, right) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
            if at(left) < at(right) {
                high = right;
            } else {
                low = left;
            }
        }
        at(f64::midpoint(low, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3.
    #[test]
    fn the_interval_is_the_published_one() {
        for (part, whole, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let found = wilson(part, whole);
            assert!((found.0 - low).abs() < 5e-5 && (found.1 - high).abs() < 5e-5, "{part} of {whole}: {found:?}");
            let mirrored = wilson(whole - part, whole);
            assert!((1.0 - mirrored.1 - found.0).abs() < 1e-12 && (1.0 - mirrored.0 - found.1).abs() < 1e-12);
        }
        assert_eq!((wilson(0, 0), wilson(7, 7).1), ((0.0, 1.0), 1.0));
    }

    /// Equal systems are looked at after every 50 requests: hardly any is said to be worse, ever. Those that are worse soon are.
    #[test]
    fn looking_often_does_not_make_a_failure_of_chance() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut happens = |probability: f64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 11) as f64 / (1_u64 << 53) as f64) < probability
        };
        // The share that fails on the old system, with so many requests for each of the new one's, and on the new one; one in so
        // many of the others is logged.
        for ((old, times), new, logged, until, least, most) in [
            ((0.005, 3), 0.005, 1, 2_000, 0, 2),
            ((0.01, 1), 0.01, 1, 2_000, 0, 2),
            ((0.02, 1), 0.02, 1, 2_000, 0, 2),
            ((0.02, 1), 0.02, 10, 2_000, 0, 2),
            ((0.01, 9), 0.2, 1, 100, 190, 200),
            ((0.01, 9), 0.2, 10, 200, 180, 200),
        ] {
            let mut found = 0;
            for _ in 0..200 {
                let mut trials = [Trials::default(); 2];
                let mut is_found = false;
                for number in 1..=until {
                    for (at, share) in std::iter::repeat_n((0, old), times).chain([(1, new)]) {
                        let is_failed = happens(share);
                        if is_failed || happens(1.0 / f64::from(logged)) {
                            trials[at].add(is_failed, u64::try_from(logged).unwrap());
                        }
                    }
                    if number % 50 == 0 && !is_found {
                        is_found = trials[1].ln_evidence_of_more(trials[0], 0.0) >= 1000_f64.ln();
                    }
                }
                found += u32::from(is_found);
            }
            assert!((least..=most).contains(&found), "{old} {new} {logged}: {found} of 200");
        }
    }
}
