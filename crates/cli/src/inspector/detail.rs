//! The page of one request: its errors, path, times, attempts and rule, the results of mirroring, and its messages.

use std::sync::Arc;

use crossfade_emulator::Exchange;
use crossfade_journal::Step;
use crossfade_journal::comparison::{Against, Class, Difference, Record, Side, Verdict};
use crossfade_parity::number::{self, grouped};
use crossfade_route::Overlay;
use maud::{Markup, html};

use super::Shared;
use super::curl;
use super::line::Access;
use super::list::marks;
use super::messages;
use super::migration;
use super::page::{bytes, frame, milliseconds, section, status, time};
use super::routes;
use super::rules;
use super::secrets::Secrets;
use super::store::Entry;
use super::timing;
use crate::html::table_head;
use crate::terminal::printable;

/// Limits of the page: differences of a comparison, back ends that a request went to.
const MOST_DIFFERENCES: usize = 200;
const MOST_STEPS: usize = 20;

pub(super) async fn page(shared: &Shared, id: u64) -> Option<Markup> {
    let (entry, clock, newer, older) = {
        let store = shared.store();
        let neighbour = |id| store.get(id).map(|entry| entry.id);
        (store.get(id)?.clone(), store.clock(), neighbour(id + 1), id.checked_sub(1).and_then(neighbour))
    };
    let secrets = shared.setup.secrets;
    let exchange = &entry.exchange;
    let live = match entry.access.as_ref().and_then(|access| access.live) {
        Some(version) => migration::version(shared, version).await,
        None => None,
    };
    let main = html! {
        nav.bar aria-label="Requests" {
            a #list-link href="/" { "All requests" }
            @if let Some(id) = newer { " " a rel="prev" href={ "/requests/" (id) } { "Newer" } }
            @if let Some(id) = older { " " a rel="next" href={ "/requests/" (id) } { "Older" } }
        }
        div.head #detail data-id=(id) data-run=(shared.run) data-clock=(clock) {
            h1 {
                (status(exchange.status)) " " span.method { (exchange.method) } " " span.target { (entry.shown.target) }
            }
            p.marks { (marks(&entry)) }
            (actions(shared, &entry))
        }
        (problems(secrets, &entry))
        (facts(&entry, live.as_ref()))
        (way(secrets, &entry))
        (comparisons(secrets, &entry.comparisons))
        (routes::section(shared, &entry, live.as_ref()))
        (rules::section(shared, &entry))
        (messages::sections(secrets, &entry))
        (curl_section(shared, &entry))
        (access_log(secrets, &entry))
        (function_log(secrets, &entry))
    };
    Some(frame(shared, &format!("{} {}", exchange.method, entry.shown.target), main))
}

fn actions(shared: &Shared, entry: &Entry) -> Markup {
    html! {
        div.actions {
            @if super::replay::can_be_repeated(entry) {
                form #replay method="post" action={ "/requests/" (entry.id) "/replay" } {
                    input type="hidden" name="token" value=(shared.token);
                    button.primary type="submit" { "Replay" }
                }
                button type="button" data-copy="curl-text" hidden { "Copy as curl" } " " a href="#curl" { "curl" }
            }
        }
    }
}

/// Errors and warnings come first.
fn problems(secrets: Secrets, entry: &Entry) -> Markup {
    let exchange = &entry.exchange;
    let callout = |class, mark, kind: Option<&str>, text: Option<&str>| {
        html! {
            p class={ "callout " (class) } {
                span class={ "mark " (class) } { (mark) } " "
                @if let Some(kind) = kind { b { (kind) } " " }
                @if let Some(text) = text { (secrets.sentence(text)) }
            }
        }
    };
    let access = entry.access.as_deref().filter(|access| access.error.is_some() || access.detail.is_some());
    html! {
        @if exchange.problem.is_some() || exchange.elb_reason.is_some() {
            (callout("error", "error", exchange.elb_reason.as_deref(), exchange.problem.as_deref()))
        }
        @if let Some(access) = access {
            (callout("error", "back end", access.error.as_deref(), access.detail.as_deref()))
        }
        @for warning in &exchange.warnings { (callout("warning", "warning", None, Some(warning))) }
    }
}

fn facts(entry: &Entry, live: Option<&Overlay>) -> Markup {
    let exchange = &entry.exchange;
    let version = entry.access.as_ref().and_then(|access| access.live).map(|version| {
        html! {
            a href="/migration" { "version " (version) }
            @if let Some(live) = live { " " small { (printable(&live.change)) " by " (printable(&live.by)) } }
        }
    });
    let text = |name, text: &str| (!text.is_empty()).then(|| (name, html! { (text) }));
    let memory = exchange.memory.map(|memory| bytes(usize::try_from(memory).unwrap_or(usize::MAX)));
    let of_access = || entry.access.as_ref().map(|access| &*access.request_id);
    let spilled = entry.access.as_ref().and_then(|access| access.spilled_bytes);
    let of_front = entry.access.as_ref().and_then(|access| access.front_request_id.as_deref());
    let facts = [
        Some(("Time", time(exchange.time))),
        text("Duration", &milliseconds(exchange.duration)),
        (!exchange.is_of_load_balancer()).then(|| ("Front end", html! { (exchange.front) })),
        text("Host", &entry.shown.host),
        text("Client", &exchange.client.map(|client| client.to_string()).unwrap_or_default()),
        text("Request", &bytes(exchange.request_bytes)),
        text("Response", &bytes(exchange.response_bytes)),
        spilled.and_then(|stored| text("In the bucket", &bytes(usize::try_from(stored).unwrap_or(usize::MAX)))),
        exchange.target_status.map(|target_status| ("Function's status", status(target_status))),
        exchange.tls.as_ref().map(|tls| ("TLS", html! { (tls.version) " " (tls.cipher_suite) })),
        exchange
            .classification
            .as_ref()
            .map(|desync| ("Desync", html! { (desync.tier) " " (desync.reason.as_deref().unwrap_or_default()) })),
        version.map(|version| ("Live state", version)),
        text("Memory", &memory.unwrap_or_default()),
        exchange.request_id.as_deref().or_else(of_access).and_then(|request_id| text("Request id", request_id)),
        of_front.and_then(|id| text("Front end's id", id)),
        text("Trace", &exchange.trace_id),
    ];
    html! {
        dl.facts #facts aria-label="Facts" {
            @for (name, value) in facts.into_iter().flatten() { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// The path of the request through load balancer, function and back ends, and the time spent in each part.
fn way(secrets: Secrets, entry: &Entry) -> Markup {
    let exchange = &entry.exchange;
    let mut steps = Vec::new();
    if !exchange.actions.is_empty() {
        steps.push(("load balancer", html! { (exchange.actions.join(", ")) }));
    }
    if !exchange.is_of_load_balancer() {
        let route = exchange.route.as_deref().unwrap_or("responded itself");
        steps.push((exchange.front, html! { code { (route) } }));
    }
    if let Some(redirect) = &exchange.redirect {
        steps.push(("to", html! { code { (secrets.target(redirect)) } }));
    }
    if let Some(group) = &exchange.target_group {
        let name = group.split(":targetgroup/").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or(group);
        steps.push(("target group", html! { (name) }));
    }
    if let Some(function) = &exchange.function {
        let step = html! {
            (function)
            @if let Some(number) = exchange.environment { " " small { "environment " (number) } }
            @if exchange.cold { " " b.mark.cold { "cold" } }
        };
        steps.push(("function", step));
    }
    if let Some(access) = &entry.access {
        steps.extend(access.route.as_ref().map(|route| ("route", html! { (route) })));
        let all = access.steps();
        let only = all.len() == 1;
        for step in all.iter().take(MOST_STEPS) {
            let label = match step.outcome {
                Some("open") => "skipped",
                Some(_) if access.backend.as_deref() != Some(step.backend) => "failed",
                _ => "back end",
            };
            steps.push((label, back_end(step, only, access)));
        }
        if let Some(more @ 1..) = all.len().checked_sub(MOST_STEPS) {
            steps.push(("back ends", html! { small { (more) " more, not shown" } }));
        }
        steps.extend(routes::own_response(entry).map(|own| ("response", html! { (own) })));
    }
    let content = html! {
        @if steps.is_empty() { p.line { "The load balancer responded itself." } } @else {
            ol.way { @for (label, step) in steps { li { span { small { (label) } " " (step) } } } }
        }
        (timing::chart(exchange, entry.access.as_deref()))
        @if let Some(access) = &entry.access { (timing::attempts(access)) }
    };
    section("way", "Path and time", content)
}

/// A back end that the request went to, or would have: the reason for it, and its outcome unless the client got it.
fn back_end(step: &Step<'_>, only: bool, access: &Access) -> Markup {
    html! {
        @if step.outcome.is_some() && access.backend.as_deref() != Some(step.backend) { s { (step.backend) } } @else { (step.backend) }
        @match step.by {
            Some("only") | None => {},
            Some("failover") => { " " small { "by failover" } },
            Some(by) => { " " small { "chosen by " (by) } },
        }
        @if let Some(outcome) = step.outcome { " " small { (outcome) } }
        @if only && access.attempts > 1 {
            " " small { (access.attempts) " attempts, " (access.retries) " of them retries" }
        }
    }
}

fn comparisons(secrets: Secrets, records: &[Arc<Record>]) -> Markup {
    html! {
        @if !records.is_empty() {
            (section("comparison", "Comparison", html! { @for record in records { (comparison(secrets, record)) } }))
        }
    }
}

fn comparison(secrets: Secrets, record: &Record) -> Markup {
    let who = match record.against {
        Against::Mirror => "mirror",
        Against::Itself => "self-comparison",
        Against::Again => "mirror, again",
    };
    let (class, verdict) = match record.verdict {
        Verdict::Match => ("good", "match"),
        Verdict::Accepted => ("good", "accepted"),
        Verdict::Different => ("differs", "different"),
        Verdict::Failed => ("warning", "primary failed"),
        Verdict::Unknown => ("warning", "not compared"),
        Verdict::Lost => ("warning", "lost"),
    };
    html! {
        h3 {
            small { (who) } " " (side(&record.mirror)) " against " (side(&record.primary)) " "
            span class={ "mark " (class) } { (verdict) }
            @if let Some(reason) = &record.reason { ": " (printable(reason)) }
        }
        @if let Some(url) = &record.mirror.url { p.line { code { (secrets.target(url)) } } }
        @if !record.differences.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="Differences" {
                table.differences {
                    caption.unseen { "Differences" }
                    (table_head(["Class", "Where", "Primary", "Mirror"].map(|name| (name, ""))))
                    tbody {
                        @for difference in record.differences.iter().take(MOST_DIFFERENCES) {
                            (one_difference(secrets, difference))
                        }
                    }
                }
            }
            @if let Some(more @ 1..) = record.differences.len().checked_sub(MOST_DIFFERENCES) {
                p.lead { (grouped(more as u64)) " more are not shown." }
            }
            @if record.more > 0 { p.lead { (grouped(record.more.into())) " more are not in the record." } }
        }
    }
}

fn side(side: &Side) -> Markup {
    html! {
        b { (printable(&side.backend)) }
        @if let Some(code) = side.status { " " (status(code)) }
        @if let Some(error) = &side.error { " " (printable(error)) }
        @if let Some(ms) = side.ms { " " small { (number::milliseconds(ms)) } }
    }
}

/// A row for a difference. Values are on one line, with line breaks escaped.
fn one_difference(secrets: Secrets, difference: &Difference) -> Markup {
    let place = difference.at.as_deref().unwrap_or(&difference.pointer);
    let value = |value: &Option<String>, absent: Class| {
        html! {
            @match value {
                Some(value) => code { (printable(&secrets.difference(&difference.pointer, value))) },
                None if difference.class == absent => small { "absent" },
                None => small { "not kept" },
            }
        }
    };
    html! {
        tr {
            td { (difference.class.as_str()) @if difference.accepted { " " span.mark.good { "accepted" } } }
            th scope="row" { code { (printable(&secrets.text(place))) } }
            td { (value(&difference.primary, Class::Extra)) }
            td { (value(&difference.mirror, Class::Missing)) }
        }
    }
}

fn curl_section(shared: &Shared, entry: &Entry) -> Markup {
    let Some(text) = curl::text(shared, entry) else { return html! {} };
    let has_placeholder = shared.setup.secrets == Secrets::Masked && text.contains(curl::PLACEHOLDER);
    let steps = entry.access.as_deref().map(Access::steps).unwrap_or_default();
    let content = html! {
        @if steps.len() > 1 {
            p.lead { "This time: " (steps.iter().take(MOST_STEPS).map(ToString::to_string).collect::<Vec<_>>().join(", then ")) "." }
        }
        @if has_placeholder { p.lead { "Replace " code { (curl::PLACEHOLDER) } " with the secrets." } }
        pre #curl-text tabindex="0" aria-label="curl command" { (text) }
    };
    section("curl", "curl", content)
}

/// The fields of an ALB's access log, in their order (user guide, "Access logs for your Application Load Balancer").
const LOG_FIELDS: [&str; 33] = [
    "type",
    "time",
    "elb",
    "client:port",
    "target:port",
    "request_processing_time",
    "target_processing_time",
    "response_processing_time",
    "elb_status_code",
    "target_status_code",
    "received_bytes",
    "sent_bytes",
    "request",
    "user_agent",
    "ssl_cipher",
    "ssl_protocol",
    "target_group_arn",
    "trace_id",
    "domain_name",
    "chosen_cert_arn",
    "matched_rule_priority",
    "request_creation_time",
    "actions_executed",
    "redirect_url",
    "error_reason",
    "target:port_list",
    "target_status_code_list",
    "classification",
    "classification_reason",
    "conn_trace_id",
    "transformed_host",
    "transformed_uri",
    "request_transform_status",
];

/// The line of this request in an ALB's access log, field by field.
fn access_log(secrets: Secrets, entry: &Entry) -> Markup {
    if !entry.exchange.is_of_load_balancer() {
        return html! {};
    }
    let mut exchange = Exchange { messages: None, ..Exchange::clone(&entry.exchange) };
    exchange.host.clone_from(&entry.shown.host);
    exchange.target.clone_from(&entry.shown.target);
    exchange.user_agent = secrets.text(&exchange.user_agent);
    exchange.redirect = exchange.redirect.map(|url| secrets.target(&url));
    if let Some(transformed) = &mut exchange.transformed {
        transformed.host = transformed.host.take().map(|host| secrets.text(&host));
        transformed.uri = transformed.uri.take().map(|uri| secrets.target(&uri));
    }
    let line = crossfade_emulator::access_log::line(&exchange);
    let content = html! {
        details #access-log-fields {
            summary { "Fields" }
            table.fields {
                caption.unseen { "Fields of the access log" }
                tbody {
                    @for (name, value) in LOG_FIELDS.into_iter().zip(log_fields(&line)) {
                        tr { th scope="row" { (name) } td { (value) } }
                    }
                }
            }
        }
    };
    section("access-log", "ALB access log", content)
}

/// The line that Crossfade's function wrote for this request.
fn function_log(secrets: Secrets, entry: &Entry) -> Markup {
    let line = entry.access.as_deref().and_then(|access| serde_json::to_vec(access).ok());
    html! {
        @if let Some(line) = line {
            (section("function-log", "Access log of the function", messages::document(
                "function-log-json", "Line", line.len(), &secrets.content("application/json", "", &line),
            )))
        }
    }
}

/// Splits a line into its fields, quoted or not. Lines escape quotes within quotes.
fn log_fields(line: &str) -> Vec<&str> {
    let mut fields = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (field, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once("\" ").unwrap_or((quoted.trim_end_matches('"'), "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        fields.push(field);
        rest = behind;
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_access_log_has_its_fields() {
        let line = crossfade_emulator::access_log::line(&Exchange::new("GET", "/a \" b"));
        assert_eq!(log_fields(&line).len(), LOG_FIELDS.len(), "{line}");
    }
}
