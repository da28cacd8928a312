//! Numbers as they are written. Owns exact equality of decimals of any length, and distances between them. JSON sets no
//! limits to numbers (RFC 8259 section 6), and floats would call different ones equal.

use std::hash::{Hash, Hasher};

/// The text of a JSON number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal<'t>(pub(crate) &'t str);

/// A number as 0.DIGITS times ten to the power of `exponent`; zero has no digits.
struct Parts<'t> {
    is_negative: bool,
    /// Digits before and behind the point; together they neither begin nor end with a zero.
    digits: [&'t [u8]; 2],
    exponent: i64,
}

impl<'t> Decimal<'t> {
    /// Returns `true` for equal numbers: `1.0` and `1`, `-0` and `0`, but neither `0.30000000000000004` and `0.3` nor two
    /// long integers that differ in the last digit.
    pub(crate) fn is_same(self, other: Decimal<'_>) -> bool {
        match (self.parts(), other.parts()) {
            (Some(one), Some(two)) => {
                one.is_negative == two.is_negative
                    && one.exponent == two.exponent
                    && one.digits.iter().copied().flatten().eq(two.digits.iter().copied().flatten())
            }
            _ => self.0 == other.0,
        }
    }

    /// Hashes equal numbers alike.
    pub(crate) fn hash(self, hasher: &mut impl Hasher) {
        match self.parts() {
            Some(parts) => {
                (parts.is_negative, parts.exponent).hash(hasher);
                parts.digits.iter().copied().flatten().for_each(|digit| digit.hash(hasher));
            }
            None => self.0.hash(hasher),
        }
    }

    /// Returns the nearest float, which may be infinite.
    pub(crate) fn as_f64(self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// Returns the distance to another number: exact for integers of up to 38 digits.
    pub(crate) fn distance(self, other: Decimal<'_>) -> Distance {
        match (self.0.parse::<i128>(), other.0.parse::<i128>()) {
            (Ok(one), Ok(other)) => Distance { absolute: one.abs_diff(other) as f64, is_exact: true },
            _ => Distance { absolute: (self.as_f64() - other.as_f64()).abs(), is_exact: false },
        }
    }

    /// Returns `None` if the exponent exceeds 18 digits.
    fn parts(self) -> Option<Parts<'t>> {
        let (is_negative, text) = match self.0.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, self.0),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let exponent = exponent.strip_prefix('+').unwrap_or(exponent);
        if exponent.len() > 18 {
            return None;
        }
        let exponent: i64 = exponent.parse().ok()?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let whole = whole.trim_start_matches('0').as_bytes();
        let mut fraction = fraction.as_bytes();
        let mut exponent = exponent.checked_add_unsigned(whole.len() as u64)?;
        if whole.is_empty() {
            while let Some(rest) = fraction.strip_prefix(b"0") {
                fraction = rest;
                exponent = exponent.checked_sub(1)?;
            }
        }
        let fraction = without_zeros(fraction);
        let whole = if fraction.is_empty() { without_zeros(whole) } else { whole };
        if whole.is_empty() && fraction.is_empty() {
            return Some(Parts { is_negative: false, digits: [b"", b""], exponent: 0 });
        }
        Some(Parts { is_negative, digits: [whole, fraction], exponent })
    }
}

fn without_zeros(mut digits: &[u8]) -> &[u8] {
    while let Some(rest) = digits.strip_suffix(b"0") {
        digits = rest;
    }
    digits
}

/// A distance between two numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Distance {
    pub(crate) absolute: f64,
    /// `false` if the numbers were rounded to floats.
    pub(crate) is_exact: bool,
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_compared_as_decimals() {
        for (one, other, is_same) in [
            ("1", "1.0", true),
            ("1e3", "1000", true),
            ("1E+3", "1000.000", true),
            ("12.50e-1", "1.25", true),
            ("-0.0", "0", true),
            ("0e5", "0", true),
            ("0.001", "1e-3", true),
            ("0.30000000000000004", "0.3", false),
            ("100000000000000000000000001", "100000000000000000000000000", false),
            ("18446744073709551616", "18446744073709551616.0", true),
            ("1e400", "1e401", false),
            ("1e400", "10e399", true),
            ("1e9999999999999999999", "1e9999999999999999999", true),
            ("1e9999999999999999999", "1e9999999999999999998", false),
            ("-1", "1", false),
            ("10", "1", false),
        ] {
            for (one, other) in [(one, other), (other, one)] {
                assert_eq!(Decimal(one).is_same(Decimal(other)), is_same, "{one} {other}");
            }
        }
        assert_eq!(Decimal("9007199254740993").distance(Decimal("9007199254740992")).absolute, 1.0);
    }

    proptest! {
        #[test]
        fn equal_numbers_have_equal_hashes(digits in "-?(0|[1-9][0-9]{0,4})(\\.[0-9]{1,4})?", shift in 0..4_usize) {
            let hash = |text: &str| {
                let mut hasher = DefaultHasher::new();
                Decimal(text).hash(&mut hasher);
                hasher.finish()
            };
            let zeros = "0".repeat(shift);
            let other = if digits.contains('.') { format!("{digits}{zeros}") } else { format!("{digits}{zeros}e-{shift}") };
            prop_assert!(Decimal(&digits).is_same(Decimal(&other)), "{} {}", digits, other);
            prop_assert_eq!(hash(&digits), hash(&other));
            let number: f64 = digits.parse().unwrap();
            prop_assert_eq!(Decimal(&digits).is_same(Decimal("0")), number == 0.0);
        }
    }
}
