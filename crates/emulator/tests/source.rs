//! Files that rules come from, and what is made of them. Each folder in `source/` is a case: `serverless.yml`,
//! `template.yml`, `template.json`, `rules.json` or `plan.json`, perhaps `options.txt`, and `expected.txt`: the table and the
//! warnings, or the mistakes. `BLESS=1` writes that anew.
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crossfade_emulator::source::{self, Loaded, Options, SourceError};
use crossfade_testkit::folder::Folder;
use proptest::prelude::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/source")
}

/// `lenient`, `stage NAME`, `region NAME`, `opt A=B`, `param A=B`, `env A=B`, one in each line.
fn options(text: &str) -> Options {
    let mut options = Options::default();
    for line in text.lines() {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        let pair = || value.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
        match name {
            "lenient" => options.lenient = true,
            "stage" => options.stage = Some(value.to_owned()),
            "region" => options.region = Some(value.to_owned()),
            "opt" => options.options.push(pair()),
            "param" => options.parameters.push(pair()),
            "env" => options.environment.push(pair()),
            _ => panic!("{line}"),
        }
    }
    options
}

fn load(file: &Path, options: &Options) -> Result<Loaded, SourceError> {
    match file.file_name().unwrap().to_str().unwrap() {
        "serverless.yml" => source::serverless(file, options),
        "rules.json" => source::describe_rules(file, options),
        "plan.json" => source::terraform(file, options),
        _ => source::cloudformation(file, options),
    }
}

fn shown(loaded: Result<Loaded, SourceError>) -> String {
    match loaded {
        Ok(Loaded { settings, warnings, left_out, .. }) => {
            let mut text = source::table(&settings);
            for (function, names) in settings.functions.iter().zip(left_out).filter(|(_, names)| !names.is_empty()) {
                let _ = writeln!(text, "\n{} goes without {}", function.name, names.join(" "));
            }
            for warning in warnings {
                let _ = write!(text, "\n{warning}\n");
            }
            text
        }
        Err(mistakes) => format!("{mistakes}\n"),
    }
}

#[test]
fn each_file_gives_its_table_or_its_mistakes() {
    let mut wrong = String::new();
    let mut cases: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 30, "{}", cases.len());
    for case in cases {
        let names = ["serverless.yml", "template.yml", "template.json", "rules.json", "plan.json"];
        let file = names.iter().map(|name| case.join(name)).find(|file| file.exists()).unwrap();
        let options = options(&fs::read_to_string(case.join("options.txt")).unwrap_or_default());
        let actual = shown(load(&file, &options)).replace(&format!("{}/", case.display()), "");
        let golden = case.join("expected.txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &actual).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if expected != actual {
            let _ = write!(wrong, "{}\n--- expected\n{expected}\n--- actual\n{actual}\n", case.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A file in a folder that goes when the test ends.
fn in_file(name: &str, text: &str, options: &Options) -> Result<Loaded, SourceError> {
    let folder = Folder::new();
    load(Path::new(&folder.write(name, text)), options)
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let none = source::serverless(Path::new("/nowhere/serverless.yml"), &Options::default()).unwrap_err();
    assert!(none.to_string().starts_with("cannot read `/nowhere/serverless.yml`: "), "{none}");
    let device = source::cloudformation(Path::new("/dev/null"), &Options::default()).unwrap_err();
    assert!(device.to_string().starts_with("`/dev/null` is empty"), "{device}");
}

/// Files that users name by mistake: each says what it is and what to do.
#[test]
fn other_files_say_what_they_are() {
    type Reader = fn(&Path, &Options) -> Result<Loaded, SourceError>;
    let (serverless, template, rules, terraform): (Reader, Reader, Reader, Reader) =
        (source::serverless, source::cloudformation, source::describe_rules, source::terraform);
    const CONFIGURATION: &str = "version: 1\nbackends: { a: https://a.example }\ndefault: { forward: a }\n";
    for (name, content, read, what, hint) in [
        (
            "serverless.ts",
            "export = {}",
            serverless,
            "code (TypeScript), which Crossfade does not run",
            "`osls package` writes",
        ),
        (
            "serverless.JS",
            "module.exports = {}",
            serverless,
            "code (JavaScript), which",
            "--template .serverless/cloudformation-",
        ),
        ("serverless.cjs", "", serverless, "code (JavaScript)", "`osls package`"),
        ("serverless.mjs", "", template, "code (JavaScript)", "`osls package`"),
        ("app.ts", "import * as cdk", template, "code (TypeScript)", "`cdk synth`"),
        ("stack.py", "import aws_cdk", serverless, "code (Python)", "`cdk synth`"),
        ("main.tf", "resource {}", template, "Terraform code", "`--terraform plan.json`"),
        ("serverless.toml", "a = 1", serverless, "TOML", "YAML and JSON"),
        ("a.yml", "", serverless, "empty", "check the path"),
        ("a.yml", " \r\n\t\n", template, "empty", "check the path"),
        ("a.json", "\u{feff}", rules, "empty", "check the path"),
        ("a.yml", "# nothing\n", serverless, "without content", "check the path"),
        ("a.zip", "PK\u{3}\u{4}\u{14}\u{0}", template, "a ZIP archive", "unpack it"),
        ("a.yml", "\n<!DOCTYPE html>\n<html></html>", serverless, "a web page (HTML)", "download the file itself"),
        ("a.yml", "<HTML lang=en>", serverless, "a web page (HTML)", "download"),
        ("a.xml", "<?xml version='1.0'?>", rules, "XML", "YAML and JSON"),
        ("a.txt", "-------------\n|  DescribeRules  |\n", rules, "a table of the AWS CLI", "--output json"),
        ("a.txt", "RULES\tTrue\tdefault\n", rules, "text of the AWS CLI", "--output json"),
        ("README.md", "Our service", serverless, "plain text", "a file of the Serverless Framework"),
        ("a.yml", "Resources: {}", serverless, "a CloudFormation template", "`--template`"),
        ("a.yml", "service: a", template, "a file of the Serverless Framework", "`--serverless`"),
        ("a.json", "[{\"Rules\": []}]", template, "the output of `aws elbv2 describe-rules`", "`--describe-rules`"),
        ("a.yml", CONFIGURATION, serverless, "a configuration of Crossfade", "`--config`"),
        ("a.yml", CONFIGURATION, rules, "a configuration of Crossfade", "`--config`"),
        (
            "a.json",
            "{\"format_version\": \"1.2\", \"terraform_version\": \"1.9\"}",
            template,
            "a plan or state of Terraform",
            "`--terraform`",
        ),
        (
            "a.json",
            "{\"version\": 4, \"terraform_version\": \"1.9\", \"serial\": 1}",
            terraform,
            "Terraform's own file",
            "terraform show -json",
        ),
        ("plan", "PK\u{3}\u{4}", terraform, "a ZIP archive", "terraform show -json plan"),
        ("a.json", "{\"@level\": \"info\", \"@message\": \"x\"}", terraform, "the log of", "terraform show -json"),
        ("a.json", "{\"@level\":\"info\"}\n{\"@level\":\"info\"}\n", terraform, "the log of", "terraform show -json"),
        ("a.yml", "Resources: {}", terraform, "a CloudFormation template", "`--template`"),
        ("a.yml", "apiVersion: v1\nkind: Ingress", template, "a manifest of Kubernetes", "describe-rules"),
        ("a.yml", "services: {}", serverless, "a file of Docker Compose", "describe-rules"),
    ] {
        let folder = Folder::new();
        let file = folder.write(name, content);
        let error = read(Path::new(&file), &Options::default()).unwrap_err().to_string();
        let rest = error.strip_prefix(&format!("`{file}` is {what}"));
        assert!(
            rest.is_some_and(|rest| rest.contains("\n  hint: ") && rest.contains(hint)),
            "{name} {content:?}: {error}"
        );
    }
    let zipped = Folder::new();
    fs::write(zipped.path().join("a.yml"), b"\x1f\x8b\x08\x00").unwrap();
    let error = serverless(&zipped.path().join("a.yml"), &Options::default()).unwrap_err().to_string();
    assert!(error.contains("compressed (gzip)"), "{error}");
}

#[test]
fn a_folder_names_the_file_in_it() {
    let folder = Folder::new();
    let error = || source::cloudformation(folder.path(), &Options::default()).unwrap_err().to_string();
    assert!(error().ends_with("is a folder\n  hint: name a file"), "{}", error());
    folder.write("shop.template.json", "{}");
    assert!(error().ends_with("/shop.template.json`"), "{}", error());
    folder.write("serverless.yml", "");
    assert!(error().contains("hint: name the file in it: `--serverless "), "{}", error());
    folder.write("template.yaml", "");
    assert!(error().ends_with("/template.yaml`") && error().contains("`--template "), "{}", error());
}

/// Windows PowerShell writes UTF-16 with `>`, and other tools a byte order mark.
#[test]
fn every_encoding_is_read() {
    type Encoding = fn(&str) -> Vec<u8>;
    let encodings: [Encoding; 4] = [
        |text| [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        |text| text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        |text| [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect(),
        |text| [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect(),
    ];
    let include = "provider: ${file(provider.yml)}\nuseDotenv: true\nfunctions: { f: { handler: '${env:H}', events: [{ alb: { listenerArn: x, priority: 1, conditions: { path: /ä } } }] } }\n";
    let include = include.replace("/ä", "/a");
    let seeds = SEEDS.into_iter().chain([("serverless.yml", include.as_str())]);
    for ((name, text), encoding) in seeds.flat_map(|seed| encodings.map(|encoding| (seed, encoding))) {
        let folder = Folder::new();
        for (name, text) in [(name, text), ("provider.yml", "stage: grün\n"), (".env", "H=größe\n")] {
            fs::write(folder.path().join(name), encoding(&text.replace('\n', "\r\n"))).unwrap();
        }
        let loaded =
            load(&folder.path().join(name), &Options::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!loaded.settings.listeners.is_empty(), "{name}");
        if text == include {
            let function = &loaded.settings.functions[0];
            assert_eq!((function.name.as_str(), function.handler.as_str()), ("service-grün-f", "größe"));
        }
    }
    let error = in_bytes("serverless.yml", b"a: \xff\xff");
    assert!(error.ends_with(": it is neither UTF-8 nor UTF-16"), "{error}");
}

fn in_bytes(name: &str, bytes: &[u8]) -> String {
    let folder = Folder::new();
    fs::write(folder.path().join(name), bytes).unwrap();
    load(&folder.path().join(name), &Options::default()).unwrap_err().to_string()
}

/// More than a load balancer, or a terminal, can take.
#[test]
fn large_files_end_in_a_moment_and_are_told_in_part() {
    let event = |priority| {
        format!("      - alb: {{ listenerArn: a, priority: {priority}, conditions: {{ path: /{priority} }} }}\n")
    };
    let many: String = (1..=101).map(event).collect();
    let text = format!("functions:\n  a:\n    events:\n{many}");
    let mistakes = in_file("serverless.yml", &text, &Options::default()).unwrap_err();
    assert!(mistakes.to_string().ends_with(": 101 rules, but ALB allows 100 per load balancer"), "{mistakes}");
    let lenient = Options { lenient: true, ..Options::default() };
    assert_eq!(in_file("serverless.yml", &text, &lenient).unwrap().settings.listeners[0].rules.len(), 101);

    let wrong = "      - alb: { priority: x }\n".repeat(20_000);
    let mistakes = in_file("serverless.yml", &format!("functions:\n  a:\n    events:\n{wrong}"), &Options::default());
    let mistakes = mistakes.unwrap_err();
    assert_eq!(mistakes.count(), 1000);
    assert!(mistakes.to_string().ends_with("… and 900 more"));

    // Expressions that lead nowhere, and values that are unknown throughout.
    let resource = |kind: &str, number: u32, values: &str| {
        let address = format!("{kind}.r[{number}]");
        format!(r#"{{"address":"{address}","type":"{kind}","name":"r","index":{number},"values":{values}}}"#)
    };
    let rule =
        r#"{"listener_arn":"arn:a","priority":1,"action":[{"type":"forward"}],"condition":[{"source_ip":[{}]}]}"#;
    let kinds = [
        ("aws_lb_target_group", r#"{"target_type":"lambda"}"#),
        ("aws_lb_target_group_attachment", "{}"),
        ("aws_lb_listener_rule", rule),
    ];
    let all: Vec<String> =
        kinds.iter().flat_map(|(kind, values)| (0..1_200).map(|number| resource(kind, number, values))).collect();
    let references = vec![r#""var.a","aws_lb_target_group.r""#; 1_000].join(",");
    let text = format!(
        r#"{{"format_version":"1.2","planned_values":{{"root_module":{{"resources":[{}]}}}},"configuration":{{"root_module":{{"resources":[
            {{"address":"aws_lb_listener_rule.r","expressions":{{"action":[{{"target_group_arn":{{"references":[{references}]}}}}]}}}}]}}}}}}"#,
        all.join(",")
    );
    assert_eq!(in_file("plan.json", &text, &Options::default()).unwrap_err().count(), 1_000);

    let resources: String = (0..20_000).map(|number| format!("  R{number}: {{ Type: AWS::SNS::Topic }}\n")).collect();
    assert!(in_file("template.yml", &format!("Resources:\n{resources}"), &Options::default()).is_err());
}

/// A few lines that stand for billions of characters, nodes or steps.
#[test]
fn what_multiplies_is_stopped() {
    let laughs = |open: &str, close: &str| {
        let mut text = String::from("custom:\n  a0: ha\n");
        for level in 1..60 {
            let below = format!("${{self:custom.a{}}}", level - 1);
            let _ = writeln!(text, "  a{level}: {open}{below}{close}{below}");
        }
        text + "functions:\n  f: ${self:custom.a20}\n  g: ${self:custom.a59}\n"
    };
    for text in [laughs("'", "'"), laughs("", ""), laughs("{ x: ", ", y: ").replace("}\n", "} }\n")] {
        assert!(in_file("serverless.yml", &text, &Options::default()).is_err());
    }
    let mut conditions = String::from("Conditions:\n  C0: !Equals [a, b]\n");
    let mut parameters = String::new();
    for level in 1..60 {
        let below = level - 1;
        let _ = writeln!(conditions, "  C{level}: !And [!Condition C{below}, !Not [!Condition C{below}]]");
        let _ = writeln!(
            parameters,
            "  F{level}: {{ Type: AWS::Lambda::Function, Properties: {{ FunctionName: !Sub '${{F{below}}}${{F{below}}}' }} }}"
        );
    }
    let text = format!("{conditions}Resources:\n  F0: {{ Type: AWS::Lambda::Function, Condition: C59 }}\n{parameters}");
    assert!(in_file("template.yml", &text, &Options::default()).is_err());
}

/// Small files of the three kinds, of which the parts below are mixed.
const SEEDS: [(&str, &str); 5] = [
    (
        "serverless.yml",
        "service: s\nprovider: { stage: '${opt:stage, \"dev\"}' }\ncustom: { a: { dev: /x }, b: '${self:custom.a.${sls:stage}}' }\nfunctions:\n  f:\n    handler: h\n    environment: { A: '${env:A}', B: !Ref C }\n    events:\n      - alb:\n          listenerArn: { Ref: L }\n          priority: 1\n          multiValueHeaders: ${strToBool(true)}\n          healthCheck: { path: / }\n          conditions: { path: ['${self:custom.b}'], query: { a: b, c: d }, header: { name: x, values: [y] } }\nresources:\n  Resources:\n    L: { Type: AWS::ElasticLoadBalancingV2::Listener, Properties: { Port: 80, Protocol: HTTP, DefaultActions: [{ Type: fixed-response, FixedResponseConfig: { StatusCode: 404 } }] } }\n",
    ),
    (
        "template.yml",
        "Parameters: { P: { Type: String, Default: /p } }\nConditions: { C: !Equals [!Ref P, /p] }\nMappings: { M: { a: { b: c.example.com } } }\nResources:\n  F: { Type: AWS::Serverless::Function, Properties: { Handler: h } }\n  G: { Type: AWS::ElasticLoadBalancingV2::TargetGroup, Properties: { TargetType: lambda, Targets: [{ Id: !GetAtt F.Arn }] } }\n  L: { Type: AWS::ElasticLoadBalancingV2::Listener, Properties: { Port: 443, Protocol: HTTPS, DefaultActions: [{ Type: redirect, RedirectConfig: { StatusCode: HTTP_301, Host: 'a.#{host}' } }] } }\n  R: { Type: AWS::ElasticLoadBalancingV2::ListenerRule, Condition: C, Properties: { ListenerArn: !Ref L, Priority: 1, Conditions: [{ Field: path-pattern, PathPatternConfig: { Values: [!Sub '${P}/*', !Join ['', [/a, b]]] } }, { Field: host-header, Values: [!FindInMap [M, a, b]] }], Transforms: [{ Type: url-rewrite, UrlRewriteConfig: { Rewrites: [{ Regex: '^/(a)', Replace: '/$1' }] } }], Actions: [{ Type: forward, ForwardConfig: { TargetGroups: [{ TargetGroupArn: !Ref G, Weight: 1 }], TargetGroupStickinessConfig: { Enabled: true, DurationSeconds: 5 } } }] } }\n",
    ),
    (
        "rules.json",
        "{\"Rules\": [{\"RuleArn\": \"arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/app/a/b/c/d\", \"Priority\": \"1\", \"Conditions\": [{\"Field\": \"query-string\", \"QueryStringConfig\": {\"Values\": [{\"Key\": \"a\", \"Value\": \"b\"}]}}], \"Actions\": [{\"Type\": \"forward\", \"TargetGroupArn\": \"arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/t/1\"}]}, {\"Priority\": \"default\", \"Actions\": [{\"Type\": \"fixed-response\", \"FixedResponseConfig\": {\"StatusCode\": \"404\"}}]}]}",
    ),
    ("plan.json", include_str!("source/terraform-plan/plan.json")),
    ("plan.json", include_str!("source/terraform-references/plan.json")),
];

#[test]
fn the_seeds_are_good() {
    for (name, text) in SEEDS {
        if let Err(mistakes) = in_file(name, text, &Options::default()) {
            panic!("{mistakes}");
        }
    }
}

const PIECES: [&str; 30] = [
    "${self:}",
    "${self:custom}",
    "${self:functions}",
    "${file(serverless.yml)}",
    "${file(/dev/zero)}",
    "${",
    "}",
    "${env:",
    "!Ref ",
    "!Sub ",
    "!If [C, 1, !Ref 'AWS::NoValue']",
    "!GetAtt x",
    "!Select [9, []]",
    "!Split ['', a]",
    "[]",
    "{}",
    "null",
    "*a",
    "&a ",
    "<<: ",
    "\u{0}",
    "\u{e9}",
    "99999999999999999999",
    "${${self:custom.b}:${opt:stage}}",
    "{{resolve:ssm:",
    "!ImportValue ",
    "!FindInMap [M, !Ref AWS::AccountId, b]",
    "-0x_1:59.5e9",
    "yes",
    "{ P: 1, P: 2 }",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_makes_it_panic(
        seed in 0..SEEDS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..20_usize, 0..PIECES.len()), 1..6),
        lenient in any::<bool>(),
    ) {
        let (name, text) = SEEDS[seed];
        let mut characters: Vec<char> = text.chars().collect();
        for (at, removed, piece) in changes {
            let at = at.index(characters.len());
            let end = (at + removed).min(characters.len());
            characters.splice(at..end, PIECES[piece].chars());
            if characters.is_empty() {
                characters.push(' ');
            }
        }
        let text: String = characters.into_iter().collect();
        let options = Options { lenient, ..Options::default() };
        // Whatever it is: an answer, and no mistake without a place.
        if let Err(mistakes) = in_file(name, &text, &options) {
            prop_assert!(mistakes.count() > 0);
        }
    }

    #[test]
    fn no_noise_makes_it_panic(noise in "[ \\n:{}\\[\\],'\"!&*<a-cR$()-]{0,120}", seed in 0..SEEDS.len()) {
        let _ = in_file(SEEDS[seed].0, &noise, &Options::default());
    }
}
