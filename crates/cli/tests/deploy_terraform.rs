//! `deploy/terraform/` with the real `terraform` and a stand-in for the AWS provider: its form, its own tests, and the resources that
//! AWS would create. Also the rules that `crossfade export alb-rules --format terraform` writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crossfade_testkit::tools::make;
use serde_json::{Value, json};

use crate::support::LISTENER;
use crate::support::cdk::typescript;
use crate::support::terraform::{MODULE, module, planned, plugins, terraform};

/// The planned resources of a type, by address without the module.
fn of_type(kind: &str) -> Vec<(&'static str, &'static Value)> {
    let module = &planned()["planned_values"]["root_module"]["child_modules"][0];
    let all = module["resources"].as_array().unwrap().iter();
    let found = all.filter(|resource| resource["type"] == kind);
    found.map(|resource| (resource["address"].as_str().unwrap(), &resource["values"])).collect()
}

fn only(kind: &str) -> &'static Value {
    let found = of_type(kind);
    assert_eq!(found.len(), 1, "{kind}: {found:?}");
    found[0].1
}

/// Blocks and arguments that have a value.
fn set(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(set).collect(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), set(value)));
            members.filter(|(_, value)| !value.is_null() && *value != json!([])).collect()
        }
        other => other.clone(),
    }
}

pub(crate) fn the_files_are_formatted() {
    terraform(Path::new(MODULE), &["fmt", "-check", "-recursive", "-diff"]).unwrap_or_else(|error| panic!("{error}"));
}

/// Least privilege for each feature, and what the module rejects: `deploy/terraform/tests`.
pub(crate) fn the_tests_of_the_module_pass() {
    let folder = module().unwrap();
    terraform(folder.path(), &["init", "-backend=false", &plugins()]).unwrap_or_else(|error| panic!("{error}"));
    let output = terraform(folder.path(), &["test"]).unwrap_or_else(|error| panic!("{error}"));
    let runs =
        fs::read_to_string(Path::new(MODULE).join("tests/permissions.tftest.hcl")).unwrap().matches("\nrun \"").count();
    assert!(runs > 5 && output.contains(&format!("{runs} passed, 0 failed")), "{output}");
}

pub(crate) fn listener_rules_have_priorities_conditions_and_one_target() {
    let mut rules: Vec<(u64, Value)> = Vec::new();
    for (address, rule) in of_type("aws_lb_listener_rule") {
        assert_eq!(rule["listener_arn"], LISTENER, "{address}");
        assert_eq!(set(&rule["action"]), json!([{ "type": "forward" }]), "{address}");
        rules.push((rule["priority"].as_u64().unwrap(), set(&rule["condition"])));
    }
    rules.sort_by_key(|(priority, _)| *priority);
    let values = |values: Value| json!([{ "values": values }]);
    let expected = [
        (
            110,
            json!([
                { "http_request_method": values(json!(["GET", "HEAD"])) },
                { "path_pattern": values(json!(["/api/orders/*"])) },
            ]),
        ),
        (120, json!([{ "http_header": [{ "http_header_name": "x-crossfade", "values": ["on", "preview-*"] }] }])),
        (130, json!([{ "query_string": [{ "key": "crossfade", "value": "on" }] }])),
        (
            140,
            json!([
                { "host_header": values(json!(["shop.example.com"])) },
                { "source_ip": values(json!(["192.0.2.0/24", "2001:db8::/32"])) },
            ]),
        ),
    ];
    // Conditions are a set.
    for (_, conditions) in &mut rules {
        conditions.as_array_mut().unwrap().sort_by_key(ToString::to_string);
    }
    assert_eq!(rules, expected);
}

pub(crate) fn the_target_group_has_multi_value_headers_and_a_health_check() {
    let group = only("aws_lb_target_group");
    assert_eq!((&group["target_type"], &group["lambda_multi_value_headers_enabled"]), (&json!("lambda"), &json!(true)));
    let check = json!({
        "enabled": true, "path": "/", "interval": 30, "timeout": 10,
        "healthy_threshold": 2, "unhealthy_threshold": 2, "matcher": "200",
    });
    assert_eq!(set(&group["health_check"]), json!([check]));
    assert_eq!(only("aws_lambda_permission")["principal"], "elasticloadbalancing.amazonaws.com");
}

pub(crate) fn the_function_is_the_binary_on_amazon_linux_2023() {
    let function = only("aws_lambda_function");
    for (name, expected) in [
        ("runtime", json!("provided.al2023")),
        ("handler", json!("bootstrap")),
        ("architectures", json!(["x86_64"])),
        ("memory_size", json!(128)),
        ("timeout", json!(30)),
        ("reserved_concurrent_executions", json!(50)),
        ("environment", json!([{ "variables": { "CROSSFADE_BACKEND": "https://legacy.example.com" } }])),
        ("tracing_config", json!([{ "mode": "PassThrough" }])),
        ("vpc_config", json!([])),
        ("layers", json!([])),
    ] {
        assert_eq!(function[name], expected, "{name}");
    }
    assert!(function["source_code_hash"].is_string(), "a new package is deployed");
    assert_eq!(only("aws_cloudwatch_log_group")["retention_in_days"], 14);
    let known = [
        "aws_cloudwatch_log_group",
        "aws_iam_role",
        "aws_iam_role_policy",
        "aws_lambda_function",
        "aws_lambda_permission",
        "aws_lb_listener_rule",
        "aws_lb_target_group",
        "aws_lb_target_group_attachment",
    ];
    let region = &planned()["configuration"]["provider_config"]["aws"]["expressions"]["region"];
    assert_eq!(region["references"], json!(["var.listener_arn"]));
    let module = &planned()["planned_values"]["root_module"]["child_modules"][0];
    for resource in module["resources"].as_array().unwrap() {
        assert!(known.contains(&resource["type"].as_str().unwrap()), "{}", resource["address"]);
    }
}

static STATE: OnceLock<Vec<Value>> = OnceLock::new();

/// The resources with everything on, created by the stand-in.
fn created() -> &'static [Value] {
    STATE.get_or_init(|| {
        let folder = module().unwrap();
        let run = |arguments: &[&str]| terraform(folder.path(), arguments).unwrap_or_else(|error| panic!("{error}"));
        fs::write(folder.path().join("bootstrap.zip"), "a placeholder").unwrap();
        run(&["init", "-backend=false", &plugins()]);
        let listener = format!("-var=listener_arn={LISTENER}");
        let mut arguments = vec!["apply", "-auto-approve", &listener];
        arguments.extend([
            "-var=package_path=bootstrap.zip",
            r#"-var=rules=[{priority=1,path=["/a"]}]"#,
            r#"-var=vpc={subnet_ids=["subnet-1","subnet-2"],security_group_ids=["sg-1"]}"#,
            "-var=live=s3",
            "-var=live_alarm=true",
            "-var=live_schedule=true",
            "-var=live_people=true",
            "-var=spill=true",
            "-var=monitoring=true",
            r#"-var=alarm_actions=["arn:aws:sns:eu-west-1:123456789012:on-call"]"#,
            "-var=tracing=Active",
        ]);
        run(&arguments);
        let mut state: Value = serde_json::from_str(&run(&["show", "-json"])).unwrap();
        serde_json::from_value(state["values"]["root_module"]["resources"].take()).unwrap()
    })
}

/// The arguments and attributes with a value of the resource with this address.
fn at(address: &str) -> Value {
    let found = created().iter().find(|resource| resource["address"] == address);
    set(&found.unwrap_or_else(|| panic!("no {address}"))["values"])
}

fn text(value: &Value) -> Value {
    serde_json::from_str(value.as_str().unwrap()).unwrap()
}

/// Buckets, the alarm and the schedule as `deploy/serverless/` has them.
pub(crate) fn everything_can_be_switched_on() {
    for bucket in ["live", "spill"] {
        let rule = |kind: &str| at(&format!("aws_s3_bucket_{kind}.{bucket}[0]"));
        let block = rule("public_access_block");
        for name in ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"] {
            assert_eq!(block[name], true, "{bucket} {name}");
        }
        assert_eq!(rule("ownership_controls")["rule"][0]["object_ownership"], "BucketOwnerEnforced");
        let encryption = rule("server_side_encryption_configuration");
        let by_default = &encryption["rule"][0]["apply_server_side_encryption_by_default"];
        assert_eq!(*by_default, json!([{ "sse_algorithm": "AES256" }]), "{bucket}");
        let policy: Value = serde_json::from_str(rule("policy")["policy"].as_str().unwrap()).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        assert_eq!((statements.len(), &statements[0]["Effect"]), (1, &json!("Deny")), "{bucket}");
        assert_eq!(statements[0]["Condition"], json!({ "Bool": { "aws:SecureTransport": "false" } }), "{bucket}");
    }
    assert_eq!(at("aws_s3_bucket_versioning.live[0]")["versioning_configuration"], json!([{ "status": "Enabled" }]));
    let kept = &at("aws_s3_bucket_lifecycle_configuration.live[0]")["rule"][0];
    let expected = json!([{ "noncurrent_days": 90, "newer_noncurrent_versions": 100 }]);
    assert_eq!(kept["noncurrent_version_expiration"], expected);
    let kept = &at("aws_s3_bucket_lifecycle_configuration.spill[0]")["rule"][0];
    assert_eq!(kept["expiration"], json!([{ "days": 1 }]));

    let pattern = text(&at("aws_cloudwatch_event_rule.stop[0]")["event_pattern"]);
    assert_eq!(pattern["detail"], json!({ "state": { "value": ["ALARM"] } }));
    assert_eq!(pattern["resources"], json!([at("aws_cloudwatch_metric_alarm.live[0]")["arn"]]));
    let alarm = at("aws_cloudwatch_metric_alarm.live[0]");
    assert_eq!(
        (&alarm["alarm_name"], &alarm["treat_missing_data"]),
        (&json!("crossfade-modern-errors"), &json!("notBreaching"))
    );
    let target = &at("aws_scheduler_schedule.advance[0]")["target"][0];
    assert_eq!(text(&target["input"]), json!({ "crossfade": "advance" }));
    assert_eq!(target["retry_policy"][0]["maximum_retry_attempts"], 0);
    let invoke = text(&at("aws_iam_role_policy.advance[0]")["policy"]);
    assert_eq!(invoke["Statement"].as_array().map(Vec::len), Some(1));
    assert_eq!(invoke["Statement"][0]["Resource"], json!([at("aws_lambda_function.proxy")["arn"]]));
    assert_eq!(at("aws_lambda_function.proxy")["vpc_config"][0]["subnet_ids"], json!(["subnet-1", "subnet-2"]));

    // Filters of the alarm are those of the file that `deploy_live.rs` tests.
    let model = fs::read_to_string(Path::new(crate::deploy_serverless::FOLDER).join("live/alarm.yml")).unwrap();
    for name in ["requests", "errors"] {
        let filter = at(&format!("aws_cloudwatch_log_metric_filter.live[\"{name}\"]"));
        let pattern = filter["pattern"].as_str().unwrap();
        assert!(model.contains(&format!("FilterPattern: '{pattern}'")), "{pattern}");
    }
}

/// The same alarms and dashboard from Terraform, the CDK and the Serverless Framework.
pub(crate) fn monitoring_is_that_of_the_other_tools() {
    let resources = typescript()["monitoring"]["Resources"].as_object().unwrap();
    let of_cdk = |id: &str| {
        let found = resources.iter().find(|(name, _)| name.starts_with(&format!("Crossfade{id}")));
        &found.unwrap_or_else(|| panic!("no {id}")).1["Properties"]
    };
    let model = fs::read_to_string(Path::new(crate::deploy_serverless::FOLDER).join("monitoring.yml")).unwrap();
    let stack = text(&at("aws_cloudformation_stack.log_alarms[0]")["template_body"]);
    let alarms = stack["Resources"].as_object().unwrap();
    assert_eq!(alarms.len(), model.matches("AWS::CloudWatch::LogAlarm").count());
    for (id, alarm) in alarms {
        let (ours, cdk) = (&alarm["Properties"], of_cdk(id));
        // The log group and the role have other names.
        let comparable = |properties: &Value| {
            let mut properties = properties.clone();
            let name = properties["AlarmName"].as_str().unwrap().split_once('-').unwrap().1.to_owned();
            properties["AlarmName"] = name.into();
            let query = properties["ScheduledQueryConfiguration"].as_object_mut().unwrap();
            assert_eq!(query.remove("LogGroupIdentifiers").unwrap().as_array().map(Vec::len), Some(1), "{id}");
            assert!(query.remove("ScheduledQueryRoleARN").is_some(), "{id}");
            properties
        };
        assert_eq!(comparable(ours), comparable(cdk), "{id}");
        let section = model.split_once(&format!("\n  {id}:\n")).unwrap().1;
        let section = section.split("\n  # ").next().unwrap().split("Alarm:\n").next().unwrap();
        let query = &ours["ScheduledQueryConfiguration"];
        let schedule = &query["ScheduleConfiguration"];
        for line in [
            format!("AlarmDescription: {}", ours["AlarmDescription"].as_str().unwrap()),
            format!("AggregationExpression: {}", query["AggregationExpression"].as_str().unwrap()),
            format!("StartTimeOffset: {}, EndTimeOffset: {}", schedule["StartTimeOffset"], schedule["EndTimeOffset"]),
            format!("Threshold: {}", ours["Threshold"]),
            format!("QueryResultsToEvaluate: {}", ours["QueryResultsToEvaluate"]),
            format!("QueryResultsToAlarm: {}", ours["QueryResultsToAlarm"]),
            query["QueryString"].as_str().unwrap().replace('\n', "\n          "),
        ] {
            assert!(section.contains(&line), "{id}: no `{line}` in\n{section}");
        }
    }
    for (address, id) in [("throttles", "ThrottlesAlarm"), ("function-errors", "FunctionErrorsAlarm")] {
        let (ours, cdk) = (at(&format!("aws_cloudwatch_metric_alarm.monitoring[\"{address}\"]")), of_cdk(id));
        for (name, name_in_cdk) in [
            ("metric_name", "MetricName"),
            ("namespace", "Namespace"),
            ("statistic", "Statistic"),
            ("period", "Period"),
            ("threshold", "Threshold"),
            ("evaluation_periods", "EvaluationPeriods"),
            ("datapoints_to_alarm", "DatapointsToAlarm"),
            ("comparison_operator", "ComparisonOperator"),
            ("treat_missing_data", "TreatMissingData"),
            ("alarm_actions", "AlarmActions"),
            ("ok_actions", "OKActions"),
        ] {
            assert_eq!(ours[name], cdk[name_in_cdk], "{address} {name}");
        }
        assert_eq!(ours["dimensions"], json!({ "FunctionName": "crossfade" }));
    }

    let dashboard = fs::read_to_string(Path::new(MODULE).join("../monitoring/dashboard.json")).unwrap();
    assert_eq!(of_cdk("Dashboard")["DashboardBody"]["Fn::Sub"][0], dashboard);
    let values = [("LogGroup", "/aws/lambda/crossfade"), ("Region", "eu-west-1"), ("FunctionName", "crossfade")];
    let filled = values.iter().fold(dashboard, |text, (name, value)| text.replace(&format!("${{{name}}}"), value));
    assert_eq!(at("aws_cloudwatch_dashboard.proxy[0]")["dashboard_body"], filled);
}

/// Each tool's folder can be copied alone, so each has its own.
pub(crate) fn copies_of_the_monitoring_are_current() {
    let deploy = Path::new(MODULE).parent().unwrap();
    let alarms = fs::read_dir(deploy.join("monitoring/alarms")).unwrap();
    let mut files: Vec<PathBuf> = alarms.map(|file| Path::new("alarms").join(file.unwrap().file_name())).collect();
    files.push("dashboard.json".into());
    for folder in ["terraform/monitoring", "cdk/monitoring", "cdk/python/crossfade_cdk/monitoring"] {
        for file in &files {
            let (original, copy) = (deploy.join("monitoring").join(file), deploy.join(folder).join(file));
            if std::env::var_os("BLESS").is_some() {
                fs::create_dir_all(copy.parent().unwrap()).unwrap();
                fs::copy(&original, &copy).unwrap();
            }
            let is_equal = fs::read(&original).unwrap() == fs::read(&copy).unwrap_or_default();
            assert!(is_equal, "{} differs from {}: BLESS=1 copies it", copy.display(), original.display());
        }
        assert_eq!(fs::read_dir(deploy.join(folder).join("alarms")).unwrap().count(), files.len() - 1, "{folder}");
    }
}

/// The call of the module, with the line for live state.
pub(crate) fn the_lines_of_the_readme_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let readme = fs::read_to_string(Path::new(MODULE).join("README.md")).unwrap();
    let blocks: Vec<&str> = readme.split("```hcl\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [call, live] = blocks[..] else { panic!("{blocks:?}") };
    // A listener that does not exist before `apply`.
    let file = call
        .replace("aws_lb_listener.https.arn", "terraform_data.listener.output")
        .replace("\n}\n", &format!("\n{live}}}\n"));
    let file = format!("{file}\nresource \"terraform_data\" \"listener\" {{\n  input = \"{LISTENER}\"\n}}\n");
    fs::write(folder.path().join("main.tf"), file).unwrap();
    fs::write(folder.path().join("bootstrap.zip"), "a placeholder").unwrap();
    let modules = folder.path().join("modules");
    fs::create_dir(&modules).unwrap();
    make(Command::new("cp").arg("-R").arg(MODULE).arg(modules.join("crossfade"))).unwrap();
    for arguments in [&["init", "-backend=false", &plugins()][..], &["plan"]] {
        terraform(folder.path(), arguments).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The golden file of `tests/export`.
pub(crate) fn exported_rules_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/export/rules.tf");
    fs::copy(golden, folder.path().join("rules.tf")).unwrap();
    for arguments in [&["init", "-backend=false", &plugins()][..], &["validate"], &["fmt", "-check", "-diff"]] {
        terraform(folder.path(), arguments).unwrap_or_else(|error| panic!("{error}"));
    }
    // The stand-in would notice.
    let file = folder.path().join("rules.tf");
    let wrong = fs::read_to_string(&file).unwrap().replacen("http_header_name", "header_name", 1);
    fs::write(&file, wrong).unwrap();
    let error = terraform(folder.path(), &["validate"]).unwrap_err().to_string();
    assert!(error.contains("An argument named \"header_name\" is not expected here"), "{error}");
}

/// Texts with characters that mean something to Terraform, and back ends whose names become equal.
pub(crate) fn exported_rules_keep_odd_texts_and_names() {
    let folder = tempfile::tempdir().unwrap();
    let body = "${x} $${y} $$${z} %{a} %%{b} $ \\ \" \u{c}\u{8}\t\n é \u{2028} \u{e0001} #{host} $";
    let config = format!(
        "version: 1
backends:
  function: {{ url: https://f.example.com, hostHeader: preserve }}
  a-b: {{ url: https://1.example.com, hostHeader: preserve }}
  a_b: {{ url: https://2.example.com, hostHeader: preserve }}
  1st: {{ url: https://3.example.com, hostHeader: preserve }}
routes:
  - {{ name: closed, priority: 1, conditions: {{ path: /0 }}, fixedResponse: {{ status: 503, body: {} }} }}
  - {{ name: one, priority: 2, conditions: {{ path: /1, host: {{ regex: '^(a|b)\\.example\\.com$' }} }}, forward: a-b }}
  - {{ name: two, priority: 3, conditions: {{ query: {{ q: ['${{y}}', 2] }} }}, forward: a_b }}
  - {{ name: three, priority: 4, conditions: {{ header: {{ name: x-y, values: [{{ regex: '^\\d+$' }}] }} }}, forward: 1st }}
  - {{ name: moved, priority: 5, conditions: {{ path: /o/* }}, redirect: {{ path: '/n/#{{path}}', status: 302 }} }}
default: {{ forward: function }}
",
        json!(body)
    );
    fs::write(folder.path().join("crossfade.yaml"), config).unwrap();
    let export = |format: &str, file: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.args(["export", "alb-rules", "--format", format, "--output", file]).current_dir(folder.path());
        make(&mut command).unwrap();
        fs::read_to_string(folder.path().join(file)).unwrap()
    };
    let text = export("terraform", "rules.tf");
    let variables: Vec<String> =
        text.split("variable \"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    let values: Vec<String> = variables.iter().map(|name| format!("-var={name}={name}")).collect();
    let mut plan = vec!["plan", "-out=plan"];
    plan.extend(values.iter().map(String::as_str));
    for arguments in [&["init", "-backend=false", &plugins()][..], &["fmt", "-check", "-diff"], &plan] {
        terraform(folder.path(), arguments).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
    let plan: Value = serde_json::from_str(&terraform(folder.path(), &["show", "-json", "plan"]).unwrap()).unwrap();
    let mut rules: Vec<Value> =
        serde_json::from_value(plan["planned_values"]["root_module"]["resources"].clone()).unwrap();
    rules.sort_by_key(|rule| rule["values"]["priority"].as_u64());
    let groups: Vec<&Value> = rules.iter().map(|rule| &rule["values"]["action"][0]["target_group_arn"]).collect();
    let names =
        ["a_b_target_group_arn", "a_b_2_target_group_arn", "b_1st_target_group_arn", "function_2_target_group_arn"];
    assert_eq!(
        groups,
        [&Value::Null, &json!(names[0]), &json!(names[1]), &json!(names[2]), &Value::Null, &json!(names[3])]
    );
    let condition = |index: usize| set(&rules[index]["values"]["condition"]);
    assert_eq!(rules[0]["values"]["action"][0]["fixed_response"][0]["message_body"], body);
    assert!(condition(1).to_string().contains(r"^(a|b)\\.example\\.com$"), "{}", condition(1));
    assert_eq!(condition(2)[0]["query_string"], json!([{ "key": "q", "value": "${y}" }, { "key": "q", "value": "2" }]));
    assert_eq!(condition(3)[0]["http_header"][0]["regex_values"], json!([r"^\d+$"]));
    assert_eq!(rules[4]["values"]["action"][0]["redirect"][0]["path"], "/n/#{path}");

    // The other forms are JSON, in quotes or not.
    let template: Value = serde_json::from_str(&export("cloudformation", "rules.json")).unwrap();
    let properties = &template["Resources"]["Rule1Closed"]["Properties"];
    assert_eq!(properties["Actions"][0]["FixedResponseConfig"]["MessageBody"], body);
    assert_eq!(template["Parameters"].as_object().map(serde_json::Map::len), Some(5), "{template}");
    let script = export("cli", "rules.sh");
    let actions = shell_words::split(&script.replace("\\\n", " ")).unwrap();
    let actions: Value =
        serde_json::from_str(actions.iter().find(|word| word.contains("MessageBody")).unwrap()).unwrap();
    assert_eq!(actions[0]["FixedResponseConfig"]["MessageBody"], body);
}
