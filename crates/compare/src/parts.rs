//! Values that consist of named parts, such as URLs and structured fields. Owns their comparison; `url` and `fields` read
//! them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crossfade_journal::comparison::Class;

use crate::clock;
use crate::endpoint;
use crate::findings::{Findings, Seen};
use crate::treat_equal::is_uuid;
use crate::work::Stop;

/// Cost of comparing a part, in addition to its length, in units of work.
const PART_WORK: usize = 8;
/// Characters of a step of a part's name.
const MAX_STEP: usize = 100;

/// A part's value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// It is there, and that is all there is to compare.
    Present,
    Text(String),
    /// Seconds from the response on, which are equal within a minute.
    Seconds(f64),
}

/// The parts of a value with their names, in the order in which they were found. The name of the value as a whole is empty.
/// A part below another one, `basket/secure`, goes without saying where one value lacks the whole of `basket`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Parts(Vec<(String, Value)>);

impl Parts {
    pub(crate) fn add(&mut self, name: impl Into<String>, value: Value) {
        self.0.push((name.into(), value));
    }

    /// Returns the first text with this name.
    pub(crate) fn get(&self, wanted: &str) -> Option<&str> {
        self.0.iter().find_map(|(name, value)| match value {
            Value::Text(text) if name == wanted => Some(text.as_str()),
            _ => None,
        })
    }

    pub(crate) fn text(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.add(name, Value::Text(value.into()));
    }
}

/// Receives a difference: its class, the name of the part, and both values.
pub(crate) type Report<'c> = dyn FnMut(&mut Findings<'_>, Class, &str, [Seen<'_>; 2]) -> Result<(), Stop> + 'c;

/// Calls `report` for each part that differs, in the order of their names.
pub(crate) fn compare(
    primary: Parts,
    mirror: Parts,
    findings: &mut Findings<'_>,
    report: &mut Report<'_>,
) -> Result<(), Stop> {
    let mut named: BTreeMap<String, [Vec<Value>; 2]> = BTreeMap::new();
    for (name, value) in primary.0 {
        findings.work.spend(PART_WORK + name.len())?;
        let [ours, _] = named.entry(name).or_default();
        ours.push(value);
    }
    for (name, value) in mirror.0 {
        findings.work.spend(PART_WORK + name.len())?;
        let [_, theirs] = named.entry(name).or_default();
        theirs.push(value);
    }
    for (name, values) in &named {
        let [ours, theirs] = values;
        let class = match (ours.as_slice(), theirs.as_slice()) {
            (_, []) => Class::Missing,
            ([], _) => Class::Extra,
            _ if are_equal(ours, theirs, findings)? => continue,
            _ => Class::Header,
        };
        if class == Class::Header || !goes_without_saying(name, &named, findings)? {
            report(findings, class, name, values.each_ref().map(|values| seen(values)))?;
        }
    }
    Ok(())
}

fn are_equal(ours: &[Value], theirs: &[Value], findings: &Findings<'_>) -> Result<bool, Stop> {
    if ours.len() != theirs.len() {
        return Ok(false);
    }
    for pair in ours.iter().zip(theirs) {
        let is_same = match pair {
            (Value::Text(one), Value::Text(other)) => findings.are_equal(one, other)?,
            (Value::Seconds(one), Value::Seconds(other)) => (one - other).abs() <= clock::NEAR,
            (one, other) => one == other,
        };
        if !is_same {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns `true` if only one value has the part that contains this one. The scheme and the port belong to the host.
fn goes_without_saying(
    name: &str,
    named: &BTreeMap<String, [Vec<Value>; 2]>,
    findings: &Findings<'_>,
) -> Result<bool, Stop> {
    let is_one_sided = |name: &str| named.get(name).is_some_and(|values| values.iter().any(Vec::is_empty));
    for (end, _) in name.match_indices('/') {
        findings.work.spend(PART_WORK + end)?;
        if name.get(..end).is_some_and(is_one_sided) {
            return Ok(true);
        }
    }
    let above = ["scheme", "port"].iter().find_map(|part| name.strip_suffix(part));
    Ok(above.is_some_and(|above| (above.is_empty() || above.ends_with('/')) && is_one_sided(&format!("{above}host"))))
}

fn seen(values: &[Value]) -> Seen<'_> {
    let text = |value: &Value| match value {
        Value::Present => None,
        Value::Text(text) => Some(text.clone()),
        Value::Seconds(seconds) => Some(format!("{seconds:.0} s")),
    };
    match values {
        [] => Seen::Absent,
        [Value::Present, ..] => Seen::Unknown,
        [Value::Text(text)] => Seen::Text(Cow::Borrowed(text)),
        values => Seen::Text(values.iter().filter_map(text).collect::<Vec<_>>().join(", ").into()),
    }
}

/// Returns a text as a step of a part's name: `~` and `/` as in JSON Pointers, truncated, and without what looks random.
pub(crate) fn step(text: &str) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_STEP) {
        return format!("{}…", step(text.get(..end).unwrap_or_default()));
    }
    if is_uuid(text) {
        return "*".to_owned();
    }
    let mut step = String::with_capacity(text.len());
    let is_separator = |character: char| "_-.:~/[] ".contains(character);
    for piece in text.split_inclusive(is_separator) {
        let word = piece.trim_end_matches(is_separator);
        step.push_str(if is_random(word) { "*" } else { word });
        match piece.get(word.len()..).unwrap_or_default() {
            "~" => step.push_str("~0"),
            "/" => step.push_str("~1"),
            other => step.push_str(other),
        }
    }
    step
}

/// Returns `true` for what looks random. Short numbers count and name things.
fn is_random(text: &str) -> bool {
    text.len() > 4 && endpoint::is_id(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_escaped_and_folded() {
        for (text, expected) in [
            ("page", "page"),
            ("filter[a/b~c]", "filter[a~1b~0c]"),
            ("sess_8f3a2b9c1d", "sess_*"),
            ("f47ac10b-58cc-4372-a567-0e02b2c3d479", "*"),
            ("XSRF-TOKEN", "XSRF-TOKEN"),
            ("x2", "x2"),
            ("", ""),
        ] {
            assert_eq!(step(text), expected, "{text}");
        }
    }
}
