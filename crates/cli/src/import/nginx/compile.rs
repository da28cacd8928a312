//! The content of a server or location as actions, each with the conditions in which NGINX takes it. Owns the order of NGINX's
//! phases: rewrite, access, content. `forward` writes back ends, `redirects` responses without one.

use std::collections::BTreeMap;

use super::forward::{Backends, Sent};
use super::model::{
    Block, Flag, Foreign, Location, Matcher, Model, Pattern, ProxyPass, Server, Settings, Step, Test, TestKind,
    Variable,
};
use super::patterns::{translated, whole};
use super::reading::at;
use super::redirects::{self, Body, Names, Query};
use super::syntax::Place;
use super::text::{Piece, Text};
use super::variables;
use crate::import::conditions::{Atom, regex};
use crate::import::findings::{Findings, Kind};
use crate::import::yaml::Yaml;

/// Most cases of variables of one location.
const MAX_CASES: usize = 1000;

/// Values of variables in one case of their maps.
pub(super) type Values = BTreeMap<String, Text>;

/// An action and its conditions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) conditions: Vec<Atom>,
    pub(super) comments: Vec<String>,
    pub(super) body: Body,
}

/// The place of a directive.
#[derive(Clone, Copy)]
pub(super) struct Site<'m> {
    pub(super) server: &'m Server,
    /// `None` in the server itself.
    pub(super) location: Option<&'m Location>,
}

impl<'m> Site<'m> {
    fn block(&self) -> &'m Block {
        self.location.map_or(&self.server.block, |location| &location.block)
    }

    /// The regex of the location, in our syntax.
    pub(super) fn regex(&self) -> Option<String> {
        match &self.location?.matcher {
            Matcher::Regex(pattern) => translated(pattern).ok(),
            _ => None,
        }
    }

    pub(super) fn server_name(&self) -> Option<&'m str> {
        self.server.names.iter().find_map(|name| match name {
            super::model::Name::Exact(name) => Some(&**name),
            _ => None,
        })
    }
}

pub(super) struct Compiler<'m, 'f> {
    pub(super) model: &'m Model,
    pub(super) findings: &'f mut Findings,
    pub(super) backends: Backends,
    /// Name of the back end for what could not be imported.
    pub(super) fallback: Option<String>,
}

impl<'m> Compiler<'m, '_> {
    /// The actions in order; the first whose conditions hold is taken. Those of a location end with one without conditions, those
    /// of a server do not, unless it responds to all requests.
    pub(super) fn outcomes(&mut self, site: Site<'m>) -> Vec<Outcome> {
        let cases = self.cases(site);
        let mut outcomes: Vec<Outcome> = Vec::new();
        // Cases in which a server has no action of its own.
        let mut passed: Vec<Vec<Atom>> = Vec::new();
        for (conditions, values) in cases {
            let of_case = self.of_case(site, &values);
            if of_case.is_empty() {
                passed.extend((!conditions.is_empty()).then_some(conditions));
                continue;
            }
            let not = passed.iter().map(|conditions| Atom::Not(conditions.clone()));
            let all: Vec<Atom> = conditions.iter().cloned().chain(not).collect();
            outcomes.extend(of_case.into_iter().map(|outcome| Outcome {
                conditions: outcome.conditions.into_iter().chain(all.iter().cloned()).collect(),
                ..outcome
            }));
        }
        // What the last action does anyway needs no condition.
        while let [.., before, last] = outcomes.as_slice() {
            if !last.conditions.is_empty() || before.body != last.body {
                break;
            }
            outcomes.remove(outcomes.len() - 2);
        }
        outcomes
    }

    /// The combinations of values of the maps on which a place depends.
    fn cases(&mut self, site: Site<'m>) -> Vec<(Vec<Atom>, Values)> {
        let mut done = Vec::new();
        let mut open = vec![(Vec::<Atom>::new(), Values::new())];
        while let Some((conditions, values)) = open.pop() {
            let next = variables_of(site.block(), &values).into_iter().find_map(|name| {
                match self.model.variables.get(&name) {
                    Some(Variable::Map(map)) if !values.contains_key(&name) => Some((name, map)),
                    _ => None,
                }
            });
            let Some((name, map)) = next else {
                done.push((conditions, values));
                continue;
            };
            let cases = match variables::cases(map) {
                Ok(cases) if done.len() + open.len() + cases.len() <= MAX_CASES => cases,
                failed => {
                    let reason = match failed {
                        Ok(_) => format!("more than {MAX_CASES} cases"),
                        Err(reason) => reason,
                    };
                    let reason = format!("{reason}; only its default is imported");
                    self.findings.add(Kind::NotImported, at(map.place), &format!("map ${name}"), &reason);
                    vec![(Vec::new(), map.default.clone())]
                }
            };
            // The stack is taken from its end.
            for (further, value) in cases.into_iter().rev() {
                let conditions = conditions.iter().cloned().chain(further).collect();
                let mut values = values.clone();
                values.insert(name.clone(), value);
                open.push((conditions, values));
            }
        }
        done
    }

    fn of_case(&mut self, site: Site<'m>, values: &Values) -> Vec<Outcome> {
        let block = site.block();
        let mut case =
            Case { site, values, outcomes: Vec::new(), rewrites: Vec::new(), guards: Vec::new(), proxies: Vec::new() };
        if self.steps(&block.steps, &[], &mut case) {
            return case.outcomes;
        }
        if site.location.is_none() {
            return case.outcomes;
        }
        if self.access(&block.settings, &mut case) {
            return case.outcomes;
        }
        let Case { mut outcomes, rewrites, proxies, .. } = case;
        // The last `if` that holds decides.
        for (condition, proxy) in proxies.iter().rev() {
            let (comments, body) = self.sent(site, values, proxy, &rewrites);
            outcomes.push(Outcome { conditions: vec![condition.clone()], comments, body });
        }
        let (comments, body) = self.content(site, values, &rewrites);
        outcomes.push(Outcome { conditions: Vec::new(), comments, body });
        outcomes
    }

    /// The last phase.
    fn content(&mut self, site: Site<'m>, values: &Values, rewrites: &[Yaml]) -> (Vec<String>, Body) {
        let block = site.block();
        let nothing = || Foreign {
            place: site.location.map_or(site.server.place, |location| location.place),
            shown: "location".to_owned(),
            reason: "it has no response of its own, so NGINX serves files",
        };
        match (&block.proxy, &block.settings.protection, &block.content) {
            _ if block.is_internal => (Vec::new(), fixed(404)),
            // Already reported where it is.
            (_, Some(foreign), _) => self.instead_of(foreign),
            (Some(proxy), ..) => self.sent(site, values, proxy, rewrites),
            (None, None, Some(foreign)) => self.left_out(&foreign.clone()),
            (None, None, None) => match &block.settings.files {
                Some(files) => self.left_out(&files.clone()),
                None => self.left_out(&nothing()),
            },
        }
    }

    fn sent(&mut self, site: Site<'m>, values: &Values, proxy: &ProxyPass, rewrites: &[Yaml]) -> (Vec<String>, Body) {
        match self.forward(&Sent { site, values, proxy, rewrites }) {
            Ok(body) => (Vec::new(), body),
            Err(reason) => {
                let shown = format!("proxy_pass {}", proxy.url.source());
                self.findings.add(Kind::NotImported, at(proxy.place), &shown, &reason);
                let (mut comments, body) = self.instead_of(&Foreign { place: proxy.place, shown, reason: "" });
                comments.push(format!("  {reason}."));
                (comments, body)
            }
        }
    }

    /// A response in place of one that is not imported, which is a finding.
    pub(super) fn left_out(&mut self, foreign: &Foreign) -> (Vec<String>, Body) {
        self.findings.add(Kind::NotImported, at(foreign.place), &foreign.shown, foreign.reason);
        self.instead_of(foreign)
    }

    fn instead_of(&self, foreign: &Foreign) -> (Vec<String>, Body) {
        let file = self.findings.files.get(foreign.place.file).map_or("", String::as_str);
        redirects::instead(foreign, file, self.fallback.as_deref())
    }

    /// The rewrite phase. Returns true if it responds to all requests.
    fn steps(&mut self, steps: &[Step], within: &[Atom], case: &mut Case<'_, 'm>) -> bool {
        let headers = self.response_fields(&case.site.block().settings, case.site, case.values, false);
        for step in steps {
            let guards = case.guards.clone();
            let conditions = |atom: Option<Atom>| {
                atom.into_iter().chain(within.iter().cloned()).chain(guards.clone()).collect::<Vec<_>>()
            };
            match step {
                Step::Return { place, status, text } => {
                    let text = text.as_ref().map(|text| case.text(text));
                    let groups = groups(case.site.regex().as_deref());
                    let names = Names { groups: &groups, server: case.site.server_name() };
                    let content_type = case.site.block().settings.default_type.as_deref();
                    let (comments, body) = match redirects::returned(*status, text.as_ref(), content_type, &names) {
                        Ok(body) => (Vec::new(), [body, headers.clone()].concat()),
                        Err(reason) => self.failed(*place, &format!("return {status}"), &reason),
                    };
                    let conditions = conditions(None);
                    let is_for_all = conditions.is_empty();
                    case.outcomes.push(Outcome { conditions, comments, body });
                    return is_for_all;
                }
                Step::Rewrite { place, regex: pattern, replacement, flag } => {
                    self.rewrite(*place, pattern, &case.text(replacement), *flag, within, &headers, case);
                }
                Step::If { place, condition, steps, proxy } => {
                    let constant = case.constant(condition);
                    let atom = match constant {
                        Some(false) => continue,
                        Some(true) => None,
                        None => match variables::condition(condition) {
                            Ok(atom) => Some(atom),
                            Err(reason) => {
                                self.findings.add(Kind::NotImported, at(*place), "if", &reason);
                                continue;
                            }
                        },
                    };
                    let inner: Vec<Atom> = atom.iter().chain(within).cloned().collect();
                    if self.steps(steps, &inner, case) {
                        return true;
                    }
                    if let Some(proxy) = proxy {
                        match (atom, within.is_empty()) {
                            (Some(atom), true) => case.proxies.push((atom, proxy.clone())),
                            _ => self.findings.add(
                                Kind::NotImported,
                                at(proxy.place),
                                "proxy_pass",
                                "it depends on a `map` by `if`: use the variable in `proxy_pass`",
                            ),
                        }
                    }
                }
                Step::Break => return false,
                Step::Foreign(foreign) => {
                    self.findings.add(Kind::NotImported, at(foreign.place), &foreign.shown, foreign.reason);
                }
            }
        }
        false
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of the directive, and its place")]
    fn rewrite(
        &mut self,
        place: Place,
        pattern: &Pattern,
        replacement: &Text,
        flag: Flag,
        within: &[Atom],
        headers: &Body,
        case: &mut Case<'_, 'm>,
    ) {
        let shown = format!("rewrite {} {}", pattern.source, replacement.source());
        let source = match translated(pattern) {
            Ok(source) => source,
            Err(reason) => return self.findings.add(Kind::NotImported, at(place), &shown, &reason),
        };
        let path = Atom::Path(vec![regex(&source)]);
        let groups = groups(Some(&source));
        let names = Names { groups: &groups, server: case.site.server_name() };
        let (comments, body) = match flag {
            Flag::Redirect | Flag::Permanent => {
                let status = if flag == Flag::Permanent { 301 } else { 302 };
                let written = replacement.source();
                let has_query = written.contains('?') && !written.ends_with('?');
                let appended = redirects::redirect(replacement, status, Query::Appended, &names);
                match appended {
                    // Without a query of the client, there is no `&`.
                    Ok(body) if has_query => {
                        let any = Atom::Query("*".to_owned(), vec![Yaml::text("*")]);
                        let within = within.iter().chain(&case.guards).cloned();
                        let conditions = [path.clone(), any].into_iter().chain(within).collect();
                        let body = [body, headers.clone()].concat();
                        case.outcomes.push(Outcome { conditions, comments: Vec::new(), body });
                        let body =
                            redirects::redirect(replacement, status, Query::Replaced, &names).unwrap_or_default();
                        (Vec::new(), [body, headers.clone()].concat())
                    }
                    Ok(body) => (Vec::new(), [body, headers.clone()].concat()),
                    Err(reason) => self.failed(place, &shown, &reason),
                }
            }
            Flag::Break if case.site.location.is_some() && within.is_empty() => {
                return match path_transform(&whole(&source), replacement, &groups) {
                    Ok(transform) => {
                        case.guards.push(Atom::Not(vec![path]));
                        case.rewrites.push(transform);
                    }
                    Err(reason) => {
                        let (comments, body) = self.failed(place, &shown, &reason);
                        case.outcomes.push(Outcome { conditions: vec![path], comments, body });
                    }
                };
            }
            Flag::Break | Flag::Last => {
                let reason = "NGINX chooses a location for the new path; a route is chosen once, so write the new path into its `transforms`";
                self.failed(place, &shown, reason)
            }
        };
        let conditions =
            std::iter::once(path).chain(within.iter().cloned()).chain(case.guards.iter().cloned()).collect();
        case.outcomes.push(Outcome { conditions, comments, body });
    }

    fn failed(&mut self, place: Place, shown: &str, reason: &str) -> (Vec<String>, Body) {
        self.findings.add(Kind::NotImported, at(place), shown, reason);
        let (mut comments, body) = self.instead_of(&Foreign { place, shown: shown.to_owned(), reason: "" });
        comments.push(format!("  {reason}."));
        (comments, body)
    }

    /// `allow` and `deny`: the first that matches decides, and everyone else has access. Returns true if nobody has.
    fn access(&self, settings: &Settings, case: &mut Case<'_, 'm>) -> bool {
        let mut allowed: Vec<String> = Vec::new();
        for (is_allowed, range) in &settings.access {
            match (is_allowed, range) {
                (true, Some(range)) => allowed.push(range.clone()),
                (true, None) => return false,
                (false, range) => {
                    let mut conditions: Vec<Atom> = range.iter().map(|range| Atom::Ip(vec![range.clone()])).collect();
                    if !allowed.is_empty() {
                        conditions.push(Atom::Not(vec![Atom::Ip(allowed.clone())]));
                    }
                    let is_for_all = conditions.is_empty();
                    let guards = case.guards.iter().cloned();
                    let conditions = conditions.into_iter().chain(guards).collect();
                    case.outcomes.push(Outcome { conditions, comments: Vec::new(), body: fixed(403) });
                    if range.is_none() {
                        return is_for_all && case.guards.is_empty();
                    }
                }
            }
        }
        false
    }

    /// `responseHeaders`, if there are any.
    pub(super) fn response_fields(
        &mut self,
        settings: &Settings,
        site: Site<'m>,
        values: &Values,
        from_backend: bool,
    ) -> Body {
        let mut edits = Vec::new();
        let hidden: Vec<Yaml> =
            settings.hide_header.iter().map(|name| Yaml::text(&name.to_ascii_lowercase())).collect();
        if from_backend && !hidden.is_empty() {
            edits.push(("remove".to_owned(), Yaml::List(hidden)));
        }
        let mut added: Vec<(String, Vec<Yaml>)> = Vec::new();
        for (name, text, place) in &settings.add_header {
            let text = text.with(&|name| values.get(name).cloned());
            match variables::field_value(&text, &|name| site.variable(name)) {
                // A field with an empty value is not added.
                Ok(value) if value.is_empty() => {}
                Ok(value) => {
                    let name = name.to_ascii_lowercase();
                    match added.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, values)) => values.push(Yaml::template(&value)),
                        None => added.push((name, vec![Yaml::template(&value)])),
                    }
                }
                Err(variable) => {
                    let reason = format!("the variable `${variable}` is not supported in a field");
                    self.findings.add(Kind::NotImported, at(*place), &format!("add_header {name}"), &reason);
                }
            }
        }
        if !added.is_empty() {
            let one = |values: Vec<Yaml>| match <[Yaml; 1]>::try_from(values) {
                Ok([value]) => value,
                Err(values) => Yaml::List(values),
            };
            edits.push((
                "add".to_owned(),
                Yaml::Map(added.into_iter().map(|(name, values)| (name, one(values))).collect()),
            ));
        }
        if edits.is_empty() { Vec::new() } else { vec![("responseHeaders".to_owned(), Yaml::Map(edits))] }
    }
}

impl Site<'_> {
    /// A variable of this place in the value of a field.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        match name {
            "server_name" => self.server_name().map(str::to_owned),
            _ => groups(self.regex().as_deref()).iter().any(|group| group == name).then(|| format!("${{{name}}}")),
        }
    }
}

/// The results of one case of the variables so far.
struct Case<'c, 'm> {
    site: Site<'m>,
    values: &'c Values,
    outcomes: Vec<Outcome>,
    /// `rewrite … break`, as entries of `transforms.path`.
    rewrites: Vec<Yaml>,
    /// Requests that none of these has rewritten: the steps after them are for no others.
    guards: Vec<Atom>,
    proxies: Vec<(Atom, ProxyPass)>,
}

impl Case<'_, '_> {
    fn text(&self, text: &Text) -> Text {
        with_values(text, self.values)
    }

    /// The result of a condition on a variable of a map.
    fn constant(&self, test: &Test) -> Option<bool> {
        let value = with_values(&Text(vec![Piece::Variable(test.variable.clone())]), self.values);
        let value = value.as_literal()?;
        let holds = match &test.kind {
            TestKind::True => !value.is_empty() && value != "0",
            TestKind::Equals(other) => value == self.text(other).as_literal()?,
            TestKind::Matches(pattern) => super::choice::matches(pattern, value),
        };
        Some(holds != test.is_negated)
    }
}

/// A text with the values of variables, and those in these values.
pub(super) fn with_values(text: &Text, values: &Values) -> Text {
    let mut text = text.clone();
    for _ in 0..values.len() {
        text = text.with(&|name| values.get(name).cloned());
    }
    text
}

/// The variables that decide about a block, with these values of some of them.
fn variables_of(block: &Block, values: &Values) -> Vec<String> {
    let mut names = Vec::new();
    let mut add = |text: &Text| names.extend(with_values(text, values).variables().map(str::to_owned));
    fn steps(list: &[Step], add: &mut dyn FnMut(&Text)) {
        for step in list {
            match step {
                Step::Return { text, .. } => text.iter().for_each(&mut *add),
                Step::Rewrite { replacement, .. } => add(replacement),
                Step::If { condition, steps: inner, proxy, .. } => {
                    add(&Text(vec![Piece::Variable(condition.variable.clone())]));
                    steps(inner, add);
                    proxy.iter().for_each(|proxy| add(&proxy.url));
                }
                Step::Break | Step::Foreign(_) => {}
            }
        }
    }
    steps(&block.steps, &mut add);
    block.proxy.iter().for_each(|proxy| add(&proxy.url));
    names
}

/// The numbers and names of the groups of a regex.
pub(super) fn groups(source: Option<&str>) -> Vec<String> {
    let Some(regex) = source.and_then(|source| crossfade_rule::Regex::new(source).ok()) else { return Vec::new() };
    let names: Vec<Option<String>> = regex.group_names().map(|name| name.map(str::to_owned)).collect();
    let numbers = (1..names.len()).map(|number| number.to_string());
    numbers.chain(names.into_iter().flatten()).collect()
}

/// An entry of `transforms.path` that replaces what the regex matches.
pub(super) fn path_transform(source: &str, replacement: &Text, groups: &[String]) -> Result<Yaml, String> {
    let mut replace = String::new();
    for piece in &replacement.0 {
        match piece {
            Piece::Literal(text) => replace += &text.replace('$', "$$"),
            Piece::Variable(name) if groups.contains(name) => replace += &format!("${{{name}}}"),
            Piece::Variable(name) => return Err(format!("the variable `${name}` is not supported in a path")),
        }
    }
    if replace.ends_with('?') || replace.contains(['#', ' ']) || !replace.starts_with(['/', '$']) {
        return Err("such a path is not supported".to_owned());
    }
    Ok(Yaml::map([("regex", Yaml::text(source)), ("replace", Yaml::text(&replace))]))
}

fn fixed(status: u16) -> Body {
    vec![("fixedResponse".to_owned(), Yaml::map([("status", Yaml::number(status))]))]
}
