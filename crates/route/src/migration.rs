//! A migration of a route: the plan in the file, the progress in the overlay, and the one function that decides what comes
//! next. Owns the steps and the transitions between them. Reads no clock, no log and no store: times and evidence are
//! arguments.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::mirror::Share;

/// `migration`: how a route's users move from one back end to another.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Plan {
    /// `from`: the back end that has the users at first.
    pub from: String,
    /// `to`: the back end that has them in the end.
    pub to: String,
    /// `steps`: shares of the users on `to`, ascending, the last one 100 %. Before the first step the share is 0.
    pub steps: Vec<Share>,
    /// `bake`: the least time that a step is in effect before the next one.
    pub bake: Duration,
    /// `guard`: conditions of a gate on the evidence.
    pub guard: String,
    /// `samples`: compared responses that a step needs.
    pub samples: u64,
    /// The names of the routes that migrate; each has exactly `from` and `to` as its targets.
    pub routes: Vec<String>,
    /// `schedule`: the most that an invocation by a schedule may do.
    pub schedule: Schedule,
    /// `alarms`: names or ARNs of CloudWatch alarms that abort the migration.
    pub alarms: Vec<String>,
}

/// The power of an invocation by a schedule. People and pipelines have that of their credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// None.
    #[default]
    Off,
    /// It takes users back where the guard fails.
    Abort,
    /// It also begins the next step.
    Advance,
}

/// The progress of a route's migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Users on the new back end.
    pub share: Share,
    /// Decides who may move it.
    pub phase: Phase,
    /// The time since when it has its share, also through a pause: the evidence since then counts.
    pub since: SystemTime,
}

/// A phase of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Moves on when a step has its evidence.
    Running,
    /// Keeps its share until a person moves it.
    Paused,
    /// All users are back on the old back end.
    Aborted,
    /// All users are on the new back end.
    Finished,
}

/// The conclusion about a step from the logs. Missing data is neither a pass nor a fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The guard holds, with enough samples.
    Pass,
    /// The guard does not hold, and that is not chance: the reason.
    Fail(String),
    /// Compared responses, fewer than `samples`.
    TooFew(u64),
    /// The samples do not allow a conclusion: the reason.
    CannotBeJudged(String),
    /// There is no log, or it cannot be read: the reason.
    Missing(String),
}

/// The destination of a promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The next step of the plan.
    NextStep,
    /// A share of the users, of the plan's steps or between them.
    Share(Share),
}

/// A reason why a migration does not move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It is paused, aborted or finished.
    Phase(Phase),
    /// The step is in effect for less than the plan's `bake`: the rest.
    Baking(Duration),
    /// It is unknown since when the step is in effect.
    NotInEffect,
    /// The evidence is no pass.
    Evidence(Evidence),
}

/// A decision of [`Plan::next`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing changes.
    Hold(Hold),
    /// The next step begins.
    Advance(Progress),
    /// All users go back, for this reason.
    Abort(Progress, String),
}

/// A transition that is not possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// `resume` begins anew.
    IsAborted,
    /// A person has to name it.
    IsPaused,
    /// All users are there.
    IsFinished,
    /// The share is not greater than the present one: `abort` and `undo` go back.
    NotForward,
}

impl Phase {
    /// All phases.
    pub const ALL: [Phase; 4] = [Phase::Running, Phase::Paused, Phase::Aborted, Phase::Finished];

    /// Returns the word of the overlay.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Running => "running",
            Phase::Paused => "paused",
            Phase::Aborted => "aborted",
            Phase::Finished => "finished",
        }
    }
}

impl Progress {
    /// Returns the progress before the first step: the new back end gets shadow requests only.
    #[must_use]
    pub fn begin(now: SystemTime) -> Self {
        Progress { share: Share::NONE, phase: Phase::Running, since: now }
    }

    /// Returns the progress with all users on the old back end. Possible in every phase.
    #[must_use]
    pub fn abort(self, now: SystemTime) -> Self {
        match self.phase {
            // Once more changes nothing.
            Phase::Aborted => self,
            _ => Progress { share: Share::NONE, phase: Phase::Aborted, since: now },
        }
    }

    /// Returns the progress that keeps its share until a person moves it.
    ///
    /// # Errors
    ///
    /// [`Refused`] if it does not move by itself anyway.
    pub fn pause(self) -> Result<Self, Refused> {
        match self.phase {
            Phase::Running => Ok(Progress { phase: Phase::Paused, ..self }),
            Phase::Paused => Ok(self),
            Phase::Aborted => Err(Refused::IsAborted),
            Phase::Finished => Err(Refused::IsFinished),
        }
    }

    /// Returns the progress that moves on by itself: with its share after a pause, from the beginning after an abort.
    ///
    /// # Errors
    ///
    /// [`Refused`] if all users are on the new system.
    pub fn resume(self, now: SystemTime) -> Result<Self, Refused> {
        match self.phase {
            Phase::Paused => Ok(Progress { phase: Phase::Running, ..self }),
            Phase::Aborted => Ok(Progress::begin(now)),
            Phase::Running => Ok(self),
            Phase::Finished => Err(Refused::IsFinished),
        }
    }
}

impl Plan {
    /// Returns the first step beyond a share; `None` at 100 %.
    #[must_use]
    pub fn step_after(&self, share: Share) -> Option<Share> {
        self.steps.iter().copied().chain([Share::ALL]).find(|step| *step > share)
    }

    /// Returns the progress after a promotion, which also ends a pause.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the promotion would not move users to the new back end.
    pub fn promote(&self, progress: Progress, target: Target, now: SystemTime) -> Result<Progress, Refused> {
        if progress.phase == Phase::Aborted {
            return Err(Refused::IsAborted);
        }
        let step = self.step_after(progress.share).ok_or(Refused::IsFinished)?;
        let share = match target {
            Target::NextStep => step,
            Target::Share(share) => share,
        };
        if share <= progress.share {
            return Err(Refused::NotForward);
        }
        let phase = if share == Share::ALL { Phase::Finished } else { Phase::Running };
        Ok(Progress { share, phase, since: now })
    }

    /// Decides about a migration that nobody moves by hand. `in_effect` is the time since when (nearly) all requests follow
    /// the progress, as far as that is known. Whoever asks, a person's command, a pipeline or a schedule: the answer to
    /// the same arguments is the same, and nothing moves if nobody asks.
    #[must_use]
    pub fn next(&self, progress: Progress, evidence: Evidence, in_effect: Option<SystemTime>, now: SystemTime) -> Next {
        // A failure waits neither for the end of the step nor for the end of a pause. With no users on the new back end there
        // is nothing to take back.
        if let (Evidence::Fail(reason), Phase::Running | Phase::Paused, true) =
            (&evidence, progress.phase, progress.share > Share::NONE)
        {
            return Next::Abort(progress.abort(now), reason.clone());
        }
        if progress.phase != Phase::Running {
            return Next::Hold(Hold::Phase(progress.phase));
        }
        // Clocks differ: what begins in the future has just begun.
        let Some(in_effect) = in_effect else { return Next::Hold(Hold::NotInEffect) };
        let baked = now.duration_since(in_effect.max(progress.since)).unwrap_or_default();
        if let Some(left) = self.bake.checked_sub(baked).filter(|left| !left.is_zero()) {
            return Next::Hold(Hold::Baking(left));
        }
        match (evidence, self.promote(progress, Target::NextStep, now)) {
            (Evidence::Pass, Ok(next)) => Next::Advance(next),
            (Evidence::Pass, Err(_)) => Next::Hold(Hold::Phase(Phase::Finished)),
            (evidence, _) => Next::Hold(Hold::Evidence(evidence)),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::IsAborted => "the migration is aborted; `crossfade resume` with its `--route` begins it anew",
            Refused::IsPaused => "it is paused; `crossfade resume` goes on, `--route` with its name moves it nevertheless",
            Refused::IsFinished => "all users are on the new system",
            Refused::NotForward => {
                "at least as many users are on the new system; `crossfade abort` takes all of them back, `crossfade undo` \
                 returns to an earlier version"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BAKE: Duration = Duration::from_secs(1800);

    fn share(percent: u32) -> Share {
        Share(percent * 1000)
    }

    fn plan() -> Plan {
        Plan {
            from: "legacy".to_owned(),
            to: "modern".to_owned(),
            steps: [1, 10, 25, 50, 100].map(share).to_vec(),
            bake: BAKE,
            guard: "parity>=99.5%".to_owned(),
            samples: 500,
            routes: vec!["orders".to_owned()],
            schedule: Schedule::Off,
            alarms: Vec::new(),
        }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000 + seconds)
    }

    fn progress(percent: u32, phase: Phase) -> Progress {
        Progress { share: share(percent), phase, since: at(0) }
    }

    #[test]
    fn a_step_needs_its_time_and_a_pass() {
        let (plan, running) = (plan(), progress(10, Phase::Running));
        let next = |evidence, in_effect, now| plan.next(running, evidence, in_effect, now);
        let few = Evidence::TooFew(12);
        let (late, soon) = (at(1800), at(1799));
        for (evidence, in_effect, now, decision) in [
            (Evidence::Pass, Some(at(0)), late, Next::Advance(Progress { share: share(25), since: late, ..running })),
            (Evidence::Pass, Some(at(0)), soon, Next::Hold(Hold::Baking(Duration::from_secs(1)))),
            // It counts from the time at which it takes effect.
            (Evidence::Pass, Some(at(60)), late, Next::Hold(Hold::Baking(Duration::from_secs(60)))),
            (Evidence::Pass, None, late, Next::Hold(Hold::NotInEffect)),
            // The clock of the log is an hour ahead, or behind.
            (Evidence::Pass, Some(at(5400)), late, Next::Hold(Hold::Baking(BAKE))),
            (Evidence::Pass, Some(SystemTime::UNIX_EPOCH), soon, Next::Hold(Hold::Baking(Duration::from_secs(1)))),
            // Missing data is neither a pass nor a reason to go back.
            (few.clone(), Some(at(0)), late, Next::Hold(Hold::Evidence(few))),
            (
                Evidence::Missing("no log".to_owned()),
                Some(at(0)),
                late,
                Next::Hold(Hold::Evidence(Evidence::Missing("no log".to_owned()))),
            ),
            // A failure does not wait.
            (
                Evidence::Fail("errors".to_owned()),
                None,
                at(1),
                Next::Abort(Progress { share: Share::NONE, phase: Phase::Aborted, since: at(1) }, "errors".to_owned()),
            ),
        ] {
            assert_eq!(next(evidence.clone(), in_effect, now), decision, "{evidence:?} {in_effect:?}");
        }
    }

    #[test]
    fn without_users_on_the_new_system_nothing_is_taken_back() {
        let evidence = Evidence::Fail("parity".to_owned());
        let next = plan().next(Progress::begin(at(0)), evidence.clone(), Some(at(0)), at(3600));
        assert_eq!(next, Next::Hold(Hold::Evidence(evidence)));
    }

    #[test]
    fn only_people_move_what_is_paused_aborted_or_finished() {
        for phase in [Phase::Paused, Phase::Aborted, Phase::Finished] {
            let next = |evidence| plan().next(progress(10, phase), evidence, Some(at(0)), at(9000));
            assert_eq!(next(Evidence::Pass), Next::Hold(Hold::Phase(phase)));
            let failed = next(Evidence::Fail("parity".to_owned()));
            match phase {
                // Users on the new system are taken back though somebody waits.
                Phase::Paused => assert!(matches!(failed, Next::Abort(..)), "{failed:?}"),
                _ => assert_eq!(failed, Next::Hold(Hold::Phase(phase))),
            }
        }
    }

    #[test]
    fn a_pause_is_no_new_step() {
        let running = progress(10, Phase::Running);
        let paused = running.pause().unwrap();
        assert_eq!(paused, progress(10, Phase::Paused));
        assert_eq!(paused.resume(at(900)), Ok(running));
        assert_eq!(paused.abort(at(900)).resume(at(1000)), Ok(Progress::begin(at(1000))));
    }

    #[test]
    fn promotions_go_forward_and_end_a_pause() {
        let (plan, now) = (plan(), at(9));
        let promoted = |percent, phase, target| plan.promote(progress(percent, phase), target, now);
        let ok = |percent, phase| Ok(Progress { share: share(percent), phase, since: now });
        for (from, target, result) in [
            ((0, Phase::Running), Target::NextStep, ok(1, Phase::Running)),
            ((10, Phase::Paused), Target::NextStep, ok(25, Phase::Running)),
            ((12, Phase::Running), Target::NextStep, ok(25, Phase::Running)),
            ((50, Phase::Running), Target::NextStep, ok(100, Phase::Finished)),
            ((10, Phase::Running), Target::Share(share(33)), ok(33, Phase::Running)),
            ((10, Phase::Paused), Target::Share(Share::ALL), ok(100, Phase::Finished)),
            ((10, Phase::Running), Target::Share(share(10)), Err(Refused::NotForward)),
            ((10, Phase::Running), Target::Share(share(5)), Err(Refused::NotForward)),
            ((0, Phase::Aborted), Target::NextStep, Err(Refused::IsAborted)),
            ((100, Phase::Finished), Target::NextStep, Err(Refused::IsFinished)),
        ] {
            assert_eq!(promoted(from.0, from.1, target), result, "{from:?} {target:?}");
        }
    }

    fn anything() -> impl Strategy<Value = (Progress, Evidence, Option<u64>, u64)> {
        let phase = prop::sample::select(Phase::ALL.to_vec());
        let evidence = prop_oneof![
            Just(Evidence::Pass),
            Just(Evidence::Fail("x".to_owned())),
            any::<u64>().prop_map(Evidence::TooFew),
            Just(Evidence::CannotBeJudged("x".to_owned())),
            Just(Evidence::Missing("x".to_owned())),
        ];
        let progress =
            (0..=100_000u32, phase).prop_map(|(share, phase)| Progress { share: Share(share), phase, since: at(0) });
        (progress, evidence, prop::option::of(0..100_000u64), 0..100_000u64)
    }

    proptest! {
        #[test]
        fn it_advances_only_by_one_step_with_a_pass_and_goes_back_only_by_a_failure(
            (progress, evidence, in_effect, now) in anything()
        ) {
            let plan = plan();
            match plan.next(progress, evidence.clone(), in_effect.map(at), at(now)) {
                Next::Advance(next) => {
                    prop_assert_eq!(evidence, Evidence::Pass);
                    prop_assert_eq!(progress.phase, Phase::Running);
                    prop_assert_eq!(Some(next.share), plan.step_after(progress.share));
                }
                Next::Abort(next, _) => {
                    prop_assert!(matches!(evidence, Evidence::Fail(_)));
                    prop_assert_eq!((next.share, next.phase), (Share::NONE, Phase::Aborted));
                }
                Next::Hold(_) => {}
            }
        }

        #[test]
        fn abort_works_in_every_state_and_twice_is_once((progress, _, _, now) in anything()) {
            let once = progress.abort(at(now));
            prop_assert_eq!(once.phase, Phase::Aborted);
            prop_assert_eq!(once.abort(at(now + 1)), once);
        }
    }
}
