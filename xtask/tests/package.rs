//! `cargo xtask package --config`: a package has every file that the configuration names, where the function finds it, or there is
//! no package.
//!
//! This binary is also the function: Lambda starts a program called `bootstrap`, and under that name it is one.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};

use crossfade_testkit::authority::Authority;
use crossfade_testkit::event::event;
use crossfade_testkit::folder::Folder;
use crossfade_testkit::process::Process;
use crossfade_testkit::runtime_api::RuntimeApi;
use crossfade_testkit::server::{Action, Server, response};
use crossfade_testkit::{rustls, tests, tls, tools};

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    if Path::new(&name).ends_with("bootstrap") {
        return crossfade_function::main();
    }
    // The package is made with a program of the system that Lambda could start as well.
    if cfg!(not(all(target_os = "linux", target_env = "gnu"))) {
        return ExitCode::SUCCESS;
    }
    tools::run(tests! {
        [] a_packaged_function_has_all_that_its_configuration_names;
        [] there_is_no_package_of_what_the_function_could_not_use;
        [] files_may_be_added_and_keep_their_places;
    })
}

fn package(folder: &Folder, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["package", "--binary", "/bin/true", "--out", "out/bootstrap.zip"]).args(arguments);
    command.current_dir(folder.path()).envs(environment.iter().copied()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Names and modes of the archive, whose files are unpacked into a folder as Lambda does it.
fn unpacked(folder: &Folder) -> (Folder, Vec<(String, u32)>) {
    let mut archive = zip::ZipArchive::new(File::open(folder.join("out/bootstrap.zip")).unwrap()).unwrap();
    let task = Folder::new();
    archive.extract(task.path()).unwrap();
    let count = archive.len();
    let entry = |index| {
        let file = archive.by_index(index).unwrap();
        (file.name().unwrap().to_string(), file.unix_mode().unwrap() & 0o777)
    };
    let entries = (0..count).map(entry).collect();
    (task, entries)
}

fn a_packaged_function_has_all_that_its_configuration_names() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (identity, client) = (authority.issue(&["localhost"]), clients.issue(&["crossfade"]));
    let config = tls::server(&identity, rustls::DEFAULT_VERSIONS, Some(&clients), &[]);
    let answer = response("200 OK", &[], b"over mutual TLS");
    let server = Server::start(Some(config), move |_, _| Action::Send(answer.as_slice().into())).unwrap();

    // The configuration is elsewhere and has another name; one file is a link to a place outside of its folder.
    let (folder, elsewhere) = (Folder::new(), Folder::new());
    fs::create_dir_all(folder.join("deploy/certs/prod")).unwrap();
    let authority_file = elsewhere.write("somewhere.pem", authority.pem());
    symlink(authority_file, folder.join("deploy/certs/prod/ca.pem")).unwrap();
    folder.write("deploy/certs/client.pem", client.pem());
    folder.write("deploy/certs/client.key", client.key_pem());
    folder.write("deploy/closed.html", "<h1>closed</h1>");
    let text_of_config = format!(
        "version: 1\nbackends:\n  legacy:\n    url: https://localhost:{}\n    tls:\n      caFile: certs/${{env:STAGE}}/ca.pem\n      \
         clientCert: {{ certFile: ./certs/client.pem, keyFile: certs//client.key }}\nroutes:\n  - name: closed\n    \
         priority: 1\n    conditions: {{ path: [/closed] }}\n    fixedResponse: {{ status: 503, bodyFile: closed.html }}\n\
         default: {{ forward: legacy }}\n",
        server.port()
    );
    folder.write("deploy/shop.yaml", text_of_config);
    let output = package(&folder, &["--config", "deploy/shop.yaml"], &[("STAGE", "prod")]);
    let (told, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("warning: the package contains a private key, `certs/client.key`"), "{errors}");
    assert!(told.contains("the function's environment needs `STAGE`"), "{told}");

    let (task, entries) = unpacked(&folder);
    let names: Vec<_> = entries.iter().map(|(name, mode)| (name.as_str(), *mode)).collect();
    let others = ["crossfade.yaml", "certs/client.key", "certs/client.pem", "certs/prod/ca.pem", "closed.html"];
    let expected: Vec<_> = [("bootstrap", 0o755)].into_iter().chain(others.map(|name| (name, 0o644))).collect();
    assert_eq!(names, expected);
    drop((folder, elsewhere));

    // The package is what is under test, and its program is one of the system's.
    fs::remove_file(task.join("bootstrap")).unwrap();
    symlink(std::env::current_exe().unwrap(), task.join("bootstrap")).unwrap();
    let api = RuntimeApi::start();
    let mut command = Command::new(task.join("bootstrap"));
    command.env_clear().env("LAMBDA_TASK_ROOT", task.path()).env("AWS_LAMBDA_RUNTIME_API", api.address.to_string());
    let _function = Process::start(command.env("STAGE", "prod").current_dir("/").stdout(Stdio::null()));
    for (path, status, body) in [("/closed", 503, "<h1>closed</h1>"), ("/orders", 200, "over mutual TLS")] {
        let posted = api.invoke(&event("GET", path));
        assert!(posted.line.ends_with("/response HTTP/1.1"), "{}: {}", posted.line, posted.json());
        assert_eq!((&posted.json()["statusCode"], &posted.json()["body"]), (&status.into(), &body.into()));
    }
}

fn there_is_no_package_of_what_the_function_could_not_use() {
    let folder = Folder::new();
    let absolute = folder.write("outside.html", "outside");
    fs::create_dir_all(folder.join("deploy/folder")).unwrap();
    fs::create_dir_all(folder.join("deploy/bootstrap")).unwrap();
    folder.write("deploy/bootstrap/x.html", "");
    folder.write("deploy/page.html", "page");
    folder.write("deploy/crossfade.yaml", "another configuration");
    folder.write("deploy/certificate.pem", "not a certificate");
    symlink("nowhere", folder.join("deploy/dangling")).unwrap();
    symlink("/dev/null", folder.join("deploy/device")).unwrap();
    File::create(folder.join("deploy/huge")).unwrap().set_len(250 * 1024 * 1024 + 1).unwrap();
    for half in ["deploy/half-1", "deploy/half-2"] {
        File::create(folder.join(half)).unwrap().set_len(125 * 1024 * 1024).unwrap();
    }
    let page = |path: &str| {
        format!(
            "version: 1\nbackends: {{ a: https://a.example }}\ndefault: {{ fixedResponse: {{ status: 200, bodyFile: '{path}' }} }}\n"
        )
    };
    let tls = |keys: &str| {
        format!(
            "version: 1\nbackends: {{ a: {{ url: https://a.example, tls: {{ {keys} }} }} }}\ndefault: {{ forward: a }}\n"
        )
    };
    let outside = "a package holds files below its own folder only";
    let taken = "the package has another file at `";
    let halves = format!(
        "{}routes: [{{ name: b, priority: 1, conditions: {{ path: [/b] }}, fixedResponse: {{ status: 200, bodyFile: half-2 }} }}]\n",
        page("half-1")
    );
    for (config, expected) in [
        (
            page("missing.html"),
            "shop.yaml:3:52: `default.fixedResponse.bodyFile`: cannot read `missing.html`: No such file",
        ),
        (page("Page.html"), "cannot read `Page.html`: No such file"),
        (page("dangling"), "cannot read `dangling`: No such file"),
        (page("folder"), "cannot read `folder`: it is a folder"),
        (page("device"), "cannot read `device`: it is not a regular file"),
        (page("page.html/"), "cannot read `page.html/`: "),
        (page("../outside.html"), &format!("cannot read `../outside.html`: {outside}")),
        (page("folder/../page.html"), outside),
        (page(&absolute), outside),
        (page("bootstrap/x.html"), &format!("{taken}bootstrap/x.html`")),
        (page("crossfade.yaml"), &format!("{taken}crossfade.yaml`")),
        (page("huge"), "its 262144001 bytes are more than Lambda allows"),
        (halves, "and Lambda allows 262144000"),
        (page("${env:CROSSFADE_NO_SUCH_VARIABLE}"), "CROSSFADE_NO_SUCH_VARIABLE"),
        (tls("caFile: missing.pem"), "cannot read `missing.pem`"),
        (tls("caFile: certificate.pem"), "certificate.pem"),
        (tls("clientCert: { certFile: certificate.pem, keyFile: ../k }"), &format!("cannot read `../k`: {outside}")),
        ("version: 1\nbackend: {}\n".to_owned(), "unknown key `backend`"),
    ] {
        folder.write("deploy/shop.yaml", &config);
        let output = package(&folder, &["--config", "deploy/shop.yaml"], &[]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{config}{errors}");
        assert!(errors.contains(expected), "{config}{errors}");
        assert!(!folder.join("out").exists(), "{config}");
    }
}

/// Such as the file that `SSL_CERT_FILE` names.
fn files_may_be_added_and_keep_their_places() {
    let folder = Folder::new();
    fs::create_dir(folder.join("certs")).unwrap();
    folder.write("certs/ca.pem", "a file");
    folder.write("crossfade.yaml", "a configuration");
    let output = package(&folder, &["--with", "./certs/ca.pem", "--with", "certs/ca.pem"], &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (task, entries) = unpacked(&folder);
    assert_eq!(entries, [("bootstrap".to_owned(), 0o755), ("certs/ca.pem".to_owned(), 0o644)]);
    assert_eq!(task.read("certs/ca.pem"), "a file");
    for (file, expected) in [
        ("/bin/true", "cannot package `/bin/true`: a package holds files below its own folder only"),
        ("crossfade.yaml", "cannot package `crossfade.yaml`: pass the configuration with `--config`"),
        ("missing", "cannot package `missing`: No such file"),
    ] {
        let errors = text(&package(&folder, &["--with", file], &[]).stderr);
        assert!(errors.contains(expected), "{errors}");
    }
}
