//! A migration with its live state, as the commands and the inspector see it. Owns reading and writing the state as one step, and
//! the words for why nothing moves. The decisions are `crossfade-migration`'s, the moves `crossfade-route`'s, the stores `live`'s.

use std::time::SystemTime;

use anyhow::{Result, anyhow};
use crossfade_migration::Evidences;
use crossfade_route::migration::{Evidence, Hold, Next, Plan};
use crossfade_route::{Author, Move, MoveError, Moved, RoutingTable};

use crate::live::{Store, Stored, WriteError};

/// The plan of a configuration and its present state.
#[derive(Debug)]
pub(crate) struct Migration {
    pub(crate) store: Store,
    /// That of the file, without an overlay.
    pub(crate) table: RoutingTable,
    pub(crate) plan: Plan,
    pub(crate) stored: Stored,
}

/// A reason why nothing was changed.
#[derive(Debug)]
pub(crate) enum ChangeError {
    /// The state does not allow it.
    Refused(MoveError),
    /// Somebody else has changed the state since it was read.
    Conflict,
    Failed(anyhow::Error),
}

impl Migration {
    /// Reads the state.
    pub(crate) async fn open(place: &str, table: RoutingTable) -> Result<Migration> {
        let plan = table.plan.clone().ok_or(MoveError::NoPlan)?;
        let store = Store::open(place).await?;
        let stored = store.read().await?;
        Ok(Migration { store, table, plan, stored })
    }

    /// Starts to collect the evidence for the present state.
    pub(crate) fn evidences(&self) -> Result<Evidences<'_>> {
        Evidences::new(&self.table, &self.plan, self.stored.overlay.as_ref())
            .map_err(|error| anyhow!("`migration.guard`: {error}"))
    }

    /// Moves these routes, or all that can move if there are none, and writes the new state. Reads nothing: if the state has
    /// changed since, that is a conflict.
    pub(crate) async fn change(
        &mut self,
        routes: &[String],
        step: Move,
        author: &Author,
        now: SystemTime,
    ) -> Result<Vec<Moved>, ChangeError> {
        let before = self.stored.overlay.as_ref();
        let (next, moved) = self.table.moved(before, routes, step, author, now).map_err(ChangeError::Refused)?;
        match self.store.write(&next, self.stored.revision.as_deref()).await {
            Ok(()) => {}
            Err(WriteError::Conflict) => return Err(ChangeError::Conflict),
            Err(WriteError::Failed(error)) => return Err(ChangeError::Failed(error)),
        }
        self.stored = self.store.read().await.map_err(ChangeError::Failed)?;
        Ok(moved)
    }
}

/// Says why a route does not move forward.
pub(crate) fn why_not(next: &Next) -> String {
    match next {
        Next::Advance(_) => "nothing is in its way".to_owned(),
        Next::Abort(_, reason) => format!("the guard fails: {reason}"),
        Next::Hold(Hold::Phase(phase)) => format!("it is {}", phase.as_str()),
        Next::Hold(Hold::Baking(left)) => {
            let seconds = std::time::Duration::from_secs(left.as_secs());
            format!("the step has to bake for another {}", humantime::format_duration(seconds))
        }
        Next::Hold(Hold::NotInEffect) => "the last step is not in effect yet".to_owned(),
        Next::Hold(Hold::Evidence(evidence)) => match evidence {
            Evidence::Pass => "the guard holds".to_owned(),
            Evidence::Fail(reason) => format!("the guard fails: {reason}"),
            Evidence::TooFew(count) => format!("there are only {count} samples"),
            Evidence::CannotBeJudged(reason) => format!("the guard cannot be judged: {reason}"),
            Evidence::Missing(reason) => format!("there is no evidence: {reason}"),
        },
    }
}
