//! Compares fields. Owns the default set of fields, the fields that differ by nature, and the normalisation of values.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crossfade_journal::comparison::Class;
use http::HeaderMap;
use http::header::{self, HeaderName};

use crate::findings::{Findings, Seen, Values};
use crate::rules::FieldNames;
use crate::spot::Spot;
use crate::treat_equal::replaced;
use crate::work::Stop;

/// The fields of [`FieldNames::Usual`]: those that clients act on. Excludes `Vary`, which depends on compression, and
/// purely protective fields such as `Content-Security-Policy`, which new systems rarely copy verbatim.
const USUAL: &[HeaderName] = &[
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ALLOW,
    header::CACHE_CONTROL,
    header::CONTENT_DISPOSITION,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::LINK,
    header::LOCATION,
    header::SET_COOKIE,
    header::WWW_AUTHENTICATE,
];

/// Fields that [`FieldNames::All`] excludes: they differ on every response, or describe the connection, the software or
/// the transfer encoding of the content, which is decoded before comparison.
const BY_NATURE: &[&str] = &[
    "accept-ranges",
    "age",
    "alt-svc",
    "cf-ray",
    "connection",
    "content-encoding",
    "content-length",
    "date",
    "etag",
    "expires",
    "keep-alive",
    "last-modified",
    "nel",
    "proxy-connection",
    "proxy-status",
    "report-to",
    "reporting-endpoints",
    "request-id",
    "server",
    "server-timing",
    "trace-id",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "x-cache",
    "x-cache-hits",
    "x-correlation-id",
    "x-powered-by",
    "x-process-time",
    "x-request-id",
    "x-response-time",
    "x-runtime",
    "x-served-by",
    "x-timer",
    "x-trace-id",
    "x-transaction-id",
];
/// Prefixes of further fields that [`FieldNames::All`] excludes.
const BY_NATURE_BEGIN: &[&str] = &["x-amz-", "x-amzn-", "x-b3-", "x-datadog-", "x-ratelimit-", "ratelimit"];

/// Cost of comparing a field, in addition to its length, in units of work.
const FIELD_WORK: usize = 64;

/// Reports each field that differs.
pub(crate) fn compare(primary: &HeaderMap, mirror: &HeaderMap, findings: &mut Findings<'_>) -> Result<(), Stop> {
    let rules = findings.rules;
    let all: BTreeSet<&str>;
    let names: Vec<Cow<'_, HeaderName>> = match &rules.headers {
        FieldNames::Usual => USUAL.iter().map(Cow::Borrowed).collect(),
        FieldNames::Named(names) => names.iter().map(Cow::Borrowed).collect(),
        FieldNames::All => {
            // Sorted, so that the order of a record does not depend on hashing.
            all = primary.keys().chain(mirror.keys()).map(HeaderName::as_str).collect();
            let compared = all.iter().filter(|name| !differs_by_nature(name));
            compared.filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok()).map(Cow::Owned).collect()
        }
    };
    for name in names {
        let length = |headers: &HeaderMap| headers.get_all(&*name).iter().map(|line| line.len()).sum::<usize>();
        findings.work.spend(FIELD_WORK + 4 * (length(primary) + length(mirror)))?;
        let (ours, theirs) = (value(primary, &name), value(mirror, &name));
        let compared = |value: Option<&String>| {
            value.map(|value| Ok(replaced(value, &rules.treat_equal, findings.work)?.into_owned())).transpose()
        };
        if ours != theirs && compared(ours.as_ref())? != compared(theirs.as_ref())? {
            let spot = Spot::Field(&name);
            let marks = findings.marks(&spot);
            let seen = |value: &Option<String>| value.clone().map_or(Seen::Absent, |value| Seen::Text(value.into()));
            findings.report(Class::Header, &spot, marks, &|| Values::of(seen(&ours), seen(&theirs)))?;
        }
    }
    Ok(())
}

fn differs_by_nature(name: &str) -> bool {
    BY_NATURE.contains(&name) || BY_NATURE_BEGIN.iter().any(|begin| name.starts_with(begin))
}

/// Returns the normalised value of a field; `None` if the field is absent.
fn value(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    // Bytes beyond ASCII have no defined meaning (RFC 9110 section 5.5), but must stay distinct.
    let lines = headers.get_all(name).iter();
    let lines = lines.map(|line| line.as_bytes().iter().map(|byte| char::from(*byte)).collect::<String>());
    let mut lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return None;
    }
    Some(match *name {
        header::CONTENT_TYPE => lines.first().map(|line| media_type(line)).unwrap_or_default(),
        header::SET_COOKIE => {
            let cookies: Vec<String> = lines.iter().map(|line| cookie(line)).collect();
            in_any_order(cookies.iter().map(String::as_str))
        }
        header::CACHE_CONTROL
        | header::CONTENT_ENCODING
        | header::ACCESS_CONTROL_ALLOW_HEADERS
        | header::ACCESS_CONTROL_EXPOSE_HEADERS
        | header::VARY => {
            lines.iter_mut().for_each(|line| line.make_ascii_lowercase());
            in_any_order(elements(&lines))
        }
        header::ALLOW | header::ACCESS_CONTROL_ALLOW_METHODS | header::LINK => in_any_order(elements(&lines)),
        _ => lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(", "),
    })
}

/// Splits a list (RFC 9110 section 5.6.1). A comma in quotes also separates, for both responses alike.
fn elements(lines: &[String]) -> impl Iterator<Item = &str> {
    lines.iter().flat_map(|line| line.split(',')).map(str::trim).filter(|element| !element.is_empty())
}

fn in_any_order<'e>(elements: impl Iterator<Item = &'e str>) -> String {
    let mut elements: Vec<_> = elements.collect();
    elements.sort_unstable();
    elements.join(", ")
}

/// Returns a media type (RFC 9110 section 8.3.1) with its `charset` only, and without that if it is JSON's default (RFC
/// 8259 section 8.1).
fn media_type(line: &str) -> String {
    let line = line.to_ascii_lowercase();
    let mut parts = line.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let is_json = media_type.ends_with("/json") || media_type.ends_with("+json");
    let charset = parts.find_map(|part| part.strip_prefix("charset=")).map(|charset| charset.trim_matches('"'));
    match charset {
        Some(charset) if !(is_json && charset == "utf-8") => format!("{media_type}; charset={charset}"),
        _ => media_type.to_owned(),
    }
}

/// Returns a cookie (RFC 6265 section 4.1.1) without its value and without the times in its attributes.
fn cookie(line: &str) -> String {
    let mut parts = line.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().split('=').next().unwrap_or_default().trim();
    let attributes: Vec<String> = parts
        .filter(|attribute| !attribute.is_empty())
        .map(|attribute| match attribute.split_once('=') {
            Some((attribute, value)) => match attribute.trim().to_ascii_lowercase() {
                attribute if attribute == "expires" || attribute == "max-age" => attribute,
                attribute if attribute == "path" => format!("{attribute}={}", value.trim()),
                attribute => format!("{attribute}={}", value.trim().to_ascii_lowercase()),
            },
            None => attribute.to_ascii_lowercase(),
        })
        .collect();
    let mut attributes: Vec<&str> = attributes.iter().map(String::as_str).collect();
    attributes.sort_unstable();
    format!("{name}; {}", attributes.join("; "))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::HeaderValue;

    use super::*;
    use crate::comparison::Settings;
    use crate::evidence::Salt;
    use crate::rules::Rules;
    use crate::treat_equal::TreatEqual;
    use crate::work::{Work, never_over};

    fn map(lines: &[&'static str]) -> HeaderMap {
        let line = |line: &&'static str| {
            let (name, value) = line.split_once(": ").unwrap();
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(line).collect()
    }

    /// Returns the names of the fields that differ.
    fn differ(headers: &FieldNames, primary: &[&'static str], mirror: &[&'static str]) -> Vec<String> {
        let rules = Rules { headers: headers.clone(), treat_equal: vec![TreatEqual::Uuid], ..Rules::default() };
        let work = Work::new(&never_over);
        let salt = Salt::default();
        let settings = Settings::new(&rules, UNIX_EPOCH, &salt);
        let mut findings = Findings::new(&settings, &work, [UNIX_EPOCH; 2]);
        let stop = compare(&map(primary), &map(mirror), &mut findings).err();
        findings.conclude(stop).differences.into_iter().map(|difference| difference.pointer).collect()
    }

    #[test]
    fn values_that_mean_the_same() {
        for (primary, mirror) in [
            (&["content-type: text/html; charset=UTF-8"][..], &["content-type: Text/HTML;charset=\"utf-8\""][..]),
            (&["content-type: application/json"], &["content-type: application/json; charset=utf-8"]),
            (&["content-type: multipart/mixed; boundary=a"], &["content-type: multipart/mixed; boundary=b"]),
            (&["cache-control: no-cache, Max-Age=0"], &["cache-control: max-age=0", "cache-control: no-cache"]),
            (&["allow: GET, POST"], &["allow: POST,GET"]),
            (
                &["set-cookie: a=1; Path=/; Max-Age=5", "set-cookie: b=2"],
                &["set-cookie: b=3", "set-cookie: a=9; max-age=6; path=/"],
            ),
            (
                &["location: /orders/f47ac10b-58cc-4372-a567-0e02b2c3d479/x"],
                &["location: /orders/00000000-58cc-4372-a567-0e02b2c3d479/x"],
            ),
        ] {
            assert_eq!(differ(&FieldNames::Usual, primary, mirror), [""; 0], "{primary:?}");
            assert_eq!(differ(&FieldNames::Usual, mirror, primary), [""; 0], "{primary:?}");
        }
    }

    #[test]
    fn values_that_do_not() {
        for (primary, mirror, name) in [
            (&["content-type: text/html"][..], &["content-type: text/plain"][..], "content-type"),
            (&["content-type: text/html"], &["content-type: text/html; charset=latin1"], "content-type"),
            (&["content-type: text/html"], &[], "content-type"),
            (&["set-cookie: a=1; Secure"], &["set-cookie: a=1"], "set-cookie"),
            (&["set-cookie: a=1; Path=/"], &["set-cookie: a=1; Path=/A"], "set-cookie"),
            (&["set-cookie: a=1"], &["set-cookie: a=1", "set-cookie: b=1"], "set-cookie"),
            (&["location: /a"], &["location: /b"], "location"),
            (&["cache-control: max-age=5"], &["cache-control: max-age=6"], "cache-control"),
            (&[], &["www-authenticate: Basic"], "www-authenticate"),
        ] {
            assert_eq!(differ(&FieldNames::Usual, primary, mirror), [name], "{primary:?}");
            assert_eq!(differ(&FieldNames::Usual, mirror, primary), [name], "{primary:?}");
        }
    }

    #[test]
    fn which_are_compared() {
        let primary = &[
            "date: a",
            "etag: a",
            "x-request-id: a",
            "x-amz-cf-id: a",
            "content-encoding: gzip",
            "x-b: a",
            "x-a: a",
            "server: a",
            "content-type: a",
        ];
        let named = |names: &[&'static str]| {
            FieldNames::Named(names.iter().map(|name| HeaderName::from_static(name)).collect())
        };
        // Fields that differ on every response must not be reported by default.
        assert_eq!(differ(&FieldNames::Usual, primary, &[]), ["content-type"]);
        assert_eq!(differ(&FieldNames::All, primary, &[]), ["content-type", "x-a", "x-b"]);
        assert_eq!(
            differ(&named(&["x-b", "etag", "content-encoding"]), primary, &[]),
            ["x-b", "etag", "content-encoding"]
        );
        assert_eq!(differ(&named(&[]), primary, &[]), [""; 0]);
    }
}
