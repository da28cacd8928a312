//! The function's own log: access and comparison lines from CloudWatch Logs. Owns the request for a page of them, and reading page
//! by page until the end, or until there is no time left.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};

use crate::Client;
use crate::aws::Aws;
use crate::source::{Endpoint, between};

/// Routes that the filter names; with more of them, all lines are read.
const MAX_ROUTES: usize = 20;

/// Waits after a page that was refused for too many requests: the quota is the account's.
const BACK_OFF: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// A log group in time.
#[derive(Debug)]
pub(crate) struct Span<'s> {
    pub(crate) group: &'s str,
    /// Only lines of these routes are wanted.
    pub(crate) routes: &'s [String],
    pub(crate) from: SystemTime,
    pub(crate) until: SystemTime,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    events: Vec<Event>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(default)]
    event_id: String,
    #[serde(default)]
    message: String,
}

/// Calls `line` with each line. It is incomplete on error.
pub(crate) async fn read(
    aws: &Aws,
    (endpoint, client): (&Endpoint, &dyn Client),
    span: &Span<'_>,
    end: Instant,
    line: &mut (dyn FnMut(&str) + Send),
) -> Result<(), String> {
    let (mut token, mut known, hasher) = (None, HashSet::new(), RandomState::new());
    let mut waits = BACK_OFF.iter();
    loop {
        let request = request(endpoint, span, token.as_deref()).map_err(|error| error.to_string())?;
        let Ok(response) = timeout_at(end, aws.send(client, "logs", request, SystemTime::now())).await else {
            let count = known.len();
            return Err(format!(
                "the log is too long to be read in the time of an invocation, which was enough for {count} lines; a longer \
                 `Timeout` of the function helps, or `accessLog: {{percent: 10}}`"
            ));
        };
        let page = match page(&response?) {
            Ok(page) => page,
            Err(code) => match waits.next() {
                Some(wait) if code.ends_with("ThrottlingException") => {
                    sleep(*wait).await;
                    continue;
                }
                _ => return Err(format!("CloudWatch Logs responded {code} to a request for `{}`", span.group)),
            },
        };
        for event in page.events {
            // A page may repeat events of the one before.
            if event.event_id.is_empty() || known.insert(hasher.hash_one(&event.event_id)) {
                line(&event.message);
            }
        }
        // A page may be empty in the middle.
        match page.next_token {
            Some(next) if Some(&next) != token.as_ref() => token = Some(next),
            _ => return Ok(()),
        }
    }
}

fn request(endpoint: &Endpoint, span: &Span<'_>, token: Option<&str>) -> Result<Request<Bytes>, http::Error> {
    let mut body = json!({
        "logGroupName": span.group,
        "startTime": milliseconds(span.from),
        "endTime": milliseconds(span.until),
        "filterPattern": pattern(span.routes),
    });
    if let Some(token) = token {
        body["nextToken"] = token.into();
    }
    Request::builder()
        .method(Method::POST)
        .uri(format!("{}/", endpoint.base_path))
        .header(HOST, endpoint.authority())
        .header(CONTENT_TYPE, "application/x-amz-json-1.1")
        .header("x-amz-target", "Logs_20140328.FilterLogEvents")
        .body(body.to_string().into())
}

/// The filter for the lines of some routes.
fn pattern(routes: &[String]) -> String {
    let any = |name: &str, values: &mut dyn Iterator<Item = &str>| {
        let terms: Vec<String> = values.map(|value| format!("$.{name} = {value:?}")).collect();
        format!("({})", terms.join(" || "))
    };
    let types = any("type", &mut ["access", "compare"].into_iter());
    match routes.len() {
        1..=MAX_ROUTES => format!("{{ {types} && {} }}", any("route", &mut routes.iter().map(String::as_str))),
        _ => format!("{{ {types} }}"),
    }
}

fn page(response: &Response<Bytes>) -> Result<Page, String> {
    if response.status() != StatusCode::OK {
        let code = between(response.body(), "\"__type\":\"", "\"");
        return Err(code.unwrap_or_else(|| response.status().to_string()));
    }
    serde_json::from_slice(response.body()).map_err(|_| "no page of events".to_owned())
}

fn milliseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_names_the_routes() {
        assert_eq!(
            pattern(&["orders".to_owned(), "carts".to_owned()]),
            r#"{ ($.type = "access" || $.type = "compare") && ($.route = "orders" || $.route = "carts") }"#
        );
        assert_eq!(pattern(&vec!["orders".to_owned(); 21]), r#"{ ($.type = "access" || $.type = "compare") }"#);
    }
}
