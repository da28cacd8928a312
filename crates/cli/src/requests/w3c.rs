//! The W3C extended log format (w3.org/TR/WD-logfile): CloudFront's standard log, which separates fields by tabs, and IIS's,
//! which separates them by spaces. `#Fields:` names the columns.

use super::{Asked, Line, Parsed, hexadecimal, host, request};

/// The columns of the lines that follow; `None` for one that the log does not have.
#[derive(Debug, Default)]
pub(super) struct Columns {
    method: Option<usize>,
    stem: Option<usize>,
    query: Option<usize>,
    host: Option<usize>,
}

impl Columns {
    pub(super) fn parse(&mut self, line: &[u8]) -> Parsed {
        if let Some(names) = line.strip_prefix(b"#Fields:") {
            let names: Vec<&[u8]> = names.split(u8::is_ascii_whitespace).filter(|name| !name.is_empty()).collect();
            let find = |wanted: &[u8]| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
            // CloudFront: the client's `Host` is `x-host-header`, and `cs(Host)` the name of the distribution.
            let host = find(b"x-host-header").or_else(|| find(b"cs(host)")).or_else(|| find(b"cs-host"));
            *self =
                Columns { method: find(b"cs-method"), stem: find(b"cs-uri-stem"), query: find(b"cs-uri-query"), host };
            return Ok(Line::Nothing);
        }
        if line.starts_with(b"#") || line.trim_ascii().is_empty() {
            return Ok(Line::Nothing);
        }
        let (Some(method), Some(stem)) = (self.method, self.stem) else {
            return Err("no `#Fields:` line with `cs-method` and `cs-uri-stem` precedes it".to_owned());
        };
        let separator = if line.contains(&b'\t') { b'\t' } else { b' ' };
        let values: Vec<&[u8]> = line.split(|byte| *byte == separator).collect();
        let value = |column: usize| values.get(column).copied().filter(|value| !value.is_empty());
        let (Some(method), Some(stem)) = (value(method), value(stem)) else {
            return Err("the line has fewer values than `#Fields:` has names".to_owned());
        };
        let given = |column: Option<usize>| column.and_then(value).filter(|value| *value != b"-");
        let mut target = encoded_once(stem);
        if let Some(query) = given(self.query) {
            target.push(b'?');
            target.extend(encoded_once(query));
        }
        Ok(match request(method, &target)? {
            Line::Request(asked @ Asked { host: None, .. }) => {
                Line::Request(Asked { host: given(self.host).and_then(|name| host(name, "").ok()), ..asked })
            }
            other => other,
        })
    }
}

/// Undoes CloudFront's own encoding of `%`: a client's `%20` is logged as `%2520`. Other escapes mean the same in a URL
/// whether the client or the log wrote them.
fn encoded_once(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        plain.push(*byte);
        rest = match rest {
            [b'%', b'2', b'5', high, low, ..] if hexadecimal(*high, *low).is_some() => {
                after.get(2..).unwrap_or_default()
            }
            _ => after,
        };
    }
    plain
}
