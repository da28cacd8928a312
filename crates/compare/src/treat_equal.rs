//! Recognises texts that differ on every response: UUIDs, times, hashes, tokens. The modules of each kind of content
//! decide where they count as equal, and `endpoint` which path segments are IDs.

use std::borrow::Cow;
use std::time::SystemTime;

use crossfade_journal::redaction::is_jwt;

use crate::work::{Stop, Work};

/// 2000 to 2050 in seconds since 1970.
const HALF_CENTURY: std::ops::Range<f64> = 946_684_800.0..2_524_608_000.0;
/// Length of the shortest hash in digits.
const MIN_HASH: usize = 16;
/// Length of the shortest token in characters.
const MIN_TOKEN: usize = 20;
/// Length of a token's longest part without punctuation, which `summer-sale-2026` does not reach.
const MIN_TOKEN_PART: usize = 8;

/// A kind of text that differs on every response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreatEqual {
    /// `uuid`: UUIDs (RFC 9562) and ULIDs.
    Uuid,
    /// `timestamp`: a date with a time (RFC 3339, RFC 9110), or seconds or milliseconds since 1970 that fall between
    /// 2000 and 2050.
    Timestamp,
    /// `hash`: at least 16 hexadecimal digits.
    Hash,
    /// `token`: at least 20 characters of base64 with digits and letters, and JWTs.
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

    /// Returns `true` if a text is of this kind.
    pub(crate) fn fits(self, text: &str) -> bool {
        match self {
            TreatEqual::Uuid => is_uuid(text) || is_ulid(text),
            TreatEqual::Timestamp => is_timestamp(text),
            TreatEqual::Hash => text.len() >= MIN_HASH && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
            TreatEqual::Token => is_token(text) || is_jwt(text),
        }
    }

    /// Returns the replacement for a text of this kind in larger texts. It is shorter than any of them, so that a text
    /// does not grow.
    fn placeholder(self) -> &'static str {
        match self {
            TreatEqual::Uuid => "\u{FFFD}u",
            TreatEqual::Timestamp => "\u{FFFD}d",
            TreatEqual::Hash => "\u{FFFD}h",
            TreatEqual::Token => "\u{FFFD}t",
        }
    }

    /// Returns `true` if a number is of this kind.
    pub(crate) fn fits_number(self, number: f64) -> bool {
        self == TreatEqual::Timestamp && (HALF_CENTURY.contains(&number) || HALF_CENTURY.contains(&(number / 1000.0)))
    }
}

/// Returns `true` if a text is of any of these kinds.
pub(crate) fn is_any(text: &str, kinds: &[TreatEqual]) -> bool {
    kinds.iter().any(|kind| kind.fits(text))
}

/// Returns `true` if both texts are times of the same form, each close to the time of its response: they are clocks, and
/// differ on every response.
pub(crate) fn are_clocks(_primary: &str, _mirror: &str, _times: [SystemTime; 2]) -> bool {
    false
}

/// Replaces texts of these kinds: the text as a whole, or words in it.
pub(crate) fn replaced<'a>(text: &'a str, kinds: &[TreatEqual], work: &Work<'_>) -> Result<Cow<'a, str>, Stop> {
    if kinds.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    work.spend(text.len())?;
    let placeholder = |text| {
        let kind = kinds.iter().find(|kind| kind.fits(text))?;
        Some(kind.placeholder())
    };
    if let Some(whole) = placeholder(text.trim()) {
        return Ok(Cow::Borrowed(whole));
    }
    let is_delimiter = |character: char| character.is_whitespace() || "\"'`<>()[]{},;&?|=/\\#!*".contains(character);
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(is_delimiter) {
        let word = piece.trim_end_matches(is_delimiter).trim_end_matches(['.', ':']);
        work.spend(1 + piece.len() * kinds.len())?;
        match if word.is_empty() { None } else { placeholder(word) } {
            Some(placeholder) => out.push_str(placeholder),
            None => out.push_str(word),
        }
        out.push_str(piece.get(word.len()..).unwrap_or_default());
    }
    Ok(Cow::Owned(out))
}

/// Returns `true` for a UUID (RFC 9562 section 4).
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Returns `true` for a ULID: 26 digits of Crockford's base 32 in upper or lower case, the first of three bits.
pub(crate) fn is_ulid(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (byte.is_ascii_alphabetic() && !b"ILOUilou".contains(&byte));
    text.len() == 26
        && matches!(text.as_bytes().first(), Some(b'0'..=b'7'))
        && text.bytes().all(is_digit)
        && !(text.bytes().any(|byte| byte.is_ascii_lowercase()) && text.bytes().any(|byte| byte.is_ascii_uppercase()))
}

/// Returns `true` for base64 (RFC 4648 sections 4 and 5). Paths consist of the same characters but are not tokens: the
/// standard alphabet also needs the length and letters of a token, and the two alphabets do not mix.
fn is_token(text: &str) -> bool {
    let token = text.trim_end_matches('=');
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric();
    let has = |wanted: &dyn Fn(&u8) -> bool| token.as_bytes().iter().any(wanted);
    let is_url_safe = token.bytes().all(|byte| is_part(&byte) || matches!(byte, b'-' | b'_'));
    let is_standard = token.bytes().all(|byte| is_part(&byte) || matches!(byte, b'+' | b'/'))
        && text.len().is_multiple_of(4)
        && !token.starts_with('/')
        && has(&u8::is_ascii_lowercase)
        && has(&u8::is_ascii_uppercase);
    let is_mixed = |part: &[u8]| {
        part.len() >= MIN_TOKEN_PART && part.iter().any(u8::is_ascii_digit) && part.iter().any(u8::is_ascii_alphabetic)
    };
    token.len() >= MIN_TOKEN
        && (is_url_safe || is_standard)
        && token.as_bytes().split(|byte| !is_part(byte)).any(is_mixed)
}

/// Returns `true` for `2026-12-31`.
pub(crate) fn is_date(text: &str) -> bool {
    let number = |range, most: u32| {
        text.get(range)
            .filter(|digits: &&str| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .is_some_and(|digits| digits.parse().is_ok_and(|number: u32| (1..=most).contains(&number)))
    };
    text.len() == 10
        && text.as_bytes().get(4) == Some(&b'-')
        && text.as_bytes().get(7) == Some(&b'-')
        && number(0..4, 9999)
        && number(5..7, 12)
        && number(8..10, 31)
}

fn is_timestamp(text: &str) -> bool {
    if text.len() >= 10 && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return text.parse().is_ok_and(|number| TreatEqual::Timestamp.fits_number(number));
    }
    is_rfc3339(text) || is_http_date(text)
}

/// Returns `true` for a time of RFC 3339 section 5.6, also with a space for the `T` and, as much software writes it,
/// without an offset or seconds.
fn is_rfc3339(text: &str) -> bool {
    let Some((date, time)) = text.split_at_checked(10) else { return false };
    let Some(time) = time.strip_prefix(['T', 't', ' ']) else { return false };
    let Some((clock, rest)) = time.split_at_checked(5) else { return false };
    let is_clock = |text: &str| {
        text.bytes().enumerate().all(|(at, byte)| if at == 2 { byte == b':' } else { byte.is_ascii_digit() })
    };
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = match rest.strip_prefix(':') {
        Some(seconds) if digits(seconds) == 2 => seconds.get(2..).unwrap_or_default(),
        Some(_) => return false,
        None => rest,
    };
    let rest = match rest.strip_prefix(['.', ',']) {
        Some(fraction) if digits(fraction) > 0 => fraction.get(digits(fraction)..).unwrap_or_default(),
        Some(_) => return false,
        None => rest,
    };
    let is_offset = match rest.strip_prefix(['+', '-']) {
        Some(offset) => match offset.len() {
            5 => is_clock(offset),
            2 | 4 => digits(offset) == offset.len(),
            _ => false,
        },
        None => matches!(rest, "" | "Z" | "z" | " UTC"),
    };
    is_date(date) && is_clock(clock) && is_offset
}

/// Returns `true` for an IMF-fixdate (RFC 9110 section 5.6.7), also with dashes in the date as in cookies.
fn is_http_date(text: &str) -> bool {
    const SHAPE: &[u8] = b"Aaa, 00 Aaa 0000 00:00:00 GMT";
    text.len() == SHAPE.len()
        && text.ends_with("GMT")
        && text.bytes().zip(SHAPE).all(|(byte, shape)| match shape {
            b'A' | b'a' | b'G' | b'M' | b'T' => byte.is_ascii_alphabetic(),
            b'0' => byte.is_ascii_digit(),
            b' ' => matches!(byte, b' ' | b'-'),
            _ => byte == *shape,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::never_over;

    #[test]
    fn kinds_are_recognised() {
        use TreatEqual::{Hash, Timestamp, Token, Uuid};
        for (text, kinds) in [
            ("f47ac10b-58cc-4372-a567-0e02b2c3d479", &[Uuid, Token][..]),
            ("F47AC10B-58CC-4372-A567-0E02B2C3D479", &[Uuid, Token]),
            ("f47ac10b-58cc-4372-a567-0e02b2c3d47", &[Token]),
            ("01ARZ3NDEKTSV4RRFFQ69G5FAV", &[Uuid, Token]),
            ("91ARZ3NDEKTSV4RRFFQ69G5FAV", &[Token]),
            ("2026-05-01T10:00:00Z", &[Timestamp]),
            ("2026-05-01T10:00:00.123456789+02:00", &[Timestamp]),
            ("2026-05-01 10:00:00", &[Timestamp]),
            ("2026-05-01T10:00Z", &[Timestamp]),
            ("2026-05-01T10:00:00+0200", &[Timestamp]),
            ("2026-13-01T10:00:00Z", &[]),
            ("2026-05-01", &[]),
            ("2026-05-01T1:00:00Z", &[]),
            ("Sun, 06 Nov 1994 08:49:37 GMT", &[Timestamp]),
            ("Sun, 06 Nov 1994 08:49:37 PST", &[]),
            ("1767225600", &[Timestamp]),
            ("1767225600000", &[Timestamp]),
            ("1767225600.5", &[Timestamp]),
            ("946684799", &[]),
            ("2524608000", &[]),
            ("d41d8cd98f00b204e9800998ecf8427e", &[Hash, Token]),
            ("d41d8cd98f00b20", &[]),
            ("d41d8cd98f00b204", &[Hash]),
            ("3q2+7w9xYzABCDEFghijkl==", &[Token]),
            ("sk_live_51H8abcXYZdefGHI", &[Token]),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", &[Token]),
            ("internationalization", &[]),
            ("the-summer-sale-of-2026-is-on", &[]),
            ("/api/v2/customers/orders", &[]),
            ("a/f47ac10b-58cc-4372-a567-0e02b2c3d479/b", &[]),
            ("ab/cd/3f2a1b9c3f2a1b9c/e", &[]),
            ("ééééééééééééééééééééé1", &[]),
            ("", &[]),
        ] {
            let fits: Vec<_> = [Uuid, Timestamp, Hash, Token].into_iter().filter(|kind| kind.fits(text)).collect();
            assert_eq!(fits, kinds, "{text}");
        }
        for (number, is_time) in
            [(1_767_225_600.0, true), (1.767e12, true), (5.0, false), (-1e9, false), (1e300, false)]
        {
            assert_eq!(Timestamp.fits_number(number), is_time, "{number}");
        }
    }

    #[test]
    fn words_are_replaced() {
        use TreatEqual::{Timestamp, Token, Uuid};
        for (one, other, is_same) in [
            ("id f47ac10b-58cc-4372-a567-0e02b2c3d479.", "id 00000000-58cc-4372-a567-0e02b2c3d479.", true),
            ("/a/f47ac10b-58cc-4372-a567-0e02b2c3d479/b", "/a/00000000-58cc-4372-a567-0e02b2c3d479/c", false),
            ("at 2026-05-01T10:00:00Z, done", "at 2026-05-02T10:00:00Z, done", true),
            ("Sun, 06 Nov 1994 08:49:37 GMT", " Sun, 06 Nov 1995 08:49:37 GMT ", true),
            ("one", "two", false),
        ] {
            let kinds = [Uuid, Timestamp, Token];
            let work = Work::new(&never_over);
            let replaced = |text| replaced(text, &kinds, &work).unwrap();
            assert_eq!(replaced(one) == replaced(other), is_same, "{one}");
        }
    }
}
