//! Times as a user writes them in `--since` and `--until`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const EXPECTED: &str = "expected a time in UTC such as `2026-11-24T08:00:00Z` or `2026-11-24`, with an offset such as \
`2026-11-24T09:00+01:00`, in seconds or milliseconds since 1970, or ago, such as `30m`, `2h` or `7d`";

/// Returns the time, or the valid forms. A date without a time is its first moment; without an offset the time is UTC.
pub(crate) fn parse(text: &str, now: SystemTime) -> Result<SystemTime, &'static str> {
    let text = text.trim();
    let found = match text.parse::<u64>() {
        Ok(number) => match text.len() {
            9..=11 => UNIX_EPOCH.checked_add(Duration::from_secs(number)),
            // As in CloudWatch.
            12..=14 => UNIX_EPOCH.checked_add(Duration::from_millis(number)),
            _ => None,
        },
        Err(_) => match humantime::parse_duration(text) {
            Ok(ago) => now.checked_sub(ago),
            Err(_) => date_and_time(text),
        },
    };
    found.filter(|time| *time >= UNIX_EPOCH).ok_or(EXPECTED)
}

/// RFC 3339, without an offset, seconds or a time as well, and with a blank before the time.
fn date_and_time(text: &str) -> Option<SystemTime> {
    let (date, rest) = text.split_at_checked("2026-11-24".len())?;
    let rest = match rest.chars().next() {
        None => return humantime::parse_rfc3339(&format!("{date}T00:00:00Z")).ok(),
        Some('T' | 't' | ' ') => rest.get(1..)?,
        Some(_) => return None,
    };
    let (time, offset) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => rest.split_at(at),
        None => (rest, "Z"),
    };
    let time = time.trim_end();
    let seconds = if time.len() == "08:00".len() { ":00" } else { "" };
    let utc = humantime::parse_rfc3339(&format!("{date}T{time}{seconds}Z")).ok()?;
    let (sign, offset) = offset.split_at_checked(1)?;
    let ahead = if offset.is_empty() { Duration::ZERO } else { hours_and_minutes(offset)? };
    match sign {
        "+" if !offset.is_empty() => utc.checked_sub(ahead),
        "-" if !offset.is_empty() => utc.checked_add(ahead),
        "Z" | "z" if offset.is_empty() => Some(utc),
        _ => None,
    }
}

/// `01:00`, `0100` or `01`.
fn hours_and_minutes(text: &str) -> Option<Duration> {
    let (hours, minutes) = text.split_at_checked(2)?;
    let minutes = match minutes.strip_prefix(':').unwrap_or(minutes) {
        "" if minutes.is_empty() => "00",
        minutes => minutes,
    };
    let number = |text: &str, below: u64| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u64>().ok().filter(|number| is_number && *number < below)
    };
    Some(Duration::from_secs(number(hours, 24)? * 3600 + number(minutes, 60)? * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_form_is_read() {
        // 2026-11-24T08:00:00Z.
        let eight = UNIX_EPOCH + Duration::from_secs(1_795_507_200);
        let now = eight + Duration::from_secs(7200);
        for text in [
            "2026-11-24T08:00:00Z",
            "2026-11-24t08:00:00z",
            "2026-11-24T08:00:00.000Z",
            "2026-11-24T08:00:00",
            "2026-11-24T08:00",
            "2026-11-24T08:00Z",
            "2026-11-24 08:00:00",
            " 2026-11-24 08:00 ",
            "2026-11-24T09:00:00+01:00",
            "2026-11-24T09:00+01:00",
            "2026-11-24 09:00:00 +0100",
            "2026-11-24T09:00:00+01",
            "2026-11-24T13:30:00+05:30",
            "2026-11-23T22:30:00-09:30",
            "2026-11-24T08:00:00-00:00",
            "1795507200",
            "1795507200000",
            "2h",
            "120m",
            "1h 60min",
            "7200s",
        ] {
            assert_eq!(parse(text, now), Ok(eight), "{text}");
        }
        let midnight = eight - Duration::from_secs(8 * 3600);
        assert_eq!(parse("2026-11-24", now), Ok(midnight));
        assert_eq!(parse("7d", now), Ok(now - Duration::from_secs(7 * 86_400)));
        assert_eq!(parse("2026-11-24T08:00:00.5+00:00", now), Ok(eight + Duration::from_millis(500)));
    }

    #[test]
    fn everything_else_is_refused_with_the_valid_forms() {
        for text in [
            "",
            "yesterday",
            "2026",
            "20261124",
            "2026-11",
            "2026-13-01",
            "2026-02-30",
            "24.11.2026",
            "2026-11-24T",
            "2026-11-24T25:00",
            "2026-11-24T08",
            "2026-11-24T08:00:00+",
            "2026-11-24T08:00:00+1",
            "2026-11-24T08:00:00+1:00",
            "2026-11-24T08:00:00+24:00",
            "2026-11-24T08:00:00+01:60",
            "2026-11-24T08:00:00+01:",
            "2026-11-24T08:00:00Z+01:00",
            "2026-11-24T08:00:00 CET",
            "-2h",
            "2 fortnights",
            "99999999999999999999",
            "18446744073709551615",
            "9999999999999d",
            "1970-01-01T00:00:00+23:00é",
            "é026-11-24",
        ] {
            assert_eq!(parse(text, SystemTime::now()), Err(EXPECTED), "{text}");
        }
    }
}
