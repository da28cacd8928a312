//! `transforms` of a route and of a target.

use crossfade_document::{Node, Piece};
use crossfade_rule as rule;
use crossfade_rule::{Regex, Replacement};

use crate::read::{Collector, Read};
use crate::transform::{Rewrite, Transforms};

pub(super) fn read<'n>(node: &'n Node, diagnostics: &mut Collector) -> Transforms {
    let Some([path, query, host]) = node.keys(diagnostics, ["path", "query", "host"]) else {
        return Transforms::default();
    };
    let mut list = |node: Option<&'n Node>, read: fn(&'n Node, &mut Collector) -> Option<Rewrite>| {
        let items = node.and_then(|node| node.one_or_more(diagnostics)).unwrap_or_default();
        items.iter().filter_map(|item| read(item, diagnostics)).collect()
    };
    Transforms { path: list(path, read_path), query: list(query, read_text), host: list(host, read_text) }
}

fn read_path<'n>(node: &'n Node, diagnostics: &mut Collector) -> Option<Rewrite> {
    let [prefix, regex, replace] = node.keys(diagnostics, ["prefix", "regex", "replace"])?;
    match (prefix, regex, replace) {
        (Some(prefix), None, Some(replace)) => {
            let mut path = |node: &'n Node| {
                let text = node.text(diagnostics)?;
                let is_path = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
                if !is_path || text.contains(['?', '#']) {
                    let hint = "write a path like `/api`; to remove a prefix, replace it with `/`";
                    node.error(diagnostics, format!("`{}` is not a path", node.shown()), Some(hint.into()));
                }
                Some(text)
            };
            Some(Rewrite::prefix(path(prefix)?, path(replace)?))
        }
        (None, Some(regex), Some(replace)) => read_regex(regex, replace, diagnostics),
        _ => {
            node.error(diagnostics, "expected `prefix` or `regex`, and `replace`", None);
            None
        }
    }
}

fn read_text(node: &Node, diagnostics: &mut Collector) -> Option<Rewrite> {
    let [regex, replace] = node.keys(diagnostics, ["regex", "replace"])?;
    let (Some(regex), Some(replace)) = (regex, replace) else {
        node.error(diagnostics, "expected `regex` and `replace`", None);
        return None;
    };
    read_regex(regex, replace, diagnostics)
}

fn read_regex<'n>(node: &'n Node, replace: &'n Node, diagnostics: &mut Collector) -> Option<Rewrite> {
    replace.text(diagnostics)?;
    let regex = match Regex::new(node.text(diagnostics)?) {
        Ok(regex) => regex,
        Err(error) => {
            node.error(diagnostics, format!("invalid regex: {error}"), None);
            return None;
        }
    };
    const HINT: &str = "`$1` is the first group, `${1}0` that group and a zero, `${name}` a named group, `$$` a dollar";
    let pieces = replace.pieces();
    if pieces.iter().any(|piece| matches!(piece, Piece::OfFile(text) if text.contains('\\'))) {
        replace.error(diagnostics, "`\\` does not refer to a group", Some(HINT.into()));
    }
    let parts = pieces.iter().map(|piece| match piece {
        Piece::OfFile(text) => Replacement::Template(text),
        Piece::OfEnvironment(value) => Replacement::Text(value),
    });
    match rule::Rewrite::of_parts(regex, parts) {
        Ok(rewrite) => Some(Rewrite::Regex(rewrite)),
        Err(group) => {
            replace.error(diagnostics, format!("the regex has no group `{group}`"), Some(HINT.into()));
            None
        }
    }
}
