//! Shares and their confidence intervals.

/// Returns `part` divided by `whole`, between 0 and 1; 0 if `whole` is 0.
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Returns the bounds of the 95 % interval of a share (Wilson 1927, without continuity correction), both between 0 and
/// 1; (0, 1) if `whole` is 0. `part` must not exceed `whole`.
pub fn wilson(part: u64, whole: u64) -> (f64, f64) {
    score_interval(part, whole, 1.959_963_984_540_054)
}

/// Likewise for another level, given as the quantile `z` of the normal distribution.
fn score_interval(part: u64, whole: u64, z: f64) -> (f64, f64) {
    if whole == 0 {
        return (0.0, 1.0);
    }
    let (n, share) = (whole as f64, share(part, whole));
    let (centre, scale) = (share + z * z / (2.0 * n), 1.0 + z * z / n);
    let half = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    // Rounding errors could exceed the range at its ends.
    let low = if part == 0 { 0.0 } else { (centre - half) / scale };
    let high = if part == whole { 1.0 } else { (centre + half) / scale };
    (low, high)
}

/// Returns the bounds of the interval of the difference of two shares, the first minus the second, each given as part and
/// whole (Newcombe 1998, "Interval estimation for the difference between independent proportions", method 10). `z` is the
/// quantile of the normal distribution for the level.
pub(crate) fn difference((part, whole): (u64, u64), (part2, whole2): (u64, u64), z: f64) -> (f64, f64) {
    let (first, second) = (share(part, whole), share(part2, whole2));
    let ((low, high), (low2, high2)) = (score_interval(part, whole, z), score_interval(part2, whole2, z));
    let difference = first - second;
    (difference - (first - low).hypot(high2 - second), difference + (high - first).hypot(second - low2))
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

    /// The same paper, table II, method 10.
    #[test]
    fn the_interval_of_a_difference_is_the_published_one() {
        const Z: f64 = 1.959_963_984_540_054;
        for (first, second, low, high) in [
            ((56, 70), (48, 80), 0.0524, 0.3339),
            ((9, 10), (3, 10), 0.1705, 0.8090),
            ((6, 7), (2, 7), 0.0582, 0.8062),
            ((5, 56), (0, 29), -0.0381, 0.1926),
            ((0, 10), (0, 20), -0.1611, 0.2775),
            ((10, 10), (0, 10), 0.6075, 1.0),
        ] {
            let found = difference(first, second, Z);
            assert!((found.0 - low).abs() < 1e-4 && (found.1 - high).abs() < 1e-4, "{first:?} {second:?}: {found:?}");
        }
    }
}
