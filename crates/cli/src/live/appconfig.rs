//! Live state as a hosted configuration of AppConfig. A new version names the latest one, so that one of two writers wins; it is
//! then deployed to the environment at once, since the steps of a migration are the weights in it. A version that cannot be
//! deployed is deleted again.

use std::time::Duration;

use anyhow::{Context, Result};
use aws_config::SdkConfig;
use aws_sdk_appconfig::Client;
use aws_sdk_appconfig::config::http::HttpResponse;
use aws_sdk_appconfig::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_appconfig::operation::create_hosted_configuration_version::CreateHostedConfigurationVersionError;
use aws_sdk_appconfig::primitives::Blob;
use aws_sdk_appconfig::types::{DeploymentState, DeploymentSummary};
use crossfade_document::did_you_mean;
use tokio::sync::OnceCell;

use super::{Document, WriteError, all};
use crate::aws;

/// The predefined strategy without steps. It watches alarms for ten minutes, during which nothing else can be deployed.
const AT_ONCE: &str = "AppConfig.AllAtOnce";

/// Attempts to deploy, while a deployment that was stopped rolls back, and the time between two.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

const FIND: &str = "`appconfig:ListApplications`, `appconfig:ListEnvironments` and `appconfig:ListConfigurationProfiles`, \
                    or IDs instead of names";
const GET: &str = "`appconfig:ListHostedConfigurationVersions` and `appconfig:GetHostedConfigurationVersion`";
const CREATE: &str = "`appconfig:CreateHostedConfigurationVersion`";
const DEPLOY: &str = "`appconfig:StartDeployment` on the application, environment, profile and strategy, \
                      `appconfig:ListDeployments` and `appconfig:StopDeployment`";

/// A configuration profile in an environment.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    /// Application, environment and profile: names or IDs.
    names: [String; 3],
    ids: OnceCell<[String; 3]>,
}

impl Store {
    pub(super) fn new(config: &SdkConfig, names: [String; 3]) -> Self {
        Store { client: Client::new(config), names, ids: OnceCell::new() }
    }

    pub(super) async fn read(&self) -> Result<Option<Document>> {
        match self.versions().await?.first() {
            None => Ok(None),
            Some(number) => Ok(Some(self.clone().version(*number).await?)),
        }
    }

    pub(super) async fn write(&self, text: &str, revision: Option<&str>) -> Result<(), WriteError> {
        let ids = self.ids().await?;
        // Without a number the write would be unconditional.
        let latest = revision.and_then(|revision| revision.parse().ok()).unwrap_or_default();
        let number = match self.create(ids, text, Some(latest)).await {
            Ok(number) => number,
            // If a response is lost, the request is sent again, and finds what the first one has created.
            Err(error) => match self.read().await {
                Ok(Some(now)) if now.bytes.as_deref() == Some(text.as_bytes()) => now.revision.parse()?,
                _ if error.code() == Some("ConflictException") => return Err(WriteError::Conflict),
                _ => return Err(WriteError::Failed(self.failure("write", CREATE, &error))),
            },
        };
        Ok(self.deploy(ids, number).await?)
    }

    pub(super) async fn overwrite(&self, text: &str) -> Result<()> {
        let ids = self.ids().await?;
        let created = self.create(ids, text, None).await;
        self.deploy(ids, created.map_err(|error| self.failure("write", CREATE, &error))?).await
    }

    pub(super) async fn history(&self, most: usize) -> Result<Vec<Document>> {
        let numbers = self.versions().await?.into_iter().take(most);
        all(numbers.map(|number| self.clone().version(number)).collect()).await
    }

    /// Creates a version, if this is the latest one, and returns its number.
    async fn create(
        &self,
        [application, _, profile]: &[String; 3],
        text: &str,
        latest: Option<i32>,
    ) -> Result<i32, SdkError<CreateHostedConfigurationVersionError, HttpResponse>> {
        let create = self.client.create_hosted_configuration_version();
        let create = create.application_id(application).configuration_profile_id(profile);
        let create = create.content(Blob::new(text)).content_type("application/json");
        create.set_latest_version_number(latest).send().await.map(|created| created.version_number)
    }

    /// Deploys a version, or deletes it. An earlier deployment of the same profile that still watches alarms is stopped, since
    /// an abort must not wait for it.
    async fn deploy(&self, ids: &[String; 3], number: i32) -> Result<()> {
        let [application, environment, profile] = ids;
        let mut attempts = 0;
        let error = loop {
            attempts += 1;
            let start = self.client.start_deployment().application_id(application).environment_id(environment);
            let start = start.configuration_profile_id(profile).deployment_strategy_id(AT_ONCE);
            let error = match start.configuration_version(number.to_string()).send().await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            let is_last = attempts == ATTEMPTS || error.code() != Some("ConflictException");
            let failure = self.failure("deploy", DEPLOY, &error);
            match self.running(ids).await {
                // Somebody has built on this version, and deploys both.
                _ if self.versions().await.is_ok_and(|versions| versions.first() > Some(&number)) => return Ok(()),
                // Its response was lost.
                Ok(Some(running)) if is_ours(&running, profile, number) => return Ok(()),
                _ if is_last => break failure,
                Ok(None) => {}
                Ok(Some(running)) if running.configuration_profile_id() != Some(profile) => {
                    let other = running.configuration_name().unwrap_or("another configuration");
                    break failure.context(format!(
                        "`{other}` is being deployed to the environment: wait for it, or stop it with `aws appconfig \
                         stop-deployment`, then try again"
                    ));
                }
                Ok(Some(running)) if running.state() == Some(&DeploymentState::RollingBack) => {}
                Ok(Some(running)) => {
                    let stop = self.client.stop_deployment().application_id(application).environment_id(environment);
                    let stop = stop.deployment_number(running.deployment_number()).allow_revert(true);
                    if let Err(error) = stop.send().await {
                        break self.failure("stop the earlier deployment of", DEPLOY, &error);
                    }
                }
                Err(error) => break error,
            }
            tokio::time::sleep(PAUSE).await;
        };
        // It must not count as the present state.
        let delete = self.client.delete_hosted_configuration_version().application_id(application);
        match delete.configuration_profile_id(profile).version_number(number).send().await {
            Ok(_) => Err(error),
            Err(_) => {
                Err(error.context(format!("version {number} is not deployed, and could not be deleted: delete it")))
            }
        }
    }

    /// The deployment to the environment that is in progress.
    async fn running(&self, [application, environment, _]: &[String; 3]) -> Result<Option<DeploymentSummary>> {
        let list = self.client.list_deployments().application_id(application).environment_id(environment);
        // The latest comes first, and there is one at a time.
        let page = list.send().await.map_err(|error| self.failure("find the deployments of", DEPLOY, &error))?;
        let is_over = |state: Option<&DeploymentState>| {
            matches!(state, Some(DeploymentState::Complete | DeploymentState::RolledBack | DeploymentState::Reverted))
        };
        Ok(page.items.unwrap_or_default().into_iter().find(|deployment| !is_over(deployment.state())))
    }

    /// The numbers of all versions, the newest first.
    async fn versions(&self) -> Result<Vec<i32>> {
        let [application, _, profile] = self.ids().await?;
        let list = self.client.list_hosted_configuration_versions();
        let list = list.application_id(application).configuration_profile_id(profile);
        let mut pages = list.into_paginator().items().send();
        let mut numbers = Vec::new();
        while let Some(version) = pages.next().await {
            numbers.push(version.map_err(|error| self.failure("list the versions of", GET, &error))?.version_number);
        }
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        Ok(numbers)
    }

    async fn version(self, number: i32) -> Result<Document> {
        let [application, _, profile] = self.ids().await?;
        let get = self.client.get_hosted_configuration_version().application_id(application);
        let got = get.configuration_profile_id(profile).version_number(number).send().await;
        let got = got.map_err(|error| self.failure("read", GET, &error))?;
        Ok(Document {
            revision: number.to_string(),
            bytes: Some(got.content.map(Blob::into_inner).unwrap_or_default()),
        })
    }

    /// The IDs of the names.
    async fn ids(&self) -> Result<&[String; 3]> {
        self.ids.get_or_try_init(|| self.find_ids()).await
    }

    async fn find_ids(&self) -> Result<[String; 3]> {
        let [application, environment, profile] = &self.names;
        let mut items = self.client.list_applications().into_paginator().items().send();
        let mut applications = Vec::new();
        while let Some(item) = items.next().await {
            let item = match item {
                Ok(item) => item,
                Err(error) if self.are_ids(&error) => return Ok(self.names.clone()),
                Err(error) => return Err(self.failure("find", FIND, &error)),
            };
            applications.extend(item.id.zip(item.name));
        }
        let application = id("application", application, applications)?;
        let list = self.client.list_environments().application_id(&application);
        let (mut items, mut environments) = (list.into_paginator().items().send(), Vec::new());
        while let Some(item) = items.next().await {
            let item = match item {
                Ok(item) => item,
                Err(error) if self.are_ids(&error) => return Ok(self.names.clone()),
                Err(error) => return Err(self.failure("find", FIND, &error)),
            };
            environments.extend(item.id.zip(item.name));
        }
        let environment = id("environment", environment, environments)?;
        let list = self.client.list_configuration_profiles().application_id(&application);
        let (mut items, mut profiles) = (list.into_paginator().items().send(), Vec::new());
        while let Some(item) = items.next().await {
            let item = match item {
                Ok(item) => item,
                Err(error) if self.are_ids(&error) => return Ok(self.names.clone()),
                Err(error) => return Err(self.failure("find", FIND, &error)),
            };
            profiles.extend(item.id.zip(item.name));
        }
        let profile = id("configuration profile", profile, profiles)?;
        Ok([application, environment, profile])
    }

    /// Whoever knows the IDs need not be allowed to look for them. They have seven characters.
    fn are_ids(&self, error: &impl ProvideErrorMetadata) -> bool {
        let is_id = |name: &String| {
            name.len() == 7 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        error.code() == Some("AccessDeniedException") && self.names.iter().all(is_id)
    }

    pub(super) fn place(&self) -> String {
        format!("appconfig:{}", self.names.join("/"))
    }

    fn failure<E>(&self, cannot: &str, permissions: &str, error: &SdkError<E, HttpResponse>) -> anyhow::Error
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        aws::failure(&format!("{cannot} {}", self.place()), permissions, error)
    }
}

fn is_ours(running: &DeploymentSummary, profile: &str, number: i32) -> bool {
    let is_version = running.configuration_version() == Some(number.to_string().as_str());
    is_version
        && running.configuration_profile_id() == Some(profile)
        && running.state() != Some(&DeploymentState::RollingBack)
}

/// The ID of what has this name, or this ID.
fn id(kind: &str, wanted: &str, known: Vec<(String, String)>) -> Result<String> {
    let found = known.iter().find(|(id, name)| id == wanted || name == wanted).map(|(id, _)| id.clone());
    found.with_context(|| {
        let names: Vec<&str> = known.iter().map(|(_, name)| name.as_str()).collect();
        let hint = did_you_mean(wanted, &names).unwrap_or_else(|| match names.as_slice() {
            [] => "there is none".to_owned(),
            [..] => format!("there are {}", names.join(", ")),
        });
        format!("AppConfig has no {kind} `{wanted}` in this region: {hint}")
    })
}
