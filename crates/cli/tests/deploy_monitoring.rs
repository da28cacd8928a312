//! The dashboard and the alarms in `deploy/serverless/`, packaged by the real tool. `crates/journal/tests/monitoring.rs` has the
//! queries in them.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use crossfade_emulator::source;
use serde_json::{Value, json};

use crate::deploy_live::{of_the_function, permissions, shown};
use crate::deploy_serverless::{FOLDER, LISTENER, copy_live, packaged};
use crate::support::lint::cfn_lint;

const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:on-call";

/// The tool takes seconds.
static STACK: OnceLock<Value> = OnceLock::new();

/// `serverless.yml` with monitoring, and with a topic to notify.
fn file() -> String {
    let mut file = fs::read_to_string(Path::new(FOLDER).join("serverless.yml")).unwrap();
    for (from, to) in [
        ("  # - ${file(monitoring.yml)}\n", "  - ${file(monitoring.yml)}\n"),
        ("  alarmActions: []\n", &format!("  alarmActions: ['{TOPIC}']\n")),
    ] {
        assert_eq!(file.matches(from).count(), 1, "{from}");
        file = file.replace(from, to);
    }
    file
}

fn stack() -> &'static Value {
    STACK.get_or_init(|| packaged(&file()).unwrap_or_else(|error| panic!("{error}")))
}

pub(crate) fn the_dashboard_names_the_log_group_the_region_and_the_function() {
    let dashboard = &stack()["Dashboard"]["Properties"];
    assert_eq!(dashboard["DashboardName"], "crossfade-dev");
    let body = &dashboard["DashboardBody"]["Fn::Sub"];
    let mut text = body[0].as_str().unwrap().to_owned();
    let original = fs::read_to_string(Path::new(FOLDER).join("../monitoring/dashboard.json")).unwrap();
    assert_eq!(text, original);
    for (name, value) in body[1].as_object().unwrap() {
        assert!(text.contains(&format!("${{{name}}}")), "{name}");
        text = text.replace(&format!("${{{name}}}"), &shown(value));
    }
    assert!(!text.contains("${"), "{text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    for widget in body["widgets"].as_array().unwrap() {
        assert_eq!(widget["properties"]["region"], "<AWS::Region>", "{widget}");
        let query = widget["properties"]["query"].as_str();
        assert!(query.is_none_or(|query| query.starts_with("SOURCE '<ProxyLogGroup>' | filter ")), "{widget}");
    }
    assert_eq!(body["widgets"][0]["properties"]["metrics"][0][3], "<ProxyLambdaFunction>");
}

pub(crate) fn each_alarm_notifies_the_topics_of_the_file() {
    let resources = stack().as_object().unwrap();
    let mut alarms = Vec::new();
    for (id, resource) in resources {
        let (kind, properties) = (resource["Type"].as_str().unwrap(), &resource["Properties"]);
        if !kind.starts_with("AWS::CloudWatch::") || kind == "AWS::CloudWatch::Dashboard" {
            continue;
        }
        for actions in ["AlarmActions", "OKActions"] {
            assert_eq!(properties[actions], json!([TOPIC]), "{id}");
        }
        // A function without requests is well.
        assert_eq!(properties["TreatMissingData"], "notBreaching", "{id}");
        let query = &properties["ScheduledQueryConfiguration"];
        let watched =
            if query.is_null() { &properties["Dimensions"][0]["Value"] } else { &query["LogGroupIdentifiers"][0] };
        alarms.push(format!("{id} {} {}", properties["AlarmName"].as_str().unwrap(), shown(watched)));
    }
    assert_eq!(
        alarms,
        [
            "BackEndFailingAlarm crossfade-dev-back-end-failing <ProxyLogGroup>",
            "FailedResponsesAlarm crossfade-dev-failed-responses <ProxyLogGroup>",
            "FunctionErrorsAlarm crossfade-dev-function-errors <ProxyLambdaFunction>",
            "LostCopiesAlarm crossfade-dev-lost-copies <ProxyLogGroup>",
            "ThrottlesAlarm crossfade-dev-throttles <ProxyLambdaFunction>",
        ]
    );
}

/// Stopping a query and listing log groups have no resources in IAM.
pub(crate) fn queries_run_with_a_role_for_this_log_group() {
    let role = &stack()["AlarmQueryRole"]["Properties"];
    assert_eq!(
        role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"],
        json!({ "Service": "logs.amazonaws.com" })
    );
    assert_eq!(
        permissions(&role["Policies"][0]["PolicyDocument"]),
        [
            "logs:StartQuery <ProxyLogGroup.Arn>",
            "logs:GetQueryResults <ProxyLogGroup.Arn>",
            "logs:StopQuery *",
            "logs:DescribeLogGroups *",
        ]
    );
    assert_eq!(of_the_function(stack()), [""; 0]);
}

pub(crate) fn cfn_lint_has_no_complaint() {
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template.json");
    let document = json!({ "AWSTemplateFormatVersion": "2010-09-09", "Resources": stack() });
    fs::write(&template, document.to_string()).unwrap();
    assert_eq!(cfn_lint(&template, &[]), "");
    // It would have one.
    let broken = document.to_string().replace("QueryResultsToAlarm", "QueryResultsToAlert");
    fs::write(&template, broken).unwrap();
    assert!(cfn_lint(&template, &[]).contains("QueryResultsToAlert"));
}

pub(crate) fn the_local_load_balancer_reads_the_file() {
    let variables = [("ALB_LISTENER_ARN", LISTENER), ("CROSSFADE_BACKEND", "https://legacy.example.com")];
    let environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let options = source::Options { environment, ..source::Options::default() };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("serverless.yml"), file()).unwrap();
    fs::copy(Path::new(FOLDER).join("monitoring.yml"), folder.path().join("monitoring.yml")).unwrap();
    copy_live(folder.path());
    let loaded = source::serverless(&folder.path().join("serverless.yml"), &options);
    let loaded = loaded.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(source::table(&loaded.settings).matches("  140      ").count(), 1);
    assert_eq!(loaded.warnings, [""; 0]);
}
