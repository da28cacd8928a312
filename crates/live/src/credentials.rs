//! The credentials of the function's role. Owns where they come from: the environment, or the local endpoint that Lambda has
//! for functions whose environment outlives their credentials (SnapStart, Managed Instances).

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde::Deserialize;

use crate::sign::Credentials;
use crate::source::Environment;

/// Credentials are renewed so long before they expire.
const MARGIN: Duration = Duration::from_secs(5 * 60);

/// A source of credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    /// They are in the environment for as long as it lives.
    Environment(Credentials),
    /// A local endpoint (SDK reference guide, "Container credential provider").
    Container {
        /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
        url: String,
        /// `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
        token: Option<String>,
    },
}

/// Credentials with their end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expiring {
    pub(crate) credentials: Credentials,
    /// `None` if they do not expire.
    expires: Option<SystemTime>,
}

impl Provider {
    /// Finds the credentials; `None` without any.
    pub(crate) fn find(environment: Environment<'_>) -> Option<Provider> {
        let keys = [environment("AWS_ACCESS_KEY_ID"), environment("AWS_SECRET_ACCESS_KEY")];
        if let [Some(access_key), Some(secret_key)] = keys {
            let session_token = environment("AWS_SESSION_TOKEN");
            return Some(Provider::Environment(Credentials { access_key, secret_key, session_token }));
        }
        let url = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI")?;
        Some(Provider::Container { url, token: environment("AWS_CONTAINER_AUTHORIZATION_TOKEN") })
    }
}

/// The request for credentials of a container.
pub(crate) fn request(url: &str, token: Option<&str>) -> Result<Request<Bytes>, http::Error> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let request = Request::builder().uri(path).header(http::header::HOST, authority);
    match token {
        Some(token) => request.header(http::header::AUTHORIZATION, token),
        None => request,
    }
    .body(Bytes::new())
}

/// The meaning of the response.
pub(crate) fn credentials(response: &Response<Bytes>) -> Result<Expiring, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Given {
        access_key_id: String,
        secret_access_key: String,
        token: Option<String>,
        expiration: Option<String>,
    }
    if response.status() != StatusCode::OK {
        return Err(format!("the endpoint of credentials responded {}", response.status()));
    }
    // The error could have a secret in it.
    let given: Given =
        serde_json::from_slice(response.body()).map_err(|_| "the endpoint of credentials gave none".to_owned())?;
    let expires = given.expiration.and_then(|time| humantime::parse_rfc3339(&time).ok());
    let credentials = Credentials {
        access_key: given.access_key_id,
        secret_key: given.secret_access_key,
        session_token: given.token,
    };
    Ok(Expiring { credentials, expires })
}

impl Expiring {
    pub(crate) fn forever(credentials: Credentials) -> Self {
        Expiring { credentials, expires: None }
    }

    pub(crate) fn expires(&self) -> bool {
        self.expires.is_some()
    }

    /// Returns `true` if a request may be signed with them.
    pub(crate) fn are_good(&self, now: SystemTime) -> bool {
        self.expires.is_none_or(|expires| expires.duration_since(now).is_ok_and(|left| left > MARGIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_comes_first() {
        let of = |variables: &'static [(&str, &str)]| {
            let look_up =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            Provider::find(&look_up)
        };
        let keys =
            [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "u")];
        assert_eq!(
            Provider::find(&|name| keys.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())),
            Some(Provider::Environment(Credentials {
                access_key: "a".into(),
                secret_key: "s".into(),
                session_token: None
            }))
        );
        let container = Provider::Container { url: "http://127.0.0.1:9/v".to_owned(), token: Some("t".to_owned()) };
        let variables = &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/v"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "t"),
        ];
        assert_eq!(of(variables), Some(container));
        assert_eq!(of(&[("AWS_ACCESS_KEY_ID", "a")]), None);
    }

    #[test]
    fn credentials_are_renewed_before_they_expire() {
        let body =
            "{\"AccessKeyId\":\"a\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"2026-11-28T13:00:00Z\"}";
        let given = credentials(&Response::new(body.into())).unwrap();
        let at = |text: &str| humantime::parse_rfc3339(text).unwrap();
        assert!(given.are_good(at("2026-11-28T12:54:59Z")));
        assert!(!given.are_good(at("2026-11-28T12:55:00Z")) && !given.are_good(at("2026-11-28T14:00:00Z")));
        let error = credentials(&Response::new("{\"SecretAccessKey\":\"s3cret\"}".into())).unwrap_err();
        assert!(!error.contains("s3cret"), "{error}");
    }
}
