//! The actions of rules: the target group of a `forward`, the location of a `redirect`, the content of a
//! `fixed-response` (user guide, "Action types for listener rules").

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use httpdate::HttpDate;

use super::connection_info::ConnectionInfo;
use super::error_page::{self, Refusal};
use super::host::is_host;
use super::request;
use crate::http::Head;
use crate::{FixedResponse, Forward, Redirect, random};

/// The stickiness cookies.
const COOKIE: &str = "AWSALBTG";
const CORS_COOKIE: &str = "AWSALBTGCORS";

/// The longest `Location`, in bytes. AWS documents that there is a limit but not its value, so this is the limit of a
/// field.
const MAX_LOCATION: usize = 16 * 1024;

/// The decision of a `forward`.
pub(super) struct Chosen {
    pub(super) group: usize,
    /// Values of `Set-Cookie` for the response.
    pub(super) cookies: Vec<HeaderValue>,
}

/// Signs stickiness cookies with a random key: cookies of another run, or made up, are ignored.
#[derive(Clone)]
pub(super) struct CookieSigner(RandomState);

impl CookieSigner {
    pub(super) fn new() -> Self {
        CookieSigner(RandomState::new())
    }

    fn sign(&self, rule: &str, group: usize) -> String {
        let salt = random::hex(8);
        format!("{group:04x}{salt}{:016x}", self.0.hash_one((rule, group, &salt)))
    }

    /// Returns the group in a cookie of this rule; `None` if the signature does not match.
    fn verify(&self, rule: &str, value: &str) -> Option<usize> {
        let (group, rest) = value.split_at_checked(4)?;
        let (salt, signature) = rest.split_at_checked(8)?;
        let group = usize::from_str_radix(group, 16).ok()?;
        (signature == format!("{:016x}", self.0.hash_one((rule, group, salt)))).then_some(group)
    }
}

/// Selects a target group by cookie, else by weight.
///
/// # Errors
///
/// 503 if all weights are 0; 400 for a cookie that is URL-encoded.
pub(super) fn choose(
    forward: &Forward,
    rule: &str,
    signer: &CookieSigner,
    headers: &HeaderMap,
) -> Result<Chosen, Refusal> {
    let Some(duration) = forward.stickiness else {
        return Ok(Chosen { group: by_weight(forward)?, cookies: Vec::new() });
    };
    let sent = cookie(headers, COOKIE).or_else(|| cookie(headers, CORS_COOKIE));
    if sent.is_some_and(|value| value.contains('%')) {
        // "Access logs", error reason codes: cookie values that are URL encoded. The status is not documented.
        let problem = format!("the cookie `{COOKIE}` is URL-encoded; clients must return it unchanged");
        return Err(Refusal::because("AWSALBTGCookieInvalid", StatusCode::BAD_REQUEST, problem));
    }
    let known = sent.and_then(|value| signer.verify(rule, value));
    // A group that the rule no longer names is forgotten.
    let known = known.filter(|known| forward.targets.iter().any(|target| target.group == *known));
    let group = match known {
        Some(group) => group,
        None => by_weight(forward)?,
    };
    let value = signer.sign(rule, group);
    Ok(Chosen { group, cookies: cookies(&value, duration) })
}

fn by_weight(forward: &Forward) -> Result<usize, Refusal> {
    let total: u64 = forward.targets.iter().map(|target| u64::from(target.weight)).sum();
    let Some(mut at) = random::number().checked_rem(total) else {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "every target group of the rule has the weight 0"));
    };
    for target in &forward.targets {
        match at.checked_sub(target.weight.into()) {
            Some(rest) => at = rest,
            None => return Ok(target.group),
        }
    }
    Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the rule has no target group"))
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    cookies.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn cookies(value: &str, duration: Duration) -> Vec<HeaderValue> {
    let expires = HttpDate::from(SystemTime::now() + duration);
    let texts = [
        format!("{COOKIE}={value}; Expires={expires}; Path=/"),
        format!("{CORS_COOKIE}={value}; Expires={expires}; Path=/; SameSite=None; Secure"),
    ];
    texts.iter().filter_map(|text| HeaderValue::from_str(text).ok()).collect()
}

/// Returns the response of a `redirect`, and its location.
///
/// # Errors
///
/// 507 for a `Location` that is too long. For an invalid host in it, 400 if it is the client's, else 500.
pub(super) fn redirect(
    redirect: &Redirect,
    head: &Head,
    connection: &ConnectionInfo,
) -> Result<(Response<Bytes>, String), Refusal> {
    let protocol = if connection.tls.is_some() { "https" } else { "http" };
    let host = request::view(head, connection.peer.ip()).host_name();
    let host = String::from_utf8_lossy(host);
    let path = String::from_utf8_lossy(head.path());
    let query = String::from_utf8_lossy(head.query().unwrap_or_default());
    let local = connection.local.port().to_string();
    // The leading `/` of `#{path}` is the template's.
    let keywords = [
        ("protocol}", protocol),
        ("host}", &*host),
        ("port}", &local),
        ("path}", path.strip_prefix('/').unwrap_or(&path)),
        ("query}", &query),
    ];
    let fill = |template: &str| fill(template, &keywords);
    let (to_host, port, path, query) =
        (fill(&redirect.host), fill(&redirect.port), fill(&redirect.path), fill(&redirect.query));
    let protocol = fill(&redirect.protocol).to_ascii_lowercase();
    let mark = if query.is_empty() { "" } else { "?" };
    let location = format!("{protocol}://{to_host}:{port}{path}{mark}{query}");
    if location.len() > MAX_LOCATION {
        let problem = format!("the redirect's URL is {} bytes long, the limit is {MAX_LOCATION}", location.len());
        return Err(Refusal::new(StatusCode::INSUFFICIENT_STORAGE, problem));
    }
    if !is_host(&format!("{to_host}:{port}")) {
        let (status, whose) = match redirect.host.contains("#{host}") {
            true => (StatusCode::BAD_REQUEST, "the request's `Host`"),
            false => (StatusCode::INTERNAL_SERVER_ERROR, "the rule"),
        };
        let problem = format!("{whose} makes the redirect's host invalid: `{}:{port}`", to_host.escape_debug());
        return Err(Refusal::new(status, problem));
    }
    let value = HeaderValue::from_str(&location).map_err(|_| {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the redirect's URL has a character that a field cannot hold")
    })?;
    let mut response = error_page::page(redirect.status);
    response.headers_mut().insert(header::LOCATION, value);
    Ok((response, location))
}

/// Replaces keywords in one pass: their values are not searched for keywords. `keywords` have no leading `#{`.
fn fill(template: &str, keywords: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("#{") {
        out.push_str(before);
        let mut filled = keywords.iter().filter_map(|(keyword, value)| Some((*value, behind.strip_prefix(keyword)?)));
        let (value, behind) = filled.next().unwrap_or(("#{", behind));
        out.push_str(value);
        rest = behind;
    }
    out + rest
}

/// Returns the response of a `fixed-response`.
pub(super) fn fixed(fixed: &FixedResponse) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(fixed.body.clone()));
    *response.status_mut() = fixed.status;
    let content_type = fixed.content_type.as_deref().unwrap_or("text/plain");
    if let Ok(value) = HeaderValue::from_str(content_type) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WeightedGroup;

    fn forward(weights: &[u16], stickiness: Option<Duration>) -> Forward {
        let target = |(group, weight): (usize, &u16)| WeightedGroup { group, weight: *weight };
        Forward { targets: weights.iter().enumerate().map(target).collect(), stickiness }
    }

    #[test]
    fn shares_follow_weights_and_zero_gets_nothing() {
        let (forward, signer) = (forward(&[750, 250, 0], None), CookieSigner::new());
        let mut counts = [0; 3];
        for _ in 0..4000 {
            counts[choose(&forward, "1", &signer, &HeaderMap::new()).unwrap().group] += 1;
        }
        // Ten standard deviations.
        assert!((2726..=3274).contains(&counts[0]), "{counts:?}");
        assert_eq!(counts[2], 0);
    }

    #[test]
    fn without_any_weight_there_is_no_target() {
        let refusal = choose(&forward(&[0, 0], None), "1", &CookieSigner::new(), &HeaderMap::new()).err().unwrap();
        assert_eq!(refusal.status, 503);
    }

    #[test]
    fn a_cookie_keeps_its_group_and_is_of_one_rule_and_run() {
        let (sticky, signer) = (forward(&[1, 1], Some(Duration::from_secs(60))), CookieSigner::new());
        let first = choose(&sticky, "1", &signer, &HeaderMap::new()).unwrap();
        assert!(first.cookies[1].to_str().unwrap().contains("; SameSite=None; Secure"));
        let value = first.cookies[0].to_str().unwrap().split(';').next().unwrap().to_owned();
        let headers = |cookie: &str| HeaderMap::from_iter([(header::COOKIE, cookie.parse().unwrap())]);
        let sent = headers(&format!("a=b; {value}"));
        for _ in 0..50 {
            assert_eq!(choose(&sticky, "1", &signer, &sent).unwrap().group, first.group);
        }
        // Of another rule, of another run, made up: a new choice, and no error.
        let spread = |rule: &str, signer: &CookieSigner, sent: &HeaderMap| {
            (0..50)
                .map(|_| choose(&sticky, rule, signer, sent).unwrap().group)
                .collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(spread("2", &signer, &sent).len(), 2);
        assert_eq!(spread("1", &CookieSigner::new(), &sent).len(), 2);
        assert_eq!(spread("1", &signer, &headers("AWSALBTG=é")).len(), 2);
        let encoded = choose(&sticky, "1", &signer, &headers("AWSALBTG=a%3D")).err().unwrap();
        assert_eq!((encoded.status.as_u16(), encoded.reason), (400, Some("AWSALBTGCookieInvalid")));
        // A group of weight 0 keeps those who have it, as AWS documents for draining.
        let drained = forward(&[0, 0], Some(Duration::from_secs(60)));
        assert_eq!(choose(&drained, "1", &signer, &sent).unwrap().group, first.group);
    }

    #[test]
    fn keywords_are_filled_once() {
        let keywords = [("host}", "#{path}"), ("path}", "a/b")];
        assert_eq!(fill("/#{path}/#{host}/#{x}#{", &keywords), "/a/b/#{path}/#{x}#{");
    }
}
