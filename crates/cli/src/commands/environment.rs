//! Values that a file takes from the environment with `${env:NAME}`. They may be secrets, so output shows their names instead.
//!
//! Owns recording the values while a file is read, and finding them in output in every rendering. Error messages never contain
//! them, because the readers of files quote the text as written.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use crossfade_function::LocalSurroundings;
use crossfade_route::{RuntimeApi, Surroundings};

/// Shorter values are hidden only as whole words: `1` occurs in many texts by chance.
const SHORT: usize = 4;

/// The variables that a file refers to.
#[derive(Default)]
pub(crate) struct Environment {
    /// Values and their renderings, each with its replacement; the longest first.
    hidden: Vec<(String, String)>,
}

/// [`LocalSurroundings`], recording each variable that a configuration reads.
pub(super) struct Recorder<'p> {
    inner: LocalSurroundings<'p>,
    /// Variables that override those of this process.
    overrides: &'p [(String, String)],
    given: RefCell<BTreeMap<String, String>>,
}

impl<'p> Recorder<'p> {
    /// Relative paths start at `folder`.
    pub(super) fn new(folder: &'p Path) -> Recorder<'p> {
        Recorder { inner: LocalSurroundings { folder }, overrides: &[], given: RefCell::default() }
    }

    /// Uses these variables before those of this process.
    pub(super) fn overriding(self, overrides: &'p [(String, String)]) -> Recorder<'p> {
        Recorder { overrides, ..self }
    }

    /// The variables of the configuration that was read with this recorder.
    pub(super) fn environment(self) -> Environment {
        Environment::of(self.given.into_inner())
    }
}

impl Surroundings for Recorder<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        let overriding = self.overrides.iter().rfind(|(other, _)| other == name).map(|(_, value)| value.clone());
        let value = overriding.or_else(|| self.inner.variable(name))?;
        self.given.borrow_mut().insert(name.to_owned(), value.clone());
        Some(value)
    }

    fn file(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.inner.file(path)
    }

    fn runtime_api(&self) -> Option<Arc<RuntimeApi>> {
        self.inner.runtime_api()
    }
}

impl Environment {
    /// From names and values.
    pub(crate) fn of(variables: impl IntoIterator<Item = (String, String)>) -> Environment {
        let mut hidden = Vec::new();
        for (name, value) in variables {
            let shown = format!("${{env:{name}}}");
            hidden.extend(renderings(&value).into_iter().map(|text| (text, shown.clone())));
        }
        Environment { hidden }.sorted()
    }

    /// The union of two files' variables.
    pub(super) fn and(mut self, other: Option<Environment>) -> Environment {
        self.hidden.extend(other.into_iter().flat_map(|other| other.hidden));
        self.sorted()
    }

    fn sorted(mut self) -> Environment {
        self.hidden.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        self.hidden.dedup();
        self
    }

    /// Replaces each value in a text with `${env:NAME}`.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let before = out.chars().next_back();
            match self.hidden.iter().find(|(value, _)| begins_with(rest, value, before)) {
                Some((value, shown)) => {
                    out.push_str(shown);
                    rest = rest.get(value.len()..).unwrap_or_default();
                }
                None => {
                    out.push(c);
                    rest = rest.get(c.len_utf8()..).unwrap_or_default();
                }
            }
        }
        out
    }
}

/// A value, the parts of it that output can show, and their spellings. Matching ignores case.
fn renderings(value: &str) -> Vec<String> {
    let mut all = vec![value.to_owned(), value.trim().to_owned()];
    let value = value.trim();
    all.push(value.trim_end_matches('/').to_owned());
    all.extend(canonical_range(value));
    // With or without its scheme, which may stand in the file.
    let is_scheme = |before: &str| before.is_empty() || before.ends_with(':');
    let rest = value.split_once("//").filter(|(before, _)| is_scheme(before)).map_or(value, |(_, rest)| rest);
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let authority = authority.rsplit('@').next().unwrap_or_default();
    let (path, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let path = path.trim_end_matches('/');
    let query = query.trim_start_matches('?').split('#').next().unwrap_or_default();
    let (host, port) = host_and_port(authority);
    let unbracketed = host.trim_start_matches('[').trim_end_matches(']');
    let address = unbracketed.parse::<IpAddr>().ok().map(|address| [format!("{address}"), format!("[{address}]")]);
    all.extend([path, query].map(str::to_owned));
    for host in [host, unbracketed].into_iter().chain(address.iter().flatten().map(String::as_str)) {
        all.extend([host.to_owned(), format!("{host}{path}")]);
        let ported = port.map(|port| [format!("{host}:{port}"), format!("{host} port {port}")]);
        all.extend(ported.into_iter().flatten());
        all.extend(port.map(|port| format!("{host}:{port}{path}")));
    }
    all.retain(|text| !text.is_empty());
    all
}

/// The port may have leading zeros.
fn host_and_port(authority: &str) -> (&str, Option<u16>) {
    let split = authority.rsplit_once(':').filter(|(host, _)| host.ends_with(']') || !host.contains(':'));
    match split.map(|(host, port)| (host, port.parse())) {
        Some((host, Ok(port))) => (host, Some(port)),
        _ => (authority, None),
    }
}

/// The form in which conditions show a CIDR range.
fn canonical_range(value: &str) -> Option<String> {
    let (address, length) = value.split_once('/')?;
    Some(format!("{}/{}", address.parse::<IpAddr>().ok()?, length.parse::<u8>().ok()?))
}

/// Ignores case, because hosts are case-insensitive and may be shown in another case.
fn begins_with(text: &str, value: &str, before: Option<char>) -> bool {
    let Some((head, behind)) = text.split_at_checked(value.len()) else { return false };
    // A path ends the word before it.
    let before = before.filter(|_| value.len() == 1 || !value.starts_with('/'));
    let stands_alone = || !before.into_iter().chain(behind.chars().next()).any(char::is_alphanumeric);
    head.eq_ignore_ascii_case(value) && (value.len() >= SHORT || stands_alone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_by_their_names() {
        let variables = [
            ("TOKEN", "s3cret"),
            ("LONG", "s3cret-and-more"),
            ("N", "15"),
            ("URL", "https://u:p@Old.example:8443/v1/"),
            ("ADDRESS", "[2001:0DB8::5EC]:5555"),
            ("RANGE", "2001:DB8:0::/32"),
            ("PLACE", "Inner.example:0443/Hidden/"),
            ("MOVED", "https://moved.example/a?b=c#d"),
            ("EMPTY", ""),
        ];
        let environment = Environment::of(variables.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for (text, shown) in [
            ("nothing of it, and free", "nothing of it, and free"),
            ("/x?token=s3cret", "/x?token=${env:TOKEN}"),
            ("s3crets3cret", "${env:TOKEN}${env:TOKEN}"),
            ("S3CRET-AND-MORE", "${env:LONG}"),
            ("15 % of 150, a15, 15", "${env:N} % of 150, a15, ${env:N}"),
            ("https://old.example:8443/v1/orders", "https://${env:URL}/orders"),
            ("/v1/orders", "${env:URL}/orders"),
            ("https://u:p@old.example:8443/v1/orders", "${env:URL}orders"),
            ("host: old.example", "host: ${env:URL}"),
            ("2001:0db8::5ec port 5555, [2001:db8::5ec]:5555", "${env:ADDRESS}, ${env:ADDRESS}"),
            ("ip is in 2001:db8::/32", "ip is in ${env:RANGE}"),
            ("https://inner.example/hidden/x", "https://${env:PLACE}/x"),
            ("/Hidden?x", "${env:PLACE}?x"),
            ("inner.example port 443", "${env:PLACE}"),
            ("https://moved.example:443/a?b=c", "https://${env:MOVED}:443${env:MOVED}?${env:MOVED}"),
            ("äs3cretö", "ä${env:TOKEN}ö"),
            ("", ""),
        ] {
            assert_eq!(environment.hide(text), shown);
        }
        assert_eq!(Environment::default().hide("s3cret"), "s3cret");
    }
}
