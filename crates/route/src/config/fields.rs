//! `requestHeaders`, `responseHeaders` and `requestId`: the fields that can be changed, and the syntax of their values.

use crossfade_document::Node;
use http::header::{HeaderName, HeaderValue};

use crate::field_edits::{FieldEdits, FieldValue};
use crate::mirror::MIRROR_FIELD;
use crate::read::{Collector, Read};
use crate::template::{FIELD_VARIABLES, Groups, Template};

/// The message whose fields are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// Fields that belong to one connection or frame the content (RFC 9110 section 7.6.1). They are set for each
/// connection, and a wrong one would cause request smuggling.
const OF_THE_CONNECTION: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// Fields that record the proxies that a request has passed (RFC 8586, RFC 9110 section 7.6.3).
const LOOPS: [&str; 2] = ["cdn-loop", "via"];

/// Further fields that cannot hold the request ID: the proxy sets them, or they have another meaning.
const NOT_FOR_THE_ID: [&str; 12] = [
    "authorization",
    "cdn-loop",
    "cookie",
    "forwarded",
    "host",
    "proxy",
    "proxy-authorization",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
];

pub(super) fn read<'n>(node: &'n Node, side: Side, groups: &Groups, diagnostics: &mut Collector) -> FieldEdits {
    let Some([set, add, remove]) = node.keys(diagnostics, ["set", "add", "remove"]) else {
        return FieldEdits::default();
    };
    let mut values = |node: Option<&'n Node>, several: bool| {
        let members = node.and_then(|node| node.map(diagnostics)).unwrap_or_default();
        let mut list = Vec::new();
        for (key, node) in members {
            let name = check_name(&key.name, node, side, diagnostics);
            let items =
                if several { node.one_or_more(diagnostics).unwrap_or_default() } else { std::slice::from_ref(node) };
            for item in items {
                list.extend(name.clone().zip(read_value(item, groups, diagnostics)));
            }
        }
        list
    };
    let (set, add) = (values(set, false), values(add, true));
    let remove = remove.and_then(|node| node.one_or_more(diagnostics)).unwrap_or_default();
    let read_name = |node: &'n Node, diagnostics: &mut Collector| {
        let text = node.text(diagnostics)?;
        check_name(text, node, side, diagnostics)
    };
    FieldEdits { remove: remove.iter().filter_map(|node| read_name(node, diagnostics)).collect(), set, add }
}

fn check_name(text: &str, node: &Node, side: Side, diagnostics: &mut Collector) -> Option<HeaderName> {
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        // The path already shows a name that is a key.
        node.error(diagnostics, "invalid field name", None);
        return None;
    };
    if OF_THE_CONNECTION.contains(&name.as_str()) {
        node.error(diagnostics, format!("`{name}` belongs to the connection and is set by the proxy"), None);
    } else if side == Side::Request && name == http::header::HOST {
        let hint = "set `hostHeader` of the back end, or use `transforms: {host: …}`";
        node.error(diagnostics, "`host` cannot be set here", Some(hint.into()));
    } else if side == Side::Request && name == MIRROR_FIELD {
        node.error(diagnostics, format!("`{MIRROR_FIELD}` marks shadow requests and cannot be changed"), None);
    } else if side == Side::Request && LOOPS.contains(&name.as_str()) {
        let hint = (name == http::header::VIA).then(|| "to add to it, set `via: true` at the back end".into());
        node.error(diagnostics, format!("`{name}` lets proxies detect loops and cannot be changed"), hint);
    }
    Some(name)
}

fn read_value(node: &Node, groups: &Groups, diagnostics: &mut Collector) -> Option<FieldValue> {
    let text = node.text(diagnostics)?;
    let template = match Template::parse(&node.pieces(), &FIELD_VARIABLES, groups) {
        Ok(template) => template,
        Err(error) => {
            node.error(diagnostics, error.message, Some(error.hint));
            return None;
        }
    };
    if HeaderValue::from_str(text).is_err() {
        node.error(diagnostics, "invalid field value", Some("use visible characters on one line".into()));
        return None;
    }
    Some(match template.constant().and_then(|text| HeaderValue::from_str(text).ok()) {
        Some(constant) => FieldValue::Constant(constant),
        None => FieldValue::Template(template),
    })
}

/// Reads `requestId.header`.
pub(super) fn read_request_id(node: &Node, diagnostics: &mut Collector) -> Option<HeaderName> {
    let text = node.text(diagnostics)?;
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        node.error(diagnostics, format!("`{}` is not a field name", node.shown()), None);
        return None;
    };
    if OF_THE_CONNECTION.contains(&name.as_str()) || NOT_FOR_THE_ID.contains(&name.as_str()) {
        node.error(
            diagnostics,
            format!("`{}` is reserved for another purpose", node.shown()),
            Some("choose a separate field".into()),
        );
    }
    Some(name)
}
