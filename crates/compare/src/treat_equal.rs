//! Recognises what differs on every response: UUIDs, times, hashes, tokens. Two such texts are equal where a rule says so, two
//! clocks in any case.
//!
//! A text may contain them among other words, in URLs and in names of files. It is therefore compared piece by piece, and
//! everything between them must be the same.

mod shape;

use std::borrow::Cow;
use std::fmt::Write;
use std::time::SystemTime;

use crossfade_journal::redaction::is_jwt;

use crate::clock::{self, NEAR};
use crate::work::{Stop, Work};
use shape::{is_any_uuid, is_hash, is_part_hash, is_token};
pub(crate) use shape::{is_date, is_ulid, is_uuid};

/// Units of numbers that count the time since 1970, in parts of a second.
const UNITS: [f64; 4] = [1.0, 1e3, 1e6, 1e9];
/// Bytes of a text in which its time is looked for.
const MAX_CLOCK: usize = 80;
/// Cost of a piece in units of work, in addition to four times its length.
const PIECE_WORK: usize = 8;

/// A kind of text that differs on every response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreatEqual {
    /// `uuid`: UUIDs (RFC 9562), also without dashes, and ULIDs.
    Uuid,
    /// `timestamp`: times within a minute of the response's arrival, in any notation and, where they name no zone, in any
    /// zone.
    Timestamp,
    /// `hash`: as many hexadecimal digits, at least 16, or 8 between separators.
    Hash,
    /// `token`: at least 20 characters of base64 that look random, and JWTs.
    Token,
}

impl TreatEqual {
    /// All kinds.
    pub const ALL: [TreatEqual; 4] = [TreatEqual::Uuid, TreatEqual::Timestamp, TreatEqual::Hash, TreatEqual::Token];

    /// The word for it in rules and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TreatEqual::Uuid => "uuid",
            TreatEqual::Timestamp => "timestamp",
            TreatEqual::Hash => "hash",
            TreatEqual::Token => "token",
        }
    }
}

/// Returns `true` if both numbers are the times of their responses, counted since 1970 in the same unit, or in any if a rule
/// says so.
pub(crate) fn are_alike_numbers(primary: f64, mirror: f64, kinds: &[TreatEqual], times: [SystemTime; 2]) -> bool {
    let [time, other] = times.map(clock::seconds);
    let unit_of = |number: f64, time| UNITS.iter().position(|unit| is_near(number / unit, time));
    match (unit_of(primary, time), unit_of(mirror, other)) {
        (Some(one), Some(other)) => one == other || kinds.contains(&TreatEqual::Timestamp),
        _ => false,
    }
}

fn is_near(seconds: f64, time: f64) -> bool {
    (seconds - time).abs() <= NEAR
}

/// Returns `true` if two texts differ only in clocks and in what these kinds make interchangeable. A clock is a time that is
/// that of its response; two are equal in the same notation.
pub(crate) fn are_alike(
    primary: &str,
    mirror: &str,
    kinds: &[TreatEqual],
    times: [SystemTime; 2],
    work: &Work<'_>,
) -> Result<bool, Stop> {
    let [time, other] = times.map(|time| Some(clock::seconds(time)));
    let (ours, theirs) = (Scan { kinds, time }, Scan { kinds, time: other });
    work.spend(primary.len().saturating_add(mirror.len()))?;
    if let (Some(one), Some(other)) = (ours.whole(primary), theirs.whole(mirror)) {
        return Ok(are_equal(&one, &other));
    }
    let (mut ours, mut theirs) = (ours.pieces(primary, work), theirs.pieces(mirror, work));
    loop {
        match (ours.next().transpose()?, theirs.next().transpose()?) {
            (None, None) => return Ok(true),
            (Some(one), Some(other)) if are_equal(&one, &other) => {}
            _ => return Ok(false),
        }
    }
}

/// Returns what stands for a text that is of one of these kinds: texts for which it is the same are alike. Times have none,
/// since their response is not known.
pub(crate) fn whole(text: &str, kinds: &[TreatEqual]) -> Option<String> {
    if kinds.is_empty() {
        return None;
    }
    let mut out = String::new();
    Scan { kinds, time: None }.whole(text)?.write(&mut out);
    Some(out)
}

/// Returns a text in which everything of these kinds is replaced, so that texts that are the same afterwards are alike. Times
/// are not replaced, since their response is not known.
pub(crate) fn replaced<'a>(text: &'a str, kinds: &[TreatEqual], work: &Work<'_>) -> Result<Cow<'a, str>, Stop> {
    if kinds.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    work.spend(text.len())?;
    let scan = Scan { kinds, time: None };
    let mut out = String::with_capacity(text.len());
    if let Some(whole) = scan.whole(text) {
        whole.write(&mut out);
        return Ok(Cow::Owned(out));
    }
    for piece in scan.pieces(text, work) {
        piece?.write(&mut out);
    }
    Ok(Cow::Owned(out))
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Piece<'t> {
    Plain(&'t str),
    /// A time that is that of its response, and whether its month comes before its day.
    Clock(&'t str, bool),
    /// For the rule `timestamp`: a time that is that of its response, and the zone for which it is.
    Time(&'t str, i32),
    /// Something of an interchangeable kind.
    Kind(TreatEqual, &'t str),
}

impl Piece<'_> {
    /// Writes it so that pieces that are written the same are equal, and at most as long as they are.
    fn write(&self, out: &mut String) {
        let _ = match self {
            Piece::Plain(text)
            | Piece::Clock(text, _)
            | Piece::Time(text, _)
            | Piece::Kind(TreatEqual::Timestamp, text) => write!(out, "{text}"),
            Piece::Kind(TreatEqual::Uuid, _) => write!(out, "\u{FFFD}u"),
            Piece::Kind(TreatEqual::Hash, text) => write!(out, "\u{FFFD}h{}", text.len()),
            Piece::Kind(TreatEqual::Token, text) => write!(out, "{}\u{FFFD}{}", prefix(text), alphabet(text)),
        };
    }
}

fn are_equal(primary: &Piece<'_>, mirror: &Piece<'_>) -> bool {
    match (primary, mirror) {
        (Piece::Plain(one), Piece::Plain(other)) => one == other,
        (Piece::Clock(one, order), Piece::Clock(other, same)) => order == same && has_same_form(one, other),
        // One of two systems may write UTC.
        (Piece::Time(_, zone), Piece::Time(_, other)) => zone == other || *zone == 0 || *other == 0,
        (Piece::Kind(TreatEqual::Hash, one), Piece::Kind(TreatEqual::Hash, other)) => one.len() == other.len(),
        (Piece::Kind(TreatEqual::Token, one), Piece::Kind(TreatEqual::Token, other)) => {
            let (short, long) = (one.len().min(other.len()), one.len().max(other.len()));
            prefix(one) == prefix(other) && (alphabet(one) == alphabet(other) || long * 4 <= short * 5)
        }
        (Piece::Kind(one, _), Piece::Kind(other, _)) => one == other,
        _ => false,
    }
}

/// Returns the words before the random part of a token: `sk_live_`.
fn prefix(token: &str) -> &str {
    let is_word = |part: &str| part.len() > 2 && part.bytes().rev().skip(1).all(|byte| byte.is_ascii_lowercase());
    let words = token.split_inclusive(['-', '_']).take_while(|part| is_word(part)).map(str::len).sum::<usize>();
    token.get(..words).unwrap_or_default()
}

/// Returns the kind of a token: JWT, hexadecimal digits, base64 of one case or of both.
fn alphabet(token: &str) -> char {
    match token {
        _ if is_jwt(token) => 'j',
        _ if is_hash(token) => 'x',
        _ if token.bytes().any(|byte| byte.is_ascii_uppercase()) => 't',
        _ => 'l',
    }
}

/// Looks for pieces.
#[derive(Clone, Copy)]
struct Scan<'r> {
    kinds: &'r [TreatEqual],
    /// The time of the response in seconds since 1970.
    time: Option<f64>,
}

impl<'r> Scan<'r> {
    /// Returns the kind of a whole text.
    fn whole<'t>(self, text: &'t str) -> Option<Piece<'t>> {
        let text = text.trim();
        let first = text.chars().next()?;
        if let Some((piece, "")) = self.time_at(text, first) {
            return Some(piece);
        }
        let fits = |kind: &TreatEqual| match kind {
            TreatEqual::Uuid => is_any_uuid(text) || is_ulid(text),
            TreatEqual::Timestamp => false, // see above
            TreatEqual::Hash => is_hash(text),
            TreatEqual::Token => is_token(text),
        };
        TreatEqual::ALL.into_iter().filter(|kind| self.has(*kind)).find(fits).map(|kind| Piece::Kind(kind, text))
    }

    fn has(self, kind: TreatEqual) -> bool {
        self.kinds.contains(&kind)
    }

    fn pieces<'t>(self, text: &'t str, work: &'r Work<'r>) -> Pieces<'t, 'r> {
        Pieces { scan: self, rest: text, previous: ' ', work }
    }

    /// Returns the time at the beginning of a text if it is that of the response, and the rest.
    fn time_at<'t>(self, text: &'t str, first: char) -> Option<(Piece<'t>, &'t str)> {
        let time = self.time?;
        if !first.is_ascii_alphanumeric() {
            return None;
        }
        let is_rule = self.has(TreatEqual::Timestamp);
        let digits = text.bytes().take(20).take_while(u8::is_ascii_digit).count();
        let is_end = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric());
        let found = |rest: &'t str, is_month_first: bool, zone: i32| {
            let text = text.get(..text.len().saturating_sub(rest.len())).unwrap_or_default();
            let piece = if is_rule { Piece::Time(text, zone) } else { Piece::Clock(text, is_month_first) };
            is_end(rest).then_some((piece, rest))
        };
        if matches!(digits, 10 | 13 | 16 | 19) {
            let behind = text.get(digits..).unwrap_or_default();
            let fraction = behind.strip_prefix('.').unwrap_or_default();
            let count = fraction.bytes().take(10).take_while(u8::is_ascii_digit).count();
            let length = if count > 0 { digits + 1 + count } else { digits };
            let (number, rest) = text.split_at_checked(length)?;
            let seconds = clock::read_number(number)?;
            return if is_near(seconds, time) { found(rest, false, 0) } else { None };
        }
        let (clock, rest) = clock::read_first(text)?;
        if is_rule { found(rest, false, clock.zone_if_near(time)?) } else { found(rest, clock.order_if_near(time)?, 0) }
    }
}

/// The pieces of a text. Words and what is between them are plain ones.
struct Pieces<'t, 'r> {
    scan: Scan<'r>,
    rest: &'t str,
    /// The character before the rest.
    previous: char,
    work: &'r Work<'r>,
}

impl<'t> Iterator for Pieces<'t, '_> {
    type Item = Result<Piece<'t>, Stop>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.rest.chars().next()?;
        let special = if first.is_alphanumeric() && !self.previous.is_alphanumeric() {
            match self.special(first) {
                Ok(special) => special,
                Err(stop) => return Some(Err(stop)),
            }
        } else {
            None
        };
        let piece = special.unwrap_or_else(|| {
            let is_word = first.is_alphanumeric();
            let end = self.rest.find(|character: char| character.is_alphanumeric() != is_word);
            Piece::Plain(self.rest.get(..end.unwrap_or(self.rest.len())).unwrap_or_default())
        });
        let (Piece::Plain(text) | Piece::Clock(text, _) | Piece::Time(text, _) | Piece::Kind(_, text)) = piece;
        if let Err(stop) = self.work.spend(PIECE_WORK + 4 * text.len()) {
            return Some(Err(stop));
        }
        self.previous = text.chars().next_back()?;
        self.rest = self.rest.get(text.len()..)?;
        Some(Ok(piece))
    }
}

impl<'t> Pieces<'t, '_> {
    /// Returns what is at the beginning of the rest, if it is more than a word.
    fn special(&self, first: char) -> Result<Option<Piece<'t>>, Stop> {
        let scan = self.scan;
        let near = self.rest.as_bytes().get(..MAX_CLOCK.min(self.rest.len())).unwrap_or_default();
        let may_be_time = first.is_ascii_digit() || near.get(3).is_some_and(|byte| !byte.is_ascii_digit());
        if scan.time.is_some() && may_be_time && first.is_ascii() {
            self.work.spend(MAX_CLOCK)?;
            if let Some((piece, _)) = scan.time_at(self.rest, first) {
                return Ok(Some(piece));
            }
        }
        if scan.kinds.is_empty() {
            return Ok(None);
        }
        let word = self.run(|byte| byte.is_ascii_alphanumeric());
        if scan.has(TreatEqual::Uuid) {
            let dashed = self.rest.get(..36).filter(|text| is_uuid(text) && self.is_end(text.len()));
            if let Some(text) = dashed.or(word.filter(|word| is_any_uuid(word) || is_ulid(word))) {
                return Ok(Some(Piece::Kind(TreatEqual::Uuid, text)));
            }
        }
        let is_between = |character: char| matches!(character, '-' | '_' | '.' | '/' | '~' | '@');
        let hash = word.filter(|word| {
            let next = self.rest.get(word.len()..).and_then(|rest| rest.chars().next()).unwrap_or(' ');
            is_hash(word) || ((is_between(self.previous) || is_between(next)) && is_part_hash(word))
        });
        if let Some(hash) = hash.filter(|_| scan.has(TreatEqual::Hash)) {
            return Ok(Some(Piece::Kind(TreatEqual::Hash, hash)));
        }
        if !scan.has(TreatEqual::Token) {
            return Ok(None);
        }
        // Each run is read from its beginning only, so that the whole takes linear time.
        let runs = [
            self.run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')),
            self.run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')),
            self.run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')),
            word,
        ];
        for run in runs.into_iter().flatten() {
            self.work.spend(run.len())?;
            let padding = self.rest.get(run.len()..).unwrap_or_default();
            let padding = padding.bytes().take(2).take_while(|byte| *byte == b'=').count();
            let padded = self.rest.get(..run.len() + padding).unwrap_or(run);
            if let Some(token) = [padded, run].into_iter().find(|text| is_token(text)) {
                return Ok(Some(Piece::Kind(TreatEqual::Token, token)));
            }
        }
        Ok(None)
    }

    /// Returns the characters at the beginning of the rest that fit, unless the one before does as well.
    fn run(&self, fits: fn(u8) -> bool) -> Option<&'t str> {
        if u8::try_from(self.previous).is_ok_and(fits) {
            return None;
        }
        let run = self.rest.get(..self.rest.bytes().take_while(|byte| fits(*byte)).count())?;
        self.is_end(run.len()).then_some(run)
    }

    /// Returns `true` if no word continues here.
    fn is_end(&self, at: usize) -> bool {
        self.rest.get(at..).is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
    }
}

/// Returns `true` if two times are written in the same way. Fractions of seconds may have another number of digits, and hours
/// and days one or two.
fn has_same_form(one: &str, other: &str) -> bool {
    let (ours, theirs) = (form(one), form(other));
    ours.len() == theirs.len()
        && ours.iter().zip(&theirs).all(|pair| match pair {
            (Form::Digits(one), Form::Digits(other)) => {
                let is_padded = [one, other].iter().any(|digits| digits.starts_with('0'));
                one.len() == other.len() || (!is_padded && one.len() <= 2 && other.len() <= 2)
            }
            (one, other) => one == other,
        })
}

#[derive(Debug, PartialEq)]
enum Form<'t> {
    Digits(&'t str),
    /// Of a second.
    Fraction,
    /// The name of a month or of a weekday, in full if `true`.
    Name(bool),
    /// The half of a day.
    Half,
    Other(&'t str),
}

fn form(time: &str) -> Vec<Form<'_>> {
    let mut form: Vec<Form<'_>> = Vec::new();
    let mut rest = time;
    while let Some(first) = rest.chars().next() {
        let class = |character: char| (character.is_ascii_digit(), character.is_alphabetic());
        let end = rest.find(|character: char| class(character) != class(first)).unwrap_or(rest.len());
        let (run, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let is_fraction = match form.as_slice() {
            [Form::Digits(seconds), Form::Other(".")] => seconds.len() >= 10,
            [.., Form::Other(":"), Form::Digits(_), Form::Other("." | ",")] => true,
            _ => false,
        };
        form.push(match class(first) {
            (true, _) if is_fraction => Form::Fraction,
            (true, _) => Form::Digits(run),
            (_, true) if clock::is_name(run) => Form::Name(run.len() > 3),
            (_, true) if ["am", "pm"].iter().any(|half| run.eq_ignore_ascii_case(half)) => Form::Half,
            _ => Form::Other(run),
        });
        rest = behind;
    }
    form
}

#[cfg(test)]
mod tests;
