//! The checks on facts, where moto does not have the fact or a run of the command would test nothing more. `crates/cli/tests/doctor.rs`
//! tests the rest.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crossfade_emulator::source::{Options, described_rules};
use crossfade_function::LocalSurroundings;
use crossfade_route::{Overlay, RoutingTable};
use serde_json::{Value, json};

use super::facts::{
    Alarm, Configuration, Deployed, Function, Group, HealthCheck, Listener, Live, LiveError, LogGroup, RuleFile,
    Statement, Unknown, Zip,
};
use super::{Facts, Finding, Verdict, examine, print};

const GROUP: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/shop/0123456789abcdef";
const OTHER: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/old/fedcba9876543210";
const LISTENER: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/shop/0011223344556677/8899aabbccddeeff";
const CONFIGURATION: &str = "\
version: 1
backends:
  modern: { url: https://modern.example, timeouts: { backendRequest: 5s }, retry: { attempts: 2, backoff: 100ms } }
  legacy: { url: https://legacy.example, timeouts: { backendRequest: 4s } }
default:
  forward: { targets: [{ backend: modern, weight: 1 }, { backend: legacy, weight: 9 }], failover: { to: legacy } }
";

fn configuration(text: &str) -> Configuration {
    let table = RoutingTable::from_config(text, "crossfade.yaml", &LocalSurroundings { folder: Path::new("") });
    Configuration {
        source: "`crossfade.yaml`".to_owned(),
        is_file: true,
        table: table.map_err(|errors| errors.list.into_iter().map(|it| it.message).collect()),
        is_packaged: None,
    }
}

/// A rule that forwards to a group.
fn rule(priority: u32, conditions: Value, group: &str) -> Value {
    let conditions: Vec<Value> = conditions
        .as_object()
        .unwrap()
        .iter()
        .map(|(field, values)| match field.as_str() {
            "path-pattern" => json!({ "Field": field, "PathPatternConfig": { "Values": values } }),
            "http-request-method" => json!({ "Field": field, "HttpRequestMethodConfig": { "Values": values } }),
            "host-header" => json!({ "Field": field, "HostHeaderConfig": { "Values": values } }),
            "source-ip" => json!({ "Field": field, "SourceIpConfig": { "Values": values } }),
            name => json!({ "Field": "http-header", "HttpHeaderConfig": { "HttpHeaderName": name, "Values": values } }),
        })
        .collect();
    json!({
        "RuleArn": format!("{LISTENER}/{priority:016}").replace("listener/", "listener-rule/"),
        "Priority": priority.to_string(),
        "Conditions": conditions,
        "Actions": [{ "Type": "forward", "TargetGroupArn": group }],
    })
}

fn rules(rules: &[Value]) -> RuleFile {
    let document = json!({
        "Listeners": [{ "ListenerArn": LISTENER, "Port": 443, "Protocol": "HTTPS",
            "DefaultActions": [{ "Type": "fixed-response", "FixedResponseConfig": { "StatusCode": "404" } }] }],
        "Rules": rules,
        "TargetGroups": [{ "TargetGroupArn": GROUP, "TargetGroupName": "shop", "TargetType": "lambda",
            "TargetGroupAttributes": [{ "Key": "lambda.multi_value_headers.enabled", "Value": "true" }] }],
        "TargetHealthDescriptions": [{ "TargetGroupArn": GROUP, "Target": { "Id": "shop" } }],
    });
    let options = Options { lenient: true, ..Options::default() };
    let loaded = described_rules("rules.json", &document.to_string(), &options).unwrap();
    RuleFile { name: "rules.json".to_owned(), settings: loaded.settings, names: loaded.names }
}

fn orders() -> Value {
    rule(110, json!({ "path-pattern": ["/api/orders/*"], "http-request-method": ["GET", "HEAD"] }), GROUP)
}

fn testers() -> Value {
    rule(120, json!({ "x-crossfade": ["on", "preview-*"] }), GROUP)
}

fn listener(own: &[Value]) -> Listener {
    Listener { arn: LISTENER.to_owned(), name: "HTTPS 443".to_owned(), settings: Ok(rules(own).settings) }
}

fn function() -> Function {
    Function {
        runtime: Some("provided.al2023".to_owned()),
        architecture: "x86_64".to_owned(),
        memory_mb: 128,
        timeout: Duration::from_secs(30),
        code_sha256: "abc=".to_owned(),
        environment: Ok(BTreeMap::new()),
        is_json_log: false,
        application_level: None,
        system_level: None,
        log_group: "/aws/lambda/shop".to_owned(),
        is_traced: false,
        subnets: 0,
        security_groups: 0,
        layers: Vec::new(),
        state: ("Active".to_owned(), None),
        last_update: ("Successful".to_owned(), None),
    }
}

fn allowed(source: &str) -> Statement {
    Statement {
        sid: "alb".to_owned(),
        is_allow: true,
        principals: vec!["elasticloadbalancing.amazonaws.com".to_owned()],
        actions: vec!["lambda:InvokeFunction".to_owned()],
        source_arns: vec![source.to_owned()],
        ..Statement::default()
    }
}

fn alarm() -> Alarm {
    Alarm {
        name: "shop-errors".to_owned(),
        arn: "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:shop-errors".to_owned(),
        is_own: true,
        are_actions_enabled: true,
        has_actions: true,
        state: "OK".to_owned(),
        reason: "no datapoint was over the threshold".to_owned(),
    }
}

fn group() -> Group {
    Group {
        arn: GROUP.to_owned(),
        name: "shop".to_owned(),
        has_multi_value_headers: Ok(true),
        health_check: Some(HealthCheck {
            path: "/".to_owned(),
            interval: 30,
            timeout: 10,
            healthy: 2,
            unhealthy: 2,
            matcher: "200".to_owned(),
        }),
        qualifier: String::new(),
        health: "healthy".to_owned(),
        health_reason: None,
    }
}

/// A deployment without a finding.
fn healthy() -> Facts {
    Facts {
        region: "eu-west-1".to_owned(),
        deployed: Deployed {
            name: "shop".to_owned(),
            function: Ok(function()),
            reserved: Ok(Some(50)),
            account_concurrency: Ok(1000),
            groups: Ok(vec![group()]),
            listeners: Ok(vec![listener(&[orders(), testers()])]),
            policies: Ok(BTreeMap::from([(String::new(), vec![allowed(GROUP)])])),
            log_group: Ok(Some(LogGroup { retention_days: Some(14) })),
            alarms: Ok(vec![alarm()]),
            live: Ok(None),
        },
        configuration: Ok(configuration(CONFIGURATION)),
        file: Some(rules(&[testers(), orders()])),
        zip: Some(Zip {
            name: "bootstrap.zip".to_owned(),
            code_sha256: "abc=".to_owned(),
            program: Err(Unknown("no program".to_owned())),
            files: BTreeMap::new(),
        }),
    }
}

fn set(facts: &mut Facts, name: &str, value: &str) {
    let function = facts.deployed.function.as_mut().unwrap();
    function.environment.as_mut().unwrap().insert(name.to_owned(), value.to_owned());
}

/// The function's configuration, to break it.
fn of(facts: &mut Facts) -> &mut Function {
    facts.deployed.function.as_mut().unwrap()
}

fn one(facts: &mut Facts) -> &mut Group {
    facts.deployed.groups.as_mut().unwrap().first_mut().unwrap()
}

fn deploy(facts: &mut Facts, rules: &[Value]) {
    facts.deployed.listeners = Ok(vec![listener(rules)]);
}

/// The findings that are not ok.
fn notable(facts: &Facts) -> Vec<Finding> {
    let findings = examine(facts).into_iter();
    findings.filter(|finding| finding.verdict != Verdict::Ok && finding.check != "package").collect()
}

#[test]
fn a_healthy_deployment_has_no_finding() {
    let facts = healthy();
    assert_eq!(notable(&facts), []);
    assert_eq!(
        examine(&facts).len(),
        super::CHECKS.len() - 1,
        "the live state does not apply, and every other check has a line"
    );
}

/// A change that breaks one thing gives exactly these findings.
#[test]
fn each_defect_has_its_finding_and_no_other() {
    use Verdict::{Error, NotChecked, Warning};
    type Case = (fn(&mut Facts), &'static [(Verdict, &'static str, &'static str)]);
    let cases: &[Case] = &[
        (|it| of(it).state = ("Failed".into(), Some("no image".into())), &[(Error, "state", "cannot run: no image")]),
        (|it| of(it).state.0 = "Inactive".into(), &[(Warning, "state", "the first request fails")]),
        (|it| of(it).last_update.0 = "Failed".into(), &[(Error, "state", "an earlier version still runs")]),
        (|it| of(it).last_update.0 = "InProgress".into(), &[(Warning, "state", "in progress")]),
        (|it| of(it).runtime = Some("provided.al2".into()), &[(Error, "runtime", "glibc 2.34")]),
        (|it| of(it).runtime = None, &[(Warning, "runtime", "container image")]),
        // Limits.
        // Two retries: 3 x 5 s + 100 ms + 200 ms, then 4 s of the failover.
        (
            |it| of(it).timeout = Duration::from_secs(19),
            &[(Warning, "timeout", "may take 19.3 s: the client gets a 504 after 18.75 s")],
        ),
        (|it| of(it).timeout = Duration::from_secs(20), &[]),
        (
            |it| {
                it.configuration = Ok(configuration(&CONFIGURATION.replace("backendRequest: 4s", "connect: 1s")));
                of(it).timeout = Duration::from_secs(3);
            },
            &[(Warning, "timeout", "3 s, so the client gets a 504 after 2.75 s")],
        ),
        (
            |it| {
                it.configuration = Ok(configuration(&format!("{CONFIGURATION}timeouts: {{ request: 6s }}\n")));
                of(it).timeout = Duration::from_secs(7);
            },
            &[],
        ),
        (
            |it| of(it).layers = vec!["arn:aws:lambda:eu-west-1:1:layer:a:1".into(); 2],
            &[(Warning, "memory", "128 MB, and layers can need 136 MB")],
        ),
        (|it| it.deployed.reserved = Ok(None), &[(Warning, "concurrency", "uses up the account's limit of 1000")]),
        (|it| it.deployed.reserved = Ok(Some(0)), &[(Error, "concurrency", "rejects every request")]),
        (
            |it| {
                it.deployed.reserved = Ok(None);
                it.deployed.account_concurrency = Ok(10);
            },
            &[(Warning, "concurrency", "the account's limit of 10 allows none")],
        ),
        (|it| it.deployed.account_concurrency = Err(Unknown("no".into())), &[]),
        (|it| it.deployed.reserved = Err(Unknown("may not".into())), &[(NotChecked, "concurrency", "may not")]),
        // Environment and configuration.
        (
            |it| {
                set(it, "CROSSFADE_BACKEND", "https://a.example");
                set(it, "CROSSFADE_CONFIG", "x.yaml");
            },
            &[(Error, "environment", "both `CROSSFADE_BACKEND` and `CROSSFADE_CONFIG`")],
        ),
        (
            |it| set(it, "CROSSFADE_BACKEND", "https://a.example"),
            &[(Error, "environment", "`CROSSFADE_BACKEND` is set")],
        ),
        (
            |it| {
                set(it, "CROSSFADE_BACKEND", "https://a.example");
                let files = &mut it.zip.as_mut().unwrap().files;
                files.insert("crossfade.yaml".into(), Vec::new());
            },
            &[(Error, "environment", "`crossfade.yaml` in the package")],
        ),
        (|it| set(it, "CROSSFADE_LIV", "s3://a/b"), &[(Warning, "environment", "ignores `CROSSFADE_LIV`")]),
        (|it| set(it, "CROSSFADE_ACCESS_LOG", "all"), &[(Error, "environment", "`CROSSFADE_ACCESS_LOG` is not")]),
        (|it| set(it, "CROSSFADE_STREAMING", "alb"), &[(Error, "environment", "`CROSSFADE_STREAMING` is not")]),
        (|it| set(it, "CROSSFADE_RELOAD", "1"), &[(Warning, "environment", "`CROSSFADE_RELOAD`")]),
        (|it| set(it, "CROSSFADE_BACKEND", ""), &[]),
        (
            |it| of(it).environment = Err("the key is disabled".into()),
            &[(Error, "environment", "cannot decrypt the environment: the key is disabled")],
        ),
        (
            |it| it.configuration = Ok(configuration("version: 1\nbackends: {}\n")),
            &[(Error, "configuration", "the function does not start with `crossfade.yaml`")],
        ),
        // Network.
        (|it| of(it).subnets = 1, &[(Warning, "network", "one subnet")]),
        (|it| of(it).subnets = 2, &[]),
        (
            |it| {
                it.configuration =
                    Ok(configuration(&CONFIGURATION.replace("https://legacy.example", "http://10.1.2.3")))
            },
            &[(Error, "network", "private addresses of legacy")],
        ),
        // Permission.
        (
            |it| it.deployed.policies = Ok(BTreeMap::from([(String::new(), Vec::new())])),
            &[(Error, "permission", "`shop` may not invoke")],
        ),
        (
            |it| it.deployed.policies = Ok(BTreeMap::from([(String::new(), vec![allowed(OTHER)])])),
            &[(Error, "permission", "`shop` may not invoke")],
        ),
        (
            |it| {
                let open = Statement { source_arns: Vec::new(), ..allowed("") };
                it.deployed.policies = Ok(BTreeMap::from([(String::new(), vec![open])]));
            },
            &[(Warning, "permission", "load balancers of every account")],
        ),
        (
            |it| {
                let denial = Statement { is_allow: false, sid: "stop".into(), source_arns: Vec::new(), ..allowed("") };
                it.deployed.policies = Ok(BTreeMap::from([(String::new(), vec![allowed(GROUP), denial])]));
            },
            &[(Error, "permission", "`stop` of its policy keeps")],
        ),
        (
            |it| {
                let conditional = Statement { other_conditions: vec!["aws:PrincipalOrgID".into()], ..allowed(GROUP) };
                it.deployed.policies = Ok(BTreeMap::from([(String::new(), vec![conditional])]));
            },
            &[(Warning, "permission", "only under `aws:PrincipalOrgID`")],
        ),
        (
            |it| {
                one(it).qualifier = "live".into();
                it.deployed.policies = Ok(BTreeMap::from([("live".into(), Vec::new())]));
            },
            &[(Error, "permission", "`shop` may not invoke")],
        ),
        (|it| it.deployed.policies = Err(Unknown("may not".into())), &[(NotChecked, "permission", "may not")]),
        // Target group.
        (|it| one(it).has_multi_value_headers = Ok(false), &[(Error, "header mode", "single-value headers")]),
        (
            |it| one(it).has_multi_value_headers = Err(Unknown("may not".into())),
            &[(NotChecked, "header mode", "may not")],
        ),
        (|it| one(it).health_check = None, &[(Warning, "health check", "no health check")]),
        (
            |it| one(it).health_check.as_mut().unwrap().matcher = "204,300-399".into(),
            &[(Error, "health check", "expects 204,300-399")],
        ),
        (|it| one(it).health_check.as_mut().unwrap().matcher = "200-299".into(), &[]),
        (
            |it| {
                it.configuration = Ok(configuration(&format!("{CONFIGURATION}healthCheck: {{ answer: backend }}\n")));
                one(it).health_check.as_mut().unwrap().matcher = "204".into();
            },
            &[],
        ),
        (
            |it| one(it).health_check.as_mut().unwrap().interval = 5,
            &[(Warning, "health check", "518400 invocations per month")],
        ),
        (
            |it| {
                one(it).health = "unhealthy".into();
                one(it).health_reason = Some("Health checks failed with these codes: [502]".into());
            },
            &[(Error, "health", "unhealthy in the target group `shop`: Health checks failed with these codes: [502]")],
        ),
        (
            |it| one(it).health = "unused".into(),
            &[(Warning, "health", "no listener rule uses the target group `shop`")],
        ),
        (|it| one(it).health = "unavailable".into(), &[]),
        (|it| one(it).health = "draining".into(), &[(Warning, "health", "`draining`")]),
        (
            |it| it.deployed.groups = Err(Unknown("may not".into())),
            &[
                (NotChecked, "rules", "may not"),
                (NotChecked, "rule order", "may not"),
                (NotChecked, "permission", "may not"),
                (NotChecked, "header mode", "may not"),
                (NotChecked, "health check", "may not"),
                (NotChecked, "health", "may not"),
            ],
        ),
        // Rules.
        (
            |it| it.deployed.listeners = Ok(Vec::new()),
            &[(Error, "rules", "no rule of a listener forwards to the function")],
        ),
        (
            |it| {
                it.file = None;
            },
            &[(NotChecked, "rules", "2 rules of listener HTTPS 443 forward to the function")],
        ),
        (|it| deploy(it, &[orders()]), &[(Error, "rules", "priority 120 of listener HTTPS 443 is missing")]),
        (
            |it| deploy(it, &[orders(), testers(), rule(5, json!({ "path-pattern": ["/all"] }), GROUP)]),
            &[(
                Warning,
                "rules",
                "priority 5 of listener HTTPS 443 forwards path is /all to the function, and is not in",
            )],
        ),
        (
            |it| deploy(it, &[orders(), rule(121, json!({ "x-crossfade": ["preview-*", "ON"] }), GROUP)]),
            &[(Warning, "rules", "has priority 120 in `rules.json`, and 121 on listener HTTPS 443")],
        ),
        (
            |it| deploy(it, &[orders(), rule(120, json!({ "x-crossfade": ["preview-*"] }), GROUP)]),
            &[(Error, "rules", "priority 120 of listener HTTPS 443: `rules.json` has")],
        ),
        (
            |it| deploy(it, &[orders(), rule(120, json!({ "x-crossfade": ["on", "preview-*"] }), OTHER)]),
            &[(Error, "rules", "priority 120 of listener HTTPS 443 is another rule")],
        ),
        (
            |it| {
                let mut weighted = testers();
                weighted["Actions"] = json!([{ "Type": "forward", "ForwardConfig": { "TargetGroups": [
                    { "TargetGroupArn": GROUP, "Weight": 10 }, { "TargetGroupArn": OTHER, "Weight": 90 }] } }]);
                deploy(it, &[orders(), weighted]);
            },
            &[(Error, "rules", "priority 120 of listener HTTPS 443: `rules.json` says forward to")],
        ),
        (
            |it| it.file.as_mut().unwrap().settings.listeners[0].name = "0123456789abcdef".into(),
            &[(Warning, "rules", "are for the listener `0123456789abcdef`")],
        ),
        (
            |it| {
                it.file.as_mut().unwrap().settings.listeners[0].default_action =
                    crossfade_emulator::Action::forward_to(0)
            },
            &[(Error, "rules", "the default action of listener HTTPS 443 does not forward")],
        ),
        // The same share in other numbers, and values in another order.
        (
            |it| {
                let mut weighted = rule(
                    110,
                    json!({ "http-request-method": ["HEAD", "GET"], "path-pattern": ["/api/orders/*"] }),
                    GROUP,
                );
                weighted["Actions"] = json!([{ "Type": "forward", "ForwardConfig": { "TargetGroups": [{ "TargetGroupArn": GROUP, "Weight": 100 }] } }]);
                deploy(it, &[weighted, testers()]);
            },
            &[],
        ),
        (
            |it| {
                let mut moved = testers();
                moved["Transforms"] = json!([{ "Type": "url-rewrite", "UrlRewriteConfig":
                    { "Rewrites": [{ "Regex": "^/a", "Replace": "/b" }] } }]);
                deploy(it, &[orders(), moved]);
            },
            &[(Error, "rules", "has no transform, and deployed is rewrite of the URL")],
        ),
        (
            |it| deploy(it, &[rule(7, json!({ "path-pattern": ["/api/*"] }), OTHER), orders(), testers()]),
            &[(
                Error,
                "rule order",
                "priority 110 of listener HTTPS 443 gets no request: path is /api/* with priority 7",
            )],
        ),
        // It takes only some of them.
        (|it| deploy(it, &[rule(7, json!({ "path-pattern": ["/api/orders/1*"] }), OTHER), orders(), testers()]), &[]),
        // Its requests come to the function as well.
        (
            |it| {
                let wide = rule(7, json!({ "path-pattern": ["/api/*"] }), GROUP);
                it.file = Some(rules(&[wide.clone(), orders(), testers()]));
                deploy(it, &[wide, orders(), testers()]);
            },
            &[],
        ),
        (
            |it| {
                let broken =
                    Listener { settings: Err(Unknown("cannot read the deployed rules: x".into())), ..listener(&[]) };
                it.deployed.listeners = Ok(vec![broken]);
            },
            &[
                (NotChecked, "rules", "cannot read the deployed rules"),
                (NotChecked, "rule order", "cannot read the deployed rules"),
            ],
        ),
        // Operation.
        (|it| of(it).is_json_log = true, &[]),
        (
            |it| {
                of(it).is_json_log = true;
                of(it).application_level = Some("WARN".into());
                of(it).system_level = Some("WARN".into());
            },
            &[(Error, "log format", "drops lines of the function below WARN")],
        ),
        (|it| it.deployed.log_group = Ok(None), &[(Warning, "log group", "there is no log group")]),
        (
            |it| it.deployed.log_group = Ok(Some(LogGroup { retention_days: None })),
            &[(Warning, "log group", "keeps lines for ever")],
        ),
        (|it| it.deployed.alarms = Ok(Vec::new()), &[(Warning, "alarms", "no alarm")]),
        (
            |it| it.deployed.alarms = Ok(vec![Alarm { are_actions_enabled: false, ..alarm() }]),
            &[(Warning, "alarms", "is not armed")],
        ),
        (
            |it| it.deployed.alarms = Ok(vec![Alarm { is_own: false, state: "ALARM".into(), ..alarm() }]),
            &[(Warning, "alarms", "no alarm")],
        ),
        // A rule of EventBridge acts on those that abort a migration, whatever their names.
        (
            |it| {
                aborted_by(it, "modern-errors");
                let named = Alarm { name: "modern-errors".into(), is_own: false, has_actions: false, ..alarm() };
                it.deployed.alarms = Ok(vec![named]);
            },
            &[],
        ),
        (
            |it| {
                aborted_by(it, &alarm().arn);
                let in_alarm = Alarm { is_own: false, has_actions: false, state: "ALARM".into(), ..alarm() };
                it.deployed.alarms = Ok(vec![in_alarm]);
            },
            &[(Error, "alarms", "`shop-errors` is in ALARM")],
        ),
        (
            |it| it.deployed.alarms = Ok(vec![Alarm { has_actions: false, ..alarm() }]),
            &[(Warning, "alarms", "has no action")],
        ),
        (
            |it| it.deployed.alarms = Ok(vec![alarm(), Alarm { state: "ALARM".into(), ..alarm() }]),
            &[(Error, "alarms", "`shop-errors` is in ALARM: no datapoint")],
        ),
        (
            |it| it.deployed.alarms = Ok(vec![Alarm { state: "INSUFFICIENT_DATA".into(), ..alarm() }]),
            &[(Warning, "alarms", "not enough data")],
        ),
        (|it| of(it).is_traced = true, &[]),
        (
            |it| {
                let text = format!("{CONFIGURATION}migration: {{ from: legacy, to: modern, steps: [50%, 100%] }}\n");
                it.configuration = Ok(configuration(&text));
            },
            &[(Warning, "live state", "no `CROSSFADE_LIVE`")],
        ),
        (|it| live(it, "s3://a/b", Ok(None)), &[]),
        (
            |it| live(it, "appconfig:shop/prod/live", Ok(None)),
            &[(Error, "live state", "lacks the layer with AppConfig's extension")],
        ),
        (
            |it| live(it, "s3://a/b", Err(LiveError::Broken("the live state is invalid".into()))),
            &[(Error, "live state", "s3://a/b: the live state is invalid")],
        ),
        (
            |it| live(it, "s3://a/b", Err(LiveError::NotAllowed("may not".into()))),
            &[(NotChecked, "live state", "may not")],
        ),
        (
            |it| {
                let text = "{\"format\":1,\"version\":7,\"at\":\"2026-11-29T00:00:00Z\",\"by\":\"anna\",\"change\":\"x\",\"routes\":{\"gone\":{\"version\":7,\"enabled\":false}}}";
                live(it, "s3://a/b", Ok(Some(Overlay::parse(text, "s3://a/b").unwrap())));
            },
            &[(Warning, "live state", "version 7 does not fit the configuration")],
        ),
    ];
    for (number, (damage, expected)) in cases.iter().enumerate() {
        let mut facts = healthy();
        damage(&mut facts);
        let found = notable(&facts);
        let seen: Vec<_> = found.iter().map(|it| (it.verdict, it.check, it.found.as_str())).collect();
        let is_expected = seen.len() == expected.len()
            && seen
                .iter()
                .zip(*expected)
                .all(|(own, (verdict, check, part))| own.0 == *verdict && own.1 == *check && own.2.contains(part));
        assert!(is_expected, "case {number}: {expected:?}\n{seen:#?}");
        assert!(found.iter().all(|it| it.hint.is_some() || it.verdict == Verdict::NotChecked), "{found:#?}");
    }
}

/// A migration that an alarm aborts.
fn aborted_by(facts: &mut Facts, alarm: &str) {
    let migration = format!("{{ from: legacy, to: modern, steps: [50%, 100%], alarms: [\"{alarm}\"] }}");
    live(facts, "s3://a/b", Ok(None));
    facts.configuration = Ok(configuration(&format!("{CONFIGURATION}migration: {migration}\n")));
}

fn live(facts: &mut Facts, place: &str, overlay: Result<Option<Overlay>, LiveError>) {
    set(facts, "CROSSFADE_LIVE", place);
    facts.deployed.live = Ok(Some(Live { place: place.to_owned(), overlay }));
}

#[test]
fn the_function_of_a_file_is_found_by_the_name_that_a_tool_gives_it() {
    let file = |names: &[&str]| {
        let mut file = rules(&[orders()]);
        let function = file.settings.functions[0].clone();
        let group = file.settings.target_groups[0].clone();
        file.settings.functions.clear();
        file.settings.target_groups.clear();
        file.names.clear();
        for (index, name) in names.iter().enumerate() {
            file.settings.functions.push(crossfade_emulator::Function { name: (*name).to_owned(), ..function.clone() });
            file.settings
                .target_groups
                .push(crossfade_emulator::TargetGroup { function: Some(index), ..group.clone() });
            file.names.push(vec![(*name).to_owned()]);
        }
        file
    };
    for (names, deployed, expected) in [
        (&["shop"][..], "shop", Some(0)),
        (&["anything"], "shop", Some(0)),
        (&["a", "shop"], "shop", Some(1)),
        (&["ProxyFunction", "Other"], "stack-ProxyFunction-AB12CD", Some(0)),
        (&["proxy", "other"], "crossfade-dev-proxy", Some(0)),
        (&["a", "b"], "shop", None),
        (&["dev", "proxy"], "crossfade-dev-proxy", None),
    ] {
        assert_eq!(file(names).function(deployed).ok(), expected, "{names:?} {deployed}");
    }
}

#[test]
fn the_json_has_every_finding() {
    let mut facts = healthy();
    facts.deployed.reserved = Ok(None);
    let findings = examine(&facts);
    let document: Value = serde_json::from_str(&print::json(&facts, &findings)).unwrap();
    assert_eq!(document["findings"].as_array().unwrap().len(), findings.len());
    assert_eq!(
        (&document["errors"], &document["warnings"], &document["notChecked"]),
        (&json!(0), &json!(1), &json!(1))
    );
    let finding = document["findings"].as_array().unwrap().iter().find(|it| it["check"] == "concurrency").unwrap();
    assert_eq!(finding["verdict"], "warning");
    assert!(
        finding["hint"].as_str().unwrap().starts_with("`aws lambda put-function-concurrency --function-name shop ")
    );
}

#[test]
fn the_package_is_compared_by_its_hash_and_its_processor() {
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let program = crossfade_package::Program::read(&own).unwrap();
    let (here, there) = match program.architecture {
        crossfade_package::Architecture::X86_64 => ("x86_64", "arm64"),
        crossfade_package::Architecture::Arm64 => ("arm64", "x86_64"),
    };
    let mut facts = healthy();
    facts.zip.as_mut().unwrap().program = Ok(program);
    let mut verdicts = |architecture: &str, sha: &str| {
        of(&mut facts).architecture = architecture.to_owned();
        of(&mut facts).code_sha256 = sha.to_owned();
        let findings = examine(&facts).into_iter();
        findings.filter(|it| it.check == "package").map(|it| it.verdict).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(here, "abc="), [Verdict::Ok]);
    assert_eq!(verdicts(here, "def="), [Verdict::Error]);
    assert_eq!(verdicts(there, "def="), [Verdict::Error, Verdict::Error]);
    facts.configuration.as_mut().unwrap().is_packaged = Some(false);
    assert!(notable(&facts).iter().any(|it| it.check == "configuration" && it.verdict == Verdict::Error));
}

/// The function's variables, as its source names them.
#[test]
fn every_variable_of_the_function_is_known() {
    let is_name = |text: &&str| {
        text.starts_with("CROSSFADE_") && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    let sources = [include_str!("../../../function/src/settings.rs"), include_str!("../../../live/src/live.rs")];
    let mut named: Vec<&str> = sources.iter().flat_map(|source| source.split('"')).filter(is_name).collect();
    named.sort_unstable();
    named.dedup();
    assert_eq!(named, super::checks::function::VARIABLES);
}
