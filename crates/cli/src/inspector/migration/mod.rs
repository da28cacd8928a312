//! The page of a migration: its state, the evidence for the next step, and the moves that a person may make.
//!
//! Owns the state between two looks: the plan of the configuration in use, the live state, and the records counted so far. `page`
//! renders it, `moves` changes it; the decisions are those of the commands (`crate::migration`).

mod evidence;
mod moves;
mod page;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow};
use crossfade_migration::Judgement;
use crossfade_route::Overlay;
use crossfade_route::migration::{Next, Plan};
use serde_json::{Value, json};

use super::Shared;
use super::routes::{self, Routes};
use crate::live::{Store, Stored};
use crate::migration::{self, Migration, change_json, rfc3339};
use evidence::Collected;

pub(super) use moves::{Form, Refusal, Step, take};
pub(super) use page::{missing, page};

/// Versions of the history.
const MOST_VERSIONS: usize = 50;
/// The latest requests of the plan's routes, of which the page says which version decided them.
const MOST_REQUESTS: usize = 200;
/// Maximum wait for the store.
const PATIENCE: Duration = Duration::from_secs(5);

/// The live state of a run, and the log of the function.
pub(crate) struct LiveState {
    pub(crate) place: String,
    pub(crate) log: PathBuf,
}

/// The state between two looks. One look at a time.
pub(super) type Current = tokio::sync::Mutex<Option<Open>>;

pub(super) struct Open {
    /// The configuration that the plan is of.
    routes: Arc<Routes>,
    migration: Migration,
    collected: Option<Collected>,
    /// The newest first; an error if the store has none to show.
    history: Result<Vec<Overlay>>,
}

/// The reason why there is no page.
#[derive(Debug)]
pub(super) enum Missing {
    /// Neither plan nor live state.
    NoPlan,
    NoLiveState,
}

/// The migration at one time.
pub(super) struct View {
    place: String,
    plan: Plan,
    overlay: Option<Overlay>,
    routes: Vec<(Judgement, Next)>,
    /// Changes that do not fit the configuration.
    mismatches: Vec<String>,
    history: Result<Vec<Overlay>>,
    /// The latest requests by the version that decided them, and how many they are.
    versions: Vec<(Option<u32>, u64)>,
    /// The reason why state or evidence cannot be read. Then the rest is as it was last.
    error: Option<String>,
}

/// Returns the configuration in use, if it has a plan and there is live state.
fn plan(shared: &Shared) -> Result<(Arc<Routes>, &LiveState), Missing> {
    let routes = shared.routes().clone().filter(|routes| routes.table.plan.is_some());
    match (routes, &shared.setup.live) {
        (Some(routes), Some(live)) => Ok((routes, live)),
        (None, _) => Err(Missing::NoPlan),
        (Some(_), None) => Err(Missing::NoLiveState),
    }
}

/// Looks at the migration now.
pub(super) async fn look(shared: &Shared) -> Result<View, Missing> {
    let (routes, live) = plan(shared)?;
    let now = SystemTime::now();
    let mut current = shared.migration.lock().await;
    let (open, error) = match Open::at(&mut current, &routes, live).await {
        Ok(open) => {
            let error = open.refresh(live).await.err();
            (Some(open), error)
        }
        Err(error) => (None, Some(error)),
    };
    let error = error.map(|error| format!("{error:#}"));
    let plan = routes.table.plan.clone().ok_or(Missing::NoPlan)?;
    let mut view = View {
        place: live.place.clone(),
        overlay: None,
        routes: Vec::new(),
        mismatches: Vec::new(),
        history: Ok(Vec::new()),
        versions: versions(shared, &plan),
        plan,
        error,
    };
    if let Some(open) = open {
        let judgements = open.collected.as_ref().map(|collected| collected.judgements(now)).unwrap_or_default();
        let decided = |judgement: Judgement| {
            let Judgement { progress, evidence, in_effect, .. } = &judgement;
            let next = view.plan.next(*progress, evidence.clone(), *in_effect, now);
            (judgement, next)
        };
        view.routes = judgements.into_iter().map(decided).collect();
        view.overlay.clone_from(&open.migration.stored.overlay);
        view.mismatches =
            view.overlay.as_ref().map(|overlay| routes.table.overlaid(overlay).mismatches).unwrap_or_default();
        view.history = open.history.as_ref().map(Clone::clone).map_err(|error| anyhow!("{error:#}"));
    }
    Ok(view)
}

/// Returns the live state of a version, if it is still known.
pub(super) async fn version(shared: &Shared, version: u32) -> Option<Overlay> {
    let (routes, live) = plan(shared).ok()?;
    let mut current = shared.migration.lock().await;
    let open = Open::at(&mut current, &routes, live).await.ok()?;
    let find = |open: &Open| {
        let history = open.history.iter().flatten().chain(&open.migration.stored.overlay);
        history.into_iter().find(|overlay| overlay.version == version).cloned()
    };
    if find(open).is_none() {
        open.refresh(live).await.ok()?;
    }
    find(open)
}

/// The latest requests of the plan's routes by the version that decided them.
fn versions(shared: &Shared, plan: &Plan) -> Vec<(Option<u32>, u64)> {
    let is_of_plan = |name: &str| plan.routes.iter().any(|route| route == name);
    let part = shared.store().part(|entry| routes::name(entry).is_some_and(is_of_plan), None, MOST_REQUESTS);
    let mut counts = std::collections::BTreeMap::new();
    for entry in &part.entries {
        *counts.entry(entry.access.as_ref().and_then(|access| access.live)).or_default() += 1;
    }
    counts.into_iter().rev().collect()
}

impl Open {
    /// The one for this configuration. Reads nothing.
    async fn at<'c>(current: &'c mut Option<Open>, routes: &Arc<Routes>, live: &LiveState) -> Result<&'c mut Open> {
        let is_same = |open: &Open| Arc::ptr_eq(&open.routes, routes);
        if !current.as_ref().is_some_and(is_same) {
            let (store, stored) = match current.take() {
                Some(open) => (open.migration.store, open.migration.stored),
                None => (Store::open(&live.place).await?, Stored { overlay: None, revision: None }),
            };
            let table = routes.table.clone();
            let plan = table.plan.clone().ok_or(crossfade_route::MoveError::NoPlan)?;
            let migration = Migration { store, table, plan, stored };
            let history = Ok(Vec::new());
            *current = Some(Open { routes: Arc::clone(routes), migration, collected: None, history });
        }
        current.as_mut().ok_or_else(|| anyhow!("no migration"))
    }

    /// Reads the present state, and the records since the last look.
    async fn refresh(&mut self, live: &LiveState) -> Result<()> {
        let read = tokio::time::timeout(PATIENCE, self.migration.store.read()).await;
        let stored = read.map_err(|_| anyhow!("no response from `{}` within {PATIENCE:?}", live.place))??;
        let collected = self.collected.take().filter(|_| stored.revision == self.migration.stored.revision);
        self.migration.stored = stored;
        let collected = match collected {
            Some(collected) => collected,
            None => {
                let history =
                    tokio::time::timeout(PATIENCE, migration::history(&self.migration.store, MOST_VERSIONS)).await;
                self.history = history.unwrap_or_else(|_| Err(anyhow!("no response within {PATIENCE:?}")));
                Collected::new(&self.migration)?
            }
        };
        self.collected = Some(collected.read_on(&self.migration, live.log.clone()).await?);
        Ok(())
    }
}

impl View {
    fn version(&self) -> u32 {
        self.overlay.as_ref().map_or(0, |overlay| overlay.version)
    }

    /// The JSON document.
    pub(super) fn document(&self) -> Value {
        let Plan { from, to, steps, bake, guard, samples, .. } = &self.plan;
        let routes = self.routes.iter().map(|(judgement, next)| {
            let Judgement { route, progress, version, in_effect, recent, .. } = judgement;
            json!({
                "route": route,
                "phase": progress.phase.as_str(),
                "share": progress.share.percent(),
                "version": version,
                "since": after_file(progress.since).map(rfc3339),
                "inEffect": in_effect.is_some(),
                "inEffectSince": in_effect.and_then(after_file).map(rfc3339),
                "recentShare": recent,
                "next": self.plan.step_after(progress.share).map(|step| step.percent()),
                "waitsFor": (!matches!(next, Next::Advance(_))).then(|| crossfade_migration::why(next, &self.plan)),
                "conditions": judgement.conditions().collect::<Vec<_>>(),
            })
        });
        json!({
            "place": self.place,
            "plan": {
                "from": from, "to": to, "steps": steps.iter().map(|step| step.percent()).collect::<Vec<_>>(),
                "bakeSeconds": bake.as_secs(), "guard": guard, "samples": samples,
            },
            "live": self.overlay.as_ref().map(change_json),
            "mismatches": self.mismatches,
            "routes": routes.collect::<Vec<_>>(),
            "requests": self.versions.iter()
                .map(|(version, count)| json!({ "version": version, "requests": count })).collect::<Vec<_>>(),
            "history": self.history.iter().flatten().map(change_json).collect::<Vec<_>>(),
            "error": self.error,
        })
    }
}

/// A time, unless it is that of a route which was never changed.
fn after_file(time: SystemTime) -> Option<SystemTime> {
    Some(time).filter(|time| *time > SystemTime::UNIX_EPOCH + Duration::from_secs(1))
}
