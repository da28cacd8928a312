//! The section on rules: the rule that a request matched, and each rule before it with the condition that failed and the value
//! that the request had there.

use crossfade_emulator::{Action, Exchange, Forward, Rule, RuleRef};
use crossfade_rule::Condition;
use maud::{Markup, html};

use super::Shared;
use super::page::{self, status};
use super::store::Entry;
use crate::html::table_head;

/// Maximum number of rules shown expanded.
const MOST_OPEN: usize = 12;

/// The result of a condition for a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    Holds,
    Fails,
    NotEvaluated,
}

impl Check {
    pub(super) fn html(self) -> Markup {
        html! {
            @match self {
                Check::Holds => span.outcome.holds { i aria-hidden="true" { "✓" } " holds" },
                Check::Fails => span.outcome.fails { i aria-hidden="true" { "✗" } " does not hold" },
                Check::NotEvaluated => span.outcome { "not evaluated" },
            }
        }
    }
}

impl Shared {
    /// Returns the action of the rule that a request matched.
    pub(super) fn action(&self, entry: &Entry) -> Option<&Action> {
        let listener = self.balancer_of(&entry.exchange).listeners.get(entry.exchange.listener)?;
        match entry.exchange.rule {
            RuleRef::Priority(_) => self.rule(&entry.exchange).map(|rule| &rule.action),
            RuleRef::Default => Some(&listener.default_action),
            RuleRef::None => None,
        }
    }

    fn rule(&self, exchange: &Exchange) -> Option<&Rule> {
        let RuleRef::Priority(priority) = exchange.rule else { return None };
        self.balancer_of(exchange).listeners.get(exchange.listener)?.rules.iter().find(|rule| rule.priority == priority)
    }
}

pub(super) fn section(shared: &Shared, entry: &Entry) -> Markup {
    let exchange = &entry.exchange;
    let Some(listener) = shared.balancer_of(exchange).listeners.get(exchange.listener) else { return html! {} };
    if !exchange.is_of_load_balancer() {
        return html! {};
    }
    // Without rules of the user's, all that there is to explain are Crossfade's routes.
    if listener.rules.is_empty() && entry.access.is_some() {
        return html! {};
    }
    let content = html! {
        @if exchange.rule == RuleRef::None { p { "The request was rejected before any rule was evaluated." } } @else {
            dl.facts {
                div {
                    dt { "Matched" }
                    dd { b {
                        @match exchange.rule {
                            RuleRef::Priority(priority) => { "Rule " (priority) },
                            _ => "The default rule",
                        }
                    } }
                }
                div { dt { "Action" } dd { @if let Some(action) = shared.action(entry) { (describe(shared, exchange, action)) } } }
                @if let Some(path) = &exchange.normalised_path {
                    div { dt { "Path in rules" } dd { code { (shared.setup.secrets.target(path)) } } }
                }
                (transforms(shared, exchange))
                div { dt { "Listener" } dd { (listener.name) } }
            }
            @if listener.rules.is_empty() { p.lead { "The listener has no other rule." } } @else {
                (table(shared, exchange, &listener.rules))
            }
        }
    };
    page::section("rules", "Rule", content)
}

fn table(shared: &Shared, exchange: &Exchange, rules: &[Rule]) -> Markup {
    let evaluated = exchange.skipped.len() + usize::from(matches!(exchange.rule, RuleRef::Priority(_)));
    html! {
        details #rules-table open[evaluated <= MOST_OPEN] {
            summary { (evaluated) " of " (rules.len()) " rules evaluated, by priority" }
            div.scroll tabindex="0" role="region" aria-label="Rules" {
                table {
                    caption.unseen { "Rules and the results of their conditions" }
                    (table_head(["Rule", "Condition", "Outcome"].map(|name| (name, ""))))
                    @for rule in rules {
                        @let failed = exchange.skipped.iter().find(|(priority, _)| *priority == rule.priority);
                        @if failed.is_some() || exchange.rule == RuleRef::Priority(rule.priority) {
                            (one(shared, exchange, rule, failed.map(|(_, at)| *at)))
                        }
                    }
                    @if exchange.rule == RuleRef::Default {
                        tbody.met {
                            tr {
                                th scope="row" { "default" }
                                td { "all requests that match no other rule" }
                                td { (Check::Holds.html()) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn one(shared: &Shared, exchange: &Exchange, rule: &Rule, failed: Option<usize>) -> Markup {
    let check = |index| match failed {
        Some(at) if index == at => Check::Fails,
        Some(at) if index > at => Check::NotEvaluated,
        _ => Check::Holds,
    };
    html! {
        tbody.met[exchange.rule == RuleRef::Priority(rule.priority)] {
            @for (index, condition) in rule.conditions.iter().enumerate() {
                tr {
                    @if index == 0 {
                        th scope="rowgroup" rowspan=(rule.conditions.len()) {
                            (rule.priority) @if !rule.origin.is_empty() { small { (rule.origin) } }
                        }
                    }
                    td {
                        code { (shared.setup.secrets.condition(condition)) }
                        @if check(index) == Check::Fails { (found(shared, exchange, condition)) }
                    }
                    td { (check(index).html()) }
                }
            }
        }
    }
}

/// The value that the request had where a condition failed.
fn found(shared: &Shared, exchange: &Exchange, condition: &Condition) -> Markup {
    let secrets = shared.setup.secrets;
    let (path, query) = exchange.target.split_once('?').unwrap_or((&exchange.target, ""));
    let value = match condition {
        Condition::Host(_) => secrets.text(&exchange.host),
        Condition::Path(_) => secrets.target(exchange.normalised_path.as_deref().unwrap_or(path)),
        Condition::Method(_) => exchange.method.clone(),
        Condition::Query(_) if query.is_empty() => return html! { " " small { "the request has no query" } },
        Condition::Query(_) => secrets.target(&format!("?{query}")),
        Condition::Ip(_) => exchange.client.map(|client| client.ip().to_string()).unwrap_or_default(),
        Condition::Header { name, .. } => {
            let Some(messages) = &exchange.messages else { return html! {} };
            let values = messages.request_fields.get_all(name).iter();
            let values: Vec<String> =
                values.map(|value| secrets.field(name.as_str(), &String::from_utf8_lossy(value.as_bytes()))).collect();
            if values.is_empty() {
                return html! { " " small { "the request has no such field" } };
            }
            values.join(", ")
        }
    };
    html! { " " small { "the request has " code { (value) } } }
}

fn transforms(shared: &Shared, exchange: &Exchange) -> Markup {
    let Some(rule) = shared.rule(exchange) else { return html! {} };
    let rewrites = [("Host rewrite", &rule.transforms.host), ("URL rewrite", &rule.transforms.url)];
    let secrets = shared.setup.secrets;
    html! {
        @for (name, rewrite) in rewrites {
            @if let Some(rewrite) = rewrite {
                div { dt { (name) } dd { code { (rewrite.regex()) } " to " code { (rewrite.replace()) } } }
            }
        }
        @if let Some(transformed) = &exchange.transformed {
            div {
                dt { "Became" }
                dd {
                    @if let Some(host) = &transformed.host { code { (secrets.text(host)) } " " }
                    @if let Some(uri) = &transformed.uri { code { (secrets.target(uri)) } " " }
                    small { (transformed.status) }
                }
            }
        }
    }
}

fn describe(shared: &Shared, exchange: &Exchange, action: &Action) -> Markup {
    match action {
        Action::Forward(Forward { targets, stickiness }) => {
            let groups = &shared.balancer_of(exchange).target_groups;
            let name = |group: usize| groups.get(group).map(|it| it.name.as_str());
            let targets = targets.iter().filter_map(|target| Some((name(target.group)?, target.weight)));
            let targets: Vec<(&str, u16)> = targets.collect();
            html! {
                @if let [(name, _)] = targets.as_slice() { "forward to target group " b { (name) } } @else {
                    "forward to one of the target groups "
                    @for (index, (name, weight)) in targets.iter().enumerate() {
                        @if index > 0 { ", " }
                        b { (name) } " (weight " (weight) ")"
                    }
                }
                @if let Some(stickiness) = stickiness { ", sticky for " (stickiness.as_secs()) " s" }
            }
        }
        Action::Redirect(redirect) => {
            let to = format!(
                "{}://{}:{}{}?{}",
                redirect.protocol, redirect.host, redirect.port, redirect.path, redirect.query
            );
            html! {
                "redirect " (status(redirect.status.as_u16())) " to " code { (shared.setup.secrets.url(&to)) }
            }
        }
        Action::FixedResponse(fixed) => html! { "fixed response " (status(fixed.status.as_u16())) },
    }
}
