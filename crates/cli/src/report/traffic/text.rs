//! A traffic report for a terminal: 100 columns, but for names that are longer. The old system first, then what to do.
//!
//! Owns the tables. All text of a log passes through [`cell`].

use crossfade_parity::number::{grouped, percent};
use crossfade_parity::{BackendTraffic, Traffic, TrafficTimeline};

use super::TrafficReport;
use super::next::State;
use super::shown::{
    ago, cells, conclusion, endpoints, evidence, not_found, notes, now, rate, reasons, state, still_served, sum,
    version, without_old,
};
use crate::report::paper::{Text, Tone, cell, pad, shortened};

/// Maximum number of routes, of endpoints and of versions; `--html` and `--json` have all.
const ROUTES: usize = 30;
const ENDPOINTS: usize = 20;
const VERSIONS: usize = 10;
/// Width of the first column of the tables.
const NAME: usize = 28;
const ENDPOINT: usize = 44;

pub(crate) fn text(report: &TrafficReport, colour: bool) -> String {
    let mut text = Text::new(colour);
    head(&mut text, report);
    if report.traffic.requests > 0 {
        next(&mut text, report);
        back_ends(&mut text, &report.traffic);
        endpoint_table(&mut text, report);
        versions(&mut text, &report.traffic);
    }
    let notes: Vec<String> = notes(report).iter().map(|note| cell(note)).collect();
    text.notes(&notes);
    text.out
}

fn head(text: &mut Text, report: &TrafficReport) {
    if let Some(title) = &report.title {
        let title = text.paint(Tone::Strong, &cell(title));
        text.line(&title);
    }
    let (words, is_good) = conclusion(report);
    let words = text.paint(if is_good == Some(true) { Tone::Good } else { Tone::Unsure }, &words.to_uppercase());
    text.line(&format!("{words}  {}", cell(&sum(report))));
    if let (Some(from), Some(until)) = (report.traffic.from, report.traffic.until) {
        let time = humantime::format_rfc3339_seconds;
        let span = text.paint(Tone::Dim, &format!("{} to {}", time(from), time(until)));
        text.line(&span);
    }
}

fn next(text: &mut Text, report: &TrafficReport) {
    if report.switch_off.is_empty() {
        return;
    }
    text.heading("What to switch off next");
    for (number, candidate) in (1..).zip(report.switch_off.iter().take(ROUTES)) {
        let tone = match candidate.state {
            State::Unused | State::NoLongerUsed => Tone::Good,
            State::InUse | State::NoRequests => Tone::Unsure,
        };
        let state = text.paint(tone, &format!("{:<14}", state(candidate)));
        text.line(&format!("{number:>2}. {state}  {}", shortened(&cell(&candidate.route), 60)));
        for sentence in [evidence(report, candidate), candidate.advice.clone()].iter().filter(|it| !it.is_empty()) {
            text.wrapped(&cell(sentence), "    ", "    ");
        }
        for why in candidate.why.iter().filter(|_| candidate.state == State::InUse) {
            let sentence = format!("{} by {}: {}", grouped(why.requests), why.by, why.advice);
            text.wrapped(&cell(&sentence), "      ", "        ");
        }
    }
    more(text, report.switch_off.len(), ROUTES);
}

fn back_ends(text: &mut Text, traffic: &Traffic) {
    text.heading(&format!(
        "{:<NAME$} {:>9} {:>8} {:>8} {:>9} {:>9}  {}",
        "Back ends", "requests", "share", "now", "rate", "last used", "share over time"
    ));
    let has_all = traffic.routes.len() > 1;
    if has_all {
        text.line(&format!("{} {:>9}", pad("all", NAME), grouped(traffic.requests)));
        rows(text, traffic, &traffic.backends, &traffic.timeline);
    }
    for route in traffic.routes.iter().take(ROUTES) {
        let name = format!("route {}", cell(&route.route));
        text.line(&format!("{} {:>9}", pad(&name, NAME), grouped(route.requests)));
        rows(text, traffic, &route.backends, &route.timeline);
        let served: u64 = route.backends.iter().map(|backend| backend.served.requests).sum();
        if served < route.requests {
            let none = text.paint(Tone::Dim, &pad("  (no back end)", NAME));
            text.line(&format!("{none} {:>9}", grouped(route.requests - served)));
        }
    }
    more(text, traffic.routes.len(), ROUTES);
}

fn rows(text: &mut Text, traffic: &Traffic, backends: &[BackendTraffic], timeline: &TrafficTimeline) {
    for backend in backends {
        let served = &backend.served;
        text.line(&format!(
            "{} {:>9} {:>8} {:>8} {:>9} {:>9}  {}",
            pad(&format!("  {}", cell(&backend.backend)), NAME),
            grouped(served.requests),
            percent(served.share),
            now(traffic, timeline, &backend.backend).map_or("-".to_owned(), percent),
            rate(backend.per_minute),
            ago(traffic, served.last),
            sparkline(&cells(traffic, timeline, &backend.backend))
        ));
    }
}

/// Shares as blocks: the lowest is none at all, and a dot stands for a time without any request.
fn sparkline(cells: &[(u64, u64)]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let block = |(own, all): &(u64, u64)| match all {
        0 => '·',
        all => {
            let level = (u128::from(*own) * 7).div_ceil(u128::from(*all));
            BLOCKS.get(usize::try_from(level).unwrap_or_default()).copied().unwrap_or('█')
        }
    };
    cells.iter().map(block).collect()
}

fn endpoint_table(text: &mut Text, report: &TrafficReport) {
    let traffic = &report.traffic;
    let name = |route: &str, endpoint: &str| {
        let name = if traffic.routes.len() > 1 { format!("{endpoint} ({route})") } else { endpoint.to_owned() };
        pad(&cell(&name), ENDPOINT)
    };
    let count;
    if let Some(old) = &report.old {
        let served = still_served(report);
        count = served.len();
        if count > 0 {
            let heading = format!("Endpoints that {} served", shortened(&cell(old), NAME));
            text.heading(&format!(
                "{} {:>9} {:>8} {:>9}  {}",
                pad(&heading, ENDPOINT),
                "requests",
                "share",
                "last used",
                "by"
            ));
        }
        for (route, endpoint) in served.into_iter().take(ENDPOINTS) {
            let Some(own) = endpoint.backends.get(old) else { continue };
            text.line(&format!(
                "{} {:>9} {:>8} {:>9}  {}",
                name(route, &endpoint.endpoint),
                grouped(own.requests),
                percent(own.share),
                ago(traffic, own.last),
                reasons(&own.by)
            ));
        }
    } else {
        let mut all: Vec<_> = endpoints(report).collect();
        all.sort_by_key(|(_, endpoint)| std::cmp::Reverse(endpoint.requests));
        count = all.len();
        if count > 0 {
            text.heading(&format!("{:<ENDPOINT$} {:>9}  {}", "Endpoints", "requests", "share"));
        }
        for (route, endpoint) in all.into_iter().take(ENDPOINTS) {
            let share = |(name, served): (&String, &crossfade_parity::Served)| {
                format!("{} {}", shortened(&cell(name), NAME), percent(served.share))
            };
            let shares: Vec<_> = endpoint.backends.iter().take(3).map(share).collect();
            let (name, requests) = (name(route, &endpoint.endpoint), grouped(endpoint.requests));
            text.line(&format!("{name} {requests:>9}  {}", shares.join(", ")));
        }
    }
    more(text, count, ENDPOINTS);
    let unlisted: Vec<String> = without_old(report).into_iter().chain(not_found(report)).collect();
    if !unlisted.is_empty() {
        let unlisted = text.paint(Tone::Dim, &format!("Not listed: {}", cell(&unlisted.join(", "))));
        text.line("");
        text.line(&unlisted);
    }
}

fn versions(text: &mut Text, traffic: &Traffic) {
    if traffic.versions.iter().all(|used| used.version.is_none()) {
        return;
    }
    text.heading(&format!("{:<NAME$} {:>9} {:>8}  {}", "Live state", "requests", "share", "first and last request"));
    for used in traffic.versions.iter().rev().take(VERSIONS) {
        let time =
            |time: Option<_>| time.map_or("-".to_owned(), |it| humantime::format_rfc3339_seconds(it).to_string());
        text.line(&format!(
            "{} {:>9} {:>8}  {} to {}",
            pad(&format!("  {}", version(used.version)), NAME),
            grouped(used.requests),
            percent(used.share),
            time(used.first),
            time(used.last)
        ));
    }
    more(text, traffic.versions.len(), VERSIONS);
}

fn more(text: &mut Text, count: usize, shown: usize) {
    if count > shown {
        text.line(&format!("… and {} more; `--html` and `--json` have all", grouped((count - shown) as u64)));
    }
}
