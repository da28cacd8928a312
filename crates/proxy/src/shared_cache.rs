//! Responses that a shared cache (a CDN) may keep and send to other users. Owns the reading of the fields that allow it
//! (RFC 9111 sections 3, 4.2.2 and 5.2.2); changes none of them.

use http::header::{CACHE_CONTROL, DATE, EXPIRES, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED};
use http::{Method, StatusCode};

/// Fields that speak to one kind of shared cache alone, besides all that end with `-cache-control` (RFC 9213).
const TARGETED: [&str; 3] = ["edge-control", "surrogate-control", "x-accel-expires"];

/// Everything in a year before says that a response is always stale: 1970, 1981 (PHP), 1984 (WordPress), 1997.
const FIRST_YEAR: u16 = 2002;

/// The directives of a field that decide about storing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storing {
    /// It has a lifetime, or is public.
    Allowed,
    /// It is one user's, or must be revalidated each time.
    Forbidden,
    /// Nothing.
    Unsaid,
}

/// Returns whether a shared cache may store a response to a request with this method and send it to others: its fields give
/// it a lifetime or call it public, or they say nothing but a date from which caches compute a lifetime. The fields of a
/// 304 become those of the response that is stored.
#[inline]
pub(crate) fn may_store(method: &Method, status: StatusCode, fields: &HeaderMap) -> bool {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return false;
    }
    let is_targeted =
        |name: &str| TARGETED.contains(&name) || (name.ends_with("-cache-control") && name != CACHE_CONTROL.as_str());
    // A cache that does not know such a field goes by `Cache-Control`, so either is enough.
    if fields.keys().any(|name| is_targeted(name.as_str()) && storing(fields, name) != Storing::Forbidden) {
        return true;
    }
    match storing(fields, &CACHE_CONTROL) {
        Storing::Allowed => true,
        Storing::Forbidden => false,
        Storing::Unsaid => {
            status == StatusCode::NOT_MODIFIED
                || fields.get(EXPIRES).is_some_and(|expires| is_in_future(expires, fields.get(DATE)))
                || (fields.contains_key(LAST_MODIFIED) && is_cacheable_by_default(status))
        }
    }
}

/// Returns whether `Expires` may be a date in the future; an invalid date is in the past (RFC 9111 section 5.3).
fn is_in_future(expires: &HeaderValue, date: Option<&HeaderValue>) -> bool {
    let text = expires.to_str().unwrap_or_default();
    let digits = text.split(|character: char| !character.is_ascii_digit());
    let year = digits.filter(|digits| digits.len() == 4).find_map(|digits| digits.parse::<u16>().ok());
    year.is_some_and(|year| year >= FIRST_YEAR) && Some(expires) != date
}

#[inline]
fn storing(fields: &HeaderMap, name: &HeaderName) -> Storing {
    let lines = fields.get_all(name).iter().filter_map(|line| std::str::from_utf8(line.as_bytes()).ok());
    let (mut is_public, mut lives, mut is_stale, mut must_ask) = (false, false, false, false);
    for directive in lines.flat_map(directives) {
        // With an argument, `private` and `no-cache` are about the fields that it names.
        let (name, argument) = directive.split_once('=').map_or((directive, None), |(name, rest)| (name, Some(rest)));
        match (name.trim().to_ascii_lowercase().as_str(), argument) {
            ("private" | "no-store", None) => return Storing::Forbidden,
            ("public" | "immutable", _) | ("s-maxage", Some(_)) => is_public = true,
            // Beside `no-cache` it says the same once more.
            ("max-age", Some(seconds)) if seconds.trim() == "0" => is_stale = true,
            ("max-age", Some(_)) => lives = true,
            ("no-cache", None) => must_ask = true,
            _ => {}
        }
    }
    match (is_public || lives, must_ask) {
        (true, _) => Storing::Allowed,
        (false, true) => Storing::Forbidden,
        // It may be stored, and is revalidated each time.
        (false, false) if is_stale => Storing::Allowed,
        (false, false) => Storing::Unsaid,
    }
}

/// The parts of a list between commas, but for those in quotes.
fn directives(line: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    line.split(move |character| {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ => return !is_quoted && character == ',',
        }
        false
    })
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
        assert!(!super::may_store(&Method::POST, StatusCode::OK, &fields), "caches store no response to a POST");
        super::may_store(&Method::GET, StatusCode::from_u16(status).unwrap(), &fields)
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
            &[("expires", "Fri Nov  6 08:49:37 2037")],
            &[("cache-control", "ext=\"a, private, b\", max-age=60")],
            &[("cache-control", "max-age=60, no-cache=\"a, no-store, b\"")],
            &[("cache-control", "private"), ("netlify-cdn-cache-control", "max-age=60")],
            &[("cache-control", "private"), ("vercel-cdn-cache-control", "s-maxage=60")],
            &[("edge-control", "max-age=1d")],
            &[("cache-control", "private"), ("x-accel-expires", "60")],
            &[("cache-control", "max-age=0")],
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
            &[("expires", "Thu, 01 Jan 1970 00:00:00 GMT")],
            &[("expires", "Wed, 11 Jan 1984 05:00:00 GMT"), ("cache-control", "no-cache, must-revalidate, max-age=0")],
            &[("expires", "Sat, 28 Nov 2026 12:00:00 GMT"), ("date", "Sat, 28 Nov 2026 12:00:00 GMT")],
        ] {
            assert!(!may_store(200, fields), "{fields:?}");
        }
        assert!(!may_store(302, &[date]));
        assert!(may_store(304, &[("etag", "\"1\"")]), "it stands for the response that is stored");
        assert!(!may_store(304, &[("cache-control", "private")]));
    }
}
