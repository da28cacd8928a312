//! The store of the live state as the commands see it. Owns which stores there are and which documents they take; what changes is
//! `crossfade-route`'s.
//!
//! Every write names the revision that it is based on, so that of two writers at the same time one gets [`WriteError::Conflict`]
//! and nothing is lost. A write whose response was lost is found by reading again, and is no conflict.

mod appconfig;
mod file;
mod s3;
mod ssm;

use std::future::Future;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, ensure};
use aws_config::SdkConfig;
use crossfade_function::{Remote, Source};
use crossfade_route::{MAX_OVERLAY, Overlay};
use tokio::task::JoinSet;

use crate::aws;

/// Nobody waits longer for the present state.
const READ: Duration = Duration::from_secs(5);

/// Requests for earlier versions at the same time.
const AT_ONCE: usize = 16;

/// A store that is open.
#[derive(Debug)]
pub enum Store {
    /// A file.
    File(file::Store),
    /// An object of S3.
    S3(Box<s3::Store>),
    /// A parameter of Systems Manager.
    Ssm(Box<ssm::Store>),
    /// A hosted configuration of AppConfig.
    AppConfig(Box<appconfig::Store>),
}

/// The content of a store.
#[derive(Debug)]
pub struct Stored {
    /// `None` before the first change.
    pub overlay: Option<Overlay>,
    /// Names this content to [`Store::write`]; `None` if there is none.
    pub revision: Option<String>,
}

/// An earlier content of a store, or the present one.
#[derive(Debug)]
pub struct Version {
    /// The store's name for it.
    pub revision: String,
    /// The content, or the reason why it cannot be read, in one line.
    pub overlay: Result<Overlay, String>,
}

/// A document that is no overlay.
#[derive(Debug)]
pub struct Invalid {
    /// Names it to [`Store::write`], which can replace it.
    pub revision: String,
    reason: String,
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the live state is invalid: {}", self.reason)
    }
}

impl std::error::Error for Invalid {}

/// A reason why nothing was written.
#[derive(Debug)]
pub enum WriteError {
    /// Somebody else has written since.
    Conflict,
    /// It is not allowed, or not possible.
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for WriteError {
    fn from(error: E) -> Self {
        WriteError::Failed(error.into())
    }
}

/// A document as a store has it.
#[derive(Debug)]
struct Document {
    revision: String,
    /// `None` if it was deleted.
    bytes: Option<Vec<u8>>,
}

impl Store {
    /// Opens a place such as `s3://bucket/key`, with the credentials of the usual chain. Sends nothing to it.
    ///
    /// # Errors
    ///
    /// If this is not a place, or there is no AWS region for it.
    pub async fn open(place: &str) -> Result<Store> {
        match source(place)? {
            Source::File(path) => Ok(Store::File(file::Store::new(path))),
            Source::Remote(remote) => Ok(Store::remote(remote, &aws::config().await?)),
        }
    }

    /// The same, with this configuration of the SDK.
    ///
    /// # Errors
    ///
    /// If this is not a place.
    pub fn open_with(place: &str, config: &SdkConfig) -> Result<Store> {
        match source(place)? {
            Source::File(path) => Ok(Store::File(file::Store::new(path))),
            Source::Remote(remote) => Ok(Store::remote(remote, config)),
        }
    }

    fn remote(remote: Remote, config: &SdkConfig) -> Store {
        match remote {
            Remote::S3 { bucket, key } => Store::S3(Box::new(s3::Store::new(config, bucket, key))),
            Remote::Ssm { name } => Store::Ssm(Box::new(ssm::Store::new(config, name))),
            Remote::AppConfig { application, environment, profile } => {
                Store::AppConfig(Box::new(appconfig::Store::new(config, [application, environment, profile])))
            }
        }
    }

    /// Reads the present state, or gives up after 5 s.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is not an overlay ([`Invalid`]).
    pub async fn read(&self) -> Result<Stored> {
        let document = tokio::time::timeout(READ, async {
            match self {
                Store::File(store) => store.read(),
                Store::S3(store) => store.read().await,
                Store::Ssm(store) => store.read().await,
                Store::AppConfig(store) => store.read().await,
            }
        });
        let document = document.await.map_err(|_| {
            anyhow!("the live state cannot be read: {} did not respond within {READ:?}", self.place())
        })??;
        let Some(document) = document else { return Ok(Stored { overlay: None, revision: None }) };
        let Document { revision, bytes } = document;
        match parsed(bytes, &self.place()) {
            Ok(overlay) => Ok(Stored { overlay: Some(overlay), revision: Some(revision) }),
            Err(error) => Err(Invalid { revision, reason: format!("{error:#}") }.into()),
        }
    }

    /// Writes the next state, if the present one still has this revision. Returns what was written: the numbers of a file's versions
    /// go on after it was deleted, or written by hand with a lower one.
    ///
    /// # Errors
    ///
    /// [`WriteError::Conflict`] if it has another one; then nothing is written.
    pub async fn write(&self, overlay: &Overlay, revision: Option<&str>) -> Result<Overlay, WriteError> {
        let overlay = match self {
            Store::File(store) => overlay.clone().at_least(store.last_version().saturating_add(1)),
            _ => overlay.clone(),
        };
        let text = self.text(&overlay)?;
        match self {
            Store::File(store) => store.write(&text, overlay.version, revision)?,
            Store::S3(store) => store.write(&text, revision).await?,
            Store::Ssm(store) => store.write(&text, revision).await?,
            Store::AppConfig(store) => store.write(&text, revision).await?,
        }
        Ok(overlay)
    }

    /// Returns whether a state is short enough, whatever number it gets.
    #[must_use]
    pub fn takes(&self, overlay: &Overlay) -> bool {
        self.text(&overlay.clone().above_all(SystemTime::now())).is_ok()
    }

    /// Writes a state whatever the present one is, for an abort where reading is not allowed or the state is damaged. Returns what
    /// was written.
    ///
    /// Functions doubt a version that is lower than the one they know. So this one has the seconds since 1970 as its version,
    /// far above any that is counted, and above an earlier one of this kind unless this machine's clock is behind by more
    /// than the time in between.
    ///
    /// # Errors
    ///
    /// If writing is not allowed or not possible.
    pub async fn overwrite(&self, overlay: &Overlay) -> Result<Overlay> {
        let overlay = overlay.clone().above_all(SystemTime::now());
        let text = self.text(&overlay)?;
        let written = match self {
            Store::File(store) => store.overwrite(&text, overlay.version),
            Store::S3(store) => store.overwrite(&text).await,
            Store::Ssm(store) => store.overwrite(&text).await,
            Store::AppConfig(store) => store.overwrite(&text).await,
        };
        written.map(|()| overlay)
    }

    /// Returns the latest versions, the newest first, as far as the store keeps them: a file keeps all, a bucket those since its
    /// versioning was enabled, Systems Manager 100, AppConfig those that nobody has deleted.
    ///
    /// # Errors
    ///
    /// If they cannot be read, or the bucket has no versioning.
    pub async fn history(&self, most: usize) -> Result<Vec<Version>> {
        let documents = match self {
            Store::File(store) => store.history(most),
            Store::S3(store) => store.history(most).await,
            Store::Ssm(store) => store.history(most).await,
            Store::AppConfig(store) => store.history(most).await,
        };
        let place = self.place();
        let version = |Document { revision, bytes }: Document| {
            let overlay = parsed(bytes, &place).map_err(|error| aws::one_line(&format!("{error:#}")));
            Version { revision, overlay }
        };
        Ok(documents?.into_iter().map(version).collect())
    }

    /// The text to store, if readers will take it.
    fn text(&self, overlay: &Overlay) -> Result<String> {
        let (limit, advice) = match self {
            Store::Ssm(_) => (ssm::MAX_VALUE, "keep the live state in S3, or change fewer routes and pins"),
            Store::File(_) | Store::S3(_) | Store::AppConfig(_) => (MAX_OVERLAY, "change fewer routes and pins"),
        };
        // People read it, as long as there is room.
        let text = match (self, overlay.to_text()) {
            (Store::File(_) | Store::S3(_) | Store::AppConfig(_), text) if text.len() <= limit => text,
            _ => overlay.to_line(),
        };
        let length = text.len();
        ensure!(length <= limit, "the live state is {length} bytes long, {} takes {limit}: {advice}", self.place());
        Ok(text)
    }

    fn place(&self) -> String {
        match self {
            Store::File(store) => store.place(),
            Store::S3(store) => store.place(),
            Store::Ssm(store) => store.place(),
            Store::AppConfig(store) => store.place(),
        }
    }
}

fn source(place: &str) -> Result<Source> {
    Source::parse(place).map_err(|error| anyhow!("{error}"))
}

/// Parses a stored document.
fn parsed(bytes: Option<Vec<u8>>, place: &str) -> Result<Overlay> {
    let bytes = bytes.context("it was deleted")?;
    let text = crossfade_document::decode(bytes).with_context(|| format!("{place} is not text"))?;
    Overlay::parse(&text, place).map_err(|errors| anyhow!("{}", errors.with_lines()))
}

/// The results of these jobs in their order, or the first error. Some run at the same time.
async fn all<T: Send + 'static>(jobs: Vec<impl Future<Output = Result<T>> + Send + 'static>) -> Result<Vec<T>> {
    let (mut jobs, mut running, mut results) = (jobs.into_iter().enumerate(), JoinSet::new(), Vec::new());
    loop {
        while running.len() < AT_ONCE {
            let Some((index, job)) = jobs.next() else { break };
            running.spawn(async move { (index, job.await) });
        }
        let Some(result) = running.join_next().await else { break };
        let (index, result) = result?;
        results.push((index, result?));
    }
    results.sort_unstable_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}
