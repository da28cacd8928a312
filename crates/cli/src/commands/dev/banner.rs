//! What `crossfade dev` says once everything runs: what is where, and what to type.
//!
//! Owns wording only.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use crossfade_event::HeaderMode;

use super::Surroundings;
use super::plan::{CA_FILE, CONFIG_FILE, Plan, Routing};

pub(super) fn text(plan: &Plan, surroundings: &Surroundings, address: SocketAddr, comparisons: &Path) -> String {
    let mut text = String::from("Everything below runs on this machine until Ctrl-C.\n\n");
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<11} {value}");
    };

    row("local ALB", format!("http://{address}"));
    match &plan.rules {
        Some((file, rules)) => {
            let count = rules.len();
            let plural = if count == 1 { "" } else { "s" };
            row("rules", format!("{count} rule{plural} of {}, anything else gets 404", file.display()));
        }
        None => {
            let mode = match plan.mode {
                HeaderMode::Multi => "multi-value headers",
                HeaderMode::Single => "single-value headers",
            };
            row("rules", format!("every request goes to the function ({mode})"));
        }
    }
    let command = if plan.own_function { "crossfade".to_string() } else { shell_words::join(&plan.command) };
    let (copies, seconds) = (plan.max_concurrency, plan.timeout.as_secs_f64());
    row("function", format!("{command} (at most {copies} at a time, {seconds} s a request)"));
    match &plan.routing {
        Routing::Backend(url) => row("back end", url.clone()),
        Routing::Config(file) => row("config", file.display().to_string()),
        Routing::Demo | Routing::Unknown => {}
    }
    let folder = surroundings.folder.path();
    if let Some(demo) = &surroundings.demo {
        row("legacy", format!("https://localhost:{} (demo back end, gets everything at first)", demo.legacy.port()));
        row("modern", format!("https://localhost:{} (demo back end)", demo.modern.port()));
        row("config", folder.join(CONFIG_FILE).display().to_string());
    }
    if plan.own_function {
        row("comparisons", format!("{} (what `mirror` finds)", comparisons.display()));
    }

    // Which requests pass is the rules' matter then: they are what to look at.
    if let Some((_, rules)) = &plan.rules {
        let _ = writeln!(text, "\nRules, by priority:");
        for rule in rules {
            let conditions: Vec<String> = rule.conditions.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "  {:<6} {}", rule.priority, conditions.join(", "));
        }
        return text;
    }
    match &surroundings.demo {
        None => {
            let _ = writeln!(text, "\nTry:\n  curl -i http://{address}/");
        }
        Some(demo) => {
            let ca = folder.join(CA_FILE);
            let comparisons = shell_words::quote(&comparisons.to_string_lossy()).into_owned();
            let _ = writeln!(
                text,
                "\nTry:\n  \
                 curl http://{address}/orders/42\n  \
                 curl 'http://{address}/echo?q=a%20b'\n  \
                 curl --data-binary @FILE http://{address}/upload\n\
                 for comparison, the demo back end itself:\n  \
                 curl --cacert {} https://localhost:{}/orders/42\n\
                 and move customers: raise the weight of `modern` in the config above, save it, and\n  \
                 for id in 1 2 3 4 5; do curl -s -b customer_id=$id http://{address}/orders/42; done\n\
                 before that, see what the new system would have answered; it gets copies of all of these:\n  \
                 for id in $(seq 100); do for page in orders products customers carts reviews help; do \\\n    \
                 curl -s -o /dev/null http://{address}/$page/$id; done; done\n  \
                 cargo crossfade report {comparisons}",
                shell_words::quote(&ca.to_string_lossy()),
                demo.legacy.port(),
            );
        }
    }
    text
}
