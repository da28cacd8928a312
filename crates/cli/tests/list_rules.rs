//! `crossfade dev` with files with listener rules: the list of rules, errors, and the command of each function.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::Dev;

fn crossfade(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crossfade")).args(arguments).current_dir(folder).output().unwrap()
}

#[track_caller]
fn told(output: &Output, code: i32) -> (String, String) {
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8(text.clone()).unwrap());
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    (out, err)
}

fn folder_with(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const TWO_FUNCTIONS: &str = "\
service: shop
provider: { name: aws, runtime: nodejs22.x, environment: { SHARED: '${opt:shared, \"of the file\"}' } }
functions:
  web:
    handler: web.handler
    timeout: 7
    environment: { WHO: web }
    events:
      - alb: { listenerArn: '${env:PUBLIC_LISTENER}', priority: 1, multiValueHeaders: true, conditions: { path: /web/* } }
  api:
    handler: api.handler
    events:
      - alb: { listenerArn: '${env:PUBLIC_LISTENER}', priority: 2, conditions: { path: /api/* } }
      - alb: { listenerArn: '${ssm:/internal}', priority: 1, conditions: { query: { a: b, c: d } } }
";

/// Tells who it is and what it knows, as Lambda's runtimes do it: over the Runtime API.
const HANDLER: &str = r#"
const http = require('http');
const api = process.env.AWS_LAMBDA_RUNTIME_API;
const get = () => new Promise((resolve, reject) => http.get(`http://${api}/2018-06-01/runtime/invocation/next`, (answer) => {
  let text = ''; answer.on('data', (piece) => text += piece).on('end', () => resolve([answer.headers['lambda-runtime-aws-request-id'], text]));
}).on('error', reject));
const post = (id, body) => new Promise((resolve, reject) => http.request(`http://${api}/2018-06-01/runtime/invocation/${id}/response`,
  { method: 'POST' }, (answer) => answer.resume().on('end', resolve)).on('error', reject).end(body));
(async () => { for (;;) {
  const [id, event] = await get();
  const { WHO, SHARED, ADDED, AWS_LAMBDA_FUNCTION_NAME, _HANDLER } = process.env;
  const multi = 'multiValueHeaders' in JSON.parse(event);
  const body = JSON.stringify({ WHO, SHARED, ADDED, AWS_LAMBDA_FUNCTION_NAME, _HANDLER, multi, argument: process.argv[2] });
  const fields = multi ? { multiValueHeaders: { 'content-type': ['application/json'] } } : { headers: { 'content-type': 'application/json' } };
  await post(id, JSON.stringify({ statusCode: 200, ...fields, body }));
} })();
"#;

pub(crate) fn the_table_is_printed_and_nothing_is_started() {
    let folder = folder_with(&[("serverless.yml", TWO_FUNCTIONS)]);
    let output = crossfade(folder.path(), &["dev", "--serverless", "serverless.yml", "--list-rules"]);
    let (table, warnings) = told(&output, 0);
    assert_eq!(
        table,
        "listener ${env:PUBLIC_LISTENER} (HTTP)\n  \
           1        path is /web/*\n           forward to web\n           at serverless.yml:9\n  \
           2        path is /api/*\n           forward to api\n           at serverless.yml:13\n  \
           default  fixed response 404\n\n\
         listener ${ssm:/internal} (HTTP)\n  \
           1        query has a=b or c=d\n           forward to api\n           at serverless.yml:14\n  \
           default  fixed response 404\n\n\
         target groups\n  \
           web: function shop-dev-web, multi-value headers, no health check\n  \
           api: function shop-dev-api, single-value headers, no health check\n\n\
         functions\n  \
           shop-dev-web: handler web.handler, nodejs22.x, 1024 MiB, 7 s, 10 environments (further requests wait), environment SHARED WHO\n  \
           shop-dev-api: handler api.handler, nodejs22.x, 1024 MiB, 6 s, 10 environments (further requests wait), environment SHARED\n"
    );
    assert!(warnings.contains("`a=b` OR `c=d` matches"), "{warnings}");

    // Names that contain a short value by chance stay; a secret and a long value do not.
    let rules = "service: shop\nfunctions:\n  products:\n    handler: a.b\n    events:\n      \
        - alb: { listenerArn: '${env:STAGE}', priority: 1, conditions: { path: /products/*, header: { name: x, values: ['${env:TOKEN}', '${env:HOST}'] } } }\n";
    let folder = folder_with(&[("serverless.yml", rules)]);
    let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .args(["dev", "--serverless", "serverless.yml", "--list-rules"])
        .envs([("STAGE", "prod"), ("TOKEN", "abc9"), ("HOST", "shop.example")])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let (table, _) = told(&output, 0);
    assert!(table.contains("path is /products/* and header x is ${env:TOKEN} or ${env:HOST}\n"), "{table}");
    assert!(table.starts_with("listener prod "), "{table}");
}

pub(crate) fn each_kind_of_file_has_its_option() {
    let rule = r#"{"RuleArn": "arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/app/front/1/2/3", "Priority": "7", "Conditions": [{"Field": "path-pattern", "Values": ["/a"]}], "Actions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "403"}}]}"#;
    let template = "Parameters: { P: { Type: String } }\nResources:\n  L: { Type: AWS::ElasticLoadBalancingV2::Listener, Properties: { Port: 80, Protocol: HTTP, DefaultActions: [{ Type: fixed-response, FixedResponseConfig: { StatusCode: 404 } }] } }\n  R: { Type: AWS::ElasticLoadBalancingV2::ListenerRule, Properties: { ListenerArn: !Ref L, Priority: !Ref P, Conditions: [{ Field: path-pattern, Values: [/t] }], Actions: [{ Type: fixed-response, FixedResponseConfig: { StatusCode: 403 } }] } }\n";
    let folder = folder_with(&[("rules.json", &format!("{{\"Rules\": [{rule}]}}")), ("template.yml", template)]);
    let list = |arguments: &[&str]| crossfade(folder.path(), &[&["dev", "--list-rules"], arguments].concat());
    assert!(told(&list(&["--describe-rules", "rules.json"]), 0).0.contains("  7        path is /a\n"));
    for option in ["--param", "--parameter"] {
        assert!(told(&list(&["--template", "template.yml", option, "P=9"]), 0).0.contains("  9        path is /t\n"));
    }
    let (_, errors) = told(&list(&["--template", "template.yml"]), 2);
    assert!(errors.contains("`R`: `Priority` is `!Ref P`: the parameter `P` has no default"), "{errors}");
    let (_, errors) = told(&list(&["--template", "template.yml", "--describe-rules", "rules.json"]), 2);
    assert!(errors.contains("cannot be used with"), "{errors}");
    assert!(told(&list(&[]), 2).1.contains("`--list-rules` needs a file with rules"));
}

pub(crate) fn all_errors_are_reported_at_once_and_lenient_downgrades_quotas() {
    let text = "functions:\n  a:\n    events:\n      - alb: { listenerArn: x, priority: 1, conditions: { path: [/1, /2, /3, /4, /5, /6] } }\n      - alb: { listenerArn: x, priority: 2, authorizer: y, conditions: { path: / } }\n";
    let folder = folder_with(&[("serverless.yml", text)]);
    let list = ["dev", "--list-rules", "--serverless", "serverless.yml"];
    let (_, errors) = told(&crossfade(folder.path(), &list), 2);
    assert!(
        errors.starts_with("error: 2 errors in `serverless.yml`\nserverless.yml:4:14: function `a`, event 1"),
        "{errors}"
    );
    let (table, warnings) = told(&crossfade(folder.path(), &[&list[..], &["--lenient"]].concat()), 0);
    assert!(table.contains("path is /1 or /2"), "{table}");
    assert_eq!(warnings.matches(": warning: ").count(), 2, "{warnings}");
}

pub(crate) fn several_functions_need_a_command_each() {
    let folder = folder_with(&[("serverless.yml", &TWO_FUNCTIONS.replace("nodejs22.x", "provided.al2023"))]);
    let dev = |arguments: &[&str]| {
        let output =
            crossfade(folder.path(), &[&["dev", "--port", "0", "--serverless", "serverless.yml"], arguments].concat());
        told(&output, 2).1
    };
    let errors = dev(&[]);
    assert!(errors.contains("2 functions and no command for `web` and `api`"), "{errors}");
    assert!(errors.contains("  --function 'api=./bootstrap'"), "{errors}");
    assert!(dev(&["--function", "nope=true"]).contains("unknown function `nope`"));
    assert!(
        dev(&["--function", "web=true", "--function", "api=true", "--env", "NOT_SET_ANYWHERE"])
            .contains("`--env NOT_SET_ANYWHERE`")
    );
}

/// Rules lead to functions, each with its own command, name, handler, header mode and environment; each listener has its
/// own port.
pub(crate) fn each_function_runs_its_own_command() {
    let folder = folder_with(&[("serverless.yml", TWO_FUNCTIONS), ("handler.js", HANDLER)]);
    let dev = Dev::start_in(
        folder.path(),
        &[
            "--serverless",
            "serverless.yml",
            "--opt",
            "shared=of the option",
            "--env",
            "ADDED=to all",
            "--function",
            "web=node handler.js first",
            "--function",
            "shop-dev-api=node handler.js second",
        ],
    );
    let ports: Vec<&str> = dev.banner.lines().filter_map(|line| line.trim().strip_prefix("local ALB")).collect();
    assert_eq!(ports.len(), 2, "{}", dev.banner);
    let second = ports[1].split_whitespace().next().unwrap();
    let ask = |url: &str| -> serde_json::Value {
        let output = Command::new("curl").args(["-sS", "--max-time", "25", "--noproxy", "*", url]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{url}: {text}"))
    };
    let expected = |who: &str, handler: &str, name: &str, multi: bool, argument: &str| {
        let mut told = serde_json::json!({
            "SHARED": "of the option", "ADDED": "to all", "AWS_LAMBDA_FUNCTION_NAME": name, "_HANDLER": handler,
            "multi": multi, "argument": argument,
        });
        if !who.is_empty() {
            told["WHO"] = who.into();
        }
        told
    };
    assert_eq!(ask(&format!("{}/web/1", dev.alb)), expected("web", "web.handler", "shop-dev-web", true, "first"));
    let api = expected("", "api.handler", "shop-dev-api", false, "second");
    assert_eq!(ask(&format!("{}/api/1", dev.alb)), api);
    assert_eq!(ask(&format!("{second}/?c=d")), api);
    assert!(dev.stop("-INT").success());
}
