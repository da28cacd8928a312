//! Live state as an object of S3. Conditional writes let one of two writers win, and the bucket's versions are the history.

use anyhow::{Context, Result};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use crossfade_route::Overlay;

use super::{Stored, WriteError, parsed};

/// An object.
#[derive(Debug)]
pub(crate) struct Store {
    client: Client,
    bucket: String,
    key: String,
}

impl Store {
    pub(super) fn new(config: &SdkConfig, bucket: String, key: String) -> Self {
        // Endpoints other than AWS's have no host for each bucket.
        let is_other = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"].iter().any(|name| std::env::var_os(name).is_some());
        let config = aws_sdk_s3::config::Builder::from(config).force_path_style(is_other).build();
        Store { client: Client::from_conf(config), bucket, key }
    }

    pub(super) async fn read(&self) -> Result<Stored> {
        match self.client.get_object().bucket(&self.bucket).key(&self.key).send().await {
            Ok(object) => {
                let revision = object.e_tag.clone();
                Ok(Stored { overlay: Some(self.overlay(object.body).await?), revision })
            }
            Err(error) if error.code() == Some("NoSuchKey") => Ok(Stored { overlay: None, revision: None }),
            Err(error) => Err(self.failed("read", &error)),
        }
    }

    pub(super) async fn write(&self, overlay: &Overlay, revision: Option<&str>) -> Result<(), WriteError> {
        let put = match revision {
            Some(etag) => self.put(overlay).if_match(etag),
            None => self.put(overlay).if_none_match("*"),
        };
        match put.send().await {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.code(), Some("PreconditionFailed" | "ConditionalRequestConflict")) => {
                Err(WriteError::Conflict)
            }
            Err(error) => Err(WriteError::Failed(self.failed("write", &error))),
        }
    }

    pub(super) async fn overwrite(&self, overlay: &Overlay) -> Result<()> {
        self.put(overlay).send().await.map(|_| ()).map_err(|error| self.failed("write", &error))
    }

    pub(super) async fn history(&self, most: usize) -> Result<Vec<Overlay>> {
        let listed = self.client.list_object_versions().bucket(&self.bucket).prefix(&self.key).send().await;
        let listed = listed.map_err(|error| self.failed("list the versions of", &error))?;
        let mut versions = Vec::new();
        // The prefix has other keys as well. The newest comes first.
        for version in listed.versions().iter().filter(|version| version.key() == Some(&self.key)).take(most) {
            let get = self.client.get_object().bucket(&self.bucket).key(&self.key);
            let object = get.set_version_id(version.version_id.clone()).send().await;
            let object = object.map_err(|error| self.failed("read a version of", &error))?;
            versions.push(self.overlay(object.body).await?);
        }
        Ok(versions)
    }

    fn put(&self, overlay: &Overlay) -> PutObjectFluentBuilder {
        let body = ByteStream::from(overlay.to_text().into_bytes());
        self.client.put_object().bucket(&self.bucket).key(&self.key).content_type("application/json").body(body)
    }

    async fn overlay(&self, body: ByteStream) -> Result<Overlay> {
        let bytes = body.collect().await.with_context(|| format!("cannot read {}", self.place()))?.to_vec();
        let text = crossfade_document::decode(bytes).with_context(|| format!("{} is not text", self.place()))?;
        parsed(&text, &self.place())
    }

    fn place(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    fn failed<E: std::error::Error + Send + Sync + 'static>(&self, what: &str, error: &E) -> anyhow::Error {
        anyhow::anyhow!("cannot {what} {}: {}", self.place(), DisplayErrorContext(error))
    }
}
