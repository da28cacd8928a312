//! Quantities as people write them in options: `10M/month`, `2.5k/s`, `60ms`, `5%`, `20KB`. A unit is never guessed.

use super::usage::{MAX_INVOCATION, MAX_REQUESTS, SECONDS};

const RATE: &str = "expected requests with a time, such as `10M/month`, `2.5k/s`, `300/min` or `1e6/day`";
const DURATION: &str = "expected a time with its unit, such as `60ms` or `1.2s`";
const SHARE: &str = "expected a share from 0% to 100%, such as `5%`";
const BYTES: &str = "expected a size with its unit, such as `800B`, `20KB` or `1.5MB`";

/// The largest size of a request or a response, in bytes: 1 TB.
const MAX_BYTES: f64 = 1e12;

/// Requests per month. A number without a time is for a month, since that is what a bill is for.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let (count, period) = match text.split_once('/') {
        Some((count, period)) => (count, period.trim()),
        None => (text, "month"),
    };
    let (number, unit) = number(count).ok_or(RATE)?;
    let factor = match unit {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        "G" | "B" => 1e9,
        "T" => 1e12,
        "m" => {
            return Err(
                "`m` could be a thousandth or a minute: write `10M/month` for 10 million, or `300/min`".to_owned()
            );
        }
        _ => return Err(RATE.to_owned()),
    };
    let seconds = match period {
        "s" | "sec" | "second" => 1.0,
        "min" | "minute" => 60.0,
        "h" | "hour" => 3_600.0,
        "d" | "day" => 86_400.0,
        "w" | "week" => 604_800.0,
        "mo" | "month" => SECONDS,
        "y" | "year" => 12.0 * SECONDS,
        "m" => return Err("`m` could be a minute or a month: write `/min` or `/month`".to_owned()),
        _ => return Err(format!("{RATE}; times are s, min, h, day, week, month and year")),
    };
    let requests = number * factor * (SECONDS / seconds);
    if requests <= MAX_REQUESTS { Ok(requests) } else { Err("more than 1e18 requests per month".to_owned()) }
}

/// Milliseconds of an invocation.
pub(crate) fn duration(text: &str) -> Result<f64, String> {
    let milliseconds = milliseconds(text)?;
    if milliseconds <= MAX_INVOCATION {
        Ok(milliseconds)
    } else {
        Err("an invocation takes at most 30 minutes".to_owned())
    }
}

/// Milliseconds of a time that may be longer than an invocation. Zero is too short.
pub(crate) fn span(text: &str) -> Result<f64, String> {
    match milliseconds(text)? {
        0.0 => Err("expected a time above 0".to_owned()),
        milliseconds => Ok(milliseconds),
    }
}

fn milliseconds(text: &str) -> Result<f64, String> {
    let (number, unit) = number(text).ok_or(DURATION)?;
    let factor = match unit {
        "us" | "µs" | "μs" => 1e-3,
        "ms" => 1.0,
        "s" | "sec" => 1e3,
        "min" => 60e3,
        "h" => 3_600e3,
        "d" | "day" => 86_400e3,
        _ => return Err(DURATION.to_owned()),
    };
    let milliseconds = number * factor;
    if milliseconds.is_finite() { Ok(milliseconds) } else { Err(DURATION.to_owned()) }
}

/// A share from 0 to 1. The percent sign may be missing, as in crossfade.yaml.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    match number(text) {
        Some((number, "" | "%")) if number <= 100.0 => Ok(number / 100.0),
        _ => Err(SHARE.to_owned()),
    }
}

/// Bytes; units are decimal, as those of AWS's prices are shown.
pub(crate) fn bytes(text: &str) -> Result<f64, String> {
    let (number, unit) = number(text).ok_or(BYTES)?;
    let factor = match unit {
        "B" => 1.0,
        "KB" | "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(BYTES.to_owned()),
    };
    let bytes = number * factor;
    if bytes <= MAX_BYTES { Ok(bytes) } else { Err("more than 1 TB".to_owned()) }
}

/// A count of things, such as metrics.
pub(crate) fn count(text: &str) -> Result<f64, String> {
    match number(text) {
        Some((number, "")) if number <= 1e9 => Ok(number),
        _ => Err("expected a number from 0 to 1,000,000,000".to_owned()),
    }
}

/// A finite number from 0 on, and the unit behind it. Digits may be in groups of three.
fn number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.char_indices().find(|(at, byte)| !is_part(text, *at, *byte)).map_or(text.len(), |(at, _)| at);
    let (digits, unit) = text.split_at_checked(end)?;
    let whole = digits.split(['.', 'e', 'E']).next()?;
    let mut groups = whole.split([',', '_']);
    let first = groups.next()?;
    let mut rest = groups.peekable();
    // `1,5` would be 15 otherwise, and 1.5 where people write a comma.
    if (rest.peek().is_some() && first.len() > 3) || rest.any(|group| group.len() != 3) || first.is_empty() {
        return None;
    }
    let digits: String = digits.chars().filter(|digit| !matches!(digit, ',' | '_')).collect();
    let number = digits.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    Some((number, unit.trim_start()))
}

/// Returns true for the characters of a number: of `1e6` the `e` as well, and of `1e-3` the sign.
fn is_part(text: &str, at: usize, character: char) -> bool {
    let after = |offset: usize| text.as_bytes().get(at.saturating_add(offset)).copied().unwrap_or_default();
    match character {
        '0'..='9' | '.' | ',' | '_' => true,
        'e' | 'E' => after(1).is_ascii_digit() || (matches!(after(1), b'+' | b'-') && after(2).is_ascii_digit()),
        '+' | '-' => at > 0 && matches!(text.as_bytes().get(at.saturating_sub(1)), Some(b'e' | b'E')),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates_are_per_month_of_730_hours() {
        for (text, expected) in [
            ("10M/month", 10e6),
            ("10M", 10e6),
            ("10,000,000 / month", 10e6),
            ("10_000_000", 10e6),
            ("2.5k/s", 2_500.0 * 2_628_000.0),
            ("300/min", 300.0 * 43_800.0),
            ("1e6/day", 1e6 * 730.0 / 24.0),
            ("1E+3/h", 730e3),
            ("12/year", 1.0),
            ("0", 0.0),
            ("1e18/month", 1e18),
            ("1B/mo", 1e9),
        ] {
            let found = rate(text).unwrap();
            assert!((found - expected).abs() <= expected * 1e-12, "{text}: {found}");
        }
    }

    #[test]
    fn durations_shares_and_sizes_have_units() {
        let found = ["60ms", "1.2s", "500us", "500 µs", "0ms", "30min"].map(|text| duration(text).unwrap());
        assert_eq!(found, [60.0, 1_200.0, 0.5, 0.5, 0.0, 1_800_000.0]);
        assert_eq!(["5%", "5", "0.5 %", "100%"].map(|text| share(text).unwrap()), [0.05, 0.05, 0.005, 1.0]);
        assert_eq!(["800B", "20KB", "1.5MB", "1KiB"].map(|text| bytes(text).unwrap()), [800.0, 20e3, 1.5e6, 1024.0]);
        assert_eq!(span("24h").unwrap(), 86_400e3);
    }

    #[test]
    fn what_could_mean_two_things_is_rejected() {
        for text in [
            "",
            "/",
            "M",
            "-1/s",
            "NaN",
            "inf",
            "1e400",
            "1e19",
            "10m/month",
            "10/m",
            "10/fortnight",
            "1,5M",
            "1.000.000",
            "1,0000",
            "1__000",
            ".5k/s",
            "ten",
            "10M/month/s",
            "0x10",
            "1e",
            "--5",
            "+5",
            "1,000,00",
            "1234,567",
        ] {
            assert!(rate(text).is_err(), "{text}: {:?}", rate(text));
        }
        for text in ["60", "60m", "-1ms", "31min", "ms", "1e999s", "NaNms"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(["101%", "-1%", "5%%", "%"].iter().all(|text| share(text).is_err()));
        assert!(["20", "20K", "2TB", "-1B", "1e99GB"].iter().all(|text| bytes(text).is_err()));
        assert!(span("0s").is_err() && count("1.5e9").is_err());
    }

    proptest! {
        #[test]
        fn any_text_gives_a_number_in_range_or_an_error(text in "\\PC*|[0-9.,_eE+-]{0,8}[a-zA-Z/%µ]{0,5}") {
            prop_assert!(rate(&text).map_or(true, |number| (0.0..=MAX_REQUESTS).contains(&number)));
            prop_assert!(duration(&text).map_or(true, |number| (0.0..=MAX_INVOCATION).contains(&number)));
            prop_assert!(share(&text).map_or(true, |number| (0.0..=1.0).contains(&number)));
            prop_assert!(bytes(&text).map_or(true, |number| (0.0..=MAX_BYTES).contains(&number)));
            prop_assert!(span(&text).map_or(true, |number| number > 0.0 && number.is_finite()));
        }
    }
}
