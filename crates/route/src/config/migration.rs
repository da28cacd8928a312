//! `migration`: how users move from one back end to another, and the routes that take part.

use std::time::Duration;

use crossfade_document::Node;

use super::backends::Backends;
use crate::migration::{Plan, Schedule};
use crate::mirror::Share;
use crate::read::{Collector, Read};
use crate::table::{Action, Route};

/// The defaults: small enough to notice trouble early, few enough to get through in a day.
const STEPS: [Share; 5] =
    [Share::percents(1), Share::percents(10), Share::percents(25), Share::percents(50), Share::ALL];
const BAKE: Duration = Duration::from_secs(30 * 60);
const SAMPLES: u64 = 500;
const GUARD: &str = "verdict=same, errors<=+0.5%, p95<=+10%";

/// Steps in a plan.
const MAX_STEPS: usize = 100;

/// Reads the plan. `routes` are all, enabled or not.
pub(super) fn read<'n, 'r>(
    node: &'n Node,
    routes: impl Iterator<Item = &'r Route> + Clone,
    backends: &mut Backends<'n>,
    diagnostics: &mut Collector,
) -> Option<Plan> {
    let [from, to, steps, bake, guard, samples, names, schedule, alarms] =
        node.keys(diagnostics, ["from", "to", "steps", "bake", "guard", "samples", "routes", "schedule", "alarms"])?;
    for (key, member, example) in [("from", from, "legacy"), ("to", to, "modern")] {
        if member.is_none() {
            node.error(diagnostics, format!("missing key `{key}`"), Some(format!("write `{key}: {example}`")));
        }
    }
    let steps = steps.map_or(Some(STEPS.to_vec()), |node| read_steps(node, diagnostics));
    let bake = bake.map_or(Some(BAKE), |node| node.duration(diagnostics));
    let guard = guard.map_or(Some(GUARD), |node| node.text(diagnostics));
    let samples = samples.map_or(Some(SAMPLES), |node| node.whole(diagnostics, 1..=1_000_000).map(u64::from));
    let schedule = schedule.map_or(Some(Schedule::Off), |node| read_schedule(node, diagnostics));
    let alarms = alarms.map_or(Some(Vec::new()), |node| read_alarms(node, diagnostics));
    // With errors in these keys the plan serves an abort only.
    let (from, to) = (from?, to?);
    let (from_index, to_index) = (backends.find(from, diagnostics)?, backends.find(to, diagnostics)?);
    if from_index == to_index {
        to.error(diagnostics, "`from` and `to` are the same back end", None);
        return None;
    }
    // A route with other targets as well could not say where the rest of its users is.
    let fits = |route: &Route| match &route.action {
        Action::Forward(forward) => {
            let mut indices: Vec<usize> = forward.targets.iter().map(|target| target.backend).collect();
            indices.sort_unstable();
            indices == [from_index.min(to_index), from_index.max(to_index)]
        }
        _ => false,
    };
    let routes = match names {
        None => {
            let routes: Vec<String> = routes.filter(|route| fits(route)).map(|route| route.name.clone()).collect();
            if routes.is_empty() {
                let hint = "list both in `targets` of the routes that migrate; one of them with weight 0";
                node.error(diagnostics, "no route has exactly `from` and `to` as its targets", Some(hint.into()));
            }
            routes
        }
        Some(names) => {
            let mut found = Vec::new();
            for node in names.one_or_more(diagnostics)? {
                let Some(name) = node.text(diagnostics) else { continue };
                match routes.clone().find(|route| route.name == name) {
                    None => {
                        let known: Vec<&str> = routes.clone().map(|route| route.name.as_str()).collect();
                        let hint = crossfade_document::did_you_mean(name, &known);
                        node.error(diagnostics, format!("there is no route `{}`", node.shown()), hint);
                    }
                    Some(route) if !fits(route) => {
                        let hint = "list both in its `targets`; one of them with weight 0";
                        let message = format!("the targets of `{}` are not exactly `from` and `to`", node.shown());
                        node.error(diagnostics, message, Some(hint.into()));
                    }
                    Some(_) => found.push(name.to_owned()),
                }
            }
            found
        }
    };
    let name = |node: &Node| node.as_text().unwrap_or_default().to_owned();
    Some(Plan {
        from: name(from),
        to: name(to),
        steps: steps.unwrap_or_default(),
        bake: bake.unwrap_or(BAKE),
        guard: guard.unwrap_or(GUARD).to_owned(),
        samples: samples.unwrap_or(SAMPLES),
        routes,
        schedule: schedule.unwrap_or_default(),
        alarms: alarms.unwrap_or_default(),
    })
}

fn read_schedule(node: &Node, diagnostics: &mut Collector) -> Option<Schedule> {
    match node.text(diagnostics)? {
        "abort" => Some(Schedule::Abort),
        "advance" => Some(Schedule::Advance),
        _ => {
            let hint = "without `schedule`, scheduled invocations do nothing";
            node.error(diagnostics, format!("`{}` is neither `abort` nor `advance`", node.shown()), Some(hint.into()));
            None
        }
    }
}

fn read_alarms(node: &Node, diagnostics: &mut Collector) -> Option<Vec<String>> {
    let nodes = node.one_or_more(diagnostics)?;
    let mut alarms: Vec<String> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let alarm = node.text(diagnostics)?;
        if alarms.iter().any(|known| known == alarm) {
            node.error(diagnostics, format!("alarm `{}` is listed twice", node.shown()), None);
            return None;
        }
        if !is_alarm(alarm) {
            let hint = "write the alarm's name, or its ARN: `arn:aws:cloudwatch:REGION:ACCOUNT:alarm:NAME`";
            node.error(diagnostics, format!("`{}` is not a CloudWatch alarm", node.shown()), Some(hint.into()));
            return None;
        }
        alarms.push(alarm.to_owned());
    }
    Some(alarms)
}

/// An ARN of another thing would never match, nor would a list in quotes.
fn is_alarm(text: &str) -> bool {
    let is_list = |name: &str| name.starts_with('[') && name.ends_with(']');
    let is_name = |name: &str| !name.is_empty() && name.len() <= 255 && name.trim() == name && !is_list(name);
    match text.get(..4) {
        Some(prefix) if prefix.eq_ignore_ascii_case("arn:") => {
            let parts: Vec<&str> = text.splitn(7, ':').collect();
            matches!(parts[..], ["arn", partition, "cloudwatch", region, account, "alarm", name]
                if partition.starts_with("aws") && !region.is_empty() && account.len() == 12 && is_name(name))
        }
        _ => is_name(text),
    }
}

fn read_steps(node: &Node, diagnostics: &mut Collector) -> Option<Vec<Share>> {
    let items = node.list(diagnostics)?;
    if items.len() > MAX_STEPS {
        node.error(diagnostics, format!("more than {MAX_STEPS} steps"), None);
        return None;
    }
    let mut steps: Vec<Share> = Vec::with_capacity(items.len());
    for item in items {
        let step = item.share(diagnostics)?;
        if step.weights().is_none() || step.is_zero() {
            item.error(diagnostics, "a step is a percentage above 0 with at most one decimal", None);
            return None;
        }
        if steps.last().is_some_and(|last| *last >= step) {
            item.error(diagnostics, "steps must ascend", Some("write them like [1%, 10%, 50%, 100%]".into()));
            return None;
        }
        steps.push(step);
    }
    if steps.last() != Some(&Share::ALL) {
        node.error(diagnostics, "the last step must be 100%", Some("write them like [1%, 10%, 50%, 100%]".into()));
        return None;
    }
    Some(steps)
}
