//! Imports from outside: the files that `crossfade init --nginx` writes, whose own tests pass, and the list of what is missing.
//! `nginx_import` compares them with NGINX itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/import");

fn crossfade(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crossfade")).current_dir(folder).args(arguments).output().unwrap()
}

/// The files of a folder with this ending, in order.
fn cases(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new(CASES).join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|file| file.extension().is_some_and(|it| it == ending)).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Compares a text with a golden file, or writes it if `BLESS` is set.
#[track_caller]
fn assert_golden(file: &Path, text: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(file, text).unwrap();
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    assert!(text == expected, "{} is another one; BLESS=1 writes it:\n{text}", file.display());
}

#[track_caller]
fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

#[test]
fn each_nginx_conf_becomes_routes_whose_tests_pass() {
    for case in cases("nginx", "conf") {
        let folder = tempfile::tempdir().unwrap();
        let name = case.file_name().unwrap().to_str().unwrap();
        fs::copy(&case, folder.path().join(name)).unwrap();
        let output = crossfade(folder.path(), &["init", "--nginx", name]);
        let list = told(&output);
        assert!(!list.contains("a bug"), "{name}: {list}");
        let is_complete = !list.contains(": not imported: ");
        assert_eq!(output.status.code(), Some(i32::from(!is_complete)), "{name}: {list}");
        let text = fs::read_to_string(folder.path().join("crossfade.yaml")).unwrap();
        assert_golden(&case.with_extension("yaml"), &text);
        // Nothing is dropped: the list of the terminal is in the file.
        for line in list.lines().filter(|line| line.contains(": not imported: ")) {
            assert!(text.contains(&format!("#   {line}\n")), "{name}: {line}");
        }
        let tested = crossfade(folder.path(), &["test", "crossfade.yaml"]);
        assert_eq!(tested.status.code(), Some(0), "{name}: {}", told(&tested));
        let checked = crossfade(folder.path(), &["check", "crossfade.yaml"]);
        assert_eq!(checked.status.code(), Some(0), "{name}: {}", told(&checked));
    }
}

#[test]
fn files_that_nginx_includes_are_read_and_missing_ones_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("sites")).unwrap();
    write("nginx.conf", "http { include sites/*.conf; include /etc/nginx/none/x.conf; }");
    write(
        "sites/b.conf",
        "server { listen 80; server_name b.example.com; location / { proxy_pass http://10.0.0.2; } }",
    );
    write(
        "sites/a.conf",
        "server { listen 80; server_name a.example.com;\n  location / { proxy_pass http://10.0.0.1; wat 1; } }",
    );
    let output = crossfade(folder.path(), &["init", "--nginx", "nginx.conf", "-o", "-"]);
    assert_eq!(output.status.code(), Some(1));
    let (text, list) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(
        list.contains("nginx.conf:1:30: not imported: `include /etc/nginx/none/x.conf`: there is no such file\n"),
        "{list}"
    );
    assert!(list.contains("sites/a.conf:2:44: not imported: `wat 1`: Crossfade has nothing like it\n"), "{list}");
    // The first server is the default.
    assert!(
        text.contains("default:\n  forward: \"10.0.0.1\"\n") || text.contains("default: { forward: \"10.0.0.1\" }\n"),
        "{text}"
    );
}

#[test]
fn a_location_that_is_not_imported_goes_to_nginx_if_it_has_a_url_and_nowhere_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let conf = "server { listen 80; location / { proxy_pass http://10.0.0.1; } location /files/ { root /srv; } }";
    fs::write(folder.path().join("nginx.conf"), conf).unwrap();
    for (arguments, expected) in
        [(&[][..], "status: 501"), (&["--legacy", "https://nginx.example.com"], "forward: nginx")]
    {
        let output = crossfade(folder.path(), &[&["init", "--nginx", "nginx.conf", "-o", "-"], arguments].concat());
        let text = told(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("# NOT IMPORTED: `root /srv` (nginx.conf:1): Crossfade serves no files"), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn invalid_files_are_rejected_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    for (text, expected) in [
        ("server {\n  listen 80\n}", "nginx.conf:3:1: unexpected `}`"),
        ("events {}", "`nginx.conf` has no `server` block"),
    ] {
        fs::write(folder.path().join("nginx.conf"), text).unwrap();
        let output = crossfade(folder.path(), &["init", "--nginx", "nginx.conf", "-o", "-"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(told(&output).contains(expected), "{}", told(&output));
    }
}

#[test]
fn refactor_spaces_becomes_routes_whose_tests_pass() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["routes.json", "services.json"] {
        fs::copy(Path::new(CASES).join("refactor-spaces").join(name), folder.path().join(name)).unwrap();
    }
    let arguments = ["init", "--refactor-spaces", "routes.json", "services.json"];
    let output = crossfade(folder.path(), &arguments);
    let list = told(&output);
    assert_eq!(output.status.code(), Some(1), "{list}");
    assert!(!list.contains("a bug"), "{list}");
    let lambda = "routes.json:25:24: not imported: `rte-lambda0001 /reports`: its service `reports` is a Lambda function (LAMBDA)";
    assert!(list.contains(lambda), "{list}");
    let text = fs::read_to_string(folder.path().join("crossfade.yaml")).unwrap();
    assert_golden(&Path::new(CASES).join("refactor-spaces/crossfade.yaml"), &text);
    let tested = crossfade(folder.path(), &["test", "crossfade.yaml"]);
    assert_eq!(tested.status.code(), Some(0), "{}", told(&tested));

    // Without the services there are no URLs.
    let output = crossfade(folder.path(), &["init", "--refactor-spaces", "routes.json", "-o", "-"]);
    let list = told(&output);
    assert_eq!(output.status.code(), Some(1), "{list}");
    assert!(
        list.contains("the URL of its service `svc-legacy0001` is missing: name the output of `list-services` as well"),
        "{list}"
    );

    fs::write(folder.path().join("other.json"), "{}").unwrap();
    let output = crossfade(folder.path(), &["init", "--refactor-spaces", "other.json", "-o", "-"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("`other.json` has neither `RouteSummaryList` nor `ServiceSummaryList`"));
}

#[test]
fn the_example_of_the_documentation_is_what_it_writes() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/import.md");
    let text = fs::read_to_string(&page).unwrap();
    let block = |language: &str| text.split_once(&format!("```{language}\n")).unwrap().1.split_once("```").unwrap().0;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("nginx.conf"), block("nginx")).unwrap();
    let output = crossfade(folder.path(), &["init", "--nginx", "nginx.conf", "-o", "-"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let written = String::from_utf8(output.stdout).unwrap();
    let (routes, _) = written.split_once("\ntests:\n").unwrap();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&page, text.replace(block("yaml"), &format!("{routes}\n"))).unwrap();
        return;
    }
    assert_eq!(block("yaml").trim_end(), routes.trim_end());
}
