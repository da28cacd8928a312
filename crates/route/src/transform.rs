//! Transforms path, query and host on their way to a back end: raw bytes, once, at segment boundaries. The first
//! matching entry is applied; a match with an invalid result is an error, as with ALB's transforms.

use std::borrow::Cow;
use std::fmt;

use crossfade_rule as rule;
use http::uri::PathAndQuery;

/// `transforms` of a route or of a target.
#[derive(Clone, Debug, Default)]
pub struct Transforms {
    /// Applied to the path without the query; the result may contain a query.
    pub(crate) path: Vec<Rewrite>,
    /// Applied to the query without its `?`; the result may be empty.
    pub(crate) query: Vec<Rewrite>,
    /// Applied to the client's host; the result becomes `Host`, never the host to connect to.
    pub(crate) host: Vec<Rewrite>,
}

/// One entry of a list.
#[derive(Clone, Debug)]
pub(crate) enum Rewrite {
    /// `{prefix, replace}`: whole segments at the start of a path; both without a trailing `/`.
    Prefix { prefix: Box<str>, replace: Box<str> },
    /// `{regex, replace}`: the first match, anywhere.
    Regex(rule::Rewrite),
}

/// A request for which a transform produced an invalid result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransformError(String);

impl fmt::Display for TransformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Transforms {
    /// Returns `true` if nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.path.is_empty() && self.query.is_empty() && self.host.is_empty()
    }

    /// Returns the transformed path and query; `None` if nothing matches.
    ///
    /// # Errors
    ///
    /// [`TransformError`] if the result is not a valid path and query.
    pub fn target(&self, path_and_query: &str) -> Result<Option<String>, TransformError> {
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        let new_path = self.path(path);
        let new_query = first(&self.query, query.unwrap_or_default());
        if new_path.is_none() && new_query.is_none() {
            return Ok(None);
        }
        let query = match &new_query {
            Some(text) => Some(text.as_str()).filter(|text| !text.is_empty()),
            None => query,
        };
        let mut result = new_path.unwrap_or_else(|| path.to_owned());
        if let Some(query) = query {
            // The path may have become path and query: the client's query is appended.
            result.push(if result.contains('?') { '&' } else { '?' });
            result.push_str(query);
        }
        let is_target = result.starts_with('/') && !result.contains('#') && PathAndQuery::try_from(&*result).is_ok();
        is_target
            .then_some(Some(result))
            .ok_or_else(|| TransformError("the transform produced an invalid path".to_owned()))
    }

    /// An entry that does not match the path as it was sent may match its normal form, which the conditions saw:
    /// otherwise `/%61pi` would reach the back end without the transform of `/api`.
    fn path(&self, path: &str) -> Option<String> {
        let normal =
            if self.path.is_empty() { Cow::Borrowed(path.as_bytes()) } else { rule::normalised(path.as_bytes()) };
        let normal = std::str::from_utf8(&normal).ok().filter(|normal| *normal != path);
        self.path.iter().find_map(|entry| entry.apply(path).or_else(|| entry.apply(normal?)))
    }

    /// Returns the transformed host; `None` if nothing matches.
    ///
    /// # Errors
    ///
    /// [`TransformError`] if the result is not a valid host.
    pub fn host(&self, host: &str) -> Result<Option<String>, TransformError> {
        let result = first(&self.host, host);
        if let Some(host) = &result {
            let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
            // Parsing checks the brackets, but not that a port is a number.
            let authority = host.parse::<http::uri::Authority>().ok();
            let port_is_right =
                |it: &http::uri::Authority| it.as_str().len() == it.host().len() || it.port_u16().is_some();
            if !host.bytes().all(is_host_byte) || !authority.is_some_and(|it| port_is_right(&it)) {
                return Err(TransformError("the transform produced an invalid host".to_owned()));
            }
        }
        Ok(result)
    }
}

fn first(rewrites: &[Rewrite], input: &str) -> Option<String> {
    rewrites.iter().find_map(|rewrite| rewrite.apply(input))
}

impl Rewrite {
    /// With `/api` and `/v2`, `/api/x` becomes `/v2/x`; replacing with `/` removes the prefix.
    pub(crate) fn prefix(prefix: &str, replace: &str) -> Self {
        let without_slash = |text: &str| text.strip_suffix('/').unwrap_or(text).into();
        Rewrite::Prefix { prefix: without_slash(prefix), replace: without_slash(replace) }
    }

    /// Returns the input with its match replaced; `None` if nothing matches.
    fn apply(&self, input: &str) -> Option<String> {
        match self {
            Rewrite::Prefix { prefix, replace } => {
                let rest = input.strip_prefix(&**prefix)?;
                match rest.bytes().next() {
                    None if replace.is_empty() => Some("/".to_owned()),
                    None | Some(b'/') => Some(format!("{replace}{rest}")),
                    Some(_) => None,
                }
            }
            Rewrite::Regex(rewrite) => rewrite.apply(input),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regex(regex: &str, replace: &str) -> Rewrite {
        Rewrite::Regex(rule::Rewrite::new(rule::Regex::new(regex).unwrap(), replace).unwrap())
    }

    fn path(rewrites: Vec<Rewrite>, target: &str) -> String {
        let transforms = Transforms { path: rewrites, ..Transforms::default() };
        transforms.target(target).unwrap().unwrap_or_else(|| "unchanged".to_owned())
    }

    #[test]
    fn a_prefix_is_of_whole_segments_and_makes_no_double_slash() {
        for (prefix, replace) in [("/api", "/v2"), ("/api/", "/v2/"), ("/api", "/v2/")] {
            let to = |target| path(vec![Rewrite::prefix(prefix, replace)], target);
            assert_eq!(to("/api/x?q=1"), "/v2/x?q=1");
            assert_eq!(to("/api"), "/v2");
            assert_eq!(to("/api/"), "/v2/");
            assert_eq!(to("/apix"), "unchanged");
            assert_eq!(to("/x/api/"), "unchanged");
        }
        let away = |target| path(vec![Rewrite::prefix("/api", "/")], target);
        assert_eq!(away("/api/x"), "/x");
        assert_eq!(away("/api"), "/");
        assert_eq!(away("/api?q"), "/?q");
        let under = |target| path(vec![Rewrite::prefix("/", "/v2")], target);
        assert_eq!(under("/x"), "/v2/x");
        assert_eq!(under("/"), "/v2/");
    }

    #[test]
    fn a_regex_is_applied_once_and_the_first_that_matches_alone() {
        assert_eq!(path(vec![regex("a", "b")], "/aa"), "/ba");
        assert_eq!(path(vec![regex("^/x", "/y"), regex("^/a", "/x"), regex("^/", "/z/")], "/a/1"), "/x/1");
    }

    #[test]
    fn raw_bytes_stay_as_they_are() {
        assert_eq!(path(vec![regex("^/a/(.*)$", "/b/$1")], "/a/%2F%20+;x=1//y?a=%26"), "/b/%2F%20+;x=1//y?a=%26");
    }

    #[test]
    fn an_entry_of_the_normalised_path_is_not_evaded_by_escapes() {
        let entries = || vec![Rewrite::prefix("/api/admin", "/closed"), Rewrite::prefix("/api", "/v2")];
        for (target, result) in [
            ("/%61pi/x%c3?a=%61", "/v2/x%C3?a=%61"),
            ("/api/x%c3%61", "/v2/x%c3%61"),
            ("/api/%61dmin/x", "/closed/x"),
            ("/zzz/../api/x", "/v2/x"),
            ("/api%2Fx", "unchanged"),
        ] {
            assert_eq!(path(entries(), target), result, "{target}");
        }
    }

    #[test]
    fn a_path_can_become_a_query() {
        let by_id = || vec![regex("^/item/([0-9]+)$", "/item?id=$1")];
        assert_eq!(path(by_id(), "/item/7"), "/item?id=7");
        assert_eq!(path(by_id(), "/item/7?a=1"), "/item?id=7&a=1");
    }

    #[test]
    fn queries() {
        let transforms =
            Transforms { query: vec![regex("^v=1$", "version=1"), regex("^gone$", "")], ..Transforms::default() };
        assert_eq!(transforms.target("/?v=1").unwrap().as_deref(), Some("/?version=1"));
        assert_eq!(transforms.target("/?gone").unwrap().as_deref(), Some("/"));
        assert_eq!(transforms.target("/?v=2").unwrap(), None);
        assert_eq!(transforms.target("/").unwrap(), None);
    }

    #[test]
    fn an_invalid_result_is_an_error() {
        for (from, replace) in
            [("^/", ""), ("^/", "https://evil.example/"), ("$", "#x"), ("$", " x"), ("$", "\r\nx: y")]
        {
            let transforms = Transforms { path: vec![regex(from, replace)], ..Transforms::default() };
            assert!(transforms.target("/a").is_err(), "{replace:?}");
        }
        for replace in ["", "a/b", "a@b", "a b", "a:b"] {
            let transforms = Transforms { host: vec![regex(".*", replace)], ..Transforms::default() };
            assert!(transforms.host("a.example").is_err(), "{replace:?}");
        }
    }

    #[test]
    fn hosts() {
        let transforms =
            Transforms { host: vec![regex(r"^([a-z]+)\.old\.example$", "$1.new.example")], ..Transforms::default() };
        assert_eq!(transforms.host("shop.old.example").unwrap().as_deref(), Some("shop.new.example"));
        assert_eq!(transforms.host("old.example").unwrap(), None);
    }
}
