//! Compares two JSON documents side by side. Owns equality in JSON, the pairing of array elements, and the detection of
//! member names that are data; `json` owns the tree.

use std::cmp::Ordering;

use crossfade_journal::comparison::Class;

use crate::endpoint;
use crate::findings::{Findings, Seen, Values};
use crate::json::{Node, Number, Tree, Value};
use crate::matcher::Matcher;
use crate::rules::{Tolerance, Unordered};
use crate::shown;
use crate::spot::{PathStep, Spot};
use crate::treat_equal::TreatEqual;
use crate::work::{Stop, Work};

/// Objects with more members, and different ones, are treated as maps whose names are data.
const MAX_NAMES: usize = 50;
/// Longer names are data.
const MAX_NAME: usize = 64;
/// Cost of visiting a pair of values, in units of work.
const PAIR_WORK: usize = 8;

/// Reports all differences.
pub(crate) fn compare(primary: &mut Tree<'_>, mirror: &mut Tree<'_>, findings: &mut Findings<'_>) -> Result<(), Stop> {
    let (rules, work) = (findings.rules, findings.work);
    primary.fill_digests(rules, work)?;
    mirror.fill_digests(rules, work)?;
    let matcher = Matcher::new(rules, findings.now);
    let kinds = &rules.treat_equal;
    Walk { ours: primary, theirs: mirror, kinds, work, matcher, findings, path: Vec::new(), silent: None }
        .values(Tree::ROOT, Tree::ROOT)
}

struct Walk<'a, 'r, 'f> {
    ours: &'a Tree<'a>,
    theirs: &'a Tree<'a>,
    kinds: &'r [TreatEqual],
    work: &'r Work<'r>,
    matcher: Matcher<'r>,
    findings: &'f mut Findings<'r>,
    path: Vec<PathStep<'a>>,
    /// If set, nothing is reported, and this becomes `true` at the first difference.
    silent: Option<bool>,
}

/// A key that pairs elements of two arrays, and the index of the element.
type Keyed = (u64, u32);
/// Key of elements that pair with nothing.
const NO_KEY: u64 = u64::MAX;

impl<'a> Walk<'a, '_, '_> {
    fn values(&mut self, primary: Node, mirror: Node) -> Result<(), Stop> {
        if self.silent == Some(true) || self.matcher.marks().is_ignored {
            return Ok(());
        }
        self.work.spend(PAIR_WORK)?;
        let is_same = match (self.ours.value(primary), self.theirs.value(mirror)) {
            (Value::Array(ours), Value::Array(theirs)) => return self.arrays([primary, mirror], [ours, theirs]),
            (Value::Object(_), Value::Object(_)) => return self.objects(primary, mirror),
            (Value::Null, Value::Null) => true,
            (Value::Bool(one), Value::Bool(other)) => one == other,
            (Value::Number(one), Value::Number(other)) => self.is_same_number(one, other),
            (Value::Text(one), Value::Text(other)) => {
                self.work.spend(one.len() + other.len() * self.kinds.len())?;
                one == other || self.kinds.iter().any(|kind| kind.fits(one) && kind.fits(other))
            }
            _ => return self.report_type(primary, mirror),
        };
        if is_same { Ok(()) } else { self.report_value(primary, mirror) }
    }

    fn is_same_number(&self, one: Number, other: Number) -> bool {
        if one.is_same(other) {
            return true;
        }
        let (one, other) = (one.as_f64(), other.as_f64());
        self.kinds.iter().any(|kind| kind.fits_number(one) && kind.fits_number(other))
            || self.matcher.tolerance().is_some_and(|tolerance| is_within(tolerance, one, other))
    }

    fn enter(&mut self, step: PathStep<'a>) -> Result<(), Stop> {
        self.matcher.enter(&step, self.work)?;
        self.path.push(step);
        Ok(())
    }

    fn leave(&mut self) {
        self.matcher.leave();
        self.path.pop();
    }

    fn objects(&mut self, primary: Node, mirror: Node) -> Result<(), Stop> {
        let (trees, work) = ((self.ours, self.theirs), self.work);
        let (ours, theirs) = (trees.0.names(primary, work)?, trees.1.names(mirror, work)?);
        let is_map = ours.len().max(theirs.len()) > MAX_NAMES
            && !ours.iter().map(|name| trees.0.name(*name)).eq(theirs.iter().map(|name| trees.1.name(*name)));
        let in_order = |one: &Node, other: &Node| trees.0.name(*one).cmp(trees.1.name(*other));
        for (primary, mirror) in merged(&ours, &theirs, in_order) {
            let name = match (primary, mirror) {
                (Some(name), _) => trees.0.name(*name),
                (None, Some(name)) => trees.1.name(*name),
                (None, None) => continue,
            };
            let is_folded = is_map || name.len() > MAX_NAME || endpoint::is_id(name);
            self.enter(PathStep::Name { name, is_folded })?;
            match (primary.map(|name| Tree::value_of(*name)), mirror.map(|name| Tree::value_of(*name))) {
                (Some(primary), Some(mirror)) => self.values(primary, mirror)?,
                (Some(primary), None) => self.report(Class::Missing, Some(primary), None)?,
                (None, mirror) => self.report(Class::Extra, None, mirror)?,
            }
            self.leave();
        }
        Ok(())
    }

    fn arrays(&mut self, arrays: [Node; 2], counts: [usize; 2]) -> Result<(), Stop> {
        if let Some(unordered) = self.matcher.unordered() {
            return self.unordered(arrays, counts, unordered);
        }
        if counts[0] != counts[1] {
            return self.report_count(counts);
        }
        if self.is_reordered(arrays)? {
            return self.report(Class::Order, None, None);
        }
        let [primary, mirror] = arrays;
        let (ours, theirs) = (self.ours, self.theirs);
        self.pairs(ours.children(primary).zip(theirs.children(mirror)).enumerate())
    }

    /// Compares pairs of elements; the index is that of the primary's element.
    fn pairs(&mut self, pairs: impl Iterator<Item = (usize, (Node, Node))>) -> Result<(), Stop> {
        for (index, (primary, mirror)) in pairs {
            self.enter(PathStep::Index { index, is_folded: true })?;
            self.values(primary, mirror)?;
            self.leave();
        }
        Ok(())
    }

    /// Returns `true` if two arrays have the same elements at different places.
    fn is_reordered(&mut self, arrays: [Node; 2]) -> Result<bool, Stop> {
        // In silent mode another order is a difference, and its class does not matter.
        if self.silent.is_some() {
            return Ok(false);
        }
        let (ours, theirs, work) = (self.ours, self.theirs, self.work);
        let (mut sums, mut is_in_place) = ([0_u64; 2], true);
        for (index, (one, other)) in ours.children(arrays[0]).zip(theirs.children(arrays[1])).enumerate() {
            let digests = [self.digest(ours, index, one)?, self.digest(theirs, index, other)?];
            is_in_place &= digests[0] == digests[1];
            sums = [sums[0].wrapping_add(digests[0]), sums[1].wrapping_add(digests[1])];
        }
        // Equal elements have equal sums, which need no memory.
        if is_in_place || sums[0] != sums[1] {
            return Ok(false);
        }
        let [items, others] = [ours.children(arrays[0]).collect::<Vec<_>>(), theirs.children(arrays[1]).collect()];
        let left = keyed(&items, work, |index, item| self.digest(ours, index, item))?;
        let right = keyed(&others, work, |index, item| self.digest(theirs, index, item))?;
        if !left.iter().map(|(key, _)| key).eq(right.iter().map(|(key, _)| key)) {
            return Ok(false);
        }
        // Digests may collide, so compare the elements.
        self.silent = Some(false);
        let pairs = left.iter().zip(&right).map(|((_, one), (_, other))| paired(*one, *other));
        self.pairs(pairs.filter_map(|pair| at(&items, &others, pair)))?;
        Ok(self.silent.take() == Some(false))
    }

    /// Returns a number that is the same for equal elements, and for all ignored ones.
    fn digest(&mut self, tree: &Tree<'_>, index: usize, item: Node) -> Result<u64, Stop> {
        self.work.spend(PAIR_WORK + text_of(tree, item))?;
        self.matcher.enter(&PathStep::Index { index, is_folded: true }, self.work)?;
        let is_ignored = self.matcher.marks().is_ignored;
        self.matcher.leave();
        Ok(if is_ignored { 0 } else { tree.digest(item, self.kinds) })
    }

    /// Compares elements with the same key, wherever they are, and the remaining ones in their order.
    fn unordered(&mut self, arrays: [Node; 2], counts: [usize; 2], rule: &Unordered) -> Result<(), Stop> {
        let (ours, theirs, work) = (self.ours, self.theirs, self.work);
        let mut key_in = |tree: &Tree<'_>, index: usize, item: Node| {
            let Some(name) = &rule.by else {
                return Ok(self.digest(tree, index, item)?.min(NO_KEY - 1));
            };
            let Value::Object(count) = tree.value(item) else { return Ok(NO_KEY) };
            work.spend(count)?;
            let Some(member) = tree.member(item, name) else { return Ok(NO_KEY) };
            work.spend(text_of(tree, member))?;
            // The value itself, not what counts as equal to it.
            Ok(tree.key(member).map_or(NO_KEY, |key| key.min(NO_KEY - 1)))
        };
        let [items, others] = [ours.children(arrays[0]).collect::<Vec<_>>(), theirs.children(arrays[1]).collect()];
        let left = keyed(&items, work, |index, item| key_in(ours, index, item))?;
        let right = keyed(&others, work, |index, item| key_in(theirs, index, item))?;
        let (mut pairs, mut only_ours, mut only_theirs) = (Vec::new(), Vec::new(), Vec::new());
        for (one, other) in merged(&left, &right, |(one, _), (other, _)| one.cmp(other)) {
            match (one, other) {
                (Some((key, one)), Some((_, other))) if *key != NO_KEY => pairs.push(paired(*one, *other)),
                (one, other) => {
                    only_ours.extend(one.map(|(_, index)| u64::from(*index)));
                    only_theirs.extend(other.map(|(_, index)| u64::from(*index)));
                }
            }
        }
        drop((left, right));
        if counts[0] == counts[1] {
            only_ours.sort_unstable();
            only_theirs.sort_unstable();
            pairs.extend(only_ours.into_iter().zip(only_theirs).map(|(one, other)| paired(one as u32, other as u32)));
        } else {
            self.report_count(counts)?;
        }
        pairs.sort_unstable();
        self.pairs(pairs.into_iter().filter_map(|pair| at(&items, &others, pair)))
    }

    fn report(&mut self, class: Class, primary: Option<Node>, mirror: Option<Node>) -> Result<(), Stop> {
        let (ours, theirs) = (self.ours, self.theirs);
        self.note(class, &|| Values::of(seen(ours, primary), seen(theirs, mirror)))
    }

    fn report_value(&mut self, primary: Node, mirror: Node) -> Result<(), Stop> {
        let (ours, theirs) = (self.ours, self.theirs);
        let distance = match (ours.value(primary), theirs.value(mirror)) {
            (Value::Number(one), Value::Number(other)) => {
                let (one, other) = (one.as_f64(), other.as_f64());
                let distance = (one - other).abs();
                Some([distance, distance / one.abs().max(other.abs()).max(f64::MIN_POSITIVE)])
            }
            _ => None,
        };
        let seen = || [seen(ours, Some(primary)), seen(theirs, Some(mirror))];
        self.note(Class::Value, &|| Values { seen: seen(), distance })
    }

    /// Texts are quoted, since `"1"` is not 1.
    fn report_type(&mut self, primary: Node, mirror: Node) -> Result<(), Stop> {
        let value = |tree: &'a Tree<'_>, node| match tree.value(node) {
            Value::Text(text) => Seen::Text(format!("\"{}\"", shown::head(text)).into()),
            _ => seen(tree, Some(node)),
        };
        let (ours, theirs) = (self.ours, self.theirs);
        self.note(Class::Type, &|| Values::of(value(ours, primary), value(theirs, mirror)))
    }

    fn report_count(&mut self, counts: [usize; 2]) -> Result<(), Stop> {
        self.note(Class::Length, &|| Values::texts(counts[0].to_string(), counts[1].to_string()))
    }

    fn note<'v>(&mut self, class: Class, values: &dyn Fn() -> Values<'v>) -> Result<(), Stop> {
        let marks = self.matcher.marks();
        match &mut self.silent {
            Some(differs) => *differs |= !marks.is_ignored,
            None => self.findings.report(class, &Spot::Json(&self.path), marks, values)?,
        }
        Ok(())
    }
}

/// Returns a value for a record; an array or object with the digest of its content.
fn seen<'t>(tree: &'t Tree<'_>, node: Option<Node>) -> Seen<'t> {
    match node {
        None => Seen::Absent,
        Some(node) => match tree.value(node) {
            Value::Array(_) | Value::Object(_) => {
                Seen::Digested { shown: tree.shown(node), digest: tree.digest(node, &[]) }
            }
            _ => Seen::Text(tree.shown(node)),
        },
    }
}

/// Returns the length of a text, as work.
fn text_of(tree: &Tree<'_>, node: Node) -> usize {
    if let Value::Text(text) = tree.value(node) { text.len() } else { 0 }
}

/// Returns the elements' keys and indices, sorted.
fn keyed(
    items: &[Node],
    work: &Work<'_>,
    mut key: impl FnMut(usize, Node) -> Result<u64, Stop>,
) -> Result<Vec<Keyed>, Stop> {
    work.spend(items.len() * (PAIR_WORK + items.len().checked_ilog2().unwrap_or(0) as usize))?;
    let mut keys = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        keys.push((key(index, *item)?, index as u32));
    }
    keys.sort_unstable();
    Ok(keys)
}

/// Packs a pair of indices into one number, so that pairs, indices and digests share the sorting code.
fn paired(one: u32, other: u32) -> u64 {
    u64::from(one) << 32 | u64::from(other)
}

/// Returns the elements of a pair, with the index of the first.
fn at(ours: &[Node], theirs: &[Node], pair: u64) -> Option<(usize, (Node, Node))> {
    let (one, other) = ((pair >> 32) as usize, pair as u32 as usize);
    Some((one, (*ours.get(one)?, *theirs.get(other)?)))
}

/// Merges two sorted lists into pairs of equal keys and single entries.
fn merged<'i, T>(
    ours: &'i [T],
    theirs: &'i [T],
    order: impl Fn(&T, &T) -> Ordering,
) -> impl Iterator<Item = (Option<&'i T>, Option<&'i T>)> {
    let (mut left, mut right) = (ours.iter().peekable(), theirs.iter().peekable());
    std::iter::from_fn(move || {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => order(one, other),
        };
        let one = if order.is_le() { left.next() } else { None };
        Some((one, if order.is_ge() { right.next() } else { None }))
    })
}

fn is_within(tolerance: Tolerance, one: f64, other: f64) -> bool {
    let distance = (one - other).abs();
    let limit = match tolerance {
        Tolerance::Absolute(limit) => limit,
        Tolerance::Relative(share) => share * one.abs().max(other.abs()),
    };
    // 1.01 is 0.01 from 1, though its float is slightly more.
    distance <= limit + 4.0 * f64::EPSILON * one.abs().max(other.abs())
}
