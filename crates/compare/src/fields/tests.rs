//! Pairs of fields beside their differences.

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderValue;

use super::*;
use crate::comparison::Settings;
use crate::evidence::Salt;
use crate::rules::{Place, Rules};
use crate::treat_equal::TreatEqual;
use crate::work::{Work, never_over};

/// The time of the responses: Sat, 28 Nov 2026 19:12:03 GMT.
const NOW: u64 = 1_795_893_123;

fn map(lines: &[&str]) -> HeaderMap {
    let line = |line: &&str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    lines.iter().map(line).collect()
}

fn differences(rules: &Rules, primary: &[&str], mirror: &[&str]) -> Vec<crate::Difference> {
    let work = Work::new(&never_over);
    let salt = Salt::default();
    let settings = Settings::new(rules, UNIX_EPOCH, &salt);
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    let mut findings = Findings::new(&settings, &work, [now, now + Duration::from_secs(2)]);
    let stop = compare(&map(primary), &map(mirror), &mut findings).err();
    findings.conclude(stop).differences
}

/// Lists the differences with their classes.
fn differ(primary: &[&str], mirror: &[&str]) -> String {
    let rules = Rules { treat_equal: vec![TreatEqual::Uuid], ..Rules::default() };
    let text = |difference: crate::Difference| format!("{} {}", difference.class.as_str(), difference.pointer);
    differences(&rules, primary, mirror).into_iter().map(text).collect::<Vec<_>>().join(", ")
}

/// The names of the fields that differ.
fn names(headers: FieldNames, primary: &[&str], mirror: &[&str]) -> Vec<String> {
    let rules = Rules { headers, ..Rules::default() };
    differences(&rules, primary, mirror).into_iter().map(|difference| difference.pointer).collect()
}

fn check(cases: &[(&[&str], &[&str], &str)]) {
    for (primary, mirror, expected) in cases {
        assert_eq!(differ(primary, mirror), *expected, "{primary:?} {mirror:?}");
        let swapped =
            expected.replace("missing ", "MISSING").replace("extra ", "missing ").replace("MISSING", "extra ");
        assert_eq!(differ(mirror, primary), swapped, "{mirror:?} {primary:?}");
    }
}

#[test]
fn media_types() {
    check(&[
        (&["content-type: text/html; charset=UTF-8"], &["content-type: Text/HTML;charset=\"utf-8\""], ""),
        (&["content-type: application/json"], &["content-type: application/json; charset=utf-8"], ""),
        (&["content-type: multipart/mixed; boundary=a"], &["content-type: multipart/mixed; boundary=b"], ""),
        (&["content-type: application/javascript"], &["content-type: text/javascript"], ""),
        (&["content-type: text/html; charset=latin1"], &["content-type: text/html; charset=ISO-8859-1"], ""),
        (&["content-type: text/html"], &["content-type: text/plain"], "header content-type"),
        (&["content-type: text/html"], &["content-type: text/html; charset=latin1"], "extra content-type/charset"),
        (
            &["content-type: text/html; charset=utf-8"],
            &["content-type: text/html; charset=latin1"],
            "header content-type/charset",
        ),
        (&["content-type: a/b; version=1"], &["content-type: a/b; Version=\"2\""], "header content-type/version"),
        (&["content-type: text/html"], &[], "missing content-type"),
    ]);
}

#[test]
fn urls() {
    check(&[
        (&["location: https://A.example:443/%7ex"], &["location: https://a.example/~x"], ""),
        (&["location: /a"], &["location: /b"], "header location/path"),
        (&["location: /a?page=2&x=1"], &["location: /a?x=1&page=3"], "header location/query/page"),
        (
            &["location: http://a.example/"],
            &["location: https://b.example/"],
            "header location/host, header location/scheme",
        ),
        (&["location: /a"], &["location: https://a.example/a"], "extra location/host"),
        (&["location: /a"], &[], "missing location"),
        (&["content-location: /a"], &["content-location: /a?x=1"], "extra content-location/query/x"),
        (
            &["location: /orders/f47ac10b-58cc-4372-a567-0e02b2c3d479/x"],
            &["location: /orders/00000000-58cc-4372-a567-0e02b2c3d479/x"],
            "",
        ),
        (&["refresh: 5; url=/a"], &["refresh: 5;URL='/a'"], ""),
        (&["refresh: 5; url=/a"], &["refresh: 6; url=/b"], "header refresh/delay, header refresh/path"),
        (&["refresh: 5"], &["refresh: 5; url=/b"], "extra refresh/path"),
        (&["sourcemap: /a.map"], &["sourcemap: /b.map"], "header sourcemap/path"),
    ]);
}

#[test]
fn links() {
    check(&[
        (
            &["link: <?page=2>; rel=next, </a>; rel=\"prev\""],
            &["link: </a>;rel=prev", "link: <?page=2>; rel=\"Next\""],
            "",
        ),
        (&["link: <?page=2>; rel=next"], &["link: <?page=3>; rel=next"], "header link/next/query/page"),
        (&["link: <?page=2>; rel=next, <?page=1>; rel=first"], &["link: <?page=1>; rel=first"], "missing link/next"),
        (&["link: </a?x,y;z>; rel=\"next last\""], &["link: </a?x,y;z>; rel=next"], "missing link/last"),
        (&["link: </a>; rel=next; title=x"], &["link: </a>; rel=next; title=\"y, z\""], "header link/next/title"),
        // Each of several is compared with its own.
        (
            &["link: </a>; rel=preload; as=style, </b>; rel=preload; as=script"],
            &["link: </b>; rel=preload; as=style, </a>; rel=preload; as=script"],
            "header link/preload/~1a/as, header link/preload/~1b/as",
        ),
        (&["link: </a>; rel=preload, </b>; rel=preload"], &["link: </a>; rel=preload"], "missing link/preload/~1b"),
        (&["link: </a>"], &["link: </b>"], "header link/none/path"),
        (&["link: </a>; rel=next"], &[], "missing link/next"),
    ]);
}

#[test]
fn cookies() {
    check(&[
        (
            &["set-cookie: a=1; Path=/; Max-Age=500", "set-cookie: b=2"],
            &["set-cookie: b=3", "set-cookie: a=9; max-age=510; path=/"],
            "",
        ),
        (&["set-cookie: a=1; Max-Age=3600"], &["set-cookie: a=1; Expires=Sat, 28 Nov 2026 20:12:05 GMT"], ""),
        (&["set-cookie: a=1; Max-Age=3600"], &["set-cookie: a=1; Max-Age=7200"], "header set-cookie/a/lifetime"),
        (&["set-cookie: a=1; Max-Age=3600"], &["set-cookie: a=1"], "missing set-cookie/a/lifetime"),
        (&["set-cookie: a=1; Expires=tomorrow; Max-Age=soon"], &["set-cookie: a=1"], ""),
        // A deletion, in four ways.
        (&["set-cookie: a=; Max-Age=0"], &["set-cookie: a=x; Expires=Thu, 01-Jan-1970 00:00:00 GMT"], ""),
        (&["set-cookie: a="], &["set-cookie: a=x; Max-Age=-1"], ""),
        (&["set-cookie: a=1"], &["set-cookie: a="], "extra set-cookie/a/deleted"),
        (&["set-cookie: a=1; Secure"], &["set-cookie: a=1"], "missing set-cookie/a/secure"),
        (
            &["set-cookie: a=1; HttpOnly; Partitioned"],
            &["set-cookie: a=1; httponly=x"],
            "missing set-cookie/a/partitioned",
        ),
        (
            &["set-cookie: a=1; SameSite=Lax"],
            &["set-cookie: a=1; SameSite=lax; samesite=None"],
            "header set-cookie/a/samesite",
        ),
        (&["set-cookie: a=1; SameSite=Lax"], &["set-cookie: a=1; SameSite=None; samesite=lax"], ""),
        (&["set-cookie: a=1; Path=/"], &["set-cookie: a=1; Path=/A"], "header set-cookie/a/path"),
        (&["set-cookie: a=1; Domain=.Example.com"], &["set-cookie: a=1; domain=example.com"], ""),
        // One of several.
        (
            &["set-cookie: a=1; Secure; Path=/"],
            &["set-cookie: a=1; Secure; Path=/", "set-cookie: b=1; Secure"],
            "extra set-cookie/b",
        ),
        // Later ones replace earlier ones.
        (&["set-cookie: a=1; Secure", "set-cookie: a=2"], &["set-cookie: a=3"], ""),
        (
            &["set-cookie: sess_8f3a2b9c1d=1; Path=/"],
            &["set-cookie: sess_91bc22aa0f=1; Path=/x"],
            "header set-cookie/sess_*/path",
        ),
        (&["set-cookie: a=1"], &[], "missing set-cookie/a"),
        (&["set-cookie: nameless"], &[], "missing set-cookie/*"),
    ]);
}

#[test]
fn lists_and_directives() {
    check(&[
        (&["cache-control: no-cache, Max-Age=0"], &["cache-control: max-age=\"0\"", "cache-control: no-cache"], ""),
        (&["cache-control: max-age=5"], &["cache-control: max-age=6"], "header cache-control/max-age"),
        (&["cache-control: private, no-store"], &["cache-control: private"], "missing cache-control/no-store"),
        (&["cache-control: no-cache=\"A, b\""], &["cache-control: no-cache=\"b, a\""], ""),
        (&["cache-control: no-store"], &[], "missing cache-control"),
        (&["vary: Accept, Origin"], &["vary: origin, accept, Accept-Encoding"], ""),
        (&["vary: accept-encoding"], &[], ""),
        (&["vary: accept"], &["vary: accept-encoding"], "missing vary/accept"),
        (&["allow: GET, POST"], &["allow: POST,GET"], ""),
        (&["allow: GET, POST"], &["allow: GET"], "missing allow/POST"),
        (
            &["access-control-allow-headers: X-A, X-B"],
            &["access-control-allow-headers: x-b"],
            "missing access-control-allow-headers/x-a",
        ),
        (
            &["access-control-allow-origin: *"],
            &["access-control-allow-origin: https://a.example"],
            "header access-control-allow-origin",
        ),
        (&["content-language: de, EN"], &["content-language: en, de"], ""),
        (&["content-language: de"], &["content-language: en"], "header content-language"),
        (&["accept-ranges: bytes"], &["accept-ranges: none"], "header accept-ranges"),
        (
            &["strict-transport-security: max-age=1; includeSubDomains"],
            &["strict-transport-security: max-age=2"],
            "missing strict-transport-security/includesubdomains, header strict-transport-security/max-age",
        ),
        (&["strict-transport-security: max-age=1"], &[], "missing strict-transport-security"),
        (&["x-frame-options: DENY"], &["x-frame-options: deny"], ""),
        (&["x-content-type-options: nosniff"], &[], "missing x-content-type-options"),
        (
            &["referrer-policy: no-referrer, origin"],
            &["referrer-policy: origin, no-referrer"],
            "header referrer-policy",
        ),
        (
            &["clear-site-data: \"cache\", \"cookies\""],
            &["clear-site-data: \"cookies\""],
            "missing clear-site-data/cache",
        ),
        (
            &["permissions-policy: camera=(), geolocation=(self \"https://a.example\")"],
            &["permissions-policy: geolocation=(\"https://a.example\" self), camera=(self)"],
            "header permissions-policy/camera",
        ),
        (
            &["cross-origin-opener-policy: same-origin; report-to=\"a\""],
            &["cross-origin-opener-policy: same-origin"],
            "missing cross-origin-opener-policy/report-to",
        ),
        (
            &["x-robots-tag: noindex, max-snippet: 5"],
            &["x-robots-tag: max-snippet:6", "x-robots-tag: NOINDEX"],
            "header x-robots-tag/max-snippet",
        ),
        (
            &["x-robots-tag: a-bot: noindex, nofollow"],
            &["x-robots-tag: noindex", "x-robots-tag: a-bot: nofollow"],
            "missing x-robots-tag/a-bot/noindex, extra x-robots-tag/noindex",
        ),
    ]);
}

#[test]
fn policies_of_content() {
    check(&[
        (
            &["content-security-policy: default-src 'self'; script-src 'self' https://A.example/X 'nonce-a1b2'"],
            &["content-security-policy: script-src 'nonce-c3d4' https://a.example/X 'SELF'; Default-Src 'self';"],
            "",
        ),
        (
            &["content-security-policy: script-src 'self' 'nonce-a1b2'; object-src 'none'"],
            &["content-security-policy: script-src 'self'"],
            "missing content-security-policy/object-src, header content-security-policy/script-src",
        ),
        (
            &["content-security-policy: img-src a.example, img-src b.example"],
            &["content-security-policy: img-src b.example", "content-security-policy: img-src a.example"],
            "",
        ),
        (
            &["content-security-policy: img-src a.example/X"],
            &["content-security-policy: img-src a.example/x"],
            "header content-security-policy/img-src",
        ),
        (&["content-security-policy: img-src *"], &[], "missing content-security-policy"),
    ]);
}

#[test]
fn dispositions_challenges_and_ranges() {
    check(&[
        (
            &["content-disposition: attachment; filename=\"naïve.txt\""],
            &["content-disposition: Attachment; filename=naive.txt; filename*=UTF-8''na%C3%AFve.txt"],
            "",
        ),
        (
            &["content-disposition: inline; filename=a"],
            &["content-disposition: attachment; filename=b"],
            "header content-disposition, header content-disposition/filename",
        ),
        (&["content-disposition: attachment; filename*=utf-8''%FF"], &["content-disposition: attachment"], ""),
        (&["www-authenticate: Basic realm=\"a, b\""], &["www-authenticate: basic realm=\"a, b\""], ""),
        (
            &["www-authenticate: Digest realm=a, nonce=1, opaque=2, Basic realm=\"x\""],
            &["www-authenticate: Basic realm = \"y\"", "www-authenticate: Digest realm=a, nonce=3"],
            "header www-authenticate/basic/realm, missing www-authenticate/digest/opaque",
        ),
        (&["www-authenticate: Negotiate a87b=="], &["www-authenticate: Negotiate 0f9c=="], ""),
        (&["www-authenticate: Bearer"], &["www-authenticate: Bearer, Basic realm=a"], "extra www-authenticate/basic"),
        (&[], &["www-authenticate: Basic"], "extra www-authenticate"),
        (&["content-range: bytes 0-9/100"], &["content-range: Bytes 0-9/100"], ""),
        (
            &["content-range: bytes 0-9/100"],
            &["content-range: bytes 0-8/*"],
            "header content-range/range, header content-range/total",
        ),
        (
            &["content-range: bytes 0-9/100"],
            &["content-range: all"],
            "extra content-range, missing content-range/range, missing content-range/total, missing content-range/unit",
        ),
        (&["retry-after: 120"], &["retry-after: Sat, 28 Nov 2026 19:14:30 GMT"], ""),
        (&["retry-after: 120"], &["retry-after: 3600"], "header retry-after"),
        (&["retry-after: soon"], &["retry-after: 5"], "header retry-after"),
    ]);
}

#[test]
fn places_of_rules_cover_parts() {
    let primary = &["set-cookie: a=1; Secure; Path=/", "set-cookie: b=1", "location: /a?x=1&y=1"];
    let mirror = &["set-cookie: a=1; Path=/x", "location: /a?x=2&y=2"];
    for (place, expected) in [
        ("set-cookie/a", &["location/query/x", "location/query/y", "set-cookie/b"][..]),
        ("set-cookie/a/secure", &["location/query/x", "location/query/y", "set-cookie/a/path", "set-cookie/b"]),
        ("location/query", &["set-cookie/a/path", "set-cookie/a/secure", "set-cookie/b"]),
        ("set-cookie", &["location/query/x", "location/query/y"]),
    ] {
        let rules = Rules { ignore: vec![Place::parse(place).unwrap()], ..Rules::default() };
        let found: Vec<_> = differences(&rules, primary, mirror).into_iter().map(|found| found.pointer).collect();
        assert_eq!(found, expected, "{place}");
    }
}

#[test]
fn values_are_shown_without_secrets() {
    let rules = Rules { keep_values: true, ..Rules::default() };
    for (primary, mirror, shown) in [
        ("location: /a?token=x1", "location: /a?token=x2", ["***", "***"]),
        ("location: /a?code=x1", "location: /a?code=x2", ["***", "***"]),
        ("location: //a:b@c/", "location: //a:d@c/", ["***", "***"]),
        ("location: /a?page=1", "location: /a?page=2", ["1", "2"]),
        ("set-cookie: session=v1; Path=/a", "set-cookie: session=v2; Path=/b", ["/a", "/b"]),
        ("set-cookie: session=v1; Max-Age=100", "set-cookie: session=v2; Max-Age=200", ["100 s", "200 s"]),
    ] {
        let found = differences(&rules, &[primary], &[mirror]);
        let values: Vec<_> = found.into_iter().map(|found| [found.primary, found.mirror]).collect();
        assert_eq!(values, [shown.map(|shown| Some(shown.to_owned()))], "{primary}");
    }
    // Nothing of a cookie's value.
    let found = differences(&rules, &["set-cookie: session=v1"], &["set-cookie: other=v2"]);
    assert!(found.iter().all(|found| found.primary.is_none() && found.mirror.is_none()), "{found:?}");
}

#[test]
fn which_are_compared() {
    let primary = &[
        "date: a",
        "etag: a",
        "x-request-id: a",
        "x-amz-cf-id: a",
        "x-amzn-requestid: a",
        "x-amz-apigw-id: a",
        "x-amzn-trace-id: a",
        "apigw-requestid: a",
        "lambda-web-request-id: a",
        "content-encoding: gzip",
        "x-b: a",
        "x-a: a",
        "server: a",
        "content-type: a",
    ];
    let named =
        |names: &[&'static str]| FieldNames::Named(names.iter().map(|name| HeaderName::from_static(name)).collect());
    // Fields that differ on every response must not be reported by default.
    assert_eq!(names(FieldNames::Usual, primary, &[]), ["content-type"]);
    assert_eq!(names(FieldNames::All, primary, &[]), ["content-type", "x-a", "x-b"]);
    assert_eq!(names(named(&["x-b", "etag", "content-encoding"]), primary, &[]), ["x-b", "etag", "content-encoding"]);
    assert_eq!(names(named(&[]), primary, &[]), [""; 0]);
}
