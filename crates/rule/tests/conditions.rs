//! Each condition type against ALB's documentation: what matches, what does not, and what is rejected.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use crossfade_rule::{Condition, RequestView, normalised};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Parses `METHOD TARGET` and `name: value` lines. `host` comes from the fields, as in a listener.
fn holds_for(condition: &Condition, request: &str) -> bool {
    let mut lines = request.lines();
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query.as_bytes())),
        None => (target, None),
    };
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let host = headers.get("host").map(|host| host.as_bytes().to_vec()).unwrap_or_default();
    let source_ip = Some("203.0.113.7".parse().unwrap());
    let view =
        RequestView { method, host: &host, path: normalised(path.as_bytes()), query, headers: &headers, source_ip };
    condition.matches(&view)
}

#[track_caller]
fn rejected<T: std::fmt::Debug>(made: Result<T, crossfade_rule::ConditionError>, message: &str) {
    assert_eq!(made.expect_err("accepted").to_string(), message);
}

#[test]
fn host_ignores_case_and_port() {
    let condition = Condition::host(["*.Example.com", "shop.example.org"]).unwrap();
    assert!(holds_for(&condition, "GET /\nhost: A.eXample.COM"));
    assert!(holds_for(&condition, "GET /\nhost: a.b.example.com:8080"));
    assert!(holds_for(&condition, "GET /\nhost: shop.example.org"));
    assert!(!holds_for(&condition, "GET /\nhost: example.com"), "the apex is not covered by `*.`");
    assert!(!holds_for(&condition, "GET /\nhost: a.example.com.evil.net"));
    assert!(!holds_for(&condition, "GET /"), "no host at all");
    assert!(!holds_for(&condition, "GET /\nhost: [::1]:80"));
}

#[test]
fn path_is_case_sensitive_and_without_query() {
    let condition = Condition::path(["/api/*/items", "/V?"]).unwrap();
    assert!(holds_for(&condition, "GET /api/a/b/items"));
    assert!(holds_for(&condition, "GET /api//items?x=/nothing"));
    assert!(holds_for(&condition, "GET /V1"));
    assert!(!holds_for(&condition, "GET /v1"));
    assert!(!holds_for(&condition, "GET /api/items"));
    assert!(!holds_for(&condition, "GET /api%2Fa/items"));
    let ampersand = Condition::path(["/a&amp;b"]).unwrap();
    assert!(holds_for(&ampersand, "GET /a&b"));
}

#[test]
fn path_is_normalised() {
    let admin = Condition::path(["/admin*"]).unwrap();
    for target in ["/public/../admin", "/public/%2e%2e/admin", "/%61dmin", "/./admin?x", "/%61d%6Din/"] {
        assert!(holds_for(&admin, &format!("GET {target}")), "{target}");
    }
    // These are other resources.
    for target in ["//admin", "/%2561dmin", "/x%2F..%2Fadmin", "/ADMIN", "/admin/../public"] {
        assert!(!holds_for(&admin, &format!("GET {target}")), "{target}");
    }
    let cafe = Condition::path(["/caf%c3%a9"]).unwrap();
    assert!(holds_for(&cafe, "GET /caf%C3%A9") && holds_for(&cafe, "GET /caf%c3%a9"));
}

#[test]
fn method_is_exact() {
    let condition = Condition::method(["GET", "PURGE"]).unwrap();
    assert!(holds_for(&condition, "GET /"));
    assert!(holds_for(&condition, "PURGE /"));
    assert!(!holds_for(&condition, "get /"));
    assert!(!holds_for(&condition, "GETS /"));
}

#[test]
fn header_takes_any_value_of_a_repeated_field_and_does_not_split_commas() {
    let condition = Condition::header("X-Beta", ["yes", "on-*"]).unwrap();
    assert!(holds_for(&condition, "GET /\nx-beta: no\nx-beta: YES"));
    assert!(holds_for(&condition, "GET /\nx-beta: On-1, no"));
    assert!(!holds_for(&condition, "GET /\nx-beta: no, yes"));
    assert!(!holds_for(&condition, "GET /\nx-alpha: yes"));
}

#[test]
fn query_pairs_are_alternatives_undecoded_and_escapable() {
    let condition = Condition::query([(Some("v"), "2"), (Some("beta*"), "*")]).unwrap();
    assert!(holds_for(&condition, "GET /?v=1&V=2"));
    assert!(holds_for(&condition, "GET /?a=1&&beta1"));
    assert!(holds_for(&condition, "GET /?v=2#v=3"));
    assert!(!holds_for(&condition, "GET /?v=3#&v=2"));
    assert!(!holds_for(&condition, "GET /?v=%32"));
    assert!(!holds_for(&condition, "GET /"));
    let any_key = Condition::query([(None::<&str>, r"a\*b")]).unwrap();
    assert!(holds_for(&any_key, "GET /?x=A*b"));
    assert!(!holds_for(&any_key, "GET /?x=aXb"));
    assert!(!holds_for(&any_key, "GET /?x=a=a*b"), "the value goes from the first `=` to the end");
}

// A client must not be able to choose the address that is tested.
#[test]
fn ip_is_the_peer_and_not_what_the_client_claims() {
    let peer = Condition::ip(["10.0.0.0/8", "203.0.113.0/24"]).unwrap();
    assert!(holds_for(&peer, "GET /\nx-forwarded-for: 198.51.100.1"));
    let claimed = Condition::ip(["198.51.100.0/24"]).unwrap();
    assert!(!holds_for(&claimed, "GET /\nx-forwarded-for: 198.51.100.1"));

    let headers = HeaderMap::new();
    let mut view = RequestView {
        method: "GET",
        host: b"",
        path: normalised(b"/"),
        query: None,
        headers: &headers,
        source_ip: None,
    };
    assert!(!peer.matches(&view));
    view.source_ip = Some("::ffff:203.0.113.9".parse().unwrap());
    assert!(peer.matches(&view), "an IPv4 peer of a dual-stack socket");
    view.source_ip = Some("2001:db8::9".parse().unwrap());
    assert!(Condition::ip(["2001:db8::/32"]).unwrap().matches(&view));
}

#[test]
fn rejects_what_alb_rejects_and_names_field_and_value() {
    let none: [&str; 0] = [];
    rejected(Condition::host(none), "condition `host` has no values");
    rejected(Condition::path([""]), "condition `path` has an empty value");
    let localhost =
        "condition `host`: `localhost` is not a host pattern: it needs a `.` and only letters after the last one";
    rejected(Condition::host(["localhost"]), localhost);
    assert!(Condition::host(["10.0.0.1"]).is_err());
    assert!(Condition::host(["example.*"]).is_err());
    assert!(Condition::host(["a_b.example.com"]).is_err());
    assert!(Condition::path(["/ü"]).is_err());
    rejected(
        Condition::path(["/a b"]),
        "condition `path`: `/a b` contains ' ', ALB allows letters, digits and `_ - . $ / ~ \" ' @ : + & % * ?`",
    );
    rejected(
        Condition::method(["get"]),
        "condition `method`: `get` contains 'g', ALB allows capital letters, `-` and `_`",
    );
    rejected(
        Condition::header("X-*", ["a"]),
        "condition `header`: `X-*` is not a header name: wildcards work in values only",
    );
    rejected(
        Condition::header("host", ["a"]),
        "condition `header`: `host` is not allowed here; use a `host` condition",
    );
    rejected(Condition::header("a b", ["a"]), "condition `header`: `a b` is not a header name");
    assert!(Condition::header("x-a", ["tab\t"]).is_err());
    rejected(Condition::query([(Some(""), "a")]), "condition `query` has an empty key");
    rejected(Condition::query([(Some("a"), "")]), "condition `query` has an empty value");
    rejected(Condition::ip(["10.0.0.1"]), "condition `ip`: `10.0.0.1` is not a CIDR range; for one address add `/32`");
    rejected(
        Condition::ip(["10.0.0.0/33"]),
        "condition `ip`: `10.0.0.0/33` is not a CIDR range such as `192.0.2.0/24` or `2001:db8::/32`",
    );
    rejected(Condition::ip(["255.255.255.255/32"]), "condition `ip`: `255.255.255.255/32` is rejected by ALB");
}

#[test]
fn reads_well() {
    let shown = [
        (Condition::path(["/a/*", "/b"]).unwrap(), "path", "path is /a/* or /b"),
        (Condition::header("X-Beta", ["1"]).unwrap(), "header", "header x-beta is 1"),
        (Condition::query([(Some("v"), "2"), (None, "3")]).unwrap(), "query", "query has v=2 or *=3"),
        (Condition::ip(["10.0.0.0/8"]).unwrap(), "ip", "ip is in 10.0.0.0/8"),
        (Condition::method(["GET"]).unwrap(), "method", "method is GET"),
        (Condition::host(["A.example.com"]).unwrap(), "host", "host is A.example.com"),
    ];
    for (condition, kind, text) in shown {
        assert_eq!(condition.kind(), kind);
        assert_eq!(condition.to_string(), text);
    }
}

/// Regexes are unanchored, and case-sensitive where wildcards are.
#[test]
fn regex_values() {
    let path = Condition::path_regex(["^/api/v[12]/", "Exact$"]).unwrap();
    assert_eq!(path.to_string(), "path is regex ^/api/v[12]/ or regex Exact$");
    assert!(holds_for(&path, "GET /api/v1/x") && holds_for(&path, "GET /x/Exact?a=b"));
    assert!(!holds_for(&path, "GET /api/v3/") && !holds_for(&path, "GET /x/exact"));
    let host = Condition::host_regex(["^(.+)\\.example\\.com$"]).unwrap();
    assert!(holds_for(&host, "GET /\nhost: A.EXAMPLE.com:8080") && !holds_for(&host, "GET /\nhost: example.com"));
    assert!(holds_for(&Condition::header_regex("X-A", ["^beta-\\d+$"]).unwrap(), "GET /\nx-a: Beta-7"));
    rejected(
        Condition::header_regex("host", ["a"]),
        "condition `header`: `host` is not allowed here; use a `host` condition",
    );
    assert!(Condition::path_regex(["(?=a)"]).unwrap_err().to_string().contains("not a regex"));
    rejected(Condition::host_regex([""]), "condition `host` has an empty value");
}
