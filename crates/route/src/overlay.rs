//! The overlay: what may change without a deployment. Owns its document, in both directions, and applying it to a compiled
//! table. Knows no store.
//! `docs/configuration.md` has an example, which a test reads.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use crossfade_document::{Diagnostic, Diagnostics, Node, Options, Place, Severity, did_you_mean, parse};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue, RETRY_AFTER};
use serde_json::{Map, Value, json};

use crate::field_edits::FieldValue;
use crate::masked::masked;
use crate::migration::{Phase, Progress};
use crate::mirror::Share;
use crate::read::{Collector, Read};
use crate::select::Index;
use crate::table::{Action, FixedResponse, Forward, Route, RoutingTable};

/// The format that this version reads and writes.
pub const FORMAT: u32 = 1;

/// The highest version, which leaves room to count on from any that a person writes by mistake.
pub(crate) const MAX_VERSION: u32 = 4_000_000_000;

/// Length in bytes of the longest overlay: far more than a change of every route of a large configuration needs.
pub const MAX_OVERLAY: usize = 256 * 1024;

/// Changes to a configuration, made while it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlay {
    /// Grows by one with each change; at least 1.
    pub version: u32,
    /// The time of the change.
    pub at: SystemTime,
    /// Who made it.
    pub by: String,
    /// The change, in a few words.
    pub change: String,
    /// Why, in the words of whoever made it.
    pub reason: Option<String>,
    /// Changes by the name of the route, `default` included.
    pub routes: BTreeMap<String, RouteChanges>,
}

/// Changes to a route. What is not there is as in the configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteChanges {
    /// `version`: the version of the overlay that changed the route last for its users; 0 if none did.
    pub version: u32,
    /// `weights`: by the name of the target, 0 to 999.
    pub weights: BTreeMap<String, u32>,
    /// `pin`: values of users by the name of the target, in addition to those of the configuration, which they override.
    pub pins: BTreeMap<String, Vec<String>>,
    /// `optIn`: `false` ignores opt-ins.
    pub opt_in: Option<bool>,
    /// `mirror`: the share of requests that are mirrored.
    pub mirror: Option<Share>,
    /// `enabled`: overrides that of the configuration.
    pub enabled: Option<bool>,
    /// `maintenance`: `true` answers every request with 503.
    pub maintenance: bool,
    /// `only`: the target of all users, whatever weights, pins and opt-ins say.
    pub only: Option<String>,
    /// `migration`: its progress. The weights say what it means for requests.
    pub migration: Option<Progress>,
}

/// A table with an overlay applied.
#[derive(Debug)]
pub struct Overlaid {
    /// The table.
    pub table: RoutingTable,
    /// One text for each route whose changes do not fit the configuration. Such a route is as in the configuration.
    pub mismatches: Vec<String>,
}

impl Overlay {
    /// Reads an overlay.
    ///
    /// # Errors
    ///
    /// [`Diagnostics`] with every error in the text. A format that is newer than this version is an error.
    pub fn parse(text: &str, source_name: &str) -> Result<Overlay, Diagnostics> {
        let mut list = Vec::new();
        let mut overlay = None;
        let options = Options { file: 0, tag: None, merge: None, substitute: None, mask: masked };
        let shown = if text.len() > MAX_OVERLAY { "" } else { text };
        if text.len() > MAX_OVERLAY {
            let message = format!("the overlay is {} bytes long, the limit is {MAX_OVERLAY}", text.len());
            list.push(Diagnostic { place: None, ..Diagnostic::error(Place::new(1, 1), message) });
        } else if let Some((message, hint)) = foreign(text) {
            let error = Diagnostic::error(Place::new(1, 1), message.to_owned());
            list.push(Diagnostic { place: None, hint: Some(hint.into()), ..error });
        } else {
            match parse(text, &options, &mut list) {
                Ok(document) => {
                    let mut diagnostics = Collector::default();
                    overlay = read(&document, &mut diagnostics);
                    list.extend(diagnostics.located(&document));
                }
                Err(error) => list.push(*error),
            }
        }
        let has_errors = list.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
        match overlay {
            Some(overlay) if !has_errors => Ok(overlay),
            _ => Err(Diagnostics::new(source_name, shown.to_owned(), list, masked)),
        }
    }

    /// Returns the text that [`Overlay::parse`] reads: JSON on several lines.
    #[must_use]
    pub fn to_text(&self) -> String {
        let routes: Map<String, Value> = self.routes.iter().map(|(name, it)| (name.clone(), it.to_json())).collect();
        let mut top = json!({
            "format": FORMAT,
            "version": self.version,
            "at": rfc3339(self.at),
            "by": self.by,
            "change": self.change,
        });
        if let Some(members) = top.as_object_mut() {
            members.extend(self.reason.clone().map(|reason| ("reason".to_owned(), reason.into())));
            members.insert("routes".to_owned(), routes.into());
        }
        // JSON allows characters in a string that YAML does not (YAML 1.2 section 5.1).
        let mut text = String::new();
        for c in format!("{top:#}\n").chars() {
            match c {
                '\u{7f}'..='\u{9f}' | '\u{fffe}'..='\u{ffff}' => text.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => text.push(c),
            }
        }
        text
    }
}

impl Overlay {
    /// Returns the shortest text that [`Overlay::parse`] reads: one line, and without `{{`, which a parameter of Systems Manager
    /// must not have. JSON has it only within a string.
    #[must_use]
    pub fn to_line(&self) -> String {
        self.to_text().lines().map(str::trim_start).collect::<String>().replace("{{", "{\\u007b")
    }

    /// Returns an abort that its place takes: it must not fail because of what others have put there. Leaves out the end of a long
    /// reason, then weights and pins that `only` overrides, then all pins.
    #[must_use]
    pub fn shortened(mut self, is_short: impl Fn(&Overlay) -> bool) -> Overlay {
        if !is_short(&self) {
            self.reason = self.reason.map(|reason| reason.chars().take(100).collect());
        }
        if !is_short(&self) {
            self.change = "abort".to_owned();
            for changes in self.routes.values_mut().filter(|changes| changes.only.is_some()) {
                changes.pins.clear();
                changes.weights.clear();
            }
        }
        if !is_short(&self) {
            (self.reason, self.change) = (None, "abort, and leave out all pins to make room".to_owned());
            self.routes.values_mut().for_each(|changes| changes.pins.clear());
        }
        self
    }
}

impl RouteChanges {
    /// Returns `true` if nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == RouteChanges::default()
    }

    /// Describes how this differs from what was there before, key by key: `mirror: 20 -> 5`.
    #[must_use]
    pub fn differences(&self, before: &RouteChanges) -> Vec<String> {
        let (before, after) = (before.to_json(), self.to_json());
        let keys = ["weights", "pin", "optIn", "mirror", "enabled", "maintenance", "only", "migration"];
        let shown = |value: Option<&Value>| value.map_or("as in the file".to_owned(), Value::to_string);
        let difference = |key: &&str| {
            let (before, after) = (before.get(*key), after.get(*key));
            (before != after).then(|| format!("{key}: {} -> {}", shown(before), shown(after)))
        };
        keys.iter().filter_map(difference).collect()
    }

    fn to_json(&self) -> Value {
        let mut members = Map::new();
        let mut add = |name: &str, value: Option<Value>| members.extend(value.map(|value| (name.to_owned(), value)));
        add("version", (self.version > 0).then(|| self.version.into()));
        add("weights", (!self.weights.is_empty()).then(|| json!(self.weights)));
        add("pin", (!self.pins.is_empty()).then(|| json!(self.pins)));
        add("optIn", self.opt_in.map(Value::from));
        add("mirror", self.mirror.map(percent));
        add("enabled", self.enabled.map(Value::from));
        add("maintenance", self.maintenance.then(|| true.into()));
        add("only", self.only.clone().map(Value::from));
        add(
            "migration",
            self.migration.map(|progress| {
                json!({
                    "share": percent(progress.share),
                    "phase": progress.phase.as_str(),
                    "since": rfc3339(progress.since),
                })
            }),
        );
        members.into()
    }

    /// Makes the changes to a route, or returns the reason why they do not fit.
    fn apply(&self, route: &mut Route, table: &RoutingTable) -> Result<(), String> {
        if !self.weights.is_empty() || !self.pins.is_empty() || self.opt_in.is_some() || self.only.is_some() {
            let Action::Forward(forward) = &mut route.action else { return Err("it forwards no requests".to_owned()) };
            self.apply_to_targets(forward)?;
        }
        if let Some(share) = self.mirror {
            let mirror = route.mirror.as_mut().ok_or("it has no `mirror`")?;
            mirror.share = share;
        }
        if self.maintenance {
            close(route, table);
        }
        Ok(())
    }

    fn apply_to_targets(&self, forward: &mut Forward) -> Result<(), String> {
        let names: Vec<String> = forward.targets.iter().map(|target| target.name.clone()).collect();
        let find = |name: &str| {
            names.iter().position(|known| known == name).ok_or_else(|| {
                let known: Vec<&str> = names.iter().map(String::as_str).collect();
                let hint = did_you_mean(name, &known).unwrap_or_else(|| format!("its targets: {}", known.join(", ")));
                format!("`{}` is none of its targets; {hint}", masked(name))
            })
        };
        for (name, weight) in &self.weights {
            let index = find(name)?;
            if let Some(target) = forward.targets.get_mut(index) {
                target.weight = *weight;
            }
        }
        if forward.targets.iter().all(|target| target.weight == 0) {
            return Err("all of its weights would be 0".to_owned());
        }
        if !self.pins.is_empty() {
            let sticky = forward.sticky.as_mut().ok_or("it has pins but no `sticky`")?;
            for (name, values) in &self.pins {
                let target = find(name)?;
                sticky.pins.extend(values.iter().map(|value| (value.as_bytes().into(), target)));
            }
        }
        match (self.opt_in, &forward.opt_in) {
            (Some(true), None) => return Err("it has no `optIn`".to_owned()),
            (Some(false), _) => forward.opt_in = None,
            _ => {}
        }
        if let Some(name) = &self.only {
            let only = find(name)?;
            for (index, target) in forward.targets.iter_mut().enumerate() {
                target.weight = u32::from(index == only);
            }
            (forward.sticky, forward.opt_in) = (None, None);
        }
        Ok(())
    }
}

/// The name of all routes, for `maintenance`.
const ALL_ROUTES: &str = "*";

/// Puts a route under maintenance: the `errorPages` for 503, and when to ask again.
fn close(route: &mut Route, table: &RoutingTable) {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    route.action = Action::FixedResponse(FixedResponse {
        status,
        content_type: Some(HeaderValue::from_static("text/plain; charset=utf-8")),
        body: Bytes::from_static(b"The service is under maintenance. Please try again later.\n"),
        pages: table.error_pages.iter().filter(|page| page.codes.contains(status)).cloned().collect(),
        is_maintenance: true,
    });
    route.mirror = None;
    let seconds = HeaderValue::from(table.maintenance_retry_after.as_secs());
    for (name, value) in [(RETRY_AFTER, seconds), (CACHE_CONTROL, HeaderValue::from_static("no-store"))] {
        route.response_fields.set.push((name, FieldValue::Constant(value)));
    }
}

impl RoutingTable {
    /// Returns this table with the changes of an overlay. Changes of a route apply completely or not at all, and those of
    /// one route never keep another's from applying.
    #[must_use]
    pub fn overlaid(&self, overlay: &Overlay) -> Overlaid {
        let mut mismatches = Vec::new();
        let mut known: usize = 0;
        let all = overlay.routes.get(ALL_ROUTES);
        if let Some(changes) = all {
            known = known.saturating_add(1);
            let possible =
                RouteChanges { version: changes.version, maintenance: changes.maintenance, ..Default::default() };
            if *changes != possible {
                mismatches.push(format!("route `{ALL_ROUTES}`: only `maintenance` can be set for all routes"));
            }
        }
        let is_closed = all.is_some_and(|changes| changes.maintenance);
        let mut changed = |route: &Route| {
            let changes = overlay.routes.get(&route.name);
            known = known.saturating_add(usize::from(changes.is_some()));
            let mut changed = route.clone();
            let closed = RouteChanges { maintenance: true, ..RouteChanges::default() };
            let changes = match changes {
                _ if is_closed => RouteChanges { enabled: changes.and_then(|it| it.enabled), ..closed },
                Some(changes) => changes.clone(),
                None => return (changed, None),
            };
            match changes.apply(&mut changed, self) {
                Ok(()) => (changed, changes.enabled),
                Err(reason) => {
                    mismatches.push(format!("route `{}`: {reason}", route.name));
                    (route.clone(), None)
                }
            }
        };
        let (mut routes, mut disabled) = (Vec::with_capacity(self.routes.len()), Vec::new());
        for (route, is_enabled) in
            self.routes.iter().map(|route| (route, true)).chain(self.disabled.iter().map(|route| (route, false)))
        {
            let (route, enabled) = changed(route);
            if enabled.unwrap_or(is_enabled) { routes.push(route) } else { disabled.push(route) }
        }
        let (default, enabled) = changed(&self.default);
        if enabled.is_some() {
            mismatches.push(format!("route `{}`: it is always enabled", default.name));
        }
        if known < overlay.routes.len() {
            let is_known = |name: &str| {
                name == ALL_ROUTES
                    || name == self.default.name
                    || self.routes.iter().chain(&self.disabled).any(|route| route.name == name)
            };
            let unknown = overlay.routes.keys().filter(|name| !is_known(name));
            mismatches.extend(unknown.map(|name| format!("there is no route `{}`", masked(name))));
        }
        routes.sort_by_key(|route| route.priority);
        let index = Index::new(&routes);
        let RoutingTable {
            backends,
            request_timeout,
            request_id_field,
            health_check,
            trusted_hops,
            access_log,
            metrics,
            access_names,
            tracing,
            streaming,
            spill,
            error_pages,
            maintenance_retry_after,
            plan,
            ..
        } = self;
        let table = RoutingTable {
            backends: backends.clone(),
            routes,
            disabled,
            index,
            default,
            request_timeout: *request_timeout,
            request_id_field: request_id_field.clone(),
            health_check: *health_check,
            trusted_hops: *trusted_hops,
            access_log: *access_log,
            metrics: metrics.clone(),
            access_names: *access_names,
            tracing: *tracing,
            error_pages: error_pages.clone(),
            maintenance_retry_after: *maintenance_retry_after,
            streaming: *streaming,
            spill: spill.clone(),
            plan: plan.clone(),
            live: Some(overlay.version),
        };
        Overlaid { table, mismatches }
    }
}

/// Returns the problem of a text that is something else, with a hint: to read it as an overlay would complain about all of it.
fn foreign(text: &str) -> Option<(&'static str, &'static str)> {
    let place = "check that the place is that of the live state";
    match text.trim_start().chars().next() {
        Some('{') => None,
        None => {
            Some(("the overlay is empty", "remove it to let the file alone decide, or undo the change that emptied it"))
        }
        Some('<') => Some(("this is HTML or XML, not an overlay", place)),
        Some(_) => Some(("this is not an overlay: it is a JSON object, and begins with `{`", place)),
    }
}

/// A percentage, without a fraction if there is none.
fn percent(share: Share) -> Value {
    let percent = share.percent();
    if percent.fract() == 0.0 { json!(percent as u64) } else { json!(percent) }
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

fn read(top: &Node, diagnostics: &mut Collector) -> Option<Overlay> {
    // A newer format may have any keys.
    match top.get("format").map(|node| (node, node.as_text())) {
        Some((_, Some("1"))) => {}
        Some((node, _)) => {
            let hint = "deploy a version of Crossfade that reads it, or undo the change that wrote it";
            node.error(diagnostics, format!("unsupported format, expected {FORMAT}"), Some(hint.into()));
            return None;
        }
        None => {
            top.error(diagnostics, "missing key `format`", Some(format!("write `\"format\": {FORMAT}`")));
            return None;
        }
    }
    let [_, version, at, by, change, reason, routes] =
        top.keys(diagnostics, ["format", "version", "at", "by", "change", "reason", "routes"])?;
    if version.is_none() {
        top.error(diagnostics, "missing key `version`", Some("a whole number that grows with every change".into()));
    }
    let version = version.and_then(|node| node.whole(diagnostics, 1..=MAX_VERSION));
    let text = |node: Option<&Node>, diagnostics: &mut Collector| {
        node.and_then(|node| node.text(diagnostics)).map(str::to_owned)
    };
    let at = at.map_or(Some(SystemTime::UNIX_EPOCH), |node| time(node, diagnostics));
    let (by, change) = (text(by, diagnostics).unwrap_or_default(), text(change, diagnostics).unwrap_or_default());
    let reason = text(reason, diagnostics);
    let members = routes.and_then(|node| node.map(diagnostics)).unwrap_or_default();
    let routes = members.iter().filter_map(|(key, node)| Some((key.name.to_string(), read_route(node, diagnostics)?)));
    let routes = routes.collect();
    Some(Overlay { version: version?, at: at?, by, change, reason, routes })
}

fn read_route(node: &Node, diagnostics: &mut Collector) -> Option<RouteChanges> {
    let [version, weights, pin, opt_in, mirror, enabled, maintenance, only, migration] = node.keys(
        diagnostics,
        ["version", "weights", "pin", "optIn", "mirror", "enabled", "maintenance", "only", "migration"],
    )?;
    let mut changes = RouteChanges {
        version: version.and_then(|node| node.whole(diagnostics, 0..=u32::MAX)).unwrap_or_default(),
        opt_in: opt_in.and_then(|node| node.boolean(diagnostics)),
        mirror: mirror.and_then(|node| node.share(diagnostics)),
        enabled: enabled.and_then(|node| node.boolean(diagnostics)),
        maintenance: maintenance.and_then(|node| node.boolean(diagnostics)).unwrap_or_default(),
        only: only.and_then(|node| node.text(diagnostics)).map(str::to_owned),
        migration: migration.and_then(|node| read_progress(node, diagnostics)),
        ..RouteChanges::default()
    };
    for (key, node) in weights.and_then(|node| node.map(diagnostics)).unwrap_or_default() {
        changes.weights.extend(node.whole(diagnostics, 0..=999).map(|weight| (key.name.to_string(), weight)));
    }
    for (key, node) in pin.and_then(|node| node.map(diagnostics)).unwrap_or_default() {
        let values = node.one_or_more(diagnostics).unwrap_or_default();
        let values = values.iter().filter_map(|node| node.text(diagnostics).map(str::to_owned)).collect();
        changes.pins.insert(key.name.to_string(), values);
    }
    Some(changes)
}

fn read_progress(node: &Node, diagnostics: &mut Collector) -> Option<Progress> {
    let [share, phase, since] = node.keys(diagnostics, ["share", "phase", "since"])?;
    for (name, member) in [("share", share), ("phase", phase), ("since", since)] {
        if member.is_none() {
            node.error(diagnostics, format!("missing key `{name}`"), None);
        }
    }
    let phases = Phase::ALL.map(|phase| (phase.as_str(), phase));
    let share = share.and_then(|node| node.share(diagnostics));
    let phase = phase.and_then(|node| node.word(diagnostics, &phases));
    let since = since.and_then(|node| time(node, diagnostics));
    Some(Progress { share: share?, phase: phase?, since: since? })
}

fn time(node: &Node, diagnostics: &mut Collector) -> Option<SystemTime> {
    let time = humantime::parse_rfc3339_weak(node.text(diagnostics)?).ok();
    if time.is_none() {
        node.error(diagnostics, "not a time in UTC, like `2026-11-28T12:00:00Z`", None);
    }
    time
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;
    use crate::RequestView;
    use crate::surroundings::Nothing;

    const CONFIG: &str = "version: 1
backends: { legacy: https://legacy.example, modern: https://modern.example }
routes:
  - name: orders
    priority: 10
    conditions: { path: /orders/* }
    forward:
      targets: [{ backend: legacy, weight: 9 }, { backend: modern, weight: 1 }]
      sticky: { by: { header: x-user }, pin: { modern: [anna] } }
      optIn: { query: system }
    mirror: { backend: modern, percent: 5 }
  - { name: later, priority: 5, enabled: false, conditions: { path: /orders/later }, forward: modern }
  - { name: moved, priority: 20, conditions: { path: /moved }, redirect: { host: other.example } }
default: { forward: legacy }
";

    fn table() -> RoutingTable {
        RoutingTable::from_config(CONFIG, "", &Nothing).unwrap()
    }

    fn overlay(routes: &str) -> Overlay {
        Overlay::parse(&format!("{{format: 1, version: 3, routes: {{{routes}}}}}"), "overlay.json").unwrap()
    }

    /// The route of a request, with its target or status.
    fn goes(table: &RoutingTable, path: &str, user: &str) -> String {
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static("x-user"), user.parse().unwrap())]);
        let request = RequestView {
            method: "GET",
            host: b"shop.example",
            path: path.as_bytes().into(),
            query: None,
            headers: &headers,
            source_ip: None,
        };
        let route = table.select(&request);
        match &route.action {
            Action::Forward(forward) => {
                let choice = forward.choose(&request, true, 1);
                format!("{}: {}, {}", route.name, forward.targets[choice.target].name, choice.reason.as_str())
            }
            Action::Redirect(_) => format!("{}: redirect", route.name),
            Action::FixedResponse(fixed) => format!("{}: {}", route.name, fixed.status.as_u16()),
        }
    }

    #[test]
    fn changes_apply_to_their_route_alone() {
        for (routes, path, user, expected) in [
            ("", "/orders/later", "bert", "orders: legacy, hash"),
            ("", "/orders/1", "anna", "orders: modern, pin"),
            ("orders: {weights: {legacy: 0}}", "/orders/1", "bert", "orders: modern, hash"),
            ("orders: {weights: {modern: 0}}", "/orders/1", "bert", "orders: legacy, hash"),
            ("orders: {pin: {legacy: anna, modern: [bert]}}", "/orders/1", "anna", "orders: legacy, pin"),
            ("orders: {pin: {legacy: anna, modern: [bert]}}", "/orders/1", "bert", "orders: modern, pin"),
            ("orders: {only: legacy, weights: {modern: 0}}", "/orders/1", "anna", "orders: legacy, weight"),
            ("orders: {only: modern}", "/orders/1", "bert", "orders: modern, weight"),
            ("later: {enabled: true}", "/orders/later", "bert", "later: modern, only"),
            ("orders: {enabled: false}", "/orders/1", "bert", "default: legacy, only"),
            ("orders: {maintenance: true}", "/orders/1", "bert", "orders: 503"),
            ("moved: {maintenance: true}", "/moved", "bert", "moved: 503"),
            ("default: {maintenance: true}", "/orders/1", "bert", "orders: legacy, hash"),
            ("default: {maintenance: true}", "/", "bert", "default: 503"),
            ("'*': {maintenance: true}", "/orders/1", "bert", "orders: 503"),
            ("'*': {maintenance: true}, default: {maintenance: false}", "/", "bert", "default: 503"),
            ("'*': {maintenance: false}", "/orders/1", "bert", "orders: legacy, hash"),
        ] {
            let Overlaid { table, mismatches } = table().overlaid(&overlay(routes));
            assert_eq!(mismatches, [""; 0], "{routes}");
            assert_eq!(goes(&table, path, user), expected, "{routes}");
        }
    }

    #[test]
    fn a_route_that_does_not_fit_is_as_in_the_file_and_the_others_change() {
        for (routes, mismatch) in [
            ("order: {weights: {modern: 1}}", "there is no route `order`"),
            ("'*': {weights: {modern: 1}}", "route `*`: only `maintenance` can be set for all routes"),
            ("moved: {weights: {modern: 1}}", "route `moved`: it forwards no requests"),
            ("moved: {mirror: 5}", "route `moved`: it has no `mirror`"),
            ("later: {enabled: true, pin: {modern: x}}", "route `later`: it has pins but no `sticky`"),
            ("default: {weights: {legacy: 0}}", "route `default`: all of its weights would be 0"),
            ("default: {enabled: false}", "route `default`: it is always enabled"),
            ("default: {optIn: true}", "route `default`: it has no `optIn`"),
            (
                "later: {enabled: true, weights: {moderm: 5}}",
                "route `later`: `moderm` is none of its targets; did you mean `modern`?",
            ),
        ] {
            let routes = format!("{routes}, orders: {{weights: {{legacy: 0}}}}");
            let Overlaid { table, mismatches } = table().overlaid(&overlay(&routes));
            assert_eq!(mismatches, [mismatch]);
            assert_eq!(goes(&table, "/orders/later", "bert"), "orders: modern, hash", "{routes}");
            assert_eq!(goes(&table, "/moved", "bert"), "moved: redirect");
        }
    }

    #[test]
    fn an_overlay_over_an_overlaid_table_is_applied_to_the_file_s_routes() {
        let table = table();
        let once = table.overlaid(&overlay("later: {enabled: true}, orders: {enabled: false}")).table;
        let back = once.overlaid(&overlay("later: {enabled: false}, orders: {enabled: true}")).table;
        assert_eq!(goes(&back, "/orders/later", "bert"), "orders: legacy, hash");
    }

    #[test]
    fn bad_overlays_say_what_is_wrong() {
        let large = format!("{{format: 1, version: 1, by: '{}'}}", "x".repeat(MAX_OVERLAY));
        for (text, message) in [
            ("", "the overlay is empty"),
            (" \n", "the overlay is empty"),
            ("<!DOCTYPE html>\n<html></html>", "this is HTML or XML, not an overlay"),
            ("format: 1\nversion: 2", "it is a JSON object, and begins with `{`"),
            ("[1]", "it is a JSON object, and begins with `{`"),
            ("{}", "missing key `format`"),
            ("{\"format\": 1, \"vers", "overlay.json:1:"),
            ("{format: 2, version: 1, shadows: {}}", "unsupported format, expected 1"),
            ("{format: 1}", "missing key `version`"),
            ("{format: 1, version: 0}", "`0` is not an integer from 1"),
            ("{format: 1, version: 4294967295}", "`4294967295` is not an integer from 1 to 4000000000"),
            ("{format: 1, version: 1, route: {}}", "unknown key `route`"),
            ("{format: 1, version: 1, routes: {a: {weights: {b: 1000}}}}", "`1000` is not an integer from 0 to 999"),
            ("{format: 1, version: 1, routes: {a: {mirror: 101}}}", "not a percentage"),
            ("{format: 1, version: 1, routes: {a: {migration: {share: 5, phase: running}}}}", "missing key `since`"),
            (
                "{format: 1, version: 1, routes: {a: {migration: {share: 5, phase: run, since: x}}}}",
                "`run` is not one of",
            ),
            (&large, "the limit is"),
        ] {
            let error = Overlay::parse(text, "overlay.json").unwrap_err().to_string();
            assert!(error.contains(message), "{text:.80}: {error:.300}");
        }
    }

    #[test]
    fn an_abort_leaves_out_the_least_that_makes_room() {
        let routes =
            "orders: {only: legacy, weights: {modern: 5}, pin: {modern: [anna]}}, later: {pin: {modern: [bert]}}";
        let whole = Overlay { reason: Some("slow ".repeat(30)), change: "abort orders".to_owned(), ..overlay(routes) };
        let shown = |next: &Overlay| {
            let pins = next.routes.values().map(|changes| changes.pins.len()).sum::<usize>();
            (next.reason.as_ref().map(String::len), next.change.clone(), pins, next.routes["orders"].weights.len())
        };
        let lengths: Vec<usize> = [usize::MAX, whole.to_line().len() - 1, 280, 0].into();
        let left: Vec<_> =
            lengths.iter().map(|most| shown(&whole.clone().shortened(|next| next.to_line().len() <= *most))).collect();
        let expected = [
            (Some(150), "abort orders", 2, 1),
            (Some(100), "abort orders", 2, 1),
            (Some(100), "abort", 1, 0),
            (None, "abort, and leave out all pins to make room", 0, 0),
        ];
        assert_eq!(left, expected.map(|(reason, change, pins, weights)| (reason, change.to_owned(), pins, weights)));
    }

    fn changes() -> impl Strategy<Value = RouteChanges> {
        let name = "[a-z]{1,6}";
        let phase = prop::sample::select(Phase::ALL.to_vec());
        let progress = (0..=100_000u32, phase, 0..4_000_000_000u64).prop_map(|(share, phase, since)| Progress {
            share: Share(share),
            phase,
            since: SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(since),
        });
        let members = (
            any::<u32>(),
            prop::collection::btree_map(name, 0..1000u32, 0..3),
            prop::collection::btree_map(name, prop::collection::vec(".{0,8}[a-z]", 1..3), 0..3),
            any::<Option<bool>>(),
            prop::option::of(0..=100_000u32),
            any::<Option<bool>>(),
            any::<bool>(),
            prop::option::of("[a-z]{1,6}"),
            prop::option::of(progress),
        );
        members.prop_map(|(version, weights, pins, opt_in, mirror, enabled, maintenance, only, migration)| {
            RouteChanges {
                version,
                weights,
                pins,
                opt_in,
                mirror: mirror.map(Share),
                enabled,
                maintenance,
                only,
                migration,
            }
        })
    }

    proptest! {
        #[test]
        fn text_and_back(
            version in 1..=MAX_VERSION, by in "\\PC{0,20}", reason in prop::option::of("\\PC{0,20}[a-z]"),
            routes in prop::collection::btree_map("[a-zA-Z0-9_.-]{1,12}", changes(), 0..5)
        ) {
            let at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_900_000_000);
            let overlay = Overlay { version, at, by, change: "promote: 25 %".to_owned(), reason, routes };
            for text in [overlay.to_text(), overlay.to_line()] {
                let read = Overlay::parse(&text, "").map_err(|error| format!("{error}: {text}"));
                prop_assert_eq!(read, Ok(overlay.clone()));
                prop_assert!(text.contains('\n') || !text.contains("{{"));
            }
        }

        #[test]
        fn no_overlay_makes_it_panic(text in "[{}\\[\\]:, \"'a-z0-9\n&*-]{0,200}") {
            if let Ok(overlay) = Overlay::parse(&text, "") {
                let _ = table().overlaid(&overlay);
            }
        }
    }
}
