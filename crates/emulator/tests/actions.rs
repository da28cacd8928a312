//! The actions of rules: forwarding by weight and cookie, redirects, fixed responses, transforms.

use std::time::Duration;

use crossfade_emulator::{
    Action, FixedResponse, Forward, Redirect, Rule, RuleRef, TargetGroup, Transforms, WeightedGroup,
};
use crossfade_event::HeaderMode;
use crossfade_rule::{Condition, Regex, Rewrite};
use http::StatusCode;

use crate::support::{self, Alb, settings};

fn path(pattern: &str) -> Vec<Condition> {
    vec![Condition::path([pattern]).unwrap()]
}

fn rule(priority: u32, pattern: &str, action: Action) -> Rule {
    Rule { action, ..support::rule(priority, path(pattern)) }
}

fn rewrite(regex: &str, replace: &str) -> Option<Rewrite> {
    Some(Rewrite::new(Regex::new(regex).unwrap(), replace).unwrap())
}

#[test]
fn a_fixed_response_is_the_same_for_everybody_and_needs_no_function() {
    let fixed = FixedResponse {
        status: StatusCode::SERVICE_UNAVAILABLE,
        content_type: Some("application/json".into()),
        body: r#"{"closed":true}"#.into(),
    };
    let mut alb = Alb::with_rules(vec![rule(1, "/checkout/*", Action::FixedResponse(fixed))]);
    let response = alb.get("/checkout/1", "");
    assert_eq!((response.status, response.text()), (503, r#"{"closed":true}"#));
    assert_eq!(response.field("content-type"), Some("application/json"));
    assert_eq!(response.field("server"), Some("awselb/2.0"));
    let exchange = alb.exchange();
    assert_eq!((exchange.actions, exchange.environment), (vec!["fixed-response"], None));
    // Its default is 404 here, and of plain text.
    let response = alb.get("/other", "");
    assert_eq!((response.status, response.field("content-type")), (404, Some("text/plain")));
    assert_eq!((alb.exchange().rule, response.field("content-length")), (RuleRef::Default, Some("0")));
    // A body does not get in the way of the next request.
    let mut client = alb.connect();
    for _ in 0..2 {
        client.write(b"POST /checkout/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(client.read().status, 503);
    }
}

#[test]
fn redirects_fill_their_keywords() {
    let to = |change: fn(&mut Redirect)| {
        let mut redirect = Redirect::to_itself(StatusCode::MOVED_PERMANENTLY);
        change(&mut redirect);
        Action::Redirect(redirect)
    };
    let rules = vec![
        rule(1, "/https/*", to(|it| (it.protocol, it.port) = ("HTTPS".into(), "443".into()))),
        rule(2, "/blog/*", to(|it| (it.host, it.path) = ("blog.#{host}".into(), "/old/#{path}".into()))),
        rule(3, "/q/*", to(|it| (it.path, it.query) = ("/s".into(), "#{query}&p=#{path}&s=#{protocol}".into()))),
        rule(4, "/long/*", to(|it| it.path = "/#{path}#{path}".into())),
    ];
    let mut alb = Alb::with_rules(rules);
    let port = alb.address.port();
    let mut location = |target: &str| {
        let response = alb.get(target, "");
        assert_eq!(response.status, 301);
        let title = "<title>301 Moved Permanently</title>";
        assert!(response.text().contains(title) && response.body.len() == 134, "{}", response.text());
        let exchange = alb.exchange();
        assert_eq!(exchange.redirect.as_deref(), response.field("location"));
        response.field("location").unwrap().to_owned()
    };
    assert_eq!(location("/https/a%20b?x=%2B&y"), "https://shop.example.com:443/https/a%20b?x=%2B&y");
    assert_eq!(location("/blog/1"), format!("http://blog.shop.example.com:{port}/old/blog/1"));
    assert_eq!(location("/q/a?b=#{host}"), format!("http://shop.example.com:{port}/s?b=&p=q/a&s=http"));
    let long = alb.get(&format!("/long/{}", "a".repeat(9000)), "");
    assert_eq!(long.status, 507);
    assert!(alb.exchange().problem.unwrap().starts_with("the redirect's URL is 1"));
}

#[test]
fn a_host_that_is_none_is_redirected_nowhere() {
    let own = Action::Redirect(Redirect::to_itself(StatusCode::FOUND));
    let fixed = Redirect { host: "moved.example.com".into(), ..Redirect::to_itself(StatusCode::FOUND) };
    let broken = Redirect { host: "a b".into(), ..Redirect::to_itself(StatusCode::FOUND) };
    let mut alb = Alb::with_rules(vec![
        rule(1, "/own", own),
        rule(2, "/fixed", Action::Redirect(fixed)),
        rule(3, "/broken", Action::Redirect(broken)),
    ]);
    for host in
        ["[::1", "::1]", "[::1]x", "[evil]", "a b", "a/b", "evil.example\\@a", "x@a", "a,b", "\u{e9}.example", "a%2f"]
    {
        let response = alb.send(format!("GET /own HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!((response.status, response.field("location")), (400, None), "{host}");
        assert!(
            alb.exchange().problem.unwrap().starts_with("the request's `Host` makes the redirect's host invalid"),
            "{host}"
        );
        // Where the rule names the host, the client's does not matter.
        let response = alb.send(format!("GET /fixed HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(response.status, 302, "{host}");
        assert!(response.field("location").unwrap().starts_with("http://moved.example.com:"), "{host}");
        alb.exchange();
    }
    let port = alb.address.port();
    for host in ["[::1]", "[::1]:8080", "a_b.example"] {
        let response = alb.send(format!("GET /own HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let name = host.strip_suffix(":8080").unwrap_or(host);
        assert_eq!(response.field("location"), Some(format!("http://{name}:{port}/own").as_str()), "{host}");
    }
    assert_eq!(alb.send("GET /broken HTTP/1.1\r\nHost: a\r\n\r\n").status, 500);
}

#[test]
fn a_redirect_to_another_listener_says_where_that_is_here() {
    let mut settings = settings(HeaderMode::Single);
    let redirect = Redirect { port: "443".into(), ..Redirect::to_itself(StatusCode::FOUND) };
    settings.listeners.push(settings.listeners[0].clone());
    settings.listeners[0].default_action = Action::Redirect(redirect);
    settings.listeners[1].port = Some(443);
    let mut alb = Alb::start(settings);
    assert_eq!(alb.get("/", "").field("location"), Some("http://shop.example.com:443/"));
    let warning = alb.exchange().warnings.remove(0);
    assert!(
        warning.starts_with("the redirect leads to the listener on port 443 in AWS, which listens on "),
        "{warning}"
    );
}

fn two_functions(weights: [u16; 2], stickiness: Option<Duration>) -> Alb {
    let mut settings = settings(HeaderMode::Single);
    let mut second = settings.functions[0].clone();
    second.name = "second".into();
    settings.functions.push(second);
    settings.target_groups.push(TargetGroup::new("second", HeaderMode::Single, Some(1)));
    let targets = [0, 1].map(|group| WeightedGroup { group, weight: weights[group] }).to_vec();
    settings.listeners[0].default_action = Action::Forward(Forward { targets, stickiness });
    Alb::start(settings)
}

fn function(alb: &mut Alb, fields: &str) -> String {
    assert_eq!(alb.get("/", fields).status, 200);
    alb.exchange().function.unwrap()
}

#[test]
fn weights_choose_between_target_groups_with_functions_of_their_own() {
    let mut alb = two_functions([0, 5], None);
    assert_eq!(function(&mut alb, ""), "second");
    let response = alb.get("/env", "");
    assert_eq!(response.json()["AWS_LAMBDA_FUNCTION_NAME"], "second");
    let mut alb = two_functions([50, 50], None);
    let seen: std::collections::BTreeSet<String> = (0..40).map(|_| function(&mut alb, "")).collect();
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_cookie_keeps_a_client_with_its_target_group() {
    let mut alb = two_functions([50, 50], Some(Duration::from_secs(60)));
    let response = alb.get("/", "");
    let first = alb.exchange().function.unwrap();
    let cookies: Vec<&str> = response.head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")).collect();
    let value = cookies[0].split(';').next().unwrap();
    assert!(value.starts_with("AWSALBTG=") && cookies[0].contains("; Expires=") && cookies[0].ends_with("; Path=/"));
    assert!(cookies[1].starts_with("AWSALBTGCORS=") && cookies[1].ends_with("; SameSite=None; Secure"), "{cookies:?}");
    for _ in 0..10 {
        assert_eq!(function(&mut alb, &format!("Cookie: x=1; {value}\r\n")), first);
    }
    assert_eq!(alb.get("/", "Cookie: AWSALBTG=a%2Fb\r\n").status, 400);
    assert_eq!(alb.exchange().elb_reason.as_deref(), Some("AWSALBTGCookieInvalid"));
}

#[test]
fn a_target_group_without_target_and_one_without_weight_are_503() {
    let mut without = settings(HeaderMode::Single);
    without.target_groups[0].function = None;
    let mut alb = Alb::start(without);
    assert_eq!(alb.get("/", "").status, 503);
    assert_eq!(alb.exchange().problem.unwrap(), "the target group has no registered target");
    assert_eq!(two_functions([0, 0], None).get("/", "").status, 503);
}

#[test]
fn transforms_change_what_the_function_gets_and_not_which_rule_is_met() {
    let transforms =
        Transforms { url: rewrite(r"^/api/(.*)$", "/v2/$1"), host: rewrite(r"^shop\.(.*)$", "internal.$1") };
    let mut alb = Alb::with_rules(vec![
        Rule { transforms, ..support::rule(1, path("/api/*")) },
        rule(2, "/v2/*", Action::status(StatusCode::NOT_FOUND)),
        Rule {
            transforms: Transforms { url: rewrite("^.*$", "nowhere"), host: None },
            ..support::rule(3, path("/broken"))
        },
    ]);
    let event = alb.get("/api/a%20b?c=d%2Be", "").json();
    assert_eq!(event["path"], "/v2/a%20b");
    assert_eq!(event["queryStringParameters"]["c"], "d%2Be");
    assert_eq!(event["headers"]["host"], "internal.example.com");
    assert_eq!(event["headers"].get("x-forwarded-host"), None);
    let exchange = alb.exchange();
    let transformed = exchange.transformed.unwrap();
    assert_eq!(transformed.uri.as_deref(), Some("/v2/a%20b?c=d%2Be"));
    assert_eq!((transformed.status, exchange.actions), ("TransformSuccess", vec!["rewrite", "forward"]));
    assert_eq!((exchange.target.as_str(), exchange.warnings.len()), ("/api/a%20b?c=d%2Be", 1));

    assert_eq!(alb.get("/broken", "").status, 500);
    let exchange = alb.exchange();
    assert_eq!(exchange.transformed.unwrap().status, "TransformInvalidPath");
    assert_eq!(exchange.problem.unwrap(), "the transform `url-rewrite` has the invalid result `nowhere`");
}

#[test]
fn what_was_passed_over_is_told_with_the_condition_that_did_not_hold() {
    let mut alb = Alb::with_rules(vec![
        support::rule(5, [path("/a/*"), vec![Condition::method(["POST"]).unwrap()]].concat()),
        support::rule(3, path("/b")),
        support::rule(9, path("/*")),
    ]);
    alb.get("/a/b", "");
    let exchange = alb.exchange();
    assert_eq!((exchange.rule, exchange.skipped), (RuleRef::Priority(9), vec![(3, 0), (5, 1)]));
}
