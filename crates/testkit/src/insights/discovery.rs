//! The fields that CloudWatch Logs discovers in an event: members of JSON in dot notation, and those of Lambda's own lines. Source:
//! AWS, CloudWatch Logs User Guide, "Supported logs and discovered fields".

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Row, TIMESTAMP, Value};

/// The number of fields that are discovered in one event. AWS has raised it; queries that need more would not work everywhere.
pub const MOST_FIELDS: usize = 200;

/// A log event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Milliseconds since 1970.
    pub timestamp: u64,
    /// The line.
    pub message: String,
}

impl Event {
    pub(super) fn fields(&self) -> Row {
        let mut row = Row::new();
        if self.message.starts_with('{') {
            let mut json = serde_json::Deserializer::from_str(&self.message);
            let members = (Member { name: String::new(), row: &mut row }).deserialize(&mut json);
            if members.and_then(|()| json.end()).is_err() {
                row.clear();
            }
        } else {
            report(&self.message, &mut row);
        }
        row.insert(TIMESTAMP.to_owned(), Value::Number(self.timestamp as f64));
        row.insert("@message".to_owned(), Value::Text(self.message.clone()));
        row
    }
}

/// Adds a field for each scalar of a member, in the order of the text: members of objects and elements of arrays follow a dot.
struct Member<'r> {
    name: String,
    row: &'r mut Row,
}

impl Member<'_> {
    fn below(&mut self, key: &str) -> Member<'_> {
        let name = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        Member { name, row: self.row }
    }

    fn add<E>(self, value: Value) -> Result<(), E> {
        if self.row.len() < MOST_FIELDS {
            self.row.insert(self.name, value);
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some(key) = members.next_key::<String>()? {
            members.next_value_seed(self.below(&key))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let mut at = 0;
        while items.next_element_seed(self.below(&at.to_string()))?.is_some() {
            at += 1;
        }
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.add(super::boolean(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.add(Value::Number(value as f64))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.add(Value::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.add(Value::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.add(Value::Text(value.to_owned()))
    }
}

/// Lambda's lines in text format: `START`, `END` and `REPORT`.
fn report(line: &str, row: &mut Row) {
    let mut words = line.split_whitespace();
    let (Some(kind @ ("START" | "END" | "REPORT")), Some("RequestId:"), Some(id)) =
        (words.next(), words.next(), words.next())
    else {
        return;
    };
    row.insert("@type".to_owned(), Value::Text(kind.to_owned()));
    row.insert("@requestId".to_owned(), Value::Text(id.to_owned()));
    for part in line.split('\t') {
        let Some((name, value)) = part.split_once(": ") else { continue };
        let field = match name {
            "Duration" => "@duration",
            "Billed Duration" => "@billedDuration",
            "Init Duration" => "@initDuration",
            "Max Memory Used" => "@maxMemoryUsed",
            "Memory Size" => "@memorySize",
            _ => continue,
        };
        if let Some(Ok(number)) = value.split(' ').next().map(str::parse) {
            row.insert(field.to_owned(), Value::Number(number));
        }
    }
}
