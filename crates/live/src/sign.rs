//! Signature Version 4 of AWS (IAM user guide, "Create a signed AWS API request"). Owns the signature of a request whose target
//! is canonical already. Reads no environment and no clock.
//!
//! Own code, because the official crate brings a request model of its own; the vectors that AWS publishes are the tests.

use std::fmt::Write;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, InvalidHeaderValue};
use http::request;
use ring::digest::{SHA256, digest};
use ring::hmac;

use crate::source::encoded;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// Credentials of the function's role.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) session_token: Option<String>,
}

/// Part of the signed scope.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    /// `s3`, `ssm`.
    pub(crate) service: &'a str,
}

// Secrets are not shown.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Adds the fields of the signature. All fields that are there, which must include `Host`, are signed. The path and the query
/// must be encoded canonically, and the query sorted.
pub(crate) fn sign(
    request: &mut request::Parts,
    body: &Bytes,
    credentials: &Credentials,
    scope: Scope<'_>,
    now: SystemTime,
) -> Result<(), InvalidHeaderValue> {
    let Scope { region, service } = scope;
    let time = timestamp(now);
    let body_hash = hex(digest(&SHA256, body).as_ref());
    let fields = &mut request.headers;
    fields.insert(DATE, HeaderValue::try_from(&time)?);
    if let Some(token) = &credentials.session_token {
        let mut token = HeaderValue::try_from(token)?;
        token.set_sensitive(true);
        fields.insert(TOKEN, token);
    }
    if service == "s3" {
        fields.insert(CONTENT_SHA256, HeaderValue::try_from(&body_hash)?);
    }

    let mut names: Vec<&str> = fields.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    let mut canonical = String::new();
    for name in &names {
        let values = fields.get_all(*name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let values: Vec<String> = values.map(|value| trimmed(&value)).collect();
        let _ = writeln!(canonical, "{name}:{}", values.join(","));
    }
    let names = names.join(";");
    let (method, path, query) = (&request.method, request.uri.path(), request.uri.query().unwrap_or_default());
    let canonical = format!("{method}\n{path}\n{query}\n{canonical}\n{names}\n{body_hash}");

    let (scope, signature) = signature(&canonical, credentials, Scope { region, service }, &time);
    let access_key = &credentials.access_key;
    let value =
        format!("AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}");
    request.headers.insert(AUTHORIZATION, HeaderValue::try_from(value)?);
    debug_assert!(request.headers.contains_key(HOST), "HTTP/1.1 without `Host`");
    Ok(())
}

/// Returns the query of a link with which anybody may send a GET request for so many seconds, or until the credentials end (S3 API
/// reference, "Authenticating requests: using query parameters"). The path must be encoded canonically.
pub(crate) fn presigned(
    (host, path): (&str, &str),
    credentials: &Credentials,
    scope: Scope<'_>,
    now: SystemTime,
    seconds: u64,
) -> String {
    let Scope { region, service } = scope;
    let time = timestamp(now);
    let date = time.get(..8).unwrap_or_default();
    let access_key = encoded(&credentials.access_key, b"");
    let mut query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={access_key}%2F{date}%2F{region}%2F{service}%2Faws4_request\
         &X-Amz-Date={time}&X-Amz-Expires={seconds}"
    );
    if let Some(token) = &credentials.session_token {
        let _ = write!(query, "&X-Amz-Security-Token={}", encoded(token, b""));
    }
    query.push_str("&X-Amz-SignedHeaders=host");
    let canonical = format!("GET\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
    let (_, signature) = signature(&canonical, credentials, scope, &time);
    let _ = write!(query, "&X-Amz-Signature={signature}");
    query
}

/// Returns the whole scope of a signature, and the signature of a canonical request.
fn signature(canonical: &str, credentials: &Credentials, scope: Scope<'_>, time: &str) -> (String, String) {
    let Scope { region, service } = scope;
    let date = time.get(..8).unwrap_or_default();
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let digest = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
    let first = format!("AWS4{}", credentials.secret_key).into_bytes();
    let key = [date, region, service, "aws4_request"].iter().fold(first, |key, part| mac(&key, part));
    (scope, hex(&mac(&key, &text)))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// Returns a value without spaces around it, and with one instead of several.
fn trimmed(value: &str) -> String {
    value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns a time as `20150830T123600Z`.
fn timestamp(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.chars().filter(|c| !matches!(c, '-' | ':')).collect()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn at(text: &str) -> SystemTime {
        humantime::parse_rfc3339(text).unwrap()
    }

    fn signed(request: Request<()>, body: &str, credentials: &Credentials, scope: Scope<'_>, now: &str) -> String {
        let (mut parts, ()) = request.into_parts();
        sign(&mut parts, &Bytes::copy_from_slice(body.as_bytes()), credentials, scope, at(now)).unwrap();
        parts.headers[AUTHORIZATION].to_str().unwrap().to_owned()
    }

    /// The vectors of AWS's "Signature Version 4 test suite".
    #[test]
    fn the_published_test_suite() {
        let credentials = Credentials {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
        };
        let scope = Scope { region: "us-east-1", service: "service" };
        let request = |method: &str, target: &str| {
            Request::builder().method(method).uri(target).header("host", "example.amazonaws.com")
        };
        for (name, request, signature) in [
            ("get-vanilla", request("GET", "/"), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("post-vanilla", request("POST", "/"), "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                "get-vanilla-query-order-key-case",
                request("GET", "/?Param1=value1&Param2=value2"),
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        ] {
            let value = signed(request.body(()).unwrap(), "", &credentials, scope, "2015-08-30T12:36:00Z");
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature={signature}"
            );
            assert_eq!(value, expected, "{name}");
        }
    }

    /// "GET object" of the S3 API reference, "Signature calculations for the authorization header".
    #[test]
    fn the_published_example_of_s3() {
        let credentials = Credentials {
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
        };
        let request = Request::builder().uri("/test.txt").header("host", "examplebucket.s3.amazonaws.com");
        let request = request.header("range", "bytes=0-9").body(()).unwrap();
        let scope = Scope { region: "us-east-1", service: "s3" };
        let value = signed(request, "", &credentials, scope, "2013-05-24T00:00:00Z");
        assert_eq!(
            value,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
    }

    /// The example of the S3 API reference, "Authenticating requests: using query parameters".
    #[test]
    fn the_published_example_of_a_link() {
        let credentials = Credentials {
            access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
        };
        let scope = Scope { region: "us-east-1", service: "s3" };
        let place = ("examplebucket.s3.amazonaws.com", "/test.txt");
        assert_eq!(
            presigned(place, &credentials, scope, at("2013-05-24T00:00:00Z"), 86400),
            "X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
        let credentials = Credentials { session_token: Some("a/b==".to_owned()), ..credentials };
        let query = presigned(place, &credentials, scope, at("2013-05-24T00:00:00Z"), 60);
        assert!(
            query.contains("&X-Amz-Expires=60&X-Amz-Security-Token=a%2Fb%3D%3D&X-Amz-SignedHeaders=host&"),
            "{query}"
        );
    }

    #[test]
    fn a_session_token_is_signed_and_hidden() {
        let credentials = Credentials {
            access_key: "A".to_owned(),
            secret_key: "secret".to_owned(),
            session_token: Some("token".to_owned()),
        };
        let (mut parts, ()) = Request::builder().uri("/").header("host", "h").body(()).unwrap().into_parts();
        let scope = Scope { region: "eu-west-1", service: "ssm" };
        sign(&mut parts, &Bytes::new(), &credentials, scope, at("2026-11-28T12:00:00Z")).unwrap();
        assert!(parts.headers[TOKEN].is_sensitive());
        assert!(
            parts.headers[AUTHORIZATION]
                .to_str()
                .unwrap()
                .contains("SignedHeaders=host;x-amz-date;x-amz-security-token,")
        );
        assert_eq!(format!("{credentials:?}"), "Credentials { .. }");
    }
}
