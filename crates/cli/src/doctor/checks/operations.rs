//! Checks of the operation: live state, log, alarms and tracing.

use super::super::facts::{Alarm, Facts, Known, LiveError};
use super::super::{Judged, Outcome, Unknown, counted, crossfade, known, update};

/// The present state in the place that the function reads, against the configuration.
pub(crate) fn live(facts: &Facts) -> Outcome {
    let table = facts.configuration.as_ref().ok().and_then(|it| it.table.as_ref().ok());
    let function = known(&facts.deployed.function)?;
    let Some(live) = known(&facts.deployed.live)? else {
        let has_plan = table.is_some_and(|table| table.plan.is_some());
        return Ok(match has_plan {
            true => vec![Judged::warning(
                "the configuration has `migration`, and the function no `CROSSFADE_LIVE`: commands such as `promote` have no effect",
                "deploy the live state (deploy/serverless/README.md)",
            )],
            false => Vec::new(),
        });
    };
    let place = &live.place;
    let mut judged = Vec::new();
    match &live.overlay {
        Err(LiveError::NotAllowed(reason)) => judged.push(Judged::not_checked(reason.clone())),
        Err(LiveError::Broken(reason)) => judged.push(Judged::error(
            format!("{place}: {reason}"),
            format!(
                "correct `CROSSFADE_LIVE`, or write a valid state: `{} abort --live {place}` takes all users back",
                crossfade()
            ),
        )),
        Ok(None) => judged.push(Judged::ok(format!("{place}: nothing has been changed yet"))),
        Ok(Some(overlay)) => {
            let mismatches = table.map(|table| table.overlaid(overlay).mismatches).unwrap_or_default();
            let shown = format!("{place}: version {}, {}", overlay.version, overlay.change);
            if mismatches.is_empty() {
                judged.push(Judged::ok(shown));
            }
            for mismatch in mismatches {
                judged.push(Judged::warning(
                    format!("{place}: version {} does not fit the configuration: {mismatch}", overlay.version),
                    format!("`{} check --live {place}` shows all of it", crossfade()),
                ));
            }
        }
    }
    let has_extension = || function.layers.iter().any(|layer| layer.to_ascii_lowercase().contains("appconfig"));
    if place.starts_with("appconfig:") && !has_extension() {
        judged.push(Judged::error(
            "the live state is in AppConfig, and the function lacks the layer with AppConfig's extension",
            "add the layer of your region (deploy/serverless/live/appconfig.yml)",
        ));
    }
    Ok(judged)
}

/// The levels of Lambda's log, which drop lines before they reach the log group.
pub(crate) fn log_format(facts: &Facts) -> Outcome {
    let function = known(&facts.deployed.function)?;
    if !function.is_json_log {
        return Ok(vec![Judged::ok("Text: Lambda adds its lines START, END and REPORT")]);
    }
    let application = function.application_level.as_deref().unwrap_or("INFO");
    let system = function.system_level.as_deref().unwrap_or("INFO");
    Ok(vec![match application {
        "TRACE" | "DEBUG" | "INFO" => {
            Judged::ok(format!("JSON, level {application} for the function's lines, {system} for Lambda's"))
        }
        _ => Judged::error(
            format!(
                "Lambda drops lines of the function below {application}, so access and comparison records are missing"
            ),
            update(facts, &format!("--logging-config LogFormat=JSON,ApplicationLogLevel=INFO,SystemLogLevel={system}")),
        ),
    }])
}

pub(crate) fn log_group(facts: &Facts) -> Outcome {
    let function = known(&facts.deployed.function)?;
    let name = &function.log_group;
    let set = format!("`aws logs put-retention-policy --log-group-name {name} --retention-in-days 14`");
    Ok(vec![match known(&facts.deployed.log_group)? {
        None => Judged::warning(
            format!("there is no log group `{name}`: Lambda creates it with the first line, and keeps lines for ever"),
            format!("`aws logs create-log-group --log-group-name {name}`, then {set}"),
        ),
        Some(group) => match group.retention_days {
            None => Judged::warning(format!("`{name}` keeps lines for ever"), set),
            Some(days) => Judged::ok(format!("`{name}` keeps lines for {}", counted(days as usize, "day"))),
        },
    }])
}

pub(crate) fn alarms(facts: &Facts) -> Outcome {
    // Those that abort a migration, by their names or ARNs.
    let table = facts.configuration.as_ref().ok().and_then(|it| it.table.as_ref().ok());
    let aborting = table.and_then(|table| table.plan.as_ref()).map(|plan| &plan.alarms[..]).unwrap_or_default();
    let is_aborting = |alarm: &Alarm| aborting.iter().any(|it| *it == alarm.name || *it == alarm.arn);
    let alarms = known(&facts.deployed.alarms)?;
    let alarms: Vec<&Alarm> = alarms.iter().filter(|alarm| alarm.is_own || is_aborting(alarm)).collect();
    if alarms.is_empty() {
        // An alarm on a target group is only found by that group.
        if let Known::Err(Unknown(reason)) = &facts.deployed.groups {
            return Ok(vec![Judged::not_checked(reason.clone())]);
        }
        return Ok(vec![Judged::warning(
            "no alarm watches the function, its target groups or its log",
            "deploy with monitoring on (deploy/monitoring)",
        )]);
    }
    let mut judged = Vec::new();
    let mut armed = 0;
    for alarm in alarms {
        let name = &alarm.name;
        let before = judged.len();
        if is_aborting(alarm) && !alarm.has_actions {
            // A rule of EventBridge acts on its state.
        } else if !alarm.are_actions_enabled {
            judged.push(Judged::warning(
                format!("the alarm `{name}` is not armed: its actions are disabled"),
                format!("`aws cloudwatch enable-alarm-actions --alarm-names {name}`"),
            ));
        } else if !alarm.has_actions {
            judged.push(Judged::warning(
                format!("the alarm `{name}` has no action, so nobody learns of it"),
                "add an SNS topic to its alarm actions",
            ));
        }
        match alarm.state.as_str() {
            "ALARM" => judged.push(Judged::error(
                format!("the alarm `{name}` is in ALARM: {}", alarm.reason),
                format!("look at the log with `{} report`", crossfade()),
            )),
            "INSUFFICIENT_DATA" => judged.push(Judged::warning(
                format!("the alarm `{name}` has not enough data: {}", alarm.reason),
                "wait for requests; or let missing data count as `notBreaching`, and check its metric and dimensions",
            )),
            _ => {}
        }
        armed += usize::from(judged.len() == before);
    }
    if armed > 0 {
        judged.insert(0, Judged::ok(format!("{} armed and quiet", counted(armed, "alarm"))));
    }
    Ok(judged)
}

pub(crate) fn tracing(facts: &Facts) -> Outcome {
    let function = known(&facts.deployed.function)?;
    Ok(vec![match function.is_traced {
        true => Judged::ok("Active: Lambda samples requests for X-Ray, and charges for traces"),
        false => Judged::ok("PassThrough: Lambda starts no traces"),
    }])
}
