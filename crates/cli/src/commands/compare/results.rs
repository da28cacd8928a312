//! The results of a run: counts, the comparison log, and the requests that are sent again.
//!
//! One response that differs proves little: it may have been chance. A request whose responses differ is sent again until each
//! of its differences has been seen often enough for the statistics of the report. That is no sample of the traffic any
//! more, so these records say `again`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{LineWriter, Write};

use crossfade_journal::comparison::{Against, Class, Record, Side, Verdict};
use crossfade_parity::Tally;

use super::{Job, Options, Sent};
use crate::commands::cert_file;

/// Places that are counted separately. Requests that differ at further ones are not sent again.
const MAX_PLACES: usize = 100_000;

/// A place where responses differ: method, endpoint, class and pointer.
type Place = (String, String, Class, String);

pub(super) struct Results {
    pub(super) tally: Tally,
    log: Option<LineWriter<File>>,
    /// `--again`.
    again: u8,
    /// Repeated requests that differed there.
    evidence: HashMap<Place, u8>,
    /// Requests that were sent to both systems, and those among them without a connection to a system.
    pub(super) sent: u64,
    unreached: [u64; 2],
    pub(super) not_sent: u64,
    pub(super) first_problem: Option<String>,
    /// Requests of the input that are done, and those that differed.
    pub(super) finished: u64,
    pub(super) different: u64,
}

impl Results {
    pub(super) fn new(options: &Options, log: Option<LineWriter<File>>) -> Results {
        // `systems` has read it.
        let cacert = cert_file().ok().flatten().map(|file| file.to_string_lossy().into_owned());
        Results {
            tally: Tally::new(options.report.examples).with_cacert(cacert),
            log,
            again: options.again,
            evidence: HashMap::new(),
            sent: 0,
            unreached: [0; 2],
            not_sent: 0,
            first_problem: None,
            finished: 0,
            different: 0,
        }
    }

    /// Takes the result of a request. Returns the request if it is to be sent again.
    ///
    /// # Errors
    ///
    /// If the log cannot be written.
    pub(super) fn take(&mut self, Sent { job, records, problem }: Sent) -> std::io::Result<Option<Job>> {
        let is_first = job.sent == 0;
        self.finished += u64::from(is_first);
        if let Some(problem) = problem {
            self.not_sent += 1;
            self.first_problem.get_or_insert(problem);
            return Ok(None);
        }
        self.sent += 1;
        let mut is_open = false;
        for mut record in records {
            if record.against == Against::Mirror {
                for (count, side) in self.unreached.iter_mut().zip([&record.primary, &record.mirror]) {
                    *count += u64::from(has_no_connection(side));
                }
                self.different += u64::from(is_first && record.verdict == Verdict::Different);
                is_open |= self.needs_evidence(&record);
            }
            if !is_first {
                match record.against {
                    Against::Mirror => record.against = Against::Again,
                    // Chosen because it differs, it would not be a fair sample of the primary.
                    Against::Itself | Against::Again => continue,
                }
            }
            self.tally.add(&record);
            if let (Some(log), Ok(line)) = (&mut self.log, serde_json::to_string(&record)) {
                writeln!(log, "{line}")?;
            }
        }
        let may_repeat = job.sent < self.again && job.asked.method.is_safe();
        Ok((is_open && may_repeat).then(|| Job { sent: job.sent + 1, ..job }))
    }

    /// Counts the differences of a record. Returns whether one of them has not been seen as often as `--again` allows.
    fn needs_evidence(&mut self, record: &Record) -> bool {
        let mut is_open = false;
        if record.verdict != Verdict::Different {
            return false;
        }
        for difference in record.differences.iter().filter(|difference| !difference.accepted) {
            let (method, endpoint) = (record.method.clone(), record.endpoint.clone());
            let place = (method, endpoint, difference.class, difference.pointer.clone());
            if self.evidence.len() >= MAX_PLACES && !self.evidence.contains_key(&place) {
                continue;
            }
            let seen = self.evidence.entry(place).or_default();
            *seen = seen.saturating_add(u8::from(difference.repeated.is_some()));
            is_open |= *seen <= self.again;
        }
        is_open
    }

    /// The system that no request could connect to, if there is one.
    pub(super) fn unreachable(&self) -> Option<usize> {
        self.unreached.iter().position(|count| self.sent > 0 && *count == self.sent)
    }
}

/// Returns true if no connection could be made: the types of RFC 9209.
fn has_no_connection(side: &Side) -> bool {
    let kinds = ["dns_", "connection_refused", "connection_timeout", "connection_terminated", "destination_", "tls_"];
    side.error.as_deref().is_some_and(|error| kinds.iter().any(|kind| error.starts_with(kind)))
}
