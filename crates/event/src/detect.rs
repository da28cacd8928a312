//! Detects which front end sent an event, by the members that the event has. Owns the scan, which ends as soon as a format
//! is recognized. Reading an event is up to its format.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::DecodeError;
use crate::front::{Format, Shape};
use crate::reader::Reader;

/// The first format that recognizes an event.
pub(crate) fn detect(formats: &[&'static Format], text: &str) -> Result<&'static Format, DecodeError> {
    if let Some(format) = formats.iter().find(|format| !format.prefix.is_empty() && text.starts_with(format.prefix)) {
        return Ok(format);
    }
    let (mut shape, mut found) = (Shape::default(), None);
    let mut reader = Reader::new(text);
    let end = reader.object(|reader, name| {
        let is_there = match &*name.0 {
            "requestContext" => names(reader, &mut shape.context)?,
            _ => reader.skip()?,
        };
        if is_there {
            shape.members.insert(name.0);
            found = formats.iter().copied().find(|format| (format.recognizes)(&shape));
        }
        // Not an error: it ends the scan.
        if found.is_some() { Err(DecodeError::UnknownFormat) } else { Ok(()) }
    });
    match (found, end) {
        (Some(format), _) => Ok(format),
        (None, Err(error)) => Err(error),
        (None, Ok(false)) => Err(reader.problem("it is not an object")),
        (None, Ok(true)) => reader.end().and(Err(DecodeError::UnknownFormat)),
    }
}

/// Takes an object and adds the names of its members that are not `null`. Returns whether there was an object.
fn names<'a>(reader: &mut Reader<'a>, names: &mut BTreeSet<Cow<'a, str>>) -> Result<bool, DecodeError> {
    reader.object(|reader, name| {
        if reader.skip()? {
            names.insert(name.0);
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FORMATS;

    fn detected(event: &str) -> String {
        match detect(FORMATS, event) {
            Ok(format) => format.name.to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_load_balancer_is_known_by_its_context() {
        for event in [
            r#"{"requestContext":{"elb":{"targetGroupArn":"arn"}},"path":"/"}"#,
            r#" {"requestContext": {"elb": {}}}"#,
            r#"{"path":"/","body":"{\"requestContext\":{}}","requestContext":{"other":null,"elb":{}}}"#,
            // The rest is for its format to refuse.
            r#"{"requestContext":{"elb":{}}, nonsense"#,
            r#"{"requestContext":{"elb":1},"requestContext":null}"#,
        ] {
            assert_eq!(detected(event), "alb-single", "{event}");
        }
    }

    #[test]
    fn each_front_end_has_a_member_of_its_own() {
        for (expected, event) in [
            ("rest-api", r#"{"resource":"/{proxy+}","#),
            ("rest-api", r#"{"httpMethod":"GET","requestContext":{"resourcePath":"/","connectionId":null}}"#),
            ("http-api-1.0", r#"{"version":"1.0","resource":"$default","#),
            ("http-api", r#"{"version":"2.0","routeKey":"$default","#),
            ("http-api", r#"{"headers":{"elb":"1","raw_path":"/"},"requestContext":{"http":{}}}"#),
            ("http-api", r#"{"version":"2.0","rawPath":"/"}"#),
            ("lattice-1", r#"{"method":"GET","raw_path":"/","body":""}"#),
            (
                "lattice-2",
                r#"{"version":"2.0","path":"/","method":"GET","requestContext":{"serviceNetworkArn":"arn"}}"#,
            ),
            ("lattice-2", r#"{"requestContext":{"serviceNetworkArn":null,"serviceArn":"arn"}}"#),
            ("websocket-api", r#"{"headers":{},"requestContext":{"routeKey":"$connect","connectionId":"x"}}"#),
        ] {
            assert_eq!(detected(event), expected, "{event}");
        }
    }

    #[test]
    fn what_no_front_end_sends_is_unknown() {
        let unknown = DecodeError::UnknownFormat.to_string();
        for event in [
            "{}",
            r#"{"elb":{}}"#,
            r#"{"requestContext":null}"#,
            r#"{"requestContext":{"elb":null}}"#,
            r#"{"requestContext":{"stage":{"elb":{},"http":{}}},"version":"2.0"}"#,
            r#"{"httpMethod":"GET","path":"/","headers":{}}"#,
            r#"{"version":"2.0","method":"GET","path":"/"}"#,
            r#"{"source":"aws.events","detail":{"requestContext":{"elb":{}}}}"#,
        ] {
            assert_eq!(detected(event), unknown, "{event}");
        }
        for event in ["", "[]", "null", r#""elb""#, r#"{"requestContext":"elb"}"#, r#"{"a":1} trailing"#] {
            assert!(detected(event).starts_with("the event cannot be read: "), "{event}: {}", detected(event));
        }
    }

    #[test]
    fn the_time_does_not_grow_with_the_product_of_members_and_context() {
        let names = (0..20_000).map(|index| format!("\"{index}\":1")).collect::<Vec<_>>().join(",");
        let time = |events: &[&str]| {
            let started = std::time::Instant::now();
            events.iter().for_each(|event| assert_eq!(detected(event), DecodeError::UnknownFormat.to_string()));
            started.elapsed()
        };
        let apart = time(&[&format!("{{{names}}}"), &format!("{{\"requestContext\":{{{names}}}}}")]);
        let together = time(&[&format!("{{\"requestContext\":{{{names}}},{names}}}")]);
        assert!(together < 20 * apart, "{together:?}, {apart:?}");
    }
}
