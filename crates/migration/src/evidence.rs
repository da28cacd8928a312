//! The evidence: the requests of each route of a plan since its last change took effect, and the judgement about them.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossfade_journal::AccessRecord;
use crossfade_journal::comparison::Record;
use crossfade_parity::{Decision, Effect, Gate, GateError, Judged, Step, Tally, Users, judge};
use crossfade_route::migration::{Evidence, Phase, Plan, Progress};
use crossfade_route::{Overlay, RoutingTable, Share};
use serde::Serialize;

/// The clocks of functions and of whoever moves users may differ by so much.
const SKEW: Duration = Duration::from_secs(300);

/// Evidence whose last record is older than this, or than the plan's `bake`, says nothing about the system of now.
const RECENT: Duration = Duration::from_secs(60 * 60);

/// The records of one route.
#[derive(Debug)]
struct Collected {
    route: String,
    progress: Progress,
    /// The version that changed the route last for its users; 0 before the first change.
    version: u32,
    effect: Effect,
    /// The time of the first record.
    first: Option<SystemTime>,
    tally: Tally,
    users: Users,
}

/// The records of all routes of a plan.
#[derive(Debug)]
pub struct Evidences<'p> {
    plan: Cow<'p, Plan>,
    guard: Gate,
    routes: Vec<Collected>,
    /// Time of the last request of a user, of any route.
    last_request: Option<SystemTime>,
    /// Time of the last shadow request.
    last_comparison: Option<SystemTime>,
    /// The reason why there are records that were not counted.
    incomplete: Option<String>,
    /// Requests without a failure are not logged at all.
    has_failures_only: bool,
}

/// A route with its evidence.
#[derive(Debug)]
pub struct Judgement {
    /// Its name.
    pub route: String,
    /// The present one.
    pub progress: Progress,
    /// The version that changed the route last for its users; 0 before the first change.
    pub version: u32,
    /// Those of the guard, in its order.
    pub conditions: Vec<Judged>,
    /// The conclusion from them.
    pub evidence: Evidence,
    /// Since when nearly all requests follow the change.
    pub in_effect: Option<SystemTime>,
    /// The share of the latest requests that do.
    pub recent: Option<f64>,
}

/// A condition as JSON documents have it.
#[derive(Debug, Serialize)]
pub struct Condition<'j> {
    condition: &'j str,
    decision: &'static str,
    measured: &'j str,
}

impl Collected {
    /// Returns whether a request of this time can be of this step. An earlier migration may have had the same version. A line
    /// without a time says that it is of 1970.
    fn is_due(&self, time: SystemTime) -> bool {
        time != UNIX_EPOCH && time.checked_add(SKEW).is_none_or(|time| time >= self.progress.since)
    }

    fn begin_at(&mut self, time: SystemTime) {
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
    }
}

impl<'p> Evidences<'p> {
    /// Starts without records.
    pub fn new(table: &RoutingTable, plan: &'p Plan, overlay: Option<&Overlay>) -> Result<Evidences<'p>, GateError> {
        let guard = Gate::parse(&plan.guard)?;
        let collected = |route: &String| {
            let version = overlay.and_then(|overlay| overlay.routes.get(route)).map_or(0, |changes| changes.version);
            Collected {
                route: route.clone(),
                progress: table.progress(plan, overlay, route),
                version,
                effect: Effect::of(version),
                first: None,
                tally: Tally::new(0),
                users: Users::of(&plan.from, &plan.to),
            }
        };
        let routes = plan.routes.iter().map(collected).collect();
        let has_failures_only = table.access_log.is_zero();
        Ok(Evidences {
            plan: Cow::Borrowed(plan),
            guard,
            routes,
            last_request: None,
            last_comparison: None,
            incomplete: None,
            has_failures_only,
        })
    }

    /// Keeps the plan itself, so that counting can go on for as long as the state stays.
    #[must_use]
    pub fn into_owned(self) -> Evidences<'static> {
        Evidences { plan: Cow::Owned(self.plan.into_owned()), ..self }
    }

    /// The time from which on records count: that of the last change of a route that can still move, in 1970 for one that no live
    /// state has begun. `None` if no route can move.
    #[must_use]
    pub fn since(&self) -> Option<SystemTime> {
        let moves = |phase| matches!(phase, Phase::Running | Phase::Paused);
        self.routes.iter().filter(|route| moves(route.progress.phase)).map(|route| route.progress.since).min()
    }

    /// Notes that there are further records. A failure is one in spite of them, but nothing moves forward.
    pub fn incomplete(&mut self, reason: String) {
        self.incomplete = Some(reason);
    }

    /// Counts a request of a user.
    pub fn add_access(&mut self, record: &AccessRecord<'_>) {
        self.last_request = self.last_request.max(Some(record.time));
        let Some(route) = self.routes.iter_mut().find(|route| record.route.as_deref() == Some(&route.route)) else {
            return;
        };
        if !route.is_due(record.time) {
            return;
        }
        route.effect.add(record);
        if record.live.unwrap_or_default() >= route.version {
            route.users.add(record);
            route.begin_at(record.time);
        }
    }

    /// Counts a shadow request.
    pub fn add_comparison(&mut self, record: &Record) {
        self.last_comparison = self.last_comparison.max(Some(record.time));
        let Some(route) = self.routes.iter_mut().find(|route| record.route == route.route) else { return };
        if route.is_due(record.time) && record.live.unwrap_or_default() >= route.version {
            route.tally.add(record);
            route.begin_at(record.time);
        }
    }

    /// Decides about every route, as of `now`.
    pub fn judgements(&self, now: SystemTime) -> Vec<Judgement> {
        let judgement = |collected: &Collected| {
            let assessment = judge(&collected.tally);
            let share = collected.progress.share;
            let step = Step {
                route: &collected.route,
                assessment: &assessment,
                users: (share > Share::NONE).then_some(&collected.users),
                is_last: share == Share::ALL,
                samples: self.plan.samples,
            };
            let conditions = self.guard.judge(&step);
            let evidence = match (evidence(&conditions), &self.incomplete) {
                (_, None) if self.last_request.max(self.last_comparison).is_none() => {
                    Evidence::Missing("there are no records".to_owned())
                }
                _ if self.has_failures_only && share > Share::NONE => {
                    let reason = "with `accessLog: false` the log has no requests without a failure";
                    Evidence::CannotBeJudged(reason.to_owned())
                }
                (Evidence::Fail(reason), _) => Evidence::Fail(reason),
                (_, Some(reason)) => Evidence::Missing(reason.clone()),
                (Evidence::Pass, None) => self.old(share, now).map_or(Evidence::Pass, Evidence::Missing),
                (evidence, None) => evidence,
            };
            Judgement {
                route: collected.route.clone(),
                progress: collected.progress,
                version: collected.version,
                evidence,
                conditions,
                // Before the first change nothing has to take effect: the step is as old as its evidence.
                in_effect: if collected.version == 0 { collected.first } else { collected.effect.since() }
                    .map(|time| time.max(collected.progress.since)),
                recent: collected.effect.recent(),
            }
        };
        self.routes.iter().map(judgement).collect()
    }

    /// Returns the reason why the evidence for a route with this share is too old to move users forward.
    fn old(&self, share: Share, now: SystemTime) -> Option<String> {
        let age = RECENT.max(self.plan.bake);
        let needs_requests = share > Share::NONE;
        let needs_comparisons = !needs_requests || self.guard.shadow_conditions().next().is_some();
        let needed = [
            (needs_requests, self.last_request, "request"),
            (needs_comparisons, self.last_comparison, "shadow request"),
        ];
        needed.into_iter().find_map(|(is_needed, last, what)| {
            let last = last.filter(|_| is_needed)?;
            (now.duration_since(last).unwrap_or_default() > age).then(|| {
                let last = humantime::format_rfc3339_seconds(last);
                format!("the last {what} was at {last}, more than {} ago", humantime::format_duration(age))
            })
        })
    }
}

/// The conclusion from the conditions of a guard.
fn evidence(conditions: &[Judged]) -> Evidence {
    let with = |decision: fn(&Decision) -> bool| conditions.iter().find(|judged| decision(&judged.decision));
    let shown = |judged: &Judged| format!("{}: {}", judged.condition, judged.measured);
    let count = |judged: &Judged| match judged.decision {
        Decision::TooFew(count) => Some(count),
        _ => None,
    };
    if let Some(failed) = with(|decision| *decision == Decision::Fails) {
        Evidence::Fail(shown(failed))
    } else if let Some(count) = conditions.iter().filter_map(count).min() {
        Evidence::TooFew(count)
    } else if let Some(unclear) = with(|decision| *decision == Decision::Unclear) {
        Evidence::CannotBeJudged(shown(unclear))
    } else {
        Evidence::Pass
    }
}

impl Judgement {
    /// Returns the conditions for a JSON document.
    pub fn conditions(&self) -> impl Iterator<Item = Condition<'_>> {
        self.conditions.iter().map(|judged| Condition {
            condition: &judged.condition,
            decision: word(&judged.decision),
            measured: &judged.measured,
        })
    }
}

/// The word for a decision.
pub fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Holds => "holds",
        Decision::Fails => "fails",
        Decision::Unclear => "unclear",
        Decision::TooFew(_) => "too few",
    }
}

#[cfg(test)]
mod tests {
    use crossfade_route::Nothing;
    use serde_json::json;

    use super::*;

    const CONFIG: &str = "version: 1
backends: { legacy: https://legacy.example, modern: https://modern.example }
migration: { from: legacy, to: modern, guard: errors<=+0.5%, samples: 10 }
default: { forward: { targets: [legacy, { backend: modern, weight: 0 }], sticky: { by: ip } } }
";

    /// The evidence for 10 % since version 2, from so many requests of each system, those of `modern` with this status.
    fn judged(access_log: &str, count: u32, status: u16, incomplete: Option<&str>) -> Evidence {
        judged_after(2, access_log, count, status, incomplete)
    }

    /// The same, so many minutes after the step, whose requests came in its second minute.
    fn judged_after(minutes: u64, access_log: &str, count: u32, status: u16, incomplete: Option<&str>) -> Evidence {
        let table = RoutingTable::from_config(&format!("{CONFIG}{access_log}\n"), "", &Nothing).unwrap();
        let overlay = "{format: 1, version: 2, routes: {default: {version: 2, weights: {legacy: 9, modern: 1}, \
                       migration: {share: 10, phase: running, since: '2026-11-28T12:00:00Z'}}}}";
        let overlay = Overlay::parse(overlay, "").unwrap();
        let plan = table.plan.clone().unwrap();
        let mut evidences = Evidences::new(&table, &plan, Some(&overlay)).unwrap();
        assert_eq!(evidences.since(), Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_867_200)));
        for (backend, status) in [("legacy", 200), ("modern", status)] {
            let line = json!({ "type": "access", "version": 3, "time": "2026-11-28T12:01:00Z", "live": 2,
                "route": "default", "backend": backend, "status": status, "attempts": 1 });
            let record: AccessRecord<'_> = serde_json::from_value(line).unwrap();
            (0..count).for_each(|_| evidences.add_access(&record));
        }
        if let Some(reason) = incomplete {
            evidences.incomplete(reason.to_owned());
        }
        evidences.judgements(UNIX_EPOCH + Duration::from_secs(1_795_867_200 + minutes * 60)).pop().unwrap().evidence
    }

    #[test]
    fn of_a_log_that_is_read_in_part_only_a_failure_counts() {
        assert_eq!(judged("", 300, 200, None), Evidence::Pass);
        assert_eq!(judged("", 300, 200, Some("too long")), Evidence::Missing("too long".to_owned()));
        assert_eq!(judged("", 0, 200, Some("no log")), Evidence::Missing("no log".to_owned()));
        assert!(matches!(judged("", 300, 503, Some("too long")), Evidence::Fail(_)));
    }

    #[test]
    fn old_evidence_moves_nobody_forward_but_back() {
        assert_eq!(judged_after(61, "", 300, 200, None), Evidence::Pass);
        let reason = "the last request was at 2026-11-28T12:01:00Z, more than 1h ago";
        assert_eq!(judged_after(62, "", 300, 200, None), Evidence::Missing(reason.to_owned()));
        assert!(matches!(judged_after(6000, "", 300, 503, None), Evidence::Fail(_)));
    }

    /// All of its lines are failures.
    #[test]
    fn a_log_of_failures_alone_has_no_shares() {
        for status in [200, 503] {
            let evidence = judged("accessLog: false", 300, status, None);
            assert!(matches!(evidence, Evidence::CannotBeJudged(_)), "{evidence:?}");
        }
    }
}
