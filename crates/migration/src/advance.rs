//! The consequence of the evidence: the next overlay, if anything moves.

use std::time::{Duration, SystemTime};

use crossfade_route::migration::{Evidence, Hold, Next, Phase, Plan, Progress, Schedule, Target};
use crossfade_route::{Author, Move, MoveError, Overlay, RoutingTable};

use crate::evidence::Judgement;

/// The decision about every route of a plan.
#[derive(Debug)]
pub struct Advance {
    /// The state to write; `None` if nothing moves.
    pub next: Option<Overlay>,
    /// In the order of the plan.
    pub routes: Vec<(String, Next)>,
}

/// Decides about all routes that were judged. A failure takes its route's users back at once, and then nobody moves forward: the
/// next look at the logs decides about the other routes.
///
/// `table` is that of the file, without an overlay.
///
/// # Errors
///
/// [`MoveError`] if the table has no plan.
pub fn advance(
    table: &RoutingTable,
    overlay: Option<&Overlay>,
    judgements: &[Judgement],
    by: &str,
    now: SystemTime,
) -> Result<Advance, MoveError> {
    let plan = table.plan.as_ref().ok_or(MoveError::NoPlan)?;
    let decide = |judgement: &Judgement| {
        let next = plan.next(judgement.progress, judgement.evidence.clone(), judgement.in_effect, now);
        (judgement.route.clone(), next)
    };
    let routes: Vec<(String, Next)> = judgements.iter().map(decide).collect();
    let of = |is_wanted: fn(&Next) -> bool| -> Vec<String> {
        routes.iter().filter(|(_, next)| is_wanted(next)).map(|(route, _)| route.clone()).collect()
    };
    let aborted = of(|next| matches!(next, Next::Abort(..)));
    let advanced = of(|next| matches!(next, Next::Advance(_)));
    let reasons: Vec<String> = routes
        .iter()
        .filter_map(|(route, next)| match next {
            Next::Abort(_, reason) => Some(format!("{route}: {reason}")),
            _ => None,
        })
        .collect();
    let (moving, step) = match (plan.schedule, aborted.is_empty()) {
        (Schedule::Off, _) | (Schedule::Abort, true) => (Vec::new(), Move::Abort),
        (_, false) => (aborted, Move::Abort),
        (Schedule::Advance, true) => (advanced, Move::Promote(Target::NextStep)),
    };
    if moving.is_empty() {
        return Ok(Advance { next: None, routes });
    }
    let reason = if reasons.is_empty() { "the guard holds".to_owned() } else { reasons.join("; ") };
    let author = Author { by: by.to_owned(), reason: Some(reason) };
    let transition = table.moved(overlay, &moving, step, &author, now)?;
    Ok(Advance { next: Some(transition.next), routes })
}

/// Checks that the guard's evidence allows a person to move more users, who may end a pause with it.
///
/// # Errors
///
/// The reason to stay, or to go back.
pub fn may_promote(plan: &Plan, judgement: &Judgement, now: SystemTime) -> Result<(), Next> {
    let phase = match judgement.progress.phase {
        Phase::Paused => Phase::Running,
        phase => phase,
    };
    let progress = Progress { phase, ..judgement.progress };
    match plan.next(progress, judgement.evidence.clone(), judgement.in_effect, now) {
        Next::Advance(_) => Ok(()),
        // Without users on the new system there is nothing to take back, but the reason counts.
        Next::Hold(Hold::Baking(_)) if matches!(judgement.evidence, Evidence::Fail(_)) => {
            Err(Next::Hold(Hold::Evidence(judgement.evidence.clone())))
        }
        next => Err(next),
    }
}

/// Returns the reason for a decision in words.
#[must_use]
pub fn why(next: &Next, plan: &Plan) -> String {
    match next {
        Next::Advance(_) => "the guard holds".to_owned(),
        Next::Abort(_, reason) => format!("the guard fails: {reason}"),
        Next::Hold(Hold::Phase(phase)) => format!("it is {}", phase.as_str()),
        Next::Hold(Hold::Baking(left)) => {
            // A whole second is left as long as any part of it is.
            let seconds = Duration::from_secs(left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0)));
            format!("the step has to bake for another {}", humantime::format_duration(seconds))
        }
        Next::Hold(Hold::NotInEffect) => "the last step is not in effect yet".to_owned(),
        Next::Hold(Hold::Evidence(evidence)) => match evidence {
            Evidence::Pass => "the guard holds".to_owned(),
            Evidence::Fail(reason) => format!("the guard fails: {reason}"),
            Evidence::TooFew(count) => match plan.samples.saturating_sub(*count) {
                0 => format!("{count} samples do not decide yet: more are needed"),
                missing => format!("{count} of {} samples: {missing} are missing", plan.samples),
            },
            Evidence::CannotBeJudged(reason) => format!("the guard cannot be judged: {reason}"),
            Evidence::Missing(reason) => format!("there is no evidence: {reason}"),
        },
    }
}
