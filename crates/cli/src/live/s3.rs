//! Live state as an object of S3. Conditional writes let one of two writers win, and the bucket's versions are the history.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Region;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, DateTime};

use super::{Document, WriteError, all};
use crate::aws;

/// The header that names a bucket's region, in errors as well.
const BUCKET_REGION: &str = "x-amz-bucket-region";

/// S3 has another write to the same key in progress (409); it asks to try again.
const BUSY: Duration = Duration::from_millis(100);

const GET: &str = "`s3:GetObject` on the object, and `s3:ListBucket` on the bucket while there is no object";
const PUT: &str = "`s3:PutObject` on the object";
const LIST: &str = "`s3:ListBucketVersions` on the bucket";
const GET_VERSION: &str = "`s3:GetObjectVersion` on the object";

/// An object.
#[derive(Clone, Debug)]
pub struct Store {
    /// That of the bucket's region, once it is known.
    client: Arc<Mutex<Client>>,
    bucket: String,
    key: String,
}

impl Store {
    pub(super) fn new(config: &SdkConfig, bucket: String, key: String) -> Self {
        // Endpoints other than AWS's have no host for each bucket.
        let is_other = config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        // A region that is another one than the bucket's is corrected.
        let config = aws_sdk_s3::config::Builder::from(config).force_path_style(is_other).build();
        Store { client: Arc::new(Mutex::new(Client::from_conf(config))), bucket, key }
    }

    pub(super) async fn read(&self) -> Result<Option<Document>> {
        match self.send(|client| client.get_object().bucket(&self.bucket).key(&self.key).send()).await {
            Ok(object) => {
                let revision = object.e_tag.clone().context("S3 returned no entity tag")?;
                Ok(Some(Document { revision, bytes: Some(self.bytes(object.body).await?) }))
            }
            Err(error) if error.code() == Some("NoSuchKey") => Ok(None),
            Err(error) => Err(self.failure("read", GET, &error)),
        }
    }

    pub(super) async fn write(&self, text: &str, revision: Option<&str>) -> Result<(), WriteError> {
        let put = async || {
            self.send(|client| match revision {
                Some(etag) => self.put(&client, text).if_match(etag).send(),
                None => self.put(&client, text).if_none_match("*").send(),
            })
            .await
        };
        let mut result = put().await;
        if result.as_ref().is_err_and(|error| error.code() == Some("ConditionalRequestConflict")) {
            tokio::time::sleep(BUSY).await;
            result = put().await;
        }
        let Err(error) = result else { return Ok(()) };
        // If a response is lost, the request is sent again, and finds what the first one has written.
        if let Ok(Some(document)) = self.read().await
            && document.bytes.is_some_and(|bytes| bytes == text.as_bytes())
        {
            return Ok(());
        }
        // `NoSuchKey`: it was deleted.
        match error.code() {
            Some("PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey") => Err(WriteError::Conflict),
            _ => Err(WriteError::Failed(self.failure("write", PUT, &error))),
        }
    }

    pub(super) async fn overwrite(&self, text: &str) -> Result<()> {
        let result = self.send(|client| self.put(&client, text).send()).await;
        result.map(|_| ()).map_err(|error| self.failure("write", PUT, &error))
    }

    pub(super) async fn history(&self, most: usize) -> Result<Vec<Document>> {
        let mut entries: Vec<(DateTime, Option<String>, bool)> = Vec::new();
        let (mut key_marker, mut version_marker) = (None, None);
        loop {
            let (key, version): (Option<String>, Option<String>) = (key_marker.take(), version_marker.take());
            let page = self.send(|client| {
                let list = client.list_object_versions().bucket(&self.bucket).prefix(&self.key);
                list.set_key_marker(key.clone()).set_version_id_marker(version.clone()).send()
            });
            let page = page.await.map_err(|error| self.failure("list the versions of", LIST, &error))?;
            // The prefix has other keys as well, which come after this one.
            let versions = page.versions().iter().filter(|version| version.key() == Some(&self.key));
            let versions = versions.map(|it| (it.last_modified, it.version_id.clone(), false));
            let markers = page.delete_markers().iter().filter(|marker| marker.key() == Some(&self.key));
            let markers = markers.map(|it| (it.last_modified, it.version_id.clone(), true));
            let found = versions.chain(markers);
            entries.extend(found.map(|(at, id, gone)| (at.unwrap_or(DateTime::from_secs(0)), id, gone)));
            let has_more = page.is_truncated() == Some(true) && page.next_key_marker() == Some(&self.key);
            if !has_more || entries.len() >= most {
                break;
            }
            (key_marker, version_marker) = (page.next_key_marker, page.next_version_id_marker);
        }
        if let [(_, id, false)] = entries.as_slice() {
            let bucket = &self.bucket;
            ensure!(
                id.as_deref().is_some_and(|id| id != "null"),
                "the bucket `{bucket}` keeps no earlier versions: enable its versioning, with `aws s3api \
                 put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled`"
            );
        }
        // The order of S3 is kept where the time is the same.
        entries.sort_by_key(|(at, ..)| std::cmp::Reverse((at.secs(), at.subsec_nanos())));
        entries.truncate(most);
        let versions = entries.into_iter().map(|(_, id, is_deleted)| self.clone().version(id, is_deleted)).collect();
        all(versions).await
    }

    async fn version(self, id: Option<String>, is_deleted: bool) -> Result<Document> {
        let revision = id.clone().unwrap_or_default();
        if is_deleted {
            return Ok(Document { revision, bytes: None });
        }
        let get = self
            .send(|client| client.get_object().bucket(&self.bucket).key(&self.key).set_version_id(id.clone()).send());
        match get.await {
            Ok(object) => Ok(Document { revision, bytes: Some(self.bytes(object.body).await?) }),
            // A rule of the bucket has deleted it meanwhile.
            Err(error) if error.code() == Some("NoSuchVersion") => Ok(Document { revision, bytes: None }),
            Err(error) => Err(self.failure("read a version of", GET_VERSION, &error)),
        }
    }

    fn put(&self, client: &Client, text: &str) -> PutObjectFluentBuilder {
        let body = ByteStream::from(text.as_bytes().to_vec());
        client.put_object().bucket(&self.bucket).key(&self.key).content_type("application/json").body(body)
    }

    /// Sends a request, and once again in the region that S3 says the bucket is in.
    async fn send<T, E, F>(&self, request: impl Fn(Client) -> F) -> Result<T, SdkError<E, HttpResponse>>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let result = request(client.clone()).await;
        let Some(region) = result.as_ref().err().and_then(|error| other_region(&client, error)) else { return result };
        let client = Client::from_conf(client.config().to_builder().region(Region::new(region)).build());
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client.clone();
        request(client).await
    }

    async fn bytes(&self, body: ByteStream) -> Result<Vec<u8>> {
        Ok(body.collect().await.with_context(|| format!("cannot read {}", self.place()))?.to_vec())
    }

    pub(super) fn place(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }

    fn failure<E>(&self, cannot: &str, permissions: &str, error: &SdkError<E, HttpResponse>) -> anyhow::Error
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        aws::failure(&format!("{cannot} {}", self.place()), permissions, error)
    }
}

/// The region that an error names, if it is another one than the client's.
fn other_region<E>(client: &Client, error: &SdkError<E, HttpResponse>) -> Option<String> {
    let region = error.raw_response()?.headers().get(BUCKET_REGION)?;
    let is_name = region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_other = client.config().region().is_none_or(|own| own.as_ref() != region);
    (is_name && is_other).then(|| region.to_owned())
}
