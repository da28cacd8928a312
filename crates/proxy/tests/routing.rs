//! Routes as a client and a back end see them: conditions, actions, transforms, fields, and who gets which target.

use http::{Method, Request};

use crate::support::{self, Origin, Tls, ask, config, get, request};

const ECHO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A proxy with these routes, `legacy` as the default, and `modern` with a base path.
async fn two(keys: &str, routes: &str) -> (crossfade_proxy::Proxy, Origin, Origin) {
    let legacy = Origin::answering(Tls::Plain, ECHO).await;
    let modern = Origin::answering(Tls::Plain, ECHO).await;
    let proxy = config(
        &format!(
            "backends:\n  legacy: {}\n  modern: {{ url: '{}/v2', {keys} }}\nroutes:\n{routes}\ndefault: {{ forward: legacy }}\n",
            legacy.url(),
            modern.url()
        ),
        &[],
    );
    (proxy, legacy, modern)
}

fn with(target: &str, fields: &[(&'static str, &str)]) -> Request<bytes::Bytes> {
    let fields = [&[("host", "www.example.com")], fields].concat();
    request(Method::GET, target, &fields, "")
}

fn line(origin: &Origin) -> String {
    origin.requests().last().unwrap().lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn the_first_route_by_priority_is_taken_and_sees_the_normalised_path() {
    let (proxy, ..) = two(
        "",
        "  - { name: later, priority: 20, conditions: { path: /a/* }, fixedResponse: { status: 402 } }\n  \
           - { name: first, priority: 10, conditions: { path: /a/b/*, host: WWW.example.com }, fixedResponse: { status: 401 } }\n  \
           - { name: off, priority: 5, enabled: false, conditions: { path: /* }, fixedResponse: { status: 500 } }\n  \
           - { name: encoded, priority: 30, conditions: { path: /caf%C3%A9 }, fixedResponse: { status: 403 } }",
    )
    .await;
    for (target, status, route) in [
        ("/a/b/c", 401, "first"),
        ("/a/c", 402, "later"),
        ("/caf%C3%A9", 403, "encoded"),
        ("/caf%c3%a9", 403, "encoded"),
        ("/x/../a/%62/c", 401, "first"),
        ("/a/b/%2e%2e/c", 402, "later"),
        ("/a%2Fb/c", 200, "default"),
        ("//a/b/c", 200, "default"),
    ] {
        let answer = ask(&proxy, get(target)).await;
        assert_eq!((answer.status, &answer.record["route"]), (status, &route.into()), "{target}");
    }
}

#[tokio::test] // as ALB does it
async fn a_closed_path_is_closed_in_every_form_and_others_are_forwarded_as_they_were_sent() {
    let (proxy, legacy, modern) = two(
        "",
        "  - { name: closed, priority: 1, conditions: { path: { prefix: /admin } }, fixedResponse: { status: 403 } }\n  \
           - { name: user, priority: 2, conditions: { path: { regex: '^/u/([a-z]+)$' } }, \
             redirect: { path: '/users/${1}' } }\n  \
           - { name: api, priority: 3, conditions: { path: /api/* }, forward: modern, \
             transforms: { path: { prefix: /api, replace: /open } } }",
    )
    .await;
    for target in ["/admin", "/%61dmin/x", "/x/../admin/", "/./%61%64min", "/admin/x/%2E%2e/y"] {
        assert_eq!(ask(&proxy, get(target)).await.status, 403, "{target}");
    }
    assert_eq!(ask(&proxy, get("/u/%61nna")).await.fields["location"], "https://www.example.com/users/anna");
    for target in ["/a%2fb/%7e", "/b/../%63", "//admin"] {
        assert_eq!(ask(&proxy, get(target)).await.status, 200, "{target}");
        assert_eq!(line(&legacy), format!("GET {target} HTTP/1.1"));
    }
    for target in ["/api/x", "/%61pi/x", "/zzz/../api/x"] {
        assert_eq!(ask(&proxy, get(target)).await.status, 200, "{target}");
        assert_eq!(line(&modern), "GET /v2/open/x HTTP/1.1", "{target}");
    }
}

#[tokio::test] // a spoofed `X-Forwarded-For`
async fn ip_is_what_the_load_balancer_saw_and_not_what_the_client_claims() {
    let (proxy, ..) =
        two("", "  - { name: office, priority: 1, conditions: { ip: 192.0.2.0/24 }, fixedResponse: { status: 404 } }")
            .await;
    for (field, status) in [("192.0.2.7", 404), ("198.51.100.1, 192.0.2.7", 404), ("192.0.2.7, 198.51.100.1", 200)] {
        assert_eq!(ask(&proxy, with("/", &[("x-forwarded-for", field)])).await.status, status, "{field}");
    }
}

#[tokio::test]
async fn redirects_and_fixed_responses_are_complete_answers() {
    let (proxy, legacy, modern) = two(
        "",
        "  - name: blog\n    priority: 1\n    conditions: { path: { regex: '^/blog/([0-9]+)' } }\n    \
             redirect: { host: 'blog.#{host}', path: '/${1}', status: 301 }\n    \
             responseHeaders: { set: { cache-control: no-store, x-route: '${route} ${requestId}' } }\n  \
           - name: closed\n    priority: 2\n    conditions: { path: /checkout/* }\n    \
             fixedResponse: { status: 503, contentType: text/html, body: '<p>Closed' }",
    )
    .await;
    let answer =
        ask(&proxy, with("/blog/7/x?a=%20", &[("x-forwarded-proto", "https"), ("x-forwarded-port", "443")])).await;
    assert_eq!((answer.status, answer.body.len()), (301, 0));
    assert_eq!(answer.fields["location"], "https://blog.www.example.com/7?a=%20");
    assert_eq!(answer.fields["cache-control"], "no-store");
    assert_eq!(answer.fields["x-route"], "blog 8476a536-e9f4-11e8-9739-2dfe598c3fcd");

    let answer = ask(&proxy, get("/checkout/1")).await;
    assert_eq!((answer.status, &answer.body[..]), (503, &b"<p>Closed"[..]));
    assert_eq!(answer.fields["content-type"], "text/html");
    let head = request(Method::HEAD, "/checkout/1", &[("host", "www.example.com")], "");
    assert_eq!(ask(&proxy, head).await.body.len(), 0);
    assert!(answer.record["backend"].is_null() && answer.record["error"].is_null());
    assert_eq!(legacy.requests().len() + modern.requests().len(), 0);
}

#[tokio::test]
async fn transforms_work_on_raw_bytes_and_the_target_has_its_own() {
    let (proxy, legacy, modern) = two(
        "",
        "  - name: api\n    priority: 1\n    conditions: { path: [/api/*] }\n    \
             transforms: { path: { prefix: /api, replace: / }, query: { regex: '^v=1$', replace: v=one } }\n    \
             forward:\n      targets:\n        - backend: legacy\n        - { backend: modern, transforms: { path: { regex: '^/orders/([0-9]+)$', replace: '/o?id=$1' } } }\n      \
             sticky: { by: { cookie: side }, pin: { legacy: old, modern: new } }",
    )
    .await;
    let old = |target: &str| with(target, &[("cookie", "side=old")]);
    let new = |target: &str| with(target, &[("cookie", "side=new")]);
    assert_eq!(ask(&proxy, old("/api/a%2Fb//c;d=%20?q=%26&q=+")).await.status, 200);
    assert_eq!(line(&legacy), "GET /a%2Fb//c;d=%20?q=%26&q=+ HTTP/1.1");
    ask(&proxy, new("/api/orders/7?v=1")).await;
    assert_eq!(line(&modern), "GET /v2/o?id=7&v=one HTTP/1.1");
    ask(&proxy, new("/api/orders/7")).await;
    assert_eq!(line(&modern), "GET /v2/o?id=7 HTTP/1.1");
}

#[tokio::test] // request forgery
async fn a_transformed_host_is_what_the_back_end_sees_and_not_what_is_contacted() {
    let (proxy, legacy, _) = two(
        "",
        "  - name: tenants\n    priority: 1\n    conditions: { host: '*.shop.example.com' }\n    \
             transforms: { host: { regex: '^([a-z]+)\\.shop\\.example\\.com$', replace: '$1.legacy.example.com' } }\n    forward: legacy",
    )
    .await;
    let request = request(Method::GET, "/", &[("host", "acme.shop.example.com")], "");
    assert_eq!(ask(&proxy, request).await.status, 200);
    let seen = &legacy.requests()[0];
    assert!(seen.contains("host: acme.legacy.example.com\n"), "{seen}");
    assert!(seen.contains("x-forwarded-host: acme.shop.example.com\n"), "{seen}");
}

#[tokio::test]
async fn a_transform_that_makes_no_path_is_our_mistake_and_says_so() {
    let (proxy, ..) = two(
        "",
        "  - name: bad\n    priority: 1\n    conditions: { path: /bad/* }\n    \
             transforms: { path: { regex: '^/bad/', replace: '' } }\n    forward: legacy",
    )
    .await;
    let answer = ask(&proxy, get("/bad/x")).await;
    assert_eq!((answer.status, answer.error()), (500, "proxy_configuration_error"));
    assert_eq!(answer.record["route"], "bad");
}

#[tokio::test]
async fn fields_are_removed_set_and_added_with_variables() {
    let (proxy, legacy, _) = two(
        "",
        "  - name: fields\n    priority: 1\n    conditions: { path: [{ regex: '^/(?P<tenant>[a-z]+)/([0-9]+)$' }, /plain] }\n    forward: legacy\n    \
             requestHeaders:\n      set: { x-client: '${clientIp}', x-tenant: '${tenant}-${2}', x-forwarded-host: public.example, x-price: '$$5' }\n      \
             add: { x-tag: [a, '${backend}'] }\n      remove: [X-Internal, authorization]\n    \
             responseHeaders: { set: { x-by: '${backend} ${host}' }, remove: x-powered-by }",
    )
    .await;
    let fields = [
        ("x-forwarded-for", "192.0.2.7"),
        ("x-internal", "1"),
        ("authorization", "Basic x"),
        ("x-tag", "0"),
        ("x-client", "me"),
    ];
    let answer = ask(&proxy, with("/acme/42", &fields)).await;
    let seen = &legacy.requests()[0];
    for line in [
        "x-client: 192.0.2.7\n",
        "x-tenant: acme-42\n",
        "x-forwarded-host: public.example\n",
        "x-price: $5\n",
        "x-tag: 0\n",
        "x-tag: a\n",
        "x-tag: legacy\n",
    ] {
        assert!(seen.contains(line), "{line} in {seen}");
    }
    assert!(!seen.contains("x-internal") && !seen.contains("authorization"), "{seen}");
    assert_eq!(answer.fields["x-by"], "legacy www.example.com");

    // No regex took this path, nobody knows the client: what the client claims does not stand in place of that.
    ask(&proxy, with("/plain", &[("x-client", "me")])).await;
    let seen = &legacy.requests()[1];
    assert!(!seen.contains("x-client") && !seen.contains("x-tenant"), "{seen}");
}

#[tokio::test] // header injection through a variable
async fn a_variable_cannot_become_a_second_field() {
    let (proxy, legacy, _) = two(
        "",
        "  - name: fields\n    priority: 1\n    conditions: { path: /* }\n    forward: legacy\n    \
             requestHeaders: { set: { x-host: 'for ${host}' } }",
    )
    .await;
    ask(&proxy, request(Method::GET, "/", &[("host", "a.example\u{9}x: y")], "")).await;
    let all = legacy.requests().concat();
    assert!(!all.contains("\nx: y"), "{all}");
}

#[tokio::test]
async fn the_client_stays_on_the_public_host() {
    let modern = Origin::start(Tls::Plain, |mut conn| async move {
        while conn.request().await.is_some() {
            conn.write(
                "HTTP/1.1 302 Found\r\nlocation: http://localhost/v2/login?next=%2F\r\nset-cookie: a=1; Path=/v2\r\n\
                 set-cookie: b=2; Domain=localhost\r\ncontent-length: 0\r\n\r\n",
            )
            .await;
        }
    })
    .await;
    let proxy = config(
        &format!(
            "backends:\n  modern: {{ url: '{}/v2', publicUrl: https://shop.example.com }}\ndefault: {{ forward: modern }}\n",
            modern.url()
        ),
        &[],
    );
    let answer = ask(&proxy, get("/")).await;
    assert_eq!(answer.fields["location"], "https://shop.example.com/login?next=%2F");
    let cookies: Vec<_> = answer.fields.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1; Path=/", "b=2; Domain=shop.example.com"]);
}

#[tokio::test]
async fn users_stay_on_their_side_and_can_choose_it() {
    let (proxy, legacy, modern) = two(
        "",
        "  - name: shop\n    priority: 1\n    conditions: { path: /* }\n    forward:\n      \
             targets: [{ backend: legacy, weight: 50 }, { backend: modern, weight: 50 }]\n      \
             sticky: { by: assigned }\n      optIn: { query: backend, maxAge: 1h }\n    responseHeaders: { remove: set-cookie }",
    )
    .await;
    // New: an id, and with it the same side again.
    let answer = ask(&proxy, get("/")).await;
    assert_eq!(answer.record["chosen"], "assigned");
    let cookie = answer.fields["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("crossfade_user=") && cookie.contains("; Secure"), "{cookie}");
    let id = cookie.split(';').next().unwrap();
    for _ in 0..5 {
        let again = ask(&proxy, with("/", &[("cookie", id)])).await;
        assert_eq!(again.record["backend"], answer.record["backend"]);
        assert_eq!(again.record["chosen"], "hash");
        assert!(again.fields.get("set-cookie").is_none());
    }
    // By wish: the query arrives as it is, the cookie remembers.
    for (name, origin) in [("legacy", &legacy), ("modern", &modern)] {
        let answer = ask(&proxy, get(&format!("/a?backend={name}&x=1"))).await;
        assert_eq!((&answer.record["backend"], &answer.record["chosen"]), (&name.into(), &"opt-in".into()));
        assert!(line(origin).ends_with(&format!("/a?backend={name}&x=1 HTTP/1.1")));
        let cookie = answer.fields["set-cookie"].to_str().unwrap().to_owned();
        assert!(cookie.starts_with(&format!("crossfade_opt_in={name}; Path=/; Max-Age=3600")), "{cookie}");
        let again = ask(&proxy, with("/", &[("cookie", cookie.split(';').next().unwrap())])).await;
        assert_eq!((&again.record["backend"], &again.record["chosen"]), (&name.into(), &"opt-in".into()));
    }
}

#[tokio::test]
async fn what_a_cdn_may_keep_gets_no_cookie_of_ours() {
    let public =
        "HTTP/1.1 200 OK\r\ncache-control: public, max-age=60\r\nset-cookie: theirs=1\r\ncontent-length: 0\r\n\r\n";
    let origin = Origin::answering(Tls::Plain, public).await;
    let url = origin.url();
    let proxy = |response_headers: &str| {
        config(
            &format!(
                "backends: {{ legacy: {url}, modern: {url} }}\ndefault:\n  forward:\n    \
                     targets: [{{ backend: legacy, weight: 1 }}, {{ backend: modern, weight: 1 }}]\n    \
                     sticky: {{ by: assigned }}\n    optIn: {{ header: x-backend }}\n  responseHeaders: {{ {response_headers} }}\n"
            ),
            &[],
        )
    };
    let cookies = |answer: support::Answer| answer.fields.get_all("set-cookie").iter().count();
    let wish = || with("/", &[("x-backend", "modern")]);
    // The back end's own cookie is its own affair.
    assert_eq!(cookies(ask(&proxy(""), get("/")).await), 1, "assigned");
    assert_eq!(cookies(ask(&proxy(""), wish()).await), 1, "opt-in");
    // What the client gets counts, not what the back end sent.
    let private = "set: { cache-control: private }";
    assert_eq!(cookies(ask(&proxy(private), get("/")).await), 2, "assigned");
    assert_eq!(cookies(ask(&proxy(private), wish()).await), 2, "opt-in");
}

#[tokio::test]
async fn a_host_that_is_none_is_no_part_of_a_location() {
    let (proxy, legacy, _) = two(
        "hostHeader: preserve",
        "  - { name: up, priority: 1, conditions: { path: /up/* }, redirect: { protocol: https } }\n  \
           - { name: away, priority: 2, conditions: { path: /away/* }, redirect: { host: new.example } }\n  \
           - { name: kept, priority: 3, conditions: { path: /kept/* }, forward: modern }\n  \
           - { name: own, priority: 4, conditions: { path: /own/* }, fixedResponse: { status: 302 }, \
               responseHeaders: { set: { location: 'https://${host}/login' } } }",
    )
    .await;
    for host in [
        "[::1", "[", "[]", "[::1]x", "[::1]443", "[x]:80", "a]", "::1", "a:b:c", "a/b", "a?b", "a#b", "a@b", "a b", "",
        ":80",
    ] {
        let to = |target| request(Method::GET, target, &[("host", host)], "");
        let answer = ask(&proxy, to("/up/x")).await;
        assert_eq!((answer.status, answer.error()), (400, "http_request_error"), "{host:?}");
        assert_eq!(ask(&proxy, to("/kept/x")).await.status, 400, "{host:?}");
        assert!(!ask(&proxy, to("/own/x")).await.fields.contains_key("location"), "{host:?}");
        // Where the client's host is not used it does no harm.
        assert_eq!(ask(&proxy, to("/away/x")).await.status, 302, "{host:?}");
    }
    for (host, location) in [
        ("[::1]:8443", "https://[::1]/up/x"),
        ("[2001:db8::7]", "https://[2001:db8::7]/up/x"),
        ("shop.example.com:80", "https://shop.example.com/up/x"),
    ] {
        let fields = [("host", host), ("x-forwarded-proto", "http"), ("x-forwarded-port", "80")];
        let answer = ask(&proxy, request(Method::GET, "/up/x", &fields, "")).await;
        assert_eq!(answer.fields["location"], location);
    }
    assert!(legacy.requests().is_empty());
}

#[tokio::test]
async fn without_stickiness_the_weights_are_shares() {
    let (proxy, legacy, modern) = two(
        "",
        "  - name: shop\n    priority: 1\n    conditions: { path: /* }\n    \
             forward: { targets: [{ backend: legacy, weight: 3 }, { backend: modern, weight: 1 }] }",
    )
    .await;
    for _ in 0..400 {
        ask(&proxy, get("/")).await;
    }
    let (old, new) = (legacy.requests().len(), modern.requests().len());
    assert_eq!(old + new, 400);
    assert!((70..=130).contains(&new), "{new}");
}
