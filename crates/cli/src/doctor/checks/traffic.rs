//! Checks of the way from the load balancer to the function: permission, target groups and health.

use std::collections::BTreeSet;

use crossfade_emulator::Matcher;
use crossfade_event::HeaderMode;
use crossfade_route::HealthCheck as Answer;

use super::super::facts::{Facts, Group, Known, RuleFile, Statement, Unknown};
use super::super::{Judged, Outcome, known};

/// Checks more often than this cost more than they tell: 10 s are 260,000 invocations per month.
const SHORT_INTERVAL: u32 = 10;

/// The target groups, or the reason that there is nothing to check.
fn groups(facts: &Facts) -> Result<&[Group], Unknown> {
    match known(&facts.deployed.groups)?.as_slice() {
        [] => Err(Unknown("the function is in no target group".to_owned())),
        groups => Ok(groups),
    }
}

/// The account in an ARN.
fn account(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

pub(crate) fn permission(facts: &Facts) -> Outcome {
    let groups = groups(facts)?;
    let policies = known(&facts.deployed.policies)?;
    let name = &facts.deployed.name;
    let mut judged = Vec::new();
    let mut unscoped = BTreeSet::new();
    for group in groups {
        let qualifier = &group.qualifier;
        let option = if qualifier.is_empty() { String::new() } else { format!(" --qualifier {qualifier}") };
        let add = format!(
            "`aws lambda add-permission --function-name {name}{option} --statement-id crossfade-{} --action lambda:InvokeFunction \
             --principal elasticloadbalancing.amazonaws.com --source-arn {}`",
            group.name, group.arn
        );
        let account = account(&group.arn);
        let statements = policies.get(qualifier).map(Vec::as_slice).unwrap_or_default();
        let applying = |is_allow: bool| {
            statements.iter().filter(move |it| {
                it.is_allow == is_allow && it.concerns_load_balancers() && it.applies_to(&group.arn, account)
            })
        };
        let allowing: Vec<&Statement> = applying(true).collect();
        if let Some(denial) = applying(false).find(|it| it.other_conditions.is_empty()) {
            judged.push(Judged::error(
                format!("the statement `{}` of its policy keeps the load balancer from invoking it", denial.sid),
                format!("`aws lambda remove-permission --function-name {name}{option} --statement-id {}`", denial.sid),
            ));
        } else if allowing.is_empty() {
            judged.push(Judged::error(
                format!("the target group `{}` may not invoke the function, so clients get a 502", group.name),
                add,
            ));
        } else if let Some(conditional) = allowing
            .iter()
            .find(|it| !it.other_conditions.is_empty())
            .filter(|_| allowing.iter().all(|it| !it.other_conditions.is_empty()))
        {
            judged.push(Judged::warning(
                format!(
                    "the target group `{}` may invoke the function only under `{}`, which is not checked here",
                    group.name,
                    conditional.other_conditions.join("`, `")
                ),
                add,
            ));
        } else {
            judged.push(Judged::ok(format!("the target group `{}` may invoke the function", group.name)));
        }
        for statement in allowing.into_iter().filter(|it| !it.is_scoped_to(account)) {
            if unscoped.insert((qualifier.clone(), statement.sid.clone())) {
                judged.push(Judged::warning(
                    format!(
                        "the statement `{}` of its policy lets load balancers of every account invoke the function",
                        statement.sid
                    ),
                    format!(
                        "allow each target group by itself (`--source-arn`), then `aws lambda remove-permission --function-name \
                         {name}{option} --statement-id {}`",
                        statement.sid
                    ),
                ));
            }
        }
    }
    Ok(judged)
}

pub(crate) fn header_mode(facts: &Facts) -> Outcome {
    let mut judged = Vec::new();
    for group in groups(facts)? {
        judged.push(match &group.has_multi_value_headers {
            Err(unknown) => Judged::not_checked(unknown.to_string()),
            Ok(true) => Judged::ok(format!("the target group `{}` has multi-value headers", group.name)),
            Ok(false) => Judged::error(
                format!(
                    "the target group `{}` has single-value headers: of repeated fields and query parameters of a request, and of the \
                     cookies of a response, only one remains",
                    group.name
                ),
                format!(
                    "`aws elbv2 modify-target-group-attributes --target-group-arn {} --attributes \
                     Key=lambda.multi_value_headers.enabled,Value=true`",
                    group.arn
                ),
            ),
        });
    }
    Ok(judged)
}

/// The target group's health check against the configuration, and against the file with listener rules.
pub(crate) fn health_check(facts: &Facts) -> Outcome {
    let table = facts.configuration.as_ref().ok().and_then(|it| it.table.as_ref().ok());
    let answers_itself = table.is_none_or(|table| table.health_check == Answer::Function);
    let mut judged = Vec::new();
    for group in groups(facts)? {
        let modify =
            |options: &str| format!("`aws elbv2 modify-target-group --target-group-arn {} {options}`", group.arn);
        let name = &group.name;
        let Some(check) = &group.health_check else {
            judged.push(Judged::warning(
                format!("the target group `{name}` has no health check, so nothing reports a function that cannot start"),
                modify(
                    "--health-check-enabled --health-check-path / --health-check-interval-seconds 30 \
                     --health-check-timeout-seconds 10 --healthy-threshold-count 2 --unhealthy-threshold-count 2 --matcher HttpCode=200",
                ),
            ));
            continue;
        };
        let before = judged.len();
        let accepts_200 = Matcher::parse(&check.matcher).is_ok_and(|matcher| matcher.matches(200));
        if answers_itself && !accepts_200 {
            judged.push(Judged::error(
                format!(
                    "the target group `{name}` expects {}, and the function answers health checks with 200",
                    check.matcher
                ),
                modify("--matcher HttpCode=200"),
            ));
        }
        if check.interval < SHORT_INTERVAL {
            let per_month = u64::from(30 * 24 * 3600 / check.interval.max(1));
            judged.push(Judged::warning(
                format!(
                    "the target group `{name}` checks every {} s, which is {per_month} invocations per month",
                    check.interval
                ),
                modify("--health-check-interval-seconds 30"),
            ));
        }
        if let Some((file, theirs)) = in_file(facts, group) {
            let own = format!(
                "{} every {} s, at most {} s, {} is healthy, up after {}, down after {}",
                check.path, check.interval, check.timeout, check.matcher, check.healthy, check.unhealthy
            );
            let theirs = theirs.health_check.as_ref().map(|it| {
                format!(
                    "{} every {} s, at most {} s, {} is healthy, up after {}, down after {}",
                    it.path,
                    it.interval.as_secs(),
                    it.timeout.as_secs(),
                    it.matcher,
                    it.healthy_threshold,
                    it.unhealthy_threshold
                )
            });
            if let Some(theirs) = theirs.filter(|theirs| *theirs != own) {
                judged.push(Judged::warning(
                    format!("`{}` has the health check {theirs}, and the target group `{name}` {own}", file.name),
                    "deploy the file, or change it",
                ));
            }
        }
        if judged.len() == before {
            judged.push(Judged::ok(format!(
                "the target group `{name}` checks {} every {} s, {} is healthy",
                check.path, check.interval, check.matcher
            )));
        }
    }
    Ok(judged)
}

/// The target group of the file that stands for a deployed one: that of the function, with the same header mode if there are two.
fn in_file<'f>(facts: &'f Facts, group: &Group) -> Option<(&'f RuleFile, &'f crossfade_emulator::TargetGroup)> {
    let file = facts.file.as_ref()?;
    let function = file.function(&facts.deployed.name).ok()?;
    let of_function = || file.settings.target_groups.iter().filter(move |it| it.function == Some(function));
    let mode = if group.has_multi_value_headers == Known::Ok(true) { HeaderMode::Multi } else { HeaderMode::Single };
    let same_arn = of_function().find(|it| it.arn == group.arn);
    let found = same_arn.or_else(|| of_function().find(|it| it.mode == mode)).or_else(|| of_function().next());
    found.map(|found| (file, found))
}

/// The health of the target as the load balancer sees it (ELBv2 API, `TargetHealth`).
pub(crate) fn health(facts: &Facts) -> Outcome {
    let mut judged = Vec::new();
    for group in groups(facts)? {
        let name = &group.name;
        let reason = group.health_reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        judged.push(match group.health.as_str() {
            "healthy" => Judged::ok(format!("healthy in the target group `{name}`")),
            "unavailable" => Judged::ok(format!("without a health check, always used in the target group `{name}`")),
            "initial" => Judged::ok(format!("the first checks of the target group `{name}` are under way")),
            "unused" => Judged::warning(
                format!("no listener rule uses the target group `{name}`{reason}"),
                "deploy the listener rules, or delete the target group",
            ),
            "unhealthy" => Judged::error(
                format!("unhealthy in the target group `{name}`{reason}"),
                format!("see the function's log: `aws logs tail {} --since 1h`", log_group(facts)),
            ),
            other => Judged::warning(
                format!("the health in the target group `{name}` is `{other}`{reason}"),
                "run this again in a minute",
            ),
        });
    }
    Ok(judged)
}

fn log_group(facts: &Facts) -> String {
    match &facts.deployed.function {
        Ok(function) => function.log_group.clone(),
        Err(_) => format!("/aws/lambda/{}", facts.deployed.name),
    }
}
