//! A migration with its live state, as the commands and the inspector see it. Owns reading and writing the state as one step, an
//! abort that nothing holds up, and the return to an earlier version. The decisions are
//! `crossfade-migration`'s, the moves `crossfade-route`'s, the stores `live`'s.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow};
use crossfade_migration::Evidences;
use crossfade_route::migration::{Plan, Progress};
use crossfade_route::{Author, Move, MoveError, Moved, Overlay, RouteChanges, RoutingTable, Share, Transition};
use serde_json::{Value, json};

use crate::live::{Invalid, Store, Stored, WriteError};

/// Versions that `undo` and `history` look at.
pub(crate) const MAX_HISTORY: usize = 1_000;

/// Attempts of an abort to write what it has read, before it overwrites whatever is there.
const ATTEMPTS: u32 = 20;

/// An abort does not wait longer for earlier versions.
const HISTORY: Duration = Duration::from_secs(5);

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
    /// Somebody else has changed the state since it was read: the state now, as far as it can be read.
    Conflict(Option<Box<Overlay>>),
    Failed(anyhow::Error),
}

/// The result of an abort.
#[derive(Debug)]
pub(crate) struct Aborted {
    /// Empty if all of these routes were aborted before; then nothing was written.
    pub(crate) moved: Vec<Moved>,
    pub(crate) overlay: Option<Overlay>,
    /// The reason why the present state was overwritten unread. Then all routes of the plan are aborted, and changes that are not
    /// in `overlay` are gone.
    pub(crate) unread: Option<anyhow::Error>,
}

impl Migration {
    /// Reads the state.
    pub(crate) async fn open(place: &str, table: RoutingTable) -> Result<Migration> {
        let plan = table.plan.clone().ok_or(MoveError::NoPlan)?;
        let store = Store::open(place).await?;
        let stored = store.read().await.map_err(|error| match error.is::<Invalid>() {
            true => anyhow!(
                "{error:#}\n  hint: `crossfade undo` returns to the last valid version; `crossfade abort` moves everyone back and \
                 overwrites it"
            ),
            false => error,
        })?;
        Ok(Migration { store, table, plan, stored })
    }

    /// Reads the state to undo it to `version`, or the last one that can be read if it is damaged. What is written next then
    /// replaces the damaged one.
    pub(crate) async fn open_damaged(
        place: &str,
        table: RoutingTable,
        version: Option<u32>,
    ) -> Result<(Migration, bool)> {
        let plan = table.plan.clone().ok_or(MoveError::NoPlan)?;
        let store = Store::open(place).await?;
        let (stored, is_damaged) = match store.read().await {
            Ok(stored) => (stored, false),
            Err(error) => {
                let Invalid { revision, .. } = error.downcast::<Invalid>()?;
                let last = match history(&store, 20).await {
                    Ok(history) => history.into_iter().next(),
                    // The file alone needs no history.
                    Err(_) if version == Some(0) => None,
                    Err(error) => return Err(error.context("cannot look for earlier versions")),
                };
                (Stored { overlay: last, revision: Some(revision) }, true)
            }
        };
        Ok((Migration { store, table, plan, stored }, is_damaged))
    }

    /// Starts to collect the evidence for the present state.
    pub(crate) fn evidences(&self) -> Result<Evidences<'_>> {
        Evidences::new(&self.table, &self.plan, self.stored.overlay.as_ref())
            .map_err(|error| anyhow!("`migration.guard`: {error}"))
    }

    /// Returns the version of the present state; 0 before the first change.
    pub(crate) fn version(&self) -> u32 {
        self.stored.overlay.as_ref().map_or(0, |overlay| overlay.version)
    }

    /// Writes the next state. Reads nothing before: if the state has changed since it was read, that is a conflict.
    pub(crate) async fn write(&mut self, next: &Overlay) -> Result<Overlay, ChangeError> {
        let written = match self.store.write(next, self.stored.revision.as_deref()).await {
            Ok(written) => written,
            Err(WriteError::Conflict) => {
                let now = self.store.read().await.ok().and_then(|stored| stored.overlay);
                return Err(ChangeError::Conflict(now.map(Box::new)));
            }
            Err(WriteError::Failed(error)) => return Err(ChangeError::Failed(error)),
        };
        // Reading it may not be allowed, and others may have written since: it has been written nevertheless.
        self.stored = match self.store.read().await {
            Ok(stored) => stored,
            Err(_) => Stored { overlay: Some(written.clone()), revision: None },
        };
        Ok(written)
    }

    /// Returns the last valid version, or an earlier one, as the state that replaces a damaged one, and the version that it has.
    pub(crate) async fn repaired(
        &self,
        version: Option<u32>,
        author: &Author,
        now: SystemTime,
    ) -> Result<(u32, Overlay)> {
        let last = self.stored.overlay.as_ref();
        let last_version = last.map(|last| last.version);
        let Some(version) = version.or(last_version).filter(|version| last.is_some() || *version == 0) else {
            let hint = "  hint: `undo 0` returns to the file alone";
            return Err(anyhow!("the live state is invalid, and the store keeps no valid version\n{hint}"));
        };
        let earlier = match last_version.is_some_and(|last| version < last) {
            true => self.undo(Some(version), author, now).await?.1,
            false if last_version.is_none_or(|last| version == last) => None,
            false => return Err(anyhow!("cannot find version {version}; the last valid one is {}", self.version())),
        };
        let same = || Overlay::after(last, author, format!("undo: as in version {version}"), now);
        // Whatever number the damaged one may have had.
        Ok((version, earlier.unwrap_or_else(same).above_all(now)))
    }

    /// Returns the state of an earlier version, or of the one before the last change, as the next one, and the version that it
    /// has; `None` if nothing would change. Version 0 is the file alone.
    pub(crate) async fn undo(
        &self,
        version: Option<u32>,
        author: &Author,
        now: SystemTime,
    ) -> Result<(u32, Option<Overlay>)> {
        let Some(present) = &self.stored.overlay else { return Err(anyhow!("there is nothing to undo")) };
        if version.is_some_and(|version| version >= present.version) {
            let present = present.version;
            return Err(anyhow!("version {present} is the present one; `undo` returns to one before it"));
        }
        // The first change needs no history.
        let version = version.or((present.version == 1).then_some(0));
        if version == Some(0) {
            return Ok((0, restored(present, &BTreeMap::new(), 0, author, now)));
        }
        let most = if version.is_some() { MAX_HISTORY } else { 20 };
        let history = history(&self.store, most).await.context("cannot look for earlier versions")?;
        // The newest comes first; after a deletion older ones may have higher numbers. A person who changes the state by hand may
        // leave its number as it was.
        let mut earlier = history.iter().filter(|overlay| overlay.version <= present.version && *overlay != present);
        let found = match version {
            Some(version) => earlier.clone().find(|overlay| overlay.version == version),
            None => earlier.next(),
        };
        match found {
            Some(found) => Ok((found.version, restored(present, &found.routes, found.version, author, now))),
            None => {
                let known: Vec<String> = earlier.take(10).map(|overlay| overlay.version.to_string()).collect();
                let known = match known.is_empty() {
                    true => "the store keeps no earlier version: a bucket must have versioning enabled".to_owned(),
                    false => format!("the latest earlier ones are {}", known.join(", ")),
                };
                let wanted = version.map_or("the version before".to_owned(), |version| format!("version {version}"));
                Err(anyhow!("cannot find {wanted}; {known}; `undo 0` returns to the file alone"))
            }
        }
    }
}

/// The state of an earlier version as the next one. Routes that do not change keep the version that changed them last, and with it
/// their evidence.
fn restored(
    present: &Overlay,
    earlier: &BTreeMap<String, RouteChanges>,
    version: u32,
    author: &Author,
    now: SystemTime,
) -> Option<Overlay> {
    let mut next = Overlay::after(Some(present), author, format!("undo: as in version {version}"), now);
    for name in present.routes.keys().chain(earlier.keys()) {
        let was = present.routes.get(name).cloned().unwrap_or_default();
        let mut changes = earlier.get(name).cloned().unwrap_or_default();
        changes.version = was.version;
        if let (Some(progress), Some(before)) = (&mut changes.migration, &was.migration) {
            progress.since = before.since;
        }
        if changes == was {
            continue;
        }
        if moves_users(&was, &changes) {
            changes.version = next.version;
            if let Some(progress) = &mut changes.migration {
                progress.since = now;
            }
        }
        next.routes.insert(name.clone(), changes);
    }
    (next.routes != present.routes).then_some(next)
}

/// Returns whether other users are on a system after a change. A pause moves nobody, nor does a larger mirror.
fn moves_users(before: &RouteChanges, after: &RouteChanges) -> bool {
    let share = |changes: &RouteChanges| changes.migration.map(|progress| progress.share);
    let (is_same, is_user) = (before.weights == after.weights, before.pins == after.pins && before.only == after.only);
    !is_same || !is_user || before.opt_in != after.opt_in || share(before) != share(after)
}

/// Takes the users of these routes, or of all routes of the plan, back to the old system, in every state: it needs no evidence, wins
/// over other writers, and overwrites a state that cannot be read. `table` is that of the file.
pub(crate) async fn abort(
    store: &Store,
    table: &RoutingTable,
    routes: &[String],
    author: &Author,
    now: SystemTime,
) -> Result<Aborted> {
    let step = |before: Option<&Overlay>, routes: &[String]| table.moved(before, routes, Move::Abort, author, now);
    for attempt in 0..ATTEMPTS {
        let stored = match store.read().await {
            Ok(stored) => stored,
            Err(error) => {
                // What can be saved of it is.
                let history = tokio::time::timeout(HISTORY, history(store, 20)).await;
                let history = history.ok().and_then(Result::ok).unwrap_or_default();
                let last = history.into_iter().next();
                let Transition { next, moved, .. } = step(last.as_ref(), &[])?;
                let overlay = Some(store.overwrite(&next.shortened(|next| store.takes(next))).await?);
                return Ok(Aborted { moved, overlay, unread: Some(error) });
            }
        };
        let Transition { next, moved, .. } = step(stored.overlay.as_ref(), routes)?;
        if stored.overlay.as_ref().is_some_and(|before| is_unchanged(before, &next)) {
            return Ok(Aborted { moved: Vec::new(), overlay: stored.overlay, unread: None });
        }
        let next = next.shortened(|next| store.takes(next));
        match store.write(&next, stored.revision.as_deref()).await {
            Ok(written) => return Ok(Aborted { moved, overlay: Some(written), unread: None }),
            Err(WriteError::Conflict) => tokio::time::sleep(Duration::from_millis(u64::from(10 * attempt))).await,
            Err(WriteError::Failed(error)) => {
                // A condition may need a permission that writing does not.
                let overlay = Some(store.overwrite(&next).await.map_err(|_| error)?);
                return Ok(Aborted { moved, overlay, unread: None });
            }
        }
    }
    let Transition { next, moved, .. } = step(store.read().await?.overlay.as_ref(), routes)?;
    Ok(Aborted {
        moved,
        overlay: Some(store.overwrite(&next.shortened(|next| store.takes(next))).await?),
        unread: None,
    })
}

/// The plan that a state says enough of for an abort, if the configuration has none: the routes that migrate, and the system that the rest
/// of their users is on. `None` if the state does not tell.
pub(crate) fn plan_of(overlay: &Overlay) -> Option<Plan> {
    let routes: Vec<(&String, &RouteChanges, Progress)> =
        overlay.routes.iter().filter_map(|(name, changes)| Some((name, changes, changes.migration?))).collect();
    let systems = routes.iter().find_map(|(_, changes, progress)| {
        let (from, to) = progress.share.weights()?;
        let of = |weight| changes.weights.iter().filter(move |(_, own)| **own == weight).map(|(name, _)| name);
        let (old, new): (Vec<&String>, Vec<&String>) = (of(from).collect(), of(to).collect());
        match (&old[..], &new[..]) {
            ([old], [new]) if old != new => Some(((*old).clone(), (*new).clone())),
            _ => None,
        }
    });
    let (from, to) = systems?;
    let routes = routes.into_iter().map(|(name, ..)| name.clone()).collect();
    Some(Plan { from, to, routes, ..Plan::default() })
}

/// A change as JSON documents have it.
pub(crate) fn change_json(overlay: &Overlay) -> Value {
    let Overlay { version, at, by, change, reason, .. } = overlay;
    let at = Some(*at).filter(|at| *at > SystemTime::UNIX_EPOCH).map(rfc3339);
    json!({ "version": version, "at": at, "by": by, "change": change, "reason": reason })
}

/// RFC 3339, UTC, whole seconds.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Parses a share that a promotion can have: `25%` or `25`, with at most one decimal.
pub(crate) fn share(text: &str) -> Option<Share> {
    let number = text.trim().strip_suffix('%').unwrap_or(text).trim();
    Share::parse(number).filter(|share| share.weights().is_some())
}

/// The name of the user of this machine, for the history.
pub(crate) fn user() -> String {
    let short = |name: String| one_line(&name).chars().take(100).collect();
    let variable = |name| std::env::var(name).ok().map(short).filter(|name: &String| !name.is_empty());
    ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(variable).unwrap_or_else(|| "unknown".to_owned())
}

/// A text for the history, where each is one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split(char::is_control).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The latest versions that can be read, the newest first.
pub(crate) async fn history(store: &Store, most: usize) -> Result<Vec<Overlay>> {
    Ok(store.history(most).await?.into_iter().filter_map(|version| version.overlay.ok()).collect())
}

fn is_unchanged(before: &Overlay, next: &Overlay) -> bool {
    let same = |(name, after): (&String, &RouteChanges)| {
        before.routes.get(name).is_some_and(|was| *after == RouteChanges { version: after.version, ..was.clone() })
    };
    next.routes.iter().all(same)
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeError::Refused(error) => error.fmt(f),
            ChangeError::Conflict(None) => f.write_str("somebody else has changed the live state in the meantime"),
            ChangeError::Conflict(Some(now)) => {
                let Overlay { version, at, by, change, reason, .. } = &**now;
                let at = rfc3339(*at);
                let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
                let text = format!(
                    "{by} has changed the live state in the meantime: version {version} at {at}, {change}{reason}"
                );
                f.write_str(&one_line(&text))
            }
            ChangeError::Failed(error) => write!(f, "{error:#}"),
        }
    }
}
