//! `compare` of a mirror: the rules of comparison. `crossfade-compare` applies them.

use crossfade_compare::{
    Accepted, Date, FieldNames, PathTemplate, Place, Pointer, Rules, Tolerance, TreatEqual, Unordered,
};
use crossfade_document::Node;

use super::forward::field_name;
use crate::mirror::Noise;
use crate::read::{Collector, Read};

/// Returns the rules, or `None` for `compare: false`, and the requests that are repeated.
pub(super) fn read(node: Option<&Node>, diagnostics: &mut Collector) -> (Option<Rules>, Noise) {
    let usual = (Some(Rules::default()), Noise::default());
    let Some(node) = node else { return usual };
    if node.as_text().is_some() {
        return match node.boolean(diagnostics) {
            Some(false) => (None, Noise::NONE),
            _ => usual,
        };
    }
    read_rules(node, diagnostics).unwrap_or(usual)
}

fn read_rules(node: &Node, diagnostics: &mut Collector) -> Option<(Option<Rules>, Noise)> {
    let [headers, ignore, unordered, tolerance, treat_equal, accepted, noise, keep_values, redact, endpoints] = node
        .keys(
            diagnostics,
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
    let noise = noise.and_then(|node| read_noise(node, diagnostics)).unwrap_or_default();
    let rules = Rules {
        headers: headers.and_then(|node| read_headers(node, diagnostics)).unwrap_or_default(),
        ignore: list(ignore, diagnostics, read_place),
        unordered: list(unordered, diagnostics, read_unordered),
        tolerance: tolerance.map(|node| read_tolerance(node, diagnostics)).unwrap_or_default(),
        treat_equal: list(treat_equal, diagnostics, read_treat_equal),
        accepted: list(accepted, diagnostics, read_accepted),
        keep_values: keep_values.and_then(|node| node.boolean(diagnostics)).unwrap_or_default(),
        redact: list(redact, diagnostics, read_place),
        endpoints: list(endpoints, diagnostics, read_endpoint),
        ..Rules::default()
    };
    if let Some(node) = redact.filter(|_| !rules.keep_values) {
        node.warn(diagnostics, "has no effect without `keepValues: true`: values are not logged", None);
    }
    Some((Some(rules), noise))
}

/// Reads shares, or `false` for none.
fn read_noise(node: &Node, diagnostics: &mut Collector) -> Option<Noise> {
    if node.as_text().is_some() {
        return node.boolean(diagnostics).map(|is_measured| if is_measured { Noise::default() } else { Noise::NONE });
    }
    let [repeat, self_compare] = node.keys(diagnostics, ["repeat", "selfCompare"])?;
    let mut noise = Noise::default();
    for (node, share) in [(repeat, &mut noise.repeat), (self_compare, &mut noise.self_compare)] {
        *share = node.and_then(|node| node.share(diagnostics)).unwrap_or(*share);
    }
    Some(noise)
}

fn list<'n, T>(
    node: Option<&'n Node>,
    diagnostics: &mut Collector,
    read: fn(&'n Node, &mut Collector) -> Option<T>,
) -> Vec<T> {
    let items = node.and_then(|node| node.one_or_more(diagnostics)).unwrap_or_default();
    items.iter().filter_map(|item| read(item, diagnostics)).collect()
}

/// Reads `usual`, `all`, or names of fields.
fn read_headers(node: &Node, diagnostics: &mut Collector) -> Option<FieldNames> {
    match node.as_text() {
        Some("usual") => return Some(FieldNames::Usual),
        Some("all") => return Some(FieldNames::All),
        _ => {}
    }
    let items = node.one_or_more(diagnostics)?;
    items.iter().map(|item| field_name(item, diagnostics)).collect::<Option<_>>().map(FieldNames::Named)
}

fn read_place(node: &Node, diagnostics: &mut Collector) -> Option<Place> {
    let place = Place::parse(node.text(diagnostics)?);
    if place.is_none() {
        let hint = "write a JSON Pointer like `/items/*/price`, a field's name, `status` or `body`";
        node.error(diagnostics, format!("`{}` is not a place in a response", node.shown()), Some(hint.into()));
    }
    place
}

fn read_pointer(text: &str, node: &Node, diagnostics: &mut Collector) -> Option<Pointer> {
    let pointer = Pointer::parse(text);
    if pointer.is_none() {
        let hint = "write `/items/*/price`: `*` is any one step, `**` any number, `~1` a slash in a name";
        node.error(diagnostics, "invalid JSON Pointer", Some(hint.into()));
    }
    pointer
}

/// Reads a pointer, or `{pointer, by}`.
fn read_unordered(node: &Node, diagnostics: &mut Collector) -> Option<Unordered> {
    if let Some(text) = node.as_text() {
        return Some(Unordered { pointer: read_pointer(text, node, diagnostics)?, by: None });
    }
    let [pointer, by] = node.keys(diagnostics, ["pointer", "by"])?;
    let Some(pointer) = pointer else {
        node.error(diagnostics, "missing key `pointer`", Some("write `{pointer: /items, by: id}`".into()));
        return None;
    };
    let by = by.and_then(|node| node.text(diagnostics)).map(str::to_owned);
    Some(Unordered { pointer: read_pointer(pointer.text(diagnostics)?, pointer, diagnostics)?, by })
}

/// Reads a map of tolerances by pointer.
fn read_tolerance(node: &Node, diagnostics: &mut Collector) -> Vec<(Pointer, Tolerance)> {
    let mut read = Vec::new();
    for (key, node) in node.map(diagnostics).unwrap_or_default() {
        let pointer = read_pointer(&key.name, node, diagnostics);
        let tolerance = node.text(diagnostics).and_then(|text| {
            let tolerance = Tolerance::parse(text);
            if tolerance.is_none() {
                let hint = "write an absolute difference like 0.01, or a percentage like 1%";
                node.error(diagnostics, format!("`{}` is not a tolerance", node.shown()), Some(hint.into()));
            }
            tolerance
        });
        read.extend(pointer.zip(tolerance));
    }
    read
}

fn read_treat_equal(node: &Node, diagnostics: &mut Collector) -> Option<TreatEqual> {
    let words = [
        ("uuid", TreatEqual::Uuid),
        ("timestamp", TreatEqual::Timestamp),
        ("hash", TreatEqual::Hash),
        ("token", TreatEqual::Token),
    ];
    node.word(diagnostics, &words)
}

/// Reads a place, or `{pointer, until}`.
fn read_accepted(node: &Node, diagnostics: &mut Collector) -> Option<Accepted> {
    if node.as_text().is_some() {
        return Some(Accepted { place: read_place(node, diagnostics)?, until: None });
    }
    let [pointer, until] = node.keys(diagnostics, ["pointer", "until"])?;
    let Some(pointer) = pointer else {
        node.error(diagnostics, "missing key `pointer`", Some("write `{pointer: /total, until: 2026-12-31}`".into()));
        return None;
    };
    let until = match until {
        Some(node) => {
            let date = Date::parse(node.text(diagnostics)?);
            if date.is_none() {
                let hint = "write the last day, like 2026-12-31";
                node.error(diagnostics, format!("`{}` is not a date", node.shown()), Some(hint.into()));
            }
            Some(date?)
        }
        None => None,
    };
    Some(Accepted { place: read_place(pointer, diagnostics)?, until })
}

fn read_endpoint(node: &Node, diagnostics: &mut Collector) -> Option<PathTemplate> {
    let template = PathTemplate::parse(node.text(diagnostics)?);
    if template.is_none() {
        let hint = "write `/products/{slug}/reviews`; a final `**` matches any number of segments";
        node.error(diagnostics, format!("`{}` is not an endpoint template", node.shown()), Some(hint.into()));
    }
    template
}
