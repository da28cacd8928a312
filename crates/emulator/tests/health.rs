//! Health checks, against a real function that is well, broken, or gone.

use std::time::Duration;

use crossfade_emulator::{HealthCheck, Matcher, Notice};
use crossfade_event::HeaderMode;

use crate::support::{Alb, settings};

fn checked(path: &str, change: fn(&mut HealthCheck)) -> Alb {
    let mut check = HealthCheck { path: path.into(), interval: Duration::from_millis(20), ..HealthCheck::default() };
    change(&mut check);
    let mut settings = settings(HeaderMode::Multi);
    settings.target_groups[0].health_check = Some(check);
    Alb::start(settings)
}

fn health(alb: &mut Alb) -> (bool, String) {
    alb.notice(|notice| match notice {
        Notice::Health { healthy, detail, .. } => Some((*healthy, detail.clone())),
        _ => None,
    })
}

#[test]
fn a_function_that_answers_is_healthy() {
    let mut alb = checked("/", |_| {});
    assert_eq!(health(&mut alb), (true, "status 200".into()));
    let mut alb = checked("/", |check| check.matcher = Matcher::parse("300-399").unwrap());
    assert_eq!(health(&mut alb), (false, "status 200, expected 300-399".into()));
}

#[test]
fn one_that_fails_or_takes_too_long_is_not_and_gets_requests_all_the_same() {
    let mut alb = checked("/error", |_| {});
    let (healthy, detail) = health(&mut alb);
    assert!(!healthy && detail.starts_with("the function reported an error"), "{detail}");
    assert_eq!(alb.get("/", "").status, 200);
    let mut alb = checked("/sleep/5000", |check| check.timeout = Duration::from_millis(50));
    assert_eq!(health(&mut alb), (false, "no response within 0.05 s".into()));
}

#[test]
fn a_check_that_waits_for_its_turn_is_not_a_bad_one() {
    let check = HealthCheck {
        interval: Duration::from_millis(20),
        timeout: Duration::from_millis(300),
        unhealthy_threshold: 1,
        ..HealthCheck::default()
    };
    let mut settings = settings(HeaderMode::Multi);
    settings.target_groups[0].health_check = Some(check);
    settings.functions[0].max_concurrency = 1;
    let mut alb = Alb::start(settings);
    assert_eq!(health(&mut alb), (true, "status 200".into()));
    assert_eq!(alb.at_once(3, "/sleep/600"), [200; 3]);
    assert!(!alb.has_seen(|notice| matches!(notice, Notice::Health { .. })));
}
