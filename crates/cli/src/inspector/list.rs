//! The list of requests: newest first, as a page that works without its script, and each row by itself for the live list.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use crossfade_emulator::{Action, RuleRef};
use crossfade_parity::number::grouped;

use super::Shared;
use super::filter::Filter;
use super::page::{escape, frame, milliseconds, status, time};
use super::store::{Entry, Mark};

/// Rows of a page, and of the live list.
pub(super) const MOST_ROWS: usize = 200;

pub(super) fn page(shared: &Shared, filter: &Filter, before: Option<u64>) -> String {
    let (part, methods) = {
        let store = shared.store();
        (store.part(filter, before, MOST_ROWS), store.methods())
    };
    let lost = shared.lost.load(Ordering::Relaxed);
    let seen = part.seen + lost;
    let mut main = form(shared, filter, &methods);
    let _ = write!(
        main,
        "<section aria-labelledby=\"title\">\n<div class=\"bar\"><h1 id=\"title\">Requests</h1>\n\
         <p id=\"count\">Showing <b id=\"shown\">{}</b> of <b id=\"matching\">{}</b>{}</p>\n\
         <p id=\"seen\">{}</p>\n\
         <p id=\"sampling\" hidden><span class=\"mark warning\">sampling</span> more come than can be shown</p>\n\
         <button type=\"button\" id=\"pause\" aria-pressed=\"false\" hidden>Pause</button></div>\n",
        grouped(part.entries.len() as u64),
        grouped(if filter.is_empty() { seen } else { part.matching as u64 }),
        if filter.is_empty() { "" } else { " that match" },
        counts(seen, part.kept, lost, shared.lost_lines.load(Ordering::Relaxed)),
    );
    let _ = write!(
        main,
        "<table id=\"list\" data-live=\"{}\" data-run=\"{}\" data-clock=\"{}\" data-known=\"{}\" data-most=\"{MOST_ROWS}\" \
         data-query=\"{}\">\n<caption class=\"unseen\">Requests, newest first; times are UTC</caption>\n\
         <thead><tr><th scope=\"col\">Time</th><th scope=\"col\">Method</th><th scope=\"col\" class=\"what\">Request</th>\
         <th scope=\"col\">Status</th><th scope=\"col\" class=\"wide\">Rule</th>\
         <th scope=\"col\" class=\"wide\">Answered by</th><th scope=\"col\" class=\"number\">Duration</th></tr></thead>\n\
         <tbody>\n",
        before.is_none(),
        shared.run,
        part.clock,
        part.seen,
        filter.query(),
    );
    for entry in &part.entries {
        main += &row(shared, entry);
    }
    main += "</tbody>\n</table>\n";
    if part.entries.is_empty() {
        main += if filter.is_empty() {
            "<p id=\"empty\" class=\"lead\">None yet. Ask the local load balancer for something.</p>\n"
        } else {
            "<p id=\"empty\" class=\"lead\">None matches. <a href=\"/\">Show all</a></p>\n"
        };
    }
    if let Some(oldest) = part.entries.last().filter(|_| part.has_older) {
        let query = filter.query();
        let and = if query.is_empty() { "" } else { "&amp;" };
        let _ =
            writeln!(main, "<p class=\"more\"><a href=\"/?{query}{and}before={}\">Older requests</a></p>", oldest.id);
    }
    main += "</section>\n";
    let _ = writeln!(
        main,
        "<form id=\"replay\" method=\"post\" hidden><input type=\"hidden\" name=\"token\" value=\"{}\"></form>",
        shared.token
    );
    frame(shared, "Requests - Crossfade inspector", &main)
}

/// How many there were, and where they are.
pub(super) fn counts(seen: u64, kept: usize, lost: u64, lost_lines: u64) -> String {
    let mut text = match kept as u64 {
        all if all == seen => format!("{} seen, all kept", grouped(seen)),
        kept => format!("{} seen, the last {} kept", grouped(seen), grouped(kept)),
    };
    if lost > 0 {
        let _ = write!(text, ", {} came too fast", grouped(lost));
    }
    if lost_lines > 0 {
        let _ = write!(text, ", {} log lines skipped", grouped(lost_lines));
    }
    text
}

fn form(shared: &Shared, filter: &Filter, methods: &[String]) -> String {
    let mut form = format!(
        "<form id=\"filter\" method=\"get\" action=\"/\" role=\"search\" aria-label=\"Filter requests\">\n\
         <label class=\"text\"><span>Filter</span> <input id=\"q\" name=\"q\" type=\"search\" value=\"{}\" \
         placeholder=\"orders -status:2xx is:cold\" autocomplete=\"off\" spellcheck=\"false\" aria-describedby=\"syntax\"></label>\n",
        escape(&filter.q)
    );
    let mut choice = |name: &str, label: &str, chosen: &str, all: &str, values: &[String]| {
        let _ = write!(form, "<label><span>{label}</span> <select name=\"{name}\"><option value=\"\">{all}</option>");
        // A choice that a link made stays, whether or not there is such a request.
        let missing = (!chosen.is_empty() && !values.iter().any(|value| value == chosen)).then(|| chosen.to_owned());
        for value in values.iter().chain(&missing) {
            let selected = if value == chosen { " selected" } else { "" };
            let _ = write!(form, "<option{selected}>{}</option>", escape(value));
        }
        form += "</select></label>\n";
    };
    choice("method", "Method", &filter.method, "any", methods);
    choice("status", "Status", &filter.status, "any", &["2xx", "3xx", "4xx", "5xx"].map(str::to_owned));
    let listeners = &shared.setup.listeners;
    let mut rules: Vec<u32> = listeners.iter().flat_map(|listener| &listener.rules).map(|rule| rule.priority).collect();
    rules.sort_unstable();
    rules.dedup();
    let rules: Vec<String> = rules.iter().map(u32::to_string).chain(["default".to_owned()]).collect();
    choice("rule", "Rule", &filter.rule, "any", &rules);
    form += "<button type=\"submit\">Apply</button>\n";
    if !filter.is_empty() {
        form += "<a href=\"/\">Clear</a>\n";
    }
    form += "<details class=\"syntax\"><summary>Syntax</summary><p id=\"syntax\">Words must all hold: text of the method, host, path, query, \
             function or back end, or <code>method:POST</code>, <code>status:404</code>, <code>status:5xx</code>, \
             <code>rule:10</code>, <code>backend:NAME</code>, <code>is:error</code>, <code>is:warning</code>, \
             <code>is:differs</code>, <code>is:cold</code>, <code>is:failover</code>. A dash in front negates.</p></details>\n";
    form + "</form>\n"
}

/// One request as a row of the table.
pub(super) fn row(shared: &Shared, entry: &Entry) -> String {
    let (exchange, shown) = (&entry.exchange, &entry.shown);
    // The load balancer's own address says nothing.
    let own = shared.listeners.get(exchange.listener).map(ToString::to_string);
    let host = if own.as_deref() == Some(shown.host.as_str()) { "" } else { &shown.host };
    let (path, query) = match shown.target.split_once('?') {
        Some((path, query)) => (path, format!("<span class=\"query\">?{}</span>", escape(query))),
        None => (shown.target.as_str(), String::new()),
    };
    format!(
        "<tr id=\"r{id}\"><td class=\"time\">{}</td><td class=\"method\">{}</td><th scope=\"row\" class=\"what\">\
         <a href=\"/requests/{id}\"><span class=\"host\">{}</span><span class=\"path\">{}</span>{query}</a>{}</th>\
         <td>{}</td><td class=\"wide\">{}</td><td class=\"wide\">{}</td><td class=\"number\">{}</td></tr>\n",
        time(exchange.time),
        escape(&exchange.method),
        escape(host),
        escape(path),
        marks(entry),
        status(exchange.status),
        rule(exchange.rule),
        answered_by(shared, entry),
        milliseconds(exchange.duration),
        id = entry.id,
    )
}

pub(super) fn marks(entry: &Entry) -> String {
    let marks = Mark::ALL.into_iter().filter(|mark| entry.has(*mark));
    marks.map(|mark| format!(" <span class=\"mark {word}\">{word}</span>", word = mark.word())).collect()
}

fn rule(rule: RuleRef) -> String {
    match rule {
        RuleRef::None => "-".to_owned(),
        rule => rule.to_string(),
    }
}

fn answered_by(shared: &Shared, entry: &Entry) -> String {
    let function = entry.exchange.function.as_deref().map(escape);
    match (function, entry.backend().map(escape)) {
        (Some(function), Some(backend)) => format!("<b>{backend}</b> <small>by {function}</small>"),
        // Throttled, for instance.
        (Some(function), None) if entry.exchange.environment.is_none() => {
            format!("load balancer <small>for {function}</small>")
        }
        (Some(function), None) => format!("<b>{function}</b>"),
        _ => match shared.action(entry) {
            Some(Action::Redirect(_)) => "redirect",
            Some(Action::FixedResponse(_)) => "fixed response",
            _ => "load balancer",
        }
        .to_owned(),
    }
}
