//! Node.js functions: AWS's client `aws-lambda-ric` and the file of the handler. Owns where both are searched, and the command.

use std::path::{Path, PathBuf};

use crossfade_emulator::Function;
use serde_json::Value;

use super::{Bundle, Handlers, Lack, Launch, argument, folder_of, project, quoted};

const CLIENT: &str = "aws-lambda-ric";
/// The endings of modules, in the client's order.
const SCRIPTS: [&str; 4] = ["", ".js", ".mjs", ".cjs"];
const TYPESCRIPT: [&str; 4] = [".ts", ".mts", ".cts", ".tsx"];

/// Returns the command of a function, with the address of its debugger.
pub(super) fn launch(handlers: &Handlers, function: &Function, debugger: Option<String>) -> Result<Launch, Lack> {
    let folder = folder_of(function);
    if let Some(obstacle) = handlers.obstacle(function, "node") {
        let hint = "install Node.js, or set `PATH` with `--env PATH=...`".to_owned();
        let problem = obstacle.split(';').next().unwrap_or_default().to_owned();
        return Err(Lack { needs: format!("need Node.js: {problem}"), hint });
    }
    let client = client(handlers, function)?;
    let version = handlers.output(function, "node", &["--print", "process.versions.node"]).unwrap_or_default();
    handlers.compare(function, "Node.js", version.trim(), 1);

    let mut launch = Launch { words: vec!["node".to_owned()], debugger, ..Launch::default() };
    let mut handler = function.handler.clone();
    match file_of(function) {
        File::Script => {}
        File::TypeScript(file) => {
            let bundle = Bundle::find(function, &file).ok_or_else(|| missing_bundler(&file, folder))?;
            // Version 4 of the client searches in the first, version 3 takes the second.
            launch.variables.push(("LAMBDA_TASK_ROOT".to_owned(), bundle.root.to_string_lossy().into_owned()));
            handler = bundle.root.join(&handler).to_string_lossy().into_owned();
            launch.words.push("--enable-source-maps".to_owned());
            launch.bundle = Some(bundle);
        }
        File::Missing(looked_for) => handlers.warn_of_missing(function, &looked_for),
    }
    launch.words.extend(launch.debugger.iter().map(|address| format!("--inspect-brk={address}")));
    launch.words.extend([argument(&client, folder), handler]);
    Ok(launch)
}

/// Returns true if there is a file of Node.js or TypeScript for the handler.
pub(super) fn has_file(function: &Function) -> bool {
    !matches!(file_of(function), File::Missing(_))
}

enum File {
    Script,
    TypeScript(PathBuf),
    /// With the names that were tried.
    Missing(Vec<String>),
}

/// The file of a handler: up to the first dot of its last part, as the client splits it.
fn file_of(function: &Function) -> File {
    let handler = &function.handler;
    let start = handler.rfind('/').map_or(0, |slash| slash.saturating_add(1));
    let dot =
        handler.get(start..).and_then(|name| name.find('.')).map_or(handler.len(), |dot| start.saturating_add(dot));
    let module = handler.get(..dot).unwrap_or_default();
    let named = |ending: &str| folder_of(function).join(format!("{module}{ending}"));
    if SCRIPTS.iter().any(|ending| named(ending).is_file()) {
        return File::Script;
    }
    match TYPESCRIPT.iter().map(|ending| named(ending)).find(|file| file.is_file()) {
        Some(file) => File::TypeScript(file),
        None => {
            File::Missing([&SCRIPTS[1..], &TYPESCRIPT[..1]].concat().iter().map(|it| format!("{module}{it}")).collect())
        }
    }
}

/// The client's program: of the project, or of the cache.
fn client(handlers: &Handlers, function: &Function) -> Result<PathBuf, Lack> {
    let cache = handlers.cache.join("node");
    let of_project = project(function).into_iter().map(|folder| folder.join("node_modules"));
    let packages: Vec<PathBuf> = of_project
        .chain([cache.join("lib/node_modules")])
        .map(|folder| folder.join(CLIENT))
        .filter(|folder| folder.is_dir())
        .collect();
    if let Some(program) = packages.iter().find_map(|package| program(package)) {
        return Ok(program);
    }
    let needs = match packages.first() {
        Some(package) => {
            format!("need the native part of AWS's runtime client, which `{}` was installed without", package.display())
        }
        None => format!("need AWS's runtime client for Node.js, `{CLIENT}`"),
    };
    Err(Lack { needs, hint: get(&cache, std::env::consts::OS) })
}

/// The program of an installed client; `None` if its native part is missing, as npm does not build it without permission.
fn program(package: &Path) -> Option<PathBuf> {
    let text = std::fs::read(package.join("package.json")).ok()?;
    let description: Value = serde_json::from_slice(&text).ok()?;
    let bin = description.get("bin")?;
    let file = bin.get(CLIENT).unwrap_or(bin).as_str()?;
    let is_built =
        ["", "dist", "build/Release"].iter().any(|place| package.join(place).join("rapid-client.node").is_file());
    // Without the `./` of the package's description.
    is_built.then(|| package.join(file.trim_start_matches("./")))
}

/// The hint that gets the client. npm 11 runs its installation scripts only if it is named, and only accepts the name with
/// `--global`; earlier versions ignore the option.
fn get(cache: &Path, system: &str) -> String {
    if system == "macos" {
        return "AWS does not build its client for macOS: run `crossfade dev` in a Linux container or virtual machine, \
                or name a command with `--function`"
            .to_owned();
    }
    format!(
        "run `npm install --global --prefix {} --allow-scripts={CLIENT} {CLIENT}@4`, which compiles it: \
         that takes g++, make, cmake and python3, and some minutes",
        quoted(cache)
    )
}

fn missing_bundler(file: &Path, folder: &Path) -> Lack {
    Lack {
        needs: format!("need esbuild, to make JavaScript of `{}`", argument(file, folder)),
        hint: "run `npm install --save-dev esbuild`, or compile the handler to JavaScript in its folder".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_handler_ends_at_the_first_dot_of_its_last_part() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["index.js", "src/web.mjs", "src.d/a.cjs", "plain", "typed.ts", "both.ts", "both.js"] {
            let file = folder.path().join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        let found = |handler: &str| {
            let mut function = Function::new("a", Vec::new());
            (function.directory, function.handler) = (Some(folder.path().to_owned()), handler.to_owned());
            match file_of(&function) {
                File::Script => "script".to_owned(),
                File::TypeScript(file) => file.file_name().unwrap().to_string_lossy().into_owned(),
                File::Missing(names) => names.join(" "),
            }
        };
        for (handler, expected) in [
            ("index.handler", "script"),
            ("src/web.api.get", "script"),
            ("./src/web.main", "script"),
            ("src.d/a.main", "script"),
            ("plain.main", "script"),
            ("typed.main", "typed.ts"),
            ("both.main", "script"),
            ("none.main", "none.js none.mjs none.cjs none.ts"),
            ("bootstrap", "bootstrap.js bootstrap.mjs bootstrap.cjs bootstrap.ts"),
        ] {
            assert_eq!(found(handler), expected, "{handler}");
        }
    }

    #[test]
    fn the_client_is_not_for_macos() {
        let told = |system| get(Path::new("/home/a b/.cache/crossfade/node"), system);
        assert!(told("macos").starts_with("AWS does not build its client for macOS"));
        assert!(told("linux").starts_with("run `npm install --global --prefix '/home/a b/.cache/crossfade/node' "));
    }
}
