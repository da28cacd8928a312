//! `crossfade dev`: a local ALB, the function as a real child process and, by default, demo back ends.
//!
//! Owns the options and the sequence: check everything, start, report, stop. `plan` checks, `banner` prints the start message,
//! and `report` prints each request.

mod access_log;
mod balancer;
mod banner;
mod comparisons;
mod functions;
mod plan;
mod printer;
mod report;
mod watch;

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crossfade_emulator::{Emulator, Function, Notice};
use tempfile::TempDir;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::sources::Sources;
use crate::demo::Demo;
use crate::inspector::{self, Inspector};
use crate::terminal::{has_colours, say};
use access_log::AccessLog;
use comparisons::Comparisons;
pub(super) use plan::CA_FILE;
use plan::{Plan, Routing};
use printer::Printer;
use report::{Line, Reporter};
use watch::{Change, Watch};

/// Run the proxy on this machine with a local load balancer and demo back ends
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade dev                                  start the tour, with two demo back ends
  crossfade dev --backend https://example.com    your back end behind the proxy
  crossfade dev --config crossfade.yaml --serverless serverless.yml
  crossfade dev --serverless serverless.yml --list-rules
  crossfade dev --function 'npx aws-lambda-ric index.handler' --env TABLE=orders
  crossfade dev --template template.yml --function 'web=python3 -m awslambdaric web.handler' --function api=./bootstrap

Prints one line per request to standard output, and everything else to standard error.")]
pub(super) struct Options {
    /// Port of the local load balancer on 127.0.0.1; further listeners use the next ports; 0 picks a free one
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
    /// Run this command as the function instead of Crossfade's own, or as the one with this name. It runs in the folder of the file with the rules and gets Lambda's environment, not this shell's; can be repeated
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
    /// Send events without multi-value headers, the default of a target group
    #[arg(long, conflicts_with_all = ["serverless", "template", "describe_rules"])]
    single_value_headers: bool,
    #[command(flatten)]
    balancer: balancer::BalancerOptions,
    /// Append a line per request to this file, in the format of ALB's access log
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// Append the comparisons of shadow requests to this file, for `crossfade report` [default: a temporary file]
    #[arg(long, value_name = "FILE")]
    comparisons: Option<PathBuf>,
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
    let runtime = tokio::runtime::Runtime::new().context("cannot start the async runtime")?;
    runtime.block_on(serve(plan, options))
}

async fn serve(plan: Plan, options: &Options) -> Result<()> {
    // First of all: from here on a signal stops everything in order instead of killing the process.
    let mut stop = Stop::new().context("cannot listen for signals")?;
    // A requested port is bound before anything starts, a free one after the listeners have theirs.
    let asked_for = match options.inspect {
        Some(port) => Some(inspector::bind(Some(port)).await?),
        None => None,
    };
    let mut resources = RunResources::start(&plan.routing).await?;
    let comparisons = Comparisons::start(options.comparisons.as_deref(), resources.folder.path())?;
    let access_log = AccessLog::start(options.access_log.as_deref())?;
    let mut settings = plan.settings(&resources)?;
    let authority = balancer::certify(&mut settings, resources.folder.path())?;
    settings.keep_messages = !options.no_inspect;
    let inspected = inspector::Setup::new(&settings, plan.own_function, options.show_secrets);
    let knows_access_lines = plan.own_function;
    let (notices, mut inbox) = mpsc::unbounded_channel();
    let emulator = crossfade_emulator::start(settings, notices).await.context("cannot start")?;
    let inspector = match (options.no_inspect, asked_for) {
        (true, _) => None,
        (false, Some(socket)) => Some(Inspector::start(inspected, emulator.local_addrs(), socket)?),
        (false, None) => Some(Inspector::start(inspected, emulator.local_addrs(), inspector::bind(None).await?)?),
    };
    let mut printer = Printer::start();
    let inspector_url = inspector.as_ref().map(Inspector::url);
    let banner = banner::text(
        &plan,
        &resources,
        emulator.local_addrs(),
        authority.as_deref(),
        comparisons.path(),
        inspector_url.as_deref(),
    );
    printer.print(vec![Line::Talk(banner)]);

    let reporter = Reporter::new(options.verbose, knows_access_lines, plan.has_rules(), has_colours())
        .showing(options.show_secrets)
        .naming_functions(plan.template.functions.len() > 1);
    let mut consumers = Consumers { reporter, comparisons, access_log, inspector };
    if let Some(watch) = &resources.watch {
        consumers.reporter.set_backends(watch.backends().to_vec());
    }
    report_until_stopped(&mut printer, &mut consumers, &mut inbox, resources.watch.as_mut(), &mut stop).await;
    printer.print(vec![Line::Talk("stopping".to_string())]);
    shut_down(&mut printer, emulator, consumers, inbox).await;
    printer.finish();
    resources.end()
}

/// Everything that receives the emulator's notices.
struct Consumers {
    reporter: Reporter,
    comparisons: Comparisons,
    access_log: AccessLog,
    inspector: Option<Inspector>,
}

impl Consumers {
    fn tell(&mut self, mut notice: Notice) -> Vec<Line> {
        self.comparisons.keep(&notice);
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
    mut watch: Option<&mut Watch>,
    stop: &mut Stop,
) {
    let mut look = tokio::time::interval(LOOK_AT_CONFIG);
    loop {
        // A distant deadline keeps the `select!` free of options.
        let due = consumers.reporter.due().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            () = stop.requested() => return,
            _ = look.tick() => if let Some(watch) = watch.as_mut() && let Some(line) = change_of(watch) {
                consumers.reporter.set_backends(watch.backends().to_vec());
                printer.print(vec![line]);
            },
            Some(notice) = inbox.recv() => printer.print(consumers.tell(notice)),
            () = tokio::time::sleep_until(due.into()) => printer.print(consumers.reporter.overdue(Instant::now())),
        }
    }
}

/// The message for a change of the configuration file.
fn change_of(watch: &mut Watch) -> Option<Line> {
    let file = watch.file().display().to_string();
    Some(Line::Talk(match watch.look()? {
        Change::Taken => format!("{file} has changed: the next request uses it"),
        Change::Refused(reasons) => format!("{reasons}\n{file} has errors: the last valid configuration stays in use"),
    }))
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

/// The resources of one run: a folder for generated files, the demo back ends if used, and a watched configuration file if
/// there is one.
struct RunResources {
    folder: TempDir,
    demo: Option<Demo>,
    watch: Option<Watch>,
}

impl RunResources {
    async fn start(routing: &Routing) -> Result<RunResources> {
        let folder = tempfile::Builder::new().prefix("crossfade-").permissions(private()).tempdir();
        let folder = folder.context("cannot create a temporary folder")?;
        let (demo, config) = match routing {
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
        Ok(RunResources { folder, demo, watch })
    }

    fn end(self) -> Result<()> {
        self.folder.close().context("cannot remove the temporary folder")
    }
}

/// Permissions for the owner only: comparisons may contain values.
fn private() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o700)
}

/// Ctrl-C, SIGTERM, or a closed terminal.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Stop> {
        Ok(Stop {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_lambdas_limit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30m"), Ok(Duration::from_secs(1800)));
        for bad in ["", "30", "s", "-1s", "1.5s", "0s", "1801s", "31m", "1h", "99999999999999999999s", "é"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
