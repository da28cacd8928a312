//! The deployed listener rules against those of a file, and against each other. Owns when two rules are the same; the emulator reads
//! both, so that each spelling of a rule has one meaning.

use crossfade_emulator::source::{action_text, transforms_text};
use crossfade_emulator::{Action, Listener as EmulatedListener, Rule, Settings};
use crossfade_rule::Condition;

use super::facts::{Facts, Known, Listener, RuleFile, Unknown};
use super::{Judged, Outcome, counted, known};

impl RuleFile {
    /// The function of the file that is deployed under a name. Tools put the stack and the stage into names.
    pub(super) fn function(&self, deployed: &str) -> Known<usize> {
        let groups = &self.settings.target_groups;
        let is_target = |index: &usize| groups.iter().any(|group| group.function == Some(*index));
        let targets: Vec<usize> = (0..self.settings.functions.len()).filter(is_target).collect();
        let name = |index: &usize| self.settings.functions.get(*index).map(|function| function.name.as_str());
        let names = |index: &usize| self.names.get(*index).into_iter().flatten().map(String::as_str).chain(name(index));
        let is_named = |index: &&usize| names(index).any(|name| name == deployed);
        let is_part = |index: &&usize| {
            let mut parts = deployed.split('-');
            names(index).any(|name| parts.any(|part| part == name) || deployed.ends_with(&format!("-{name}")))
        };
        if let Some(index) = targets.iter().find(is_named) {
            return Ok(*index);
        }
        match &targets[..] {
            [] => Err(Unknown(format!("`{}` has no rule that forwards to a function", self.name))),
            [only] => Ok(*only),
            several => {
                let parts: Vec<&usize> = several.iter().filter(is_part).collect();
                match parts[..] {
                    [only] => Ok(*only),
                    _ => {
                        let all: Vec<&str> = several.iter().filter_map(name).collect();
                        Err(Unknown(format!(
                            "`{}` has rules for several functions, and it is unclear which is `{deployed}`: {}",
                            self.name,
                            all.join(", ")
                        )))
                    }
                }
            }
        }
    }
}

/// A rule, and what it needs to be compared.
struct Compared<'r> {
    rule: &'r Rule,
    settings: &'r Settings,
    /// The target groups that stand for the function.
    ours: &'r [usize],
}

impl Compared<'_> {
    fn conditions(&self) -> String {
        let conditions: Vec<String> = self.rule.conditions.iter().map(ToString::to_string).collect();
        conditions.join(" and ")
    }

    /// Names of target groups differ between a file and AWS: only the function's share counts.
    fn same_action(&self, other: &Compared<'_>) -> bool {
        let shape = |it: &Compared<'_>| match &it.rule.action {
            Action::Forward(forward) => {
                let sum: u32 = forward.targets.iter().map(|target| u32::from(target.weight)).sum();
                let mut shares: Vec<(bool, u32)> = forward
                    .targets
                    .iter()
                    .map(|target| (it.ours.contains(&target.group), u32::from(target.weight) * 10_000 / sum.max(1)))
                    .collect();
                shares.sort_unstable();
                Some((shares, forward.stickiness))
            }
            Action::Redirect(_) | Action::FixedResponse(_) => None,
        };
        match (shape(self), shape(other)) {
            (None, None) => {
                action_text(self.settings, &self.rule.action) == action_text(other.settings, &other.rule.action)
            }
            (own, other) => own == other,
        }
    }

    fn same_conditions(&self, other: &Compared<'_>) -> bool {
        canonical(&self.rule.conditions) == canonical(&other.rule.conditions)
    }

    fn same_transforms(&self, other: &Compared<'_>) -> bool {
        transforms_text(&self.rule.transforms) == transforms_text(&other.rule.transforms)
    }

    fn action(&self) -> String {
        action_text(self.settings, &self.rule.action)
    }
}

/// Conditions without the order of conditions and values, which has no meaning.
fn canonical(conditions: &[Condition]) -> Vec<(String, Vec<String>)> {
    let of = |condition: &Condition| {
        let folded = |text: &str| text.to_ascii_lowercase();
        let (kind, values): (String, Vec<String>) = match condition {
            Condition::Host(values) => ("host".into(), values.iter().map(|it| folded(it.source())).collect()),
            Condition::Path(values) => ("path".into(), values.iter().map(|it| it.source().to_owned()).collect()),
            Condition::Method(values) => ("method".into(), values.iter().map(ToString::to_string).collect()),
            Condition::Header { name, values } => {
                (format!("header {name}"), values.iter().map(|it| folded(it.source())).collect())
            }
            Condition::Query(values) => {
                let pair = |it: &crossfade_rule::QueryValue| {
                    let key = it.key.as_ref().map(|key| folded(key.source()));
                    format!("{key:?}={}", folded(it.value.source()))
                };
                ("query".into(), values.iter().map(pair).collect())
            }
            Condition::Ip(values) => ("ip".into(), values.iter().map(ToString::to_string).collect()),
        };
        let (mut kind, mut values) = (kind, values);
        // A regex and a wildcard pattern may have the same text.
        if is_regex(condition) {
            kind.push_str(" regex");
        }
        values.sort();
        values.dedup();
        (kind, values)
    };
    let mut all: Vec<_> = conditions.iter().map(of).collect();
    all.sort();
    all
}

fn is_regex(condition: &Condition) -> bool {
    match condition {
        Condition::Host(values) | Condition::Path(values) | Condition::Header { values, .. } => {
            values.iter().any(|value| value.as_regex().is_some())
        }
        Condition::Method(_) | Condition::Query(_) | Condition::Ip(_) => false,
    }
}

fn forwards_to(action: &Action, groups: &[usize]) -> bool {
    match action {
        Action::Forward(forward) => forward.targets.iter().any(|target| groups.contains(&target.group)),
        Action::Redirect(_) | Action::FixedResponse(_) => false,
    }
}

fn groups_of(settings: &Settings, is_ours: impl Fn(&crossfade_emulator::TargetGroup) -> bool) -> Vec<usize> {
    (0..).zip(&settings.target_groups).filter(|(_, group)| is_ours(group)).map(|(index, _)| index).collect()
}

/// The target groups of a deployed listener that have the function as their target.
fn deployed_groups(facts: &Facts, settings: &Settings) -> Known<Vec<usize>> {
    let groups = known(&facts.deployed.groups)?;
    Ok(groups_of(settings, |group| groups.iter().any(|own| own.arn == group.arn)))
}

/// The rules for the function, and the others.
fn compared<'r>(listener: &'r EmulatedListener, settings: &'r Settings, ours: &'r [usize]) -> Vec<Compared<'r>> {
    let mut all: Vec<_> = listener.rules.iter().map(|rule| Compared { rule, settings, ours }).collect();
    all.sort_by_key(|it| it.rule.priority);
    all
}

/// The file names a listener by its ID, and this is not it.
fn is_another(name: &str, deployed: &Listener) -> bool {
    let is_id = name.len() == 16 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id && !deployed.arn.ends_with(name)
}

fn no_listener() -> Judged {
    Judged::error("no rule of a listener forwards to the function, so it gets no request", "deploy the listener rules")
}

/// The rules of the file against those that are deployed.
pub(super) fn as_in_the_file(facts: &Facts) -> Outcome {
    let listeners = known(&facts.deployed.listeners)?;
    if listeners.is_empty() {
        return Ok(vec![no_listener()]);
    }
    let Some(file) = &facts.file else {
        let mut judged = Vec::new();
        for listener in listeners {
            let settings = known(&listener.settings)?;
            let ours = deployed_groups(facts, settings)?;
            let own =
                settings.listeners.iter().flat_map(|it| &it.rules).filter(|it| forwards_to(&it.action, &ours)).count();
            judged.push(match own {
                0 if !settings.listeners.iter().any(|it| forwards_to(&it.default_action, &ours)) => no_listener(),
                _ => Judged::not_checked(format!(
                    "{} of listener {} forward to the function: name a file with rules, such as `--serverless serverless.yml`, to compare \
                     them",
                    counted(own, "rule"),
                    listener.name
                )),
            });
        }
        return Ok(judged);
    };
    let function = file.function(&facts.deployed.name)?;
    let file_groups = groups_of(&file.settings, |group| group.function == Some(function));
    let wanted: Vec<(&EmulatedListener, Vec<Compared<'_>>)> = file
        .settings
        .listeners
        .iter()
        .map(|listener| {
            let rules = compared(listener, &file.settings, &file_groups);
            (listener, rules.into_iter().filter(|it| forwards_to(&it.rule.action, &file_groups)).collect::<Vec<_>>())
        })
        .filter(|(listener, rules)| !rules.is_empty() || forwards_to(&listener.default_action, &file_groups))
        .collect();
    let mut deployed = Vec::new();
    for listener in listeners {
        let settings = known(&listener.settings)?;
        let ours = deployed_groups(facts, settings)?;
        deployed.push((listener, settings, ours));
    }
    let mut judged = Vec::new();
    let mut paired = vec![false; deployed.len()];
    for (listener, rules) in &wanted {
        let likeness = |(_, settings, ours): &(&Listener, &Settings, Vec<usize>)| {
            let own = settings.listeners.iter().flat_map(|it| compared(it, settings, ours)).collect::<Vec<_>>();
            let alike = |it: &&Compared<'_>| {
                own.iter().any(|own| own.rule.priority == it.rule.priority || own.same_conditions(it))
            };
            rules.iter().filter(alike).count()
        };
        let is_port = |it: &&Listener| listener.port.is_some_and(|port| it.name.ends_with(&format!(" {port}")));
        let free = deployed.iter().enumerate().filter(|(index, _)| paired.get(*index) == Some(&false));
        let best = free.max_by_key(|(index, it)| {
            (it.0.arn.ends_with(&listener.name), is_port(&it.0), likeness(it), std::cmp::Reverse(*index))
        });
        match best {
            None => judged.push(Judged::error(
                format!(
                    "the {} of `{}` for listener {} are not deployed",
                    counted(rules.len(), "rule"),
                    file.name,
                    listener.name
                ),
                "deploy the file",
            )),
            Some((index, (deployed, settings, ours))) => {
                paired[index] = true;
                if is_another(&listener.name, deployed) {
                    judged.push(Judged::warning(
                        format!(
                            "the rules of `{}` are for the listener `{}`, and those of the function are on {}",
                            file.name, listener.name, deployed.arn
                        ),
                        "set the listener's ARN for this command as for the deployment",
                    ));
                }
                let has_default = |it: &EmulatedListener| forwards_to(&it.default_action, ours);
                if forwards_to(&listener.default_action, &file_groups) && !settings.listeners.iter().any(has_default) {
                    judged.push(Judged::error(
                        format!(
                            "the default action of listener {} does not forward to the function, as that of `{}` does",
                            deployed.name, file.name
                        ),
                        "deploy the file, or change it",
                    ));
                }
                judged.extend(difference(file, rules, deployed, settings, ours));
            }
        }
    }
    for ((listener, settings, ours), _) in deployed.iter().zip(&paired).filter(|(_, is_paired)| !**is_paired) {
        judged.extend(difference(file, &[], listener, settings, ours));
    }
    Ok(judged)
}

/// One finding for each rule that differs, or one for all if they are the same.
fn difference(
    file: &RuleFile,
    wanted: &[Compared<'_>],
    listener: &Listener,
    settings: &Settings,
    ours: &[usize],
) -> Vec<Judged> {
    let own: Vec<Compared<'_>> = settings.listeners.iter().flat_map(|it| compared(it, settings, ours)).collect();
    let is_ours = |it: &&Compared<'_>| forwards_to(&it.rule.action, ours);
    let (name, file) = (&listener.name, &file.name);
    let mut judged = Vec::new();
    let mut seen = Vec::new();
    for rule in wanted {
        let priority = rule.rule.priority;
        let at = own.iter().find(|it| it.rule.priority == priority);
        let elsewhere = own.iter().filter(is_ours).find(|it| {
            it.rule.priority != priority
                && it.same_conditions(rule)
                && !wanted.iter().any(|other| other.rule.priority == it.rule.priority && other.same_conditions(it))
        });
        match (at, elsewhere) {
            (Some(at), _) if is_ours(&at) && at.same_conditions(rule) => {
                seen.push(priority);
                if !at.same_action(rule) {
                    judged.push(Judged::error(
                        format!(
                            "priority {priority} of listener {name}: `{file}` says {}, and deployed is {}",
                            rule.action(),
                            at.action()
                        ),
                        "deploy the file, or change it",
                    ));
                }
                if !at.same_transforms(rule) {
                    let text = |it: &Compared<'_>| match transforms_text(&it.rule.transforms) {
                        none if none.is_empty() => "no transform".to_owned(),
                        some => some.join(", "),
                    };
                    judged.push(Judged::error(
                        format!(
                            "priority {priority} of listener {name}: `{file}` has {}, and deployed is {}",
                            text(rule),
                            text(at)
                        ),
                        "deploy the file, or change it",
                    ));
                }
            }
            (_, Some(elsewhere)) => {
                seen.push(elsewhere.rule.priority);
                judged.push(Judged::warning(
                    format!(
                        "the rule for {} has priority {priority} in `{file}`, and {} on listener {name}",
                        rule.conditions(),
                        elsewhere.rule.priority
                    ),
                    "deploy the file, or change it",
                ));
            }
            (Some(at), None) if is_ours(&at) => {
                seen.push(priority);
                judged.push(Judged::error(
                    format!(
                        "priority {priority} of listener {name}: `{file}` has {}, and deployed is {}",
                        rule.conditions(),
                        at.conditions()
                    ),
                    "deploy the file, or change it",
                ));
            }
            (Some(at), None) => judged.push(Judged::error(
                format!(
                    "priority {priority} of listener {name} is another rule, {} ({}): that of `{file}` for {} is missing",
                    at.conditions(),
                    at.action(),
                    rule.conditions()
                ),
                "give the rule of the file a free priority, and deploy it",
            )),
            (None, None) => judged.push(Judged::error(
                format!(
                    "priority {priority} of listener {name} is missing: {} does not reach the function",
                    rule.conditions()
                ),
                "deploy the file",
            )),
        }
    }
    for extra in own.iter().filter(is_ours).filter(|it| !seen.contains(&it.rule.priority)) {
        judged.push(Judged::warning(
            format!(
                "priority {} of listener {name} forwards {} to the function, and is not in `{file}`",
                extra.rule.priority,
                extra.conditions()
            ),
            "delete the rule, or add it to the file",
        ));
    }
    if judged.is_empty() {
        judged.push(Judged::ok(format!("{} of listener {name} as in `{file}`", counted(wanted.len(), "rule"))));
    }
    judged
}

/// Rules that get no request, because one above them takes all of theirs.
pub(super) fn shadowed(facts: &Facts) -> Outcome {
    let listeners = known(&facts.deployed.listeners)?;
    let mut judged = Vec::new();
    for listener in listeners {
        let settings = known(&listener.settings)?;
        let ours = deployed_groups(facts, settings)?;
        let before = judged.len();
        for emulated in &settings.listeners {
            let all = compared(emulated, settings, &ours);
            for (index, rule) in all.iter().enumerate().filter(|(_, it)| forwards_to(&it.rule.action, &ours)) {
                let above = all.iter().take(index);
                let covers = |wide: &&Compared<'_>| {
                    let narrow = &rule.rule.conditions;
                    wide.rule.conditions.iter().all(|wide| narrow.iter().any(|narrow| wide.covers(narrow)))
                };
                let mut others = above.filter(|it| !forwards_to(&it.rule.action, &ours));
                if let Some(wide) = others.find(covers) {
                    judged.push(Judged::error(
                        format!(
                            "priority {} of listener {} gets no request: {} with priority {} takes all of them ({})",
                            rule.rule.priority,
                            listener.name,
                            wide.conditions(),
                            wide.rule.priority,
                            wide.action()
                        ),
                        format!("give it a priority below {}", wide.rule.priority),
                    ));
                }
            }
        }
        if judged.len() == before {
            judged
                .push(Judged::ok(format!("no rule of listener {} takes all requests of one below it", listener.name)));
        }
    }
    Ok(judged)
}
