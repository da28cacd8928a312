//! AWS's SDK: its usual chain of profiles, SSO and environment variables, and its errors in one line that says what to do. Owns
//! the TLS library, which is that of the function.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

/// Attempts of a request.
const ATTEMPTS: u32 = 4;

/// The longest first pause between them; each further one is twice as long. All three together are shorter than a reader of live
/// state waits, so that it learns the reason.
const PAUSE: Duration = Duration::from_millis(500);

/// The time for an attempt. Without it a service that accepts connections and does not respond would be waited for.
const ATTEMPT: Duration = Duration::from_secs(10);

/// The time for all attempts of a request.
const OPERATION: Duration = Duration::from_secs(15);

/// Codes of errors for a missing permission; services differ.
const DENIED: [&str; 3] = ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"];

/// The usual chain, with our TLS.
pub fn loader() -> ConfigLoader {
    let client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let retry = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(PAUSE);
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(OPERATION).build();
    aws_config::defaults(BehaviorVersion::latest()).http_client(client).retry_config(retry).timeout_config(timeouts)
}

/// Finds the region, and where the credentials come from.
///
/// # Errors
///
/// If there is no region.
pub(crate) async fn config() -> Result<SdkConfig> {
    config_in(None).await
}

/// The same, in this region if there is one.
///
/// # Errors
///
/// As `config`.
pub(crate) async fn config_in(region: Option<Region>) -> Result<SdkConfig> {
    let loader = loader();
    let config = match region {
        Some(region) => loader.region(region).load().await,
        None => loader.load().await,
    };
    config
        .region()
        .context("there is no AWS region: set `AWS_REGION`, or `region` in the profile that `AWS_PROFILE` names")?;
    Ok(config)
}

/// The error of a request, in one line. `cannot` says what failed, such as `read s3://bucket/key`; `permissions` are those that
/// the request needs.
pub(crate) fn failure<E>(cannot: &str, permissions: &str, error: &SdkError<E, HttpResponse>) -> anyhow::Error
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let text = format!("cannot {cannot}: {}", one_line(&reason(permissions, error)));
    if is_denied(error) { Denied(text).into() } else { anyhow!(text) }
}

/// The credentials do not allow a request. In an [`anyhow::Error`], so that a caller can go on without the result.
#[derive(Debug)]
pub(crate) struct Denied(String);

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Denied {}

/// Returns `true` if the credentials are valid and lack a permission.
pub(crate) fn is_denied<E>(error: &SdkError<E, HttpResponse>) -> bool
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let SdkError::ServiceError(service) = error else { return false };
    match error.code().unwrap_or_default() {
        // Without a body that says more, as for a role without any permission.
        "" => service.raw().status().as_u16() == 403,
        code => DENIED.contains(&code),
    }
}

fn reason<E>(permissions: &str, error: &SdkError<E, HttpResponse>) -> String
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let SdkError::ServiceError(service) = error else {
        let causes = causes(error);
        return match causes.iter().any(|cause| cause.contains("no providers in chain") || cause.contains("credentials"))
        {
            true => format!(
                "there are no valid AWS credentials ({}): log in, such as with `aws sso login`, and name the profile in \
                 `AWS_PROFILE`, or set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`",
                causes.last().map_or("none found", String::as_str)
            ),
            false => match (error, causes.last()) {
                (SdkError::TimeoutError(_), _) => "the service did not respond in time".to_owned(),
                (SdkError::DispatchFailure(_), Some(cause)) => format!(
                    "the service cannot be reached ({cause}): check the network, the region, and `AWS_ENDPOINT_URL` if it is set"
                ),
                _ => causes.join(": "),
            },
        };
    };
    let status = service.raw().status().as_u16();
    let code = error.code().unwrap_or_default();
    let message = error.message().unwrap_or_default();
    let said = match (code, message) {
        ("", "") => format!("HTTP status {status}"),
        ("", text) | (text, "") => text.to_owned(),
        (code, message) => format!("{code}: {message}"),
    };
    match code {
        _ if is_denied(error) => format!("the credentials do not allow it; it needs {permissions} ({said})"),
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            format!("the credentials have expired: log in again, such as with `aws sso login` ({said})")
        }
        "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException" => {
            format!("the credentials are invalid: check `AWS_PROFILE`, or the keys in the environment ({said})")
        }
        "RequestTimeTooSkewed" => format!("the clock of this machine is wrong ({said})"),
        _ => said,
    }
}

/// The messages of an error and of its sources, each once.
fn causes(error: &dyn Error) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !causes.iter().any(|cause| cause.contains(&text)) {
            causes.push(text);
        }
        next = error.source();
    }
    causes
}

/// The text with one blank for each run of white space.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
