//! A traffic report as one page that needs no network and no script. Owns its structure; the frame, the banner and the style are
//! those of the report on comparisons.

use std::time::{SystemTime, UNIX_EPOCH};

use crossfade_parity::number::{grouped, percent};
use crossfade_parity::{BackendTraffic, EndpointTraffic, Traffic, TrafficTimeline};
use maud::{Markup, html};

use super::TrafficReport;
use super::next::{Candidate, State};
use super::shown::{
    ago, cells, conclusion, counted, endpoints, evidence, not_found, notes, now, rate, reasons, state, still_served,
    sum, version,
};
use crate::html::table_head;
use crate::report::charts;
use crate::report::html::{banner, capital, frame, period, sentence};
use crate::terminal::printable;

/// Maximum number of routes, of endpoints and of versions; `--json` has all.
const ROUTES: usize = 200;
const ENDPOINTS: usize = 500;
const VERSIONS: usize = 50;

/// The whole page.
pub(crate) fn page(report: &TrafficReport) -> String {
    let title = printable(report.title.as_deref().unwrap_or("Traffic"));
    let traffic = &report.traffic;
    frame(
        &title,
        conclusion(report).0,
        html! {
            header {
                p.topic {
                    b { (title) }
                    @if let (Some(from), Some(until)) = (traffic.from, traffic.until) {
                        " · " (period(&moment(from), &moment(until))) " UTC"
                    }
                }
                (banner(conclusion(report), &printable(&sum(report)), html! {}))
            }
            main {
                @if traffic.requests > 0 {
                    (figures(report))
                    (next(report))
                    (over_time(report))
                    (back_ends(report))
                    (endpoint_table(report))
                    (versions(traffic))
                }
            }
            footer { @for note in notes(report) { p { (sentence(&capital(&printable(&note)))) "." } } }
        },
    )
}

fn moment(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// The back ends, the old one first, then by requests; each with the class of its colour.
fn systems(report: &TrafficReport) -> Vec<(&'static str, &BackendTraffic)> {
    let mut systems: Vec<_> = report.traffic.backends.iter().collect();
    let is_old = |backend: &BackendTraffic| report.old.as_ref() == Some(&backend.backend);
    systems.sort_by_key(|backend| (!is_old(backend), std::cmp::Reverse(backend.served.requests)));
    let classes = ["old", "new", "third"].into_iter().chain(std::iter::repeat("rest"));
    // Where the old one has no request, its colour is not another one's.
    let skipped = usize::from(report.old.is_some() && !systems.first().is_some_and(|first| is_old(first)));
    classes.skip(skipped).zip(systems).collect()
}

fn class_of(report: &TrafficReport, name: &str) -> &'static str {
    systems(report).into_iter().find(|(_, backend)| backend.backend == name).map_or("rest", |(class, _)| class)
}

fn figures(report: &TrafficReport) -> Markup {
    let traffic = &report.traffic;
    let mut figures = vec![("Requests".to_owned(), grouped(traffic.requests), String::new())];
    for (_, backend) in systems(report).into_iter().take(3) {
        let now = now(traffic, &traffic.timeline, &backend.backend);
        let note = now.map_or("none at the end".to_owned(), |now| format!("{} at the end", percent(now)));
        figures.push((printable(&backend.backend), percent(backend.served.share), note));
    }
    if let Some(old) = report.old.as_ref().and_then(|old| traffic.backends.iter().find(|it| it.backend == *old)) {
        figures.push(("Last used".to_owned(), ago(traffic, old.served.last), "before the end of the log".to_owned()));
    }
    html! {
        dl.figures aria-label="Key figures" {
            @for (name, value, note) in figures { div { dt { (name) } dd { (value) small { (note) } } } }
        }
    }
}

fn next(report: &TrafficReport) -> Markup {
    html! {
        @if !report.switch_off.is_empty() {
            section #next {
                h2 { "What to switch off next" }
                p.lead { "The least effort first." }
                ol.causes {
                    @for candidate in report.switch_off.iter().take(ROUTES) { li { (step(report, candidate)) } }
                }
            }
        }
    }
}

fn step(report: &TrafficReport, candidate: &Candidate) -> Markup {
    let is_over = matches!(candidate.state, State::Unused | State::NoLongerUsed);
    let evidence = evidence(report, candidate);
    html! {
        p.cause {
            code { (printable(&candidate.route)) } " "
            span.badge.good[is_over].unsure[!is_over] { (state(candidate)) }
        }
        @if !evidence.is_empty() { p.where { (capital(&printable(&evidence))) "." } }
        @if !candidate.advice.is_empty() { p.lead { (sentence(&capital(&printable(&candidate.advice)))) "." } }
        @if candidate.state == State::InUse {
            ul {
                @for why in &candidate.why {
                    li { (grouped(why.requests)) " by " code { (why.by) } ": " (sentence(&printable(&why.advice))) }
                }
            }
        }
    }
}

fn over_time(report: &TrafficReport) -> Markup {
    let traffic = &report.traffic;
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let parts: Vec<_> = systems(report)
        .into_iter()
        .map(|(class, it)| (class, printable(&it.backend), cells(traffic, &traffic.timeline, &it.backend)))
        .collect();
    let span = traffic.from.zip(traffic.until).map(|(from, until)| (seconds(from), seconds(until) + 1));
    html! {
        @if let Some(chart) = span.and_then(|span| charts::shares(&parts, span)) {
            section {
                h2 { "Share over time" }
                p.lead { @for (class, name, _) in parts.iter().take(4) { b.(class) { (name) } " " } }
                figure { (chart) }
            }
        }
    }
}

fn back_ends(report: &TrafficReport) -> Markup {
    let traffic = &report.traffic;
    let columns = [
        ("Back end", ""),
        ("Requests", ""),
        ("Share", ""),
        ("At the end", ""),
        ("Rate", "wide"),
        ("Last used", "wide"),
        ("Share over time", "wide"),
    ];
    html! {
        section #backends {
            h2 { "Routes" }
            p.lead { "“At the end” is the last part of the time of the log; “last used” is the time before its end." }
            div.scroll tabindex="0" {
                table {
                    (table_head(columns))
                    tbody {
                        @if traffic.routes.len() > 1 {
                            (heading("All routes", traffic.requests))
                            (rows(report, &traffic.backends, &traffic.timeline))
                        }
                        @for route in traffic.routes.iter().take(ROUTES) {
                            (heading(&printable(&route.route), route.requests))
                            (rows(report, &route.backends, &route.timeline))
                        }
                    }
                }
            }
            (more(traffic.routes.len(), ROUTES))
        }
    }
}

fn heading(name: &str, requests: u64) -> Markup {
    html! { tr { th scope="row" { b { (name) } } td { b { (grouped(requests)) } } td {} td {} td.wide {} td.wide {} td.wide {} } }
}

fn rows(report: &TrafficReport, backends: &[BackendTraffic], timeline: &TrafficTimeline) -> Markup {
    let traffic = &report.traffic;
    html! {
        @for backend in backends {
            @let (served, name) = (&backend.served, &backend.backend);
            tr {
                th scope="row" { (printable(name)) @if !served.by.is_empty() { small { (reasons(&served.by)) } } }
                td { (grouped(served.requests)) }
                td { (percent(served.share)) }
                td { (now(traffic, timeline, name).map_or("-".to_owned(), percent)) }
                td.wide { (rate(backend.per_minute)) }
                td.wide { (ago(traffic, served.last)) }
                td.wide { (charts::spark(class_of(report, name), &cells(traffic, timeline, name))) }
            }
        }
    }
}

fn endpoint_table(report: &TrafficReport) -> Markup {
    let mut listed = still_served(report);
    let mut others: Vec<_> = endpoints(report)
        .filter(|(_, endpoint)| report.old.as_ref().is_none_or(|old| !endpoint.backends.contains_key(old)))
        .collect();
    others.sort_by_key(|(_, endpoint)| std::cmp::Reverse(endpoint.requests));
    listed.append(&mut others);
    html! {
        section #endpoints {
            h2 { "Endpoints" }
            @if report.old.is_some() { p.lead { "Those that the old system served come first." } }
            div.scroll tabindex="0" {
                table {
                    (table_head([("Endpoint", ""), ("Requests", ""), ("By back end", "left"), ("Last used", "wide")]))
                    tbody {
                        @for (route, endpoint) in listed.iter().take(ENDPOINTS) { (row(report, route, endpoint)) }
                    }
                }
            }
            (more(listed.len(), ENDPOINTS))
            @if let Some(missing) = not_found(report) { p.lead { "Not listed: " (missing) "." } }
        }
    }
}

fn row(report: &TrafficReport, route: &str, endpoint: &EndpointTraffic) -> Markup {
    let traffic = &report.traffic;
    html! {
        tr {
            th scope="row" {
                span.mono { (printable(&endpoint.endpoint)) }
                @if traffic.routes.len() > 1 { small { (printable(route)) } }
            }
            td { (grouped(endpoint.requests)) }
            td.left {
                @for (name, served) in &endpoint.backends {
                    div {
                        b.(class_of(report, name)) { (printable(name)) } " " (percent(served.share))
                        @if report.old.as_ref() == Some(name) { small { (reasons(&served.by)) } }
                    }
                }
            }
            td.wide { @for served in endpoint.backends.values() { div { (ago(traffic, served.last)) } } }
        }
    }
}

fn versions(traffic: &Traffic) -> Markup {
    html! {
        @if traffic.versions.iter().any(|used| used.version.is_some()) {
            section #versions {
                h2 { "Live state" }
                p.lead { "The share of the requests that each version decided." }
                div.scroll tabindex="0" {
                    table {
                        (table_head([("Version", ""), ("Requests", ""), ("Share", ""), ("First", "wide"), ("Last", "")]))
                        tbody {
                            @for used in traffic.versions.iter().rev().take(VERSIONS) {
                                tr {
                                    th scope="row" { (version(used.version)) }
                                    td { (grouped(used.requests)) }
                                    td { (percent(used.share)) }
                                    td.wide { (used.first.map_or("-".to_owned(), moment)) }
                                    td { (used.last.map_or("-".to_owned(), moment)) }
                                }
                            }
                        }
                    }
                }
                (more(traffic.versions.len(), VERSIONS))
            }
        }
    }
}

fn more(count: usize, shown: usize) -> Markup {
    html! { @if count > shown { p.lead { (counted((count - shown) as u64, "more row")) " in " code { "--json" } "." } } }
}
