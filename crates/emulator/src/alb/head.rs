//! The head of a request as the load balancer holds it, from whichever protocol version: target as raw bytes, fields as
//! they came. Owns its parsing from HTTP/1 bytes, as leniently as an ALB reads them; what is refused for other reasons than
//! that it cannot be read is decided in `limits` and `desync`.

use bytes::Bytes;
use crossfade_event::alb::RequestLine;
use crossfade_rule::RequestView;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};

use super::error_page::Refusal;

/// Fields in one request; the limit that users meet is the one on their size.
const MOST_FIELDS: usize = 2000;

#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    /// Path and query as sent, without what follows a `#`.
    pub(super) target: Bytes,
    /// Of a target in absolute form, or of HTTP/2.
    pub(super) authority: Option<String>,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    /// Bytes of the first line, as HTTP/1 has it.
    pub(super) line_length: usize,
    /// What could be read, but not as it was written.
    pub(super) warnings: Vec<String>,
}

impl Head {
    pub(super) fn path(&self) -> &[u8] {
        self.target.split(|byte| *byte == b'?').next().unwrap_or_default()
    }

    /// What follows the first `?`.
    pub(super) fn query(&self) -> Option<&[u8]> {
        self.target.iter().position(|byte| *byte == b'?').and_then(|mark| self.target.get(mark + 1..))
    }

    pub(super) fn line(&self) -> RequestLine<'_> {
        RequestLine { method: self.method.as_str(), path: self.path(), query: self.query() }
    }

    /// What conditions look at.
    pub(super) fn view(&self, source_ip: std::net::IpAddr) -> RequestView<'_> {
        RequestView {
            method: self.method.as_str(),
            host: self.headers.get(http::header::HOST).map(HeaderValue::as_bytes).unwrap_or_default(),
            path: self.path(),
            query: self.query(),
            headers: &self.headers,
            source_ip: Some(source_ip),
        }
    }

    pub(super) fn version_text(&self) -> &'static str {
        match self.version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2.0",
            _ => "HTTP/1.1",
        }
    }

    /// From HTTP/2, which the library has taken apart.
    pub(super) fn from_parts(parts: Parts) -> Self {
        let target = parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        Head {
            line_length: parts.method.as_str().len() + target.len() + "  HTTP/1.1".len(),
            method: parts.method,
            authority: parts.uri.authority().map(|authority| authority.as_str().to_owned()),
            target: target.into(),
            version: parts.version,
            headers: parts.headers,
            warnings: Vec::new(),
        }
    }
}

/// Reads a head that ends in an empty line.
///
/// # Errors
///
/// 400 for what is no HTTP/1 request, 505 for other versions.
pub(super) fn parse(bytes: &[u8]) -> Result<Head, Refusal> {
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
        warnings: Vec::new(),
    };
    for line in lines {
        if !line.is_empty() {
            head.append_line(line)?;
        }
    }
    Ok(head)
}

fn malformed(problem: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, format!("the request is malformed: {}", problem.into()))
}

/// Method, target, version. A target may have spaces in it: an ALB takes these (`SpaceInUri`).
fn first_line(line: &[u8]) -> Result<(Method, &[u8], Version), Refusal> {
    let (method, rest) = split_once(line, b' ').ok_or_else(|| malformed("no target"))?;
    let start_of_version = line.iter().rposition(|byte| *byte == b' ').map_or(0, |space| space + 1);
    let last = line.get(start_of_version..).unwrap_or_default();
    let version = match last {
        b"HTTP/1.1" => Version::HTTP_11,
        b"HTTP/1.0" => Version::HTTP_10,
        other if other.starts_with(b"HTTP/") => {
            let problem = format!("version `{}` is not supported", other.escape_ascii());
            return Err(Refusal::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, problem));
        }
        _ => return Err(malformed("the first line does not end in `HTTP/1.1` or `HTTP/1.0`")),
    };
    let target = rest.strip_suffix(last).and_then(|target| target.strip_suffix(b" ")).unwrap_or_default();
    if target.is_empty() {
        return Err(malformed("no target"));
    }
    // Visible ASCII, bytes beyond it, and spaces: the rest is what smuggling is made of.
    if let Some(byte) = target.iter().find(|byte| byte.is_ascii_control()) {
        return Err(malformed(format!("`{}` in the target", byte.escape_ascii())));
    }
    let method = Method::from_bytes(method).map_err(|_| malformed("the method is no token"))?;
    Ok((method, target, version))
}

/// What stands before and behind the first such byte.
fn split_once(bytes: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == separator)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

/// Takes the authority off a target in absolute form (RFC 9112 section 3.2.2).
fn split_target(target: &[u8]) -> Result<(Option<String>, &[u8]), Refusal> {
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
    let authority = std::str::from_utf8(authority).map_err(|_| malformed("the target's host is not ASCII"))?;
    // A path that is left out is `/`; with a query it cannot be, as the bytes go on as they are.
    match path.first() {
        None => Ok((Some(authority.to_owned()), b"/")),
        Some(b'/') => Ok((Some(authority.to_owned()), path)),
        Some(_) => Err(malformed("the target has no path")),
    }
}

impl Head {
    fn append_line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            // "Troubleshoot your Application Load Balancers": multi-line fields are not supported, a colon is appended
            // to the line and it goes on as a field. No field of that name can be held here.
            self.warnings.push("a folded field line was dropped; a load balancer makes an odd field of it".to_owned());
            return Ok(());
        }
        let (name, value) = split_once(line, b':').ok_or_else(|| malformed("a field line has no `:`"))?;
        let name = HeaderName::from_bytes(name)
            .map_err(|_| malformed(format!("field name `{}` is no token", name.escape_ascii())))?;
        let value = HeaderValue::from_bytes(value.trim_ascii())
            .map_err(|_| malformed(format!("the value of field `{name}` has a control character")))?;
        if self.headers.len() >= MOST_FIELDS {
            let problem = format!("there are more than {MOST_FIELDS} fields");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, problem));
        }
        self.headers.append(name, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Head {
        parse(format!("{text}\r\nHost: a\r\n\r\n").as_bytes()).unwrap()
    }

    fn status(text: &str) -> u16 {
        parse(text.as_bytes()).unwrap_err().status.as_u16()
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
    fn what_is_no_request_is_refused() {
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
            assert_eq!(status(text), 400, "{text:?}");
        }
        assert_eq!(status("GET / HTTP/2.0\r\n\r\n"), 505);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(2001))), 413);
    }

    #[test]
    fn fields_may_end_in_a_bare_line_feed_and_be_folded() {
        let head = parse(b"GET / HTTP/1.1\nHost: a\nx:\t b \n c\n\n").unwrap();
        assert_eq!(
            (&head.headers["host"], &head.headers["x"]),
            (&HeaderValue::from_static("a"), &"b".parse().unwrap())
        );
        assert_eq!(head.warnings.len(), 1);
    }
}
