//! The guard of a step of a migration: a gate on the requests since the step took effect, whose conditions hold, fail beyond
//! chance, or cannot be decided yet.
//!
//! Parity is of the shadow requests. Failures and response times are those of the users on each system, once the step has
//! some on the new one; before that, of the shadow requests. Owns these decisions; who moves users is decided elsewhere.

use crate::assessment::{Assessment, Difference, Endpoint, Mark, Route, Summary, Verdict};
use crate::gate::{Bound, Condition, Gate, Metric, Operator};
use crate::latency::{Histogram, Percentile, ln_evidence_of_slower, ln_evidence_of_slower_than};
use crate::number::{grouped, milliseconds, percent};
use crate::proportion::{Trials, share};
use crate::users::{Both, Users};
use crate::verdict::LOST_THRESHOLD;

/// The evidence that is beyond chance: an e-value of a thousand. The probability that a system that is no worse ever has so much
/// is one in a thousand, however often one looks.
const CERTAIN: f64 = 1000.0;
/// Stands for no failures at all: a single one is no evidence of more than that.
const LEAST: f64 = 0.001;

/// The requests of a route since a step took effect.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The route.
    pub route: &'a str,
    /// Shadow requests.
    pub assessment: &'a Assessment,
    /// Requests of users; `None` if the step has none on the new system.
    pub users: Option<&'a Users>,
    /// The new system has all users, so there is nothing to compare with.
    pub is_last: bool,
    /// The number of requests that a decision needs, of each system.
    pub samples: u64,
}

/// The decision about a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The condition holds.
    Holds,
    /// It does not, and that is not chance.
    Fails,
    /// It does not, but that may be chance.
    Unclear,
    /// There are so many requests, fewer than are needed.
    TooFew(u64),
}

/// A condition with its decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// As it was written.
    pub condition: String,
    /// The decision.
    pub decision: Decision,
    /// The figure that was measured, for display.
    pub measured: String,
}

impl Gate {
    /// Decides about every condition, in the order in which they were written. A route in the gate is ignored: a step has one.
    #[must_use]
    pub fn judge(&self, step: &Step<'_>) -> Vec<Judged> {
        let judged = |condition: &Condition| {
            let (decision, measured) = condition.judge(step);
            Judged { condition: condition.text.clone(), decision, measured }
        };
        self.conditions.iter().map(judged).collect()
    }
}

impl Condition {
    fn judge(&self, step: &Step<'_>) -> (Decision, String) {
        match (self.metric, self.percentile(), step.users) {
            (Metric::Errors, _, Some(users)) => self.errors_of_users(users, step),
            (_, Some(percentile), Some(users)) => {
                let (old, new) = users.times();
                self.latency(percentile, &old, &new, step)
            }
            _ => self.shadow(step),
        }
    }

    /// The latest requests have to hold as well, and can fail alone: many good ones must not hide that the system has become worse.
    fn errors_of_users(&self, users: &Users, step: &Step<'_>) -> (Decision, String) {
        let all = users.all();
        let (decision, measured) = self.errors(all, step, 1.0);
        let Some(latest) = users.latest(step.samples).filter(|_| matches!(self.bound, Bound::Share(_))) else {
            return (decision, measured);
        };
        // One of the many times at which it could have become worse.
        let (of_latest, figure) = self.errors(latest, step, all.new.lines() as f64);
        match (decision, of_latest) {
            (decision @ Decision::Fails, _) => (decision, measured),
            (_, Decision::Fails) => (Decision::Fails, format!("{figure}, the latest")),
            (Decision::Holds, Decision::Unclear) => (Decision::Unclear, format!("{figure}, the latest")),
            (decision, _) => (decision, measured),
        }
    }

    /// The failures of both systems. `chances` is the number of tests of this kind.
    fn errors(&self, Both { old, new }: Both, step: &Step<'_>, chances: f64) -> (Decision, String) {
        let measured = format!(
            "{} of {} instead of {} of {}",
            percent(new.share()),
            grouped(new.requests()),
            percent(old.share()),
            grouped(old.requests())
        );
        let (holds, fails) = match self.bound {
            // A count is what it is.
            Bound::Count(_) => (self.holds(new.failed as f64), !self.holds(new.failed as f64)),
            _ if new.lines() > 0 && new.others == 0 && old.others == 0 => {
                return (Decision::Unclear, format!("{measured}: no request without a failure"));
            }
            _ => (self.holds(new.share() - old.share()), self.is_certain(new, (!step.is_last).then_some(old), chances)),
        };
        let needs_old = !step.is_last && matches!(self.bound, Bound::Share(_));
        let samples = if needs_old { new.samples().min(old.samples()) } else { new.samples() };
        // A failure that is certain needs no more samples.
        let decision = match (fails, holds) {
            (true, _) => Decision::Fails,
            _ if samples < step.samples => Decision::TooFew(samples),
            (_, true) => Decision::Holds,
            (_, false) => Decision::Unclear,
        };
        (decision, measured)
    }

    /// Returns whether the new system certainly fails more often than the condition allows, beyond what the old one does.
    fn is_certain(&self, new: Trials, old: Option<Trials>, chances: f64) -> bool {
        let margin = match (self.operator, self.bound) {
            (Operator::AtMost | Operator::Below, Bound::Share(most)) => most,
            // Of requests that are the same: the others are what counts here.
            (Operator::AtLeast | Operator::Above, Bound::Share(least)) if self.metric != Metric::Errors => 1.0 - least,
            _ => return false,
        };
        let evidence = match old {
            Some(old) => new.ln_evidence_of_more(old, margin),
            None => new.ln_evidence_above(margin.max(LEAST)),
        };
        evidence >= (CERTAIN * chances).ln()
    }

    /// The condition on shadow requests.
    fn shadow(&self, step: &Step<'_>) -> (Decision, String) {
        let Some(route) = step.assessment.routes.iter().find(|route| route.route == step.route) else {
            return (Decision::TooFew(0), "no shadow request".to_owned());
        };
        let summary = &route.summary;
        let (decision, measured) = match (self.metric, self.percentile(), &summary.latency) {
            (Metric::Errors, ..) => self.errors(failures(summary), step, 1.0),
            (Metric::Parity | Metric::ParityLow | Metric::RawParity, ..) => self.parity(route, step),
            (_, Some(percentile), Some(latency)) => {
                let (old, new) = &latency.histograms;
                self.latency(percentile, old, new, step)
            }
            _ => self.figure(route, step),
        };
        // What was lost could be anything: it cannot hold without it.
        let lost = share(summary.lost, summary.copies);
        if decision == Decision::Holds && lost > LOST_THRESHOLD && self.metric != Metric::Lost {
            return (Decision::Unclear, format!("{measured}, but {} of the copies were lost", percent(lost)));
        }
        (decision, measured)
    }

    /// Failures of the new system are for `errors` to judge, as far as the old one has as many.
    fn parity(&self, route: &Route, step: &Step<'_>) -> (Decision, String) {
        let summary = &route.summary;
        let excused = summary.mirror_failed.min(summary.primary_failed);
        let (holds, measured) = if excused == 0 {
            self.measure(summary, route.verdict)
        } else {
            let same =
                if self.metric == Metric::RawParity { summary.matching + summary.accepted } else { summary.same };
            let same = (same + excused).min(summary.compared);
            let value = match self.metric {
                Metric::ParityLow => crate::proportion::wilson(same, summary.compared).0,
                _ => share(same, summary.compared),
            };
            (
                self.holds(value),
                format!("{} without {} failures that both systems have", percent(value), grouped(excused)),
            )
        };
        let same = if self.metric == Metric::RawParity { summary.matching + summary.accepted } else { summary.same };
        let different = Trials::of(summary.compared.saturating_sub(same), summary.compared);
        let old = Trials::of(summary.primary_failed, summary.compared + summary.failed);
        let old = (summary.primary_failed > 0).then_some(old);
        let decision = match holds {
            _ if summary.compared < step.samples => Decision::TooFew(summary.compared),
            true => Decision::Holds,
            false if self.is_certain(different, old, 1.0) => Decision::Fails,
            false => Decision::Unclear,
        };
        (decision, measured)
    }

    /// Figures that are no estimates.
    fn figure(&self, route: &Route, step: &Step<'_>) -> (Decision, String) {
        let summary = &route.summary;
        let (holds, measured) = self.measure(summary, route.verdict);
        let of_route = || step.assessment.endpoints.iter().filter(|endpoint| endpoint.name.route == step.route);
        let tests = step.assessment.endpoints.len() as f64 + 1.0;
        let decision = match (self.metric, route.verdict) {
            _ if summary.compared < step.samples => Decision::TooFew(summary.compared),
            _ if holds => Decision::Holds,
            // More of them change that.
            (Metric::Samples, _) | (Metric::Verdict, Verdict::NotEnoughSamples) => Decision::TooFew(summary.compared),
            (Metric::Regressions, _) | (Metric::Verdict, Verdict::Differs)
                if of_route().any(|endpoint| is_worse(endpoint, tests)) =>
            {
                Decision::Fails
            }
            _ => Decision::Unclear,
        };
        (decision, measured)
    }

    /// A first few responses on new connections are slow: they decide nothing.
    fn latency(&self, percentile: Percentile, old: &Histogram, new: &Histogram, step: &Step<'_>) -> (Decision, String) {
        let at = |histogram: &Histogram| histogram.percentile(percentile.share());
        let is_absolute = matches!(self.bound, Bound::Milliseconds(_));
        let (measured, value) = match (at(old), at(new)) {
            (_, None) => return (Decision::TooFew(0), "no response in time".to_owned()),
            (_, Some(new)) if is_absolute => (milliseconds(new), new),
            (None, Some(_)) => return (Decision::TooFew(0), "no request to compare with".to_owned()),
            (Some(old), Some(new)) => {
                let change = new / old - 1.0;
                (format!("{:+.1} % ({} to {})", change * 100.0, milliseconds(old), milliseconds(new)), change)
            }
        };
        let samples = if is_absolute { new.count() } else { new.count().min(old.count()) };
        let evidence = match (self.operator, self.bound) {
            (Operator::AtMost | Operator::Below, Bound::Milliseconds(most)) => {
                ln_evidence_of_slower_than(new, percentile, most)
            }
            (Operator::AtMost | Operator::Below, Bound::Share(change)) => {
                ln_evidence_of_slower(new, old, percentile, change)
            }
            _ => 0.0,
        };
        let decision = match self.holds(value) {
            _ if samples < step.samples => Decision::TooFew(samples),
            true => Decision::Holds,
            false if evidence >= CERTAIN.ln() => Decision::Fails,
            false => Decision::Unclear,
        };
        (decision, measured)
    }

    /// Returns whether the requests of users decide it, once there are some on the new system.
    pub(crate) fn is_of_users(&self) -> bool {
        self.metric == Metric::Errors || self.percentile().is_some()
    }

    fn percentile(&self) -> Option<Percentile> {
        match self.metric {
            Metric::P50 => Some(Percentile::P50),
            Metric::P95 => Some(Percentile::P95),
            Metric::P99 => Some(Percentile::P99),
            _ => None,
        }
    }
}

/// The failures of shadow requests. A copy that was not sent since the circuit breaker was open has failed.
fn failures(summary: &Summary) -> Both {
    let open = summary.lost_by_reason.get("open").copied().unwrap_or_default();
    let pairs = summary.compared + summary.failed;
    Both { old: Trials::of(summary.primary_failed, pairs), new: Trials::of(summary.mirror_failed + open, pairs + open) }
}

/// Returns whether an endpoint has a regression, or failures of the new system alone, that are certain. The verdict needs less.
fn is_worse(endpoint: &Endpoint, tests: f64) -> bool {
    let Summary { mirror_failed: mirror, primary_failed: primary, .. } = endpoint.summary;
    let is_regression = |it: &Difference| it.mark == Mark::Regression && it.e_value >= CERTAIN * tests;
    let is_failing = Trials::of(mirror, mirror + primary).ln_evidence_above(0.5) >= (CERTAIN * tests).ln();
    is_failing || endpoint.differences.iter().any(is_regression)
}

#[cfg(test)]
mod tests {
    use crossfade_journal::AccessRecord;
    use crossfade_journal::comparison::Record;
    use serde_json::{Value, json};

    use super::*;
    use crate::judge::judge;
    use crate::tally::Tally;

    /// Requests of users: on a system, so many, every n-th of which fails, at this time in milliseconds.
    type Group<'g> = (&'g str, u64, u64, f64);

    fn add(users: &mut Users, minute: u64, (backend, count, nth, ms): Group<'_>, members: &Value) {
        for number in 1..=count {
            let is_failed = nth > 0 && number % nth == 0;
            let mut line = json!({
                "type": "access", "version": 3, "time": format!("2026-11-28T12:{minute:02}:00Z"), "route": "orders",
                "backend": backend, "chosen": "hash", "status": if is_failed { 503 } else { 200 },
                "total_ms": ms + (number % 10) as f64,
            });
            if !is_failed {
                line.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            }
            let line: AccessRecord<'_> = serde_json::from_value(line).unwrap();
            users.add(&line);
        }
    }

    fn users(groups: &[Group<'_>]) -> Users {
        let mut users = Users::of("legacy", "modern");
        groups.iter().for_each(|group| add(&mut users, 0, *group, &json!({})));
        users
    }

    fn decided(guard: &str, users: Option<&Users>, tally: &Tally) -> Vec<Decision> {
        let assessment = judge(tally);
        let step = Step { route: "orders", assessment: &assessment, users, is_last: false, samples: 500 };
        Gate::parse(guard).unwrap().judge(&step).into_iter().map(|judged| judged.decision).collect()
    }

    #[test]
    fn users_on_the_new_system_count() {
        use Decision::{Fails, Holds, TooFew, Unclear};
        for (groups, guard, decision) in [
            (&[("legacy", 9_000, 100, 100.0), ("modern", 1_000, 100, 100.0)][..], "errors<=+0.5%", Holds),
            (&[("legacy", 9_000, 100, 100.0), ("modern", 1_000, 10, 100.0)], "errors<=+0.5%", Fails),
            // 1 % and 2 % of 1,000 may be chance.
            (&[("legacy", 9_000, 100, 100.0), ("modern", 1_000, 50, 100.0)], "errors<=+0.5%", Unclear),
            (&[("legacy", 9_000, 100, 100.0), ("modern", 100, 0, 100.0)], "errors<=+0.5%", TooFew(100)),
            // Every one fails: that needs no 500 users.
            (&[("legacy", 9_000, 100, 100.0), ("modern", 30, 1, 100.0)], "errors<=+0.5%", Fails),
            // One that fails may be chance.
            (&[("legacy", 9_000, 100, 100.0), ("modern", 1, 1, 100.0)], "errors<=+0.5%", TooFew(1)),
            (&[("legacy", 9_000, 100, 100.0), ("modern", 5, 5, 100.0)], "errors<=+0.5%", TooFew(5)),
            // Nothing to compare with.
            (&[("legacy", 2, 2, 100.0), ("modern", 1_000, 5, 100.0)], "errors<=+0.5%", TooFew(2)),
            (&[("modern", 1_000, 10, 100.0)], "errors<=5%", TooFew(0)),
            // A log of failures alone has no shares, but it has counts.
            (&[("legacy", 600, 1, 100.0), ("modern", 600, 1, 100.0)], "errors<=+0.5%", Unclear),
            (&[("legacy", 600, 1, 100.0), ("modern", 600, 1, 100.0)], "errors<=5", Fails),
            (&[("legacy", 9_000, 0, 100.0), ("modern", 1_000, 0, 102.0)], "p95<=+10%", Holds),
            (&[("legacy", 9_000, 0, 100.0), ("modern", 1_000, 0, 150.0)], "p95<=+10%", Fails),
            (&[("legacy", 9_000, 0, 100.0), ("modern", 1_000, 0, 150.0)], "p50<=200ms", Holds),
            (&[("legacy", 9_000, 0, 100.0), ("modern", 1_000, 0, 250.0)], "p50<=200ms", Fails),
            // New connections.
            (&[("legacy", 9_000, 0, 100.0), ("modern", 3, 0, 150.0)], "p95<=+10%", TooFew(3)),
            (&[("modern", 1_000, 0, 150.0)], "p95<=+10%", TooFew(0)),
        ] {
            assert_eq!(decided(guard, Some(&users(groups)), &Tally::new(0)), [decision], "{groups:?} {guard}");
        }
    }

    /// A request counts for the system that the route chose, and only if the client did not.
    #[test]
    fn failures_are_those_of_the_chosen_system() {
        use Decision::{Fails, TooFew};
        let open = json!([{ "backend": "modern", "outcome": "open" }]);
        for (members, decision) in [
            (json!({ "backend": null, "target": "modern", "skipped": open, "status": 503 }), Fails),
            (json!({ "backend": "legacy", "target": "modern", "skipped": open, "journal": [] }), Fails),
            (json!({ "backend": "modern", "chosen": "pin", "status": 503 }), TooFew(0)),
            (json!({ "backend": "modern", "chosen": "opt-in" }), TooFew(0)),
            (json!({ "backend": null, "target": "modern", "status": 413 }), TooFew(0)),
            (
                json!({ "backend": "modern", "target": "legacy", "skipped": [{ "backend": "legacy", "outcome": "503" }] }),
                TooFew(0),
            ),
        ] {
            let mut users = users(&[("legacy", 9_000, 0, 100.0)]);
            add(&mut users, 0, ("modern", 400, 0, 100.0), &members);
            assert_eq!(decided("errors<=+0.5%", Some(&users), &Tally::new(0)), [decision], "{members}");
        }
    }

    /// All failures are logged, and all requests with a retry; each of the others stands for ten.
    #[test]
    fn a_reduced_log_is_judged_by_its_lines() {
        use Decision::{Holds, TooFew};
        let mut users = Users::of("legacy", "modern");
        let sampled = json!({ "weight": 10 });
        let attempt = |outcome: &str| json!({ "backend": "modern", "role": "first", "outcome": outcome, "began_ms": 0, "took_ms": 1 });
        let retried = json!({ "journal": [attempt("503"), attempt("200")] });
        for (backend, count) in [("legacy", 900), ("modern", 450)] {
            add(&mut users, 0, (backend, count, 0, 100.0), &sampled);
            add(&mut users, 0, (backend, count / 10, 1, 100.0), &json!({}));
        }
        add(&mut users, 0, ("modern", 45, 0, 300.0), &retried);
        let decide = |users: &Users| decided("errors<=+0.5%, p95<=+10%", Some(users), &Tally::new(0));
        assert_eq!(decide(&users), [TooFew(495), TooFew(450)]);
        add(&mut users, 0, ("modern", 50, 0, 100.0), &sampled);
        assert_eq!(decide(&users), [Holds, Holds]);
    }

    #[test]
    fn the_latest_requests_must_hold_too() {
        for (nth, decision) in [(0, Decision::Holds), (1, Decision::Fails), (50, Decision::Unclear)] {
            let mut users = users(&[("legacy", 90_000, 0, 100.0), ("modern", 100_000, 0, 100.0)]);
            add(&mut users, 30, ("legacy", 3_000, 0, 100.0), &json!({}));
            add(&mut users, 30, ("modern", 500, nth, 100.0), &json!({}));
            assert_eq!(decided("errors<=+0.5%", Some(&users), &Tally::new(0)), [decision], "{nth}");
        }
    }

    /// Count, verdict, status of the old system and of the new one, reason.
    type Shadows<'g> = (u64, &'g str, u16, Option<u16>, Option<&'g str>);

    /// Shadow requests: so many of each kind.
    fn shadows(groups: &[Shadows<'_>]) -> Tally {
        let mut tally = Tally::new(0);
        for (count, verdict, primary, mirror, reason) in groups {
            let line = json!({
                "type": "compare", "version": 3, "time": "2026-11-28T12:00:00Z", "against": "mirror", "request_id": "1",
                "route": "orders", "method": "GET", "endpoint": "/orders/{id}", "verdict": verdict, "reason": reason,
                "differences": if *verdict == "different" { json!([{ "class": "status", "pointer": "status" }]) } else { json!([]) },
                "primary": { "backend": "legacy", "status": primary, "ms": 20.0 },
                "mirror": { "backend": "modern", "status": mirror, "ms": 20.0 },
            });
            let record: Record = serde_json::from_value(line).unwrap();
            (0..*count).for_each(|_| tally.add(&record));
        }
        tally
    }

    #[test]
    fn shadow_requests_decide_before_the_first_step() {
        use Decision::{Fails, Holds, TooFew, Unclear};
        let good = (3_000, "match", 200, Some(200), None);
        let worse = |count| (count, "different", 200, Some(503), None);
        let both = |count| (count, "failed", 503, Some(200), None);
        let lost = |count, reason| (count, "lost", 200, None, Some(reason));
        for (groups, guard, decision) in [
            (&[good][..], "parity>=99.5%", Holds),
            (&[good], "errors<=+0.5%", Holds),
            (&[good], "p95<=+10%", Holds),
            (&[good], "samples>=5000", TooFew(3_000)),
            // Copies that were not sent since the new system failed.
            (&[good, worse(5), lost(17_000, "open")], "errors<=+0.5%", Fails),
            (&[good, worse(5), lost(17_000, "open")], "parity>=99.5%", Unclear),
            (&[good, lost(100, "time")], "p95<=+10%", Unclear),
            (&[good, lost(20, "time")], "p95<=+10%", Holds),
            // Both fail at random.
            (&[good, worse(30), both(30)], "parity>=99.5%", Holds),
            (&[good, worse(30), both(30)], "errors<=+0.5%", Holds),
            (&[good, worse(300)], "errors<=+0.5%", Fails),
            (&[good, worse(300)], "parity>=99.5%", Fails),
            (&[good, worse(300)], "verdict=same", Fails),
            (&[good, worse(300), both(10)], "parity>=99.5%", Fails),
            (&[good, worse(1)], "parity>=100%", Unclear),
        ] {
            assert_eq!(decided(guard, None, &shadows(groups)), [decision], "{groups:?} {guard}");
        }
    }

    #[test]
    fn without_any_data_nothing_is_decided() {
        let decisions = decided("verdict=same, errors<=+0.5%, p95<=+10%", None, &Tally::new(0));
        assert_eq!(decisions, [Decision::TooFew(0), Decision::TooFew(0), Decision::TooFew(0)]);
    }
}
