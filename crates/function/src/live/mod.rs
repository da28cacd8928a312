//! Live state: the overlay that changes a configuration without a deployment (`CROSSFADE_LIVE`). Owns when it is read, and what
//! happens when it cannot be read: the last valid one stays in use. The document is `crossfade-route`'s, and `current` applies
//! it.
//!
//! Nobody waits for it but a cold start, for a moment: it is read when the client has its response, before the next event is
//! asked for, since in between the environment may be frozen for hours.

mod credentials;
mod sign;
pub(crate) mod source;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossfade_event::FORMATS;
use crossfade_proxy::{Client, SetupError};
use crossfade_route::{Backend, Overlay, PemFile, Surroundings, parse_duration};
use http::{Request, Response};
use tokio::sync::Mutex;

use credentials::{Expiring, Provider};
use sign::{Credentials, Scope, sign};
use source::{Content, Endpoint, Environment, Remote, Source};

use crate::current::FileVersion;

/// `CROSSFADE_LIVE_INTERVAL` by default: the time from one read to the next while requests come.
const INTERVAL: Duration = Duration::from_secs(10);

/// The longest time between two reads after failures.
const LONGEST: Duration = Duration::from_secs(60);

/// The time that a cold start waits.
pub(crate) const AT_START: Duration = Duration::from_millis(300);

/// The time that an environment waits between two invocations.
pub(crate) const AFTERWARDS: Duration = Duration::from_millis(1000);

/// Live state that cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error("live state: {0}")]
pub(crate) struct LiveError(String);

/// The live state of a process.
#[derive(Debug)]
pub(crate) struct Live {
    place: String,
    reader: Reader,
    interval: Duration,
    /// One read at a time, whatever the number of lanes.
    state: Mutex<State>,
}

#[derive(Debug)]
enum Reader {
    File(PathBuf),
    Remote(Box<RemoteReader>),
}

#[derive(Debug)]
struct RemoteReader {
    remote: Remote,
    endpoint: Endpoint,
    client: Client,
    region: String,
    /// With the client of the endpoint that has the credentials, if they are not in the environment.
    provider: Option<(Provider, Option<Client>)>,
}

/// All that is known from earlier reads.
#[derive(Debug, Default)]
struct State {
    /// No read before it.
    due: Option<SystemTime>,
    /// Of the overlay in use.
    version: Option<u32>,
    etag: Option<String>,
    file: Option<FileVersion>,
    credentials: Option<Expiring>,
    /// Consecutive ones.
    failures: u32,
}

/// The result of a read.
#[derive(Debug, PartialEq)]
pub(crate) enum Change {
    /// Nothing is different.
    None,
    /// There is another overlay.
    To(Box<Overlay>),
    /// It could not be read, so many times in a row, for this reason.
    Failed(u32, String),
}

impl Live {
    /// Finds the place, and the endpoint and the credentials for it. Reads nothing.
    pub(crate) fn new(
        place: &str,
        cert_file: Option<&PemFile>,
        environment: Environment<'_>,
        surroundings: &dyn Surroundings,
    ) -> Result<Live, LiveError> {
        let reader = match Source::parse(place).map_err(LiveError)? {
            Source::File(path) => Reader::File(path),
            Source::Remote(remote) => {
                Reader::Remote(Box::new(RemoteReader::new(remote, cert_file, environment, surroundings)?))
            }
        };
        let interval = match environment("CROSSFADE_LIVE_INTERVAL") {
            None => INTERVAL,
            Some(text) => parse_duration(&text).ok_or_else(|| {
                LiveError(format!("`CROSSFADE_LIVE_INTERVAL` is `{text}`, expected a number and a unit, like 10s"))
            })?,
        };
        Ok(Live { place: place.to_owned(), reader, interval, state: Mutex::default() })
    }

    /// The place, for messages.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Returns `true` if the place is on this machine.
    pub(crate) fn is_at_hand(&self) -> bool {
        matches!(self.reader, Reader::File(_))
    }

    /// Reads the overlay if it is time to, within a time limit. Returns at once while another lane reads.
    pub(crate) async fn refresh(&self, now: SystemTime, limit: Duration) -> Change {
        let Ok(mut state) = self.state.try_lock() else { return Change::None };
        if !state.is_due(now, self.interval) {
            return Change::None;
        }
        // An end of this future leaves the next read for later.
        let due = |wait: Duration| if self.is_at_hand() { None } else { now.checked_add(wait) };
        state.due = due(self.interval);
        let content = match &self.reader {
            Reader::File(path) => state.read_file(path),
            Reader::Remote(reader) => match tokio::time::timeout(limit, reader.read(&mut state, now)).await {
                Ok(content) => content,
                Err(_) => Err(format!("no response within {} ms", limit.as_millis())),
            },
        };
        let change = content.and_then(|content| state.take(content, &self.place));
        match change {
            Ok(change) => {
                state.failures = 0;
                change
            }
            Err(reason) => {
                state.failures = state.failures.saturating_add(1);
                let wait = self.interval.saturating_mul(2_u32.saturating_pow(state.failures.min(8)));
                state.due = due(wait.min(LONGEST.max(self.interval)));
                Change::Failed(state.failures, reason)
            }
        }
    }
}

impl State {
    /// A clock that was set back, or a freeze, must not keep the state old.
    fn is_due(&self, now: SystemTime, interval: Duration) -> bool {
        self.due.is_none_or(|due| due.duration_since(now).map_or(true, |left| left > LONGEST.max(interval)))
    }

    fn read_file(&mut self, path: &PathBuf) -> Result<Content, String> {
        let file = FileVersion::of(path);
        if file.is_none() {
            return Ok(Content::None);
        }
        if file == self.file {
            return Ok(Content::Unchanged);
        }
        let bytes = fs::read(path).map_err(|error| error.to_string())?;
        // One that cannot be used is looked at again when it changes.
        self.file = file;
        crossfade_route::decode(bytes).map(|text| Content::Text(text, None)).ok_or_else(|| "it is not text".to_owned())
    }

    fn take(&mut self, content: Content, place: &str) -> Result<Change, String> {
        match content {
            Content::Unchanged => Ok(Change::None),
            // Before the first step of a migration there is none.
            Content::None if self.version.is_none() => Ok(Change::None),
            Content::None => Err("it is gone".to_owned()),
            Content::Text(text, etag) => {
                let overlay = Overlay::parse(&text, place).map_err(|diagnostics| diagnostics.to_string())?;
                match self.version {
                    Some(version) if overlay.version == version => {
                        self.etag = etag;
                        Ok(Change::None)
                    }
                    Some(version) if overlay.version < version => {
                        Err(format!("it has version {}, which is older than {version}", overlay.version))
                    }
                    _ => {
                        (self.version, self.etag) = (Some(overlay.version), etag);
                        Ok(Change::To(Box::new(overlay)))
                    }
                }
            }
        }
    }
}

impl RemoteReader {
    fn new(
        remote: Remote,
        cert_file: Option<&PemFile>,
        environment: Environment<'_>,
        surroundings: &dyn Surroundings,
    ) -> Result<Self, LiveError> {
        let client = |url: &str| {
            let backend = Backend::own("live", url, surroundings).map_err(LiveError)?;
            let format = FORMATS.first().ok_or_else(|| LiveError("no format".to_owned()))?;
            Client::new(&Arc::new(backend), cert_file, format).map_err(|error: SetupError| LiveError(error.to_string()))
        };
        let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(environment);
        let (mut region, mut provider) = (region.unwrap_or_default(), None);
        if remote.service().is_some() {
            if region.is_empty() {
                return Err(LiveError("`AWS_REGION` is not set".to_owned()));
            }
            let found = Provider::find(environment)
                .ok_or_else(|| LiveError("there are no credentials in the environment".to_owned()))?;
            let own = match &found {
                Provider::Environment(_) => None,
                Provider::Container { url, .. } => Some(client(origin(url))?),
            };
            provider = Some((found, own));
        } else {
            region.clear();
        }
        let endpoint = remote.endpoint(&region, environment);
        let client = client(&endpoint.origin)?;
        Ok(RemoteReader { remote, endpoint, client, region, provider })
    }

    async fn read(&self, state: &mut State, now: SystemTime) -> Result<Content, String> {
        let request = self.remote.request(&self.endpoint, state.etag.as_deref()).map_err(|error| error.to_string())?;
        let (mut parts, body) = request.into_parts();
        if let Some(service) = self.remote.service() {
            let credentials = self.credentials(state, now).await?;
            let scope = Scope { region: &self.region, service };
            sign(&mut parts, &body, &credentials, scope, now)
                .map_err(|_| "the credentials are not valid".to_owned())?;
        }
        let response = send(&self.client, Request::from_parts(parts, body), now).await?;
        self.remote.content(response)
    }

    async fn credentials(&self, state: &mut State, now: SystemTime) -> Result<Credentials, String> {
        if let Some(known) = state.credentials.as_ref().filter(|known| known.are_good(now)) {
            return Ok(known.credentials.clone());
        }
        let fresh = match &self.provider {
            Some((Provider::Environment(credentials), _)) => Expiring::forever(credentials.clone()),
            Some((Provider::Container { url, token }, Some(client))) => {
                let request = credentials::request(url, token.as_deref()).map_err(|error| error.to_string())?;
                credentials::credentials(&send(client, request, now).await?)?
            }
            _ => return Err("there are no credentials".to_owned()),
        };
        Ok(state.credentials.insert(fresh).credentials.clone())
    }
}

/// The limit of everything is that of the caller.
async fn send(client: &Client, request: Request<Bytes>, now: SystemTime) -> Result<Response<Bytes>, String> {
    client.send(request, LONGEST, now).await
}

/// Returns the scheme and the authority of a URL.
fn origin(url: &str) -> &str {
    let begin = url.find("://").map_or(0, |at| at + "://".len());
    let end = url.get(begin..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| begin + at);
    url.get(..end).unwrap_or(url)
}
