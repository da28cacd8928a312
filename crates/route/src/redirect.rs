//! `redirect`: ALB's fields and keywords (ELBv2 `RedirectActionConfig`), and groups of the path's regex.

use std::net::Ipv6Addr;

use crossfade_rule::Regex;
use http::StatusCode;

use crate::template::{REDIRECT_KEYWORDS, Template, Variable};

/// A compiled `redirect`. Absent parts are those of the request.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
    pub(crate) protocol: Option<&'static str>,
    pub(crate) host: Option<Template>,
    pub(crate) port: Option<Template>,
    /// Begins with `/`.
    pub(crate) path: Option<Template>,
    pub(crate) query: Option<Template>,
}

/// The parts of a request that a redirect can use.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'a> {
    /// `http` or `https`.
    pub protocol: &'a str,
    /// Without its port.
    pub host: &'a str,
    /// The port that the client connected to.
    pub port: &'a str,
    /// The part of the client's path that never reaches the proxy, such as the stage of an API: `/prod`, or empty.
    pub base_path: &'a str,
    /// With its leading `/`.
    pub path: &'a str,
    /// Without `?`.
    pub query: &'a str,
    /// Groups of the path's regex.
    pub captures: &'a Captures,
}

/// The groups of the regex that matched a path; empty if none did.
#[derive(Clone, Debug, Default)]
pub struct Captures(Vec<Option<String>>);

impl Captures {
    /// Returns a group by its number; 0 is the whole match.
    #[must_use]
    pub fn get(&self, group: usize) -> Option<&str> {
        self.0.get(group)?.as_deref()
    }

    pub(crate) fn of(regex: &Regex, path: &str) -> Option<Self> {
        let captures = regex.captures(path)?;
        let group = |number| captures.get(number).map(|group| group.as_str().to_owned());
        Some(Captures((0..captures.len()).map(group).collect()))
    }
}

impl Redirect {
    /// Returns protocol, host, port, path and query with ALB's keywords, each `None` if it is the request's; `None` if a group is
    /// used, which ALB has not.
    #[must_use]
    pub fn keywords(&self) -> Option<[Option<String>; 5]> {
        let keyword = |variable| {
            let known = REDIRECT_KEYWORDS.iter().find(|(_, known)| *known == variable);
            known.map(|(name, _)| format!("#{{{name}}}"))
        };
        let text = |template: &Option<Template>| match template {
            Some(template) => Some(Some(template.render(&keyword)?)),
            None => Some(None),
        };
        Some([
            self.protocol.map(str::to_uppercase),
            text(&self.host)?,
            text(&self.port)?,
            text(&self.path)?,
            text(&self.query)?,
        ])
    }

    /// Returns `true` if a group of the path's regex is used.
    pub(crate) fn has_group(&self) -> bool {
        [&self.host, &self.port, &self.path, &self.query].into_iter().flatten().any(Template::has_group)
    }

    /// Returns the `Location` for a request, without a default port; `None` if the result is not a valid URL.
    #[must_use]
    pub fn location(&self, request: &RequestParts<'_>) -> Option<String> {
        let value = |variable: Variable| {
            let text = match variable {
                Variable::Protocol => request.protocol,
                Variable::Host => request.host,
                Variable::Port => request.port,
                Variable::Path => request.path.strip_prefix('/').unwrap_or(request.path),
                Variable::Query => request.query,
                // A group that did not take part in the match is empty.
                Variable::Group(group) => request.captures.get(group).unwrap_or_default(),
                Variable::ClientIp | Variable::RequestId | Variable::Route | Variable::Backend => return None,
            };
            Some(text.to_owned())
        };
        let render = |template: &Option<Template>, otherwise: &str| match template {
            Some(template) => template.render(&value),
            None => Some(otherwise.to_owned()),
        };
        let protocol = self.protocol.unwrap_or(request.protocol);
        let host = render(&self.host, request.host)?;
        // The client's port belongs to the protocol that it used.
        let same_port = if protocol == request.protocol { request.port } else { "" };
        let port = render(&self.port, same_port)?;
        // Another host has its own paths.
        let base_path = if self.host.is_none() { request.base_path } else { "" };
        let path = format!("{base_path}{}", render(&self.path, request.path)?);
        let query = render(&self.query, request.query)?;

        let is_text = |byte: u8| byte.is_ascii_graphic() || byte >= 0x80;
        let is_port =
            port.is_empty() || (port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok());
        if !is_host(&host) || !is_port || !path.starts_with('/') || !path.bytes().chain(query.bytes()).all(is_text) {
            return None;
        }
        let own_port = if protocol == "https" { "443" } else { "80" };
        let port = if port.is_empty() || port == own_port { String::new() } else { format!(":{port}") };
        let query = if query.is_empty() { query } else { format!("?{query}") };
        Some(format!("{protocol}://{host}{port}{path}{query}"))
    }
}

/// Returns `true` if a text is a valid host in an authority (RFC 3986 section 3.2.2): a name, an IPv4 address, or an
/// IPv6 address in brackets. Rejects percent-encoded names and other characters that resolvers do not accept.
#[must_use]
pub fn is_host(text: &str) -> bool {
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)),
    }
}

#[cfg(test)]
mod tests {
    use crossfade_rule::{Case, Pattern};

    use super::*;
    use crate::template::Groups;
    use crossfade_document::Piece;

    const AS_IT_IS: Redirect =
        Redirect { status: StatusCode::FOUND, protocol: None, host: None, port: None, path: None, query: None };

    fn template(text: &str) -> Option<Template> {
        let groups = [Pattern::regex("^/(a)(b)?", Case::Sensitive).unwrap()];
        Some(Template::parse_redirect(&[Piece::OfFile(text.to_owned())], &Groups::of(&groups)).unwrap())
    }

    fn location(redirect: &Redirect) -> Option<String> {
        below("", redirect)
    }

    fn below(base_path: &str, redirect: &Redirect) -> Option<String> {
        let captures = Captures(vec![Some("/a".into()), Some("a".into()), None]);
        redirect.location(&RequestParts {
            protocol: "http",
            host: "old.example",
            port: "8080",
            base_path,
            path: "/a/b",
            query: "x=1",
            captures: &captures,
        })
    }

    #[test]
    fn what_is_not_named_stays() {
        let host = Redirect { host: template("new.example"), ..AS_IT_IS };
        assert_eq!(location(&host).unwrap(), "http://new.example:8080/a/b?x=1");
        let https = Redirect { protocol: Some("https"), ..AS_IT_IS };
        assert_eq!(location(&https).unwrap(), "https://old.example/a/b?x=1");
    }

    #[test]
    fn keywords_and_groups() {
        let all = Redirect {
            host: template("www.#{host}"),
            port: template("#{port}"),
            path: template("/#{host}/#{path}/${1}${2}"),
            query: template("#{query}&from=#{port}&p=#{protocol}"),
            ..AS_IT_IS
        };
        assert_eq!(location(&all).unwrap(), "http://www.old.example:8080/old.example/a/b/a?x=1&from=8080&p=http");
    }

    #[test]
    fn a_client_stays_below_the_base_path_of_its_front_end() {
        let same_host = Redirect { path: template("/new/#{path}"), ..AS_IT_IS };
        assert_eq!(below("/prod", &same_host).unwrap(), "http://old.example:8080/prod/new/a/b?x=1");
        let other_host = Redirect { host: template("new.example"), ..AS_IT_IS };
        assert_eq!(below("/prod", &other_host).unwrap(), "http://new.example:8080/a/b?x=1");
    }

    #[test]
    fn default_ports_and_empty_queries_are_omitted() {
        let redirect = Redirect { port: template("80"), query: template(""), ..AS_IT_IS };
        assert_eq!(location(&redirect).unwrap(), "http://old.example/a/b");
    }

    #[test]
    fn a_request_cannot_smuggle_another_host_or_line() {
        let captures = Captures::default();
        let with = |host, path| {
            AS_IT_IS.location(&RequestParts {
                protocol: "https",
                host,
                port: "443",
                base_path: "",
                path,
                query: "",
                captures: &captures,
            })
        };
        for host in ["a.example", "192.0.2.7", "[::1]", "[2001:db8::7]", "a_b"] {
            assert!(with(host, "/x").is_some(), "{host}");
        }
        for host in ["[::1", "[:", "::1", "[::1]x", "[x]", "[]", "a:80", "a]", "a%2f", "a\u{E9}", "a b", "a,b", "a\\b"]
        {
            assert_eq!(with(host, "/"), None, "{host}");
        }
        for (host, path) in [("a@b", "/"), ("a/b", "/"), ("", "/"), ("a", "*"), ("a", "/\r\nx")] {
            assert_eq!(with(host, path), None, "{host:?} {path:?}");
        }
    }
}
