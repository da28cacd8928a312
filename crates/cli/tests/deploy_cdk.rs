//! `deploy/cdk/`: both constructs synthesise the same templates; the rules and the target group; and for each feature, the permissions of
//! the function and of people. The programs in `deploy/cdk/test` also check that the constructs reject what AWS would.

use std::fs;
use std::path::Path;
use std::process::Command;

use crossfade_emulator::source;
use crossfade_testkit::tools::make;
use serde_json::{Value, json};

use crate::deploy_templates::NETWORK;
use crate::support::LISTENER;
use crate::support::cdk::{EXAMPLE, FOLDER, python, typescript};
use crate::support::lint::lint_tool;

/// Intrinsic functions as a text: `<Bucket.Arn>/key`, with the account and region as `HERE` and without hashes in names.
fn shown(value: &Value) -> String {
    let list = |value: &Value| value.as_array().unwrap().iter().map(shown).collect::<Vec<_>>();
    // `CrossfadeLiveBucket1A2B3C4D`
    let id = |id: &str| id.trim_start_matches("Crossfade").get(..id.len() - 17).unwrap_or(id).to_owned();
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    let (name, argument) = value.as_object().unwrap().iter().next().unwrap();
    match name.as_str() {
        "Ref" if shown(argument).starts_with("AWS::") => format!("<{}>", shown(argument)),
        "Ref" => format!("<{}>", id(argument.as_str().unwrap())),
        "Fn::GetAtt" => format!("<{}.{}>", id(argument[0].as_str().unwrap()), shown(&argument[1])),
        "Fn::Join" => list(&argument[1]).join(argument[0].as_str().unwrap()),
        _ => panic!("{value}"),
    }
    .replace("<AWS::Region>:<AWS::AccountId>", "HERE")
}

fn resources(stack: &str) -> &'static serde_json::Map<String, Value> {
    typescript()[stack]["Resources"].as_object().unwrap()
}

/// Properties of all resources of a type.
fn of_type(stack: &str, kind: &str) -> Vec<&'static Value> {
    resources(stack).values().filter(|it| it["Type"] == kind).map(|it| &it["Properties"]).collect()
}

/// The only resource whose ID in the construct is this one.
fn at(stack: &str, id: &str) -> &'static Value {
    let found: Vec<_> = resources(stack)
        .iter()
        .filter(|(name, _)| {
            name.strip_prefix("Crossfade").is_some_and(|it| it.len() == id.len() + 8 && it.starts_with(id))
        })
        .collect();
    assert_eq!(found.len(), 1, "{stack} {id}: {:?}", resources(stack).keys());
    found[0].1
}

/// One line for each action and resource.
fn permissions(document: &Value) -> Vec<String> {
    let one_or_more = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let mut lines = Vec::new();
    for statement in document["Statement"].as_array().unwrap() {
        assert_eq!(statement["Effect"], "Allow");
        let condition = statement.get("Condition").map(|it| format!(" if {it}")).unwrap_or_default();
        for action in one_or_more(&statement["Action"]) {
            for resource in one_or_more(&statement["Resource"]) {
                lines.push(format!("{} {}{condition}", action.as_str().unwrap(), shown(&resource)));
            }
        }
    }
    lines.sort();
    lines
}

/// The permissions of the function beyond those for its own log.
fn of_the_function(stack: &str) -> Vec<String> {
    let mut lines = permissions(&at(stack, "RoleDefaultPolicy")["Properties"]["PolicyDocument"]);
    let log = ["logs:CreateLogStream <LogGroup.Arn>", "logs:PutLogEvents <LogGroup.Arn>"];
    for line in log {
        assert!(lines.iter().any(|it| it == line), "{stack}: {lines:?}");
    }
    lines.retain(|line| !log.contains(&&**line));
    lines
}

/// Both constructs, feature by feature.
pub(crate) fn typescript_and_python_give_the_same_templates() {
    let names = |templates: &crate::support::cdk::Templates| templates.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(typescript()), names(python()));
    assert!(typescript().len() > 8, "{:?}", names(typescript()));
    for (name, template) in typescript() {
        assert_eq!(template, &python()[name], "{name}");
    }
}

/// `tsx` does not look at types.
pub(crate) fn the_types_are_right() {
    let compiler = Path::new(FOLDER).join("node_modules/typescript/bin/tsc");
    make(Command::new("node").arg(compiler).args(["--noEmit", "--project"]).arg(FOLDER)).unwrap();
}

/// The CDK adds dependencies that references imply.
pub(crate) fn cfn_lint_accepts_all_templates() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = lint_tool("cfn-lint");
    command.args(["--regions", "eu-west-1", "--ignore-checks", "W3005", "--template"]);
    for (name, template) in typescript() {
        let file = folder.path().join(format!("{name}.json"));
        fs::write(&file, template.to_string()).unwrap();
        command.arg(file);
    }
    make(&mut command).unwrap_or_else(|error| panic!("{error}"));
}

pub(crate) fn users_of_both_get_the_library_that_is_tested() {
    let read = |path: &str| fs::read_to_string(Path::new(FOLDER).join(path)).unwrap();
    let tested = include_str!("cdk/requirements.txt");
    for line in read("python/requirements.txt").lines() {
        assert!(tested.lines().any(|it| it == line), "{line}");
        let (name, version) = line.split_once("==").unwrap();
        let package: Value = serde_json::from_str(&read("package.json")).unwrap();
        assert_eq!(package["dependencies"][name], version, "{name}");
    }
}

pub(crate) fn the_rules_the_target_group_and_the_function() {
    let group = &at(EXAMPLE, "TargetGroup")["Properties"];
    let here = json!({ "Fn::GetAtt": [group["Targets"][0]["Id"]["Fn::GetAtt"][0], "Arn"] });
    let function = resources(EXAMPLE)[here["Fn::GetAtt"][0].as_str().unwrap()].clone();
    let function = &function["Properties"];
    assert_eq!(
        group["TargetGroupAttributes"],
        json!([{ "Key": "lambda.multi_value_headers.enabled", "Value": "true" }])
    );
    for (name, expected) in [
        ("Name", json!("crossfade")),
        ("TargetType", json!("lambda")),
        ("HealthCheckEnabled", json!(true)),
        ("HealthCheckPath", json!("/")),
        ("HealthCheckIntervalSeconds", json!(30)),
        ("HealthCheckTimeoutSeconds", json!(10)),
        ("HealthyThresholdCount", json!(2)),
        ("UnhealthyThresholdCount", json!(2)),
        ("Matcher", json!({ "HttpCode": "200" })),
    ] {
        assert_eq!(group[name], expected, "{name}");
    }
    for (name, expected) in [
        ("Runtime", json!("provided.al2023")),
        ("Handler", json!("bootstrap")),
        ("Architectures", json!(["x86_64"])),
        ("MemorySize", json!(128)),
        ("Timeout", json!(30)),
        ("ReservedConcurrentExecutions", json!(50)),
        ("TracingConfig", json!({ "Mode": "PassThrough" })),
        ("Environment", json!({ "Variables": { "CROSSFADE_BACKEND": "https://legacy.example.com" } })),
        ("VpcConfig", Value::Null),
    ] {
        assert_eq!(function[name], expected, "{name}");
    }
    assert_eq!(at(EXAMPLE, "LogGroup")["Properties"]["RetentionInDays"], 14);
    // The stack is where the listener is.
    assert_eq!(function["Code"]["S3Bucket"], "cdk-hnb659fds-assets-123456789012-eu-west-1");
    let permission = &at(EXAMPLE, "Permission")["Properties"];
    assert_eq!(permission["Principal"], "elasticloadbalancing.amazonaws.com");
    let source = shown(&permission["SourceArn"]);
    assert_eq!(source, "arn:<AWS::Partition>:elasticloadbalancing:HERE:targetgroup/crossfade/*");
    assert_eq!(of_the_function(EXAMPLE), [""; 0]);
    let known = [
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Lambda::Function",
        "AWS::Lambda::Permission",
        "AWS::Logs::LogGroup",
    ];
    for (id, resource) in resources(EXAMPLE) {
        assert!(known.contains(&resource["Type"].as_str().unwrap()), "{id}: {}", resource["Type"]);
    }
}

pub(crate) fn the_local_load_balancer_reads_the_template() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("template.json");
    fs::write(&file, typescript()[EXAMPLE].to_string()).unwrap();
    let loaded = source::cloudformation(&file, &source::Options::default());
    let loaded = loaded.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.warnings, [""; 0]);
    let text = source::table(&loaded.settings);
    assert!(
        text.contains("  140      host is shop.example.com and ip is in 192.0.2.0/24 or 2001:db8::/32\n"),
        "{text}"
    );
    assert!(text.contains("multi-value headers, health check / every 30 s, at most 10 s"), "{text}");
    for rule in of_type(EXAMPLE, "AWS::ElasticLoadBalancingV2::ListenerRule") {
        assert_eq!(rule["ListenerArn"], LISTENER);
    }
}

const IN_S3: [&str; 2] = [
    "s3:GetObject <LiveBucket.Arn>/live.json",
    "s3:ListBucket <LiveBucket.Arn> if {\"StringEquals\":{\"s3:prefix\":\"live.json\"}}",
];
const PUT_OBJECT: &str = "s3:PutObject <LiveBucket.Arn>/live.json";
const FILTER: &str = "logs:FilterLogEvents <LogGroup.Arn>";

/// A parameter of the stack `ssm-all`.
fn parameter(action: &str, claim: &str) -> String {
    format!("ssm:{action} arn:<AWS::Partition>:ssm:HERE:parameter/ssm-all/live{claim}")
}

pub(crate) fn the_function_may_do_what_its_features_need_and_nothing_else() {
    let ssm_all = [
        FILTER.to_owned(),
        parameter("DeleteParameter", ".claim-*"),
        parameter("GetParameter", ""),
        parameter("GetParameter", ".claim-*"),
        parameter("PutParameter", ""),
        parameter("PutParameter", ".claim-*"),
    ];
    let in_appconfig = "arn:<AWS::Partition>:appconfig:HERE:application/<LiveApplication>/environment/<LiveEnvironment>/configuration/<LiveProfile>";
    let owned = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
    for (stack, expected) in [
        ("s3", owned(&IN_S3)),
        ("s3-alarm", owned(&[IN_S3[0], IN_S3[1], PUT_OBJECT])),
        ("s3-all", owned(&[FILTER, IN_S3[0], IN_S3[1], PUT_OBJECT])),
        ("ssm", vec![parameter("GetParameter", "").replace("ssm-all", "ssm")]),
        ("ssm-all", ssm_all.to_vec()),
        (
            "appconfig",
            ["GetLatestConfiguration", "StartConfigurationSession"]
                .map(|action| format!("appconfig:{action} {in_appconfig}"))
                .to_vec(),
        ),
        (
            "spill",
            ["AbortMultipartUpload", "GetObject", "PutObject"]
                .map(|action| format!("s3:{action} <SpillBucket.Arn>/responses/*"))
                .to_vec(),
        ),
        ("monitoring", vec![]),
        ("tracing", owned(&["xray:PutTelemetryRecords *", "xray:PutTraceSegments *"])),
        ("vpc", NETWORK.map(|action| format!("{action} *")).to_vec()),
    ] {
        assert_eq!(of_the_function(stack), expected, "{stack}");
        let roles = of_type(stack, "AWS::IAM::Role");
        let managed = roles.iter().filter(|role| !role["ManagedPolicyArns"].is_null());
        assert_eq!(managed.count(), 0, "{stack}");
        // Lambda checks some of them when it creates the function.
        let after = at(stack, "Function")["DependsOn"].to_string();
        assert!(after.contains("RoleDefaultPolicy"), "{stack}: {after}");
    }
    let features = typescript().keys().filter(|name| *name != EXAMPLE).count();
    assert_eq!(features, 10, "a feature is not tested: {:?}", typescript().keys());
}

pub(crate) fn the_function_is_told_its_place() {
    for (stack, place) in [
        ("s3", "s3://<LiveBucket>/live.json"),
        ("ssm", "ssm:/ssm/live"),
        ("appconfig", "appconfig:<LiveApplication>/<LiveEnvironment>/<LiveProfile>"),
    ] {
        let function = of_type(stack, "AWS::Lambda::Function")[0];
        let found = shown(&function["Environment"]["Variables"]["CROSSFADE_LIVE"]);
        assert_eq!(found, place);
        crossfade_function::Source::parse(&found.replace(['<', '>'], "")).unwrap();
        assert_eq!(function["Layers"].is_array(), stack == "appconfig", "{stack}");
    }
    let variables = &of_type("spill", "AWS::Lambda::Function")[0]["Environment"]["Variables"];
    assert_eq!(shown(&variables["SPILL_BUCKET"]), "<SpillBucket>");
}

pub(crate) fn buckets_are_private_encrypted_and_outlive_the_stack() {
    for (stack, id) in [("s3", "LiveBucket"), ("spill", "SpillBucket")] {
        let bucket = at(stack, id);
        let policy = at(stack, &format!("{id}Policy"));
        for kept in [bucket, policy] {
            assert_eq!(
                (&kept["DeletionPolicy"], &kept["UpdateReplacePolicy"]),
                (&json!("Retain"), &json!("Retain")),
                "{id}"
            );
        }
        let properties = &bucket["Properties"];
        let block = json!({ "BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true });
        assert_eq!(properties["PublicAccessBlockConfiguration"], block, "{id}");
        assert_eq!(
            properties["OwnershipControls"],
            json!({ "Rules": [{ "ObjectOwnership": "BucketOwnerEnforced" }] }),
            "{id}"
        );
        let encryption = &properties["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
        assert_eq!(encryption["ServerSideEncryptionByDefault"], json!({ "SSEAlgorithm": "AES256" }), "{id}");
        let statements = &policy["Properties"]["PolicyDocument"]["Statement"];
        assert_eq!(statements.as_array().map(Vec::len), Some(1), "{id}");
        assert_eq!(statements[0]["Effect"], "Deny", "{id}");
        assert_eq!(statements[0]["Condition"], json!({ "Bool": { "aws:SecureTransport": "false" } }), "{id}");
        let rule = &properties["LifecycleConfiguration"]["Rules"][0];
        if id == "LiveBucket" {
            assert_eq!(properties["VersioningConfiguration"], json!({ "Status": "Enabled" }));
            assert_eq!(
                rule["NoncurrentVersionExpiration"],
                json!({ "NoncurrentDays": 90, "NewerNoncurrentVersions": 100 })
            );
        } else {
            assert_eq!((&properties["VersioningConfiguration"], &rule["ExpirationInDays"]), (&Value::Null, &json!(1)));
        }
    }
}

pub(crate) fn the_alarm_the_schedule_and_the_policies_for_people() {
    let rule = &at("s3-all", "StopRule")["Properties"];
    assert_eq!(shown(&rule["EventPattern"]["resources"][0]), "<LiveAlarm.Arn>");
    assert_eq!(rule["EventPattern"]["detail"], json!({ "state": { "value": ["ALARM"] } }));
    let permission = &at("s3-all", "StopPermission")["Properties"];
    assert_eq!(shown(&permission["SourceArn"]), "<StopRule.Arn>");
    let alarm = &at("s3-all", "LiveAlarm")["Properties"];
    assert_eq!(
        (&alarm["AlarmName"], &alarm["TreatMissingData"]),
        (&json!("s3-all-modern-errors"), &json!("notBreaching"))
    );
    // Filters of the alarm are those of the file that `deploy_live.rs` tests.
    let model = fs::read_to_string(Path::new(crate::deploy_serverless::FOLDER).join("live/alarm.yml")).unwrap();
    let filters = of_type("s3-all", "AWS::Logs::MetricFilter");
    assert_eq!(filters.len(), 2);
    for filter in filters {
        let pattern = filter["FilterPattern"].as_str().unwrap();
        assert!(model.contains(&format!("FilterPattern: '{pattern}'")), "{pattern}");
    }
    let schedule = &at("s3-all", "Advance")["Properties"]["Target"];
    assert_eq!(
        (&schedule["Input"], &schedule["RetryPolicy"]),
        (&json!("{\"crossfade\":\"advance\"}"), &json!({ "MaximumRetryAttempts": 0 }))
    );
    let role = permissions(&at("s3-all", "AdvanceRoleDefaultPolicy")["Properties"]["PolicyDocument"]);
    assert_eq!(role, ["lambda:InvokeFunction <Function.Arn>"]);

    let of = |stack: &str, id: &str| permissions(&at(stack, id)["Properties"]["PolicyDocument"]);
    assert_eq!(of("s3-all", "LiveAborter"), [PUT_OBJECT]);
    assert_eq!(of("s3-all", "LiveEvidenceReader"), [FILTER]);
    assert_eq!(of("ssm-all", "LiveAborter"), [parameter("PutParameter", "")]);
    let (operator, aborter) = (of("appconfig", "LiveOperator"), of("appconfig", "LiveAborter"));
    assert!(aborter.iter().all(|line| operator.contains(line) && !line.contains(":Get")), "{aborter:?}");
    for line in of("s3-all", "LiveOperator") {
        assert!(line.contains(" <LiveBucket.Arn>"), "{line}");
    }
}
