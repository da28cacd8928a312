//! AWS quotas over all settings of a file (user guide, "Quotas for your Application Load Balancers"; API
//! reference for lengths). A violation is an error, or a warning with `lenient`. Quotas of
//! conditions are `crossfade-rule`'s.

use std::collections::BTreeMap;

use crossfade_document::Place;
use crossfade_rule::{Condition, Rewrite, check_quotas};

use super::draft::{Draft, DraftRule};
use super::findings::Findings;
use super::node::excerpt;
use crate::{Action, FixedResponse, Forward, Redirect};

pub(super) const MAX_PRIORITY: u32 = 50_000;
const MAX_RULES: usize = 100;
const MAX_LISTENERS: usize = 50;
const MAX_GROUPS: usize = 100;
const MAX_GROUPS_OF_ACTION: usize = 5;
const MAX_WEIGHT: u16 = 999;
/// The longest part of a redirect, in characters.
const MAX_REDIRECT: usize = 128;
/// The longest body of a fixed response, and the longest replacement, in characters.
const MAX_BODY: usize = 1024;
const CONTENT_TYPES: [&str; 5] = ["text/plain", "text/css", "text/html", "application/javascript", "application/json"];

pub(super) fn conditions(findings: &mut Findings, place: &Place, conditions: &[Condition]) {
    for broken in check_quotas(conditions) {
        match broken.is_certain() {
            true => findings.quota(place, broken),
            false => findings.warning(place, broken),
        }
    }
}

pub(super) fn action(findings: &mut Findings, place: &Place, action: &Action) {
    match action {
        Action::Forward(Forward { targets, .. }) => {
            if targets.len() > MAX_GROUPS_OF_ACTION {
                let count = targets.len();
                let message = format!("the forward has {count} target groups; ALB allows {MAX_GROUPS_OF_ACTION}");
                findings.quota(place, message);
            }
            for target in targets.iter().filter(|target| target.weight > MAX_WEIGHT) {
                findings
                    .quota(place, format!("the weight {} is too large; ALB allows 0 to {MAX_WEIGHT}", target.weight));
            }
        }
        Action::Redirect(redirect) => {
            let Redirect { protocol, host, port, path, query, .. } = redirect;
            for (name, part) in [("Host", host), ("Port", port), ("Path", path), ("Query", query)] {
                let length = part.chars().count();
                if length > MAX_REDIRECT {
                    findings.quota(place, format!("`{name}` is {length} characters long; ALB allows {MAX_REDIRECT}"));
                }
            }
            let same = Redirect::to_itself(redirect.status);
            if (protocol, host, port, path) == (&same.protocol, &same.host, &same.port, &same.path) {
                findings.quota(place, "the redirect leads to itself; it must change protocol, host, port or path");
            }
        }
        Action::FixedResponse(FixedResponse { content_type, body, .. }) => {
            let length = body.chars().count();
            if length > MAX_BODY {
                findings.quota(place, format!("`MessageBody` is {length} characters long; ALB allows {MAX_BODY}"));
            }
            if let Some(kind) = content_type.as_deref().filter(|kind| !CONTENT_TYPES.contains(kind)) {
                let kind = excerpt(kind);
                findings.quota(place, format!("`ContentType` is `{kind}`; ALB allows {}", CONTENT_TYPES.join(", ")));
            }
        }
    }
}

/// Checks the length of a replacement. Regexes have a limit of their own.
pub(super) fn rewrite(findings: &mut Findings, place: &Place, rewrite: &Rewrite) {
    let length = rewrite.replace().chars().count();
    if length > MAX_BODY {
        findings.quota(place, format!("`Replace` is {length} characters long; ALB allows {MAX_BODY}"));
    }
}

/// Checks counts, unique priorities, and redirects that a listener's protocol forbids.
pub(super) fn whole(draft: &mut Draft<'_>) {
    let Draft { findings, listeners, settings, files, .. } = draft;
    let Some(first) = listeners.first().map(|listener| listener.place) else { return };
    let counts = [
        (listeners.len(), MAX_LISTENERS, "listeners"),
        (settings.target_groups.len(), MAX_GROUPS, "target groups"),
        (listeners.iter().map(|listener| listener.rules.len()).sum(), MAX_RULES, "rules"),
    ];
    for (count, most, what) in counts {
        if count > most {
            findings.quota(&first, format!("{count} {what}, but ALB allows {most} per load balancer"));
        }
    }
    for listener in listeners {
        let is_https = listener.listener.tls.is_some();
        let name = &listener.listener.name;
        if is_https && is_downgrade(&listener.listener.default_action) {
            findings.set_part(format!("listener `{}`", excerpt(name)));
            findings.quota(&listener.place, DOWNGRADE);
        }
        leave_out_assumed(findings, &mut listener.rules);
        let mut taken: BTreeMap<u32, &DraftRule> = BTreeMap::new();
        for draft in &listener.rules {
            findings.set_part(draft.part.clone());
            let priority = draft.rule.priority;
            if let Some(DraftRule { part, place, .. }) = taken.insert(priority, draft) {
                let (file, line) = (files.name(place.file), place.line);
                let message = format!(
                    "priority {priority} is already taken by {part} at {file}:{line}; the priorities of a listener must \
                     differ, and both are of listener `{}`",
                    excerpt(name)
                );
                findings.error(&draft.place, message);
            }
            if is_https && is_downgrade(&draft.rule.action) {
                findings.quota(&draft.place, DOWNGRADE);
            }
        }
    }
}

/// Leaves out rules whose condition is only assumed to be true if another rule has their priority, under no condition or
/// another one: conditions often exclude one another.
fn leave_out_assumed(findings: &mut Findings, rules: &mut Vec<DraftRule>) {
    let certain = rules.iter().filter(|draft| draft.assumption.is_none());
    let mut taken: BTreeMap<u32, Option<String>> = certain.map(|draft| (draft.rule.priority, None)).collect();
    rules.retain(|draft| {
        let Some(condition) = &draft.assumption else { return true };
        let priority = draft.rule.priority;
        if taken.entry(priority).or_insert_with(|| draft.assumption.clone()) == &draft.assumption {
            return true;
        }
        let condition = excerpt(condition);
        findings.set_part(draft.part.clone());
        let message = format!(
            "left out: another rule has the priority {priority}, and the condition `{condition}` of this one is only assumed to be true"
        );
        findings.warning(&draft.place, message);
        false
    });
}

const DOWNGRADE: &str = "a redirect from HTTPS to HTTP, which ALB does not allow";

fn is_downgrade(action: &Action) -> bool {
    matches!(action, Action::Redirect(redirect) if redirect.protocol == "HTTP")
}
