//! `deploy/cloudformation/` and `deploy/sam/`, checked by `cfn-lint` and `sam` without credentials: for each feature, the resources and
//! permissions of `deploy/serverless/`, and nothing while it is off. The two templates are the same, except for the function.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use crossfade_testkit::tools::{Absent, Tool, make};
use serde_json::{Map, Value, json};

use crate::deploy_live::{LAYER, of_the_function, permissions, shown, with};
use crate::support::LISTENER;
use crate::support::lint::{LINT, cfn_lint, lint_tool};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");
pub(crate) const FILES: [&str; 2] = ["cloudformation/crossfade.yml", "sam/template.yml"];

static READ: OnceLock<Value> = OnceLock::new();

/// The templates, read once for all tests. [`template`] has them.
pub(crate) static TEMPLATES: Tool = Tool::new(|| {
    LINT.find()?;
    let mut python = lint_tool("python");
    let output =
        python.arg("-B").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/deploy/templates.py")).arg(DEPLOY).output();
    let output = output.unwrap();
    let read = serde_json::from_slice(&output.stdout);
    let read = read.map_err(|_| Absent::Broken(String::from_utf8_lossy(&output.stderr).into_owned()))?;
    _ = READ.set(read);
    Ok(())
});

/// `cloudformation`, `sam`, `translated`, or `serverless`, which has the resources of its files. There once [`TEMPLATES`] is.
pub(crate) fn template(name: &str) -> &'static Value {
    &READ.get().expect("the test does not need `TEMPLATES`")[name]
}

/// A stack of a template with these parameters. As CloudFormation evaluates it, as far as only parameters decide.
struct Stack<'t> {
    template: &'t Value,
    parameters: BTreeMap<&'t str, &'t str>,
}

impl<'t> Stack<'t> {
    fn new(template: &'t Value, given: &[(&'t str, &'t str)]) -> Self {
        let declared = template["Parameters"].as_object().unwrap();
        let default = |(name, it): (&'t String, &'t Value)| Some((name.as_str(), it.get("Default")?.as_str()?));
        let mut parameters: BTreeMap<_, _> = declared.iter().filter_map(default).collect();
        parameters.extend([("ListenerArn", LISTENER), ("CodeBucket", "code"), ("CodeKey", "bootstrap.zip")]);
        for (name, value) in given {
            assert!(declared.contains_key(*name), "{name}");
            parameters.insert(name, value);
        }
        Stack { template, parameters }
    }

    fn condition(&self, name: &str) -> bool {
        self.holds(&self.template["Conditions"][name])
    }

    fn holds(&self, condition: &Value) -> bool {
        let (name, argument) = condition.as_object().unwrap_or_else(|| panic!("{condition}")).iter().next().unwrap();
        let all = || argument.as_array().unwrap().iter();
        match name.as_str() {
            "Condition" => self.condition(argument.as_str().unwrap()),
            "Fn::Equals" => self.value(&argument[0]) == self.value(&argument[1]),
            "Fn::Contains" => all().next().unwrap().as_array().unwrap().contains(&self.value(&argument[1]).unwrap()),
            "Fn::Not" => !self.holds(&argument[0]),
            "Fn::And" => all().all(|it| self.holds(it)),
            "Fn::Or" => all().any(|it| self.holds(it)),
            _ => panic!("{condition}"),
        }
    }

    /// Without what only AWS knows: that stays a function.
    fn value(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Array(items) => Some(items.iter().filter_map(|it| self.value(it)).collect()),
            Value::Object(members) => match members.iter().next().map(|(name, it)| (name.as_str(), it)) {
                Some(("Fn::If", it)) => {
                    let chosen = if self.condition(it[0].as_str().unwrap()) { &it[1] } else { &it[2] };
                    self.value(chosen)
                }
                Some(("Ref", it)) if it == "AWS::NoValue" => None,
                Some(("Ref", it)) => match self.parameters.get(it.as_str().unwrap()) {
                    Some(text) if self.is_list(it.as_str().unwrap()) => Some(text.split(',').collect()),
                    Some(text) => Some((*text).into()),
                    None => Some(value.clone()),
                },
                Some(("Fn::Join", it)) if it[1].get("Ref").is_some() => {
                    let items = self.value(&it[1]).unwrap();
                    let items: Vec<&str> = items.as_array().unwrap().iter().filter_map(Value::as_str).collect();
                    Some(items.join(it[0].as_str().unwrap()).into())
                }
                _ => {
                    let members = members.iter().filter_map(|(name, it)| Some((name.clone(), self.value(it)?)));
                    Some(Value::Object(members.collect()))
                }
            },
            other => Some(other.clone()),
        }
    }

    fn is_list(&self, parameter: &str) -> bool {
        self.template["Parameters"][parameter]["Type"] == "CommaDelimitedList"
    }

    /// The members of a section that exist.
    fn section(&self, name: &str) -> Map<String, Value> {
        let exists = |it: &Value| it.get("Condition").is_none_or(|name| self.condition(name.as_str().unwrap()));
        let all = self.template[name].as_object().unwrap().iter().filter(|(_, it)| exists(it));
        all.map(|(id, it)| (id.clone(), self.value(it).unwrap())).collect()
    }

    fn resources(&self) -> Map<String, Value> {
        self.section("Resources")
    }

    /// The descriptions of the assertions that reject the parameters.
    fn rejections(&self) -> Vec<&'t str> {
        let mut rejections = Vec::new();
        for rule in self.template["Rules"].as_object().unwrap().values() {
            let applies = rule.get("RuleCondition").is_none_or(|it| self.holds(it));
            for assertion in rule["Assertions"].as_array().unwrap() {
                if applies && !self.holds(&assertion["Assert"]) {
                    rejections.push(assertion["AssertDescription"].as_str().unwrap());
                }
            }
        }
        rejections
    }

    fn permissions(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (id, resource) in self.resources() {
            let properties = &resource["Properties"];
            match resource["Type"].as_str().unwrap() {
                "AWS::IAM::Policy" => {
                    assert_eq!(properties["Roles"], json!([{ "Ref": "ProxyRole" }]), "{id}");
                    lines.extend(permissions(&properties["PolicyDocument"]));
                }
                "AWS::IAM::Role" if id == "ProxyRole" => {
                    for policy in properties["Policies"].as_array().unwrap() {
                        lines.extend(permissions(&policy["PolicyDocument"]));
                    }
                }
                _ => {}
            }
        }
        let mut lines: Vec<String> = lines.iter().map(|line| plain(line)).collect();
        lines.sort();
        lines
    }
}

/// A text with `<Bucket.Arn>` for `${Bucket.Arn}`, and the names of `deploy/serverless/` as those of the templates.
fn plain(text: &str) -> String {
    let names = [
        ("${self:service}-${sls:stage}", "<AWS::StackName>"),
        ("${self:custom.state.key}", "live.json"),
        ("/crossfade/dev/live", "/<AWS::StackName>/live"),
        ("ProxyLambdaFunction", "Proxy"),
        ("IamRoleLambdaExecution", "ProxyRole"),
        ("AWS::Region}:${AWS::AccountId", "HERE"),
        ("${HERE}", "HERE"),
        ("${AlarmBackend}", "modern"),
        ("${", "<"),
        ("}", ">"),
    ];
    names.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Functions as texts, and texts as [`plain`] has them, so that different ways to write a value are equal.
fn comparable(value: &Value) -> Value {
    let is_function = |name: &str| name == "Ref" || name.starts_with("Fn::");
    match value {
        Value::String(text) => plain(text).into(),
        Value::Array(items) => items.iter().map(comparable).collect(),
        Value::Object(members) => match members.iter().next() {
            // That of a text and its own names.
            Some((name, it)) if name == "Fn::Sub" && it.is_array() => json!(["Fn::Sub", comparable(it)]),
            Some((name, _)) if is_function(name) => plain(&shown(value)).into(),
            _ => members.iter().map(|(name, it)| (name.clone(), comparable(it))).collect::<Map<_, _>>().into(),
        },
        other => other.clone(),
    }
}

fn plain_stack(given: &[(&'static str, &'static str)]) -> Stack<'static> {
    Stack::new(template("cloudformation"), given)
}

/// `cfn-lint` knows each property and type; `sam` what it makes of the function.
pub(crate) fn the_linters_have_no_complaint() {
    for file in FILES {
        assert_eq!(cfn_lint(&Path::new(DEPLOY).join(file), &[]), "", "{file}");
    }
    make(lint_tool("sam").args(["validate", "--lint", "--template"]).arg(Path::new(DEPLOY).join(FILES[1]))).unwrap();
    // They would notice.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.yml");
    let right = fs::read_to_string(Path::new(DEPLOY).join(FILES[0])).unwrap();
    fs::write(&file, right.replacen("MemorySize: !Ref", "MemorySise: !Ref", 1)).unwrap();
    assert!(cfn_lint(&file, &[]).contains("MemorySise"));
}

/// The path of the README: `sam build` takes the zip file as it is.
pub(crate) fn sam_builds_without_a_toolchain() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["template.yml", "samconfig.toml"] {
        fs::copy(Path::new(DEPLOY).join("sam").join(file), folder.path().join(file)).unwrap();
    }
    // An empty archive.
    fs::write(folder.path().join("bootstrap.zip"), [b"PK\x05\x06".as_slice(), &[0; 18]].concat()).unwrap();
    make(lint_tool("sam").arg("build").current_dir(folder.path())).unwrap();
    let built = fs::read_to_string(folder.path().join(".aws-sam/build/template.yaml")).unwrap();
    assert!(built.contains("bootstrap.zip"), "{built}");
}

/// SAM deploys the same as CloudFormation.
pub(crate) fn both_templates_are_the_same_except_for_the_function() {
    let (ours, mut sam, mut translated) =
        (template("cloudformation"), template("sam").clone(), template("translated").clone());
    assert_eq!(sam.as_object_mut().unwrap().remove("Transform"), Some(json!("AWS::Serverless-2016-10-31")));
    let mut without_code = ours.clone();
    for name in ["CodeBucket", "CodeKey"] {
        assert!(without_code["Parameters"].as_object_mut().unwrap().remove(name).is_some());
    }
    let function = translated["Resources"]["Proxy"]["Properties"].as_object_mut().unwrap();
    assert_eq!(function.remove("Tags"), Some(json!([{ "Key": "lambda:createdBy", "Value": "SAM" }])));
    function.remove("Code");
    without_code["Resources"]["Proxy"]["Properties"].as_object_mut().unwrap().remove("Code");
    assert_eq!(translated, without_code);
    for template in [&mut sam, &mut without_code] {
        template["Resources"].as_object_mut().unwrap().remove("Proxy");
    }
    assert_eq!(sam, without_code);
}

/// No feature is there that nobody has turned on.
pub(crate) fn by_default_there_is_the_proxy_and_nothing_else() {
    let stack = plain_stack(&[("Backend", "https://legacy.example.com")]);
    let ids: Vec<String> = stack.resources().keys().cloned().collect();
    let mut expected = vec!["FieldRule", "OfficeRule", "OrdersRule", "Proxy", "ProxyLogGroup", "ProxyPermission"];
    expected.extend(["ProxyRole", "ProxyTargetGroup", "QueryRule"]);
    assert_eq!(ids, expected);
    assert_eq!(
        stack.permissions(),
        ["logs:CreateLogStream", "logs:PutLogEvents"].map(|it| format!("{it} <ProxyLogGroup.Arn>"))
    );
    assert!(stack.rejections().is_empty());
    let outputs = stack.section("Outputs");
    assert_eq!(outputs.keys().collect::<Vec<_>>(), ["FunctionName", "LogGroup"]);
    let resources = stack.resources();
    let function = &resources["Proxy"]["Properties"];
    let expected = json!({ "Variables": { "CROSSFADE_BACKEND": "https://legacy.example.com" } });
    assert_eq!(function["Environment"], expected);
    for name in ["Layers", "VpcConfig", "FunctionName"] {
        assert_eq!(function[name], Value::Null, "{name}");
    }
    assert_eq!(function["LoggingConfig"]["LogGroup"], json!({ "Ref": "ProxyLogGroup" }));
    assert_eq!(resources["ProxyLogGroup"]["Properties"]["LogGroupName"], Value::Null);
    // Only this target group may invoke it, and is registered after it may.
    let permission = &resources["ProxyPermission"]["Properties"];
    assert_eq!(permission["Principal"], "elasticloadbalancing.amazonaws.com");
    let group = &resources["ProxyTargetGroup"];
    assert_eq!(
        (&group["DependsOn"], comparable(&group["Properties"]["Name"])),
        (&json!("ProxyPermission"), json!("<AWS::StackName>"))
    );
    assert!(comparable(&permission["SourceArn"]).as_str().unwrap().ends_with(":targetgroup/<AWS::StackName>/*"));
}

const ALL: &[&str] = &["alarm", "schedule", "people"];
/// Places of the live state, and files of `deploy/serverless/live/`, which are parameters here.
const LIVE: [(&str, &[&str]); 8] = [
    ("s3", &[]),
    ("s3", &["alarm"]),
    ("s3", ALL),
    ("s3", &["people"]),
    ("ssm", &[]),
    ("ssm", ALL),
    ("appconfig", &[]),
    ("appconfig", &["people"]),
];

fn live(place: &'static str, files: &[&str]) -> Stack<'static> {
    let mut parameters = vec![("Live", place), ("AppConfigLayerArn", LAYER)];
    for (file, parameter) in [("alarm", "Alarm"), ("schedule", "Schedule"), ("people", "People")] {
        parameters.push((parameter, if files.contains(&file) { "on" } else { "off" }));
    }
    plain_stack(&parameters)
}

pub(crate) fn the_function_and_people_may_do_what_they_may_with_the_serverless_framework() {
    for (place, files) in LIVE {
        let (stack, model) = (live(place, files), with(place, files));
        let mut expected: Vec<String> = of_the_function(&model).iter().map(|line| plain(line)).collect();
        expected.extend(["logs:CreateLogStream", "logs:PutLogEvents"].map(|it| format!("{it} <ProxyLogGroup.Arn>")));
        expected.sort();
        assert_eq!(stack.permissions(), expected, "{place} {files:?}");
        assert!(stack.rejections().is_empty(), "{place} {files:?}");
        let resources = stack.resources();
        for policy in ["LiveOperator", "LiveAborter", "LiveEvidenceReader"] {
            let of = |resource: Option<&Value>| {
                let document = &resource?["Properties"]["PolicyDocument"];
                Some(permissions(document).iter().map(|line| plain(line)).collect::<Vec<_>>())
            };
            assert_eq!(of(resources.get(policy)), of(model.get(policy)), "{place} {files:?} {policy}");
        }
        let place_of = |properties: &Value| comparable(&properties["Environment"]["Variables"]["CROSSFADE_LIVE"]);
        let ours = place_of(&resources["Proxy"]["Properties"]);
        assert_eq!(ours, place_of(&model["ProxyLambdaFunction"]["Properties"]), "{place}");
        assert_eq!(ours, comparable(&stack.section("Outputs")["LivePlace"]["Value"]), "{place}");
        assert_eq!(resources["Proxy"]["Properties"]["Layers"], model["ProxyLambdaFunction"]["Properties"]["Layers"]);
    }
}

/// CloudFormation says so before anything changes.
pub(crate) fn parameters_that_do_not_go_together_are_rejected() {
    for (parameters, reason) in [
        (&[("Alarm", "on")][..], "Alarm and Schedule need"),
        (&[("Schedule", "on"), ("Live", "appconfig"), ("AppConfigLayerArn", LAYER)], "Alarm and Schedule need"),
        (&[("Live", "appconfig")], "needs AppConfigLayerArn"),
        (&[("People", "on")], "People needs"),
    ] {
        let rejections = plain_stack(parameters).rejections();
        assert!(rejections.len() == 1 && rejections[0].contains(reason), "{parameters:?}: {rejections:?}");
    }
}

/// Buckets, alarms, schedule, dashboard: the same as in the files of `deploy/serverless/`.
pub(crate) fn each_resource_of_a_feature_is_that_of_the_serverless_framework() {
    let everything =
        [("Live", "s3"), ("Alarm", "on"), ("Schedule", "on"), ("People", "on"), ("Spill", "on"), ("Monitoring", "on")];
    let resources = plain_stack(&everything).resources();
    // Their statements are compared as permissions; the first two have a name for each place here.
    let are_permissions = ["LiveReader", "LiveWriter", "LiveOperator", "LiveAborter"];
    let mut compared = 0;
    for (file, model) in template("serverless").as_object().unwrap() {
        for (id, expected) in
            model.as_object().unwrap().iter().filter(|(id, _)| !are_permissions.contains(&id.as_str()))
        {
            let mut expected = comparable(expected);
            let properties = expected["Properties"].as_object_mut().unwrap();
            // Empty by default, as here.
            properties.retain(|_, value| value != "<self:custom.alarmActions>");
            let mut ours = comparable(resources.get(id).unwrap_or_else(|| panic!("no {id} of {file}")));
            ours.as_object_mut().unwrap().remove("Condition");
            assert_eq!(ours, expected, "{file} {id}");
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared}");
    let dashboard = fs::read_to_string(Path::new(DEPLOY).join("monitoring/dashboard.json")).unwrap();
    assert_eq!(resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0], dashboard);
}

/// All that a function in a VPC needs (Lambda Developer Guide, "Giving Lambda functions access to resources in an Amazon VPC").
pub(crate) const NETWORK: [&str; 6] = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
];

pub(crate) fn further_parameters_change_what_they_say() {
    let function = |given| plain_stack(given).resources()["Proxy"]["Properties"].take();
    assert_eq!(function(&[("ReservedConcurrency", "-1")])["ReservedConcurrentExecutions"], Value::Null);
    assert_eq!(function(&[("Architecture", "arm64")])["Architectures"], json!(["arm64"]));
    let private = [("SubnetIds", "subnet-1,subnet-2"), ("SecurityGroupIds", "sg-1")];
    let vpc = json!({ "SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"] });
    assert_eq!(function(&private)["VpcConfig"], vpc);
    let wide = |stack: &Stack| {
        // Lambda checks them when it creates the function, so they are those of the role that it depends on.
        let later = stack.resources().values().filter(|it| it["Type"] == "AWS::IAM::Policy").count();
        assert_eq!(later, 0);
        stack.permissions().into_iter().filter(|line| line.ends_with(" *")).collect::<Vec<_>>()
    };
    assert_eq!(wide(&plain_stack(&private)), NETWORK.map(|action| format!("{action} *")));
    assert_eq!(plain_stack(&private).resources()["ProxyRole"]["Properties"]["ManagedPolicyArns"], Value::Null);
    let traced = plain_stack(&[("Tracing", "Active")]);
    assert_eq!(traced.resources()["Proxy"]["Properties"]["TracingConfig"], json!({ "Mode": "Active" }));
    assert_eq!(wide(&traced), ["xray:PutTelemetryRecords *", "xray:PutTraceSegments *"]);
    let topics = plain_stack(&[("Monitoring", "on"), ("AlarmActions", "arn:a,arn:b")]);
    let alarm = topics.resources()["ThrottlesAlarm"]["Properties"].take();
    assert_eq!((&alarm["AlarmActions"], &alarm["OKActions"]), (&json!(["arn:a", "arn:b"]), &json!(["arn:a", "arn:b"])));
}

/// The resources of `deploy/serverless/monitoring.yml` in the short form of the templates.
fn monitoring() -> String {
    let file = fs::read_to_string(Path::new(DEPLOY).join("serverless/monitoring.yml")).unwrap();
    let (_, resources) = file.split_once("Resources:\n").unwrap();
    let mut text = String::new();
    for line in resources.lines() {
        let mut line = line.to_owned();
        for (from, to) in [
            ("AlarmName: ${self:service}-${sls:stage}-", "AlarmName: !Sub ${AWS::StackName}-"),
            ("DashboardName: ${self:service}-${sls:stage}", "DashboardName: !Ref AWS::StackName"),
            ("${self:custom.alarmActions}", "!If [HasAlarmActions, !Ref AlarmActions, !Ref AWS::NoValue]"),
            ("{ Fn::GetAtt: [ProxyLogGroup, Arn] }", "!GetAtt ProxyLogGroup.Arn"),
            ("{ Fn::GetAtt: [AlarmQueryRole, Arn] }", "!GetAtt AlarmQueryRole.Arn"),
            ("{ Ref: ProxyLambdaFunction }", "!Ref Proxy"),
            ("{ Ref: ProxyLogGroup }", "!Ref ProxyLogGroup"),
            ("{ Ref: AWS::Region }", "!Ref AWS::Region"),
            ("Fn::Sub:", "!Sub"),
        ] {
            line = line.replace(from, to);
        }
        text.push_str(&line);
        text.push('\n');
        if line.starts_with("    Type: AWS::") {
            text.push_str("    Condition: IsMonitored\n");
        }
    }
    assert!(!text.contains("Fn::") && !text.contains("self:") && !text.contains("sls:"), "{text}");
    text
}

/// `BLESS=1` copies it.
pub(crate) fn monitoring_is_that_of_the_serverless_framework() {
    let section = monitoring();
    for file in FILES {
        let path = Path::new(DEPLOY).join(file);
        let text = fs::read_to_string(&path).unwrap();
        let start = text.find("  Dashboard:\n").unwrap();
        let end = text.find("\nOutputs:\n").unwrap();
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, format!("{}{section}{}", &text[..start], &text[end..])).unwrap();
        }
        assert_eq!(text[start..end], section, "{file}: BLESS=1 copies it");
    }
}
