//! Bytes of a file as text. Owns the byte order marks; UTF-16 is what Windows PowerShell 5 writes with `>`.

/// Returns the text without its byte order mark; `None` if the bytes are invalid in their encoding. UTF-16 is recognised by
/// its byte order mark; without one, by a NUL in one of the first two bytes, since every format that Crossfade reads starts
/// with an ASCII character.
#[must_use]
pub fn decode(bytes: Vec<u8>) -> Option<String> {
    match bytes.as_slice() {
        [0xff, 0xfe, text @ ..] => utf16(text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] => utf16(text, u16::from_be_bytes),
        [0, low, ..] if *low != 0 => utf16(&bytes, u16::from_be_bytes),
        [low, 0, ..] if *low != 0 => utf16(&bytes, u16::from_le_bytes),
        [0xef, 0xbb, 0xbf, text @ ..] => std::str::from_utf8(text).map(str::to_owned).ok(),
        _ => String::from_utf8(bytes).ok(),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, []) = bytes.as_chunks::<2>() else { return None };
    char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect::<Result<_, _>>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "version: 1 # Grüße 🦀\r\n";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (mark, bytes) in [
            (&[][..], text.as_bytes()),
            (b"\xef\xbb\xbf", text.as_bytes()),
            (b"\xff\xfe", &little),
            (b"\xfe\xff", &big),
            (b"", &little),
            (b"", &big),
        ] {
            assert_eq!(decode([mark, bytes].concat()).as_deref(), Some(text), "{mark:x?}");
        }
    }

    #[test]
    fn other_bytes_are_rejected() {
        for bytes in [&b"\xff"[..], b"a\xe9", b"\xff\xfea", b"\xff\xfe\x00\xd8", b"\x1f\x8b\x08"] {
            assert_eq!(decode(bytes.to_vec()), None, "{bytes:x?}");
        }
        assert_eq!(decode(Vec::new()).as_deref(), Some(""));
        assert_eq!(decode(b"\xff\xfe".to_vec()).as_deref(), Some(""));
    }
}
