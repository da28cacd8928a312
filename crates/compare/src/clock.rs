//! Reads dates with a time of day in the notations of protocols and of common software. Owns the notations; `treat_equal`
//! decides which times count as equal.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds by which a time may differ from that of its response to count as its clock.
pub(crate) const NEAR: f64 = 60.0;
/// Parts of a time that are read: numbers, words, separators.
const MAX_PARTS: usize = 32;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// A time that a text states.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Clock {
    /// Seconds since 1970, UTC, if the day comes before the month, and if the month comes before the day, where that is not
    /// known. Times before 1970 are 0.
    readings: [Option<f64>; 2],
    /// Seconds that the text leaves open: 60 if it ends with the minutes.
    open: f64,
    /// `false` if the text names no zone. It is then read as UTC.
    has_zone: bool,
}

impl Clock {
    /// Returns the seconds since 1970.
    pub(crate) fn seconds(&self) -> f64 {
        self.readings.into_iter().flatten().next().unwrap_or_default()
    }

    /// Returns whether the month comes before the day, if it is the time of a response within a minute.
    pub(crate) fn order_if_near(&self, time: f64) -> Option<bool> {
        let is_near =
            |begin: &Option<f64>| begin.is_some_and(|begin| time > begin - NEAR && time < begin + self.open + NEAR);
        self.readings.iter().position(is_near).map(|order| order > 0)
    }

    /// Returns the zone in which it is the time of a response, within a minute: the quarters of an hour ahead of UTC, which are
    /// 0 if the text names the zone.
    pub(crate) fn zone_if_near(&self, time: f64) -> Option<i32> {
        let is_near = |quarters: &i32| self.order_if_near(time + f64::from(*quarters) * 900.0).is_some();
        // Zones are whole quarters, from -12:00 to +14:00. Times of two zones are never near at once.
        let zones = if self.has_zone { 0..=0 } else { -48..=56 };
        zones.into_iter().find(is_near)
    }
}

/// Returns the seconds since 1970.
pub(crate) fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Returns `true` for the name of a month or of a weekday.
pub(crate) fn is_name(word: &str) -> bool {
    MONTHS.iter().chain(&WEEKDAYS).any(|name| is_name_of(word, name))
}

/// Returns `true` for a name in full or its first three letters.
fn is_name_of(word: &str, name: &str) -> bool {
    word.eq_ignore_ascii_case(name)
        || (word.len() == 3 && name.get(..3).is_some_and(|name| word.eq_ignore_ascii_case(name)))
}

/// Reads a text that is a time and nothing else.
pub(crate) fn read(text: &str) -> Option<Clock> {
    let (clock, rest) = read_first(text)?;
    rest.is_empty().then_some(clock)
}

/// Reads a time at the beginning of a text, and returns it with the rest.
pub(crate) fn read_first(text: &str) -> Option<(Clock, &str)> {
    let mut reader = Reader { rest: text, ..Reader::default() };
    let mut read = None;
    for _ in 0..MAX_PARTS {
        let Some(is_separator) = reader.part() else { break };
        if !is_separator && let Some(clock) = reader.clock() {
            read = Some((clock, reader.rest));
        }
    }
    read
}

/// Reads seconds, milliseconds, microseconds or nanoseconds since 1970, which their number of digits tells apart. Returns
/// seconds.
pub(crate) fn read_number(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if text.len() > 24 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let unit = match whole.len() {
        10 => 1.0,
        13 => 1e3,
        16 => 1e6,
        19 => 1e9,
        _ => return None,
    };
    text.parse().ok().map(|number: f64| number / unit)
}

#[derive(Default)]
struct Reader<'t> {
    rest: &'t str,
    /// Numbers of the date with their count of digits.
    numbers: Vec<(usize, usize)>,
    month: Option<usize>,
    /// Seconds since midnight.
    time: Option<f64>,
    open: f64,
    /// Seconds ahead of UTC.
    zone: Option<f64>,
    /// The separator before the latest number.
    separator: char,
    has_half: bool,
}

impl<'t> Reader<'t> {
    /// Takes bytes that fit from the rest.
    fn take(&mut self, most: usize, fits: fn(&u8) -> bool) -> &'t str {
        let length = self.rest.bytes().take(most).take_while(fits).count();
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        self.rest = rest;
        taken
    }

    fn take_char(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Takes exactly two digits.
    fn two(&mut self, most: usize) -> Option<usize> {
        let digits = self.take(3, u8::is_ascii_digit);
        let number = digits.parse().ok()?;
        (digits.len() == 2 && number <= most).then_some(number)
    }

    fn is_date_full(&self) -> bool {
        self.numbers.len() + usize::from(self.month.is_some()) >= 3
    }

    /// Reads the next part. Returns `true` for a separator, `None` if the time ends here.
    fn part(&mut self) -> Option<bool> {
        match self.rest.bytes().next()? {
            b'0'..=b'9' => self.number().map(|()| false),
            b'+' | b'-' if self.time.is_some() && self.is_date_full() => self.offset().map(|()| false),
            b' ' | b',' | b'-' | b'/' | b'.' => {
                self.separator = self.rest.chars().next()?;
                self.rest = self.rest.get(1..)?;
                Some(true)
            }
            // The name of the zone behind the offset, as JavaScript writes it.
            b'(' if self.zone.is_some() => {
                let (_, rest) = self.rest.split_once(')').filter(|(name, _)| name.len() < 50)?;
                self.rest = rest;
                Some(false)
            }
            _ => self.word(),
        }
    }

    fn number(&mut self) -> Option<()> {
        let digits = self.take(15, u8::is_ascii_digit);
        let number: usize = digits.parse().ok()?;
        match digits.len() {
            1 | 2 if self.time.is_none() && self.rest.starts_with(':') => {
                self.rest = self.rest.get(1..)?;
                let minutes = self.two(59)?;
                return self.time_of_day(number, minutes, true);
            }
            1 | 2 | 4 if !self.is_date_full() => self.numbers.push((number, digits.len())),
            8 | 14 if self.numbers.is_empty() && self.month.is_none() => {
                let (date, time) = digits.split_at_checked(8)?;
                let parts = [(0..4, 4), (4..6, 2), (6..8, 2)];
                for (range, length) in parts {
                    self.numbers.push((date.get(range)?.parse().ok()?, length));
                }
                if !time.is_empty() {
                    let (hours, rest) = time.split_at_checked(2)?;
                    let (minutes, seconds) = rest.split_at_checked(2)?;
                    self.time_of_day(hours.parse().ok()?, minutes.parse().ok()?, false)?;
                    self.add_seconds(seconds.parse().ok()?);
                }
            }
            4 | 6 if self.time.is_none() && self.separator == 'T' => {
                let (hours, rest) = digits.split_at_checked(2)?;
                let (minutes, seconds) = rest.split_at_checked(2)?;
                self.time_of_day(hours.parse().ok()?, minutes.parse().ok()?, false)?;
                if !seconds.is_empty() {
                    self.add_seconds(seconds.parse().ok()?);
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn time_of_day(&mut self, hours: usize, minutes: usize, has_more: bool) -> Option<()> {
        if hours > 23 || minutes > 59 {
            return None;
        }
        self.time = Some((hours * 3600 + minutes * 60) as f64);
        self.open = 60.0;
        if has_more && self.take_char(':') {
            let seconds = self.two(60)?;
            self.add_seconds(seconds);
        }
        let is_fraction = |text: &str| text.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        if has_more && self.open < 60.0 && self.rest.starts_with(['.', ',']) && is_fraction(self.rest) {
            self.rest = self.rest.get(1..)?;
            self.take(9, u8::is_ascii_digit);
        }
        Some(())
    }

    fn add_seconds(&mut self, seconds: usize) {
        self.time = self.time.map(|time| time + seconds as f64);
        self.open = 1.0;
    }

    /// Reads `+01:00`, `+0100` or `+01`.
    fn offset(&mut self) -> Option<()> {
        if !matches!(self.zone, None | Some(0.0)) {
            return None;
        }
        let sign = if self.rest.starts_with('-') { -1.0 } else { 1.0 };
        self.rest = self.rest.get(1..)?;
        let digits = self.take(5, u8::is_ascii_digit);
        let (hours, minutes) = digits.split_at_checked(2)?;
        let minutes = match minutes.len() {
            0 if self.take_char(':') => self.two(59)?,
            0 => 0,
            2 => minutes.parse().ok()?,
            _ => return None,
        };
        let hours: usize = hours.parse().ok()?;
        self.zone = Some(sign * (hours * 3600 + minutes * 60) as f64);
        Some(())
    }

    fn word(&mut self) -> Option<bool> {
        let word = self.take(16, u8::is_ascii_alphabetic);
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        let is_of = |name: &str| is_name_of(word, name);
        match self.time {
            Some(_) if is("z") || is("utc") || is("gmt") => self.zone = Some(0.0),
            Some(time) if (is("am") || is("pm")) && !self.has_half && time < 13.0 * 3600.0 => {
                let hours = if time >= 12.0 * 3600.0 { time - 12.0 * 3600.0 } else { time };
                self.time = Some(if is("pm") { hours + 12.0 * 3600.0 } else { hours });
                self.has_half = true;
            }
            None if is("t") && self.is_date_full() => {
                self.separator = 'T';
                return Some(true);
            }
            None if is("at") => return Some(true),
            _ if WEEKDAYS.iter().any(|name| is_of(name)) => return Some(true),
            _ => {
                let month = MONTHS.iter().position(|name| is_of(name))?;
                if self.month.is_some() || self.numbers.len() > 2 {
                    return None;
                }
                self.month = Some(month + 1);
            }
        }
        Some(false)
    }

    fn clock(&self) -> Option<Clock> {
        let time = self.time?;
        let century = |(year, digits): (usize, usize)| match digits {
            4 => Some(year),
            2 => Some(if year < 70 { 2000 + year } else { 1900 + year }),
            _ => None,
        };
        let dates = match (self.month, self.numbers.as_slice()) {
            (Some(month), [(year, 4), (day, 1 | 2)]) => [Some((*year, month, *day)), None],
            (Some(month), [(day, 1 | 2), year]) => [Some((century(*year)?, month, *day)), None],
            (None, [(year, 4), (month, 2), (day, 2)]) => [Some((*year, *month, *day)), None],
            (None, [(one, 1 | 2), (other, 1 | 2), (year, 4)]) => {
                [Some((*year, *other, *one)), Some((*year, *one, *other))]
            }
            _ => return None,
        };
        let at = |(year, month, day)| {
            let days = days(year, month, day)? as f64;
            Some((days * 86_400.0 + time - self.zone.unwrap_or_default()).max(0.0))
        };
        let readings = dates.map(|date| date.and_then(at));
        let is_date = readings.iter().any(Option::is_some);
        is_date.then_some(Clock { readings, open: self.open, has_zone: self.zone.is_some() })
    }
}

/// Returns the days since 1970, 0 for those before; `None` for no date. The year begins with March for the calculation, so that
/// a leap day is its last.
fn days(year: usize, month: usize, day: usize) -> Option<usize> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if year < 1970 {
        return Some(0);
    }
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (month * 306 + 5) / 10 + day;
    Some(days - 719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations_of_one_time() {
        let at = 1_795_893_123.0; // 2026-11-28T19:12:03Z
        for text in [
            "2026-11-28T19:12:03Z",
            "2026-11-28t19:12:03.123456z",
            "2026-11-28 19:12:03",
            "2026-11-28T20:12:03+01:00",
            "2026-11-28T14:12:03,5-0500",
            "2026-11-28 20:12:03 +01",
            "2026/11/28 19:12:03 UTC",
            "20261128T191203Z",
            "20261128191203",
            "Sat, 28 Nov 2026 19:12:03 GMT",
            "Sat, 28 Nov 2026 20:12:03 +0100",
            "Sat, 28-Nov-2026 19:12:03 GMT",
            "Saturday, 28-Nov-26 19:12:03 GMT",
            "Sat Nov 28 19:12:03 2026",
            "Sat Nov 28 19:12:03 UTC 2026",
            "Sat Nov 28 2026 20:12:03 GMT+0100 (Central European Standard Time)",
            "28 Nov 2026, 19:12:03",
            "Nov 28, 2026 7:12:03 PM",
            "November 28, 2026 at 7:12:03 PM",
            "11/28/2026 7:12:03 PM",
            "11/28/2026, 19:12:03",
            "28/11/2026 19:12:03",
            "28.11.2026 19:12:03",
            "19:12:03 28.11.2026",
        ] {
            assert_eq!(read(text).map(|clock| clock.seconds()), Some(at), "{text}");
        }
        for text in ["2026-11-28T19:12Z", "28 Nov 2026, 19:12", "11/28/2026 7:12 PM", "28.11.2026, 19:12 Uhr"] {
            let clock = read_first(text).map(|(clock, _)| clock);
            assert!(
                clock.is_some_and(|clock| clock.order_if_near(at).and(clock.order_if_near(at + 100.0)).is_some()),
                "{text}"
            );
            assert!(
                clock.is_some_and(|clock| clock.order_if_near(at + 130.0).or(clock.order_if_near(at - 64.0)).is_none()),
                "{text}"
            );
        }
        for text in ["1795893123", "1795893123.0", "1795893123000", "1795893123000000", "1795893123000000000"] {
            assert_eq!(read_number(text), Some(at), "{text}");
        }
        assert_eq!(read("01/02/2026 00:00:00").map(|clock| clock.seconds()), Some(1_769_904_000.0));
        assert_eq!(
            read("01/02/2026 00:00:00").map(|clock| clock.readings),
            Some([Some(1_769_904_000.0), Some(1_767_312_000.0)])
        );
        assert_eq!(read("Thu, 01 Jan 1970 00:00:00 GMT").map(|clock| clock.seconds()), Some(0.0));
        assert_eq!(read("2000-02-29T12:00:00Z").map(|clock| clock.seconds()), Some(951_825_600.0));
        assert_eq!(read("12:05 AM, 1 Jan 1970").map(|clock| clock.seconds()), Some(300.0));
    }

    #[test]
    fn texts_that_are_no_time() {
        for text in [
            "",
            "2026-11-28",
            "19:12:03",
            "2026-13-01T10:00:00Z",
            "2026-05-01T1:60:00Z",
            "2026-05-01T24:00:00Z",
            "Sun, 06 Nov 1994 08:49:37 PST",
            "2026-11-28T19:12:03ZZ",
            "2026-11-28T19:12:03Z x",
            "1.2.3 4:05",
            "PM 12:00 PM",
            "+",
            "é",
            "2026-11-28T19:12:é",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        for text in ["", "1", "1795893123000.", "-1795893123", "17958931230", "1e10", "1795893123.x"] {
            assert_eq!(read_number(text), None, "{text}");
        }
        assert_eq!(read_first("2026-11-28 19:12:03 by web-1").map(|(_, rest)| rest), Some(" by web-1"));
    }
}
