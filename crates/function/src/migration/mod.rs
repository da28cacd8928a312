//! Invocations that move a migration: a schedule looks at the evidence, an alarm takes users back. Owns what they do and the line
//! and reply about it. The decisions are `crossfade-migration`'s, the moves `crossfade-route`'s, stores and log `live`'s.
//!
//! A schedule that cannot see enough changes nothing, and says why. An alarm does not give up before its time is over: then the
//! invocation fails, so that Lambda tries again.

mod notice;

use std::time::{Duration, SystemTime};

use crossfade_journal::AccessRecord;
use crossfade_journal::comparison::{Record, is_supported};
use crossfade_migration::{Evidences, Judgement, why};
use crossfade_route::migration::{Next, Phase, Plan, Schedule};
use crossfade_route::{Author, Move, MoveError, Overlay, RoutingTable};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

pub(crate) use notice::{Alarm, Notice};

use crate::current::Current;
use crate::invoke::caught;
use crate::live::{Failure, Live, Span, Stored};
use crate::settings::variable;

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
pub(crate) struct Outcome {
    /// The log line, and the reply.
    pub(crate) document: Value,
    /// A reason for Lambda to try again.
    pub(crate) failure: Option<String>,
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

/// A configuration with live state, for one invocation.
struct Change<'c> {
    current: &'c Current,
    live: &'c Live,
    /// That of the file.
    table: RoutingTable,
    /// The overlay in use, which is not always the one in the store.
    in_use: Option<Overlay>,
    now: SystemTime,
    deadline: Instant,
}

impl Notice {
    /// Does what the event asks for, as far as the configuration allows it.
    pub(crate) async fn act(&self, current: &Current, now: SystemTime, deadline: Instant) -> Outcome {
        let mut document = json!({ "type": "live", "level": "INFO" });
        document["event"] = match self {
            Notice::Alarms(_) => "alarm".into(),
            Notice::Advance => "advance".into(),
            Notice::Unknown(_) => "unknown".into(),
        };
        if let Some(live) = current.live() {
            document["place"] = live.place().into();
        }
        let acted = caught(self.acted(current, now, deadline, &mut document)).await;
        let (error, is_lost) = match acted {
            Ok(Ok(())) => (None, false),
            Ok(Err(error)) => (Some(error), false),
            Err(panic) => (Some(panic), true),
        };
        let mut failure = None;
        if let Some(error) = error {
            document["level"] = "ERROR".into();
            let is_fatal = is_lost || document.get("aborted") == Some(&Value::Bool(false));
            failure = is_fatal.then(|| error.clone());
            document["error"] = error.into();
        }
        Outcome { document, failure }
    }

    async fn acted(
        &self,
        current: &Current,
        now: SystemTime,
        deadline: Instant,
        document: &mut Value,
    ) -> Result<(), String> {
        let (Some(live), Some((table, in_use))) = (current.live(), current.base()) else {
            return Err("`CROSSFADE_LIVE` is not set, so there is no live state to change".to_owned());
        };
        document["version"] = json!(in_use.as_ref().map(|overlay| overlay.version));
        let plan = table.plan.clone().ok_or_else(|| MoveError::NoPlan.to_string())?;
        if live.is_read_only() {
            return Err(
                "the function cannot write to AppConfig: move users with the commands, and let AppConfig's own \
                        alarms roll back"
                    .to_owned(),
            );
        }
        let change = Change { current, live, table, in_use, now, deadline };
        match self {
            Notice::Advance => change.advance(&plan, document).await,
            Notice::Alarms(alarms) => change.alarms(&plan, alarms, document).await,
            Notice::Unknown(reason) => Err((*reason).to_owned()),
        }
    }
}

impl Change<'_> {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    async fn advance(&self, plan: &Plan, document: &mut Value) -> Result<(), String> {
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
        document["version"] = json!(overlay.map(|overlay| overlay.version));
        let mut evidences = Evidences::new(&self.table, plan, overlay)
            .map_err(|error| format!("`migration.guard` cannot be used: {error}"))?;
        let mut unread = None;
        if let Some(since) = evidences.since()
            && let Err(reason) = self.collect(plan, since, &mut evidences).await
        {
            unread = Some(format!("the log cannot be read: {reason}"));
            evidences.incomplete(reason);
        }
        let judgements = evidences.judgements(self.now);
        let advance = crossfade_migration::advance(&self.table, overlay, &judgements, "schedule", self.now);
        let advance = advance.map_err(|error| error.to_string())?;
        let written = match &advance.next {
            None => Ok(true),
            Some(next) => self.live.write(next, Some(&stored), self.now, WRITE.min(self.left())).await,
        };
        let is_changed = advance.next.is_some() && written == Ok(true);
        document["changed"] = is_changed.into();
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
            document["aborted"] = false.into();
        }
        document["routes"] = judgements.iter().zip(&advance.routes).map(shown).collect();
        if let Some(next) = next {
            self.adopt(next, document);
        }
        written.map_err(|failure| format!("the live state cannot be written: {}", failure.reason))?;
        unread.map_or(Ok(()), Err)
    }

    /// Counts the lines of the function's own log.
    async fn collect(&self, plan: &Plan, since: SystemTime, evidences: &mut Evidences<'_>) -> Result<(), String> {
        let group = variable("AWS_LAMBDA_LOG_GROUP_NAME")
            .ok_or("`AWS_LAMBDA_LOG_GROUP_NAME` is not set, so the function does not know its log")?;
        let from = match since {
            SystemTime::UNIX_EPOCH => self.now.checked_sub(DAY).unwrap_or(since),
            since => since,
        };
        let span = Span { group: &group, routes: &plan.routes, from, until: self.now };
        let end = self.deadline.checked_sub(WRITE.min(self.left() / 2)).unwrap_or(self.deadline);
        let mut unsupported: u64 = 0;
        let line = |line: &str| match line {
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
        self.live.read_log(&span, end, line).await?;
        match unsupported {
            0 => Ok(()),
            count => Err(format!("{count} lines of the log cannot be read, as after a change of Crossfade's version")),
        }
    }

    async fn alarms(&self, plan: &Plan, alarms: &[Alarm], document: &mut Value) -> Result<(), String> {
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
        document["alarms"] = alarms.iter().map(shown).collect();
        document["changed"] = false.into();
        let Some(alarm) = alarms.iter().find(acting) else { return Ok(()) };
        let latest = alarms.iter().filter(acting).filter_map(|alarm| alarm.time).max();
        let reason: String = alarm.reason.chars().take(MAX_REASON).collect();
        let author = Author { by: format!("alarm {}", alarm.name), reason: Some(reason).filter(|it| !it.is_empty()) };
        // Until it has been written.
        document["aborted"] = false.into();
        match self.abort(plan, &author, latest).await {
            Ok(Aborted::Now(next)) => {
                document["changed"] = true.into();
                self.adopt(next, document);
            }
            Ok(Aborted::Before(overlay)) => {
                document["reason"] = "the migration was aborted before".into();
                // By another environment, and this one may not know it yet.
                if let Some(overlay) = overlay {
                    self.adopt(overlay, document);
                }
            }
            Ok(Aborted::Late) => {
                document["reason"] = "no user is on the new system, and the alarm is older than the last change".into();
                if let Some(members) = document.as_object_mut() {
                    members.remove("aborted");
                }
                return Ok(());
            }
            Err(error) => return Err(format!("the migration cannot be aborted: {error}")),
        }
        document["aborted"] = true.into();
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
                    let next = is_last.then(|| self.aborted(&plan.routes, self.in_use.as_ref(), author)).transpose()?;
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
        moved.map(|moved| moved.next).map_err(|error| error.to_string())
    }

    /// Puts a state in use that has been written.
    fn adopt(&self, next: Overlay, document: &mut Value) {
        document["version"] = next.version.into();
        (document["by"], document["change"]) = (next.by.clone().into(), next.change.clone().into());
        if let Some(reason) = &next.reason {
            document["reason"] = reason.clone().into();
        }
        let mismatches = self.current.apply(Some(Box::new(next)));
        if !mismatches.is_empty() {
            (document["level"], document["error"]) = ("ERROR".into(), mismatches.join("; ").into());
        }
    }
}
