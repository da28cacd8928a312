//! The page itself. It works without its script, which only updates the sections whose content changes.

use std::time::{Duration, SystemTime};

use crossfade_migration::{Judgement, why, word};
use crossfade_parity::Decision;
use crossfade_parity::number::{grouped, percent};
use crossfade_route::migration::{Next, Phase, Plan};
use crossfade_route::{Overlay, Share};
use maud::{Markup, html};

use super::{Form, Missing, Refusal, Step, View, after_file};
use crate::html::table_head;
use crate::inspector::Shared;
use crate::inspector::page::{frame, section};
use crate::migration::rfc3339;
use crate::terminal::printable;

/// Routes with a section of their own.
const MOST_ROUTES: usize = 50;

impl Missing {
    /// Says how to get the page.
    pub(super) fn text(&self) -> &'static str {
        match self {
            Missing::NoPlan => {
                "For this page, `crossfade.yaml` needs a plan: add `migration: {from: legacy, to: modern}`, with the names of \
                 your back ends, and start `crossfade dev --config crossfade.yaml --live file:live.json`."
            }
            Missing::NoLiveState => {
                "For this page, start `crossfade dev` with live state: add `--live file:live.json`."
            }
        }
    }
}

/// The page without a migration: one line.
pub(in crate::inspector) fn missing(shared: &Shared, missing: &Missing) -> Markup {
    frame(shared, "Migration", html! { section { h1 { "Migration" } p.lead { (missing.text()) } } })
}

/// The page after a look, with the fields and the reasons of a move that was not made.
pub(in crate::inspector) fn page(shared: &Shared, view: &View, form: &Form, refusal: Option<&Refusal>) -> Markup {
    let is_kept = refusal.is_some();
    let main = html! {
        @if let Some(refusal) = refusal { (refused(refusal)) }
        div #migration {
            (state(view))
            @for (index, (judgement, next)) in view.routes.iter().take(MOST_ROUTES).enumerate() {
                (route(view, index, judgement, next))
            }
            @if let Some(more @ 1..) = view.routes.len().checked_sub(MOST_ROUTES) {
                p.lead { (more) " more routes. " code { "crossfade status" } " prints all." }
            }
            (moves(shared, view, form, is_kept))
            (versions(view))
            (history(view))
        }
    };
    frame(shared, "Migration", main)
}

fn refused(refusal: &Refusal) -> Markup {
    html! {
        div.callout.error #refusal role="alert" {
            p {
                span.mark.error { @if refusal.is_conflict { "conflict" } @else { "refused" } } " "
                b { "Nothing was changed." }
                @if refusal.is_conflict { " Look at the state below, then decide again." }
            }
            @for reason in &refusal.reasons { p { (printable(reason)) } }
        }
    }
}

fn state(view: &View) -> Markup {
    let Plan { from, to, guard, samples, bake, .. } = &view.plan;
    html! {
        section #state aria-labelledby="title" data-version=(view.version()) {
            div.bar { h1 #title { "Migration: " (from) " → " (to) } }
            @if let Some(error) = &view.error {
                p.callout.error { span.mark.error { "error" } " " (printable(error)) }
            }
            @for mismatch in &view.mismatches {
                p.callout.warning { span.mark.warning { "not applied" } " " (printable(mismatch)) }
            }
            dl.facts {
                div { dt { "Live state" } dd { code { (view.place) } } }
                @match &view.overlay {
                    None => div { dt { "Version" } dd { "none yet: the file alone decides" } },
                    Some(overlay) => {
                        div { dt { "Version" } dd { (overlay.version) } }
                        div { dt { "Changed" } dd { (date(overlay.at)) " by " (by(overlay)) } }
                        div { dt { "Change" } dd { (printable(&overlay.change)) } }
                        @if let Some(reason) = &overlay.reason { div { dt { "Reason" } dd { (printable(reason)) } } }
                    },
                }
                div { dt { "Guard" } dd { code { (guard) } ", " (grouped(*samples)) " samples, bake " (span(*bake)) } }
            }
        }
    }
}

fn route(view: &View, index: usize, judgement: &Judgement, next: &Next) -> Markup {
    let (plan, progress) = (&view.plan, judgement.progress);
    let class = match progress.phase {
        Phase::Running | Phase::Finished => "good",
        Phase::Paused => "warning",
        Phase::Aborted => "error",
    };
    let content = html! {
        dl.facts {
            div { dt { "Phase" } dd { span class={ "mark " (class) } { (progress.phase.as_str()) } } }
            div { dt { "Users on " (plan.to) } dd { (share(progress.share)) } }
            @if let Some(since) = after_file(progress.since) {
                div { dt { "Since" } dd { (date(since)) " " small { "version " (judgement.version) } } }
                div { dt { "In effect" } dd { (in_effect(judgement)) } }
            }
            div { dt { "Next" } dd { (next_step(plan, judgement, next)) } }
        }
        (steps(plan, judgement))
        div.scroll tabindex="0" role="region" aria-label={ "Evidence of " (judgement.route) } {
            table {
                caption.unseen { "Conditions of the guard, on the requests since the last change" }
                (table_head(["Condition", "Decision", "Measured"].map(|name| (name, ""))))
                tbody {
                    @for judged in &judgement.conditions {
                        tr {
                            th scope="row" { code { (judged.condition) } }
                            td { span class={ "mark " (mark(&judged.decision)) } { (word(&judged.decision)) } }
                            td { (printable(&judged.measured)) }
                        }
                    }
                }
            }
        }
    };
    section(&format!("route-{index}"), &judgement.route, content)
}

fn mark(decision: &Decision) -> &'static str {
    match decision {
        Decision::Holds => "good",
        Decision::Fails => "error",
        Decision::Unclear | Decision::TooFew(_) => "warning",
    }
}

/// The steps of the plan, with the present one.
fn steps(plan: &Plan, judgement: &Judgement) -> Markup {
    let now = judgement.progress.share;
    let is_between = !now.is_zero() && !plan.steps.contains(&now);
    let mut all: Vec<Share> = [Share::NONE].into_iter().chain(plan.steps.iter().copied()).collect();
    if is_between {
        all.push(now);
        all.sort_unstable();
    }
    html! {
        ol.steps aria-label="Steps" {
            @for step in all {
                li class=[(step < now).then_some("done")] aria-current=[(step == now).then_some("step")] { (share(step)) }
            }
        }
    }
}

fn in_effect(judgement: &Judgement) -> Markup {
    let followed = judgement.recent.map(percent);
    html! {
        @match (judgement.in_effect, followed) {
            (_, None) => "no request yet",
            (Some(since), Some(followed)) => {
                @if let Some(since) = after_file(since) { "since " (date(since)) " " }
                small { (followed) " of the latest requests" }
            },
            (None, Some(followed)) => { "not yet: " (followed) " of the latest requests" },
        }
    }
}

fn next_step(plan: &Plan, judgement: &Judgement, next: &Next) -> Markup {
    let step = plan.step_after(judgement.progress.share);
    html! {
        @match (judgement.progress.phase, step) {
            (Phase::Finished, _) | (_, None) => { "nothing: all users are on " (plan.to) },
            (Phase::Aborted, _) => { "resume, which begins anew" },
            (_, Some(step)) => {
                (share(step)) " "
                @match next {
                    Next::Advance(_) => span.mark.good { "may be promoted" },
                    Next::Abort(..) => { span.mark.error { "abort" } " " (printable(&why(next, plan))) },
                    Next::Hold(_) => { span.mark.warning { "waits" } " " (printable(&why(next, plan))) },
                }
            },
        }
    }
}

fn moves(shared: &Shared, view: &View, form: &Form, is_kept: bool) -> Markup {
    let Plan { from, to, routes, .. } = &view.plan;
    let hidden = html! {
        input type="hidden" name="token" value=(shared.token);
        input type="hidden" name="version" value=(view.version());
    };
    let route = |id: &str| {
        html! {
            @if routes.len() > 1 {
                label for=(id) { "Route" }
                select id=(id) name="route" {
                    option value="" { "all of the plan" }
                    @for route in routes { option selected[*route == form.route] { (route) } }
                }
            }
        }
    };
    let reason = |id: &str| {
        html! { label for=(id) { "Reason" } input id=(id) name="reason" value=(form.reason) maxlength="500" autocomplete="off"; }
    };
    let button = |step: Step, class: Option<&str>, text: &str| {
        html! { button type="submit" class=[class] formaction={ "/migration/" (step.word()) } { (text) } }
    };
    html! {
        section #moves aria-labelledby="moves-title" data-kept[is_kept] {
            h2 #moves-title { "Move users" }
            div.two {
                form.fields-of-move method="post" action="/migration/promote" aria-label="Promote" {
                    (hidden)
                    (route("promote-route"))
                    label for="to" { "To" }
                    input #to name="to" value=(form.to) placeholder="next step" inputmode="decimal" autocomplete="off"
                        aria-describedby="to-help";
                    small #to-help { "a share such as 25%; users who are on " (to) " stay there" }
                    (reason("promote-reason"))
                    label.check {
                        input type="checkbox" name="force" value="1" checked[form.force]; " Without the evidence, which needs a reason"
                    }
                    div.buttons { (button(Step::Promote, Some("primary"), "Promote")) }
                }
                form.fields-of-move method="post" action="/migration/pause" aria-label="Stop" {
                    (hidden)
                    (route("stop-route"))
                    (reason("stop-reason"))
                    small { "Abort takes all users back to " (from) ", whatever has changed in the meantime." }
                    div.buttons {
                        (button(Step::Pause, None, "Pause"))
                        (button(Step::Resume, None, "Resume"))
                        (button(Step::Undo, None, "Undo the last change"))
                        (button(Step::Abort, Some("danger"), "Abort"))
                    }
                }
            }
        }
    }
}

fn versions(view: &View) -> Markup {
    let total: u64 = view.versions.iter().map(|(_, count)| count).sum();
    let content = html! {
        @if total == 0 { p.lead { "No request to a route of the plan yet." } } @else {
            table {
                caption.unseen { "The latest requests by the version that decided them" }
                (table_head([("Version", ""), ("Requests", "number"), ("Share", "number")]))
                tbody {
                    @for (version, count) in &view.versions {
                        tr {
                            th scope="row" { @match version { Some(version) => (version), None => "the file alone" } }
                            td.number { (grouped(*count)) }
                            td.number { (percent(*count as f64 / total as f64)) }
                        }
                    }
                }
            }
        }
    };
    section("versions", &format!("Versions that decided the latest {total} requests"), content)
}

fn history(view: &View) -> Markup {
    let content = match &view.history {
        Err(error) => html! { p.lead { "The history cannot be read: " (printable(&format!("{error:#}"))) } },
        Ok(history) if history.is_empty() => html! { p.lead { "Nobody has changed anything yet." } },
        Ok(history) => html! {
            div.scroll tabindex="0" role="region" aria-label="History" {
                table {
                    caption.unseen { "Changes of the live state, the newest first" }
                    (table_head(["Version", "Time", "Who", "Change", "Reason"].map(|name| (name, ""))))
                    tbody {
                        @for overlay in history {
                            tr {
                                th scope="row" { (overlay.version) }
                                td { (date(overlay.at)) }
                                td { (by(overlay)) }
                                td { (printable(&overlay.change)) }
                                td { (printable(overlay.reason.as_deref().unwrap_or("-"))) }
                            }
                        }
                    }
                }
            }
        },
    };
    section("history", "History", content)
}

fn by(overlay: &Overlay) -> String {
    if overlay.by.is_empty() { "unknown".to_owned() } else { printable(&overlay.by) }
}

/// `12.5 %`.
fn share(share: Share) -> String {
    format!("{} %", share.percent())
}

fn span(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// `2026-11-24 10:57:42` in UTC, as a `time` element.
fn date(time: SystemTime) -> Markup {
    let full = rfc3339(time);
    html! { time datetime=(full) title=(full) { (full.trim_end_matches('Z').replace('T', " ")) } }
}
