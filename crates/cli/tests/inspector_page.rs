//! The inspector of `crossfade dev` in a real browser: Chromium, driven by `browser/inspect.mjs`, with a real load balancer,
//! function and back ends behind it.

use serde_json::{Value, json};

use crate::support::Dev;
use crate::support::browser;

pub(crate) fn a_person_finds_out_what_became_of_a_request() {
    let dev = Dev::start(&["--inspect", "0"]);
    let output = browser::run("inspect.mjs", &[dev.inspector.as_ref(), dev.alb.as_ref()]);
    let found: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!((&found["messages"], &found["foreign"]), (&json!([]), &json!([])), "the console is silent: {found}");

    assert_eq!(found["empty"], "None yet. Send a request to the local load balancer.");
    assert_eq!(found["live"], json!(["/login", "/no/such", "/orders/1"]), "newest first");
    assert_eq!(found["shown"], "Showing 3 of 3");
    assert_eq!((&found["focused"], &found["stillFocused"]), (&json!("/no/such"), &json!("/no/such")));
    assert_eq!((&found["outline"], &found["opened"]), (&json!("solid"), &json!("/no/such")));
    assert_eq!(found["filterFocused"], "q");
    assert_eq!(found["filtered"], json!(["/orders/2", "/orders/1"]));
    assert_eq!(found["filteredLive"], json!(["/orders/3", "/orders/2", "/orders/1"]), "live rows obey the filter");
    assert_eq!(found["replayed"], "/orders/3");
    let ids = found["replayedAgain"].as_array().unwrap();
    assert!(ids[1].as_u64() > ids[0].as_u64(), "{ids:?}");
    let copied = found["copied"].as_str().unwrap();
    assert!(copied.starts_with("curl -i ") && copied.contains("/orders/3"), "{copied}");
    assert_eq!((&found["help"], &found["paused"], &found["sampling"]), (&json!(true), &json!(false), &json!(true)));
    let announced = found["announced"].as_str().unwrap();
    assert!(announced.contains("new request"), "{announced}");

    assert!(found["plainRows"].as_u64().unwrap() > 100, "{}", found["plainRows"]);
    assert_eq!((&found["plainFiltered"], &found["plainReplayed"]), (&json!(["/login"]), &json!("/login?token=***")));
    assert_eq!(found["plainSecrets"], json!([]));
    let curl = found["plainCurl"].as_str().unwrap();
    for part in ["-X POST", "token=REPLACE_ME", "authorization: Bearer REPLACE_ME", "\"password\":\"REPLACE_ME\""] {
        assert!(curl.contains(part), "{part}: {curl}");
    }

    let looks = found["looks"].as_array().unwrap();
    assert_eq!(looks.len(), 12);
    looks.iter().for_each(is_sound);
    assert!(dev.stop("-INT").success());
}

/// Checks of every page, in light and dark, on a desktop and on a phone.
pub(crate) fn is_sound(look: &Value) {
    assert_eq!(look["width"], look["viewport"], "nothing is cut off at the side: {look}");
    assert_eq!(look["faint"], json!([]), "all text has enough contrast");
    assert!(look["smallest"].as_f64().unwrap() >= 11.0, "{}", look["smallest"]);
    assert_eq!((&look["handlers"], &look["styled"], &look["uncaptioned"]), (&json!(0), &json!(0), &json!(0)), "{look}");
    assert_eq!((&look["unnamed"], &look["ids"]), (&json!([]), &json!([])), "all is named, and ids are once");
    assert_eq!(look["landmarks"], json!(["header", "main", "footer"]));
    assert_eq!(look["animation"], "none", "motion is reduced");
    let headings: Vec<u64> = look["headings"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    assert_eq!(headings.iter().filter(|level| **level == 1).count(), 1);
    assert!(headings.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{headings:?}");
}
