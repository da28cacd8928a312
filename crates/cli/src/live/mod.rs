//! The store of the live state as the commands see it. Owns which stores there are; what changes is `crossfade-route`'s.
//!
//! Every write names the revision that it is based on, so that of two writers at the same time one gets [`WriteError::Conflict`]
//! and nothing is lost.

mod appconfig;
mod file;
mod s3;
mod ssm;

use anyhow::{Context, Result, anyhow};
use crossfade_function::{Remote, Source};
use crossfade_route::Overlay;

/// A store that is open.
#[derive(Debug)]
pub(crate) enum Store {
    File(file::Store),
    S3(Box<s3::Store>),
    Ssm(Box<ssm::Store>),
    AppConfig(Box<appconfig::Store>),
}

/// The content of a store.
#[derive(Debug)]
pub(crate) struct Stored {
    /// `None` before the first change.
    pub(crate) overlay: Option<Overlay>,
    /// Names this content to [`Store::write`]; `None` if there is none.
    pub(crate) revision: Option<String>,
}

/// A reason why nothing was written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// Somebody else has written since.
    Conflict,
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for WriteError {
    fn from(error: E) -> Self {
        WriteError::Failed(error.into())
    }
}

impl Store {
    /// Opens a place such as `s3://bucket/key`, with the credentials of the usual chain. Sends nothing to it.
    pub(crate) async fn open(place: &str) -> Result<Store> {
        match Source::parse(place).map_err(|error| anyhow!("{error}"))? {
            Source::File(path) => Ok(Store::File(file::Store::new(path))),
            Source::Remote(remote) => {
                let config = crate::aws::config().await?;
                Ok(match remote {
                    Remote::S3 { bucket, key } => Store::S3(Box::new(s3::Store::new(&config, bucket, key))),
                    Remote::Ssm { name } => Store::Ssm(Box::new(ssm::Store::new(&config, name))),
                    Remote::AppConfig { application, environment, profile } => {
                        let names = [application, environment, profile];
                        Store::AppConfig(Box::new(appconfig::Store::new(&config, names)))
                    }
                })
            }
        }
    }

    /// Reads the present state.
    pub(crate) async fn read(&self) -> Result<Stored> {
        match self {
            Store::File(store) => store.read(),
            Store::S3(store) => store.read().await,
            Store::Ssm(store) => store.read().await,
            Store::AppConfig(store) => store.read().await,
        }
    }

    /// Writes the next state, if the present one still has this revision.
    pub(crate) async fn write(&self, overlay: &Overlay, revision: Option<&str>) -> Result<(), WriteError> {
        match self {
            Store::File(store) => store.write(overlay, revision),
            Store::S3(store) => store.write(overlay, revision).await,
            Store::Ssm(store) => store.write(overlay, revision).await,
            Store::AppConfig(store) => store.write(overlay, revision).await,
        }
    }

    /// Writes a state without knowing the present one: for an abort where reading is not allowed.
    pub(crate) async fn overwrite(&self, overlay: &Overlay) -> Result<()> {
        match self {
            Store::File(store) => store.overwrite(overlay),
            Store::S3(store) => store.overwrite(overlay).await,
            Store::Ssm(store) => store.overwrite(overlay).await,
            Store::AppConfig(_) => Err(anyhow!("AppConfig cannot be written without reading it")),
        }
    }

    /// Returns the latest versions, the newest first, as far as the store keeps them.
    pub(crate) async fn history(&self, most: usize) -> Result<Vec<Overlay>> {
        match self {
            Store::File(store) => store.history(most),
            Store::S3(store) => store.history(most).await,
            Store::Ssm(store) => store.history(most).await,
            Store::AppConfig(store) => store.history(most).await,
        }
    }
}

/// Parses a stored text.
fn parsed(text: &str, place: &str) -> Result<Overlay> {
    Overlay::parse(text, place)
        .map_err(|errors| anyhow!("{}", errors.with_lines()))
        .context("the live state is invalid")
}
