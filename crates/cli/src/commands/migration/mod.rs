//! The commands of a live migration: `status`, `plan`, `promote`, `pause`, `resume`, `abort`, `undo`, `set` and
//! `history`.
//!
//! Owns the options that they share, reading the logs, and asking before a change. What a step does is `crossfade-route`'s, the
//! evidence is `crossfade-migration`'s, the state and its stores are `crate::migration`'s and `crate::live`'s.
//! `docs/migration-reference.md` documents options, exit codes and JSON documents.

mod abort;
mod changes;
mod evidence;
mod history;
mod moves;
mod plan;
mod set;
mod status;
mod text;
mod undo;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use crossfade_route::migration::Plan;
use crossfade_route::{Author, Overlay, RoutingTable};

use super::configuration;
use crate::live::Store;
use crate::migration::{Migration, one_line, user};
use crate::program;
use crate::terminal::say;

pub(super) use abort::Abort;
pub(super) use history::History;
pub(super) use moves::{Pause, Promote, Resume};
pub(super) use plan::PlanOptions;
pub(super) use set::Set;
pub(super) use status::Status;
pub(super) use text::progress;
pub(super) use undo::Undo;

/// The version of the JSON documents.
const DOCUMENT: u32 = 1;

/// Length in characters of the longest name or reason.
const MAX_TEXT: usize = 1_000;

/// The live state, and the plan.
#[derive(clap::Args)]
struct Common {
    /// Place of the live state: file:PATH, s3://BUCKET/KEY, ssm:/NAME or appconfig:APPLICATION/ENVIRONMENT/PROFILE [default: $CROSSFADE_LIVE]
    #[arg(long, value_name = "PLACE")]
    live: Option<String>,
    /// Configuration file, which has the plan
    #[arg(long, value_name = "FILE", default_value = "crossfade.yaml")]
    config: PathBuf,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
}

/// Routes of the plan.
#[derive(clap::Args)]
struct Routes {
    /// Only this route; can be repeated [default: all of the plan]
    #[arg(long, value_name = "NAME")]
    route: Vec<String>,
}

/// The author of a change.
#[derive(clap::Args)]
struct By {
    /// Reason for the change, for the history
    #[arg(long, value_name = "TEXT", value_parser = words)]
    reason: Option<String>,
    /// Name for the history [default: the user's]
    #[arg(long, value_name = "NAME", value_parser = words)]
    by: Option<String>,
    /// Do not ask before the change
    #[arg(long)]
    yes: bool,
}

fn words(text: &str) -> Result<String, String> {
    let text = one_line(text);
    match text.as_str() {
        "" => Err("it is empty".to_owned()),
        text if text.chars().count() > MAX_TEXT => Err(format!("it is longer than {MAX_TEXT} characters")),
        _ => Ok(text),
    }
}

impl Common {
    /// The place of the state.
    fn place(&self) -> Result<String> {
        match place(self.live.as_ref()) {
            Some(place) => Ok(place),
            None => bail!(
                "no live state\n  hint: name its place as in `--live s3://bucket/key`, or set `CROSSFADE_LIVE`, as for the function"
            ),
        }
    }

    /// Reads the configuration and the present state.
    async fn migration(&self) -> Result<Migration> {
        let place = self.place()?;
        let (table, _) = configuration::compiled(&self.config)?;
        Migration::open(&place, table).await
    }

    /// The same if the configuration has no plan: then it is one without routes.
    async fn migration_or_none(&self) -> Result<Migration> {
        Migration::open(&self.place()?, self.table_or_none()?).await
    }

    /// The same to undo it to a version, if the state is damaged as well: then it is the last valid one, and true.
    async fn migration_even_damaged(&self, version: Option<u32>) -> Result<(Migration, bool)> {
        let place = self.place()?;
        Migration::open_damaged(&place, self.table_or_none()?, version).await
    }

    fn table_or_none(&self) -> Result<RoutingTable> {
        let (mut table, _) = configuration::compiled(&self.config)?;
        table.plan.get_or_insert_default();
        Ok(table)
    }

    /// Returns the rest of a command line that concerns the same state, with a leading blank.
    fn again(&self) -> String {
        let mut options = String::new();
        if let Some(live) = &self.live {
            options.push_str(&format!(" --live {}", shell_words::quote(live)));
        }
        if self.config != *"crossfade.yaml" {
            options.push_str(&format!(" --config {}", shell_words::quote(&self.config.to_string_lossy())));
        }
        options
    }

    /// Returns a command on the same state, ready to paste.
    fn command(&self, name: &str) -> String {
        format!("{} {name}{}", program::name(), self.again())
    }
}

impl Routes {
    /// # Errors
    ///
    /// A name is not one of the plan.
    fn check(&self, plan: &Plan) -> Result<()> {
        match self.route.iter().find(|route| !plan.routes.contains(route)) {
            Some(unknown) => {
                let hint = crossfade_document::did_you_mean(
                    unknown,
                    &plan.routes.iter().map(String::as_str).collect::<Vec<_>>(),
                );
                let hint = hint.unwrap_or_else(|| format!("its routes: {}", plan.routes.join(", ")));
                bail!("route `{unknown}` is not part of the migration\n  hint: {hint}")
            }
            None => Ok(()),
        }
    }

    /// Returns the options that name the same routes, with a leading blank.
    fn again(&self) -> String {
        let routes: BTreeSet<&String> = self.route.iter().collect();
        routes.iter().map(|route| format!(" --route {}", shell_words::quote(route))).collect()
    }

    fn has(&self, route: &str) -> bool {
        self.route.is_empty() || self.route.iter().any(|wanted| wanted == route)
    }
}

impl By {
    fn author(&self) -> Author {
        Author { by: self.by.clone().unwrap_or_else(user), reason: self.reason.clone() }
    }

    /// Shows a person what would change, and asks. Returns false if the answer is no.
    ///
    /// # Errors
    ///
    /// Nobody can be asked, and `--yes` is missing.
    fn agrees(&self, changes: &[String], command: &str) -> Result<bool> {
        use std::io::{BufRead, IsTerminal, stdin};
        if self.yes {
            return Ok(true);
        }
        if !stdin().is_terminal() {
            bail!("nothing was changed: nobody can be asked here\n  hint: add `--yes`");
        }
        changes.iter().for_each(|line| say(line));
        say(&format!("{command}? [y/N]"));
        let mut answer = String::new();
        stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }
}

/// The place of the state that an option names, or the environment, as for the function.
pub(super) fn place(option: Option<&String>) -> Option<String> {
    let variable = || std::env::var("CROSSFADE_LIVE").ok().filter(|place| !place.is_empty());
    option.cloned().or_else(variable)
}

/// Reads the live state for another command; `None` before the first change.
pub(super) fn read(place: &str) -> Result<Option<Overlay>> {
    block_on(async { Ok(Store::open(place).await?.read().await?.overlay) })
}

/// Runs the requests of a command.
fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?.block_on(future)
}

/// Changes of the live state that do not fit the file, as the function logs them.
fn mismatches(table: &RoutingTable, migration: &Migration) -> Vec<String> {
    migration.stored.overlay.as_ref().map(|overlay| table.overlaid(overlay).mismatches).unwrap_or_default()
}
