//! The journal of a request: where it went and why, and one entry for each attempt, in order.
//!
//! Whoever sends the request writes it; the access line, and what else is to be known of a request, is computed from it. It
//! borrows the names of back ends and allocates nothing for the first attempt.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::trace::Trace;

/// The history of one request.
#[derive(Debug, Default)]
pub struct Journal<'t> {
    /// The name of the route that matched.
    pub route: Option<&'t str>,
    /// The back end that the route chose.
    pub target: Option<&'t str>,
    /// The reason for that choice, in a word.
    pub chosen: Option<&'static str>,
    /// The trace that the attempts belong to.
    pub trace: Option<&'t Trace>,
    earlier: Vec<Attempt<'t>>,
    last: Option<Attempt<'t>>,
    deciding: Option<usize>,
}

/// One sending of a request, with the connection for it; or a back end that was skipped. Times that begin with the
/// invocation are on the scale of the whole request.
#[derive(Clone, Debug)]
pub struct Attempt<'t> {
    /// The name of the back end.
    pub backend: &'t str,
    /// The reason for the attempt.
    pub role: Role,
    /// The result of the attempt.
    pub outcome: Outcome,
    /// From the beginning of the invocation to that of the attempt.
    pub began: Duration,
    /// For a new connection; `None` if one was there, or none could be made.
    pub connect: Option<Duration>,
    /// From the beginning of the invocation to the head of the response.
    pub first_byte: Option<Duration>,
    /// From the beginning of the attempt to its end, without the time for a new connection.
    pub took: Duration,
    /// The authentication scheme that ties the connection to this client, if there was one.
    pub auth: Option<&'static str>,
    /// The request was put on a connection.
    pub is_sent: bool,
    /// The back end may have seen the request.
    pub may_be_seen: bool,
}

/// The reason for an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It was the first one.
    #[default]
    First,
    /// The one before found its kept connection dead.
    Resent,
    /// `retry` of the back end.
    Retry,
    /// `failover`, after the failure of another back end or instead of it.
    Failover,
    /// A shadow request for the back end of `mirror`.
    Mirror,
    /// A second request to the same back end, to measure how much its responses differ by themselves.
    Again,
}

impl Role {
    /// The word for it in a record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::First => "first",
            Role::Resent => "resent",
            Role::Retry => "retry",
            Role::Failover => "failover",
            Role::Mirror => "mirror",
            Role::Again => "again",
        }
    }
}

/// The result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was given up before there was one.
    Unfinished,
    /// The back end was skipped: its circuit breaker is open.
    Open,
    /// A complete response with this status.
    Status(u16),
    /// No response, for a reason in RFC 9209's terms.
    Error(&'static str),
}

impl<'t> Attempt<'t> {
    /// An attempt that begins.
    fn new(backend: &'t str, role: Role, began: Duration) -> Self {
        Attempt {
            backend,
            role,
            outcome: Outcome::Unfinished,
            began,
            connect: None,
            first_byte: None,
            took: Duration::ZERO,
            auth: None,
            is_sent: false,
            may_be_seen: false,
        }
    }

    /// From the beginning of the attempt to the head of the response, a new connection included.
    pub(crate) fn until_first_byte(&self) -> Option<Duration> {
        Some(self.first_byte?.saturating_sub(self.began))
    }

    /// Completes the attempt at `now`, counted from the beginning of the invocation.
    pub fn end(&mut self, now: Duration, outcome: Outcome, may_be_seen: bool) {
        self.took = now.saturating_sub(self.began).saturating_sub(self.connect.unwrap_or_default());
        self.outcome = outcome;
        self.may_be_seen = may_be_seen;
    }
}

impl<'t> Journal<'t> {
    /// Adds an attempt that begins at `now`, counted from the beginning of the invocation.
    pub fn begin(&mut self, backend: &'t str, role: Role, now: Duration) -> &mut Attempt<'t> {
        self.earlier.extend(self.last.take());
        self.last.insert(Attempt::new(backend, role, now))
    }

    /// Adds a back end that the request is not sent to because its circuit breaker is open.
    pub fn skip(&mut self, backend: &'t str, role: Role, now: Duration) {
        self.begin(backend, role, now).outcome = Outcome::Open;
    }

    /// All attempts, in order.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt<'t>> {
        self.earlier.iter().chain(&self.last)
    }

    /// The number of attempts, skipped back ends included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.earlier.len() + usize::from(self.last.is_some())
    }

    /// Returns true if nothing was attempted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// The last attempt.
    #[must_use]
    pub fn last(&self) -> Option<&Attempt<'t>> {
        self.last.as_ref()
    }

    /// From now on the response of this attempt is the client's, and not that of the last one.
    pub fn decide(&mut self, attempt: usize) {
        self.deciding = Some(attempt);
    }

    /// The attempt whose response, or whose error, is the client's: the last one, unless [`Journal::decide`] named another.
    #[must_use]
    pub fn deciding(&self) -> Option<&Attempt<'t>> {
        match self.deciding {
            Some(at) => self.attempts().nth(at),
            None => self.last(),
        }
    }

    /// The name of the back end whose response or error the client got; `None` if the request was sent to none.
    #[must_use]
    pub fn backend(&self) -> Option<&'t str> {
        self.deciding().filter(|attempt| attempt.outcome != Outcome::Open).map(|attempt| attempt.backend)
    }

    /// The duration of all attempts together, with new connections; `None` if no back end was contacted.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        let contacted = self.attempts().filter(|attempt| attempt.outcome != Outcome::Open);
        let durations = contacted.map(|attempt| attempt.took.saturating_add(attempt.connect.unwrap_or_default()));
        durations.reduce(Duration::saturating_add)
    }

    /// The last attempt at each back end that another one replaced, and at each that was skipped.
    pub(crate) fn skipped(&self) -> impl Iterator<Item = &Attempt<'t>> {
        let next = self.attempts().skip(1).map(Some).chain([None]);
        let is_last_decided = self.deciding.is_none_or(|at| at.saturating_add(1) == self.len());
        self.attempts().zip(next).filter_map(move |(attempt, next)| {
            let is_skipped = match next {
                Some(next) => next.backend != attempt.backend,
                None => !is_last_decided || attempt.outcome == Outcome::Open,
            };
            is_skipped.then_some(attempt)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_millis(1);

    /// The entries are `back end: outcome`, with `open` for one that was skipped.
    fn journal(entries: &[(&'static str, Outcome)]) -> Journal<'static> {
        let mut journal = Journal::default();
        for (backend, outcome) in entries {
            match outcome {
                Outcome::Open => journal.skip(backend, Role::First, AT),
                outcome => journal.begin(backend, Role::First, AT).end(2 * AT, *outcome, true),
            }
        }
        journal
    }

    #[test]
    fn a_back_end_is_skipped_when_another_one_is_asked_after_or_instead_of_it() {
        const BUSY: Outcome = Outcome::Status(503);
        const OK: Outcome = Outcome::Status(200);
        const REFUSED: Outcome = Outcome::Error("connection_refused");
        type Case = (
            &'static [(&'static str, Outcome)],
            Option<usize>,
            &'static [(&'static str, Outcome)],
            Option<&'static str>,
        );
        let cases: [Case; 10] = [
            (&[], None, &[], None),
            (&[("a", OK)], None, &[], Some("a")),
            (&[("a", REFUSED), ("a", OK)], None, &[], Some("a")),
            (&[("a", REFUSED)], None, &[], Some("a")),
            (&[("a", Outcome::Open)], None, &[("a", Outcome::Open)], None),
            (&[("a", Outcome::Open), ("b", Outcome::Open)], None, &[("a", Outcome::Open), ("b", Outcome::Open)], None),
            (&[("a", Outcome::Open), ("b", OK)], None, &[("a", Outcome::Open)], Some("b")),
            (&[("a", REFUSED), ("a", BUSY), ("b", OK)], None, &[("a", BUSY)], Some("b")),
            (&[("a", REFUSED), ("b", REFUSED), ("b", BUSY)], None, &[("a", REFUSED)], Some("b")),
            (&[("a", REFUSED), ("a", BUSY), ("b", REFUSED)], Some(1), &[("a", BUSY), ("b", REFUSED)], Some("a")),
        ];
        for (entries, deciding, skipped, backend) in cases {
            let mut journal = journal(entries);
            deciding.into_iter().for_each(|at| journal.decide(at));
            let found: Vec<_> = journal.skipped().map(|attempt| (attempt.backend, attempt.outcome)).collect();
            assert_eq!(found, skipped, "{entries:?}");
            assert_eq!(journal.backend(), backend, "{entries:?}");
            assert_eq!(journal.len(), entries.len());
        }
    }

    #[test]
    fn an_attempt_takes_its_time_without_that_for_its_connection() {
        let mut journal = Journal::default();
        let attempt = journal.begin("a", Role::First, 10 * AT);
        attempt.connect = Some(3 * AT);
        attempt.end(20 * AT, Outcome::Status(200), true);
        assert_eq!(journal.last().map(|attempt| attempt.took), Some(7 * AT));
    }
}
