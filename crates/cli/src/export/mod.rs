//! The way out: routes that have settled on one back end as listener rules of a load balancer.
//!
//! Owns which routes a load balancer can serve by itself, and rules for all others, so that the function still gets their requests
//! first. `elbv2` writes conditions and actions as ELBv2's API has them, `cloudformation`, `terraform` and `shell` whole files.

mod cloudformation;
mod elbv2;
mod shell;
mod terraform;

use std::collections::{BTreeMap, BTreeSet};

use crossfade_proxy::Proxy;
use crossfade_route::{Action, Backend, FixedResponse, Forward, HostHeader, Redirect, Route, RoutingTable};
use crossfade_rule::Condition;

use self::elbv2::AlbCondition;

/// The highest priority of a listener rule.
pub(crate) const MAX_PRIORITY: u32 = 50_000;

/// A form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    Cli,
    Cloudformation,
    Terraform,
}

/// All rules, in order.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) rules: Vec<Rule>,
    /// Routes that the load balancer cannot serve, with the reasons.
    pub(crate) kept: Vec<(String, Vec<String>)>,
    /// Features that routes lose, with the reason.
    pub(crate) lost: Vec<(String, String)>,
}

/// A listener rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) priority: u32,
    /// The route that it serves.
    pub(crate) route: String,
    pub(crate) conditions: Vec<AlbCondition>,
    pub(crate) action: RuleAction,
}

/// The action of a listener rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RuleAction {
    /// The function decides, as before.
    Function,
    /// The target group of a back end; the host replaces the client's.
    Forward {
        backend: String,
        host: Option<String>,
    },
    /// Protocol, host, port, path and query with ALB's keywords.
    Redirect {
        status: u16,
        parts: [Option<String>; 5],
    },
    FixedResponse {
        status: u16,
        content_type: Option<String>,
        body: String,
    },
}

impl Export {
    /// Writes rules for a table, with the live state applied or not.
    ///
    /// # Errors
    ///
    /// There are more rules than priorities.
    pub(crate) fn of(table: &RoutingTable, first_priority: u32) -> Result<Export, String> {
        let mut export = Export { rules: Vec::new(), kept: Vec::new(), lost: Vec::new() };
        // A route whose requests ALB cannot tell from all others, and which therefore needs all later ones.
        let mut barrier: Option<String> = None;
        let mut pending: Vec<(String, Vec<Vec<AlbCondition>>, RuleAction)> = Vec::new();
        for route in table.routes().iter().chain([table.default_route()]) {
            let (conditions, are_all) = route.alb_conditions();
            let mut reasons = Vec::new();
            let mut lost = Vec::new();
            let action = action(route, table, &mut reasons, &mut lost);
            if !are_all {
                reasons.push("`cookie`, `not` or `anyOf` in its conditions".to_owned());
            }
            if table.trusted_hops != 1 && conditions.iter().any(|condition| matches!(condition, Condition::Ip(_))) {
                reasons.push(
                    "`ip` is the address that `clientIp.trustedHops` finds, not that of the connection".to_owned(),
                );
            }
            let expressed = elbv2::expressed(&conditions);
            reasons.extend(expressed.problems.iter().cloned());
            if let Some(barrier) = &barrier {
                reasons.push(format!(
                    "route `{barrier}` comes before it, and a load balancer cannot tell its requests from others"
                ));
            }
            match action.filter(|_| reasons.is_empty()) {
                Some(action) => {
                    export.lost.extend(lost.into_iter().map(|reason| (route.name.clone(), reason)));
                    pending.push((route.name.clone(), expressed.rules, action));
                }
                None => {
                    // Wider conditions are right as well: the function chooses the route again.
                    let is_for_all = expressed.rules.iter().any(Vec::is_empty);
                    if barrier.is_none() {
                        pending.push((route.name.clone(), expressed.rules, RuleAction::Function));
                    }
                    if is_for_all && barrier.is_none() && route.priority.is_some() {
                        barrier = Some(route.name.clone());
                    }
                    export.kept.push((route.name.clone(), reasons));
                }
            }
        }
        // Rules for the function right before its rule for everything else are not needed.
        while let [.., before, last] = pending.as_slice() {
            let is_for_all = last.1.iter().any(Vec::is_empty);
            if last.2 != RuleAction::Function || before.2 != RuleAction::Function || !is_for_all {
                break;
            }
            pending.remove(pending.len() - 2);
        }
        let mut priority = first_priority;
        for (route, rules, action) in pending {
            for conditions in rules {
                if priority > MAX_PRIORITY {
                    return Err(format!("the rules need priorities above {MAX_PRIORITY}"));
                }
                export.rules.push(Rule { priority, route: route.clone(), conditions, action: action.clone() });
                priority += 1;
            }
        }
        Ok(export)
    }

    /// The file.
    pub(crate) fn text(&self, format: Format, proxy: &Proxy, source: &str) -> String {
        let about = self.about(source);
        let (rules, groups) = self.labelled(proxy.table());
        match format {
            Format::Cli => shell::text(&rules, &groups, &about),
            Format::Cloudformation => cloudformation::text(&rules, &groups, &about),
            Format::Terraform => terraform::text(&rules, &groups, &about),
        }
    }

    /// The rules with labels instead of names of back ends, and the back ends by these labels, with their names and URLs. A label is a
    /// name, with a number if as a variable or parameter it would be that of another target group.
    fn labelled(&self, table: &RoutingTable) -> (Vec<Rule>, BTreeMap<String, String>) {
        // That of the function's target group.
        let mut taken = BTreeSet::from(["function".to_owned()]);
        let (mut labels, mut groups) = (BTreeMap::new(), BTreeMap::new());
        let used = self.rules.iter().filter_map(|rule| match &rule.action {
            RuleAction::Forward { backend, .. } => Some(backend),
            _ => None,
        });
        for name in used.collect::<BTreeSet<_>>() {
            let numbers = (2..).map(|number| format!("{name}-{number}"));
            let mut candidates = std::iter::once(name.clone()).chain(numbers);
            let label = candidates.find(|label| taken.insert(identifier(label).to_ascii_lowercase()));
            let label = label.unwrap_or_else(|| name.clone());
            if let Some(found) = table.backends().iter().find(|it| it.name == *name) {
                let authority = found.authority.to_str().unwrap_or_default();
                groups.insert(label.clone(), format!("{name}, {}://{authority}", found.scheme.as_str()));
            }
            labels.insert(name.clone(), label);
        }
        let mut rules = self.rules.clone();
        for rule in &mut rules {
            if let RuleAction::Forward { backend, .. } = &mut rule.action
                && let Some(label) = labels.get(backend)
            {
                backend.clone_from(label);
            }
        }
        (rules, groups)
    }

    /// Returns true if a rule needs the function.
    pub(crate) fn needs_function(&self) -> bool {
        self.rules.iter().any(|rule| rule.action == RuleAction::Function)
    }

    fn about(&self, source: &str) -> Vec<String> {
        let mut lines = vec![format!("Listener rules from {source} by `crossfade export alb-rules`.")];
        lines.extend(self.findings());
        lines
    }

    /// The routes that need the function, and what the others lose.
    pub(crate) fn findings(&self) -> Vec<String> {
        let kept = self
            .kept
            .iter()
            .map(|(route, reasons)| format!("route `{route}` needs the function: {}", reasons.join("; ")));
        let lost = self.lost.iter().map(|(route, reason)| format!("route `{route}` loses: {reason}"));
        let mut lines: Vec<String> = kept.chain(lost).collect();
        if !self.needs_function() {
            lines.push("no route needs the function: when these rules are in place, delete it".to_owned());
        }
        lines
    }
}

/// The action of a route without the function; `None`, with reasons, where only the function can do it.
fn action(
    route: &Route,
    table: &RoutingTable,
    reasons: &mut Vec<String>,
    lost: &mut Vec<String>,
) -> Option<RuleAction> {
    if !route.request_fields.is_empty() {
        reasons.push("`requestHeaders`".to_owned());
    }
    if !route.response_fields.is_empty() {
        reasons.push("`responseHeaders`, unless the listener's attributes set these fields".to_owned());
    }
    if route.compress == Some(true) {
        reasons.push("`compress`".to_owned());
    }
    if route.mirror.is_some() {
        reasons.push("`mirror`".to_owned());
    }
    match &route.action {
        Action::Forward(forward) => forwarded(route, forward, table, reasons, lost),
        Action::Redirect(redirect) => redirected(redirect, reasons),
        Action::FixedResponse(response) => fixed(response, reasons),
    }
}

fn forwarded(
    route: &Route,
    forward: &Forward,
    table: &RoutingTable,
    reasons: &mut Vec<String>,
    lost: &mut Vec<String>,
) -> Option<RuleAction> {
    if forward.failover.is_some() {
        reasons.push("`failover`".to_owned());
    }
    let Some(target) = forward.only_target() else {
        reasons.push("its users are on several back ends, by `weight`, `pin`, `otherwise` or `optIn`".to_owned());
        return None;
    };
    if !route.transforms.is_empty() || !target.transforms.is_empty() {
        reasons.push("`transforms`".to_owned());
    }
    let backend = table.backends().get(target.backend)?;
    of_backend(backend, reasons, lost);
    let host = match &backend.host_header {
        HostHeader::Preserve => None,
        HostHeader::Backend => Some(backend.authority.to_str().unwrap_or_default().to_owned()),
        HostHeader::Literal(host) => Some(host.to_str().unwrap_or_default().to_owned()),
    };
    Some(RuleAction::Forward { backend: backend.name.clone(), host })
}

fn of_backend(backend: &Backend, reasons: &mut Vec<String>, lost: &mut Vec<String>) {
    let name = &backend.name;
    if !backend.base_path.is_empty() {
        reasons.push(format!("the base path `{}` of back end `{name}`", backend.base_path));
    }
    if backend.public_url.is_some() {
        reasons.push(format!("`publicUrl` of back end `{name}`"));
    }
    if backend.tls.client_cert.is_some() {
        reasons.push(format!("`tls.clientCert` of back end `{name}`"));
    }
    if backend.retry.is_some() {
        lost.push(format!("`retry` of back end `{name}`"));
    }
    if backend.outlier.is_some() {
        lost.push(format!("`outlier` of back end `{name}`: target groups have health checks"));
    }
    if backend.timeouts.backend_request.is_some() {
        lost.push(format!("`timeouts.backendRequest` of back end `{name}`: the load balancer has one idle timeout"));
    }
}

fn redirected(redirect: &Redirect, reasons: &mut Vec<String>) -> Option<RuleAction> {
    let status = redirect.status.as_u16();
    if !matches!(status, 301 | 302) {
        reasons.push(format!("`status: {status}` of its redirect: load balancers have 301 and 302"));
    }
    let Some(mut parts) = redirect.keywords() else {
        reasons.push("groups of the path in its redirect".to_owned());
        return None;
    };
    // Here another protocol has its own port; there a port stays.
    if let [Some(protocol), _, port @ None, ..] = &mut parts {
        *port = Some(if protocol == "HTTPS" { "443" } else { "80" }.to_owned());
    }
    Some(RuleAction::Redirect { status, parts })
}

fn fixed(response: &FixedResponse, reasons: &mut Vec<String>) -> Option<RuleAction> {
    const TYPES: [&str; 5] = ["text/plain", "text/css", "text/html", "application/javascript", "application/json"];
    const MAX_BODY: usize = 1024;
    let status = response.status.as_u16();
    if (300..400).contains(&status) {
        reasons.push(format!("`status: {status}` of its response: load balancers have 2xx, 4xx and 5xx"));
    }
    let content_type = match response.content_type.as_ref().map(|it| it.to_str().unwrap_or_default()) {
        None => None,
        Some(text) if TYPES.contains(&text) => Some(text.to_owned()),
        Some(text) => {
            reasons.push(format!("`contentType: {text}` of its response: load balancers have {}", TYPES.join(", ")));
            None
        }
    };
    let body = String::from_utf8(response.body.to_vec()).ok().filter(|body| body.chars().count() <= MAX_BODY);
    if body.is_none() {
        reasons.push(format!("the body of its response is longer than {MAX_BODY} characters, or not text"));
    }
    Some(RuleAction::FixedResponse { status, content_type, body: body? })
}

/// A name as an identifier: letters and digits, words with a capital.
pub(crate) fn identifier(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let mut chars = word.chars();
            chars.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(chars).collect::<String>()
        })
        .collect()
}

#[cfg(test)]
mod tests;
