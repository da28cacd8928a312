//! Access and comparison records from a log group of CloudWatch Logs. Owns fetching the lines; `crossfade-parity` finds the
//! records in them.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::Builder;
use aws_sdk_cloudwatchlogs::error::ProvideErrorMetadata;

use crate::{aws, terminal};

/// Terms, not a pattern for JSON: those also find a record that another tool has wrapped as a string.
const RECORDS: &str = "?access ?compare";

/// Attempts for each page: the quota of requests is shared by the account.
const ATTEMPTS: u32 = 12;

/// The time for a page: the service may search much before it finds a record.
const PAGE: Duration = Duration::from_secs(60);

/// The time until progress is reported, and from one report to the next.
const SLOW: Duration = Duration::from_secs(5);

/// Calls `line` with each access and comparison record that the log group has for this time, both ends included, and perhaps
/// with other lines that have these words. The group is a name, or an ARN for one in another account. Returns the number of
/// lines.
///
/// # Errors
///
/// If there is no such group, it may not be read, or reading fails in the middle: the evidence would be incomplete.
pub(crate) async fn read(group: &str, from: SystemTime, until: SystemTime, line: impl FnMut(&str)) -> Result<u64> {
    read_with(&aws::config().await?, group, from, until, line).await
}

/// The same, with this configuration of the SDK.
///
/// # Errors
///
/// As `read`.
pub async fn read_with(
    config: &SdkConfig,
    group: &str,
    from: SystemTime,
    until: SystemTime,
    mut line: impl FnMut(&str),
) -> Result<u64> {
    let retry = RetryConfig::standard().with_max_attempts(ATTEMPTS);
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(PAGE).build();
    let config_of_logs = Builder::from(config).retry_config(retry).timeout_config(timeouts).build();
    let client = Client::from_conf(config_of_logs);
    let request = client.filter_log_events().filter_pattern(RECORDS).start_time(millis(from)).end_time(millis(until));
    let request = match group.starts_with("arn:") {
        // The console shows it with a suffix that the request must not have.
        true => request.log_group_identifier(group.strip_suffix(":*").unwrap_or(group)),
        false => request.log_group_name(group),
    };
    let mut pages = request.into_paginator().send();
    let (mut known, hasher, mut lines) = (HashSet::new(), RandomState::new(), 0_u64);
    let mut reported = Instant::now();
    while let Some(page) = pages.next().await {
        let page = match page {
            Ok(page) => page,
            Err(error) if error.code() == Some("ResourceNotFoundException") => {
                bail!("there is no log group `{group}` in {}: a function's is `/aws/lambda/NAME`", region(config))
            }
            Err(error) => {
                let cannot = format!("read the log group `{group}`");
                return Err(aws::failure(&cannot, "`logs:FilterLogEvents` on this log group", &error));
            }
        };
        for event in page.events() {
            // A page may repeat events of the one before.
            if event.event_id().is_some_and(|id| !known.insert(hasher.hash_one(id))) {
                continue;
            }
            lines = lines.saturating_add(1);
            line(event.message().unwrap_or_default());
        }
        if reported.elapsed() >= SLOW {
            let latest = page.events().iter().filter_map(|event| event.timestamp()).max();
            let at = latest.and_then(|at| UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(at).ok()?)));
            let at = at.map_or_else(String::new, |at| format!(", up to {}", humantime::format_rfc3339_seconds(at)));
            terminal::say(&format!("reading the log group `{group}`: {lines} lines{at}"));
            reported = Instant::now();
        }
    }
    Ok(lines)
}

fn region(config: &SdkConfig) -> String {
    config.region().map(ToString::to_string).unwrap_or_default()
}

/// Milliseconds since 1970, as the service counts.
fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or_default()
}
