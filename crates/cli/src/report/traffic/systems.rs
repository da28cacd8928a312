//! The old system, and what the configuration says about it. Pure.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, bail};
use crossfade_compare::{PathTemplate, endpoint};
use crossfade_document::did_you_mean;
use crossfade_journal::AccessRecord;
use crossfade_route::{Action, Route, RoutingTable};

/// The systems of a migration, as far as they are known.
#[derive(Debug, Default)]
pub(crate) struct Systems {
    /// The back end to switch off.
    pub(crate) old: Option<String>,
    /// The one that replaces it.
    pub(crate) new: Option<String>,
    /// The routes of the configuration, and whether each can send requests to the old one; `None` without a configuration.
    pub(super) routes: Option<BTreeMap<String, bool>>,
    /// The names of endpoints of each route.
    templates: HashMap<String, Vec<PathTemplate>>,
}

impl Systems {
    /// Those of a configuration, if there is one. `old` is the user's choice, or else the one that the migration comes from.
    pub(crate) fn new(old: Option<String>, table: Option<&RoutingTable>) -> Result<Systems> {
        let Some(table) = table else { return Ok(Systems { old, ..Systems::default() }) };
        let names: Vec<&str> = table.backends().iter().map(|backend| backend.name.as_str()).collect();
        if let Some(old) = old.as_deref().filter(|old| !names.contains(old)) {
            let hint = did_you_mean(old, &names).map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
            bail!("the configuration has no back end `{old}`{hint}");
        }
        let plan = table.plan.as_ref();
        let new = plan.filter(|plan| old.as_ref().is_none_or(|old| *old == plan.from)).map(|plan| plan.to.clone());
        let old = old.or_else(|| plan.map(|plan| plan.from.clone()));
        let index = old.as_ref().and_then(|old| names.iter().position(|name| name == old));
        let all = || table.routes().iter().chain([table.default_route()]);
        let templates = |route: &Route| Some(route.mirror.as_ref()?.compare.as_ref()?.endpoints.clone());
        Ok(Systems {
            old,
            new,
            routes: Some(
                all().map(|route| (route.name.clone(), index.is_some_and(|it| can_reach(route, it)))).collect(),
            ),
            templates: all().filter_map(|route| Some((route.name.clone(), templates(route)?))).collect(),
        })
    }

    /// Leaves out all other routes of the configuration; none if there are no names.
    pub(crate) fn only(&mut self, names: &[String]) {
        if let Some(routes) = self.routes.as_mut().filter(|_| !names.is_empty()) {
            routes.retain(|name, _| names.contains(name));
        }
    }

    /// The name of a request's endpoint: the same as in the report on comparisons.
    pub(crate) fn endpoint(&self, record: &AccessRecord<'_>) -> String {
        let route = record.route.as_deref().unwrap_or_default();
        let templates = self.templates.get(route).map(Vec::as_slice).unwrap_or_default();
        let path = endpoint(record.path.as_deref().unwrap_or_default(), templates);
        format!("{} {path}", record.method.as_deref().unwrap_or("-"))
    }
}

fn can_reach(route: &Route, backend: usize) -> bool {
    match &route.action {
        Action::Forward(forward) => {
            forward.targets.iter().any(|target| target.backend == backend)
                || forward.failover.as_ref().is_some_and(|failover| failover.to == backend)
        }
        Action::Redirect(_) | Action::FixedResponse(_) => false,
    }
}
