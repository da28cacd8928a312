//! `crossfade init` from outside: the files that it writes, in which `check` finds nothing, and those that it does not
//! overwrite.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// All six conditions, and values that YAML would take for something else.
const SERVERLESS: &str = r#"
service: shop
provider: { name: aws, region: "${opt:region}" }
functions:
  orders:
    handler: orders.handler
    events:
      - httpApi: '*'
      - alb:
          listenerArn: ${env:ALB_LISTENER_ARN}
          priority: 42
          conditions:
            host: [shop.example.com, '*.shop.example.com']
            path: /api/orders/*
            method: [GET]
            ip: 2001:db8::/32
      - alb:
          listenerArn: ${env:ALB_LISTENER_ARN}
          priority: 10
          conditions:
            header:
              - { name: X-Beta, values: ['on', '1'] }
              - { name: user-agent, values: '*"Test: <routes> #1" \ {a}, *' }
  legacy_web:
    handler: web.handler
    events:
      - alb:
          listenerArn: ${env:ALB_LISTENER_ARN}
          priority: 20
          conditions:
            query: { v: [1, '\*'], '?': 'null' }
"#;

fn crossfade(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crossfade")).current_dir(folder.path()).args(arguments).output().unwrap()
}

/// The content of the file that `init` writes.
#[track_caller]
fn init(folder: &TempDir, arguments: &[&str]) -> String {
    let output = crossfade(folder, &[&["init"], arguments].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    // Before it may stand what is odd in the file with the rules.
    let told = errors.lines().filter(|line| !line.starts_with(' ') && !line.contains(": warning: "));
    let next = format!("{} check crossfade.yaml", env!("CARGO_BIN_EXE_crossfade"));
    assert_eq!(told.collect::<Vec<_>>(), [format!("wrote `crossfade.yaml`; next: `{next}`")]);
    read(folder, "crossfade.yaml")
}

#[track_caller]
fn refusal(folder: &TempDir, arguments: &[&str]) -> String {
    let output = crossfade(folder, &[&["init"], arguments].concat());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(output.stdout.is_empty());
    errors
}

#[track_caller]
fn assert_clean(folder: &TempDir, summary: &str) {
    let output = crossfade(folder, &["check", "--deny-warnings"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(told, format!("crossfade.yaml: ok, {summary}\n"), "{}", read(folder, "crossfade.yaml"));
}

fn read(folder: &TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap()
}

fn folder_with(serverless: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("serverless.yml"), serverless).unwrap();
    folder
}

/// The text with its examples in use: the comments that are no prose.
fn uncommented(text: &str) -> String {
    let is_code = |comment: &str| {
        let comment = comment.trim_start();
        let key_end = comment.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or_default();
        comment.starts_with("- ") || (key_end > 0 && comment[key_end..].starts_with(':'))
    };
    let line = |line: &str| match line.split_once("# ") {
        Some((indent, comment)) if indent.trim().is_empty() && is_code(comment) => format!("{indent}{comment}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn the_help_text_is_the_golden_one() {
    let output = crossfade(&tempfile::tempdir().unwrap(), &["init", "--help"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), include_str!("golden/help-init.txt"));
}

#[test]
fn the_starter_is_a_good_configuration() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(init(&folder, &[]), include_str!("golden/init.yaml"));
    assert_clean(&folder, "2 back ends, 1 route");
}

#[test]
fn the_examples_of_the_starter_are_good_ones() {
    let folder = tempfile::tempdir().unwrap();
    let text = uncommented(&init(&folder, &[]));
    assert!(text.contains("\n          transforms: "), "{text}");
    fs::write(folder.path().join("crossfade.yaml"), text).unwrap();
    assert_clean(&folder, "2 back ends, 3 routes");
}

#[test]
fn back_ends_are_those_of_the_options() {
    let folder = tempfile::tempdir().unwrap();
    let text = init(&folder, &["--legacy", "https://[2001:db8::1]:8443/a", "--modern", "http://localhost:3000"]);
    assert!(text.contains("\n    url: \"https://[2001:db8::1]:8443/a\"\n    hostHeader: preserve\n"), "{text}");
    assert!(text.contains("\n    url: http://localhost:3000\n    hostHeader: preserve\n"), "{text}");
    assert_clean(&folder, "2 back ends, 1 route");
    for option in ["--legacy", "--modern"] {
        let errors = refusal(&folder, &["--force", option, "example.com"]);
        assert!(errors.contains(option) && errors.contains("the URL has no scheme"), "{errors}");
    }
}

#[test]
fn nothing_is_overwritten_without_force() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("crossfade.yaml"), "mine, and longer than nothing\n".repeat(1000)).unwrap();
    let errors = refusal(&folder, &[]);
    assert_eq!(
        errors,
        "error: `crossfade.yaml` already exists\n  hint: overwrite it with `--force`, or name another file with `--output`\n"
    );
    assert!(read(&folder, "crossfade.yaml").starts_with("mine"));
    assert_eq!(init(&folder, &["--force"]), include_str!("golden/init.yaml"));
}

#[test]
fn the_output_is_another_file_or_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let output = crossfade(&folder, &["init", "--output", "-"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), include_str!("golden/init.yaml"));
    assert!(output.status.success() && output.stderr.is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(crossfade(&folder, &["init", "--output", "other.yaml"]).status.success());
    assert_eq!(read(&folder, "other.yaml"), include_str!("golden/init.yaml"));
    let errors = refusal(&folder, &["--output", "no/such/folder.yaml"]);
    assert!(errors.starts_with("error: cannot write `no/such/folder.yaml`: "), "{errors}");
}

#[test]
fn rules_of_a_load_balancer_become_routes() {
    let folder = folder_with(SERVERLESS);
    let text = init(&folder, &["--serverless", "serverless.yml"]);
    assert_eq!(text, include_str!("golden/init-serverless.yaml"));
    assert_clean(&folder, "1 back end, 3 routes");
    // With the examples the rules must still be what they were.
    fs::write(folder.path().join("crossfade.yaml"), uncommented(&text)).unwrap();
    assert_clean(&folder, "2 back ends, 6 routes");
}

/// The file that we deploy with, too, is one to begin with.
#[test]
fn our_own_serverless_file_gives_a_good_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/serverless/serverless.yml");
    init(&folder, &["--serverless", file.to_str().unwrap()]);
    assert_clean(&folder, "1 back end, 4 routes");
}

#[test]
fn rules_that_hardly_work_are_told_at_once() {
    let rule = |priority: u32, path: &str| {
        format!("      - alb: {{ listenerArn: x, priority: {priority}, conditions: {{ path: '{path}' }} }}\n")
    };
    let file =
        |first: &str, second: &str| format!("functions:\n  a b:\n    events:\n{}{}", rule(1, first), rule(2, second));
    let folder = folder_with(&file("/*", "/a/*"));
    let output = crossfade(&folder, &["init", "--serverless", "serverless.yml"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success());
    assert!(errors.contains("route `a-b-2`: this route never matches: `a-b-1`"), "{errors}");
}

#[test]
fn a_serverless_file_that_gives_no_routes_is_refused() {
    let rule = "\n      - alb: { listenerArn: x, priority: 7, conditions: { path: /a } }\n";
    for (text, reason) in [
        ("service: x\n".to_owned(), "no function has an `alb`, `http` or `httpApi` event, or a `url`"),
        (
            format!("functions:\n  a:\n    events:{rule}  b:\n    events:{rule}"),
            "function `b`, event 1, priority 7: priority 7 is already taken by function `a`, event 1, priority 7 at serverless.yml:4",
        ),
        (
            "functions:\n  a:\n    events:\n      - alb: ${file(alb.yml)}\n".to_owned(),
            "`alb` is `${file(alb.yml)}`: none of its sources has a value",
        ),
        ("a: [".to_owned(), "serverless.yml"),
    ] {
        let folder = folder_with(&text);
        let errors = refusal(&folder, &["--serverless", "serverless.yml"]);
        assert!(errors.starts_with("error: ") && errors.contains(reason), "{errors}");
        assert!(!folder.path().join("crossfade.yaml").exists());
    }
    let errors = refusal(&tempfile::tempdir().unwrap(), &["--serverless", "none.yml"]);
    assert!(errors.starts_with("error: cannot read `none.yml`: "), "{errors}");
}

/// Rules that ALB accepts and that a configuration writes in another way, or not at all.
#[test]
fn odd_rules_give_a_configuration_that_check_and_test_accept() {
    let folder = tempfile::tempdir().unwrap();
    let forward = r#"[{ "Type": "forward", "TargetGroupArn": "t" }]"#;
    let rule = |priority: u32, conditions: &str| {
        format!(r#"{{ "Priority": "{priority}", "Conditions": [{conditions}], "Actions": {forward} }}"#)
    };
    let query = |key: &str| {
        format!(
            r#"{{ "Field": "query-string", "QueryStringConfig": {{ "Values": [{{ "Key": "{key}", "Value": "${{env:NONE}}" }}] }} }}"#
        )
    };
    let rules = [
        rule(50_000, r#"{ "Field": "path-pattern", "Values": ["/a\"b/*"] }"#),
        rule(1, r#"{ "Field": "path-pattern", "Values": ["never/*"] }"#),
        rule(2, &format!("{}, {}", query("a"), query("${env:NONE}"))),
    ];
    fs::write(folder.path().join("rules.json"), format!("{{ \"Rules\": [{}] }}", rules.join(", "))).unwrap();
    let text = init(&folder, &["--describe-rules", "rules.json"]);
    assert!(text.contains("# Rule 1: `never/*` is left out"), "{text}");
    assert!(text.contains("# - name: orders-read\n  #   priority: 49997\n"), "{text}");
    assert_clean(&folder, "1 back end, 2 routes");
    assert!(crossfade(&folder, &["test"]).status.success());
    fs::write(folder.path().join("crossfade.yaml"), uncommented(&text)).unwrap();
    assert_clean(&folder, "2 back ends, 5 routes");
    assert!(crossfade(&folder, &["test"]).status.success());
}

#[test]
fn rules_that_give_no_route_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let rules = r#"{ "Rules": [{ "Priority": "1", "Conditions": [{ "Field": "path-pattern", "Values": ["/a"] }],
        "Actions": [{ "Type": "redirect", "RedirectConfig": { "Host": "b.example", "StatusCode": "HTTP_301" } }] }] }"#;
    fs::write(folder.path().join("rules.json"), rules).unwrap();
    let output = crossfade(&folder, &["init", "--describe-rules", "rules.json"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.starts_with("`rules.json` has no rule that forwards to a target group, so no route is made of it\n"),
        "{errors}"
    );
    assert_eq!(read(&folder, "crossfade.yaml"), include_str!("golden/init.yaml"));
}

#[test]
fn values_of_the_environment_in_routes_are_warned_of() {
    let folder = folder_with(
        "useDotenv: true\nfunctions:\n  a:\n    handler: a\n    events:\n      - alb: { listenerArn: x, priority: 1, \
         conditions: { header: { name: x-origin-verify, values: '${env:ORIGIN_SECRET}' } } }\n",
    );
    fs::write(folder.path().join(".env"), "ORIGIN_SECRET=s3cret-value\n").unwrap();
    let output = crossfade(&folder, &["init", "--serverless", "serverless.yml"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.starts_with("warning: the routes contain values of environment variables"), "{errors}");
    let listed = crossfade(&folder, &["dev", "--list-rules", "--serverless", "serverless.yml"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("${env:ORIGIN_SECRET}") && !listed.contains("s3cret"), "{listed}");
}

/// The files of each tool, where the commands of its README expect them; and that nothing of the user's is lost.
#[test]
fn deploy_files_are_written_once_and_never_over_others() {
    for (tool, file) in [
        ("serverless", "serverless.yml"),
        ("sam", "template.yml"),
        ("cloudformation", "crossfade.yml"),
        ("cdk", "lib/crossfade.ts"),
        ("terraform", "examples/existing-listener/main.tf"),
    ] {
        let folder = TempDir::new().unwrap();
        let output = crossfade(&folder, &["init", "--deploy", tool]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains(&format!("files to `deploy/{tool}`")), "{said}");
        assert!(said.contains(&format!("crossfade package --output deploy/{tool}/")), "{said}");
        let own = folder.path().join("deploy").join(tool);
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(tool).join(file);
        assert_eq!(fs::read(own.join(file)).unwrap(), fs::read(original).unwrap(), "{tool}");
        let readme = fs::read_to_string(own.join("README.md")).unwrap();
        assert!(!readme.contains("](../"), "{tool}: {readme}");

        let again = crossfade(&folder, &["init", "--deploy", tool]);
        assert!(
            again.status.success() && String::from_utf8_lossy(&again.stderr).contains("files already"),
            "{again:?}"
        );
        fs::write(own.join(file), "mine").unwrap();
        fs::remove_file(own.join("README.md")).unwrap();
        let refused = crossfade(&folder, &["init", "--deploy", tool]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("deploy/{tool}/{file}` already exists")) && said.contains("--force"), "{said}");
        assert_eq!(fs::read_to_string(own.join(file)).unwrap(), "mine");
        assert!(!own.join("README.md").exists(), "nothing is written then");
        let forced = crossfade(&folder, &["init", "--deploy", tool, "--force"]);
        assert!(forced.status.success() && own.join("README.md").exists(), "{forced:?}");
        assert_ne!(fs::read_to_string(own.join(file)).unwrap(), "mine");
    }
    let folder = TempDir::new().unwrap();
    let elsewhere = crossfade(&folder, &["init", "--deploy", "sam", "--output", "infra"]);
    assert!(elsewhere.status.success() && folder.path().join("infra/template.yml").exists(), "{elsewhere:?}");
    fs::remove_file(folder.path().join("infra/template.yml")).unwrap();
    let one = crossfade(&folder, &["init", "--deploy", "sam", "--output", "infra"]);
    assert!(String::from_utf8_lossy(&one.stderr).contains("wrote 1 file to `infra`"), "{one:?}");
    for arguments in [
        &["--output", "-"][..],
        &["--legacy", "https://a.example"],
        &["--lenient"],
        &["--stage", "prod"],
        &["--region", "eu-west-1"],
        &["--opt", "a=b"],
        &["--param", "a=b"],
    ] {
        let arguments = [&["--deploy", "sam"], arguments].concat();
        let output = crossfade(&folder, &[&["init"], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
}

/// Folders, files and links that are in the way are found before anything is written.
#[test]
fn deploy_files_do_not_go_where_something_else_is() {
    let folder = TempDir::new().unwrap();
    let own = folder.path().join("deploy/serverless");
    let live = own.join("live");
    let refused = |arguments: &[&str], expected: &str| {
        let output = crossfade(&folder, &[&["init", "--deploy", "serverless"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(expected), "{said}");
        assert!(!own.join("README.md").exists(), "{said}");
    };
    fs::create_dir_all(own.join("spill.yml")).unwrap();
    refused(&[], "spill.yml` is a folder");
    refused(&["--force"], "spill.yml` is a folder");
    fs::remove_dir(own.join("spill.yml")).unwrap();
    fs::write(&live, "mine").unwrap();
    refused(&["--force"], "live` is a file");
    fs::remove_file(&live).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), own.join("spill.yml")).unwrap();
        refused(&[], "spill.yml` already exists");
        assert!(!folder.path().join("elsewhere").exists());
    }
}
