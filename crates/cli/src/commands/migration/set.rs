//! `crossfade set`: changes of a route that are no step of the migration, such as its mirror, pins, or maintenance. Owns the syntax of
//! the assignments; the overlay's own reader checks the values.

use std::collections::BTreeSet;
use std::time::SystemTime;

use anyhow::{Result, bail};
use crossfade_document::did_you_mean;
use crossfade_route::Overlay;
use serde_json::{Map, Value};

use super::changes::Change;
use super::moves::{no, write};
use super::{By, Common, block_on};
use crate::commands::Verdict;
use crate::migration::Migration;

/// The keys, each with what it does.
const KEYS: [&str; 5] = ["mirror", "optIn", "enabled", "maintenance", "pin"];

/// Change a route in the live state: its mirror, opt-in, pins, maintenance, or whether it is enabled
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade set orders mirror=5%
  crossfade set orders maintenance=true --reason 'the database moves'
  crossfade set orders pin.modern=4711,4712 optIn=false
  crossfade set orders maintenance= mirror=        as in the file again

Keys: mirror (percent), optIn (false ignores opt-ins), enabled, maintenance (every request gets 503), pin.TARGET (values of users, in
addition to the file's). Shares of users are those of `crossfade promote` and `abort`.
Exit codes: 0 changed; 1 another writer was faster, or the answer was no; 2 it could not run.")]
pub(crate) struct Set {
    /// Route to change; `default` is one
    #[arg(value_name = "ROUTE")]
    name: String,
    /// New value, or none for that of the file
    #[arg(value_name = "KEY=VALUE", required = true)]
    assignments: Vec<String>,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    by: By,
}

impl Set {
    pub(crate) fn run(&self) -> Result<Verdict> {
        block_on(self.set())
    }

    async fn set(&self) -> Result<Verdict> {
        const COMMAND: &str = "set";
        let Set { name, assignments, common, by } = self;
        let mut migration = common.migration_or_none().await?;
        let Migration { table, stored, .. } = &migration;
        let before = stored.overlay.as_ref();
        // All routes, for `maintenance`.
        let is_known = name == "*" || table.route(name).is_some();
        if !is_known && assignments.iter().any(|assignment| !assignment.ends_with('=')) {
            let names: Vec<&str> = table.routes().iter().map(|route| route.name.as_str()).collect();
            let hint = did_you_mean(name, &names).unwrap_or_else(|| format!("its routes: {}", names.join(", ")));
            bail!("there is no route `{name}` in `{}`\n  hint: {hint}", common.config.display());
        }
        let change = format!("set {name} {}", assignments.iter().map(|it| shown(it)).collect::<Vec<_>>().join(" "));
        let next = Overlay::after(before, &by.author(), change, SystemTime::now());
        let next = assigned(&next, name, assignments)?;
        let known = before.map(|before| table.overlaid(before).mismatches).unwrap_or_default();
        if let Some(mismatch) = table.overlaid(&next).mismatches.iter().find(|mismatch| !known.contains(mismatch)) {
            bail!("{mismatch}");
        }
        let was = before.and_then(|before| before.routes.get(name)).cloned().unwrap_or_default();
        let differences = next.routes.get(name).cloned().unwrap_or_default().differences(&was);
        if differences.is_empty() {
            let before = vec![format!("nothing changes: route `{name}` has these values already")];
            let version = migration.version();
            return Change { command: COMMAND, version, before, ..Change::default() }
                .print(&migration.plan, common.json);
        }
        let change = Change { command: COMMAND, differences: vec![(name.clone(), differences)], ..Change::default() };
        if !by.agrees(&change.lines(&migration.plan), COMMAND)? {
            return no(COMMAND, &migration).print(common.json);
        }
        write(&mut migration, common, next, change).await
    }
}

/// An assignment in the history, which is stored with the state: of many pins their number.
fn shown(assignment: &str) -> String {
    match assignment.split_once('=') {
        Some((key, value)) if value.len() > 40 => format!("{key}=({} values)", value.split(',').count()),
        _ => assignment.to_owned(),
    }
}

/// The state with these values of a route.
fn assigned(next: &Overlay, route: &str, assignments: &[String]) -> Result<Overlay> {
    // A text that `to_text` has written.
    let mut document: Value = serde_json::from_str(&next.to_text())?;
    let mut members = document["routes"][route].as_object().cloned().unwrap_or_default();
    let mut keys = BTreeSet::new();
    for assignment in assignments {
        let Some((key, value)) = assignment.split_once('=') else {
            bail!(
                "`{assignment}` is no assignment\n  hint: write it like `mirror=5%`; `mirror=` is the value of the file"
            );
        };
        if !keys.insert(key) {
            bail!("`{key}` is there twice");
        }
        assign(&mut members, key, value)?;
    }
    document["routes"][route] = members.into();
    Overlay::parse(&document.to_string(), "live state").map_err(|errors| {
        // Its place is one in a text that nobody has seen.
        let first = errors.texts().into_iter().next().unwrap_or_default();
        anyhow::anyhow!("{}", first.splitn(4, ':').last().unwrap_or_default().trim())
    })
}

fn assign(members: &mut Map<String, Value>, key: &str, value: &str) -> Result<()> {
    let scalar = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    match key.split_once('.') {
        Some(("pin", target)) => {
            let mut pins = members.get("pin").and_then(Value::as_object).cloned().unwrap_or_default();
            if value.is_empty() {
                pins.remove(target);
            } else {
                let values: Vec<&str> = value.split(',').map(str::trim).collect();
                if values.contains(&"") {
                    bail!("`{key}` has an empty value\n  hint: separate values by single commas");
                }
                // A number is a value of users like any other text.
                pins.insert(target.to_owned(), values.into());
            }
            members.insert("pin".to_owned(), pins.into());
        }
        None if key == "pin" && value.is_empty() => _ = members.remove(key),
        None if KEYS.contains(&key) && key != "pin" => match value {
            "" => _ = members.remove(key),
            text => _ = members.insert(key.to_owned(), scalar(text)),
        },
        _ if key == "weights" || key.starts_with("weights.") || key == "migration" => {
            bail!(
                "`{key}` is part of the migration\n  hint: `crossfade promote --to 25%` and `crossfade abort` move users"
            )
        }
        _ => {
            let hint = did_you_mean(key, &KEYS).unwrap_or_else(|| format!("its keys: {}", KEYS.join(", ")));
            bail!("there is no key `{key}`\n  hint: {hint}; a pin names its target, as in `pin.modern=4711`")
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn set(assignments: &[&str]) -> Result<String, String> {
        let (by, change) = ("anna".to_owned(), "test".to_owned());
        let next =
            Overlay { version: 2, at: SystemTime::UNIX_EPOCH, by, change, reason: None, routes: BTreeMap::new() };
        let first = assigned(&next, "orders", &["mirror=20".to_owned(), "pin.modern=1".to_owned()]).unwrap();
        let assignments: Vec<String> = assignments.iter().map(|text| (*text).to_owned()).collect();
        let next = assigned(&first, "orders", &assignments).map_err(|error| error.to_string())?;
        Ok(next.routes["orders"].differences(&first.routes["orders"]).join(", "))
    }

    #[test]
    fn values_of_a_route_are_assigned_and_checked() {
        for (assignments, result) in [
            (&["mirror=5%"][..], Ok("mirror: 20 -> 5")),
            (&["mirror="], Ok("mirror: 20 -> as in the file")),
            (&["mirror=101"], Err("")),
            (&["optIn=false", "enabled=false"], Ok("optIn: as in the file -> false, enabled: as in the file -> false")),
            (&["maintenance=yes"], Err("")),
            (&["pin.modern=4711, 4712"], Ok("pin: {\"modern\":[\"1\"]} -> {\"modern\":[\"4711\",\"4712\"]}")),
            (&["pin.modern="], Ok("pin: {\"modern\":[\"1\"]} -> as in the file")),
            (&["pin.modern=a,,b"], Err("`pin.modern` has an empty value")),
            (&["mirror=5", "mirror=6"], Err("`mirror` is there twice")),
            (&["pin="], Ok("pin: {\"modern\":[\"1\"]} -> as in the file")),
            (&["mirror"], Err("`mirror` is no assignment")),
            (&["weights.modern=5"], Err("`weights.modern` is part of the migration")),
            (&["miror=5"], Err("there is no key `miror`\n  hint: did you mean `mirror`?")),
            (&["version=9"], Err("there is no key `version`")),
        ] {
            match (set(assignments), result) {
                (Ok(text), Ok(expected)) => assert_eq!(text, expected, "{assignments:?}"),
                (Err(text), Err(expected)) => assert!(text.starts_with(expected) && !text.is_empty(), "{text}"),
                (found, expected) => panic!("{assignments:?}: {found:?}, expected {expected:?}"),
            }
        }
    }
}
