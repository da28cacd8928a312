//! As much of HTTP/1.1 as answers of the Runtime API need: a head with a handful of fields, content by length or in
//! chunks. For that one trusted peer only; back ends are spoken to with a full client.

use bytes::Bytes;
use http::header::HeaderValue;

use crate::deployment::deployment;

/// More fields than the Runtime API sends.
const MAX_FIELDS: usize = 64;

/// The head of an answer, with the fields that matter.
#[derive(Debug)]
pub(crate) struct Head {
    /// Bytes of the head itself.
    pub(crate) length: usize,
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    pub(crate) keeps_connection: bool,
    pub(crate) request_id: Option<String>,
    pub(crate) invocation_id: Option<String>,
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) trace_id: Option<HeaderValue>,
}

/// The delimiter of content (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes.
    Length(usize),
    /// In chunks.
    Chunked,
}

/// Not HTTP, or HTTP that the Runtime API has no reason to speak.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Malformed {
    #[error("{0}")]
    Head(#[from] httparse::Error),
    #[error("the response has neither a length nor chunks")]
    Framing,
    #[error("a chunk has no valid size")]
    Chunk,
}

/// Parses the head at the beginning of `bytes`; `None` if it is not complete. `deployment` is read of it unless it is known:
/// all invocations of a process have the same.
pub(crate) fn parse_head(bytes: &[u8], deployment: &mut Option<u32>) -> Result<Option<Head>, Malformed> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = response.parse(bytes)? else { return Ok(None) };
    let mut framing = None;
    let mut head = Head {
        length,
        status: response.code.unwrap_or_default(),
        framing: Framing::Length(0),
        keeps_connection: true,
        request_id: None,
        invocation_id: None,
        deadline_ms: None,
        trace_id: None,
    };
    for field in response.headers.iter() {
        let text = || std::str::from_utf8(field.value).ok();
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let length = text().and_then(|text| text.parse().ok()).ok_or(Malformed::Framing)?;
            framing.get_or_insert(Framing::Length(length));
        } else if is("transfer-encoding") {
            framing = Some(Framing::Chunked);
        } else if is("connection") {
            head.keeps_connection = !field.value.eq_ignore_ascii_case(b"close");
        } else if is("lambda-runtime-aws-request-id") {
            head.request_id = text().map(str::to_owned);
        } else if is("lambda-runtime-invocation-id") {
            head.invocation_id = text().map(str::to_owned);
        } else if is("lambda-runtime-deadline-ms") {
            head.deadline_ms = text().and_then(|text| text.parse().ok());
        } else if is("lambda-runtime-trace-id") {
            head.trace_id = HeaderValue::from_bytes(field.value).ok();
        } else if deployment.is_none() && is("lambda-runtime-invoked-function-arn") {
            *deployment = self::deployment(field.value);
        }
    }
    head.framing = match framing {
        Some(framing) => framing,
        None if head.status < 200 || head.status == 204 => Framing::Length(0),
        None => return Err(Malformed::Framing),
    };
    Ok(Some(head))
}

/// Joins the chunks at the beginning of `bytes`; `None` if the last one is not there yet. Bytes after them are dropped:
/// the Runtime API says nothing unasked.
pub(crate) fn parse_chunked(bytes: &[u8]) -> Result<Option<Bytes>, Malformed> {
    let mut chunks: Vec<&[u8]> = Vec::new();
    let mut rest = bytes;
    loop {
        let Ok(size) = httparse::parse_chunk_size(rest) else { return Err(Malformed::Chunk) };
        let httparse::Status::Complete((start, size)) = size else { return Ok(None) };
        let size = usize::try_from(size).map_err(|_| Malformed::Chunk)?;
        let after = rest.get(start..).unwrap_or_default();
        if size == 0 {
            // Trailers, which nobody reads, and the empty line.
            let is_complete = after.starts_with(b"\r\n") || after.windows(4).any(|window| window == b"\r\n\r\n");
            return Ok(is_complete.then(|| chunks.concat().into()));
        }
        let Some((chunk, after)) = after.split_at_checked(size) else { return Ok(None) };
        chunks.push(chunk);
        rest = match after {
            [b'\r', b'\n', rest @ ..] => rest,
            [] | [b'\r'] => return Ok(None),
            _ => return Err(Malformed::Chunk),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nLambda-Runtime-Aws-Request-Id: 7\r\n\
                     lambda-runtime-deadline-ms: 12\r\nConnection: close\r\n\r\nhello";
        let head = parse_head(text, &mut None).unwrap().unwrap();
        assert_eq!((head.status, head.framing, head.length), (200, Framing::Length(5), text.len() - 5));
        assert_eq!((head.request_id.as_deref(), head.deadline_ms), (Some("7"), Some(12)));
        assert!(!head.keeps_connection);
        for end in 0..head.length {
            assert!(parse_head(&text[..end], &mut None).unwrap().is_none(), "{end}");
        }
        assert_eq!(parse_head(b"HTTP/1.1 200 OK\r\n\r\n", &mut None).unwrap_err(), Malformed::Framing);
        assert_eq!(
            parse_head(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", &mut None).unwrap_err(),
            Malformed::Framing
        );
        assert!(parse_head(b"220 smtp\r\n", &mut None).is_err());
    }

    #[test]
    fn chunks() {
        for (text, content) in [
            (&b"5\r\nhello\r\n6; x=y\r\n world\r\n0\r\n\r\n"[..], "hello world"),
            (b"0\r\n\r\n", ""),
            (b"1\r\na\r\n0\r\nsum: 1\r\nb: 2\r\n\r\n", "a"),
        ] {
            assert_eq!(parse_chunked(text).unwrap().unwrap(), content);
            for end in 0..text.len() {
                assert_eq!(parse_chunked(&text[..end]).unwrap(), None, "{end}");
            }
        }
        for text in ["x\r\n", "1\r\nab\r\n", "ffffffffffffffffff\r\n"] {
            assert_eq!(parse_chunked(text.as_bytes()).unwrap_err(), Malformed::Chunk, "{text}");
        }
    }
}
