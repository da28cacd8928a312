//! Rules out of Serverless Framework files: what is read, what is skipped, and how mistakes are told.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use crossfade_emulator::serverless;

/// One line for each rule, in the order of the file.
fn rules(text: &str) -> Vec<String> {
    let rules = serverless::read(text, "serverless.yml").unwrap();
    let line = |rule: &crossfade_emulator::serverless::ListenerRule| {
        let conditions: Vec<String> = rule.conditions.iter().map(ToString::to_string).collect();
        format!("{} {} {:?}: {}", rule.priority, rule.function, rule.mode, conditions.join(" and "))
    };
    rules.iter().map(line).collect()
}

/// A file with one `alb` event, whose members are given at the right depth.
fn one_event(members: &str) -> String {
    format!(
        "functions:\n  proxy:\n    handler: bootstrap\n    events:\n      - schedule: rate(5 minutes)\n      - alb:\n{members}"
    )
}

#[track_caller]
fn refused(text: &str, message: &str) {
    let error = serverless::read(text, "serverless.yml").expect_err("accepted");
    assert_eq!(error.to_string(), message);
}

#[test]
fn reads_the_alb_events_and_skips_everything_else() {
    let text = r#"
service: shop
frameworkVersion: '>=3.40.0 <5'
custom:
  listener: ${env:ALB_LISTENER_ARN}
provider:
  name: aws
  runtime: provided.al2023
  environment:
    TABLE: !Ref Table
    ARN: !GetAtt Table.Arn
    URL: !Sub 'https://${AWS::Region}.example.com'
    LIST: !Join ['', [a, b]]
health: &health
  path: /health
functions:
  proxy:
    handler: bootstrap
    environment:
      QUEUE: !Ref Queue
      KEY: ${ssm:/key}
    events:
      - httpApi: '*'
      - schedule: rate(5 minutes)
      - stream
      - alb:
          listenerArn: { Ref: Listener }
          priority: 20
          multiValueHeaders: true
          healthCheck: *health
          targetGroupName: shop-proxy
          conditions:
            host: shop.example.com
            path: [/orders/*, /v?/orders]
            method: [GET]
      - alb:
          listenerArn: ${self:custom.listener}
          priority: 10
          healthCheck: true
          conditions:
            header:
              - name: X-Beta
                values: [yes, 1]
              - { name: x-team, values: red }
            query: { version: 2, beta: "true" }
  other:
    handler: other.handler
    events:
      - alb:
          listenerArn: !Ref Listener
          priority: 30
          conditions:
            header: { name: x-a, values: b }
            ip: [10.0.0.0/8, 2001:db8::/32]
resources:
  Resources:
    Table:
      Type: AWS::DynamoDB::Table
      Properties: { A: !If [X, Y, !Ref "AWS::NoValue"] }
"#;
    assert_eq!(
        rules(text),
        [
            "20 proxy Multi: host is shop.example.com and path is /orders/* or /v?/orders and method is GET",
            // T11: several query keys are alternatives, as in what the framework deploys
            "10 proxy Single: header x-beta is yes or 1 and header x-team is red and query has version=2 or beta=true",
            "30 other Single: header x-a is b and ip is in 10.0.0.0/8 or 2001:db8::/32",
        ]
    );
}

#[test]
fn functions_may_be_a_list_of_maps() {
    let text = "functions:\n  - a:\n      events:\n        - alb: { priority: 1, conditions: { path: / } }\n  - b:\n      events: []\n";
    assert_eq!(rules(text), ["1 a Single: path is /"]);
}

#[test]
fn a_file_without_alb_events_says_so() {
    let message =
        "serverless.yml: no `alb` event in any function; rules come from `functions.<name>.events: - alb: ...`";
    refused("service: x\n", message);
    refused("functions:\n  a:\n    handler: x\n", message);
    refused("functions:\n", message);
    refused("functions:\n  a:\n    events:\n      - httpApi: '*'\n", message);
}

#[test]
fn mistakes_name_file_line_function_event_and_value() {
    let priority =
        "serverless.yml:7: function `proxy`, event 2: `priority` is `0`, it must be a number from 1 to 50000";
    refused(&one_event("          priority: 0\n          conditions: { path: / }\n"), priority);
    refused(
        &one_event("          conditions: { path: / }\n"),
        "serverless.yml:6: function `proxy`, event 2: `priority` is missing",
    );
    refused(
        &one_event("          priority: 1\n"),
        "serverless.yml:6: function `proxy`, event 2: `conditions` is missing",
    );
    refused(
        &one_event("          priority: 1\n          conditions: {}\n"),
        "serverless.yml:8: function `proxy`, event 2: a rule needs at least one condition",
    );
    refused(
        &one_event("          priority: 1\n          conditions:\n            method: get\n"),
        "serverless.yml:9: function `proxy`, event 2: condition `method`: `get` contains 'g', ALB allows capital letters, `-` and `_`",
    );
    refused(
        &one_event("          priority: 1\n          conditions:\n            pth: /\n"),
        "serverless.yml:9: function `proxy`, event 2: `conditions` has no key `pth`; it has host, path, method, header, query, ip",
    );
    refused(
        &one_event("          priority: 1\n          conditions:\n            path: /\n          slowStart: 1\n"),
        "serverless.yml:10: function `proxy`, event 2: `alb` has no key `slowStart`; it has priority, conditions, multiValueHeaders, listenerArn, healthCheck, targetGroupName, authorizer",
    );
    refused(
        &one_event("          priority: 1\n          conditions:\n            header: { name: x }\n"),
        "serverless.yml:9: function `proxy`, event 2: `header` needs `name` and `values`",
    );
    refused(
        &one_event("          priority: 1\n          conditions:\n            path: [/a, /b, /c, /d, /e, /f]\n"),
        "serverless.yml:9: function `proxy`, event 2: 6 condition values, but ALB allows 5 per rule; split the rule in two",
    );
}

#[test]
fn variables_are_refused_where_they_would_matter() {
    refused(
        &one_event("          priority: ${env:PRIORITY}\n          conditions: { path: / }\n"),
        "serverless.yml:7: function `proxy`, event 2: `priority` holds the variable `${env:PRIORITY}`, which is not resolved here; write the value",
    );
    refused(
        &one_event("          priority: 1\n          conditions:\n            host: ['${self:custom.host}']\n"),
        "serverless.yml:9: function `proxy`, event 2: `host` holds the variable `${self:custom.host}`, which is not resolved here; write the value",
    );
    refused(
        "functions:\n  a:\n    events:\n      - alb: ${file(alb.yml)}\n",
        "serverless.yml:4: function `a`, event 1: `alb` holds the variable `${file(alb.yml)}`, which is not resolved here; write the value",
    );
    refused(
        "functions: ${file(functions.yml)}\n",
        "serverless.yml:1: `functions` is `${file(functions.yml)}`, variables are not resolved here; name the file that holds them",
    );
    for (text, line) in [
        ("functions:\n  a: ${file(a.yml)}\n", 2),
        ("functions:\n  a:\n    events: ${file(a.yml)}\n", 3),
        ("functions:\n  a:\n    events:\n      - ${file(a.yml)}\n", 4),
    ] {
        let problem =
            "function `a` has `${file(a.yml)}`, variables are not resolved here; write out what it stands for";
        refused(text, &format!("serverless.yml:{line}: {problem}"));
    }
}

#[test]
fn a_priority_can_be_taken_once() {
    let text = "functions:\n  a:\n    events:\n      - alb: { priority: 1, conditions: { path: /a } }\n  b:\n    events:\n      - alb: { priority: 1, conditions: { path: /b } }\n";
    refused(
        text,
        "serverless.yml:7: function `b`, event 1: priority 1 is already taken by function `a`; all rules go to one listener here, and the priorities of a listener must differ",
    );
}

#[test]
fn what_is_not_yaml_is_told_with_its_line() {
    let error = serverless::read("functions:\n  a: [\n", "serverless.yml").expect_err("accepted").to_string();
    assert!(error.starts_with("serverless.yml: ") && error.contains("line 2"), "{error}");
}
