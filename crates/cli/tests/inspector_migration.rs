//! The inspector's page of a migration: over raw HTTP, and in a real browser driven by `browser/migration.mjs`. The demo's load
//! balancer, function and back ends are behind it, and `crossfade` as the other person who changes the state.

use std::process::Command;

use crossfade_testkit::client;
use crossfade_testkit::wait::until_ok;
use serde_json::{Value, json};

use crate::support::browser;
use crate::support::{Dev, word_after};

const USERS: usize = 40;

fn send(url: &str, request: &str) -> String {
    let host = client::host(url);
    client::send(host, request.replace("{host}", host)).whole()
}

fn get(url: &str, target: &str) -> String {
    send(url, &format!("GET {target} HTTP/1.1\r\nhost: {{host}}\r\nconnection: close\r\n\r\n"))
}

/// Sends a form of the page, as the browser would with these fields.
fn post(dev: &Dev, step: &str, head: &str, body: &str) -> String {
    let length = body.len();
    send(
        &dev.inspector,
        &format!(
            "POST /migration/{step} HTTP/1.1\r\nhost: {{host}}\r\nconnection: close\r\n{head}content-length: {length}\r\n\r\n{body}"
        ),
    )
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn document(dev: &Dev) -> Value {
    let answer = get(&dev.inspector, "/migration.json");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn start() -> Dev {
    Dev::start(&["--inspect", "0"])
}

/// The fields that every form of the page has now.
fn fields(dev: &Dev) -> String {
    let page = get(&dev.inspector, "/migration");
    let field =
        |name: &str| word_after(&page, &format!("name=\"{name}\" value=\"")).split('"').next().unwrap().to_owned();
    format!("token={}&version={}", field("token"), field("version"))
}

/// The users on the new system, of those who ask for an order.
fn on_modern(dev: &Dev) -> usize {
    let ask = |user: usize| {
        let request = format!(
            "GET /orders/{user} HTTP/1.1\r\nhost: {{host}}\r\ncookie: customer_id={user}\r\nconnection: close\r\n\r\n"
        );
        let answer = send(&dev.alb, &request);
        assert_eq!(status(&answer), 200, "{answer}");
        answer.contains("x-demo-backend: modern")
    };
    (1..=USERS).filter(|user| ask(*user)).count()
}

/// A command of another person, on the same state.
fn command(dev: &Dev, arguments: &[&str]) {
    let (live, config) = (word_after(&dev.banner, "  live state "), word_after(&dev.banner, "  config "));
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.args(arguments).args(["--live", &live, "--config", &config, "--yes", "--by", "anna"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) fn a_move_needs_evidence_or_a_reason_and_an_abort_nothing() {
    let dev = start();
    let first = fields(&dev);
    for (body, status_expected, words) in [
        (first.clone(), 422, "there is no evidence"),
        (format!("{first}&force=1"), 422, "a promotion without the evidence needs a reason"),
        (format!("{first}&to=120"), 422, "`120` is not a percentage"),
        (format!("{first}&route=carts"), 422, "route `carts` is not part of the migration"),
        (first.replace("token=", "token=0"), 403, "another run"),
    ] {
        let answer = post(&dev, "promote", "", &body);
        assert_eq!(status(&answer), status_expected, "{body}: {answer}");
        assert!(answer.contains(words), "{body}: {answer}");
    }
    // Another page, and another port of this machine.
    for head in ["origin: http://evil.example\r\n", "origin: http://127.0.0.1:1\r\n", "sec-fetch-site: cross-site\r\n"]
    {
        for step in ["promote", "abort"] {
            assert_eq!(status(&post(&dev, step, head, &format!("{first}&force=1&reason=x"))), 403, "{head}");
        }
    }
    assert_eq!(status(&get(&dev.inspector, "/migration/abort")), 405);
    assert_eq!((&document(&dev)["live"], on_modern(&dev)), (&Value::Null, 0));

    // The requests were the evidence.
    until_ok("enough samples", || {
        let document = document(&dev);
        let decision = &document["routes"][0]["conditions"][0]["decision"];
        if decision == "holds" { Ok(()) } else { Err(document.to_string()) }
    });
    let answer = post(&dev, "promote", "", &fields(&dev));
    assert_eq!((status(&answer), answer.contains("location: /migration")), (303, true), "{answer}");
    let moved = on_modern(&dev);
    assert!((1..USERS / 2).contains(&moved), "{moved}");
    let page = get(&dev.inspector, "/migration");
    for words in ["promote orders to 10 %", "aria-current=\"step\">10 %", "<th scope=\"row\">1</th>"] {
        assert!(page.contains(words), "{words}: {page}");
    }

    // Who is slower learns about it, except with an abort.
    let stale = fields(&dev);
    command(&dev, &["promote", "--to", "50%", "--force", "--reason", "sale"]);
    for step in ["promote", "pause", "undo"] {
        let answer = post(&dev, step, "", &format!("{stale}&force=1&reason=mine"));
        assert_eq!(status(&answer), 409, "{step}: {answer}");
        for words in ["anna has changed the live state", "promote orders to 50 %", "sale", "value=\"mine\""] {
            assert!(answer.contains(words), "{words}: {answer}");
        }
    }
    assert!(on_modern(&dev) > moved);
    assert_eq!(status(&post(&dev, "abort", "", &format!("{stale}&reason=errors"))), 303);
    assert_eq!(on_modern(&dev), 0);
    let aborted = document(&dev);
    assert_eq!((&aborted["routes"][0]["phase"], &aborted["live"]["reason"]), (&json!("aborted"), &json!("errors")));
    assert_eq!(aborted["history"].as_array().unwrap().len(), 3, "{aborted}");

    // Also if nobody can read the state any more.
    let live = word_after(&dev.banner, "  live state ");
    for step in ["resume", "promote"] {
        assert_eq!(status(&post(&dev, step, "", &format!("{}&force=1&reason=again&to=100", fields(&dev)))), 303);
    }
    assert_eq!(on_modern(&dev), USERS);
    let stale = fields(&dev);
    std::fs::write(live.strip_prefix("file:").unwrap(), "{ half of it").unwrap();
    assert!(get(&dev.inspector, "/migration").contains("the live state is invalid"));
    assert_eq!(status(&post(&dev, "pause", "", &stale)), 422);
    assert_eq!(status(&post(&dev, "abort", "", &stale)), 303);
    assert_eq!(on_modern(&dev), 0);
    assert!(dev.stop("-INT").success());
}

/// With the weights that were in effect, whatever has changed since.
pub(crate) fn a_request_is_explained_with_the_live_state_that_decided() {
    let dev = start();
    command(&dev, &["promote", "--to", "25%", "--force", "--reason", "as a test"]);
    on_modern(&dev);
    command(&dev, &["abort"]);
    on_modern(&dev);
    let page_with = |id: usize, words: &str| {
        until_ok(words, || {
            let page = get(&dev.inspector, &format!("/requests/{id}"));
            if page.contains(words) { Ok(page) } else { Err(page) }
        })
    };
    let before = page_with(1, "version 1");
    for words in ["forward to legacy 75 %, modern 25 %", "promote orders to 25 %, without evidence", "by anna"] {
        assert!(before.contains(words), "{words}: {before}");
    }
    let after = page_with(USERS + 1, "version 2");
    assert!(after.contains("abort orders") && !after.contains("modern 25 %"), "{after}");
    assert!(dev.stop("-INT").success());
}

pub(crate) fn without_a_plan_or_live_state_one_line_says_how_to_get_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let file = |plan: &str| {
        let text = format!(
            "version: 1\nbackends: {{ legacy: 'https://legacy.example', modern: 'https://modern.example' }}\nroutes:\n- name: orders\n  \
             priority: 1\n  conditions: {{ path: /orders/* }}\n  forward: {{ targets: [legacy, {{ backend: modern, weight: 0 }}] }}\n\
             default: {{ forward: legacy }}\n{plan}"
        );
        std::fs::write(folder.path().join("crossfade.yaml"), text).unwrap();
    };
    let plan = "migration: { from: legacy, to: modern }\n";
    for (plan, arguments, words) in [
        ("", &["--live", "file:live.json"][..], "needs a plan"),
        (plan, &[], "add `--live file:live.json`"),
        (plan, &["--live", "file:live.json"], "none yet: the file alone decides"),
    ] {
        file(plan);
        let all = [&["--inspect", "0", "--config", "crossfade.yaml"][..], arguments].concat();
        let dev = Dev::start_in(folder.path(), &all);
        let page = get(&dev.inspector, "/migration");
        assert!(page.contains(words), "{words}: {page}");
        assert_eq!(dev.banner.contains(" promote --live "), words.starts_with("none yet"), "{}", dev.banner);
        let is_missing = status(&get(&dev.inspector, "/migration.json")) == 404;
        assert_eq!(is_missing, !words.starts_with("none yet"));
        assert!(dev.stop("-INT").success());
    }
}

pub(crate) fn a_person_moves_users_and_takes_them_back() {
    let dev = start();
    let output = browser::run("migration.mjs", &[dev.inspector.as_ref(), dev.alb.as_ref()]);
    let found: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!((&found["messages"], &found["foreign"]), (&json!([]), &json!([])), "the console is silent: {found}");
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    assert!(text("refused").contains("there is no evidence"), "{found}");
    assert!(text("unreasoned").contains("needs a reason"), "{found}");
    assert_eq!((&found["kept"], &found["forced"]), (&json!("25%"), &json!("25 %")), "{found}");
    assert!(text("change").contains("promote orders to 25 %, without evidence"), "{found}");
    assert_eq!(found["forged"], json!([403, 403]), "{found}");
    assert_eq!(found["afterForgery"], "25 %");
    assert_eq!(found["typed"], "half a rea", "a form that somebody fills in stays: {found}");
    assert!(text("announced").starts_with("The live state is version "), "{found}");
    assert!(text("conflict").contains("has changed the live state in the meantime"), "{found}");
    assert_eq!((&found["aborted"], &found["plainAborted"]), (&json!("aborted"), &json!("aborted")), "{found}");
    let looks = found["looks"].as_array().unwrap();
    assert_eq!(looks.len(), 4);
    looks.iter().for_each(super::inspector_page::is_sound);
    assert!(dev.stop("-INT").success());
}
