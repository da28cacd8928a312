//! Which rule a request meets: ascending priority, the first whose conditions all hold, else the default rule (user guide,
//! "Listener rules"). What a condition means is `crossfade-rule`'s.

use crossfade_event::HeaderMode;
use crossfade_rule::RequestView;

use crate::{DefaultAction, ListenerRule, RuleRef};

/// The rules of a listener in the order of evaluation.
pub(super) struct Rules {
    rules: Vec<ListenerRule>,
    default_action: DefaultAction,
}

impl Rules {
    pub(super) fn new(mut rules: Vec<ListenerRule>, default_action: DefaultAction) -> Self {
        rules.sort_by_key(|rule| rule.priority);
        Self { rules, default_action }
    }

    pub(super) fn select(&self, request: &RequestView<'_>) -> (RuleRef, DefaultAction) {
        let met = |rule: &&ListenerRule| rule.conditions.iter().all(|condition| condition.matches(request));
        match self.rules.iter().find(met) {
            Some(rule) => (RuleRef::Priority(rule.priority), DefaultAction::Forward(rule.mode)),
            None => (RuleRef::Default, self.default_action),
        }
    }
}

/// A target group has one mode, so there are two of them.
pub(super) fn target_group_arn(region: &str, name: &str, mode: HeaderMode) -> String {
    let id = match mode {
        HeaderMode::Single => "0000000000000001",
        HeaderMode::Multi => "0000000000000002",
    };
    format!("arn:aws:elasticloadbalancing:{region}:000000000000:targetgroup/{name}/{id}")
}
