//! Request targets: joins path and query, and escapes what cannot stand in either. Which bytes a front end has decoded, and
//! so what there is to escape, is up to its format.

use bytes::{BufMut, Bytes, BytesMut};
use http::uri::{PathAndQuery, Uri};

use crate::DecodeError;

/// Joins path and query as they are.
pub(crate) fn join(path: Bytes, query: &[u8]) -> Result<Uri, DecodeError> {
    let target = if query.is_empty() {
        path
    } else {
        let mut target = BytesMut::with_capacity(path.len() + 1 + query.len());
        target.extend_from_slice(&path);
        target.put_u8(b'?');
        target.extend_from_slice(query);
        target.freeze()
    };
    // The library would cut the target off here.
    let has_fragment = target.contains(&b'#');
    match PathAndQuery::from_maybe_shared(target.clone()) {
        Ok(target) if !has_fragment => Ok(Uri::from(target)),
        _ => Err(DecodeError::Target(why_no_target(&target))),
    }
}

/// Names, for a message, the first problem that RFC 3986 has with a target. Servers accept many such targets, and so do we.
fn why_no_target(target: &[u8]) -> String {
    let is_wrong = |byte: &u8| byte.is_ascii_control() || b" \"#<>`".contains(byte);
    match target.iter().copied().find(is_wrong) {
        Some(byte) => format!("it has `{}`, which must be percent-encoded", byte.escape_ascii()),
        None => "it is too long".to_owned(),
    }
}

/// The state that a front end delivers a part of a target in: which of its bytes stay, the others are percent-encoded.
pub(crate) struct Delivered {
    stays: [bool; 256],
    /// A `%` stays only before two hexadecimal digits.
    checks_escapes: bool,
}

/// A path as the client sent it: all but what a request line cannot have.
pub(crate) const ENCODED_PATH: Delivered = Delivered { stays: all_but(b"#<>`?"), checks_escapes: false };

/// A query as the client sent it.
pub(crate) const ENCODED_QUERY: Delivered = Delivered { stays: all_but(b"\"#<>"), checks_escapes: false };

/// A path that may have been decoded: what RFC 3986 section 3.3 allows in one. An escape was either kept by the front end or
/// is a literal `%` that happens to look like one; no client can tell.
pub(crate) const DECODED_PATH: Delivered =
    Delivered { stays: letters_digits_and(b"-._~!$&'()*+,;=:@/%"), checks_escapes: true };

/// A key or value of a query that may have been decoded, and whose separators would be ambiguous.
pub(crate) const MAYBE_DECODED_PARAMETER: Delivered = Delivered { stays: all_but(b"\"#<>&"), checks_escapes: true };

/// A key or value of a query that has been decoded: the characters that JavaScript's `encodeURIComponent` leaves, which is
/// the form in which most clients send them.
pub(crate) const DECODED_PARAMETER: Delivered =
    Delivered { stays: letters_digits_and(b"-._~!'()*"), checks_escapes: false };

#[expect(clippy::indexing_slicing, reason = "the compiler runs it, and would end in an error")]
const fn all_but(these: &[u8]) -> [bool; 256] {
    let mut stays = [false; 256];
    let mut byte = 0x21;
    while byte < 0x7F {
        stays[byte] = true;
        byte += 1;
    }
    set(stays, these, false)
}

#[expect(clippy::indexing_slicing, reason = "the compiler runs it, and would end in an error")]
const fn letters_digits_and(these: &[u8]) -> [bool; 256] {
    let mut stays = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        stays[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    set(stays, these, true)
}

#[expect(clippy::indexing_slicing, reason = "the compiler runs it, and would end in an error")]
const fn set(mut stays: [bool; 256], these: &[u8], value: bool) -> [bool; 256] {
    let mut index = 0;
    while index < these.len() {
        stays[these[index] as usize] = value;
        index += 1;
    }
    stays
}

impl Delivered {
    /// Returns the bytes as they can stand in a request line: the same ones if they all can.
    pub(crate) fn escaped(&self, bytes: Bytes) -> Bytes {
        if !self.checks_escapes && bytes.iter().all(|&byte| self.stays(byte)) {
            return bytes;
        }
        let mut out = BytesMut::with_capacity(bytes.len() + 16);
        self.append(&mut out, &bytes);
        out.freeze()
    }

    /// Appends the bytes as they can stand in a request line.
    pub(crate) fn append(&self, out: &mut BytesMut, bytes: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or_default();
        for (index, &byte) in bytes.iter().enumerate() {
            let is_literal = self.checks_escapes && byte == b'%' && !is_escape(bytes.get(index..));
            if self.stays(byte) && !is_literal {
                out.put_u8(byte);
            } else {
                out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 0xF)]);
            }
        }
    }

    fn stays(&self, byte: u8) -> bool {
        self.stays.get(usize::from(byte)).copied().unwrap_or_default()
    }
}

fn is_escape(bytes: Option<&[u8]>) -> bool {
    matches!(bytes, Some([b'%', high, low, ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// A query from the keys and values of a map.
#[derive(Debug, Default)]
pub(crate) struct Query(pub(crate) BytesMut);

impl Query {
    /// Appends a parameter as it is.
    pub(crate) fn append(&mut self, key: &str, value: &str) {
        self.0.reserve(key.len() + value.len() + 2);
        self.separate();
        self.0.extend_from_slice(key.as_bytes());
        self.0.put_u8(b'=');
        self.0.extend_from_slice(value.as_bytes());
    }

    /// Appends a parameter with its bytes escaped.
    pub(crate) fn append_escaped(&mut self, how: &Delivered, key: &str, value: &str) {
        self.separate();
        // In a key it would end the key.
        let mut pieces = key.split('=');
        how.append(&mut self.0, pieces.next().unwrap_or_default().as_bytes());
        for piece in pieces {
            self.0.extend_from_slice(b"%3D");
            how.append(&mut self.0, piece.as_bytes());
        }
        self.0.put_u8(b'=');
        how.append(&mut self.0, value.as_bytes());
    }

    fn separate(&mut self) {
        if !self.0.is_empty() {
            self.0.put_u8(b'&');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_cannot_stand_in_a_target_are_escaped() {
        let every = "a%zz%2F%\u{e9} \"#<>?[\\]^`{|}&=+;/\u{7f}\n";
        for (how, expected) in [
            (&ENCODED_PATH, "a%zz%2F%%C3%A9%20\"%23%3C%3E%3F[\\]^%60{|}&=+;/%7F%0A"),
            (&ENCODED_QUERY, "a%zz%2F%%C3%A9%20%22%23%3C%3E?[\\]^`{|}&=+;/%7F%0A"),
            (&DECODED_PATH, "a%25zz%2F%25%C3%A9%20%22%23%3C%3E%3F%5B%5C%5D%5E%60%7B%7C%7D&=+;/%7F%0A"),
            (&MAYBE_DECODED_PARAMETER, "a%25zz%2F%25%C3%A9%20%22%23%3C%3E?[\\]^`{|}%26=+;/%7F%0A"),
            (&DECODED_PARAMETER, "a%25zz%252F%25%C3%A9%20%22%23%3C%3E%3F%5B%5C%5D%5E%60%7B%7C%7D%26%3D%2B%3B%2F%7F%0A"),
        ] {
            let escaped = how.escaped(Bytes::from(every));
            assert_eq!(std::str::from_utf8(&escaped).unwrap(), expected);
            // Nothing is left to do, but where a `%` itself is escaped.
            let again = how.escaped(escaped.clone());
            assert!(again == escaped || !how.stays(b'%'));
            let is_path = [&ENCODED_PATH.stays, &DECODED_PATH.stays].contains(&&how.stays);
            let (path, query) = if is_path { (&escaped[..], &[][..]) } else { (&[][..], &escaped[..]) };
            assert!(join(Bytes::from([b"/", path].concat()), query).is_ok(), "{expected}");
        }
    }

    #[test]
    fn parameters_keep_their_borders() {
        let mut query = Query::default();
        for (key, value) in [("a=b", "c=d"), ("", ""), ("x&y", "1&2"), ("s", "a b")] {
            query.append_escaped(&DECODED_PARAMETER, key, value);
        }
        assert_eq!(&query.0[..], b"a%3Db=c%3Dd&=&x%26y=1%262&s=a%20b");
    }
}
