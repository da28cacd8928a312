//! Names endpoints: replaces the variable segments of a path, so that a report shows `/orders/{id}` instead of one line
//! per order. Owns the rules for what looks like an ID, which `walk` also applies to JSON members.

use crossfade_journal::redaction::is_jwt;

use crate::treat_equal::{is_date, is_ulid, is_uuid};

/// Segments of a name; the rest is `…`.
const MAX_SEGMENTS: usize = 12;
/// Bytes of a name; a segment that would exceed this, and the rest, is `…`.
const MAX_NAME: usize = 200;
/// Lengths of hashes in hexadecimal digits, including short ones of commits and builds.
const HASHES: &[usize] = &[8, 10, 12, 16, 20, 24, 32, 40, 48, 56, 64, 96, 128];

/// A configured name, such as `/products/{slug}/reviews`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    text: String,
    segments: Vec<Segment>,
    /// `true` if the template ends in `**`.
    is_open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    /// `{name}`.
    Any,
}

impl PathTemplate {
    /// Parses a template: `{name}` matches one segment that is not empty, and a final `**` any number of segments,
    /// including none. Returns `None` if the template is invalid.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let path = text.strip_prefix('/')?;
        let (path, is_open) = match path.strip_suffix("**") {
            Some("") => return Some(PathTemplate { text: text.to_owned(), segments: Vec::new(), is_open: true }),
            Some(path) => (path.strip_suffix('/')?, true),
            None => (path, false),
        };
        let segments = path.split('/').map(Segment::parse).collect::<Option<_>>()?;
        Some(PathTemplate { text: text.to_owned(), segments, is_open })
    }

    /// Returns `true` if a path matches.
    pub(crate) fn fits(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return false };
        let mut sent = path.split('/');
        let is_begin = self.segments.iter().all(|segment| match (segment, sent.next()) {
            (Segment::Literal(text), Some(sent)) => **text == *sent,
            (Segment::Any, Some(sent)) => !sent.is_empty(),
            (_, None) => false,
        });
        is_begin && (self.is_open || sent.next().is_none())
    }
}

impl Segment {
    fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
            return (!name.is_empty() && name.bytes().all(is_name)).then_some(Segment::Any);
        }
        let is_odd =
            |character: char| character.is_whitespace() || character.is_control() || "{}*?#".contains(character);
        (!text.contains(is_odd)).then(|| Segment::Literal(text.into()))
    }
}

/// Returns the name of a path: the first matching template, or the path with its ID-like segments (numbers, UUIDs,
/// hashes, dates, tokens) replaced. Path parameters (`;…`) are dropped. Other segments stay as they were sent: escape
/// the name before showing it.
#[must_use]
pub fn endpoint(path: &str, templates: &[PathTemplate]) -> String {
    if let Some(template) = templates.iter().find(|template| template.fits(path)) {
        return template.text.clone();
    }
    let mut name = String::new();
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            name.push('/');
        }
        let segment = fold(segment.split(';').next().unwrap_or_default());
        // The first segment is the empty text before the first slash.
        if index > MAX_SEGMENTS || name.len() + segment.len() > MAX_NAME {
            name.push('…');
            break;
        }
        name.push_str(&segment);
    }
    name
}

/// Returns `true` if a text looks like an ID, which differs from request to request.
pub(crate) fn is_id(text: &str) -> bool {
    let is_dotted_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.bytes().any(|byte| byte.is_ascii_digit());
    is_dotted_number
        || text.contains('@')
        || text.contains("%40")
        || is_date(text)
        || is_uuid(text)
        || is_ulid(text)
        || is_jwt(text)
        || (!is_version(text) && has_id_shape(text))
}

/// Returns a segment in which `{id}` or `{date}` replaces what looks like one. A file extension stays.
fn fold(segment: &str) -> String {
    let whole = |text: &str| match text {
        _ if is_date(text) => Some("{date}"),
        _ if is_id(text) => Some("{id}"),
        _ => None,
    };
    if let Some(folded) = whole(segment) {
        return folded.to_owned();
    }
    if is_version(segment) {
        return segment.to_owned();
    }
    let parts: Vec<&str> = segment.split('.').map(|part| whole(part).unwrap_or(part)).collect();
    parts.join(".")
}

/// Returns `true` for `v2` and `v1.4`.
fn is_version(text: &str) -> bool {
    text.strip_prefix(['v', 'V']).is_some_and(|number| {
        number.len() <= 8
            && number.starts_with(|first: char| first.is_ascii_digit())
            && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    })
}

/// Returns `true` if digits and letters are mixed as they are not in words. `oauth2`, `s3`, `step-10` and
/// `summer-sale-2026` are words.
fn has_id_shape(text: &str) -> bool {
    if text.contains('.') {
        return false;
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    // Percent-encoded bytes contain digits.
    if digits == 0 || text.contains('%') {
        return false;
    }
    let bytes = text.as_bytes();
    let changes = bytes.windows(2).filter(|pair| matches!(pair, [one, other] if is_change(*one, *other))).count();
    bytes.split(|byte| !byte.is_ascii_alphanumeric()).any(is_id_part)
        || (bytes.len() >= 6 && digits > letters)
        || (bytes.len() >= 6 && changes >= 4 && changes * 4 >= bytes.len() && (digits >= 2 || bytes.len() >= 16))
        || (bytes.len() >= 40 && digits + letters == bytes.len())
}

/// Returns `true` if a part without punctuation makes the whole an ID: a hash, or a number of at least five digits.
fn is_id_part(part: &[u8]) -> bool {
    let is_hash = HASHES.contains(&part.len())
        && part.iter().all(u8::is_ascii_hexdigit)
        && part.iter().any(u8::is_ascii_digit)
        && part.iter().any(u8::is_ascii_alphabetic);
    is_hash || part.split(|byte| !byte.is_ascii_digit()).any(|number| number.len() >= 5)
}

/// Returns `true` between a digit and a letter, and between a lower-case and an upper-case letter.
fn is_change(one: u8, other: u8) -> bool {
    (one.is_ascii_digit() && other.is_ascii_alphabetic())
        || (one.is_ascii_alphabetic() && other.is_ascii_digit())
        || (one.is_ascii_lowercase() && other.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_folded() {
        for (path, name) in [
            ("/", "/"),
            ("", ""),
            ("*", "*"),
            ("/orders", "/orders"),
            ("/orders/", "/orders/"),
            ("/orders/new", "/orders/new"),
            ("/orders/1", "/orders/{id}"),
            ("/orders/123456/items/7", "/orders/{id}/items/{id}"),
            ("/v2/orders", "/v2/orders"),
            ("/v1.4/orders", "/v1.4/orders"),
            ("/s3/buckets", "/s3/buckets"),
            ("/oauth2/token", "/oauth2/token"),
            ("/api/OAuth2Callback", "/api/OAuth2Callback"),
            ("/i18n/de-DE", "/i18n/de-DE"),
            ("/wizard/step-10", "/wizard/step-10"),
            ("/sales/summer-sale-2026", "/sales/summer-sale-2026"),
            ("/users/f47ac10b-58cc-4372-a567-0e02b2c3d479", "/users/{id}"),
            ("/users/F47AC10B-58CC-4372-A567-0E02B2C3D479/photo", "/users/{id}/photo"),
            ("/events/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/events/{id}"),
            ("/commits/3f2a1b9c", "/commits/{id}"),
            ("/commits/9fceb02d0ae598e95dc970b74767f19372d61af8", "/commits/{id}"),
            ("/files/d41d8cd98f00b204e9800998ecf8427e.pdf", "/files/{id}.pdf"),
            ("/invoices/123.pdf", "/invoices/{id}.pdf"),
            ("/invoices/INV-2026-00123", "/invoices/{id}"),
            ("/invoices/INV-2026-00123.xml", "/invoices/{id}.xml"),
            ("/reports/2026-05-01", "/reports/{date}"),
            ("/reports/2026-05-01.csv", "/reports/{date}.csv"),
            ("/reports/2026/05", "/reports/{id}/{id}"),
            ("/users/jane@example.com", "/users/{id}"),
            ("/users/jane%40example.com/orders", "/users/{id}/orders"),
            ("/customers/cus_NffrFeUfNV2Hib", "/customers/{id}"),
            ("/watch/dQw4w9WgXcQ", "/watch/{id}"),
            ("/products/SKU12345", "/products/{id}"),
            ("/products/A1B2C3", "/products/{id}"),
            ("/assets/main.3f2a1b9c.js", "/assets/main.{id}.js"),
            ("/assets/app-3f2a1b9c.css", "/assets/{id}.css"),
            ("/static/jquery.min.js", "/static/jquery.min.js"),
            ("/robots.txt", "/robots.txt"),
            ("/favicon.ico", "/favicon.ico"),
            ("/.well-known/security.txt", "/.well-known/security.txt"),
            ("/hosts/10.0.0.1", "/hosts/{id}"),
            ("/verify/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "/verify/{id}"),
            ("/decade/deadbeef/facade", "/decade/deadbeef/facade"),
            ("/cart;jsessionid=AB12CD34/pay", "/cart/pay"),
            ("/caf%C3%A9/menu", "/caf%C3%A9/menu"),
            ("/straße/haus", "/straße/haus"),
            ("//orders//5", "//orders//{id}"),
            ("/getUserOrdersByPhase2", "/getUserOrdersByPhase2"),
            ("/a/b/c/d/e/f/g/h/i/j/k/l", "/a/b/c/d/e/f/g/h/i/j/k/l"),
            ("/a/b/c/d/e/f/g/h/i/j/k/l/m/n", "/a/b/c/d/e/f/g/h/i/j/k/l/…"),
        ] {
            assert_eq!(endpoint(path, &[]), name, "{path}");
        }
        assert_eq!(endpoint(&format!("/a/{}/b", "x".repeat(300)), &[]), "/a/…");
    }

    #[test]
    fn templates_come_first() {
        let templates: Vec<_> = ["/products/{slug}/reviews", "/files/**", "/users/{id}", "/users/me", "/"]
            .map(|text| PathTemplate::parse(text).unwrap())
            .into();
        for (path, name) in [
            ("/products/blue-shoe/reviews", "/products/{slug}/reviews"),
            ("/products/blue-shoe/reviews/5", "/products/blue-shoe/reviews/{id}"),
            ("/products//reviews", "/products//reviews"),
            ("/files/a/b/c", "/files/**"),
            ("/files/", "/files/**"),
            ("/files", "/files/**"),
            ("/filesystem", "/filesystem"),
            ("/users/me", "/users/{id}"),
            ("/users/", "/users/"),
            ("/", "/"),
            ("", ""),
        ] {
            assert_eq!(endpoint(path, &templates), name, "{path}");
        }
    }

    #[test]
    fn what_is_no_template() {
        for text in
            ["", "a", "a/b", "/{}", "/{a", "/a}", "/x{a}", "/**/a", "/a**", "/*", "/a b", "/a?b", "/a#b", "/{a b}"]
        {
            assert!(PathTemplate::parse(text).is_none(), "{text}");
        }
        for text in ["/", "/a", "/a/", "/{a}", "/{a-b_c.d}/x", "/**", "/a/**", "/a%20b", "/~jane"] {
            assert!(PathTemplate::parse(text).is_some(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_path_has_a_short_name(path in "\\PC{0,300}|(/[a-zA-Z0-9.%@;{}*-]{0,20}){0,20}") {
            let name = endpoint(&path, &[]);
            prop_assert!(name.len() <= MAX_NAME + MAX_SEGMENTS + "…".len());
            prop_assert_eq!(endpoint(&name, &[]), name);
        }
    }
}
