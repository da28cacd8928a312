//! Findings about a plan's guard, which only the judge of the evidence can read, and about live state that does not fit the file.
//! `crossfade-route` has all others about `migration`.

use std::time::Duration;

use crossfade_document::{Node, Options, parse};
use crossfade_parity::Gate;
use crossfade_route::migration::Schedule;
use crossfade_route::{Diagnostic, Overlaid, Overlay, Place, RoutingTable, Severity};

/// Fewer requests than this are no evidence but in a demonstration: with 20, failures of 14 % are missed in one case of twenty.
const FEW: u64 = 20;
const MINUTE: Duration = Duration::from_secs(60);

/// Errors and warnings about `migration.guard`.
pub(super) fn guard(table: &RoutingTable, text: &str) -> Vec<Diagnostic> {
    let Some(plan) = &table.plan else { return Vec::new() };
    let finding = |severity, message, hint: String| Diagnostic {
        severity,
        path: "migration.guard".to_owned(),
        hint: Some(hint),
        ..Diagnostic::error(place(text), message)
    };
    let gate = match Gate::parse(&plan.guard) {
        Ok(gate) => gate,
        Err(error) => {
            let hint = "conditions of `crossfade report --gate`, such as `verdict=same, errors<=+0.5%, p95<=+10%`";
            return vec![finding(Severity::Error, format!("invalid guard: {error}"), hint.to_owned())];
        }
    };
    let mut findings = Vec::new();
    if let Some(route) = gate.route() {
        let message = "a guard has no route: it applies to each route of the migration".to_owned();
        let hint = format!("remove `{route}:`; `routes` lists those that migrate");
        findings.push(finding(Severity::Error, message, hint));
    }
    for (condition, meant) in gate.reversed_conditions() {
        let message = format!("`{condition}` fails for a system that is better, and holds for one that is worse");
        findings.push(finding(Severity::Error, message, format!("write `{meant}`")));
    }
    if let Some(condition) = gate.user_conditions().next().filter(|_| table.access_log.is_zero()) {
        let message =
            format!("`{condition}` needs the requests of users, but with `accessLog: false` only failures are logged");
        let hint = "log a part of them, such as `accessLog: 10%`; failures are always logged".to_owned();
        findings.push(finding(Severity::Warning, message, hint));
    }
    if plan.samples < FEW {
        let message = format!(
            "`samples: {}` decides about a step by so few requests that chance may hold or fail it",
            plan.samples
        );
        findings.push(finding(Severity::Warning, message, "use 100 or more; 500 is the default".to_owned()));
    }
    if plan.bake < MINUTE && plan.schedule == Schedule::Advance {
        let message =
            "with a `bake` of less than a minute a schedule takes all steps as fast as it is invoked".to_owned();
        findings.push(finding(Severity::Warning, message, "use `bake: 30m` or more".to_owned()));
    }
    let shadow: Vec<&str> = gate.shadow_conditions().collect();
    let has_shadow = |name: &str| {
        let mirror = table.route(name).and_then(|route| route.mirror.as_ref());
        mirror.is_some_and(|mirror| {
            let backend = table.backends().get(mirror.backend).map(|backend| backend.name.as_str());
            backend == Some(&plan.to) && !mirror.share.is_zero()
        })
    };
    for route in plan.routes.iter().filter(|route| !has_shadow(route)) {
        let consequence = match shadow.is_empty() {
            true => "there is no evidence before its first step".to_owned(),
            false => format!("no step has its evidence: `{}` needs them", shadow.join(", ")),
        };
        let message = format!("route `{route}` sends no shadow requests to `{}`, so {consequence}", plan.to);
        let hint = format!("add `mirror: {{backend: {}, percent: 20, compare: {{}}}}` to it", plan.to);
        findings.push(finding(Severity::Warning, message, hint));
    }
    findings
}

/// Errors for live state that does not fit the file.
pub(super) fn live(table: &RoutingTable, overlay: &Overlay, place: &str) -> Vec<Diagnostic> {
    let Overlaid { mismatches, .. } = table.overlaid(overlay);
    let is_left = |name: &&String| table.plan.as_ref().is_none_or(|plan| !plan.routes.contains(name));
    let migrating = overlay.routes.iter().filter(|(_, changes)| changes.migration.is_some());
    let left = migrating.map(|(name, _)| name).filter(is_left).filter(|name| table.route(name).is_some());
    let left = left.map(|name| format!("route `{name}` is migrating, but not part of `migration`"));
    let error = |message: String| Diagnostic {
        place: None,
        hint: Some(
            "keep the names of routes and targets until the migration has ended, or undo these changes first".into(),
        ),
        ..Diagnostic::error(Place::new(1, 1), message)
    };
    let of = format!("version {} of the live state in {place} does not fit", overlay.version);
    mismatches.into_iter().chain(left).map(|reason| error(format!("{of}: {reason}"))).collect()
}

/// The place of the guard, or of the plan if it has none.
fn place(text: &str) -> Place {
    let options = Options { file: 0, tag: None, merge: None, substitute: None, mask: str::to_owned };
    let top: Option<Node> = parse(text, &options, &mut Vec::new()).ok();
    let migration = top.as_ref().and_then(|top| top.get("migration"));
    let guard = migration.and_then(|migration| migration.get("guard"));
    guard.or(migration).map_or(Place::new(1, 1), |node| node.place)
}
