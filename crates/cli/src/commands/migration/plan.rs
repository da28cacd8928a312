//! `crossfade plan`: the next promotion as a dry run, and the steps after it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::SystemTime;

use anyhow::Result;
use crossfade_migration::{Judgement, may_promote};
use crossfade_parity::number::grouped;
use crossfade_route::migration::{Phase, Plan, Progress, Target};
use crossfade_route::{Action, Author, Move, MoveError, Reason, Share, Transition};
use serde_json::{Value, json};

use super::evidence::{EvidenceOptions, Input};
use super::moves::{To, waits_for};
use super::status::evidence_word;
use super::text::{self, percent};
use super::{Common, DOCUMENT, Routes, block_on};
use crate::commands::Verdict;
use crate::migration::{Migration, rfc3339};
use crate::report::input::Entry;
use crate::terminal::{print, print_json, say};

/// Show what the next step of a migration would move, when, and whom not. It changes nothing
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade plan --live s3://bucket/live.json
  crossfade plan --to 50% --route orders access.log.gz
  crossfade plan --json --log-group /aws/lambda/crossfade | jq '.routes[] | {route, to, earliest}'

With logs it also shows how many of their requests would have moved. Access lines name no users, so these are requests.
Exit codes: 0 shown, 2 it could not run.")]
pub(crate) struct PlanOptions {
    #[command(flatten)]
    evidence: EvidenceOptions,
    #[command(flatten)]
    to: To,
    #[command(flatten)]
    routes: Routes,
    #[command(flatten)]
    common: Common,
}

/// Requests of a route in the logs.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    all: u64,
    /// Those that a share decides, and not a pin, an opt-in or `otherwise`.
    by_share: u64,
}

/// The promotion of a route.
struct Row {
    judgement: Judgement,
    /// The progress after it, or the reason why the state does not allow it.
    after: Result<Progress, String>,
    /// The reason why the evidence does not allow it.
    waits: Option<String>,
    /// The earliest time, if the evidence is there by then; `None` if it is not known when the present step took effect.
    earliest: Option<SystemTime>,
    /// Steps after it.
    later: Vec<Share>,
    /// `None` without logs.
    counted: Option<Counted>,
    unaffected: Vec<String>,
    is_sticky: bool,
}

impl PlanOptions {
    pub(crate) fn run(&self) -> Result<Verdict> {
        block_on(self.plan())
    }

    async fn plan(&self) -> Result<Verdict> {
        let PlanOptions { evidence, routes, common, .. } = self;
        let now = SystemTime::now();
        let migration = common.migration().await?;
        routes.check(&migration.plan)?;
        let mut counted: BTreeMap<String, Counted> = BTreeMap::new();
        let count = |entry: &Entry| {
            let Entry::Access(record) = entry else { return };
            let Some(route) =
                record.route.as_deref().filter(|route| migration.plan.routes.iter().any(|it| it == route))
            else {
                return;
            };
            let counts = counted.entry(route.to_owned()).or_default();
            counts.all += record.requests();
            if !UNAFFECTED.iter().any(|reason| record.chosen.as_deref() == Some(reason.as_str())) {
                counts.by_share += record.requests();
            }
        };
        let (judgements, input) = evidence.judgements(&migration, now, count).await?;
        if let Some(warning) = input.warning() {
            say(&format!("warning: {warning}"));
        }
        let has_logs = evidence.are_there();
        let mut after = promoted(&migration, routes, self.to.target(), now);
        let row = |judgement: Judgement| {
            let counted = has_logs.then(|| counted.get(&judgement.route).copied().unwrap_or_default());
            let after = after.remove(&judgement.route).unwrap_or_else(|| Err("it does not move".to_owned()));
            Row::of(&migration, judgement, after, counted, now)
        };
        let wanted = judgements.into_iter().filter(|judgement| routes.has(&judgement.route));
        let rows: Vec<Row> = wanted.map(row).collect();
        let input = has_logs.then_some(input);
        match common.json {
            true => print_json(&format!("{:#}\n", document(&migration, &rows, input.as_ref())))?,
            false => print(&text(&migration, &common.place()?, &rows, input.as_ref(), now))?,
        }
        Ok(Verdict::Clean)
    }
}

/// Reasons for a target that do not depend on the share.
const UNAFFECTED: [Reason; 3] = [Reason::Pin, Reason::OptIn, Reason::Otherwise];

/// The progress of each route after a promotion, or the reason why the state does not allow it.
fn promoted(
    migration: &Migration,
    routes: &Routes,
    target: Target,
    now: SystemTime,
) -> BTreeMap<String, Result<Progress, String>> {
    let Migration { table, stored, .. } = migration;
    let author = Author { by: String::new(), reason: None };
    let mut after = BTreeMap::new();
    let mut promote =
        |names: &[String]| match table.moved(stored.overlay.as_ref(), names, Move::Promote(target), &author, now) {
            Ok(Transition { moved, stays, .. }) => {
                after.extend(stays.into_iter().map(|(route, reason)| (route, Err(reason.to_string()))));
                after.extend(moved.into_iter().map(|(route, _, progress)| (route, Ok(progress))));
            }
            Err(MoveError::NothingMoves(reasons)) => {
                after.extend(reasons.into_iter().map(|(route, reason)| (route, Err(reason.to_string()))));
            }
            Err(MoveError::Refused(route, reason)) => _ = after.insert(route, Err(reason.to_string())),
            Err(MoveError::NoPlan | MoveError::UnknownRoute(_)) => {}
        };
    match routes.route.as_slice() {
        [] => promote(&[]),
        names => names.iter().for_each(|name| promote(std::slice::from_ref(name))),
    }
    after
}

impl Row {
    fn of(
        migration: &Migration,
        judgement: Judgement,
        after: Result<Progress, String>,
        counted: Option<Counted>,
        now: SystemTime,
    ) -> Row {
        let Migration { plan, table, stored, .. } = migration;
        let Judgement { route, progress, in_effect, version, .. } = &judgement;
        let share = after.as_ref().map_or(Share::ALL, |after| after.share);
        let later = std::iter::successors(plan.step_after(share), |share| plan.step_after(*share)).collect();
        // Without logs it is at least known when it was changed.
        let since = match counted {
            None if *version > 0 => Some(progress.since),
            _ => in_effect.map(|since| since.max(progress.since)),
        };
        let overlaid = stored.overlay.as_ref().map(|overlay| table.overlaid(overlay).table);
        let (unaffected, is_sticky) = unaffected(overlaid.as_ref().unwrap_or(table).route(route));
        Row {
            waits: match (counted, may_promote(plan, &judgement, now)) {
                (_, Ok(())) => None,
                (None, Err(_)) => Some("evidence from the logs".to_owned()),
                (Some(_), Err(next)) => Some(waits_for(&judgement, &next, plan).join("; ")),
            },
            earliest: since.map(|since| (since + plan.bake).max(now)),
            after,
            later,
            counted,
            unaffected,
            is_sticky,
            judgement,
        }
    }

    /// The requests that would have gone to the new system and did not.
    fn moving(&self) -> Option<u64> {
        let (counted, after) = (self.counted?, self.after.as_ref().ok()?);
        let part = (after.share.percent() - self.judgement.progress.share.percent()) / 100.0;
        Some((counted.by_share as f64 * part).round() as u64)
    }
}

/// Requests that a step does not move, and whether a user keeps a system.
fn unaffected(route: Option<&crossfade_route::Route>) -> (Vec<String>, bool) {
    let Some(Action::Forward(forward)) = route.map(|route| &route.action) else { return (Vec::new(), false) };
    let mut unaffected = Vec::new();
    if let Some(sticky) = &forward.sticky {
        if sticky.pinned() > 0 {
            unaffected.push(format!("pinned values: {}", sticky.pinned()));
        }
        if let Some(target) = sticky.otherwise().and_then(|index| forward.targets.get(index)) {
            unaffected.push(format!("requests without {}, which go to {}", sticky.describe(), target.name));
        }
    }
    if forward.opt_in.is_some() {
        unaffected.push("users who opted in".to_owned());
    }
    (unaffected, forward.sticky.is_some())
}

fn text(migration: &Migration, place: &str, rows: &[Row], input: Option<&Input>, now: SystemTime) -> String {
    let plan = &migration.plan;
    let mut text = String::new();
    let steps: Vec<String> = plan.steps.iter().map(|step| percent(*step)).collect();
    let _ = writeln!(text, "migration     {} -> {}, steps {}", plan.from, plan.to, steps.join(", "));
    let _ = writeln!(text, "live state    version {} in {place}; nothing is changed", migration.version());
    for row in rows {
        row.write(plan, now, &mut text);
    }
    let _ = match input {
        Some(input) => writeln!(text, "\nlogs          {}", input.text()),
        None => {
            writeln!(text, "\nlogs          none: with the function's logs, the requests that would move are counted")
        }
    };
    text
}

impl Row {
    fn write(&self, plan: &Plan, now: SystemTime, text: &mut String) {
        let Row { judgement, after, waits, earliest, later, counted, unaffected, is_sticky } = self;
        let Judgement { route, progress, .. } = judgement;
        let after = match after {
            Ok(after) => after,
            Err(reason) => {
                let _ = writeln!(text, "\n{route:<12}  stays: {}, {reason}", text::progress(plan, *progress));
                return;
            }
        };
        let (before, share) = (percent(progress.share), percent(after.share));
        let _ = writeln!(text, "\n{route:<12}  {before} -> {share} of the users on {}", plan.to);
        let part = percent(after.share.without(progress.share));
        let _ = match (self.moving(), counted) {
            (Some(moving), Some(Counted { all, .. })) => writeln!(
                text,
                "  moves       {part} of the users, who made about {} of the {} requests in the logs (they name no users)",
                grouped(moving),
                grouped(*all)
            ),
            _ => writeln!(text, "  moves       {part} of the users"),
        };
        let _ = match (is_sticky, progress.share.is_zero()) {
            (false, _) => {
                writeln!(text, "  stays       nobody for sure: without `sticky`, each request gets a system by chance")
            }
            (true, true) => {
                writeln!(text, "  stays       {} on {}", percent(Share::ALL.without(after.share)), plan.from)
            }
            (true, false) => writeln!(
                text,
                "  stays       the {before} on {}: a larger share only adds users, and none of them moves back",
                plan.to
            ),
        };
        if !unaffected.is_empty() {
            let _ = writeln!(text, "  unaffected  {}", unaffected.join("; "));
        }
        if let Some(waits) = waits {
            let _ = writeln!(text, "  waits for   {waits}");
        }
        let _ = match earliest {
            Some(earliest) if *earliest <= now => writeln!(text, "  earliest    now, with the evidence of the guard"),
            Some(earliest) => {
                writeln!(text, "  earliest    {}, with the evidence of the guard", text::time(*earliest, now))
            }
            None => writeln!(text, "  earliest    {} after the present step takes effect", text::span(plan.bake)),
        };
        if !later.is_empty() {
            let times = self.times(plan);
            let step = |(share, time): (&Share, Option<SystemTime>)| match time {
                Some(time) => format!("{} at {}", percent(*share), rfc3339(time)),
                None => percent(*share),
            };
            let steps: Vec<String> = later.iter().zip(times).map(step).collect();
            let _ = writeln!(text, "  then        {}; each at the earliest", steps.join(", "));
        }
    }

    /// The earliest times of the later steps.
    fn times(&self, plan: &Plan) -> Vec<Option<SystemTime>> {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let time = |(index, _)| self.earliest?.checked_add(plan.bake.checked_mul(number(index) + 1)?);
        self.later.iter().enumerate().map(time).collect()
    }
}

fn document(migration: &Migration, rows: &[Row], input: Option<&Input>) -> Value {
    let plan = &migration.plan;
    let route = |row: &Row| {
        let Row { judgement, after, waits, earliest, later, counted, unaffected, is_sticky } = row;
        let Judgement { route, progress, evidence, .. } = judgement;
        let Progress { share, phase, .. } = progress;
        let after = after.as_ref();
        let later: Vec<Value> = later
            .iter()
            .zip(row.times(plan))
            .map(|(share, time)| json!({ "share": share.percent(), "earliest": time.map(rfc3339) }))
            .collect();
        json!({
            "route": route,
            "phase": phase.as_str(),
            "from": share.percent(),
            "to": after.ok().map(|after| after.share.percent()),
            "refused": after.err(),
            "moves": after.ok().map(|after| after.share.without(*share).percent()),
            "requests": counted.map(|it| json!({ "all": it.all, "byShare": it.by_share, "moving": row.moving() })),
            "sticky": is_sticky,
            "unaffected": unaffected,
            "waitsFor": waits.as_ref().filter(|_| !matches!(phase, Phase::Aborted | Phase::Finished)),
            "evidence": counted.map(|_| evidence_word(evidence)),
            "conditions": counted.map(|_| judgement.conditions().map(|it| json!(it)).collect::<Vec<_>>()),
            "earliest": earliest.filter(|_| after.is_ok()).map(rfc3339),
            "later": if after.is_ok() { later } else { Vec::new() },
        })
    };
    json!({
        "format": DOCUMENT,
        "version": migration.version(),
        "routes": rows.iter().map(route).collect::<Vec<_>>(),
        "logs": input.map(Input::json),
    })
}
