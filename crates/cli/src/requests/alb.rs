//! The access log of an Application Load Balancer (user guide, "Access log entries"): fields separated by spaces, some of
//! them in quotes, in which `\xNN` stands for a quote, a backslash and control characters.

use super::{Line, Parsed, Skip, request, shown, unescaped};

/// Values of the first field.
const TYPES: [&[u8]; 6] = [b"http", b"https", b"h2", b"grpcs", b"ws", b"wss"];
/// Number of fields before the request.
const BEFORE_REQUEST: usize = 12;

pub(super) fn parse(line: &[u8]) -> Parsed {
    let mut fields = Fields(line);
    let kind = fields.next().unwrap_or_default();
    if !TYPES.contains(&kind) {
        return Err(format!("`{}` is not a type of an ALB's access log", shown(kind)));
    }
    let Some(field) = fields.nth(BEFORE_REQUEST - 1) else {
        return Err("the line ends before the request".to_owned());
    };
    let plain = unescaped(field, false);
    let mut words = plain.splitn(2, |byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let rest = words.next().unwrap_or_default();
    let Some(end) = rest.iter().rposition(|byte| *byte == b' ') else {
        return Err(format!("`{}` is not a request", shown(&plain)));
    };
    if method == b"-" {
        return Ok(Line::Skipped(Skip::NoRequest));
    }
    if kind.starts_with(b"ws") {
        return Ok(Line::Skipped(Skip::WebSocket));
    }
    request(method, rest.get(..end).unwrap_or_default())
}

/// The fields of a line, without their quotes.
struct Fields<'l>(&'l [u8]);

impl<'l> Iterator for Fields<'l> {
    type Item = &'l [u8];

    fn next(&mut self) -> Option<&'l [u8]> {
        let (field, rest) = match self.0.strip_prefix(b"\"") {
            Some(quoted) => {
                let end = quoted.iter().position(|byte| *byte == b'"')?;
                (quoted.get(..end)?, quoted.get(end + 1..)?)
            }
            None if self.0.is_empty() => return None,
            None => self.0.split_at(self.0.iter().position(|byte| *byte == b' ').unwrap_or(self.0.len())),
        };
        self.0 = rest.strip_prefix(b" ").unwrap_or(rest);
        Some(field)
    }
}
