//! Times, shares and progress as text, alike in all commands of a migration.

use std::time::{Duration, SystemTime};

use crossfade_route::migration::{Phase, Plan, Progress};
use crossfade_route::{Overlay, Share};

use crate::migration::{one_line, rfc3339};

/// A time with its distance from now: `2026-11-28T12:00:00Z (2h 5m ago)`.
pub(super) fn time(time: SystemTime, now: SystemTime) -> String {
    if time == SystemTime::UNIX_EPOCH {
        return "at an unknown time".to_owned();
    }
    let distance = match now.duration_since(time) {
        Ok(ago) => format!("{} ago", span(ago)),
        Err(error) => format!("in {}", span(error.duration())),
    };
    format!("{} ({distance})", rfc3339(time))
}

/// A duration with its two largest units.
pub(super) fn span(duration: Duration) -> String {
    let text = humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// `12.5 %`.
pub(super) fn percent(share: Share) -> String {
    format!("{} %", share.percent())
}

/// `running, 10 % on modern, step 2 of 5`.
pub(in crate::commands) fn progress(plan: &Plan, progress: Progress) -> String {
    let Progress { share, phase, .. } = progress;
    let Plan { from, to, .. } = plan;
    let on = match share {
        Share::NONE => format!("everyone on {from}"),
        Share::ALL => format!("everyone on {to}"),
        share => format!("{} on {to}", percent(share)),
    };
    let step = match (phase, step(plan, share)) {
        (Phase::Running | Phase::Paused, Some(0)) => format!(", before step 1 of {}", plan.steps.len()),
        (Phase::Running | Phase::Paused, Some(step)) => format!(", step {step} of {}", plan.steps.len()),
        (Phase::Running | Phase::Paused, None) => ", between the steps".to_owned(),
        _ => String::new(),
    };
    format!("{}, {on}{step}", phase.as_str())
}

/// The number of the step with this share, from 1; 0 before the first.
pub(super) fn step(plan: &Plan, share: Share) -> Option<usize> {
    if share.is_zero() {
        return Some(0);
    }
    plan.steps.iter().position(|step| *step == share).map(|index| index + 1)
}

/// `anna: promote orders to 10 %`, with the reason. Others may have written it.
pub(super) fn change(overlay: &Overlay) -> String {
    let by = if overlay.by.is_empty() { "unknown" } else { &overlay.by };
    let reason = overlay.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    one_line(&format!("{by}: {}{reason}", overlay.change))
}
