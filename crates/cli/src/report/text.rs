//! The report for a terminal: 100 columns, but for names, values and commands that are longer. Verdict first, then what to do.
//!
//! Owns the wording and the tables. All text of a log passes through `printable`.

use crossfade_parity::number::{grouped, milliseconds, percent};
use crossfade_parity::{Difference, Endpoint, Interval, Mark, Percentile, Place, Reason, Summary, Verdict, share};

use super::Report;
use super::causes::Cause;
use super::paper::{Text, Tone, cell, pad, shortened};
use super::standing::{advice, standings};

/// Maximum number of causes and of endpoints; `--html` and `--json` have all.
const CAUSES: usize = 10;
const ENDPOINTS: usize = 30;
pub(crate) const REASONS: usize = 10;
/// Width of a table's first column, and of a place.
const NAME: usize = 36;
const PLACE: usize = 60;
/// Characters of the endpoints of a cause.
const NAMES: usize = 54;

pub(crate) fn text(report: &Report, colour: bool) -> String {
    let mut text = Text::new(colour);
    text.head(report);
    if report.input.reading.records > 0 {
        text.causes(report);
        text.endpoints(report);
        text.latency(&report.overall);
        text.answers(&report.overall);
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

/// The verdict in words, and true if it is good.
pub(crate) fn verdict(report: &Report) -> (&'static str, Option<bool>) {
    match report.verdict {
        Verdict::Same => ("same", Some(true)),
        Verdict::Differs => ("differs", Some(false)),
        Verdict::CannotBeJudged => ("cannot be judged", None),
        Verdict::NotEnoughSamples => ("not enough samples", None),
    }
}

/// The heading of the report: the result of the gates if there are any, or else the verdict; and true if it is good.
pub(crate) fn conclusion(report: &Report) -> (&'static str, Option<bool>) {
    if report.gate.is_empty() {
        return verdict(report);
    }
    let ok = report.gate.iter().all(|part| part.ok);
    (if ok { "gate passed" } else { "gate failed" }, Some(ok))
}

/// The sentence below the heading: with gates it begins with the verdict.
pub(crate) fn sum(report: &Report) -> String {
    let headline = headline(&report.overall);
    if report.gate.is_empty() { headline } else { format!("{}: {headline}", verdict(report).0) }
}

/// The reasons that are not differences, which have causes: each as a sentence, with advice if there is any.
pub(crate) fn reasons(report: &Report) -> Vec<String> {
    let has_cause = |reason: &&Reason| {
        matches!(
            reason,
            Reason::Regressions { .. } | Reason::Unjudged { .. } | Reason::NotMeasured { .. } | Reason::Unclear { .. }
        )
    };
    let sentence = |reason: &Reason| match advice(reason) {
        Some(advice) => cell(&format!("{reason}: {advice}")),
        None => cell(&reason.to_string()),
    };
    report.reasons.iter().filter(|reason| !has_cause(reason)).map(sentence).collect()
}

/// The number of causes by mark: `3 regressions, 1 not measured`. `None` if there are none.
pub(crate) fn causes_by_mark(report: &Report) -> Option<String> {
    let words: Vec<String> = [Mark::Regression, Mark::Unjudged, Mark::NotMeasured, Mark::Unclear]
        .into_iter()
        .filter_map(|mark| {
            let count = report.causes.iter().filter(|cause| cause.mark == mark).count() as u64;
            let plural = if mark == Mark::Regression && count > 1 { "s" } else { "" };
            (count > 0).then(|| format!("{} {}{plural}", grouped(count), mark_name(mark)))
        })
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// `cannot be judged` instead of `unjudged`.
pub(crate) fn mark_name(mark: Mark) -> &'static str {
    match mark {
        Mark::Unjudged => "cannot be judged",
        Mark::NotMeasured => "not measured",
        mark => mark.as_str(),
    }
}

/// `146 of responses at 2 endpoints`.
pub(crate) fn extent(cause: &Cause) -> String {
    let counted = |count: u64, noun: &str| format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" });
    format!("{} at {}", counted(cause.responses, "response"), counted(cause.endpoints.len() as u64, "endpoint"))
}

/// The places that are left out of the causes: `noise at 3 places, accepted at 1`.
pub(crate) fn folded(report: &Report) -> Option<String> {
    let count = |mark| {
        let differences = report.endpoints.iter().flat_map(|endpoint| &endpoint.differences);
        differences.filter(|difference| difference.mark == mark).count() as u64
    };
    let words = [(count(Mark::Noise), "noise"), (count(Mark::Accepted), "accepted")];
    let words: Vec<_> = words
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{word} at {} {}", grouped(*count), if *count == 1 { "place" } else { "places" }))
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

impl Text {
    fn head(&mut self, report: &Report) {
        if let Some(title) = &report.title {
            let title = self.paint(Tone::Strong, &cell(title));
            self.line(&title);
        }
        let (words, is_good) = conclusion(report);
        let tone = match is_good {
            Some(true) => Tone::Good,
            Some(false) => Tone::Bad,
            None => Tone::Unsure,
        };
        let words = self.paint(tone, &words.to_uppercase());
        self.line(&format!("{words}  {}", sum(report)));
        if let Some(causes) = causes_by_mark(report) {
            self.line(&format!("  differences by cause: {causes}"));
        }
        let reasons = reasons(report);
        for reason in reasons.iter().take(REASONS) {
            self.wrapped(reason, "  ", "    ");
        }
        if reasons.len() > REASONS {
            self.line(&format!("  … and {} more reasons", reasons.len() - REASONS));
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

    fn causes(&mut self, report: &Report) {
        if !report.causes.is_empty() {
            self.heading("What to do first");
        }
        for (number, cause) in (1..).zip(report.causes.iter().take(CAUSES)) {
            let tone = if cause.mark == Mark::Regression { Tone::Bad } else { Tone::Unsure };
            let mark = self.paint(tone, &format!("{:<16}", mark_name(cause.mark)));
            self.line(&format!("{number:>2}. {mark} {}", shortened(&cell(&cause.what()), PLACE)));
            self.line(&format!("    {}: {}", extent(cause), names(cause)));
            if let Some(why) = cause.why {
                self.wrapped(why.as_str(), "    ", "    ");
            }
            for example in first(report, cause).iter().flat_map(|difference| &difference.examples) {
                self.line(&format!("    {} {} at {}", example.time, cell(&example.request_id), cell(&example.at)));
                for side in [&example.primary, &example.mirror] {
                    let value = side.value.as_ref().filter(|value| **value != side.outcome);
                    let value = value.map(|value| format!(": {}", cell(value))).unwrap_or_default();
                    self.line(&format!("      {} {}{value}", cell(&side.backend), cell(&side.outcome)));
                    self.line(&format!("        {}", cell(&side.repeat)));
                }
            }
            if let Some(rule) = &cause.rule {
                self.line("    if it is intended:");
                for line in rule.lines() {
                    let line = self.paint(Tone::Dim, line);
                    self.line(&format!("      {line}"));
                }
            }
        }
        if report.causes.len() > CAUSES {
            self.line(&format!("… and {} more; `--html` and `--json` have all", report.causes.len() - CAUSES));
        }
        if let Some(folded) = folded(report) {
            let folded = self.paint(Tone::Dim, &format!("Not listed: {folded}"));
            self.line("");
            self.line(&folded);
        }
    }

    /// The worst endpoints first.
    fn endpoints(&mut self, report: &Report) {
        self.heading(&format!(
            "{:<NAME$} {:>8} {:>8} {:>7} {:>6} {:>6}  {}",
            "Endpoints", "parity", "compared", "differ", "errors", "lost", "p95, old to new"
        ));
        let columns = |summary: &Summary| {
            let parity = summary.parity.map_or("-".to_owned(), |parity| percent(parity.share));
            let latency = summary.latency.as_ref().map_or("-".to_owned(), |latency| {
                let (old, new, change) = (latency.primary.p95, latency.mirror.p95, latency.change.p95 * 100.0);
                format!("{} to {} {change:>+.0} %", bare(old), milliseconds(new))
            });
            format!(
                "{parity:>8} {:>8} {:>7} {:>6} {:>6}  {latency}",
                grouped(summary.compared),
                grouped(summary.different),
                grouped(summary.mirror_failed),
                grouped(summary.lost)
            )
        };
        let has_routes = report.routes.len() > 1;
        if has_routes {
            self.line(&format!("{} {}", pad("all", NAME), columns(&report.overall)));
            for route in &report.routes {
                self.line(&format!(
                    "{} {}",
                    pad(&format!("route {}", cell(&route.route)), NAME),
                    columns(&route.summary)
                ));
            }
        }
        let standings = standings(report);
        for standing in standings.iter().take(ENDPOINTS) {
            let endpoint = standing.endpoint;
            self.line(&format!("{} {}", pad(&name(endpoint), NAME), columns(&endpoint.summary)));
            let words: Vec<_> = standing
                .words()
                .iter()
                .map(|(verdict, words)| {
                    let tone = if *verdict == Verdict::Differs { Tone::Bad } else { Tone::Unsure };
                    self.paint(tone, &cell(words))
                })
                .collect();
            if !words.is_empty() {
                self.line(&format!("  {}", words.join(", ")));
            }
        }
        if standings.len() > ENDPOINTS {
            self.line(&format!("… and {} more; `--html` and `--json` have all", standings.len() - ENDPOINTS));
        }
    }

    fn latency(&mut self, overall: &Summary) {
        let Some(latency) = &overall.latency else { return };
        self.heading(&format!("{:<10} {:>24} {:>24} {:>9}", "Latency", "old", "new", "change"));
        for percentile in Percentile::ALL {
            let column = |value: f64, range: Interval| {
                let range = range_of(range).map(|range| format!(" ({range})")).unwrap_or_default();
                milliseconds(value) + &range
            };
            let old = column(latency.primary.of(percentile), latency.primary_interval.of(percentile));
            let new = column(latency.mirror.of(percentile), latency.mirror_interval.of(percentile));
            let change = format!("{:+.0} %", latency.change.of(percentile) * 100.0);
            let slower =
                if latency.slower.contains(&percentile) { self.paint(Tone::Bad, "slower") } else { String::new() };
            self.line(&format!("  {:<8} {old:>24} {new:>24} {change:>9}  {slower}", percentile.as_str()));
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

    fn foot(&mut self, report: &Report) {
        let input = &report.input.reading;
        let mut notes = Vec::new();
        if input.records == 0 && input.left_out == 0 {
            notes.push("no comparison was found; records of mirrored requests have `\"type\":\"compare\"`".to_owned());
        }
        if input.left_out > 0 {
            notes.push(format!("{} records were excluded by options", grouped(input.left_out)));
        }
        if input.repeated > 0 {
            notes.push(counted_once(input.repeated));
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
        self.notes(&notes);
    }
}

/// The number of records that occurred again, as a sentence.
pub(crate) fn counted_once(count: u64) -> String {
    match count {
        1 => "1 record occurs more than once, and was counted once".to_owned(),
        _ => format!("{} records occur more than once, and were counted once", grouped(count)),
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

/// The difference that a cause shows.
pub(crate) fn first<'r>(report: &'r Report, cause: &Cause) -> Option<&'r Difference> {
    let (endpoint, difference) = cause.first;
    report.endpoints.get(endpoint)?.differences.get(difference)
}

/// The first endpoints of a cause, as far as a line has room for them, and the number of the others.
fn names(cause: &Cause) -> String {
    let mut line = String::new();
    for (at, name) in cause.endpoints.iter().enumerate() {
        let name = shortened(&cell(&name.to_string()), NAME);
        if at > 0 && line.chars().count() + name.chars().count() > NAMES {
            let more = cause.endpoints.len() - at;
            return format!("{line} and {more} more");
        }
        line += if at > 0 { ", " } else { "" };
        line += &name;
    }
    line
}

/// `43 to 45 ms`; `None` if there are too few samples for it.
pub(crate) fn range_of(Interval { low, high }: Interval) -> Option<String> {
    Some(format!("{} to {}", bare(low?), milliseconds(high?)))
}

/// Formats milliseconds, without the unit if the next number has the same.
pub(crate) fn bare(number: f64) -> String {
    let text = milliseconds(number);
    text.trim_end_matches(" ms").to_owned()
}
