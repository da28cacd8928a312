//! The guard of a step of a migration: a gate on the requests since the step took effect, whose conditions hold, fail beyond
//! chance, or cannot be decided yet.
//!
//! Parity is of the shadow requests. Failures and response times are those of the users on each system, once there are some on
//! the new one; before that, of the shadow requests. Owns these decisions; who moves users is decided elsewhere.

use crate::assessment::{Assessment, Interval, Summary, Verdict};
use crate::gate::{Bound, Condition, Gate, Metric, Operator};
use crate::latency::{Histogram, Percentile};
use crate::number::{grouped, milliseconds, percent};
use crate::proportion::{difference, share};
use crate::traffic::{BackendTraffic, Traffic};

/// The level of intervals, as a quantile of the normal distribution and as its tail: one in a thousand, since a step is looked
/// at many times, and a failure takes its users back.
const Z: f64 = 3.290_526_731_491_926;
const TAIL: f64 = 0.0005;

/// The requests of a route since a step took effect.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The route.
    pub route: &'a str,
    /// The old system.
    pub from: &'a str,
    /// The new system.
    pub to: &'a str,
    /// Shadow requests.
    pub assessment: &'a Assessment,
    /// Requests of users.
    pub traffic: &'a Traffic,
    /// The number of requests that a decision needs.
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
        let users = step.traffic.routes.iter().find(|route| route.route == step.route);
        let of = |name: &str| users.and_then(|route| route.backends.iter().find(|backend| backend.backend == name));
        // With users on the new system, theirs count, however few they are.
        match (self.metric, of(step.to)) {
            (Metric::Errors, Some(new)) => self.errors(new, of(step.from), step.samples),
            (Metric::P50, Some(new)) => self.latency(Percentile::P50, new, of(step.from), step.samples),
            (Metric::P95, Some(new)) => self.latency(Percentile::P95, new, of(step.from), step.samples),
            (Metric::P99, Some(new)) => self.latency(Percentile::P99, new, of(step.from), step.samples),
            _ => self.shadow(step),
        }
    }

    /// The condition on shadow requests.
    fn shadow(&self, step: &Step<'_>) -> (Decision, String) {
        let Some(route) = step.assessment.routes.iter().find(|route| route.route == step.route) else {
            return (Decision::TooFew(0), "no shadow request".to_owned());
        };
        let summary = &route.summary;
        let (holds, measured) = self.measure(summary, route.verdict);
        let decision = match (self.metric, route.verdict) {
            _ if summary.compared < step.samples => Decision::TooFew(summary.compared),
            _ if holds => Decision::Holds,
            // More of them change that.
            (Metric::Verdict, Verdict::NotEnoughSamples) => Decision::TooFew(summary.compared),
            (Metric::Verdict, Verdict::Differs) => Decision::Fails,
            (Metric::Verdict, _) => Decision::Unclear,
            _ if self.fails_beyond_chance(summary) => Decision::Fails,
            _ => Decision::Unclear,
        };
        (decision, measured)
    }

    /// Returns whether the most favourable value that is plausible does not hold either.
    fn fails_beyond_chance(&self, summary: &Summary) -> bool {
        let pairs = summary.compared;
        let interval = |part: u64| difference((part, pairs), (0, u64::MAX), Z);
        match self.metric {
            Metric::Parity | Metric::ParityLow => !self.holds_within(interval(summary.same)),
            Metric::RawParity => !self.holds_within(interval(summary.matching + summary.accepted)),
            Metric::Errors => {
                let interval = difference((summary.mirror_failed, pairs), (summary.primary_failed, pairs), Z);
                matches!(self.bound, Bound::Share(_)) && !self.holds_within(interval)
            }
            Metric::P50 | Metric::P95 | Metric::P99 => match (&summary.latency, self.percentile()) {
                (Some(latency), Some(percentile)) => {
                    let (old, new) = &latency.histograms;
                    !self.holds_within(self.range(percentile, new, Some(old)))
                }
                _ => false,
            },
            // Counts are what they are.
            Metric::Regressions => true,
            _ => false,
        }
    }

    fn errors(&self, new: &BackendTraffic, old: Option<&BackendTraffic>, samples: u64) -> (Decision, String) {
        let (failed, tried) = old.map_or((0, 0), |old| (old.failed, old.tried));
        let measured = format!(
            "{} of {} instead of {} of {}",
            percent(share(new.failed, new.tried)),
            grouped(new.tried),
            percent(share(failed, tried)),
            grouped(tried)
        );
        // When all users have moved there is nothing to compare with.
        let other = if tried == 0 { (0, u64::MAX) } else { (failed, tried) };
        let (value, interval) = match self.bound {
            Bound::Count(_) => {
                let count = new.failed as f64;
                (count, (count, count))
            }
            _ => {
                (share(new.failed, new.tried) - share(other.0, other.1), difference((new.failed, new.tried), other, Z))
            }
        };
        (self.decide(value, interval, new.tried, samples), measured)
    }

    fn latency(
        &self,
        percentile: Percentile,
        new: &BackendTraffic,
        old: Option<&BackendTraffic>,
        samples: u64,
    ) -> (Decision, String) {
        let at = |histogram: &Histogram| histogram.percentile(percentile.share());
        let old = old.map(|old| &old.histogram);
        let (Some(value), before) = (at(&new.histogram), old.and_then(at)) else {
            return (Decision::TooFew(new.tried), "no response in time".to_owned());
        };
        let (measured, value) = match (self.bound, before) {
            (Bound::Milliseconds(_), _) => (milliseconds(value), value),
            (_, Some(before)) => {
                let change = value / before - 1.0;
                (format!("{:+.1} % ({} to {})", change * 100.0, milliseconds(before), milliseconds(value)), change)
            }
            (_, None) => return (Decision::TooFew(new.tried), "no request to compare with".to_owned()),
        };
        // Lines, not the requests that lines of a reduced log stand for.
        let count = new.histogram.count();
        (self.decide(value, self.range(percentile, &new.histogram, old), count, samples), measured)
    }

    fn decide(&self, value: f64, interval: (f64, f64), count: u64, samples: u64) -> Decision {
        // A failure that is certain needs no more samples.
        if !self.holds(value) && !self.holds_within(interval) {
            Decision::Fails
        } else if count < samples {
            Decision::TooFew(count)
        } else if self.holds(value) {
            Decision::Holds
        } else {
            Decision::Unclear
        }
    }

    /// Returns whether any value between two bounds holds.
    fn holds_within(&self, (low, high): (f64, f64)) -> bool {
        match self.operator {
            Operator::AtLeast | Operator::Above => self.holds(high),
            Operator::AtMost | Operator::Below => self.holds(low),
            Operator::Equal => true,
        }
    }

    fn percentile(&self) -> Option<Percentile> {
        Percentile::ALL.into_iter().find(|percentile| match self.metric {
            Metric::P50 => *percentile == Percentile::P50,
            Metric::P95 => *percentile == Percentile::P95,
            Metric::P99 => *percentile == Percentile::P99,
            _ => false,
        })
    }

    /// Returns the plausible range of a percentile, or of its change.
    fn range(&self, percentile: Percentile, new: &Histogram, old: Option<&Histogram>) -> (f64, f64) {
        let Interval { low, high } = new.interval(percentile, TAIL);
        let (low, high) = (low.unwrap_or(0.0), high.unwrap_or(f64::INFINITY));
        if matches!(self.bound, Bound::Milliseconds(_)) {
            return (low, high);
        }
        let Some(old) = old.map(|old| old.interval(percentile, TAIL)) else {
            return (f64::NEG_INFINITY, f64::INFINITY);
        };
        (low / old.high.unwrap_or(f64::INFINITY) - 1.0, high / old.low.unwrap_or(f64::MIN_POSITIVE) - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use crossfade_journal::AccessRecord;
    use serde_json::json;

    use super::*;
    use crate::judge::judge;
    use crate::tally::Tally;
    use crate::traffic::TrafficTally;

    /// Requests of users: on a system, so many, every n-th of which fails, at this time in milliseconds.
    fn traffic(groups: &[(&str, u64, u64, f64)]) -> Traffic {
        let mut tally = TrafficTally::new();
        for (backend, count, nth, ms) in groups {
            for number in 1..=*count {
                let is_failed = *nth > 0 && number % nth == 0;
                let line = json!({
                    "type": "access", "version": 2, "time": "2026-11-28T12:00:00Z", "route": "orders", "path": "/",
                    "backend": backend, "status": if is_failed { 503 } else { 200 },
                    "total_ms": ms + (number % 10) as f64,
                });
                let line: AccessRecord<'_> = serde_json::from_value(line).unwrap();
                tally.add(&line);
            }
        }
        tally.traffic()
    }

    fn decided(guard: &str, traffic: &Traffic, tally: &Tally) -> Vec<Decision> {
        let assessment = judge(tally);
        let step =
            Step { route: "orders", from: "legacy", to: "modern", assessment: &assessment, traffic, samples: 500 };
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
            (&[("modern", 1_000, 10, 100.0)], "errors<=5%", Fails),
            (&[("legacy", 9_000, 0, 100.0), ("modern", 1_000, 0, 102.0)], "p95<=+10%", Holds),
            (&[("legacy", 9_000, 0, 100.0), ("modern", 1_000, 0, 150.0)], "p95<=+10%", Fails),
            (&[("legacy", 9_000, 0, 100.0), ("modern", 1_000, 0, 150.0)], "p50<=200ms", Holds),
            (&[("modern", 1_000, 0, 150.0)], "p95<=+10%", TooFew(1_000)),
        ] {
            assert_eq!(decided(guard, &traffic(groups), &Tally::new(0)), [decision], "{groups:?} {guard}");
        }
    }

    #[test]
    fn without_any_data_nothing_is_decided() {
        let decisions = decided("verdict=same, errors<=+0.5%, p95<=+10%", &traffic(&[]), &Tally::new(0));
        assert_eq!(decisions, [Decision::TooFew(0), Decision::TooFew(0), Decision::TooFew(0)]);
    }
}
