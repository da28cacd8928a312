//! Compares two JSON documents side by side. Owns equality in JSON, the pairing of array elements, and the detection of
//! member names that are data; `json` owns the tree.

mod arrays;

use crossfade_journal::comparison::Class;

use self::arrays::Pairing;
use crate::content;
use crate::endpoint;
use crate::findings::{Findings, Seen, Values, text};
use crate::json::{Decimal, Node, Tree, Value};
use crate::matcher::Matcher;
use crate::rules::Tolerance;
use crate::shown;
use crate::spot::{Elements, PathStep, Spot, merged};
use crate::treat_equal::{TreatEqual, are_alike_numbers};
use crate::work::{Stop, Work};

/// Objects with more members, and different ones, are treated as maps whose names are data; arrays with more elements as
/// lists whose keys are.
const MAX_NAMES: usize = 50;
/// Longer names and keys are data.
const MAX_NAME: usize = 64;
/// Arrays of at most so many numbers have places of their own for each, since they are coordinates and the like.
const MAX_TUPLE: usize = 8;
/// Cost of visiting a pair of values, in units of work.
const PAIR_WORK: usize = 8;

/// Reports all differences.
pub(crate) fn compare(primary: &mut Tree<'_>, mirror: &mut Tree<'_>, findings: &mut Findings<'_>) -> Result<(), Stop> {
    let (rules, work) = (findings.rules, findings.work);
    primary.fill_digests(rules, work)?;
    mirror.fill_digests(rules, work)?;
    let matcher = Matcher::new(rules, findings.now);
    let kinds = &rules.treat_equal;
    Walk { ours: primary, theirs: mirror, kinds, work, matcher, findings, path: Vec::new() }
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
}

impl<'a> Walk<'a, '_, '_> {
    fn values(&mut self, primary: Node, mirror: Node) -> Result<(), Stop> {
        if self.matcher.marks().is_ignored {
            return Ok(());
        }
        self.work.spend(PAIR_WORK)?;
        let is_same = match (self.ours.value(primary), self.theirs.value(mirror)) {
            (Value::Array(_), Value::Array(_)) if !self.is_equal(primary, mirror) => {
                return self.arrays(primary, mirror);
            }
            (Value::Object(_), Value::Object(_)) if !self.is_equal(primary, mirror) => {
                return self.objects(primary, mirror);
            }
            (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => true,
            (Value::Null, Value::Null) => true,
            (Value::Bool(one), Value::Bool(other)) => one == other,
            (Value::Number(one), Value::Number(other)) => self.is_same_number(one, other),
            (Value::NotANumber(one), Value::NotANumber(other)) => one == other,
            (Value::Text(one), Value::Text(other)) => {
                self.work.spend(one.len() + other.len() * self.kinds.len())?;
                if self.findings.are_equal(one, other)? {
                    return Ok(());
                }
                let (spot, marks) = (Spot::Json(&self.path), self.matcher.marks());
                if content::compare_inside(&spot, marks, one, other, self.findings)? {
                    return Ok(());
                }
                return content::report_text(Class::Value, [&spot; 2], marks, [one, other], text, self.findings);
            }
            _ => return self.report_type(primary, mirror),
        };
        if is_same { Ok(()) } else { self.report_value(primary, mirror) }
    }

    /// Returns `true` for arrays or objects that have no differences, as far as digests tell.
    fn is_equal(&self, primary: Node, mirror: Node) -> bool {
        self.ours.digest(primary, self.kinds) == self.theirs.digest(mirror, self.kinds)
    }

    fn is_same_number(&self, one: Decimal<'_>, other: Decimal<'_>) -> bool {
        one.is_same(other)
            || are_alike_numbers(one.as_f64(), other.as_f64(), self.kinds, self.findings.times)
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

    fn arrays(&mut self, primary: Node, mirror: Node) -> Result<(), Stop> {
        let (ours, theirs, work) = (self.ours, self.theirs, self.work);
        let items: Vec<Node> = ours.children(primary).collect();
        let others: Vec<Node> = theirs.children(mirror).collect();
        work.spend(items.len() + others.len())?;
        let rule = self.matcher.unordered();
        let by = match rule {
            Some(rule) => rule.by.as_deref(),
            None => arrays::identity((ours, &items), (theirs, &others), work)?,
        };
        let pairing = match by {
            Some(name) => {
                self.findings.vary(&Spot::Json(&self.path), &[Elements::Keyed])?;
                arrays::by_member(name, (ours, &items), (theirs, &others), work)?
            }
            None => {
                let (left, right) = (self.digests(ours, &items)?, self.digests(theirs, &others)?);
                let pairing = arrays::by_content(&left, &right, rule.is_some(), work)?;
                self.findings.vary(&Spot::Json(&self.path), &arrays::varying(&pairing, &left, &right, work)?)?;
                pairing
            }
        };
        // An array of another length says so, even if its elements vary by themselves.
        if items.len() != others.len() {
            self.note(Class::Length, &|| Values::texts(items.len().to_string(), others.len().to_string()))?;
        }
        if rule.is_none() && pairing.is_reordered() {
            self.note(Class::Order, &Values::unknown)?;
        } else if !pairing.has_same_elements() {
            self.findings.vary_order(&Spot::Json(&self.path));
        }
        self.pairing(&pairing, &items, &others)
    }

    fn pairing(&mut self, pairing: &Pairing<'_>, items: &[Node], others: &[Node]) -> Result<(), Stop> {
        let (ours, theirs) = (self.ours, self.theirs);
        let longest = items.len().max(others.len());
        let is_stable = pairing.has_same_elements();
        let is_number = |tree: &Tree<'_>, node: &Node| matches!(tree.value(*node), Value::Number(_));
        let is_tuple = longest <= MAX_TUPLE
            && items.len() == others.len()
            && items.iter().all(|node| is_number(ours, node))
            && others.iter().all(|node| is_number(theirs, node));
        for (at, opposite) in &pairing.pairs {
            let (Some(item), Some(other)) = (items.get(*at), others.get(*opposite)) else { continue };
            let step = match self.step(ours, *item, *at, pairing.by, longest, is_stable) {
                PathStep::Index { index, .. } if at != opposite || !self.is_container(*item) => {
                    self.loose(index, Some(*item), Some(*other))
                }
                step => step,
            };
            self.enter(if is_tuple { PathStep::Index { index: *at, is_folded: false } } else { step })?;
            self.values(*item, *other)?;
            self.leave();
        }
        for at in &pairing.ours {
            let Some(item) = items.get(*at) else { continue };
            let step = match self.step(ours, *item, *at, pairing.by, longest, is_stable) {
                PathStep::Index { index, .. } => self.loose(index, Some(*item), None),
                step => step,
            };
            self.enter(step)?;
            self.report(Class::Missing, Some(*item), None)?;
            self.leave();
        }
        for at in &pairing.theirs {
            let Some(other) = others.get(*at) else { continue };
            let step = match self.step(theirs, *other, *at, pairing.by, longest, is_stable) {
                PathStep::Index { index, .. } => self.loose(index, None, Some(*other)),
                step => step,
            };
            self.enter(step)?;
            self.report(Class::Extra, None, Some(*other))?;
            self.leave();
        }
        Ok(())
    }

    /// Returns the step to an element.
    fn step(
        &self,
        tree: &'a Tree<'a>,
        item: Node,
        index: usize,
        by: Option<&str>,
        longest: usize,
        is_stable: bool,
    ) -> PathStep<'a> {
        // The name as the document has it lives as long as the document.
        let named = by.and_then(|by| tree.children(item).find(|name| tree.name(*name) == by));
        let Some(name) = named else { return PathStep::Index { index, is_folded: true } };
        let by = tree.name(name);
        let key = match tree.value(tree.member(item, by).unwrap_or(name)) {
            Value::Text(text) => text,
            Value::Number(Decimal(text)) => text,
            Value::Bool(true) => "true",
            _ => "false",
        };
        PathStep::Keyed {
            by,
            key,
            index,
            is_stable,
            is_folded: longest > MAX_NAMES || !is_word(key) || shown::is_secret_name(by),
        }
    }

    fn is_container(&self, node: Node) -> bool {
        matches!(self.ours.value(node), Value::Array(_) | Value::Object(_))
    }

    /// Returns the step to an element that has another position in the other array, is not there, or has no parts.
    fn loose(&self, index: usize, item: Option<Node>, other: Option<Node>) -> PathStep<'a> {
        let ours = item.map(|item| self.ours.digest(item, self.kinds));
        let theirs = other.map(|other| self.theirs.digest(other, self.kinds));
        let either = ours.or(theirs).unwrap_or_default();
        PathStep::Loose { index, contents: [ours.unwrap_or(either), theirs.unwrap_or(either)] }
    }

    /// Returns numbers that are the same for equal elements, and for all ignored ones.
    fn digests(&mut self, tree: &Tree<'_>, items: &[Node]) -> Result<Vec<u64>, Stop> {
        let mut digests = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            self.work.spend(PAIR_WORK + tree.length(*item))?;
            self.matcher.enter(&PathStep::Index { index, is_folded: true }, self.work)?;
            let is_ignored = self.matcher.marks().is_ignored;
            self.matcher.leave();
            digests.push(if is_ignored { 0 } else { tree.digest(*item, self.kinds) });
        }
        Ok(digests)
    }

    fn report(&mut self, class: Class, primary: Option<Node>, mirror: Option<Node>) -> Result<(), Stop> {
        let (ours, theirs) = (self.ours, self.theirs);
        self.note(class, &|| Values::of(seen(ours, primary), seen(theirs, mirror)))
    }

    fn report_value(&mut self, primary: Node, mirror: Node) -> Result<(), Stop> {
        let (ours, theirs) = (self.ours, self.theirs);
        let distance = match (ours.value(primary), theirs.value(mirror)) {
            (Value::Number(one), Value::Number(other)) => {
                let distance = one.distance(other).absolute;
                let larger = one.as_f64().abs().max(other.as_f64().abs()).max(f64::MIN_POSITIVE);
                Some([distance, distance / larger]).filter(|distance| distance.iter().all(|number| number.is_finite()))
            }
            _ => None,
        };
        let seen = || [seen(ours, Some(primary)), seen(theirs, Some(mirror))];
        self.note(Class::Value, &|| Values { seen: seen(), distance })
    }

    /// Texts are quoted, since `"1"` is not 1.
    fn report_type(&mut self, primary: Node, mirror: Node) -> Result<(), Stop> {
        let value = |tree: &'a Tree<'_>, node| {
            let shown = match tree.value(node) {
                Value::Text(text) => format!("\"{}\"", shown::head(text)).into(),
                _ => tree.shown(node),
            };
            Seen::Digested { shown, digest: tree.value(node).kind() }
        };
        let (ours, theirs) = (self.ours, self.theirs);
        self.note(Class::Type, &|| Values::of(value(ours, primary), value(theirs, mirror)))
    }

    fn note<'v>(&mut self, class: Class, values: &dyn Fn() -> Values<'v>) -> Result<(), Stop> {
        let marks = self.matcher.marks();
        self.findings.report(class, &Spot::Json(&self.path), marks, values)
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

/// Returns `true` for a key that belongs to the application's vocabulary, and not to its data.
fn is_word(key: &str) -> bool {
    key.len() <= MAX_NAME
        && key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':'))
        && !endpoint::is_id(key)
}

fn is_within(tolerance: Tolerance, one: Decimal<'_>, other: Decimal<'_>) -> bool {
    let distance = one.distance(other);
    let larger = one.as_f64().abs().max(other.as_f64().abs());
    let limit = match tolerance {
        Tolerance::Absolute(limit) => limit,
        Tolerance::Relative(share) => share * larger,
    };
    // 1.01 is 0.01 from 1, though its float is slightly more.
    let rounding = if distance.is_exact { 0.0 } else { 4.0 * f64::EPSILON * larger };
    distance.absolute <= limit + rounding
}
