//! The report as one page that needs no network and no script.
//!
//! Owns its structure. The templates escape all values of a log, which are never the name of a tag, a link or a style. In
//! addition, the content security policy in its head forbids scripts.

use crossfade_parity::number::{grouped, milliseconds, percent};
use crossfade_parity::{
    Difference, EndpointName, Example, Intervals, Latency, Mark, PARITY_THRESHOLD, Percentile, Percentiles, Summary,
    Verdict, share,
};
use maud::{DOCTYPE, Markup, html};

use super::causes::Cause;
use super::standing::{Standing, standings};
use super::text::{
    REASONS, bare, causes_by_mark, conclusion, counted_once, extent, first, folded, headline, interval, mark_name,
    range_of, reasons, sum,
};
use super::{Report, charts};
use crate::html::{render, style_sheet, table_head};
use crate::terminal::printable;

/// Maximum number of endpoints with details, of causes, of those that are open at first, and of endpoints of a cause; `--json`
/// has all.
const DETAILED: usize = 200;
const CAUSES: usize = 100;
const OPEN: usize = 3;
const NAMED: usize = 12;
/// The columns of the table of routes and endpoints; narrow screens hide the wide ones.
const COLUMNS: [(&str, &str); 7] = [
    ("Endpoint", ""),
    ("Parity", ""),
    ("95 % interval", "wide"),
    ("Compared", ""),
    ("p95, old to new", "wide"),
    ("Errors", "wide"),
    ("Lost", "wide"),
];

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let title = printable(report.title.as_deref().unwrap_or("Old against new"));
    let standings = standings(report);
    frame(
        &title,
        conclusion(report).0,
        html! {
            (header(report, &title))
            main {
                @if report.overall.copies > 0 {
                    (figures(&report.overall))
                    (causes(report))
                    (table(report, &standings))
                    div.two {
                        (over_time(report))
                        @if let Some(latency) = &report.overall.latency { (latencies(latency)) }
                    }
                    (answers(&report.overall))
                    (details(report, &standings))
                }
            }
            (footer(report))
        },
    )
}

/// A page of its own with this content.
pub(super) fn frame(title: &str, conclusion: &str, content: Markup) -> String {
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
                title { (title) " - " (conclusion) }
                style { (style_sheet(include_str!("style.css"))) }
            }
            body { (content) }
        }
    };
    render(page) + "\n"
}

/// The conclusion of a report, with a sentence, and more below it.
pub(super) fn banner((words, is_good): (&str, Option<bool>), sum: &str, more: Markup) -> Markup {
    // A symbol in addition to the colour.
    let (class, shape) = match is_good {
        Some(true) => ("good", "M4 13l5 5L20 6"),
        Some(false) => ("bad", "M5 5l14 14M19 5L5 19"),
        None => ("unsure", "M8 8a4 4 0 1 1 5.5 4.2c-1 .5-1.5 1.2-1.5 2.8M12 20v.1"),
    };
    html! {
        div.banner.(class) #verdict {
            h1 { svg viewBox="0 0 24 24" aria-hidden="true" { path d=(shape) {} } (capital(words)) }
            p.sum { (sum) }
            (more)
        }
    }
}

fn header(report: &Report, title: &str) -> Markup {
    let input = &report.input;
    let (reasons, causes) = (reasons(report), causes_by_mark(report));
    let list = html! {
        @if !reasons.is_empty() || causes.is_some() {
            ul {
                @if let Some(causes) = causes { li { a href="#causes" { "Differences by cause" } ": " (causes) } }
                @for reason in reasons.iter().take(REASONS) { li { (sentence(reason)) } }
                @if reasons.len() > REASONS { li { (reasons.len() - REASONS) " more" } }
            }
        }
    };
    html! {
        header {
            p.topic {
                b { (title) }
                @if let (Some(primary), Some(mirror)) = (&input.primary, &input.mirror) {
                    " · " (printable(mirror)) " against " (printable(primary))
                }
                @if let (Some(from), Some(to)) = (&input.from, &input.to) { " · " (period(from, to)) " UTC" }
            }
            (banner(conclusion(report), &capital(&sum(report)), list))
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
        // The judgement, not the number alone, says whether it counts.
        let judgement = match latency.slower.contains(&Percentile::P95) {
            true => ", slower",
            false if latency.change.p95 > 0.1 => ", not proved",
            false => "",
        };
        figures.push(("p95", change(latency.change.p95), format!("{old} to {new}{judgement}")));
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
    let row = |name, values: &Percentiles, ranges: &Intervals| {
        html! {
            tr {
                th scope="row" { (name) }
                @for percentile in Percentile::ALL {
                    td {
                        (milliseconds(values.of(percentile)))
                        @if let Some(range) = range_of(ranges.of(percentile)) { small { (range) } }
                    }
                }
            }
        }
    };
    html! {
        div.scroll tabindex="0" {
            table {
                thead { tr { td {} @for percentile in Percentile::ALL { th scope="col" { (percentile.as_str()) } } } }
                tbody {
                    (row("old", &latency.primary, &latency.primary_interval))
                    (row("new", &latency.mirror, &latency.mirror_interval))
                    tr {
                        th scope="row" { "change" }
                        @for percentile in Percentile::ALL {
                            td.bad-text[latency.slower.contains(&percentile)] {
                                (change(latency.change.of(percentile)))
                                @if latency.slower.contains(&percentile) { small { "slower" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn change(change: f64) -> String {
    format!("{:+.0} %", change * 100.0)
}

fn badge(mark: Mark) -> Markup {
    let is_open = matches!(mark, Mark::Unjudged | Mark::NotMeasured | Mark::Unclear);
    html! { span.badge.bad[mark == Mark::Regression].unsure[is_open] { (mark_name(mark)) } }
}

fn what(difference: &Difference) -> Markup {
    html! { code { (super::text::what(difference)) } }
}

/// The target of links to an endpoint's details.
fn anchor(number: usize) -> String {
    format!("endpoint-{number}")
}

fn causes(report: &Report) -> Markup {
    html! {
        section #causes {
            h2 { "What to do first" }
            @if report.causes.is_empty() {
                p.lead { "No difference to look at." }
            } @else {
                p.lead {
                    "Equal differences are listed once. Those that affect most responses come first."
                }
                ol.causes {
                    @for (number, cause) in report.causes.iter().take(CAUSES).enumerate() {
                        li { (one_cause(report, number, cause)) }
                    }
                }
            }
            @if report.causes.len() > CAUSES { p.lead { (report.causes.len() - CAUSES) " more are in `--json`." } }
            @if let Some(folded) = folded(report) { p.lead { "Not listed: " (folded) "." } }
        }
    }
}

fn one_cause(report: &Report, number: usize, cause: &Cause) -> Markup {
    let largest = report.causes.iter().map(|cause| cause.responses).max().unwrap_or(1).max(1);
    let class = if cause.mark == Mark::Regression { "raw" } else { "quiet" };
    html! {
        p.cause { code { (printable(&cause.what())) } " " (badge(cause.mark)) }
        div.pair {
            (charts::bar(class, cause.responses as f64, largest as f64))
            span { (extent(cause)) }
        }
        p.where {
            @for (at, (number, name)) in cause.numbers.iter().zip(&cause.endpoints).take(NAMED).enumerate() {
                @if at > 0 { ", " }
                (link(*number, name))
            }
            @if cause.endpoints.len() > NAMED { " and " (cause.endpoints.len() - NAMED) " more" }
        }
        @if let Some(why) = cause.why { p.lead { (sentence(&capital(why.as_str()))) "." } }
        @let examples = first(report, cause).map(|difference| difference.examples.as_slice()).unwrap_or_default();
        @if cause.rule.is_some() || !examples.is_empty() {
            details open[number < OPEN] {
                summary { "Example" @if cause.rule.is_some() { ", and the rule if it is intended" } }
                div {
                    @for example in examples { (one_example(example)) }
                    @if let Some(rule) = &cause.rule {
                        p.lead { "If it is intended, in " code { "crossfade.yaml" } ", below " code { "mirror" } ":" }
                        pre { (rule) }
                    }
                }
            }
        }
    }
}

fn link(number: usize, name: &EndpointName) -> Markup {
    let name = html! { span.mono { (printable(&name.to_string())) } };
    html! { a href=(format_args!("#{}", anchor(number))) { (name) } }
}

fn table(report: &Report, standings: &[Standing<'_>]) -> Markup {
    html! {
        section #endpoints {
            h2 { "Endpoints" }
            p.lead { "The worst first. Names lead to the details." }
            div.scroll tabindex="0" {
                table {
                    (table_head(COLUMNS))
                    tbody {
                        @if report.routes.len() > 1 {
                            @for route in &report.routes {
                                (row(html! { b { (printable(&route.route)) } small { "route" } }, &route.summary))
                            }
                        }
                        @for (at, standing) in standings.iter().enumerate() {
                            @let endpoint = standing.endpoint;
                            @let name = html! {
                                @if at < DETAILED { (link(standing.number, &endpoint.name)) } @else { (name(&endpoint.name)) }
                                @if report.routes.len() > 1 { small { (printable(&endpoint.name.route)) } }
                                div { (state(standing)) }
                            };
                            (row(name, &endpoint.summary))
                        }
                    }
                }
            }
        }
    }
}

/// The words for what is wrong at an endpoint.
fn state(standing: &Standing<'_>) -> Markup {
    let words = standing.words();
    html! {
        @if words.is_empty() {
            @if standing.endpoint.summary.compared == 0 { span.badge { "nothing compared" } }
            @else if standing.endpoint.summary.different > 0 { span.badge { "rare differences" } }
            @else { span.badge.good { "no difference" } }
        }
        @for (verdict, words) in words {
            span.badge.bad[verdict == Verdict::Differs].unsure[verdict != Verdict::Differs] { (printable(&words)) } " "
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
            td.wide {
                @if let Some(latency) = latency {
                    (bare(latency.primary.p95)) " to " (milliseconds(latency.mirror.p95)) ", "
                    span.bad-text[latency.slower.contains(&Percentile::P95)] { (change(latency.change.p95)) }
                    @if let Some(range) = range_of(latency.mirror_interval.p95) { small { "new " (range) } }
                } @else { "-" }
            }
            td.wide { (grouped(summary.mirror_failed)) }
            td.wide { (grouped(summary.lost)) }
        }
    }
}

/// A sentence in which backquotes mark code.
pub(super) fn sentence(text: &str) -> Markup {
    html! {
        @for (at, piece) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}

fn or_dash(figure: Option<String>) -> String {
    figure.unwrap_or_else(|| "-".to_owned())
}

/// Capitalises the first letter.
pub(super) fn capital(text: &str) -> String {
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

fn details(report: &Report, standings: &[Standing<'_>]) -> Markup {
    html! {
        section {
            h2 { "Details" }
            @for standing in standings.iter().take(DETAILED) {
                @let parity = standing.endpoint.summary.parity.map(|parity| percent(parity.share));
                details {
                    summary {
                        (name(&standing.endpoint.name)) " "
                        span.badge { (parity.unwrap_or_else(|| "nothing compared".to_owned())) }
                    }
                    // A link to it opens the details.
                    div id=(anchor(standing.number)) { (detail(standing)) }
                }
            }
            @if report.endpoints.len() > DETAILED {
                p.lead { (report.endpoints.len() - DETAILED) " more are in `--json`." }
            }
        }
    }
}

fn detail(standing: &Standing<'_>) -> Markup {
    let Standing { endpoint, number, reasons } = standing;
    let summary = &endpoint.summary;
    html! {
        p { (capital(&headline(summary))) "." }
        @if !reasons.is_empty() { ul { @for reason in reasons { li { (sentence(&printable(&reason.to_string()))) } } } }
        @if !endpoint.differences.is_empty() {
            div.scroll tabindex="0" {
                table {
                    (table_head([("Difference", ""), ("Count", ""), ("Share", ""), ("Repeated", "wide"), ("Noise", "")]))
                    tbody {
                        @for difference in &endpoint.differences {
                            tr {
                                th scope="row" { (what(difference)) " " (badge(difference.mark)) }
                                td { (grouped(difference.count)) }
                                td { (percent(difference.raw)) }
                                td.wide { (repeated(difference)) }
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

/// The repeated requests in which the old system gave its value again.
fn repeated(difference: &Difference) -> String {
    match difference.repeated.repeated() {
        0 => "-".to_owned(),
        all => format!("{} of {} confirmed", grouped(difference.repeated.confirmed()), grouped(all)),
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
                    @if let Some(value) = side.value.as_ref().filter(|value| **value != side.outcome) { ": " code { (printable(value)) } }
                }
                pre { (printable(&side.repeat)) }
            }
        }
    }
}

fn footer(report: &Report) -> Markup {
    let input = &report.input.reading;
    html! {
        footer {
            p { (grouped(input.records)) " comparisons read." }
            @if input.left_out > 0 { p { (grouped(input.left_out)) " excluded by options." } }
            @if input.repeated > 0 { p { (capital(&counted_once(input.repeated))) "." } }
            @if let Some(first) = &input.first_unreadable {
                p { (grouped(input.unreadable)) " could not be read, the first at " (printable(first)) "." }
            }
            @for hint in &report.hints { p { "Note: " (sentence(&printable(hint))) "." } }
        }
    }
}

fn name(name: &EndpointName) -> Markup {
    html! { span.mono { (printable(&name.to_string())) } }
}

/// `2026-11-24 08:00 to 09:59`, and with seconds within an hour.
pub(super) fn period(from: &str, to: &str) -> String {
    let time = if from.get(..13) == to.get(..13) { 11..19 } else { 11..16 };
    let (day, begin) = (from.get(..10).unwrap_or_default(), from.get(time.clone()).unwrap_or_default());
    let (last_day, end) = (to.get(..10).unwrap_or_default(), to.get(time).unwrap_or_default());
    let last_day = if day == last_day { String::new() } else { format!("{last_day} ") };
    format!("{day} {begin} to {last_day}{end}")
}
