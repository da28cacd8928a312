//! JSON strings, written into a buffer. Knows no format.

/// Appends `text` as a JSON string.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    // A `Vec` takes every write, and a `str` is always representable.
    let _ = serde_json::to_writer(out, text);
}

/// The bytes that [`write_string`] appends.
pub(crate) fn size_of_string(text: &str) -> usize {
    let size_of = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0C => 2,
        0..0x20 => 6,
        _ => 1,
    };
    2 + text.bytes().map(size_of).sum::<usize>()
}

/// Appends the bytes of a field value as a JSON string. RFC 9110 section 5.5 allows octets that are not UTF-8; JSON
/// does not, so such a value is read as Latin-1, which is what its sender most likely meant.
pub(crate) fn write_field_value(out: &mut Vec<u8>, value: &[u8]) {
    match std::str::from_utf8(value) {
        Ok(text) => write_string(out, text),
        Err(_) => write_string(out, &value.iter().copied().map(char::from).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_what_is_written() {
        let every: String = (0..=0x2FF).filter_map(char::from_u32).collect();
        let each = every.chars().map(String::from);
        for text in each.chain([every.clone(), String::new(), "\u{1F600}\u{2028}".to_owned()]) {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            assert_eq!(size_of_string(&text), out.len(), "{text:?}");
        }
    }
}
