//! Reasons why a program does not run, beyond the operating system's error: its file, its interpreter, its place, or the
//! runtime client that a handler needs. Starts nothing, and knows nothing of environments.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::Function;

/// The longest first line of a script that is read, in bytes (Linux: `BINPRM_BUF_SIZE`, 256).
const HEAD: u64 = 512;

/// The programs that a command runs: the first word, and behind `env NAME=VALUE` the one that `env` starts.
fn programs(command: &[String]) -> Vec<&str> {
    let mut words = command.iter().map(String::as_str);
    let Some(first) = words.next() else { return Vec::new() };
    let mut programs = vec![first];
    if file_name(first) == "env" {
        let next = words.find(|word| !word.contains('='));
        programs.extend(next.filter(|word| !word.starts_with('-')));
    }
    programs
}

fn file_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or_default()
}

/// Returns the reason why a command cannot be started in a folder, with `path` as its `PATH`; `None` if nothing speaks
/// against it. A program for another machine counts as none, as an emulator may run it.
pub fn obstacle(command: &[String], directory: Option<&Path>, path: Option<&OsStr>) -> Option<String> {
    if let Some(directory) = directory.filter(|directory| !directory.as_os_str().is_empty() && !directory.is_dir()) {
        return Some(format!("there is no folder `{}` to run it in", directory.display()));
    }
    // A placeholder has no value yet.
    let programs = programs(command).into_iter().filter(|program| !program.contains("{port"));
    let of_programs = programs.into_iter().find_map(|program| match locate(program, directory, path) {
        Some(file) => of_file(program, &file, path),
        None if program.contains('/') => Some(format!("cannot find the file `{program}`{}", seen_from(directory))),
        None => Some(format!("cannot find the program `{program}` in the folders of `PATH`{}", install(program))),
    });
    of_programs.or_else(|| windows_script(command, directory))
}

/// The reason why a shell cannot run the script that it is given: its Windows line endings.
fn windows_script(command: &[String], directory: Option<&Path>) -> Option<String> {
    let shell =
        programs(command).pop().filter(|it| ["sh", "bash", "dash", "ash", "ksh", "zsh"].contains(&file_name(it)))?;
    let script = command.iter().skip_while(|word| *word != shell).nth(1).filter(|word| !word.starts_with('-'))?;
    let head = head_of(&directory.unwrap_or(Path::new("")).join(script))?;
    let first_line = head.split_inclusive(|byte| *byte == b'\n').next()?;
    first_line.ends_with(b"\r\n").then(|| {
        format!("`{script}` has Windows line endings, which `{shell}` does not read; run `sed -i 's/\\r$//' {script}`")
    })
}

/// Returns that a command's program is made for another system or processor, or needs a loader that is missing.
pub(super) fn foreign(command: &[String], directory: Option<&Path>, path: Option<&OsStr>) -> Option<String> {
    let program = programs(command).pop()?;
    let head = head_of(&locate(program, directory, path)?)?;
    let built = |what: &str| Some(format!("`{program}` is a program for {what}, and this is {}", this_machine()));
    match head.as_slice() {
        [0x7f, b'E', b'L', b'F', rest @ ..] if cfg!(target_os = "linux") => {
            let machine = rest.get(14..16).and_then(|pair| Some(u16::from_le_bytes(pair.try_into().ok()?)))?;
            let (_, name) = MACHINES.iter().find(|(number, _)| *number == machine)?;
            (*name != std::env::consts::ARCH).then(|| built(&format!("Linux on {name}"))).flatten()
        }
        [0x7f, b'E', b'L', b'F', ..] => built("Linux"),
        [b'M', b'Z', ..] => built("Windows"),
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] if cfg!(target_os = "linux") => {
            built("macOS")
        }
        _ => None,
    }
}

/// Values of `e_machine` in ELF files, with Rust's names.
const MACHINES: [(u16, &str); 7] =
    [(3, "x86"), (40, "arm"), (62, "x86_64"), (183, "aarch64"), (243, "riscv64"), (21, "powerpc64"), (22, "s390x")];

fn this_machine() -> String {
    format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH)
}

fn seen_from(directory: Option<&Path>) -> String {
    directory
        .map(|directory| format!(" in `{}`", directory.display()))
        .filter(|text| text != " in ``")
        .unwrap_or_default()
}

fn install(program: &str) -> &'static str {
    match program {
        "node" | "npm" | "npx" => "; install Node.js, or set `PATH` with `--env PATH=...`",
        "python" => "; try `python3`",
        "python3" | "pip" | "pip3" => "; install Python",
        _ => "",
    }
}

/// Finds a program as `execvp` does: a path as it is, a bare name in `PATH`.
fn locate(program: &str, directory: Option<&Path>, path: Option<&OsStr>) -> Option<PathBuf> {
    let here = |file: &Path| directory.unwrap_or(Path::new("")).join(file);
    if program.contains('/') {
        return Some(here(Path::new(program))).filter(|file| file.symlink_metadata().is_ok());
    }
    let files = std::env::split_paths(path?).map(|folder| here(&folder).join(program)).filter(|file| file.is_file());
    let files: Vec<PathBuf> = files.collect();
    files.iter().find(|file| file.metadata().is_ok_and(|data| is_executable(&data))).or(files.first()).cloned()
}

#[cfg(unix)]
fn is_executable(data: &Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&data.permissions()) & 0o111 != 0
}

/// Windows goes by the name.
#[cfg(not(unix))]
fn is_executable(_: &Metadata) -> bool {
    true
}

fn head_of(file: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    File::open(file).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    Some(head)
}

fn of_file(program: &str, file: &Path, path: Option<&OsStr>) -> Option<String> {
    let Ok(data) = file.metadata() else { return Some(format!("`{program}` is a link to a file that does not exist")) };
    if data.is_dir() {
        return Some(format!("`{program}` is a folder"));
    }
    if !data.is_file() {
        return Some(format!("`{program}` is not a file"));
    }
    if !is_executable(&data) {
        return Some(format!(
            "`{program}` is not executable; run `chmod +x {program}`, or start it with its interpreter"
        ));
    }
    let head = head_of(file)?;
    let line = match head.as_slice() {
        [0xef, 0xbb, 0xbf, b'#', b'!', ..] => {
            return Some(format!(
                "`{program}` begins with a byte order mark, before its `#!`; save it as UTF-8 without one"
            ));
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Some(format!("`{program}` is UTF-16; save it as UTF-8")),
        [b'#', b'!', line @ ..] => line.split(|byte| *byte == b'\n').next().unwrap_or_default(),
        _ => return None,
    };
    let line = String::from_utf8_lossy(line);
    if line.ends_with('\r') {
        return Some(format!(
            "`{program}` has Windows line endings: its interpreter would be `{}\\r`; run `sed -i 's/\\r$//' {program}`",
            line.trim()
        ));
    }
    let mut words = line.split_whitespace();
    let interpreter = words.next().unwrap_or_default();
    if !Path::new(interpreter).exists() {
        return Some(format!("the first line of `{program}` names `{interpreter}`, which does not exist"));
    }
    let of_env =
        words.next().filter(|word| file_name(interpreter) == "env" && !word.starts_with('-') && !word.contains('='))?;
    locate(of_env, None, path).is_none().then(|| {
        format!(
            "the first line of `{program}` names `{of_env}`, which is not in the folders of `PATH`{}",
            install(of_env)
        )
    })
}

/// Advice for a command that runs but never asks Lambda's Runtime API for an invocation: the runtime client of its
/// language. `handler` is the function's, if it has one.
pub(super) fn runtime_client(command: &[String], handler: &str) -> String {
    let program = programs(command).pop().unwrap_or_default();
    let name = file_name(program);
    let ends = |endings: &[&str]| {
        command.iter().map(String::as_str).find(|word| endings.iter().any(|ending| word.ends_with(ending)))
    };
    let (node, python) = (ends(&[".js", ".mjs", ".cjs", ".ts", ".mts", ".cts"]), ends(&[".py"]));
    // `index.js` has, by convention, the handler `index.handler`.
    let handler = |file: Option<&str>, default: &str| match handler {
        "" | "bootstrap" => {
            let stem = file.and_then(|file| file.rsplit_once('.')).map_or(default, |(stem, _)| stem);
            format!("{}.handler", stem.trim_start_matches("./"))
        }
        own => own.to_owned(),
    };
    // A runtime client finds handlers only in and below its folder.
    let then = |file: Option<&str>, client: &str| match file {
        Some(file) if file.starts_with("../") || file.starts_with('/') => {
            format!("then start it in the folder of `{file}`")
        }
        _ => format!("then `--function '{client}'`"),
    };
    let node_programs = ["node", "nodejs", "npx", "npm", "tsx", "ts-node", "bun", "deno"];
    let advice = if node_programs.contains(&name) || node.is_some() {
        let client = format!("npx aws-lambda-ric {}", handler(node, "index"));
        let compile = node
            .filter(|file| file.ends_with("ts"))
            .map_or_else(String::new, |file| format!("compile `{file}` to JavaScript, "));
        let what = "a Node.js handler needs a runtime client: `npm install aws-lambda-ric`, ";
        format!("{what}{compile}{}", then(node, &client))
    } else if name.starts_with("python") || python.is_some() {
        // A virtual environment has its own interpreter.
        let interpreter = if name.starts_with("python") { program } else { "python3" };
        let client = format!("{interpreter} -m awslambdaric {}", handler(python, "app"));
        let pip = if interpreter.contains('/') { format!("{interpreter} -m pip") } else { "pip".to_owned() };
        let what = format!("a Python handler needs a runtime client: `{pip} install awslambdaric`, ");
        if command.iter().any(|word| word == "awslambdaric") {
            format!("if the module `awslambdaric` is missing, run `{pip} install awslambdaric`")
        } else {
            what + &then(python, &client)
        }
    } else {
        "a program needs a runtime client of its language, such as `lambda_runtime` (Rust), `aws-lambda-go`, \
         `aws-lambda-java-runtime-interface-client`"
            .to_owned()
    };
    format!(
        "it never called Lambda's Runtime API: {advice}; a web server needs the Lambda Web Adapter as \
         `--extension`"
    )
}

/// Returns the command that runs a function of a file by its runtime: of an OS-only runtime, `./bootstrap`. `None` if the
/// runtime is unknown or another one.
pub fn usual_command(function: &Function) -> Option<&'static str> {
    function.runtime.as_deref()?.starts_with("provided").then_some("./bootstrap")
}

/// Returns what to do about an error that a runtime client reports in the init phase.
pub(super) fn advice(error: &str) -> Option<&'static str> {
    let is_callback = error.starts_with("Runtime.CallbackHandlerDeprecated");
    is_callback.then_some("version 3.3.0 of `aws-lambda-ric` runs handlers with a callback")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use crossfade_testkit::folder::Folder;

    use super::*;

    fn words(command: &str) -> Vec<String> {
        command.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn what_keeps_a_program_from_running_is_told() {
        let folder = Folder::new();
        let write = |name: &str, content: &[u8], mode: u32| {
            let file = folder.join(name);
            std::fs::write(&file, content).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        };
        write("good", b"#!/bin/sh\necho\n", 0o755);
        write("plain", b"echo\n", 0o755);
        write("windows", b"#!/usr/bin/env sh\r\necho\r\n", 0o755);
        write("windows-sh", b"#!/bin/sh\r\necho\r\n", 0o755);
        write("only-data-of-windows", b"#!/bin/sh\necho\r\n", 0o755);
        write("no-mode", b"#!/bin/sh\n", 0o644);
        write("no-interpreter", b"#!/no/such/node\n", 0o755);
        write("no-command", b"#!/usr/bin/env no-such-node\n", 0o755);
        write("mark", b"\xef\xbb\xbf#!/bin/sh\n", 0o755);
        write("wide", b"\xff\xfe#\0!\0", 0o755);
        std::fs::create_dir(folder.join("folder")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.join("link")).unwrap();
        let path = std::env::join_paths(["/nowhere", "/usr/bin", "/bin"]).unwrap();
        let told = |command: &str| obstacle(&words(command), Some(folder.path()), Some(&path)).unwrap_or_default();
        let in_folder = format!(" in `{}`", folder.path().display());
        for (command, expected) in [
            ("./good", String::new()),
            ("./plain", String::new()),
            ("./only-data-of-windows", String::new()),
            ("sh ./only-data-of-windows", String::new()),
            ("env A=b bash ./windows", "`./windows` has Windows line endings, which `bash` does not read; run `sed -i 's/\\r$//' ./windows`".into()),
            ("env A=b C=d sh x", String::new()),
            ("env -i sh", String::new()),
            ("./windows", "`./windows` has Windows line endings: its interpreter would be `/usr/bin/env sh\\r`; run `sed -i 's/\\r$//' ./windows`".into()),
            ("env A=b ./windows-sh", "`./windows-sh` has Windows line endings: its interpreter would be `/bin/sh\\r`; run `sed -i 's/\\r$//' ./windows-sh`".into()),
            ("./no-mode", "`./no-mode` is not executable; run `chmod +x ./no-mode`, or start it with its interpreter".into()),
            ("./no-interpreter", "the first line of `./no-interpreter` names `/no/such/node`, which does not exist".into()),
            ("./no-command", "the first line of `./no-command` names `no-such-node`, which is not in the folders of `PATH`".into()),
            ("./mark", "`./mark` begins with a byte order mark, before its `#!`; save it as UTF-8 without one".into()),
            ("./wide", "`./wide` is UTF-16; save it as UTF-8".into()),
            ("./folder", "`./folder` is a folder".into()),
            ("./link", "`./link` is a link to a file that does not exist".into()),
            ("./none", format!("cannot find the file `./none`{in_folder}")),
            ("env A=b npx-of-none a", "cannot find the program `npx-of-none` in the folders of `PATH`".into()),
        ] {
            assert_eq!(told(command), expected, "{command}");
        }
        let nowhere = obstacle(&words("npx a"), None, Some(OsStr::new("/nowhere"))).unwrap();
        assert_eq!(
            nowhere,
            "cannot find the program `npx` in the folders of `PATH`; install Node.js, or set `PATH` with `--env PATH=...`"
        );
        let gone = obstacle(&words("sh"), Some(Path::new("/no/such")), Some(&path)).unwrap();
        assert_eq!(gone, "there is no folder `/no/such` to run it in");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn programs_of_other_machines_are_told() {
        let folder = Folder::new();
        let told = |content: &[u8]| {
            std::fs::write(folder.join("bootstrap"), content).unwrap();
            foreign(&words("./bootstrap"), Some(folder.path()), None)
        };
        let elf = |machine: u16| {
            let mut head = b"\x7fELF\x02\x01\x01".to_vec();
            head.resize(18, 0);
            head.extend(machine.to_le_bytes());
            head
        };
        let (own, other) = if cfg!(target_arch = "x86_64") { (62, 183) } else { (183, 62) };
        assert_eq!(told(&elf(own)), None);
        assert!(told(&elf(other)).unwrap().starts_with("`./bootstrap` is a program for Linux on "));
        assert!(told(b"MZ\x90\0").unwrap().contains("for Windows"));
        assert!(told(&[0xcf, 0xfa, 0xed, 0xfe, 0]).unwrap().contains("for macOS"));
        assert_eq!(told(b"#!/bin/sh\n"), None);
        assert_eq!(told(b""), None);
    }

    #[test]
    fn each_language_has_its_runtime_client() {
        for (command, handler, expected) in [
            ("node handler.js", "bootstrap", "npx aws-lambda-ric handler.handler'"),
            ("env A=b node ./src/index.mjs", "bootstrap", "npx aws-lambda-ric src/index.handler'"),
            ("node server.js", "web.main", "npx aws-lambda-ric web.main'"),
            (
                "./start.ts",
                "",
                "compile `./start.ts` to JavaScript, then `--function 'npx aws-lambda-ric start.handler'",
            ),
            ("node ../x.js", "", "then start it in the folder of `../x.js`"),
            (
                ".venv/bin/python app.py",
                "",
                "`.venv/bin/python -m pip install awslambdaric`, then `--function '.venv/bin/python -m awslambdaric app.handler'",
            ),
            ("python3 -m awslambdaric app.handler", "", "is missing, run `pip install awslambdaric`"),
            ("python3 app.py", "bootstrap", "python3 -m awslambdaric app.handler'"),
            ("./bootstrap", "bootstrap", "`lambda_runtime` (Rust)"),
        ] {
            let told = runtime_client(&words(command), handler);
            assert!(told.contains(expected), "{command}: {told}");
        }
    }
}
