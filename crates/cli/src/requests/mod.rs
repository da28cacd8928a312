//! Requests from files that others wrote: lists of URLs, access logs, HAR files, comparison logs.
//!
//! Owns detecting the format of a file and reading it line by line; each format has a module that reads one of its lines. It
//! decides about no request: hosts, methods and samples are the caller's business.

mod alb;
mod combined;
mod comparisons;
mod har;
mod list;
mod w3c;

use std::io::{BufRead, Cursor, ErrorKind, Read, Result};

use bytes::Bytes;
use http::header::HeaderMap;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderName, HeaderValue, Method};

use crate::report::input::{Unreadable, decompressed};

/// Bytes of a file that are enough to detect its format.
const HEAD: u64 = 1 << 16;
/// Lines of a log among which one must be valid, so that a log which begins with a broken line is still recognised.
const FIRST_LINES: usize = 20;
/// Length of the longest line in bytes. The longest URL of an ALB has 16 KB, and escapes make four bytes of one.
const MAX_LINE: usize = 1 << 17;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Paths or URLs, one per line.
    List,
    /// The access log of an Application Load Balancer.
    Alb,
    /// W3C extended log: CloudFront's standard log, IIS.
    W3c,
    /// Combined or common log of NGINX and Apache.
    Combined,
    /// HTTP archive 1.2.
    Har,
    /// An earlier comparison log.
    Comparisons,
}

/// A request of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// Without the scheme's own port; `None` if the file does not name a host.
    pub(crate) host: Option<Authority>,
    pub(crate) target: PathAndQuery,
    /// Only harmless ones: neither cookies nor credentials.
    pub(crate) fields: HeaderMap,
    pub(crate) body: Bytes,
}

/// A reason why an entry of a file is not a request that can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Skip {
    /// The server could not read the request either.
    NoRequest,
    WebSocket,
    /// Something else than HTTP, such as `data:`.
    OtherScheme,
    /// The verdict of the comparison was not `different`.
    NotDifferent,
    /// The comparison log has `***` instead of the values in the query.
    Masked,
}

/// The content of a line.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and nearly all are requests")]
pub(crate) enum Line {
    Request(Asked),
    Skipped(Skip),
    /// A comment or a blank line.
    Nothing,
}

/// A line, or the reason why it cannot be read.
type Parsed = std::result::Result<Line, String>;

impl Asked {
    fn new(method: Method, host: Option<Authority>, target: PathAndQuery) -> Asked {
        Asked { method, host, target, fields: HeaderMap::new(), body: Bytes::new() }
    }

    fn with(mut self, name: HeaderName, value: &str) -> Asked {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.fields.append(name, value);
        }
        self
    }
}

/// Calls `each` with every request of a file, compressed (RFC 1952) or not, in UTF-8 or UTF-16, and with every entry that is skipped. Messages
/// use `name` for the file.
pub(crate) fn read(
    name: &str,
    file: impl Read,
    unreadable: &mut Unreadable,
    each: &mut impl FnMut(Format, Line),
) -> Result<()> {
    let mut file = decompressed(file)?;
    let mut head = Vec::new();
    file.by_ref().take(HEAD).read_to_end(&mut head)?;
    let format = detect(&head);
    let mut file = Cursor::new(head).chain(file);
    match format {
        Format::Har => har::read(name, file, unreadable, &mut |line| each(format, line)),
        Format::Comparisons => comparisons::read(name, file, unreadable, &mut |line| each(format, line)),
        Format::List | Format::Alb | Format::W3c | Format::Combined => {
            let mut columns = w3c::Columns::default();
            read_lines(&mut file, |number, line| {
                let parsed = match line {
                    Some(line) if format == Format::W3c => columns.parse(line),
                    Some(line) => parse(format, line),
                    None => Err(format!("the line is longer than {MAX_LINE} bytes")),
                };
                match parsed {
                    Ok(Line::Nothing) => {}
                    Ok(line) => each(format, line),
                    Err(reason) => unreadable.note(name, number, &reason),
                }
            })
        }
    }
}

/// One line of a format whose lines do not depend on each other.
fn parse(format: Format, line: &[u8]) -> Parsed {
    match format {
        _ if line.trim_ascii().is_empty() => Ok(Line::Nothing),
        Format::Alb => alb::parse(line),
        Format::Combined => combined::parse(line),
        _ => list::parse(line),
    }
}

/// The format of the file that begins like this.
fn detect(head: &[u8]) -> Format {
    let begin = head.trim_ascii_start();
    if har::begins(begin) {
        return Format::Har;
    }
    if memchr::memmem::find(begin, br#"{"type":"compare""#).is_some() || begin.starts_with(b"{") {
        return Format::Comparisons;
    }
    let lines = || begin.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).take(FIRST_LINES);
    if lines().any(|line| line.starts_with(b"#Fields:") || line.starts_with(b"#Version:")) {
        return Format::W3c;
    }
    let is = |format| lines().any(|line| matches!(parse(format, line), Ok(Line::Request(_) | Line::Skipped(_))));
    [Format::Alb, Format::Combined].into_iter().find(|format| is(*format)).unwrap_or(Format::List)
}

/// Calls `each` with every line and its number, from 1; with `None` for one that is too long.
fn read_lines(file: &mut impl BufRead, mut each: impl FnMut(u64, Option<&[u8]>)) -> Result<()> {
    let (mut line, mut number, mut is_too_long) = (Vec::new(), 1, false);
    loop {
        let bytes = match file.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            bytes => bytes?,
        };
        let is_end = bytes.is_empty();
        let end = memchr::memchr(b'\n', bytes);
        let (piece, length) = end.map_or((bytes, bytes.len()), |end| (bytes.get(..end).unwrap_or_default(), end + 1));
        is_too_long |= line.len() + piece.len() > MAX_LINE;
        if !is_too_long {
            line.extend_from_slice(piece);
        }
        file.consume(length);
        if end.is_some() || (is_end && !line.is_empty()) || (is_end && is_too_long) {
            let content = line.strip_suffix(b"\r").unwrap_or(&line);
            each(number, Some(content).filter(|_| !is_too_long));
            (number, is_too_long) = (number + 1, false);
            line.clear();
        }
        if is_end {
            return Ok(());
        }
    }
}

/// A method and the URL or path that it is for.
fn request(method: &[u8], url: &[u8]) -> Parsed {
    let method = Method::from_bytes(method).map_err(|_| format!("`{}` is not a method", shown(method)))?;
    let (host, target) = match split_scheme(url) {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case(b"ws") || scheme.eq_ignore_ascii_case(b"wss") => {
            return Ok(Line::Skipped(Skip::WebSocket));
        }
        Some((scheme, rest)) => {
            let port = match scheme.to_ascii_lowercase().as_slice() {
                b"http" => ":80",
                b"https" => ":443",
                _ => return Ok(Line::Skipped(Skip::OtherScheme)),
            };
            let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
            let (authority, target) = rest.split_at(end);
            (Some(host(authority, port)?), target)
        }
        None if url.starts_with(b"/") => (None, url),
        None => return Err(format!("`{}` is neither a path that begins with `/` nor a URL", shown(url))),
    };
    let slash: &[u8] = if target.starts_with(b"/") { b"" } else { b"/" };
    let target = Bytes::from([slash, target].concat());
    let target = PathAndQuery::from_maybe_shared(target);
    let target = target.map_err(|_| "the URL has characters that no URL may have".to_owned())?;
    Ok(Line::Request(Asked::new(method, host, target)))
}

/// A host without the scheme's own port.
fn host(authority: &[u8], port: &str) -> std::result::Result<Authority, String> {
    // It would be a credential.
    if authority.contains(&b'@') {
        return Err("the URL has a user name".to_owned());
    }
    let text = std::str::from_utf8(authority).ok().map(|text| text.strip_suffix(port).unwrap_or(text));
    let host = text.and_then(|text| text.parse::<Authority>().ok());
    let is_complete = |host: &Authority| {
        let behind = host.as_str().strip_prefix(host.host());
        !host.host().is_empty() && (behind == Some("") || host.port_u16().is_some())
    };
    let host = host.filter(is_complete);
    host.ok_or_else(|| format!("`{}` is not a host", shown(authority)))
}

/// `(scheme, rest)` of an absolute URL, or of something else with a scheme, such as `data:`.
fn split_scheme(url: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = url.iter().position(|byte| *byte == b':')?;
    let (scheme, rest) = url.split_at(colon);
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    let rest = rest.get(1..)?;
    // `localhost:8080/x` has a port, not a scheme.
    (is_scheme && !rest.first().is_some_and(u8::is_ascii_digit))
        .then(|| (scheme, rest.strip_prefix(b"//").unwrap_or(rest)))
}

/// The begin of a text, for a message about it. Queries may have secrets and are left out.
fn shown(text: &[u8]) -> String {
    let text = text.split(|byte| *byte == b'?').next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// Undoes the escapes of log files: `\xNN`, and with `with_short_ones` also `\"`, `\\` and `\n` and the like.
fn unescaped(text: &[u8], with_short_ones: bool) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let escape = match (byte, after) {
            (b'\\', [b'x' | b'X', high, low, after @ ..]) => hexadecimal(*high, *low).map(|byte| (byte, after)),
            (b'\\', [short, after @ ..]) if with_short_ones => {
                let byte = match short {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                };
                Some((byte, after))
            }
            _ => None,
        };
        let (byte, after) = escape.unwrap_or((*byte, after));
        plain.push(byte);
        rest = after;
    }
    plain
}

fn hexadecimal(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4) | digit(low)?)
}

#[cfg(test)]
mod tests;
