//! `crossfade export alb-rules` from outside: its three forms, and that a load balancer with the rules chooses as the routes do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/export");

fn crossfade(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crossfade")).current_dir(folder).args(arguments).output().unwrap()
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = crossfade(folder, arguments);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// A folder with the configuration of these tests.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(Path::new(CASES).join("crossfade.yaml"), folder.path().join("crossfade.yaml")).unwrap();
    folder
}

#[test]
fn the_three_forms_are_the_golden_ones() {
    let folder = folder();
    for (format, name) in [("cli", "rules.sh"), ("cloudformation", "rules.json"), ("terraform", "rules.tf")] {
        let output = crossfade(folder.path(), &["export", "alb-rules", "--format", format]);
        assert_eq!(output.status.code(), Some(1));
        let list = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            list,
            "route `orders` needs the function: its users are on several back ends, by `weight`, `pin`, `otherwise` or `optIn`\n\
             route `carts` loses: `retry` of back end `modern`\n"
        );
        let (text, file) = (String::from_utf8(output.stdout).unwrap(), PathBuf::from(CASES).join(name));
        if std::env::var_os("BLESS").is_some() {
            fs::write(&file, &text).unwrap();
        }
        assert!(
            text == fs::read_to_string(&file).unwrap_or_default(),
            "{name} is another one; BLESS=1 writes it:\n{text}"
        );
    }
}

#[test]
fn a_load_balancer_with_the_rules_chooses_as_the_routes_do() {
    let folder = folder();
    let arguments =
        ["export", "alb-rules", "--format", "cloudformation", "-o", "rules.json", "--first-priority", "100"];
    assert_eq!(crossfade(folder.path(), &arguments).status.code(), Some(1));
    let template: Value = serde_json::from_str(&fs::read_to_string(folder.path().join("rules.json")).unwrap()).unwrap();
    let rules: Vec<&Value> =
        template["Resources"].as_object().unwrap().values().map(|rule| &rule["Properties"]).collect();
    for (url, header) in [
        ("https://www.example.com/", ""),
        ("https://www.example.com/api", ""),
        ("https://www.example.com/api/carts/1?x=1", ""),
        ("https://www.example.com/apix", ""),
        ("https://www.example.com/api/orders/7", ""),
        ("https://www.example.com/search/x?v=2", "x-beta: yes!"),
        ("https://www.example.com/search/x?v=3", "x-beta: 1"),
        ("https://www.example.com/search?debug", "x-beta: 1"),
        ("https://example.org/search?debug", "x-beta: 1"),
        ("http://www.example.com/blog/a?b=c", ""),
        ("https://www.example.com/checkout/1", ""),
    ] {
        let header = if header.is_empty() { "x-none: 1" } else { header };
        let ip = if url.contains("/blog/") { "10.1.2.3" } else { "192.0.2.1" };
        let ours = json(folder.path(), &["explain", "--json", "--ip", ip, "-H", header, url]);
        let arguments = ["explain", "--json", "--template", "rules.json", "--ip", ip, "-H", header, url];
        let theirs = json(folder.path(), &arguments);
        // A load balancer that responds by itself reaches no route.
        if !ours["answer"].is_null() {
            assert_eq!(theirs["answer"]["status"], ours["answer"]["status"], "{url}");
            continue;
        }
        let priority = theirs["loadBalancer"]["rule"]["priority"].as_u64().unwrap_or_else(|| panic!("{url}: {theirs}"));
        let rule = rules.iter().find(|rule| rule["Priority"] == priority).unwrap();
        let group = rule["Actions"][0]["TargetGroupArn"]["Ref"].as_str().unwrap();
        let expected = match (ours["route"]["name"].as_str().unwrap(), ours["target"]["backend"].as_str().unwrap()) {
            ("orders", _) => "FunctionTargetGroupArn",
            (_, "legacy") => "LegacyTargetGroupArn",
            (_, "modern") => "ModernTargetGroupArn",
            (_, "own") => "OwnTargetGroupArn",
            (_, backend) => panic!("{backend}"),
        };
        assert_eq!(group, expected, "{url}");
    }
}

#[test]
fn a_migration_that_is_done_needs_no_function() {
    let folder = tempfile::tempdir().unwrap();
    let text = "version: 1\nbackends: { modern: { url: https://modern.example.com, hostHeader: preserve } }\ndefault: { forward: modern }\n";
    fs::write(folder.path().join("crossfade.yaml"), text).unwrap();
    let output = crossfade(folder.path(), &["export", "alb-rules", "--format", "terraform"]);
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told, "no route needs the function: when these rules are in place, delete it\n");
    let output = crossfade(folder.path(), &["export", "alb-rules", "--format", "cli", "--first-priority", "50001"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_live_state_decides_what_has_settled() {
    let folder = folder();
    let overlay = r#"{"format":1,"version":2,"routes":{"orders":{"version":2,"weights":{"legacy":0,"modern":100}}}}"#;
    fs::write(folder.path().join("live.json"), overlay).unwrap();
    let arguments = ["export", "alb-rules", "--format", "cli", "--live", "file:live.json"];
    let output = crossfade(folder.path(), &arguments);
    let told = String::from_utf8(output.stderr).unwrap();
    // `otherwise: legacy` still gives requests without a cookie to the old system.
    assert!(told.contains("route `orders` needs the function"), "{told}");
    let text = fs::read_to_string(folder.path().join("crossfade.yaml")).unwrap().replace(", otherwise: legacy", "");
    fs::write(folder.path().join("crossfade.yaml"), text).unwrap();
    let output = crossfade(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_help_text_is_the_golden_one() {
    let output = crossfade(Path::new("."), &["export", "--help"]);
    let (text, file) = (String::from_utf8(output.stdout).unwrap(), Path::new(CASES).join("../golden/help-export.txt"));
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&file).unwrap_or_default());
}
