//! `crossfade status`: where the migration of each route is, how far that is in effect, and what it waits for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use crossfade_migration::{Judgement, word};
use crossfade_parity::number;
use crossfade_route::migration::{Evidence, Next, Phase, Plan, Progress};
use crossfade_route::{Overlay, RouteChanges, Share};
use serde_json::{Map, Value, json};

use super::evidence::{EvidenceOptions, Input};
use super::moves::waits_for;
use super::text::{self, percent};
use super::{Common, DOCUMENT, Routes, block_on, mismatches};
use crate::commands::Verdict;
use crate::migration::{MAX_HISTORY, Migration, change_json, history, rfc3339};
use crate::report::input::Entry;
use crate::terminal::{print, print_json, say};

/// Requests that count as the latest.
const LATEST: usize = 1_000;

/// Show the state of a migration: its steps, since when they are in effect, and what they wait for
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade status --live s3://bucket/live.json
  crossfade status --log-group /aws/lambda/crossfade --since 30m
  crossfade status --json access.log | jq '.routes[] | {route, share, waitsFor}'

Without logs it shows the state alone.
Exit codes: 0 shown, 2 it could not run.")]
pub(crate) struct Status {
    #[command(flatten)]
    evidence: EvidenceOptions,
    #[command(flatten)]
    routes: Routes,
    #[command(flatten)]
    common: Common,
}

/// A route of the plan.
struct Row {
    judgement: Judgement,
    /// The change that it has its state by; `None` before the first, or if it cannot be found.
    change: Option<Overlay>,
    /// The decision, were it asked for now.
    next: Next,
}

impl Status {
    pub(crate) fn run(&self) -> Result<Verdict> {
        block_on(self.status())
    }

    async fn status(&self) -> Result<Verdict> {
        let Status { evidence, routes, common } = self;
        let now = SystemTime::now();
        let migration = common.migration().await?;
        routes.check(&migration.plan)?;
        let mut latest = Latest::default();
        let (judgements, input) =
            evidence.judgements(&migration, now, |entry| latest.add(entry, &migration.plan)).await?;
        if let Some(warning) = input.warning() {
            say(&format!("warning: {warning}"));
        }
        let changes = changes(&migration).await;
        let row = |judgement: Judgement| {
            let change = change_of(&judgement, &changes).cloned();
            let Judgement { progress, evidence, in_effect, .. } = &judgement;
            let next = migration.plan.next(*progress, evidence.clone(), *in_effect, now);
            Row { judgement, change, next }
        };
        let wanted = judgements.into_iter().filter(|judgement| routes.has(&judgement.route));
        let rows: Vec<Row> = wanted.map(row).collect();
        let input = evidence.are_there().then_some(input);
        match common.json {
            true => {
                let mut document = document(&migration, &common.place()?, &rows, input.as_ref());
                if input.is_some() {
                    document["versions"] = latest.document();
                }
                print_json(&format!("{document:#}\n"))?;
            }
            false => print(&(self.text(&migration, &rows, input.as_ref(), now)? + &latest.text()))?,
        }
        Ok(Verdict::Clean)
    }

    fn text(&self, migration: &Migration, rows: &[Row], input: Option<&Input>, now: SystemTime) -> Result<String> {
        let Migration { plan, table, stored, .. } = migration;
        let mut text = String::new();
        let Plan { from, to, guard, .. } = plan;
        let _ = writeln!(text, "migration     {from} -> {to}");
        let _ = writeln!(text, "guard         {guard}; samples {}, bake {}", plan.samples, text::span(plan.bake));
        let place = self.common.place()?;
        match &stored.overlay {
            None => _ = writeln!(text, "live state    none yet in {place}: the file alone decides"),
            Some(overlay) => {
                let _ = writeln!(text, "live state    version {} in {place}", overlay.version);
                let _ = writeln!(text, "last change   {}, {}", text::time(overlay.at, now), text::change(overlay));
            }
        }
        for mismatch in mismatches(table, migration) {
            let _ = writeln!(text, "not applied   {mismatch}; the file alone decides about it");
        }
        for row in rows {
            row.write(migration, input.is_some(), now, &mut text);
        }
        let _ = match input {
            Some(input) => writeln!(text, "\nlogs          {}", input.text()),
            None => writeln!(
                text,
                "\nlogs          none: name the function's logs to see the evidence, `{} FILE…`, or `--log-group NAME`",
                self.common.command("status")
            ),
        };
        Ok(text)
    }
}

/// The changes that the routes may have their state by. They only say who made them, so they need not be readable.
async fn changes(migration: &Migration) -> Vec<Overlay> {
    let present = migration.stored.overlay.iter();
    let mut changes: Vec<Overlay> = present.clone().cloned().collect();
    let at = present.map(|overlay| overlay.at).next();
    let version = migration.version();
    // A pause moves nobody, so a route may be older than the version that has its state.
    let is_later = |changes: &RouteChanges| {
        changes.version != version && changes.migration.is_some()
            || changes.migration.is_some_and(|progress| Some(progress.since) != at)
    };
    if changes.iter().flat_map(|overlay| overlay.routes.values()).any(is_later) {
        let history = history(&migration.store, MAX_HISTORY).await.unwrap_or_default();
        changes.extend(history.into_iter().filter(|earlier| earlier.version != version));
    }
    changes
}

/// The change that a route has its state by. Its version says which one moved its users; a pause moves nobody.
fn change_of<'c>(judgement: &Judgement, changes: &'c [Overlay]) -> Option<&'c Overlay> {
    let Judgement { route, progress, version, .. } = judgement;
    // Without earlier versions nobody knows who paused it.
    if *version > 0 && (progress.phase != Phase::Paused || changes.len() < 2) {
        return changes.iter().find(|overlay| overlay.version == *version);
    }
    let has_it = |overlay: &&Overlay| overlay.routes.get(route).is_some_and(|it| it.migration == Some(*progress));
    changes.iter().filter(has_it).min_by_key(|overlay| overlay.version)
}

impl Row {
    /// The time since when it is so; `None` if nobody knows. A pause is later than the step.
    fn since(&self) -> Option<SystemTime> {
        let change = self.change.as_ref().map_or(SystemTime::UNIX_EPOCH, |change| change.at);
        Some(self.judgement.progress.since.max(change)).filter(|since| *since > SystemTime::UNIX_EPOCH)
    }

    fn write(&self, migration: &Migration, has_logs: bool, now: SystemTime, text: &mut String) {
        let Row { judgement, change, next } = self;
        let Migration { plan, stored, .. } = migration;
        let Judgement { route, progress, version, conditions, in_effect, recent, .. } = judgement;
        let _ = writeln!(text, "\n{route:<12}  {}", text::progress(plan, *progress));
        if let Some(since) = self.since() {
            let change = change.as_ref().map(|it| format!(", version {}, {}", it.version, text::change(it)));
            let _ = writeln!(text, "  since       {}{}", text::time(since, now), change.unwrap_or_default());
        }
        let changes = stored.overlay.as_ref().and_then(|overlay| overlay.routes.get(route));
        if let Some(other) = changes.and_then(|changes| contradiction(plan, changes)) {
            let _ = writeln!(text, "  warning     {other}; `crossfade promote` and `crossfade abort` set both");
        }
        if has_logs && *version > 0 {
            let share = recent.map(number::percent);
            let _ = match (in_effect, share) {
                (_, None) => writeln!(text, "  in effect   unknown: the logs have no request of this route"),
                (Some(since), Some(share)) => {
                    let since = text::time(*since, now);
                    writeln!(
                        text,
                        "  in effect   since {since}; version {version} or later decides {share} of the latest requests"
                    )
                }
                (None, Some(share)) => {
                    writeln!(
                        text,
                        "  in effect   not yet: version {version} or later decides {share} of the latest requests"
                    )
                }
            };
        }
        if has_logs {
            let width = conditions.iter().map(|judged| judged.condition.chars().count()).max().unwrap_or_default();
            for (index, judged) in conditions.iter().enumerate() {
                let label = if index == 0 { "evidence" } else { "" };
                let (condition, decision) = (&judged.condition, word(&judged.decision));
                let _ = writeln!(text, "  {label:<10}  {condition:<width$}  {decision:<7}  {}", judged.measured);
            }
        }
        if let Some(waits) = self.waits(plan, has_logs) {
            let _ = writeln!(text, "  waits for   {waits}");
        }
        let _ = writeln!(text, "  next        {}", next_step(plan, *progress, next));
    }

    /// The reason why it does not move on.
    fn waits(&self, plan: &Plan, has_logs: bool) -> Option<String> {
        let route = match plan.routes.len() {
            1 => String::new(),
            _ => format!(" --route {}", shell_words::quote(&self.judgement.route)),
        };
        match (&self.next, self.judgement.progress.phase) {
            (Next::Advance(_), _) => None,
            (_, Phase::Paused) => Some(format!("`crossfade resume{route}` or `crossfade promote{route}`")),
            (_, Phase::Aborted) => Some(format!("`crossfade resume{route}`, which begins anew")),
            (_, Phase::Finished) => None,
            (Next::Hold(_), _) if !has_logs => Some("evidence from the logs".to_owned()),
            (next, _) => Some(waits_for(&self.judgement, next, plan).join("; ")),
        }
    }
}

/// The latest requests of the plan's routes, in bounded memory.
#[derive(Default)]
struct Latest(BinaryHeap<Reverse<(SystemTime, Option<u32>)>>);

impl Latest {
    fn add(&mut self, entry: &Entry, plan: &Plan) {
        let Entry::Access(record) = entry else { return };
        if record.route.as_ref().is_some_and(|route| plan.routes.iter().any(|name| name == route)) {
            self.0.push(Reverse((record.time, record.live)));
            if self.0.len() > LATEST {
                self.0.pop();
            }
        }
    }

    /// The versions that decided them, the newest first, each with its number of requests.
    fn versions(&self) -> Vec<(Option<u32>, usize)> {
        let mut versions = BTreeMap::new();
        self.0.iter().for_each(|Reverse((_, version))| *versions.entry(*version).or_default() += 1);
        versions.into_iter().rev().collect()
    }

    /// `decided by    version 5 93.00 %, the file alone 7.00 % of the latest 1,000 requests`; nothing without requests.
    fn text(&self) -> String {
        let all = self.0.len() as u64;
        let part = |(version, count): &(Option<u32>, usize)| {
            let name = version.map_or("the file alone".to_owned(), |version| format!("version {version}"));
            format!("{name} {}", number::percent(crossfade_parity::share(*count as u64, all)))
        };
        match self.versions().iter().map(part).collect::<Vec<_>>().join(", ") {
            parts if parts.is_empty() => parts,
            parts => format!("decided by    {parts} of the latest {} requests\n", number::grouped(all)),
        }
    }

    fn document(&self) -> Value {
        let version = |(version, requests): (Option<u32>, usize)| json!({ "version": version, "requests": requests });
        self.versions().into_iter().map(version).collect()
    }
}

/// A state that somebody has written by hand, and that does not do what its step says.
fn contradiction(plan: &Plan, changes: &RouteChanges) -> Option<String> {
    let progress = changes.migration?;
    let weight = |name: &str| changes.weights.get(name).copied();
    match (&changes.only, progress.phase) {
        (Some(only), Phase::Aborted) if *only == plan.from => None,
        (Some(only), _) => Some(format!("`only` in the live state sends everyone to {only}")),
        (None, Phase::Aborted) => Some("it is aborted, but the live state has no `only`".to_owned()),
        (None, _) => {
            let share = Share::of(weight(&plan.to)?, weight(&plan.from)?);
            (share != progress.share)
                .then(|| format!("the weights in the live state send {} to {}", percent(share), plan.to))
        }
    }
}

/// The next step, and who takes it.
fn next_step(plan: &Plan, progress: Progress, next: &Next) -> String {
    match (progress.phase, plan.step_after(progress.share)) {
        (Phase::Finished, _) | (_, None) => {
            format!("none: when no request goes to {} any more, switch it off", plan.from)
        }
        (Phase::Aborted, _) => "none until it is resumed".to_owned(),
        (_, Some(step)) => match next {
            Next::Abort(..) => format!("`crossfade abort`: the guard fails with users on {}", plan.to),
            Next::Advance(_) => format!("{}: `crossfade promote` may take it", percent(step)),
            Next::Hold(_) => percent(step),
        },
    }
}

/// The JSON document.
fn document(migration: &Migration, place: &str, rows: &[Row], input: Option<&Input>) -> Value {
    let Migration { plan, table, stored, .. } = migration;
    let live = stored.overlay.as_ref().map(change_json);
    let routes: Vec<Value> = rows.iter().map(|row| row.document(plan, input.is_some())).collect();
    json!({
        "format": DOCUMENT,
        "place": place,
        "plan": {
            "from": plan.from, "to": plan.to,
            "steps": plan.steps.iter().map(|step| step.percent()).collect::<Vec<_>>(),
            "bakeSeconds": plan.bake.as_secs(), "guard": plan.guard, "samples": plan.samples,
        },
        "live": live,
        "mismatches": mismatches(table, migration),
        "routes": routes,
        "logs": input.map(Input::json),
    })
}

impl Row {
    fn document(&self, plan: &Plan, has_logs: bool) -> Value {
        let Row { judgement, change, next } = self;
        let Judgement { route, progress, version, evidence, in_effect, recent, .. } = judgement;
        let mut members = Map::new();
        let mut add = |name: &str, value: Value| _ = members.insert(name.to_owned(), value);
        add("route", json!(route));
        add("phase", json!(progress.phase.as_str()));
        add("share", json!(progress.share.percent()));
        add("step", json!(text::step(plan, progress.share)));
        add("steps", json!(plan.steps.len()));
        add("version", json!(version));
        add("since", json!(self.since().map(rfc3339)));
        add("by", json!(change.as_ref().map(|change| &change.by)));
        add("change", json!(change.as_ref().map(|change| &change.change)));
        add("reason", json!(change.as_ref().and_then(|change| change.reason.as_ref())));
        if has_logs {
            let since = in_effect.filter(|since| *since > SystemTime::UNIX_EPOCH + Duration::from_secs(1));
            add("inEffect", json!(in_effect.is_some()));
            add("inEffectSince", json!(since.map(rfc3339)));
            add("recentShare", json!(recent));
            add("evidence", json!(evidence_word(evidence)));
            add("conditions", json!(judgement.conditions().collect::<Vec<_>>()));
        }
        add("waitsFor", json!(self.waits(plan, has_logs)));
        let step = match progress.phase {
            Phase::Running | Phase::Paused => plan.step_after(progress.share),
            Phase::Aborted | Phase::Finished => None,
        };
        add("next", json!(step.map(|step| step.percent())));
        if has_logs {
            let decision = match next {
                Next::Hold(_) => "hold",
                Next::Advance(_) => "advance",
                Next::Abort(..) => "abort",
            };
            add("decision", json!(decision));
        }
        Value::Object(members)
    }
}

/// The word for a conclusion in JSON documents.
pub(super) fn evidence_word(evidence: &Evidence) -> &'static str {
    match evidence {
        Evidence::Pass => "pass",
        Evidence::Fail(_) => "fail",
        Evidence::TooFew(_) => "too few",
        Evidence::CannotBeJudged(_) => "cannot be judged",
        Evidence::Missing(_) => "missing",
    }
}
