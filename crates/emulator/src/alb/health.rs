//! Health checks of target groups: an event to the function at each interval, and a count of good and bad responses
//! (user guide, "Lambda functions as targets", "Health checks"). The target group of a function has one target. If it
//! is unhealthy, ALB still sends requests to it ("fails open"), so health checks are only reported.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossfade_event::alb::{self, RequestLine};
use http::{HeaderMap, HeaderValue, header};

use super::balancer::{Balancer, Group};
use crate::lambda::Pool;
use crate::{HealthCheck, Notice, TargetGroup};

/// The only field of a health check.
const USER_AGENT: HeaderValue = HeaderValue::from_static("ELB-HealthChecker/2.0");

/// Checks one target group until the future is dropped. Returns immediately if the group has no health check.
pub(crate) async fn watch(balancer: Arc<Balancer>, group: usize) {
    let Some(Group { settings, function: Some((_, pool)) }) = balancer.group(group) else { return };
    let Some(check) = &settings.health_check else { return };
    let mut state = State::Initial;
    let mut ticks = tokio::time::interval(check.interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (good, detail) = match ask(settings, check, pool).await {
            Ok(status) if check.matcher.matches(status) => (true, format!("status {status}")),
            Ok(status) => (false, format!("status {status}, expected {}", check.matcher)),
            Err(problem) => (false, problem),
        };
        let (next, healthy) = state.after(good, check);
        state = next;
        if let Some(healthy) = healthy {
            let target_group = settings.name.clone();
            let _ = balancer.notices.send(Notice::Health { target_group, healthy, detail });
        }
    }
}

/// Returns the status code of the function's response, or a message about the failure.
async fn ask(settings: &TargetGroup, check: &HealthCheck, pool: &Arc<Pool>) -> Result<u16, String> {
    let event = event(settings, check)?;
    // Waiting for a turn is the emulator's own, and says nothing about the function.
    let turn = pool.turn().await.map_err(|failure| failure.to_string())?;
    // A task of its own: an invocation completes even if nobody waits for it any more.
    let pool = Arc::clone(pool);
    let trace = format!("Root=1-00000000-{};Sampled=0", crate::random::hex(24));
    let invoked = tokio::spawn(async move {
        match pool.invoke_in(turn, event, &trace).await.answer {
            Ok(answer) => answer.whole().await,
            Err(failure) => Err(failure),
        }
    });
    let answer = match tokio::time::timeout(check.timeout, invoked).await {
        Ok(Ok(answer)) => answer.map_err(|failure| failure.to_string())?,
        Ok(Err(_)) => return Err("the emulator failed; this is a bug".to_owned()),
        Err(_) => return Err(format!("no response within {} s", seconds(check.timeout))),
    };
    let reply = alb::decode_response(settings.mode, &answer);
    let reply = reply.map_err(|error| format!("the function's reply is malformed: {error}"))?;
    Ok(reply.response.status().as_u16())
}

fn event(settings: &TargetGroup, check: &HealthCheck) -> Result<Bytes, String> {
    let (path, query) = match check.path.split_once('?') {
        Some((path, query)) => (path, Some(query.as_bytes())),
        None => (check.path.as_str(), None),
    };
    let line = RequestLine { method: "GET", path: path.as_bytes(), query };
    let fields = HeaderMap::from_iter([(header::USER_AGENT, USER_AGENT)]);
    let event = alb::encode_request(settings.mode, &settings.arn, line, &fields, &[]);
    event.map(Bytes::from).map_err(|error| error.to_string())
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Unknown; the first response decides ("Target health status").
    Initial,
    /// With the number of bad responses in a row.
    Healthy(u32),
    /// With the number of good responses in a row.
    Unhealthy(u32),
}

impl State {
    /// Returns the state after a response, and the new health if it has changed.
    fn after(self, good: bool, check: &HealthCheck) -> (State, Option<bool>) {
        match (self, good) {
            (State::Initial, true) => (State::Healthy(0), Some(true)),
            (State::Initial, false) => (State::Unhealthy(0), Some(false)),
            (State::Healthy(_), true) => (State::Healthy(0), None),
            (State::Healthy(before), false) => match before.saturating_add(1) {
                bad if bad >= check.unhealthy_threshold => (State::Unhealthy(0), Some(false)),
                bad => (State::Healthy(bad), None),
            },
            (State::Unhealthy(_), false) => (State::Unhealthy(0), None),
            (State::Unhealthy(before), true) => match before.saturating_add(1) {
                good if good >= check.healthy_threshold => (State::Healthy(0), Some(true)),
                good => (State::Unhealthy(good), None),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use crossfade_event::HeaderMode;

    use super::*;

    #[test]
    fn thresholds_count_answers_in_a_row() {
        let check = HealthCheck { healthy_threshold: 3, unhealthy_threshold: 2, ..HealthCheck::default() };
        let mut state = State::Initial;
        let mut told = String::new();
        for good in "++-+--+-+++--".chars().map(|sign| sign == '+') {
            let (next, change) = state.after(good, &check);
            state = next;
            told.push(match change {
                Some(true) => 'H',
                Some(false) => 'U',
                None => '.',
            });
        }
        assert_eq!(told, "H....U....H.U");
    }

    #[test] // it has one field, and no `Host`
    fn the_event_is_as_aws_shows_it() {
        let check = HealthCheck { path: "/up?full=1".into(), ..HealthCheck::default() };
        let group = TargetGroup::new("g", HeaderMode::Single, None);
        let event = event(&group, &check).unwrap();
        let expected = format!(
            "{}{}{}",
            r#"{"requestContext":{"elb":{"targetGroupArn":""#,
            group.arn,
            r#""}},"httpMethod":"GET","path":"/up","queryStringParameters":{"full":"1"},"headers":{"user-agent":"ELB-HealthChecker/2.0"},"body":"","isBase64Encoded":false}"#
        );
        assert_eq!(std::str::from_utf8(&event).unwrap(), expected);
    }
}
