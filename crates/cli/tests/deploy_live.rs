//! Live state in `deploy/serverless/`, packaged by the real tool: for each place, the permissions of the function and of people,
//! and the resources around them. Nothing is allowed that the place in use does not need.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crossfade_emulator::source;
use serde_json::{Value, json};

use crate::deploy_serverless::{FOLDER, LISTENER, packaged};

/// The tool takes seconds, so each stack is packaged once.
static STACKS: Mutex<BTreeMap<String, Value>> = Mutex::new(BTreeMap::new());

const ALL: &[&str] = &["alarm", "schedule", "people"];

/// The `Resources` of the stack with this place, and with these files of the folder `live`.
pub(crate) fn with(live: &str, files: &[&str]) -> Value {
    let mut stacks = STACKS.lock().unwrap_or_else(PoisonError::into_inner);
    let packaged = || packaged(&file(live, files)).unwrap_or_else(|error| panic!("{live} {files:?}: {error}"));
    stacks.entry(format!("{live} {files:?}")).or_insert_with(packaged).clone()
}

/// `serverless.yml` with this place, and the lines of these files no longer commented out.
fn file(live: &str, files: &[&str]) -> String {
    let mut file = fs::read_to_string(Path::new(FOLDER).join("serverless.yml")).unwrap();
    let mut replace = |from: &str, to: &str| {
        assert_eq!(file.matches(from).count(), 1, "{from}");
        file = file.replace(from, to);
    };
    replace("  live: none\n", &format!("  live: {live}\n"));
    for name in files {
        let line = format!("- ${{file(live/{name}.yml)}}");
        replace(&format!("  # {line}"), &format!("  {line}"));
    }
    file
}

/// Intrinsic functions as a text: `<Bucket.Arn>/key`.
pub(crate) fn shown(value: &Value) -> String {
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    let list = |value: &Value| value.as_array().unwrap().iter().map(shown).collect::<Vec<_>>();
    let (name, argument) = value.as_object().unwrap().iter().next().unwrap();
    match name.as_str() {
        "Ref" => format!("<{}>", shown(argument)),
        "Fn::GetAtt" => format!("<{}>", list(argument).join(".")),
        "Fn::Join" => list(&argument[1]).join(argument[0].as_str().unwrap()),
        "Fn::Sub" => shown(argument).replace("${AWS::Region}:${AWS::AccountId}", "HERE"),
        _ => panic!("{value}"),
    }
}

/// One line for each action and resource: `s3:GetObject <Bucket.Arn>/key`.
pub(crate) fn permissions(document: &Value) -> Vec<String> {
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
    lines
}

/// The permissions of the function beyond those for its own log.
pub(crate) fn of_the_function(resources: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for resource in resources.as_object().unwrap().values() {
        let properties = &resource["Properties"];
        if resource["Type"] == "AWS::IAM::Policy" {
            assert_eq!(properties["Roles"], json!([{ "Ref": "IamRoleLambdaExecution" }]));
            found.extend(permissions(&properties["PolicyDocument"]));
        }
    }
    let role = &resources["IamRoleLambdaExecution"]["Properties"];
    for policy in role["Policies"].as_array().unwrap() {
        let own = permissions(&policy["PolicyDocument"]);
        found.extend(own.into_iter().filter(|line| !line.contains(":log-group:/aws/lambda/crossfade-")));
    }
    found.sort();
    found.dedup();
    found
}

const IN_S3: [&str; 2] = [
    "s3:GetObject <LiveBucket.Arn>/live.json",
    "s3:ListBucket <LiveBucket.Arn> if {\"StringEquals\":{\"s3:prefix\":\"live.json\"}}",
];
const IN_SSM: [&str; 1] = ["ssm:GetParameter arn:${AWS::Partition}:ssm:HERE:parameter/crossfade/dev/live"];
const PUT_OBJECT: &str = "s3:PutObject <LiveBucket.Arn>/live.json";
const FILTER: &str = "logs:FilterLogEvents <ProxyLogGroup.Arn>";
const TO_SSM: [&str; 4] = [
    "ssm:DeleteParameter arn:${AWS::Partition}:ssm:HERE:parameter/crossfade/dev/live.claim-*",
    "ssm:GetParameter arn:${AWS::Partition}:ssm:HERE:parameter/crossfade/dev/live.claim-*",
    "ssm:PutParameter arn:${AWS::Partition}:ssm:HERE:parameter/crossfade/dev/live",
    "ssm:PutParameter arn:${AWS::Partition}:ssm:HERE:parameter/crossfade/dev/live.claim-*",
];

/// The lines of AppConfig, with the beginning of every ARN left out.
fn appconfig(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| line.replace("arn:${AWS::Partition}:appconfig:HERE:", "")).collect()
}

const IN_APPCONFIG: [&str; 2] = [
    "appconfig:GetLatestConfiguration application/${LiveApplication}/environment/${LiveEnvironment}/configuration/${LiveProfile}",
    "appconfig:StartConfigurationSession application/${LiveApplication}/environment/${LiveEnvironment}/configuration/${LiveProfile}",
];
const TO_APPCONFIG: [&str; 6] = [
    "appconfig:CreateHostedConfigurationVersion application/${LiveApplication}",
    "appconfig:CreateHostedConfigurationVersion application/${LiveApplication}/configurationprofile/${LiveProfile}",
    "appconfig:StartDeployment application/${LiveApplication}",
    "appconfig:StartDeployment application/${LiveApplication}/configurationprofile/${LiveProfile}",
    "appconfig:StartDeployment application/${LiveApplication}/environment/${LiveEnvironment}",
    "appconfig:StartDeployment deploymentstrategy/AppConfig.AllAtOnce",
];

pub(crate) fn the_function_may_do_what_its_place_needs_and_nothing_else() {
    for (live, files, lines) in [
        ("s3", &[][..], IN_S3.to_vec()),
        ("s3", &["alarm"], [&IN_S3[..], &[PUT_OBJECT]].concat()),
        ("s3", ALL, [&[FILTER][..], &IN_S3, &[PUT_OBJECT]].concat()),
        // Policies for people change nothing for the function.
        ("s3", &["people"], IN_S3.to_vec()),
        ("ssm", &[], IN_SSM.to_vec()),
        ("ssm", ALL, [&[FILTER][..], &IN_SSM, &TO_SSM].concat()),
        ("appconfig", &[], IN_APPCONFIG.to_vec()),
        ("appconfig", &["people"], IN_APPCONFIG.to_vec()),
    ] {
        let mut expected: Vec<String> = lines.into_iter().map(str::to_owned).collect();
        expected.sort();
        let found = appconfig(&of_the_function(&with(live, files)));
        assert_eq!(found, expected, "{live} {files:?}");
        assert!(found.iter().all(|line| !line.contains(" *") && !line.contains(":*")), "{found:?}");
    }
}

/// Whoever deploys it learns that before anything changes.
pub(crate) fn nothing_that_the_function_cannot_write_is_deployed_with_an_alarm_or_a_schedule() {
    for (live, files) in [("none", "alarm"), ("appconfig", "schedule")] {
        let error = packaged(&file(live, &[files])).unwrap_err().to_string();
        assert!(error.contains("Resources.LiveWriter"), "{live}: {error}");
    }
}

pub(crate) fn the_function_is_told_its_place() {
    for (live, place) in [
        ("s3", Some("s3://<LiveBucket>/live.json")),
        ("ssm", Some("ssm:/crossfade/dev/live")),
        ("appconfig", Some("appconfig:<LiveApplication>/<LiveEnvironment>/<LiveProfile>")),
    ] {
        let function = with(live, &[])["ProxyLambdaFunction"]["Properties"].take();
        let found = function["Environment"]["Variables"].get("CROSSFADE_LIVE").map(shown);
        assert_eq!(found.as_deref(), place, "{live}");
        // The form is one that the function reads, whatever the names are.
        if let Some(place) = found {
            crossfade_function::Source::parse(&place.replace(['<', '>'], "")).unwrap();
        }
        assert_eq!(function["Layers"], if live == "appconfig" { json!([LAYER]) } else { Value::Null }, "{live}");
    }
}

pub(crate) const LAYER: &str = "arn:aws:lambda:eu-west-1:123456789012:layer:AWS-AppConfig-Extension:1";

pub(crate) fn the_bucket_is_private_versioned_encrypted_and_outlives_the_stack() {
    let resources = with("s3", &[]);
    let bucket = &resources["LiveBucket"];
    for (pointer, expected) in [
        ("/DeletionPolicy", json!("Retain")),
        ("/UpdateReplacePolicy", json!("Retain")),
        ("/Properties/VersioningConfiguration/Status", json!("Enabled")),
        (
            "/Properties/BucketEncryption/ServerSideEncryptionConfiguration/0/ServerSideEncryptionByDefault",
            json!({ "SSEAlgorithm": "AES256" }),
        ),
        (
            "/Properties/PublicAccessBlockConfiguration",
            json!({ "BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true }),
        ),
        ("/Properties/OwnershipControls/Rules/0/ObjectOwnership", json!("BucketOwnerEnforced")),
        (
            "/Properties/LifecycleConfiguration/Rules/0/NoncurrentVersionExpiration",
            json!({ "NoncurrentDays": 90, "NewerNoncurrentVersions": 100 }),
        ),
        // A name of its own would collide with the bucket that an earlier stack left.
        ("/Properties/BucketName", Value::Null),
    ] {
        assert_eq!(bucket.pointer(pointer).unwrap_or(&Value::Null), &expected, "{pointer}");
    }
    let policy = &resources["LiveBucketPolicy"]["Properties"];
    assert_eq!(policy["Bucket"], json!({ "Ref": "LiveBucket" }));
    let statement = &policy["PolicyDocument"]["Statement"];
    assert_eq!(statement.as_array().map(Vec::len), Some(1), "{statement}");
    assert_eq!(statement[0]["Effect"], "Deny");
    assert_eq!(statement[0]["Condition"], json!({ "Bool": { "aws:SecureTransport": "false" } }));
    let covered: Vec<String> = statement[0]["Resource"].as_array().unwrap().iter().map(shown).collect();
    assert_eq!(covered, ["<LiveBucket.Arn>", "<LiveBucket.Arn>/*"]);
}

pub(crate) fn the_schedule_invokes_this_function_and_does_not_retry() {
    let resources = with("s3", ALL);
    let schedule = &resources["Advance"]["Properties"];
    assert_eq!(schedule["ScheduleExpression"], "rate(5 minutes)");
    let target = &schedule["Target"];
    assert_eq!(shown(&target["Arn"]), "<ProxyLambdaFunction.Arn>");
    assert_eq!(shown(&target["RoleArn"]), "<AdvanceRole.Arn>");
    assert_eq!(target["RetryPolicy"]["MaximumRetryAttempts"], 0);
    let input: Value = serde_json::from_str(target["Input"].as_str().unwrap()).unwrap();
    assert_eq!(input, json!({ "crossfade": "advance" }));
    let role = &resources["AdvanceRole"]["Properties"];
    assert_eq!(
        permissions(&role["Policies"][0]["PolicyDocument"]),
        ["lambda:InvokeFunction <ProxyLambdaFunction.Arn>"]
    );
    let trust = &role["AssumeRolePolicyDocument"]["Statement"][0];
    assert_eq!(trust["Principal"], json!({ "Service": "scheduler.amazonaws.com" }));
    assert_eq!(shown(&trust["Condition"]["StringEquals"]["aws:SourceAccount"]), "<AWS::AccountId>");
}

pub(crate) fn only_its_own_rule_may_report_the_alarm() {
    let resources = with("s3", ALL);
    let rule = &resources["StopRule"]["Properties"];
    assert_eq!(rule["EventPattern"]["source"], json!(["aws.cloudwatch"]));
    assert_eq!(rule["EventPattern"]["resources"], json!([{ "Fn::GetAtt": ["ModernErrorsAlarm", "Arn"] }]));
    assert_eq!(rule["EventPattern"]["detail"], json!({ "state": { "value": ["ALARM"] } }));
    assert_eq!(shown(&rule["Targets"][0]["Arn"]), "<ProxyLambdaFunction.Arn>");
    let permission = &resources["StopPermission"]["Properties"];
    assert_eq!(permission["Principal"], "events.amazonaws.com");
    assert_eq!(shown(&permission["SourceArn"]), "<StopRule.Arn>");
    assert_eq!(shown(&permission["FunctionName"]), "<ProxyLambdaFunction.Arn>");
    let alarm = &resources["ModernErrorsAlarm"]["Properties"];
    assert_eq!(alarm["AlarmName"], "crossfade-dev-modern-errors");
    assert_eq!(alarm["TreatMissingData"], "notBreaching");
}

pub(crate) fn people_have_a_policy_for_all_commands_and_one_that_can_only_abort() {
    let documents = |live: &str| {
        let resources = with(live, &["people"]);
        ["LiveOperator", "LiveAborter", "LiveEvidenceReader"]
            .map(|name| appconfig(&permissions(&resources[name]["Properties"]["PolicyDocument"])))
    };
    let [operator, aborter, evidence] = documents("s3");
    let in_bucket =
        |action: &str| format!("{action} <LiveBucket.Arn> if {{\"StringEquals\":{{\"s3:prefix\":\"live.json\"}}}}");
    assert_eq!(
        operator,
        [
            "s3:GetObject <LiveBucket.Arn>/live.json",
            "s3:GetObjectVersion <LiveBucket.Arn>/live.json",
            PUT_OBJECT,
            &in_bucket("s3:ListBucket"),
            &in_bucket("s3:ListBucketVersions"),
        ]
    );
    assert_eq!(aborter, [PUT_OBJECT]);
    assert_eq!(evidence, [FILTER]);
    let [operator, aborter, _] = documents("ssm");
    assert_eq!(aborter, [TO_SSM[2]]);
    assert!(TO_SSM.iter().all(|line| operator.contains(&(*line).to_owned())), "{operator:?}");
    assert!(operator.iter().all(|line| line.contains("parameter/crossfade/dev/live")), "{operator:?}");
    let [operator, aborter, _] = documents("appconfig");
    assert_eq!(aborter[..6], TO_APPCONFIG.map(str::to_owned));
    assert!(aborter.iter().all(|line| operator.contains(line) && !line.contains(":Get")), "{aborter:?}");
    // No permission without a resource: its place has IDs, so that nothing has to be found by its name.
    assert!(
        operator.iter().all(|line| line.contains(" application/${LiveApplication}") || line == TO_APPCONFIG[5]),
        "{operator:?}"
    );
}

/// The place of a deployment is no business of a developer's machine.
pub(crate) fn the_local_load_balancer_reads_the_file_with_each_place() {
    let variables = [("ALB_LISTENER_ARN", LISTENER), ("CROSSFADE_BACKEND", "https://legacy.example.com")];
    let environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let options = source::Options { environment, ..source::Options::default() };
    for live in ["none", "s3", "ssm", "appconfig"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("serverless.yml"), file(live, ALL)).unwrap();
        crate::deploy_serverless::copy_live(folder.path());
        let loaded = source::serverless(&folder.path().join("serverless.yml"), &options);
        let loaded = loaded.unwrap_or_else(|error| panic!("{live}: {error}"));
        assert_eq!(source::table(&loaded.settings).matches("  140      ").count(), 1, "{live}");
        assert_eq!(loaded.warnings, [""; 0], "{live}");
    }
}
