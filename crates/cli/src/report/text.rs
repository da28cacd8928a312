//! The report for a terminal: at most 110 columns, verdict first.
//!
//! Owns the wording and the tables. All text of a log passes through [`printable`].

use crossfade_journal::comparison::Class;
use crossfade_parity::number::{grouped, milliseconds, percent};
use crossfade_parity::{Difference, Endpoint, Mark, Percentiles, Place, Summary, Verdict, share};

use super::Report;
use crate::terminal::printable;

/// Maximum number of endpoints, and of differences of each; `--html` and `--json` have all.
const ENDPOINTS: usize = 30;
const DIFFERENCES: usize = 10;
pub(crate) const REASONS: usize = 10;
/// Width of a table's first column.
const NAME: usize = 40;

pub(crate) fn text(report: &Report, colour: bool) -> String {
    let mut text = Text { out: String::new(), colour };
    text.head(report);
    if report.input.records > 0 {
        text.parity(report);
        text.latency(report);
        text.answers(&report.overall);
        text.differences(report);
        text.examples(report);
    }
    text.foot(report);
    text.out
}

/// The first sentence of the report in every format.
pub(crate) fn headline(summary: &Summary) -> String {
    let Some(parity) = summary.parity else { return "nothing was compared".to_owned() };
    let regressions = match summary.places.regressions {
        0 => "no regression".to_owned(),
        1 => "1 regression".to_owned(),
        more => format!("{} regressions", grouped(more)),
    };
    format!(
        "parity {} ({}, {} compared), {regressions}",
        percent(parity.share),
        interval(parity.low, parity.high),
        grouped(summary.compared)
    )
}

/// `99.41 to 99.76 %`.
pub(crate) fn interval(low: f64, high: f64) -> String {
    format!("{} to {}", percent(low).trim_end_matches(" %"), percent(high))
}

/// The verdict in words, that of the gates if there are any; and true if it is good.
pub(crate) fn verdict(report: &Report) -> (&'static str, Option<bool>) {
    if !report.gate.is_empty() {
        let ok = report.gate.iter().all(|part| part.ok);
        return (if ok { "gate passed" } else { "gate failed" }, Some(ok));
    }
    match report.verdict {
        Verdict::Same => ("same", Some(true)),
        Verdict::Differs => ("differs", Some(false)),
        Verdict::CannotBeJudged => ("cannot be judged", None),
        Verdict::NotEnoughSamples => ("not enough samples", None),
    }
}

struct Text {
    out: String,
    colour: bool,
}

#[derive(Clone, Copy)]
enum Tone {
    Good,
    Bad,
    Unsure,
    Dim,
    Strong,
}

impl Text {
    fn line(&mut self, line: &str) {
        self.out += line.trim_end();
        self.out.push('\n');
    }

    fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32;1",
            Tone::Bad => "31;1",
            Tone::Unsure => "33;1",
            Tone::Dim => "2",
            Tone::Strong => "1",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn heading(&mut self, text: &str) {
        let heading = self.paint(Tone::Strong, text);
        self.line("");
        self.line(&heading);
    }

    fn head(&mut self, report: &Report) {
        if let Some(title) = &report.title {
            let title = self.paint(Tone::Strong, &cell(title));
            self.line(&title);
        }
        let (words, is_good) = verdict(report);
        let tone = match is_good {
            Some(true) => Tone::Good,
            Some(false) => Tone::Bad,
            None => Tone::Unsure,
        };
        let words = self.paint(tone, &words.to_uppercase());
        self.line(&format!("{words}  {}", headline(&report.overall)));
        // With gates, their conditions are the reasons.
        for reason in report.reasons.iter().take(REASONS).filter(|_| report.gate.is_empty()) {
            self.line(&format!("  {}", cell(&reason.to_string())));
        }
        if report.reasons.len() > REASONS && report.gate.is_empty() {
            self.line(&format!("  … and {} more reasons", report.reasons.len() - REASONS));
        }
        let input = &report.input;
        if let (Some(from), Some(to)) = (&input.from, &input.to) {
            let (primary, mirror) = (input.primary.as_deref().unwrap_or("-"), input.mirror.as_deref().unwrap_or("-"));
            let line = format!("{} against {}, {from} to {to}", cell(mirror), cell(primary));
            let line = self.paint(Tone::Dim, &line);
            self.line(&line);
        }
        if !report.gate.is_empty() {
            self.heading("Gate");
        }
        for part in &report.gate {
            let mark = if part.ok { self.paint(Tone::Good, "ok    ") } else { self.paint(Tone::Bad, "FAILED") };
            let scope = part.route.as_ref().map(|route| format!("{}: ", cell(route))).unwrap_or_default();
            self.line(&format!(
                "  {mark}  {}  {}",
                pad(&format!("{scope}{}", part.condition), NAME - 2),
                part.measured
            ));
        }
    }

    fn parity(&mut self, report: &Report) {
        self.heading(&format!(
            "{:<NAME$} {:>8} {:>17} {:>9} {:>8} {:>7} {:>7} {:>6}",
            "Parity", "parity", "95 % interval", "compared", "differ", "failed", "errors", "lost"
        ));
        self.table(report, |summary| {
            let (parity, range) = match summary.parity {
                Some(parity) => (percent(parity.share), interval(parity.low, parity.high)),
                None => ("-".to_owned(), "-".to_owned()),
            };
            Some(format!(
                "{parity:>8} {range:>17} {:>9} {:>8} {:>7} {:>7} {:>6}",
                grouped(summary.compared),
                grouped(summary.different),
                grouped(summary.failed),
                grouped(summary.mirror_failed),
                grouped(summary.lost)
            ))
        });
    }

    fn latency(&mut self, report: &Report) {
        if report.overall.latency.is_none() {
            return;
        }
        self.heading(&format!("{:<NAME$} {:>20} {:>20} {:>20}", "Latency, old to new", "p50", "p90", "p99"));
        self.table(report, |summary| {
            let latency = summary.latency.as_ref()?;
            let column = |of: fn(&Percentiles) -> f64| {
                let (old, new) = (of(&latency.primary), of(&latency.mirror));
                format!("{} to {} {:>+5.0} %", bare(old), milliseconds(new), of(&latency.change) * 100.0)
            };
            Some(format!("{:>20} {:>20} {:>20}", column(|of| of.p50), column(|of| of.p90), column(|of| of.p99)))
        });
    }

    /// A line for everything, each route, and each of its endpoints.
    fn table(&mut self, report: &Report, columns: impl Fn(&Summary) -> Option<String>) {
        let mut left = ENDPOINTS;
        if let Some(columns) = columns(&report.overall).filter(|_| report.routes.len() > 1) {
            self.line(&format!("{} {columns}", pad("all", NAME)));
        }
        for route in &report.routes {
            if let Some(columns) = columns(&route.summary) {
                self.line(&format!("{} {columns}", pad(&cell(&route.route), NAME)));
            }
            for endpoint in report.endpoints.iter().filter(|endpoint| endpoint.name.route == route.route) {
                let Some(columns) = columns(&endpoint.summary) else { continue };
                if left > 0 {
                    self.line(&format!("{} {columns}", pad(&format!("  {}", name(endpoint)), NAME)));
                    left -= 1;
                }
            }
        }
        if report.endpoints.len() > ENDPOINTS {
            self.line(&format!("  … and {} more; `--html` and `--json` have all", report.endpoints.len() - ENDPOINTS));
        }
    }

    fn answers(&mut self, overall: &Summary) {
        self.heading("Responses");
        for (name, side) in [("old", &overall.primary), ("new", &overall.mirror)] {
            let statuses = (1..).zip(side.statuses).filter(|(_, count)| *count > 0);
            let statuses = statuses.map(|(digit, count)| format!("{digit}xx {}", grouped(count)));
            let errors = side.errors.iter().map(|(kind, count)| format!("{} {}", cell(kind), grouped(*count)));
            let all: Vec<_> = statuses.chain(errors).collect();
            self.line(&format!("  {name}     {}", all.join(", ")));
        }
        for (name, words) in [("lost", &overall.lost_by_reason), ("unknown", &overall.unknown_by_reason)] {
            if !words.is_empty() {
                let words: Vec<_> =
                    words.iter().map(|(word, count)| format!("{} {}", cell(word), grouped(*count))).collect();
                self.line(&format!("  {name:<7} {}", words.join(", ")));
            }
        }
    }

    fn differences(&mut self, report: &Report) {
        let with: Vec<_> = report.endpoints.iter().filter(|endpoint| !endpoint.differences.is_empty()).collect();
        if with.is_empty() {
            return;
        }
        self.heading(&format!(
            "{:<12} {:<8} {:<50} {:>8} {:>9} {:>9}",
            "Differences", "class", "where", "count", "share", "noise"
        ));
        for endpoint in with.iter().take(ENDPOINTS) {
            self.line(&name(endpoint));
            for difference in endpoint.differences.iter().take(DIFFERENCES) {
                let Difference { class, pointer, count, raw, noise, mark, .. } = difference;
                let tone = if *mark == Mark::Regression { Tone::Bad } else { Tone::Dim };
                let mark = self.paint(tone, &format!("{:<12}", mark.as_str()));
                let noise = noise.map_or("-".to_owned(), percent);
                let pointer = pad(&cell(pointer), 49);
                let (class, count) = (class.map_or("-", Class::as_str), grouped(*count));
                self.line(&format!("  {mark} {class:<7} {pointer} {count:>8} {:>9} {noise:>9}", percent(*raw)));
            }
            if endpoint.differences.len() > DIFFERENCES {
                self.line(&format!("  … and {} more", endpoint.differences.len() - DIFFERENCES));
            }
        }
        if with.len() > ENDPOINTS {
            self.line(&format!("… and at {} more endpoints", with.len() - ENDPOINTS));
        }
    }

    fn examples(&mut self, report: &Report) {
        let mut is_first = true;
        for endpoint in report.endpoints.iter().take(ENDPOINTS) {
            let regressions = endpoint.differences.iter().filter(|difference| difference.mark == Mark::Regression);
            for difference in regressions.take(DIFFERENCES).filter(|difference| !difference.examples.is_empty()) {
                if std::mem::take(&mut is_first) {
                    self.heading("Examples");
                }
                let line = format!("{}: {}", name(endpoint), what(difference));
                self.line(&line);
                for example in &difference.examples {
                    self.line(&format!("  {} {} at {}", example.time, cell(&example.request_id), cell(&example.at)));
                    for side in [&example.primary, &example.mirror] {
                        let value = side.value.as_ref().map(|value| format!(": {}", cell(value))).unwrap_or_default();
                        self.line(&format!("    {} {}{value}", cell(&side.backend), cell(&side.outcome)));
                        self.line(&format!("      {}", cell(&side.repeat)));
                    }
                }
            }
        }
    }

    fn foot(&mut self, report: &Report) {
        let input = &report.input;
        let mut notes = Vec::new();
        if input.records == 0 {
            notes.push("no comparison was found; records of mirrored requests have `\"type\":\"compare\"`".to_owned());
        }
        if input.left_out > 0 {
            notes.push(format!("{} records were excluded by options", grouped(input.left_out)));
        }
        if let Some(first) = &input.first_unreadable {
            notes.push(format!("{} could not be read, the first at {}", grouped(input.unreadable), cell(first)));
        }
        if report.overall.lost > 0 {
            let (lost, copies) = (report.overall.lost, report.overall.copies);
            notes.push(format!(
                "{} of {} copies were lost, {}",
                grouped(lost),
                grouped(copies),
                percent(share(lost, copies))
            ));
        }
        notes.extend(report.hints.iter().cloned());
        if !notes.is_empty() {
            self.line("");
        }
        for note in notes {
            self.line(&format!("note: {note}"));
        }
    }
}

pub(crate) fn name(endpoint: &Endpoint) -> String {
    cell(&endpoint.name.to_string())
}

/// The class of a difference and its place, as `missing /phone`.
pub(crate) fn what(difference: &Difference) -> String {
    let Difference { class, change, pointer, .. } = difference;
    cell(&Place { class: *class, change: *change, pointer: pointer.clone() }.to_string())
}

/// Formats milliseconds, without the unit if the next number has the same.
fn bare(number: f64) -> String {
    let text = milliseconds(number);
    text.trim_end_matches(" ms").to_owned()
}

/// Escapes and truncates foreign text for a table.
fn cell(text: &str) -> String {
    printable(text).replace('\t', "\\t")
}

/// Truncates a text to this number of columns. Keeps its end, which distinguishes long texts.
fn pad(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return format!("{text:<width$}");
    }
    let end: String = text.chars().skip(length + 13 - width).collect();
    format!("{}…{end}", text.chars().take(12).collect::<String>())
}
