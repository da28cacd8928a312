//! The messages of a request: fields as a table, documents laid out and folded when they are long.

use std::fmt::Write;

use crossfade_parity::number::grouped;
use http::HeaderMap;

use super::json::{Rest, end_of_string};
use super::page::{bytes, escape, escape_lines};
use super::secrets::{Content, MOST_SHOWN, Secrets};
use super::store::Entry;

/// Lines that are shown unfolded.
const MOST_OPEN: usize = 60;

pub(super) fn sections(secrets: Secrets, entry: &Entry) -> String {
    let Some(messages) = entry.messages() else {
        return "<section id=\"messages\"><h2>Messages</h2><p class=\"lead\">They are not kept: the request was refused before, or too \
                much came at once.</p></section>\n"
            .to_owned();
    };
    let exchange = &entry.exchange;
    let mut html = "<div class=\"two\">\n".to_owned();
    html += "<section id=\"request\" aria-labelledby=\"request-title\"><h2 id=\"request-title\">Request</h2>\n";
    let _ = writeln!(
        html,
        "<p class=\"line\"><code>{} {} {}</code></p>",
        escape(&exchange.method),
        escape(&entry.shown.target),
        escape(exchange.version)
    );
    html += &fields(secrets, "Fields of the request", &messages.request_fields);
    html += &body(secrets, "request-body", &messages.request_fields, &messages.request_body, "");
    html += "</section>\n";
    html += "<section id=\"response\" aria-labelledby=\"response-title\"><h2 id=\"response-title\">Response</h2>\n";
    let reason = http::StatusCode::from_u16(exchange.status).ok().and_then(|status| status.canonical_reason());
    let _ = writeln!(html, "<p class=\"line\"><code>{} {}</code></p>", exchange.status, reason.unwrap_or_default());
    html += &fields(secrets, "Fields of the response", &messages.response_fields);
    html += &body(secrets, "response-body", &messages.response_fields, &messages.response_body, "");
    html += "</section>\n</div>\n<div class=\"two\">\n";
    for (id, title, lead, content) in [
        ("event", "Event", "What the function got.", &messages.event),
        ("reply", "Reply", "What the function answered.", &messages.reply),
    ] {
        let _ =
            writeln!(html, "<section id=\"{id}\" aria-labelledby=\"{id}-title\"><h2 id=\"{id}-title\">{title}</h2>");
        html += &match content {
            Some(content) => document(&format!("{id}-json"), lead, content.len(), &secrets.envelope(content)),
            None => {
                "<p class=\"lead\">There is none: the function was not invoked, or gave no answer.</p>\n".to_owned()
            }
        };
        html += "</section>\n";
    }
    html + "</div>\n"
}

fn fields(secrets: Secrets, caption: &str, fields: &HeaderMap) -> String {
    if fields.is_empty() {
        return "<p class=\"lead\">No fields.</p>\n".to_owned();
    }
    let mut html = format!("<table class=\"fields\"><caption class=\"unseen\">{caption}</caption><tbody>\n");
    for (name, value) in fields {
        let value = secrets.field(name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
        let _ = writeln!(html, "<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escape(name.as_str()), escape(&value));
    }
    html + "</tbody></table>\n"
}

fn body(secrets: Secrets, id: &str, fields: &HeaderMap, body: &[u8], lead: &str) -> String {
    let field = |name| fields.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let content_type = field(http::header::CONTENT_TYPE).unwrap_or_default();
    let coding = field(http::header::CONTENT_ENCODING).unwrap_or_default();
    document(id, lead, body.len(), &secrets.content(&content_type, &coding, body))
}

/// A document with its size, folded when it is long.
fn document(id: &str, lead: &str, size: usize, content: &Content) -> String {
    let (kind, laid) = match content {
        Content::Empty => return "<p class=\"lead\">No body.</p>\n".to_owned(),
        Content::NotShown(why) => {
            return format!("<p class=\"lead\">{} that are not shown: {}.</p>\n", bytes(size), escape(why));
        }
        Content::Json(laid) => ("JSON, ", laid),
        Content::Text(laid) => ("", laid),
    };
    let text = &laid.text;
    // A single value can be longer.
    let end = text.char_indices().nth(MOST_SHOWN).map_or(text.len(), |(end, _)| end);
    let (shown, cut) = text.split_at(end);
    let lines = shown.lines().count();
    let open = if lines <= MOST_OPEN && shown.len() < 20_000 { " open" } else { "" };
    let html = match content {
        Content::Json(_) => coloured(shown),
        _ => escape_lines(shown),
    };
    let cut = (!cut.is_empty()).then(|| bytes(cut.len()));
    let rest = laid.rest.map(|rest| match rest {
        Rest::Values(1) => "1 value".to_owned(),
        Rest::Values(count) => format!("{} values", grouped(count as u64)),
        Rest::Bytes(count) => bytes(count),
    });
    let missing: Vec<String> = cut.into_iter().chain(rest).collect();
    let cut = match missing.is_empty() {
        true => String::new(),
        false => format!("<p class=\"lead\">Cut here: {} more, not shown.</p>", missing.join(" and ")),
    };
    let lead = if lead.is_empty() { "Body" } else { lead };
    let lines = if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") };
    format!(
        "<details id=\"{id}\"{open}><summary>{lead} <small>{kind}{}, {lines}</small></summary>\
         <pre tabindex=\"0\" aria-label=\"{lead}\">{html}</pre>{cut}</details>\n",
        bytes(size)
    )
}

/// JSON as `json` lays it out, with the names of members set apart.
fn coloured(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let start = line.len() - line.trim_start().len();
        let end = end_of_string(line.as_bytes(), start);
        let is_member = line.get(start..).is_some_and(|line| line.starts_with('"'))
            && line.get(end..).is_some_and(|rest| rest.starts_with(": "));
        if !is_member {
            return escape(line);
        }
        let (name, value) = line.split_at(end);
        let (indent, name) = name.split_at(start);
        format!("{indent}<span class=\"name\">{}</span>{}", escape(name), escape(value))
    });
    lines.collect::<Vec<_>>().join("\n")
}
