//! Compares two documents element by element, attribute by attribute. Owns the order in which differences are found, and their
//! places; `pairs` decides which elements belong together.

use std::cmp::Ordering;
use std::collections::HashMap;

use crossfade_journal::comparison::Class;

use super::pairs::{self, Pairs};
use super::place::{self, Step};
use super::selector::{BEGIN, Matching, Selector};
use super::siblings::Siblings;
use super::tokens::Attribute;
use super::tree::{NOTHING, Node, Placed, Tree};
use crate::content;
use crate::evidence::{Exact, continued};
use crate::findings::{Findings, Seen, Values};
use crate::lines::{self, seen};
use crate::matcher::Marks;
use crate::script;
use crate::spot::{Element, Inner, Spot};
use crate::work::{Stop, Work};

/// Cost of a pair of elements or attributes, in units of work.
const PAIR_WORK: usize = 16;
/// Bytes of a text that is compared word by word.
const MAX_WORDS: usize = 64 * 1024;

/// The selectors of the rules.
#[derive(Debug, Default)]
pub(super) struct Selectors<'r> {
    pub(super) ignore: Vec<&'r Selector>,
    pub(super) accepted: Vec<&'r Selector>,
    pub(super) redact: Vec<&'r Selector>,
}

pub(super) struct Walk<'t, 'r, 'f> {
    trees: [&'t Tree<'t>; 2],
    selectors: &'t Selectors<'r>,
    findings: &'f mut Findings<'r>,
    /// The rules that apply to the whole content.
    marks: Marks,
    frames: Vec<Frame>,
    /// Those of the frames, as far as they have been needed.
    steps: Vec<Step>,
    /// The exact place of the innermost pair, and those around it.
    exact: Exact,
    trail: Vec<Exact>,
    /// Number of them that are known by their content.
    loose: usize,
}

/// A pair of elements that is being compared.
struct Frame {
    nodes: [Node; 2],
    /// The numbers of its children, once they are needed.
    tables: [Option<Table>; 2],
}

/// For each element its number among those of the same name, and the number of those with the same word; sorted.
type Table = Vec<(Node, u32, u32)>;

/// A place in or at the innermost pair of elements.
#[derive(Clone, Copy)]
enum Part<'p> {
    Attribute(&'p str),
    /// A text, by its number among the texts.
    Text(usize, Element),
    Order,
    /// A child that only one document has.
    Child(usize, Node, Element),
}

/// A place with the rules that apply to it.
struct Here {
    pointer: String,
    at: Option<String>,
    marks: Marks,
}

impl<'t, 'r, 'f> Walk<'t, 'r, 'f> {
    pub(super) fn new(
        trees: [&'t Tree<'t>; 2],
        selectors: &'t Selectors<'r>,
        findings: &'f mut Findings<'r>,
        marks: Marks,
    ) -> Self {
        let exact = continued(findings.begin(), b"body");
        Walk {
            trees,
            selectors,
            findings,
            marks,
            frames: Vec::new(),
            steps: Vec::new(),
            exact,
            trail: Vec::new(),
            loose: 0,
        }
    }

    /// Reports all differences.
    pub(super) fn documents(&mut self) -> Result<(), Stop> {
        let [ours, theirs] = self.trees;
        self.of_document("doctype", ours.doctype(), theirs.doctype())?;
        let encoding = |tree: &Tree<'_>| tree.encoding.map_or_else(|| "utf-8".to_owned(), str::to_ascii_lowercase);
        self.of_document("encoding", Some(encoding(ours)), Some(encoding(theirs)))?;
        self.children(ours.roots().collect(), theirs.roots().collect())
    }

    /// Compares something that a document declares.
    fn of_document(&mut self, name: &str, ours: Option<String>, theirs: Option<String>) -> Result<(), Stop> {
        if ours == theirs {
            return Ok(());
        }
        let class = match (&ours, &theirs) {
            (Some(_), None) => Class::Missing,
            (None, Some(_)) => Class::Extra,
            _ => Class::Value,
        };
        let pointer = format!("{BEGIN}:root @{name}");
        let spot = Spot::Other(&Inner { pointer: &pointer, at: None, above: &[] });
        let seen = |value: &Option<String>| value.clone().map_or(Seen::Absent, |value| Seen::Text(value.into()));
        self.findings.report(class, &spot, self.marks, &|| Values::of(seen(&ours), seen(&theirs)))
    }

    fn elements(&mut self, ours: Node, theirs: Node, element: Element) -> Result<(), Stop> {
        let [one, other] = self.trees;
        if one.digest(ours) == other.digest(theirs) {
            return Ok(());
        }
        self.findings.work.spend(PAIR_WORK)?;
        let outside = self.frames.last().map(|frame| frame.nodes);
        let (sequence, depth) = (self.exact, self.trail.len());
        self.trail.push(sequence);
        self.exact = element.exact(sequence, &mut self.trail);
        self.trail.extend(composition(element, sequence));
        let is_loose = matches!(element, Element::Loose(_));
        self.loose += usize::from(is_loose);
        self.frames.push(Frame { nodes: [ours, theirs], tables: [None, None] });
        let spaces = [one.space(ours), other.space(theirs)];
        let is_inherited =
            outside.is_some_and(|[one_above, other_above]| spaces == [one.space(one_above), other.space(other_above)]);
        if spaces[0] != spaces[1] && !is_inherited {
            self.report(Class::Value, Part::Attribute("xmlns"), &Values::unknown)?;
        }
        self.attributes(ours, theirs)?;
        self.children(one.children(ours).collect(), other.children(theirs).collect())?;
        self.frames.pop();
        self.steps.truncate(self.frames.len());
        self.exact = sequence;
        self.trail.truncate(depth);
        self.loose -= usize::from(is_loose);
        Ok(())
    }

    fn attributes(&mut self, ours: Node, theirs: Node) -> Result<(), Stop> {
        let [one, other] = self.trees;
        let tags = [one.folded_name(ours), other.folded_name(theirs)];
        let (mut left, mut right) =
            (one.attributes(ours).iter().peekable(), other.attributes(theirs).iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(left), Some(right)) => order([one, other], [left, right]),
            };
            let ours = if order.is_le() { left.next() } else { None };
            let theirs = if order.is_ge() { right.next() } else { None };
            let Some(name) =
                ours.map(|ours| one.attribute_name(ours)).or(theirs.map(|theirs| other.attribute_name(theirs)))
            else {
                continue;
            };
            let lengths = [ours.map(|ours| one.raw_value(ours)), theirs.map(|theirs| other.raw_value(theirs))];
            self.findings.work.spend(PAIR_WORK + lengths.iter().flatten().map(|value| value.len()).sum::<usize>())?;
            let value = ours.and_then(|ours| one.value(&tags[0], ours));
            let others = theirs.and_then(|theirs| other.value(&tags[1], theirs));
            match (value, others) {
                (None, None) => {}
                (Some(value), Some(others)) => {
                    self.values(Class::Value, Part::Attribute(name), &value, &others)?;
                }
                (Some(value), None) => {
                    let values = || Values::of(seen(&value), Seen::Absent);
                    self.report(Class::Missing, Part::Attribute(name), &values)?;
                }
                (None, Some(others)) => {
                    let values = || Values::of(Seen::Absent, seen(&others));
                    self.report(Class::Extra, Part::Attribute(name), &values)?;
                }
            }
        }
    }

    /// Compares two texts: their content, if it has places of its own, or the texts as such.
    fn values(&mut self, class: Class, part: Part<'_>, ours: &str, theirs: &str) -> Result<(), Stop> {
        // The digests of texts have shown already that they are not equal as a whole.
        let is_long = matches!(part, Part::Text(..)) && ours.len().max(theirs.len()) > MAX_WORDS;
        if !is_long && lines::are_equal(ours, theirs, self.findings)? {
            return Ok(());
        }
        let here = self.here(part)?;
        if here.marks.is_ignored {
            return Ok(());
        }
        let (trail, exact, is_loose) = self.exact(part)?;
        let inner = Inner { pointer: &here.pointer, at: here.at.as_deref(), above: &[] };
        let spot = Spot::Exact(&inner, &trail, exact, is_loose);
        if matches!(part, Part::Text(..)) && self.is_script() && !ours.starts_with(['{', '[']) {
            let compare = |findings: &mut Findings<'r>| script::compare(ours, theirs, findings);
            if self.findings.inside(&spot, here.marks, compare)?.is_some() {
                return Ok(());
            }
        }
        if content::compare_inside(&spot, here.marks, ours, theirs, self.findings)? {
            return Ok(());
        }
        content::report_text(class, [&spot; 2], here.marks, [ours, theirs], seen, self.findings)
    }

    /// Returns `true` in an element whose text is a script.
    fn is_script(&self) -> bool {
        let [ours, _] = self.trees;
        self.frames.last().is_some_and(|frame| ours.is_html && ours.folded_name(frame.nodes[0]) == "script")
    }

    fn children(&mut self, ours: Vec<Node>, theirs: Vec<Node>) -> Result<(), Stop> {
        let trees = self.trees;
        let work = self.findings.work;
        work.spend(ours.len() + theirs.len())?;
        let counting = |tree: &Tree<'_>, nodes: Vec<Node>| -> Vec<Node> {
            nodes.into_iter().filter(|node| tree.digest(*node) != NOTHING).collect()
        };
        let (ours, theirs) = (counting(trees[0], ours), counting(trees[1], theirs));
        let Pairs { mut different, ours: only_ours, theirs: only_theirs, is_reordered } =
            pairs::pair(trees, [&ours, &theirs], work)?;
        if different.is_empty() && only_ours.is_empty() && only_theirs.is_empty() && !is_reordered {
            return Ok(());
        }
        let siblings = Siblings::new(trees, [&ours, &theirs], work)?;
        let varying = siblings.varying(&different, work)?;
        self.findings.vary_at(&self.trail, self.exact, &varying)?;
        let singles = only_ours.iter().map(|index| [Some(*index), None]);
        let singles = singles.chain(only_theirs.iter().map(|index| [None, Some(*index)]));
        let pairs = different.iter().map(|(one, other)| [Some(*one), Some(*other)]);
        if singles.chain(pairs).any(|indices| matches!(siblings.element(indices), Element::Loose(_))) {
            let composition = composition(Element::At(0), self.exact).unwrap_or_default();
            self.findings.vary_here(&self.trail, composition);
        }
        let is_other = |(one, other): &(usize, usize)| {
            let (Some(left), Some(right)) = (ours.get(*one), theirs.get(*other)) else { return false };
            let is_alike = matches!(siblings.element([Some(*one), Some(*other)]), Element::At(_) | Element::Loose(_));
            is_alike && pairs::label(trees[0], *left) != pairs::label(trees[1], *right)
        };
        if !only_ours.is_empty() || !only_theirs.is_empty() || different.iter().any(is_other) {
            self.findings.vary_here(&self.trail, continued(self.exact, b"contents"));
        }
        for (side, (items, only)) in [(&ours, only_ours), (&theirs, only_theirs)].into_iter().enumerate() {
            for index in only {
                let Some(node) = items.get(index).copied() else { continue };
                let element = siblings.element(if side == 0 { [Some(index), None] } else { [None, Some(index)] });
                self.single(side, node, items, index, element)?;
            }
        }
        work.spend(PAIR_WORK * (ours.len() + theirs.len()))?;
        let orders = [pairs::order(trees[0], &ours), pairs::order(trees[1], &theirs)];
        if is_reordered {
            let seen =
                |(shown, digest): &(String, u64)| Seen::Digested { shown: shown.clone().into(), digest: *digest };
            self.report(Class::Order, Part::Order, &|| Values::of(seen(&orders[0]), seen(&orders[1])))?;
        } else if orders[0].1 != orders[1].1 {
            // Whether elements have another order depends on those that both documents have.
            self.findings.vary_order_at(&self.trail, continued(self.exact, b"order"));
        }
        // The content of a page says more than its head.
        if self.frames.len() == 1 && trees[0].is_html {
            different.reverse();
        }
        for (one, other) in different {
            let (Some(left), Some(right)) = (ours.get(one).copied(), theirs.get(other).copied()) else { continue };
            let element = siblings.element([Some(one), Some(other)]);
            if trees[0].is_text(left) {
                work.spend(trees[0].length(left) + trees[1].length(right))?;
                let number = number_of_text(trees[0], &ours, one);
                work.spend(one)?;
                let (text, other) = (trees[0].text(left), trees[1].text(right));
                self.values(Class::Text, Part::Text(number, element), &text, &other)?;
            } else {
                self.elements(left, right, element)?;
            }
        }
        Ok(())
    }

    /// Reports an element or a text that only one document has.
    fn single(&mut self, side: usize, node: Node, items: &[Node], index: usize, element: Element) -> Result<(), Stop> {
        let Some(tree) = self.trees.get(side).copied() else { return Ok(()) };
        let values = |seen| if side == 0 { Values::of(seen, Seen::Absent) } else { Values::of(Seen::Absent, seen) };
        if tree.is_text(node) {
            self.findings.work.spend(tree.length(node) + index)?;
            let number = number_of_text(tree, items, index);
            let text = tree.text(node);
            return self.report(Class::Text, Part::Text(number, element), &|| values(seen(&text)));
        }
        let class = if side == 0 { Class::Missing } else { Class::Extra };
        let shown = || Seen::Digested { shown: pairs::outline(tree, node).into(), digest: tree.digest(node) };
        self.report(class, Part::Child(side, node, element), &|| values(shown()))
    }

    fn report<'v>(&mut self, class: Class, part: Part<'_>, values: &dyn Fn() -> Values<'v>) -> Result<(), Stop> {
        let here = self.here(part)?;
        let (trail, exact, is_loose) = self.exact(part)?;
        let inner = Inner { pointer: &here.pointer, at: here.at.as_deref(), above: &[] };
        self.findings.report(class, &Spot::Exact(&inner, &trail, exact, is_loose), here.marks, values)
    }

    /// Returns the exact places around a part, its own, and `true` if one of them is known by its content.
    fn exact(&self, part: Part<'_>) -> Result<(Vec<Exact>, Exact, bool), Stop> {
        self.findings.work.spend(self.trail.len())?;
        let mut trail = self.trail.clone();
        trail.push(self.exact);
        let exact = match part {
            Part::Attribute(name) => continued(continued(self.exact, b"@"), name.as_bytes()),
            Part::Text(_, element) | Part::Child(_, _, element) => {
                trail.extend(composition(element, self.exact));
                if matches!(element, Element::Loose(_)) {
                    trail.push(continued(self.exact, b"contents"));
                }
                element.exact(self.exact, &mut trail)
            }
            Part::Order => continued(self.exact, b"order"),
        };
        let is_loose = matches!(part, Part::Text(_, Element::Loose(_)) | Part::Child(_, _, Element::Loose(_)));
        Ok((trail, exact, is_loose || self.loose > 0))
    }

    /// Returns a place with the rules that apply to it, and writes down those of the elements around it.
    fn here(&mut self, part: Part<'_>) -> Result<Here, Stop> {
        while self.steps.len() < self.frames.len() {
            let depth = self.steps.len();
            let Some(node) = self.frames.get(depth).map(|frame| frame.nodes[0]) else { break };
            let step = self.step(depth, 0, node)?;
            self.steps.push(step);
        }
        if let Part::Child(side, node, _) = part {
            let step = self.step(self.frames.len(), side, node)?;
            self.steps.push(step);
        }
        let exact = place::exact(&self.steps);
        // There is no telling which of the elements that look alike it is.
        if let (Part::Child(_, _, Element::Loose(_)), Some(step)) = (part, self.steps.last_mut()) {
            step.alike = u32::MAX;
        }
        let pointer = place::pointer(&self.steps);
        if let Part::Child(..) = part {
            self.steps.pop();
        }
        let (pointer, exact) = match part {
            Part::Attribute(name) => {
                let name = if place::is_stable(name) { name } else { "*" };
                (format!("{BEGIN}{pointer} @{name}"), format!("{BEGIN}{exact} @{name}"))
            }
            Part::Text(number @ 1.., _) => {
                (format!("{BEGIN}{pointer}"), format!("{BEGIN}{exact} (text {})", number + 1))
            }
            Part::Text(..) => (format!("{BEGIN}{pointer}"), format!("{BEGIN}{exact}")),
            Part::Order => (format!("{BEGIN}{pointer}"), format!("{BEGIN}{exact}")),
            Part::Child(..) => (format!("{BEGIN}{pointer}"), format!("{BEGIN}{exact}")),
        };
        self.findings.work.spend(exact.len())?;
        let marks = self.marks_of(part)?;
        Ok(Here { at: (exact != pointer).then_some(exact), pointer, marks })
    }

    /// Returns the step to an element: that of a frame, or a child of the innermost.
    fn step(&mut self, depth: usize, side: usize, node: Node) -> Result<Step, Stop> {
        let Some(tree) = self.trees.get(side).copied() else { return Ok(Step::default()) };
        let work = self.findings.work;
        let (word, has_id) = place::word(tree, node);
        let (mut nth, mut alike) = (1, 1);
        if let Some(frame) = depth.checked_sub(1).and_then(|above| self.frames.get_mut(above))
            && let (Some(parent), Some(slot)) = (frame.nodes.get(side), frame.tables.get_mut(side))
        {
            if slot.is_none() {
                *slot = Some(table(tree, *parent, work)?);
            }
            let table = slot.as_deref().unwrap_or_default();
            let found = table.binary_search_by_key(&node, |(node, _, _)| *node).ok().and_then(|at| table.get(at));
            (nth, alike) = found.map_or((1, 1), |(_, nth, alike)| (*nth, *alike));
        }
        let is_landmark = tree.is_html && matches!(&*tree.folded_name(node), "body" | "head" | "main");
        Ok(Step { word, nth, alike, is_start: alike == 1 && (has_id || is_landmark) })
    }

    fn marks_of(&self, part: Part<'_>) -> Result<Marks, Stop> {
        Ok(Marks {
            is_ignored: self.marks.is_ignored || self.is_covered(&self.selectors.ignore, part)?,
            is_accepted: self.marks.is_accepted || self.is_covered(&self.selectors.accepted, part)?,
            is_redacted: self.marks.is_redacted || self.is_covered(&self.selectors.redact, part)?,
        })
    }

    /// Returns `true` if a selector covers the place in either document.
    fn is_covered(&self, selectors: &[&Selector], part: Part<'_>) -> Result<bool, Stop> {
        if selectors.is_empty() {
            return Ok(false);
        }
        let work = self.findings.work;
        for (side, tree) in self.trees.into_iter().enumerate() {
            let mut matching = Matching::new(selectors.iter().copied());
            let child = match part {
                Part::Child(of, node, _) if of == side => Some(node),
                Part::Child(..) => continue,
                _ => None,
            };
            let frames = self.frames.iter().filter_map(|frame| frame.nodes.get(side).copied());
            let mut is_covered = false;
            for (depth, node) in frames.chain(child).enumerate() {
                is_covered = matching.enter(&Placed { tree, node, is_root: depth == 0 }, work)?;
            }
            if is_covered || matches!(part, Part::Attribute(name) if matching.is_attribute(name)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Returns the place that says which elements that look alike there are, in the given sequence. If these vary when the request is
/// repeated, there is no telling which of them are the same.
fn composition(element: Element, sequence: Exact) -> Option<Exact> {
    let is_alike = matches!(element, Element::At(_) | Element::Loose(_));
    is_alike.then(|| continued(sequence, b"composition"))
}

/// Returns the numbers of an element's children.
fn table(tree: &Tree<'_>, parent: Node, work: &Work<'_>) -> Result<Table, Stop> {
    let (mut names, mut words) = (HashMap::<u64, u32>::new(), HashMap::<u64, u32>::new());
    let mut rows = Vec::new();
    for node in tree.children(parent).filter(|node| !tree.is_text(*node)) {
        work.spend(4 * PAIR_WORK)?;
        let word = pairs::hash(&place::word(tree, node).0);
        let nth = names.entry(pairs::hash(&tree.folded_name(node))).or_default();
        *nth = nth.saturating_add(1);
        let alike = words.entry(word).or_default();
        *alike = alike.saturating_add(1);
        rows.push((node, *nth, word));
    }
    Ok(rows.into_iter().map(|(node, nth, word)| (node, nth, words.get(&word).copied().unwrap_or(1))).collect())
}

/// Returns the number of texts before one of the children.
fn number_of_text(tree: &Tree<'_>, items: &[Node], index: usize) -> usize {
    items.iter().take(index).filter(|node| tree.is_text(**node)).count()
}

fn order(trees: [&Tree<'_>; 2], [one, other]: [&Attribute; 2]) -> Ordering {
    let (left, right) = (trees[0].attribute_name(one), trees[1].attribute_name(other));
    let lower = |byte: u8| if trees[0].is_html { byte.to_ascii_lowercase() } else { byte };
    one.space.cmp(&other.space).then_with(|| left.bytes().map(lower).cmp(right.bytes().map(lower)))
}
