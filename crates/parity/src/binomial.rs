//! The binomial distribution, exactly, for any number of trials.
//!
//! Owns probabilities, quantiles, and the mixture of likelihood ratios that the judgement uses as evidence.

/// Terms of a sum below this share of it are left out.
const PRECISION: f64 = 1e-16;

/// Returns the evidence of `successes` in `trials` against a probability of success of at most `null`: the likelihood ratio
/// of a probability between `null` and 1, each equally likely, to `null`. Its mean is at most 1 if `null` holds, also at a
/// time that depends on the trials. At least 0 and finite; 1 without trials, or if `null` is not between 0 and 1.
pub(crate) fn mixture(successes: u64, trials: u64, null: f64) -> f64 {
    ln_mixture(successes, trials, null).min(700.0).exp()
}

/// Returns its natural logarithm, of any size.
pub(crate) fn ln_mixture(successes: u64, trials: u64, null: f64) -> f64 {
    if trials == 0 || !(null > 0.0 && null < 1.0) {
        return 0.0;
    }
    // The integral of the ratio is an incomplete beta function: (probability of at most `successes` in one more trial)
    // / (probability of `successes`) / ((trials + 1) (1 - null)).
    let (k, n) = (successes.min(trials) as f64, trials as f64);
    let scale = ((n + 1.0) * (1.0 - null)).ln();
    if k > n * null {
        let above = upper_tail(k + 1.0, n + 1.0, null);
        (1.0 - above).max(f64::MIN_POSITIVE).ln() - ln_probability(k, n, null) - scale
    } else {
        // Relative to the probability of `successes`, which may be tiny.
        let (mut term, mut sum, mut at) = ((n + 1.0) / (n + 1.0 - k) * (1.0 - null), 0.0, k);
        while term > PRECISION * sum {
            sum += term;
            term *= at / (n + 2.0 - at) * (1.0 - null) / null;
            at -= 1.0;
        }
        sum.ln() - scale
    }
}

/// Returns the largest number that has at most `tail` of the probability below it.
pub(crate) fn lower_quantile(trials: u64, share: f64, tail: f64) -> u64 {
    let (mut below, mut at) = (0.0, window(trials, share).0);
    loop {
        let next = below + ln_probability(at as f64, trials as f64, share).exp();
        if next > tail || at >= trials {
            return at;
        }
        (below, at) = (next, at + 1);
    }
}

/// Returns the smallest number that has at most `tail` of the probability above it.
pub(crate) fn upper_quantile(trials: u64, share: f64, tail: f64) -> u64 {
    let (mut above, mut at) = (0.0, window(trials, share).1);
    loop {
        let next = above + ln_probability(at as f64, trials as f64, share).exp();
        if next > tail || at == 0 {
            return at;
        }
        (above, at) = (next, at - 1);
    }
}

/// Returns numbers of successes between which practically all of the probability is.
fn window(trials: u64, share: f64) -> (u64, u64) {
    let n = trials as f64;
    let (mean, width) = (n * share, 12.0 * (n * share * (1.0 - share)).sqrt() + 40.0);
    ((mean - width).max(0.0) as u64, (mean + width).min(n) as u64)
}

/// Probability of at least `k` successes, for `k` above the mean.
fn upper_tail(k: f64, n: f64, p: f64) -> f64 {
    if k > n {
        return 0.0;
    }
    let (mut term, mut sum, mut at) = (ln_probability(k, n, p).exp(), 0.0, k);
    while term > PRECISION * sum && at <= n {
        sum += term;
        term *= (n - at) / (at + 1.0) * p / (1.0 - p);
        at += 1.0;
    }
    sum
}

/// Natural logarithm of the probability of `k` successes in `n` trials.
fn ln_probability(k: f64, n: f64, p: f64) -> f64 {
    let power = |count: f64, base: f64| if count == 0.0 { 0.0 } else { count * base.ln() };
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k) + power(k, p) + power(n - k, 1.0 - p)
}

/// Natural logarithm of the factorial, by Stirling's series (Abramowitz and Stegun 6.1.41) from 10 on.
fn ln_factorial(n: f64) -> f64 {
    if n < 10.0 {
        let mut product = 1.0;
        let mut factor = 2.0;
        while factor <= n {
            product *= factor;
            factor += 1.0;
        }
        return f64::ln(product);
    }
    let x = n + 1.0;
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(found: f64, expected: f64) -> bool {
        (found / expected - 1.0).abs() < 1e-9
    }

    /// The integral by Simpson's rule.
    fn integral(k: u64, n: u64, null: f64) -> f64 {
        let ratio = |p: f64| (p / null).powi(k as i32) * ((1.0 - p) / (1.0 - null)).powi((n - k) as i32);
        let steps = 20_000;
        let width = (1.0 - null) / f64::from(steps);
        let weight = |at: i32| if at == 0 || at == steps { 1.0 } else { f64::from(2 + at % 2 * 2) };
        let sum: f64 = (0..=steps).map(|at| weight(at) * ratio(null + f64::from(at) * width)).sum();
        sum * width / 3.0 / (1.0 - null)
    }

    #[test]
    fn the_mixture_is_its_integral() {
        for (k, n, null) in
            [(0, 0, 0.25), (1, 1, 0.25), (6, 6, 0.125), (0, 9, 0.5), (3, 40, 0.25), (30, 40, 0.5), (14, 30, 0.45)]
        {
            let (found, expected) = (mixture(k, n, null), integral(k, n, null));
            assert!((found / expected - 1.0).abs() < 1e-6, "{k} of {n}, {null}: {found}, not {expected}");
        }
        assert!(is_near(mixture(2, 2, 0.25), 7.0));
    }

    #[test]
    fn the_mixture_is_finite_for_any_counts_and_says_nothing_without_a_null() {
        for (k, n) in [(0, 10_000_000), (10_000_000, 10_000_000), (2_500_000, 10_000_000), (9, 3)] {
            for null in [1e-9, 0.25, 0.999_999] {
                let found = mixture(k, n, null);
                assert!(found.is_finite() && found >= 0.0, "{k} of {n}, {null}: {found}");
            }
        }
        assert_eq!([0.0, 1.0, f64::NAN].map(|null| mixture(5, 6, null)), [1.0; 3]);
    }

    /// Its mean is 1 at the null, and less below.
    #[test]
    fn the_mixture_is_an_e_value() {
        for (n, null) in [(1, 0.25), (20, 0.125), (60, 0.5)] {
            let mean = |p: f64| -> f64 {
                (0..=n).map(|k| ln_probability(k as f64, n as f64, p).exp() * mixture(k, n, null)).sum()
            };
            assert!((mean(null) - 1.0).abs() < 1e-9, "{n}, {null}: {}", mean(null));
            assert!(mean(null * 0.8) < 1.0 && mean(null * 1.2) > 1.0, "{n}, {null}");
        }
    }

    #[test]
    fn quantiles_leave_at_most_the_tail_outside() {
        for (n, share, tail) in
            [(1, 0.5, 0.025), (20, 0.5, 0.025), (250, 0.95, 0.001), (10_000, 0.99, 0.025), (300, 0.99, 0.025)]
        {
            let below = |k: u64| (0..k).map(|k| ln_probability(k as f64, n as f64, share).exp()).sum::<f64>();
            let (low, high) = (lower_quantile(n, share, tail), upper_quantile(n, share, tail));
            assert!(below(low) <= tail && (low == n || below(low + 1) > tail), "{n}, {share}: {low}");
            assert!(1.0 - below(high + 1) <= tail + 1e-12 && 1.0 - below(high) > tail - 1e-12, "{n}, {share}: {high}");
        }
        // The classical interval of a median of 20: the sixth to the fifteenth value.
        assert_eq!((lower_quantile(20, 0.5, 0.025), upper_quantile(20, 0.5, 0.025)), (6, 14));
    }
}
