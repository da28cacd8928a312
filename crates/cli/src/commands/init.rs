//! `crossfade init`: writes a starter `crossfade.yaml`, with routes from listener rules if a file has some, or the import of
//! another proxy's file; or, with `--deploy`, the deploy files of a tool (`deploy`).
//!
//! Owns the starter's text in `init/` and which rules become routes; `routes` writes them. The emulator reads and validates
//! files with listener rules; `imported` writes what an import finds.

mod deploy;
mod imported;
mod routes;

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use crossfade_emulator::{Action, Forward, source};
use crossfade_function::LocalSurroundings;
use crossfade_route::{Checked, Nothing, RoutingTable};

use self::routes::ListenerRule;
use super::Verdict;
use super::sources::{Rules, Sources};
use crate::import::yaml::scalar;
use crate::program;
use crate::terminal::{print, say};

/// Write a starter crossfade.yaml, or the deploy files of a tool
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade init --legacy https://old.example.com --modern https://new.example.com
  crossfade init --serverless serverless.yml    one route per rule, all to legacy
  crossfade init --nginx nginx.conf             routes that choose as NGINX does, with tests
  crossfade init --refactor-spaces routes.json services.json
  crossfade init --output -                     print it
  crossfade init --deploy sam                   write deploy/sam, for the SAM CLI

Exit codes: 0 written, 1 written, but parts of the imported file are missing, 2 not written.")]
pub(super) struct Options {
    /// File to write, or with `--deploy` the folder; `-` for standard output [default: crossfade.yaml, or deploy/TOOL]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the files with which this tool deploys the function behind a listener, instead of a configuration
    #[arg(long, value_name = "TOOL", conflicts_with_all = ["nginx", "refactor_spaces", "serverless", "template", "describe_rules", "terraform", "legacy", "modern", "lenient", "stage", "region", "options", "parameters"])]
    deploy: Option<deploy::Tool>,
    /// Import the servers and locations of this NGINX configuration, and list what cannot be imported
    #[arg(long, value_name = "FILE", conflicts_with_all = ["serverless", "template", "describe_rules", "terraform", "modern"])]
    nginx: Option<PathBuf>,
    /// Import the output of `aws migration-hub-refactor-spaces list-routes`, and with a second file that of `list-services`
    #[arg(long, value_name = "FILE", num_args = 1..=4, conflicts_with_all = ["nginx", "serverless", "template", "describe_rules", "terraform", "modern"])]
    refactor_spaces: Vec<PathBuf>,
    #[command(flatten)]
    sources: Sources,
    /// URL of the old system. With an import the proxy itself, for what cannot be imported; by default that gets 501
    #[arg(long, value_name = "URL", default_value = LEGACY)]
    legacy: String,
    /// URL of the new system
    #[arg(long, value_name = "URL", default_value = "https://modern.example.com")]
    modern: String,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
}

impl Options {
    fn output(&self) -> &Path {
        self.output.as_deref().unwrap_or(Path::new("crossfade.yaml"))
    }
}

/// The rules that forward, by listener and in the order of the file. Rules of several listeners get new priorities, because
/// routes share one list.
fn listener_rules(rules: &Rules) -> Vec<ListenerRule> {
    let function = |action: &Action| {
        let Action::Forward(Forward { targets, .. }) = action else { return None };
        let group = rules.settings.target_groups.get(targets.first()?.group)?;
        let names = group.function.and_then(|function| rules.names.get(function));
        Some(names.and_then(|names| names.first()).unwrap_or(&group.name).clone())
    };
    let mut found = Vec::new();
    for listener in &rules.settings.listeners {
        let mut of_listener: Vec<_> = listener.rules.iter().collect();
        if rules.settings.listeners.len() > 1 {
            of_listener.sort_by_key(|rule| rule.priority);
        }
        for rule in of_listener {
            if let Some(function) = function(&rule.action) {
                let (priority, conditions) = (rule.priority, rule.conditions.clone());
                let has_transforms = !source::transforms_text(&rule.transforms).is_empty();
                found.push(ListenerRule { priority, conditions, function, has_transforms });
            }
        }
    }
    if rules.settings.listeners.len() > 1 {
        let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
        let step = (MAX_PRIORITY / count.max(1)).clamp(1, 10);
        found.iter_mut().zip(1..).for_each(|(rule, number)| rule.priority = step * number);
    }
    found
}

/// The highest priority of a rule and of a route.
const MAX_PRIORITY: u32 = 50_000;

const LEGACY: &str = "https://legacy.example.com";

const STARTER: &str = include_str!("init/starter.yaml");
const MODERN: &str = include_str!("init/modern.yaml");
const EXAMPLE: &str = include_str!("init/example.yaml");
const TEST: &str = include_str!("init/test.yaml");

const ABOUT_ROUTES: &str =
    "  # The lowest priority number wins. All conditions of a route must match; one of several values is enough.\n";
const ABOUT_RULES: &str = concat!(
    "  # The rules of the load balancer. All requests still go to the old system. To move a route, uncomment\n",
    "  # `modern` above and give the route a `forward` like that of `orders-read` below.\n",
);

pub(super) fn run(options: &Options) -> Result<Verdict> {
    if let Some(tool) = options.deploy {
        return deploy::run(tool, options.output.as_deref(), options.force);
    }
    RoutingTable::from_backend_url(&options.legacy, "--legacy", &Nothing)?;
    let fallback = Some(&*options.legacy).filter(|url| *url != LEGACY);
    if let Some(file) = &options.nginx {
        return imported::nginx(options, file, fallback);
    }
    if !options.refactor_spaces.is_empty() {
        return imported::refactor_spaces(options, &options.refactor_spaces, fallback);
    }
    RoutingTable::from_backend_url(&options.modern, "--modern", &Nothing)?;
    let rules = options.sources.load_rules()?.and_then(|rules| {
        let (found, file) = (listener_rules(&rules), rules.file.display());
        if found.is_empty() {
            say(&format!("`{file}` has no rule that forwards to a target group, so no route is made of it"));
            return None;
        }
        let routes = routes::text(&found);
        if rules.environment.hide(&routes) != routes {
            say("warning: the routes contain values of environment variables that the rules use\n  hint: replace secrets with `${env:NAME}`");
        }
        Some(found)
    });
    let text = starter(&options.legacy, &options.modern, rules.as_deref());
    if options.output() == Path::new("-") {
        print(&text)?;
    } else {
        write(options.output(), &text, options.force)?;
        let file = options.output().display().to_string();
        say(&format!("wrote `{file}`; next: `{} check {}`", program::name(), shell_words::quote(&file)));
    }
    tell_findings(&text, options.output());
    Ok(Verdict::Clean)
}

fn write(file: &Path, text: &str, force: bool) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).truncate(force).create(force).create_new(!force);
    match options.open(file).and_then(|mut file| file.write_all(text.as_bytes())) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!(
                "`{}` already exists\n  hint: overwrite it with `--force`, or name another file with `--output`",
                file.display()
            )
        }
        written => written.with_context(|| format!("cannot write `{}`", file.display())),
    }
}

/// Prints the findings of the new file: an ALB accepts rules that can never match.
fn tell_findings(text: &str, output: &Path) {
    let folder = output.parent().unwrap_or(Path::new(""));
    let findings = Checked::new(text, &output.display().to_string(), &LocalSurroundings { folder }).diagnostics;
    if !findings.list.is_empty() {
        say(&findings.with_lines().to_string());
    }
}

/// The whole file. With rules, the example and the unused `modern` are comments.
fn starter(legacy: &str, modern: &str, rules: Option<&[ListenerRule]>) -> String {
    let (routes, example): (_, fn(&str) -> String) = match rules {
        None => (ABOUT_ROUTES.to_owned(), str::to_owned),
        Some(rules) => (format!("{ABOUT_RULES}{}", routes::text(rules)), commented),
    };
    let [first, second, third] = free_priorities(rules.unwrap_or_default()).map(|priority| priority.to_string());
    // User input comes last: no URL contains `<`, but a rule may.
    STARTER
        .replace("<modern>\n", &example(MODERN))
        .replace("<example>\n", &example(EXAMPLE))
        .replace("<test>\n", &example(TEST))
        .replace("<10>", &first)
        .replace("<20>", &second)
        .replace("<30>", &third)
        .replace("<legacy>", &scalar(legacy))
        .replace("<modern url>", &scalar(modern))
        .replace("<routes>\n", &routes)
}

/// Priorities for the examples: above those of the rules, with gaps if there is room.
fn free_priorities(rules: &[ListenerRule]) -> [u32; 3] {
    let taken: HashSet<u32> = rules.iter().map(|rule| rule.priority).collect();
    let above = taken.iter().max().copied().unwrap_or_default().next_multiple_of(10);
    if above + 30 <= MAX_PRIORITY {
        return [10, 20, 30].map(|step| above + step);
    }
    let mut free = (1..=MAX_PRIORITY).rev().filter(|priority| !taken.contains(priority));
    let [third, second, first] = [(); 3].map(|()| free.next().unwrap_or(MAX_PRIORITY));
    [first, second, third]
}

/// Comments out a part of a list or map, as an editor does.
fn commented(part: &str) -> String {
    let lines = part.lines().map(|line| format!("  # {}\n", line.strip_prefix("  ").unwrap_or(line)));
    lines.collect()
}

#[cfg(test)]
mod tests;
