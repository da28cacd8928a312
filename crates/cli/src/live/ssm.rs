//! Live state as a parameter of Systems Manager, whose own versions are the history.
//!
//! A parameter cannot be written on a condition, but it can be created only once. So a writer first creates a claim, a parameter
//! named after the version that it builds on: of two writers one fails. A claim whose writer died is void after a while, by the
//! clock of AWS. A writer that was stopped for so long may still write; then the number of its version shows that another one
//! came before, and it says so.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, anyhow};
use aws_config::SdkConfig;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::config::http::HttpResponse;
use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ssm::types::{ParameterTier, ParameterType};

use super::{Document, WriteError};
use crate::aws;

/// Length in bytes of the longest value, in the advanced tier.
pub(super) const MAX_VALUE: usize = 8192;

/// A claim is void after it. A writer needs far less.
const CLAIM: Duration = Duration::from_secs(60);

/// Void claims for one version.
const MAX_CLAIMS: u32 = 10;

const GET: &str = "`ssm:GetParameter` on the parameter";
const PUT: &str = "`ssm:PutParameter` on the parameter";
const CLAIMS: &str = "`ssm:PutParameter`, `ssm:GetParameter` and `ssm:DeleteParameter` on the parameters whose names begin with its name and `.claim-`";
const HISTORY: &str = "`ssm:GetParameterHistory` on the parameter";

/// A parameter.
#[derive(Debug)]
pub struct Store {
    client: Client,
    name: String,
}

impl Store {
    pub(super) fn new(config: &SdkConfig, name: String) -> Self {
        Store { client: Client::new(config), name }
    }

    pub(super) async fn read(&self) -> Result<Option<Document>> {
        let got = self.client.get_parameter().name(&self.name).with_decryption(true).send().await;
        match got {
            Ok(got) => {
                let parameter = got.parameter.ok_or_else(|| anyhow!("Systems Manager returned no parameter"))?;
                let bytes = parameter.value.unwrap_or_default().into_bytes();
                Ok(Some(Document { revision: parameter.version.to_string(), bytes: Some(bytes) }))
            }
            Err(error) if error.code() == Some("ParameterNotFound") => Ok(None),
            Err(error) => Err(self.failure("read", GET, &error)),
        }
    }

    pub(super) async fn write(&self, text: &str, revision: Option<&str>) -> Result<(), WriteError> {
        let begun = Instant::now();
        let claim = self.claim(revision.unwrap_or("0")).await?;
        // Whoever built on this version before has claimed it as well, and its claim may be gone since.
        let result = match self.read().await {
            Ok(now) if now.as_ref().map(|now| now.revision.as_str()) != revision => Err(WriteError::Conflict),
            Ok(_) if begun.elapsed() > CLAIM / 2 => Err(WriteError::Conflict),
            Ok(_) => self.put_after(text, revision).await,
            Err(error) => Err(WriteError::Failed(error)),
        };
        // Left behind, it only costs a later writer a minute.
        let _ = self.client.delete_parameter().name(claim).send().await;
        result
    }

    pub(super) async fn overwrite(&self, text: &str) -> Result<()> {
        self.put(text).await.map(|_| ())
    }

    pub(super) async fn history(&self, most: usize) -> Result<Vec<Document>> {
        let mut documents: Vec<(i64, Document)> = Vec::new();
        let history = self.client.get_parameter_history().name(&self.name).with_decryption(true);
        let mut pages = history.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = match page {
                Ok(page) => page,
                Err(error) if error.code() == Some("ParameterNotFound") => break,
                Err(error) => return Err(self.failure("read the history of", HISTORY, &error)),
            };
            documents.extend(page.parameters.unwrap_or_default().into_iter().map(|version| {
                let bytes = version.value.unwrap_or_default().into_bytes();
                (version.version, Document { revision: version.version.to_string(), bytes: Some(bytes) })
            }));
        }
        documents.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        Ok(documents.into_iter().take(most).map(|(_, document)| document).collect())
    }

    /// Writes, and makes sure that nobody else did since this version.
    async fn put_after(&self, text: &str, revision: Option<&str>) -> Result<(), WriteError> {
        let before: i64 = revision.and_then(|revision| revision.parse().ok()).unwrap_or_default();
        let written = match self.put(text).await {
            Ok(version) => version,
            // The response may have been lost.
            Err(error) => match self.read().await {
                Ok(Some(now)) if now.bytes.as_deref() == Some(text.as_bytes()) => return Ok(()),
                _ => return Err(WriteError::Failed(error)),
            },
        };
        if written == before.saturating_add(1) {
            return Ok(());
        }
        // A request whose response is lost is sent again.
        let between = usize::try_from(written.saturating_sub(before).saturating_sub(1)).unwrap_or(usize::MAX);
        let later = self.history(between.saturating_add(1)).await?;
        match later.iter().find(|document| document.bytes.as_deref() != Some(text.as_bytes())) {
            None => Ok(()),
            Some(other) => Err(WriteError::Failed(anyhow!(
                "{} was changed at the same time: version {} of the parameter was replaced by {written}; look at both in its \
                 history, and make the lost change again",
                self.place(),
                other.revision
            ))),
        }
    }

    /// Writes, and returns the number of the parameter's version.
    async fn put(&self, text: &str) -> Result<i64> {
        let put = self.client.put_parameter().name(&self.name).value(text).overwrite(true);
        let put = put.r#type(ParameterType::String).tier(ParameterTier::IntelligentTiering);
        match put.send().await {
            Ok(put) => Ok(put.version),
            Err(error) if error.code() == Some("HierarchyTypeMismatchException") => Err(anyhow!(
                "cannot write {}: it is a parameter of another type; delete it, or use another name: live state is a `String`",
                self.place()
            )),
            Err(error) => Err(self.failure("write", PUT, &error)),
        }
    }

    /// Creates the claim to build on a version, and returns its name.
    async fn claim(&self, revision: &str) -> Result<String, WriteError> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let own = format!("{}-{}", std::process::id(), since.as_nanos());
        for number in 1..=MAX_CLAIMS {
            let name = format!("{}.claim-{revision}-{number}", self.name);
            let put = self.client.put_parameter().name(&name).value(&own).r#type(ParameterType::String);
            let error = match put.overwrite(false).send().await {
                Ok(_) => return Ok(name),
                Err(error) if error.code() == Some("ParameterAlreadyExists") => error,
                Err(error) => return Err(WriteError::Failed(self.failure("claim", CLAIMS, &error))),
            };
            let Some(other) = self.client.get_parameter().name(&name).send().await.ok().and_then(|got| got.parameter)
            else {
                return Err(WriteError::Conflict);
            };
            // The request was sent twice, since the response to the first one was lost.
            if other.value() == Some(&own) {
                return Ok(name);
            }
            let created = other.last_modified_date().and_then(|date| SystemTime::try_from(*date).ok());
            let age = created.zip(answered(&error)).and_then(|(created, now)| now.duration_since(created).ok());
            if age.is_none_or(|age| age <= CLAIM) {
                return Err(WriteError::Conflict);
            }
        }
        Err(WriteError::Failed(anyhow!("too many void claims: delete the parameters `{}.claim-…`", self.name)))
    }

    pub(super) fn place(&self) -> String {
        format!("ssm:{}", self.name)
    }

    fn failure<E>(&self, cannot: &str, permissions: &str, error: &SdkError<E, HttpResponse>) -> anyhow::Error
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        aws::failure(&format!("{cannot} {}", self.place()), permissions, error)
    }
}

/// The time of a response by the clock of the service.
fn answered<E>(error: &SdkError<E, HttpResponse>) -> Option<SystemTime> {
    let date = error.raw_response()?.headers().get("date")?;
    let date =
        aws_sdk_ssm::primitives::DateTime::from_str(date, aws_sdk_ssm::primitives::DateTimeFormat::HttpDate).ok()?;
    SystemTime::try_from(date).ok()
}
