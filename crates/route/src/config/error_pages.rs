//! `errorPages`: their keys and checks.

use crossfade_document::Node;

use super::backends::read_code;
use super::routes::{read_content, read_content_type};
use crate::error_page::ErrorPage;
use crate::read::{Collector, Read};
use crate::surroundings::Surroundings;

/// Bytes of a page: with base64 and fields it fits every front end.
const MAX_PAGE: usize = 256 * 1024;

pub(super) fn read(node: &Node, surroundings: &dyn Surroundings, diagnostics: &mut Collector) -> Vec<ErrorPage> {
    let items = node.one_or_more(diagnostics).unwrap_or_default();
    items.iter().filter_map(|item| read_page(item, surroundings, diagnostics)).collect()
}

fn read_page(node: &Node, surroundings: &dyn Surroundings, diagnostics: &mut Collector) -> Option<ErrorPage> {
    let [codes, content_type, body, body_file] =
        node.keys(diagnostics, ["codes", "contentType", "body", "bodyFile"])?;
    if codes.is_none() {
        node.missing(diagnostics, "codes", "write `codes: 5xx`");
    }
    if content_type.is_none() {
        node.missing(diagnostics, "contentType", "write `contentType: text/html; charset=utf-8`");
    }
    if body.or(body_file).is_none() {
        node.error(diagnostics, "expected one of body, bodyFile", Some("write `bodyFile: error.html`".into()));
    }
    let codes = codes.and_then(|node| node.one_or_more(diagnostics));
    let codes = codes.map(|items| items.iter().filter_map(|item| read_code(item, diagnostics)).collect());
    let content_type = content_type.and_then(|node| read_content_type(node, diagnostics));
    let content = read_content(body, body_file, surroundings, diagnostics)?;
    if content.len() > MAX_PAGE {
        let message = format!("the page is {} bytes long, the limit is {MAX_PAGE}", content.len());
        body_file.or(body).unwrap_or(node).error(diagnostics, message, Some("link to images and styles".into()));
    }
    Some(ErrorPage { codes: codes?, content_type: content_type?, body: content })
}
