//! Why a request met its rule: each rule that was looked at, with the condition that did not hold and what the request
//! had there.

use std::fmt::Write;

use crossfade_emulator::{Action, Exchange, Forward, Rule, RuleRef};
use crossfade_rule::Condition;

use super::Shared;
use super::page::{escape, status};
use super::store::Entry;

/// Rules that are shown unfolded.
const MOST_OPEN: usize = 12;

/// How a rule or a condition came out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Holds,
    Fails,
    NotLookedAt,
}

impl Outcome {
    fn html(self) -> &'static str {
        match self {
            Outcome::Holds => "<span class=\"outcome holds\"><i aria-hidden=\"true\">✓</i> holds</span>",
            Outcome::Fails => "<span class=\"outcome fails\"><i aria-hidden=\"true\">✗</i> does not hold</span>",
            Outcome::NotLookedAt => "<span class=\"outcome\">not looked at</span>",
        }
    }
}

impl Shared {
    /// The action of the rule that a request met.
    pub(super) fn action(&self, entry: &Entry) -> Option<&Action> {
        let listener = self.setup.listeners.get(entry.exchange.listener)?;
        match entry.exchange.rule {
            RuleRef::Priority(_) => self.rule(&entry.exchange).map(|rule| &rule.action),
            RuleRef::Default => Some(&listener.default_action),
            RuleRef::None => None,
        }
    }

    fn rule(&self, exchange: &Exchange) -> Option<&Rule> {
        let RuleRef::Priority(priority) = exchange.rule else { return None };
        self.setup.listeners.get(exchange.listener)?.rules.iter().find(|rule| rule.priority == priority)
    }
}

pub(super) fn section(shared: &Shared, entry: &Entry) -> String {
    let exchange = &entry.exchange;
    let Some(listener) = shared.setup.listeners.get(exchange.listener) else { return String::new() };
    let mut html =
        "<section id=\"rules\" aria-labelledby=\"rules-title\"><h2 id=\"rules-title\">Rule</h2>\n".to_owned();
    if exchange.rule == RuleRef::None {
        return html + "<p>The request was refused before rules are looked at.</p></section>\n";
    }
    let action = shared.action(entry).map(|action| describe(shared, action)).unwrap_or_default();
    let name = match exchange.rule {
        RuleRef::Priority(priority) => format!("Rule {priority}"),
        _ => "The default rule".to_owned(),
    };
    let _ = write!(
        html,
        "<dl class=\"facts\"><div><dt>Met</dt><dd><b>{name}</b></dd></div><div><dt>Action</dt><dd>{action}</dd></div>"
    );
    html += &transforms(shared, exchange);
    let _ = writeln!(html, "<div><dt>Listener</dt><dd>{}</dd></div></dl>", escape(&listener.name));
    if listener.rules.is_empty() {
        return html + "<p class=\"lead\">The listener has no other rule.</p></section>\n";
    }
    let looked_at = exchange.passed_over.len() + usize::from(matches!(exchange.rule, RuleRef::Priority(_)));
    let open = if looked_at <= MOST_OPEN { " open" } else { "" };
    let _ = write!(
        html,
        "<details id=\"rules-table\"{open}><summary>{looked_at} of {} rules looked at, by priority</summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Rules\"><table>\
         <caption class=\"unseen\">Rules and how their conditions came out</caption>\
         <thead><tr><th scope=\"col\">Rule</th><th scope=\"col\">Condition</th><th scope=\"col\">Outcome</th></tr></thead>\n",
        listener.rules.len()
    );
    for rule in &listener.rules {
        let failed = exchange.passed_over.iter().find(|(priority, _)| *priority == rule.priority).map(|(_, at)| *at);
        let is_met = exchange.rule == RuleRef::Priority(rule.priority);
        if failed.is_none() && !is_met {
            continue;
        }
        html += &one(shared, exchange, rule, failed, is_met);
    }
    if exchange.rule == RuleRef::Default {
        let _ = writeln!(
            html,
            "<tbody class=\"met\"><tr><th scope=\"row\">default</th><td>every request that no other rule takes</td><td>{}</td></tr></tbody>",
            Outcome::Holds.html()
        );
    }
    html + "</table></div></details></section>\n"
}

fn one(shared: &Shared, exchange: &Exchange, rule: &Rule, failed: Option<usize>, is_met: bool) -> String {
    let mut html = format!("<tbody{}>", if is_met { " class=\"met\"" } else { "" });
    let count = rule.conditions.len().max(1);
    let origin =
        if rule.origin.is_empty() { String::new() } else { format!("<small>{}</small>", escape(&rule.origin)) };
    for (index, condition) in rule.conditions.iter().enumerate() {
        let outcome = match failed {
            Some(at) if index == at => Outcome::Fails,
            Some(at) if index > at => Outcome::NotLookedAt,
            _ => Outcome::Holds,
        };
        html += "<tr>";
        if index == 0 {
            let _ = write!(html, "<th scope=\"rowgroup\" rowspan=\"{count}\">{}{origin}</th>", rule.priority);
        }
        let had = if outcome == Outcome::Fails { had(shared, exchange, condition) } else { String::new() };
        let _ = writeln!(
            html,
            "<td><code>{}</code>{had}</td><td>{}</td></tr>",
            escape(&shared.setup.secrets.condition(condition)),
            outcome.html()
        );
    }
    html + "</tbody>\n"
}

/// What the request had where a condition did not hold.
fn had(shared: &Shared, exchange: &Exchange, condition: &Condition) -> String {
    let secrets = shared.setup.secrets;
    let (path, query) = exchange.target.split_once('?').unwrap_or((&exchange.target, ""));
    let value = match condition {
        Condition::Host(_) => secrets.text(&exchange.host),
        Condition::Path(_) => secrets.target(path),
        Condition::Method(_) => exchange.method.clone(),
        Condition::Query(_) if query.is_empty() => return " <small>the request has no query</small>".to_owned(),
        Condition::Query(_) => secrets.target(&format!("?{query}")),
        Condition::Ip(_) => exchange.client.map(|client| client.ip().to_string()).unwrap_or_default(),
        Condition::Header { name, .. } => {
            let Some(messages) = &exchange.messages else { return String::new() };
            let values = messages.request_fields.get_all(name).iter();
            let values: Vec<String> =
                values.map(|value| secrets.field(name.as_str(), &String::from_utf8_lossy(value.as_bytes()))).collect();
            if values.is_empty() {
                return " <small>the request has no such field</small>".to_owned();
            }
            values.join(", ")
        }
        _ => return String::new(),
    };
    format!(" <small>the request has <code>{}</code></small>", escape(&value))
}

fn transforms(shared: &Shared, exchange: &Exchange) -> String {
    let mut html = String::new();
    let Some(rule) = shared.rule(exchange) else { return html };
    for (name, rewrite) in [("Host rewrite", &rule.transforms.host), ("URL rewrite", &rule.transforms.url)] {
        if let Some(rewrite) = rewrite {
            let (regex, replace) = (escape(rewrite.regex()), escape(rewrite.replace()));
            let _ = write!(html, "<div><dt>{name}</dt><dd><code>{regex}</code> to <code>{replace}</code></dd></div>");
        }
    }
    if let Some(transformed) = &exchange.transformed {
        let secrets = shared.setup.secrets;
        let host = transformed.host.as_ref().map(|host| secrets.text(host));
        let uri = transformed.uri.as_ref().map(|uri| secrets.target(uri));
        let parts = [host, uri].into_iter().flatten().map(|part| format!("<code>{}</code> ", escape(&part)));
        let parts: String = parts.collect();
        let _ = write!(html, "<div><dt>Became</dt><dd>{parts}<small>{}</small></dd></div>", escape(transformed.status));
    }
    html
}

fn describe(shared: &Shared, action: &Action) -> String {
    match action {
        Action::Forward(Forward { targets, stickiness }) => {
            let targets = targets.iter().filter_map(|target| {
                let group = shared.setup.target_groups.get(target.group)?;
                Some((escape(&group.name), target.weight))
            });
            let targets: Vec<(String, u16)> = targets.collect();
            let mut html = match targets.as_slice() {
                [(name, _)] => format!("forward to target group <b>{name}</b>"),
                several => {
                    let names: Vec<_> =
                        several.iter().map(|(name, weight)| format!("<b>{name}</b> (weight {weight})")).collect();
                    format!("forward to one of the target groups {}", names.join(", "))
                }
            };
            if let Some(stickiness) = stickiness {
                let _ = write!(html, ", clients stay for {} s", stickiness.as_secs());
            }
            html
        }
        Action::Redirect(redirect) => {
            let to = format!(
                "{}://{}:{}{}?{}",
                redirect.protocol, redirect.host, redirect.port, redirect.path, redirect.query
            );
            format!(
                "redirect {} to <code>{}</code>",
                status(redirect.status.as_u16()),
                escape(&shared.setup.secrets.url(&to))
            )
        }
        Action::FixedResponse(fixed) => format!("fixed response {}", status(fixed.status.as_u16())),
    }
}
