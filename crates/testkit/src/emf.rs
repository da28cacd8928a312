//! Reads a line of the log as CloudWatch does: as a document of the embedded metric format, with all rules of its specification
//! and of the JSON schema there.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The units of CloudWatch (`MetricDatum`).
const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// A value of a metric, with one of the sets of dimensions that it has.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The namespace.
    pub namespace: String,
    /// Names and values of the dimensions.
    pub dimensions: BTreeMap<String, String>,
    /// The name.
    pub name: String,
    /// The unit.
    pub unit: String,
    /// The values.
    pub values: Vec<f64>,
}

/// Returns the points of a line; none if it is no such document.
///
/// # Errors
///
/// The rule that the document breaks.
pub fn points(line: &str) -> Result<Vec<Point>, String> {
    ensure(line.len() <= 1 << 20, "longer than 1 MB")?;
    let root: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let root = root.as_object().ok_or("not an object")?;
    let Some(metadata) = root.get("_aws") else { return Ok(Vec::new()) };
    let metadata = members(metadata, "_aws", &["Timestamp", "CloudWatchMetrics"])?;
    // Seconds or microseconds would be in another century.
    let time = metadata.get("Timestamp").and_then(Value::as_u64).ok_or("`Timestamp` is not a whole number")?;
    ensure((1_500_000_000_000..4_000_000_000_000).contains(&time), "`Timestamp` is not in milliseconds")?;
    let mut points = Vec::new();
    for directive in list(metadata, "CloudWatchMetrics")? {
        let directive = members(directive, "a directive", &["Namespace", "Dimensions", "Metrics"])?;
        let namespace = text(directive.get("Namespace"), 1024)?;
        let sets = list(directive, "Dimensions")?;
        ensure(!sets.is_empty(), "no set of dimensions")?;
        let sets: Vec<_> = sets.iter().map(|set| dimensions(set, root)).collect::<Result<_, _>>()?;
        let metrics = list(directive, "Metrics")?;
        ensure((1..=100).contains(&metrics.len()), "no or more than 100 metrics")?;
        for metric in metrics {
            let metric = members(metric, "a metric", &["Name", "Unit", "StorageResolution"])?;
            let name = text(metric.get("Name"), 1024)?;
            let unit = metric.get("Unit").map_or(Ok("None"), |unit| unit.as_str().ok_or("`Unit` is not a text"))?;
            ensure(UNITS.contains(&unit), "an unknown unit")?;
            if let Some(resolution) = metric.get("StorageResolution") {
                ensure(matches!(resolution.as_u64(), Some(1 | 60)), "another `StorageResolution` than 1 or 60")?;
            }
            let values = match root.get(name) {
                Some(Value::Array(values)) => values.iter().map(Value::as_f64).collect(),
                Some(value) => value.as_f64().map(|value| vec![value]),
                None => None,
            };
            let values: Vec<f64> = values.ok_or_else(|| format!("`{name}` has no number at the root"))?;
            ensure(values.len() <= 100, "more than 100 values")?;
            // `PutMetricData`: from -2^360 to 2^360.
            ensure(values.iter().all(|value| value.abs() <= 2f64.powi(360)), "a value out of range")?;
            points.extend(sets.iter().map(|dimensions| Point {
                namespace: namespace.to_owned(),
                dimensions: dimensions.clone(),
                name: name.to_owned(),
                unit: unit.to_owned(),
                values: values.clone(),
            }));
        }
    }
    Ok(points)
}

fn dimensions(set: &Value, root: &Map<String, Value>) -> Result<BTreeMap<String, String>, String> {
    let names = set.as_array().ok_or("a set of dimensions is not an array")?;
    ensure(names.len() <= 30, "more than 30 dimensions")?;
    let pair = |name: &Value| {
        let name = text(Some(name), 250)?;
        let value = text(root.get(name), 250).map_err(|error| format!("dimension `{name}`: {error}"))?;
        ensure(value.is_ascii() && !value.trim().is_empty() && !value.starts_with(':'), "the value of a dimension")?;
        Ok((name.to_owned(), value.to_owned()))
    };
    names.iter().map(pair).collect()
}

/// An object with no other members than these.
fn members<'v>(value: &'v Value, what: &str, known: &[&str]) -> Result<&'v Map<String, Value>, String> {
    let object = value.as_object().ok_or_else(|| format!("{what} is not an object"))?;
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("{what} has the member `{key}`")),
        None => Ok(object),
    }
}

fn list<'v>(object: &'v Map<String, Value>, name: &str) -> Result<&'v [Value], String> {
    object.get(name).and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| format!("`{name}` is not an array"))
}

fn text(value: Option<&Value>, longest: usize) -> Result<&str, String> {
    let text = value.and_then(Value::as_str).ok_or("not a text")?;
    ensure((1..=longest).contains(&text.len()), "an empty or too long text")?;
    Ok(text)
}

fn ensure(holds: bool, problem: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(change: impl FnOnce(&mut Value)) -> String {
        let mut document = serde_json::json!({
            "type": "access", "route": "a", "n": 1, "_aws": { "Timestamp": 1_767_225_600_123_u64, "CloudWatchMetrics": [
                { "Namespace": "N", "Dimensions": [[], ["route"]], "Metrics": [{ "Name": "n", "Unit": "Count" }] }
            ] }
        });
        change(&mut document);
        document.to_string()
    }

    #[test]
    fn a_value_counts_for_each_set_of_dimensions() {
        let points = points(&document(|_| ())).unwrap();
        let of: Vec<_> = points.iter().map(|point| (point.dimensions.len(), &*point.name, &*point.values)).collect();
        assert_eq!(of, [(0, "n", &[1.0][..]), (1, "n", &[1.0])]);
        assert_eq!(super::points(r#"{"path":"{\"_aws\":1}"}"#), Ok(Vec::new()));
    }

    #[test]
    fn each_rule_is_checked() {
        type Change = fn(&mut Value);
        let changes: [Change; 12] = [
            |it| it["_aws"]["Timestamp"] = 1_767_225_600_u64.into(),
            |it| it["_aws"]["Timestamp"] = "now".into(),
            |it| it["_aws"]["more"] = 1.into(),
            |it| it["n"] = "1".into(),
            |it| it["n"] = vec![1; 101].into(),
            |it| it["route"] = Value::Null,
            |it| it["route"] = "a".repeat(251).into(),
            |it| it["_aws"]["CloudWatchMetrics"][0]["Dimensions"] = Value::Array(Vec::new()),
            |it| it["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0] = vec!["other"].into(),
            |it| it["_aws"]["CloudWatchMetrics"][0]["Namespace"] = "".into(),
            |it| it["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Unit"] = "ms".into(),
            |it| it["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"] = "a.b".into(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            assert!(points(&document(change)).is_err(), "{number}");
        }
    }
}
