//! Python functions: the interpreter, AWS's client `awslambdaric` and the debugger `debugpy`. Owns where they are searched, and the
//! command.

use std::path::{Path, PathBuf};

use crossfade_emulator::Function;

use super::{Handlers, Lack, Launch, argument, folder_of, project, quoted};

const CLIENT: &str = "awslambdaric";
const DEBUGGER: &str = "debugpy";
/// Prints the version, and 1 or 0 for each of three modules.
const ASK: &str = "import sys, importlib.util as u; \
                   print('%d.%d' % sys.version_info[:2], *(int(u.find_spec(m) is not None) for m in ('awslambdaric', 'debugpy', 'pip')))";

/// Returns the command of a function, with the address of its debugger.
pub(super) fn launch(handlers: &Handlers, function: &Function, debugger: Option<String>) -> Result<Launch, Lack> {
    let folder = folder_of(function);
    let found = interpreter(handlers, function);
    let program = found.as_ref().map_or_else(|| "python3".to_owned(), |file| argument(file, folder));
    let python = Python::ask(handlers, function, program, found.as_deref())?;
    handlers.compare(function, "Python", &python.version, 2);
    let modules = handlers.cache.join(format!("python{}", python.version));
    let is_cached = |module: &str| modules.join(module).is_dir();
    let (has_client, has_debugger) =
        (python.has_client || is_cached(CLIENT), python.has_debugger || is_cached(DEBUGGER));
    let missing: Vec<&str> = [(CLIENT, has_client), (DEBUGGER, has_debugger || debugger.is_none())]
        .into_iter()
        .filter_map(|(module, is_there)| (!is_there).then_some(module))
        .collect();
    match missing[..] {
        [] => {}
        [DEBUGGER] => {
            return Err(Lack {
                needs: format!("need the debugger `{DEBUGGER}`"),
                hint: python.get(&modules, &missing),
            });
        }
        _ => {
            let needs = format!("need AWS's runtime client for Python, `{CLIENT}`");
            return Err(Lack { needs, hint: python.get(&modules, &missing) });
        }
    }
    let candidates = files_of(&function.handler);
    if !candidates.iter().any(|file| folder.join(file).is_file()) {
        handlers.warn_of_missing(function, &candidates);
    }
    let mut words = vec![python.program.clone()];
    if let Some(address) = &debugger {
        // Breakpoints in frozen modules have no effect, of which the debugger warns.
        words.extend(
            ["-X", "frozen_modules=off", "-m", DEBUGGER, "--listen", address, "--wait-for-client"].map(str::to_owned),
        );
    }
    words.extend(["-m".to_owned(), CLIENT.to_owned(), function.handler.clone()]);
    let uses_cache = !python.has_client || debugger.is_some() && !python.has_debugger;
    let modules = uses_cache.then(|| modules.to_string_lossy().into_owned());
    Ok(Launch { words, modules, debugger, ..Launch::default() })
}

/// The files that may have a handler. The client takes the part behind the last dot for the function, and dots and slashes
/// before it for folders.
fn files_of(handler: &str) -> Vec<String> {
    let module = handler.rsplit_once('.').map_or(handler, |(module, _)| module).replace('.', "/");
    vec![format!("{module}.py"), format!("{module}/__init__.py")]
}

/// The interpreter of the activated virtual environment, or of one in the project; `None`: the one in `PATH`.
fn interpreter(handlers: &Handlers, function: &Function) -> Option<PathBuf> {
    let of_project = project(function).into_iter().flat_map(|folder| [folder.join(".venv"), folder.join("venv")]);
    let environments = handlers.virtual_environment.iter().cloned().chain(of_project);
    environments.map(|folder| folder.join("bin/python")).find(|file| file.is_file())
}

/// An interpreter and its modules.
struct Python {
    /// As the first word of a command in the function's folder.
    program: String,
    /// Such as `3.13`.
    version: String,
    has_client: bool,
    has_debugger: bool,
    has_pip: bool,
    /// Its path, for commands in any folder; `None` for `python3`.
    file: Option<PathBuf>,
}

impl Python {
    fn ask(handlers: &Handlers, function: &Function, program: String, file: Option<&Path>) -> Result<Python, Lack> {
        let lack = |problem: &str| {
            let hint = "install Python, or set `PATH` with `--env PATH=...`".to_owned();
            Lack { needs: format!("need Python: {problem}"), hint }
        };
        if let Some(obstacle) = handlers.obstacle(function, &program) {
            return Err(lack(obstacle.split(';').next().unwrap_or_default()));
        }
        let started = file.map_or(Path::new(&program), |file| file).to_string_lossy().into_owned();
        let output = handlers.output(function, &started, &["-c", ASK]);
        let output = output.ok_or_else(|| lack(&format!("`{program}` does not run")))?;
        let mut words = output.split_whitespace();
        let version = words.next().unwrap_or_default().to_owned();
        let mut has = || words.next() == Some("1");
        let (has_client, has_debugger, has_pip) = (has(), has(), has());
        Ok(Python { program, version, has_client, has_debugger, has_pip, file: file.map(Path::to_owned) })
    }

    /// The hint that gets modules. Environments of uv have no pip.
    fn get(&self, folder: &Path, modules: &[&str]) -> String {
        let (python, folder) = (self.file.as_deref().map_or_else(|| "python3".to_owned(), quoted), quoted(folder));
        let pip = match self.has_pip {
            true => format!("{python} -m pip install"),
            false if self.file.is_some() => format!("uv pip install --python {python}"),
            false => {
                return format!(
                    "install pip (Debian: python3-pip), and run `{python} -m pip install --target {folder} {}`",
                    modules.join(" ")
                );
            }
        };
        format!("run `{pip} --target {folder} {}`", modules.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_handler_ends_at_its_last_dot() {
        for (handler, files) in [
            ("app.main", ["app.py", "app/__init__.py"]),
            ("src/app.main", ["src/app.py", "src/app/__init__.py"]),
            ("src.app.main", ["src/app.py", "src/app/__init__.py"]),
            ("app", ["app.py", "app/__init__.py"]),
        ] {
            assert_eq!(files_of(handler), files, "{handler}");
        }
    }
}
