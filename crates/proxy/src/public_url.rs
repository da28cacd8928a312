//! `publicUrl`: keeping the client on the public host where a back end names itself in its answer. Knows the fields that
//! do so; content is `content`'s.

use crossfade_route::{Backend, PublicUrl};
use http::header::{
    CONTENT_LOCATION, CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY_REPORT_ONLY, HeaderMap, HeaderName, HeaderValue,
    LINK, LOCATION, REFRESH, SET_COOKIE,
};

/// Maps every field that would take the client to the back end itself. `host` is what the back end saw as `Host`.
pub(crate) fn apply(public: &PublicUrl, backend: &Backend, host: Option<&HeaderValue>, fields: &mut HeaderMap) {
    let seen = host_of(host.and_then(|host| host.to_str().ok()).unwrap_or_default());
    let map = Map { public, backend, seen };
    for name in [LOCATION, CONTENT_LOCATION] {
        each_value(fields, &name, |value| map.url(value));
    }
    each_value(fields, &REFRESH, |value| map.refresh(value));
    each_value(fields, &LINK, |value| map.link(value));
    each_value(fields, &SET_COOKIE, |value| map.cookie(value));
    // A policy is about the URLs in the content.
    if !public.content.is_empty() {
        for name in [CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY_REPORT_ONLY] {
            each_value(fields, &name, |value| Some(map.policy(value)));
        }
    }
}

/// Replaces the values for which there is another one.
fn each_value(fields: &mut HeaderMap, name: &HeaderName, replacement: impl Fn(&str) -> Option<String>) {
    if let http::header::Entry::Occupied(mut entry) = fields.entry(name) {
        for value in entry.iter_mut() {
            // Other text is read, and written, as Latin-1.
            let mapped = match std::str::from_utf8(value.as_bytes()) {
                Ok(text) => replacement(text).map(String::into_bytes),
                Err(_) => {
                    let text: String = value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
                    replacement(&text).map(|text| text.chars().map(|character| character as u8).collect())
                }
            };
            if let Some(mapped) = mapped.and_then(|mapped| HeaderValue::try_from(mapped).ok()) {
                *value = mapped;
            }
        }
    }
}

struct Map<'a> {
    public: &'a PublicUrl,
    backend: &'a Backend,
    /// The `Host` of the request to the back end.
    seen: &'a str,
}

impl Map<'_> {
    /// A reference to the back end (RFC 3986 section 4) as one to the public URL. `None` where it names another host, is
    /// relative to the request, or leaves the base path, which the public side has no name for.
    fn url(&self, url: &str) -> Option<String> {
        let rest = strip_prefix_ignoring_case(url, "https:").or_else(|| strip_prefix_ignoring_case(url, "http:"));
        match rest.unwrap_or(url).strip_prefix("//") {
            Some(rest) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (authority, reference) = rest.split_at_checked(end)?;
                let path = self.is_backend(authority).then(|| self.path(reference))??;
                Some(format!("{}{path}", self.public.origin))
            }
            None if rest.is_none() && url.starts_with('/') => {
                let path = self.path(url).filter(|path| path != url)?;
                Some(if names_no_host(&path) { path } else { format!("{}{path}", self.public.origin) })
            }
            None => None,
        }
    }

    /// By its name or by the one that it sees as `Host`, with whatever port: it may not know of the one that it is
    /// reached by.
    fn is_backend(&self, authority: &str) -> bool {
        let host = host_of(authority.rsplit_once('@').map_or(authority, |(_, host)| host)).trim_end_matches('.');
        host.eq_ignore_ascii_case(&self.backend.host) || host.eq_ignore_ascii_case(self.seen)
    }

    /// A path below the base path as one below the public base path.
    fn path(&self, path: &str) -> Option<String> {
        let below = path.strip_prefix(self.backend.base_path.as_str())?;
        match below.chars().next() {
            None if self.public.base_path.is_empty() => Some("/".to_owned()),
            None | Some('/') => Some(format!("{}{below}", self.public.base_path)),
            Some('?' | '#') => Some(format!("{}/{below}", self.public.base_path)),
            Some(_) => None,
        }
    }

    /// `5; url=https://…`, in every form that browsers take (HTML, "shared declarative refresh steps"): with a comma for the
    /// semicolon, in quotes, without `url=`. They drop text after a quoted URL, and so do we.
    fn refresh(&self, value: &str) -> Option<String> {
        let at = value.find([';', ','])? + 1;
        let (time, rest) = value.split_at_checked(at)?;
        let rest = rest.trim_start();
        let after_name = strip_prefix_ignoring_case(rest, "url").and_then(|rest| rest.trim_start().strip_prefix('='));
        let rest = after_name.map_or(rest, str::trim_start);
        let url = match rest.chars().next().filter(|quote| matches!(quote, '"' | '\'')) {
            Some(quote) => rest.get(1..).and_then(|rest| rest.split(quote).next()).unwrap_or_default(),
            None => rest,
        };
        Some(format!("{time} url={}", self.url(url.trim())?))
    }

    /// `<https://…>; rel=next, <…>; rel=…` (RFC 8288 section 3)
    fn link(&self, value: &str) -> Option<String> {
        let mut pieces = value.split('<');
        let mut mapped = pieces.next()?.to_owned();
        for piece in pieces {
            mapped.push('<');
            match piece.split_once('>') {
                Some((url, rest)) => {
                    mapped.push_str(self.url(url).as_deref().unwrap_or(url));
                    mapped.push('>');
                    mapped.push_str(rest);
                }
                None => mapped.push_str(piece),
            }
        }
        Some(mapped)
    }

    /// `default-src 'self' https://…; report-uri /…` (CSP level 3): sources with or without a scheme and a path.
    fn policy(&self, value: &str) -> String {
        let mut mapped = String::with_capacity(value.len());
        for piece in value.split_inclusive([' ', ';', ',', '\t']) {
            let source = piece.trim_end_matches([' ', ';', ',', '\t']);
            mapped.push_str(self.source(source).as_deref().unwrap_or(source));
            mapped.push_str(piece.get(source.len()..).unwrap_or_default());
        }
        mapped
    }

    fn source(&self, source: &str) -> Option<String> {
        if source.starts_with('/') {
            return self.url(source);
        }
        let (scheme, rest) = source.split_once("://").map_or((None, source), |(scheme, rest)| (Some(scheme), rest));
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        if authority.is_empty() || !self.is_backend(authority) {
            return None;
        }
        let (public_scheme, public) = self.public.origin.split_once("://")?;
        let path = if path.is_empty() { String::new() } else { self.path(path)? };
        Some(match scheme {
            Some(_) => format!("{public_scheme}://{public}{path}"),
            None => format!("{public}{path}"),
        })
    }

    /// Domain and Path of a cookie (RFC 6265 section 5.2); its name and value stay as they are.
    fn cookie(&self, value: &str) -> Option<String> {
        let mut attributes = value.split(';');
        let mut mapped = attributes.next()?.to_owned();
        // Browsers take a cookie of this name with no other path (RFC 6265bis).
        let is_of_whole_host = strip_prefix_ignoring_case(mapped.trim_start(), "__Host-").is_some();
        for attribute in attributes {
            let (name, content) = attribute.split_once('=').unwrap_or((attribute, ""));
            let replacement = match name.trim().to_ascii_lowercase().as_str() {
                "domain" => self.cookie_domain(content.trim()),
                "path" if is_of_whole_host => None,
                "path" => self.path(content.trim()).map(|path| if path.is_empty() { "/".to_owned() } else { path }),
                _ => None,
            };
            mapped.push(';');
            match replacement {
                Some(replacement) => mapped.push_str(&format!("{name}={replacement}")),
                None => mapped.push_str(attribute),
            }
        }
        Some(mapped)
    }

    /// A domain that the public host lies in stays; the back end's own becomes the public host.
    fn cookie_domain(&self, domain: &str) -> Option<String> {
        let domain = domain.trim_start_matches('.');
        let covers = |host: &str| {
            let start = host.len().checked_sub(domain.len());
            let tail = start.and_then(|start| Some((host.get(..start)?, host.get(start..)?)));
            tail.is_some_and(|(head, tail)| {
                tail.eq_ignore_ascii_case(domain) && (head.is_empty() || head.ends_with('.'))
            })
        };
        let is_its_own = covers(&self.backend.host) || covers(self.seen);
        (is_its_own && !covers(&self.public.host)).then(|| self.public.host.clone())
    }
}

/// Returns whether a path is still a path after its base path has been removed. A second slash would begin a host (RFC 3986
/// section 4.2), and browsers treat a backslash as a slash and drop tabs and line breaks first (WHATWG URL).
fn names_no_host(path: &str) -> bool {
    let second = path.chars().nth(1);
    second.is_none_or(|second| !matches!(second, '/' | '\\') && !second.is_whitespace() && !second.is_control())
}

/// An authority without its port and brackets.
fn host_of(authority: &str) -> &str {
    let without_port = match authority.rfind(':') {
        Some(colon) if !authority.ends_with(']') => authority.get(..colon).unwrap_or(authority),
        _ => authority,
    };
    without_port.trim_start_matches('[').trim_end_matches(']')
}

fn strip_prefix_ignoring_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use crossfade_route::{Nothing, RoutingTable};

    use super::*;

    /// Maps a field of a back end with this URL and this public URL, which was asked by its own host.
    fn mapped(backend: &str, public: &str, name: &str, value: &str) -> String {
        mapped_for(None, backend, public, name, value)
    }

    fn mapped_for(host: Option<&str>, backend: &str, public: &str, name: &str, value: &str) -> String {
        let text = format!(
            "{{version: 1, backends: {{b: {{url: '{backend}', publicUrl: '{public}'}}}}, default: {{forward: b}}}}"
        );
        let table = RoutingTable::from_config(&text, "", &Nothing).unwrap();
        let backend = &table.backends()[0];
        let mut fields = HeaderMap::new();
        fields.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        let host = host.map_or_else(|| backend.authority.clone(), |host| host.parse().unwrap());
        apply(backend.public_url.as_ref().unwrap(), backend, Some(&host), &mut fields);
        std::str::from_utf8(fields[name].as_bytes()).unwrap().to_owned()
    }

    const BACKEND: &str = "https://modern.internal:8443/v2";
    const PUBLIC: &str = "https://shop.example.com";

    #[test]
    fn references_to_the_back_end_become_public() {
        let location = |value: &str| mapped(BACKEND, PUBLIC, "location", value);
        assert_eq!(location("https://modern.internal:8443/v2/a?b#c"), "https://shop.example.com/a?b#c");
        assert_eq!(location("http://MODERN.internal/v2"), "https://shop.example.com/");
        assert_eq!(location("//modern.internal/v2?x"), "https://shop.example.com/?x");
        assert_eq!(location("/v2/a"), "/a");
        assert_eq!(location("/v2//evil.example/a"), "https://shop.example.com//evil.example/a");
        assert_eq!(location("/v2/caf\u{E9}"), "/caf\u{E9}");
        // Others, relative ones, and what the public side has no name for.
        for same in [
            "https://other.example.com/v2/a",
            "https://modern.internal.evil.example/v2/a",
            "https://modern.internal/admin",
            "https://modern.internal/v22",
            "a/b",
            "?x",
            "",
            "mailto:a@modern.internal",
        ] {
            assert_eq!(location(same), same);
        }
    }

    #[test]
    fn what_stood_behind_the_base_path_does_not_become_a_host() {
        for below in
            ["//evil.example/a", "/\\evil.example/a", "/\t/evil.example/a", "/ /evil.example", "/\t\\evil.example"]
        {
            let public = format!("https://shop.example.com{below}");
            assert_eq!(mapped(BACKEND, PUBLIC, "location", &format!("/v2{below}")), public);
            assert_eq!(mapped(BACKEND, PUBLIC, "content-location", &format!("/v2{below}")), public);
            assert_eq!(mapped(BACKEND, PUBLIC, "refresh", &format!("0; url=/v2{below}")), format!("0; url={public}"));
            assert_eq!(
                mapped(BACKEND, PUBLIC, "link", &format!("</v2{below}>; rel=next")),
                format!("<{public}>; rel=next")
            );
        }
        assert_eq!(mapped(BACKEND, PUBLIC, "location", "/v2/a\t/b"), "/a\t/b");
        assert_eq!(mapped(BACKEND, PUBLIC, "location", "/v2/"), "/");
    }

    #[test]
    fn a_public_base_path_comes_in() {
        let location =
            |value: &str| mapped("https://modern.internal", "https://shop.example.com/new", "location", value);
        assert_eq!(location("https://modern.internal/a"), "https://shop.example.com/new/a");
        assert_eq!(location("https://modern.internal"), "https://shop.example.com/new");
        assert_eq!(location("/a"), "/new/a");
    }

    #[test]
    fn every_field_that_names_a_place() {
        let of = |name: &str, value: &str| mapped(BACKEND, PUBLIC, name, value);
        assert_eq!(of("content-location", "/v2/a"), "/a");
        for (value, expected) in [
            ("5; URL='https://modern.internal/v2/a'", "5; url=https://shop.example.com/a"),
            ("0; url = /v2/a", "0; url=/a"),
            ("0;url=\"/v2/a\" x", "0; url=/a"),
            ("0; https://modern.internal/v2/a", "0; url=https://shop.example.com/a"),
            ("0,https://modern.internal/v2/a", "0, url=https://shop.example.com/a"),
            ("0; url=' /v2/a'", "0; url=/a"),
            // Browsers look for `url=` at the beginning only.
            ("0; /v2/?url=https://modern.internal/v2/a", "0; url=/?url=https://modern.internal/v2/a"),
            ("0; url=https://other.example/v2/a", "0; url=https://other.example/v2/a"),
            ("5", "5"),
        ] {
            assert_eq!(of("refresh", value), expected, "{value}");
        }
        assert_eq!(
            of("link", "<https://modern.internal/v2/a>; rel=next, <https://x.example/>; rel=\"a,<b\""),
            "<https://shop.example.com/a>; rel=next, <https://x.example/>; rel=\"a,<b\""
        );
        assert_eq!(of("x-location", "https://modern.internal/v2/a"), "https://modern.internal/v2/a");
    }

    #[test]
    fn the_back_end_has_more_than_one_spelling() {
        for own in ["https://user@modern.internal/v2/a", "https://MODERN.internal.:443/v2/a"] {
            assert_eq!(mapped(BACKEND, PUBLIC, "location", own), "https://shop.example.com/a", "{own}");
        }
        let table = RoutingTable::from_config(
            "{version: 1, backends: {b: {url: 'https://b.internal/v2', publicUrl: 'https://shop.example.com'}}, default: {forward: b}}",
            "",
            &Nothing,
        );
        let table = table.unwrap();
        let mut fields = HeaderMap::new();
        fields.insert(LOCATION, HeaderValue::from_bytes(b"https://b.internal/v2/caf\xE9").unwrap());
        apply(table.backends()[0].public_url.as_ref().unwrap(), &table.backends()[0], None, &mut fields);
        assert_eq!(fields[LOCATION].as_bytes(), b"https://shop.example.com/caf\xE9");
    }

    #[test]
    fn cookies_keep_all_but_domain_and_path() {
        let cookie = |value: &str| mapped(BACKEND, PUBLIC, "set-cookie", value);
        assert_eq!(
            cookie("a=/v2/x=1; Domain=.modern.internal; Path=/v2/; Secure; SameSite=Lax"),
            "a=/v2/x=1; Domain=shop.example.com; Path=/; Secure; SameSite=Lax"
        );
        assert_eq!(cookie("a=b; domain=internal"), "a=b; domain=shop.example.com");
        let seen = mapped_for(Some("old.example:1"), BACKEND, PUBLIC, "set-cookie", "a=b; Domain=old.example");
        assert_eq!(seen, "a=b; Domain=shop.example.com");
        let whole_host = "__Host-a=b; Path=/; Secure";
        assert_eq!(
            mapped("https://modern.internal", "https://shop.example.com/new", "set-cookie", whole_host),
            whole_host
        );
        for same in ["a=b", "a=b; Path=/", "a=b; Domain=example.com", "a=b; Domain=other.example", ""] {
            assert_eq!(cookie(same), same);
        }
    }

    #[test]
    fn a_back_end_that_sees_another_host_is_known_by_that_too() {
        let location = |host: &str, value: &str| mapped_for(Some(host), BACKEND, PUBLIC, "location", value);
        assert_eq!(location("old.example:1", "https://old.example/v2/a"), "https://shop.example.com/a");
        assert_eq!(location("shop.example.com", "https://shop.example.com/v2/a"), "https://shop.example.com/a");
        assert_eq!(location("modern.internal", "https://shop.example.com/v2/a"), "https://shop.example.com/v2/a");
    }
}
