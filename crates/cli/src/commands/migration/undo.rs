//! `crossfade undo`: an earlier version of the live state as a new one.

use std::time::SystemTime;

use anyhow::Result;
use crossfade_route::{Moved, Overlay};

use super::changes::{Change, table};
use super::moves::{no, write};
use super::{By, Common, block_on};
use crate::commands::Verdict;
use crate::migration::Migration;

/// Undo the last change of the live state, or return to an earlier version of it, as a new version
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade undo
  crossfade undo 3 --reason 'back to before the sale'
  crossfade undo 0                  the file alone decides again

It shows what would change before it asks, and needs no evidence, also if users move to the new system. `crossfade history` lists
the versions; none of them is rewritten.
Exit codes: 0 done, also if nothing is different; 1 another writer was faster, or the answer was no; 2 it could not run.")]
pub(crate) struct Undo {
    /// Version to return to; 0 is the file alone [default: the one before the last change]
    version: Option<u32>,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    by: By,
}

impl Undo {
    pub(crate) fn run(&self) -> Result<Verdict> {
        block_on(self.undo())
    }

    async fn undo(&self) -> Result<Verdict> {
        const COMMAND: &str = "undo";
        let Undo { version, common, by } = self;
        let mut migration = common.migration().await?;
        let (to, next) = migration.undo(*version, &by.author(), SystemTime::now()).await?;
        let Some(next) = next else {
            let before = vec![format!("nothing changes: all is as in version {to} already")];
            let version = migration.version();
            let change =
                Change { command: COMMAND, overlay: None, version, moved: Vec::new(), before, after: Vec::new() };
            return change.print(&migration.plan, common.json);
        };
        let (moved, others) = differences(&migration, &next);
        let mut lines = vec![format!("as in version {to}:")];
        lines.extend(table(&migration.plan, &moved));
        lines.extend(others.iter().cloned());
        if !by.agrees(&lines, COMMAND)? {
            return no(COMMAND, &migration).print(common.json);
        }
        write(&mut migration, common, COMMAND, next, moved, others).await
    }
}

/// Routes whose progress changes, and a line for each of the others.
fn differences(migration: &Migration, next: &Overlay) -> (Vec<Moved>, Vec<String>) {
    let Migration { plan, table, stored, .. } = migration;
    let (mut moved, mut others) = (Vec::new(), Vec::new());
    for (name, changes) in next.routes.iter().filter(|(_, changes)| changes.version == next.version) {
        let before = table.progress(plan, stored.overlay.as_ref(), name);
        let after = table.progress(plan, Some(next), name);
        if plan.routes.contains(name) && (before.share, before.phase) != (after.share, after.phase) {
            moved.push((name.clone(), before, after));
        } else {
            let was = stored.overlay.as_ref().and_then(|overlay| overlay.routes.get(name)).cloned().unwrap_or_default();
            others.push(format!("{name:<12}  {}", changes.differences(&was).join(", ")));
        }
    }
    (moved, others)
}
