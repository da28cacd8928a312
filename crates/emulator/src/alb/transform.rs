//! The transforms of a rule, applied after the rule is selected and before the target gets the request (user guide,
//! "Transforms for listener rules"). An invalid result is a 500.
//!
//! The input of `url-rewrite` is path and query as one text: both can be changed, as the guide says, and the guide
//! gives no other way to get at the query.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};

use super::error_page::Refusal;
use super::host::is_host;
use crate::http::Head;
use crate::{Transformed, Transforms};

/// Applies the transforms to a request. Returns `None` if they change nothing.
///
/// # Errors
///
/// 500, with the status of the access log in `Transformed`, if the result is not a path or not a host.
pub(super) fn apply(
    transforms: &Transforms,
    head: &mut Head,
    warnings: &mut Vec<String>,
) -> Result<Option<Transformed>, (Transformed, Refusal)> {
    let mut done = Transformed { status: "TransformSuccess", ..Transformed::default() };
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if let Some(new) = transforms.host.as_ref().zip(host).and_then(|(rewrite, host)| rewrite.apply(host)) {
        match HeaderValue::from_str(&new) {
            Ok(value) if is_host(&new) => {
                head.headers.insert(header::HOST, value);
                done.host = Some(new);
            }
            _ => return Err(failed("TransformInvalidHost", "host-header-rewrite", &new)),
        }
    }
    // A target that is not UTF-8 is rejected later, when the event is built.
    let target = std::str::from_utf8(&head.target).ok();
    if let Some(new) = transforms.url.as_ref().zip(target).and_then(|(rewrite, target)| rewrite.apply(target)) {
        if !new.starts_with('/') || !new.bytes().all(|byte| byte > b' ' && byte != 0x7f && byte != b'#') {
            return Err(failed("TransformInvalidPath", "url-rewrite", &new));
        }
        if new.split('?').next().unwrap_or_default().contains('%') {
            warnings
                .push("ALB may decode some escapes, such as `%3A`, in a rewritten path; here they are kept".to_owned());
        }
        head.target = Bytes::from(new.clone());
        done.uri = Some(new);
    }
    Ok((done.host.is_some() || done.uri.is_some()).then_some(done))
}

fn failed(status: &'static str, kind: &str, result: &str) -> (Transformed, Refusal) {
    let problem = format!("the transform `{kind}` has the invalid result `{}`", result.escape_debug());
    let transformed = Transformed { status, ..Transformed::default() };
    (transformed, Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, problem))
}

#[cfg(test)]
mod tests {
    use crossfade_rule::{Regex, Rewrite};

    use super::*;

    fn rewrite(regex: &str, replace: &str) -> Option<Rewrite> {
        Some(Rewrite::new(Regex::new(regex).unwrap(), replace).unwrap())
    }

    /// Target, host and status after the transforms.
    fn transformed(transforms: &Transforms, target: &str) -> (String, String, &'static str) {
        let mut head =
            Head::parse(format!("GET {target} HTTP/1.1\r\nHost: www.example.com\r\n\r\n").as_bytes()).unwrap();
        let status = match apply(transforms, &mut head, &mut Vec::new()) {
            Ok(Some(done)) => done.status,
            Ok(None) => "none",
            Err((done, refusal)) => {
                assert_eq!(refusal.status, 500);
                done.status
            }
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&head.target), text(head.headers["host"].as_bytes()), status)
    }

    #[test]
    fn a_url_is_path_and_query() {
        let product = Transforms { url: rewrite("^/dp/([A-Za-z0-9]+)/?$", "/product?id=$1"), host: None };
        assert_eq!(transformed(&product, "/dp/B09").0, "/product?id=B09");
        // No match: unchanged.
        assert_eq!(transformed(&product, "/dp/B09?x=1"), ("/dp/B09?x=1".into(), "www.example.com".into(), "none"));
        let query = Transforms { url: rewrite(r"\?q=(.*)$", "?query=$1&v=2"), host: None };
        assert_eq!(transformed(&query, "/s?q=a%20b").0, "/s?query=a%20b&v=2");
    }

    #[test]
    fn a_host_is_rewritten_and_nothing_else_becomes_one() {
        let internal = Transforms { url: None, host: rewrite(r"^www\.(.+)$", "internal.$1") };
        assert_eq!(transformed(&internal, "/").1, "internal.example.com");
        for replace in ["", "a b", "a/b", "a@b"] {
            let bad = Transforms { url: None, host: rewrite("^.*$", replace) };
            assert_eq!(transformed(&bad, "/").2, "TransformInvalidHost", "{replace}");
        }
    }

    #[test]
    fn what_is_no_path_is_an_error() {
        for replace in ["", "https://evil.example/", "x", "/a b", "/a#b"] {
            let bad = Transforms { url: rewrite("^.*$", replace), host: None };
            assert_eq!(transformed(&bad, "/a").2, "TransformInvalidPath", "{replace}");
        }
    }
}
