//! Detects which front end sent an event, by the members that the event has. Owns the scan, which ends as soon as a format
//! is recognized. Reading an event is up to its format.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::DecodeError;
use crate::front::{Format, Shape};
use crate::json::Text;

/// The first format that recognizes an event.
pub(crate) fn detect(formats: &[&'static Format], text: &str) -> Result<&'static Format, DecodeError> {
    if let Some(format) = formats.iter().find(|format| !format.prefix.is_empty() && text.starts_with(format.prefix)) {
        return Ok(format);
    }
    let (mut shape, mut found) = (Shape::default(), None);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let look = Look { formats, shape: &mut shape, found: &mut found };
    let end = look.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match (found, end) {
        // It ended before the event did, which is an error to the library.
        (Some(format), _) => Ok(format),
        (None, Err(error)) => Err(DecodeError::json(error)),
        (None, Ok(())) => Err(DecodeError::UnknownFormat),
    }
}

/// The event: its members one after the other, until a format is found.
struct Look<'l, 'e> {
    formats: &'l [&'static Format],
    shape: &'l mut Shape<'e>,
    found: &'l mut Option<&'static Format>,
}

impl<'e> DeserializeSeed<'e> for Look<'_, 'e> {
    type Value = ();

    fn deserialize<D: Deserializer<'e>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'e> Visitor<'e> for Look<'_, 'e> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event object")
    }

    fn visit_map<A: MapAccess<'e>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Text<'e>>()? {
            let is_there = match &*key.0 {
                "requestContext" => map.next_value_seed(Names(&mut self.shape.context))?,
                _ => map.next_value::<Option<IgnoredAny>>()?.is_some(),
            };
            if is_there {
                self.shape.members.insert(key.0);
                *self.found = self.formats.iter().copied().find(|format| (format.recognizes)(self.shape));
                if self.found.is_some() {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// The names of the members of an object that are not `null`; `null` is the empty object. Yields whether there was an object.
struct Names<'l, 'e>(&'l mut BTreeSet<Cow<'e, str>>);

impl<'e> DeserializeSeed<'e> for Names<'_, 'e> {
    type Value = bool;

    fn deserialize<D: Deserializer<'e>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'e> Visitor<'e> for Names<'_, 'e> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_none<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_some<D: Deserializer<'e>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'e>>(self, mut map: A) -> Result<bool, A::Error> {
        while let Some(name) = map.next_key::<Text<'e>>()? {
            if map.next_value::<Option<IgnoredAny>>()?.is_some() {
                self.0.insert(name.0);
            }
        }
        Ok(true)
    }
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
