//! Invocations that move a migration: a schedule looks at the evidence, an alarm takes users back. Owns what they do and the line
//! and reply about it. The decisions are `crossfade-migration`'s, the moves `crossfade-route`'s, stores and log `live`'s. The caller
//! puts the new state in use.
//!
//! A schedule that cannot see enough changes nothing, and says why. An alarm does not give up before its time is over: then the
//! invocation fails, so that Lambda tries again.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossfade_journal::comparison::{Record, is_supported};
use crossfade_journal::{AccessRecord, Names};
use crossfade_migration::{Evidences, Judgement, why};
use crossfade_route::migration::{Next, Phase, Plan, Schedule};
use crossfade_route::{Author, Move, MoveError, Overlay, RoutingTable};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::Task;
use crate::live::{Failure, Live, Stored, told};
use crate::logs::Span;
use crate::notice::{Alarm, Notice};

/// Time that a schedule keeps for writing, after it has read the log.
const WRITE: Duration = Duration::from_secs(3);

/// The limit of a request to the store, of which an alarm may need several.
const REQUEST: Duration = Duration::from_secs(2);

/// Time that an alarm keeps for overwriting a state that it could not read.
const LAST: Duration = Duration::from_secs(1);

/// An alarm that finds the store busy waits so long before it tries again.
const AGAIN: Duration = Duration::from_millis(50);

/// Before the first change the evidence is that of the last day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Characters of an alarm's reason that the history keeps.
const MAX_REASON: usize = 500;

/// The result of such an invocation.
#[derive(Debug)]
pub struct Outcome {
    /// The log line, and the reply.
    document: Value,
    /// A reason for Lambda to try again.
    pub failure: Option<String>,
    /// A state that has been written, to be put in use.
    pub next: Option<Arc<Overlay>>,
}

/// A configuration with live state.
#[derive(Debug)]
pub struct InUse<'l> {
    /// The store.
    pub live: &'l Live,
    /// The table of the file.
    pub table: Arc<RoutingTable>,
    /// The overlay in use, which is not always the one in the store.
    pub overlay: Option<Arc<Overlay>>,
}

/// The result of an alarm.
enum Aborted {
    /// Everyone is on the old system by this state, which has been written.
    Now(Overlay),
    /// That was so already.
    Before(Option<Overlay>),
    /// The alarm is about what was before the last change.
    Late,
}

/// The share of a migration that an alarm concerns.
enum Due {
    Routes(Vec<String>),
    Late,
    Nothing,
}

/// A change of the live state, by one invocation.
struct Change<'c> {
    live: &'c Live,
    table: &'c RoutingTable,
    in_use: Option<&'c Overlay>,
    now: SystemTime,
    deadline: Instant,
}

impl Notice {
    /// Does what the event asks for, as far as the configuration allows it.
    pub fn act<'n>(&'n self, in_use: Option<InUse<'n>>, now: SystemTime, deadline: Instant) -> Task<'n, Outcome> {
        Box::pin(async move {
            let mut outcome = self.begun(in_use.as_ref().map(|it| it.live));
            if let Err(error) = self.acted(in_use.as_ref(), now, deadline, &mut outcome).await {
                let is_fatal = outcome.document.get("aborted") == Some(&Value::Bool(false));
                outcome.failure = is_fatal.then(|| error.clone());
                outcome.fail(error);
            }
            outcome
        })
    }

    /// The outcome if it panicked.
    #[must_use]
    pub fn lost(&self, live: Option<&Live>, panic: String) -> Outcome {
        let mut outcome = self.begun(live);
        outcome.failure = Some(panic.clone());
        outcome.fail(panic);
        outcome
    }

    fn begun(&self, live: Option<&Live>) -> Outcome {
        let mut document = json!({ "type": "live", "level": "INFO" });
        document["event"] = match self {
            Notice::Alarms(_) => "alarm".into(),
            Notice::Advance => "advance".into(),
            Notice::Unknown(_) => "unknown".into(),
        };
        if let Some(live) = live {
            document["place"] = live.place().into();
        }
        Outcome { document, failure: None, next: None }
    }

    async fn acted(
        &self,
        in_use: Option<&InUse<'_>>,
        now: SystemTime,
        deadline: Instant,
        outcome: &mut Outcome,
    ) -> Result<(), String> {
        let Some(InUse { live, table, overlay }) = in_use else {
            return Err("`CROSSFADE_LIVE` is not set, so there is no live state to change".to_owned());
        };
        outcome.document["version"] = json!(overlay.as_ref().map(|overlay| overlay.version));
        let plan = table.plan.as_ref().ok_or_else(|| MoveError::NoPlan.to_string())?;
        if live.is_read_only() {
            return Err(
                "the function cannot write to AppConfig: move users with the commands, and let AppConfig's own alarms \
                        roll back"
                    .to_owned(),
            );
        }
        let change = Change { live, table, in_use: overlay.as_deref(), now, deadline };
        match self {
            Notice::Advance => change.advance(plan, outcome).await,
            Notice::Alarms(alarms) => change.alarms(plan, alarms, outcome).await,
            Notice::Unknown(reason) => Err((*reason).to_owned()),
        }
    }
}

impl Outcome {
    /// Adds changes of [`next`](Outcome::next) that do not fit the configuration.
    pub fn note(&mut self, mismatches: &[String]) {
        if !mismatches.is_empty() {
            self.fail(told(mismatches));
        }
    }

    /// The log line, which is also the reply.
    #[must_use]
    pub fn text(&self) -> String {
        self.document.to_string()
    }

    fn fail(&mut self, error: String) {
        (self.document["level"], self.document["error"]) = ("ERROR".into(), error.into());
    }

    /// Takes a state that has been written.
    fn adopt(&mut self, next: Overlay) {
        self.document["version"] = next.version.into();
        (self.document["by"], self.document["change"]) = (next.by.clone().into(), next.change.clone().into());
        if let Some(reason) = &next.reason {
            self.document["reason"] = reason.clone().into();
        }
        self.next = Some(Arc::new(next));
    }
}

impl Change<'_> {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    async fn advance(&self, plan: &Plan, outcome: &mut Outcome) -> Result<(), String> {
        if plan.schedule == Schedule::Off {
            return Err(
                "the configuration allows a schedule nothing: set `migration.schedule` to `advance`, or to `abort` \
                        to only take users back"
                    .to_owned(),
            );
        }
        let stored = self.live.read(self.now, REQUEST.min(self.left())).await;
        let stored = stored.map_err(|failure| format!("the live state cannot be read: {}", failure.reason))?;
        let overlay = stored.overlay.as_ref();
        outcome.document["version"] = json!(overlay.map(|overlay| overlay.version));
        let mut evidences = Evidences::new(self.table, plan, overlay)
            .map_err(|error| format!("`migration.guard` cannot be used: {error}"))?;
        let mut unread = None;
        if let Some(since) = evidences.since()
            && let Err(reason) = self.collect(plan, since, &mut evidences).await
        {
            unread = Some(format!("the log cannot be read: {reason}"));
            evidences.incomplete(reason);
        }
        let judgements = evidences.judgements(self.now);
        let advance = crossfade_migration::advance(self.table, overlay, &judgements, "schedule", self.now);
        let advance = advance.map_err(|error| error.to_string())?;
        let written = match &advance.next {
            None => Ok(true),
            Some(next) => self.live.write(next, Some(&stored), self.now, WRITE.min(self.left())).await,
        };
        let is_changed = advance.next.is_some() && written == Ok(true);
        outcome.document["changed"] = is_changed.into();
        let next = advance.next.filter(|_| is_changed);
        let moved = |route: &str| next.as_ref()?.routes.get(route)?.migration;
        let shown = |(judgement, (route, decision)): (&Judgement, &(String, Next))| {
            let progress = moved(route).unwrap_or(judgement.progress);
            let (word, reason) = match (decision, &written) {
                (Next::Hold(_), _) => ("hold", why(decision, plan)),
                (_, Ok(false)) => ("hold", "somebody else has changed the live state in the meantime".to_owned()),
                (_, Err(_)) => ("hold", "the live state cannot be written".to_owned()),
                (Next::Abort(..), Ok(true)) => ("abort", why(decision, plan)),
                (Next::Advance(_), Ok(true)) if moved(route).is_some_and(|now| now != judgement.progress) => {
                    ("advance", why(decision, plan))
                }
                (Next::Advance(_), _) if plan.schedule == Schedule::Abort => {
                    ("hold", "the guard holds, but `migration.schedule: abort` begins no step".to_owned())
                }
                (Next::Advance(_), _) => ("hold", "the guard holds, but another route's does not".to_owned()),
            };
            json!({
                "route": route,
                "share": progress.share.percent(),
                "phase": progress.phase.as_str(),
                "decision": word,
                "reason": reason,
                "guard": judgement.conditions().collect::<Vec<_>>(),
            })
        };
        // Lambda tries again what takes users back.
        if written.is_err() && advance.routes.iter().any(|(_, next)| matches!(next, Next::Abort(..))) {
            outcome.document["aborted"] = false.into();
        }
        outcome.document["routes"] = judgements.iter().zip(&advance.routes).map(shown).collect();
        if let Some(next) = next {
            outcome.adopt(next);
        }
        written.map_err(|failure| format!("the live state cannot be written: {}", failure.reason))?;
        unread.map_or(Ok(()), Err)
    }

    /// Counts the lines of the function's own log.
    async fn collect(&self, plan: &Plan, since: SystemTime, evidences: &mut Evidences<'_>) -> Result<(), String> {
        let is_known = since != SystemTime::UNIX_EPOCH;
        let from = if is_known { since } else { self.now.checked_sub(DAY).unwrap_or(since) };
        // The filter knows the route under one name.
        let routes = if self.table.access_names == Names::Otel { &[][..] } else { &plan.routes };
        let span = Span { group: self.live.log_group()?, routes, from, until: self.now };
        let end = self.deadline.checked_sub(WRITE.min(self.left() / 2)).unwrap_or(self.deadline);
        let mut unsupported: u64 = 0;
        let mut line = |line: &str| match line {
            line if line.starts_with("{\"type\":\"access\"") => match serde_json::from_str::<AccessRecord<'_>>(line) {
                Ok(record) if record.version == AccessRecord::VERSION => evidences.add_access(&record),
                _ => unsupported = unsupported.saturating_add(1),
            },
            line if line.starts_with("{\"type\":\"compare\"") => match serde_json::from_str::<Record>(line) {
                Ok(record) if is_supported(record.version) => evidences.add_comparison(&record),
                _ => unsupported = unsupported.saturating_add(1),
            },
            _ => {}
        };
        self.live.read_log(&span, end, &mut line).await?;
        match unsupported {
            0 => Ok(()),
            count => Err(format!("{count} lines of the log cannot be read, as after a change of Crossfade's version")),
        }
    }

    async fn alarms(&self, plan: &Plan, alarms: &[Alarm], outcome: &mut Outcome) -> Result<(), String> {
        let is_listed = |alarm: &Alarm| plan.alarms.iter().any(|known| [&alarm.name, &alarm.arn].contains(&known));
        let acting = |alarm: &&Alarm| alarm.state == "ALARM" && is_listed(alarm);
        let shown = |alarm: &Alarm| {
            let reason = match (is_listed(alarm), alarm.state.as_str()) {
                (false, _) => "it is not in `migration.alarms`",
                (true, "ALARM") => "it is in `migration.alarms`",
                (true, _) => "only the state ALARM aborts the migration",
            };
            json!({ "name": alarm.name, "arn": alarm.arn, "state": alarm.state, "reason": reason })
        };
        outcome.document["alarms"] = alarms.iter().map(shown).collect();
        outcome.document["changed"] = false.into();
        let Some(alarm) = alarms.iter().find(acting) else { return Ok(()) };
        let latest = alarms.iter().filter(acting).filter_map(|alarm| alarm.time).max();
        let reason: String = alarm.reason.chars().take(MAX_REASON).collect();
        let author = Author { by: format!("alarm {}", alarm.name), reason: Some(reason).filter(|it| !it.is_empty()) };
        // Until it has been written.
        outcome.document["aborted"] = false.into();
        match self.abort(plan, &author, latest).await {
            Ok(Aborted::Now(next)) => {
                outcome.document["changed"] = true.into();
                outcome.adopt(next);
            }
            Ok(Aborted::Before(overlay)) => {
                outcome.document["reason"] = "the migration was aborted before".into();
                // By another environment, and this one may not know it yet.
                if let Some(overlay) = overlay {
                    outcome.adopt(overlay);
                }
            }
            Ok(Aborted::Late) => {
                outcome.document["reason"] =
                    "no user is on the new system, and the alarm is older than the last change".into();
                if let Some(members) = outcome.document.as_object_mut() {
                    members.remove("aborted");
                }
                return Ok(());
            }
            Err(error) => return Err(format!("the migration cannot be aborted: {error}")),
        }
        outcome.document["aborted"] = true.into();
        Ok(())
    }

    /// Takes all users back, whatever it takes. `latest` is the time of the alarm. A state that cannot be read for good is
    /// overwritten, one that cannot be read for the moment only when there is no time left: it may have more than is known here.
    async fn abort(&self, plan: &Plan, author: &Author, latest: Option<SystemTime>) -> Result<Aborted, String> {
        let (mut failures, mut last) = (0_u32, "the time of the invocation is over".to_owned());
        loop {
            let left = self.left();
            if left.is_zero() {
                return Err(last);
            }
            let limit = REQUEST.min(left.checked_sub(LAST).unwrap_or(left));
            let (next, failure) = match self.live.read(self.now, limit).await {
                Ok(stored) => {
                    let overlay = stored.overlay.clone();
                    let next = match self.due(plan, overlay.as_ref(), latest) {
                        Due::Routes(routes) => self.aborted(&routes, overlay.as_ref(), author)?,
                        Due::Late => return Ok(Aborted::Late),
                        Due::Nothing => return Ok(Aborted::Before(overlay)),
                    };
                    match self.write(&next, &stored).await {
                        Ok(true) => return Ok(Aborted::Now(next)),
                        Ok(false) => (None, None),
                        // A condition may need a permission that writing does not.
                        Err(failure) => (Some(next).filter(|_| failure.is_lasting), Some(failure)),
                    }
                }
                Err(failure) => {
                    let is_last = failure.is_lasting || self.left() <= LAST;
                    let next = is_last.then(|| self.aborted(&plan.routes, self.in_use, author)).transpose()?;
                    (next.map(|next| next.above_all(self.now)), Some(failure))
                }
            };
            if let Some(failure) = failure {
                failures = failures.saturating_add(1);
                last = failure.reason;
            }
            if let Some(next) = next {
                match self.live.write(&next, None, self.now, REQUEST.min(self.left())).await {
                    Ok(_) => return Ok(Aborted::Now(next)),
                    Err(failure) => last = format!("{last}; {}", failure.reason),
                }
            }
            sleep(AGAIN.saturating_mul(failures.clamp(1, 10)).min(self.left())).await;
        }
    }

    /// The routes that an alarm takes back.
    fn due(&self, plan: &Plan, overlay: Option<&Overlay>, latest: Option<SystemTime>) -> Due {
        let (mut routes, mut is_late) = (Vec::new(), false);
        for route in &plan.routes {
            let progress = self.table.progress(plan, overlay, route);
            if progress.phase == Phase::Aborted {
                continue;
            }
            // Without users on the new system a late event must not end what somebody has begun anew since.
            if progress.share.is_zero() && latest.is_some_and(|latest| latest < progress.since) {
                is_late = true;
            } else {
                routes.push(route.clone());
            }
        }
        match (routes.is_empty(), is_late) {
            (false, _) => Due::Routes(routes),
            (true, true) => Due::Late,
            (true, false) => Due::Nothing,
        }
    }

    async fn write(&self, next: &Overlay, stored: &Stored) -> Result<bool, Failure> {
        self.live.write(next, Some(stored), self.now, REQUEST.min(self.left())).await
    }

    fn aborted(&self, routes: &[String], overlay: Option<&Overlay>, author: &Author) -> Result<Overlay, String> {
        let moved = self.table.moved(overlay, routes, Move::Abort, author, self.now);
        let fits = |next: &Overlay| self.live.takes(&next.clone().above_all(self.now));
        moved.map(|moved| moved.next.shortened(fits)).map_err(|error| error.to_string())
    }
}
