//! `crossfade undo`: an earlier version of the live state as a new one.

use std::time::SystemTime;

use anyhow::Result;
use crossfade_route::{Moved, Overlay};

use super::changes::Change;
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
        let now = SystemTime::now();
        let (mut migration, is_damaged) = common.migration_even_damaged(*version).await?;
        let (to, next) = match is_damaged {
            true => {
                let (to, next) = migration.repaired(*version, &by.author(), now).await?;
                (to, Some(next))
            }
            false => migration.undo(*version, &by.author(), now).await?,
        };
        let Some(next) = next else {
            let before = vec![format!("nothing changes: all is as in version {to} already")];
            let version = migration.version();
            let change = Change { command: COMMAND, version, before, ..Change::default() };
            return change.print(&migration.plan, common.json);
        };
        let (moved, differences) = differences(&migration, &next);
        let change = Change { command: COMMAND, moved, differences, ..Change::default() };
        let lines = [vec![format!("as in version {to}:")], change.lines(&migration.plan)].concat();
        if !by.agrees(&lines, COMMAND)? {
            return no(COMMAND, &migration).print(common.json);
        }
        write(&mut migration, common, next, change).await
    }
}

/// Routes whose progress changes, and what changes of the others.
fn differences(migration: &Migration, next: &Overlay) -> (Vec<Moved>, Vec<(String, Vec<String>)>) {
    let Migration { plan, table, stored, .. } = migration;
    let (mut moved, mut others) = (Vec::new(), Vec::new());
    let was =
        |name: &str| stored.overlay.as_ref().and_then(|overlay| overlay.routes.get(name)).cloned().unwrap_or_default();
    for (name, changes) in next.routes.iter().filter(|(name, changes)| **changes != was(name)) {
        let before = table.progress(plan, stored.overlay.as_ref(), name);
        let after = table.progress(plan, Some(next), name);
        if plan.routes.contains(name) && (before.share, before.phase) != (after.share, after.phase) {
            moved.push((name.clone(), before, after));
        } else {
            others.push((name.clone(), changes.differences(&was(name))));
        }
    }
    (moved, others)
}
