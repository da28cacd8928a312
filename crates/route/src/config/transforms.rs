//! `transforms` of a route and of a target.

use crossfade_document::{Node, Piece};
use crossfade_rule as rule;
use crossfade_rule::{Regex, Replacement};

use crate::read::{Findings, Read};
use crate::transform::{Rewrite, Transforms};

pub(super) fn read<'n>(node: &'n Node, mistakes: &mut Findings) -> Transforms {
    let Some([path, query, host]) = node.keys(mistakes, ["path", "query", "host"]) else {
        return Transforms::default();
    };
    let mut list = |node: Option<&'n Node>, read: fn(&'n Node, &mut Findings) -> Option<Rewrite>| {
        let items = node.and_then(|node| node.one_or_more(mistakes)).unwrap_or_default();
        items.iter().filter_map(|item| read(item, mistakes)).collect()
    };
    Transforms { path: list(path, read_path), query: list(query, read_text), host: list(host, read_text) }
}

fn read_path<'n>(node: &'n Node, mistakes: &mut Findings) -> Option<Rewrite> {
    let [prefix, regex, replace] = node.keys(mistakes, ["prefix", "regex", "replace"])?;
    match (prefix, regex, replace) {
        (Some(prefix), None, Some(replace)) => {
            let mut path = |node: &'n Node| {
                let text = node.text(mistakes)?;
                let is_path = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
                if !is_path || text.contains(['?', '#']) {
                    let hint = "write a path like `/api`; to take a prefix away, replace it by `/`";
                    node.wrong(mistakes, format!("`{}` is no path", node.shown()), Some(hint.into()));
                }
                Some(text)
            };
            Some(Rewrite::prefix(path(prefix)?, path(replace)?))
        }
        (None, Some(regex), Some(replace)) => read_regex(regex, replace, mistakes),
        _ => {
            node.wrong(mistakes, "expected `prefix` or `regex`, and `replace`", None);
            None
        }
    }
}

fn read_text(node: &Node, mistakes: &mut Findings) -> Option<Rewrite> {
    let [regex, replace] = node.keys(mistakes, ["regex", "replace"])?;
    let (Some(regex), Some(replace)) = (regex, replace) else {
        node.wrong(mistakes, "expected `regex` and `replace`", None);
        return None;
    };
    read_regex(regex, replace, mistakes)
}

fn read_regex<'n>(node: &'n Node, replace: &'n Node, mistakes: &mut Findings) -> Option<Rewrite> {
    replace.text(mistakes)?;
    let regex = match Regex::new(node.text(mistakes)?) {
        Ok(regex) => regex,
        Err(error) => {
            let hint = "no look-around and no back-references; every regex takes linear time";
            node.wrong(mistakes, format!("this is no regex: {error}"), Some(hint.into()));
            return None;
        }
    };
    let pieces = replace.pieces();
    let parts = pieces.iter().map(|piece| match piece {
        Piece::OfFile(text) => Replacement::Template(text),
        Piece::OfEnvironment(value) => Replacement::Text(value),
    });
    match rule::Rewrite::of_parts(regex, parts) {
        Ok(rewrite) => Some(Rewrite::Regex(rewrite)),
        Err(group) => {
            let hint = "`$1` is the first group, `${1}0` that and a zero, `${name}` one with a name, `$$` a dollar";
            replace.wrong(mistakes, format!("the regex has no group `{group}`"), Some(hint.into()));
            None
        }
    }
}
