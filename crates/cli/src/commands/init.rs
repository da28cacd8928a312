//! `crossfade init`: writes a starter `crossfade.yaml`, with routes from listener rules if a file has some.
//!
//! Owns the starter's text in `init/` and the translation of ALB conditions. The emulator reads and validates files with
//! listener rules.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use crossfade_emulator::{Action, Forward};
use crossfade_function::LocalSurroundings;
use crossfade_route::{Checked, Nothing, RoutingTable};
use crossfade_rule::{Condition, Pattern, QueryValue};

use super::sources::{Rules, Sources};
use crate::terminal::{print, printable_json, say};

/// Write a starter crossfade.yaml
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade init --legacy https://old.example.com --modern https://new.example.com
  crossfade init --serverless serverless.yml    one route per rule, all to legacy
  crossfade init --output -                     print it")]
pub(super) struct Options {
    /// File to write; `-` for standard output
    #[arg(long, value_name = "FILE", default_value = "crossfade.yaml")]
    output: PathBuf,
    #[command(flatten)]
    sources: Sources,
    /// URL of the old system
    #[arg(long, value_name = "URL", default_value = "https://legacy.example.com")]
    legacy: String,
    /// URL of the new system
    #[arg(long, value_name = "URL", default_value = "https://modern.example.com")]
    modern: String,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
}

/// A listener rule that becomes a route.
struct ListenerRule {
    priority: u32,
    conditions: Vec<Condition>,
    /// Name of the function that the rule forwards to.
    function: String,
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
                found.push(ListenerRule { priority: rule.priority, conditions: rule.conditions.clone(), function });
            }
        }
    }
    if rules.settings.listeners.len() > 1 {
        found.iter_mut().zip(1..).for_each(|(rule, number)| rule.priority = 10 * number);
    }
    found
}

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

pub(super) fn run(options: &Options) -> Result<()> {
    RoutingTable::from_backend_url(&options.legacy, "--legacy", &Nothing)?;
    RoutingTable::from_backend_url(&options.modern, "--modern", &Nothing)?;
    let rules = options.sources.load()?.map(|rules| listener_rules(&rules));
    let text = starter(&options.legacy, &options.modern, rules.as_deref());
    if options.output == Path::new("-") {
        print(&text)?;
    } else {
        write(&options.output, &text, options.force)?;
        say(&format!("wrote `{0}`; next: `crossfade check {0}`", options.output.display()));
    }
    tell_findings(&text, &options.output);
    Ok(())
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
        Some(rules) => (format!("{ABOUT_RULES}{}", routes(rules)), commented),
    };
    let highest = rules.unwrap_or_default().iter().map(|rule| rule.priority).max().unwrap_or_default();
    let priority = |step: u32| (highest.next_multiple_of(10) + step).to_string();
    // User input comes last: no URL contains `<`, but a rule may.
    STARTER
        .replace("<modern>\n", &example(MODERN))
        .replace("<example>\n", &example(EXAMPLE))
        .replace("<test>\n", &example(TEST))
        .replace("<10>", &priority(10))
        .replace("<20>", &priority(20))
        .replace("<30>", &priority(30))
        .replace("<legacy>", &scalar(legacy))
        .replace("<modern url>", &scalar(modern))
        .replace("<routes>\n", &routes)
}

/// Comments out a part of a list or map, as an editor does.
fn commented(part: &str) -> String {
    let lines = part.lines().map(|line| format!("  # {}\n", line.strip_prefix("  ").unwrap_or(line)));
    lines.collect()
}

/// One route for each rule, named after its function.
fn routes(rules: &[ListenerRule]) -> String {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let route = |(index, rule): (usize, &ListenerRule)| {
        let ListenerRule { priority, conditions, function, .. } = rule;
        let number = rules.iter().take(index + 1).filter(|other| other.function == *function).count();
        let name = scalar(&format!("{}-{number}", function.replace(|c| !is_of_a_name(c), "-")));
        let conditions = members(conditions);
        format!("  - name: {name}\n    priority: {priority}\n    conditions:\n{conditions}    forward: legacy\n\n")
    };
    rules.iter().enumerate().map(route).collect()
}

/// `conditions` in the order of the rule. Each key occurs once; several headers share one.
fn members(conditions: &[Condition]) -> String {
    let headers = list(conditions.iter().filter_map(|condition| match condition {
        Condition::Header { name, values } => {
            Some(format!("{{ name: {}, values: {} }}", scalar(name.as_str()), patterns(values)))
        }
        _ => None,
    }));
    let value = |condition: &Condition| match condition {
        Condition::Host(values) | Condition::Path(values) => patterns(values),
        Condition::Method(values) => list(values.iter().map(|value| scalar(value))),
        Condition::Header { .. } => headers.clone(),
        Condition::Query(values) => query(values),
        Condition::Ip(ranges) => list(ranges.iter().map(|range| scalar(&range.to_string()))),
    };
    let mut members: Vec<_> = conditions.iter().map(|condition| (condition.kind(), value(condition))).collect();
    members.dedup();
    members.iter().map(|(kind, value)| format!("      {kind}: {value}\n")).collect()
}

/// Groups the values by key; a plain list if no value has a key.
fn query(values: &[QueryValue]) -> String {
    if values.iter().all(|pair| pair.key.is_none()) {
        return list(values.iter().map(|pair| scalar(pair.value.source())));
    }
    let mut keys: Vec<(&str, Vec<String>)> = Vec::new();
    for pair in values {
        let key = pair.key.as_ref().map_or("*", Pattern::source);
        let value = scalar(pair.value.source());
        match keys.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => keys.push((key, vec![value])),
        }
    }
    let members: Vec<_> =
        keys.into_iter().map(|(key, values)| format!("{}: {}", scalar(key), list(values.into_iter()))).collect();
    format!("{{ {} }}", members.join(", "))
}

fn patterns(patterns: &[Pattern]) -> String {
    list(patterns.iter().map(|pattern| match pattern.as_regex() {
        Some(_) => format!("{{ regex: {} }}", scalar(pattern.source())),
        None => scalar(pattern.source()),
    }))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A text as a YAML string: quoted unless it is clearly a word, a path or a URL. A JSON string is a YAML string.
fn scalar(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_.*?:-".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') && !text.ends_with(':');
    // Some version of YAML reads these as other types.
    let is_a_word_of_yaml = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(text));
    if begins && text.chars().all(is_plain) && !is_a_word_of_yaml {
        text.to_owned()
    } else {
        printable_json(&serde_json::json!(text).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_texts() {
        for plain in ["GET", "/api/*", "shop.example.com", "x-beta", "https://h.example:8443/v1", "preview-*"] {
            assert_eq!(scalar(plain), plain);
        }
        for quoted in
            ["", "1", "on", "Null", "~", "*.example.com", "a: b", "a:", "#a", "a b", "{a}", "- a", "10.0.0.0/8"]
        {
            assert_eq!(scalar(quoted), format!("\"{quoted}\""));
        }
        assert_eq!(scalar(r#"\*"'"#), r#""\\*\"'""#);
    }

    #[test]
    fn a_query_value_without_a_key_is_of_any_key() {
        let with = |pairs: Vec<(Option<&str>, &str)>| members(&[Condition::query(pairs).unwrap()]);
        assert_eq!(with(vec![(None, "*x*"), (None, "z")]), "      query: [\"*x*\", z]\n");
        assert_eq!(
            with(vec![(Some("a"), "b"), (None, "c"), (Some("a"), "d")]),
            "      query: { a: [b, d], \"*\": [c] }\n"
        );
    }

    #[test]
    fn conditions_mean_what_they_meant() {
        // Every visible character, letters and digits by one each.
        let visible = || (' '..='~').filter(|c| !c.is_ascii_alphanumeric() || "a1".contains(*c)).map(String::from);
        let texts =
            visible().chain(visible().flat_map(|first| visible().map(move |second| format!("{first}{second}"))));
        let rules: Vec<_> = texts
            .filter_map(|text| Condition::query([(Some(&text), &text)]).ok())
            .zip(1..)
            .map(|(condition, priority)| ListenerRule {
                priority,
                conditions: vec![condition],
                function: priority.to_string(),
            })
            .collect();
        assert_eq!(rules.len(), 35 + 35 * 35);
        let text = starter("https://a.example", "https://b.example", Some(&rules));
        let nowhere = LocalSurroundings { folder: Path::new("") };
        let table =
            RoutingTable::from_config(&text, "crossfade.yaml", &nowhere).unwrap_or_else(|error| panic!("{error}"));
        for (route, rule) in table.routes().iter().zip(&rules) {
            assert_eq!(route.conditions(), rule.conditions[0].to_string());
        }
    }
}
