//! Message content as a JSON string: plain text or base64, whichever is cheaper and fits. Knows no event format.

use crate::json::{size_of_string, write_string};

/// Content of more bytes goes as base64 even where it is text, as long as that fits: looking for what must be escaped
/// costs more (28 k instructions for 1 KiB of JSON). Short texts stay readable.
const PLAIN_TEXT_LIMIT: usize = 256;

/// The form that content of either kind gets where both fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// See [`PLAIN_TEXT_LIMIT`].
    Cheapest,
    /// Text wherever the content is text.
    Text,
}

/// Appends content as a JSON string and says whether it is base64, or, with nothing appended, how many bytes the
/// smallest form takes if that is more than `room`.
pub(crate) fn write(out: &mut Vec<u8>, content: &[u8], room: usize, form: Form) -> Result<bool, usize> {
    let base64_size = base64_simd::STANDARD.encoded_length(content.len()) + 2;
    let fits_as_base64 = base64_size <= room;
    let prefers_base64 = form == Form::Cheapest && content.len() > PLAIN_TEXT_LIMIT && fits_as_base64;
    let text = if prefers_base64 { None } else { std::str::from_utf8(content).ok() };
    let Some(text) = text else {
        if !fits_as_base64 {
            return Err(base64_size);
        }
        out.push(b'"');
        base64_simd::STANDARD.encode_append(content, out);
        out.push(b'"');
        return Ok(true);
    };
    // Written only if it fits: control characters take six times their size, in a buffer that is kept.
    let size = size_of_string(text);
    if size > room {
        return Err(size.min(base64_size));
    }
    out.reserve(size);
    write_string(out, text);
    Ok(false)
}

/// Decodes base64 with or without padding.
pub(crate) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    base64_simd::STANDARD.decode_to_vec(text).or_else(|_| base64_simd::STANDARD_NO_PAD.decode_to_vec(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(content: &[u8], room: usize) -> (String, Result<bool, usize>) {
        let mut out = Vec::new();
        let result = write(&mut out, content, room, Form::Cheapest);
        (String::from_utf8(out).unwrap(), result)
    }

    #[test]
    fn short_text_stays_readable() {
        assert_eq!(written(b"a \"b\"\n", 100), (r#""a \"b\"\n""#.into(), Ok(false)));
    }

    #[test]
    fn binary_is_base64() {
        assert_eq!(written(&[0xff, 0xfe], 100), (r#""//4=""#.into(), Ok(true)));
    }

    #[test]
    fn long_text_is_base64_until_only_plain_text_fits() {
        let text = [b'a'; 3000];
        assert_eq!(written(&text, 5000).1, Ok(true));
        assert_eq!(written(&text, 3500).1, Ok(false));
        assert_eq!(written(&text, 3002).1, Ok(false));
        assert_eq!(written(&text, 3001), (String::new(), Err(3002)));
    }

    #[test]
    fn what_does_not_fit_takes_no_memory() {
        let mut out = Vec::new();
        assert_eq!(write(&mut out, &[1; 100_000], 100_000, Form::Cheapest), Err(133_338));
        assert_eq!(out.capacity(), 0);
    }

    #[test]
    fn text_is_text_where_it_is_preferred() {
        for (content, is_base64) in [(&[b'a'; 3000], false), (&[0xFF; 3000], true)] {
            let mut out = Vec::new();
            assert_eq!(write(&mut out, content, 5000, Form::Text), Ok(is_base64));
        }
    }

    #[test]
    fn text_full_of_escapes_may_only_fit_as_base64() {
        let text = [b'"'; 3000];
        assert_eq!(written(&text, 4002).1, Ok(true));
        assert_eq!(written(&text, 4001), (String::new(), Err(4002)));
    }
}
