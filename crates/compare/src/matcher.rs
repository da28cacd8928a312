//! Determines the rules that apply at a place in JSON while descending to it. Owns matching of pointers with `*` and
//! `**`; `walk`, `json` and `findings` apply the rules.
//!
//! A pointer is an automaton: state `n` means that its first `n` steps have matched. Each step into the document
//! advances all active states, so the cost of a place does not depend on its depth, and a rule that can no longer match
//! costs nothing.

use std::time::SystemTime;

use crate::rules::{Accepted, MAX_STEPS, Place, Pointer, Rules, Step, Tolerance, Unordered};
use crate::spot::PathStep;
use crate::work::{Stop, Work};

/// A set of states: the start of a pointer, and one behind each of its steps.
type States = u128;
const _: () = assert!(MAX_STEPS < States::BITS as usize);

/// The rules that apply to a place, and to everything below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) is_ignored: bool,
    pub(crate) is_accepted: bool,
    pub(crate) is_redacted: bool,
}

impl std::ops::BitOr for Marks {
    type Output = Marks;

    fn bitor(self, other: Marks) -> Marks {
        Marks {
            is_ignored: self.is_ignored || other.is_ignored,
            is_accepted: self.is_accepted || other.is_accepted,
            is_redacted: self.is_redacted || other.is_redacted,
        }
    }
}

/// Follows a path through a document; see the module. Starts at the document itself.
#[derive(Debug)]
pub(crate) struct Matcher<'r> {
    rules: Vec<Rule<'r>>,
    /// The rules that can still match at or below each level, and their states.
    live: Vec<(usize, States)>,
    levels: Vec<Level<'r>>,
}

#[derive(Debug)]
struct Rule<'r> {
    steps: &'r [Step],
    role: Role<'r>,
    named: States,
    any: States,
    any_depth: States,
}

#[derive(Clone, Copy, Debug)]
enum Role<'r> {
    Ignore,
    Accept,
    Redact,
    Tolerance(Tolerance),
    Unordered(&'r Unordered),
}

#[derive(Clone, Copy, Debug, Default)]
struct Level<'r> {
    /// Index in `live` of this level's first rule.
    begin: usize,
    marks: Marks,
    tolerance: Option<Tolerance>,
    unordered: Option<&'r Unordered>,
}

impl<'r> Matcher<'r> {
    /// Returns a matcher of all rules. Entries of `accepted` that have expired at `now` do not apply.
    pub(crate) fn new(rules: &'r Rules, now: SystemTime) -> Self {
        let accepted = rules.accepted.iter().filter(|accepted: &&Accepted| accepted.holds(now));
        let places = rules.ignore.iter().map(|place| (place, Role::Ignore));
        let places = places.chain(accepted.map(|accepted| (&accepted.place, Role::Accept)));
        // Without kept values there is nothing to redact.
        let redact = rules.redact.iter().filter(|_| rules.keep_values);
        let places = places.chain(redact.map(|place| (place, Role::Redact)));
        let tolerance = rules.tolerance.iter().map(|(pointer, tolerance)| (pointer, Role::Tolerance(*tolerance)));
        Self::of(places, tolerance.chain(unordered(rules)))
    }

    /// Returns a matcher of the rules that affect digests.
    pub(crate) fn of_digests(rules: &'r Rules) -> Self {
        Self::of(rules.ignore.iter().map(|place| (place, Role::Ignore)), unordered(rules))
    }

    fn of(
        places: impl Iterator<Item = (&'r Place, Role<'r>)>,
        pointers: impl Iterator<Item = (&'r Pointer, Role<'r>)>,
    ) -> Self {
        let mut matcher = Matcher { rules: Vec::new(), live: Vec::new(), levels: Vec::new() };
        let mut root = Level::default();
        for (place, role) in places {
            match place {
                Place::Body => root.hold(role),
                Place::Pointer(pointer) => matcher.rules.push(Rule::new(pointer, role)),
                Place::Status | Place::Field(_) | Place::Selector(_) | Place::Written(_) => {}
            }
        }
        matcher.rules.extend(pointers.map(|(pointer, role)| Rule::new(pointer, role)));
        for (index, rule) in matcher.rules.iter().enumerate() {
            rule.arrive(index, rule.closed(1), &mut root, &mut matcher.live);
        }
        matcher.levels.push(root);
        matcher
    }

    /// Descends one step.
    pub(crate) fn enter(&mut self, step: &PathStep<'_>, work: &Work<'_>) -> Result<(), Stop> {
        let above = self.levels.last().copied().unwrap_or_default();
        let begin = self.live.len();
        let mut level = Level { begin, marks: above.marks, tolerance: None, unordered: None };
        for at in above.begin..begin {
            let Some((index, states)) = self.live.get(at).copied() else { break };
            let Some(rule) = self.rules.get(index) else { break };
            let named = states & rule.named;
            work.spend(1 + named.count_ones() as usize)?;
            let mut next = states & rule.any_depth | (states & rule.any) << 1;
            let mut left = named;
            while left != 0 {
                let state = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                if let Some(Step::Named(name)) = rule.steps.get(state as usize)
                    && step.is_named(name)
                {
                    next |= 2 << state;
                }
            }
            rule.arrive(index, rule.closed(next), &mut level, &mut self.live);
        }
        self.levels.push(level);
        Ok(())
    }

    /// Ascends one step.
    pub(crate) fn leave(&mut self) {
        // The document itself stays.
        if self.levels.len() > 1
            && let Some(level) = self.levels.pop()
        {
            self.live.truncate(level.begin);
        }
    }

    pub(crate) fn marks(&self) -> Marks {
        self.level().marks
    }

    /// Returns the first tolerance that applies here.
    pub(crate) fn tolerance(&self) -> Option<Tolerance> {
        self.level().tolerance
    }

    /// Returns the first rule that makes the array here unordered.
    pub(crate) fn unordered(&self) -> Option<&'r Unordered> {
        self.level().unordered
    }

    fn level(&self) -> Level<'r> {
        self.levels.last().copied().unwrap_or_default()
    }
}

fn unordered(rules: &Rules) -> impl Iterator<Item = (&Pointer, Role<'_>)> {
    rules.unordered.iter().map(|unordered| (&unordered.pointer, Role::Unordered(unordered)))
}

impl<'r> Rule<'r> {
    fn new(pointer: &'r Pointer, role: Role<'r>) -> Self {
        let steps = pointer.steps();
        let states = |wanted: fn(&Step) -> bool| {
            steps.iter().rev().fold(0, |states: States, step| states << 1 | States::from(wanted(step)))
        };
        let named = states(|step| matches!(step, Step::Named(_)));
        let any = states(|step| matches!(step, Step::Any));
        Rule { steps, role, named, any, any_depth: states(|step| matches!(step, Step::AnyDepth)) }
    }

    /// Adds the states that `**` reaches by matching no step.
    fn closed(&self, mut states: States) -> States {
        loop {
            let more = states | (states & self.any_depth) << 1;
            if more == states {
                return states;
            }
            states = more;
        }
    }

    /// Records that these states are reached at a level.
    fn arrive(&self, index: usize, states: States, level: &mut Level<'r>, live: &mut Vec<(usize, States)>) {
        let end = 1 << self.steps.len();
        let has_ended = states & end != 0;
        if has_ended {
            level.hold(self.role);
        }
        // A rule that applies to everything below needs no further matching.
        let is_done = has_ended && matches!(self.role, Role::Ignore | Role::Accept | Role::Redact);
        if states & !end != 0 && !is_done {
            live.push((index, states & !end));
        }
    }
}

impl<'r> Level<'r> {
    fn hold(&mut self, role: Role<'r>) {
        match role {
            Role::Ignore => self.marks.is_ignored = true,
            Role::Accept => self.marks.is_accepted = true,
            Role::Redact => self.marks.is_redacted = true,
            Role::Tolerance(tolerance) => self.tolerance = self.tolerance.or(Some(tolerance)),
            Role::Unordered(unordered) => self.unordered = self.unordered.or(Some(unordered)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;
    use crate::work::never_over;

    /// Returns `true` if a pointer matches a path or, if `below` is set, one of the path's ancestors.
    fn is_covered(pointer: &Pointer, path: &[PathStep<'_>], below: bool) -> bool {
        let rules = Rules {
            ignore: vec![Place::Pointer(pointer.clone())],
            tolerance: vec![(pointer.clone(), Tolerance::Absolute(1.0))],
            ..Rules::default()
        };
        let mut matcher = Matcher::new(&rules, UNIX_EPOCH);
        let work = Work::new(&never_over);
        path.iter().for_each(|step| matcher.enter(step, &work).unwrap());
        let covered = if below { matcher.marks().is_ignored } else { matcher.tolerance().is_some() };
        let begin = matcher.live.len();
        matcher.enter(&PathStep::Index { index: 0, is_folded: true }, &work).unwrap();
        matcher.leave();
        assert_eq!(matcher.live.len(), begin);
        covered
    }

    fn covers(pointer: &str, path: &str, below: bool) -> bool {
        let path: Vec<_> = path
            .split('/')
            .skip(1)
            .map(|step| match step.parse() {
                Ok(index) => PathStep::Index { index, is_folded: true },
                Err(_) => PathStep::Name { name: step, is_folded: false },
            })
            .collect();
        is_covered(&Pointer::parse(pointer).unwrap(), &path, below)
    }

    #[test]
    fn pointers_cover_places() {
        for (pointer, path, covered, covered_below) in [
            ("/a", "/a", true, true),
            ("/a", "/a/b", false, true),
            ("/a/b", "/a", false, false),
            ("/a/*", "/a/7", true, true),
            ("/a/7", "/a/7", true, true),
            ("/a/07", "/a/7", false, false),
            ("/a/*/c", "/a/7/c", true, true),
            ("/a/*/c", "/a/7/d/c", false, false),
            ("/**", "", true, true),
            ("/**", "/a/b", true, true),
            ("/**/id", "/id", true, true),
            ("/**/id", "/a/b/id", true, true),
            ("/**/id", "/a/id/b", false, true),
            ("/**/id", "/a/id/b/id", true, true),
            ("/a/**", "/a", true, true),
            ("/a/**/b", "/a/b", true, true),
            ("/a/**/b/**/c", "/a/x/b/b/y/c", true, true),
            ("/a/**/b/**/c", "/a/x/c/y/b", false, false),
            ("/**/a/b", "/a/a/b", true, true),
        ] {
            assert_eq!(covers(pointer, path, false), covered, "{pointer} {path}");
            assert_eq!(covers(pointer, path, true), covered_below, "{pointer} {path} and below");
        }
    }

    /// The definition of a match, in exponential time.
    fn covers_slowly(steps: &[Step], path: &[PathStep<'_>], below: bool) -> bool {
        match (steps, path) {
            ([], []) => true,
            ([], _) => below,
            ([Step::AnyDepth, rest @ ..], _) => {
                (0..=path.len()).any(|skipped| covers_slowly(rest, &path[skipped..], below))
            }
            (_, []) => false,
            ([Step::Any, rest @ ..], [_, path @ ..]) => covers_slowly(rest, path, below),
            ([Step::Named(name), rest @ ..], [step, path @ ..]) => {
                step.is_named(name) && covers_slowly(rest, path, below)
            }
        }
    }

    proptest! {
        #[test]
        fn covering_matches_its_definition(
            pointer in "(/(a|b|\\*|\\*\\*)){1,6}",
            path in prop::collection::vec("a|b", 0..8),
            below: bool,
        ) {
            let path: Vec<_> = path.iter().map(|name| PathStep::Name { name, is_folded: false }).collect();
            if let Some(pointer) = Pointer::parse(&pointer) {
                prop_assert_eq!(is_covered(&pointer, &path, below), covers_slowly(pointer.steps(), &path, below));
            }
        }
    }

    #[test]
    fn the_work_of_a_step_is_that_of_the_states_and_not_of_the_depth() {
        let ignore = vec![Place::parse("/**/a/**/y").unwrap(); 40];
        let rules = Rules { ignore, ..Rules::default() };
        let mut matcher = Matcher::new(&rules, UNIX_EPOCH);
        let work = Work::new(&never_over);
        let costs: Vec<u64> = (0..95)
            .map(|_| {
                let before = work.spent();
                matcher.enter(&PathStep::Name { name: "a", is_folded: false }, &work).unwrap();
                work.spent() - before
            })
            .collect();
        assert_eq!(costs.last(), costs.get(1));
        assert!(costs.iter().all(|cost| *cost <= 40 * 3), "{costs:?}");
    }
}
