//! `compare` of a mirror: what counts as a difference. How it is found is `crossfade-compare`'s.

use crossfade_compare::{
    Accepted, Date, FieldNames, PathTemplate, Place, Pointer, Rules, Tolerance, TreatEqual, Unordered,
};
use crossfade_document::Node;

use super::forward::field_name;
use crate::mirror::Share;
use crate::read::{Findings, Read};

/// The rules, or `None` for `compare: false`; and the share of requests that the first back end gets twice.
pub(super) fn read(node: Option<&Node>, mistakes: &mut Findings) -> (Option<Rules>, Share) {
    let usual = (Some(Rules::default()), Share::default());
    let Some(node) = node else { return usual };
    if node.as_text().is_some() {
        return match node.boolean(mistakes) {
            Some(false) => (None, Share::default()),
            _ => usual,
        };
    }
    read_rules(node, mistakes).unwrap_or(usual)
}

fn read_rules(node: &Node, mistakes: &mut Findings) -> Option<(Option<Rules>, Share)> {
    let [headers, ignore, unordered, tolerance, treat_equal, accepted, noise, keep_values, redact, endpoints] = node
        .keys(
            mistakes,
            [
                "headers",
                "ignore",
                "unordered",
                "tolerance",
                "treatEqual",
                "accepted",
                "noise",
                "keepValues",
                "redact",
                "endpoints",
            ],
        )?;
    let self_compare = noise.and_then(|node| {
        let [self_compare] = node.keys(mistakes, ["selfCompare"])?;
        self_compare?.share(mistakes)
    });
    let rules = Rules {
        headers: headers.and_then(|node| read_headers(node, mistakes)).unwrap_or_default(),
        ignore: list(ignore, mistakes, read_place),
        unordered: list(unordered, mistakes, read_unordered),
        tolerance: tolerance.map(|node| read_tolerance(node, mistakes)).unwrap_or_default(),
        treat_equal: list(treat_equal, mistakes, read_treat_equal),
        accepted: list(accepted, mistakes, read_accepted),
        keep_values: keep_values.and_then(|node| node.boolean(mistakes)).unwrap_or_default(),
        redact: list(redact, mistakes, read_place),
        endpoints: list(endpoints, mistakes, read_endpoint),
    };
    if let Some(node) = redact.filter(|_| !rules.keep_values) {
        node.doubtful(mistakes, "has no effect without `keepValues: true`: no value gets into the log", None);
    }
    Some((Some(rules), self_compare.unwrap_or_default()))
}

fn list<'n, T>(
    node: Option<&'n Node>,
    mistakes: &mut Findings,
    read: fn(&'n Node, &mut Findings) -> Option<T>,
) -> Vec<T> {
    let items = node.and_then(|node| node.one_or_more(mistakes)).unwrap_or_default();
    items.iter().filter_map(|item| read(item, mistakes)).collect()
}

/// `usual`, `all`, or the names of fields.
fn read_headers(node: &Node, mistakes: &mut Findings) -> Option<FieldNames> {
    match node.as_text() {
        Some("usual") => return Some(FieldNames::Usual),
        Some("all") => return Some(FieldNames::All),
        _ => {}
    }
    let items = node.one_or_more(mistakes)?;
    items.iter().map(|item| field_name(item, mistakes)).collect::<Option<_>>().map(FieldNames::Named)
}

fn read_place(node: &Node, mistakes: &mut Findings) -> Option<Place> {
    let place = Place::parse(node.text(mistakes)?);
    if place.is_none() {
        let hint = "write a JSON Pointer like `/items/*/price`, a field's name, `status` or `body`";
        node.wrong(mistakes, format!("`{}` is no place in an answer", node.shown()), Some(hint.into()));
    }
    place
}

fn read_pointer(text: &str, node: &Node, mistakes: &mut Findings) -> Option<Pointer> {
    let pointer = Pointer::parse(text);
    if pointer.is_none() {
        let hint = "write `/items/*/price`: `*` is any one step, `**` any number, `~1` a slash in a name";
        node.wrong(mistakes, "this is no JSON Pointer", Some(hint.into()));
    }
    pointer
}

/// A pointer, or `{pointer, by}`.
fn read_unordered(node: &Node, mistakes: &mut Findings) -> Option<Unordered> {
    if let Some(text) = node.as_text() {
        return Some(Unordered { pointer: read_pointer(text, node, mistakes)?, by: None });
    }
    let [pointer, by] = node.keys(mistakes, ["pointer", "by"])?;
    let Some(pointer) = pointer else {
        node.wrong(mistakes, "`pointer` is missing", Some("write `{pointer: /items, by: id}`".into()));
        return None;
    };
    let by = by.and_then(|node| node.text(mistakes)).map(str::to_owned);
    Some(Unordered { pointer: read_pointer(pointer.text(mistakes)?, pointer, mistakes)?, by })
}

/// Distances by pointers.
fn read_tolerance(node: &Node, mistakes: &mut Findings) -> Vec<(Pointer, Tolerance)> {
    let mut read = Vec::new();
    for (key, node) in node.map(mistakes).unwrap_or_default() {
        let pointer = read_pointer(&key.name, node, mistakes);
        let tolerance = node.text(mistakes).and_then(|text| {
            let tolerance = Tolerance::parse(text);
            if tolerance.is_none() {
                let hint = "write a distance like 0.01, or a share like 1%";
                node.wrong(mistakes, format!("`{}` is no tolerance", node.shown()), Some(hint.into()));
            }
            tolerance
        });
        read.extend(pointer.zip(tolerance));
    }
    read
}

fn read_treat_equal(node: &Node, mistakes: &mut Findings) -> Option<TreatEqual> {
    let words = [
        ("uuid", TreatEqual::Uuid),
        ("timestamp", TreatEqual::Timestamp),
        ("hash", TreatEqual::Hash),
        ("token", TreatEqual::Token),
    ];
    node.word(mistakes, &words)
}

/// A place, or `{pointer, until}`.
fn read_accepted(node: &Node, mistakes: &mut Findings) -> Option<Accepted> {
    if node.as_text().is_some() {
        return Some(Accepted { place: read_place(node, mistakes)?, until: None });
    }
    let [pointer, until] = node.keys(mistakes, ["pointer", "until"])?;
    let Some(pointer) = pointer else {
        node.wrong(mistakes, "`pointer` is missing", Some("write `{pointer: /total, until: 2026-12-31}`".into()));
        return None;
    };
    let until = match until {
        Some(node) => {
            let date = Date::parse(node.text(mistakes)?);
            if date.is_none() {
                let hint = "write its last day, like 2026-12-31";
                node.wrong(mistakes, format!("`{}` is no date", node.shown()), Some(hint.into()));
            }
            Some(date?)
        }
        None => None,
    };
    Some(Accepted { place: read_place(pointer, mistakes)?, until })
}

fn read_endpoint(node: &Node, mistakes: &mut Findings) -> Option<PathTemplate> {
    let template = PathTemplate::parse(node.text(mistakes)?);
    if template.is_none() {
        let hint = "write `/products/{slug}/reviews`; `**` at the end stands for all that follows";
        node.wrong(mistakes, format!("`{}` names no endpoint", node.shown()), Some(hint.into()));
    }
    template
}
