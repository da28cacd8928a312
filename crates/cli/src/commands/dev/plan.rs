//! What `crossfade dev` is going to run, checked as far as can be without starting anything.
//!
//! Owns reading the user's files and turning options into the emulator's settings. The files' formats belong to
//! `crossfade-route` and to the emulator.

use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use crossfade_emulator::serverless::{self, ListenerRule};
use crossfade_emulator::{Action, Function, Rule, Settings, TargetGroup, Transforms};
use crossfade_event::HeaderMode;
use crossfade_function::ConfigSource;
use crossfade_route::RoutingTable;
use http::StatusCode;

use super::{Options, Surroundings};
use crate::commands::cert_file;
use crate::demo::Demo;

pub(super) const CA_FILE: &str = "ca.pem";
pub(super) const CONFIG_FILE: &str = "crossfade.yaml";

/// As in `deploy/serverless/serverless.yml`.
const MEMORY_MIB: u32 = 128;

/// Where the function forwards to.
pub(super) enum Routing {
    /// Two built-in back ends.
    Demo,
    /// `--backend`
    Backend(String),
    /// `--config`, made absolute: the function may look at it from elsewhere.
    Config(PathBuf),
    /// `--function` alone: the command knows.
    Unknown,
}

/// Checked options.
pub(super) struct Plan {
    pub(super) routing: Routing,
    /// Program and arguments, absent for our own function.
    pub(super) command: Vec<String>,
    pub(super) own_function: bool,
    pub(super) rules: Option<(PathBuf, Vec<ListenerRule>)>,
    pub(super) mode: HeaderMode,
    pub(super) max_concurrency: usize,
    pub(super) timeout: Duration,
    listen: SocketAddr,
}

impl Plan {
    /// # Errors
    /// The first mistake in the options, or all mistakes in the first file that has some.
    pub(super) fn check(options: &Options) -> Result<Plan> {
        let routing = routing(options)?;
        let rules = match &options.serverless {
            Some(file) => Some((file.clone(), listener_rules(file)?)),
            None => None,
        };
        let command = match &options.function {
            Some(text) => split_command(text)?,
            None => own_command()?,
        };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        // Bound and released at once: the emulator binds it for good, but by then the back ends would run.
        TcpListener::bind(listen).map_err(|error| {
            anyhow!(
                "cannot listen on `{listen}`: {error}\n  hint: choose another port with `--port`, 0 takes any free one"
            )
        })?;
        Ok(Plan {
            routing,
            command,
            own_function: options.function.is_none(),
            rules,
            mode: if options.single_value_headers { HeaderMode::Single } else { HeaderMode::Multi },
            max_concurrency: options.max_concurrency.into(),
            timeout: options.timeout,
            listen,
        })
    }

    /// Whether requests may meet different rules.
    pub(super) fn has_rules(&self) -> bool {
        self.rules.is_some()
    }

    /// The emulator's settings, once it is known where generated files are.
    pub(super) fn settings(&self, surroundings: &Surroundings) -> Result<Settings> {
        let function = Function {
            env: self.environment(surroundings)?,
            timeout: self.timeout,
            max_concurrency: self.max_concurrency,
            memory_mib: MEMORY_MIB,
            ..Function::new("local", self.command.clone())
        };
        let mut settings = Settings::forward_all(self.mode, function);
        let listener = &mut settings.listeners[0];
        listener.listen = self.listen;
        if let Some((_, rules)) = &self.rules {
            listener.default_action = Action::status(StatusCode::NOT_FOUND);
            listener.rules = rules.iter().map(|rule| local_rule(rule, &mut settings.target_groups)).collect();
        }
        Ok(settings)
    }

    fn environment(&self, surroundings: &Surroundings) -> Result<Vec<(String, String)>> {
        let mut environment = Vec::new();
        if self.own_function {
            // A configuration may have `${env:NAME}` in it, today or after its next change.
            environment.extend(std::env::vars_os().filter_map(for_config));
        }
        let mut set = |name: &str, value: String| environment.push((name.to_string(), value));
        if let Routing::Backend(url) = &self.routing {
            set("CROSSFADE_BACKEND", url.clone());
        }
        if let Some(watch) = &surroundings.watch {
            set("CROSSFADE_CONFIG", text(watch.copy())?);
            set("CROSSFADE_CONFIG_FOLDER", text(watch.folder())?);
            set("CROSSFADE_RELOAD", "1".to_string());
        }
        // Otherwise the current folder, where a `crossfade.yaml` would contradict `--backend`.
        if self.own_function {
            set("LAMBDA_TASK_ROOT", text(surroundings.folder.path())?);
        }
        // The emulator gives the function Lambda's environment, not ours.
        if let Some(file) = cert_file()? {
            set("SSL_CERT_FILE", text(&file)?);
        }
        Ok(environment)
    }
}

fn local_rule(rule: &ListenerRule, groups: &mut Vec<TargetGroup>) -> Rule {
    let group = groups.iter().position(|group| group.mode == rule.mode).unwrap_or_else(|| {
        groups.push(TargetGroup::new("local", rule.mode, Some(0)));
        groups.len() - 1
    });
    Rule {
        priority: rule.priority,
        conditions: rule.conditions.clone(),
        transforms: Transforms::default(),
        action: Action::forward_to(group),
        origin: String::new(),
    }
}

/// This shell's variables, without those that tell the function how it runs.
fn for_config((name, value): (OsString, OsString)) -> Option<(String, String)> {
    let name = name.into_string().ok()?;
    let is_of_the_platform = ["AWS_", "CROSSFADE_", "LAMBDA_", "_"].iter().any(|prefix| name.starts_with(prefix));
    (!is_of_the_platform).then_some((name, value.into_string().ok()?))
}

/// The only place that looks into a configuration. It asks the function's own code, which is as strict here as there.
fn routing(options: &Options) -> Result<Routing> {
    let cert_file = cert_file()?;
    if let Some(url) = &options.backend {
        // Once more than needed, so that a mistake is told with the option's name.
        RoutingTable::from_backend_url(url, "--backend")?;
        crossfade_function::load(&ConfigSource::BackendUrl(url.clone()), cert_file.as_deref())?;
        return Ok(Routing::Backend(url.clone()));
    }
    if let Some(file) = &options.config {
        crossfade_function::load(&ConfigSource::file(file.clone()), cert_file.as_deref())?;
        return Ok(Routing::Config(std::path::absolute(file).with_context(|| format!("`{}`", file.display()))?));
    }
    Ok(if options.function.is_some() { Routing::Unknown } else { Routing::Demo })
}

fn listener_rules(file: &Path) -> Result<Vec<ListenerRule>> {
    let rules = serverless::read(&read(file)?, &file.to_string_lossy())?;
    let Some(first) = rules.first() else {
        bail!(
            "`{}` has no `alb` event\n  hint: without `--serverless` every request goes to the function",
            file.display()
        );
    };
    // One function runs here. Rules of another one would silently reach the wrong code.
    if let Some(other) = rules.iter().find(|rule| rule.function != first.function) {
        bail!(
            "`{}` has `alb` events for the functions `{}` and `{}`\n  hint: `crossfade dev` runs one function, so keep them in one file each",
            file.display(),
            first.function,
            other.function
        );
    }
    Ok(rules)
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))
}

fn own_command() -> Result<Vec<String>> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    Ok(vec![text(&program)?, "function".to_string()])
}

fn split_command(command: &str) -> Result<Vec<String>> {
    let words = shell_words::split(command).with_context(|| format!("`--function` cannot be split: `{command}`"))?;
    let Some(program) = words.first() else { bail!("`--function` is empty") };
    ensure!(
        is_program(Path::new(program), std::env::var_os("PATH").as_deref()),
        "`--function`: no program `{program}`\n  hint: it is not run by a shell, name a program and its arguments"
    );
    Ok(words)
}

/// As `execvp` looks for it: a path is taken as it is, a bare name is looked for in `PATH`.
fn is_program(program: &Path, path: Option<&OsStr>) -> bool {
    if program.components().count() > 1 || program.is_absolute() {
        return program.is_file();
    }
    path.is_some_and(|path| std::env::split_paths(path).any(|folder| folder.join(program).is_file()))
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(String::from).with_context(|| format!("the path `{}` is not UTF-8", path.display()))
}

/// The configuration of the tour: also an example of what a user writes.
pub(super) fn demo_config(folder: &Path, demo: &Demo) -> String {
    // A JSON string is a YAML string, whatever characters the folder's name has.
    let ca_file = serde_json::json!(folder.join(CA_FILE).to_string_lossy());
    let (legacy, modern) = (demo.legacy.port(), demo.modern.port());
    format!(
        "version: 1\n\
         backends:\n  \
           legacy:\n    url: https://localhost:{legacy}\n    tls: {{ caFile: {ca_file} }}\n  \
           modern:\n    url: https://localhost:{modern}\n    tls: {{ caFile: {ca_file} }}\n\
         routes:\n  \
           - name: orders\n    priority: 10\n    conditions: {{ path: [/orders/*] }}\n    forward:\n      \
               # Raise the weight of modern, save, and ask again: some customers have moved, and stay there.\n      \
               targets: [{{ backend: legacy, weight: 100 }}, {{ backend: modern, weight: 0 }}]\n      \
               sticky: {{ by: {{ cookie: customer_id }} }}\n      \
               failover: {{ to: legacy }}\n    \
             # Copies for modern, once the client has its answer: `crossfade report` says what differs.\n    \
             mirror: &copies\n      \
               backend: modern\n      \
               percent: 100\n      \
               compare: {{ noise: {{ selfCompare: 25% }}, keepValues: true }}\n  \
           - name: shop\n    priority: 20\n    \
             conditions: {{ path: [/products/*, /customers/*, /carts/*, /reviews/*, /search, /help/*, /invoices/*] }}\n    \
             forward: legacy\n    \
             mirror: *copies\n\
         default: {{ forward: legacy }}\n"
    )
}

#[cfg(test)]
mod tests {
    use crossfade_function::Here;

    use super::*;

    #[test]
    fn a_program_is_a_file_or_in_the_path() {
        let path = std::env::join_paths(["/nowhere", "/bin"]).unwrap();
        assert!(is_program(Path::new("sh"), Some(&path)));
        assert!(is_program(Path::new("/bin/sh"), None));
        assert!(!is_program(Path::new("sh"), Some(OsStr::new("/nowhere"))));
        assert!(!is_program(Path::new("./sh"), Some(&path)));
        assert!(!is_program(Path::new("/bin"), None));
    }

    #[test]
    fn a_command_is_split_as_a_shell_does_and_run_without_one() {
        assert_eq!(split_command("sh -c 'echo \"a b\"' x\\ y").unwrap(), ["sh", "-c", "echo \"a b\"", "x y"]);
        for bad in ["", "  ", "sh 'open", "no-such-program-here --x"] {
            assert!(split_command(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn the_demo_configuration_is_a_valid_one() {
        let demo = Demo::start().await.unwrap();
        let folder = tempfile::Builder::new().prefix("it's \"here\": #1").tempdir().unwrap();
        std::fs::write(folder.path().join(CA_FILE), &demo.ca_pem).unwrap();
        let config = demo_config(folder.path(), &demo);
        if let Err(mistakes) = RoutingTable::from_config(&config, CONFIG_FILE, &Here { folder: folder.path() }) {
            panic!("{config}\n{mistakes}");
        }
    }
}
