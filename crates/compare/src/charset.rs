//! Decodes text into characters. Owns the charsets and the choice between them; the same text in two charsets is the same
//! text. Where bytes are not valid, different bytes stay different.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::coding::MAX_DECODED;
use crate::work::Stop;

/// Bytes at the beginning of a document in which it may declare its charset (HTML Standard, "prescan").
const PRESCAN: usize = 1024;
/// Characters of the bytes 0x80 to 0x9F in windows-1252, which is what the web means by ISO 8859-1 (Encoding Standard).
const WINDOWS_1252: [u16; 32] = [
    0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D, 0x017D,
    0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,
    0x017E, 0x0178,
];
/// Characters for bytes that are not valid UTF-8, in the private use area: 0xF780 and the byte (as in `x-user-defined`).
const INVALID: u16 = 0xF700;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charset {
    Utf8,
    Windows1252,
    Utf16 {
        is_big_endian: bool,
    },
    /// Declared, but not decoded: each byte is a character.
    Other,
}

/// Returns the characters of a content, without a byte order mark. The charset is that of the byte order mark, of
/// `Content-Type`, or of the document's own declaration, in this order; without any, UTF-8 if it is valid, else
/// windows-1252.
pub(crate) fn characters<'c>(headers: &HeaderMap, content: &'c [u8]) -> Result<Cow<'c, str>, Stop> {
    let marks: [(&[u8], Charset); 3] = [
        (b"\xEF\xBB\xBF", Charset::Utf8),
        (b"\xFE\xFF", Charset::Utf16 { is_big_endian: true }),
        (b"\xFF\xFE", Charset::Utf16 { is_big_endian: false }),
    ];
    let marked = marks.iter().find_map(|(mark, charset)| Some((content.strip_prefix(*mark)?, *charset)));
    if let Some((content, charset)) = marked {
        return decode(charset, content);
    }
    let declared = declared(headers).or_else(|| written(content));
    match (declared, std::str::from_utf8(content)) {
        (None | Some(Charset::Utf8), Ok(text)) => Ok(Cow::Borrowed(text)),
        (None, Err(_)) => decode(Charset::Windows1252, content),
        (Some(charset), _) => decode(charset, content),
    }
}

/// Returns the charset of `Content-Type`.
fn declared(headers: &HeaderMap) -> Option<Charset> {
    let value = String::from_utf8_lossy(headers.get(CONTENT_TYPE)?.as_bytes()).to_ascii_lowercase();
    let name = value.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("charset="))?;
    Some(named(name.trim_matches(['"', '\'', ' '])))
}

/// Returns the charset that the document declares: `<meta charset=…>`, or `encoding="…"` of XML.
fn written(content: &[u8]) -> Option<Charset> {
    let begin = content.get(..PRESCAN).unwrap_or(content);
    if !begin.trim_ascii_start().starts_with(b"<") {
        return None;
    }
    let begin = String::from_utf8_lossy(begin).to_ascii_lowercase();
    let in_xml = begin.starts_with("<?xml").then(|| begin.split("?>").next()?.split_once("encoding=")).flatten();
    let (_, rest) = in_xml.or_else(|| begin.split_once("<meta")?.1.split_once("charset="))?;
    let name = rest.trim_start_matches(['"', '\'']).split(['"', '\'', ' ', '/', '>', ';', '?']).next()?;
    // A document that could be read so far is not in UTF-16, whatever it says.
    Some(named(name)).filter(|charset| !matches!(charset, Charset::Utf16 { .. }))
}

fn named(name: &str) -> Charset {
    match name {
        "utf-8" | "utf8" => Charset::Utf8,
        "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "latin1" | "windows-1252" | "cp1252" | "us-ascii" | "ascii" => {
            Charset::Windows1252
        }
        "utf-16" | "utf-16le" => Charset::Utf16 { is_big_endian: false },
        "utf-16be" => Charset::Utf16 { is_big_endian: true },
        _ => Charset::Other,
    }
}

fn decode(charset: Charset, content: &[u8]) -> Result<Cow<'_, str>, Stop> {
    match charset {
        Charset::Utf8 => match std::str::from_utf8(content) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(_) => of_chunks(content),
        },
        Charset::Windows1252 => of_units(content.iter().map(|byte| match byte {
            0x80..=0x9F => WINDOWS_1252.get(usize::from(*byte) - 0x80).copied().unwrap_or(u16::from(*byte)),
            _ => u16::from(*byte),
        })),
        Charset::Utf16 { is_big_endian } => {
            let unit = |pair: &[u8]| match pair {
                [one, other] if is_big_endian => u16::from_be_bytes([*one, *other]),
                [one, other] => u16::from_le_bytes([*one, *other]),
                _ => u16::from(pair.first().copied().unwrap_or_default()) | INVALID,
            };
            of_units(content.chunks(2).map(unit))
        }
        Charset::Other => of_units(content.iter().map(|byte| u16::from(*byte))),
    }
}

fn of_units(units: impl Iterator<Item = u16>) -> Result<Cow<'static, str>, Stop> {
    let mut text = String::new();
    for unit in char::decode_utf16(units) {
        push(&mut text, unit.unwrap_or(char::REPLACEMENT_CHARACTER))?;
    }
    Ok(text.into())
}

/// Decodes UTF-8 in which some bytes are not valid.
fn of_chunks(content: &[u8]) -> Result<Cow<'static, str>, Stop> {
    let mut text = String::new();
    for chunk in content.utf8_chunks() {
        if text.len() + chunk.valid().len() > MAX_DECODED {
            return Err(Stop::TooLarge);
        }
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            push(&mut text, char::from_u32(u32::from(INVALID | u16::from(*byte))).unwrap_or_default())?;
        }
    }
    Ok(text.into())
}

/// Appends a character, within the limit for contents, which decoding may exceed.
fn push(text: &mut String, character: char) -> Result<(), Stop> {
    if text.len() + character.len_utf8() > MAX_DECODED {
        return Err(Stop::TooLarge);
    }
    text.push(character);
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(media_type: &'static str, content: &[u8]) -> String {
        let headers = [(CONTENT_TYPE, HeaderValue::from_static(media_type))].into_iter().collect();
        characters(&headers, content).unwrap().into_owned()
    }

    #[test]
    fn text_is_decoded_by_its_charset() {
        for (media_type, content, expected) in [
            ("text/plain", b"caf\xC3\xA9".as_slice(), "café"),
            ("text/plain", b"caf\xE9", "café"),
            ("text/plain; charset=\"ISO-8859-1\"", b"caf\xE9 \x80", "café €"),
            ("text/plain; charset=iso-8859-1", b"caf\xC3\xA9", "cafÃ©"),
            ("text/html", b"<meta charset='latin1'>caf\xE9", "<meta charset='latin1'>café"),
            ("text/html; charset=utf-8", b"<meta charset='latin1'>caf\xC3\xA9", "<meta charset='latin1'>café"),
            (
                "application/xml",
                b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xE9",
                "<?xml version='1.0' encoding='ISO-8859-1'?><a>é",
            ),
            ("text/plain", b"\xEF\xBB\xBFa", "a"),
            ("text/plain", b"\xFF\xFEa\0\xE9\0", "aé"),
            ("text/plain; charset=utf-16be", b"\0a\0\xE9", "aé"),
            // Not UTF-8, though it says so: what clients would see is not an é.
            ("text/plain; charset=utf-8", b"caf\xE9", "caf\u{F7E9}"),
            ("text/plain; charset=koi8-r", b"\xE9", "é"),
        ] {
            assert_eq!(of(media_type, content), expected, "{media_type} {content:?}");
        }
        let large = vec![0xE9; MAX_DECODED];
        assert_eq!(characters(&HeaderMap::new(), &large), Err(Stop::TooLarge));
    }
}
