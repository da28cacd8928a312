//! The moves that a person makes on the page, with the conditions of the commands: a promotion needs the evidence, or a reason to
//! do without; a move is refused if somebody else has changed the state since the page was shown; an abort never is.

use std::fmt::Write;
use std::time::SystemTime;

use anyhow::Result;
use crossfade_migration::{may_promote, why};
use crossfade_route::migration::{Evidence, Hold, Next, Target};
use crossfade_route::{Author, Move, Overlay, Transition};

use super::{Open, Shared, plan};
use crate::inspector::filter::parameter;
use crate::migration::{self, ChangeError, Migration};

/// Length in characters of the longest reason.
const MOST_REASON: usize = 500;

/// A button of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::inspector) enum Step {
    Promote,
    Pause,
    Resume,
    Abort,
    Undo,
}

/// The fields of the page.
#[derive(Debug, Default)]
pub(in crate::inspector) struct Form {
    /// Empty for all routes of the plan.
    pub(super) route: String,
    /// A share, empty for the next step.
    pub(super) to: String,
    pub(super) reason: String,
    pub(super) force: bool,
    /// That of the state which the page showed.
    version: Option<u32>,
}

/// A move that was not made, and why.
#[derive(Debug)]
pub(in crate::inspector) struct Refusal {
    pub(super) reasons: Vec<String>,
    /// Somebody else was faster.
    pub(in crate::inspector) is_conflict: bool,
}

impl Step {
    pub(in crate::inspector) const ALL: [Step; 5] = [Step::Promote, Step::Pause, Step::Resume, Step::Abort, Step::Undo];

    /// The last part of its address.
    pub(in crate::inspector) fn word(self) -> &'static str {
        match self {
            Step::Promote => "promote",
            Step::Pause => "pause",
            Step::Resume => "resume",
            Step::Abort => "abort",
            Step::Undo => "undo",
        }
    }
}

impl Form {
    /// From the body of a request.
    pub(in crate::inspector) fn parse(body: &str) -> Form {
        let get = |name: &str| parameter(body, name).unwrap_or_default().trim().to_owned();
        Form {
            route: get("route"),
            to: get("to"),
            reason: get("reason"),
            force: !get("force").is_empty(),
            version: get("version").parse().ok(),
        }
    }

    fn routes(&self) -> Vec<String> {
        Some(self.route.clone()).filter(|route| !route.is_empty()).into_iter().collect()
    }

    fn target(&self) -> Result<Target, Refusal> {
        if self.to.is_empty() {
            return Ok(Target::NextStep);
        }
        let share = migration::share(&self.to).filter(|share| !share.is_zero());
        share.map(Target::Share).ok_or_else(|| {
            refused(format!("`{}` is not a percentage up to 100 with at most one decimal, such as 25%", self.to))
        })
    }
}

fn refused(reason: impl Into<String>) -> Refusal {
    Refusal { reasons: vec![reason.into()], is_conflict: false }
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Refusal {
        refused(format!("{error:#}"))
    }
}

impl From<ChangeError> for Refusal {
    fn from(error: ChangeError) -> Refusal {
        let is_conflict = matches!(error, ChangeError::Conflict(_));
        Refusal { is_conflict, ..refused(error.to_string()) }
    }
}

/// Makes a move.
pub(in crate::inspector) async fn take(shared: &Shared, step: Step, form: &Form) -> Result<(), Refusal> {
    let (routes, live) = plan(shared).map_err(|missing| refused(missing.text()))?;
    // An abort does not fail because of its reason.
    if step != Step::Abort && form.reason.chars().count() > MOST_REASON {
        return Err(refused(format!("the reason is longer than {MOST_REASON} characters")));
    }
    let reason: String = migration::one_line(&form.reason).chars().take(MOST_REASON).collect();
    let reason = Some(reason).filter(|reason| !reason.is_empty());
    let author = Author { by: migration::user(), reason };
    let now = SystemTime::now();
    let mut current = shared.migration.lock().await;
    let open = Open::at(&mut current, &routes, live).await?;
    if step == Step::Abort {
        let Migration { store, table, .. } = &open.migration;
        migration::abort(store, table, &form.routes(), &author, now).await?;
        return Ok(());
    }
    open.refresh(live).await?;
    let present = open.migration.stored.overlay.clone();
    if form.version != Some(present.as_ref().map_or(0, |overlay| overlay.version)) {
        return Err(ChangeError::Conflict(present.map(Box::new)).into());
    }
    let next = match step {
        Step::Promote => promoted(open, form, &author, now)?,
        Step::Undo => open.migration.undo(None, &author, now).await?.1,
        Step::Resume => moved(&open.migration, form, Move::Resume, &author, now)?,
        Step::Pause | Step::Abort => moved(&open.migration, form, Move::Pause, &author, now)?,
    };
    // Otherwise it is so already.
    if let Some(next) = next {
        // What was counted is of the state before.
        open.collected = None;
        open.migration.write(&next).await?;
    }
    Ok(())
}

fn moved(
    migration: &Migration,
    form: &Form,
    step: Move,
    author: &Author,
    now: SystemTime,
) -> Result<Option<Overlay>, Refusal> {
    let (table, overlay) = (&migration.table, migration.stored.overlay.as_ref());
    let moved = table.moved(overlay, &form.routes(), step, author, now);
    let moved = moved.map_err(ChangeError::Refused)?;
    Ok(Some(moved).filter(|moved| !moved.is_idle()).map(|moved| moved.next))
}

fn promoted(open: &Open, form: &Form, author: &Author, now: SystemTime) -> Result<Option<Overlay>, Refusal> {
    let Migration { table, plan, stored, .. } = &open.migration;
    let step = Move::Promote(form.target()?);
    let moved = table.moved(stored.overlay.as_ref(), &form.routes(), step, author, now);
    let Transition { mut next, moved, .. } = moved.map_err(ChangeError::Refused)?;
    if form.force {
        if author.reason.is_none() {
            return Err(refused("a promotion without the evidence needs a reason"));
        }
        next.change.push_str(", without evidence");
        return Ok(Some(next));
    }
    let judgements = open.collected.as_ref().map(|collected| collected.judgements(now)).unwrap_or_default();
    let reason = |(route, ..): &(String, _, _)| {
        let Some(judgement) = judgements.iter().find(|judgement| judgement.route == *route) else {
            return Some(format!("route `{route}`: there is no evidence"));
        };
        let next = may_promote(plan, judgement, now).err()?;
        let mut text = format!("route `{route}`: {}", why(&next, plan));
        // While the step bakes, the guard is of interest as well.
        if matches!(next, Next::Hold(Hold::Baking(_) | Hold::NotInEffect)) && judgement.evidence != Evidence::Pass {
            let evidence = Next::Hold(Hold::Evidence(judgement.evidence.clone()));
            let _ = write!(text, "; {}", why(&evidence, plan));
        }
        Some(text)
    };
    let reasons: Vec<String> = moved.iter().filter_map(reason).collect();
    if reasons.is_empty() { Ok(Some(next)) } else { Err(Refusal { reasons, is_conflict: false }) }
}
