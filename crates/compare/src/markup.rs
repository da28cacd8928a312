//! HTML and XML. Owns what is insignificant in markup, and the places of its differences; `content` decides what is markup.
//!
//! Reading order: `tokens` (the syntax), `tree` (the elements, also those that HTML implies), `values` (texts and attributes as
//! they count), `walk` (the comparison) with `pairs` (which elements belong together) and `place` (how a record names them),
//! `selector` (places in rules).

mod entities;
mod pairs;
mod place;
mod selector;
mod siblings;
mod tokens;
mod tree;
mod values;
mod walk;

pub use selector::Selector;

use self::selector::Matching;
use self::tree::Tree;
use self::walk::{Selectors, Walk};
use crate::findings::Findings;
use crate::rules::Place;
use crate::spot::Spot;
use crate::work::Stop;

fn selector(place: &Place) -> Option<&Selector> {
    if let Place::Selector(selector) = place { Some(selector) } else { None }
}

/// Reports the differences of two documents.
pub(crate) fn compare(is_html: bool, ours: &str, theirs: &str, findings: &mut Findings<'_>) -> Result<(), Stop> {
    let (rules, work) = (findings.rules, findings.work);
    let accepted = rules.accepted.iter().filter(|accepted| accepted.holds(findings.now));
    let selectors = Selectors {
        ignore: rules.ignore.iter().filter_map(selector).collect(),
        accepted: accepted.filter_map(|accepted| selector(&accepted.place)).collect(),
        redact: rules.redact.iter().filter_map(selector).filter(|_| rules.keep_values).collect(),
    };
    let filled = |text, findings: &Findings<'_>| {
        let mut tree = Tree::parse(text, is_html, work)?;
        let mut ignored = Matching::new(selectors.ignore.iter().copied());
        tree.fill_digests(&mut ignored, findings)?;
        Ok(tree)
    };
    let (ours, theirs) = (filled(ours, findings)?, filled(theirs, findings)?);
    let marks = findings.marks(&Spot::Body);
    Walk::new([&ours, &theirs], &selectors, findings, marks).documents()
}

#[cfg(test)]
mod tests;
