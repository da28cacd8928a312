//! Finds the elements of two parents that belong together: equal ones first, then those that something identifies, then those
//! of one name between the same neighbours.

use super::place;
use super::tree::{Node, Tree};
use crate::align::{Aligned, align};
use crate::evidence::{NOWHERE, continued};
use crate::shown;
use crate::sorting;
use crate::work::{Stop, Work};

/// Cost of a child in a round, in units of work.
const CHILD_WORK: usize = 16;
/// Nodes that are searched for a first text, or for content that two elements share.
const MAX_SEARCHED: u32 = 24;
/// Children that are searched for one that identifies their parent.
const MAX_CHILDREN: usize = 32;

/// Attributes that identify elements of HTML, beside the ID.
const KEYS: &[&str] = &["name", "property", "http-equiv", "itemprop", "for", "data-testid", "data-id", "data-key"];
/// Attributes with the address of something, without its query.
const ADDRESSES: &[&str] = &["href", "src", "action", "data"];
/// Attributes that identify elements of XML.
const XML_KEYS: &[&str] = &["id", "ID", "Id", "key", "name", "Name", "code", "sku", "ref", "href"];
/// Children that identify their parent in XML.
const XML_CHILDREN: &[&str] = &["guid", "id", "key", "sku", "code", "name", "loc", "link", "title"];

/// The children of two elements, by index.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// Pairs that differ, in the order of the primary.
    pub(super) different: Vec<(usize, usize)>,
    pub(super) ours: Vec<usize>,
    pub(super) theirs: Vec<usize>,
    /// `true` if elements that belong together have another order.
    pub(super) is_reordered: bool,
}

/// A child without a partner, and the number of paired children before it.
#[derive(Clone, Copy, Debug)]
struct Left {
    index: usize,
    gap: usize,
}

struct Pairing<'t, 'a, 'w> {
    trees: [&'t Tree<'a>; 2],
    items: [&'t [Node]; 2],
    /// All pairs; `true` for those that are equal.
    pairs: Vec<(usize, usize, bool)>,
    left: [Vec<Left>; 2],
    work: &'w Work<'w>,
}

pub(super) fn pair(trees: [&Tree<'_>; 2], items: [&[Node]; 2], work: &Work<'_>) -> Result<Pairs, Stop> {
    let digests = |side: usize| -> Vec<u64> {
        let (Some(tree), Some(items)) = (trees.get(side), items.get(side)) else { return Vec::new() };
        items.iter().map(|item| tree.digest(*item)).collect()
    };
    let aligned = align(&digests(0), &digests(1), work)?;
    let mut pairing = Pairing { trees, items, pairs: Vec::new(), left: [Vec::new(), Vec::new()], work };
    let mut gap = 0;
    for aligned in aligned {
        let [ours, theirs] = &mut pairing.left;
        match aligned {
            Aligned::Both(one, other) => {
                gap += 1;
                pairing.pairs.push((one, other, true));
            }
            Aligned::Ours(index) => ours.push(Left { index, gap }),
            Aligned::Theirs(index) => theirs.push(Left { index, gap }),
        }
    }
    // Elements that have moved.
    pairing.by_key(true, |tree, node| {
        let is_plain = tree.end(node) == node.saturating_add(1) && tree.attributes(node).is_empty();
        (!tree.is_text(node) && !is_plain).then(|| tree.digest(node))
    })?;
    pairing.by_key(false, identity)?;
    pairing.by_key(false, first_text)?;
    pairing.within_gaps(|tree, node| if tree.is_text(node) { 1 } else { hash(&place::word(tree, node).0) }, false)?;
    pairing.within_gaps(|tree, node| if tree.is_text(node) { 1 } else { hash(&tree.folded_name(node)) }, true)?;
    pairing.by_key(false, |tree, node| (!tree.is_text(node)).then(|| hash(&place::word(tree, node).0)))?;
    Ok(pairing.finish())
}

impl Pairing<'_, '_, '_> {
    fn is_done(&self) -> bool {
        self.left.iter().any(Vec::is_empty)
    }

    fn node(&self, side: usize, index: usize) -> Node {
        self.items.get(side).and_then(|items| items.get(index)).copied().unwrap_or_default()
    }

    /// Pairs those with the same key that no other has on the same side; if `may_repeat`, also others, which are then equal.
    fn by_key(&mut self, may_repeat: bool, key: impl Fn(&Tree<'_>, Node) -> Option<u64>) -> Result<(), Stop> {
        if self.is_done() {
            return Ok(());
        }
        let mut keyed: [Vec<(u64, usize)>; 2] = [Vec::new(), Vec::new()];
        for (side, (keyed, tree)) in keyed.iter_mut().zip(self.trees).enumerate() {
            for (at, left) in self.left.get(side).into_iter().flatten().enumerate() {
                let node = self.node(side, left.index);
                self.work.spend(CHILD_WORK * 2 + cost(tree, node))?;
                keyed.extend(key(tree, node).map(|key| (key, at)));
            }
            self.work.spend(keyed.len() * keyed.len().checked_ilog2().unwrap_or(0) as usize)?;
            sorting::sort(keyed);
        }
        let [ours, theirs] = &keyed;
        let mut found = Vec::new();
        let (mut one, mut other) = (0, 0);
        while let (Some((left, _)), Some((right, _))) = (ours.get(one), theirs.get(other)) {
            let count = |all: &[(u64, usize)], from: usize, key: u64| {
                all.get(from..).unwrap_or_default().iter().take_while(|(known, _)| *known == key).count()
            };
            match left.cmp(right) {
                std::cmp::Ordering::Less => one += 1,
                std::cmp::Ordering::Greater => other += 1,
                std::cmp::Ordering::Equal => {
                    let counts = (count(ours, one, *left), count(theirs, other, *left));
                    if may_repeat || counts == (1, 1) {
                        let same = ours.get(one..one + counts.0).into_iter().flatten();
                        let others = theirs.get(other..other + counts.1).into_iter().flatten();
                        found.extend(same.zip(others).map(|((_, one), (_, other))| (*one, *other)));
                    }
                    (one, other) = (one + counts.0, other + counts.1);
                }
            }
        }
        self.take(&found, may_repeat);
        Ok(())
    }

    /// Pairs those with the same key in their order, between the same neighbours; if `is_loose`, only those that do not seem to
    /// be two things.
    fn within_gaps(&mut self, key: impl Fn(&Tree<'_>, Node) -> u64, is_loose: bool) -> Result<(), Stop> {
        if self.is_done() {
            return Ok(());
        }
        let mut found = Vec::new();
        let (mut one, mut other) = (0, 0);
        let [ours, theirs] = &self.left;
        while let (Some(left), Some(right)) = (ours.get(one), theirs.get(other)) {
            let gap = left.gap.min(right.gap);
            let until = |all: &[Left], from: usize| {
                from + all.get(from..).unwrap_or_default().iter().take_while(|left| left.gap == gap).count()
            };
            let ends = (until(ours, one), until(theirs, other));
            if ends.0 > one && ends.1 > other {
                let keys = |side: usize, all: &[Left]| -> Result<Vec<u64>, Stop> {
                    let Some(tree) = self.trees.get(side) else { return Ok(Vec::new()) };
                    let mut keys = Vec::with_capacity(all.len());
                    for left in all {
                        let node = self.node(side, left.index);
                        self.work.spend(CHILD_WORK + cost(tree, node))?;
                        keys.push(key(tree, node));
                    }
                    Ok(keys)
                };
                let left = keys(0, ours.get(one..ends.0).unwrap_or_default())?;
                let right = keys(1, theirs.get(other..ends.1).unwrap_or_default())?;
                for aligned in align(&left, &right, self.work)? {
                    if let Aligned::Both(at, opposite) = aligned {
                        found.push((one + at, other + opposite));
                    }
                }
            }
            (one, other) = ends;
        }
        if is_loose {
            let mut kept = Vec::with_capacity(found.len());
            for (one, other) in found {
                let [Some(ours), Some(theirs)] = [self.left[0].get(one), self.left[1].get(other)] else { continue };
                if self.may_be_one(self.node(0, ours.index), self.node(1, theirs.index))? {
                    kept.push((one, other));
                }
            }
            found = kept;
        }
        self.take(&found, false);
        Ok(())
    }

    /// Returns `false` for elements with different names of their own, unless they share content.
    fn may_be_one(&self, ours: Node, theirs: Node) -> Result<bool, Stop> {
        let [one, other] = self.trees;
        if one.is_text(ours) {
            return Ok(true);
        }
        self.work.spend(CHILD_WORK + cost(one, ours) + cost(other, theirs))?;
        let is_named = |word: &str| word.contains(['#', '[']);
        let (left, right) = (place::word(one, ours).0, place::word(other, theirs).0);
        if left == right || !is_named(&left) || !is_named(&right) {
            return Ok(true);
        }
        let inside = |tree: &Tree<'_>, node: Node| -> Vec<u64> {
            let end = tree.end(node).min(node.saturating_add(MAX_SEARCHED));
            let mut digests: Vec<u64> = (node.saturating_add(1)..end).map(|node| tree.digest(node)).collect();
            digests.sort_unstable();
            digests
        };
        self.work.spend(8 * MAX_SEARCHED as usize)?;
        let (left, right) = (inside(one, ours), inside(other, theirs));
        Ok(left.iter().any(|digest| *digest != super::tree::NOTHING && right.binary_search(digest).is_ok()))
    }

    /// Moves pairs, given by their positions among those left, to the pairs.
    fn take(&mut self, found: &[(usize, usize)], is_equal: bool) {
        if found.is_empty() {
            return;
        }
        let [ours, theirs] = &self.left;
        let index = |all: &[Left], at: usize| all.get(at).map(|left| left.index);
        let pairs =
            found.iter().filter_map(|(one, other)| Some((index(ours, *one)?, index(theirs, *other)?, is_equal)));
        self.pairs.extend(pairs);
        let mut taken = [vec![false; ours.len()], vec![false; theirs.len()]];
        let mut mark = |side: usize, at: usize| {
            if let Some(slot) = taken.get_mut(side).and_then(|taken| taken.get_mut(at)) {
                *slot = true;
            }
        };
        for (one, other) in found {
            mark(0, *one);
            mark(1, *other);
        }
        for (left, taken) in self.left.iter_mut().zip(&taken) {
            let mut taken = taken.iter();
            left.retain(|_| taken.next() == Some(&false));
        }
    }

    fn finish(mut self) -> Pairs {
        sorting::sort(&mut self.pairs);
        let (mut last, mut is_reordered) = (None, false);
        for (one, other, _) in &self.pairs {
            let is_text = self.trees[0].is_text(self.node(0, *one));
            if !is_text {
                is_reordered |= last.is_some_and(|last| last > *other);
                last = Some(*other);
            }
        }
        let different = self.pairs.iter().filter(|(_, _, is_equal)| !is_equal).map(|(one, other, _)| (*one, *other));
        let [ours, theirs] = &self.left;
        let indices = |all: &[Left]| all.iter().map(|left| left.index).collect();
        Pairs { different: different.collect(), ours: indices(ours), theirs: indices(theirs), is_reordered }
    }
}

/// Returns the number of bytes of an element's tag that may have to be read, as work.
fn cost(tree: &Tree<'_>, node: Node) -> usize {
    let attributes = tree.attributes(node);
    let values: usize = attributes.iter().take(MAX_CHILDREN).map(|attribute| tree.raw_value(attribute).len()).sum();
    attributes.len().min(MAX_CHILDREN) + values
}

/// Returns a hash of what identifies an element among its siblings.
fn identity(tree: &Tree<'_>, node: Node) -> Option<u64> {
    if tree.is_text(node) {
        return None;
    }
    let name = hash(&tree.folded_name(node));
    let value = |attribute: &str| {
        let value = tree.attribute(node, attribute).filter(|value| !value.is_empty())?;
        Some(continued(continued(name, attribute.as_bytes()), value.as_bytes()))
    };
    if !tree.is_html {
        return XML_KEYS
            .iter()
            .find_map(|attribute| value(attribute))
            .or_else(|| identity_of_children(tree, node, name));
    }
    if let Some(id) = value("id") {
        return Some(id);
    }
    if let Some(key) = KEYS.iter().find_map(|attribute| value(attribute)) {
        // Those of one name have different values.
        let is_choice = tree.attribute(node, "type").is_some_and(|kind| matches!(&*kind, "radio" | "checkbox"));
        let chosen = is_choice.then(|| value("value")).flatten();
        return Some(chosen.map_or(key, |chosen| continued(key, &chosen.to_le_bytes())));
    }
    ADDRESSES.iter().find_map(|attribute| {
        let value = tree.attribute(node, attribute)?;
        let address = value.split(['?', '#']).next().filter(|address| !address.is_empty())?;
        Some(continued(continued(name, attribute.as_bytes()), address.as_bytes()))
    })
}

fn identity_of_children(tree: &Tree<'_>, node: Node, name: u64) -> Option<u64> {
    let mut best: Option<(usize, u64)> = None;
    for child in tree.children(node).take(MAX_CHILDREN).filter(|child| !tree.is_text(*child)) {
        let Some(rank) = XML_CHILDREN.iter().position(|known| known.eq_ignore_ascii_case(tree.name(child))) else {
            continue;
        };
        if best.is_none_or(|(known, _)| rank < known) {
            best = Some((rank, tree.digest(child)));
        }
    }
    best.map(|(rank, digest)| continued(continued(name, &[rank as u8]), &digest.to_le_bytes()))
}

/// Returns a hash of the name of an element and of the first text in it.
fn first_text(tree: &Tree<'_>, node: Node) -> Option<u64> {
    if tree.is_text(node) {
        return None;
    }
    let end = tree.end(node).min(node.saturating_add(MAX_SEARCHED));
    let text = (node.saturating_add(1)..end).find(|inner| tree.is_text(*inner) && tree.digest(*inner) != 0)?;
    Some(continued(hash(&tree.folded_name(node)), &tree.digest(text).to_le_bytes()))
}

/// Returns a hash of what tells an element from its siblings: what identifies it, its first text, or its whole content.
pub(super) fn label(tree: &Tree<'_>, node: Node) -> u64 {
    identity(tree, node).or_else(|| first_text(tree, node)).unwrap_or_else(|| tree.digest(node))
}

/// Returns the order of elements as a record may show it, and its digest.
pub(super) fn order(tree: &Tree<'_>, items: &[Node]) -> (String, u64) {
    const SHOWN: usize = 8;
    let elements = || items.iter().copied().filter(|node| !tree.is_text(*node));
    let digest = elements().fold(NOWHERE, |digest, node| continued(digest, &label(tree, node).to_le_bytes()));
    let shown: Vec<String> =
        elements().take(SHOWN).map(|node| outline(tree, node).chars().take(20).collect()).collect();
    (shown.join(", "), digest)
}

pub(super) fn hash(text: &str) -> u64 {
    continued(NOWHERE, text.as_bytes())
}

/// Returns what a record may show of an element: its text, or its name if it has none.
pub(super) fn outline(tree: &Tree<'_>, node: Node) -> String {
    const ENOUGH: usize = 200;
    let mut shown = String::new();
    let end = tree.end(node).min(node.saturating_add(MAX_SEARCHED));
    for inner in (node..end).filter(|inner| tree.is_text(*inner) && tree.digest(*inner) != 0) {
        shown.push_str(if shown.is_empty() { "" } else { " " });
        shown.push_str(shown::head(tree.text(inner).trim()));
        if shown.len() > ENOUGH {
            break;
        }
    }
    if shown.is_empty() {
        return format!("<{}>", tree.name(node));
    }
    if shown::is_secret_name(&shown) { shown::HIDDEN.to_owned() } else { shown }
}
