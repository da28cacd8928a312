//! Live state as a parameter of Systems Manager, whose own versions are the history.
//!
//! A parameter cannot be written on a condition, but it can be created only once. So a writer first creates a claim, a parameter
//! named after the version that it is about to write: of two writers one fails. A claim whose writer died is void after a
//! while.

use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow};
use aws_config::SdkConfig;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_ssm::types::{ParameterTier, ParameterType};
use crossfade_route::Overlay;

use super::{Stored, WriteError, parsed};

/// A claim is void after it. A writer needs far less.
const CLAIM: Duration = Duration::from_secs(60);

/// Void claims for one version.
const MAX_CLAIMS: u32 = 10;

/// A parameter.
#[derive(Debug)]
pub(crate) struct Store {
    client: Client,
    name: String,
}

impl Store {
    pub(super) fn new(config: &SdkConfig, name: String) -> Self {
        Store { client: Client::new(config), name }
    }

    pub(super) async fn read(&self) -> Result<Stored> {
        let got = self.client.get_parameter().name(&self.name).with_decryption(true).send().await;
        match got {
            Ok(got) => {
                let parameter = got.parameter.ok_or_else(|| anyhow!("Systems Manager returned no parameter"))?;
                let overlay = parsed(parameter.value().unwrap_or_default(), &self.place())?;
                Ok(Stored { overlay: Some(overlay), revision: Some(parameter.version.to_string()) })
            }
            Err(error) if error.code() == Some("ParameterNotFound") => Ok(Stored { overlay: None, revision: None }),
            Err(error) => Err(self.failed("read", &error)),
        }
    }

    pub(super) async fn write(&self, overlay: &Overlay, revision: Option<&str>) -> Result<(), WriteError> {
        let claimed = SystemTime::now();
        let claim = self.claim(overlay.version).await?;
        // Whoever wrote this version before has claimed it as well, and its claim may be gone since.
        let result = match self.read().await {
            Ok(now) if now.revision.as_deref() != revision => Err(WriteError::Conflict),
            Ok(_) if claimed.elapsed().unwrap_or_default() > CLAIM / 2 => Err(WriteError::Conflict),
            Ok(_) => self.overwrite(overlay).await.map_err(WriteError::Failed),
            Err(error) => Err(WriteError::Failed(error)),
        };
        // Left behind, it only costs a later writer a minute.
        let _ = self.client.delete_parameter().name(claim).send().await;
        result
    }

    pub(super) async fn overwrite(&self, overlay: &Overlay) -> Result<()> {
        let put = self.client.put_parameter().name(&self.name).value(overlay.to_text()).overwrite(true);
        let put = put.r#type(ParameterType::String).tier(ParameterTier::IntelligentTiering);
        put.send().await.map(|_| ()).map_err(|error| self.failed("write", &error))
    }

    pub(super) async fn history(&self, most: usize) -> Result<Vec<Overlay>> {
        let history = self.client.get_parameter_history().name(&self.name).with_decryption(true);
        let mut pages = history.into_paginator().send();
        let mut versions = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.failed("read the history of", &error))?;
            for version in page.parameters() {
                versions.push(parsed(version.value().unwrap_or_default(), &self.place())?);
            }
        }
        versions.reverse();
        versions.truncate(most);
        Ok(versions)
    }

    /// Creates the claim for a version, and returns its name.
    async fn claim(&self, version: u32) -> Result<String, WriteError> {
        for number in 1..=MAX_CLAIMS {
            let name = format!("{}.claim-{version}-{number}", self.name);
            let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
            let put = self.client.put_parameter().name(&name).value(now).r#type(ParameterType::String);
            match put.overwrite(false).send().await {
                Ok(_) => return Ok(name),
                Err(error) if error.code() == Some("ParameterAlreadyExists") => {}
                Err(error) => return Err(WriteError::Failed(self.failed("claim", &error))),
            }
            let other = self.client.get_parameter().name(&name).send().await.ok().and_then(|got| got.parameter);
            let since = other.and_then(|it| humantime::parse_rfc3339(it.value()?).ok());
            let is_void = since.is_some_and(|since| since.elapsed().is_ok_and(|age| age > CLAIM));
            if !is_void {
                return Err(WriteError::Conflict);
            }
        }
        Err(WriteError::Failed(anyhow!("too many void claims: delete the parameters `{}.claim-…`", self.name)))
    }

    fn place(&self) -> String {
        format!("ssm:{}", self.name)
    }

    fn failed<E: std::error::Error + Send + Sync + 'static>(&self, what: &str, error: &E) -> anyhow::Error {
        anyhow!("cannot {what} {}: {}", self.place(), DisplayErrorContext(error))
    }
}
