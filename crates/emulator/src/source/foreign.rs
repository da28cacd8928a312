//! Files that users name by mistake: code, archives, web pages, folders, and files that belong to another option. Owns how
//! they are recognised and what to do instead. The readers report errors within a file of the right kind.

use std::path::{Path, PathBuf};

use crossfade_document::MAX_TEXT;

use super::SourceError;
use super::node::{Node, Value, excerpt};

/// A kind of file that Crossfade reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file of the Serverless Framework.
    Serverless,
    /// A CloudFormation or SAM template.
    Template,
    /// The output of `aws elbv2 describe-rules`.
    DescribeRules,
    /// The output of `terraform show -json`.
    Terraform,
    /// The proxy's own configuration, `crossfade.yaml`. It is not read here.
    Configuration,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Serverless => "a file of the Serverless Framework",
            Kind::Template => "a CloudFormation template",
            Kind::DescribeRules => "the output of `aws elbv2 describe-rules`",
            Kind::Terraform => "a plan or state of Terraform",
            Kind::Configuration => "a configuration of Crossfade",
        }
    }

    fn option(self) -> &'static str {
        match self {
            Kind::Serverless => "--serverless",
            Kind::Template => "--template",
            Kind::DescribeRules => "--describe-rules",
            Kind::Terraform => "--terraform",
            Kind::Configuration => "--config",
        }
    }
}

const SERVERLESS_PACKAGE: &str = "`osls package` writes a template of it; use that with \
     `--template .serverless/cloudformation-template-update-stack.json`";
const SYNTH: &str = "`cdk synth` or `osls package` writes a template of it; use that with `--template FILE`, for example \
     `--template cdk.out/STACK.template.json`";
const DESCRIBE_RULES: &str = "save the output of `aws elbv2 describe-rules --listener-arn ARN`, and use that with \
     `--describe-rules FILE`";
const TERRAFORM_SHOW: &str = "`terraform plan -out plan && terraform show -json plan > plan.json` writes a file for `--terraform \
     plan.json`";
const YAML_AND_JSON: &str = "Crossfade reads YAML and JSON";
const STARTER: &str = "`crossfade init` writes a starter file";

/// Programming languages by the extensions of their files.
const CODE: [(&str, &str); 13] = [
    ("ts", "TypeScript"),
    ("mts", "TypeScript"),
    ("cts", "TypeScript"),
    ("tsx", "TypeScript"),
    ("js", "JavaScript"),
    ("mjs", "JavaScript"),
    ("cjs", "JavaScript"),
    ("py", "Python"),
    ("go", "Go"),
    ("java", "Java"),
    ("cs", "C#"),
    ("rb", "Ruby"),
    ("sh", "a shell script"),
];

/// Files that name their kind in a folder, the likeliest first.
const IN_FOLDERS: [(&str, Kind); 12] = [
    ("serverless.yml", Kind::Serverless),
    ("serverless.yaml", Kind::Serverless),
    ("serverless.json", Kind::Serverless),
    ("serverless.ts", Kind::Serverless),
    ("serverless.js", Kind::Serverless),
    (".serverless/cloudformation-template-update-stack.json", Kind::Template),
    ("cloudformation-template-update-stack.json", Kind::Template),
    ("template.yaml", Kind::Template),
    ("template.yml", Kind::Template),
    ("template.json", Kind::Template),
    ("rules.json", Kind::DescribeRules),
    ("crossfade.yaml", Kind::Configuration),
];

/// Reads a file that is expected to be of a kind, up to one byte more than a document may have.
///
/// # Errors
///
/// [`SourceError::Read`], and [`SourceError::Foreign`] for a file that its name or its first bytes show to be another one.
pub fn bytes(file: &Path, expected: Kind) -> Result<Vec<u8>, SourceError> {
    use std::io::Read;
    let unreadable = |error| SourceError::Read { file: file.to_owned(), error };
    let foreign = |(what, hint): (String, String)| SourceError::Foreign { file: file.to_owned(), what, hint };
    let metadata = std::fs::metadata(file).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(foreign(folder(file, expected)));
    }
    if let Some(found) = by_name(file, expected) {
        return Err(foreign(found));
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_TEXT).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(file).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(unreadable)?;
    match by_bytes(&bytes, expected) {
        Some((what, hint)) => Err(foreign((what.to_owned(), hint.to_owned()))),
        None => Ok(bytes),
    }
}

fn folder(file: &Path, expected: Kind) -> (String, String) {
    let likely = IN_FOLDERS.iter().filter(|(name, _)| file.join(name).is_file());
    let known = likely.clone().find(|(_, kind)| *kind == expected).or_else(|| likely.clone().next());
    let hint = match known {
        Some((name, kind)) => format!("name the file in it: `{} {}`", kind.option(), file.join(name).display()),
        None => match synthesized(file) {
            Some(template) => format!("name the file in it: `--template {}`", template.display()),
            None => "name a file".to_owned(),
        },
    };
    ("a folder".to_owned(), hint)
}

/// Returns the first template that `cdk synth` has written to a folder.
fn synthesized(folder: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    files.filter(|file| file.to_string_lossy().ends_with(".template.json")).min()
}

fn by_name(file: &Path, expected: Kind) -> Option<(String, String)> {
    let part = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().to_ascii_lowercase());
    let extension = part(file.extension())?;
    let is_serverless = part(file.file_stem())?.starts_with("serverless");
    if let Some((_, language)) = CODE.iter().find(|(known, _)| *known == extension) {
        let hint = match expected {
            Kind::Configuration => STARTER,
            Kind::DescribeRules => DESCRIBE_RULES,
            Kind::Terraform => TERRAFORM_SHOW,
            _ if is_serverless => SERVERLESS_PACKAGE,
            _ => SYNTH,
        };
        return Some((format!("code ({language}), which Crossfade does not run"), hint.to_owned()));
    }
    match extension.as_str() {
        "tf" | "hcl" if expected == Kind::Configuration => {
            Some(("Terraform code, which Crossfade does not run".to_owned(), STARTER.to_owned()))
        }
        "tf" | "hcl" => Some(("Terraform code, which Crossfade does not run".to_owned(), TERRAFORM_SHOW.to_owned())),
        "toml" => Some(("TOML".to_owned(), YAML_AND_JSON.to_owned())),
        _ => None,
    }
}

fn by_bytes(bytes: &[u8], expected: Kind) -> Option<(&'static str, &'static str)> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let begins =
        |start: &str| text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start.as_bytes()));
    if text.is_empty() || matches!(bytes, [0xff, 0xfe] | [0xfe, 0xff]) {
        let hint = match expected {
            Kind::Configuration => STARTER,
            _ => "check the path, and that the command that writes it succeeds",
        };
        return Some(("empty", hint));
    }
    // A saved plan is a ZIP archive.
    let is_plan = expected == Kind::Terraform;
    let unpack = if is_plan { TERRAFORM_SHOW } else { "unpack it, and name the file in it" };
    let page = "download the file itself, not the page that shows it";
    let json = "run it with `--output json`";
    let show = if expected == Kind::Configuration { STARTER } else { TERRAFORM_SHOW };
    let known = [
        // One event a line, which is no document.
        ("{\"@level\"", "the log of `terraform plan -json`", show),
        ("PK\u{3}\u{4}", "a ZIP archive", unpack),
        ("<!doctype html", "a web page (HTML)", page),
        ("<html", "a web page (HTML)", page),
        ("<?xml", "XML", YAML_AND_JSON),
        ("%PDF-", "a PDF", YAML_AND_JSON),
        ("RULES\t", "text of the AWS CLI", json),
        ("-----", "a table of the AWS CLI", json),
    ];
    let found = known.into_iter().find(|(start, ..)| begins(start)).map(|(_, what, hint)| (what, hint));
    // `---` and more is also YAML.
    let is_table = text.windows(b"Describe".len()).take(1000).any(|window| window == b"Describe");
    let found = found.filter(|(_, hint)| *hint != json || !text.starts_with(b"-") || is_table);
    found.or_else(|| bytes.starts_with(b"\x1f\x8b").then_some(("compressed (gzip)", "decompress it with `gunzip`")))
}

/// Returns what a text is and what to do, if its keys show that it is not of the expected kind. `None` as well for an unknown
/// kind.
#[must_use]
pub fn by_text(text: &str, expected: Kind) -> Option<(&'static str, String)> {
    let (document, _) = super::node::parse(text, 0, &super::dialect::OUTPUT).ok()?;
    by_keys(|name| document.get(name).is_some(), expected)
}

fn by_keys(has: impl Fn(&str) -> bool, expected: Kind) -> Option<(&'static str, String)> {
    let any = |names: &[&str]| names.iter().any(|name| has(name));
    let found = if any(&["backends", "routes"]) || (has("version") && has("default")) {
        Kind::Configuration
    } else if has("Resources") {
        Kind::Template
    } else if any(&["Rules", "Listeners", "TargetGroups", "LoadBalancers"]) {
        Kind::DescribeRules
    } else if any(&["planned_values", "prior_state"]) || (has("format_version") && has("terraform_version")) {
        Kind::Terraform
    } else if has("format_version") && expected == Kind::Terraform {
        // An empty state has nothing else.
        return None;
    } else if any(&["functions", "provider", "service"]) {
        Kind::Serverless
    } else {
        let other = [
            (&["terraform_version", "serial"][..], "Terraform's own file of the state", TERRAFORM_SHOW),
            (&["@level", "@message"], "the log of `terraform plan -json`", TERRAFORM_SHOW),
            (&["apiVersion", "kind"], "a manifest of Kubernetes", DESCRIBE_RULES),
            (&["openapi", "paths"], "an OpenAPI document", DESCRIBE_RULES),
            (&["swagger", "paths"], "an OpenAPI document", DESCRIBE_RULES),
            (&["services"], "a file of Docker Compose", DESCRIBE_RULES),
        ];
        let found = other.into_iter().find(|(names, ..)| names.iter().all(|name| has(name)));
        return found
            .map(|(_, what, hint)| (what, if expected == Kind::Configuration { STARTER } else { hint }.to_owned()));
    };
    let hint = match (expected, found.option()) {
        _ if found == expected => return None,
        (Kind::Configuration, option) => {
            format!(
                "`crossfade init {option} FILE` turns its rules into a configuration; `{option} FILE` reads them for `dev` and `explain`"
            )
        }
        (_, option) => format!("use it with `{option}`"),
    };
    Some((found.name(), hint))
}

/// Like [`by_text`], for a parsed document. A document without keys, such as plain text, is always of another kind.
pub(super) fn by_document(document: &Node, expected: Kind) -> Option<(&'static str, String)> {
    match &document.value {
        Value::Scalar(scalar) if scalar.is_null() => Some(("without content", "check the path".to_owned())),
        Value::Scalar(_) => Some(("plain text", format!("name {}", expected.name()))),
        Value::List(items) => by_keys(|name| items.iter().any(|item| item.get(name).is_some()), expected),
        _ => by_keys(|name| document.get(name).is_some(), expected),
    }
}

/// Kinds of resources that serve requests without an Application Load Balancer's rules, or that have it elsewhere.
const FRONT_ENDS: [(&str, &str); 13] = [
    ("AWS::ElasticLoadBalancing::LoadBalancer", "a Classic Load Balancer"),
    ("AWS::ApiGateway::RestApi", "a REST API"),
    ("AWS::Serverless::Api", "a REST API"),
    ("AWS::ApiGatewayV2::Api", "an HTTP or WebSocket API"),
    ("AWS::Serverless::HttpApi", "an HTTP API"),
    ("AWS::Lambda::Url", "a function URL"),
    ("AWS::VpcLattice::Service", "a VPC Lattice service"),
    ("AWS::CloudFront::Distribution", "a CloudFront distribution"),
    ("AWS::ElasticLoadBalancingV2::TargetGroup", "a target group"),
    ("AWS::ECS::Service", "an ECS service"),
    ("AWS::EKS::Cluster", "an EKS cluster"),
    ("AWS::CloudFormation::Stack", "a nested stack"),
    ("AWS::Serverless::Application", "a nested stack"),
];
/// The most resources that a message lists.
const MOST_LISTED: usize = 4;

/// Returns why a valid file has no listener and no rule, and what to do.
pub(super) fn nothing(document: &Node, kind: Kind) -> (String, &'static str) {
    let elsewhere = "name the template with the listeners and rules, or save the output of `aws elbv2 describe-rules \
         --listener-arn ARN` and use `--describe-rules`; without rules, `crossfade dev` needs no file";
    if kind == Kind::Terraform {
        return ("the file has no listener and no rule".to_owned(), TERRAFORM_SHOW);
    }
    if kind == Kind::DescribeRules {
        return ("the file defines no listener and no rule: `Rules` is empty".to_owned(), "check the listener's ARN");
    }
    let resources = document.get("Resources").map_or(&[][..], Node::members);
    let mut found: Vec<(&str, &str)> =
        resources.iter().filter_map(|(key, resource)| Some((&*key.name, instead(resource)?))).collect();
    found.dedup_by_key(|(_, what)| *what);
    let more = found.len().saturating_sub(MOST_LISTED);
    let listed = found.iter().take(MOST_LISTED).map(|(name, what)| format!("`{}` is {what}", excerpt(name)));
    let mut listed = listed.collect::<Vec<_>>().join("; ");
    if more > 0 {
        listed += &format!("; and {more} more");
    }
    let message = "the template has no listener and no rule of an Application Load Balancer";
    match listed.is_empty() {
        true => (message.to_owned(), elsewhere),
        false => (format!("{message}: {listed}"), elsewhere),
    }
}

/// Names the resource if it serves requests in place of listeners and rules.
fn instead(resource: &Node) -> Option<&'static str> {
    let kind = resource.get("Type")?.as_text()?;
    let property = |name: &str| resource.at(&["Properties", name]);
    let text = |name: &str| property(name).and_then(Node::as_text);
    match kind {
        "AWS::ElasticLoadBalancingV2::LoadBalancer" => Some(match text("Type") {
            Some("network") => "a Network Load Balancer, which has no rules",
            Some("gateway") => "a Gateway Load Balancer, which has no rules",
            _ => "an Application Load Balancer without listeners",
        }),
        "AWS::ElasticLoadBalancingV2::Listener" => Some(match text("Protocol") {
            Some("TCP" | "UDP" | "TLS" | "TCP_UDP" | "GENEVE") => "a listener of another kind of load balancer",
            _ => "a listener whose condition is false",
        }),
        "AWS::ElasticLoadBalancingV2::ListenerRule" => Some("a rule whose condition is false"),
        "AWS::Serverless::Function" => {
            let events = property("Events").map_or(&[][..], Node::members);
            let is_api =
                |(_, event): &(_, Node)| matches!(event.get("Type").and_then(Node::as_text), Some("Api" | "HttpApi"));
            let is_url = property("FunctionUrlConfig").is_some();
            if is_url {
                Some("a function URL")
            } else {
                events.iter().any(is_api).then_some("a function behind an API")
            }
        }
        _ => FRONT_ENDS.iter().find(|(known, _)| *known == kind).map(|(_, what)| *what),
    }
}
