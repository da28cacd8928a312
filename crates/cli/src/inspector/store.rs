//! The kept requests: the newest ones, bounded in number and bytes, each with the log lines that belong to it.
//!
//! Owns pairing, by the Lambda request id. Renders nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crossfade_emulator::{Exchange, Messages};
use crossfade_journal::comparison::{Record, Verdict};

use super::line::{Access, Line};
use super::secrets::Secrets;

/// Maximum number of kept requests, and of bytes of their messages and lines.
pub(super) const MOST_ENTRIES: usize = 1000;
pub(super) const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Maximum number of lines that wait for their request, and their bytes.
const MOST_EARLY: usize = 64;
const MOST_EARLY_BYTES: usize = 4 * 1024 * 1024;
/// Maximum number of lines kept with one request; a mirror writes two.
const MOST_COMPARISONS: usize = 16;

/// A request and its lines. Cheap to clone.
#[derive(Clone)]
pub(super) struct Entry {
    /// Counts from 1, in the order in which requests end.
    pub(super) id: u64,
    /// The store's clock when it last changed.
    changed: u64,
    pub(super) exchange: Arc<Exchange>,
    pub(super) shown: Arc<Shown>,
    pub(super) access: Option<Arc<Access>>,
    pub(super) comparisons: Vec<Arc<Record>>,
    /// The size of its lines.
    bytes: usize,
}

/// The text of a request for the list and the filter, without secrets.
pub(super) struct Shown {
    pub(super) host: String,
    pub(super) target: String,
    /// Method, host, target and function in lower case.
    pub(super) text: String,
}

/// A flag of a request in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Error,
    Warning,
    Differs,
    Cold,
    Failover,
}

impl Mark {
    pub(super) const ALL: [Mark; 5] = [Mark::Error, Mark::Warning, Mark::Differs, Mark::Cold, Mark::Failover];

    pub(super) fn word(self) -> &'static str {
        match self {
            Mark::Error => "error",
            Mark::Warning => "warning",
            Mark::Differs => "differs",
            Mark::Cold => "cold",
            Mark::Failover => "failover",
        }
    }
}

impl Entry {
    pub(super) fn has(&self, mark: Mark) -> bool {
        let (exchange, access) = (&self.exchange, self.access.as_deref());
        match mark {
            Mark::Error => {
                exchange.elb_reason.is_some()
                    || exchange.problem.is_some()
                    || access.is_some_and(|access| access.error.is_some())
            }
            Mark::Warning => !exchange.warnings.is_empty() || !exchange.reply_warnings.is_empty(),
            Mark::Differs => self.comparisons.iter().any(|record| record.verdict == Verdict::Different),
            Mark::Cold => exchange.cold,
            Mark::Failover => access.is_some_and(|access| !access.skipped.is_empty()),
        }
    }

    pub(super) fn backend(&self) -> Option<&str> {
        self.access.as_ref()?.backend.as_deref()
    }

    pub(super) fn messages(&self) -> Option<&Messages> {
        self.exchange.messages.as_deref()
    }
}

/// The bytes of memory that the messages of a request take.
pub(super) fn size(exchange: &Exchange) -> usize {
    let Some(messages) = exchange.messages.as_deref() else { return 0 };
    let fields = |fields: &http::HeaderMap| fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let sizes: [usize; 6] = [
        fields(&messages.request_fields),
        messages.request_body.len(),
        messages.event.as_ref().map_or(0, bytes::Bytes::len),
        messages.reply.as_ref().map_or(0, bytes::Bytes::len),
        fields(&messages.response_fields),
        messages.response_body.len(),
    ];
    sizes.iter().sum()
}

#[derive(Default)]
pub(super) struct Store {
    /// Oldest first; the ids have no gaps.
    entries: VecDeque<Entry>,
    bytes: usize,
    last_id: u64,
    /// Counts changes.
    clock: u64,
    by_request_id: BTreeMap<String, u64>,
    /// Lines whose request has not arrived.
    early: VecDeque<Line>,
}

/// A part of the list.
pub(super) struct Part {
    /// Newest first.
    pub(super) entries: Vec<Entry>,
    /// The number of kept entries that match.
    pub(super) matching: usize,
    pub(super) kept: usize,
    /// The number of requests so far, kept or not.
    pub(super) seen: u64,
    pub(super) has_older: bool,
    pub(super) clock: u64,
}

/// The changes since a clock.
pub(super) struct News {
    /// The newest matching entries that are new or changed, newest first.
    pub(super) entries: Vec<Entry>,
    /// The number of new entries that match.
    pub(super) new: u64,
    pub(super) seen: u64,
    pub(super) kept: usize,
    pub(super) clock: u64,
}

impl Store {
    pub(super) fn add(&mut self, exchange: Exchange, secrets: Secrets) {
        self.last_id += 1;
        let id = self.last_id;
        let (host, target) = (secrets.text(&exchange.host), secrets.target(&exchange.target));
        let function = exchange.function.as_deref().unwrap_or_default();
        let text = format!("{} {host}{target} {function}", exchange.method).to_lowercase();
        if let Some(request_id) = &exchange.request_id {
            self.by_request_id.insert(request_id.clone(), id);
        }
        self.bytes += size(&exchange);
        self.clock += 1;
        let shown = Arc::new(Shown { host, target, text });
        let exchange = Arc::new(exchange);
        let changed = self.clock;
        self.entries.push_back(Entry { id, changed, exchange, shown, access: None, comparisons: Vec::new(), bytes: 0 });
        self.make_room();
        for line in std::mem::take(&mut self.early) {
            self.add_line(line);
        }
    }

    fn make_room(&mut self) {
        while self.entries.len() > MOST_ENTRIES || (self.bytes > MOST_BYTES && self.entries.len() > 1) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(entry) = self.entries.pop_front() else { return };
        self.bytes -= size(&entry.exchange) + entry.bytes;
        let request_ids =
            [entry.exchange.request_id.as_deref(), entry.access.as_deref().map(|access| &*access.request_id)];
        for request_id in request_ids.into_iter().flatten() {
            self.by_request_id.remove(request_id);
        }
    }

    /// Adds a line to its request, or keeps it until the request arrives.
    pub(super) fn add_line(&mut self, line: Line) {
        let Some(id) = self.by_request_id.get(line.request_id()).copied() else {
            self.early.push_back(line);
            let bytes = |early: &VecDeque<Line>| early.iter().map(Line::bytes).sum::<usize>();
            while self.early.len() > MOST_EARLY || bytes(&self.early) > MOST_EARLY_BYTES {
                self.early.pop_front();
            }
            return;
        };
        let changed = self.clock + 1;
        let Some(entry) = self.get_mut(id) else { return };
        let bytes = line.bytes();
        match line {
            Line::Access { access, .. } if entry.access.is_none() => entry.access = Some(access),
            Line::Comparison { record, .. } if entry.comparisons.len() < MOST_COMPARISONS => {
                entry.comparisons.push(record);
            }
            Line::Access { .. } | Line::Comparison { .. } => return,
        }
        entry.changed = changed;
        entry.bytes += bytes;
        self.bytes += bytes;
        self.clock = changed;
        self.make_room();
    }

    pub(super) fn clock(&self) -> u64 {
        self.clock
    }

    fn position(&self, id: u64) -> Option<usize> {
        usize::try_from(id.checked_sub(self.entries.front()?.id)?).ok()
    }

    pub(super) fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.get(self.position(id)?)
    }

    fn get_mut(&mut self, id: u64) -> Option<&mut Entry> {
        let position = self.position(id)?;
        self.entries.get_mut(position)
    }

    /// Returns the newest request from a client's address and port.
    pub(super) fn of_client(&self, client: std::net::SocketAddr) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.exchange.client == Some(client))
    }

    /// Returns up to `most` matching entries with ids below `id`, newest first.
    pub(super) fn part(&self, matches: impl Fn(&Entry) -> bool, before: Option<u64>, most: usize) -> Part {
        let mut part = Part {
            entries: Vec::new(),
            matching: 0,
            kept: self.entries.len(),
            seen: self.last_id,
            has_older: false,
            clock: self.clock,
        };
        for entry in self.entries.iter().rev().filter(|entry| matches(entry)) {
            part.matching += 1;
            if before.is_some_and(|before| entry.id >= before) {
                continue;
            }
            if part.entries.len() < most {
                part.entries.push(entry.clone());
            } else {
                part.has_older = true;
            }
        }
        part
    }

    /// Returns the changes since a clock. Entries with an id above `known` count as new.
    pub(super) fn news(&self, matches: impl Fn(&Entry) -> bool, since: u64, known: u64, most: usize) -> News {
        let mut news =
            News { entries: Vec::new(), new: 0, seen: self.last_id, kept: self.entries.len(), clock: self.clock };
        if self.clock == since {
            return news;
        }
        let changed = self.entries.iter().rev().filter(|entry| entry.changed > since && matches(entry));
        for entry in changed {
            news.new += u64::from(entry.id > known);
            if news.entries.len() < most {
                news.entries.push(entry.clone());
            }
        }
        news
    }

    /// Returns the methods of the kept requests, for the form.
    pub(super) fn methods(&self) -> Vec<String> {
        let methods: std::collections::BTreeSet<&str> =
            self.entries.iter().map(|entry| entry.exchange.method.as_str()).collect();
        methods.into_iter().take(20).map(str::to_owned).collect()
    }
}
