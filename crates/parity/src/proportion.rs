//! Shares and their confidence intervals.

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
}
