//! The messages of a request: fields as a table; documents re-indented, and collapsed if they are long.

use crossfade_parity::number::grouped;
use http::HeaderMap;
use maud::{Markup, html};

use super::json::{Rest, end_of_string};
use super::page::{bytes, section};
use super::secrets::{Content, MOST_SHOWN, Secrets};
use super::store::Entry;

/// Longer documents are collapsed, in lines.
const MOST_OPEN: usize = 60;

pub(super) fn sections(secrets: Secrets, entry: &Entry) -> Markup {
    let Some(messages) = entry.messages() else {
        return html! {
            section #messages {
                h2 { "Messages" }
                p.lead { "They were not kept: the request was rejected early, or too many arrived at once." }
            }
        };
    };
    let exchange = &entry.exchange;
    let reason = http::StatusCode::from_u16(exchange.status).ok().and_then(|status| status.canonical_reason());
    let request = html! {
        p.line { code { (exchange.method) " " (entry.shown.target) " " (exchange.version) } }
        (fields(secrets, "Fields of the request", &messages.request_fields))
        (body(secrets, "request-body", &messages.request_fields, &messages.request_body))
    };
    let response = html! {
        p.line { code { (exchange.status) " " (reason.unwrap_or_default()) } }
        (fields(secrets, "Fields of the response", &messages.response_fields))
        (body(secrets, "response-body", &messages.response_fields, &messages.response_body))
    };
    let envelope = |id, lead, content: &Option<bytes::Bytes>| match content {
        Some(content) => document(id, lead, content.len(), &secrets.envelope(content)),
        None => html! { p.lead { "None: the function was not invoked or did not respond." } },
    };
    html! {
        div.two { (section("request", "Request", request)) (section("response", "Response", response)) }
        div.two {
            (section("event", "Event", envelope("event-json", "The JSON that the function received.", &messages.event)))
            (section("reply", "Reply", envelope("reply-json", "The JSON that the function returned.", &messages.reply)))
        }
    }
}

fn fields(secrets: Secrets, caption: &str, fields: &HeaderMap) -> Markup {
    let shown = |name: &str, value: &[u8]| secrets.field(name, &String::from_utf8_lossy(value));
    html! {
        @if fields.is_empty() { p.lead { "No fields." } } @else {
            table.fields {
                caption.unseen { (caption) }
                tbody {
                    @for (name, value) in fields {
                        tr { th scope="row" { (name.as_str()) } td { (shown(name.as_str(), value.as_bytes())) } }
                    }
                }
            }
        }
    }
}

fn body(secrets: Secrets, id: &str, fields: &HeaderMap, body: &[u8]) -> Markup {
    let field = |name| fields.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let content_type = field(http::header::CONTENT_TYPE).unwrap_or_default();
    let coding = field(http::header::CONTENT_ENCODING).unwrap_or_default();
    document(id, "Body", body.len(), &secrets.content(&content_type, &coding, body))
}

/// A document with its size, collapsed if it is long.
pub(super) fn document(id: &str, lead: &str, size: usize, content: &Content) -> Markup {
    let (kind, laid) = match content {
        Content::Empty => return html! { p.lead { "No body." } },
        Content::NotShown(why) => {
            return html! { p.lead { (bytes(size)) " not shown: " (why) "." } };
        }
        Content::Json(laid) => ("JSON, ", laid),
        Content::Text(laid) => ("", laid),
    };
    let text = &laid.text;
    // A single value can exceed the limit.
    let end = text.char_indices().nth(MOST_SHOWN).map_or(text.len(), |(end, _)| end);
    let (shown, cut) = text.split_at(end);
    let lines = shown.lines().count();
    let cut = (!cut.is_empty()).then(|| bytes(cut.len()));
    let rest = laid.rest.map(|rest| match rest {
        Rest::Values(1) => "1 value".to_owned(),
        Rest::Values(count) => format!("{} values", grouped(count as u64)),
        Rest::Bytes(count) => bytes(count),
    });
    let missing: Vec<String> = cut.into_iter().chain(rest).collect();
    html! {
        details id=(id) open[lines <= MOST_OPEN && shown.len() < 20_000] {
            summary {
                (lead) " "
                small { (kind) (bytes(size)) ", " (lines) @if lines == 1 { " line" } @else { " lines" } }
            }
            pre tabindex="0" aria-label=(lead) {
                @match content {
                    Content::Json(_) => (coloured(shown)),
                    _ => (shown.replace("\r\n", "\n")),
                }
            }
            @if !missing.is_empty() { p.lead { "Cut here: " (missing.join(" and ")) " more, not shown." } }
        }
    }
}

/// JSON as `json` formats it, with the names of members highlighted.
fn coloured(text: &str) -> Markup {
    html! {
        @for (number, line) in text.split('\n').enumerate() {
            @if number > 0 { "\n" }
            @let (indent, name, value) = member(line);
            (indent) @if !name.is_empty() { span.name { (name) } } (value)
        }
    }
}

/// Splits a line into its indent, the name of a member, and the rest. Each may be empty.
fn member(line: &str) -> (&str, &str, &str) {
    let start = line.len() - line.trim_start().len();
    let end = end_of_string(line.as_bytes(), start);
    let is_member = line.get(start..).is_some_and(|line| line.starts_with('"'))
        && line.get(end..).is_some_and(|rest| rest.starts_with(": "));
    if !is_member {
        return ("", "", line);
    }
    let (name, value) = line.split_at(end);
    let (indent, name) = name.split_at(start);
    (indent, name, value)
}
