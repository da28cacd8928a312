//! The list of requests, newest first: a page that works without its script, and single rows for the live list.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use crossfade_emulator::{Action, RuleRef};
use crossfade_journal::Step;
use crossfade_parity::number::grouped;
use maud::{Markup, html};

use super::Shared;
use super::filter::Filter;
use super::page::{frame, milliseconds, status, time};
use super::routes;
use super::store::{Entry, Mark};
use crate::html::table_head;

/// Rows of a page, and of the live list.
pub(super) const MOST_ROWS: usize = 200;
/// Back ends of one request that a row names.
const MOST_STEPS: usize = 4;
/// Words of a filter besides free text.
const SYNTAX: [&str; 11] = [
    "method:POST",
    "status:404",
    "status:5xx",
    "rule:10",
    "route:NAME",
    "backend:NAME",
    "is:error",
    "is:warning",
    "is:differs",
    "is:cold",
    "is:failover",
];

pub(super) fn page(shared: &Shared, filter: &Filter, before: Option<u64>) -> Markup {
    let (part, methods, routes) = {
        let store = shared.store();
        (store.part(|entry| filter.matches(entry), before, MOST_ROWS), store.methods(), store.routes())
    };
    let lost = shared.lost.load(Ordering::Relaxed);
    let seen = part.seen + lost;
    let matching = if filter.is_empty() { seen } else { part.matching as u64 };
    let oldest = part.entries.last().filter(|_| part.has_older);
    let main = html! {
        (form(shared, filter, &methods, &routes))
        section aria-labelledby="title" {
            div.bar {
                h1 #title { "Requests" }
                p #count {
                    "Showing " b #shown { (grouped(part.entries.len() as u64)) } " of " b #matching { (grouped(matching)) }
                    @if !filter.is_empty() { " that match" }
                }
                p #seen { (counts(seen, part.kept, lost, shared.lost_lines.load(Ordering::Relaxed))) }
                p #sampling hidden { span.mark.warning { "sampling" } " more requests arrive than the page can show" }
                button #pause type="button" aria-pressed="false" hidden { "Pause" }
            }
            table #list data-live=(before.is_none()) data-run=(shared.run) data-clock=(part.clock) data-known=(part.seen)
                data-most=(MOST_ROWS) data-query=(filter.query()) {
                caption.unseen { "Requests, newest first; times are UTC" }
                (columns(shared))
                tbody { @for entry in &part.entries { (row(shared, entry)) } }
            }
            @if part.entries.is_empty() {
                p.lead #empty {
                    @if filter.is_empty() { "None yet. Send a request to the local load balancer." }
                    @else { "None matches. " a href="/" { "Show all" } }
                }
            }
            @if let Some(oldest) = oldest {
                p.more { a href={ "/?" (filter.query()) "&before=" (oldest.id) } { "Older requests" } }
            }
        }
        form #replay method="post" hidden { input type="hidden" name="token" value=(shared.token); }
    };
    frame(shared, "Requests", main)
}

/// Returns the numbers of requests so far, of kept and of lost ones, as a sentence.
pub(super) fn counts(seen: u64, kept: usize, lost: u64, lost_lines: u64) -> String {
    let mut text = match kept as u64 {
        all if all == seen => format!("{} seen, all kept", grouped(seen)),
        kept => format!("{} seen, the last {} kept", grouped(seen), grouped(kept)),
    };
    if lost > 0 {
        let _ = write!(text, ", {} skipped: too many at once", grouped(lost));
    }
    if lost_lines > 0 {
        let _ = write!(text, ", {} log lines skipped", grouped(lost_lines));
    }
    text
}

fn form(shared: &Shared, filter: &Filter, methods: &[String], routes: &[String]) -> Markup {
    let listeners = &shared.balancer().listeners;
    let mut rules: Vec<u32> = listeners.iter().flat_map(|listener| &listener.rules).map(|rule| rule.priority).collect();
    rules.sort_unstable();
    rules.dedup();
    let rules: Vec<String> = rules.iter().map(u32::to_string).chain(["default".to_owned()]).collect();
    html! {
        form #filter method="get" action="/" role="search" aria-label="Filter requests" {
            label.text {
                span { "Filter" } " "
                input #q name="q" type="search" value=(filter.q) placeholder="orders -status:2xx is:cold" autocomplete="off"
                    spellcheck="false" aria-describedby="syntax";
            }
            (choice("method", "Method", &filter.method, methods))
            (choice("status", "Status", &filter.status, &["2xx", "3xx", "4xx", "5xx"].map(str::to_owned)))
            @if shared.has_rules() || !filter.rule.is_empty() { (choice("rule", "Rule", &filter.rule, &rules)) }
            @if shared.setup.own_function || !filter.route.is_empty() { (choice("route", "Route", &filter.route, routes)) }
            button type="submit" { "Apply" }
            @if !filter.is_empty() { a href="/" { "Clear" } }
            details.syntax {
                summary { "Syntax" }
                p #syntax {
                    "All words must match: text of the method, host, path, query, function, route or back end, or "
                    @for (index, word) in SYNTAX.iter().enumerate() { @if index > 0 { ", " } code { (word) } }
                    ". A leading dash negates."
                }
            }
        }
    }
}

fn choice(name: &str, label: &str, chosen: &str, values: &[String]) -> Markup {
    // A value from a link remains selected even if no request has it.
    let missing = Some(chosen).filter(|chosen| !chosen.is_empty() && !values.iter().any(|value| value == chosen));
    html! {
        label {
            span { (label) } " "
            select name=(name) {
                option value="" { "any" }
                @for value in values.iter().map(String::as_str).chain(missing) {
                    option selected[value == chosen] { (value) }
                }
            }
        }
    }
}

/// One request as a row of the table.
pub(super) fn row(shared: &Shared, entry: &Entry) -> Markup {
    let (exchange, shown) = (&entry.exchange, &entry.shown);
    // The load balancer's own address carries no information.
    let own = shared.balancer_of(exchange).addresses.get(exchange.listener).map(ToString::to_string);
    let host = if own.as_deref() == Some(shown.host.as_str()) { "" } else { &shown.host };
    let (path, query) = match shown.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (shown.target.as_str(), None),
    };
    let from = responder(shared, entry);
    let rule = match exchange.rule {
        RuleRef::None => "-".to_owned(),
        rule => rule.to_string(),
    };
    html! {
        tr id={ "r" (entry.id) } {
            td.time { (time(exchange.time)) }
            td.method { (exchange.method) }
            th.what scope="row" {
                a href={ "/requests/" (entry.id) } {
                    @if !exchange.is_of_load_balancer() { small { (exchange.front) " " } }
                    span.host { (host) } span.path { (path) } @if let Some(query) = query { span.query { "?" (query) } }
                }
                (marks(entry))
                // In place of the columns that a phone has no room for.
                @if let Some(route) = routes::name(entry) { small.narrow { (route) " · " (from) } }
            }
            td { (status(exchange.status)) }
            @if shared.has_rules() { td.wide { (rule) } }
            @if shared.setup.own_function { td.wide { (routes::name(entry).unwrap_or("-")) } }
            td.wide { (from) }
            td.number { (milliseconds(exchange.duration)) }
        }
    }
}

pub(super) fn marks(entry: &Entry) -> Markup {
    let marks = Mark::ALL.into_iter().filter(|mark| entry.has(*mark)).map(Mark::word);
    html! { @for word in marks { " " span class={ "mark " (word) } { (word) } } }
}

/// The columns of the list. Rules and routes have one each if there are any.
fn columns(shared: &Shared) -> Markup {
    let all = [
        ("Time", "time", "", true),
        ("Method", "method", "", true),
        ("Request", "what", "what", true),
        ("Status", "code", "", true),
        ("Rule", "rule wide", "wide", shared.has_rules()),
        ("Route", "route wide", "wide", shared.setup.own_function),
        ("Response from", "from wide", "wide", true),
        ("Duration", "number", "number", true),
    ];
    let shown = || all.iter().filter(|(.., is_shown)| *is_shown);
    html! {
        colgroup { @for (_, column, ..) in shown() { col class=(column); } }
        (table_head(shown().map(|(name, _, class, _)| (*name, *class))))
    }
}

/// The reason for the back end, or the steps to it if there were several.
fn chosen(entry: &Entry) -> Option<String> {
    let access = entry.access.as_deref()?;
    let steps = access.steps();
    match steps.as_slice() {
        [] => None,
        [Step { by, outcome: None, .. }] => by.filter(|by| *by != "only").map(|by| format!("by {by}")),
        steps => Some(steps.iter().take(MOST_STEPS).map(ToString::to_string).collect::<Vec<_>>().join(" → ")),
    }
}

fn responder(shared: &Shared, entry: &Entry) -> Markup {
    let exchange = &entry.exchange;
    html! {
        @match (&exchange.function, entry.backend()) {
            (Some(function), Some(backend)) => {
                b { (backend) }
                @if shared.setup.functions > 1 { " " small { "via " (function) } }
                @if let Some(chosen) = chosen(entry) { " " small { (chosen) } }
            },
            (Some(_), None) if routes::own_response(entry).is_some() => {
                (routes::own_response(entry).unwrap_or_default())
                @if let Some(chosen) = chosen(entry) { " " small { (chosen) } }
            },
            // For example, throttled.
            (Some(function), None) if exchange.environment.is_none() => {
                "load balancer " small { "for " (function) }
            },
            (Some(function), None) => b { (function) },
            (None, _) => @match shared.action(entry) {
                Some(Action::Redirect(_)) => "redirect",
                Some(Action::FixedResponse(_)) => "fixed response",
                _ => "load balancer",
            },
        }
    }
}
