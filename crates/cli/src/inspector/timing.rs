//! The time of a request by part, as bars, and its attempts.

use crossfade_emulator::Exchange;
use crossfade_journal::AttemptRecord;
use crossfade_parity::number::{self, grouped};
use maud::{Markup, html};

use super::line::Access;
use crate::html::table_head;

/// Attempts on a page.
const MOST_ATTEMPTS: usize = 100;

/// A row of the chart: its parts in order, each with its class, start and length in milliseconds.
struct Row {
    name: String,
    time: f64,
    parts: Vec<(&'static str, f64, f64)>,
}

impl Row {
    fn of(name: &str, class: &'static str, start: f64, time: f64) -> Row {
        Row { name: name.to_owned(), time, parts: vec![(class, start, time)] }
    }
}

pub(super) fn chart(exchange: &Exchange, access: Option<&Access>) -> Markup {
    let whole = exchange.duration.as_secs_f64() * 1000.0;
    let mut rows = vec![Row::of("Whole request", "whole", 0.0, whole)];
    // Start of the function, relative to that of the request; unknown times are not drawn.
    let mut function_start = 0.0;
    if let Some((invoked, answered)) = exchange.target_times {
        let (invoked, answered) = (invoked.as_secs_f64() * 1000.0, answered.as_secs_f64() * 1000.0);
        rows.push(Row::of("Before the function", "balancer", 0.0, invoked));
        rows.push(Row::of("Function", "function", invoked, answered - invoked));
        function_start = invoked;
        if let Some(total) = access.map(|access| access.total_ms) {
            // The function does not see its own cold start, nor the time until the event arrives.
            function_start = (answered - total).max(invoked);
        }
    }
    if let Some(access) = access {
        rows.push(Row::of("In the function", "function", function_start, access.total_ms));
        rows.extend(access.journal.iter().take(MOST_ATTEMPTS).map(|it| attempt(function_start, it)));
        if access.journal.is_empty() {
            only_attempt(function_start, access, &mut rows);
        }
    }
    let ends = rows.iter().flat_map(|row| &row.parts).map(|(_, start, length)| start + length);
    let scale = ends.fold(f64::MIN_POSITIVE, f64::max);
    // Even the smallest bar stays visible. A line may have any numbers: a share that is not one becomes the least.
    let percent = |part: f64, least: f64| (part / scale * 100.0).max(least).min(100.0);
    let (x, width) = (|start: f64| percent(start, 0.0), |length: f64| percent(length, 0.3));
    let has_attempts = access.is_some_and(|access| !access.journal.is_empty());
    html! {
        table.timing {
            caption.unseen { "Time by part" }
            thead.unseen { tr { @for name in ["Part", "Time", "Chart"] { th scope="col" { (name) } } } }
            tbody {
                @for Row { name, time, parts } in &rows {
                    tr {
                        th scope="row" { (name) }
                        td.number { (number::milliseconds(*time)) }
                        td.chart {
                            svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true" {
                                @for (class, start, length) in parts {
                                    rect class=(class) x=(format_args!("{:.2}", x(*start))) width=(format_args!("{:.2}", width(*length))) height="1" {}
                                }
                            }
                        }
                    }
                }
            }
        }
        @if has_attempts {
            p.legend {
                @for (class, name) in [("connect", "new connection"), ("upstream", "wait for the first byte"), ("rest", "rest of the response"), ("failed", "no response")] {
                    span { svg viewBox="0 0 1 1" aria-hidden="true" { rect class=(class) width="1" height="1" {} } " " (name) } " "
                }
            }
        }
    }
}

/// The bar of an attempt: connection, wait, and rest of the response; or all of the time that it took in vain.
fn attempt(function_start: f64, attempt: &AttemptRecord<'_>) -> Row {
    let AttemptRecord { backend, outcome, connect_ms, first_byte_ms, began_ms, took_ms, .. } = attempt;
    let (start, connect) = (function_start + began_ms, connect_ms.unwrap_or_default());
    let mut parts = Vec::new();
    if connect_ms.is_some() {
        parts.push(("connect", start, connect));
    }
    match first_byte_ms {
        Some(first_byte) => {
            parts.push(("upstream", start + connect, (first_byte - connect).max(0.0)));
            parts.push(("rest", start + first_byte, (connect + took_ms - first_byte).max(0.0)));
        }
        // Not sent, because the circuit breaker was open.
        None if outcome == "open" => {}
        None => parts.push(("failed", start + connect, *took_ms)),
    }
    Row { name: format!("{backend}: {outcome}"), time: connect + took_ms, parts }
}

fn only_attempt(function_start: f64, access: &Access, rows: &mut Vec<Row>) {
    let (began, connect) = (access.began_ms.unwrap_or_default(), access.connect_ms.unwrap_or_default());
    let start = function_start + began;
    if access.connect_ms.is_some() {
        rows.push(Row::of("New connection", "connect", start, connect));
    }
    if let Some(first_byte) = access.first_byte_ms {
        let (wait, rest) = ((first_byte - connect).max(0.0), (access.total_ms - began - first_byte).max(0.0));
        rows.push(Row::of("Wait for the first byte", "upstream", start + connect, wait));
        rows.push(Row::of("Rest of the response", "rest", start + first_byte, rest));
    }
}

/// The journal of a request with several attempts. Lines of version 1 have none.
pub(super) fn attempts(access: &Access) -> Markup {
    let optional = |time: Option<f64>| time.map(number::milliseconds).unwrap_or_default();
    let columns = [
        ("Back end", ""),
        ("Role", ""),
        ("Outcome", ""),
        ("Start", "number"),
        ("Connection", "number"),
        ("First byte", "number"),
        ("Duration", "number"),
    ];
    html! {
        @if !access.journal.is_empty() {
            h3 { "Attempts" }
            div.scroll tabindex="0" role="region" aria-label="Attempts" {
                table #attempts {
                    caption.unseen { "Attempts in order" }
                    (table_head(columns))
                    tbody {
                        @for attempt in access.journal.iter().take(MOST_ATTEMPTS) {
                            tr {
                                th scope="row" { (attempt.backend) }
                                td { (attempt.role.as_str()) }
                                td { (attempt.outcome) }
                                td.number { (number::milliseconds(attempt.began_ms)) }
                                td.number { (optional(attempt.connect_ms)) }
                                td.number { (optional(attempt.first_byte_ms)) }
                                td.number { (number::milliseconds(attempt.took_ms)) }
                            }
                        }
                    }
                }
            }
            @if let Some(more @ 1..) = access.journal.len().checked_sub(MOST_ATTEMPTS) {
                p.lead { (grouped(more as u64)) " more are not shown." }
            }
        }
    }
}
