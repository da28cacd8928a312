//! `spill`: the content of a response, stored in S3 for its client. Owns the requests for that and the link. The caller brings the content
//! as it arrives, and redirects the client.
//!
//! A content of one part is one request. Of others, two parts are in memory: one on its way, and the next one. S3 takes nothing of a
//! length that is not known, and a part that is in memory can be sent again.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossfade_route as route;
use http::header::{HOST, HeaderMap};
use http::{Method, Request, Response};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::aws::Aws;
use crate::sign::hex;
use crate::source::{Endpoint, Environment, Remote, between, encoded};
use crate::{Client, Connect, Task};

/// Bytes of a part: at least 5 MiB (S3 user guide, "Amazon S3 multipart upload limits").
const PART: usize = 8 * 1024 * 1024;

/// Room for the last piece of a part, so that its memory does not grow.
const PIECE: usize = 512 * 1024;

/// The waits before a request is sent again, since S3 was busy or could not be reached.
const WAITS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];

/// The time to abort an upload that failed. What is left after it is the bucket's to delete (`AbortIncompleteMultipartUpload`).
const ABORT: Duration = Duration::from_millis(300);

/// Bytes of the last segment of a path that become part of a key.
const MAX_NAME: usize = 100;

/// Content that arrives in pieces.
pub trait Content: Send {
    /// Waits for the next piece; `None` after the last one.
    fn next(&mut self) -> Task<'_, Result<Option<Bytes>, Broken>>;
}

/// There is no more, though there should be. The content knows why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// The reason why a content is not stored.
#[derive(Debug, PartialEq, Eq)]
pub enum SpillError {
    /// It did not arrive.
    Broken,
    /// The time was over.
    Time,
    /// S3 did not take it, for this reason.
    Store(String),
}

/// A content that is stored.
#[derive(Debug)]
pub struct Stored {
    /// The link to it: a secret for as long as it is valid.
    pub location: String,
    /// Its length.
    pub bytes: u64,
}

/// A bucket for the contents of responses.
pub struct Spill {
    settings: route::Spill,
    aws: Aws,
    endpoint: Endpoint,
    client: Box<dyn Client>,
}

// Without the client.
impl std::fmt::Debug for Spill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spill").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Spill {
    /// Finds the region, the credentials and the endpoint. Sends nothing.
    ///
    /// # Errors
    ///
    /// The reason why nothing can be stored.
    pub fn new(settings: &route::Spill, environment: Environment<'_>, connect: &Connect) -> Result<Spill, String> {
        let aws = Aws::find(environment, connect).map_err(|error| error.0)?;
        let place = Remote::S3 { bucket: settings.bucket.clone(), key: String::new() };
        let endpoint = place.endpoint(&aws.region, environment);
        let client = connect(&endpoint.origin)?;
        Ok(Spill { settings: settings.clone(), aws, endpoint, client })
    }

    /// Returns `true` if it stores where these settings say.
    #[must_use]
    pub fn is(&self, settings: &route::Spill) -> bool {
        self.settings == *settings
    }

    /// Stores a content with its fields until a deadline. The link ends like `path`, since browsers name files by that. Nothing of a
    /// content that breaks off can be read.
    ///
    /// # Errors
    ///
    /// [`SpillError`].
    pub fn store<'t>(
        &'t self,
        path: &'t str,
        fields: HeaderMap,
        content: &'t mut dyn Content,
        now: SystemTime,
        deadline: Instant,
    ) -> Task<'t, Result<Stored, SpillError>> {
        Box::pin(async move {
            let mut upload =
                Upload { spill: self, path: self.path(path)?, fields, id: None, now, since: Instant::now() };
            let end = deadline.checked_sub(ABORT).unwrap_or(deadline);
            let stored = timeout_at(end, upload.run(content)).await.unwrap_or(Err(SpillError::Time));
            if let (Err(_), Some(id)) = (&stored, upload.id.take()) {
                let _ = timeout(ABORT, upload.abort(&id)).await;
            }
            let bytes = stored?;
            let (place, seconds) = ((self.endpoint.authority(), &*upload.path), self.settings.expires.as_secs());
            let query = self.aws.link(place, seconds, upload.now()).await.map_err(SpillError::Store)?;
            Ok(Stored { location: format!("{}{}?{query}", self.endpoint.origin, upload.path), bytes })
        })
    }

    /// The path of a new object, which nobody can guess.
    fn path(&self, path: &str) -> Result<String, SpillError> {
        let mut random = [0; 16];
        let filled = SystemRandom::new().fill(&mut random);
        filled.map_err(|_| SpillError::Store("there are no random numbers".to_owned()))?;
        let (base, prefix, random) = (&self.endpoint.base_path, &self.settings.prefix, hex(&random));
        Ok(match name(path) {
            Some(name) => format!("{base}/{prefix}{random}/{name}"),
            None => format!("{base}/{prefix}{random}"),
        })
    }
}

/// Returns the last segment of a path if it stands for itself in any URL and in any folder.
fn name(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
    (is_plain && name.len() <= MAX_NAME && !name.trim_matches('.').is_empty()).then_some(name)
}

/// An object that is on its way.
struct Upload<'t> {
    spill: &'t Spill,
    path: String,
    fields: HeaderMap,
    /// Of an upload in parts that has begun and not ended.
    id: Option<String>,
    now: SystemTime,
    since: Instant,
}

impl Upload<'_> {
    /// Stores a content and returns its length.
    async fn run(&mut self, content: &mut dyn Content) -> Result<u64, SpillError> {
        let (mut part, mut is_last) = fill(content).await?;
        let mut bytes = part.len() as u64;
        if is_last {
            let fields = self.fields.clone();
            self.request(Method::PUT, "", fields, part).await?;
            return Ok(bytes);
        }
        let id = self.create().await?;
        self.id = Some(id.clone());
        let mut tags = Vec::new();
        while !part.is_empty() {
            let sent = self.put(&id, tags.len() + 1, part);
            if is_last {
                tags.push(sent.await?);
                break;
            }
            let (tag, next) = tokio::try_join!(sent, fill(content))?;
            tags.push(tag);
            (part, is_last) = next;
            bytes += part.len() as u64;
        }
        self.complete(&id, &tags).await?;
        self.id = None;
        Ok(bytes)
    }

    /// Begins an upload in parts and returns its ID.
    async fn create(&self) -> Result<String, SpillError> {
        let fields = self.fields.clone();
        let response = self.request(Method::POST, "uploads=", fields, Bytes::new()).await?;
        let text = String::from_utf8_lossy(response.body());
        let id = text.split_once("<UploadId>").and_then(|(_, rest)| rest.split_once("</UploadId>"));
        let id = id.map(|(id, _)| encoded(id, b"")).filter(|id| !id.is_empty());
        id.ok_or_else(|| SpillError::Store("S3 began no upload".to_owned()))
    }

    /// Sends a part and returns its entity tag.
    async fn put(&self, id: &str, number: usize, part: Bytes) -> Result<String, SpillError> {
        let query = format!("partNumber={number}&uploadId={id}");
        let response = self.request(Method::PUT, &query, HeaderMap::new(), part).await?;
        let tag = response.headers().get(http::header::ETAG).and_then(|tag| tag.to_str().ok());
        tag.map(str::to_owned).ok_or_else(|| SpillError::Store("S3 gave a part no entity tag".to_owned()))
    }

    async fn complete(&self, id: &str, tags: &[String]) -> Result<(), SpillError> {
        let mut document = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">".to_owned();
        for (tag, number) in tags.iter().zip(1..) {
            let tag = tag.trim_matches('"');
            document.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>\"{tag}\"</ETag></Part>"));
        }
        document.push_str("</CompleteMultipartUpload>");
        let response = self.request(Method::POST, &format!("uploadId={id}"), HeaderMap::new(), document.into()).await?;
        // S3 may find out that it fails after it has sent the status.
        match between(response.body(), "<Code>", "</Code>") {
            None => Ok(()),
            Some(code) => Err(SpillError::Store(refused(&code))),
        }
    }

    async fn abort(&self, id: &str) -> Result<(), SpillError> {
        self.request(Method::DELETE, &format!("uploadId={id}"), HeaderMap::new(), Bytes::new()).await.map(drop)
    }

    /// Sends a request for the object, and sends it again while S3 is busy.
    async fn request(
        &self,
        method: Method,
        query: &str,
        mut fields: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Bytes>, SpillError> {
        let Spill { aws, endpoint, client, .. } = self.spill;
        let invalid = |error: &dyn std::fmt::Display| SpillError::Store(error.to_string());
        fields.insert(HOST, endpoint.authority().parse().map_err(|error| invalid(&error))?);
        let target = if query.is_empty() { self.path.clone() } else { format!("{}?{query}", self.path) };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = target.parse().map_err(|error| invalid(&error))?;
        *request.headers_mut() = fields;
        let mut waits = WAITS.into_iter();
        loop {
            let sent = aws.send(&**client, "s3", request.clone(), self.now()).await;
            let is_busy = sent.as_ref().is_ok_and(|response| response.status().is_server_error()) || sent.is_err();
            if let Some(wait) = waits.next().filter(|_| is_busy) {
                sleep(wait).await;
                continue;
            }
            let response = sent.map_err(|error| SpillError::Store(format!("S3: {error}")))?;
            if response.status().is_success() {
                return Ok(response);
            }
            let code = between(response.body(), "<Code>", "</Code>");
            return Err(SpillError::Store(refused(&code.unwrap_or_else(|| response.status().as_str().to_owned()))));
        }
    }

    fn now(&self) -> SystemTime {
        self.now + self.since.elapsed()
    }
}

/// Returns the next part, and whether it is the last one. It is a copy only of several pieces.
async fn fill(content: &mut dyn Content) -> Result<(Bytes, bool), SpillError> {
    let broken = |Broken| SpillError::Broken;
    let Some(first) = content.next().await.map_err(broken)? else { return Ok((Bytes::new(), true)) };
    if first.len() >= PART {
        return Ok((first, false));
    }
    let mut part = Vec::new();
    while let Some(piece) = content.next().await.map_err(broken)? {
        if part.is_empty() {
            part.reserve_exact(PART + PIECE);
            part.extend_from_slice(&first);
        }
        part.extend_from_slice(&piece);
        if part.len() >= PART {
            return Ok((part.into(), false));
        }
    }
    Ok((if part.is_empty() { first } else { part.into() }, true))
}

/// The error for a request that S3 refuses, with what to do. It does not name the bucket, which may come from the environment.
fn refused(code: &str) -> String {
    let hint = match code {
        "AccessDenied" | "403" => {
            "; allow the function `s3:PutObject`, `s3:GetObject` and `s3:AbortMultipartUpload` for the prefix of `spill`, and \
             the use of the KMS key if the bucket has one"
        }
        "NoSuchBucket" | "404" => "; create the bucket of `spill`",
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" | "301" | "307" => {
            "; the bucket of `spill` must be in the function's region"
        }
        _ => "",
    };
    format!("S3 responded {code}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_ends_like_a_file() {
        for (path, expected) in [
            ("/a/report.pdf", Some("report.pdf")),
            ("/report-7_b~.tar.gz", Some("report-7_b~.tar.gz")),
            ("/a/", None),
            ("/", None),
            ("", None),
            ("/..", None),
            ("/a%2Fb", None),
            ("/a;b=c", None),
        ] {
            assert_eq!(name(path), expected, "{path}");
        }
        assert_eq!(name(&format!("/{}", "a".repeat(101))), None);
    }

    /// So many bytes in pieces of a length.
    struct Pieces(usize, usize);

    impl Content for Pieces {
        fn next(&mut self) -> Task<'_, Result<Option<Bytes>, Broken>> {
            let length = self.0.min(self.1);
            self.0 -= length;
            Box::pin(async move { Ok((length > 0).then(|| Bytes::from(vec![b'x'; length]))) })
        }
    }

    #[tokio::test]
    async fn parts_are_large_enough() {
        const MB: usize = 1 << 20;
        for (length, piece, expected) in [
            (0, 1, &[(0, true)][..]),
            (5 * MB, 5 * MB, &[(5 * MB, true)]),
            (5 * MB, MB, &[(5 * MB, true)]),
            (8 * MB, 8 * MB, &[(8 * MB, false), (0, true)]),
            (20 * MB, 3 * MB, &[(9 * MB, false), (9 * MB, false), (2 * MB, true)]),
            (20 * MB, 20 * MB, &[(20 * MB, false), (0, true)]),
        ] {
            let mut content = Pieces(length, piece);
            for (part, is_last) in expected {
                let filled = fill(&mut content).await.unwrap();
                assert_eq!((filled.0.len(), filled.1), (*part, *is_last), "{length} {piece}");
            }
        }
    }
}
