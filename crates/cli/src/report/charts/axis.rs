//! The labels of a time axis: round times, at most as many as a plot has room for, from seconds to centuries.

use std::time::{Duration, UNIX_EPOCH};

use super::{CHARACTER, COLUMN, GAP};

/// The last second of the year 9999: later ones have no date (RFC 3339). Seconds since 1970.
const LAST_SECOND: u64 = 253_402_300_799;
const DAY: u64 = 86_400;
/// Seconds between labels.
const STEPS: [u64; 20] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, DAY, 2 * DAY, 7 * DAY];
/// Months between labels, beyond.
const MONTHS: [u64; 12] = [1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 12_000];
const SECONDS_OF_MONTH: u64 = 28 * DAY;

/// The labels of a time axis.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Times {
    /// Times in seconds since 1970, with their labels.
    pub(super) labels: Vec<(u64, String)>,
    /// The day, if it is the same everywhere.
    pub(super) day: Option<String>,
}

/// Returns the labels between two times.
pub(super) fn times(begin: u64, end: u64) -> Times {
    let (begin, end) = (begin.min(LAST_SECOND), end.min(LAST_SECOND));
    let (first, last) = (moment(begin), moment(end.saturating_sub(1).max(begin)));
    let day = (first.get(..10) == last.get(..10)).then(|| first.get(..10).unwrap_or_default().to_owned());
    let part = |time: u64, range: std::ops::Range<usize>| moment(time).get(range).unwrap_or_default().to_owned();
    let fits = |step: u64, characters: usize| {
        let room = step as f64 / (end - begin).max(1) as f64 * COLUMN;
        room >= characters as f64 * CHARACTER + GAP
    };
    let date = if first.get(..4) == last.get(..4) { 5..10 } else { 0..10 };
    for step in STEPS {
        let range = match step {
            ..60 => 11..19,
            60..DAY => 11..16,
            _ => date.clone(),
        };
        // At midnight the date stands for the time.
        let longest = if day.is_none() { range.len().max(date.len()) } else { range.len() };
        if fits(step, longest) {
            let times = (begin.div_ceil(step)..=end / step).map(|number| number * step);
            let is_date = |time: u64| day.is_none() && time.is_multiple_of(DAY);
            let label = |time| (time, part(time, if is_date(time) { date.clone() } else { range.clone() }));
            return Times { labels: times.map(label).collect(), day };
        }
    }
    let step = MONTHS.into_iter().find(|step| fits(step * SECONDS_OF_MONTH, "2026-11".len())).unwrap_or(12_000);
    let month = |time: u64| {
        let number = |range| part(time, range).parse::<u64>().unwrap_or_default();
        number(0..4) * 12 + number(5..7).saturating_sub(1)
    };
    let months = (month(begin).div_ceil(step)..=month(end) / step).map(|number| number * step);
    let label = |month: u64| {
        let label = format!("{:04}-{:02}", month / 12, month % 12 + 1);
        let time = humantime::parse_rfc3339(&format!("{label}-01T00:00:00Z")).ok()?;
        let time = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
        (begin..=end).contains(&time).then_some((time, label))
    };
    Times { labels: months.filter_map(label).collect(), day: None }
}

/// `2026-11-24 08:00:00`. The end of a bucket can be later than any record.
pub(super) fn moment(seconds: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_SECOND));
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.trim_end_matches('Z').replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-24T08:00:00Z.
    const EIGHT: u64 = 1_795_507_200;

    #[test]
    fn labels_are_round_times_of_the_span() {
        for (begin, span, day, expected) in [
            (EIGHT, 0, true, &["08:00:00"][..]),
            (EIGHT, 1, true, &["08:00:00", "08:00:01"]),
            (EIGHT + 3, 4, true, &["08:00:03", "08:00:04", "08:00:05", "08:00:06", "08:00:07"]),
            (EIGHT + 7, 59, true, &["08:00:15", "08:00:30", "08:00:45", "08:01:00"]),
            (EIGHT + 190, 240, true, &["08:04", "08:05", "08:06", "08:07"]),
            (EIGHT, 7200, true, &["08:00", "08:30", "09:00", "09:30", "10:00"]),
            (EIGHT + 12 * 3600, 8 * 3600, false, &["20:00", "22:00", "11-25", "02:00", "04:00"]),
            (EIGHT, 30 * 3600, false, &["12:00", "18:00", "11-25", "06:00", "12:00"]),
            (EIGHT, 5 * DAY, false, &["11-25", "11-26", "11-27", "11-28", "11-29"]),
            (EIGHT + 35 * DAY, 7 * DAY, false, &["2026-12-31", "2027-01-02", "2027-01-04"]),
            (EIGHT, 365 * DAY, false, &["2027-01", "2027-04", "2027-07", "2027-10"]),
            (EIGHT, 12 * 365 * DAY, false, &["2030-01", "2035-01"]),
            (
                0,
                LAST_SECOND,
                false,
                &["2000-01", "3000-01", "4000-01", "5000-01", "6000-01", "7000-01", "8000-01", "9000-01"],
            ),
        ] {
            let times = times(begin, begin + span);
            let labels: Vec<_> = times.labels.iter().map(|(_, label)| label.as_str()).collect();
            assert_eq!((labels.as_slice(), times.day.is_some()), (expected, day), "{begin} {span}");
            assert!(times.labels.iter().all(|(time, _)| (begin..=begin + span).contains(time)));
        }
    }

    #[test]
    fn no_span_has_more_labels_than_there_is_room_for() {
        for exponent in 0..42 {
            for begin in [EIGHT, EIGHT + 12_345, LAST_SECOND - 3] {
                let labels = times(begin, begin.saturating_add(1 << exponent)).labels;
                assert!(labels.len() <= 9, "{exponent}: {labels:?}");
            }
        }
    }
}
