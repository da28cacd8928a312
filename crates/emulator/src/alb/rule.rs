//! Rule selection: by ascending priority the first rule whose conditions all match, else the default rule (user guide,
//! "Listener rules"). What a condition means is `crossfade-rule`'s; what an action does is `action`'s.

use crossfade_rule::RequestView;

use crate::{Action, Rule, RuleRef, Transforms};

/// The rules of a listener in the order of evaluation.
pub(super) struct Rules {
    rules: Vec<Rule>,
    default_action: Action,
}

/// The selected rule.
pub(super) struct Selected<'r> {
    pub(super) rule: RuleRef,
    /// For each rule before it, the priority and the index of the first condition that does not match.
    pub(super) skipped: Vec<(u32, usize)>,
    pub(super) transforms: Option<&'r Transforms>,
    pub(super) action: &'r Action,
}

impl Rules {
    pub(super) fn new(mut rules: Vec<Rule>, default_action: Action) -> Self {
        rules.sort_by_key(|rule| rule.priority);
        Self { rules, default_action }
    }

    pub(super) fn select(&self, request: &RequestView<'_>) -> Selected<'_> {
        let mut skipped = Vec::new();
        for rule in &self.rules {
            match rule.conditions.iter().position(|condition| !condition.matches(request)) {
                Some(condition) => skipped.push((rule.priority, condition)),
                None => {
                    return Selected {
                        rule: RuleRef::Priority(rule.priority),
                        skipped,
                        transforms: Some(&rule.transforms),
                        action: &rule.action,
                    };
                }
            }
        }
        Selected { rule: RuleRef::Default, skipped, transforms: None, action: &self.default_action }
    }
}
