//! The combined and the common log of NGINX and Apache: `host ident user [time] "request" status bytes …`, with the virtual
//! host before it or not. In quotes a backslash escapes.

use super::{Asked, Line, Parsed, Skip, host, request, shown, unescaped};

pub(super) fn parse(line: &[u8]) -> Parsed {
    let no_log = || format!("`{}` is not a line of a combined log", shown(line));
    let time = line.iter().position(|byte| *byte == b'[').ok_or_else(no_log)?;
    let (before, rest) = line.split_at(time);
    let begin = memchr::memmem::find(rest, b"] \"").ok_or_else(no_log)?;
    let quoted = rest.get(begin + 3..).unwrap_or_default();
    let end = closing_quote(quoted).ok_or_else(no_log)?;
    let (escaped, after) = quoted.split_at(end);
    let before: Vec<&[u8]> = words(before).take(5).collect();
    let is_status = |word: &[u8]| word == b"-" || (word.len() == 3 && word.iter().all(u8::is_ascii_digit));
    let status = words(after.get(1..).unwrap_or_default()).next();
    if before.len() < 3 || !status.is_some_and(is_status) {
        return Err(no_log());
    }
    let plain = unescaped(escaped, true);
    let asked: Vec<&[u8]> = words(&plain).take(4).collect();
    let parsed = match asked.as_slice() {
        [] | [b"-"] => return Ok(Line::Skipped(Skip::NoRequest)),
        // Not the path of a resource.
        [_, b"*", ..] => return Ok(Line::Skipped(Skip::NoRequest)),
        [method, url] => request(method, url)?,
        [method, url, version] if version.starts_with(b"HTTP/") => request(method, url)?,
        _ => return Err(format!("`{}` is not a request", shown(&plain))),
    };
    // Apache's `vhost_combined` has `name:port` before the client.
    let virtual_host = match before.as_slice() {
        [name, _, _, _] => name.iter().rposition(|byte| *byte == b':').map(|colon| name.split_at(colon)),
        _ => None,
    };
    Ok(match (parsed, virtual_host) {
        (Line::Request(asked @ Asked { host: None, .. }), Some((name, port))) => {
            let is_standard = matches!(port, b":80" | b":443");
            let name = if is_standard { name.to_vec() } else { [name, port].concat() };
            Line::Request(Asked { host: host(&name, "").ok(), ..asked })
        }
        (parsed, _) => parsed,
    })
}

fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}

/// The position of the first quote that no backslash escapes.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    text.iter().position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    })
}
