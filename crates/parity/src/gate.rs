//! Gates: conditions that a pipeline requires, such as `parity>=99.5%,samples>=5000,p95<=+10%`.
//!
//! Owns the syntax of gates, its errors, and the evaluation. `docs/report.md` documents metrics and bounds.

use std::fmt::Write;

use serde::Serialize;

use crate::assessment::{Assessment, Percentiles, Summary, Verdict};
use crate::number::{grouped, milliseconds, percent};
use crate::proportion::share;

/// Conditions on the figures of one route, or on those of all routes together.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// `None` applies to all routes together.
    route: Option<String>,
    pub(crate) conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    pub(crate) text: String,
    pub(crate) metric: Metric,
    pub(crate) operator: Operator,
    pub(crate) bound: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    Parity,
    ParityLow,
    RawParity,
    Samples,
    P50,
    P90,
    P95,
    P99,
    Lost,
    Errors,
    Unknown,
    Regressions,
    Unjudged,
    NotMeasured,
    Unclear,
    Verdict,
}

const METRICS: [(&str, Metric); 16] = [
    ("parity", Metric::Parity),
    ("parity-low", Metric::ParityLow),
    ("raw-parity", Metric::RawParity),
    ("samples", Metric::Samples),
    ("p50", Metric::P50),
    ("p90", Metric::P90),
    ("p95", Metric::P95),
    ("p99", Metric::P99),
    ("lost", Metric::Lost),
    ("errors", Metric::Errors),
    ("unknown", Metric::Unknown),
    ("regressions", Metric::Regressions),
    ("unjudged", Metric::Unjudged),
    ("not-measured", Metric::NotMeasured),
    ("unclear", Metric::Unclear),
    ("verdict", Metric::Verdict),
];

const VERDICTS: [Verdict; 4] = [Verdict::Same, Verdict::Differs, Verdict::CannotBeJudged, Verdict::NotEnoughSamples];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    AtLeast,
    AtMost,
    Above,
    Below,
    Equal,
}

/// Longer operators first.
const OPERATORS: [(&str, Operator); 5] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    (">", Operator::Above),
    ("<", Operator::Below),
    ("=", Operator::Equal),
];

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// A percentage as a fraction: `99.5%` is 0.995.
    Share(f64),
    Count(f64),
    Milliseconds(f64),
    Verdict(Verdict),
}

/// The result of one condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConditionResult {
    /// Route that the condition applies to; `None` for all routes together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The condition as it was written, such as `p95<=+10%`.
    pub condition: String,
    /// `true` if the condition holds.
    pub ok: bool,
    /// The measured value for display, such as `+12.0 % (90 ms to 101 ms)`, or the reason why there is none.
    pub measured: String,
}

/// A text that is not a valid gate. `Display` states the problem, its position and the valid forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateError(String);

impl std::fmt::Display for GateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GateError {}

impl Gate {
    /// Parses `[ROUTE: ]CONDITION[,CONDITION]...`, where a condition is a metric, an operator and a bound.
    ///
    /// # Errors
    ///
    /// The first condition with an unknown metric, without an operator, or with a bound that its metric does not
    /// support; or an empty route name.
    pub fn parse(text: &str) -> Result<Gate, GateError> {
        let (route, conditions) = match text.rsplit_once(':') {
            Some((route, conditions)) => (Some(route.trim().to_owned()), conditions),
            None => (None, text),
        };
        if route.as_deref() == Some("") {
            return Err(GateError("missing route name before `:`".to_owned()));
        }
        let mut place = text.len() - conditions.len() + 1;
        let mut parsed = Vec::new();
        for condition in conditions.split(',') {
            let blanks = condition.len() - condition.trim_start().len();
            let read = Condition::parse(condition.trim());
            let read = read.map_err(|error| GateError(format!("at character {}: {error}", place + blanks)))?;
            parsed.push(read);
            place += condition.len() + 1;
        }
        Ok(Gate { route, conditions: parsed })
    }

    /// Returns the route that the gate is for; `None` for all routes together.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.route.as_deref()
    }

    /// Returns the conditions that only shadow requests decide.
    pub fn shadow_conditions(&self) -> impl Iterator<Item = &str> {
        self.conditions.iter().filter(|condition| !condition.is_of_users()).map(|condition| condition.text.as_str())
    }

    /// Returns the conditions that the requests of users decide once there are some on the new system.
    pub fn user_conditions(&self) -> impl Iterator<Item = &str> {
        self.conditions.iter().filter(|condition| condition.is_of_users()).map(|condition| condition.text.as_str())
    }

    /// Returns the conditions that hold for a system that is worse, and not for one that is better, each with the operator that
    /// was probably meant: as guards they would take users back from the better one.
    pub fn reversed_conditions(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.conditions.iter().filter_map(|condition| {
            let is_good =
                matches!(condition.metric, Metric::Parity | Metric::ParityLow | Metric::RawParity | Metric::Samples);
            let meant = match (condition.bound, condition.operator) {
                (Bound::Verdict(Verdict::Same), _) => None,
                (Bound::Verdict(_), _) => Some("verdict=same"),
                (_, Operator::AtMost) if is_good => Some(">="),
                (_, Operator::Below) if is_good => Some(">"),
                (_, Operator::AtLeast) if !is_good => Some("<="),
                (_, Operator::Above) if !is_good => Some("<"),
                _ => None,
            };
            meant.map(|meant| (condition.text.as_str(), meant))
        })
    }

    /// Evaluates the conditions in the order in which they were written. A condition fails if nothing was compared, or
    /// if no record is of its route.
    pub fn check(&self, assessment: &Assessment) -> Vec<ConditionResult> {
        let summary = match &self.route {
            None => Some((&assessment.overall, assessment.verdict)),
            Some(name) => {
                let route = assessment.routes.iter().find(|route| route.route == *name);
                route.map(|route| (&route.summary, route.verdict))
            }
        };
        let result = |condition: &Condition| {
            let (ok, measured) = match summary {
                None => (false, "no such route in the log".to_owned()),
                Some((summary, verdict)) => condition.measure(summary, verdict),
            };
            ConditionResult { route: self.route.clone(), condition: condition.text.clone(), ok, measured }
        };
        self.conditions.iter().map(result).collect()
    }
}

impl Condition {
    fn parse(text: &str) -> Result<Condition, String> {
        let end = text.find(['<', '>', '=']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let name = name.trim();
        let metric = METRICS.iter().find(|(known, _)| *known == name).map(|(_, metric)| *metric);
        let metric = metric.ok_or_else(|| unknown_metric(name))?;
        let operator = OPERATORS.iter().find_map(|(sign, operator)| Some((*operator, rest.strip_prefix(sign)?)));
        let (operator, value) =
            operator.ok_or_else(|| format!("`{name}` needs one of `>=`, `<=`, `>`, `<`, `=` and a value"))?;
        let value = value.trim();
        let bound = metric.bound(value).ok_or_else(|| format!("`{name}` needs {}, not `{value}`", metric.example()))?;
        if metric == Metric::Verdict && operator != Operator::Equal {
            return Err("`verdict` needs `=`".to_owned());
        }
        Ok(Condition { text: text.to_owned(), metric, operator, bound })
    }

    /// Returns `true` and the measured value for display if the condition holds, `false` and that value otherwise.
    pub(crate) fn measure(&self, summary: &Summary, verdict: Verdict) -> (bool, String) {
        if self.metric == Metric::Samples {
            let holds = summary.compared > 0 && self.holds(summary.compared as f64);
            return (holds, grouped(summary.compared));
        }
        let Some(parity) = summary.parity else { return (false, "nothing was compared".to_owned()) };
        let latency = |of: fn(&Percentiles) -> f64| match (&summary.latency, self.bound) {
            (None, _) => (false, "no pair of responses".to_owned()),
            (Some(latency), Bound::Milliseconds(_)) => {
                (self.holds(of(&latency.mirror)), milliseconds(of(&latency.mirror)))
            }
            (Some(latency), _) => {
                let change = of(&latency.change);
                let (primary, mirror) = (milliseconds(of(&latency.primary)), milliseconds(of(&latency.mirror)));
                (self.holds(change), format!("{:+.1} % ({primary} to {mirror})", change * 100.0))
            }
        };
        let of_share = |value: f64| (self.holds(value), percent(value));
        let of_count = |value: u64| (self.holds(value as f64), grouped(value));
        let counted = |part: u64, whole: u64| {
            let value = share(part, whole);
            let measured = if matches!(self.bound, Bound::Count(_)) { part as f64 } else { value };
            (self.holds(measured), format!("{} of {}, {}", grouped(part), grouped(whole), percent(value)))
        };
        match self.metric {
            Metric::Parity => of_share(parity.share),
            Metric::ParityLow => of_share(parity.low),
            Metric::RawParity => of_share(parity.raw),
            Metric::P50 => latency(|of| of.p50),
            Metric::P90 => latency(|of| of.p90),
            Metric::P95 => latency(|of| of.p95),
            Metric::P99 => latency(|of| of.p99),
            Metric::Lost => counted(summary.lost, summary.copies),
            Metric::Errors => counted(summary.mirror_failed, summary.compared),
            Metric::Unknown => counted(summary.unknown, summary.copies),
            Metric::Regressions => of_count(summary.places.regressions),
            Metric::Unjudged => of_count(summary.places.unjudged),
            Metric::NotMeasured => of_count(summary.places.not_measured),
            Metric::Unclear => of_count(summary.places.unclear),
            Metric::Verdict => (self.bound == Bound::Verdict(verdict), verdict.as_str().to_owned()),
            Metric::Samples => (false, String::new()), // above
        }
    }

    pub(crate) fn holds(&self, measured: f64) -> bool {
        let (Bound::Share(bound) | Bound::Count(bound) | Bound::Milliseconds(bound)) = self.bound else { return false };
        // 99.9 / 100 and 999 / 1000 differ in the last digit.
        let is_equal = (measured - bound).abs() <= 1e-12 * bound.abs().max(1.0);
        match self.operator {
            Operator::AtLeast => is_equal || measured > bound,
            Operator::AtMost => is_equal || measured < bound,
            Operator::Above => !is_equal && measured > bound,
            Operator::Below => !is_equal && measured < bound,
            Operator::Equal => is_equal,
        }
    }
}

impl Metric {
    fn bound(self, text: &str) -> Option<Bound> {
        let number = |text: &str| text.trim_end().parse().ok().filter(|number: &f64| number.is_finite());
        let positive = |text: &str| number(text).filter(|number| *number >= 0.0 && !text.starts_with('+'));
        let count = |text: &str| text.parse::<u32>().ok().filter(|_| !text.starts_with('+')).map(f64::from);
        let share = |text: &str| positive(text.strip_suffix('%')?).filter(|share| *share <= 100.0);
        match self {
            Metric::Parity | Metric::ParityLow | Metric::RawParity => {
                share(text).map(|share| Bound::Share(share / 100.0))
            }
            Metric::Samples | Metric::Regressions | Metric::Unjudged | Metric::NotMeasured | Metric::Unclear => {
                count(text).map(Bound::Count)
            }
            Metric::Verdict => VERDICTS.into_iter().find(|verdict| verdict.as_str() == text).map(Bound::Verdict),
            Metric::Lost | Metric::Errors | Metric::Unknown => {
                // More than the other system's, which is how failures are counted here.
                let text = if self == Metric::Errors { text.strip_prefix('+').unwrap_or(text) } else { text };
                share(text).map(|share| Bound::Share(share / 100.0)).or_else(|| count(text).map(Bound::Count))
            }
            Metric::P50 | Metric::P90 | Metric::P95 | Metric::P99 => match text.strip_suffix('%') {
                Some(change) => number(change).map(|change| Bound::Share(change / 100.0)),
                None => match text.strip_suffix("ms") {
                    Some(milliseconds) => positive(milliseconds).map(Bound::Milliseconds),
                    None => positive(text.strip_suffix('s')?).map(|seconds| Bound::Milliseconds(seconds * 1000.0)),
                },
            },
        }
    }

    fn example(self) -> &'static str {
        match self {
            Metric::Parity | Metric::ParityLow | Metric::RawParity => "a percentage such as `99.5%`",
            Metric::Samples => "a whole number such as `5000`",
            Metric::Regressions | Metric::Unjudged | Metric::NotMeasured | Metric::Unclear => {
                "a whole number such as `0`"
            }
            Metric::Verdict => "`same`, `differs`, `cannot-be-judged` or `not-enough-samples`",
            Metric::Lost | Metric::Errors | Metric::Unknown => "a percentage such as `1%`, or a whole number",
            Metric::P50 | Metric::P90 | Metric::P95 | Metric::P99 => {
                "a change such as `+10%`, or a time such as `300ms`"
            }
        }
    }
}

fn unknown_metric(name: &str) -> String {
    let near = METRICS.iter().map(|(known, _)| (strsim::damerau_levenshtein(name, known), *known)).min();
    let mut text = format!("unknown metric `{name}`; ");
    if let Some((_, near)) = near.filter(|(distance, _)| *distance <= 2) {
        let _ = write!(text, "did you mean `{near}`? ");
    }
    let known: Vec<_> = METRICS.iter().map(|(known, _)| *known).collect();
    text + "known metrics: " + &known.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_their_place() {
        for (gate, expected) in [
            ("", "at character 1: unknown metric ``; "),
            ("parity>=99.5%,", "at character 15: unknown metric ``; "),
            (
                "parity>=99.5%, sample>=1",
                "at character 16: unknown metric `sample`; did you mean `samples`? known metrics: parity, ",
            ),
            ("latency<1", "at character 1: unknown metric `latency`; known metrics: parity, "),
            ("parity", "at character 1: `parity` needs one of `>=`"),
            ("parity>=0.995", "at character 1: `parity` needs a percentage such as `99.5%`, not `0.995`"),
            ("parity>=101%", "at character 1: `parity` needs a percentage"),
            ("parity=>99%", "at character 1: `parity` needs a percentage such as `99.5%`, not `>99%`"),
            ("samples>=5k", "at character 1: `samples` needs a whole number"),
            ("p95<=10", "at character 1: `p95` needs a change such as `+10%`, or a time such as `300ms`, not `10`"),
            ("p95<=-1ms", "at character 1: `p95` needs"),
            ("p95<=NaN%", "at character 1: `p95` needs"),
            ("verdict=good", "at character 1: `verdict` needs `same`, `differs`, `cannot-be-judged` or `not-enough"),
            ("verdict>=same", "at character 1: `verdict` needs `=`"),
            ("unclear>=x", "at character 1: `unclear` needs a whole number such as `0`, not `x`"),
            ("orders: parity>=x", "at character 9: `parity` needs"),
            (": parity>=1%", "missing route name before `:`"),
        ] {
            let error = Gate::parse(gate).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{gate}: {error}");
        }
    }

    #[test]
    fn a_bound_has_the_unit_of_its_metric() {
        for (condition, bound) in [
            ("parity >= 99.5 %", Bound::Share(0.995)),
            ("samples>=5000", Bound::Count(5000.0)),
            ("p95<=+10%", Bound::Share(0.1)),
            ("p95<=-5%", Bound::Share(-0.05)),
            ("p95<300ms", Bound::Milliseconds(300.0)),
            ("p99<=1.5s", Bound::Milliseconds(1500.0)),
            ("lost<=1%", Bound::Share(0.01)),
            ("lost=0", Bound::Count(0.0)),
            ("verdict = same", Bound::Verdict(Verdict::Same)),
        ] {
            assert_eq!(Condition::parse(condition).unwrap().bound, bound, "{condition}");
        }
    }

    #[test]
    fn a_share_that_is_just_the_bound_holds() {
        for thousandths in 0..=1000_u64 {
            let text = format!("parity>={}%", thousandths as f64 / 10.0);
            let condition = Condition::parse(&text).unwrap();
            assert!(condition.holds(share(thousandths, 1000)), "{text}");
            assert!(
                !condition.holds(share(thousandths * 10 - thousandths.min(1), 10_000)) || thousandths == 0,
                "{text}"
            );
        }
    }
}
