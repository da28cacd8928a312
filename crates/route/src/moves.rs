//! A step of a migration, forward or back, as the next overlay. Owns what a move does to the routes of the plan; `migration` owns
//! which moves are possible.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::SystemTime;

use crate::migration::{Phase, Plan, Progress, Refused, Target};
use crate::mirror::Share;
use crate::overlay::{MAX_VERSION, Overlay};
use crate::table::{Action, RoutingTable};

/// A move of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// More users on the new system.
    Promote(Target),
    /// Nothing moves by itself.
    Pause,
    /// It moves by itself again; after an abort from the beginning.
    Resume,
    /// Everyone is on the old system.
    Abort,
}

/// Who moves, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// A name, for the history.
    pub by: String,
    /// In their own words.
    pub reason: Option<String>,
}

/// A move that is not possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoveError {
    /// The configuration has no `migration`.
    NoPlan,
    /// The plan does not have this route.
    UnknownRoute(String),
    /// Of this route.
    Refused(String, Refused),
    /// Of every route of the plan, for these reasons.
    NothingMoves(BTreeMap<String, Refused>),
}

/// A route's move: its name, and its progress before and after.
pub type Moved = (String, Progress, Progress);

/// The outcome of a move.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The next live state.
    pub next: Overlay,
    /// The routes that move; if none has to, those that were so before.
    pub moved: Vec<Moved>,
    /// The routes that were not named and stay as they are.
    pub stays: BTreeMap<String, Refused>,
}

impl Transition {
    /// Returns whether no route moves, since all were so before.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.moved.iter().all(|(_, before, after)| before == after)
    }
}

impl RoutingTable {
    /// Returns the progress of a route of the plan; if the live state has none, that of `only` or of its weights, since 1970:
    /// nobody knows when it was deployed.
    #[must_use]
    pub fn progress(&self, plan: &Plan, overlay: Option<&Overlay>, route: &str) -> Progress {
        let changes = overlay.and_then(|overlay| overlay.routes.get(route));
        if let Some(progress) = changes.and_then(|changes| changes.migration) {
            return progress;
        }
        let targets = self.route(route).map(|route| match &route.action {
            Action::Forward(forward) => forward.targets.as_slice(),
            _ => &[],
        });
        let weight = |name: &str| {
            let own = targets.unwrap_or_default().iter().find(|target| target.name == name).map(|target| target.weight);
            changes.and_then(|changes| changes.weights.get(name).copied()).or(own).unwrap_or_default()
        };
        let is_only = |name: &String| changes.is_some_and(|changes| changes.only.as_ref() == Some(name));
        let (share, phase) = match Share::of(weight(&plan.to), weight(&plan.from)) {
            _ if is_only(&plan.from) => (Share::NONE, Phase::Aborted),
            share if share == Share::ALL || is_only(&plan.to) => (Share::ALL, Phase::Finished),
            share => (share, Phase::Running),
        };
        Progress { share, phase, since: SystemTime::UNIX_EPOCH }
    }

    /// Returns the state after a move of these routes. If none is named, all move that can, except those that somebody has to name:
    /// a promotion leaves paused routes alone, and a resumption those that were aborted while others are paused. This must be the
    /// table of the file, without an overlay.
    ///
    /// # Errors
    ///
    /// [`MoveError`] if nothing would move, or not every route that is named.
    pub fn moved(
        &self,
        overlay: Option<&Overlay>,
        routes: &[String],
        step: Move,
        author: &Author,
        now: SystemTime,
    ) -> Result<Transition, MoveError> {
        let plan = self.plan.as_ref().ok_or(MoveError::NoPlan)?;
        if let Some(unknown) = routes.iter().find(|route| !plan.routes.contains(route)) {
            return Err(MoveError::UnknownRoute(unknown.clone()));
        }
        let all = || plan.routes.iter().map(|route| self.progress(plan, overlay, route));
        let is_any_paused = routes.is_empty() && all().any(|progress| progress.phase == Phase::Paused);
        let (mut moved, mut stays) = (Vec::<Moved>::new(), BTreeMap::new());
        for route in if routes.is_empty() { &plan.routes } else { routes } {
            let before = self.progress(plan, overlay, route);
            let after = match (step, before.phase) {
                (Move::Promote(_), Phase::Paused) if routes.is_empty() => Err(Refused::IsPaused),
                (Move::Promote(target), _) => plan.promote(before, target, now),
                (Move::Pause, _) => before.pause(),
                (Move::Resume, Phase::Aborted) if is_any_paused => Err(Refused::IsAborted),
                (Move::Resume, _) => before.resume(now),
                (Move::Abort, _) => Ok(before.abort(now)),
            };
            match after {
                Ok(_) if moved.iter().any(|(name, ..)| name == route) => {}
                Ok(after) => moved.push((route.clone(), before, after)),
                Err(reason) if !routes.is_empty() => return Err(MoveError::Refused(route.clone(), reason)),
                Err(reason) => _ = stays.insert(route.clone(), reason),
            }
        }
        if moved.is_empty() {
            return Err(MoveError::NothingMoves(stays));
        }
        let moves = |(_, before, after): &Moved| before != after;
        let shown: Vec<Moved> = match moved.iter().any(moves) {
            true => moved.iter().filter(|moved| moves(moved)).cloned().collect(),
            false => moved.clone(),
        };
        let mut next = Overlay::after(overlay, author, describe(step, &shown), now);
        for (route, before, after) in &moved {
            let changes = next.routes.entry(route.clone()).or_default();
            // A pause changes nothing for users, so the evidence from before it counts. An abort also moves those who are pinned.
            let is_aborted = |progress: &Progress| progress.phase == Phase::Aborted;
            if before.share != after.share || is_aborted(before) != is_aborted(after) {
                changes.version = next.version;
            }
            changes.migration = Some(*after);
            // A pause and its end move nobody, whatever weights somebody has written by hand.
            let is_on_its_way = |progress: &Progress| matches!(progress.phase, Phase::Running | Phase::Paused);
            let has_weights = !changes.weights.is_empty() || changes.only.is_some();
            if has_weights && is_on_its_way(before) && is_on_its_way(after) && before.share == after.share {
                continue;
            }
            changes.only = (after.phase == Phase::Aborted).then(|| plan.from.clone());
            if let Some((from, to)) = after.share.weights() {
                changes.weights = BTreeMap::from([(plan.from.clone(), from), (plan.to.clone(), to)]);
            }
        }
        Ok(Transition { next, moved: shown, stays })
    }
}

impl Overlay {
    /// Returns the next version of an overlay, with the same changes of routes; the first one has none.
    #[must_use]
    pub fn after(overlay: Option<&Overlay>, author: &Author, change: String, now: SystemTime) -> Overlay {
        Overlay {
            version: overlay.map_or(1, |overlay| overlay.version.saturating_add(1)).min(MAX_VERSION),
            at: now,
            by: author.by.clone(),
            change,
            reason: author.reason.clone(),
            routes: overlay.map(|overlay| overlay.routes.clone()).unwrap_or_default(),
        }
    }
}

impl Overlay {
    /// Renumbers a state that replaces an unknown one. Functions doubt a version that is not above theirs, so it gets the seconds
    /// since 1970, which no count of changes reaches.
    #[must_use]
    pub fn above_all(self, now: SystemTime) -> Overlay {
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        self.at_least(u32::try_from(seconds).unwrap_or(MAX_VERSION))
    }

    /// Returns the state with this version, if its own is lower.
    #[must_use]
    pub fn at_least(mut self, version: u32) -> Overlay {
        let before = self.version;
        self.version = before.max(version).min(MAX_VERSION);
        for changes in self.routes.values_mut().filter(|changes| changes.version == before) {
            changes.version = self.version;
        }
        self
    }
}

/// Describes a move: `promote orders to 25 %`.
fn describe(step: Move, moved: &[Moved]) -> String {
    let names: Vec<&str> = moved.iter().map(|(route, ..)| route.as_str()).collect();
    let mut text = match step {
        Move::Promote(_) => "promote ",
        Move::Pause => "pause ",
        Move::Resume => "resume ",
        Move::Abort => "abort ",
    }
    .to_owned();
    text.push_str(&names.join(", "));
    if let (Move::Promote(_), Some((.., after))) = (step, moved.first()) {
        let is_same = moved.iter().all(|(.., other)| other.share == after.share);
        let _ = if is_same { write!(text, " to {} %", after.share.percent()) } else { write!(text, " by one step") };
    }
    text
}

impl std::fmt::Display for MoveError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            MoveError::NoPlan => f.write_str(
                "the configuration has no `migration`; add `migration: {from: legacy, to: modern}`, with the names of \
                 your back ends",
            ),
            MoveError::UnknownRoute(route) => write!(f, "route `{route}` is not part of the migration"),
            MoveError::Refused(route, reason) => write!(f, "route `{route}`: {reason}"),
            MoveError::NothingMoves(reasons) => {
                let reasons: Vec<String> =
                    reasons.iter().map(|(route, reason)| format!("route `{route}`: {reason}")).collect();
                write!(f, "nothing to move: {}", reasons.join("; "))
            }
        }
    }
}

impl std::error::Error for MoveError {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::surroundings::Nothing;

    const CONFIG: &str = "version: 1
backends: { legacy: https://legacy.example, modern: https://modern.example }
routes:
  - name: orders
    priority: 10
    conditions: { path: /orders/* }
    forward: { targets: [legacy, { backend: modern, weight: 0 }], sticky: { by: ip, pin: { modern: 192.0.2.1 } } }
  - name: carts
    priority: 20
    conditions: { path: /carts/* }
    forward: { targets: [{ backend: legacy, weight: 3 }, { backend: modern, weight: 1 }], sticky: { by: ip } }
default: { forward: legacy }
migration: { from: legacy, to: modern, steps: [1%, 12.5%, 50%, 100%] }
";

    fn table() -> RoutingTable {
        RoutingTable::from_config(CONFIG, "", &Nothing).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000 + seconds)
    }

    fn next(overlay: Option<&Overlay>, routes: &[&str], step: Move) -> Result<Overlay, String> {
        let routes: Vec<String> = routes.iter().map(|route| (*route).to_owned()).collect();
        let author = Author { by: "anna".to_owned(), reason: None };
        let moved = table().moved(overlay, &routes, step, &author, at(1));
        moved.map(|moved| moved.next).map_err(|error| error.to_string())
    }

    /// The weights of a route: the old system's and the new one's.
    fn weights(overlay: &Overlay, route: &str) -> [u32; 2] {
        ["legacy", "modern"].map(|name| overlay.routes[route].weights[name])
    }

    #[test]
    fn a_whole_migration() {
        let step = Move::Promote(Target::NextStep);
        let one = next(None, &["orders"], step).unwrap();
        assert_eq!((one.version, one.change.as_str()), (1, "promote orders to 1 %"));
        assert_eq!(weights(&one, "orders"), [99, 1]);
        assert!(!one.routes.contains_key("carts"));
        let two = next(Some(&one), &[], step).unwrap();
        assert_eq!(two.change, "promote orders, carts by one step", "carts begins at the 25 % of the file");
        assert_eq!((weights(&two, "orders"), weights(&two, "carts")), ([875, 125], [50, 50]));
        let back = next(Some(&two), &[], Move::Abort).unwrap();
        assert_eq!(back.routes["orders"].only.as_deref(), Some("legacy"));
        assert_eq!(
            next(Some(&back), &["orders"], step).unwrap_err(),
            "route `orders`: the migration is aborted; `crossfade resume` with its `--route` begins it anew"
        );
        let resumed = next(Some(&back), &["orders"], Move::Resume).unwrap();
        assert_eq!((resumed.version, resumed.routes["orders"].only.as_deref()), (4, None));
        assert_eq!(weights(&resumed, "orders"), [100, 0]);
        let all = next(Some(&resumed), &["orders"], Move::Promote(Target::Share(Share::ALL))).unwrap();
        assert_eq!(weights(&all, "orders"), [0, 100]);
        assert_eq!(all.routes["orders"].migration.unwrap().phase, Phase::Finished);
        let error = next(Some(&all), &["orders"], step).unwrap_err();
        assert_eq!(error, "route `orders`: all users are on the new system");
        assert_eq!(next(None, &["closed"], step).unwrap_err(), "route `closed` is not part of the migration");
        // Every one of them applies.
        for overlay in [one, two, back, resumed, all] {
            assert_eq!(table().overlaid(&overlay).mismatches, [""; 0]);
        }
    }

    #[test]
    fn a_state_without_progress_has_that_of_its_weights() {
        for (changes, share, phase) in [
            ("{}", 25, Phase::Running),
            ("{weights: {legacy: 1}}", 50, Phase::Running),
            ("{weights: {legacy: 0}}", 100, Phase::Finished),
            ("{only: modern}", 100, Phase::Finished),
            ("{only: legacy, weights: {legacy: 0}}", 0, Phase::Aborted),
            ("{only: modern, migration: {share: 5, phase: paused, since: '2026-11-28T12:00:00Z'}}", 5, Phase::Paused),
        ] {
            let overlay =
                Overlay::parse(&format!("{{format: 1, version: 3, routes: {{carts: {changes}}}}}"), "").unwrap();
            let table = table();
            let progress = table.progress(table.plan.as_ref().unwrap(), Some(&overlay), "carts");
            assert_eq!((progress.share, progress.phase), (Share(share * 1000), phase), "{changes}");
        }
    }

    /// Somebody has stopped them on purpose.
    #[test]
    fn paused_and_aborted_routes_have_to_be_named() {
        let step = Move::Promote(Target::NextStep);
        let author = Author { by: "anna".to_owned(), reason: None };
        let stays = |state: &Overlay, step| table().moved(Some(state), &[], step, &author, at(1)).unwrap().stays;
        let names = |state: &Overlay, step| next(Some(state), &[], step).map(|next| next.change);
        let one = next(None, &[], step).unwrap();
        let paused = next(Some(&one), &["carts"], Move::Pause).unwrap();
        assert_eq!(names(&paused, step).unwrap(), "promote orders to 12.5 %");
        assert_eq!(stays(&paused, step)["carts"], Refused::IsPaused);
        assert_eq!(names(&paused, Move::Pause).unwrap(), "pause orders");
        let both = next(Some(&paused), &[], Move::Pause).unwrap();
        assert!(names(&both, step).unwrap_err().contains("it is paused"), "even if all are");
        assert_eq!(next(Some(&both), &["carts", "carts"], step).unwrap().change, "promote carts to 100 %");
        let mixed = next(Some(&both), &["orders"], Move::Abort).unwrap();
        assert_eq!(names(&mixed, Move::Resume).unwrap(), "resume carts");
        assert_eq!(stays(&mixed, Move::Resume)["orders"], Refused::IsAborted);
        let aborted = next(Some(&mixed), &[], Move::Abort).unwrap();
        assert_eq!(names(&aborted, Move::Resume).unwrap(), "resume orders, carts", "none is paused");
        assert!(table().moved(Some(&one), &[], Move::Resume, &author, at(1)).unwrap().is_idle());
    }

    #[test]
    fn a_pause_leaves_weights_of_others_alone() {
        let one = next(None, &["carts"], Move::Promote(Target::NextStep)).unwrap();
        for (weights, only) in
            [(BTreeMap::from([("legacy".to_owned(), 9)]), None), (BTreeMap::new(), Some("modern".to_owned()))]
        {
            let mut state = one.clone();
            let changes = state.routes.get_mut("carts").unwrap();
            (changes.weights, changes.only) = (weights.clone(), only.clone());
            for step in [Move::Pause, Move::Resume] {
                state = next(Some(&state), &["carts"], step).unwrap();
                let changes = &state.routes["carts"];
                assert_eq!((&changes.weights, &changes.only), (&weights, &only), "{step:?}");
            }
        }
        let first = next(None, &["carts"], Move::Pause).unwrap();
        assert_eq!(weights(&first, "carts"), [75, 25], "the file may change");
    }

    #[test]
    fn an_overwriting_version_is_above_all_that_are_counted() {
        let routes = [("a", 3), ("b", 2)].map(|(name, version)| {
            let changes = crate::RouteChanges { version, ..crate::RouteChanges::default() };
            (name.to_owned(), changes)
        });
        let (by, change, at) = ("anna".to_owned(), "abort".to_owned(), SystemTime::UNIX_EPOCH);
        let overlay = Overlay { version: 3, at, by, change, reason: None, routes: BTreeMap::from(routes) };
        let above = overlay.above_all(SystemTime::UNIX_EPOCH + Duration::from_secs(1_796_000_000));
        assert_eq!(above.version, 1_796_000_000);
        let versions: Vec<u32> = above.routes.values().map(|changes| changes.version).collect();
        assert_eq!(versions, [1_796_000_000, 2], "a route that did not change keeps its version");
        assert_eq!(above.above_all(SystemTime::UNIX_EPOCH).version, 1_796_000_000, "a clock that was set back");
    }

    #[test]
    fn a_route_has_the_version_that_moved_its_users_last() {
        let step = Move::Promote(Target::NextStep);
        let mut state = None;
        for (step, version) in [
            (Move::Pause, 0),
            // Users who are pinned go back, and come again.
            (Move::Abort, 2),
            (Move::Abort, 2),
            (Move::Resume, 4),
            (step, 5),
            (Move::Pause, 5),
            (Move::Resume, 5),
            (Move::Abort, 8),
        ] {
            let moved = next(state.as_ref(), &["orders"], step).unwrap();
            assert_eq!(moved.routes["orders"].version, version, "{step:?} {state:?}");
            state = Some(moved);
        }
    }

    proptest! {
        #[test]
        fn abort_takes_everyone_back_whatever_came_before(
            steps in prop::collection::vec((0..4u8, 1..=1000u32, any::<bool>()), 0..8)
        ) {
            let mut overlay = None;
            for (step, share, is_one) in steps {
                let step = match step {
                    0 => Move::Promote(Target::NextStep),
                    1 => Move::Promote(Target::Share(Share(share * 100))),
                    2 => Move::Pause,
                    _ => Move::Resume,
                };
                let routes: &[&str] = if is_one { &["orders"] } else { &[] };
                if let Ok(moved) = next(overlay.as_ref(), routes, step) {
                    prop_assert_eq!(moved.version, overlay.map_or(1, |before: Overlay| before.version + 1));
                    overlay = Some(moved);
                }
            }
            let aborted = next(overlay.as_ref(), &[], Move::Abort).unwrap();
            let table = table().overlaid(&aborted).table;
            for route in &table.routes {
                let Action::Forward(forward) = &route.action else { panic!("{route:?}") };
                prop_assert!(forward.sticky.is_none());
                let weights: Vec<u32> = forward.targets.iter().map(|target| target.weight).collect();
                prop_assert_eq!(weights, [1, 0]);
            }
        }
    }
}
