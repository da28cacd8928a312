//! The list of requests, newest first: a page that works without its script, and single rows for the live list.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use crossfade_emulator::{Action, RuleRef};
use crossfade_parity::number::grouped;
use maud::{Markup, html};

use super::Shared;
use super::filter::Filter;
use super::page::{frame, milliseconds, status, time};
use super::store::{Entry, Mark};
use crate::html::table_head;

/// Rows of a page, and of the live list.
pub(super) const MOST_ROWS: usize = 200;
/// Words of a filter besides free text.
const SYNTAX: [&str; 10] = [
    "method:POST",
    "status:404",
    "status:5xx",
    "rule:10",
    "backend:NAME",
    "is:error",
    "is:warning",
    "is:differs",
    "is:cold",
    "is:failover",
];

pub(super) fn page(shared: &Shared, filter: &Filter, before: Option<u64>) -> Markup {
    let (part, methods) = {
        let store = shared.store();
        (store.part(|entry| filter.matches(entry), before, MOST_ROWS), store.methods())
    };
    let lost = shared.lost.load(Ordering::Relaxed);
    let seen = part.seen + lost;
    let matching = if filter.is_empty() { seen } else { part.matching as u64 };
    let oldest = part.entries.last().filter(|_| part.has_older);
    let main = html! {
        (form(shared, filter, &methods))
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
                (table_head([
                    ("Time", ""), ("Method", ""), ("Request", "what"), ("Status", ""), ("Rule", "wide"),
                    ("Response from", "wide"), ("Duration", "number"),
                ]))
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

fn form(shared: &Shared, filter: &Filter, methods: &[String]) -> Markup {
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
            (choice("rule", "Rule", &filter.rule, &rules))
            button type="submit" { "Apply" }
            @if !filter.is_empty() { a href="/" { "Clear" } }
            details.syntax {
                summary { "Syntax" }
                p #syntax {
                    "All words must match: text of the method, host, path, query, function or back end, or "
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
                    span.host { (host) } span.path { (path) } @if let Some(query) = query { span.query { "?" (query) } }
                }
                (marks(entry))
            }
            td { (status(exchange.status)) }
            td.wide { (rule) }
            td.wide { (responder(shared, entry)) }
            td.number { (milliseconds(exchange.duration)) }
        }
    }
}

pub(super) fn marks(entry: &Entry) -> Markup {
    let marks = Mark::ALL.into_iter().filter(|mark| entry.has(*mark)).map(Mark::word);
    html! { @for word in marks { " " span class={ "mark " (word) } { (word) } } }
}

fn responder(shared: &Shared, entry: &Entry) -> Markup {
    let exchange = &entry.exchange;
    html! {
        @match (&exchange.function, entry.backend()) {
            (Some(function), Some(backend)) => { b { (backend) } " " small { "via " (function) } },
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
