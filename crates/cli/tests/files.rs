//! The files that commands read: every encoding is read by every command, and a file of another kind says what it is and what
//! to do.

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

const CONFIGURATION: &str = "version: 1 # Grüße\r\nbackends: { legacy: https://legacy.example.com }\r\n\
    routes:\r\n  - name: a\r\n    priority: 1\r\n    conditions: { path: [/a] }\r\n    \
    forward: { targets: [{ backend: legacy, weight: 1 }] }\r\n    mirror: { backend: legacy, percent: 1, compare: true }\r\n\
    default: { forward: legacy }\r\n\
    tests: [{ request: GET https://www.example.com/a, expect: { route: a } }]\r\n";
const SERVERLESS: &str = "service: shop\nfunctions:\n  a: { handler: a, events: [{ alb: { listenerArn: x, priority: 1, conditions: { path: /a } } }] }\n";

fn crossfade(folder: &TempDir, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crossfade")).current_dir(folder.path()).args(arguments).output().unwrap()
}

/// Windows PowerShell writes UTF-16 with `>`, and other tools a byte order mark.
#[test]
fn every_command_reads_every_encoding() {
    let little = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let big = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    type Encoding<'e> = &'e dyn Fn(&str) -> Vec<u8>;
    let encodings: [Encoding<'_>; 4] = [
        &|text| [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        &|text| little(text),
        &|text| [b"\xff\xfe".to_vec(), little(text)].concat(),
        &|text| [b"\xfe\xff".to_vec(), big(text)].concat(),
    ];
    for encoding in encodings {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("crossfade.yaml"), encoding(CONFIGURATION)).unwrap();
        fs::write(folder.path().join("serverless.yml"), encoding(SERVERLESS)).unwrap();
        fs::write(folder.path().join("log"), "").unwrap();
        for arguments in [
            &["check"][..],
            &["test"],
            &["explain", "https://www.example.com/a"],
            &["explain", "--serverless", "serverless.yml", "https://www.example.com/a"],
            &["dev", "--list-rules", "--serverless", "serverless.yml"],
            &["init", "--output", "-", "--serverless", "serverless.yml"],
        ] {
            let output = crossfade(&folder, arguments);
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let rules = crossfade(&folder, &["report", "--rules", "crossfade.yaml", "log"]);
        let errors = String::from_utf8_lossy(&rules.stderr);
        assert!(!errors.contains("cannot read") && !errors.contains("UTF"), "{errors}");
    }
}

#[test]
fn other_files_in_place_of_a_configuration_say_what_they_are() {
    for (name, content, what) in [
        ("a.yaml", "", "is empty\n  hint: `crossfade init` writes a starter file"),
        ("crossfade.ts", "export {}", "is code (TypeScript), which Crossfade does not run\n  hint: `crossfade init`"),
        ("crossfade.toml", "a = 1", "is TOML\n  hint: Crossfade reads YAML and JSON"),
        ("a.yaml", "<!doctype html><p>", "is a web page (HTML)\n  hint: download"),
        ("a.yaml", "PK\u{3}\u{4}", "is a ZIP archive\n  hint: unpack it"),
        ("a.yaml", SERVERLESS, "is a file of the Serverless Framework\n  hint: `crossfade init --serverless FILE`"),
        ("a.yaml", "Resources: {}", "is a CloudFormation template\n  hint: `crossfade init --template FILE`"),
        ("a.json", "{\"Rules\": []}", "is the output of `aws elbv2 describe-rules`\n  hint: `crossfade init"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), content).unwrap();
        for arguments in [
            &["check", name][..],
            &["test", name],
            &["explain", "--config", name, "https://www.example.com/"],
            &["dev", "--config", name],
        ] {
            let output = crossfade(&folder, arguments);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{arguments:?} {errors}");
            assert!(errors.starts_with(&format!("error: `{name}` {what}")), "{arguments:?} {errors}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("crossfade.yaml"), CONFIGURATION).unwrap();
    let errors = String::from_utf8(crossfade(&folder, &["check", "."]).stderr).unwrap();
    assert_eq!(errors, "error: `.` is a folder\n  hint: name the file in it: `--config ./crossfade.yaml`\n");
}
