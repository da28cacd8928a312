//! Compares URLs by part: scheme, host, port, path, each key of the query, fragment. Owns their normalisation (RFC 3986
//! section 6.2.2 and 6.2.3).

use std::fmt::Write;

use crate::findings::Findings;
use crate::parts::{self, Parts, Report, step};
use crate::work::Stop;

/// Characters besides letters and digits that have the same meaning whether they are percent-encoded or not.
const UNRESERVED: &[u8] = b"-._~";
/// Characters that may stand in a URL as they are, and mean something else percent-encoded.
const RESERVED: &[u8] = b":/?#[]@!$&'()*+,;=";

/// Calls `report` for each part that differs: `scheme`, `userinfo`, `host`, `port`, `path`, `query/KEY` for each key, and
/// `fragment`. A reference without a host differs from one with a host in the `host`, and where else they differ; nothing is
/// resolved.
pub(crate) fn compare(
    primary: &str,
    mirror: &str,
    findings: &mut Findings<'_>,
    report: &mut Report<'_>,
) -> Result<(), Stop> {
    findings.work.spend(4 * (primary.len() + mirror.len()))?;
    let [ours, theirs] = [primary, mirror].map(|url| {
        let mut parts = Parts::default();
        add(url, "", &mut parts);
        parts
    });
    parts::compare(ours, theirs, findings, report)
}

/// Adds the parts of a URL, whose names begin with `prefix`.
pub(crate) fn add(url: &str, prefix: &str, parts: &mut Parts) {
    let url = url.trim();
    let mut add = |name: &str, value: String| parts.text(format!("{prefix}{name}"), value);
    let (rest, fragment) = split(url, '#');
    let (rest, query) = split(rest, '?');
    let (scheme, rest) = match rest.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme.to_ascii_lowercase()), rest),
        _ => (None, rest),
    };
    let is_of_host = rest.starts_with("//");
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at_checked(rest.find('/').unwrap_or(rest.len())).unwrap_or_default(),
        None => ("", rest),
    };
    if is_of_host {
        let (userinfo, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port),
            _ => (host, ""),
        };
        if let Some(userinfo) = userinfo {
            add("userinfo", normal(userinfo));
        }
        add("host", normal(host).to_ascii_lowercase());
        if !port.is_empty() && default_port(scheme.as_deref()) != Some(port) {
            add("port", port.to_owned());
        }
    }
    if let Some(scheme) = scheme {
        add("scheme", scheme);
    }
    let path = match path {
        "" if is_of_host => "/".to_owned(),
        path => without_dots(&normal(path)),
    };
    if !path.is_empty() {
        add("path", path);
    }
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        // Forms write spaces as `+`.
        add(&format!("query/{}", step(&normal(key))), normal(value).replace('+', "%20"));
    }
    if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
        add("fragment", normal(fragment));
    }
}

/// Returns the part that distinguishes a URL from others with the same purpose: its path, or its host without a path.
pub(crate) fn label(url: &str) -> String {
    let mut parts = Parts::default();
    add(url, "", &mut parts);
    let has_path = |path: &&str| *path != "/";
    parts.get("path").filter(has_path).or(parts.get("host")).unwrap_or_default().to_owned()
}

fn split(text: &str, separator: char) -> (&str, Option<&str>) {
    text.split_once(separator).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn default_port(scheme: Option<&str>) -> Option<&'static str> {
    match scheme? {
        "http" | "ws" => Some("80"),
        "https" | "wss" => Some("443"),
        "ftp" => Some("21"),
        _ => None,
    }
}

/// Decodes what need not be encoded, encodes what must be, and writes the digits of encodings in upper case.
fn normal(text: &str) -> String {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || UNRESERVED.contains(&byte);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let decoded = encoded(rest);
        let (byte, behind) = decoded.unwrap_or((*first, behind));
        if is_unreserved(byte) || (decoded.is_none() && (byte == b'%' || RESERVED.contains(&byte))) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}"); // a String takes all
        }
        rest = behind;
    }
    out
}

/// Returns the byte that a percent-encoding at the beginning stands for, and what follows it.
pub(crate) fn encoded(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', one, other, behind @ ..] = text else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(((digit(one)? << 4) | digit(other)?, behind))
}

/// Resolves `.` and `..` in an absolute path.
fn without_dots(path: &str) -> String {
    if !path.starts_with('/') || !path.contains("/.") {
        return path.to_owned();
    }
    let mut segments: Vec<&str> = Vec::new();
    let last = path.rsplit('/').next().unwrap_or_default();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let end = if matches!(last, "." | "..") && !segments.is_empty() { "/" } else { "" };
    format!("/{}{end}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::comparison::Settings;
    use crate::evidence::Salt;
    use crate::rules::Rules;
    use crate::work::{Work, never_over};

    /// Lists the parts that differ.
    fn differ(primary: &str, mirror: &str) -> String {
        let (rules, salt) = (Rules::default(), Salt::default());
        let work = Work::new(&never_over);
        let settings = Settings::new(&rules, UNIX_EPOCH, &salt);
        let mut findings = Findings::new(&settings, &work, [UNIX_EPOCH; 2]);
        let mut names = Vec::new();
        compare(primary, mirror, &mut findings, &mut |_, class, name, _| {
            names.push(format!("{} {name}", class.as_str()));
            Ok(())
        })
        .unwrap();
        names.join(", ")
    }

    #[test]
    fn urls_are_compared_by_part() {
        for (primary, mirror, expected) in [
            ("/a", "/a", ""),
            ("https://Example.com:443", "HTTPS://example.COM/", ""),
            ("https://example.com:8443/", "https://example.com/", "missing port"),
            ("http://example.com:443/", "http://example.com/", "missing port"),
            ("/%7Eann/%c3%bc", "/~ann/ü", ""),
            ("/a%2Fb", "/a/b", "header path"),
            ("/a?x=1&y=a%20b", "/a?y=a+b&x=1", ""),
            ("/a/./b/../c", "/a/c", ""),
            ("/a/..", "/", ""),
            ("/a/b/..", "/a/", ""),
            ("../../x", "/x", "header path"),
            ("/a?", "/a#", ""),
            ("/a?page=1&q=x", "/a?page=2", "header query/page, missing query/q"),
            ("/a?t=1&t=2", "/a?t=2&t=1", "header query/t"),
            ("/a?f[x/y]=1", "/a", "missing query/f[x~1y]"),
            ("/a#b", "/a#c", "header fragment"),
            // The path is the same, and nothing more is known of the host.
            ("/a", "https://example.com:8443/a", "extra host"),
            ("//example.com/a", "https://example.com/a", "extra scheme"),
            ("http://a.example/x", "https://b.example/y", "header host, header path, header scheme"),
            ("https://ann:x@a.example/", "https://a.example/", "missing userinfo"),
            ("http://[::1]:8080/", "http://[::1]/", "missing port"),
            ("mailto:a@b.example", "mailto:c@b.example", "header path"),
            ("?page=2", "/a?page=2", "extra path"),
            ("%", "%zz", "header path"),
            ("/ß", "/s", "header path"),
        ] {
            assert_eq!(differ(primary, mirror), expected, "{primary} {mirror}");
        }
    }
}
