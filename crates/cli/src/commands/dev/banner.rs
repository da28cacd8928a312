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
use super::plan::{CA_FILE, CONFIG_FILE, Plan, Routing};
use crate::program;

pub(super) fn text(
    plan: &Plan,
    resources: &RunResources,
    addresses: &[SocketAddr],
    authority: Option<&Path>,
    comparisons: &Path,
    inspector: Option<&str>,
) -> String {
    let mut text = String::from("Everything below runs on this machine until Ctrl-C.\n\n");
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<11} {value}");
    };

    let listeners = &plan.template.listeners;
    let address = addresses.first().map(ToString::to_string).unwrap_or_default();
    for (listener, address) in listeners.iter().zip(addresses) {
        let facts = if plan.has_rules() { format!("  {}", listener_facts(listener)) } else { String::new() };
        row("local ALB", format!("{}://{address}{facts}", scheme(listener)));
    }
    if let Some(authority) = authority {
        row("to trust it", format!("curl --cacert {}", shell_words::quote(&authority.to_string_lossy())));
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
        let command = match command {
            Command::Own => "crossfade".to_owned(),
            Command::Of(words) => shell_words::join(words),
        };
        let (environments, seconds) = (source::concurrency_text(function), function.timeout.as_secs_f64());
        row("function", format!("{name}{command}, {seconds} s per request, {environments}"));
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
    if plan.own_function {
        let is_temporary = comparisons.starts_with(folder);
        let note =
            if is_temporary { " (of shadow requests; removed at the end, `--comparisons FILE` keeps one)" } else { "" };
        row("comparisons", format!("{}{note}", comparisons.display()));
    }

    // With rules, a fixed request to try may match none: show the rules instead.
    if plan.has_rules() {
        let _ = writeln!(text, "\nRules, by priority:");
        for listener in listeners {
            rules(&mut text, plan, listener);
        }
        return text;
    }
    match &resources.demo {
        None => {
            let _ = writeln!(text, "\nTry:\n  curl -i http://{address}/");
        }
        Some(demo) => {
            let ca = shell_words::quote(&folder.join(CA_FILE).to_string_lossy()).into_owned();
            let log = shell_words::quote(&comparisons.to_string_lossy()).into_owned();
            // The report looks for the authority in the folder of the log.
            let cacert = if comparisons.starts_with(folder) { String::new() } else { format!("--cacert {ca} ") };
            let _ = writeln!(
                text,
                "\nTry:\n  \
                 curl http://{address}/orders/42\n  \
                 curl 'http://{address}/echo?q=a%20b'\n  \
                 curl --data-binary 'any content' http://{address}/upload\n\
                 the same from the demo back end directly:\n  \
                 curl --cacert {ca} https://localhost:{legacy}/orders/42\n\
                 move customers: in the config above, raise the weight of `modern` to 10, save it, and run\n  \
                 for id in $(seq 20); do \\\n    \
                 echo \"customer $id: $(curl -si -b customer_id=$id http://{address}/orders/42 | grep x-demo-backend)\"; done\n\
                 before that, compare the two systems: `modern` gets copies of these requests, and the report judges the responses\n  \
                 for id in $(seq 100); do for page in orders products customers carts reviews help; do \\\n    \
                 curl -s -o /dev/null http://{address}/$page/$id; done; done\n  \
                 {program} report {cacert}{log}",
                legacy = demo.legacy.port(),
                program = program::name(),
            );
        }
    }
    text
}

fn scheme(listener: &Listener) -> &'static str {
    if listener.tls.is_some() { "https" } else { "http" }
}

/// Its name, and its port in AWS.
fn listener_facts(listener: &Listener) -> String {
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
        let _ = writeln!(text, "  {:<7} {} -> {}", rule.priority, conditions.join(", "), what.join(", "));
    }
    let _ = writeln!(text, "  default {}", source::action_text(&plan.template, &listener.default_action));
}
