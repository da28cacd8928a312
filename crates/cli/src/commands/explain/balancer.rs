//! The part of a load balancer in the routing of a request: the listener rule that it matches, and the rule's effects.

use anyhow::{Context, Result};
use bytes::Bytes;
use crossfade_emulator::{Action, FixedResponse, Listener, Redirect, Rule, Settings, Transforms, source, with_port};
use crossfade_event::HeaderMode;
use crossfade_journal::redaction::{HIDDEN, is_secret_parameter};
use crossfade_route::RequestView;
use crossfade_rule::{Condition, distance};
use http::header::HOST;
use http::{Request, Uri};
use serde::Serialize;

use super::asked::Asked;
use super::explanation::Answer;
use crate::routes::{Skipped, SkippedList, Taken};

/// The result of the load balancer's listener rules.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LoadBalancer {
    #[serde(flatten)]
    pub(super) skipped: SkippedList,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule: Option<Taken>,
    /// The rule's effects, if it does more than forward to one target group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) does: Vec<String>,
    /// The load balancer's own response.
    #[serde(skip)]
    pub(super) answer: Option<Answer>,
    /// That of the target group that the request goes to.
    #[serde(skip)]
    pub(super) mode: HeaderMode,
}

impl LoadBalancer {
    /// Applies the rule's transforms to the request as well. Shows at most `most` skipped rules.
    pub(super) fn of(settings: &Settings, asked: &Asked, most: usize, request: &mut Request<Bytes>) -> LoadBalancer {
        let (skipped, mode) = (SkippedList::default(), HeaderMode::Multi);
        let mut result = LoadBalancer { skipped, rule: None, does: Vec::new(), answer: None, mode };
        let Some(listener) = listener_for(settings, &asked.url) else { return result };
        let port = listener.port.filter(|_| !settings.load_balancer.preserve_host_header);
        if let (Some(port), Some(host)) = (port, request.headers_mut().get_mut(HOST)) {
            *host = with_port(host.clone(), port, asked.port());
        }
        let view = RequestView::new(request.method(), request.uri(), request.headers(), Some(asked.ip));
        let mut rules: Vec<&Rule> = listener.rules.iter().collect();
        rules.sort_by_key(|rule| rule.priority);
        let (mut action, mut transforms) = (&listener.default_action, None);
        let mut skipped = Vec::new();
        for rule in rules {
            let (priority, name) = (Some(rule.priority), String::new());
            match rule.conditions.iter().find(|condition| !condition.matches(&view)) {
                Some(first) => {
                    let failed = rule.conditions.iter().filter(|condition| !condition.matches(&view));
                    let distance = distance(failed.map(|condition| condition.resemblance(&view)));
                    skipped.push((distance, Skipped { priority, name, condition: shown(first), found: String::new() }));
                }
                None => {
                    let conditions: Vec<String> = rule.conditions.iter().map(shown).collect();
                    result.rule = Some(Taken { priority, name, conditions: conditions.join(" and ") });
                    (action, transforms) = (&rule.action, Some(&rule.transforms));
                    break;
                }
            }
        }
        result.skipped = SkippedList::nearest(skipped, most);
        let target = match action {
            Action::Forward(forward) => forward.targets.first(),
            Action::Redirect(_) | Action::FixedResponse(_) => None,
        };
        let group = target.and_then(|target| settings.target_groups.get(target.group));
        result.mode = group.map_or(HeaderMode::Multi, |group| group.mode);
        result.does = transforms.map(source::transforms_text).unwrap_or_default();
        if !matches!(action, Action::Forward(forward) if forward.targets.len() == 1) {
            result.does.push(source::action_text(settings, action));
        }
        let why = match (&result.rule, action) {
            (Some(_), action) => source::action_text(settings, action),
            (None, Action::FixedResponse(_)) => "no rule matches".to_owned(),
            (None, action) => format!("no rule matches, {}", source::action_text(settings, action)),
        };
        let answer = |status, by| Some(Answer { status, location: None, by: format!("the load balancer: {by}") });
        result.answer = match action {
            Action::Forward(_) => match transforms.map(|transforms| transform(transforms, request)) {
                Some(Err(error)) => answer(500, format!("a transform fails: {error}")),
                _ => None,
            },
            Action::Redirect(Redirect { status, .. }) | Action::FixedResponse(FixedResponse { status, .. }) => {
                answer(status.as_u16(), why)
            }
        };
        result
    }
}

/// Hides values that a condition compares with a secret.
fn shown(condition: &Condition) -> String {
    condition.without_secrets(is_secret_parameter, HIDDEN).to_string()
}

/// The listener with the URL's port in AWS, else with its protocol, else the first.
fn listener_for<'s>(settings: &'s Settings, url: &Uri) -> Option<&'s Listener> {
    let is_https = url.scheme_str() == Some("https");
    let port = url.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let mut listeners = settings.listeners.iter();
    let by_port = settings.listeners.iter().find(|listener| listener.port == Some(port));
    let by_protocol = || listeners.find(|listener| listener.tls.is_some() == is_https);
    by_port.or_else(by_protocol).or_else(|| settings.listeners.first())
}

/// Applies transforms to path and query as one text, and to the host. A pattern that does not match changes nothing.
fn transform(transforms: &Transforms, request: &mut Request<Bytes>) -> Result<()> {
    if let Some(new) = transforms.url.as_ref().and_then(|rewrite| rewrite.apply(&request.uri().to_string())) {
        *request.uri_mut() = new.parse().with_context(|| format!("`{new}`"))?;
    }
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if let Some(new) = host.and_then(|host| transforms.host.as_ref()?.apply(host)) {
        let value = new.parse().with_context(|| format!("`{new}`"))?;
        request.headers_mut().insert(HOST, value);
    }
    Ok(())
}
