//! The framing of an HTTP/1 message: the length of its body (RFC 9112 section 6), and whether the connection persists
//! after it (section 9.3). Reads no bytes.

use http::{HeaderMap, Version, header};

use super::error::RequestError;
use super::head::Head;

/// The length of a body (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
}

/// Returns the framing of a request. With both `Transfer-Encoding` and `Content-Length`, the coding decides.
///
/// # Errors
///
/// For a transfer coding other than `chunked` and `identity`, and for lengths that are not numbers or that differ.
pub(crate) fn framing(head: &Head) -> Result<Framing, RequestError> {
    unknown_coding(&head.headers)?;
    let mut codings = list(&head.headers, "transfer-encoding");
    if codings.any(|coding| coding.eq_ignore_ascii_case(b"chunked")) {
        return Ok(Framing::Chunked);
    }
    let mut lengths = list(&head.headers, "content-length").map(|length| {
        let text = std::str::from_utf8(length).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        text.and_then(|text| text.parse::<u64>().ok())
    });
    let Some(first) = lengths.next() else { return Ok(Framing::Length(0)) };
    let first = first.ok_or_else(|| RequestError::malformed("`Content-Length` is not a number"))?;
    if lengths.any(|other| other != Some(first)) {
        return Err(RequestError::malformed("several `Content-Length` fields have different values"));
    }
    Ok(Framing::Length(first))
}

/// Checks that all transfer codings are known: with an unknown one, nobody can tell where the body ends.
///
/// # Errors
///
/// [`RequestError::UnsupportedCoding`] with the first coding that is neither `chunked` nor `identity`.
pub(crate) fn unknown_coding(headers: &HeaderMap) -> Result<(), RequestError> {
    let known = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked") || coding.eq_ignore_ascii_case(b"identity");
    match list(headers, "transfer-encoding").find(|coding| !known(coding)) {
        Some(coding) => Err(RequestError::UnsupportedCoding(coding.escape_ascii().to_string())),
        None => Ok(()),
    }
}

pub(super) fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Returns whether the client wants the connection to persist (RFC 9112 section 9.3).
pub(crate) fn keeps_alive(head: &Head) -> bool {
    let has = |option: &[u8]| list(&head.headers, "connection").any(|it| it.eq_ignore_ascii_case(option));
    if head.version == Version::HTTP_10 { has(b"keep-alive") } else { !has(b"close") }
}

/// The members of a comma-separated field, over all its lines; empty ones are left out.
pub(crate) fn list<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).into_iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // two lengths would hide a second request
    fn a_body_is_as_long_as_its_framing_says() {
        let of = |fields: &str| {
            let head = Head::parse(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes()).unwrap();
            framing(&head)
        };
        assert_eq!(of(""), Ok(Framing::Length(0)));
        assert_eq!(of("Content-Length: 5\r\n"), Ok(Framing::Length(5)));
        assert_eq!(of("Content-Length: 5, 5\r\nContent-Length: 5\r\n"), Ok(Framing::Length(5)));
        assert_eq!(of("Transfer-Encoding: CHUNKED\r\nContent-Length: 5\r\n"), Ok(Framing::Chunked));
        let unsupported = Err(RequestError::UnsupportedCoding("gzip".to_owned()));
        assert_eq!(of("Transfer-Encoding: gzip, chunked\r\n"), unsupported);
        assert_eq!(of("Transfer-Encoding: identity\r\nContent-Length: 5\r\n"), Ok(Framing::Length(5)));
        for bad in ["5, 6", "+5", "-1", "5x", "0x5", "99999999999999999999"] {
            let framing = of(&format!("Content-Length: {bad}\r\n"));
            assert!(matches!(framing, Err(RequestError::Malformed(_))), "{bad}: {framing:?}");
        }
    }
}
