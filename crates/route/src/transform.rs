//! Transforms of path, query and host towards a back end: on raw bytes, once, on segment boundaries. The first entry that
//! matches is applied; a match that cannot be carried out is an error, as with ALB's own transforms.

use std::fmt;

use crossfade_rule as rule;
use http::uri::PathAndQuery;

/// `transforms` of a route or of a target.
#[derive(Clone, Debug, Default)]
pub struct Transforms {
    /// For the path without the query; may yield a path with one.
    pub(crate) path: Vec<Rewrite>,
    /// For the query without its `?`; may yield nothing.
    pub(crate) query: Vec<Rewrite>,
    /// For the host that the client asked for; the result becomes `Host`, never what is connected to.
    pub(crate) host: Vec<Rewrite>,
}

/// One entry of a list.
#[derive(Clone, Debug)]
pub(crate) enum Rewrite {
    /// `{prefix, replace}`: whole segments at the beginning of a path; both without a `/` at the end.
    Prefix { prefix: Box<str>, replace: Box<str> },
    /// `{regex, replace}`: the first match, wherever it stands.
    Regex(rule::Rewrite),
}

/// A request that a transform makes something impossible of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransformError(String);

impl fmt::Display for TransformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Transforms {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.path.is_empty() && self.query.is_empty() && self.host.is_empty()
    }

    /// Path and query as these transforms make them; `None` where nothing matches.
    ///
    /// # Errors
    ///
    /// [`TransformError`] if what results is no path and query.
    pub fn target(&self, path_and_query: &str) -> Result<Option<String>, TransformError> {
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        let new_path = first(&self.path, path);
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
            // A path may have become path and query: the client's comes behind.
            result.push(if result.contains('?') { '&' } else { '?' });
            result.push_str(query);
        }
        let is_target = result.starts_with('/') && !result.contains('#') && PathAndQuery::try_from(&*result).is_ok();
        is_target.then_some(Some(result)).ok_or_else(|| TransformError("the path that results is none".to_owned()))
    }

    /// The host as these transforms make it; `None` where nothing matches.
    ///
    /// # Errors
    ///
    /// [`TransformError`] if what results is no host.
    pub fn host(&self, host: &str) -> Result<Option<String>, TransformError> {
        let result = first(&self.host, host);
        if let Some(host) = &result {
            let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
            // Parsing looks at its brackets, a port has to be a number.
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
    /// `/api` -> `/v2` makes `/v2/x` of `/api/x`; to `/` it takes the prefix away.
    pub(crate) fn prefix(prefix: &str, replace: &str) -> Self {
        let without_slash = |text: &str| text.strip_suffix('/').unwrap_or(text).into();
        Rewrite::Prefix { prefix: without_slash(prefix), replace: without_slash(replace) }
    }

    /// The input with its match replaced; `None` without a match.
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

    #[test] // T9
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

    #[test] // T12
    fn a_regex_is_applied_once_and_the_first_that_matches_alone() {
        assert_eq!(path(vec![regex("a", "b")], "/aa"), "/ba");
        assert_eq!(path(vec![regex("^/x", "/y"), regex("^/a", "/x"), regex("^/", "/z/")], "/a/1"), "/x/1");
    }

    #[test]
    fn raw_bytes_stay_as_they_are() {
        assert_eq!(path(vec![regex("^/a/(.*)$", "/b/$1")], "/a/%2F%20+;x=1//y?a=%26"), "/b/%2F%20+;x=1//y?a=%26");
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
    fn what_cannot_be_a_target_is_an_error() {
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
