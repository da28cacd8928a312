//! Five tools, one result: what `crossfade dev` reads from the deploy files of each tool, and from what the tool makes of them. The
//! rules, the target group and the function must be equal. `golden/deploy-tools.txt` is the table; `BLESS=1` writes it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crossfade_emulator::source::{self, Loaded};
use crossfade_emulator::{Action, Forward};
use serde_json::{Value, json};

use crate::deploy_serverless;
use crate::deploy_templates::{FILES, template};
use crate::support::LISTENER;
use crate::support::cdk::{EXAMPLE, python, typescript};
use crate::support::terraform::planned;

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");
const BACKEND: &str = "https://legacy.example.com";

/// A fact with its value, such as a rule by its priority. Facts in which tools may differ begin with `*`.
type Facts = Vec<(String, String)>;

/// The result of one tool.
struct Tool {
    name: &'static str,
    loaded: Loaded,
    /// The resources by their ids, as CloudFormation has them, for facts that `dev` does not read.
    resources: Option<Value>,
}

type Reader = fn(&Path, &source::Options) -> Result<Loaded, source::SourceError>;

fn options() -> source::Options {
    let owned =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    source::Options {
        environment: owned(&[("ALB_LISTENER_ARN", LISTENER), ("CROSSFADE_BACKEND", BACKEND)]),
        parameters: owned(&[("ListenerArn", LISTENER), ("Backend", BACKEND)]),
        ..source::Options::default()
    }
}

fn tool(name: &'static str, file: &Path, read: Reader, resources: Option<Value>) -> Tool {
    let mut options = options();
    if !FILES.iter().any(|template| file.ends_with(template)) {
        options.parameters.clear();
    }
    let loaded = read(file, &options).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(loaded.warnings, [""; 0], "{name}");
    Tool { name, loaded, resources }
}

/// A document that a tool has printed, in a file.
fn printed(name: &'static str, text: &str, read: Reader, resources: Option<Value>) -> Tool {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("printed.json");
    fs::write(&file, text).unwrap();
    tool(name, &file, read, resources)
}

/// The Serverless Framework: its file, that file with everything resolved, and the template that it deploys.
fn serverless() -> Vec<Tool> {
    let file = PathBuf::from(deploy_serverless::FOLDER).join("serverless.yml");
    let resolved = deploy_serverless::resolved();
    let resources = deploy_serverless::resources().clone();
    let packaged = json!({ "Resources": resources }).to_string();
    vec![
        tool("serverless.yml", &file, source::serverless, None),
        printed("osls print", &resolved, source::serverless, None),
        printed("osls package", &packaged, source::cloudformation, Some(resources)),
    ]
}

/// The template, and what SAM's makes of its own.
fn cloudformation() -> Vec<Tool> {
    let resources = |name: &str| Some(template(name)["Resources"].clone());
    let file = |file: &str| Path::new(DEPLOY).join(file);
    vec![
        tool("CloudFormation", &file(FILES[0]), source::cloudformation, resources("cloudformation")),
        tool("SAM", &file(FILES[1]), source::cloudformation, resources("translated")),
    ]
}

fn cdk() -> Vec<Tool> {
    let synthesised = |name, template: &Value| {
        printed(name, &template.to_string(), source::cloudformation, Some(template["Resources"].clone()))
    };
    vec![synthesised("CDK, TypeScript", &typescript()[EXAMPLE]), synthesised("CDK, Python", &python()[EXAMPLE])]
}

fn terraform() -> Vec<Tool> {
    vec![printed("Terraform", &planned().to_string(), source::terraform, None)]
}

/// The facts that `dev` reads. Names are left out: each tool has its own.
fn facts(tool: &Tool) -> Facts {
    let settings = &tool.loaded.settings;
    let mut facts = Facts::new();
    let [listener] = &settings.listeners[..] else { panic!("{}: {:?}", tool.name, settings.listeners) };
    facts.push(("listener".to_owned(), listener.name.clone()));
    for rule in &listener.rules {
        // ALB takes them in any order.
        let mut conditions: Vec<String> = rule.conditions.iter().map(ToString::to_string).collect();
        conditions.sort();
        let Action::Forward(Forward { targets, stickiness: None }) = &rule.action else { panic!("{rule:?}") };
        assert_eq!(targets.len(), 1, "{}: {rule:?}", tool.name);
        facts.push((format!("rule {}", rule.priority), conditions.join(" and ")));
    }
    let text = source::table(settings);
    let section = |title: &str| {
        let (_, rest) = text.split_once(&format!("{title}\n")).unwrap();
        let line = rest.lines().next().unwrap();
        assert!(!rest.lines().nth(1).unwrap_or_default().starts_with("  "), "{}: several {title}\n{text}", tool.name);
        line.split_once(": ").unwrap().1.to_owned()
    };
    let group = section("target groups");
    facts.push(("target group".to_owned(), group.split_once(", ").unwrap().1.to_owned()));
    let function = section("functions").replace("AWS_REGION ", "");
    let (before, rest) = function.split_once(" (").unwrap();
    facts.push(("function".to_owned(), format!("{before}{}", rest.split_once(')').unwrap().1)));
    facts
}

/// Facts of a template that `dev` does not read.
fn further(resources: &Value) -> Facts {
    let parameters = &template("cloudformation")["Parameters"];
    // A parameter's default.
    let known = |value: &Value| match value.get("Ref").and_then(|name| parameters.get(name.as_str()?)?.get("Default")) {
        Some(default) => default.clone(),
        None => value.clone(),
    };
    let of_type = |kind: &str| {
        let all =
            resources.as_object().unwrap().values().filter(|it| it["Type"] == kind && it.get("Condition").is_none());
        all.map(|it| it["Properties"].clone()).collect::<Vec<_>>()
    };
    let function = &of_type("AWS::Lambda::Function")[0];
    let mut invokers = Vec::new();
    for permission in of_type("AWS::Lambda::Permission") {
        assert_eq!(permission["Principal"], "elasticloadbalancing.amazonaws.com");
        invokers.push(if permission["SourceArn"].is_null() { "load balancers" } else { "its target group" });
    }
    invokers.sort_unstable();
    let tracing = known(&function["TracingConfig"]["Mode"]);
    vec![
        ("architecture".to_owned(), known(&function["Architectures"][0]).as_str().unwrap().to_owned()),
        ("tracing".to_owned(), tracing.as_str().unwrap_or("PassThrough").to_owned()),
        ("log kept for days".to_owned(), number(&known(&of_type("AWS::Logs::LogGroup")[0]["RetentionInDays"]))),
        ("* may be invoked by".to_owned(), invokers.join(" and ")),
    ]
}

fn further_of_terraform() -> Facts {
    let module = &planned()["planned_values"]["root_module"]["child_modules"][0];
    let of_type = |kind: &str| {
        let all = module["resources"].as_array().unwrap().iter();
        all.filter(|it| it["type"] == kind).map(|it| it["values"].clone()).collect::<Vec<_>>()
    };
    let function = &of_type("aws_lambda_function")[0];
    let permissions = of_type("aws_lambda_permission");
    assert!(permissions.iter().all(|it| it["principal"] == "elasticloadbalancing.amazonaws.com"), "{permissions:?}");
    // Its ARN is not known before `apply`, and so not in the plan.
    let invokers = permissions.iter().map(|it| match it.get("source_arn") {
        Some(Value::Null) => "load balancers",
        _ => "its target group",
    });
    vec![
        ("architecture".to_owned(), function["architectures"][0].as_str().unwrap().to_owned()),
        ("tracing".to_owned(), function["tracing_config"][0]["mode"].as_str().unwrap().to_owned()),
        ("log kept for days".to_owned(), number(&of_type("aws_cloudwatch_log_group")[0]["retention_in_days"])),
        ("* may be invoked by".to_owned(), invokers.collect::<Vec<_>>().join(" and ")),
    ]
}

fn number(value: &Value) -> String {
    value.to_string().trim_matches('"').to_owned()
}

pub(crate) fn all_tools_give_the_same_rules_target_group_and_function() {
    let tools = [serverless(), cloudformation(), cdk(), terraform()].into_iter().flatten();
    let (mut order, mut found) = (Vec::new(), BTreeMap::<String, Vec<(String, Vec<&str>)>>::new());
    let mut names = Vec::new();
    for tool in tools {
        names.push(tool.name);
        let mut facts = facts(&tool);
        match &tool.resources {
            Some(resources) => facts.extend(further(resources)),
            None if tool.name == "Terraform" => facts.extend(further_of_terraform()),
            None => {}
        }
        for (fact, value) in facts {
            let values = found.entry(fact.clone()).or_default();
            match values.iter_mut().find(|(known, _)| *known == value) {
                Some((_, tools)) => tools.push(tool.name),
                None => values.push((value, vec![tool.name])),
            }
            if !order.contains(&fact) {
                order.push(fact);
            }
        }
    }
    let mut table = format!("Read from: {}\n", names.join("; "));
    for fact in &order {
        let _ = write!(table, "\n{}\n", fact.trim_start_matches("* "));
        for (value, tools) in &found[fact] {
            let _ = writeln!(table, "  {value}\n    {} of {}: {}", tools.len(), names.len(), tools.join("; "));
        }
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/deploy-tools.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&golden, &table).unwrap();
    }
    let differing: Vec<_> = found.iter().filter(|(fact, values)| values.len() > 1 && !fact.starts_with('*')).collect();
    assert!(differing.is_empty(), "{differing:#?}");
    for (fact, values) in &found {
        // The framework's own files have no resources.
        let (all, told) = (names.len(), values.iter().map(|(_, tools)| tools.len()).sum::<usize>());
        assert!(told == all || told == all - 2, "{fact}: {told} of {all}");
    }
    assert_eq!(found.keys().filter(|fact| fact.starts_with("rule ")).count(), 4);
    assert_eq!(fs::read_to_string(&golden).unwrap_or_default(), table, "BLESS=1 writes it");
}
