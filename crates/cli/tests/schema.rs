//! `crossfade schema` from outside: the destination of the schema. `crossfade-route` tests its content.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crossfade_route::SCHEMA;

fn schema(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.current_dir(folder).arg("schema").args(arguments).output().unwrap()
}

#[test]
fn the_help_text_is_the_golden_one() {
    let output = schema(Path::new("."), &["--help"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), include_str!("golden/help-schema.txt"));
}

#[test]
fn it_is_printed_or_written_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&[][..], &["--output", "-"]] {
        let output = schema(folder.path(), arguments);
        assert!(output.status.success());
        assert_eq!(String::from_utf8(output.stdout).unwrap(), SCHEMA);
    }
    // A newer one replaces it.
    for _ in 0..2 {
        let output = schema(folder.path(), &["--output", "crossfade.schema.json"]);
        assert!(output.status.success() && output.stdout.is_empty());
        assert_eq!(std::fs::read_to_string(folder.path().join("crossfade.schema.json")).unwrap(), SCHEMA);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = schema(folder.path(), &["--output", "no/such/folder.json"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.starts_with("error: cannot write `no/such/folder.json`: "), "{errors}");
}

#[test]
fn a_reader_who_has_gone_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    let output = command.arg("schema").stdout(Stdio::from(writer)).stderr(Stdio::piped()).spawn().unwrap();
    let output = output.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
