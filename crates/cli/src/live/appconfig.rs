//! Live state as a hosted configuration of AppConfig. A new version names the latest one, so that one of two writers wins; it is
//! then deployed to the environment at once, since the steps of a migration are the weights in it.

use anyhow::{Context, Result, anyhow};
use aws_config::SdkConfig;
use aws_sdk_appconfig::Client;
use aws_sdk_appconfig::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_appconfig::primitives::Blob;
use crossfade_route::Overlay;
use tokio::sync::OnceCell;

use super::{Stored, WriteError, parsed};

/// The predefined strategy without steps.
const AT_ONCE: &str = "AppConfig.AllAtOnce";

/// A configuration profile in an environment.
#[derive(Debug)]
pub(crate) struct Store {
    client: Client,
    /// Application, environment and profile: names or IDs.
    names: [String; 3],
    ids: OnceCell<[String; 3]>,
}

impl Store {
    pub(super) fn new(config: &SdkConfig, names: [String; 3]) -> Self {
        Store { client: Client::new(config), names, ids: OnceCell::new() }
    }

    pub(super) async fn read(&self) -> Result<Stored> {
        let [application, _, profile] = self.ids().await?;
        match self.versions(1).await?.first() {
            None => Ok(Stored { overlay: None, revision: None }),
            Some(version) => {
                let overlay = self.version(application, profile, *version).await?;
                Ok(Stored { overlay: Some(overlay), revision: Some(version.to_string()) })
            }
        }
    }

    pub(super) async fn write(&self, overlay: &Overlay, revision: Option<&str>) -> Result<(), WriteError> {
        let [application, environment, profile] = self.ids().await?;
        let create = self.client.create_hosted_configuration_version();
        let create = create.application_id(application).configuration_profile_id(profile);
        let create = create.content(Blob::new(overlay.to_text())).content_type("application/json");
        let latest = revision.and_then(|revision| revision.parse().ok()).unwrap_or_default();
        let created = match create.latest_version_number(latest).send().await {
            Ok(created) => created,
            Err(error) if error.code() == Some("ConflictException") => return Err(WriteError::Conflict),
            Err(error) => return Err(WriteError::Failed(self.failed("write", &error))),
        };
        let start = self.client.start_deployment().application_id(application).environment_id(environment);
        let start = start.configuration_profile_id(profile).deployment_strategy_id(AT_ONCE);
        let started = start.configuration_version(created.version_number.to_string()).send().await;
        started.map(|_| ()).map_err(|error| WriteError::Failed(self.failed("deploy", &error)))
    }

    pub(super) async fn history(&self, most: usize) -> Result<Vec<Overlay>> {
        let [application, _, profile] = self.ids().await?;
        let mut versions = Vec::new();
        for version in self.versions(most).await? {
            versions.push(self.version(application, profile, version).await?);
        }
        Ok(versions)
    }

    /// The numbers of the latest versions, the newest first.
    async fn versions(&self, most: usize) -> Result<Vec<i32>> {
        let [application, _, profile] = self.ids().await?;
        let list = self.client.list_hosted_configuration_versions();
        let list = list.application_id(application).configuration_profile_id(profile);
        let mut pages = list.into_paginator().items().send();
        let mut numbers = Vec::new();
        while let Some(version) = pages.next().await {
            numbers.push(version.map_err(|error| self.failed("list the versions of", &error))?.version_number);
        }
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        numbers.truncate(most);
        Ok(numbers)
    }

    async fn version(&self, application: &str, profile: &str, number: i32) -> Result<Overlay> {
        let get = self.client.get_hosted_configuration_version().application_id(application);
        let got = get.configuration_profile_id(profile).version_number(number).send().await;
        let got = got.map_err(|error| self.failed("read", &error))?;
        let bytes = got.content.map(Blob::into_inner).unwrap_or_default();
        let text = crossfade_document::decode(bytes).with_context(|| format!("{} is not text", self.place()))?;
        parsed(&text, &self.place())
    }

    /// Finds the IDs of the names.
    async fn ids(&self) -> Result<&[String; 3]> {
        let find = async || {
            let [application, environment, profile] = &self.names;
            let mut applications = self.client.list_applications().into_paginator().items().send();
            let mut found = None;
            while let Some(item) = applications.next().await {
                let item = item.map_err(|error| self.failed("find", &error))?;
                if [&item.id, &item.name].contains(&&Some(application.clone())) {
                    found = item.id;
                }
            }
            let application = found.with_context(|| format!("AppConfig has no application `{application}`"))?;
            let list = self.client.list_environments().application_id(&application);
            let (mut environments, mut found) = (list.into_paginator().items().send(), None);
            while let Some(item) = environments.next().await {
                let item = item.map_err(|error| self.failed("find", &error))?;
                if [&item.id, &item.name].contains(&&Some(environment.clone())) {
                    found = item.id;
                }
            }
            let environment = found.with_context(|| format!("AppConfig has no environment `{environment}`"))?;
            let list = self.client.list_configuration_profiles().application_id(&application);
            let (mut profiles, mut found) = (list.into_paginator().items().send(), None);
            while let Some(item) = profiles.next().await {
                let item = item.map_err(|error| self.failed("find", &error))?;
                if [&item.id, &item.name].contains(&&Some(profile.clone())) {
                    found = item.id;
                }
            }
            let profile = found.with_context(|| format!("AppConfig has no configuration profile `{profile}`"))?;
            Ok([application, environment, profile])
        };
        self.ids.get_or_try_init(find).await
    }

    fn place(&self) -> String {
        format!("appconfig:{}", self.names.join("/"))
    }

    fn failed<E: std::error::Error + Send + Sync + 'static>(&self, what: &str, error: &E) -> anyhow::Error {
        anyhow!("cannot {what} {}: {}", self.place(), DisplayErrorContext(error))
    }
}
