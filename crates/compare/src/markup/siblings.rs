//! Identifies the children of two elements, as evidence: by their word, if no other child has it, by their position among those
//! with the same word, or by their content. See [`Element`].

use std::collections::HashMap;

use super::pairs::hash;
use super::place;
use super::tree::{Node, Tree};
use crate::evidence::{NOWHERE, continued};
use crate::sorting;
use crate::spot::{Element, Elements, varying};
use crate::work::{Stop, Work};

/// Cost of a child, in units of work.
const CHILD_WORK: usize = 32;

/// The children of two elements.
pub(super) struct Siblings {
    children: [Vec<Child>; 2],
    /// Number of children of each element, by their words.
    counts: HashMap<u64, [u32; 2]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Child {
    /// A hash of the word; the same for all texts.
    word: u64,
    /// Number of those before it with the same word.
    number: u32,
    digest: u64,
}

impl Siblings {
    pub(super) fn new(trees: [&Tree<'_>; 2], items: [&[Node]; 2], work: &Work<'_>) -> Result<Self, Stop> {
        let mut counts = HashMap::<u64, [u32; 2]>::new();
        let mut children = [Vec::new(), Vec::new()];
        for (side, children) in children.iter_mut().enumerate() {
            let (Some(tree), Some(items)) = (trees.get(side), items.get(side)) else { continue };
            for node in items.iter().copied() {
                work.spend(CHILD_WORK)?;
                let word = if tree.is_text(node) { NOWHERE } else { hash(&place::word(tree, node).0) };
                let Some(count) = counts.entry(word).or_default().get_mut(side) else { continue };
                children.push(Child { word, number: *count, digest: tree.digest(node) });
                *count = count.saturating_add(1);
            }
        }
        Ok(Siblings { children, counts })
    }

    /// Identifies a child of one element or of both, by their indices.
    pub(super) fn element(&self, indices: [Option<usize>; 2]) -> Element {
        let [ours, theirs] = &self.children;
        let of = |children: &[Child], index: Option<usize>| children.get(index?).copied();
        let pair = [of(ours, indices[0]), of(theirs, indices[1])];
        let Some(either) = pair[0].or(pair[1]) else { return Element::At(0) };
        let is_only =
            |child: &Child| self.counts.get(&child.word).is_some_and(|counts| counts.iter().all(|it| *it <= 1));
        match pair {
            [Some(one), Some(other)] if one.word == other.word && is_only(&one) => Element::Keyed(one.word),
            [Some(one), Some(other)] if one.place() == other.place() => Element::At(one.place()),
            [Some(one), Some(other)] => Element::Loose([one.digest, other.digest]),
            _ if is_only(&either) => Element::Keyed(either.word),
            _ => Element::Loose([either.digest; 2]),
        }
    }

    /// Returns the children that are evidence of noise. `different` are the pairs that differ.
    pub(super) fn varying(&self, different: &[(usize, usize)], work: &Work<'_>) -> Result<Vec<Elements>, Stop> {
        let [ours, theirs] = &self.children;
        work.spend(CHILD_WORK * (ours.len() + theirs.len()))?;
        let there: HashMap<usize, u64> = theirs.iter().map(|child| (child.place(), child.digest)).collect();
        let partners: HashMap<usize, usize> = different.iter().copied().collect();
        let is_in_place = |(index, child): &(usize, &Child)| match partners.get(index).and_then(|at| theirs.get(*at)) {
            Some(partner) => partner.place() == child.place(),
            None => there.get(&child.place()) == Some(&child.digest),
        };
        let moved = ours.iter().enumerate().filter(|child| !is_in_place(child)).map(|(_, child)| child.place());
        let digests = |children: &[Child]| children.iter().map(|child| child.digest).collect::<Vec<_>>();
        let mut elements = varying(moved, [&digests(ours), &digests(theirs)], work)?;
        let mut words: Vec<u64> =
            self.counts.iter().filter(|(_, [ours, theirs])| ours != theirs).map(|(word, _)| *word).collect();
        sorting::sort(&mut words);
        elements.extend(words.into_iter().take(MAX_WORDS).map(Elements::Key));
        Ok(elements)
    }
}

/// Words whose number differs that are recorded.
const MAX_WORDS: usize = 256;

impl Child {
    fn place(&self) -> usize {
        continued(self.word, &self.number.to_le_bytes()) as usize
    }
}
