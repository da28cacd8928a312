//! What AWS allows, over everything that a file gives (user guide, "Quotas for your Application Load Balancers"; API
//! reference for lengths). Each quota that is not kept is a mistake, or a warning where the user wants it so. Quotas of
//! conditions are `crossfade-rule`'s.

use std::collections::BTreeMap;

use crossfade_document::Place;
use crossfade_rule::{Condition, Rewrite, check_quotas};

use super::report::{Report, excerpt};
use super::{Draft, DraftRule};
use crate::{Action, FixedResponse, Forward, Redirect};

pub(super) const MAX_PRIORITY: u32 = 50_000;
const MAX_RULES: usize = 100;
const MAX_LISTENERS: usize = 50;
const MAX_GROUPS: usize = 100;
const MAX_GROUPS_OF_ACTION: usize = 5;
const MAX_WEIGHT: u16 = 999;
/// Of a part of a redirect, in characters.
const MAX_REDIRECT: usize = 128;
/// Of the body of a fixed response, and of a replacement, in characters.
const MAX_BODY: usize = 1024;
const CONTENT_TYPES: [&str; 5] = ["text/plain", "text/css", "text/html", "application/javascript", "application/json"];

pub(super) fn conditions(report: &mut Report, place: &Place, conditions: &[Condition]) {
    for broken in check_quotas(conditions) {
        match broken.is_certain() {
            true => report.quota(place, broken),
            false => report.warning(place, broken),
        }
    }
}

pub(super) fn action(report: &mut Report, place: &Place, action: &Action) {
    match action {
        Action::Forward(Forward { targets, .. }) => {
            if targets.len() > MAX_GROUPS_OF_ACTION {
                let count = targets.len();
                let message = format!("the forward has {count} target groups, ALB allows {MAX_GROUPS_OF_ACTION}");
                report.quota(place, message);
            }
            for target in targets.iter().filter(|target| target.weight > MAX_WEIGHT) {
                report.quota(place, format!("the weight {} is too large, ALB allows 0 to {MAX_WEIGHT}", target.weight));
            }
        }
        Action::Redirect(redirect) => {
            let Redirect { protocol, host, port, path, query, .. } = redirect;
            for (name, part) in [("Host", host), ("Port", port), ("Path", path), ("Query", query)] {
                let length = part.chars().count();
                if length > MAX_REDIRECT {
                    report.quota(place, format!("`{name}` is {length} characters long, ALB allows {MAX_REDIRECT}"));
                }
            }
            let same = Redirect::to_itself(redirect.status);
            if (protocol, host, port, path) == (&same.protocol, &same.host, &same.port, &same.path) {
                report.quota(place, "the redirect leads to itself; it must change protocol, host, port or path");
            }
        }
        Action::FixedResponse(FixedResponse { content_type, body, .. }) => {
            let length = body.chars().count();
            if length > MAX_BODY {
                report.quota(place, format!("`MessageBody` is {length} characters long, ALB allows {MAX_BODY}"));
            }
            if let Some(kind) = content_type.as_deref().filter(|kind| !CONTENT_TYPES.contains(kind)) {
                let kind = excerpt(kind);
                report.quota(place, format!("`ContentType` is `{kind}`, ALB allows {}", CONTENT_TYPES.join(", ")));
            }
        }
    }
}

/// The regex has its limit by itself.
pub(super) fn rewrite(report: &mut Report, place: &Place, rewrite: &Rewrite) {
    let length = rewrite.replace().chars().count();
    if length > MAX_BODY {
        report.quota(place, format!("`Replace` is {length} characters long, ALB allows {MAX_BODY}"));
    }
}

/// Counts, unique priorities, and what a listener's protocol forbids.
pub(super) fn whole(draft: &mut Draft<'_>) {
    let Draft { report, listeners, settings, files, .. } = draft;
    let Some(first) = listeners.first().map(|listener| listener.place) else { return };
    let counts = [
        (listeners.len(), MAX_LISTENERS, "listeners"),
        (settings.target_groups.len(), MAX_GROUPS, "target groups"),
        (listeners.iter().map(|listener| listener.rules.len()).sum(), MAX_RULES, "rules"),
    ];
    for (count, most, what) in counts {
        if count > most {
            report.quota(&first, format!("{count} {what}, but ALB allows {most} per load balancer"));
        }
    }
    for listener in listeners {
        let mut taken: BTreeMap<u32, &DraftRule> = BTreeMap::new();
        let is_https = listener.listener.tls.is_some();
        let name = &listener.listener.name;
        if is_https && is_downgrade(&listener.listener.default_action) {
            report.about(format!("listener `{}`", excerpt(name)));
            report.quota(&listener.place, DOWNGRADE);
        }
        for draft in &listener.rules {
            report.about(draft.about.clone());
            let priority = draft.rule.priority;
            if let Some(DraftRule { about, place, .. }) = taken.insert(priority, draft) {
                let (file, line) = (files.name(place.file), place.line);
                let message = format!(
                    "priority {priority} is already taken by {about} at {file}:{line}; the priorities of a listener must \
                     differ, and both are of listener `{}`",
                    excerpt(name)
                );
                report.mistake(&draft.place, message);
            }
            if is_https && is_downgrade(&draft.rule.action) {
                report.quota(&draft.place, DOWNGRADE);
            }
        }
    }
}

const DOWNGRADE: &str = "a redirect from HTTPS to HTTP, which ALB does not allow";

fn is_downgrade(action: &Action) -> bool {
    matches!(action, Action::Redirect(redirect) if redirect.protocol == "HTTP")
}
