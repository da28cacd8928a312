//! Writing the live state: on the condition that it is as it was read, or regardless of it. Owns the requests of each service for
//! that, and the protocol of files and parameters, which is the one of the commands (`crates/cli/src/live`).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HOST, IF_MATCH, IF_NONE_MATCH};
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::aws::{Aws, date};
use crate::live::RemoteStore;
use crate::source::{Content, Endpoint, Remote, between, encoded, ssm_request};

/// A claim is void after it.
const CLAIM: Duration = Duration::from_secs(60);

/// Void claims for one version.
const MAX_CLAIMS: u32 = 10;

/// The state as it was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Basis {
    pub(crate) text: Option<String>,
    pub(crate) revision: Option<String>,
}

/// The result of a write.
#[derive(Debug)]
pub(crate) enum Written {
    /// With the entity tag, if the service has such.
    Done(Option<String>),
    /// Somebody else has written since.
    Conflict,
}

/// Writes a file in one step, so that a reader never sees half of it, and keeps the version for `crossfade history`.
pub(crate) fn file(path: &Path, text: &str, version: u32, basis: Option<&Basis>) -> Result<Written, String> {
    write_file(path, text, version, basis).map_err(|error| error.to_string())
}

fn write_file(path: &Path, text: &str, version: u32, basis: Option<&Basis>) -> io::Result<Written> {
    let beside = |suffix: &str| {
        let mut name = path.to_owned().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };
    let lock = File::create(beside(".lock"))?;
    if let Some(basis) = basis {
        // Waiting would hold up the requests of other lanes.
        if lock.try_lock().is_err() {
            return Ok(Written::Conflict);
        }
        let now = match fs::read(path) {
            Ok(bytes) => crossfade_route::decode(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if now != basis.text {
            return Ok(Written::Conflict);
        }
    }
    let history = beside(".history");
    fs::create_dir_all(&history)?;
    fs::write(history.join(format!("{version:010}.json")), text)?;
    // A link stays one.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let next = target.with_added_extension("next");
    fs::write(&next, text)?;
    fs::rename(&next, &target)?;
    Ok(Written::Done(None))
}

impl RemoteStore {
    /// Writes a text.
    pub(crate) async fn write(
        &self,
        aws: &Aws,
        text: &str,
        basis: Option<&Basis>,
        now: SystemTime,
    ) -> Result<Written, String> {
        match &self.remote {
            Remote::S3 { key, .. } => {
                let request = put_object(&self.endpoint, key, text, basis).map_err(|error| error.to_string())?;
                let response = aws.send(&*self.client, "s3", request, now).await?;
                put(&response)
            }
            Remote::Ssm { name } => self.write_parameter(aws, name, text, basis, now).await,
            Remote::AppConfig { .. } => {
                Err("the function cannot write to AppConfig: move users with the commands, and let \
                                             AppConfig's own alarms roll back"
                    .to_owned())
            }
        }
    }

    /// A parameter cannot be written on a condition, but it can be created only once: so whoever builds on a version claims it
    /// first.
    async fn write_parameter(
        &self,
        aws: &Aws,
        name: &str,
        text: &str,
        basis: Option<&Basis>,
        now: SystemTime,
    ) -> Result<Written, String> {
        // Without a type a parameter keeps its own, such as `SecureString`.
        let mut put = json!({ "Name": name, "Value": text, "Tier": "Intelligent-Tiering", "Overwrite": true });
        let Some(basis) = basis else {
            let mut written = self.parameter(aws, "PutParameter", &put, now).await;
            // A new one must have a type.
            if written.as_ref().is_err_and(|error| error.contains("ValidationException")) {
                put["Type"] = "String".into();
                written = self.parameter(aws, "PutParameter", &put, now).await;
            }
            return written.map(|_| Written::Done(None));
        };
        if basis.revision.is_none() {
            put["Type"] = "String".into();
        }
        let Some(claim) = self.claim(aws, name, basis.revision.as_deref().unwrap_or("0"), now).await? else {
            return Ok(Written::Conflict);
        };
        // Whoever built on this version before has claimed it as well, and its claim may be gone since.
        let written = match self.read(Some(aws), None, now).await {
            Ok(Content::Text(_, revision)) if revision != basis.revision => Ok(Written::Conflict),
            Ok(Content::None) if basis.revision.is_some() => Ok(Written::Conflict),
            Ok(_) => self.parameter(aws, "PutParameter", &put, now).await.map(|_| Written::Done(None)),
            Err(error) => Err(error),
        };
        // Left behind, it only costs a later writer a minute.
        let _ = self.parameter(aws, "DeleteParameter", &json!({ "Name": claim }), now).await;
        written
    }

    /// Creates the claim to build on a version, and returns its name; `None` if somebody else has it.
    async fn claim(&self, aws: &Aws, name: &str, revision: &str, now: SystemTime) -> Result<Option<String>, String> {
        for number in 1..=MAX_CLAIMS {
            let claim = format!("{name}.claim-{revision}-{number}");
            let time = humantime::format_rfc3339_seconds(now).to_string();
            let put = json!({ "Name": claim, "Value": time, "Type": "String", "Overwrite": false });
            match self.parameter(aws, "PutParameter", &put, now).await {
                Ok(_) => return Ok(Some(claim)),
                Err(code) if code.contains("ParameterAlreadyExists") => {}
                Err(error) => return Err(error),
            }
            let Ok((other, date)) = self.parameter(aws, "GetParameter", &json!({ "Name": claim }), now).await else {
                return Ok(None);
            };
            // Both by the clock of the service.
            let created =
                other["Parameter"]["LastModifiedDate"].as_f64().and_then(|it| Duration::try_from_secs_f64(it).ok());
            let created = created.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
            let age = created.zip(date).and_then(|(created, date)| date.duration_since(created).ok());
            if age.is_none_or(|age| age <= CLAIM) {
                return Ok(None);
            }
        }
        Err(format!("too many void claims: delete the parameters `{name}.claim-…`"))
    }

    /// Returns the response and its time.
    async fn parameter(
        &self,
        aws: &Aws,
        action: &str,
        body: &Value,
        now: SystemTime,
    ) -> Result<(Value, Option<SystemTime>), String> {
        let request = ssm_request(&self.endpoint, action, body).map_err(|error| error.to_string())?;
        let response = aws.send(&*self.client, "ssm", request, now).await?;
        match response.status() {
            StatusCode::OK => {
                let value = serde_json::from_slice(response.body()).map_err(|error| error.to_string())?;
                Ok((value, date(&response)))
            }
            status => {
                let code = between(response.body(), "\"__type\":\"", "\"").unwrap_or_else(|| status.to_string());
                Err(format!("Systems Manager responded {code} to {action}"))
            }
        }
    }

    pub(crate) fn is_parameter(&self) -> bool {
        matches!(self.remote, Remote::Ssm { .. })
    }
}

fn put_object(
    endpoint: &Endpoint,
    key: &str,
    text: &str,
    basis: Option<&Basis>,
) -> Result<Request<Bytes>, http::Error> {
    let request = Request::builder()
        .method(Method::PUT)
        .uri(format!("{}/{}", endpoint.base_path, encoded(key, b"/")))
        .header(HOST, endpoint.authority())
        .header(CONTENT_TYPE, "application/json");
    let request = match basis {
        None => request,
        Some(Basis { revision: Some(etag), .. }) => request.header(IF_MATCH, etag),
        Some(_) => request.header(IF_NONE_MATCH, "*"),
    };
    request.body(Bytes::from(text.to_owned()))
}

fn put(response: &Response<Bytes>) -> Result<Written, String> {
    let code = || between(response.body(), "<Code>", "</Code>");
    match response.status() {
        StatusCode::OK => {
            Ok(Written::Done(response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned)))
        }
        StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => Ok(Written::Conflict),
        // With a condition: it has been deleted meanwhile.
        StatusCode::NOT_FOUND if code().as_deref() == Some("NoSuchKey") => Ok(Written::Conflict),
        status => Err(format!("S3 responded {} to a write", code().unwrap_or_else(|| status.to_string()))),
    }
}
