//! Pairs the elements of two arrays. Owns the choice of the member that identifies elements, and the order in which elements
//! are paired; `walk` compares the pairs.
//!
//! Elements are paired by the member that identifies them, if there is one; otherwise equal elements are paired wherever
//! they are, and the rest in order. So a list in another order, with one price changed, differs in its order and in that
//! price.

use std::collections::HashSet;

use crate::align::{Aligned, align, longest_run};
use crate::json::{Node, Tree, Value};
use crate::sorting;
use crate::spot::{self, Elements};
use crate::work::{Stop, Work};

/// Cost of looking at an element, in units of work.
const ELEMENT_WORK: usize = 8;
/// Members of the first element that may identify elements, and those that are tried.
const MAX_MEMBERS: (usize, usize) = (64, 5);
/// Names of members that identify elements, the best first. Others that end like one of [`ENDINGS`] follow.
const IDENTIFIERS: [&str; 25] = [
    "id", "_id", "@id", "uuid", "guid", "key", "code", "sku", "isbn", "ean", "slug", "handle", "username", "email",
    "name", "href", "url", "path", "title", "label", "date", "day", "time", "rel", "type",
];
const ENDINGS: [&str; 8] = ["id", "Id", "ID", "key", "Key", "code", "Code", "number"];

/// The pairs of two arrays.
#[derive(Debug, Default)]
pub(super) struct Pairing<'t> {
    /// Indices of elements that belong together, in the order of the primary's.
    pub(super) pairs: Vec<(usize, usize)>,
    /// Elements that only the primary has, and those that only the mirror has.
    pub(super) ours: Vec<usize>,
    pub(super) theirs: Vec<usize>,
    /// The member that identifies elements.
    pub(super) by: Option<&'t str>,
}

impl Pairing<'_> {
    /// Returns `true` if every element has a partner.
    pub(super) fn has_same_elements(&self) -> bool {
        self.ours.is_empty() && self.theirs.is_empty()
    }

    /// Returns `true` if the pairs are in another order in the mirror's array.
    pub(super) fn is_reordered(&self) -> bool {
        let theirs: Vec<usize> = self.pairs.iter().map(|(_, other)| *other).collect();
        !theirs.is_sorted() && longest_run(&theirs).len() < theirs.len()
    }
}

/// Pairs elements by the value of a member. Elements without it, or with one that occurs twice, are paired in order.
pub(super) fn by_member<'t>(
    name: &'t str,
    ours: (&Tree<'_>, &[Node]),
    theirs: (&Tree<'_>, &[Node]),
    work: &Work<'_>,
) -> Result<Pairing<'t>, Stop> {
    let (left, right) = (keys(name, ours, work)?, keys(name, theirs, work)?);
    let mut pairing = by_key(&left, &right, work)?;
    // Elements without a key, and repeated keys, have no other partner than the one at the same place among them.
    let has_key = |keys: &[Option<u64>], at: &usize| keys.get(*at).copied().flatten().is_some();
    let keyed = |keys: &[Option<u64>]| keys.iter().flatten().copied().collect::<HashSet<u64>>();
    let (known, others) = (keyed(&left), keyed(&right));
    let is_partnerless = |keys: &[Option<u64>], opposite: &HashSet<u64>, at: &usize| {
        !has_key(keys, at) || keys.get(*at).copied().flatten().is_some_and(|key| opposite.contains(&key))
    };
    let (loose, only_ours): (Vec<_>, Vec<_>) =
        pairing.ours.drain(..).partition(|at| is_partnerless(&left, &others, at));
    let (opposite, only_theirs): (Vec<_>, Vec<_>) =
        pairing.theirs.drain(..).partition(|at| is_partnerless(&right, &known, at));
    let shared = loose.len().min(opposite.len());
    pairing.pairs.extend(loose.iter().copied().zip(opposite.iter().copied()));
    sorting::sort(&mut pairing.pairs);
    pairing.ours = only_ours.into_iter().chain(loose.into_iter().skip(shared)).collect();
    pairing.theirs = only_theirs.into_iter().chain(opposite.into_iter().skip(shared)).collect();
    pairing.by = Some(name);
    Ok(pairing)
}

/// Returns the member that identifies the elements of both arrays: one that every element has, with a value that is unique
/// in its array and that at least half of the shorter array shares with the other.
pub(super) fn identity<'t>(
    ours: (&'t Tree<'_>, &[Node]),
    theirs: (&'t Tree<'_>, &[Node]),
    work: &Work<'_>,
) -> Result<Option<&'t str>, Stop> {
    // Of an empty array every member could be the one.
    let (tree, first) = match (ours.1.first(), theirs.1.first()) {
        (Some(first), _) => (ours.0, *first),
        (None, Some(first)) => (theirs.0, *first),
        (None, None) => return Ok(None),
    };
    let Value::Object(count) = tree.value(first) else { return Ok(None) };
    work.spend(ELEMENT_WORK * count.min(MAX_MEMBERS.0))?;
    let names = tree.children(first).take(MAX_MEMBERS.0).map(|name| tree.name(name));
    let mut ranked: Vec<(usize, &str)> = names.filter_map(|name| Some((rank(name)?, name))).collect();
    sorting::sort(&mut ranked);
    for (_, name) in ranked.into_iter().take(MAX_MEMBERS.1) {
        let (left, right) = (keys(name, ours, work)?, keys(name, theirs, work)?);
        let (Some(left), Some(right)) = (unique(&left), unique(&right)) else { continue };
        if left.intersection(&right).count() * 2 >= left.len().min(right.len()) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn rank(name: &str) -> Option<usize> {
    let listed = IDENTIFIERS.iter().position(|known| known.eq_ignore_ascii_case(name));
    listed.or_else(|| ENDINGS.iter().any(|end| name.ends_with(end)).then_some(IDENTIFIERS.len()))
}

/// Returns the keys if every element has one of its own.
fn unique(keys: &[Option<u64>]) -> Option<HashSet<u64>> {
    let all: HashSet<u64> = keys.iter().copied().collect::<Option<_>>()?;
    (all.len() == keys.len()).then_some(all)
}

/// Returns the value of a member of each element, as a hash; `None` if it is not a text, number or boolean.
fn keys(name: &str, (tree, items): (&Tree<'_>, &[Node]), work: &Work<'_>) -> Result<Vec<Option<u64>>, Stop> {
    let key = |item: &Node| {
        let Value::Object(count) = tree.value(*item) else { return Ok(None) };
        work.spend(ELEMENT_WORK + count)?;
        let Some(member) = tree.member(*item, name) else { return Ok(None) };
        work.spend(tree.length(member))?;
        Ok(tree.key(member))
    };
    items.iter().map(key).collect()
}

/// Returns the elements of two arrays without keys that are evidence of noise.
pub(super) fn varying(
    pairing: &Pairing<'_>,
    ours: &[u64],
    theirs: &[u64],
    work: &Work<'_>,
) -> Result<Vec<Elements>, Stop> {
    let moved = pairing.pairs.iter().filter(|(at, opposite)| at != opposite).map(|(at, _)| *at);
    let mut elements = spot::varying(moved.chain(pairing.ours.iter().copied()), [ours, theirs], work)?;
    elements.push(Elements::Keyless);
    Ok(elements)
}

/// Pairs equal elements wherever they are, and the rest in order if the arrays are equally long or order does not matter.
/// Otherwise an element that was inserted or removed must not shift the others.
pub(super) fn by_content(
    ours: &[u64],
    theirs: &[u64],
    is_unordered: bool,
    work: &Work<'_>,
) -> Result<Pairing<'static>, Stop> {
    if ours.len() != theirs.len() && !is_unordered {
        return by_place(ours, theirs, work);
    }
    work.spend(2 * (ours.len() + theirs.len()))?;
    // Elements that are in their place stay there.
    let is_moved = |at: usize| ours.get(at) != theirs.get(at);
    let keys = |digests: &[u64]| -> Vec<Option<u64>> {
        digests.iter().enumerate().map(|(at, digest)| is_moved(at).then_some(*digest)).collect()
    };
    let mut pairing = by_key(&keys(ours), &keys(theirs), work)?;
    pairing.ours.retain(|at| is_moved(*at));
    pairing.theirs.retain(|at| is_moved(*at));
    pairing.pairs.extend((0..ours.len().min(theirs.len())).filter(|at| !is_moved(*at)).map(|at| (at, at)));
    pair_rest(&mut pairing);
    Ok(pairing)
}

/// Pairs equal elements in their order, and between them those at the same place.
fn by_place(ours: &[u64], theirs: &[u64], work: &Work<'_>) -> Result<Pairing<'static>, Stop> {
    let mut pairing = Pairing::default();
    let mut gap = Pairing::default();
    for aligned in align(ours, theirs, work)? {
        match aligned {
            Aligned::Ours(at) => gap.ours.push(at),
            Aligned::Theirs(at) => gap.theirs.push(at),
            Aligned::Both(at, opposite) => {
                close(&mut gap, &mut pairing);
                pairing.pairs.push((at, opposite));
            }
        }
    }
    close(&mut gap, &mut pairing);
    Ok(pairing)
}

fn close(gap: &mut Pairing<'_>, pairing: &mut Pairing<'_>) {
    pair_rest(gap);
    pairing.pairs.append(&mut gap.pairs);
    pairing.ours.append(&mut gap.ours);
    pairing.theirs.append(&mut gap.theirs);
}

/// Pairs the elements that are left, in order.
fn pair_rest(pairing: &mut Pairing<'_>) {
    let shared = pairing.ours.len().min(pairing.theirs.len());
    pairing.pairs.extend(pairing.ours.drain(..shared).zip(pairing.theirs.drain(..shared)));
    sorting::sort(&mut pairing.pairs);
}

/// Pairs elements with the same key; of equal keys the first with the first.
fn by_key(ours: &[Option<u64>], theirs: &[Option<u64>], work: &Work<'_>) -> Result<Pairing<'static>, Stop> {
    let (mut left, mut right) =
        (sorted(ours, work)?.into_iter().peekable(), sorted(theirs, work)?.into_iter().peekable());
    let mut pairing = Pairing::default();
    loop {
        let order = match (left.peek(), right.peek()) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((one, _)), Some((other, _))) => one.cmp(other),
        };
        match order {
            std::cmp::Ordering::Less => pairing.ours.extend(left.next().map(|(_, at)| at)),
            std::cmp::Ordering::Greater => pairing.theirs.extend(right.next().map(|(_, at)| at)),
            std::cmp::Ordering::Equal => {
                pairing.pairs.extend(left.next().zip(right.next()).map(|((_, at), (_, opposite))| (at, opposite)));
            }
        }
    }
    let without_key =
        |keys: &[Option<u64>]| -> Vec<usize> { (0..keys.len()).filter(|at| keys.get(*at) == Some(&None)).collect() };
    pairing.ours.extend(without_key(ours));
    pairing.theirs.extend(without_key(theirs));
    sorting::sort(&mut pairing.ours);
    sorting::sort(&mut pairing.theirs);
    sorting::sort(&mut pairing.pairs);
    Ok(pairing)
}

fn sorted(keys: &[Option<u64>], work: &Work<'_>) -> Result<Vec<(u64, usize)>, Stop> {
    work.spend(keys.len() * (ELEMENT_WORK + keys.len().checked_ilog2().unwrap_or(0) as usize))?;
    let mut sorted: Vec<_> = keys.iter().zip(0..).filter_map(|(key, at)| Some(((*key)?, at))).collect();
    sorting::sort(&mut sorted);
    Ok(sorted)
}
