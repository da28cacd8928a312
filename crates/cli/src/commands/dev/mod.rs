//! `crossfade dev`: a local ALB, the function as a real child process and, by default, demo back ends.
//!
//! Owns the options and the sequence: check everything, start, report, stop. `plan` checks, `banner` prints the start message,
//! and `report` prints each request.

mod access_log;
mod balancer;
mod banner;
mod changes;
mod front;
mod functions;
mod handlers;
mod host;
mod live;
mod log;
mod plan;
mod printer;
mod report;
mod watch;

use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crossfade_emulator::{Emulator, Function, Notice, Settings};
use crossfade_route::{Nothing, RoutingTable};
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::environment::Environment;
use super::sources::Sources;
use crate::demo::Demo;
use crate::inspector::{self, Inspector, Routes};
use crate::system::{Stop, temporary};
use crate::terminal::{has_colours, say};
use access_log::AccessLog;
use changes::Changes;
use live::LiveState;
use log::Log;
pub(super) use plan::CA_FILE;
use plan::{Plan, Routing};
use printer::Printer;
use report::{Line, Reporter};
use watch::Watch;

/// Run the proxy on this machine with a local load balancer and demo back ends
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade dev                                  start the tour, with two demo back ends
  crossfade dev --backend https://example.com    your back end behind the proxy
  crossfade dev --config crossfade.yaml --serverless serverless.yml
  crossfade dev --config crossfade.yaml --live file:live.json --log function.log
  crossfade dev --serverless serverless.yml      run its functions: handlers of Node.js and Python by themselves
  crossfade dev --serverless serverless.yml --list-rules
  crossfade dev --function 'npx aws-lambda-ric index.handler' --env TABLE=orders
  crossfade dev --front http-api --function 'npx aws-lambda-ric index.handler'
  crossfade dev --template template.yml --function 'web=python3 -m awslambdaric web.handler' --function api=./bootstrap

Prints one line per request to standard output, and everything else to standard error.")]
pub(super) struct Options {
    /// Address or name of this machine to listen on, such as 0.0.0.0 for phones and containers [default: 127.0.0.1 and ::1]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,
    /// Port of the local load balancer; further listeners use the next ports; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// Forward all requests to this back end
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    backend: Option<String>,
    /// Route with this crossfade.yaml; changes apply from the next request
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    sources: Sources,
    /// Print the listeners, rules, target groups and functions of the file, and exit
    #[arg(long)]
    list_rules: bool,
    /// Run this command as the function instead of Crossfade's own, or as the one with this name, instead of its handler. It runs in the folder of the file with the rules and gets Lambda's environment, not this shell's; can be repeated
    #[arg(long = "function", value_name = "[NAME=]COMMAND")]
    functions: Vec<String>,
    /// Environment variable for all functions, such as `_HANDLER=index.handler` for a runtime client; without a value, copied from this shell; `{port}` is a free port of each environment; can be repeated
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Maximum number of environments of a function; further requests get 502, as in Lambda with a reserved concurrency [default: the file's reserved concurrency; without one, 10, and further requests wait]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    max_concurrency: Option<u16>,
    /// Time limit of a function for one request, such as `30s` or `500ms` [default: the file's, or 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// Memory limit of a function; exceeding it kills the process [default: the file's, or 128]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(128..=10_240))]
    memory: Option<u32>,
    /// Concurrent requests in one environment of a function, as with Lambda Managed Instances
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency_per_environment: u16,
    /// Freeze the processes between requests, as Lambda does
    #[arg(long)]
    freeze: bool,
    /// External extension to start with each environment of a function; can be repeated
    #[arg(long = "extension", value_name = "COMMAND")]
    extensions: Vec<String>,
    /// Wait for a debugger: one environment of a function and one request at a time, no time limits, no health checks. Handlers of Node.js wait on port 9229 (`--inspect-brk`), those of Python on 5678 (debugpy), further ones on the next ports; with a name, only that function. In a command of `--function`, start the debugger yourself
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "", conflicts_with_all = ["timeout", "freeze", "max_concurrency", "concurrency_per_environment"])]
    debug: Option<String>,
    /// Do not apply changes of the configuration, the files with rules and the functions' code while it runs
    #[arg(long)]
    no_reload: bool,
    /// Without a file with rules: send events with multi-value headers [default: only to Crossfade's own function, which is deployed so]
    #[arg(long, conflicts_with_all = ["single_value_headers", "serverless", "template", "describe_rules", "terraform"])]
    multi_value_headers: bool,
    /// Without a file with rules: send events without multi-value headers, the default of a target group
    #[arg(long, conflicts_with_all = ["serverless", "template", "describe_rules", "terraform"])]
    single_value_headers: bool,
    #[command(flatten)]
    front: front::FrontOptions,
    #[command(flatten)]
    balancer: balancer::BalancerOptions,
    /// Append a line per request to this file, in the format of ALB's access log
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// Append the log of Crossfade's own function to this file: access lines and comparisons, for `crossfade report` and `crossfade promote` [default: a temporary file]
    #[arg(long, value_name = "FILE", alias = "comparisons")]
    log: Option<PathBuf>,
    /// Live state of the function, which `crossfade promote` and the inspector change: file:PATH, s3://BUCKET/KEY, ssm:/NAME or appconfig:APPLICATION/ENVIRONMENT/PROFILE [default: a temporary file for the demo, none otherwise]
    #[arg(long, value_name = "PLACE")]
    live: Option<String>,
    /// Port of the inspector on 127.0.0.1; 0 picks a free one [default: 8081, or a free one if that is taken]
    #[arg(long, value_name = "PORT")]
    inspect: Option<u16>,
    /// Start no inspector
    #[arg(long, conflicts_with = "inspect")]
    no_inspect: bool,
    /// Show cookies, tokens, query values and other secrets in the inspector and the terminal
    #[arg(long)]
    show_secrets: bool,
    /// Also print the function's raw log lines, and each start of an environment
    #[arg(long)]
    verbose: bool,
}

/// Polling interval for changes of the configuration file.
const LOOK_AT_CONFIG: Duration = Duration::from_millis(250);

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.strip_prefix(digits) {
        Some("ms") => 1,
        Some("s") => 1_000,
        Some("m") => 60_000,
        _ => return Err("expected a number with the unit `ms`, `s` or `m`".to_string()),
    };
    let number: u64 =
        digits.parse().map_err(|_| "expected a whole number with the unit `ms`, `s` or `m`".to_string())?;
    let duration = Duration::from_millis(number.saturating_mul(unit));
    if duration.is_zero() || duration > Function::MAX_TIMEOUT {
        return Err("expected more than 0 and at most `1800s`, the longest timeout that Lambda allows".to_string());
    }
    Ok(duration)
}

/// Checks everything first, to report errors before anything has started.
pub(super) fn run(options: &Options) -> Result<()> {
    if options.list_rules {
        return plan::list_rules(options);
    }
    if let Some(timeout) = options.timeout.filter(|timeout| *timeout > Function::FORMER_MAX_TIMEOUT) {
        let (seconds, former) = (timeout.as_secs(), Function::FORMER_MAX_TIMEOUT.as_secs());
        say(&format!(
            "warning: `--timeout` is {seconds} s; Lambda's API allows more than {former} s since November 2026\n  \
             hint: older tools may reject it"
        ));
    }
    let plan = Plan::check(options)?;
    plan.bundles().try_for_each(handlers::Bundle::make)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the async runtime")?;
    runtime.block_on(serve(plan, options))
}

async fn serve(plan: Plan, options: &Options) -> Result<()> {
    // First of all: from here on a signal stops everything in order instead of killing the process.
    let mut stop = Stop::new(true).context("cannot listen for signals")?;
    // A requested port is bound before anything starts, a free one after the listeners have theirs.
    let asked_for = match options.inspect {
        Some(port) => Some(inspector::bind(Some(port)).await?),
        None => None,
    };
    let mut resources = RunResources::start(&plan).await?;
    let log = Log::start(options.log.as_deref(), resources.folder.path())?;
    let access_log = AccessLog::start(options.access_log.as_deref())?;
    let mut settings = plan.settings(&resources)?;
    let authority = balancer::certify(&mut settings, plan.host.names(), resources.folder.path())?;
    settings.keep_messages = !options.no_inspect;
    let variables = plan.own_variables(&settings);
    let in_use = settings.clone();
    let knows_access_lines = plan.own_function;
    let (notices, mut inbox) = mpsc::unbounded_channel();
    let emulator = crossfade_emulator::start(settings, notices).await.context("cannot start")?;
    plan.host.warning().into_iter().chain(host::unavailable(emulator.unavailable())).for_each(|text| say(&text));
    let addresses = addresses(&emulator);
    let live = resources
        .live
        .as_ref()
        .filter(|_| plan.own_function)
        .map(|live| inspector::LiveState { place: live.place().to_owned(), log: log.path().to_owned() });
    let inspected = inspector::Setup::new(&in_use, &addresses, plan.own_function, options.show_secrets);
    let inspected = inspected.with_live_state(live);
    let inspector = match (options.no_inspect, asked_for) {
        (true, _) => None,
        (false, Some(socket)) => Some(Inspector::start(inspected, socket)?),
        (false, None) => Some(Inspector::start(inspected, inspector::bind(None).await?)?),
    };
    let mut printer = Printer::start();
    let inspector_url = inspector.as_ref().map(Inspector::url);
    let banner =
        banner::text(&plan, &resources, &addresses, authority.as_deref(), log.path(), inspector_url.as_deref());
    let reporter = Reporter::new(options.verbose, knows_access_lines, plan.has_rules(), has_colours())
        .showing(options.show_secrets)
        .naming_functions(plan.template.functions.len() > 1);
    let mut consumers = Consumers { reporter, log, access_log, inspector, variables };
    if let Some(watch) = &resources.watch {
        consumers.reporter.set_backends(watch.backends().to_vec());
    }
    consumers.explain_with(resources.routes(&plan.routing, &consumers.variables));
    printer.print(vec![Line::Talk(banner)]);
    let changes = (!options.no_reload).then(|| Changes::start(plan.watched()));
    let mut running = Running { options, plan, settings: in_use, emulator, changes };
    report_until_stopped(&mut printer, &mut consumers, &mut inbox, &mut running, &mut resources, &mut stop).await;
    printer.print(vec![Line::Talk("stopping".to_string())]);
    shut_down(&mut printer, running.emulator, consumers, inbox).await;
    printer.finish();
    resources.end()
}

/// The addresses at which this machine reaches the listeners.
fn addresses(emulator: &Emulator) -> Vec<SocketAddr> {
    emulator.local_addrs().iter().copied().map(host::from_here).collect()
}

/// Everything that receives the emulator's notices.
struct Consumers {
    reporter: Reporter,
    log: Log,
    access_log: AccessLog,
    inspector: Option<Inspector>,
    /// The environment of our own function.
    variables: Vec<(String, String)>,
}

impl Consumers {
    /// The inspector explains requests with this configuration.
    fn explain_with(&self, routes: Option<Routes>) {
        if let Some(inspector) = &self.inspector {
            inspector.explain_with(routes);
        }
    }

    fn tell(&mut self, mut notice: Notice) -> Vec<Line> {
        self.log.keep(&notice);
        self.access_log.keep(&notice);
        if let Some(inspector) = &self.inspector {
            inspector.tell(&mut notice);
        }
        self.reporter.tell(notice, Instant::now())
    }
}

async fn report_until_stopped(
    printer: &mut Printer,
    consumers: &mut Consumers,
    inbox: &mut UnboundedReceiver<Notice>,
    running: &mut Running<'_>,
    resources: &mut RunResources,
    stop: &mut Stop,
) {
    let mut look = tokio::time::interval(LOOK_AT_CONFIG);
    loop {
        // A distant deadline keeps the `select!` free of options.
        let due = consumers.reporter.due().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            () = stop.requested() => return,
            _ = look.tick(), if !running.options.no_reload => if let Some(watch) = resources.watch.as_mut() && let Some(change) = watch.look() {
                if matches!(change, watch::Change::Taken) {
                    consumers.reporter.set_backends(watch.backends().to_vec());
                    consumers.explain_with(watch.routes(&consumers.variables));
                }
                printer.print(vec![line_of(watch.file(), change)]);
            },
            change = running.change() => {
                let line = running.apply(change, resources, consumers).await;
                printer.print(vec![Line::Talk(line)]);
            }
            Some(notice) = inbox.recv() => printer.print(consumers.tell(notice)),
            () = tokio::time::sleep_until(due.into()) => printer.print(consumers.reporter.overdue(Instant::now())),
        }
    }
}

/// The emulator, and what it runs with.
struct Running<'o> {
    options: &'o Options,
    plan: Plan,
    settings: Settings,
    emulator: Emulator,
    /// `None` with `--no-reload`.
    changes: Option<Changes>,
}

impl Running<'_> {
    async fn change(&mut self) -> changes::Change {
        match &mut self.changes {
            Some(changes) => changes.next().await,
            None => std::future::pending().await,
        }
    }

    /// Reloads what a change concerns. Returns the message about it.
    async fn apply(&mut self, change: changes::Change, resources: &RunResources, consumers: &Consumers) -> String {
        let files = match change {
            changes::Change::Files(files) => files,
            changes::Change::TooLarge(folder) => {
                return format!(
                    "`{}` has too many files to watch: changes of its code need a restart; only the files that `--function` \
                     names are watched",
                    folder.display()
                );
            }
        };
        let rules = files.iter().find(|file| self.plan.has_rules_in(file));
        let Some(changed) = rules.or(files.first()) else { return String::new() };
        let here = std::env::current_dir().unwrap_or_default();
        let shown = |file: &Path| file.strip_prefix(&here).unwrap_or(file).display().to_string();
        let name = shown(changed);
        let more = match files.len().saturating_sub(1) {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let before = listener_texts(&self.settings, &addresses(&self.emulator));
        let reloaded = match rules {
            Some(_) => self.reread(resources).await,
            None => match self.plan.bundles().try_for_each(handlers::Bundle::make) {
                Ok(()) => self.emulator.reload(self.settings.clone()).await.map_err(anyhow::Error::from),
                Err(error) => return format!("{error:#}\n{name} has errors: what was valid last stays in use"),
            },
        };
        match reloaded {
            Ok(()) => {
                if let Some(inspector) = &consumers.inspector {
                    inspector.reload(&self.settings, &addresses(&self.emulator));
                }
                let now = listener_texts(&self.settings, &addresses(&self.emulator));
                let differences = listener_changes(&before, &now);
                format!("{name}{more} has changed: the next request uses it{differences}")
            }
            Err(error) => {
                // Another YAML file of the folder may have changed, which is not the one with the errors.
                let known = self.plan.watched().rules;
                let has_rules = |file: &&PathBuf| known.contains(file);
                let faulty = files.iter().find(has_rules).or(self.plan.file.as_ref()).map_or(name, |file| shown(file));
                let refused = format!("{error:#}\n{faulty} has errors: what was valid last stays in use");
                let code = files.iter().find(|file| !has_rules(file)).filter(|_| rules.is_some());
                let Some(code) = code else { return refused };
                match self.emulator.reload(self.settings.clone()).await {
                    Ok(()) => format!("{refused}\n{} has changed: the next request uses it", shown(code)),
                    Err(error) => format!("{refused}\n{error}"),
                }
            }
        }
    }

    async fn reread(&mut self, resources: &RunResources) -> Result<()> {
        let plan = self.plan.reread(self.options)?;
        plan.bundles().try_for_each(handlers::Bundle::make)?;
        let mut settings = plan.settings(resources)?;
        balancer::keep_certificate(&mut settings, &self.settings)?;
        settings.keep_messages = self.settings.keep_messages;
        self.emulator.reload(settings.clone()).await?;
        if let Some(changes) = &self.changes {
            changes.watch(plan.watched());
        }
        (self.plan, self.settings) = (plan, settings);
        Ok(())
    }
}

/// The address and the name of each listener.
fn listener_texts(settings: &Settings, addresses: &[SocketAddr]) -> Vec<String> {
    let text = |(listener, address): (&crossfade_emulator::Listener, &SocketAddr)| {
        format!("{}://{address}  {}", banner::scheme(listener), banner::listener_facts(listener))
    };
    settings.listeners.iter().zip(addresses).map(text).collect()
}

/// A line for each listener that is gone and each that is new, as in the start message.
fn listener_changes(before: &[String], now: &[String]) -> String {
    let gone = before.iter().filter(|text| !now.contains(text)).map(|text| format!("\n  {:<11} {text}", "closed"));
    let new = now.iter().filter(|text| !before.contains(text)).map(|text| format!("\n  {:<11} {text}", "new"));
    gone.chain(new).collect()
}

/// The message for a change of the configuration file.
fn line_of(file: &Path, change: watch::Change) -> Line {
    let file = file.display();
    Line::Talk(match change {
        watch::Change::Taken => format!("{file} has changed: the next request uses it"),
        watch::Change::Refused(reasons) => {
            format!("{reasons}\n{file} has errors: the last valid configuration stays in use")
        }
    })
}

async fn shut_down(
    printer: &mut Printer,
    emulator: Emulator,
    mut consumers: Consumers,
    mut inbox: UnboundedReceiver<Notice>,
) {
    emulator.shutdown().await;
    consumers.reporter.stopping();
    while let Ok(notice) = inbox.try_recv() {
        printer.print(consumers.tell(notice));
    }
    printer.print(consumers.reporter.everything());
}

/// Opens a file for appending; creates it if necessary.
fn append_to(path: &Path) -> Result<File> {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.with_context(|| format!("cannot write `{}`", path.display()))
}

/// The resources of one run: a folder for generated files, the demo back ends if used, a watched configuration file if there is
/// one, and the place of the live state.
struct RunResources {
    folder: TempDir,
    demo: Option<Demo>,
    watch: Option<Watch>,
    /// That of `--live`, or the demo's own.
    live: Option<LiveState>,
}

impl RunResources {
    async fn start(plan: &Plan) -> Result<RunResources> {
        let folder = temporary(PRIVATE).prefix("crossfade-").tempdir();
        let folder = folder.context("cannot create a temporary folder")?;
        let (demo, config) = match &plan.routing {
            Routing::Demo => {
                let demo = Demo::start().await.context("cannot start the demo back ends")?;
                let config = folder.path().join(plan::CONFIG_FILE);
                std::fs::write(folder.path().join(plan::CA_FILE), &demo.ca_pem)
                    .context("cannot write the demo authority")?;
                std::fs::write(&config, plan::demo_config(folder.path(), &demo))
                    .context("cannot write the demo configuration")?;
                (Some(demo), Some(config))
            }
            Routing::Config(file) => (None, Some(file.clone())),
            Routing::Backend(_) | Routing::Unknown => (None, None),
        };
        let watch = config.map(|file| Watch::start(&file, folder.path())).transpose()?;
        let own = || demo.as_ref().map(|_| LiveState::in_folder(folder.path())).transpose();
        let live = plan.live.clone().map_or_else(own, |live| Ok(Some(live)))?;
        Ok(RunResources { folder, demo, watch, live })
    }

    /// The routing of our own function; `None` if only a command knows it.
    fn routes(&self, routing: &Routing, variables: &[(String, String)]) -> Option<Routes> {
        match (routing, &self.watch) {
            (_, Some(watch)) => watch.routes(variables),
            (Routing::Backend(url), None) => {
                let table = RoutingTable::from_backend_url(url, "", &Nothing).ok()?;
                Some(Routes { table, environment: Environment::default() })
            }
            (_, None) => None,
        }
    }

    fn end(self) -> Result<()> {
        self.folder.close().context("cannot remove the temporary folder")
    }
}

/// Permissions for the owner only: comparisons may contain values.
const PRIVATE: u32 = 0o700;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_that_a_reload_adds_or_removes_are_told() {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let before = texts(&["http://127.0.0.1:8080  a", "http://127.0.0.1:8081  b"]);
        let now = texts(&["http://127.0.0.1:8080  a", "http://127.0.0.1:8082  c"]);
        assert_eq!(
            listener_changes(&before, &now),
            "\n  closed      http://127.0.0.1:8081  b\n  new         http://127.0.0.1:8082  c"
        );
        assert_eq!(listener_changes(&now, &now), "");
    }

    #[test]
    fn durations_have_a_unit_and_lambdas_limit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30m"), Ok(Duration::from_secs(1800)));
        for bad in ["", "30", "s", "-1s", "1.5s", "0s", "1801s", "31m", "1h", "99999999999999999999s", "é"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
