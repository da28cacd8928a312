//! The shapes of texts that differ on every response: UUIDs, hashes, tokens, dates.

use crossfade_journal::redaction::is_jwt;

/// Length of the shortest hash in digits.
const MIN_HASH: usize = 16;
/// Length of the shortest hash in digits that stands between separators, as in file names.
const MIN_PART_HASH: usize = 8;
/// Length of the shortest token in characters.
const MIN_TOKEN: usize = 20;
/// Length of a token's parts without punctuation, which `summer-sale-2026` does not reach.
const MIN_TOKEN_PART: usize = 8;

/// Returns `true` for a UUID (RFC 9562 section 4), also without dashes.
pub(crate) fn is_any_uuid(text: &str) -> bool {
    is_uuid(text) || (text.len() == 32 && is_hex(text))
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

/// Returns `true` for hexadecimal digits in one case, with digits and letters mixed: numbers and codes are no hashes.
fn is_hex(text: &str) -> bool {
    let has = |wanted: fn(&u8) -> bool| text.as_bytes().iter().any(wanted);
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
        && has(u8::is_ascii_lowercase) != has(u8::is_ascii_uppercase)
        && changes(text.as_bytes()) * 6 >= text.len()
}

/// Returns `true` for a hash that is a text of its own.
pub(crate) fn is_hash(text: &str) -> bool {
    text.len() >= MIN_HASH && is_hex(text)
}

/// Returns `true` for a hash that is a part of a URL or of a file's name.
pub(crate) fn is_part_hash(text: &str) -> bool {
    text.len() >= MIN_PART_HASH && is_hex(text)
}

/// Returns `true` for base64 (RFC 4648 sections 4 and 5) that looks random, and for JWTs. Paths consist of the same
/// characters but are not tokens: the standard alphabet also needs the length and letters of a token, and the two alphabets
/// do not mix. Nor are numbers that people read, such as of orders, articles and accounts: those have capitals only, few
/// letters, or digits in groups.
pub(crate) fn is_token(text: &str) -> bool {
    if is_jwt(text) {
        return true;
    }
    let token = text.trim_end_matches('=');
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric();
    let has = |wanted: fn(&u8) -> bool| token.as_bytes().iter().any(wanted);
    let is_url_safe = token.bytes().all(|byte| is_part(&byte) || matches!(byte, b'-' | b'_'));
    let is_standard = token.bytes().all(|byte| is_part(&byte) || matches!(byte, b'+' | b'/'))
        && text.len().is_multiple_of(4)
        && !token.starts_with('/')
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase);
    let is_code = !has(u8::is_ascii_lowercase) && !is_hex(token);
    if token.len() < MIN_TOKEN || !(is_url_safe || is_standard) || is_code {
        return false;
    }
    let random = token.as_bytes().split(|byte| !is_part(byte)).filter(|part| is_random(part));
    random.map(<[u8]>::len).sum::<usize>() * 2 >= token.len()
}

/// Returns `true` for letters and digits that are mixed as they are not in words, numbers and codes.
fn is_random(part: &[u8]) -> bool {
    let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
    part.len() >= MIN_TOKEN_PART && digits > 0 && digits * 8 < part.len() * 7 && changes(part) * 9 >= part.len() * 2
}

/// Counts the characters of another kind than the one before: digits, small letters, capitals. A random text has a change at
/// half of its characters. A capital before small letters begins a word and does not count.
fn changes(part: &[u8]) -> usize {
    let is_change = |pair: &&[u8]| match pair {
        [one, other] if one.is_ascii_digit() || other.is_ascii_digit() => {
            one.is_ascii_digit() != other.is_ascii_digit()
        }
        [one, other] => one.is_ascii_lowercase() && other.is_ascii_uppercase(),
        _ => false,
    };
    part.windows(2).filter(is_change).count()
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
