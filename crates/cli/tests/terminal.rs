//! Text from files, logs, functions and the command line cannot control the terminal or imitate other text, in any command.
//! `report.rs` tests the output of reports.

use std::path::Path;
use std::process::{Command, Output};

use crossfade_testkit::client;
use serde_json::{Value, json};

use crate::support::Dev;

/// Clears the screen, rings, goes back, turns the direction of writing, hides, breaks lines.
const HOSTILE: &str =
    "\x1b[2J\x1b]0;x\x07\x08\r\x7f\u{9b}31m\u{202e}\u{2066}\u{200e}\u{61c}\u{200b}\u{feff}\u{2028}\u{2029}\u{ad}";

fn crossfade(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crossfade")).args(arguments).current_dir(folder).output().unwrap()
}

/// Written anew rather than asked of the code that is tested.
fn misleads(c: char) -> bool {
    let ranges = [
        ('\0', '\x08'),
        ('\x0b', '\x1f'),
        ('\x7f', '\u{9f}'),
        ('\u{ad}', '\u{ad}'),
        ('\u{61c}', '\u{61c}'),
        ('\u{200b}', '\u{200f}'),
        ('\u{2028}', '\u{202e}'),
        ('\u{2060}', '\u{206f}'),
        ('\u{feff}', '\u{feff}'),
    ];
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

#[track_caller]
fn assert_harmless(what: &str, text: &str) {
    let found: Vec<(usize, char)> = text.char_indices().filter(|(_, c)| misleads(*c)).collect();
    assert!(found.is_empty(), "{what} has {found:?}: {text:?}");
}

/// Output of a command: harmless, with its input in escaped form.
#[track_caller]
fn printed(folder: &Path, arguments: &[&str]) -> String {
    let output = crossfade(folder, arguments);
    let text = format!("{}{}", String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_harmless(&format!("{arguments:?}"), &text);
    text
}

#[track_caller]
fn tells_of_it(folder: &Path, arguments: &[&str]) -> String {
    let text = printed(folder, arguments);
    assert!(text.contains("u{202e}") || text.contains("\\u202e"), "{arguments:?}: {text}");
    text
}

/// As a string of YAML in ASCII alone.
fn yaml(text: &str) -> String {
    let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    format!("\"{escaped}\"")
}

#[test]
fn configurations_are_told_of_and_explained_harmlessly() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let hostile = yaml(HOSTILE);
    let value = yaml(&HOSTILE.replace(['\x1b', '\x07', '\x08', '\r', '\x7f', '\u{9b}'], ""));
    let good = format!(
        "version: 1\nbackends: {{ a: https://a.example }}\nroutes:\n  - {{ name: x, priority: 1, conditions: {{ path: '/x', \
         header: {{ name: x-a, values: [{value}] }} }}, forward: a }}\n  - {{ name: b, priority: 2, conditions: {{ path: '/*' }}, \
         forward: a, requestHeaders: {{ set: {{ x-b: {value} }} }} }}\ndefault: {{ forward: a }}\n\
         tests: [{{ request: 'GET https://a/y', expect: {{ upstream: {hostile}, location: {hostile} }} }}]\n"
    );
    std::fs::write(folder.join("crossfade.yaml"), good).unwrap();
    printed(folder, &["check"]);
    for path in ["x", "y"] {
        tells_of_it(folder, &["explain", &format!("https://a/{path}")]);
        let json = printed(folder, &["explain", "--json", &format!("https://a/{path}")]);
        serde_json::from_str::<Value>(&json).unwrap_or_else(|_| panic!("{json}"));
    }
    tells_of_it(folder, &["test"]);

    let raw: String = HOSTILE.chars().filter(|c| !c.is_control()).collect();
    for mistake in [
        format!("{hostile}: 1\n"),
        format!("backends: {{ {hostile}: 'x y' }}\n"),
        format!("backends: {{ a: {hostile} }}\n"),
        format!("default: {{ forward: {hostile} }}\n"),
        format!("routes: [{{ name: {hostile}, priority: x }}]\n"),
        format!(
            "routes: [{{ name: a, priority: 1, conditions: {{ path: [{{ regex: {} }}] }} }}]\n",
            yaml(&format!("({HOSTILE}"))
        ),
        // Beside the error, in the line that is shown.
        format!("backends: {{ a: 7, b: '{raw}' }}\n"),
        format!("# {raw}\nnothing: '{raw}'\n"),
        format!("a: {HOSTILE}\n"),
    ] {
        std::fs::write(folder.join("wrong.yaml"), format!("version: 1\n{mistake}")).unwrap();
        for arguments in [
            &["check", "wrong.yaml"][..],
            &["test", "wrong.yaml"],
            &["explain", "--config", "wrong.yaml", "https://a/"],
            &["dev", "--port", "0", "--config", "wrong.yaml"],
        ] {
            let text = printed(folder, arguments);
            assert!(text.contains("wrong.yaml"), "{text}");
        }
        let json: Value = serde_json::from_str(&printed(folder, &["check", "--json", "wrong.yaml"])).unwrap();
        assert!(json["errors"].as_u64().unwrap() > 0, "{json}");
    }
}

/// The caret points at the error, also after escaped characters.
#[test]
fn excerpts_point_right() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("a.yaml"),
        "version: 1\nbackends: { \"\u{202e}\u{200b}b\": https://b.example, c: 7 }\n",
    )
    .unwrap();
    let text = printed(folder.path(), &["check", "a.yaml"]);
    let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
    let at =
        lines.iter().position(|line| line.last() == Some(&'^') && line.len() > 40).unwrap_or_else(|| panic!("{text}"));
    assert_eq!(lines[at - 1][lines[at].len() - 1], '7', "{text}");
}

#[test]
fn files_with_rules_are_told_of_harmlessly() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let service = |conditions: &str, name: &str| {
        format!(
            "service: shop\nprovider: {{ name: aws, runtime: nodejs22.x }}\nfunctions:\n  {name}:\n    handler: a.b\n    events:\n      \
             - alb: {{ listenerArn: a, priority: 1, conditions: {conditions} }}\n"
        )
    };
    let hostile = yaml(HOSTILE);
    let header = format!("{{ path: '/x', header: {{ name: x-a, values: [{hostile}] }} }}");
    let rule = |values: Value| {
        json!({ "Rules": [{ "RuleArn": HOSTILE, "Priority": "1", "IsDefault": false,
            "Conditions": [{ "Field": "http-header", "HttpHeaderConfig": { "HttpHeaderName": "x-a", "Values": values } }],
            "Actions": [{ "Type": "fixed-response", "FixedResponseConfig": { "StatusCode": "200", "MessageBody": HOSTILE } }] }] })
        .to_string()
    };
    let template = |kind: &str| {
        json!({ "Resources": { HOSTILE: { "Type": kind, "Properties": { "Port": HOSTILE, HOSTILE: 1 } } }, HOSTILE: 1 })
            .to_string()
    };
    let files = [
        ("--serverless", service(&header, "web")),
        ("--serverless", service("{ path: 7 }", &hostile)),
        ("--serverless", service(&format!("{{ {hostile}: 1 }}"), "web")),
        ("--serverless", service(&format!("{{ path: '/', method: {hostile} }}"), "web")),
        ("--serverless", service("{ path: '${env:\u{202e}}' }", "web")),
        ("--serverless", format!("{HOSTILE}: [\n")),
        ("--describe-rules", rule(json!([HOSTILE]))),
        ("--describe-rules", rule(json!(HOSTILE))),
        ("--describe-rules", format!("{{\"{HOSTILE}")),
        ("--template", template("AWS::ElasticLoadBalancingV2::Listener")),
        ("--template", template("AWS::ElasticLoadBalancingV2::ListenerRule")),
        ("--template", template(HOSTILE)),
    ];
    let mut told = 0;
    std::fs::write(
        folder.join("crossfade.yaml"),
        "version: 1\nbackends: { a: https://a.example }\ndefault: { forward: a }\n",
    )
    .unwrap();
    for (option, text) in files {
        std::fs::write(folder.join("rules"), &text).unwrap();
        for arguments in [
            &["dev", "--list-rules", option, "rules"][..],
            &["dev", "--list-rules", "--lenient", option, "rules"],
            &["init", "--output", "-", option, "rules"],
            &["init", "--output", "new.yaml", "--force", option, "rules"],
            &["explain", option, "rules", "https://a/x"],
            &["explain", "--json", option, "rules", "https://a/x"],
        ] {
            let text = printed(folder, arguments);
            told += usize::from(text.contains("202e"));
        }
    }
    assert!(told > 20, "{told}");
    // What is written instead is the same text.
    std::fs::write(folder.join("rules"), service(&header, "web")).unwrap();
    printed(folder, &["init", "--output", "new.yaml", "--force", "--serverless", "rules"]);
    let file = std::fs::read_to_string(folder.join("new.yaml")).unwrap();
    assert_harmless("the file that init writes", &file);
}

#[test]
fn the_command_line_is_told_of_harmlessly() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for arguments in [
        &["check", HOSTILE][..],
        &["explain", HOSTILE],
        &["explain", &format!("https://a/{HOSTILE}")],
        &["explain", "https://a/", "-H", HOSTILE],
        &["explain", "https://a/", "--ip", HOSTILE],
        &["report", HOSTILE],
        &["report", "--gate", HOSTILE],
        &["init", "--output", &format!("no/such/{HOSTILE}")],
        &["dev", "--function", HOSTILE],
        &["dev", "--attribute", HOSTILE],
        &["dev", "--timeout", HOSTILE],
        &["dev", &format!("--{HOSTILE}")],
        &[HOSTILE],
    ] {
        let text = tells_of_it(folder, arguments);
        assert!(text.starts_with("error: "), "{arguments:?}: {text}");
    }
}

/// The banner, a function's lines and its requests.
#[test]
fn dev_tells_harmlessly() {
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("a\u{202e}\x1b[2J\x07");
    std::fs::create_dir(&named).unwrap();
    let file = named.join("function.sh");
    let lines = "\\033[2J\\007\\r\\010 \\342\\200\\256 \\302\\233 told";
    std::fs::write(&file, format!("printf '{lines}\\n{lines}\\n' >&2\nexec sleep 600\n")).unwrap();
    let command = format!("sh {}", shell_words(&file));
    let comparisons = named.join("comparisons.log");
    let dev = Dev::start(&[
        "--function",
        &command,
        "--comparisons",
        comparisons.to_str().unwrap(),
        "--timeout",
        "1s",
        "--no-inspect",
    ]);
    assert_harmless("the banner", &dev.banner);
    assert!(dev.banner.contains("\\u{202e}"), "{}", dev.banner);
    let _ = client::get(&dev.alb, "/%1b?\u{202e}");
    for line in [dev.told("told"), dev.told("told"), dev.next_line()] {
        assert_harmless("a line", &line);
    }
    assert!(dev.stop("-INT").success());
}

fn shell_words(file: &Path) -> String {
    format!("'{}'", file.display())
}

#[test]
fn a_line_break_of_others_begins_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = "version: 1\nbackends: { a: https://a.example }\nroutes:\n  - { name: \"r1\\nforged: ok\", priority: 1, \
                conditions: { path: \"x\\nforged: ok\" }, forward: \"b\\nforged: ok\" }\ndefault: { forward: a }\n";
    std::fs::write(folder.path().join("crossfade.yaml"), text).unwrap();
    for arguments in [
        &["check"][..],
        &["explain", "https://h.example/"],
        &["explain", "https://h.example/y\nforged: ok"],
        &["explain", "GET\nforged: ok", "https://h.example/"],
    ] {
        let text = printed(folder.path(), arguments);
        assert!(text.contains("forged: ok"), "{arguments:?}: {text}");
        assert!(!text.lines().any(|line| line.starts_with("forged")), "{arguments:?}: {text}");
    }
}
