//! Handlers of Node.js and Python functions, which `crossfade dev` runs itself through AWS's runtime clients.
//!
//! Owns which functions have one, where programs and clients are searched, and the errors if they are missing. `node`, `python` and
//! `bundle` make the commands. It installs nothing: a missing client is an error with the command that gets it.

mod bundle;
mod node;
mod python;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, anyhow};
use crossfade_emulator::Function;

pub(super) use bundle::Bundle;

/// The languages with a client that runs a handler by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    Node,
    Python,
}

/// The command that runs a handler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Launch {
    /// Program and arguments.
    pub(super) words: Vec<String>,
    /// Variables that the function needs besides those of the file.
    pub(super) variables: Vec<(String, String)>,
    /// A folder of modules, for the end of `PYTHONPATH`.
    pub(super) modules: Option<String>,
    /// Made before the function starts.
    pub(super) bundle: Option<Bundle>,
    /// The address at which a debugger finds the function.
    pub(super) debugger: Option<String>,
}

/// Something that a handler needs and this machine lacks.
struct Lack {
    /// Without the functions, in the form `need X`, for several of them.
    needs: String,
    hint: String,
}

/// The places of programs and clients, and the notes about what is missing.
pub(super) struct Handlers {
    /// `PATH` of the functions.
    path: Option<OsString>,
    /// That of the shell's activated environment.
    virtual_environment: Option<PathBuf>,
    /// The folder of clients that no project has.
    cache: PathBuf,
    debug: Debug,
    /// The functions, by what they lack.
    lacking: RefCell<Vec<(Lack, Vec<String>)>>,
    warnings: RefCell<Vec<String>>,
    /// Outputs of programs, by folder, program, arguments and `PYTHONPATH`: functions of one folder share them.
    outputs: RefCell<BTreeMap<Vec<OsString>, Option<String>>>,
}

/// The functions that are started with a debugger.
enum Debug {
    None,
    All,
    One(String),
}

impl Handlers {
    /// With these for the functions: `PATH`, and the value of `--debug`, which is empty for all functions.
    pub(super) fn new(path: Option<OsString>, debug: Option<&str>) -> Handlers {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        // XDG base directory specification: an absolute path, by default `$HOME/.cache`.
        let cache = variable("XDG_CACHE_HOME").filter(|folder| folder.is_absolute());
        let cache = cache.or_else(|| Some(variable("HOME")?.join(".cache")));
        Handlers {
            path,
            virtual_environment: variable("VIRTUAL_ENV"),
            cache: cache.unwrap_or_else(std::env::temp_dir).join("crossfade"),
            debug: match debug {
                None => Debug::None,
                Some("") => Debug::All,
                Some(name) => Debug::One(name.to_owned()),
            },
            lacking: RefCell::default(),
            warnings: RefCell::default(),
            outputs: RefCell::default(),
        }
    }

    /// Returns the command that runs the handler of a function with these names; `None` if it has none. Notes what is missing for
    /// [`Handlers::finish`].
    pub(super) fn launch(&self, function: &Function, names: &[String], ports: &DebugPorts) -> Option<Launch> {
        let language = language(function)?;
        let is_debugged = match &self.debug {
            Debug::None => false,
            Debug::All => true,
            Debug::One(name) => names.contains(name),
        };
        let launched = match language {
            Language::Node => node::launch(self, function, is_debugged.then(|| ports.node())),
            Language::Python => python::launch(self, function, is_debugged.then(|| ports.python())),
        };
        let name = names.first().unwrap_or(&function.name);
        launched
            .unwrap_or_else(|lack| {
                let mut lacking = self.lacking.borrow_mut();
                match lacking.iter_mut().find(|(known, _)| (&known.needs, &known.hint) == (&lack.needs, &lack.hint)) {
                    Some((_, functions)) => functions.push(name.clone()),
                    None => lacking.push((lack, vec![name.clone()])),
                }
                Launch::default()
            })
            .into()
    }

    /// Returns the warnings about the handlers so far.
    ///
    /// # Errors
    /// If something is missing: all of it, each with the functions that need it.
    pub(super) fn finish(self) -> Result<Vec<String>> {
        let mut text = String::new();
        for (Lack { needs, hint }, functions) in self.lacking.into_inner() {
            let names: Vec<String> = functions.iter().map(|name| format!("`{name}`")).collect();
            let (plural, needs) = match &names[..] {
                [_] => ("", needs.replacen("need ", "needs ", 1)),
                _ => ("s", needs),
            };
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = write!(text, "{gap}function{plural} {}: {needs}\n  hint: {hint}", names.join(", "));
        }
        if text.is_empty() { Ok(self.warnings.into_inner()) } else { Err(anyhow!(text)) }
    }

    fn warn(&self, warning: String) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// Warns if the function's runtime, such as `nodejs22.x`, is of another version than the program that runs it here.
    fn compare(&self, function: &Function, language: &str, here: &str, parts: usize) {
        let Some(runtime) = &function.runtime else { return };
        let wanted = runtime.trim_start_matches(|c: char| c.is_ascii_alphabetic()).trim_end_matches(".x");
        let is_same = wanted.split('.').take(parts).eq(here.split('.').take(parts));
        if !wanted.is_empty() && !is_same {
            self.warn(format!("warning: the runtime `{runtime}` is {language} {here} on this machine"));
        }
    }

    /// Warns that no file has the handler: it may be built later, and until then the client reports an error.
    fn warn_of_missing(&self, function: &Function, looked_for: &[String]) {
        let files: Vec<String> = looked_for.iter().map(|file| format!("`{file}`")).collect();
        self.warn(format!(
            "warning: function `{}`: no file for its handler `{}` in `{}`: {}\n  \
             hint: build it; `--function` names a command that runs the function otherwise",
            function.name,
            function.handler,
            folder_of(function).display(),
            files.join(", ")
        ));
    }

    /// Returns the output of a program in a function's folder, with the environment that the function gets.
    fn output(&self, function: &Function, program: &str, arguments: &[&str]) -> Option<String> {
        let python_path = function.env.iter().filter(|(name, _)| name == "PYTHONPATH");
        let mut key = vec![folder_of(function).into(), program.into()];
        key.extend(arguments.iter().copied().chain(python_path.map(|(_, value)| value.as_str())).map(OsString::from));
        let mut outputs = self.outputs.borrow_mut();
        outputs.entry(key).or_insert_with(|| self.run(function, program, arguments)).clone()
    }

    fn run(&self, function: &Function, program: &str, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder_of(function)).env_clear().stdin(Stdio::null());
        command.envs(std::env::var_os("HOME").map(|home| ("HOME", home)));
        command.envs(self.path.as_ref().map(|path| ("PATH", path)));
        command.envs(function.env.iter().filter(|(name, _)| name == "PYTHONPATH").cloned());
        let output = command.output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    }

    /// Returns what keeps a program of a function from running.
    fn obstacle(&self, function: &Function, program: &str) -> Option<String> {
        crossfade_emulator::obstacle(&[program.to_owned()], function.directory.as_deref(), self.path.as_deref())
    }
}

/// The ports of debuggers: those that editors expect, and the next ones for further functions.
#[derive(Default)]
pub(super) struct DebugPorts {
    node: Cell<u16>,
    python: Cell<u16>,
}

impl DebugPorts {
    fn node(&self) -> String {
        next(&self.node, 9229)
    }

    fn python(&self) -> String {
        next(&self.python, 5678)
    }
}

/// The address with the next port.
fn next(taken: &Cell<u16>, first: u16) -> String {
    let number = taken.get();
    taken.set(number.saturating_add(1));
    format!("127.0.0.1:{}", first.saturating_add(number))
}

fn language(function: &Function) -> Option<Language> {
    match function.runtime.as_deref() {
        Some(runtime) if runtime.starts_with("nodejs") => Some(Language::Node),
        Some(runtime) if runtime.starts_with("python") => Some(Language::Python),
        Some(_) => None,
        // The framework's default runtime is the latest of Node.js.
        None => (function.directory.is_some() && node::has_file(function)).then_some(Language::Node),
    }
}

fn folder_of(function: &Function) -> &Path {
    function.directory.as_deref().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The folder of a function and those above it, up to the root of its repository.
fn project(function: &Function) -> Vec<PathBuf> {
    let folder = std::path::absolute(folder_of(function)).unwrap_or_default();
    let mut folders = Vec::new();
    for folder in folder.ancestors() {
        folders.push(folder.to_owned());
        if folder.join(".git").exists() {
            break;
        }
    }
    folders
}

/// A file as an argument of a command that runs in a folder.
fn argument(file: &Path, folder: &Path) -> String {
    let absolute = std::path::absolute(folder).unwrap_or_default();
    match file.strip_prefix(&absolute) {
        // With a slash, as a name alone would be searched in `PATH`.
        Ok(inside) if inside.components().count() > 1 => inside.to_string_lossy().into_owned(),
        _ => file.to_string_lossy().into_owned(),
    }
}

/// A path as a word of a shell, with `~` for the home folder.
fn quoted(path: &Path) -> String {
    let home = std::env::var_os("HOME").filter(|home| home.len() > 1);
    let inside = home.and_then(|home| path.strip_prefix(home).ok()).map(Path::to_string_lossy);
    match inside {
        Some(inside) if shell_words::quote(&inside) == inside => format!("~/{inside}"),
        _ => shell_words::quote(&path.to_string_lossy()).into_owned(),
    }
}
