//! The outcome of a command that changes the live state, as text and as a JSON document, and its exit code.

use anyhow::Result;
use crossfade_route::migration::{Plan, Progress};
use crossfade_route::{Moved, Overlay};
use serde_json::{Value, json};

use super::DOCUMENT;
use super::text::percent;
use crate::commands::Verdict;
use crate::migration::rfc3339;
use crate::terminal::{print, print_json, say};

/// A change that was not made: reasons by route.
pub(super) struct Refusal {
    pub(super) command: &'static str,
    /// The version that stays.
    pub(super) version: u32,
    /// The route, or nothing if the reason concerns all, with the reason.
    pub(super) reasons: Vec<(Option<String>, String)>,
    pub(super) hints: Vec<String>,
}

/// A change that was made, or that nothing was left to make.
#[derive(Default)]
pub(super) struct Change {
    pub(super) command: &'static str,
    /// The state that was written; `None` if it was so before.
    pub(super) overlay: Option<Overlay>,
    pub(super) version: u32,
    pub(super) moved: Vec<Moved>,
    /// Routes that could move and stay, with the reason.
    pub(super) stays: Vec<(String, String)>,
    /// Changes that move nobody, by route.
    pub(super) differences: Vec<(String, Vec<String>)>,
    /// The reason why a state was overwritten unread.
    pub(super) unread: Option<String>,
    /// The logs that have the evidence.
    pub(super) logs: Option<Value>,
    /// Lines for a person, before and after the routes.
    pub(super) before: Vec<String>,
    pub(super) after: Vec<String>,
}

impl Refusal {
    /// Prints it: exit code 1.
    pub(super) fn print(self, is_json: bool) -> Result<Verdict> {
        let Refusal { command, version, reasons, hints } = self;
        if is_json {
            let reason = |(route, reason): &(Option<String>, String)| match route {
                Some(route) => json!({ "route": route, "reason": reason }),
                None => json!({ "reason": reason }),
            };
            let reasons: Vec<Value> = reasons.iter().map(reason).collect();
            let document = json!({
                "format": DOCUMENT, "command": command, "changed": false, "version": version, "refused": reasons,
                "hints": hints,
            });
            print_json(&format!("{document:#}\n"))?;
            return Ok(Verdict::Findings);
        }
        for (route, reason) in reasons {
            match route {
                Some(route) => say(&format!("refused: route `{route}`: {reason}")),
                None => say(&format!("refused: {reason}")),
            }
        }
        hints.iter().for_each(|hint| say(&format!("  hint: {hint}")));
        Ok(Verdict::Findings)
    }
}

impl Change {
    /// The routes and what happens to them, one per line.
    pub(super) fn lines(&self, plan: &Plan) -> Vec<String> {
        let stays = self.stays.iter().map(|(route, reason)| format!("{route:<12}  stays: {reason}"));
        let differences = self.differences.iter().map(|(route, texts)| format!("{route:<12}  {}", texts.join(", ")));
        table(plan, &self.moved).into_iter().chain(stays).chain(differences).collect()
    }

    /// Prints it: exit code 0.
    pub(super) fn print(self, plan: &Plan, is_json: bool) -> Result<Verdict> {
        let lines = self.lines(plan);
        let Change { command, overlay, version, moved, stays, differences, unread, logs, before, after } = self;
        if is_json {
            let stays: Vec<Value> =
                stays.iter().map(|(route, reason)| json!({ "route": route, "reason": reason })).collect();
            let differences: Vec<Value> =
                differences.iter().map(|(route, texts)| json!({ "route": route, "changes": texts })).collect();
            let routes: Vec<Value> = moved
                .iter()
                .map(|(route, before, after)| json!({ "route": route, "before": state(*before), "after": state(*after) }))
                .collect();
            let mut document = json!({
                "format": DOCUMENT, "command": command, "changed": overlay.is_some(), "version": version,
                "change": overlay.map(|overlay| overlay.change), "routes": routes, "stays": stays,
                "differences": differences,
            });
            if let Some(unread) = unread {
                document["overwritten"] = unread.into();
            }
            if let Some(logs) = logs {
                document["logs"] = logs;
            }
            print_json(&format!("{document:#}\n"))?;
            return Ok(Verdict::Clean);
        }
        let mut text = String::new();
        let mut line = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        before.iter().for_each(|text| line(text));
        lines.iter().for_each(|text| line(text));
        after.iter().for_each(|text| line(text));
        print(&text)?;
        Ok(Verdict::Clean)
    }
}

/// Progress in JSON documents.
pub(super) fn state(progress: Progress) -> Value {
    json!({ "phase": progress.phase.as_str(), "share": progress.share.percent() })
}

/// `orders  running, 10 % on modern -> running, 25 % on modern`, in columns.
fn table(plan: &Plan, moved: &[Moved]) -> Vec<String> {
    let width = moved.iter().map(|(route, ..)| route.chars().count()).max().unwrap_or_default().max(12);
    let line = |(route, before, after): &Moved| {
        let phase = match before.phase == after.phase {
            true => after.phase.as_str().to_owned(),
            false => format!("{} -> {}", before.phase.as_str(), after.phase.as_str()),
        };
        let (before, after) = (percent(before.share), percent(after.share));
        let share = if before == after { after } else { format!("{before} -> {after}") };
        format!("{route:<width$}  {share} of the users on {}, {phase}", plan.to)
    };
    moved.iter().map(line).collect()
}

/// `version 5, anna, 2026-11-28T12:00:00Z: promote orders to 25 %`.
pub(super) fn written(overlay: &Overlay) -> String {
    let Overlay { version, at, by, change, .. } = overlay;
    format!("version {version}, {by}, {}: {change}", rfc3339(*at))
}
