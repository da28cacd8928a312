//! The page of one request: what went wrong, how it went its way and how long that took, its rule, what mirroring found,
//! and its messages.

use std::fmt::Write;

use crossfade_emulator::Exchange;
use crossfade_journal::Skipped;
use crossfade_journal::comparison::{Against, Class, Record, Side, Verdict};
use crossfade_parity::number::{self, grouped};

use super::Shared;
use super::curl;
use super::line::Access;
use super::list::marks;
use super::messages;
use super::page::{bytes, escape, frame, milliseconds, status, time};
use super::rules;
use super::secrets::Secrets;
use super::store::Entry;
use crate::report::class_name;

/// Differences of a comparison, and back ends that failed first, that are shown.
const MOST_DIFFERENCES: usize = 200;
const MOST_SKIPPED: usize = 20;

pub(super) fn page(shared: &Shared, id: u64) -> Option<String> {
    let (entry, clock, newer, older) = {
        let store = shared.store();
        let entry = store.get(id)?.clone();
        (
            entry,
            store.part(&super::filter::Filter::default(), None, 0).clock,
            store.get(id + 1).is_some(),
            id > 1 && store.get(id - 1).is_some(),
        )
    };
    let secrets = shared.setup.secrets;
    let exchange = &entry.exchange;
    let title = format!("{} {}", exchange.method, entry.shown.target);
    let mut main =
        "<nav class=\"bar\" aria-label=\"Requests\"><a id=\"list-link\" href=\"/\">All requests</a>".to_owned();
    for (is_there, id, rel, label) in [(newer, id + 1, "prev", "Newer"), (older, id.saturating_sub(1), "next", "Older")]
    {
        if is_there {
            let _ = write!(main, " <a rel=\"{rel}\" href=\"/requests/{id}\">{label}</a>");
        }
    }
    let _ = write!(
        main,
        "</nav>\n<div class=\"head\" id=\"detail\" data-id=\"{id}\" data-run=\"{}\" data-clock=\"{clock}\">\n\
         <h1>{} <span class=\"method\">{}</span> <span class=\"target\">{}</span></h1>\n<p class=\"marks\">{}</p>\n",
        shared.run,
        status(exchange.status),
        escape(&exchange.method),
        escape(&entry.shown.target),
        marks(&entry),
    );
    main += &replay_form(shared, &entry);
    main += "</div>\n";
    main += &problems(secrets, &entry);
    main += &facts(&entry);
    main += &way(secrets, &entry);
    main += &comparisons(secrets, &entry.comparisons);
    main += &rules::section(shared, &entry);
    main += &messages::sections(secrets, &entry);
    main += &curl_section(shared, &entry);
    main += &access_log(secrets, &entry);
    Some(frame(shared, &format!("{title} - Crossfade inspector"), &main))
}

fn replay_form(shared: &Shared, entry: &Entry) -> String {
    let id = entry.id;
    let mut html = "<div class=\"actions\">".to_owned();
    if super::replay::can_be_repeated(entry) {
        let _ = write!(
            html,
            "<form method=\"post\" action=\"/requests/{id}/replay\" id=\"replay\"><input type=\"hidden\" name=\"token\" value=\"{}\">\
             <button type=\"submit\" class=\"primary\">Replay</button></form>\
             <button type=\"button\" data-copy=\"curl-text\" hidden>Copy as curl</button> <a href=\"#curl\">curl</a>",
            shared.token
        );
    }
    html + "</div>\n"
}

/// What a developer must see first.
fn problems(secrets: Secrets, entry: &Entry) -> String {
    let exchange = &entry.exchange;
    let mut html = String::new();
    if exchange.problem.is_some() || exchange.elb_reason.is_some() {
        let reason =
            exchange.elb_reason.as_ref().map(|reason| format!("<b>{}</b> ", escape(reason))).unwrap_or_default();
        let problem = exchange.problem.as_deref().map(|problem| escape(&secrets.sentence(problem))).unwrap_or_default();
        let _ = writeln!(
            html,
            "<p class=\"callout error\" id=\"problem\"><span class=\"mark error\">error</span> {reason}{problem}</p>"
        );
    }
    if let Some(access) = &entry.access
        && let (Some(_), _) | (_, Some(_)) = (&access.error, &access.detail)
    {
        let kind = access.error.as_deref().map(|kind| format!("<b>{}</b> ", escape(kind))).unwrap_or_default();
        let detail = access.detail.as_deref().map(|detail| escape(&secrets.sentence(detail))).unwrap_or_default();
        let _ =
            writeln!(html, "<p class=\"callout error\"><span class=\"mark error\">back end</span> {kind}{detail}</p>");
    }
    for warning in &exchange.warnings {
        let warning = escape(&secrets.sentence(warning));
        let _ =
            writeln!(html, "<p class=\"callout warning\"><span class=\"mark warning\">warning</span> {warning}</p>");
    }
    html
}

fn facts(entry: &Entry) -> String {
    let exchange = &entry.exchange;
    let mut html = "<dl class=\"facts\" id=\"facts\" aria-label=\"Facts\">".to_owned();
    let mut fact = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = write!(html, "<div><dt>{name}</dt><dd>{value}</dd></div>");
        }
    };
    let text = |text: &Option<String>| text.as_deref().map(escape).unwrap_or_default();
    fact("Time", &time(exchange.time));
    fact("Duration", &milliseconds(exchange.duration));
    fact("Host", &escape(&entry.shown.host));
    fact("Client", &exchange.client.map(|client| client.to_string()).unwrap_or_default());
    fact("Request", &bytes(exchange.request_bytes));
    fact("Response", &bytes(exchange.response_bytes));
    if let Some(target_status) = exchange.target_status {
        fact("Function's status", &status(target_status));
    }
    if let Some(tls) = &exchange.tls {
        fact("TLS", &format!("{} {}", escape(tls.version), escape(tls.cipher_suite)));
    }
    if let Some(classification) = &exchange.classification {
        let reason = classification.reason.as_deref().unwrap_or_default();
        fact("Desync", &format!("{} {}", escape(classification.tier), escape(reason)));
    }
    if let Some(memory) = exchange.memory {
        fact("Memory", &bytes(usize::try_from(memory).unwrap_or(usize::MAX)));
    }
    let request_id =
        exchange.request_id.clone().or_else(|| entry.access.as_ref().map(|access| access.request_id.to_string()));
    fact("Request id", &text(&request_id));
    fact("Trace", &escape(&exchange.trace_id));
    html + "</dl>\n"
}

/// Through which hands the request went, and where its time went.
fn way(secrets: Secrets, entry: &Entry) -> String {
    let exchange = &entry.exchange;
    let mut steps = Vec::new();
    let mut step =
        |label: &str, html: String| steps.push(format!("<li><span><small>{label}</small> {html}</span></li>"));
    if !exchange.actions.is_empty() {
        step("load balancer", escape(&exchange.actions.join(", ")));
    }
    if let Some(redirect) = &exchange.redirect {
        step("to", format!("<code>{}</code>", escape(&secrets.target(redirect))));
    }
    if let Some(group) = &exchange.target_group {
        let name = group.split(":targetgroup/").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or(group);
        step("target group", escape(name));
    }
    if let Some(function) = &exchange.function {
        let number = exchange.environment.map(|number| format!(" <small>environment {number}</small>"));
        let cold = if exchange.cold { " <b class=\"mark cold\">cold</b>" } else { "" };
        step("function", format!("{}{}{cold}", escape(function), number.unwrap_or_default()));
    }
    if let Some(access) = &entry.access {
        if let Some(route) = &access.route {
            step("route", escape(route));
        }
        for Skipped { backend, outcome } in access.skipped.iter().take(MOST_SKIPPED) {
            step("not", format!("<s>{}</s> <small>{}</small>", escape(backend), escape(outcome)));
        }
        if let Some(more @ 1..) = access.skipped.len().checked_sub(MOST_SKIPPED) {
            step("not", format!("<small>{more} more, not shown</small>"));
        }
        if let Some(backend) = &access.backend {
            let chosen = access.chosen.as_deref().filter(|chosen| *chosen != "only");
            let chosen = chosen.map(|chosen| format!(" <small>chosen by {}</small>", escape(chosen)));
            let attempts = match access.attempts {
                0 | 1 => String::new(),
                attempts => format!(" <small>{attempts} attempts, {} of them retries</small>", access.retries),
            };
            step("back end", format!("{}{}{attempts}", escape(backend), chosen.unwrap_or_default()));
        }
    }
    let mut html =
        "<section id=\"way\" aria-labelledby=\"way-title\"><h2 id=\"way-title\">Way and time</h2>\n".to_owned();
    if steps.is_empty() {
        html += "<p class=\"line\">The load balancer has answered by itself.</p>\n";
    } else {
        let _ = writeln!(html, "<ol class=\"way\">{}</ol>", steps.concat());
    }
    html += &timing(exchange, entry.access.as_deref());
    html + "</section>\n"
}

fn timing(exchange: &Exchange, access: Option<&Access>) -> String {
    let whole = exchange.duration.as_secs_f64() * 1000.0;
    let mut rows: Vec<(&str, &str, f64, f64)> = vec![("Whole request", "whole", 0.0, whole)];
    // When the function began, on the scale of the request; unknown times are not drawn.
    let mut function_start = 0.0;
    if let Some((invoked, answered)) = exchange.target_times {
        let (invoked, answered) = (invoked.as_secs_f64() * 1000.0, answered.as_secs_f64() * 1000.0);
        rows.push(("Before the function", "balancer", 0.0, invoked));
        rows.push(("Function", "function", invoked, answered - invoked));
        function_start = invoked;
        if let Some(total) = access.map(|access| access.total_ms) {
            // What the function does not see of it: a cold start, and the way to it.
            function_start = (answered - total).max(invoked);
        }
    }
    if let Some(access) = access {
        let total = access.total_ms;
        rows.push(("In the function", "function", function_start, total));
        if let Some(connect) = access.connect_ms {
            rows.push(("New connection", "connect", function_start, connect));
        }
        if let Some(first_byte) = access.first_byte_ms {
            let connect = access.connect_ms.unwrap_or_default();
            rows.push(("Until the first byte", "upstream", function_start + connect, (first_byte - connect).max(0.0)));
            rows.push(("Rest of the answer", "rest", function_start + first_byte, (total - first_byte).max(0.0)));
        }
    }
    let scale = rows.iter().map(|(_, _, start, length)| start + length).fold(f64::MIN_POSITIVE, f64::max);
    let mut html = "<table class=\"timing\"><caption class=\"unseen\">Where the time went</caption><thead class=\"unseen\"><tr>\
                    <th scope=\"col\">Part</th><th scope=\"col\">Time</th><th scope=\"col\">Chart</th></tr></thead><tbody>\n"
        .to_owned();
    for (name, class, start, length) in rows {
        let (x, width) = (start / scale * 100.0, (length / scale * 100.0).max(0.3));
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{name}</th><td class=\"number\">{}</td><td class=\"chart\"><svg viewBox=\"0 0 100 1\" \
             preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"{class}\" x=\"{x:.2}\" width=\"{width:.2}\" height=\"1\"/>\
             </svg></td></tr>",
            number::milliseconds(length)
        );
    }
    html + "</tbody></table>\n"
}

fn comparisons(secrets: Secrets, records: &[std::sync::Arc<Record>]) -> String {
    let mut html = String::new();
    if records.is_empty() {
        return html;
    }
    html +=
        "<section id=\"comparison\" aria-labelledby=\"comparison-title\"><h2 id=\"comparison-title\">Comparison</h2>\n";
    for record in records {
        html += &comparison(secrets, record);
    }
    html + "</section>\n"
}

fn comparison(secrets: Secrets, record: &Record) -> String {
    let who = match record.against {
        Against::Mirror => "mirror",
        Against::Itself => "once more",
    };
    let (class, verdict) = match record.verdict {
        Verdict::Match => ("good", "match"),
        Verdict::Accepted => ("good", "accepted"),
        Verdict::Different => ("differs", "different"),
        Verdict::Failed => ("warning", "primary failed"),
        Verdict::Unknown => ("warning", "not compared"),
        Verdict::Lost => ("warning", "lost"),
    };
    let reason = record.reason.as_deref().map(|reason| format!(": {}", escape(reason))).unwrap_or_default();
    let side = |side: &Side| {
        let mut text = format!("<b>{}</b>", escape(&side.backend));
        if let Some(code) = side.status {
            let _ = write!(text, " {}", status(code));
        }
        if let Some(error) = &side.error {
            let _ = write!(text, " {}", escape(error));
        }
        if let Some(ms) = side.ms {
            let _ = write!(text, " <small>{}</small>", number::milliseconds(ms));
        }
        text
    };
    let mut html = format!(
        "<h3><small>{who}</small> {} against {} <span class=\"mark {class}\">{verdict}</span>{reason}</h3>\n",
        side(&record.mirror),
        side(&record.primary)
    );
    if let Some(url) = &record.mirror.url {
        let _ = writeln!(html, "<p class=\"line\"><code>{}</code></p>", escape(&secrets.target(url)));
    }
    if record.differences.is_empty() {
        return html;
    }
    html += "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Differences\"><table class=\"differences\">\
             <caption class=\"unseen\">Differences</caption><thead><tr><th scope=\"col\">Class</th>\
             <th scope=\"col\">Where</th><th scope=\"col\">Primary</th><th scope=\"col\">Mirror</th></tr></thead><tbody>\n";
    for difference in record.differences.iter().take(MOST_DIFFERENCES) {
        let place = difference.at.as_deref().unwrap_or(&difference.pointer);
        let value = |value: &Option<String>, absent: Class| match value {
            Some(value) => format!("<code>{}</code>", escape(&secrets.difference(&difference.pointer, value))),
            None if difference.class == absent => "<small>not there</small>".to_owned(),
            None => "<small>not kept</small>".to_owned(),
        };
        let accepted = if difference.accepted { " <span class=\"mark good\">accepted</span>" } else { "" };
        let _ = writeln!(
            html,
            "<tr><td>{}{accepted}</td><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td></tr>",
            class_name(difference.class),
            escape(&secrets.text(place)),
            value(&difference.primary, Class::Extra),
            value(&difference.mirror, Class::Missing)
        );
    }
    html += "</tbody></table></div>\n";
    if let Some(more @ 1..) = record.differences.len().checked_sub(MOST_DIFFERENCES) {
        let _ = writeln!(html, "<p class=\"lead\">{} more are not shown.</p>", grouped(more as u64));
    }
    if record.more > 0 {
        let _ = writeln!(html, "<p class=\"lead\">{} more are not in the record.</p>", grouped(record.more.into()));
    }
    html
}

fn curl_section(shared: &Shared, entry: &Entry) -> String {
    let Some(text) = curl::text(shared, entry) else { return String::new() };
    let lead = match shared.setup.secrets {
        Secrets::Masked if text.contains(curl::PLACEHOLDER) => {
            format!("<p class=\"lead\">Put the secrets where it says <code>{}</code>.</p>", curl::PLACEHOLDER)
        }
        _ => String::new(),
    };
    format!(
        "<section id=\"curl\" aria-labelledby=\"curl-title\"><h2 id=\"curl-title\">curl</h2>\n{lead}\
         <pre id=\"curl-text\" tabindex=\"0\" aria-label=\"curl command\">{}</pre></section>\n",
        super::page::escape_lines(&text)
    )
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

/// What an ALB would write into its access log, field by field.
fn access_log(secrets: Secrets, entry: &Entry) -> String {
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
    let mut html =
        "<section id=\"access-log\" aria-labelledby=\"access-log-title\"><h2 id=\"access-log-title\">ALB access log</h2>\n\
                    <details id=\"access-log-fields\"><summary>Fields</summary><table class=\"fields\">\
                    <caption class=\"unseen\">Fields of the access log</caption><tbody>\n"
            .to_owned();
    for (name, value) in LOG_FIELDS.into_iter().zip(log_fields(&line)) {
        let _ = writeln!(html, "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", escape(value));
    }
    html + "</tbody></table></details></section>\n"
}

/// The fields of a line, in quotes or not; a quote within quotes is escaped in the line.
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
