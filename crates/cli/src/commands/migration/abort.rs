//! `crossfade abort`: everyone back to the old system. It must work when nothing else does, so it needs no evidence, and a readable
//! state only if there is no file with a plan.

use std::io::IsTerminal;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Result;
use crossfade_function::LocalSurroundings;
use crossfade_route::{Checked, MoveError, RoutingTable};

use super::changes::{Change, Refusal, written};
use super::{By, Common, Routes, block_on};
use crate::commands::{Verdict, configuration};
use crate::live::Store;
use crate::migration;
use crate::terminal::say;

/// Abort a migration: move all users back to the old system, whatever the state is
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade abort
  crossfade abort --route orders --reason 'checkout is slow' --yes

It works in every state, needs no evidence and only permission to write. It overrides pins and opt-ins, wins over whoever else
changes the state at the same time, and overwrites a state that cannot be read. It asks only on a terminal.
`crossfade resume` begins anew, `crossfade undo` returns to the state before.
Exit codes: 0 aborted, also if it was so before; 1 answered with no; 2 it could not write.")]
pub(crate) struct Abort {
    #[command(flatten)]
    routes: Routes,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    by: By,
}

impl Abort {
    pub(crate) fn run(&self) -> Result<Verdict> {
        const COMMAND: &str = "abort";
        let Abort { routes, common, by } = self;
        let place = common.place()?;
        let table = self.table(&place)?;
        let Some(plan) = table.plan.clone() else { return Err(MoveError::NoPlan.into()) };
        routes.check(&plan)?;
        // In a script, `abort` is the answer already.
        if std::io::stdin().is_terminal() {
            let names = if routes.route.is_empty() { &plan.routes } else { &routes.route };
            let change = format!("all users of {} go to {}", names.join(", "), plan.from);
            if !by.agrees(&[change], COMMAND)? {
                let reasons = vec![(None, "nothing was changed".to_owned())];
                return Refusal { command: COMMAND, version: 0, reasons, hints: Vec::new() }.print(common.json);
            }
        }
        let aborted = block_on(async {
            let store = Store::open(&place).await?;
            migration::abort(&store, &table, &routes.route, &by.author(), SystemTime::now()).await
        })?;
        let version = aborted.overlay.as_ref().map_or(0, |overlay| overlay.version);
        if aborted.moved.is_empty() {
            let before = vec![format!("nothing changes: aborted already in version {version}")];
            return Change { command: COMMAND, version, before, ..Change::default() }.print(&plan, common.json);
        }
        if let Some(error) = &aborted.unread {
            say(&format!("warning: the live state could not be read and was overwritten: {error:#}"));
            say(&format!(
                "  hint: other changes in it may be gone; `{}` lists earlier versions",
                common.command("history")
            ));
        }
        let before = aborted.overlay.iter().map(written).collect();
        let after = vec![
            format!("see it take effect  {} LOG", common.command("status")),
            format!("begin anew          {}{}", common.command("resume"), routes.again()),
            format!("undo it             {}", common.command("undo")),
        ];
        let migration::Aborted { moved, overlay, unread } = aborted;
        let unread = unread.map(|error| format!("{error:#}"));
        let change = Change { command: COMMAND, overlay, version, moved, unread, before, after, ..Change::default() };
        change.print(&plan, common.json)
    }

    /// The table of the file; if the file has errors, is missing or has no plan, one that has nothing but the plan, as far as the file
    /// or the state has one.
    fn table(&self, place: &str) -> Result<RoutingTable> {
        let file = &self.common.config;
        let error = match configuration::compiled(file) {
            Ok((table, _)) if table.plan.is_some() => return Ok(table),
            Ok(_) => MoveError::NoPlan.into(),
            Err(error) => error,
        };
        let surroundings = LocalSurroundings { folder: file.parent().unwrap_or(Path::new("")) };
        let text = configuration::text(file).unwrap_or_default();
        let of_file = Checked::new(&text, &file.display().to_string(), &surroundings).plan;
        let overlay = super::read(place).ok().flatten();
        let of_state = || overlay.as_ref().and_then(migration::plan_of);
        let (mut plan, whose) = match (of_file, of_state) {
            (Some(plan), _) => (plan, "its `migration`"),
            (None, of_state) => (of_state().ok_or(error)?, "the live state"),
        };
        say(&format!("warning: `{}` cannot be used as it is; {whose} says enough for an abort", file.display()));
        // A route with errors may have users on the new system.
        let migrating = overlay.iter().flat_map(|overlay| &overlay.routes).filter(|(_, it)| it.migration.is_some());
        plan.routes.extend(migrating.map(|(name, _)| name.clone()));
        plan.routes.sort_unstable();
        plan.routes.dedup();
        let mut table = RoutingTable::from_backend_url("https://localhost", "", &surroundings)?;
        table.plan = Some(plan);
        Ok(table)
    }
}
