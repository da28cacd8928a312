//! The head of a request, from any version of HTTP: the target as raw bytes, the fields as received. Owns its parsing
//! from HTTP/1 bytes, which is lenient: it rejects only what cannot be read.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use super::error::RequestError;

/// The most fields of one request. It bounds the work; users meet the limit on their size first.
const MAX_FIELD_COUNT: usize = 2000;

/// The head of a request.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    /// Path and query as sent, without the fragment.
    pub(crate) target: Bytes,
    /// The authority of a target in absolute form, or of HTTP/2, with any user information.
    pub(crate) authority: Option<String>,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    /// The length of the request line as HTTP/1 writes it, in bytes, without the line break.
    pub(crate) line_length: usize,
    /// The number of folded field lines (obsolete, RFC 9112 section 5.2), which were dropped.
    pub(crate) folded_lines: usize,
}

impl Head {
    pub(crate) fn path(&self) -> &[u8] {
        self.target.split(|byte| *byte == b'?').next().unwrap_or_default()
    }

    /// The part behind the first `?`; `None` without one.
    pub(crate) fn query(&self) -> Option<&[u8]> {
        self.target.iter().position(|byte| *byte == b'?').and_then(|mark| self.target.get(mark + 1..))
    }

    pub(crate) fn version_text(&self) -> &'static str {
        match self.version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2.0",
            _ => "HTTP/1.1",
        }
    }

    /// The head of an HTTP/2 request, which a library has parsed.
    pub(crate) fn from_parts(parts: Parts) -> Self {
        let target = parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        Head {
            line_length: parts.method.as_str().len() + target.len() + "  HTTP/1.1".len(),
            method: parts.method,
            authority: parts.uri.authority().map(|authority| authority.as_str().to_owned()),
            target: target.into(),
            version: parts.version,
            headers: parts.headers,
            folded_lines: 0,
        }
    }

    /// Parses an HTTP/1 head that ends in an empty line. Lines may end in a bare line feed, and the target may have
    /// spaces and any bytes beyond ASCII in it.
    ///
    /// # Errors
    ///
    /// For bytes that are not an HTTP/1 request, for versions other than 1.0 and 1.1, and for too many fields.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Head, RequestError> {
        let mut lines = bytes.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first = lines.next().unwrap_or_default();
        let (method, target, version) = first_line(first)?;
        let (authority, target) = split_target(target)?;
        let mut head = Head {
            method,
            target: Bytes::copy_from_slice(target.split(|byte| *byte == b'#').next().unwrap_or_default()),
            authority,
            version,
            headers: HeaderMap::with_capacity(16),
            line_length: first.len(),
            folded_lines: 0,
        };
        for line in lines {
            if !line.is_empty() {
                head.append_line(line)?;
            }
        }
        Ok(head)
    }

    fn append_line(&mut self, line: &[u8]) -> Result<(), RequestError> {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            self.folded_lines += 1;
            return Ok(());
        }
        let (name, value) = split_once(line, b':').ok_or_else(|| RequestError::malformed("a field line has no `:`"))?;
        let name = HeaderName::from_bytes(name)
            .map_err(|_| RequestError::malformed(format!("field name `{}` is not a token", name.escape_ascii())))?;
        let value = HeaderValue::from_bytes(value.trim_ascii()).map_err(|_| {
            RequestError::malformed(format!("the value of field `{name}` contains a control character"))
        })?;
        if self.headers.len() >= MAX_FIELD_COUNT {
            return Err(RequestError::TooManyFields { limit: MAX_FIELD_COUNT });
        }
        self.headers.append(name, value);
        Ok(())
    }
}

/// Splits a request line into method, target and version.
fn first_line(line: &[u8]) -> Result<(Method, &[u8], Version), RequestError> {
    let (method, rest) = split_once(line, b' ').ok_or_else(|| RequestError::malformed("it has no target"))?;
    let start_of_version = line.iter().rposition(|byte| *byte == b' ').map_or(0, |space| space + 1);
    let last = line.get(start_of_version..).unwrap_or_default();
    let version = match last {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        other if other.starts_with(b"HTTP/") => {
            return Err(RequestError::UnsupportedVersion(other.escape_ascii().to_string()));
        }
        _ => return Err(RequestError::malformed("the first line does not end in `HTTP/1.1` or `HTTP/1.0`")),
    };
    let target = rest.strip_suffix(last).and_then(|target| target.strip_suffix(b" ")).unwrap_or_default();
    if target.is_empty() {
        return Err(RequestError::malformed("it has no target"));
    }
    // Control characters are used for request smuggling.
    if let Some(byte) = target.iter().find(|byte| byte.is_ascii_control()) {
        return Err(RequestError::malformed(format!("the target contains `{}`", byte.escape_ascii())));
    }
    let method = Method::from_bytes(method).map_err(|_| RequestError::malformed("the method is not a token"))?;
    Ok((method, target, version))
}

/// The bytes before and behind the first `separator`.
fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == separator)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

/// Splits the authority off a target in absolute form (RFC 9112 section 3.2.2).
fn split_target(target: &[u8]) -> Result<(Option<String>, &[u8]), RequestError> {
    if target.starts_with(b"/") || target == b"*" {
        return Ok((None, target));
    }
    let behind = |scheme: &[u8]| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let Some(rest) = behind(b"http://").or_else(|| behind(b"https://")) else { return Ok((None, target)) };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority =
        std::str::from_utf8(authority).map_err(|_| RequestError::malformed("the target's host is not ASCII"))?;
    // A path that is left out is `/`; with a query it cannot be, as the bytes go on as they are.
    match path.first() {
        None => Ok((Some(authority.to_owned()), b"/")),
        Some(b'/') => Ok((Some(authority.to_owned()), path)),
        Some(_) => Err(RequestError::malformed("the target has no path")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Head {
        Head::parse(format!("{text}\r\nHost: a\r\n\r\n").as_bytes()).unwrap()
    }

    fn error(text: &str) -> RequestError {
        Head::parse(text.as_bytes()).unwrap_err()
    }

    #[test] // the path that rules see is the path that is forwarded
    fn a_target_stays_as_it_is() {
        for target in ["/a/../%2e/b//c?x=%E9&y=<>&&`", "/a b", "*", "/\\\"{}|^", "/?"] {
            assert_eq!(line(&format!("GET {target} HTTP/1.1")).target, target);
        }
        let head = line("GET http://user@Shop.example:8080/a?b=/c HTTP/1.1");
        assert_eq!((head.authority.as_deref(), &*head.target), (Some("user@Shop.example:8080"), &b"/a?b=/c"[..]));
        assert_eq!((head.path(), head.query()), (&b"/a"[..], Some(&b"b=/c"[..])));
        assert_eq!(line("GET http://shop.example HTTP/1.0").target, "/");
        assert_eq!(line("GET /a#b HTTP/1.1").target, "/a");
    }

    #[test]
    fn malformed_requests_are_rejected() {
        for text in [
            "\r\n\r\n",
            "GET\r\n\r\n",
            "GET /\r\n\r\n",
            "GET  HTTP/1.1\r\n\r\n",
            "G(T / HTTP/1.1\r\n\r\n",
            "GET /\x07 HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\n: a\r\n\r\n",
            "GET / HTTP/1.1\r\na: \x00\r\n\r\n",
            "GET / HTTP/1.1\r\na: b\rc: d\r\n\r\n",
            "GET http://a?b HTTP/1.1\r\n\r\n",
        ] {
            assert!(matches!(error(text), RequestError::Malformed(_)), "{text:?}");
        }
        assert_eq!(error("GET / HTTP/2.0\r\n\r\n"), RequestError::UnsupportedVersion("HTTP/2.0".to_owned()));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(2001));
        assert_eq!(error(&many), RequestError::TooManyFields { limit: 2000 });
    }

    #[test]
    fn fields_may_end_in_a_bare_line_feed_and_be_folded() {
        let head = Head::parse(b"GET / HTTP/1.1\nHost: a\nx:\t b \n c\n\n").unwrap();
        assert_eq!(
            (&head.headers["host"], &head.headers["x"]),
            (&HeaderValue::from_static("a"), &"b".parse().unwrap())
        );
        assert_eq!(head.folded_lines, 1);
    }
}
