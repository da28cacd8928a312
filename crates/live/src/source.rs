//! The place of the overlay: `CROSSFADE_LIVE`. Owns its syntax, the request for it, and what the response means. Sends nothing.

use std::path::PathBuf;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH};
use http::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

/// The forms of `CROSSFADE_LIVE`.
const FORMS: &str = "write file:PATH, s3://BUCKET/KEY, ssm:/NAME or appconfig:APPLICATION/ENVIRONMENT/PROFILE";

/// A place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file on this machine.
    File(PathBuf),
    /// A service.
    Remote(Remote),
}

/// A service that stores the overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// An object of S3.
    S3 {
        /// Its bucket.
        bucket: String,
        /// Its key.
        key: String,
    },
    /// A parameter of Systems Manager.
    Ssm {
        /// Its name.
        name: String,
    },
    /// The local endpoint of the AppConfig extension.
    AppConfig {
        /// Name or ID, like the others.
        application: String,
        /// That the configuration is deployed to.
        environment: String,
        /// The configuration profile.
        profile: String,
    },
}

/// The origin of a service, and the path before every target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `https://host[:port]`.
    pub(crate) origin: String,
    /// Empty, or begins with `/` and does not end with one.
    pub(crate) base_path: String,
}

/// The content of a source.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// The overlay, with its entity tag or version if the service has such.
    Text(String, Option<String>),
    /// The one that is known.
    Unchanged,
    /// There is none.
    None,
}

/// Looks up environment variables.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

impl Source {
    /// Parses `file:PATH`, `s3://BUCKET/KEY`, `ssm:/NAME` or `appconfig:APPLICATION/ENVIRONMENT/PROFILE`.
    ///
    /// # Errors
    ///
    /// A message with the forms.
    pub fn parse(text: &str) -> Result<Source, String> {
        let invalid = || format!("`{text}` is not a place for live state: {FORMS}");
        let (scheme, rest) = text.split_once(':').filter(|(_, rest)| !rest.is_empty()).ok_or_else(invalid)?;
        let remote = match scheme {
            "file" => return Ok(Source::File(rest.into())),
            "s3" => {
                let parts = rest.strip_prefix("//").and_then(|rest| rest.split_once('/'));
                let (bucket, key) =
                    parts.filter(|(bucket, key)| is_bucket(bucket) && !key.is_empty()).ok_or_else(invalid)?;
                Remote::S3 { bucket: bucket.to_owned(), key: key.to_owned() }
            }
            "ssm" if is_parameter(rest) => Remote::Ssm { name: rest.to_owned() },
            "appconfig" => {
                let parts: Vec<&str> = rest.split('/').collect();
                let [application, environment, profile] = parts[..] else { return Err(invalid()) };
                if parts.iter().any(|part| part.is_empty()) {
                    return Err(invalid());
                }
                let [application, environment, profile] = [application, environment, profile].map(str::to_owned);
                Remote::AppConfig { application, environment, profile }
            }
            _ => return Err(invalid()),
        };
        Ok(Source::Remote(remote))
    }
}

impl Remote {
    /// The service that signatures name; `None` if requests are not signed.
    pub(crate) fn service(&self) -> Option<&'static str> {
        match self {
            Remote::S3 { .. } => Some("s3"),
            Remote::Ssm { .. } => Some("ssm"),
            Remote::AppConfig { .. } => None,
        }
    }

    /// Returns `true` if its requests are signed.
    pub(crate) fn is_signed(&self) -> bool {
        self.service().is_some()
    }

    /// The endpoint, as the SDKs find it (SDK reference guide, "Service-specific endpoints", "Dual-stack and FIPS endpoints").
    pub(crate) fn endpoint(&self, region: &str, environment: Environment<'_>) -> Endpoint {
        match self {
            Remote::S3 { bucket, .. } => {
                let settings = EndpointSettings::find("AWS_ENDPOINT_URL_S3", environment);
                if let Some(url) = settings.url {
                    let Endpoint { origin, base_path } = Endpoint::of(&url);
                    return Endpoint { origin, base_path: format!("{base_path}/{bucket}") };
                }
                let stack = if settings.is_dual_stack { ".dualstack" } else { "" };
                let host = format!("s3{}{stack}.{region}.{}", settings.fips, domain(region));
                // The certificate has a wildcard for one label.
                match bucket.contains('.') {
                    true => Endpoint { origin: format!("https://{host}"), base_path: format!("/{bucket}") },
                    false => Endpoint { origin: format!("https://{bucket}.{host}"), base_path: String::new() },
                }
            }
            Remote::Ssm { .. } => Endpoint::of_service("ssm", "AWS_ENDPOINT_URL_SSM", region, environment),
            Remote::AppConfig { .. } => {
                let port = environment("AWS_APPCONFIG_EXTENSION_HTTP_PORT").unwrap_or_else(|| "2772".to_owned());
                Endpoint { origin: format!("http://localhost:{port}"), base_path: String::new() }
            }
        }
    }

    /// The request for the overlay, not signed. `etag` is that of the known one.
    pub(crate) fn request(&self, endpoint: &Endpoint, etag: Option<&str>) -> Result<Request<Bytes>, http::Error> {
        let base = &endpoint.base_path;
        let request = Request::builder().header(HOST, endpoint.authority());
        match self {
            Remote::S3 { key, .. } => {
                let request = request.uri(format!("{base}/{}", encoded(key, b"/")));
                let request = match etag {
                    Some(etag) => request.header(IF_NONE_MATCH, etag),
                    None => request,
                };
                request.body(Bytes::new())
            }
            Remote::Ssm { name } => {
                ssm_request(endpoint, "GetParameter", &json!({ "Name": name, "WithDecryption": true }))
            }
            Remote::AppConfig { application, environment, profile } => {
                let [application, environment, profile] =
                    [application, environment, profile].map(|part| encoded(part, b""));
                let path = format!("/applications/{application}/environments/{environment}/configurations/{profile}");
                request.uri(path).body(Bytes::new())
            }
        }
    }

    /// The meaning of a response.
    pub(crate) fn content(&self, response: Response<Bytes>) -> Result<Content, String> {
        let status = response.status();
        let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let body = response.into_body();
        let failed = |code: Option<String>| {
            Err(format!("{} responded {}", self.name(), code.unwrap_or_else(|| status.to_string())))
        };
        match (self, status) {
            (Remote::S3 { .. } | Remote::AppConfig { .. }, StatusCode::OK) => {
                Ok(Content::Text(text(body.to_vec())?, etag))
            }
            (_, StatusCode::NOT_MODIFIED) => Ok(Content::Unchanged),
            (Remote::S3 { .. }, _) => match between(&body, "<Code>", "</Code>") {
                Some(code) if code == "NoSuchKey" => Ok(Content::None),
                code => failed(code),
            },
            (Remote::Ssm { .. }, StatusCode::OK) => {
                let Ok(Got { parameter }) = serde_json::from_slice(&body) else {
                    return failed(Some("no parameter".to_owned()));
                };
                Ok(Content::Text(parameter.value, parameter.version.map(|version| version.to_string())))
            }
            (Remote::Ssm { .. }, _) => match between(&body, "\"__type\":\"", "\"") {
                // With or without a prefix and `#`.
                Some(code) if code.ends_with("ParameterNotFound") => Ok(Content::None),
                code => failed(code),
            },
            (Remote::AppConfig { .. }, StatusCode::NOT_FOUND) => Ok(Content::None),
            (Remote::AppConfig { .. }, _) => failed(None),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Remote::S3 { .. } => "S3",
            Remote::Ssm { .. } => "Systems Manager",
            Remote::AppConfig { .. } => "the AppConfig extension",
        }
    }
}

/// The settings of a service's endpoint in the environment.
struct EndpointSettings {
    url: Option<String>,
    is_dual_stack: bool,
    /// `-fips`, or empty.
    fips: &'static str,
}

impl EndpointSettings {
    fn find(variable: &str, environment: Environment<'_>) -> Self {
        let is_set = |name| environment(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let is_ignored = is_set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
        let url = [variable, "AWS_ENDPOINT_URL"].into_iter().find_map(environment).filter(|_| !is_ignored);
        let fips = if is_set("AWS_USE_FIPS_ENDPOINT") { "-fips" } else { "" };
        EndpointSettings { url, is_dual_stack: is_set("AWS_USE_DUALSTACK_ENDPOINT"), fips }
    }
}

fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

impl Endpoint {
    /// That of a service with the usual names, such as `ssm` and `logs`.
    pub(crate) fn of_service(name: &str, variable: &str, region: &str, environment: Environment<'_>) -> Endpoint {
        let EndpointSettings { url, is_dual_stack, fips } = EndpointSettings::find(variable, environment);
        if let Some(url) = url {
            return Endpoint::of(&url);
        }
        let host = match (is_dual_stack, region.starts_with("cn-")) {
            (false, _) => format!("{name}{fips}.{region}.{}", domain(region)),
            (true, false) => format!("{name}{fips}.{region}.api.aws"),
            (true, true) => format!("{name}{fips}.{region}.api.amazonwebservices.com.cn"),
        };
        Endpoint { origin: format!("https://{host}"), base_path: String::new() }
    }

    /// The value of `Host`.
    pub(crate) fn authority(&self) -> &str {
        self.origin.split_once("://").map_or("", |(_, authority)| authority)
    }

    fn of(url: &str) -> Endpoint {
        let at = url.find("://").map_or(0, |at| at + "://".len());
        let path = url.get(at..).and_then(|rest| rest.find('/')).map_or(url.len(), |path| at + path);
        let (origin, path) = url.split_at(path);
        Endpoint { origin: origin.to_owned(), base_path: path.trim_end_matches('/').to_owned() }
    }
}

/// The response of `GetParameter`.
#[derive(Deserialize)]
struct Got {
    #[serde(rename = "Parameter")]
    parameter: Parameter,
}

#[derive(Deserialize)]
struct Parameter {
    #[serde(rename = "Value")]
    value: String,
    #[serde(rename = "Version")]
    version: Option<u64>,
}

/// A request to Systems Manager.
pub(crate) fn ssm_request(endpoint: &Endpoint, action: &str, body: &Value) -> Result<Request<Bytes>, http::Error> {
    Request::builder()
        .method(Method::POST)
        .uri(format!("{}/", endpoint.base_path))
        .header(HOST, endpoint.authority())
        .header(CONTENT_TYPE, "application/x-amz-json-1.1")
        .header("x-amz-target", format!("AmazonSSM.{action}"))
        .body(body.to_string().into())
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    crossfade_route::decode(bytes).ok_or_else(|| "it is not text in UTF-8".to_owned())
}

/// Returns the text between two marks in an error, if it is a word.
pub(crate) fn between(body: &[u8], start: &str, end: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    // `"__type": "..."` has a space in it in some services.
    let text = text.replace("\": \"", "\":\"");
    let (_, rest) = text.split_once(start)?;
    let (word, _) = rest.split_once(end)?;
    let is_word = word.len() <= 100 && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".#_-".contains(&byte));
    is_word.then(|| word.to_owned())
}

/// Returns whether a name can be part of a host or of a path.
fn is_bucket(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

/// Returns whether a name is that of a parameter in a hierarchy, as `PutParameter` takes it.
fn is_parameter(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    name.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_part))
}

/// Encodes everything but the unreserved characters (RFC 3986 section 2.3) and those in `kept`.
pub(crate) fn encoded(text: &str, kept: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
