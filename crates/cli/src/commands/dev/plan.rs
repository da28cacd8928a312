//! The plan of a `crossfade dev` run, checked as far as possible without starting anything.
//!
//! Owns reading the user's files and translating options into the emulator's settings. `crossfade-route` and the emulator own
//! the file formats.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use crossfade_emulator::{Function, Settings, source};
use crossfade_event::HeaderMode;
use crossfade_function::ConfigSource;
use crossfade_journal::redaction::{HIDDEN, is_secret_parameter};
use crossfade_route::{Nothing, RoutingTable};

use super::changes::Watched;
use super::functions::{self, Command};
use super::handlers::{Bundle, DebugPorts, Handlers};
use super::host::Host;
use super::live::{self, LiveState};
use super::{Options, RunResources, balancer};
use crate::commands::environment::Environment;
use crate::commands::sources::Rules;
use crate::commands::{cert_file, configuration};
use crate::demo::Demo;
use crate::terminal::say;

/// The authority of the demo back ends. `report` looks for it in the folder of a log.
pub(in crate::commands) const CA_FILE: &str = "ca.pem";
pub(super) const CONFIG_FILE: &str = "crossfade.yaml";

/// The value in `deploy/serverless/serverless.yml`.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The time limits of `--debug`: long enough for a session, and short enough for a timer in milliseconds of 31 bits, as Node's
/// are.
pub(super) const DEBUG: Duration = Duration::from_secs(10 * 24 * 3600);

/// The source of the function's routing.
#[derive(Clone)]
pub(super) enum Routing {
    /// Two built-in back ends.
    Demo,
    /// `--backend`
    Backend(String),
    /// `--config` as an absolute path: the function may run in another folder.
    Config(PathBuf),
    /// `--function` alone: only the command knows.
    Unknown,
}

impl Routing {
    /// Returns `true` for a configuration with a bucket for large responses.
    fn spills(&self) -> bool {
        let Routing::Config(file) = self else { return false };
        configuration::compiled(file).is_ok_and(|(table, _)| table.spill.is_some())
    }
}

/// Checked options.
pub(super) struct Plan {
    pub(super) routing: Routing,
    /// Everything except the environment of our own function.
    pub(super) template: Settings,
    /// The command of each function.
    pub(super) commands: Vec<Command>,
    /// True if our own function is among them.
    pub(super) own_function: bool,
    /// The file with the rules.
    pub(super) file: Option<PathBuf>,
    /// It, and the files that it includes.
    rule_files: Vec<PathBuf>,
    /// The environment variables that they use.
    pub(super) environment: Environment,
    pub(super) mode: HeaderMode,
    pub(super) host: Host,
    /// `--live`
    pub(super) live: Option<LiveState>,
    /// For all functions.
    variables: Variables,
}

/// The variables of `--env`.
#[derive(Clone, Default)]
struct Variables {
    /// Copied from this shell, as they are.
    copied: Vec<(String, String)>,
    /// With placeholders such as `{port}`.
    given: Vec<(String, String)>,
}

/// `--list-rules`
pub(super) fn list_rules(options: &Options) -> Result<()> {
    match options.sources.load()? {
        Some(mut rules) => {
            rules.settings.functions.iter_mut().for_each(|function| limit(function, options));
            // A value that a rule compares with a secret is a secret as well.
            for rule in rules.settings.listeners.iter_mut().flat_map(|listener| &mut listener.rules) {
                for condition in &mut rule.conditions {
                    *condition = condition.without_secrets(is_secret_parameter, HIDDEN);
                }
            }
            crate::terminal::print(&rules.environment.hide(&source::table(&rules.settings)))
        }
        None => bail!(
            "`--list-rules` needs a file with rules\n  hint: name one with `--serverless`, `--template`, `--terraform` or `--describe-rules`"
        ),
    }
}

impl Plan {
    /// # Errors
    /// The first error in the options, or all errors in the first invalid file.
    pub(super) fn check(options: &Options) -> Result<Plan> {
        let plan = Plan::read(options, |own_function| routing(options, own_function))?;
        for listener in &plan.template.listeners {
            balancer::free(listener.listen)?;
        }
        Ok(plan)
    }

    /// The plan after a change of the files with rules.
    ///
    /// # Errors
    /// As [`Plan::check`]; and if something has to be started that is not there.
    pub(super) fn reread(&self, options: &Options) -> Result<Plan> {
        Plan::read(options, |own_function| match &self.routing {
            Routing::Unknown if own_function => {
                bail!(
                    "a function is now Crossfade's own\n  hint: restart `crossfade dev`, which then starts its back ends"
                )
            }
            routing => Ok(routing.clone()),
        })
    }

    fn read(options: &Options, routing: impl FnOnce(bool) -> Result<Routing>) -> Result<Plan> {
        let rules = options.sources.load()?;
        let local = || (vec![Function::new("local", Vec::new())], vec![vec!["local".to_owned()]]);
        let (functions, names) =
            rules.as_ref().map_or_else(local, |rules| (rules.settings.functions.clone(), rules.names.clone()));
        let variables = Variables::of(&options.env)?;
        let path = variables.value("PATH").map(OsString::from).or_else(|| std::env::var_os("PATH"));
        let commands = commands(options, &functions, &names, path.clone())?;
        let own_function = commands.contains(&Command::Own);
        let routing = routing(own_function)?;
        if options.live.is_some() && matches!(routing, Routing::Unknown) {
            bail!("`--live` is of Crossfade's own function\n  hint: `--config` or `--backend` says what it does");
        }
        let live = options.live.as_deref().map(LiveState::parse).transpose()?;
        // Ours is deployed with multi-value headers; AWS's default is without.
        let is_multi = options.multi_value_headers || own_function && !options.single_value_headers;
        let mode = if is_multi { HeaderMode::Multi } else { HeaderMode::Single };
        let (file, rule_files, environment, mut template) = match rules {
            Some(Rules { file, files, settings, left_out, environment, .. }) => {
                tell_left_out(&settings, &left_out, &commands, &options.env);
                (Some(file), files, environment, settings)
            }
            None => {
                let function = Function { timeout: TIMEOUT, ..Function::new("local", Vec::new()) };
                (None, Vec::new(), Environment::default(), Settings::forward_all(mode, function))
            }
        };
        let extensions = options
            .extensions
            .iter()
            .map(|command| functions::split("--extension", command))
            .collect::<Result<Vec<_>>>()?;
        for (function, command) in template.functions.iter_mut().zip(&commands) {
            limit(function, options);
            function.extensions.clone_from(&extensions);
            match command {
                Command::Handler(launch) => {
                    function.command.clone_from(&launch.words);
                    function.env.extend(launch.variables.iter().cloned());
                }
                Command::Of(words) => {
                    function.command.clone_from(words);
                    if file.is_none() {
                        function.handler = handler_in(words).unwrap_or_else(|| std::mem::take(&mut function.handler));
                    }
                }
                Command::Own => {
                    function.command = own_command()?;
                    // The options of this command set its variables.
                    function.env.retain(|(name, _)| !name.starts_with("CROSSFADE_"));
                    // A `crossfade.yaml` in the file's folder would contradict `--backend`.
                    function.directory = None;
                }
            }
        }
        for (function, command) in template.functions.iter().zip(&commands) {
            functions::check(function, command, path.as_deref())?;
        }
        options.front.apply(&mut template, file.is_some())?;
        let host = Host::of(options.host.as_deref())?;
        listen(&mut template, &host, options.port)?;
        balancer::apply(&options.balancer, &mut template)?;
        if options.debug.is_some() {
            wait_for_the_debugger(&mut template);
        }
        Ok(Plan {
            routing,
            template,
            commands,
            own_function,
            file,
            rule_files,
            environment,
            mode,
            host,
            live,
            variables,
        })
    }

    /// True if a file defines the rules.
    pub(super) fn has_rules(&self) -> bool {
        self.file.is_some()
    }

    /// The emulator's settings, with the paths of generated files.
    pub(super) fn settings(&self, resources: &RunResources) -> Result<Settings> {
        let mut settings = self.template.clone();
        for (function, command) in settings.functions.iter_mut().zip(&self.commands) {
            match command {
                Command::Own => {
                    let mut environment = self.own_environment(resources)?;
                    // The file's values override those of this shell.
                    let of_file = std::mem::take(&mut function.env);
                    environment.retain(|(name, _)| !of_file.iter().any(|(other, _)| other == name));
                    function.env = [of_file, environment].concat();
                }
                Command::Of(_) | Command::Handler(_) => function.env.extend(given_to_all(&self.routing, resources)?),
            }
            let Variables { copied, given } = &self.variables;
            function.env.retain(|(name, _)| !copied.iter().chain(given).any(|(other, _)| other == name));
            function.env.extend_from_slice(copied);
            function.local_env.clone_from(given);
            if let Command::Handler(launch) = command
                && let Some(modules) = &launch.modules
            {
                add_modules(function, modules);
            }
        }
        Ok(settings)
    }

    /// The handlers that are bundled before they run.
    pub(super) fn bundles(&self) -> impl Iterator<Item = &Bundle> {
        self.commands.iter().filter_map(|command| match command {
            Command::Handler(launch) => launch.bundle.as_ref(),
            Command::Own | Command::Of(_) => None,
        })
    }

    /// Returns true if a change of this file may change the rules.
    pub(super) fn has_rules_in(&self, file: &Path) -> bool {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let may_be_included = name.starts_with(".env") || name.ends_with(".yml") || name.ends_with(".yaml");
        self.rule_files.iter().any(|it| it == file) || self.file.is_some() && may_be_included
    }

    /// The files whose changes matter: those with rules, and the code of functions other than our own.
    pub(super) fn watched(&self) -> Watched {
        let mut watched = Watched { rules: self.rule_files.clone(), ..Watched::default() };
        if let Some(folder) = self.rule_files.first().and_then(|file| file.parent()) {
            let is_env = |name: &str| name.starts_with(".env.");
            let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
            let further = names.filter(|name| name.to_str().is_some_and(is_env)).map(|name| folder.join(name));
            // A virtual environment of Python's may have the name.
            watched.rules.extend(further.chain([folder.join(".env")]).filter(|file| !file.is_dir()));
        }
        for (function, _) in self.template.functions.iter().zip(&self.commands).filter(|(_, it)| **it != Command::Own) {
            let folder = function.directory.as_deref().unwrap_or(Path::new("."));
            let Ok(folder) = std::path::absolute(folder) else { continue };
            let words = function.extensions.iter().flatten().chain(&function.command);
            let programs = words.map(|word| folder.join(word)).filter(|file| file.is_file());
            watched.programs.extend(programs);
            watched.folders.push(folder);
        }
        for list in [&mut watched.programs, &mut watched.folders] {
            list.sort_unstable();
            list.dedup();
        }
        watched
    }

    /// The environment of our own function, which a configuration may refer to.
    pub(super) fn own_variables(&self, settings: &Settings) -> Vec<(String, String)> {
        let mut functions = settings.functions.iter().zip(&self.commands);
        let own = functions.find(|(_, command)| matches!(command, Command::Own));
        own.map(|(function, _)| function.env.clone()).unwrap_or_default()
    }

    fn own_environment(&self, resources: &RunResources) -> Result<Vec<(String, String)>> {
        // A configuration may contain `${env:NAME}`, now or after its next change.
        let mut environment: Vec<_> = std::env::vars_os().filter_map(for_config).collect();
        environment.extend(given_to_all(&self.routing, resources)?);
        if resources.live.as_ref().is_some_and(LiveState::is_remote) || self.routing.spills() {
            environment.extend(live::variables_of_aws());
        }
        // Otherwise the current folder, where a `crossfade.yaml` would contradict `--backend`.
        environment.push(("LAMBDA_TASK_ROOT".to_owned(), text(resources.folder.path())?));
        Ok(environment)
    }
}

/// The variables that define a function's routing and trusted certificates.
fn given_to_all(routing: &Routing, resources: &RunResources) -> Result<Vec<(String, String)>> {
    let mut environment = Vec::new();
    let mut set = |name: &str, value: String| environment.push((name.to_string(), value));
    if let Routing::Backend(url) = routing {
        set("CROSSFADE_BACKEND", url.clone());
    }
    if let Some(watch) = &resources.watch {
        set("CROSSFADE_CONFIG", text(watch.copy())?);
        set("CROSSFADE_CONFIG_FOLDER", text(watch.folder())?);
        set("CROSSFADE_RELOAD", "1".to_string());
        // The terminal and the inspector show every request, whatever the file says about the log in AWS.
        set("CROSSFADE_ACCESS_LOG", "100".to_string());
    }
    if let Some(live) = &resources.live {
        set("CROSSFADE_LIVE", live.place().to_owned());
    }
    // The emulator gives the function Lambda's environment, not ours.
    if let Some(file) = cert_file()? {
        set("SSL_CERT_FILE", text(&file)?);
    }
    Ok(environment)
}

/// Warns about missing environment variables of functions other than our own, which gets its settings from options.
fn tell_left_out(settings: &Settings, left_out: &[Vec<String>], commands: &[Command], given: &[String]) {
    for ((function, names), command) in settings.functions.iter().zip(left_out).zip(commands) {
        let is_given = |name: &str| given.iter().any(|given| given.split('=').next() == Some(name));
        let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| !is_given(name)).collect();
        if let ([first, ..], Command::Of(_) | Command::Handler(_)) = (&names[..], command) {
            let name = &function.name;
            let names = names.join(", ");
            say(&format!(
                "warning: function `{name}` lacks environment variables whose values only AWS knows: {names}\n  \
                 hint: set them with `--env {first}=VALUE`"
            ));
        }
    }
}

/// The command of each function: that of an option, or its handler's. With a configuration for our own function, that one runs in
/// place of the only function.
fn commands(
    options: &Options,
    functions: &[Function],
    names: &[Vec<String>],
    path: Option<OsString>,
) -> Result<Vec<Command>> {
    let (handlers, ports) = (Handlers::new(path, options.debug.as_deref()), DebugPorts::default());
    let is_replaced = functions.len() == 1 && (options.config.is_some() || options.backend.is_some());
    let commands = functions::commands(&options.functions, functions, names, |function, names| {
        (!is_replaced).then(|| handlers.launch(function, names, &ports)).flatten()
    })?;
    if let Some(name) = options.debug.as_deref().filter(|name| !name.is_empty())
        && !names.iter().any(|of_one| of_one.iter().any(|known| known == name))
    {
        let known: Vec<&str> = names.iter().filter_map(|of_one| Some(of_one.first()?.as_str())).collect();
        bail!("`--debug`: unknown function `{name}`\n  hint: the functions are `{}`", known.join("`, `"));
    }
    handlers.finish()?.iter().for_each(|warning| say(warning));
    Ok(commands)
}

/// Adds a folder of modules behind those of the function.
fn add_modules(function: &mut Function, modules: &str) {
    let mut variables = function.local_env.iter_mut().rev().chain(function.env.iter_mut().rev());
    match variables.find(|(name, _)| name == "PYTHONPATH") {
        Some((_, folders)) => *folders = format!("{folders}:{modules}"),
        None => function.env.push(("PYTHONPATH".to_owned(), modules.to_owned())),
    }
}

/// The handler that a command names, as that of a container image does: its last argument, such as `index.handler`, unless it
/// is a file. Version 4 of `aws-lambda-ric` reads it from `_HANDLER`.
fn handler_in(words: &[String]) -> Option<String> {
    let last = words.get(1..)?.last()?;
    let is_name =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-/$".contains(c));
    let is_handler = last.contains('.') && last.split('.').all(is_name) && !last.starts_with('-');
    (is_handler && !Path::new(last).exists()).then(|| last.clone())
}

/// Applies options, which override the file.
fn limit(function: &mut Function, options: &Options) {
    if let Some(limit) = options.max_concurrency {
        (function.max_concurrency, function.reserved_by) = (limit.into(), Some("--max-concurrency"));
    }
    function.timeout = options.timeout.unwrap_or(function.timeout);
    function.memory_mib = options.memory.unwrap_or(function.memory_mib);
    function.invocations_per_environment = options.concurrency_per_environment.into();
    function.freeze = options.freeze;
}

/// `--debug`: one request at a time, as a debugger has one port, and no time limit, as a person thinks longer than that. Health
/// checks would take the requests' turn.
fn wait_for_the_debugger(settings: &mut Settings) {
    settings.load_balancer.idle_timeout = DEBUG;
    settings.load_balancer.client_keep_alive = DEBUG;
    settings.target_groups.iter_mut().for_each(|group| group.health_check = None);
    for function in &mut settings.functions {
        (function.timeout, function.init_timeout) = (DEBUG, DEBUG);
        (function.max_concurrency, function.reserved_by) = (1, None);
        (function.invocations_per_environment, function.freeze) = (1, false);
    }
}

/// Assigns consecutive ports to the listeners.
fn listen(settings: &mut Settings, host: &Host, port: u16) -> Result<()> {
    for (listener, index) in settings.listeners.iter_mut().zip(0..) {
        let own = if port == 0 { Some(0) } else { port.checked_add(index) };
        let Some(own) = own else {
            bail!("not enough ports from {port} on for all listeners\n  hint: choose a lower `--port`")
        };
        listener.listen = SocketAddr::new(host.first, own);
        listener.also.clone_from(&host.also);
    }
    Ok(())
}

impl Variables {
    /// From texts such as `NAME=VALUE`, or `NAME` for this shell's value. The last one of a name wins.
    fn of(texts: &[String]) -> Result<Variables> {
        let mut variables = Variables::default();
        for text in texts {
            let (name, value) = text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name, Some(value)));
            if name.is_empty() {
                bail!("`--env {text}` has no name");
            }
            for list in [&mut variables.copied, &mut variables.given] {
                list.retain(|(other, _)| other != name);
            }
            match value {
                Some(value) => variables.given.push((name.to_owned(), value.to_owned())),
                None => {
                    let value = std::env::var(name).with_context(|| format!("`--env {text}`"))?;
                    variables.copied.push((name.to_owned(), value));
                }
            }
        }
        Ok(variables)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.copied.iter().chain(&self.given).find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// A variable of this shell, unless it belongs to the Lambda platform or to Crossfade.
fn for_config((name, value): (OsString, OsString)) -> Option<(String, String)> {
    let name = name.into_string().ok()?;
    let is_of_the_platform = ["AWS_", "CROSSFADE_", "LAMBDA_", "_"].iter().any(|prefix| name.starts_with(prefix));
    (!is_of_the_platform).then_some((name, value.into_string().ok()?))
}

/// The only function that reads a configuration. It uses the function's own code, so that both are equally strict.
fn routing(options: &Options, own_function: bool) -> Result<Routing> {
    let cert_file = cert_file()?;
    if let Some(url) = &options.backend {
        // Checked twice, so that the error names the option.
        RoutingTable::from_backend_url(url, "--backend", &Nothing)?;
        crossfade_function::load(&ConfigSource::BackendUrl(url.clone()), cert_file.as_deref())?;
        return Ok(Routing::Backend(url.clone()));
    }
    if let Some(file) = &options.config {
        configuration::compiled(file)?;
        return Ok(Routing::Config(std::path::absolute(file).with_context(|| format!("`{}`", file.display()))?));
    }
    Ok(if own_function { Routing::Demo } else { Routing::Unknown })
}

fn own_command() -> Result<Vec<String>> {
    let program = std::env::current_exe().context("cannot find the executable of this program")?;
    Ok(vec![text(&program)?, "function".to_string()])
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(String::from).with_context(|| format!("the path `{}` is not UTF-8", path.display()))
}

/// The configuration of the tour, which is also an example for users.
pub(super) fn demo_config(folder: &Path, demo: &Demo) -> String {
    // A JSON string is a YAML string, whatever characters the folder's name has.
    let ca_file = serde_json::json!(folder.join(CA_FILE).to_string_lossy());
    let (legacy, modern) = (demo.legacy.port(), demo.modern.port());
    format!(
        "version: 1\n\
         backends:\n  \
           legacy:\n    url: https://localhost:{legacy}\n    tls: {{ caFile: {ca_file} }}\n  \
           modern:\n    url: https://localhost:{modern}\n    tls: {{ caFile: {ca_file} }}\n    \
               # Without a limit, a timeout would leave no time for failover.\n    \
               timeouts: {{ backendRequest: 5s }}\n\
         routes:\n  \
           - name: orders\n    priority: 10\n    conditions: {{ path: [/orders/*] }}\n    forward:\n      \
               # `crossfade promote` raises the share of modern: some customers move, and stay there.\n      \
               targets: [{{ backend: legacy, weight: 100 }}, {{ backend: modern, weight: 0 }}]\n      \
               # The same customer always gets the same system; requests without the cookie stay on legacy.\n      \
               sticky: {{ by: {{ cookie: customer_id }}, otherwise: legacy }}\n      \
               failover: {{ to: legacy }}\n    \
             # Copies for modern, sent after the client has its response: `crossfade report` shows the differences.\n    \
             mirror: &copies\n      \
               backend: modern\n      \
               percent: 100\n      \
               compare: {{ noise: {{ selfCompare: 25% }}, keepValues: true }}\n  \
           - name: shop\n    priority: 20\n    \
             conditions: {{ path: [/products/*, /customers/*, /carts/*, /reviews/*, /search, /help/*, /invoices/*] }}\n    \
             forward: legacy\n    \
             mirror: *copies\n\
         default: {{ forward: legacy }}\n\
         # A real migration takes its time: `bake: 30m`, `samples: 500`, and a guard such as 'parity>=99.5%, errors<=+0.5%'.\n\
         migration:\n  \
           from: legacy\n  \
           to: modern\n  \
           steps: [10%, 25%, 50%, 100%]\n  \
           bake: 2s\n  \
           samples: 20\n  \
           guard: 'errors<=+0.5%'\n"
    )
}

#[cfg(test)]
mod tests {
    use crossfade_function::LocalSurroundings;

    use super::*;

    #[test]
    fn a_function_without_reserved_concurrency_has_what_a_laptop_can_bear() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            options: Options,
        }
        let limited = |reserved: Option<usize>, words: &[&str]| {
            let line = <Line as clap::Parser>::parse_from([&["dev"], words].concat());
            let mut function = Function::new("a", Vec::new());
            if let Some(reserved) = reserved {
                (function.max_concurrency, function.reserved_by) = (reserved, Some("reservedConcurrency"));
            }
            limit(&mut function, &line.options);
            (function.max_concurrency, function.reserved_by)
        };
        assert_eq!(limited(None, &[]), (10, None));
        assert_eq!(limited(None, &["--max-concurrency", "10"]), (10, Some("--max-concurrency")));
        for of_file in [50, 1000] {
            assert_eq!(limited(Some(of_file), &[]), (of_file, Some("reservedConcurrency")));
            assert_eq!(limited(Some(of_file), &["--max-concurrency", "3"]), (3, Some("--max-concurrency")));
        }
    }

    #[test]
    fn a_command_names_its_handler_as_a_container_image_does() {
        for (command, handler) in [
            ("npx aws-lambda-ric index.handler", Some("index.handler")),
            ("python3 -m awslambdaric src/app.pages.main", Some("src/app.pages.main")),
            ("node src/lib.rs", None),
            ("node ./server.js", None),
            ("./bootstrap", None),
            ("serve --listen=a.b", None),
            ("sh -c", None),
            ("python3 -m", None),
        ] {
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            assert_eq!(handler_in(&words).as_deref(), handler, "{command}");
        }
    }

    #[test]
    fn a_debugger_s_session_has_no_limits_and_one_request_at_a_time() {
        let mut function = Function::new("a", vec!["a".to_owned()]);
        (function.max_concurrency, function.reserved_by, function.freeze) = (0, Some("reservedConcurrency"), true);
        let mut settings = Settings::forward_all(HeaderMode::Single, function);
        settings.target_groups[0].health_check = Some(crossfade_emulator::HealthCheck::default());
        wait_for_the_debugger(&mut settings);
        let function = &settings.functions[0];
        assert_eq!((function.timeout, function.init_timeout), (DEBUG, DEBUG));
        assert_eq!((function.max_concurrency, function.reserved_by, function.freeze), (1, None, false));
        assert_eq!(settings.load_balancer.idle_timeout, DEBUG);
        assert_eq!(settings.target_groups[0].health_check, None);
        assert!(DEBUG.as_millis() < 1 << 31, "a timer of Node's would fire at once");
    }

    #[tokio::test]
    async fn the_demo_configuration_is_a_valid_one() {
        let demo = Demo::start().await.unwrap();
        let folder = tempfile::Builder::new().prefix("it's \"here\": #1").tempdir().unwrap();
        std::fs::write(folder.path().join(CA_FILE), &demo.ca_pem).unwrap();
        let config = demo_config(folder.path(), &demo);
        if let Err(errors) =
            RoutingTable::from_config(&config, CONFIG_FILE, &LocalSurroundings { folder: folder.path() })
        {
            panic!("{config}\n{errors}");
        }
    }
}
