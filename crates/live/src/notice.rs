//! Events that are no requests: a schedule's, and the ways in which a CloudWatch alarm reaches a function. Owns which events these
//! are. Only whoever may invoke the function can send them: an event of a front end never gets here, whatever a client sends.

use std::time::SystemTime;

use serde_json::Value;

/// The `detail-type` of EventBridge for alarms.
const STATE_CHANGE: &str = "CloudWatch Alarm State Change";

/// An event for the migration.
#[derive(Debug, PartialEq)]
pub enum Notice {
    /// `{"crossfade": "advance"}`: look at the evidence.
    Advance,
    /// One that is meant for the migration but cannot be read: the reason.
    Unknown(&'static str),
    /// Alarms have changed their states.
    Alarms(Vec<Alarm>),
}

/// An alarm's new state.
#[derive(Debug, Default, PartialEq)]
pub struct Alarm {
    pub(crate) name: String,
    /// Empty if the event has none.
    pub(crate) arn: String,
    /// `ALARM`, `OK` or `INSUFFICIENT_DATA`.
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) time: Option<SystemTime>,
}

impl Notice {
    /// Reads an event of no known format; `None` for one that is for nobody.
    #[must_use]
    pub fn of(event: &[u8]) -> Option<Notice> {
        let event: Value = serde_json::from_slice(event).ok()?;
        // Front ends have it, known or not.
        if event.get("requestContext").is_some() {
            return None;
        }
        // EventBridge Scheduler sends its input as it is, a rule's target gets the whole event.
        if let Some(word) = [event.get("crossfade"), event["detail"].get("crossfade")].into_iter().flatten().next() {
            let unknown = Notice::Unknown("`crossfade` in the event is not `advance`, the only word there is");
            return Some(if word == "advance" { Notice::Advance } else { unknown });
        }
        if let Some(alarm) = alarm(&event) {
            return Some(Notice::Alarms(vec![alarm]));
        }
        if event["source"] == "aws.cloudwatch" && event["detail-type"] == STATE_CHANGE {
            return Some(Notice::Unknown("the change of an alarm's state has no name of the alarm"));
        }
        let messages = event["Records"].as_array()?.iter().filter_map(|record| record["Sns"]["Message"].as_str());
        let alarms = messages.filter_map(|message| notified(&serde_json::from_str(message).ok()?));
        Some(alarms.collect::<Vec<_>>()).filter(|alarms| !alarms.is_empty()).map(Notice::Alarms)
    }
}

/// An event of EventBridge ("CloudWatch Alarm State Change"), or of an alarm whose action is the function.
fn alarm(event: &Value) -> Option<Alarm> {
    if event["source"] != "aws.cloudwatch" {
        return None;
    }
    let (data, arn) = match (&event["alarmData"], &event["detail"]) {
        (Value::Null, detail) if event["detail-type"] == STATE_CHANGE => (detail, &event["resources"][0]),
        (Value::Null, _) => return None,
        (data, _) => (data, &event["alarmArn"]),
    };
    let state = &data["state"];
    Some(Alarm {
        name: data["alarmName"].as_str()?.to_owned(),
        arn: text(arn),
        state: text(&state["value"]),
        reason: text(&state["reason"]),
        time: [&state["timestamp"], &event["time"]].into_iter().find_map(time),
    })
}

/// The message of an alarm whose action is a topic of SNS, or an event of EventBridge that went through one.
fn notified(message: &Value) -> Option<Alarm> {
    let Some(name) = message["AlarmName"].as_str() else { return alarm(message) };
    Some(Alarm {
        name: name.to_owned(),
        arn: text(&message["AlarmArn"]),
        state: text(&message["NewStateValue"]),
        reason: text(&message["NewStateReason"]),
        time: time(&message["StateChangeTime"]),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// CloudWatch writes `2019-10-02T16:59:07.123+0000`.
fn time(value: &Value) -> Option<SystemTime> {
    let text = value.as_str()?;
    let text = text.strip_suffix("+0000").map_or_else(|| text.to_owned(), |time| format!("{time}Z"));
    humantime::parse_rfc3339(&text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:modern 5xx";

    fn expected(state: &str) -> Option<Notice> {
        Some(Notice::Alarms(vec![Alarm {
            name: "modern 5xx".to_owned(),
            arn: ARN.to_owned(),
            state: state.to_owned(),
            reason: "Threshold Crossed".to_owned(),
            time: humantime::parse_rfc3339("2026-11-28T12:00:00.5Z").ok(),
        }]))
    }

    fn of(event: &Value) -> Option<Notice> {
        Notice::of(event.to_string().as_bytes())
    }

    fn event_bridge(detail_type: &str) -> Value {
        json!({
            "version": "0", "id": "c4c1", "detail-type": detail_type, "source": "aws.cloudwatch",
            "account": "123456789012", "time": "2026-11-28T12:00:01Z", "region": "eu-west-1", "resources": [ARN],
            "detail": {
                "alarmName": "modern 5xx",
                "state": {
                    "value": "ALARM", "reason": "Threshold Crossed", "reasonData": "{}",
                    "timestamp": "2026-11-28T12:00:00.500+0000"
                },
                "previousState": { "value": "OK" }
            }
        })
    }

    fn sns(messages: &[Value]) -> Value {
        let record = |message: &Value| {
            json!({ "EventSource": "aws:sns", "EventVersion": "1.0", "Sns": { "Type": "Notification",
                "Message": message.to_string() } })
        };
        json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() })
    }

    #[test]
    fn each_way_of_an_alarm() {
        assert_eq!(of(&event_bridge("CloudWatch Alarm State Change")), expected("ALARM"));
        let direct = json!({
            "source": "aws.cloudwatch", "alarmArn": ARN, "accountId": "123456789012",
            "time": "2026-11-28T12:00:00.500+0000", "region": "eu-west-1",
            "alarmData": {
                "alarmName": "modern 5xx", "state": { "value": "OK", "reason": "Threshold Crossed",
                "timestamp": "2026-11-28T12:00:00.500+0000" }, "previousState": { "value": "ALARM" }
            }
        });
        assert_eq!(of(&direct), expected("OK"));
        let message = json!({
            "AlarmName": "modern 5xx", "AlarmArn": ARN, "NewStateValue": "INSUFFICIENT_DATA", "OldStateValue": "OK",
            "NewStateReason": "Threshold Crossed", "StateChangeTime": "2026-11-28T12:00:00.500+0000",
            "AWSAccountId": "123456789012", "Region": "EU (Ireland)", "Trigger": { "MetricName": "Errors" }
        });
        assert_eq!(of(&sns(&[json!("hello"), message.clone()])), expected("INSUFFICIENT_DATA"));
        assert_eq!(of(&sns(&[event_bridge("CloudWatch Alarm State Change")])), expected("ALARM"));
        let Some(Notice::Alarms(alarms)) = of(&sns(&[message.clone(), message])) else { panic!() };
        assert_eq!(alarms.len(), 2);
    }

    #[test]
    fn a_schedule() {
        let rule = json!({ "source": "shop", "detail-type": "tick", "detail": { "crossfade": "advance" } });
        for event in [json!({ "crossfade": "advance" }), rule] {
            assert_eq!(of(&event), Some(Notice::Advance));
        }
        for event in [json!({ "crossfade": "promote" }), json!({ "crossfade": true }), json!({ "crossfade": null })] {
            assert!(matches!(of(&event), Some(Notice::Unknown(_))), "{event}");
        }
    }

    #[test]
    fn other_events_are_for_nobody() {
        for event in [
            json!({}),
            json!([]),
            // A front end of another kind, whose client sent this.
            json!({ "crossfade": "advance", "requestContext": { "http": {} } }),
            json!({ "requestContext": { "http": {} }, "body": "{\"crossfade\":\"advance\"}" }),
            json!({ "version": "2.0", "body": "{\"crossfade\":\"advance\"}" }),
            // A change of the alarm itself has a state as well.
            event_bridge("CloudWatch Alarm Configuration Change"),
            json!({ "source": "aws.ec2", "detail": { "alarmName": "x", "state": { "value": "ALARM" } } }),
            sns(&[]),
            sns(&[json!({ "hello": "world" })]),
            json!({ "Records": [{ "s3": {} }] }),
        ] {
            assert_eq!(of(&event), None, "{event}");
        }
        assert_eq!(Notice::of(b"{\"crossfade\": \"adv"), None);
    }
}
