//! The start message of `crossfade dev`: addresses, files and commands to try.
//!
//! Owns wording only.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use crossfade_emulator::{Listener, Rule, source};
use crossfade_event::HeaderMode;
use crossfade_journal::redaction::{HIDDEN, is_secret_parameter};

use super::RunResources;
use super::functions::Command;
use super::live::LiveState;
use super::plan::{self, CA_FILE, CONFIG_FILE, Plan, Routing};
use super::watch::Watch;
use super::{front, host};
use crate::program;

pub(super) fn text(
    plan: &Plan,
    resources: &RunResources,
    addresses: &[SocketAddr],
    authority: Option<&Path>,
    log: &Path,
    inspector: Option<&str>,
) -> String {
    let mut text = String::from("Everything below runs on this machine until Ctrl-C.\n\n");
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<11} {value}");
    };

    let listeners = &plan.template.listeners;
    let address = addresses.first().map(ToString::to_string).unwrap_or_default();
    for (listener, address) in listeners.iter().zip(addresses) {
        match &listener.endpoint {
            Some(endpoint) => {
                let (base, facts) = front::facts(endpoint);
                row("front end", format!("{}://{address}{base}  {facts}", scheme(listener)));
            }
            None => {
                let facts = if plan.has_rules() { format!("  {}", listener_facts(listener)) } else { String::new() };
                row("local ALB", format!("{}://{address}{facts}", scheme(listener)));
            }
        }
        for ip in host::on_network(listener.listen.ip()) {
            row("on network", format!("{}://{}", scheme(listener), SocketAddr::new(ip, address.port())));
        }
    }
    if let Some(authority) = authority {
        let others = if plan.host.is_local() { "" } else { " (on other machines, install this file as an authority)" };
        row("to trust it", format!("curl --cacert {}{others}", shell_words::quote(&authority.to_string_lossy())));
    }
    if let Some(inspector) = inspector {
        row("inspector", format!("{inspector} (each request, and the reasons for its routing)"));
    }
    match &plan.file {
        Some(file) => {
            let count = listeners.iter().map(|listener| listener.rules.len()).sum::<usize>();
            let plural = if count == 1 { "" } else { "s" };
            row("rules", format!("{count} rule{plural} of {}", file.display()));
        }
        None if listeners.iter().all(|listener| listener.endpoint.is_some()) => {
            row("routes", "every request goes to the function".to_owned());
        }
        None => {
            let mode = match plan.mode {
                HeaderMode::Multi => "multi-value headers",
                HeaderMode::Single => "single-value headers",
            };
            row("rules", format!("every request goes to the function ({mode})"));
        }
    }
    for (function, command) in plan.template.functions.iter().zip(&plan.commands) {
        let name = if plan.has_rules() { format!("{}: ", function.name) } else { String::new() };
        let command = command.words().map_or_else(|| "crossfade".to_owned(), shell_words::join);
        let limit = match function.timeout {
            plan::DEBUG => "no time limit".to_owned(),
            limit => format!("{} s per request", limit.as_secs_f64()),
        };
        row("function", format!("{name}{command}, {limit}, {}", source::concurrency_text(function)));
    }
    for (function, command) in plan.template.functions.iter().zip(&plan.commands) {
        if let Command::Handler(launch) = command
            && let Some(address) = &launch.debugger
        {
            row("debugger", format!("{} waits for one on {address} after its first request", function.name));
        }
    }
    match &plan.routing {
        Routing::Backend(url) => row("back end", url.clone()),
        Routing::Config(file) => row("config", file.display().to_string()),
        Routing::Demo | Routing::Unknown => {}
    }
    let folder = resources.folder.path();
    if let Some(demo) = &resources.demo {
        row(
            "legacy",
            format!("https://localhost:{} (demo back end, receives all requests at first)", demo.legacy.port()),
        );
        row("modern", format!("https://localhost:{} (demo back end)", demo.modern.port()));
        row("config", folder.join(CONFIG_FILE).display().to_string());
    }
    let of_run = |path: &Path, option: &str| match path.starts_with(folder) {
        true => format!("; removed at the end, `{option}` keeps one"),
        false => String::new(),
    };
    if plan.own_function {
        let note = of_run(log, "--log FILE");
        row("log", format!("{} (access lines and comparisons of the function{note})", log.display()));
    }
    let is_migration = plan.own_function && resources.watch.as_ref().is_some_and(Watch::has_plan);
    let moves = resources.live.as_ref().filter(|_| is_migration).map(|live| Moves::new(live, resources, log));
    match &resources.live {
        Some(live) => {
            let file = Path::new(live.place().strip_prefix("file:").unwrap_or_default());
            let note = of_run(file, "--live file:FILE");
            row("live state", format!("{} (what `promote` and `abort` change{note})", live.place()));
        }
        None if is_migration => {
            row("live state", "none; `--live file:live.json` lets commands and the inspector move users".to_owned());
        }
        None => {}
    }
    if let (Some(inspector), Some(_)) = (inspector, &moves) {
        row("migration", format!("{inspector}/migration (its state, the evidence, and buttons)"));
    }

    // With rules, a fixed request to try may match none: show the rules instead.
    if plan.has_rules() {
        if let Some(moves) = &moves {
            let _ = writeln!(text, "\nMove users, and take them back:\n{}", moves.text());
        }
        let _ = writeln!(text, "\nRules, by priority:");
        for listener in listeners {
            rules(&mut text, plan, listener);
        }
        return text;
    }
    match &resources.demo {
        None => {
            let _ = writeln!(text, "\nTry:\n  curl -i http://{address}/");
            if let Some(moves) = &moves {
                let _ = writeln!(text, "move users, and take them back:\n{}", moves.text());
            }
        }
        Some(demo) => {
            let ca = shell_words::quote(&folder.join(CA_FILE).to_string_lossy()).into_owned();
            let quoted = shell_words::quote(&log.to_string_lossy()).into_owned();
            // The report looks for the authority in the folder of the log.
            let cacert = if log.starts_with(folder) { String::new() } else { format!("--cacert {ca} ") };
            let _ = writeln!(
                text,
                "\nTry:\n  \
                 curl http://{address}/orders/42\n  \
                 curl 'http://{address}/echo?q=a%20b'\n  \
                 curl --data-binary 'any content' http://{address}/upload\n\
                 the same from the demo back end directly:\n  \
                 curl --cacert {ca} https://localhost:{legacy}/orders/42\n\
                 compare the two systems: `modern` gets a copy of each request, and the report judges its responses\n  \
                 for id in $(seq 100); do for page in orders products customers carts reviews help; do \\\n    \
                 curl -s -o /dev/null http://{address}/$page/$id; done; done\n  \
                 {program} report {cacert}{quoted}\n\
                 see which customers are on `modern`\n  \
                 for id in $(seq 20); do \\\n    \
                 echo \"customer $id: $(curl -si -b customer_id=$id http://{address}/orders/42 | grep x-demo-backend)\"; done\n\
                 move some of them there, since these requests are the evidence; run the command above again; take them back\n\
                 {moves}",
                legacy = demo.legacy.port(),
                moves = moves.as_ref().map(Moves::text).unwrap_or_default(),
                program = program::name(),
            );
        }
    }
    text
}

/// The commands that move users, as they work in every folder.
struct Moves {
    /// The options that name live state and configuration.
    options: String,
    log: String,
}

impl Moves {
    fn new(live: &LiveState, resources: &RunResources, log: &Path) -> Moves {
        let config = resources.watch.as_ref().map(|watch| watch.file().to_string_lossy()).unwrap_or_default();
        let [place, config] = [live.place(), &config].map(shell_words::quote);
        let log = shell_words::quote(&log.to_string_lossy()).into_owned();
        Moves { options: format!("--live {place} --config {config}"), log }
    }

    fn text(&self) -> String {
        let (Moves { options, log }, program) = (self, program::name());
        format!("  {program} promote {options} --yes {log}\n  {program} abort {options} --yes")
    }
}

pub(super) fn scheme(listener: &Listener) -> &'static str {
    if listener.tls.is_some() { "https" } else { "http" }
}

/// Its name, and its port in AWS.
pub(super) fn listener_facts(listener: &Listener) -> String {
    match listener.port {
        Some(port) => format!("{} (port {port} in AWS)", listener.name),
        None => listener.name.clone(),
    }
}

fn rules(text: &mut String, plan: &Plan, listener: &Listener) {
    let is_one_of_many = plan.template.listeners.len() > 1;
    if is_one_of_many {
        let _ = writeln!(text, "  {}", listener_facts(listener));
    }
    if let Some(endpoint) = &listener.endpoint {
        for route in &endpoint.routes {
            let function = plan.template.functions.get(route.function).map_or("nothing", |function| &function.name);
            let _ = writeln!(text, "  {:<7} {} -> {function}", route.method, route.path);
        }
        return;
    }
    let mut rules: Vec<&Rule> = listener.rules.iter().collect();
    rules.sort_by_key(|rule| rule.priority);
    for rule in rules {
        let conditions: Vec<String> = rule
            .conditions
            .iter()
            .map(|condition| condition.without_secrets(is_secret_parameter, HIDDEN).to_string())
            .collect();
        let mut what = source::transforms_text(&rule.transforms);
        what.push(source::action_text(&plan.template, &rule.action));
        let _ = writeln!(
            text,
            "  {:<7} {} -> {}",
            rule.priority,
            plan.environment.hide(&conditions.join(", ")),
            what.join(", ")
        );
    }
    let _ = writeln!(text, "  default {}", source::action_text(&plan.template, &listener.default_action));
}
