//! Detects paths that could leave the directory that they begin in. Owns every disguise of a dot segment that some
//! server decodes; changes no path.

/// Bytes in the longest sequence that a lenient UTF-8 decoder reads as one character.
const LONGEST_SEQUENCE: usize = 6;

/// A server's way of reading bytes that are not valid UTF-8.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Utf8 {
    /// As invalid.
    Strict,
    /// Overlong forms of ASCII characters are accepted.
    Overlong,
    /// In addition, the two high bits of continuation bytes are ignored.
    Masked,
}

/// Returns `true` if a server that normalises paths could leave the directory that `path` begins in.
///
/// A segment counts if it is `.` or `..` after all decoding: percent-encoding nested to any depth, `%uXXXX`, overlong
/// UTF-8, full-width and other characters that are mapped to ASCII, and a backslash for a slash. Whatever some servers
/// drop or cut off is ignored: white space, control characters, invalid bytes, a path parameter (`..;x`), a NUL and
/// what follows it, and a query or fragment that appears only after decoding. Takes time linear in the length of the
/// path.
#[must_use]
pub fn has_dot_segment(path: &str) -> bool {
    // A dot segment needs one of these; nearly every path ends here.
    if !path.contains(['.', '%']) && path.is_ascii() {
        return false;
    }
    // No reading is enough: each may take a slash, which ends a segment in another reading, for a part of a character.
    [Utf8::Strict, Utf8::Overlong, Utf8::Masked].into_iter().any(|utf8| {
        let decoded = decode(path.as_bytes(), utf8);
        let text = String::from_utf8_lossy(&decoded);
        let text: String = text.chars().map(|character| ascii_of(character).unwrap_or(character)).collect();
        text.split(['/', '\\']).any(is_dot_segment)
    })
}

fn is_dot_segment(segment: &str) -> bool {
    let name = segment.split([';', '?', '#']).next().unwrap_or_default();
    let before_nul = name.split('\0').next().unwrap_or_default();
    [name, before_nul].into_iter().any(|name| {
        let left: String = name.chars().filter(|character| !is_dropped(*character)).take(3).collect();
        // The last two are two dots in one character.
        matches!(left.as_str(), "." | ".." | "\u{2025}" | "\u{FE30}")
    })
}

/// Returns `true` if some server drops a character, or cannot read it.
fn is_dropped(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(character, '\u{FFFD}' | '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}')
}

/// Decodes until nothing is left to decode.
///
/// An escape is replaced as soon as its last byte is read, and its result may complete the next one. Different kinds of
/// percent-encoding do not overlap, so the result equals that of decoding the whole path repeatedly, which would take
/// quadratic time.
fn decode(path: &[u8], utf8: Utf8) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for byte in path {
        out.push(*byte);
        while let Some((length, character)) = escape_at_end(&out, utf8) {
            out.truncate(out.len() - length);
            match character {
                Decoded::Byte(byte) => out.push(byte),
                Decoded::Character(character) => {
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    // It is not part of an escape.
                    if !character.is_ascii() {
                        break;
                    }
                }
            }
        }
    }
    out
}

/// The result of an escape.
enum Decoded {
    Byte(u8),
    Character(char),
}

/// Returns the length and the result of the escape that the bytes end with.
fn escape_at_end(bytes: &[u8], utf8: Utf8) -> Option<(usize, Decoded)> {
    if let Some([b'%', high, low]) = bytes.last_chunk()
        && let Some(byte) = hex(&[*high, *low])
    {
        return Some((3, Decoded::Byte(byte as u8)));
    }
    // IIS and old scripts write code units: `%u002e`.
    if let Some([b'%', b'u' | b'U', digits @ ..]) = bytes.last_chunk::<6>()
        && let Some(unit) = hex(digits)
    {
        let character = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
        return Some((6, Decoded::Character(ascii_of(character).unwrap_or(character))));
    }
    let (length, byte) = overlong_at_end(bytes, utf8)?;
    Some((length, Decoded::Byte(byte)))
}

/// Likewise for an overlong ASCII character. A `%` may begin an escape for the next of these bytes.
fn overlong_at_end(bytes: &[u8], utf8: Utf8) -> Option<(usize, u8)> {
    if utf8 == Utf8::Strict || bytes.last() == Some(&b'%') {
        return None;
    }
    (2..=LONGEST_SEQUENCE).find_map(|length| {
        let [first, following @ ..] = bytes.get(bytes.len().checked_sub(length)?..)? else { return None };
        // As many ones as there are bytes, then a zero.
        let ones = first.leading_ones() as usize;
        let continues = |byte: &u8| utf8 == Utf8::Masked || matches!(byte, 0x80..=0xBF);
        if ones != length || !following.iter().all(continues) {
            return None;
        }
        let rest = u64::from(first & (0x7F >> ones));
        let code = following.iter().fold(rest, |code, byte| code << 6 | u64::from(byte & 0x3F));
        u8::try_from(code).ok().filter(u8::is_ascii).map(|byte| (length, byte))
    })
}

/// Returns the ASCII character that servers on Windows, or after compatibility normalisation (NFKC), map a character
/// to.
fn ascii_of(character: char) -> Option<char> {
    match character {
        '\u{2024}' | '\u{FE52}' => Some('.'),
        '\u{2044}' | '\u{2215}' => Some('/'),
        // Japanese and Korean code pages have a currency sign in place of the backslash.
        '\u{2216}' | '\u{FE68}' | '\u{A5}' | '\u{20A9}' | '\u{FFE5}' => Some('\\'),
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(character).wrapping_sub(0xFEE0)),
        _ => character.is_ascii().then_some(character),
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_segments_are_detected_in_every_disguise() {
        for path in [
            "/..",
            "/a/../b",
            "/a/.",
            "/%2e%2e/b",
            "/.%2E/b",
            "/a\\..\\b",
            "/a%2f..%2fb",
            "/a%5c..",
            // Encoded more than once, and one digit at a time.
            "/%252e%252e/",
            "/%2525252E./",
            "/%25%32%65%25%32%65/admin",
            "/..%25%32%66admin",
            "/%%32e%%32e/",
            "/%%32%65./",
            "/%2%65./",
            "/%25%32%35%25%33%32%25%36%35./",
            // Code units, and characters that are mapped to ASCII.
            "/%u002e%u002e/",
            "/%U002E./",
            "/..%u2215admin",
            "/%uff0e%uFF0E/",
            "/%25u002e./",
            "/%u0025%u0032%u0065./",
            "/%ef%bc%8e%ef%bc%8e/",
            "/\u{FF0E}\u{FF0E}/",
            "/\u{2025}/",
            "/..%ef%bc%8fadmin",
            // Overlong UTF-8, including forms that only the most lenient decoders accept.
            "/%c0%ae%c0%ae/",
            "/%c0%2e%c0%2e/",
            "/..%c0%afadmin",
            "/..%c1%9cadmin",
            "/%e0%80%ae./",
            "/%e0%40%ae./",
            "/%f0%80%80%ae./",
            "/%f8%80%80%80%ae./",
            "/%fc%80%80%80%80%ae./",
            "/%25c0%25ae./",
            "/%c0%a52e./",
            // A slash that a lenient decoder takes for a part of a character is a slash to all others.
            "/;%c1/../admin",
            "/;%e0%81/../admin",
            "/%c1/../admin",
            "/x%c1/../admin",
            "/%c1%2f../x",
            "/%f0%80%81/../x",
            "/%fc%80%80%80%81/../x",
            "/;%25c1/../x",
            "/;%c1/..;%c1/..;%c1/../admin",
            "/%c0/../admin",
            // Characters that are dropped.
            "/.%09./admin",
            "/.%0a./admin",
            "/%00../admin",
            "/.%00./admin",
            "/..%ff/admin",
            "/..%c1/..%c1/admin",
            "/..%E2%80%8B/admin",
            "/..%EF%BB%BF/admin",
            "/.%C2%AD./admin",
            // More characters that are mapped to ASCII.
            "/%EF%B9%92%EF%B9%92/admin",
            "/%EF%B8%B0/admin",
            "/..%EF%B9%A8admin",
            "/%u2025/admin",
            "/..%C2%A5admin",
            "/..%uFFE5admin",
            // Suffixes that are cut off.
            "/..;/b",
            "/..;x/b",
            "/..%3bx",
            "/..%253bx",
            "/.;x=/b",
            "/..%00/",
            "/..%00.png",
            "/..%3f/",
            "/..%23/",
            "/..%20/b",
            "/%09../b",
            "/..%0d/",
        ] {
            assert!(has_dot_segment(path), "{path}");
        }
        for path in [
            "/",
            "/a.b",
            "/...",
            "/a/..b",
            "/.well-known/x",
            "/%2e%2e%2e",
            "/caf%C3%A9.html",
            "/caf\u{E9}/a.b",
            "/100%25/a.b",
            "/a%2eb",
            "/%",
            "/%2",
            "/%u002",
            "/%E2%80%A6/a.b",
            "/a;..",
            "/%e3%80%82%e3%80%82",
            "/%c1/a.b",
            "/caf%e9/a.b/c",
            "/%u4e2d.html",
            "/a%00.",
        ] {
            assert!(!has_dot_segment(path), "{path}");
        }
    }

    #[test]
    fn deep_encoding_takes_linear_time() {
        // Decoding the whole path until nothing changes would take half a million passes over a megabyte.
        let path = format!("/a.b/%{}2e./", "25".repeat(500_000));
        assert!(has_dot_segment(&path));
    }
}
