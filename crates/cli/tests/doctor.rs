//! `crossfade doctor` on deployments in moto, which are what `deploy/serverless` describes: without a defect, with each one, with all,
//! and with missing permissions. Each deployment has a region of its own. The checks themselves have more cases in
//! `crates/cli/src/doctor/tests.rs`.
//!
//! `BLESS=1` writes the golden files.

mod front;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use aws_config::{Region, SdkConfig};
use aws_sdk_elasticloadbalancingv2 as elb;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, FixedResponseActionConfig, HostHeaderConditionConfig, HttpHeaderConditionConfig,
    HttpRequestMethodConditionConfig, Matcher, PathPatternConditionConfig, ProtocolEnum, QueryStringConditionConfig,
    QueryStringKeyValuePair, RuleCondition, SourceIpConditionConfig, TargetDescription, TargetGroupAttribute,
    TargetTypeEnum,
};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Environment, FunctionCode, Runtime};
use aws_sdk_s3::config::Credentials;
use crossfade::aws;
use crossfade_testkit::client;
use crossfade_testkit::folder::Folder;
use crossfade_testkit::moto::Moto;
use crossfade_testkit::server::{closed_port, response, serve};
use serde_json::{Value, json};

use front::front;

/// As `osls` names it.
const FUNCTION: &str = "crossfade-dev-proxy";
const SECRET: &str = "wJalrXUtnFEMI-secret";
const BACKEND: &str = "https://inner.example.com";

/// The first for the deployment without a defect, and one for each group of defects.
const REGIONS: [&str; 7] =
    ["eu-west-1", "us-east-1", "us-east-2", "us-west-2", "eu-west-2", "eu-central-1", "ap-south-1"];

/// A deployed function with everything around it.
struct Deployment {
    /// moto, and before it the front that the command asks.
    url: String,
    front: String,
    /// The alarms that the front has.
    alarms: Arc<Mutex<Value>>,
    region: &'static str,
    lambda: aws_sdk_lambda::Client,
    balancer: elb::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    group: String,
    listener: String,
    /// The ARNs of rules, by priority.
    rules: Vec<(i32, String)>,
}

async fn config(url: &str, region: &'static str) -> SdkConfig {
    let credentials = Credentials::new("AKIDEXAMPLE", SECRET, None, None, "test");
    let loader = aws::loader().endpoint_url(url).region(Region::new(region));
    loader.credentials_provider(credentials).load().await
}

/// A request of a service for which the command needs no SDK.
fn query(url: &str, service: &str, region: &str, body: &str) -> String {
    let host = client::host(url);
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {host}\r\nauthorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261129/{region}/{service}\
         /aws4_request, SignedHeaders=host, Signature=0\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: \
         {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    client::send(host, request).text().to_owned()
}

/// The role of all functions.
fn create_role(url: &str) {
    let body = "Action=CreateRole&Version=2010-05-08&RoleName=proxy&AssumeRolePolicyDocument=%7B%7D";
    let said = query(url, "iam", "us-east-1", body);
    assert!(said.contains("<RoleName>proxy</RoleName>"), "{said}");
}

fn paths(values: &[&str]) -> RuleCondition {
    let values = Some(values.iter().map(|it| (*it).to_owned()).collect());
    let config = PathPatternConditionConfig::builder().set_values(values).build();
    RuleCondition::builder().field("path-pattern").path_pattern_config(config).build()
}

fn methods(values: &[&str]) -> RuleCondition {
    let values = Some(values.iter().map(|it| (*it).to_owned()).collect());
    let config = HttpRequestMethodConditionConfig::builder().set_values(values).build();
    RuleCondition::builder().field("http-request-method").http_request_method_config(config).build()
}

/// An alarm as it should be.
fn alarm(name: &str) -> Value {
    json!({
        "AlarmName": name,
        "ActionsEnabled": true,
        "AlarmActions": ["arn:aws:sns:eu-west-1:123456789012:people"],
        "StateValue": "OK",
        "StateReason": "no error",
        "Namespace": "AWS/Lambda",
        "MetricName": "Errors",
        "Dimensions": [{ "Name": "FunctionName", "Value": FUNCTION }],
    })
}

/// The same with other members.
fn alarm_with(name: &str, members: Value) -> Value {
    let mut alarm = alarm(name);
    let (Value::Object(all), Value::Object(members)) = (&mut alarm, members) else { panic!("members are an object") };
    all.extend(members);
    alarm
}

/// Those of `deploy/serverless/serverless.yml`, with values in another order.
fn conditions(priority: i32) -> Vec<RuleCondition> {
    match priority {
        110 => vec![methods(&["HEAD", "GET"]), paths(&["/api/orders/*"])],
        120 => {
            let config = HttpHeaderConditionConfig::builder().http_header_name("X-Crossfade");
            let config = config.values("preview-*").values("on").build();
            vec![RuleCondition::builder().field("http-header").http_header_config(config).build()]
        }
        130 => {
            let pair = QueryStringKeyValuePair::builder().key("crossfade").value("on").build();
            let config = QueryStringConditionConfig::builder().values(pair).build();
            vec![RuleCondition::builder().field("query-string").query_string_config(config).build()]
        }
        _ => {
            let host = HostHeaderConditionConfig::builder().values("shop.example.com").build();
            let ip = SourceIpConditionConfig::builder().values("2001:db8::/32").values("192.0.2.0/24").build();
            vec![
                RuleCondition::builder().field("host-header").host_header_config(host).build(),
                RuleCondition::builder().field("source-ip").source_ip_config(ip).build(),
            ]
        }
    }
}

fn not_found() -> Action {
    let fixed = FixedResponseActionConfig::builder().status_code("404").build();
    Action::builder().r#type(ActionTypeEnum::FixedResponse).fixed_response_config(fixed).build()
}

impl Deployment {
    async fn new(url: &str, region: &'static str) -> Deployment {
        let config = config(url, region).await;
        let lambda = aws_sdk_lambda::Client::new(&config);
        let balancer = elb::Client::new(&config);
        // The least zip file: its end.
        let code = [b"PK\x05\x06".as_slice(), &[0; 18]].concat();
        let function = lambda
            .create_function()
            .function_name(FUNCTION)
            .runtime(Runtime::Providedal2023)
            .role("arn:aws:iam::123456789012:role/proxy")
            .handler("bootstrap")
            .code(FunctionCode::builder().zip_file(Blob::new(code)).build())
            .timeout(30)
            .memory_size(128)
            .environment(Environment::builder().variables("CROSSFADE_BACKEND", BACKEND).build())
            .tags("aws:cloudformation:stack-name", "crossfade-dev");
        let function = function.send().await.unwrap().function_arn.unwrap();
        let group = balancer
            .create_target_group()
            .name("proxy")
            .target_type(TargetTypeEnum::Lambda)
            .health_check_enabled(true)
            .health_check_path("/")
            .health_check_interval_seconds(30)
            .health_check_timeout_seconds(10)
            .healthy_threshold_count(2)
            .unhealthy_threshold_count(2)
            .matcher(Matcher::builder().http_code("200").build());
        let group = group.send().await.unwrap().target_groups()[0].target_group_arn.clone().unwrap();
        let zone = query(url, "ec2", region, "Action=DescribeSubnets&Version=2016-11-15");
        let subnets = zone.split("<subnetId>").skip(1).take(2).map(|it| it.split('<').next().unwrap().to_owned());
        let created = balancer.create_load_balancer().name("shop").set_subnets(Some(subnets.collect()));
        let created = created.send().await.unwrap().load_balancers()[0].load_balancer_arn.clone().unwrap();
        let listener = balancer.create_listener().load_balancer_arn(&created).protocol(ProtocolEnum::Http).port(80);
        let listener = listener.default_actions(not_found()).send().await.unwrap();
        let listener = listener.listeners()[0].listener_arn.clone().unwrap();
        let logs = aws_sdk_cloudwatchlogs::Client::new(&config);
        let alarms = Arc::new(Mutex::new(json!({ "MetricAlarms": [alarm("errors")] })));
        let seen = Arc::default();
        let front = front(url, |_| false, alarms.clone(), seen);
        let mut it = Deployment {
            url: url.to_owned(),
            front,
            alarms,
            region,
            lambda,
            balancer,
            logs,
            group,
            listener,
            rules: Vec::new(),
        };
        let target = TargetDescription::builder().id(function).build();
        it.multi_value_headers("true").await;
        it.allow("alb", Some(&it.group.clone())).await;
        it.balancer.register_targets().target_group_arn(&it.group).targets(target).send().await.unwrap();
        for priority in [110, 120, 130, 140] {
            let action = it.forward();
            let rule = it.rule(priority, conditions(priority), action).await;
            it.rules.push((priority, rule));
        }
        it.reserve(50).await;
        let log = format!("/aws/lambda/{FUNCTION}");
        it.logs.create_log_group().log_group_name(&log).send().await.unwrap();
        it.logs.put_retention_policy().log_group_name(&log).retention_in_days(14).send().await.unwrap();
        it
    }

    fn forward(&self) -> Action {
        Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(&self.group).build()
    }

    async fn rule(&self, priority: i32, conditions: Vec<RuleCondition>, action: Action) -> String {
        let rule = self.balancer.create_rule().listener_arn(&self.listener).priority(priority).actions(action);
        let rule = rule.set_conditions(Some(conditions)).send().await.unwrap();
        rule.rules()[0].rule_arn.clone().unwrap()
    }

    async fn delete_rule(&self, priority: i32) {
        let (_, arn) = self.rules.iter().find(|(other, _)| *other == priority).unwrap();
        self.balancer.delete_rule().rule_arn(arn).send().await.unwrap();
    }

    async fn multi_value_headers(&self, value: &str) {
        let attribute = TargetGroupAttribute::builder().key("lambda.multi_value_headers.enabled").value(value).build();
        let request = self.balancer.modify_target_group_attributes().target_group_arn(&self.group);
        request.attributes(attribute).send().await.unwrap();
    }

    async fn allow(&self, sid: &str, source: Option<&str>) {
        let request = self.lambda.add_permission().function_name(FUNCTION).statement_id(sid);
        let request = request.action("lambda:InvokeFunction").principal("elasticloadbalancing.amazonaws.com");
        request.set_source_arn(source.map(str::to_owned)).send().await.unwrap();
    }

    async fn forbid(&self, sid: &str) {
        self.lambda.remove_permission().function_name(FUNCTION).statement_id(sid).send().await.unwrap();
    }

    async fn reserve(&self, number: i32) {
        let request = self.lambda.put_function_concurrency().function_name(FUNCTION);
        request.reserved_concurrent_executions(number).send().await.unwrap();
    }

    async fn variables(&self, variables: &[(&str, &str)]) {
        let mut environment = Environment::builder();
        for (name, value) in variables {
            environment = environment.variables(*name, *value);
        }
        let request = self.lambda.update_function_configuration().function_name(FUNCTION);
        request.environment(environment.build()).send().await.unwrap();
    }

    /// Replaces the alarms.
    async fn watch(&self, alarms: Value) {
        *self.alarms.lock().unwrap() = alarms;
    }

    /// The command, in an empty folder and an empty environment.
    fn command(&self) -> Command {
        let mut command = command(&self.front, self.region);
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/serverless/serverless.yml");
        command.env("ALB_LISTENER_ARN", &self.listener).env("CROSSFADE_BACKEND", BACKEND);
        command.args(["--serverless", file]);
        command
    }

    /// The output with names for what is random.
    fn text(&self, output: &Output, code: i32) -> String {
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
        assert_eq!(stderr, "");
        assert!(!stdout.contains("inner.example") && !stdout.contains(SECRET), "{stdout}");
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
        let program = env!("CARGO_BIN_EXE_crossfade");
        stdout.replace(&self.group, "TARGET-GROUP-ARN").replace(folder, "").replace(program, "crossfade")
    }
}

fn command(url: &str, region: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.arg("doctor").current_dir(env!("CARGO_TARGET_TMPDIR")).env_clear();
    command.envs([("AWS_ENDPOINT_URL", url), ("AWS_REGION", region), ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")]);
    command.envs([("AWS_SECRET_ACCESS_KEY", SECRET), ("AWS_CONFIG_FILE", "/dev/null"), ("HOME", "/nonexistent")]);
    command.envs([("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"), ("AWS_EC2_METADATA_DISABLED", "true")]);
    command
}

/// Compares with a golden file, or writes it.
fn is_golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{name}");
}

type Damage = for<'d> fn(&'d Deployment) -> Pin<Box<dyn Future<Output = ()> + 'd>>;

/// A defect: its name, how it comes about, and the findings that it gives beside those of the healthy deployment.
struct Case(&'static str, Damage, &'static [(&'static str, &'static str, &'static str)]);

/// All of them. The first two parts of a finding are its verdict and its check.
static CASES: [Case; 20] = [
    Case(
        "no permission",
        |it| Box::pin(it.forbid("alb")),
        &[("error", "permission", "`proxy` may not invoke the function")],
    ),
    Case(
        "a permission for everybody",
        |it| Box::pin(it.allow("all", None)),
        &[("warning", "permission", "`all` of its policy lets load balancers of every account")],
    ),
    Case(
        "single-value headers",
        |it| Box::pin(it.multi_value_headers("false")),
        &[("error", "header mode", "single-value headers")],
    ),
    Case(
        "another path of the health check",
        |it| {
            Box::pin(async {
                let request = it.balancer.modify_target_group().target_group_arn(&it.group);
                request.health_check_path("/health").send().await.unwrap();
            })
        },
        &[(
            "warning",
            "health check",
            "and the target group `proxy` /health every 30 s, at most 10 s, 200 is healthy, up after 2, down",
        )],
    ),
    Case(
        "a short interval",
        |it| {
            Box::pin(async {
                let request = it.balancer.modify_target_group().target_group_arn(&it.group);
                request.health_check_interval_seconds(5).send().await.unwrap();
            })
        },
        &[("warning", "health check", "every 5 s"), ("warning", "health check", "has the health check / every 30 s")],
    ),
    Case(
        "Lambda's default timeout",
        |it| {
            Box::pin(async {
                let request = it.lambda.update_function_configuration().function_name(FUNCTION);
                request.timeout(3).send().await.unwrap();
            })
        },
        &[
            ("warning", "timeout", "504 after 2.75 s"),
            ("warning", "timeout", "has a timeout of 30 s, and the function 3 s"),
        ],
    ),
    Case(
        "other memory",
        |it| {
            Box::pin(async {
                let request = it.lambda.update_function_configuration().function_name(FUNCTION);
                request.memory_size(512).send().await.unwrap();
            })
        },
        &[("warning", "memory", "has memory of 128 MB, and the function 512 MB")],
    ),
    Case(
        "no reserved concurrency",
        |it| {
            Box::pin(async {
                it.lambda.delete_function_concurrency().function_name(FUNCTION).send().await.unwrap();
            })
        },
        &[
            ("warning", "concurrency", "uses up the account's limit"),
            ("warning", "concurrency", "has a reserved concurrency of 50, and the function none"),
        ],
    ),
    Case(
        "stopped by a reserved concurrency of 0",
        |it| Box::pin(it.reserve(0)),
        &[
            ("error", "concurrency", "rejects every request"),
            ("warning", "concurrency", "has a reserved concurrency of 50, and the function 0"),
        ],
    ),
    Case(
        "a missing rule",
        |it| Box::pin(it.delete_rule(130)),
        &[("error", "rules", "priority 130 of listener HTTP 80 is missing")],
    ),
    Case(
        "a rule at another priority",
        |it| {
            Box::pin(async {
                it.delete_rule(120).await;
                it.rule(125, conditions(120), it.forward()).await;
            })
        },
        &[("warning", "rules", "has priority 120 in")],
    ),
    Case(
        "another condition",
        |it| {
            Box::pin(async {
                it.delete_rule(110).await;
                it.rule(110, vec![paths(&["/api/orders/*"]), methods(&["GET"])], it.forward()).await;
            })
        },
        &[("error", "rules", "priority 110 of listener HTTP 80: ")],
    ),
    Case(
        "a priority that another rule has",
        |it| {
            Box::pin(async {
                it.delete_rule(110).await;
                it.rule(110, vec![paths(&["/old/*"])], not_found()).await;
            })
        },
        &[("error", "rules", "priority 110 of listener HTTP 80 is another rule, path is /old/* (fixed response 404)")],
    ),
    Case(
        "a rule that the file lacks",
        |it| {
            Box::pin(async {
                it.rule(8, vec![paths(&["/new/*"])], it.forward()).await;
            })
        },
        &[("warning", "rules", "priority 8 of listener HTTP 80 forwards path is /new/* to the function")],
    ),
    Case(
        "a rule above",
        |it| {
            Box::pin(async {
                it.rule(9, vec![paths(&["/api/*"])], not_found()).await;
            })
        },
        &[("error", "rule order", "priority 110 of listener HTTP 80 gets no request: path is /api/* with priority 9")],
    ),
    Case(
        "contradicting variables, a misspelt one, and a live state that is not there",
        |it| {
            Box::pin(async {
                it.variables(&[
                    ("CROSSFADE_BACKEND", BACKEND),
                    ("CROSSFADE_CONFIG", "other.yaml"),
                    ("CROSSFADE_ACESS_LOG", "5"),
                    ("CROSSFADE_LIVE", "s3://no-such-bucket/live.json"),
                ])
                .await;
            })
        },
        &[
            ("error", "environment", "both `CROSSFADE_BACKEND` and `CROSSFADE_CONFIG`"),
            ("warning", "environment", "ignores `CROSSFADE_ACESS_LOG`"),
            ("error", "live state", "s3://no-such-bucket/live.json: cannot read"),
        ],
    ),
    Case(
        "a log that grows for ever",
        |it| {
            Box::pin(async {
                let log = format!("/aws/lambda/{FUNCTION}");
                it.logs.delete_retention_policy().log_group_name(log).send().await.unwrap();
            })
        },
        &[("warning", "log group", "keeps lines for ever")],
    ),
    Case(
        "no alarm, but one of another function",
        |it| {
            let other = json!({ "Dimensions": [{ "Name": "FunctionName", "Value": "other" }] });
            Box::pin(it.watch(json!({ "MetricAlarms": [alarm_with("others", other)] })))
        },
        &[("warning", "alarms", "no alarm watches")],
    ),
    Case(
        "alarms that nobody hears",
        |it| {
            // `quiet` has its action in the composite alarm.
            let quiet = json!({ "AlarmActions": [], "Dimensions": [{ "Name": "TargetGroup",
                "Value": it.group.rsplit(':').next().unwrap() }] });
            let logged = json!({ "AlarmActions": [], "StateValue": "ALARM", "StateReason": "3 failed\nresponses",
                "ScheduledQueryConfiguration": { "LogGroupIdentifiers": [format!("/aws/lambda/{FUNCTION}")] } });
            Box::pin(it.watch(json!({
                "MetricAlarms": [alarm_with("errors", json!({ "ActionsEnabled": false })), alarm_with("quiet", quiet)],
                "CompositeAlarms": [alarm_with("both", json!({ "AlarmRule": "ALARM(\"quiet\") OR ALARM(other)" }))],
                "LogAlarms": [alarm_with("silent", logged)],
            })))
        },
        &[
            ("warning", "alarms", "`errors` is not armed"),
            ("warning", "alarms", "`silent` has no action"),
            ("error", "alarms", "`silent` is in ALARM: 3 failed responses"),
        ],
    ),
    Case(
        "an old runtime",
        |it| {
            Box::pin(async {
                let request = it.lambda.update_function_configuration().function_name(FUNCTION);
                request.runtime(Runtime::Providedal2).send().await.unwrap();
            })
        },
        &[("error", "runtime", "`provided.al2` cannot start the function")],
    ),
];

/// The findings that are neither ok nor the same in every deployment: moto does not know the account's limit, and there is no local
/// package.
fn notable(output: &Output) -> Vec<(String, String, String)> {
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let text = |finding: &Value, member: &str| finding[member].as_str().unwrap_or_default().to_owned();
    let all = document["findings"].as_array().unwrap().iter();
    let all = all.map(|it| (text(it, "verdict"), text(it, "check"), text(it, "found")));
    all.filter(|(verdict, check, _)| verdict != "ok" && check != "package").collect()
}

/// Defects of different checks go together: a deployment takes longer than a check.
fn groups() -> Vec<Vec<&'static Case>> {
    let checks = |case: &Case| case.2.iter().map(|(_, check, _)| *check).collect::<Vec<_>>();
    let mut groups: Vec<Vec<&Case>> = Vec::new();
    for case in &CASES {
        let is_apart = |other: &&Case| !checks(other).iter().any(|check| checks(case).contains(check));
        match groups.iter_mut().find(|group| group.iter().all(is_apart)) {
            Some(group) => group.push(case),
            None => groups.push(vec![case]),
        }
    }
    groups
}

pub(crate) async fn each_defect_is_found_and_nothing_else() {
    // Only the subnets of a region are needed.
    let moto = Moto::start(&[("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")]);
    create_role(&moto.url);
    let groups = groups();
    assert!(groups.len() < REGIONS.len());
    for (cases, region) in groups.into_iter().zip(&REGIONS[1..]) {
        let deployment = Deployment::new(&moto.url, region).await;
        for Case(_, damage, _) in &cases {
            damage(&deployment).await;
        }
        let output = deployment.command().args(["--function", FUNCTION, "--json"]).output().unwrap();
        let found = notable(&output);
        for Case(name, _, expected) in &cases {
            let is_of_case = |check: &str| expected.iter().any(|(_, expected, _)| check == *expected);
            let own: Vec<_> = found.iter().filter(|(_, check, _)| is_of_case(check)).collect();
            let is_expected = own.len() == expected.len()
                && own.iter().zip(*expected).all(
                    |((verdict, check, text), (expected_verdict, expected_check, part))| {
                        verdict == expected_verdict && check == expected_check && text.contains(part)
                    },
                );
            assert!(is_expected, "{name}: {expected:?}\n{own:#?}");
        }
        let expected: usize = cases.iter().map(|Case(.., expected)| expected.len()).sum();
        assert_eq!(found.len(), expected, "{found:#?}");
        let is_error = found.iter().any(|(verdict, ..)| verdict == "error");
        assert_eq!(output.status.code(), Some(i32::from(is_error)), "{found:#?}");
    }
    // One without a defect, by each way to name it.
    let healthy = Deployment::new(&moto.url, REGIONS[0]).await;
    let named = healthy.command().args(["--function", FUNCTION, "--deny-warnings"]).output().unwrap();
    let named = healthy.text(&named, 0);
    is_golden("doctor-healthy.txt", &named);
    for arguments in [["--stack", "crossfade-dev"], ["--listener", healthy.listener.as_str()]] {
        let output = healthy.command().args(arguments).output().unwrap();
        assert_eq!(healthy.text(&output, 0), named, "{arguments:?}");
    }
    let mut elsewhere = healthy.command();
    elsewhere.env("AWS_REGION", "eu-west-2").args(["--region", "eu-west-1", "--function", FUNCTION]);
    assert_eq!(healthy.text(&elsewhere.output().unwrap(), 0), named);
    for (arguments, expected) in [
        (
            ["--function", "shop"],
            "error: there is no function `shop` in eu-west-1\n  hint: check the name, and the region",
        ),
        (["--stack", "shop"], "error: the stack `shop` has no function with an OS-only runtime in eu-west-1\n"),
    ] {
        let output = healthy.command().args(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.starts_with(expected), "{told}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    }
    lacks_permissions(&healthy);
    // One with all defects that go together.
    for Case(name, damage, _) in &CASES {
        if ![
            "a missing rule",
            "a rule at another priority",
            "another condition",
            "no alarm, but one of another function",
            "a permission for everybody",
        ]
        .contains(name)
        {
            damage(&healthy).await;
        }
    }
    let output = healthy.command().args(["--function", FUNCTION]).output().unwrap();
    is_golden("doctor-worst.txt", &healthy.text(&output, 1));
}

/// The operations in the policy of docs/doctor.md, without those for `--stack` and the live state.
const OPERATIONS: [&str; 11] = [
    "DescribeAlarms",
    "DescribeListeners",
    "DescribeLogGroups",
    "DescribeRules",
    "DescribeTargetGroupAttributes",
    "DescribeTargetGroups",
    "DescribeTargetHealth",
    "GetAccountSettings",
    "GetFunctionConcurrency",
    "GetFunctionConfiguration",
    "GetPolicy",
];

/// A missing permission ends its checks alone.
fn lacks_permissions(deployment: &Deployment) {
    let run = |is_denied| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let url = front(&deployment.url, is_denied, deployment.alarms.clone(), seen.clone());
        let mut command = deployment.command();
        let output = command.env("AWS_ENDPOINT_URL", url).args(["--function", FUNCTION, "--json"]).output().unwrap();
        let mut seen = seen.lock().unwrap().clone();
        seen.sort();
        seen.dedup();
        (output, seen)
    };
    let (allowed, seen) = run(|_| false);
    assert_eq!((allowed.status.code(), notable(&allowed).len()), (Some(0), 0));
    assert_eq!(seen, OPERATIONS);
    let policy = include_str!("../../../docs/doctor.md");
    for operation in OPERATIONS {
        assert!(policy.contains(&format!(":{operation}\"")), "{operation}");
    }

    let (only_function, _) = run(|operation| operation != "GetFunctionConfiguration");
    let found = notable(&only_function);
    assert_eq!(only_function.status.code(), Some(0), "{found:?}");
    assert!(found.iter().all(|(verdict, ..)| verdict == "not checked"), "{found:#?}");
    let checks: Vec<&str> = found.iter().map(|(_, check, _)| check.as_str()).collect();
    let expected = [
        "concurrency",
        "rules",
        "rule order",
        "permission",
        "header mode",
        "health check",
        "health",
        "log group",
        "alarms",
    ];
    assert_eq!(checks, expected);
    let (_, _, reason) = &found[0];
    assert_eq!(
        reason,
        "cannot read the reserved concurrency: the credentials do not allow it; it needs `lambda:GetFunctionConcurrency` on the \
         function (AccessDeniedException: no)"
    );

    let (without_function, _) = run(|operation| operation == "GetFunctionConfiguration");
    let found = notable(&without_function);
    assert_eq!(without_function.status.code(), Some(0), "{found:?}");
    assert!(
        !found.iter().any(|(_, check, _)| ["rules", "permission", "health", "concurrency"].contains(&&**check)),
        "{found:#?}"
    );

    let (nothing, _) = run(|_| true);
    let told = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert_eq!((nothing.status.code(), nothing.stdout.len()), (Some(2), 0), "{told}");
    assert!(told.starts_with("error: nothing could be checked: cannot read the configuration of"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

/// Reasons why nothing is asked, or nothing answers.
pub(crate) async fn errors_are_one_line_that_says_what_to_do() {
    let invalid = serve(|_| {
        let fields = [("x-amzn-errortype", "UnrecognizedClientException")];
        response("403 Forbidden", &fields, b"{\"message\":\"The security token is invalid.\"}")
    });
    let nobody = format!("http://127.0.0.1:{}", closed_port());
    for (url, region, expected) in [
        (
            format!("http://{invalid}"),
            "eu-west-1",
            "error: cannot read the configuration of `shop`: the credentials are invalid: check `AWS_PROFILE`, or the keys in the \
             environment (UnrecognizedClientException: The security token is invalid.)\n",
        ),
        (
            nobody,
            "eu-west-1",
            "error: cannot read the configuration of `shop`: the service cannot be reached (Connection refused",
        ),
        (String::new(), "", "error: there is no AWS region: set `AWS_REGION`"),
    ] {
        let mut command = command(&url, region);
        if url.is_empty() {
            command.env_remove("AWS_ENDPOINT_URL").env_remove("AWS_REGION");
        }
        let output = command.args(["--function", "shop"]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{told}");
        assert!(told.starts_with(expected) && told.lines().count() == 1, "{told}");
        assert!(!told.contains(SECRET), "{told}");
    }
    // Local files are read first, and nothing is asked.
    let folder = Folder::new();
    folder.write("bootstrap.zip", "no archive");
    for (arguments, expected) in [
        (&["--function", "shop", "--config", "none.yaml"][..], "error: cannot read `none.yaml`: "),
        (&["--function", "shop", "--zip", "none.zip"], "error: cannot read `none.zip`: "),
        (&["--function", "shop", "--zip", "bootstrap.zip"], "error: `bootstrap.zip` is not a zip file for Lambda: "),
        (
            &["--function", "shop", "--stack", "shop"],
            "error: the argument '--function <NAME>' cannot be used with '--stack <NAME>'",
        ),
        (&[], "error: the following required arguments were not provided:"),
    ] {
        let output =
            command("http://127.0.0.1:1", "eu-west-1").current_dir(folder.path()).args(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{told}");
        assert!(told.starts_with(expected), "{told}");
    }
}
