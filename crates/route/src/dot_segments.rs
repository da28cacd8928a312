//! Paths that could leave the directory they begin in. Owns every disguise of a dot segment that some server undoes;
//! changes no path.

/// The deepest sequence of bytes that a lenient UTF-8 decoder reads as one character.
const LONGEST_SEQUENCE: usize = 6;

/// Returns whether a server that normalises paths could leave the directory `path` begins in.
///
/// A segment counts if it is `.` or `..` once everything is decoded: percent-encoding nested to any depth, `%uXXXX`, overlong
/// UTF-8, full-width characters, a backslash for a slash. What some servers cut off a segment is ignored: a path
/// parameter (`..;x`), a NUL and what follows it, a query or fragment that appears only when decoded, and white space.
/// Takes time linear in the length of the path.
#[must_use]
pub fn has_dot_segment(path: &str) -> bool {
    // All that a dot can be made of; nearly every path ends here.
    if !path.contains(['.', '%']) && path.is_ascii() {
        return false;
    }
    let decoded = decode(path.as_bytes());
    let text = String::from_utf8_lossy(&decoded);
    let text: String = text.chars().map(|character| ascii_of(character).unwrap_or(character)).collect();
    text.split(['/', '\\']).any(|segment| {
        let name = segment.split([';', '?', '#', '\0']).next().unwrap_or_default();
        let name = name.trim_matches(|character: char| character.is_whitespace() || character.is_control());
        matches!(name, "." | ".." | "\u{2025}")
    })
}

/// Decodes until nothing is left to decode.
///
/// An escape is replaced as soon as its last byte is there, and what it stands for may complete the next one. No two kinds
/// of escape overlap, so the result is the one that repeated decoding of the whole would give, without its quadratic time.
fn decode(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for byte in path {
        out.push(*byte);
        while let Some((length, byte)) = escape_at_end(&out) {
            out.truncate(out.len() - length);
            out.push(byte);
        }
    }
    out
}

/// The escape that the bytes end with: its length, and the byte that it stands for.
fn escape_at_end(bytes: &[u8]) -> Option<(usize, u8)> {
    if let Some([b'%', high, low]) = bytes.last_chunk()
        && let Some(byte) = hex(&[*high, *low])
    {
        return Some((3, byte as u8));
    }
    // IIS and old scripts write code units: `%u002e`.
    if let Some([b'%', b'u' | b'U', digits @ ..]) = bytes.last_chunk::<6>()
        && let Some(unit) = hex(digits)
    {
        let character = char::from_u32(unit).and_then(ascii_of);
        return Some((6, character.map_or(b'?', |character| character as u8)));
    }
    overlong_at_end(bytes)
}

/// The same for an ASCII character in more bytes than it needs, which lenient decoders accept without a look at the two
/// high bits of the bytes that follow the first. A `%` may begin an escape that stands for the next of these bytes.
fn overlong_at_end(bytes: &[u8]) -> Option<(usize, u8)> {
    if bytes.last() == Some(&b'%') {
        return None;
    }
    (2..=LONGEST_SEQUENCE).find_map(|length| {
        let [first, following @ ..] = bytes.get(bytes.len().checked_sub(length)?..)? else { return None };
        // As many ones as there are bytes, then a zero.
        let ones = first.leading_ones() as usize;
        if ones != length {
            return None;
        }
        let rest = u64::from(first & (0x7F >> ones));
        let code = following.iter().fold(rest, |code, byte| code << 6 | u64::from(byte & 0x3F));
        u8::try_from(code).ok().filter(u8::is_ascii).map(|byte| (length, byte))
    })
}

/// The ASCII character that servers on Windows, or after a compatibility normalisation (NFKC), take a character for.
fn ascii_of(character: char) -> Option<char> {
    match character {
        '\u{2024}' => Some('.'),
        '\u{2044}' | '\u{2215}' => Some('/'),
        '\u{2216}' => Some('\\'),
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

    #[test] // T10
    fn dot_segments_are_seen_in_every_disguise() {
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
            // Code units, and characters that are taken for ASCII.
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
            // Overlong UTF-8, also with what only the most lenient accept.
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
            // What is cut off.
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
        ] {
            assert!(!has_dot_segment(path), "{path}");
        }
    }

    #[test] // T23
    fn deep_encoding_takes_no_longer_than_any_other() {
        // Decoded as a whole until nothing changes, this would take half a million rounds over a megabyte.
        let path = format!("/a.b/%{}2e./", "25".repeat(500_000));
        assert!(has_dot_segment(&path));
    }
}
