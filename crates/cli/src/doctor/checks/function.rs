//! Checks of the function itself: its state, package, configuration and limits.

use std::net::IpAddr;
use std::time::Duration;

use crossfade_document::closest;
use crossfade_route::{Action, Backend, Forward, Route, RoutingTable, Share, Streaming};

use super::super::facts::{Facts, RuleFile};
use super::super::{Judged, Outcome, counted, crossfade, known, update};

/// Everything in the function's environment that has a meaning for it (`crates/function/src/settings.rs`, `crates/live/src/live.rs`).
pub(crate) const VARIABLES: [&str; 9] = [
    "CROSSFADE_ACCESS_LOG",
    "CROSSFADE_BACKEND",
    "CROSSFADE_CONFIG",
    "CROSSFADE_CONFIG_FOLDER",
    "CROSSFADE_LIVE",
    "CROSSFADE_LIVE_INTERVAL",
    "CROSSFADE_METRICS",
    "CROSSFADE_RELOAD",
    "CROSSFADE_STREAMING",
];

/// The function responds with 504 so long before its own time is over.
const MARGIN: Duration = Duration::from_millis(250);

/// Lambda's default, which is too short for most back ends.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// Executions that Lambda keeps for functions without reserved concurrency (AWS, "Configuring reserved concurrency").
const KEPT: u32 = 100;

pub(crate) fn state(facts: &Facts) -> Outcome {
    let function = known(&facts.deployed.function)?;
    let because = |reason: &Option<String>| reason.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
    let (state, reason) = &function.state;
    let (update, update_reason) = &function.last_update;
    let judged = match (state.as_str(), update.as_str()) {
        ("Failed", _) => {
            Judged::error(format!("the function cannot run{}", because(reason)), "remove the cause, and deploy again")
        }
        (_, "Failed") => Judged::error(
            format!("the last update failed, and an earlier version still runs{}", because(update_reason)),
            "remove the cause, and deploy again",
        ),
        ("Pending", _) | (_, "InProgress") => {
            Judged::warning("an update is in progress, so the facts below may change", "run this again in a minute")
        }
        ("Inactive", _) => Judged::warning(
            "Lambda has taken the function's resources back, so the first request fails",
            "send a request, and run this again in a minute",
        ),
        _ => Judged::ok("active, the last update succeeded"),
    };
    Ok(vec![judged])
}

pub(crate) fn runtime(facts: &Facts) -> Outcome {
    let function = known(&facts.deployed.function)?;
    let judged = match function.runtime.as_deref() {
        Some("provided.al2023") => Judged::ok(format!("provided.al2023 on {}", function.architecture)),
        Some(other) => Judged::error(
            format!("`{other}` cannot start the function, which needs glibc 2.34"),
            update(facts, "--runtime provided.al2023"),
        ),
        None => Judged::warning(
            "the function is a container image, which starts more slowly than a zip file",
            format!("deploy the zip file that `{} package` writes", crossfade()),
        ),
    };
    Ok(vec![judged])
}

/// The zip file against the one that is deployed.
pub(crate) fn package(facts: &Facts) -> Outcome {
    let function = known(&facts.deployed.function)?;
    let Some(zip) = &facts.zip else {
        return Ok(vec![Judged::not_checked(format!(
            "CodeSha256 {}: pass `--zip bootstrap.zip` to compare it with a local package",
            function.code_sha256
        ))]);
    };
    let program = known(&zip.program)?;
    let mut judged = Vec::new();
    if program.architecture.name() != function.architecture {
        judged.push(Judged::error(
            format!(
                "the program in `{}` is for {}, and the function runs on {}",
                zip.name, program.architecture, function.architecture
            ),
            format!("package with `--arch {}`, or change the function's architecture", function.architecture),
        ));
    }
    judged.push(match zip.code_sha256 == function.code_sha256 {
        true => Judged::ok(format!("`{}` is deployed (CodeSha256 {})", zip.name, zip.code_sha256)),
        false => Judged::error(
            format!(
                "another package is deployed: CodeSha256 {}, and that of `{}` is {}",
                function.code_sha256, zip.name, zip.code_sha256
            ),
            "deploy it, or package the configuration and the version that are deployed",
        ),
    });
    Ok(judged)
}

/// The configuration, compiled with the function's environment.
pub(crate) fn configuration(facts: &Facts) -> Outcome {
    let configuration = known(&facts.configuration)?;
    let judged = match &configuration.table {
        Ok(table) => {
            let backends = counted(table.backends().len(), "back end");
            let routes = counted(table.routes().len(), "route");
            Judged::ok(format!("{}: {backends}, {routes}", configuration.source))
        }
        Err(errors) => {
            let more = match errors.len().saturating_sub(1) {
                0 => String::new(),
                more => format!(", and {}", counted(more, "more error")),
            };
            let first = errors.first().map(String::as_str).unwrap_or_default();
            Judged::error(
                format!("the function does not start with {} and its environment: {first}{more}", configuration.source),
                "correct the file, or set the variables that it uses for the function, and deploy again",
            )
        }
    };
    let mut all = vec![judged];
    if let (Some(false), Some(zip)) = (configuration.is_packaged, &facts.zip) {
        all.push(Judged::error(
            format!("the configuration in `{}` is not {}", zip.name, configuration.source),
            format!("package it again: `{} package --config …`", crossfade()),
        ));
    }
    Ok(all)
}

pub(crate) fn environment(facts: &Facts) -> Outcome {
    let function = known(&facts.deployed.function)?;
    let variables = match &function.environment {
        Ok(variables) => variables,
        Err(reason) => {
            return Ok(vec![Judged::error(
                format!("Lambda cannot decrypt the environment: {reason}"),
                "let the function's role use the key (`kms:Decrypt`)",
            )]);
        }
    };
    let value = |name: &str| variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let mut judged = Vec::new();
    let has_packaged = facts
        .zip
        .as_ref()
        .is_some_and(|zip| zip.files.contains_key("crossfade.yaml") && zip.code_sha256 == function.code_sha256);
    match (value("CROSSFADE_BACKEND"), value("CROSSFADE_CONFIG"), has_packaged) {
        (Some(_), Some(_), _) => judged.push(Judged::error(
            "both `CROSSFADE_BACKEND` and `CROSSFADE_CONFIG` say where requests go, so the function does not start",
            "delete one of them",
        )),
        (Some(_), None, true) => judged.push(Judged::error(
            "both `CROSSFADE_BACKEND` and the `crossfade.yaml` in the package say where requests go, so the function does not start",
            "delete the variable, or package without `--config`",
        )),
        (Some(_), None, false) if facts.configuration.as_ref().is_ok_and(|it| it.is_file) => judged.push(Judged::error(
            "`CROSSFADE_BACKEND` is set, so the function sends all requests there, or does not start if its package has a configuration",
            "delete the variable, and package with `--config`",
        )),
        _ => {}
    }
    let misplaced =
        variables.keys().filter(|name| name.starts_with("CROSSFADE_") && !VARIABLES.contains(&name.as_str()));
    for name in misplaced {
        let hint = match closest(name, &VARIABLES) {
            Some(known) => format!("did you mean `{known}`?"),
            // A configuration may refer to any name.
            None => "delete it, unless the configuration refers to it as `${env:…}`".to_owned(),
        };
        judged.push(Judged::warning(format!("the function ignores `{name}`"), hint));
    }
    if value("CROSSFADE_ACCESS_LOG").is_some_and(|text| Share::parse(text).is_none()) {
        judged.push(Judged::error(
            "`CROSSFADE_ACCESS_LOG` is not a percentage from 0 to 100, so the function does not start",
            "set it to a number such as 10, or delete it",
        ));
    }
    if value("CROSSFADE_STREAMING").is_some_and(|text| Streaming::parse(text).is_none()) {
        judged.push(Judged::error(
            "`CROSSFADE_STREAMING` is not a list of `function-url` and `rest-api`, so the function does not start",
            "separate the names with commas, or delete the variable",
        ));
    }
    if value("CROSSFADE_RELOAD") == Some("1") {
        judged.push(Judged::warning(
            "`CROSSFADE_RELOAD` looks for a changed file before each request, and in Lambda no file changes",
            "delete the variable",
        ));
    }
    if judged.is_empty() {
        let names: Vec<&str> =
            variables.keys().filter(|name| name.starts_with("CROSSFADE_")).map(String::as_str).collect();
        let names = if names.is_empty() { "no `CROSSFADE_` variable".to_owned() } else { names.join(", ") };
        judged.push(Judged::ok(names));
    }
    Ok(judged)
}

/// The function's timeout against the longest exchange that the configuration allows.
pub(crate) fn timeout(facts: &Facts) -> Outcome {
    let function = known(&facts.deployed.function)?;
    let table = facts.configuration.as_ref().ok().and_then(|it| it.table.as_ref().ok());
    let own = function.timeout;
    let latest = seconds(own.saturating_sub(MARGIN));
    let longest = table.and_then(longest);
    let mut judged = Vec::new();
    match longest {
        Some((needed, what)) if needed + MARGIN > own => {
            let enough = (needed + MARGIN).as_secs_f64().ceil();
            judged.push(Judged::warning(
                format!(
                    "{}, but {what} may take {}: the client gets a 504 after {latest}, and neither a retry nor a failover that \
                     would come later",
                    seconds(own),
                    seconds(needed)
                ),
                format!("{}, or shorten the back ends' `timeouts`", update(facts, &format!("--timeout {enough}"))),
            ));
        }
        Some((needed, _)) => {
            judged.push(Judged::ok(format!("{}; an exchange takes at most {}", seconds(own), seconds(needed))));
        }
        None if own <= DEFAULT_TIMEOUT => judged.push(Judged::warning(
            format!("{}, so the client gets a 504 after {latest}", seconds(own)),
            update(facts, "--timeout 30"),
        )),
        None => judged.push(Judged::ok(format!("{}: the client gets a 504 after {latest}", seconds(own)))),
    }
    if let Some((file, theirs)) = in_file(facts).filter(|(_, theirs)| theirs.timeout != own) {
        judged.push(differs(file, "a timeout of", &seconds(theirs.timeout), &seconds(own)));
    }
    Ok(judged)
}

/// The longest exchange, and its route. `None` if a back end has no limit.
fn longest(table: &RoutingTable) -> Option<(Duration, String)> {
    let routes = table.routes().iter().chain([table.default_route()]);
    let forwards = routes.filter_map(|route| match &route.action {
        Action::Forward(forward) => Some((route, forward)),
        Action::Redirect(_) | Action::FixedResponse(_) => None,
    });
    let mut longest: Option<(Duration, String)> = None;
    for (route, forward) in forwards {
        let needed = match (of_route(table, forward), table.request_timeout) {
            (Some(needed), Some(limit)) => needed.min(limit),
            (Some(needed), None) => needed,
            (None, limit) => limit?,
        };
        if longest.as_ref().is_none_or(|(longest, _)| needed > *longest) {
            longest = Some((needed, named(route)));
        }
    }
    longest
}

fn named(route: &Route) -> String {
    if route.priority.is_some() { format!("route `{}`", route.name) } else { "the default route".to_owned() }
}

fn of_route(table: &RoutingTable, forward: &Forward) -> Option<Duration> {
    let of = |index: usize| table.backends().get(index).and_then(|backend| of_backend(backend));
    let mut longest = Duration::ZERO;
    for target in &forward.targets {
        let mut needed = of(target.backend)?;
        if let Some(failover) = forward.failover.as_ref().filter(|failover| failover.to != target.backend) {
            needed = needed.saturating_add(of(failover.to)?);
        }
        longest = longest.max(needed);
    }
    Some(longest)
}

/// All attempts, with the pauses between them. `None` without a limit.
fn of_backend(backend: &Backend) -> Option<Duration> {
    let attempt = backend.timeouts.backend_request?;
    let Some(retry) = &backend.retry else { return Some(attempt) };
    let pauses = (0..retry.attempts).map(|number| retry.backoff.saturating_mul(1 << number.min(10)));
    let pauses = pauses.fold(Duration::ZERO, Duration::saturating_add);
    Some(attempt.saturating_mul(retry.attempts.saturating_add(1)).saturating_add(pauses))
}

fn seconds(duration: Duration) -> String {
    let text = format!("{:.2}", duration.as_secs_f64());
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The memory against the parts that need much (docs/large-responses.md, docs/configuration.md).
pub(crate) fn memory(facts: &Facts) -> Outcome {
    /// The runtime, the function, and responses of a few MB that are compressed.
    const BASE: u32 = 40;
    let function = known(&facts.deployed.function)?;
    let table = facts.configuration.as_ref().ok().and_then(|it| it.table.as_ref().ok());
    let routes = || table.iter().flat_map(|table| table.routes().iter().chain([table.default_route()]));
    let layers = u32::try_from(function.layers.len()).unwrap_or(u32::MAX);
    let parts = [
        (table.is_some_and(|table| table.spill.is_some()), 32, "`spill`"),
        (
            routes().any(|route| route.mirror.as_ref().is_some_and(|it| it.compare.is_some())),
            40,
            "`mirror` with `compare`",
        ),
        // A process of its own, such as AppConfig's.
        (layers > 0, layers.saturating_mul(48), "layers"),
    ];
    let present = || parts.iter().filter(|(is_present, ..)| *is_present);
    let needed = present().fold(BASE, |sum, (_, memory, _)| sum.saturating_add(*memory));
    let own = function.memory_mb;
    let mut judged = Vec::new();
    if needed > own {
        let names: Vec<&str> = present().map(|(.., name)| *name).collect();
        judged.push(Judged::warning(
            format!("{own} MB, and {} can need {needed} MB", names.join(", ")),
            update(facts, &format!("--memory-size {}", needed.next_multiple_of(128))),
        ));
    } else {
        judged.push(Judged::ok(format!("{own} MB")));
    }
    if let Some((file, theirs)) = in_file(facts).filter(|(_, theirs)| theirs.memory_mib != own) {
        judged.push(differs(file, "memory of", &format!("{} MB", theirs.memory_mib), &format!("{own} MB")));
    }
    Ok(judged)
}

pub(crate) fn concurrency(facts: &Facts) -> Outcome {
    let reserved = *known(&facts.deployed.reserved)?;
    let account = facts.deployed.account_concurrency.as_ref().ok().copied();
    let set = |number: u32| {
        format!(
            "`aws lambda put-function-concurrency --function-name {} --reserved-concurrent-executions {number}`",
            facts.deployed.name
        )
    };
    let mut judged = vec![match (reserved, account) {
        (Some(0), _) => Judged::error("reserved concurrency is 0, so Lambda rejects every request", set(50)),
        (Some(own), Some(account)) => Judged::ok(format!("at most {own} at a time, of the account's {account}")),
        (Some(own), None) => Judged::ok(format!("at most {own} at a time")),
        (None, Some(account)) if account <= KEPT => Judged::warning(
            format!(
                "no reserved concurrency, and the account's limit of {account} allows none: AWS keeps {KEPT} unreserved. A back end that \
                 hangs also stops all other functions"
            ),
            "ask AWS to raise \"Concurrent executions\" in Service Quotas",
        ),
        (None, account) => {
            let all = account.map(|it| format!(" of {it}")).unwrap_or_default();
            Judged::warning(
                format!(
                    "no reserved concurrency: a back end that hangs uses up the account's limit{all}, and stops all other functions"
                ),
                set(account.map_or(50, |account| account.saturating_sub(KEPT).min(50))),
            )
        }
    }];
    let reserved_in_file = |theirs: &crossfade_emulator::Function| {
        theirs.reserved_by.and_then(|_| u32::try_from(theirs.max_concurrency).ok())
    };
    if let Some((file, Some(theirs))) = in_file(facts).map(|(file, theirs)| (file, reserved_in_file(theirs)))
        && reserved != Some(theirs)
    {
        let own = reserved.map_or("none".to_owned(), |own| own.to_string());
        judged.push(differs(file, "a reserved concurrency of", &theirs.to_string(), &own));
    }
    Ok(judged)
}

/// The function's network against the addresses of back ends.
pub(crate) fn network(facts: &Facts) -> Outcome {
    let function = known(&facts.deployed.function)?;
    let table = facts.configuration.as_ref().ok().and_then(|it| it.table.as_ref().ok());
    let judged = match function.subnets {
        0 => {
            let backends = table.iter().flat_map(|table| table.backends());
            let private: Vec<&str> =
                backends.filter(|backend| has_private_address(backend)).map(|backend| backend.name.as_str()).collect();
            match private.is_empty() {
                true => Judged::ok("no VPC: back ends need public addresses"),
                false => Judged::error(
                    format!(
                        "the function is in no VPC, and cannot reach the private addresses of {}",
                        private.join(", ")
                    ),
                    "attach it to the VPC of the back ends (deploy/serverless/README.md, \"Private back ends\")",
                ),
            }
        }
        1 => Judged::warning(
            "one subnet of a VPC: if its Availability Zone fails, so does the function",
            "add a subnet in another Availability Zone",
        ),
        count => {
            let groups = counted(function.security_groups, "security group");
            Judged::ok(format!("{count} subnets of a VPC, {groups}"))
        }
    };
    Ok(vec![judged])
}

fn has_private_address(backend: &Backend) -> bool {
    let is_private = |host: &str| match host.parse() {
        Ok(IpAddr::V4(ip)) => ip.is_private(),
        Ok(IpAddr::V6(ip)) => ip.is_unique_local(),
        Err(_) => false,
    };
    match backend.addresses.is_empty() {
        true => is_private(&backend.host),
        false => backend.addresses.iter().all(|(host, _)| is_private(host)),
    }
}

/// The function as the file with listener rules defines it, if it does.
fn in_file(facts: &Facts) -> Option<(&RuleFile, &crossfade_emulator::Function)> {
    let file = facts.file.as_ref()?;
    let function = file.function(&facts.deployed.name).ok()?;
    let function = file.settings.functions.get(function)?;
    // The output of `describe-rules` has a function's name only, and so have rules that refer to a function elsewhere.
    function.runtime.is_some().then_some((file, function))
}

fn differs(file: &RuleFile, what: &str, theirs: &str, own: &str) -> Judged {
    let found = format!("`{}` has {what} {theirs}, and the function {own}", file.name);
    Judged::warning(found, "deploy the file, or change it")
}
