//! Two JSON documents side by side. Owns what counts as equal in JSON, which elements of two arrays belong together, and
//! which member names stand for many; the tree itself is in `json`.

use std::cmp::Ordering;

use crate::endpoint;
use crate::findings::Findings;
use crate::json::{Node, Number, Value};
use crate::record::Class;
use crate::rules::{Rules, Tolerance, Unordered};
use crate::spot::{PathStep, Spot};

/// Objects with more members, and not the same ones, are taken for maps: the names are data.
const MAX_NAMES: usize = 50;
/// A longer name is data.
const MAX_NAME: usize = 64;

/// Reports all that differs.
pub(crate) fn compare<'a>(primary: &'a Node<'a>, mirror: &'a Node<'a>, findings: &mut Findings<'_>) {
    for document in [primary, mirror] {
        document.digest(findings.rules, &mut Vec::new());
    }
    let rules = findings.rules;
    Walk { rules, findings, path: Vec::new(), silent: None }.values(primary, mirror);
}

struct Walk<'a, 'r, 'f> {
    rules: &'r Rules,
    findings: &'f mut Findings<'r>,
    path: Vec<PathStep<'a>>,
    /// If it is only asked whether anything differs: whether it does.
    silent: Option<bool>,
}

impl<'a> Walk<'a, '_, '_> {
    fn values(&mut self, primary: &'a Node<'a>, mirror: &'a Node<'a>) {
        if self.findings.is_full() || self.silent == Some(true) {
            return;
        }
        let is_same = match (&primary.value, &mirror.value) {
            (Value::Array(ours), Value::Array(theirs)) => return self.arrays(ours, theirs),
            (Value::Object(ours), Value::Object(theirs)) => return self.objects(ours, theirs),
            (Value::Null, Value::Null) => true,
            (Value::Bool(one), Value::Bool(other)) => one == other,
            (Value::Number(one), Value::Number(other)) => self.is_same_number(*one, *other),
            (Value::Text(one), Value::Text(other)) => {
                one == other || self.rules.treat_equal.iter().any(|kind| kind.fits(one) && kind.fits(other))
            }
            _ => return self.report_type(primary, mirror),
        };
        if !is_same {
            self.report(Class::Value, Some(primary), Some(mirror));
        }
    }

    fn is_same_number(&self, one: Number, other: Number) -> bool {
        if one.is_same(other) {
            return true;
        }
        let (one, other) = (one.as_f64(), other.as_f64());
        if self.rules.treat_equal.iter().any(|kind| kind.fits_number(one) && kind.fits_number(other)) {
            return true;
        }
        let tolerance = self.rules.tolerance.iter().find(|(pointer, _)| pointer.covers(&self.path, false));
        tolerance.is_some_and(|(_, tolerance)| is_within(*tolerance, one, other))
    }

    fn objects(&mut self, ours: &'a [Member<'a>], theirs: &'a [Member<'a>]) {
        let is_map =
            ours.len().max(theirs.len()) > MAX_NAMES && !ours.iter().map(name_of).eq(theirs.iter().map(name_of));
        let (mut left, mut right) = (ours.iter().peekable(), theirs.iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((one, _)), Some((other, _))) => one.cmp(other),
            };
            let primary = if order.is_le() { left.next() } else { None };
            let mirror = if order.is_ge() { right.next() } else { None };
            let Some((name, _)) = primary.or(mirror) else { return };
            let is_folded = is_map || name.len() > MAX_NAME || endpoint::is_id(name);
            self.path.push(PathStep::Name { name, is_folded });
            match (primary, mirror) {
                (Some((_, primary)), Some((_, mirror))) => self.values(primary, mirror),
                (Some((_, primary)), None) => self.report(Class::Missing, Some(primary), None),
                (None, Some((_, mirror))) => self.report(Class::Extra, None, Some(mirror)),
                (None, None) => {}
            }
            self.path.pop();
        }
    }

    fn arrays(&mut self, ours: &'a [Node<'a>], theirs: &'a [Node<'a>]) {
        if let Some(unordered) = self.rules.unordered.iter().find(|rule| rule.pointer.covers(&self.path, false)) {
            self.unordered(ours, theirs, unordered);
        } else if ours.len() != theirs.len() {
            self.report_count(ours, theirs);
        } else if self.is_reordered(ours, theirs) {
            self.report(Class::Order, None, None);
        } else {
            self.pairs(ours.iter().zip(theirs).enumerate().map(|(index, (one, other))| (index, one, other)));
        }
    }

    /// Compares pairs of elements; the index is that of the primary's.
    fn pairs(&mut self, pairs: impl Iterator<Item = (usize, &'a Node<'a>, &'a Node<'a>)>) {
        for (index, primary, mirror) in pairs {
            self.path.push(PathStep::Index(index));
            self.values(primary, mirror);
            self.path.pop();
        }
    }

    /// Whether two arrays have the same elements, but not in the same places.
    fn is_reordered(&mut self, ours: &'a [Node<'a>], theirs: &'a [Node<'a>]) -> bool {
        let is_in_place = |(one, other): (&Node<'_>, &Node<'_>)| one.digest == other.digest;
        // Asked silently, what is in another order differs; why does not matter.
        if self.silent.is_some() || ours.iter().zip(theirs).all(is_in_place) {
            return false;
        }
        let (left, right) = (by_key(ours, digest_of), by_key(theirs, digest_of));
        if !left.iter().zip(&right).all(|((one, _), (other, _))| one == other) {
            return false;
        }
        // Digests may be the same by chance.
        self.silent = Some(false);
        self.pairs(
            left.iter()
                .zip(&right)
                .filter_map(|((_, one), (_, other))| Some((*one, ours.get(*one)?, theirs.get(*other)?))),
        );
        self.silent.take() == Some(false)
    }

    /// Compares elements with the same key, wherever they are, and those that are left over in their order.
    fn unordered(&mut self, ours: &'a [Node<'a>], theirs: &'a [Node<'a>], rule: &Unordered) {
        let key = |node: &'a Node<'a>| match &rule.by {
            Some(name) => member_key(node, name),
            None => digest_of(node),
        };
        let (left, right) = (by_key(ours, key), by_key(theirs, key));
        let (mut pairs, mut only_ours, mut only_theirs) = (Vec::new(), Vec::new(), Vec::new());
        let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((one, _)), Some((other, _))) => one.cmp(other),
            };
            let one = if order.is_le() { left.next() } else { None };
            let other = if order.is_ge() { right.next() } else { None };
            match (one, other) {
                (Some((Key::None, one)), Some((_, other))) => {
                    only_ours.push(one);
                    only_theirs.push(other);
                }
                (Some((_, one)), Some((_, other))) => pairs.push((one, other)),
                (one, other) => {
                    only_ours.extend(one.map(|(_, index)| index));
                    only_theirs.extend(other.map(|(_, index)| index));
                }
            }
        }
        if ours.len() == theirs.len() {
            only_ours.sort_unstable();
            only_theirs.sort_unstable();
            pairs.extend(only_ours.into_iter().zip(only_theirs));
        } else {
            self.report_count(ours, theirs);
        }
        pairs.sort_unstable();
        self.pairs(pairs.into_iter().filter_map(|(one, other)| Some((one, ours.get(one)?, theirs.get(other)?))));
    }

    fn report(&mut self, class: Class, primary: Option<&Node<'_>>, mirror: Option<&Node<'_>>) {
        let spot = Spot::Json(&self.path);
        match &mut self.silent {
            Some(differs) => *differs |= !self.findings.is_ignored(&spot),
            None => self.findings.report(class, &spot, || [primary.map(Node::shown), mirror.map(Node::shown)]),
        }
    }

    /// Texts in quotes: `"1"` is not 1.
    fn report_type(&mut self, primary: &Node<'_>, mirror: &Node<'_>) {
        let spot = Spot::Json(&self.path);
        let value = |node: &Node<'_>| match &node.value {
            Value::Text(text) => Some(format!("\"{text}\"").into()),
            _ => Some(node.shown().into_owned().into()),
        };
        match &mut self.silent {
            Some(differs) => *differs |= !self.findings.is_ignored(&spot),
            None => self.findings.report(Class::Type, &spot, || [value(primary), value(mirror)]),
        }
    }

    fn report_count(&mut self, ours: &[Node<'_>], theirs: &[Node<'_>]) {
        let spot = Spot::Json(&self.path);
        let count = |items: &[Node<'_>]| Some(items.len().to_string().into());
        match &mut self.silent {
            Some(differs) => *differs |= !self.findings.is_ignored(&spot),
            None => self.findings.report(Class::Length, &spot, || [count(ours), count(theirs)]),
        }
    }
}

type Member<'a> = (std::borrow::Cow<'a, str>, Node<'a>);

fn name_of<'a>((name, _): &'a Member<'_>) -> &'a str {
    name
}

/// By what two elements of arrays are told to belong together.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Digest(u64),
    Text(&'a str),
    Whole(i64),
    Large(u64),
    Float(u64),
    Bool(bool),
    /// By nothing.
    None,
}

fn digest_of<'a>(node: &'a Node<'a>) -> Key<'a> {
    Key::Digest(node.digest.get())
}

/// The key of an object with this member: as it is, whatever counts as equal to it.
fn member_key<'a>(node: &'a Node<'a>, name: &str) -> Key<'a> {
    let Value::Object(members) = &node.value else { return Key::None };
    let at = members.binary_search_by(|(member, _)| (**member).cmp(name));
    match at.ok().and_then(|at| members.get(at)).map(|(_, node)| &node.value) {
        Some(Value::Text(text)) => Key::Text(text),
        Some(Value::Number(Number::Whole(number))) => Key::Whole(*number),
        Some(Value::Number(Number::Large(number))) => Key::Large(*number),
        Some(Value::Number(Number::Float(number))) => Key::Float(number.to_bits()),
        Some(Value::Bool(value)) => Key::Bool(*value),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => Key::None,
    }
}

/// The elements' keys and indices, sorted.
fn by_key<'a>(items: &'a [Node<'a>], key: impl Fn(&'a Node<'a>) -> Key<'a>) -> Vec<(Key<'a>, usize)> {
    let mut keys: Vec<_> = items.iter().enumerate().map(|(index, item)| (key(item), index)).collect();
    keys.sort_unstable();
    keys
}

fn is_within(tolerance: Tolerance, one: f64, other: f64) -> bool {
    let apart = (one - other).abs();
    let limit = match tolerance {
        Tolerance::Absolute(limit) => limit,
        Tolerance::Relative(share) => share * one.abs().max(other.abs()),
    };
    // 1.01 is 0.01 from 1, though its float is a little more.
    apart <= limit + 4.0 * f64::EPSILON * one.abs().max(other.abs())
}
