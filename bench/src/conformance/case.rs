//! Parses a case of the conformance suite from a text file, and evaluates its directives. It owns the format
//! (which `bench/README.md` shows) and the comparison; it opens no socket.

use std::path::Path;

use anyhow::{Context as _, bail};
use crossfade_event::HeaderMode;
use crossfade_testkit::message::{Message, find};

use crate::workload::{binary, text};

/// One case.
#[derive(Debug)]
pub struct Case {
    /// The file's name without its ending.
    pub name: String,
    /// The requirement, in one line.
    pub about: String,
    /// The header modes it is run in.
    pub modes: Vec<HeaderMode>,
    /// The functions known to fail it in the first of its modes.
    pub fails: Vec<String>,
    /// It is about a limit of the load balancer's.
    is_of_alb: bool,
    /// The front ends, other than the load balancer, that cannot carry it.
    pub lost: Vec<String>,
    pub(super) steps: Vec<Step>,
    pub(super) answers: Vec<Answer>,
    pub(super) checks: Vec<Check>,
}

impl Case {
    /// Returns whether it hands events of the load balancer to the function as they are.
    pub(super) fn has_events(&self) -> bool {
        matches!(self.steps.first(), Some(Step::Event(_)))
    }

    /// Returns whether it means the same with any front end.
    pub(super) fn is_for_every_front(&self) -> bool {
        !self.has_events() && !self.is_of_alb
    }
}

/// One step of a case.
#[derive(Debug)]
pub(super) enum Step {
    /// A raw request to the local ALB, on a separate connection.
    Client(String),
    /// An event handed to the function as it is, for what no client can make ALB say.
    Event(String),
}

/// The origin's reaction to its first, second, … request; the last one applies to all further requests.
#[derive(Debug)]
pub(super) enum Answer {
    Send(String),
    SendAndClose(String),
    Drop,
    Hang,
    /// Nobody listens at all.
    Down,
    /// Presents a certificate of an authority that the function does not trust.
    Untrusted,
}

#[derive(Debug)]
pub(super) struct Check {
    side: Side,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Origin,
    Client,
    Log,
}

#[derive(Debug)]
enum What {
    /// The number of requests that the origin got.
    Requests(usize),
    Method(String),
    Target(String),
    Status(u16),
    Has(String, Option<String>),
    Lacks(String),
    Contains(String, String),
    Body(String),
    BodyLacks(String),
    /// The function's output.
    LogLacks(String),
}

/// A message as it was seen on either side.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) start_line: Vec<u8>,
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Seen {
    pub(super) fn of(message: &Message<'_>) -> Self {
        let lower = |name: &[u8]| String::from_utf8_lossy(name).to_ascii_lowercase();
        Self {
            start_line: message.start_line().to_vec(),
            fields: message.fields().map(|(name, value)| (lower(name), value.to_vec())).collect(),
            body: message.body.to_vec(),
        }
    }

    fn word(&self, index: usize) -> &[u8] {
        self.start_line.split(|&byte| byte == b' ').nth(index).unwrap_or_default()
    }

    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_slice())
    }
}

/// The values of `{backend}` and `{cdn-loop}`.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// The origin's authority, `localhost:PORT`.
    pub(super) backend: String,
    /// The `CDN-Loop` of the origin's last request.
    pub(super) cdn_loop: String,
}

/// Reads all cases, in the order of their names.
///
/// # Errors
/// When a file cannot be read or understood; the message names it.
pub fn load() -> anyhow::Result<Vec<Case>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files = std::fs::read_dir(&folder)
        .with_context(|| format!("no folder `{}`", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    files.sort();
    let read = |file: &std::path::PathBuf| {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        parse(&name, &std::fs::read_to_string(file)?).with_context(|| format!("in `{}`", file.display()))
    };
    files.iter().map(read).collect()
}

fn parse(name: &str, source: &str) -> anyhow::Result<Case> {
    let mut case = Case {
        name: name.to_owned(),
        about: String::new(),
        modes: vec![HeaderMode::Single, HeaderMode::Multi],
        fails: Vec::new(),
        is_of_alb: false,
        lost: Vec::new(),
        steps: Vec::new(),
        answers: Vec::new(),
        checks: Vec::new(),
    };
    // Empty lines before a mark belong to the mark; a body that ends in one says `\n`.
    let mut sections = source.split("\n--- ").map(|section| section.trim_end_matches('\n'));
    for line in sections.next().unwrap_or_default().lines() {
        let (key, value) = line.split_once(": ").with_context(|| format!("`{line}` is not `key: value`"))?;
        match key {
            "about" => value.clone_into(&mut case.about),
            "modes" => case.modes = value.split(' ').map(mode).collect::<anyhow::Result<_>>()?,
            "only" if value == "alb" => case.is_of_alb = true,
            "lost" => case.lost = value.split(' ').map(str::to_owned).collect(),
            "fails" => case.fails = value.split(' ').map(str::to_owned).collect(),
            _ => bail!("no key `{key}`"),
        }
    }
    for section in sections {
        let (title, content) = section.split_once('\n').unwrap_or((section, ""));
        match title {
            "client" => case.steps.push(Step::Client(content.to_owned())),
            "event" => case.steps.push(Step::Event(content.to_owned())),
            "origin" => case.answers.push(Answer::Send(content.to_owned())),
            "origin close" => case.answers.push(Answer::SendAndClose(content.to_owned())),
            "origin drop" => case.answers.push(Answer::Drop),
            "origin hang" => case.answers.push(Answer::Hang),
            "origin down" => case.answers.push(Answer::Down),
            "origin untrusted" => case.answers.push(Answer::Untrusted),
            "expect" => {
                let lines = content.lines().filter(|line| !line.is_empty());
                case.checks = lines.map(check).collect::<anyhow::Result<_>>()?;
            }
            _ => bail!("no section `{title}`"),
        }
    }
    if case.steps.is_empty() || case.checks.is_empty() || case.about.is_empty() {
        bail!("a case needs `about`, a request and something to expect");
    }
    Ok(case)
}

fn mode(word: &str) -> anyhow::Result<HeaderMode> {
    match word {
        "single" => Ok(HeaderMode::Single),
        "multi" => Ok(HeaderMode::Multi),
        _ => bail!("no header mode `{word}`"),
    }
}

fn check(line: &str) -> anyhow::Result<Check> {
    let unclear = || format!("`{line}` is no check");
    let (side, rest) = line.split_once(' ').with_context(unclear)?;
    let side = match side {
        "origin" => Side::Origin,
        "client" => Side::Client,
        "log" => Side::Log,
        _ => bail!(unclear()),
    };
    let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let field = || rest.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let what = match (side, verb) {
        (Side::Origin, "requests") => What::Requests(rest.parse().with_context(unclear)?),
        (Side::Origin, "method") => What::Method(rest.to_owned()),
        (Side::Origin, "target") => What::Target(rest.to_owned()),
        (Side::Client, "status") => What::Status(rest.parse().with_context(unclear)?),
        (Side::Log, "lacks") => What::LogLacks(rest.to_owned()),
        (Side::Log, _) => bail!(unclear()),
        (_, "has") => match field() {
            Some((name, value)) => What::Has(name, Some(value)),
            None => What::Has(rest.to_owned(), None),
        },
        (_, "lacks") => What::Lacks(rest.to_owned()),
        (_, "contains") => field().map(|(name, piece)| What::Contains(name, piece)).with_context(unclear)?,
        (_, "body") => What::Body(rest.to_owned()),
        (_, "body-lacks") => What::BodyLacks(rest.to_owned()),
        _ => bail!(unclear()),
    };
    Ok(Check { side, what })
}

impl Check {
    /// Compares; what is wrong in a few words. `received` is all that the origin got, `answer` what the client got
    /// last, `log` what the function printed.
    pub(super) fn hold(&self, received: &[Seen], answer: &Seen, log: &str, names: &Names) -> Result<(), String> {
        if let What::LogLacks(piece) = &self.what {
            return match log.contains(piece) {
                true => Err(format!("the log has `{piece}`")),
                false => Ok(()),
            };
        }
        if let What::Requests(expected) = self.what {
            return match received.len() {
                count if count == expected => Ok(()),
                count => Err(format!("the origin got {count} requests, not {expected}")),
            };
        }
        let (who, seen) = match self.side {
            Side::Origin => ("origin", received.last().ok_or("the origin got no request")?),
            Side::Client | Side::Log => ("client", answer),
        };
        let bytes = |content: &str| expand(content, names, None);
        match &self.what {
            What::Requests(_) | What::LogLacks(_) => Ok(()),
            What::Method(method) => same(who, "method", seen.word(0), method.as_bytes()),
            What::Target(target) => same(who, "target", seen.word(1), &bytes(target)),
            What::Status(status) => same(who, "status", seen.word(1), status.to_string().as_bytes()),
            What::Has(name, None) => match seen.values(name).next() {
                Some(_) => Ok(()),
                None => Err(format!("{who} lacks `{name}`")),
            },
            What::Has(name, Some(value)) => {
                let value = bytes(value);
                let mut last = None;
                for found in seen.values(name) {
                    if found == value {
                        return Ok(());
                    }
                    last = Some(found);
                }
                match last {
                    Some(found) => same(who, name, found, &value),
                    None => Err(format!("{who} lacks `{name}`")),
                }
            }
            What::Lacks(name) => match seen.values(name).next() {
                None => Ok(()),
                Some(value) => Err(format!("{who} has `{name}: {}`", short(value))),
            },
            What::Contains(name, piece) => match seen.values(name).any(|value| find(value, &bytes(piece)).is_some()) {
                true => Ok(()),
                false => Err(format!("{who} has no `{name}` with `{piece}`")),
            },
            What::Body(content) => {
                let expected = bytes(content);
                if seen.body == expected {
                    return Ok(());
                }
                if expected.len().max(seen.body.len()) <= 24 {
                    return same(who, "body", &seen.body, &expected);
                }
                Err(format!("{who} body: {} bytes, not the {} expected", seen.body.len(), expected.len()))
            }
            What::BodyLacks(piece) => match find(&seen.body, &bytes(piece)) {
                None => Ok(()),
                Some(_) => Err(format!("{who} body has `{piece}`")),
            },
        }
    }
}

fn same(who: &str, what: &str, found: &[u8], expected: &[u8]) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{who} {what} `{}`, not `{}`", short(found), short(expected))),
    }
}

fn short(bytes: &[u8]) -> String {
    let text: String = bytes.escape_ascii().to_string();
    match text.get(..60) {
        Some(start) if text.len() > 60 => format!("{start}…"),
        _ => text,
    }
}

/// The bytes of a raw message: its lines up to the empty one end in CR LF, the rest is the body as it stands.
pub(super) fn message(source: &str, names: &Names) -> Vec<u8> {
    let (head, body) = source.split_once("\n\n").unwrap_or((source, ""));
    let body = expand(body, names, None);
    let mut message = Vec::with_capacity(head.len() + body.len() + 64);
    for line in head.split('\n') {
        message.extend_from_slice(&expand(line, names, Some(body.len())));
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(b"\r\n");
    message.extend_from_slice(&body);
    message
}

/// Resolves `\\`, `\r`, `\n`, `\t`, `\xNN`, `{backend}`, `{cdn-loop}`, `{binary N}`, `{text N}`, `{a N}` and, in a
/// head, `{length}`; whatever else stands as it is.
pub(super) fn expand(source: &str, names: &Names, length: Option<usize>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find(['\\', '{']) {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        let (content, taken) =
            escape(rest).or_else(|| generate(rest, names, length)).unwrap_or((vec![rest.as_bytes()[0]], 1));
        bytes.extend_from_slice(&content);
        rest = &rest[taken..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

fn escape(rest: &str) -> Option<(Vec<u8>, usize)> {
    let byte = match rest.strip_prefix('\\')?.chars().next()? {
        '\\' => b'\\',
        'r' => b'\r',
        'n' => b'\n',
        't' => b'\t',
        'x' => return Some((vec![u8::from_str_radix(rest.get(2..4)?, 16).ok()?], 4)),
        _ => return None,
    };
    Some((vec![byte], 2))
}

fn generate(rest: &str, names: &Names, length: Option<usize>) -> Option<(Vec<u8>, usize)> {
    let end = rest.find('}')?;
    let content = match rest.get(1..end)?.split_once(' ') {
        None => match &rest[1..end] {
            "backend" => names.backend.clone().into_bytes(),
            "cdn-loop" => names.cdn_loop.clone().into_bytes(),
            "length" => length?.to_string().into_bytes(),
            _ => return None,
        },
        Some(("binary", count)) => binary(count.parse().ok()?),
        Some(("text", count)) => text(count.parse().ok()?),
        Some(("a", count)) => vec![b'a'; count.parse().ok()?],
        Some(_) => return None,
    };
    Some((content, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names { backend: "localhost:1".to_owned(), cdn_loop: "x".to_owned() }
    }

    #[test]
    fn a_message_gets_its_line_ends_escapes_and_length() {
        let source = "POST /\\x00 HTTP/1.1\nHost: {backend}\nContent-Length: {length}\n\n{\"a\": {}}\\r\\n{binary 2}";
        let made = message(source, &names());
        let head = b"POST /\x00 HTTP/1.1\r\nHost: localhost:1\r\nContent-Length: 13\r\n\r\n{\"a\": {}}\r\n";
        assert_eq!(&made[..made.len() - 2], head);
        assert_eq!(&made[made.len() - 2..], binary(2));
    }

    #[test]
    fn a_failed_check_says_what_is_wrong() {
        let seen = Seen {
            start_line: b"GET /a HTTP/1.1".to_vec(),
            fields: vec![("x".to_owned(), b"1".to_vec()), ("x".to_owned(), b"2".to_vec())],
            body: b"hi".to_vec(),
        };
        let verdict = |line: &str| check(line).unwrap().hold(std::slice::from_ref(&seen), &seen, "printed", &names());
        for line in ["origin target /a", "origin has x: 1", "origin has x: 2", "origin lacks y", "origin body hi"] {
            assert_eq!(verdict(line), Ok(()), "{line}");
        }
        assert_eq!(verdict("origin target /b").unwrap_err(), "origin target `/a`, not `/b`");
        assert_eq!(verdict("origin has x: 3").unwrap_err(), "origin x `2`, not `3`");
        assert_eq!(verdict("origin requests 2").unwrap_err(), "the origin got 1 requests, not 2");
        assert!(check("origin status 200").is_err());
    }
}
