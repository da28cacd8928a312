//! The facts of a deployed function, by read-only requests to Lambda, Elastic Load Balancing, CloudWatch and CloudWatch Logs. A request that is
//! not allowed leaves its facts unknown; only without a function to examine is there an error. Owns the requests and their permissions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use aws_config::SdkConfig;
use aws_sdk_cloudwatch::types::{AlarmType, LogAlarm, MetricAlarm};
use aws_sdk_elasticloadbalancingv2 as elb;
use aws_sdk_elasticloadbalancingv2::types::{Listener as ElbListener, Rule, TargetGroup, TargetTypeEnum};
use aws_sdk_lambda::operation::get_function_configuration::GetFunctionConfigurationOutput;
use aws_sdk_lambda::types::LogFormat;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use crossfade_emulator::source;

use super::described;
use super::facts::{
    Alarm, Deployed, Function, Group, HealthCheck, Known, Listener, Live, LiveError, LogGroup, Statement, Unknown,
};
use super::policy;
use crate::aws;
use crate::live::Store;

/// The deployed function that a user means.
pub(crate) struct Wanted {
    /// A name or an ARN, with or without a version or an alias.
    pub(crate) function: Option<String>,
    /// The stack that created it.
    pub(crate) stack: Option<String>,
    /// The ARN of the listener whose rules forward to it.
    pub(crate) listener: Option<String>,
}

/// Asks for everything.
///
/// # Errors
///
/// If there is no such function or listener, or the services cannot be asked at all.
pub(crate) async fn gather(config: &SdkConfig, wanted: &Wanted) -> Result<Deployed> {
    let balancer = Balancer { client: elb::Client::new(config) };
    let lambda = aws_sdk_lambda::Client::new(config);
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    let named = match (&wanted.function, &wanted.stack, &wanted.listener) {
        (Some(function), ..) => function.clone(),
        (None, Some(stack), _) => of_stack(&lambda, stack, &region).await?,
        (None, None, Some(listener)) => balancer.function_of(listener).await?,
        (None, None, None) => bail!("name a function, a stack or a listener"),
    };
    let (name, qualifier) = parts(&named);
    let mut function = function(&lambda, &name, qualifier.as_deref(), &region).await?;
    let groups = balancer.groups(&name).await;
    // The load balancer invokes a version or an alias, which has settings of its own.
    if let (None, Ok([(_, first), rest @ ..])) = (qualifier, groups.as_deref())
        && !first.qualifier.is_empty()
        && rest.iter().all(|(_, group)| group.qualifier == first.qualifier)
    {
        function = self::function(&lambda, &name, Some(&first.qualifier), &region).await?;
    }
    let listeners = match &groups {
        Ok(groups) => balancer.listeners(wanted.listener.as_deref(), groups, &name).await?,
        Err(unknown) => Err(unknown.clone()),
    };
    let qualifiers: BTreeSet<String> = match &groups {
        Ok(groups) => groups.iter().map(|(_, group)| group.qualifier.clone()).collect(),
        Err(_) => BTreeSet::new(),
    };
    let groups = groups.map(|groups| groups.into_iter().map(|(_, group)| group).collect::<Vec<_>>());
    let log_group = function.as_ref().map(|function| function.log_group.clone()).map_err(Clone::clone);
    let watched =
        Watched { name: &name, groups: groups.as_deref().unwrap_or_default(), log_group: log_group.as_deref().ok() };
    Ok(Deployed {
        reserved: reserved(&lambda, &name).await,
        account_concurrency: account_concurrency(&lambda).await,
        policies: policies(&lambda, &name, qualifiers).await,
        alarms: alarms(config, &watched).await,
        log_group: match log_group {
            Ok(name) => of_log(config, &name).await,
            Err(unknown) => Err(unknown),
        },
        live: match &function {
            Ok(function) => Ok(live(config, function).await),
            Err(unknown) => Err(unknown.clone()),
        },
        name,
        function,
        groups,
        listeners,
    })
}

fn unknown<E>(cannot: &str, permissions: &str, error: &SdkError<E, HttpResponse>) -> Unknown
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    Unknown(aws::failure(cannot, permissions, error).to_string())
}

/// The name of a function, and its version or alias, from either or an ARN.
fn parts(text: &str) -> (String, Option<String>) {
    let rest = text.rsplit_once(":function:").map_or(text, |(_, rest)| rest);
    match rest.split_once(':') {
        Some((name, qualifier)) => (name.to_owned(), Some(qualifier.to_owned())),
        None => (rest.to_owned(), None),
    }
}

/// The function that a stack created. CloudFormation tags what it creates, so this needs no permission for stacks.
async fn of_stack(lambda: &aws_sdk_lambda::Client, stack: &str, region: &str) -> Result<String> {
    let mut all = Vec::new();
    let mut pages = lambda.list_functions().into_paginator().items().send();
    while let Some(function) = pages.next().await {
        let function =
            function.map_err(|error| aws::failure("list the functions", "`lambda:ListFunctions`", &error))?;
        let is_possible = function.runtime().is_some_and(|it| it.as_str().starts_with("provided"));
        if let (true, Some(name), Some(arn)) = (is_possible, function.function_name(), function.function_arn()) {
            all.push((name.to_owned(), arn.to_owned()));
        }
    }
    // All tools begin the names of functions with that of the stack, unless a name is given.
    all.sort_by_key(|(name, _)| !name.starts_with(stack));
    let mut found = Vec::new();
    for (name, arn) in &all {
        if !found.is_empty() && !name.starts_with(stack) {
            break;
        }
        let tags = lambda.list_tags().resource(arn).send().await;
        let tags = tags.map_err(|error| {
            aws::failure(&format!("read the tags of `{name}`"), "`lambda:ListTags` on the functions", &error)
        })?;
        if tags.tags().and_then(|tags| tags.get("aws:cloudformation:stack-name")).is_some_and(|it| it == stack) {
            found.push(name.clone());
        }
    }
    match &found[..] {
        [only] => Ok(only.clone()),
        [] => bail!(
            "the stack `{stack}` has no function with an OS-only runtime in {region}\n  hint: pass its name with `--function`"
        ),
        several => bail!(
            "the stack `{stack}` has several functions: {}\n  hint: name one with `--function`",
            several.join(", ")
        ),
    }
}

async fn function(
    lambda: &aws_sdk_lambda::Client,
    name: &str,
    qualifier: Option<&str>,
    region: &str,
) -> Result<Known<Function>> {
    let request = lambda.get_function_configuration().function_name(name);
    let error = match request.set_qualifier(qualifier.map(str::to_owned)).send().await {
        Ok(found) => return Ok(Ok(configuration(name, &found))),
        Err(error) => error,
    };
    if error.code() == Some("ResourceNotFoundException") {
        let of = qualifier.map(|it| format!(", version or alias `{it}`,")).unwrap_or_default();
        bail!("there is no function `{name}`{of} in {region}\n  hint: check the name, and the region (`--region`)");
    }
    let permissions = "`lambda:GetFunctionConfiguration` on the function";
    let failure = aws::failure(&format!("read the configuration of `{name}`"), permissions, &error);
    if aws::is_denied(&error) { Ok(Err(Unknown(failure.to_string()))) } else { Err(failure) }
}

fn configuration(name: &str, found: &GetFunctionConfigurationOutput) -> Function {
    let number = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok()).unwrap_or_default();
    let environment = match found.environment().and_then(|it| it.error()) {
        Some(error) => Err(error.message().unwrap_or("Lambda cannot decrypt them").to_owned()),
        None => {
            let variables = found.environment().and_then(|it| it.variables()).into_iter().flatten();
            Ok(variables.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
    };
    let logging = found.logging_config();
    let vpc = found.vpc_config();
    Function {
        runtime: found.runtime().map(|it| it.as_str().to_owned()),
        architecture: found.architectures().first().map_or("x86_64", |it| it.as_str()).to_owned(),
        memory_mb: number(found.memory_size()),
        timeout: Duration::from_secs(number(found.timeout()).into()),
        code_sha256: found.code_sha256().unwrap_or_default().to_owned(),
        environment,
        is_json_log: logging.and_then(|it| it.log_format()) == Some(&LogFormat::Json),
        application_level: logging.and_then(|it| it.application_log_level()).map(|it| it.as_str().to_owned()),
        system_level: logging.and_then(|it| it.system_log_level()).map(|it| it.as_str().to_owned()),
        log_group: match logging.and_then(|it| it.log_group()) {
            Some(group) => group.to_owned(),
            None => format!("/aws/lambda/{name}"),
        },
        is_traced: found.tracing_config().and_then(|it| it.mode()).is_some_and(|it| it.as_str() == "Active"),
        subnets: vpc.map(|it| it.subnet_ids().len()).unwrap_or_default(),
        security_groups: vpc.map(|it| it.security_group_ids().len()).unwrap_or_default(),
        layers: found.layers().iter().filter_map(|it| it.arn()).map(str::to_owned).collect(),
        state: (
            found.state().map(|it| it.as_str().to_owned()).unwrap_or_default(),
            found.state_reason().map(str::to_owned),
        ),
        last_update: (
            found.last_update_status().map(|it| it.as_str().to_owned()).unwrap_or_default(),
            found.last_update_status_reason().map(str::to_owned),
        ),
    }
}

async fn reserved(lambda: &aws_sdk_lambda::Client, name: &str) -> Known<Option<u32>> {
    let found = lambda.get_function_concurrency().function_name(name).send().await;
    let found = found.map_err(|error| {
        unknown("read the reserved concurrency", "`lambda:GetFunctionConcurrency` on the function", &error)
    })?;
    Ok(found.reserved_concurrent_executions().and_then(|it| u32::try_from(it).ok()))
}

async fn account_concurrency(lambda: &aws_sdk_lambda::Client) -> Known<u32> {
    let found = lambda.get_account_settings().send().await;
    let found = found.map_err(|error| unknown("read the account's limits", "`lambda:GetAccountSettings`", &error))?;
    let limit = found.account_limit().and_then(|it| u32::try_from(it.concurrent_executions()).ok());
    limit.ok_or_else(|| Unknown("Lambda did not say the account's limit".to_owned()))
}

async fn policies(
    lambda: &aws_sdk_lambda::Client,
    name: &str,
    qualifiers: BTreeSet<String>,
) -> Known<BTreeMap<String, Vec<Statement>>> {
    let mut all = BTreeMap::new();
    for qualifier in qualifiers {
        let request = lambda.get_policy().function_name(name);
        let request = request.set_qualifier(Some(qualifier.clone()).filter(|it| !it.is_empty()));
        let statements = match request.send().await {
            Ok(found) => {
                let read = policy::statements(found.policy().unwrap_or_default());
                read.ok_or_else(|| Unknown("the function's policy is not one that can be read".to_owned()))?
            }
            // There is no policy without a statement.
            Err(error) if error.code() == Some("ResourceNotFoundException") => Vec::new(),
            Err(error) => {
                return Err(unknown("read the function's policy", "`lambda:GetPolicy` on the function", &error));
            }
        };
        all.insert(qualifier, statements);
    }
    Ok(all)
}

struct Balancer {
    client: elb::Client,
}

impl Balancer {
    /// The Lambda target groups whose target is this function.
    async fn groups(&self, function: &str) -> Known<Vec<(TargetGroup, Group)>> {
        let mut found = Vec::new();
        for group in self.all_groups(None).await? {
            for (target, health, reason) in self.targets(&group).await? {
                let (name, qualifier) = parts(&target);
                if name == function {
                    let known = self.group(&group, qualifier.unwrap_or_default(), health, reason).await;
                    found.push((group.clone(), known));
                }
            }
        }
        Ok(found)
    }

    /// These Lambda target groups, or all.
    async fn all_groups(&self, arns: Option<Vec<String>>) -> Known<Vec<TargetGroup>> {
        let mut found = Vec::new();
        let mut pages = self.client.describe_target_groups().set_target_group_arns(arns).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                unknown("list the target groups", "`elasticloadbalancing:DescribeTargetGroups`", &error)
            })?;
            let is_lambda = |group: &&TargetGroup| group.target_type() == Some(&TargetTypeEnum::Lambda);
            found.extend(page.target_groups().iter().filter(is_lambda).cloned());
        }
        Ok(found)
    }

    /// The targets of a group, each with its health and a reason.
    async fn targets(&self, group: &TargetGroup) -> Known<Vec<(String, String, Option<String>)>> {
        let request = self.client.describe_target_health().set_target_group_arn(group.target_group_arn.clone());
        let found = request.send().await.map_err(|error| {
            unknown("read the targets of target groups", "`elasticloadbalancing:DescribeTargetHealth`", &error)
        })?;
        let targets = found.target_health_descriptions().iter().filter_map(|description| {
            let health = description.target_health();
            let state = health.and_then(|it| it.state()).map(|it| it.as_str().to_owned()).unwrap_or_default();
            let reason = health.and_then(|it| it.description()).map(str::to_owned);
            Some((description.target()?.id()?.to_owned(), state, reason))
        });
        Ok(targets.collect())
    }

    async fn group(&self, group: &TargetGroup, qualifier: String, health: String, reason: Option<String>) -> Group {
        let request = self.client.describe_target_group_attributes();
        let attributes = request.set_target_group_arn(group.target_group_arn.clone()).send().await;
        let has_multi_value_headers = match attributes {
            Ok(found) => Ok(found.attributes().iter().any(|attribute| {
                attribute.key() == Some("lambda.multi_value_headers.enabled") && attribute.value() == Some("true")
            })),
            Err(error) => Err(unknown(
                "read the attributes of target groups",
                "`elasticloadbalancing:DescribeTargetGroupAttributes`",
                &error,
            )),
        };
        let number = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok()).unwrap_or_default();
        let health_check = group.health_check_enabled().unwrap_or_default().then(|| HealthCheck {
            path: group.health_check_path().unwrap_or("/").to_owned(),
            interval: number(group.health_check_interval_seconds()),
            timeout: number(group.health_check_timeout_seconds()),
            healthy: number(group.healthy_threshold_count()),
            unhealthy: number(group.unhealthy_threshold_count()),
            matcher: group.matcher().and_then(|it| it.http_code()).unwrap_or_default().to_owned(),
        });
        Group {
            arn: group.target_group_arn().unwrap_or_default().to_owned(),
            name: group.target_group_name().unwrap_or_default().to_owned(),
            has_multi_value_headers,
            health_check,
            qualifier,
            health,
            health_reason: reason,
        }
    }

    /// The listeners with rules for these groups; or the one that the user names, whatever its rules.
    ///
    /// # Errors
    ///
    /// If there is no listener with the name that the user gives.
    async fn listeners(
        &self,
        named: Option<&str>,
        groups: &[(TargetGroup, Group)],
        function: &str,
    ) -> Result<Known<Vec<Listener>>> {
        let mut listeners = Vec::new();
        match named {
            Some(arn) => listeners.push(self.listener(arn).await?),
            None => {
                // ELBv2 may list a load balancer once for each rule.
                let balancers = groups.iter().flat_map(|(group, _)| group.load_balancer_arns());
                for balancer in balancers.collect::<BTreeSet<_>>() {
                    match self.listeners_of(balancer).await {
                        Ok(of_this) => listeners.extend(of_this),
                        Err(unknown) => return Ok(Err(unknown)),
                    }
                }
            }
        }
        let ours: BTreeSet<&str> = groups.iter().filter_map(|(group, _)| group.target_group_arn()).collect();
        let mut found = Vec::new();
        for listener in listeners {
            let rules = match self.rules(listener.listener_arn().unwrap_or_default()).await {
                Ok(rules) => rules,
                Err(unknown) => return Ok(Err(unknown)),
            };
            let actions = rules.iter().flat_map(Rule::actions).chain(listener.default_actions());
            let forwards = described::named_groups(actions).iter().any(|arn| ours.contains(arn.as_str()));
            if named.is_some() || forwards {
                found.push(known_listener(&listener, &rules, groups, function));
            }
        }
        Ok(Ok(found))
    }

    async fn listener(&self, arn: &str) -> Result<ElbListener> {
        let found = self.client.describe_listeners().listener_arns(arn).send().await;
        let found = found.map_err(|error| {
            aws::failure(&format!("find the listener `{arn}`"), "`elasticloadbalancing:DescribeListeners`", &error)
        })?;
        found.listeners().first().cloned().with_context(|| format!("there is no listener `{arn}`"))
    }

    async fn listeners_of(&self, balancer: &str) -> Known<Vec<ElbListener>> {
        let mut found = Vec::new();
        let mut pages = self.client.describe_listeners().load_balancer_arn(balancer).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page
                .map_err(|error| unknown("list the listeners", "`elasticloadbalancing:DescribeListeners`", &error))?;
            found.extend(page.listeners().iter().cloned());
        }
        Ok(found)
    }

    async fn rules(&self, listener: &str) -> Known<Vec<Rule>> {
        let mut found = Vec::new();
        let mut pages = self.client.describe_rules().listener_arn(listener).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                unknown("read the listener's rules", "`elasticloadbalancing:DescribeRules`", &error)
            })?;
            found.extend(page.rules().iter().cloned());
        }
        Ok(found)
    }

    /// The function that the rules of a listener forward to.
    async fn function_of(&self, listener: &str) -> Result<String> {
        let own = self.listener(listener).await?;
        let rules = self.rules(listener).await.map_err(|unknown| anyhow!(unknown))?;
        let actions = rules.iter().flat_map(Rule::actions).chain(own.default_actions());
        let arns: BTreeSet<String> = described::named_groups(actions).into_iter().collect();
        let mut names = BTreeSet::new();
        if !arns.is_empty() {
            for group in self.all_groups(Some(arns.into_iter().collect())).await.map_err(|unknown| anyhow!(unknown))? {
                let targets = self.targets(&group).await.map_err(|unknown| anyhow!(unknown))?;
                names.extend(targets.into_iter().map(|(target, ..)| parts(&target).0));
            }
        }
        let names: Vec<String> = names.into_iter().collect();
        match &names[..] {
            [only] => Ok(only.clone()),
            [] => bail!("no rule of this listener forwards to a function\n  hint: name the function with `--function`"),
            several => bail!(
                "the rules of this listener forward to several functions: {}\n  hint: name one with `--function`",
                several.join(", ")
            ),
        }
    }
}

fn known_listener(listener: &ElbListener, rules: &[Rule], groups: &[(TargetGroup, Group)], function: &str) -> Listener {
    let protocol = listener.protocol().map(|it| it.as_str()).unwrap_or_default();
    let name = format!("{protocol} {}", listener.port().unwrap_or_default());
    let of_function: Vec<(&TargetGroup, bool)> =
        groups.iter().map(|(group, known)| (group, known.has_multi_value_headers == Ok(true))).collect();
    let document = described::document(listener, rules, &of_function, function);
    // Limits of the emulator say nothing about the function.
    let options = source::Options { lenient: true, ..source::Options::default() };
    let settings = source::described_rules("the deployed rules", &document.to_string(), &options)
        .map(|loaded| loaded.settings)
        .map_err(|error| Unknown(format!("cannot read the deployed rules: {}", aws::one_line(&error.to_string()))));
    Listener { arn: listener.listener_arn().unwrap_or_default().to_owned(), name, settings }
}

async fn of_log(config: &SdkConfig, name: &str) -> Known<Option<LogGroup>> {
    let client = aws_sdk_cloudwatchlogs::Client::new(config);
    let mut pages = client.describe_log_groups().log_group_name_prefix(name).into_paginator().items().send();
    while let Some(group) = pages.next().await {
        let group = group.map_err(|error| unknown("read the log group", "`logs:DescribeLogGroups`", &error))?;
        if group.log_group_name() == Some(name) {
            return Ok(Some(LogGroup {
                retention_days: group.retention_in_days().and_then(|days| u32::try_from(days).ok()),
            }));
        }
    }
    Ok(None)
}

/// The parts of a deployment that alarms can watch.
struct Watched<'w> {
    name: &'w str,
    groups: &'w [Group],
    log_group: Option<&'w str>,
}

impl Watched<'_> {
    fn has_dimension(&self, (name, value): (&str, &str)) -> bool {
        match name {
            "FunctionName" => value == self.name,
            // `targetgroup/NAME/ID`
            "TargetGroup" => self.groups.iter().any(|group| group.arn.rsplit(':').next() == Some(value)),
            "LogGroupName" => Some(value) == self.log_group,
            _ => false,
        }
    }

    fn is_metric(&self, alarm: &MetricAlarm, functions: &BTreeSet<String>) -> bool {
        let mut named = dimensions(alarm).filter(|(name, _)| WATCHED.contains(name)).peekable();
        match named.peek() {
            Some(_) => named.any(|dimension| self.has_dimension(dimension)),
            // Metrics of our own lines have the route at most, so the name of the alarm tells whose they are.
            None => self.is_name(alarm.alarm_name().unwrap_or_default(), functions),
        }
    }

    fn is_log(&self, alarm: &LogAlarm, functions: &BTreeSet<String>) -> bool {
        let query = alarm.scheduled_query_configuration();
        match query.map(|it| it.log_group_identifiers()).unwrap_or_default() {
            [] => self.is_name(alarm.alarm_name().unwrap_or_default(), functions),
            groups => groups.iter().any(|id| Some(log_group_of(id)) == self.log_group),
        }
    }

    /// Returns whether an alarm's name has the function's, and not the longer one of another function.
    fn is_name(&self, alarm: &str, functions: &BTreeSet<String>) -> bool {
        let is_longer = |other: &&String| other.len() > self.name.len() && has_part(other, self.name);
        has_part(alarm, self.name) && !functions.iter().filter(is_longer).any(|other| has_part(alarm, other))
    }
}

/// The dimensions that say what an alarm watches.
const WATCHED: [&str; 3] = ["FunctionName", "TargetGroup", "LogGroupName"];

/// The dimensions of an alarm and of the metrics in its expressions.
fn dimensions(alarm: &MetricAlarm) -> impl Iterator<Item = (&str, &str)> {
    let of_metrics = alarm.metrics().iter().filter_map(|it| it.metric_stat()?.metric()).flat_map(|it| it.dimensions());
    let all = alarm.dimensions().iter().chain(of_metrics);
    all.map(|it| (it.name().unwrap_or_default(), it.value().unwrap_or_default()))
}

/// The name in `arn:aws:logs:REGION:ACCOUNT:log-group:NAME:*`, or the name itself.
fn log_group_of(id: &str) -> &str {
    let name = id.split_once(":log-group:").map_or(id, |(_, name)| name);
    name.strip_suffix(":*").unwrap_or(name)
}

/// Returns whether a text has a name that is not a part of a longer word.
fn has_part(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|after| after.chars().next());
        ![before, after].into_iter().flatten().any(char::is_alphanumeric)
    })
}

/// All alarms of the region, and whether they watch this deployment.
async fn alarms(config: &SdkConfig, watched: &Watched<'_>) -> Known<Vec<Alarm>> {
    let client = aws_sdk_cloudwatch::Client::new(config);
    let request = client.describe_alarms();
    let request = request.alarm_types(AlarmType::MetricAlarm).alarm_types(AlarmType::CompositeAlarm);
    let mut pages = request.alarm_types(AlarmType::LogAlarm).into_paginator().send();
    let (mut metrics, mut logs, mut composites) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| unknown("list the alarms", "`cloudwatch:DescribeAlarms`", &error))?;
        metrics.extend(page.metric_alarms().iter().cloned());
        logs.extend(page.log_alarms().iter().cloned());
        composites.extend(page.composite_alarms().iter().cloned());
    }
    let functions = metrics.iter().flat_map(dimensions).filter(|(name, _)| *name == "FunctionName");
    let functions: BTreeSet<String> = functions.map(|(_, function)| function.to_owned()).collect();
    // The three have the same methods, and no trait for them.
    macro_rules! known {
        ($alarm:expr, $is_own:expr) => {
            Alarm {
                name: $alarm.alarm_name().unwrap_or_default().to_owned(),
                arn: $alarm.alarm_arn().unwrap_or_default().to_owned(),
                is_own: $is_own,
                are_actions_enabled: $alarm.actions_enabled().unwrap_or(true),
                has_actions: !$alarm.alarm_actions().is_empty(),
                state: $alarm.state_value().map(|it| it.as_str().to_owned()).unwrap_or_default(),
                reason: aws::one_line($alarm.state_reason().unwrap_or_default()),
            }
        };
    }
    let mut found: Vec<Alarm> =
        metrics.iter().map(|alarm| known!(alarm, watched.is_metric(alarm, &functions))).collect();
    found.extend(logs.iter().map(|alarm| known!(alarm, watched.is_log(alarm, &functions))));
    found.extend(composites.iter().map(|alarm| known!(alarm, false)));
    for alarm in &mut found {
        let is_in =
            |rule: &str| rule.contains(&format!("\"{0}\"", alarm.name)) || rule.contains(&format!("({})", alarm.name));
        let has_actions = composites.iter().any(|composite| {
            composite.alarm_rule().is_some_and(is_in)
                && composite.actions_enabled().unwrap_or(true)
                && !composite.alarm_actions().is_empty()
        });
        alarm.has_actions |= has_actions;
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

async fn live(config: &SdkConfig, function: &Function) -> Option<Live> {
    let place = function.environment.as_ref().ok()?.get("CROSSFADE_LIVE").filter(|place| !place.is_empty())?.clone();
    let overlay = match Store::open_with(&place, config) {
        // Lambda has no file that anybody could write.
        Ok(Store::File(_)) => {
            Err(LiveError::Broken("the function has no such file that anybody could write".to_owned()))
        }
        Ok(store) => store.read().await.map(|stored| stored.overlay).map_err(|error| {
            let text = aws::one_line(&format!("{error:#}"));
            if error.is::<aws::Denied>() { LiveError::NotAllowed(text) } else { LiveError::Broken(text) }
        }),
        Err(error) => Err(LiveError::Broken(aws::one_line(&format!("{error:#}")))),
    };
    Some(Live { place, overlay })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Watched, log_group_of, parts};

    #[test]
    fn an_alarm_belongs_to_the_function_whose_whole_name_it_has() {
        let functions: BTreeSet<String> = ["shop", "shop-prod", "myshop"].map(str::to_owned).into();
        let watched = Watched { name: "shop", groups: &[], log_group: None };
        for (alarm, is_own) in [
            ("shop", true),
            ("shop-errors", true),
            ("old-shop-errors", true),
            ("shops-errors", false),
            ("myshop-errors", false),
            ("shop-prod-errors", false),
            ("shop-production-errors", true),
            ("other", false),
        ] {
            assert_eq!(watched.is_name(alarm, &functions), is_own, "{alarm}");
        }
    }

    #[test]
    fn a_log_group_is_known_by_its_name_and_its_arn() {
        for (id, name) in [
            ("/aws/lambda/shop", "/aws/lambda/shop"),
            ("arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/shop", "/aws/lambda/shop"),
            ("arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/shop-prod:*", "/aws/lambda/shop-prod"),
        ] {
            assert_eq!(log_group_of(id), name);
        }
    }

    #[test]
    fn a_function_is_found_by_every_form_of_its_name() {
        for (text, name, qualifier) in [
            ("shop", "shop", None),
            ("shop:live", "shop", Some("live")),
            ("111122223333:function:shop", "shop", None),
            ("arn:aws:lambda:eu-west-1:111122223333:function:shop", "shop", None),
            ("arn:aws:lambda:eu-west-1:111122223333:function:shop:7", "shop", Some("7")),
            ("arn:aws:lambda:eu-west-1:111122223333:function:function", "function", None),
        ] {
            assert_eq!(parts(text), (name.to_owned(), qualifier.map(str::to_owned)), "{text}");
        }
    }
}
