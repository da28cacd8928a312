//! `requestHeaders`, `responseHeaders` and `requestId`: which fields can be changed, and how their values are read.

use crossfade_document::Node;
use http::header::{HeaderName, HeaderValue};

use crate::mirror::MIRROR_FIELD;
use crate::read::{Findings, Read};
use crate::table::{FieldEdits, FieldValue};
use crate::template::{FIELD_VARIABLES, Groups, Template};

/// Which message is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// Fields that belong to one connection or frame the content (RFC 9110 section 7.6.1): they are made anew for each
/// connection, and a wrong one would take the message apart in another place.
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

/// They name the proxies that a request has passed (RFC 8586, RFC 9110 section 7.6.3).
const LOOPS: [&str; 2] = ["cdn-loop", "via"];

/// Besides: the proxy sets these itself, or they mean something else. No place for a request's id.
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

pub(super) fn read<'n>(node: &'n Node, side: Side, groups: &Groups, mistakes: &mut Findings) -> FieldEdits {
    let Some([set, add, remove]) = node.keys(mistakes, ["set", "add", "remove"]) else {
        return FieldEdits::default();
    };
    let mut values = |node: Option<&'n Node>, several: bool| {
        let members = node.and_then(|node| node.map(mistakes)).unwrap_or_default();
        let mut list = Vec::new();
        for (key, node) in members {
            let name = check_name(&key.name, node, side, mistakes);
            let items =
                if several { node.one_or_more(mistakes).unwrap_or_default() } else { std::slice::from_ref(node) };
            for item in items {
                list.extend(name.clone().zip(read_value(item, groups, mistakes)));
            }
        }
        list
    };
    let (set, add) = (values(set, false), values(add, true));
    let remove = remove.and_then(|node| node.one_or_more(mistakes)).unwrap_or_default();
    let read_name = |node: &'n Node, mistakes: &mut Findings| {
        let text = node.text(mistakes)?;
        check_name(text, node, side, mistakes)
    };
    FieldEdits { remove: remove.iter().filter_map(|node| read_name(node, mistakes)).collect(), set, add }
}

fn check_name(text: &str, node: &Node, side: Side, mistakes: &mut Findings) -> Option<HeaderName> {
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        // A name that is a key is in the path already.
        node.wrong(mistakes, "this is not a field name", None);
        return None;
    };
    if OF_THE_CONNECTION.contains(&name.as_str()) {
        node.wrong(mistakes, format!("`{name}` belongs to the connection: the proxy makes it itself"), None);
    } else if side == Side::Request && name == http::header::HOST {
        let hint = "set `hostHeader` of the back end, or use `transforms: {host: …}`";
        node.wrong(mistakes, "`host` is not set here", Some(hint.into()));
    } else if side == Side::Request && name == MIRROR_FIELD {
        node.wrong(mistakes, format!("`{MIRROR_FIELD}` is how copies are known: it stays as it is"), None);
    } else if side == Side::Request && LOOPS.contains(&name.as_str()) {
        let hint = (name == http::header::VIA).then(|| "to add to it, set `via: true` at the back end".into());
        node.wrong(mistakes, format!("`{name}` is how proxies see loops: it stays as it is"), hint);
    }
    Some(name)
}

fn read_value(node: &Node, groups: &Groups, mistakes: &mut Findings) -> Option<FieldValue> {
    let text = node.text(mistakes)?;
    let template = match Template::parse(&node.pieces(), &FIELD_VARIABLES, groups) {
        Ok(template) => template,
        Err(mistake) => {
            node.wrong(mistakes, mistake.message, Some(mistake.hint));
            return None;
        }
    };
    if HeaderValue::from_str(text).is_err() {
        node.wrong(mistakes, "this cannot be the value of a field", Some("visible characters in one line".into()));
        return None;
    }
    Some(match template.constant().and_then(|text| HeaderValue::from_str(text).ok()) {
        Some(constant) => FieldValue::Constant(constant),
        None => FieldValue::Template(template),
    })
}

/// `requestId.header`.
pub(super) fn read_request_id(node: &Node, mistakes: &mut Findings) -> Option<HeaderName> {
    let text = node.text(mistakes)?;
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        node.wrong(mistakes, format!("`{}` is not a field name", node.shown()), None);
        return None;
    };
    if OF_THE_CONNECTION.contains(&name.as_str()) || NOT_FOR_THE_ID.contains(&name.as_str()) {
        node.wrong(
            mistakes,
            format!("`{}` has another meaning", node.shown()),
            Some("choose a field of its own".into()),
        );
    }
    Some(name)
}
