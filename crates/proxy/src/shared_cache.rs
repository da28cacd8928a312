//! Responses that a shared cache (a CDN) may keep and send to other users. Owns the reading of the fields that allow it
//! (RFC 9111 sections 3, 4.2.2 and 5.2.2); changes none of them.

use http::StatusCode;
use http::header::{CACHE_CONTROL, EXPIRES, HeaderMap, LAST_MODIFIED};

/// Fields that speak to shared caches alone (RFC 9213 and its forerunners).
const TARGETED: [&str; 3] = ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control"];

/// What the directives of a field say of storing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storing {
    /// It has a lifetime, or is public.
    Allowed,
    /// It is one user's, or has to be asked for each time.
    Forbidden,
    /// Nothing.
    Unsaid,
}

/// Returns whether a shared cache may store a response and send it to others: its fields give it a lifetime or call it
/// public, or they say nothing but a date from which caches compute a lifetime.
pub(crate) fn may_store(status: StatusCode, fields: &HeaderMap) -> bool {
    // A cache that does not know such a field goes by `Cache-Control`, so either is enough.
    if TARGETED.iter().any(|name| storing(fields, name) == Storing::Allowed) {
        return true;
    }
    match storing(fields, CACHE_CONTROL.as_str()) {
        Storing::Allowed => true,
        Storing::Forbidden => false,
        Storing::Unsaid => {
            // Everything but a date is in the past (RFC 9111 section 5.3).
            let expires = fields.get(EXPIRES).is_some_and(|date| date.as_bytes().ends_with(b"GMT"));
            expires || (fields.contains_key(LAST_MODIFIED) && is_cacheable_by_default(status))
        }
    }
}

fn storing(fields: &HeaderMap, name: &str) -> Storing {
    let lines = fields.get_all(name).iter().filter_map(|line| std::str::from_utf8(line.as_bytes()).ok());
    let (mut is_allowed, mut must_ask) = (false, false);
    for directive in lines.flat_map(|line| line.split(',')) {
        // With an argument, `private` and `no-cache` are about the fields that it names.
        let (name, argument) = directive.split_once('=').map_or((directive, None), |(name, rest)| (name, Some(rest)));
        match (name.trim().to_ascii_lowercase().as_str(), argument) {
            ("private" | "no-store", None) => return Storing::Forbidden,
            ("public" | "immutable", _) | ("max-age" | "s-maxage", Some(_)) => is_allowed = true,
            ("no-cache", None) => must_ask = true,
            _ => {}
        }
    }
    match (is_allowed, must_ask) {
        (true, _) => Storing::Allowed,
        (false, true) => Storing::Forbidden,
        (false, false) => Storing::Unsaid,
    }
}

/// RFC 9110 section 15.1.
fn is_cacheable_by_default(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 206 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_store(status: u16, lines: &[(&'static str, &str)]) -> bool {
        let fields = lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        super::may_store(StatusCode::from_u16(status).unwrap(), &fields)
    }

    #[test]
    fn what_a_cdn_may_keep() {
        let date = ("last-modified", "Sat, 28 Nov 2026 12:00:00 GMT");
        for fields in [
            &[("cache-control", "public")][..],
            &[("cache-control", "Public, max-age=0")],
            &[("cache-control", "max-age=60")],
            &[("cache-control", "must-revalidate"), ("cache-control", "s-maxage = 60")],
            &[("cache-control", "no-cache, max-age=60")],
            &[("cache-control", "private=\"x-user\", max-age=60")],
            &[("expires", "Sat, 28 Nov 2037 12:00:00 GMT")],
            &[("cache-control", "private"), ("cdn-cache-control", "max-age=60")],
            &[("cache-control", "no-store"), ("surrogate-control", "max-age=60")],
            &[("cache-control", "must-revalidate"), date],
            &[date],
        ] {
            assert!(may_store(200, fields), "{fields:?}");
        }
        for fields in [
            &[][..],
            &[("etag", "\"1\"")],
            &[("cache-control", "private, max-age=60")],
            &[("cache-control", "max-age=60"), ("cache-control", "no-store")],
            &[("cache-control", "no-cache"), date],
            &[("cache-control", "private"), ("expires", "Sat, 28 Nov 2037 12:00:00 GMT")],
            &[("cache-control", "no-cache"), ("expires", "Thu, 01 Jan 1970 00:00:00 GMT")],
            &[("cdn-cache-control", "no-store"), ("cache-control", "private")],
            &[("expires", "0")],
            &[("expires", "-1")],
        ] {
            assert!(!may_store(200, fields), "{fields:?}");
        }
        assert!(!may_store(302, &[date]));
    }
}
