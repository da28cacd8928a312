//! `crossfade promote`, `pause` and `resume`: steps that need the state to allow them, and `promote` the evidence.

use std::time::SystemTime;

use anyhow::{Result, bail};
use crossfade_migration::{Judgement, may_promote, why};
use crossfade_route::migration::{Evidence, Hold, Next, Phase, Plan, Target};
use crossfade_route::{Author, Move, MoveError, Moved, Overlay, Share, Transition};

use super::changes::{Change, Refusal, written};
use super::evidence::EvidenceOptions;
use super::{By, Common, Routes, block_on};
use crate::commands::Verdict;
use crate::migration::{self, ChangeError, Migration};
use crate::terminal::say;

/// Take the next step of a migration: move more users to the new system, if the evidence allows it
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade promote --live s3://bucket/live.json --log-group /aws/lambda/crossfade
  aws logs tail /aws/lambda/crossfade --since 2h --format short | crossfade promote --yes -
  crossfade promote --route orders --to 25% access.log.gz
  crossfade promote --force --reason 'tested by hand, no traffic at night'

A step needs the evidence of the plan's `guard` for each route that moves, from the requests since its last change took effect,
and the plan's `bake`. Missing data is not a pass.
Users who are on the new system stay there: a larger share only adds users.
Exit codes: 0 promoted, 1 refused by the guard, the state or another writer, 2 it could not run.")]
pub(crate) struct Promote {
    #[command(flatten)]
    evidence: EvidenceOptions,
    #[command(flatten)]
    to: To,
    /// Move without evidence; needs a reason
    #[arg(long, requires = "reason")]
    force: bool,
    #[command(flatten)]
    routes: Routes,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    by: By,
}

/// Pause a migration: the share of users stays as it is until a person moves it
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade pause --reason 'sale until Monday'
  crossfade pause --route orders

No schedule moves a paused route forward. A guard that fails, and an alarm of the plan, take its users back nevertheless.
Exit codes: 0 paused, also if it was so before; 1 refused by the state or another writer; 2 it could not run.")]
pub(crate) struct Pause {
    #[command(flatten)]
    change: Simple,
}

/// Resume a paused migration with the share it has, or begin an aborted one anew
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade resume
  crossfade resume --route orders --reason 'fixed in release 42'

After a pause a route goes on with its share, and pins and opt-ins apply as before. After an abort it begins anew with all users
on the old system; while others are paused, only if `--route` names it.
Exit codes: 0 resumed, 1 refused by the state or another writer, 2 it could not run.")]
pub(crate) struct Resume {
    #[command(flatten)]
    change: Simple,
}

/// The options of a change that needs no evidence.
#[derive(clap::Args)]
struct Simple {
    #[command(flatten)]
    routes: Routes,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    by: By,
}

/// The destination of a promotion.
#[derive(clap::Args)]
pub(super) struct To {
    /// Share of the users, such as 25% [default: the next step's]
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    to: Option<Share>,
    /// All users, as `--to 100%`
    #[arg(long, conflicts_with = "to")]
    full: bool,
}

impl To {
    pub(super) fn target(&self) -> Target {
        match self.to {
            Some(share) => Target::Share(share),
            None if self.full => Target::Share(Share::ALL),
            None => Target::NextStep,
        }
    }
}

fn share(text: &str) -> Result<Share, String> {
    match migration::share(text) {
        Some(share) if share.is_zero() => Err("`crossfade abort` moves everyone back".to_owned()),
        Some(share) => Ok(share),
        None => Err("not a percentage up to 100 with at most one decimal, such as `25%`".to_owned()),
    }
}

impl Pause {
    pub(crate) fn run(&self) -> Result<Verdict> {
        block_on(self.change.run("pause", Move::Pause))
    }
}

impl Resume {
    pub(crate) fn run(&self) -> Result<Verdict> {
        block_on(self.change.run("resume", Move::Resume))
    }
}

impl Simple {
    async fn run(&self, command: &'static str, step: Move) -> Result<Verdict> {
        let now = SystemTime::now();
        let mut migration = self.common.migration().await?;
        self.routes.check(&migration.plan)?;
        let transition = match transition(&migration, &self.routes, step, &self.by.author(), now) {
            Ok(transition) => transition,
            Err(error) => return refused(command, &migration, &error).print(self.common.json),
        };
        let is_idle = transition.is_idle();
        let (next, mut change) = change(command, transition);
        if is_idle {
            change.before = vec![format!("nothing changes: {command}d already")];
            change.version = migration.version();
            return change.print(&migration.plan, self.common.json);
        }
        if !self.by.agrees(&change.lines(&migration.plan), command)? {
            return no(command, &migration).print(self.common.json);
        }
        write(&mut migration, &self.common, next, change).await
    }
}

impl Promote {
    pub(crate) fn run(&self) -> Result<Verdict> {
        block_on(self.promote())
    }

    async fn promote(&self) -> Result<Verdict> {
        const COMMAND: &str = "promote";
        let Promote { evidence, to, force, routes, common, by } = self;
        let now = SystemTime::now();
        let mut migration = common.migration().await?;
        routes.check(&migration.plan)?;
        let step = Move::Promote(to.target());
        let transition = match transition(&migration, routes, step, &by.author(), now) {
            Ok(transition) => transition,
            Err(error) => return refused(COMMAND, &migration, &error).print(common.json),
        };
        let (mut next, mut change) = change(COMMAND, transition);
        if *force {
            next.change.push_str(", without evidence");
        } else {
            let (judgements, input) = evidence.judgements(&migration, now, |_| {}).await?;
            if let Some(warning) = input.warning() {
                say(&format!("warning: {warning}"));
            }
            if let Some(refusal) = self.unproven(&migration, &judgements, &change.moved, now) {
                return refusal.print(common.json);
            }
            change.before.push(format!("evidence: {}", input.text()));
            change.logs = Some(input.json());
        }
        if !by.agrees(&[change.before.clone(), change.lines(&migration.plan)].concat(), COMMAND)? {
            return no(COMMAND, &migration).print(common.json);
        }
        write(&mut migration, common, next, change).await
    }

    /// The reasons of the routes that have to stay for now.
    fn unproven(
        &self,
        migration: &Migration,
        judgements: &[Judgement],
        moved: &[Moved],
        now: SystemTime,
    ) -> Option<Refusal> {
        let Promote { evidence, common, .. } = self;
        let plan = &migration.plan;
        let (mut reasons, mut allowed, mut hints) = (Vec::new(), Vec::new(), Vec::new());
        let (mut fails, mut is_missing) = (Vec::new(), false);
        for (route, before, _) in moved {
            let Some(judgement) = judgements.iter().find(|judgement| judgement.route == *route) else { continue };
            let Err(next) = may_promote(plan, judgement, now) else {
                allowed.push(route.as_str());
                continue;
            };
            is_missing |= matches!(judgement.evidence, Evidence::Missing(_));
            if matches!(next, Next::Abort(..)) && !before.share.is_zero() {
                fails.push(route.as_str());
            }
            let texts = waits_for(judgement, &next, plan);
            reasons.extend(texts.into_iter().map(|text| (Some(route.clone()), text)));
        }
        if reasons.is_empty() {
            return None;
        }
        if !fails.is_empty() {
            let routes: String = fails.iter().map(|route| format!(" --route {}", shell_words::quote(route))).collect();
            let command = common.command("abort");
            hints.push(format!("users are on {}: `{command}{routes}` takes them back to {}", plan.to, plan.from));
        }
        if is_missing && !evidence.are_there() {
            let command = common.command("promote");
            hints.push(format!("name the function's logs: `{command} FILE…`, or `--log-group NAME`"));
        }
        if !allowed.is_empty() {
            let routes: String =
                allowed.iter().map(|route| format!(" --route {}", shell_words::quote(route))).collect();
            hints.push(format!("promote the others alone with `{}`", routes.trim()));
        }
        if fails.is_empty() {
            hints.push("`--force --reason TEXT` promotes without evidence".to_owned());
        }
        Some(Refusal { command: "promote", version: migration.version(), reasons, hints })
    }
}

/// The reasons why a step may not be taken yet. Of a step that bakes, the guard is of interest as well: it may be sure already not
/// to hold.
pub(super) fn waits_for(judgement: &Judgement, next: &Next, plan: &Plan) -> Vec<String> {
    let Judgement { evidence, version, .. } = judgement;
    let of_guard = || why(&Next::Hold(Hold::Evidence(evidence.clone())), plan);
    match (next, evidence) {
        (Next::Hold(_), Evidence::Missing(_)) => vec![of_guard()],
        // Nothing has to take effect before the first change.
        (Next::Hold(Hold::NotInEffect), _) if *version == 0 => vec![of_guard()],
        (Next::Hold(Hold::Baking(_) | Hold::NotInEffect), evidence) if *evidence != Evidence::Pass => {
            vec![why(next, plan), of_guard()]
        }
        _ => vec![why(next, plan)],
    }
}

fn transition(
    migration: &Migration,
    routes: &Routes,
    step: Move,
    author: &Author,
    now: SystemTime,
) -> Result<Transition, MoveError> {
    migration.table.moved(migration.stored.overlay.as_ref(), &routes.route, step, author, now)
}

/// The next state, and its description.
fn change(command: &'static str, transition: Transition) -> (Overlay, Change) {
    let Transition { next, moved, stays } = transition;
    let stays = stays.into_iter().map(|(route, reason)| (route, reason.to_string())).collect();
    (next, Change { command, moved, stays, ..Change::default() })
}

/// A move that the state does not allow.
fn refused(command: &'static str, migration: &Migration, error: &MoveError) -> Refusal {
    let reasons = match error {
        MoveError::Refused(route, reason) => vec![(Some(route.clone()), reason.to_string())],
        MoveError::NothingMoves(reasons) => {
            reasons.iter().map(|(route, reason)| (Some(route.clone()), reason.to_string())).collect()
        }
        other => vec![(None, other.to_string())],
    };
    Refusal { command, version: migration.version(), reasons, hints: Vec::new() }
}

/// Nothing changes, since the person said so.
pub(super) fn no(command: &'static str, migration: &Migration) -> Refusal {
    let reasons = vec![(None, "nothing was changed".to_owned())];
    Refusal { command, version: migration.version(), reasons, hints: Vec::new() }
}

/// Writes the next state, and prints what that means.
pub(super) async fn write(
    migration: &mut Migration,
    common: &Common,
    next: Overlay,
    mut change: Change,
) -> Result<Verdict> {
    let (command, version, is_first) = (change.command, migration.version(), migration.stored.revision.is_none());
    let next = match migration.write(&next).await {
        Ok(written) => written,
        Err(error @ ChangeError::Conflict(_)) => {
            let hints = vec![format!("look at `{}`, then decide again", common.command("status"))];
            let reasons = vec![(None, error.to_string())];
            return Refusal { command, version, reasons, hints }.print(common.json);
        }
        Err(error) => bail!("{error}"),
    };
    let is_running = change.moved.iter().any(|(.., after)| after.phase == Phase::Running);
    change.after.push(format!("see it take effect  {} LOG", common.command("status")));
    match if is_first { migration.store.history(1).await.err() } else { None } {
        Some(error) => say(&format!("warning: `undo` and `history` will not find earlier versions: {error:#}")),
        None => change.after.push(format!("undo it             {}", common.command("undo"))),
    }
    if is_running && command == "promote" {
        change.after.push(format!("everyone back       {}", common.command("abort")));
    }
    change.before.insert(0, written(&next));
    change.version = next.version;
    change.overlay = Some(next);
    change.print(&migration.plan, common.json)
}
