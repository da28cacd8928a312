//! The commands of a live migration: `status`, `plan`, `promote`, `pause`, `resume`, `abort`, `undo` and `history`.
//!
//! Owns the options that they share. What a step does is `crossfade-route`'s, the evidence is `crate::migration`'s, the stores are
//! `crate::live`'s.

mod history;
mod moves;
mod plan;
mod status;
mod undo;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use crossfade_function::{ConfigSource, load};
use crossfade_journal::AccessRecord;
use crossfade_journal::comparison::Record;
use crossfade_route::migration::Plan;
use crossfade_route::{Author, Overlay, RoutingTable};

use crate::live::{Store, Stored};
use crate::migration::{Evidences, Judgement};
use crate::report::input::Logs;
use crate::terminal::say;

pub(super) use history::History;
pub(super) use moves::{Abort, Pause, Promote, Resume};
pub(super) use plan::PlanOptions;
pub(super) use status::Status;
pub(super) use undo::Undo;

/// Where the state and the plan are.
#[derive(clap::Args)]
struct Common {
    /// Place of the live state: file:PATH, s3://BUCKET/KEY, ssm:/NAME or appconfig:APPLICATION/ENVIRONMENT/PROFILE
    #[arg(long, value_name = "PLACE", env = "CROSSFADE_LIVE")]
    live: String,
    /// Configuration file, which has the plan
    #[arg(long, value_name = "FILE", default_value = "crossfade.yaml")]
    config: PathBuf,
    /// Only this route; can be repeated. Default: all of the plan
    #[arg(long, value_name = "NAME")]
    route: Vec<String>,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
}

/// Who changes the state, and why.
#[derive(clap::Args)]
struct By {
    /// Reason for the change, for the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Name for the history. Default: that of the user
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// The logs that are the evidence.
#[derive(clap::Args)]
struct EvidenceOptions {
    /// Logs with access lines and comparisons, plain or gzipped; `-` reads standard input
    #[arg(value_name = "FILE")]
    logs: Vec<PathBuf>,
}

/// The plan and the present state.
struct Migration {
    store: Store,
    table: RoutingTable,
    plan: Plan,
    stored: Stored,
    now: SystemTime,
}

impl Common {
    /// Reads the configuration.
    fn table(&self) -> Result<(RoutingTable, Plan)> {
        let (table, _) = load(&ConfigSource::file(self.config.clone()), None)?;
        let Some(plan) = table.plan.clone() else {
            bail!("{}", crossfade_route::MoveError::NoPlan);
        };
        if let Some(unknown) = self.route.iter().find(|route| !plan.routes.contains(route)) {
            bail!("{}", crossfade_route::MoveError::UnknownRoute(unknown.clone()));
        }
        Ok((table, plan))
    }

    async fn migration(&self) -> Result<Migration> {
        let (table, plan) = self.table()?;
        let store = Store::open(&self.live).await?;
        let stored = store.read().await?;
        Ok(Migration { store, table, plan, stored, now: SystemTime::now() })
    }
}

impl By {
    fn author(&self) -> Author {
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let by = self.by.clone().or_else(|| ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(variable));
        Author { by: by.unwrap_or_else(|| "unknown".to_owned()), reason: self.reason.clone() }
    }

    /// Asks a person whether to go on; without one, the answer must be given beforehand.
    fn confirm(&self, question: &str) -> Result<()> {
        use std::io::{BufRead, IsTerminal, stdin};
        if self.yes {
            return Ok(());
        }
        if !stdin().is_terminal() {
            bail!("add `--yes`: nobody can be asked here");
        }
        say(&format!("{question} [y/N]"));
        let mut answer = String::new();
        stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => bail!("nothing was changed"),
        }
    }
}

impl EvidenceOptions {
    /// Reads the logs, and decides about every route.
    fn judgements(&self, migration: &Migration) -> Result<Vec<Judgement>> {
        let Migration { table, plan, stored, now, .. } = migration;
        let mut evidences = Evidences::new(table, plan, stored.overlay.as_ref(), *now)?;
        for file in &self.logs {
            read(file, &mut evidences)?;
        }
        Ok(evidences.judgements())
    }
}

fn read(file: &Path, evidences: &mut Evidences<'_>) -> Result<()> {
    let name = file.display().to_string();
    let bytes = match &*name {
        "-" => crate::report::input::whole(std::io::stdin().lock()),
        _ => std::fs::File::open(file).and_then(crate::report::input::whole),
    };
    let bytes = bytes.with_context(|| format!("cannot read `{name}`"))?;
    let mut requests = crossfade_parity::RecordFinder::<AccessRecord<'static>>::new();
    requests.push(&bytes, |record| evidences.add_access(&record));
    requests.finish(|record| evidences.add_access(&record));
    let mut comparisons = crossfade_parity::RecordFinder::<Record>::new();
    comparisons.push(&bytes, |record| evidences.add_comparison(&record));
    comparisons.finish(|record| evidences.add_comparison(&record));
    Ok(())
}

/// Runs the requests of a command.
fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?.block_on(future)
}
