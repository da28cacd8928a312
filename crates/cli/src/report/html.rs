//! The report as one page that needs no network and no script.
//!
//! Owns its structure. The templates escape all values of a log, which are never the name of a tag, a link or a style. In
//! addition, the content security policy in its head forbids scripts.

use crossfade_parity::number::{grouped, milliseconds, percent};
use crossfade_parity::{Difference, Endpoint, Example, Latency, Mark, PARITY_THRESHOLD, Percentiles, Summary, share};
use maud::{DOCTYPE, Markup, html};

use super::text::{REASONS, headline, interval, verdict};
use super::{Report, charts};
use crate::html::{render, style_sheet, table_head};
use crate::terminal::printable;

/// Maximum number of endpoints with details, and of differences in the chart; `--json` has all.
const DETAILED: usize = 200;
const BARS: usize = 12;
/// The columns of the table of routes and endpoints; narrow screens hide the wide ones.
const COLUMNS: [(&str, &str); 9] = [
    ("Endpoint", ""),
    ("Parity", ""),
    ("95 % interval", "wide"),
    ("Compared", ""),
    ("p95 old", "wide"),
    ("p95 new", "wide"),
    ("Change", ""),
    ("Errors", "wide"),
    ("Lost", "wide"),
];

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let title = printable(report.title.as_deref().unwrap_or("Old against new"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="referrer" content="no-referrer";
                link rel="icon" href="data:,";
                title { (title) " - " (verdict(report).0) }
                style { (style_sheet(include_str!("style.css"))) }
            }
            body {
                (header(report, &title))
                main {
                    @if report.overall.copies > 0 {
                        (figures(&report.overall))
                        div.two {
                            (over_time(report))
                            @if let Some(latency) = &report.overall.latency { (latencies(latency)) }
                        }
                        (differences(report))
                        (table(report))
                        (answers(&report.overall))
                        (details(report))
                    }
                }
                (footer(report))
            }
        }
    };
    render(page) + "\n"
}

fn header(report: &Report, title: &str) -> Markup {
    let (words, is_good) = verdict(report);
    // A symbol in addition to the colour.
    let (class, shape) = match is_good {
        Some(true) => ("good", "M4 13l5 5L20 6"),
        Some(false) => ("bad", "M5 5l14 14M19 5L5 19"),
        None => ("unsure", "M8 8a4 4 0 1 1 5.5 4.2c-1 .5-1.5 1.2-1.5 2.8M12 20v.1"),
    };
    let input = &report.input;
    html! {
        header {
            p.topic {
                b { (title) }
                @if let (Some(primary), Some(mirror)) = (&input.primary, &input.mirror) {
                    " · " (printable(mirror)) " against " (printable(primary))
                }
                @if let (Some(from), Some(to)) = (&input.from, &input.to) { " · " (period(from, to)) " UTC" }
            }
            div.banner.(class) #verdict {
                h1 { svg viewBox="0 0 24 24" aria-hidden="true" { path d=(shape) {} } (capital(words)) }
                p.sum { (capital(&headline(&report.overall))) }
                @if report.gate.is_empty() && !report.reasons.is_empty() {
                    ul { @for reason in report.reasons.iter().take(REASONS) { li { (printable(&reason.to_string())) } } }
                }
            }
            @if !report.gate.is_empty() {
                section #gate {
                    h2 { "Gate" }
                    div.scroll tabindex="0" { table { tbody {
                        @for part in &report.gate {
                            @let (class, word) = if part.ok { ("good", "ok") } else { ("bad", "failed") };
                            tr {
                                th scope="row" {
                                    code { (part.condition) }
                                    @if let Some(route) = &part.route { small { (printable(route)) } }
                                }
                                td.left { (printable(&part.measured)) }
                                td { span.badge.(class) { (word) } }
                            }
                        }
                    } } }
                }
            }
        }
    }
}

fn figures(overall: &Summary) -> Markup {
    let mut figures = Vec::new();
    if let Some(parity) = overall.parity {
        figures.push(("Parity", percent(parity.share), interval(parity.low, parity.high)));
        let noise = format!("{} differ by noise only", grouped(overall.noise_only));
        figures.push(("Raw parity", percent(parity.raw), noise));
    }
    figures.push(("Compared", grouped(overall.compared), format!("of {} copies", grouped(overall.copies))));
    if let Some(latency) = &overall.latency {
        let (old, new) = (milliseconds(latency.primary.p95), milliseconds(latency.mirror.p95));
        figures.push(("p95", format!("{:+.1} %", latency.change.p95 * 100.0), format!("{old} to {new}")));
    }
    figures.push(("New errors", grouped(overall.mirror_failed), "where the old system responded".to_owned()));
    figures.push(("Lost copies", grouped(overall.lost), percent(share(overall.lost, overall.copies))));
    html! {
        dl.figures aria-label="Key figures" {
            @for (name, value, note) in figures { div { dt { (name) } dd { (value) small { (note) } } } }
        }
    }
}

fn over_time(report: &Report) -> Markup {
    html! {
        @if let Some(chart) = charts::parity(&report.timeline, PARITY_THRESHOLD) {
            section {
                h2 { "Parity over time" }
                p.lead {
                    "Share of equal responses with its 95 % interval; the dashed line is " (percent(PARITY_THRESHOLD)) "."
                }
                figure { (chart) }
            }
        }
    }
}

fn latencies(latency: &Latency) -> Markup {
    html! {
        section {
            h2 { "Latency" }
            p.lead { (grouped(latency.pairs)) " pairs of responses: " b.old { "old" } " and " b.new { "new" } "." }
            figure { (charts::latency("latency-chart", latency)) }
            (percentiles(latency))
        }
    }
}

fn percentiles(latency: &Latency) -> Markup {
    let row = |name, &Percentiles { p50, p90, p95, p99 }: &Percentiles, show: fn(f64) -> String| {
        html! { tr { th scope="row" { (name) } @for value in [p50, p90, p95, p99] { td { (show(value)) } } } }
    };
    html! {
        div.scroll tabindex="0" {
            table {
                thead { tr { td {} @for name in ["p50", "p90", "p95", "p99"] { th scope="col" { (name) } } } }
                tbody {
                    (row("old", &latency.primary, milliseconds))
                    (row("new", &latency.mirror, milliseconds))
                    (row("change", &latency.change, |change| format!("{:+.1} %", change * 100.0)))
                }
            }
        }
    }
}

fn badge(mark: Mark) -> Markup {
    html! { span.badge.bad[mark == Mark::Regression] { (mark.as_str()) } }
}

fn what(difference: &Difference) -> Markup {
    html! { code { (super::text::what(difference)) } }
}

fn differences(report: &Report) -> Markup {
    let endpoints = report.endpoints.iter();
    let mut all: Vec<(&Endpoint, &Difference)> =
        endpoints.flat_map(|endpoint| std::iter::repeat(endpoint).zip(&endpoint.differences)).collect();
    all.sort_by(|(_, a), (_, b)| a.mark.cmp(&b.mark).then(b.count.cmp(&a.count)));
    let shown = all.get(..BARS).unwrap_or(&all);
    let largest = shown.iter().map(|(_, d)| d.raw.max(d.noise.unwrap_or_default())).fold(f64::MIN_POSITIVE, f64::max);
    html! {
        section #differences {
            h2 { "Differences" }
            @if all.is_empty() { p.lead { "None." } } @else {
                p.lead {
                    "Share of responses in which the new system differs from the old one, and below it the share in which the old "
                    "one differs from itself."
                }
                ul.bars {
                    @for (endpoint, difference) in shown {
                        @let class = if difference.mark == Mark::Regression { "raw" } else { "quiet" };
                        li {
                            p { (what(difference)) " " (badge(difference.mark)) small { (name(endpoint)) } }
                            div {
                                div.pair {
                                    (charts::bar(class, difference.raw, largest))
                                    span { (percent(difference.raw)) " of responses" }
                                }
                                div.pair {
                                    (charts::bar("noise", difference.noise.unwrap_or_default(), largest))
                                    span { "noise " (difference.noise.map_or("not measured".to_owned(), percent)) }
                                }
                            }
                        }
                    }
                }
                @if all.len() > shown.len() {
                    p.lead { (all.len() - shown.len()) " more are listed with their endpoints below." }
                }
            }
        }
    }
}

fn table(report: &Report) -> Markup {
    html! {
        section #endpoints {
            h2 { "Routes and endpoints" }
            p.lead { "Lowest parity first." }
            div.scroll tabindex="0" {
                table {
                    (table_head(COLUMNS))
                    tbody {
                        @if report.routes.len() > 1 {
                            @for route in &report.routes {
                                (row(html! { b { (printable(&route.route)) } small { "route" } }, &route.summary))
                            }
                        }
                        @for endpoint in &report.endpoints {
                            (row(html! { (name(endpoint)) small { (printable(&endpoint.name.route)) } }, &endpoint.summary))
                        }
                    }
                }
            }
        }
    }
}

fn row(name: Markup, summary: &Summary) -> Markup {
    let (parity, latency) = (summary.parity.as_ref(), summary.latency.as_ref());
    html! {
        tr {
            th scope="row" { (name) }
            td.bad-text[parity.is_some_and(|parity| parity.high < PARITY_THRESHOLD)] {
                (or_dash(parity.map(|parity| percent(parity.share))))
            }
            td.wide { (or_dash(parity.map(|parity| interval(parity.low, parity.high)))) }
            td { (grouped(summary.compared)) }
            td.wide { (or_dash(latency.map(|latency| milliseconds(latency.primary.p95)))) }
            td.wide { (or_dash(latency.map(|latency| milliseconds(latency.mirror.p95)))) }
            td { (or_dash(latency.map(|latency| format!("{:+.0} %", latency.change.p95 * 100.0)))) }
            td.wide { (grouped(summary.mirror_failed)) }
            td.wide { (grouped(summary.lost)) }
        }
    }
}

fn or_dash(figure: Option<String>) -> String {
    figure.unwrap_or_else(|| "-".to_owned())
}

/// Capitalises the first letter.
fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or(String::new(), |first| first.to_uppercase().chain(characters).collect())
}

/// The responses of each system by status and error, and the reasons for responses that could not be compared.
fn answers(overall: &Summary) -> Markup {
    let counts = |name: &str, count: u64| format!("{}: {}", printable(name), grouped(count));
    let mut rows = Vec::new();
    for (name, side) in [("Old", &overall.primary), ("New", &overall.mirror)] {
        let statuses = (1..).zip(side.statuses).filter(|(_, count)| *count > 0);
        let statuses = statuses.map(|(digit, count)| counts(&format!("{digit}xx"), count));
        let errors = side.errors.iter().map(|(kind, count)| counts(kind, *count));
        rows.push((name, statuses.chain(errors).collect::<Vec<_>>()));
    }
    for (name, words) in [("Lost", &overall.lost_by_reason), ("Unknown", &overall.unknown_by_reason)] {
        if !words.is_empty() {
            rows.push((name, words.iter().map(|(word, count)| counts(word, *count)).collect()));
        }
    }
    html! {
        section {
            h2 { "Responses" }
            div.scroll tabindex="0" { table { tbody {
                @for (name, words) in rows { tr { th scope="row" { (name) } td.left { (words.join(", ")) } } }
            } } }
        }
    }
}

fn details(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Details" }
            @for (number, endpoint) in report.endpoints.iter().take(DETAILED).enumerate() {
                @let parity = endpoint.summary.parity.map(|parity| percent(parity.share));
                details {
                    summary {
                        (name(endpoint)) " " span.badge { (parity.unwrap_or_else(|| "nothing compared".to_owned())) }
                    }
                    div { (detail(number, endpoint)) }
                }
            }
            @if report.endpoints.len() > DETAILED {
                p.lead { (report.endpoints.len() - DETAILED) " more are in `--json`." }
            }
        }
    }
}

fn detail(number: usize, endpoint: &Endpoint) -> Markup {
    let summary = &endpoint.summary;
    html! {
        p {
            (capital(&headline(summary))) "."
        }
        @if !endpoint.differences.is_empty() {
            div.scroll tabindex="0" {
                table {
                    (table_head(["Difference", "Count", "Share", "Noise"].map(|name| (name, ""))))
                    tbody {
                        @for difference in &endpoint.differences {
                            tr {
                                th scope="row" { (what(difference)) " " (badge(difference.mark)) }
                                td { (grouped(difference.count)) }
                                td { (percent(difference.raw)) }
                                td { (or_dash(difference.noise.map(percent))) }
                            }
                        }
                    }
                }
            }
        }
        @for difference in endpoint.differences.iter().filter(|difference| !difference.examples.is_empty()) {
            h3 { "Examples: " (what(difference)) }
            @for example in &difference.examples { (one_example(example)) }
        }
        @if let Some(latency) = &summary.latency {
            h3 { "Latency" }
            figure { (charts::latency(&format!("latency-{number}"), latency)) }
            (percentiles(latency))
        }
    }
}

fn one_example(example: &Example) -> Markup {
    html! {
        div.example {
            p {
                code { (printable(&example.at)) } " at " (example.time)
                ", request " code { (printable(&example.request_id)) }
            }
            @for (class, side) in [("old", &example.primary), ("new", &example.mirror)] {
                p {
                    b.(class) { (printable(&side.backend)) } " " (printable(&side.outcome))
                    @if let Some(value) = &side.value { ": " code { (printable(value)) } }
                }
                pre { (printable(&side.repeat)) }
            }
        }
    }
}

fn footer(report: &Report) -> Markup {
    let input = &report.input;
    html! {
        footer {
            p { (grouped(input.records)) " comparisons read." }
            @if input.left_out > 0 { p { (grouped(input.left_out)) " excluded by options." } }
            @if let Some(first) = &input.first_unreadable {
                p { (grouped(input.unreadable)) " could not be read, the first at " (printable(first)) "." }
            }
            @for hint in &report.hints { p { "Note: " (printable(hint)) "." } }
        }
    }
}

fn name(endpoint: &Endpoint) -> Markup {
    html! { span.mono { (printable(&endpoint.name.to_string())) } }
}

/// `2026-11-24 08:00 to 09:59`.
fn period(from: &str, to: &str) -> String {
    let (day, begin) = (from.get(..10).unwrap_or_default(), from.get(11..16).unwrap_or_default());
    let (last_day, end) = (to.get(..10).unwrap_or_default(), to.get(11..16).unwrap_or_default());
    let last_day = if day == last_day { String::new() } else { format!("{last_day} ") };
    format!("{day} {begin} to {last_day}{end}")
}
