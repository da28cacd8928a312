//! The report as one page that needs no network and no script.
//!
//! Owns structure and escaping: nothing of a log gets into the page but through [`escape`], and never into a tag's name,
//! a link or a style. The policy in its head forbids scripts all the same.

use std::fmt::Write;

use crossfade_parity::number::{grouped, milliseconds, percent};
use crossfade_parity::{
    Difference, Endpoint, Example, Latency, MIN_SELF_COMPARED, Mark, PARITY_THRESHOLD, Percentiles, Summary, share,
};

use super::text::{headline, interval, verdict};
use super::{Report, charts};
use crate::terminal::printable;

/// Endpoints with details, and differences in the chart; all are in `--json`.
const DETAILED: usize = 200;
const BARS: usize = 12;

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let title = report.title.as_deref().unwrap_or("Old against new");
    let style = include_str!("style.css");
    let mut page = format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>{} - {}</title>
<style>
{style}</style>
</head>
<body>
"#,
        escape(title),
        verdict(report).0
    );
    page += &header(report, title);
    page += "<main>\n";
    if report.overall.copies > 0 {
        page += &figures(&report.overall);
        page += "<div class=\"two\">\n";
        page += &over_time(report);
        page += &latencies(&report.overall);
        page += "</div>\n";
        page += &differences(report);
        page += &table(report);
        page += &answers(&report.overall);
        page += &details(report);
    }
    page += "</main>\n";
    page += &footer(report);
    page + "</body>\n</html>\n"
}

/// Foreign text as HTML: harmless to read as on a terminal, and without meaning for the parser, in text and in quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in printable(text).chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            '\t' => escaped += "\\t",
            _ => escaped.push(character),
        }
    }
    escaped
}

fn header(report: &Report, title: &str) -> String {
    let (words, is_good) = verdict(report);
    // A symbol as well, for those who see no colours.
    let (class, shape) = match is_good {
        Some(true) => ("good", "M4 13l5 5L20 6"),
        Some(false) => ("bad", "M5 5l14 14M19 5L5 19"),
        None => ("doubt", "M8 8a4 4 0 1 1 5.5 4.2c-1 .5-1.5 1.2-1.5 2.8M12 20v.1"),
    };
    let input = &report.input;
    let mut page = format!("<header>\n<p class=\"topic\"><b>{}</b>", escape(title));
    if let (Some(primary), Some(mirror)) = (&input.primary, &input.mirror) {
        let _ = write!(page, " · {} against {}", escape(mirror), escape(primary));
    }
    if let (Some(from), Some(to)) = (&input.from, &input.to) {
        let _ = write!(page, " · {} UTC", period(from, to));
    }
    let _ = write!(
        page,
        "</p>\n<div class=\"banner {class}\" id=\"verdict\">\n<h1><svg viewBox=\"0 0 24 24\" aria-hidden=\"true\">\
         <path d=\"{shape}\"/></svg>{}</h1>\n<p class=\"sum\">{}</p>\n",
        capital(words),
        capital(&headline(&report.overall))
    );
    if report.gate.is_empty() && !report.because.is_empty() {
        let reasons: String = report.because.iter().map(|reason| format!("<li>{}</li>", escape(reason))).collect();
        let _ = writeln!(page, "<ul>{reasons}</ul>");
    }
    page += "</div>\n";
    if !report.gate.is_empty() {
        page += "<section id=\"gate\"><h2>Gate</h2><div class=\"scroll\" tabindex=\"0\"><table><tbody>\n";
        for part in &report.gate {
            let (class, word) = if part.ok { ("good", "ok") } else { ("bad", "failed") };
            let scope =
                part.route.as_ref().map(|route| format!("<small>{}</small>", escape(route))).unwrap_or_default();
            let _ = writeln!(
                page,
                "<tr><th scope=\"row\"><code>{}</code>{scope}</th><td class=\"left\">{}</td>\
                 <td><span class=\"badge {class}\">{word}</span></td></tr>",
                escape(&part.condition),
                escape(&part.measured)
            );
        }
        page += "</tbody></table></div></section>\n";
    }
    page + "</header>\n"
}

fn figures(overall: &Summary) -> String {
    let mut page = "<dl class=\"figures\" aria-label=\"Key figures\">".to_owned();
    let mut figure = |name: &str, value: &str, note: &str| {
        let _ = write!(page, "<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>");
    };
    if let Some(parity) = overall.parity {
        figure("Parity", &percent(parity.share), &interval(parity.low, parity.high));
        figure("Raw parity", &percent(parity.raw), &format!("{} differ by noise only", grouped(overall.noise_only)));
    }
    figure("Compared", &grouped(overall.compared), &format!("of {} copies", grouped(overall.copies)));
    if let Some(latency) = &overall.latency {
        let (old, new) = (milliseconds(latency.primary.p95), milliseconds(latency.mirror.p95));
        figure("p95", &format!("{:+.1} %", latency.change.p95 * 100.0), &format!("{old} to {new}"));
    }
    figure("New errors", &grouped(overall.mirror_failed), "where the old one answered");
    figure("Lost copies", &grouped(overall.lost), &percent(share(overall.lost, overall.copies)));
    page + "</dl>\n"
}

fn over_time(report: &Report) -> String {
    let chart = charts::parity(&report.timeline, PARITY_THRESHOLD);
    if chart.is_empty() {
        return String::new();
    }
    format!(
        "<section><h2>Parity over time</h2>\n<p class=\"lead\">Share of the same answers with its 95 % interval; the dashed \
         line is {}.</p>\n<figure>{chart}</figure></section>\n",
        percent(PARITY_THRESHOLD)
    )
}

fn latencies(overall: &Summary) -> String {
    let Some(latency) = &overall.latency else { return String::new() };
    format!(
        "<section><h2>Latency</h2>\n<p class=\"lead\">{} pairs of answers: <b class=\"old\">old</b> and <b class=\"new\">new\
         </b>.</p>\n<figure>{}</figure>\n{}</section>\n",
        grouped(latency.pairs),
        charts::latency("latency-chart", latency),
        percentiles(latency)
    )
}

fn percentiles(latency: &Latency) -> String {
    let mut page = "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><td></td><th scope=\"col\">p50</th>\
                    <th scope=\"col\">p90</th><th scope=\"col\">p95</th><th scope=\"col\">p99</th></tr></thead><tbody>"
        .to_owned();
    let mut row = |name: &str, percentiles: &Percentiles, show: fn(f64) -> String| {
        let Percentiles { p50, p90, p95, p99 } = *percentiles;
        let cells: String = [p50, p90, p95, p99].map(|value| format!("<td>{}</td>", show(value))).concat();
        let _ = write!(page, "<tr><th scope=\"row\">{name}</th>{cells}</tr>");
    };
    row("old", &latency.primary, milliseconds);
    row("new", &latency.mirror, milliseconds);
    row("change", &latency.change, |change| format!("{:+.1} %", change * 100.0));
    page + "</tbody></table></div>\n"
}

fn badge(mark: Mark) -> &'static str {
    match mark {
        Mark::Regression => "<span class=\"badge bad\">regression</span>",
        Mark::Accepted => "<span class=\"badge\">accepted</span>",
        Mark::Noise => "<span class=\"badge\">noise</span>",
    }
}

fn what(difference: &Difference) -> String {
    escape(&super::text::what(difference))
}

fn differences(report: &Report) -> String {
    let each = |endpoint: &'_ Endpoint| endpoint.differences.len();
    let count: usize = report.endpoints.iter().map(each).sum();
    let mut all: Vec<_> = report
        .endpoints
        .iter()
        .flat_map(|endpoint| endpoint.differences.iter().map(move |difference| (endpoint, difference)))
        .collect();
    if all.is_empty() {
        return "<section id=\"differences\"><h2>Differences</h2><p class=\"lead\">None.</p></section>\n".to_owned();
    }
    all.sort_by(|(_, a), (_, b)| a.mark.cmp(&b.mark).then(b.count.cmp(&a.count)));
    let shown = all.get(..BARS).unwrap_or(&all);
    let largest = shown.iter().map(|(_, d)| d.raw.max(d.noise.unwrap_or_default())).fold(f64::MIN_POSITIVE, f64::max);
    let mut page =
        "<section id=\"differences\"><h2>Differences</h2>\n<p class=\"lead\">Where answers differ: how often the new \
                    system differs from the old one, and below it how often the old one differs from itself.</p>\n\
                    <ul class=\"bars\">\n"
            .to_owned();
    for (endpoint, difference) in shown {
        let class = if difference.mark == Mark::Regression { "raw" } else { "quiet" };
        let noise = difference.noise.map_or("not measured".to_owned(), percent);
        let _ = writeln!(
            page,
            "<li><p><code>{}</code> {}<small>{}</small></p><div><div class=\"pair\">{}<span>{} of answers</span></div>\
             <div class=\"pair\">{}<span>noise {noise}</span></div></div></li>",
            what(difference),
            badge(difference.mark),
            name(endpoint),
            charts::bar(class, difference.raw, largest),
            percent(difference.raw),
            charts::bar("noise", difference.noise.unwrap_or_default(), largest),
        );
    }
    page += "</ul>\n";
    if count > shown.len() {
        let _ = writeln!(page, "<p class=\"lead\">{} more are with their endpoints below.</p>", count - shown.len());
    }
    page + "</section>\n"
}

fn table(report: &Report) -> String {
    let mut page = "<section id=\"endpoints\"><h2>Routes and endpoints</h2>\n<p class=\"lead\">The worst first.</p>\n\
                    <div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">Endpoint</th>\
                    <th scope=\"col\">Parity</th><th scope=\"col\" class=\"wide\">95 % interval</th>\
                    <th scope=\"col\">Compared</th><th scope=\"col\" class=\"wide\">p95 old</th>\
                    <th scope=\"col\" class=\"wide\">p95 new</th><th scope=\"col\">Change</th>\
                    <th scope=\"col\" class=\"wide\">Errors</th><th scope=\"col\" class=\"wide\">Lost</th></tr></thead><tbody>\n"
        .to_owned();
    for route in report.routes.iter().filter(|_| report.routes.len() > 1) {
        page += &row(&format!("<b>{}</b><small>route</small>", escape(&route.route)), &route.summary);
    }
    for endpoint in &report.endpoints {
        let name = format!("{}<small>{}</small>", name(endpoint), escape(&endpoint.route));
        page += &row(&name, &endpoint.summary);
    }
    page + "</tbody></table></div></section>\n"
}

fn row(name: &str, summary: &Summary) -> String {
    let (parity, range) = match summary.parity {
        Some(parity) => {
            let class = if parity.high < PARITY_THRESHOLD { " class=\"bad-text\"" } else { "" };
            (format!("<td{class}>{}</td>", percent(parity.share)), interval(parity.low, parity.high))
        }
        None => ("<td>-</td>".to_owned(), "-".to_owned()),
    };
    let dash = || "-".to_owned();
    let (old, new, change) = summary.latency.as_ref().map_or((dash(), dash(), dash()), |latency| {
        let (old, new) = (milliseconds(latency.primary.p95), milliseconds(latency.mirror.p95));
        (old, new, format!("{:+.0} %", latency.change.p95 * 100.0))
    });
    format!(
        "<tr><th scope=\"row\">{name}</th>{parity}<td class=\"wide\">{range}</td><td>{}</td><td class=\"wide\">{old}</td>\
         <td class=\"wide\">{new}</td><td>{change}</td><td class=\"wide\">{}</td><td class=\"wide\">{}</td></tr>\n",
        grouped(summary.compared),
        grouped(summary.mirror_failed),
        grouped(summary.lost)
    )
}

/// As a sentence begins.
fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or(String::new(), |first| first.to_uppercase().chain(characters).collect())
}

/// What each side answered, and what could not be compared.
fn answers(overall: &Summary) -> String {
    let mut page = "<section><h2>Answers</h2>\n<div class=\"scroll\" tabindex=\"0\"><table><tbody>".to_owned();
    for (name, side) in [("Old", &overall.primary), ("New", &overall.mirror)] {
        let statuses = (1..).zip(side.statuses).filter(|(_, count)| *count > 0);
        let statuses = statuses.map(|(digit, count)| format!("{digit}xx: {}", grouped(count)));
        let errors = side.errors.iter().map(|(kind, count)| format!("{}: {}", escape(kind), grouped(*count)));
        let words = statuses.chain(errors).collect::<Vec<_>>().join(", ");
        let _ = write!(page, "<tr><th scope=\"row\">{name}</th><td class=\"left\">{words}</td></tr>");
    }
    for (name, words) in [("Lost", &overall.lost_by_reason), ("Unknown", &overall.unknown_by_reason)] {
        let words: Vec<_> = words.iter().map(|(word, n)| format!("{}: {}", escape(word), grouped(*n))).collect();
        if !words.is_empty() {
            let _ = write!(page, "<tr><th scope=\"row\">{name}</th><td class=\"left\">{}</td></tr>", words.join(", "));
        }
    }
    page + "</tbody></table></div></section>\n"
}

fn details(report: &Report) -> String {
    let mut page = "<section><h2>Details</h2>\n".to_owned();
    for (number, endpoint) in report.endpoints.iter().take(DETAILED).enumerate() {
        let summary = &endpoint.summary;
        let _ = write!(
            page,
            "<details><summary>{} <span class=\"badge\">{}</span></summary>\n<div><p>{}.",
            name(endpoint),
            summary.parity.map_or("nothing compared".to_owned(), |parity| percent(parity.share)),
            capital(&headline(summary))
        );
        if summary.self_compared < MIN_SELF_COMPARED {
            let _ = write!(
                page,
                " Noise sample small: {} comparisons of the old system with itself.",
                summary.self_compared
            );
        }
        page += "</p>\n";
        if !endpoint.differences.is_empty() {
            page += "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\">Difference</th>\
                     <th scope=\"col\">Count</th><th scope=\"col\">Share</th><th scope=\"col\">Noise</th>\
                     </tr></thead><tbody>\n";
        }
        for difference in &endpoint.differences {
            let _ = writeln!(
                page,
                "<tr><th scope=\"row\"><code>{}</code> {}</th><td>{}</td><td>{}</td><td>{}</td></tr>",
                what(difference),
                badge(difference.mark),
                grouped(difference.count),
                percent(difference.raw),
                difference.noise.map_or("-".to_owned(), percent)
            );
        }
        if !endpoint.differences.is_empty() {
            page += "</tbody></table></div>\n";
        }
        for difference in endpoint.differences.iter().filter(|difference| !difference.examples.is_empty()) {
            let _ = writeln!(page, "<h3>Examples: <code>{}</code></h3>", what(difference));
            page.extend(difference.examples.iter().map(example));
        }
        if let Some(latency) = &summary.latency {
            page += "<h3>Latency</h3>\n";
            let _ = write!(page, "<figure>{}</figure>", charts::latency(&format!("latency-{number}"), latency));
            page += &percentiles(latency);
        }
        page += "</div></details>\n";
    }
    if report.endpoints.len() > DETAILED {
        let _ = writeln!(page, "<p class=\"lead\">{} more are in `--json`.</p>", report.endpoints.len() - DETAILED);
    }
    page + "</section>\n"
}

fn example(example: &Example) -> String {
    let mut page = format!(
        "<div class=\"example\"><p><code>{}</code> at {}, request <code>{}</code></p>\n",
        escape(&example.at),
        escape(&example.time),
        escape(&example.request_id)
    );
    for (class, side) in [("old", &example.primary), ("new", &example.mirror)] {
        let value = side.value.as_ref().map(|value| format!(": <code>{}</code>", escape(value))).unwrap_or_default();
        let _ = writeln!(
            page,
            "<p><b class=\"{class}\">{}</b> {}{value}</p><pre>{}</pre>",
            escape(&side.backend),
            escape(&side.outcome),
            escape(&side.repeat)
        );
    }
    page + "</div>\n"
}

fn footer(report: &Report) -> String {
    let input = &report.input;
    let mut notes = vec![format!("{} comparisons were read.", grouped(input.records))];
    if input.left_out > 0 {
        notes.push(format!("{} were left out, as asked for.", grouped(input.left_out)));
    }
    if let Some(first) = &input.first_unreadable {
        notes.push(format!("{} could not be read, the first at {}.", grouped(input.unreadable), escape(first)));
    }
    notes.extend(report.hints.iter().map(|hint| format!("Note: {}.", escape(hint))));
    let notes: String = notes.iter().map(|note| format!("<p>{note}</p>\n")).collect();
    format!("<footer>\n{notes}</footer>\n")
}

fn name(endpoint: &Endpoint) -> String {
    format!("<span class=\"mono\">{} {}</span>", escape(&endpoint.method), escape(&endpoint.endpoint))
}

/// `2026-11-24 08:00 to 09:59`.
fn period(from: &str, to: &str) -> String {
    let (day, begin) = (from.get(..10).unwrap_or_default(), from.get(11..16).unwrap_or_default());
    let (last_day, end) = (to.get(..10).unwrap_or_default(), to.get(11..16).unwrap_or_default());
    let last_day = if day == last_day { String::new() } else { format!("{last_day} ") };
    escape(&format!("{day} {begin} to {last_day}{end}"))
}
