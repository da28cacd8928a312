//! `deploy/serverless/` packaged by the real tool, without credentials: the resources that AWS would create.
//!
//! The zip file is a placeholder in a temporary folder; `crossfade package` makes the real one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crossfade_emulator::source::{self, Loaded};
use crossfade_testkit::tools::{Absent, NODE, Tool, make};
use serde_json::{Value, json};

pub(crate) use crate::support::LISTENER;
use crate::support::install::npm_ci;

pub(crate) const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/serverless");

/// The `Resources` of the stack, once there is [`PACKAGED`].
static RESOURCES: OnceLock<Value> = OnceLock::new();

/// The stack, packaged once for all tests of this file.
pub(crate) static PACKAGED: Tool = Tool::new(|| {
    NODE.find()?;
    npm_ci(Path::new(FOLDER))?;
    let file = std::fs::read_to_string(Path::new(FOLDER).join("serverless.yml")).unwrap();
    let _ = RESOURCES.set(packaged(&file)?);
    Ok(())
});

/// Copies the files of live state.
pub(crate) fn copy_live(to: &Path) {
    std::fs::create_dir(to.join("live")).unwrap();
    for file in std::fs::read_dir(Path::new(FOLDER).join("live")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join("live").join(file.file_name())).unwrap();
    }
}

/// The stack of the file as it is. There once [`PACKAGED`] is.
pub(crate) fn resources() -> &'static Value {
    RESOURCES.get().expect("the test does not need `PACKAGED`")
}

/// The file with everything resolved, as the tool prints it.
pub(crate) fn resolved() -> String {
    let file = std::fs::read_to_string(Path::new(FOLDER).join("serverless.yml")).unwrap();
    let folder = folder(&file);
    let output = osls(folder.path()).args(["print", "--format", "json"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The `Resources` of a `serverless.yml`.
pub(crate) fn packaged(file: &str) -> Result<Value, Absent> {
    let folder = folder(file);
    make(osls(folder.path()).arg("package"))?;
    let template = folder.path().join(".serverless/cloudformation-template-update-stack.json");
    let mut template: Value = serde_json::from_slice(&std::fs::read(template).unwrap()).unwrap();
    Ok(template["Resources"].take())
}

fn folder(file: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("serverless.yml"), file).unwrap();
    std::fs::copy(Path::new(FOLDER).join("package.json"), folder.path().join("package.json")).unwrap();
    std::fs::write(folder.path().join("bootstrap.zip"), "a placeholder").unwrap();
    copy_live(folder.path());
    for file in ["monitoring.yml", "spill.yml"] {
        std::fs::copy(Path::new(FOLDER).join(file), folder.path().join(file)).unwrap();
    }
    folder
}

fn osls(folder: &Path) -> Command {
    let mut osls = Command::new("node");
    osls.arg(Path::new(FOLDER).join("node_modules/osls/bin/serverless.js")).current_dir(folder);
    // An empty environment: no credentials, no proxy, nothing of the developer's.
    osls.env_clear().env("HOME", folder).env("SLS_TELEMETRY_DISABLED", "1").env("SLS_NOTIFICATIONS_MODE", "off");
    osls.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    osls.env("CROSSFADE_BACKEND", "https://legacy.example.com").env("ALB_LISTENER_ARN", LISTENER);
    osls.env("APPCONFIG_LAYER_ARN", crate::deploy_live::LAYER);
    osls
}

/// The lines of the README for a VPC and for the log, added to `provider`.
pub(crate) fn the_lines_of_the_readme_are_valid() {
    let read = |name: &str| std::fs::read_to_string(Path::new(FOLDER).join(name)).unwrap();
    let readme = read("README.md");
    let blocks: Vec<&str> =
        readme.split("```yaml\nprovider:\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 2);
    let file = read("serverless.yml").replacen("provider:\n", &format!("provider:\n{}", blocks.concat()), 1);
    let resources = packaged(&file).unwrap_or_else(|error| panic!("{error}"));
    let of_type = |kind: &str| {
        resources.as_object().unwrap().values().find(|it| it["Type"] == kind).unwrap()["Properties"].clone()
    };
    let function = of_type("AWS::Lambda::Function");
    assert_eq!(function["VpcConfig"]["SubnetIds"].as_array().map(Vec::len), Some(2), "{function}");
    assert_eq!(function["VpcConfig"]["SecurityGroupIds"].as_array().map(Vec::len), Some(1), "{function}");
    assert_eq!(function["LoggingConfig"]["SystemLogLevel"], "WARN", "{function}");
    let role = of_type("AWS::IAM::Role").to_string();
    assert!(role.contains("AWSLambdaVPCAccessExecutionRole"), "{role}");
}

/// Logical id and properties of all resources of a type, by id.
fn of_type(kind: &str) -> Vec<(&'static str, &'static Value)> {
    let resources = RESOURCES.get().unwrap().as_object().unwrap();
    let mut found: Vec<_> = resources
        .iter()
        .filter(|(_, resource)| resource["Type"] == kind)
        .map(|(id, resource)| (id.as_str(), &resource["Properties"]))
        .collect();
    found.sort_by_key(|(id, _)| *id);
    found
}

fn only(kind: &str) -> (&'static str, &'static Value) {
    let found = of_type(kind);
    assert_eq!(found.len(), 1, "{kind}: {found:?}");
    found[0]
}

/// Names such as `http-header` and their shapes: no linter of templates notices a misspelt one.
pub(crate) fn listener_rules_have_priorities_conditions_and_one_target() {
    let (group, _) = only("AWS::ElasticLoadBalancingV2::TargetGroup");
    let mut rules: Vec<(u64, &Value)> = Vec::new();
    for (id, rule) in of_type("AWS::ElasticLoadBalancingV2::ListenerRule") {
        assert_eq!(rule["ListenerArn"], LISTENER, "{id}");
        assert_eq!(rule["Actions"], json!([{ "Type": "forward", "TargetGroupArn": { "Ref": group } }]), "{id}");
        rules.push((rule["Priority"].as_u64().unwrap(), &rule["Conditions"]));
    }
    rules.sort_by_key(|(priority, _)| *priority);
    let expected = [
        (
            110,
            json!([
                { "Field": "path-pattern", "Values": ["/api/orders/*"] },
                { "Field": "http-request-method", "HttpRequestMethodConfig": { "Values": ["GET", "HEAD"] } },
            ]),
        ),
        (
            120,
            json!([{
                "Field": "http-header",
                "HttpHeaderConfig": { "HttpHeaderName": "x-crossfade", "Values": ["on", "preview-*"] },
            }]),
        ),
        (
            130,
            json!([{ "Field": "query-string", "QueryStringConfig": { "Values": [{ "Key": "crossfade", "Value": "on" }] } }]),
        ),
        (
            140,
            json!([
                { "Field": "host-header", "HostHeaderConfig": { "Values": ["shop.example.com"] } },
                { "Field": "source-ip", "SourceIpConfig": { "Values": ["192.0.2.0/24", "2001:db8::/32"] } },
            ]),
        ),
    ];
    assert_eq!(rules, expected.iter().map(|(priority, rule)| (*priority, rule)).collect::<Vec<_>>());
}

/// AWS refuses more than 5 condition values in one rule (Elastic Load Balancing, "Quotas for your Application Load
/// Balancers"); the tool does not check it.
pub(crate) fn no_rule_has_more_than_five_values() {
    fn values(value: &Value) -> usize {
        match value {
            Value::Object(members) => members
                .iter()
                .map(|(name, member)| if name == "Values" { member.as_array().unwrap().len() } else { values(member) })
                .sum(),
            Value::Array(items) => items.iter().map(values).sum(),
            _ => 0,
        }
    }
    for (id, rule) in of_type("AWS::ElasticLoadBalancingV2::ListenerRule") {
        let count = values(&rule["Conditions"]);
        assert!((1..=5).contains(&count), "{id}: {count}");
    }
}

pub(crate) fn the_target_group_has_multi_value_headers_and_a_health_check() {
    let (_, group) = only("AWS::ElasticLoadBalancingV2::TargetGroup");
    let (function, _) = only("AWS::Lambda::Function");
    assert_eq!(group["TargetType"], "lambda");
    assert_eq!(group["Targets"], json!([{ "Id": { "Fn::GetAtt": [function, "Arn"] } }]));
    assert_eq!(group["TargetGroupAttributes"], json!([{ "Key": "lambda.multi_value_headers.enabled", "Value": true }]));
    let check = |name: &str| group[name].clone();
    assert_eq!(check("HealthCheckEnabled"), true);
    assert_eq!(check("HealthCheckPath"), "/");
    assert_eq!((check("HealthCheckIntervalSeconds"), check("HealthCheckTimeoutSeconds")), (json!(30), json!(10)));
    assert_eq!((check("HealthyThresholdCount"), check("UnhealthyThresholdCount")), (json!(2), json!(2)));
    assert_eq!(check("Matcher"), json!({ "HttpCode": "200" }));
}

pub(crate) fn only_load_balancers_may_invoke_the_function() {
    let (function, _) = only("AWS::Lambda::Function");
    let permissions = of_type("AWS::Lambda::Permission");
    assert!(!permissions.is_empty());
    for (id, permission) in permissions {
        assert_eq!(permission["Principal"], "elasticloadbalancing.amazonaws.com", "{id}");
        assert_eq!(permission["Action"], "lambda:InvokeFunction", "{id}");
        assert_eq!(permission["FunctionName"], json!({ "Fn::GetAtt": [function, "Arn"] }), "{id}");
    }
}

pub(crate) fn the_function_is_the_binary_on_amazon_linux_2023() {
    let (_, function) = only("AWS::Lambda::Function");
    assert_eq!(function["Runtime"], "provided.al2023");
    assert_eq!(function["Handler"], "bootstrap");
    assert_eq!(function["Architectures"], json!(["x86_64"]));
    assert_eq!((&function["MemorySize"], &function["Timeout"]), (&json!(128), &json!(30)));
    assert_eq!(function["ReservedConcurrentExecutions"], 50, "bounds the cost of a flood");
    assert_eq!(function["Environment"]["Variables"], json!({ "CROSSFADE_BACKEND": "https://legacy.example.com" }));
    assert!(function["Code"]["S3Key"].as_str().unwrap().ends_with("/bootstrap.zip"));
    assert_eq!(only("AWS::Logs::LogGroup").1["RetentionInDays"], 14);
}

/// Least privilege: a proxy writes its log and asks AWS for nothing else.
pub(crate) fn the_role_allows_logs_and_nothing_else() {
    let (_, role) = only("AWS::IAM::Role");
    assert_eq!(role["ManagedPolicyArns"], Value::Null);
    let policies = role["Policies"].as_array().unwrap();
    let statements: Vec<&Value> =
        policies.iter().flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap()).collect();
    assert!(!statements.is_empty());
    for statement in statements {
        assert_eq!(statement["Effect"], "Allow");
        for action in statement["Action"].as_array().unwrap() {
            let known = ["logs:CreateLogStream", "logs:CreateLogGroup", "logs:TagResource", "logs:PutLogEvents"];
            assert!(known.contains(&action.as_str().unwrap()), "{statement}");
        }
        for resource in statement["Resource"].as_array().unwrap() {
            assert!(resource["Fn::Sub"].as_str().unwrap().contains(":log-group:/aws/lambda/crossfade-"), "{statement}");
        }
    }
    let trust = role["AssumeRolePolicyDocument"]["Statement"].as_array().unwrap();
    assert_eq!(trust.len(), 1);
    assert_eq!(trust[0]["Principal"], json!({ "Service": ["lambda.amazonaws.com"] }));
    // Nothing else that could be asked for or let in: no policy, no URL of the function, no security group.
    let known = [
        "AWS::ElasticLoadBalancingV2::ListenerRule",
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        "AWS::IAM::Role",
        "AWS::Lambda::Function",
        "AWS::Lambda::Permission",
        "AWS::Lambda::Version",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::S3::BucketPolicy",
    ];
    for (id, resource) in RESOURCES.get().unwrap().as_object().unwrap() {
        assert!(known.contains(&resource["Type"].as_str().unwrap()), "{id}: {}", resource["Type"]);
    }
    // The bucket of the zip file is the tool's: its policy only refuses what comes without TLS.
    for (id, policy) in of_type("AWS::S3::BucketPolicy") {
        for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
            assert_eq!(statement["Effect"], "Deny", "{id}");
        }
    }
}

/// The file that is deployed and the template that the tool makes of it give the same listener, rules, target group and
/// function.
pub(crate) fn the_local_load_balancer_reads_the_same_from_the_file_and_from_the_template() {
    let variables = [("ALB_LISTENER_ARN", LISTENER), ("CROSSFADE_BACKEND", "https://legacy.example.com")];
    let environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let options = source::Options { environment, ..source::Options::default() };
    let of_file = source::serverless(&PathBuf::from(FOLDER).join("serverless.yml"), &options);
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template.json");
    std::fs::write(&template, serde_json::to_vec(&json!({ "Resources": RESOURCES.get() })).unwrap()).unwrap();
    let of_template = source::cloudformation(&template, &options);
    let [of_file, of_template] = [of_file, of_template].map(|loaded| loaded.unwrap_or_else(|error| panic!("{error}")));
    assert_eq!((&of_file.warnings, &of_template.warnings), (&vec![], &vec![]));
    // Where it stands differs, what the region is the template does not say, and the name of a group is a hash there.
    let comparable = |loaded: &Loaded| {
        let mut settings = loaded.settings.clone();
        for listener in &mut settings.listeners {
            listener.rules.iter_mut().for_each(|rule| rule.origin.clear());
        }
        settings.functions.iter_mut().for_each(|function| function.env.retain(|(name, _)| name != "AWS_REGION"));
        settings.target_groups.iter_mut().for_each(|group| group.name = "group".to_owned());
        for function in &mut settings.functions {
            function.reserved_by = function.reserved_by.map(|_| "its own name for it");
        }
        source::table(&settings)
    };
    assert_eq!(comparable(&of_file), comparable(&of_template));
    let text = comparable(&of_file);
    assert!(
        text.contains("  140      host is shop.example.com and ip is in 192.0.2.0/24 or 2001:db8::/32\n"),
        "{text}"
    );
    assert!(text.contains("multi-value headers, health check / every 30 s, at most 10 s"), "{text}");
    assert!(text.contains("128 MiB, 30 s, 50 environments (further requests are throttled: its own name for it), environment CROSSFADE_BACKEND"), "{text}");
    // By which `--function NAME=COMMAND` may call it.
    for names in [&of_file.names, &of_template.names] {
        assert!(
            names[0].contains(&"proxy".to_owned()) && names[0].contains(&"crossfade-dev-proxy".to_owned()),
            "{names:?}"
        );
    }
}
