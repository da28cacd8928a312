//! Reads and writes the live state. Owns when it is read, and what happens when it cannot be read: the last valid one stays in use.
//! The document is `crossfade-route`'s, and the caller applies it.
//!
//! Nobody waits for it but a cold start, for a moment: it is read when the client has its response, before the next event is
//! asked for, since in between the environment may be frozen for hours. A read that takes long goes on beside the next requests.
//!
//! All environments of a function are to show the same: so a state that goes back, to an older version or to none, counts as
//! well, since a new environment would begin with it; but only if the next read finds the same, for a store may be slow to show
//! the newest version everywhere.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossfade_route::{MAX_OVERLAY, Overlay, parse_duration};
use http::Request;
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::aws::Aws;
use crate::logs::{self, Span};
use crate::source::{Content, Endpoint, Environment, Remote, Source};
use crate::write::{self, Basis, Written};
use crate::{Client, Connect, FileVersion, Task};

/// `CROSSFADE_LIVE_INTERVAL` by default: the time from one read to the next while requests come.
const INTERVAL: Duration = Duration::from_secs(10);

/// The longest time between two reads after failures.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// The time that a cold start waits.
pub const AT_START: Duration = Duration::from_millis(300);

/// The time that an environment waits between two invocations.
pub const AFTERWARDS: Duration = Duration::from_millis(100);

/// Changes of an overlay that do not fit, in a line of the log.
const MAX_TOLD: usize = 10;

/// Length of the longest value of a parameter, of the advanced tier.
const MAX_PARAMETER: usize = 8192;

/// The limit of a read, which goes on when nobody waits any more.
const READ: Duration = Duration::from_secs(2);

/// Live state that cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error("live state: {0}")]
pub struct LiveError(pub(crate) String);

/// A reason why the store could not be read or written.
#[derive(Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    /// Trying again does not help: access is denied, or the document is invalid.
    pub(crate) is_lasting: bool,
}

impl Failure {
    fn of(reason: String) -> Failure {
        // S3's `AccessDenied`, and `AccessDeniedException` of the others.
        let is_lasting = reason.contains("AccessDenied");
        Failure { reason, is_lasting }
    }
}

/// The live state of a process.
pub struct Live {
    place: String,
    store: Store,
    /// Or the reason why nothing can be signed, which files do not need.
    aws: Result<Aws, LiveError>,
    log: Log,
    connect: Connect,
    interval: Duration,
    /// One read at a time, whatever the number of lanes.
    state: Mutex<State>,
}

// Without the function that makes clients.
impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("place", &self.place).finish_non_exhaustive()
    }
}

/// The function's own log.
#[derive(Debug)]
struct Log {
    /// `AWS_LAMBDA_LOG_GROUP_NAME`.
    group: Option<String>,
    endpoint: Endpoint,
}

enum Store {
    File(PathBuf),
    Remote(Box<RemoteStore>),
}

pub(crate) struct RemoteStore {
    pub(crate) remote: Remote,
    pub(crate) endpoint: Endpoint,
    pub(crate) client: Box<dyn Client>,
}

/// All that is known from earlier reads.
#[derive(Debug, Default)]
struct State {
    /// No read before it.
    due: Option<SystemTime>,
    /// The overlay in use.
    known: Option<Known>,
    etag: Option<String>,
    file: Option<FileVersion>,
    /// The text that the last read found, `None` for none, if it goes back and does not count yet.
    doubted: Option<Option<String>>,
    /// Consecutive ones.
    failures: u32,
    /// The reason of the last one.
    told: Option<String>,
}

#[derive(Debug)]
struct Known {
    version: u32,
    text: String,
}

/// The result of a read.
#[derive(Debug, PartialEq)]
pub enum Change {
    /// Nothing is different.
    None,
    /// There is another overlay, or none any more.
    To(Option<Arc<Overlay>>),
    /// It could not be read, so many times in a row, for this reason.
    Failed(u32, String),
}

/// The state as it is in the store, for a change of it.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) overlay: Option<Overlay>,
    basis: Basis,
}

impl Live {
    /// Finds the place, and the endpoint and the credentials for it. Reads nothing.
    ///
    /// # Errors
    ///
    /// [`LiveError`] for a place or an interval that is not valid, and for a service without region or credentials.
    pub fn new(place: &str, environment: Environment<'_>, connect: Connect) -> Result<Live, LiveError> {
        let source = Source::parse(place).map_err(LiveError)?;
        let aws = Aws::find(environment, &connect);
        let (store, aws) = match source {
            Source::File(path) => (Store::File(path), aws),
            Source::Remote(remote) => {
                let aws = if remote.is_signed() { Ok(aws?) } else { aws };
                let endpoint = remote.endpoint(aws.as_ref().map_or("", |aws| &aws.region), environment);
                let client = connect(&endpoint.origin).map_err(LiveError)?;
                (Store::Remote(Box::new(RemoteStore { remote, endpoint, client })), aws)
            }
        };
        let interval = match environment("CROSSFADE_LIVE_INTERVAL") {
            None => INTERVAL,
            Some(text) => parse_duration(&text).ok_or_else(|| {
                LiveError(format!("`CROSSFADE_LIVE_INTERVAL` is `{text}`, expected a number and a unit, like 10s"))
            })?,
        };
        let region = aws.as_ref().map_or("", |aws| &aws.region);
        let log = Log {
            group: environment("AWS_LAMBDA_LOG_GROUP_NAME"),
            endpoint: Endpoint::of_service("logs", "AWS_ENDPOINT_URL_LOGS", region, environment),
        };
        Ok(Live { place: place.to_owned(), store, aws, log, connect, interval, state: Mutex::default() })
    }

    /// The place, for messages.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Returns `true` if the place is on this machine.
    #[must_use]
    pub fn is_at_hand(&self) -> bool {
        matches!(self.store, Store::File(_))
    }

    /// Returns `true` if the function cannot write there.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(&self.store, Store::Remote(store) if matches!(store.remote, Remote::AppConfig { .. }))
    }

    /// Returns `true` if it is time to read the overlay, and nobody does.
    #[must_use]
    pub fn is_due(&self, now: SystemTime) -> bool {
        self.state.try_lock().is_ok_and(|state| state.is_due(now, self.interval))
    }

    /// Reads the overlay if it is time to. Returns at once while another lane reads.
    pub fn refresh(&self, now: SystemTime) -> Task<'_, Change> {
        Box::pin(self.refreshed(now))
    }

    async fn refreshed(&self, now: SystemTime) -> Change {
        let Ok(mut state) = self.state.try_lock() else { return Change::None };
        if !state.is_due(now, self.interval) {
            return Change::None;
        }
        // An end of this future leaves the next read for later.
        let due = |wait: Duration| if self.is_at_hand() { None } else { now.checked_add(wait) };
        state.due = due(self.interval);
        let content = match &self.store {
            Store::File(path) => state.read_file(path),
            Store::Remote(store) => within(READ, store.read(self.aws.as_ref().ok(), state.etag.as_deref(), now)).await,
        };
        let change = content.and_then(|content| state.take(content, &self.place));
        match change {
            Ok(change) => {
                (state.failures, state.told) = (0, None);
                change
            }
            // A file is looked at before every request, and the same failure is told once.
            Err(reason) if self.is_at_hand() && state.told.as_ref() == Some(&reason) => Change::None,
            Err(reason) => {
                state.told = Some(reason.clone());
                state.failures = state.failures.saturating_add(1);
                let wait = self.interval.saturating_mul(2_u32.saturating_pow(state.failures.min(8)));
                state.due = due(wait.min(LONGEST.max(self.interval)));
                Change::Failed(state.failures, reason)
            }
        }
    }

    /// Reads the overlay as it is, for a change of it.
    pub(crate) async fn read(&self, now: SystemTime, limit: Duration) -> Result<Stored, Failure> {
        let content = match &self.store {
            Store::File(path) => State::default().read_file(path),
            Store::Remote(store) => within(limit, store.read(self.aws.as_ref().ok(), None, now)).await,
        };
        match content.map_err(Failure::of)? {
            Content::Text(text, revision) => {
                let overlay = Overlay::parse(&text, &self.place);
                let overlay =
                    overlay.map_err(|diagnostics| Failure { reason: diagnostics.to_string(), is_lasting: true })?;
                Ok(Stored { overlay: Some(overlay), basis: Basis { text: Some(text), revision } })
            }
            Content::None => Ok(Stored { overlay: None, basis: Basis::default() }),
            Content::Unchanged => Err(Failure::of("there is no content".to_owned())),
        }
    }

    /// Writes an overlay; with `stored` only if that is still there. Returns `false` if it is not.
    pub(crate) async fn write(
        &self,
        overlay: &Overlay,
        stored: Option<&Stored>,
        now: SystemTime,
        limit: Duration,
    ) -> Result<bool, Failure> {
        let (text, basis) = (self.text(overlay), stored.map(|stored| &stored.basis));
        let written = match &self.store {
            Store::File(path) => write::file(path, &text, overlay.version, basis),
            Store::Remote(store) => {
                let aws = self.aws.as_ref().map_err(|error| Failure::of(error.to_string()))?;
                within(limit, store.write(aws, &text, basis, now)).await
            }
        };
        let written = written.map_err(Failure::of)?;
        let Written::Done(etag) = written else { return Ok(false) };
        let mut state = self.state.lock().await;
        (state.known, state.etag) = (Some(Known { version: overlay.version, text }), etag);
        Ok(true)
    }

    /// Returns whether a state is short enough for its place.
    pub(crate) fn takes(&self, overlay: &Overlay) -> bool {
        let limit = if self.is_parameter() { MAX_PARAMETER } else { MAX_OVERLAY };
        self.text(overlay).len() <= limit
    }

    /// The text for the place. People read it, as long as there is room.
    fn text(&self, overlay: &Overlay) -> String {
        match overlay.to_text() {
            text if text.len() <= MAX_OVERLAY && !self.is_parameter() => text,
            _ => overlay.to_line(),
        }
    }

    fn is_parameter(&self) -> bool {
        matches!(&self.store, Store::Remote(store) if store.is_parameter())
    }

    /// The name of the function's own log group.
    pub(crate) fn log_group(&self) -> Result<&str, String> {
        let group = self.log.group.as_deref();
        group.ok_or_else(|| "`AWS_LAMBDA_LOG_GROUP_NAME` is not set, so the function does not know its log".to_owned())
    }

    /// Calls `line` with the lines of a log group. They are incomplete on error.
    pub(crate) async fn read_log(
        &self,
        span: &Span<'_>,
        end: Instant,
        line: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), String> {
        let aws = self.aws.as_ref().map_err(|error| error.0.clone())?;
        let client = (self.connect)(&self.log.endpoint.origin)?;
        logs::read(aws, (&self.log.endpoint, &*client), span, end, line).await
    }

    /// The line of the log about a change, if there is anything to say. `before` is the version that was in use, `mismatches`
    /// are the changes of the overlay that do not fit.
    #[must_use]
    pub fn line(&self, change: &Change, before: Option<u32>, mismatches: &[String]) -> Option<String> {
        let mut line = json!({ "type": "live", "level": "INFO", "place": self.place });
        match change {
            Change::None => return None,
            Change::Failed(failures, error) => {
                line["version"] = json!(before);
                (line["failures"], line["error"]) = (json!(failures), json!(error));
            }
            Change::To(overlay) => {
                line["replaces"] = json!(before);
                match overlay {
                    Some(overlay) => {
                        (line["version"], line["by"], line["change"]) =
                            (json!(overlay.version), json!(overlay.by), json!(overlay.change));
                    }
                    None => line["error"] = json!("it is gone: the file alone decides"),
                }
            }
        }
        if !mismatches.is_empty() {
            line["error"] = json!(told(mismatches));
        }
        if line.get("error").is_some() {
            line["level"] = json!("ERROR");
        }
        Some(line.to_string())
    }
}

/// The first changes that do not fit, since there may be thousands.
pub(crate) fn told(mismatches: &[String]) -> String {
    let mut text = mismatches.iter().take(MAX_TOLD).cloned().collect::<Vec<_>>().join("; ");
    if let Some(more) = mismatches.len().checked_sub(MAX_TOLD).filter(|more| *more > 0) {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

async fn within<T>(limit: Duration, result: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    timeout(limit, result).await.unwrap_or_else(|_| Err(format!("no response within {} ms", limit.as_millis())))
}

impl State {
    /// A clock that was set back, or a freeze, must not keep the state old.
    fn is_due(&self, now: SystemTime, interval: Duration) -> bool {
        self.due.is_none_or(|due| due.duration_since(now).map_or(true, |left| left > LONGEST.max(interval)))
    }

    fn read_file(&mut self, path: &Path) -> Result<Content, String> {
        let file = FileVersion::of(path);
        if file.is_some() && file == self.file {
            return Ok(Content::Unchanged);
        }
        // Reading a pipe could take for ever.
        if fs::metadata(path).is_ok_and(|facts| !facts.is_file()) {
            return Err("it is not a file".to_owned());
        }
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Content::None),
            Err(error) => return Err(error.to_string()),
        };
        // One that cannot be used is looked at again when it changes.
        self.file = file;
        crossfade_route::decode(bytes).map(|text| Content::Text(text, None)).ok_or_else(|| "it is not text".to_owned())
    }

    fn take(&mut self, content: Content, place: &str) -> Result<Change, String> {
        let (text, etag) = match (content, &self.known) {
            // Before the first step of a migration there is none.
            (Content::Unchanged, _) | (Content::None, None) => {
                self.doubted = None;
                return Ok(Change::None);
            }
            (Content::None, Some(_)) if self.doubted == Some(None) => {
                (self.known, self.etag, self.file, self.doubted) = (None, None, None, None);
                return Ok(Change::To(None));
            }
            (Content::None, Some(_)) => {
                self.doubted = Some(None);
                return Err("it is gone; if the next read does not find it either, the file alone decides".to_owned());
            }
            (Content::Text(text, etag), _) => (text, etag),
        };
        if self.known.as_ref().is_some_and(|known| known.text == text) {
            (self.etag, self.doubted) = (etag, None);
            return Ok(Change::None);
        }
        let overlay = Overlay::parse(&text, place).map_err(|diagnostics| diagnostics.to_string())?;
        let newer = self.known.as_ref().filter(|known| known.version > overlay.version).map(|known| known.version);
        if let Some(newer) = newer
            && self.doubted.as_ref() != Some(&Some(text.clone()))
        {
            // The next read is to find it again.
            (self.doubted, self.file) = (Some(Some(text)), None);
            let version = overlay.version;
            return Err(format!(
                "it has version {version}, which is older than {newer}; it counts if the next read finds it"
            ));
        }
        self.known = Some(Known { version: overlay.version, text });
        (self.etag, self.doubted) = (etag, None);
        Ok(Change::To(Some(Arc::new(overlay))))
    }
}

impl RemoteStore {
    /// Reads the content; `etag` is that of the known one.
    pub(crate) async fn read(&self, aws: Option<&Aws>, etag: Option<&str>, now: SystemTime) -> Result<Content, String> {
        let request: Request<Bytes> = self.remote.request(&self.endpoint, etag).map_err(|error| error.to_string())?;
        let response = match (self.remote.service(), aws) {
            (Some(service), Some(aws)) => aws.send(&*self.client, service, request, now).await,
            _ => self.client.send(request, LONGEST, now).await,
        };
        self.remote.content(response?)
    }
}
