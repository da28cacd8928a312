"""Who else may move users, besides the commands: an alarm that takes all users back, a schedule, and policies for people."""

import json
from typing import TYPE_CHECKING, List

from aws_cdk import Aws, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from .arn import arn

if TYPE_CHECKING:
    from .live import Proxy


def add_alarm(scope: Construct, proxy: "Proxy", backend: str) -> None:
    """Takes all users back when more than 5 % of the responses of `backend` fail."""

    # The metrics come from the access log, so they count this back end alone. `target` is there if failover replaced its response.
    def counted(id: str, metric: str, pattern: str) -> cloudwatch.Metric:
        logs.MetricFilter(
            scope,
            id,
            log_group=proxy.log_group,
            filter_pattern=logs.FilterPattern.literal(f'{{ $.type = "access" && {pattern} }}'),
            metric_namespace=proxy.name,
            metric_name=metric,
            metric_value="1",
        )
        return cloudwatch.Metric(
            namespace=proxy.name, metric_name=metric, statistic="Sum", period=Duration.minutes(1)
        )

    ours = f'($.backend = "{backend}" || $.target = "{backend}")'
    failed = f'(($.backend = "{backend}" && $.status >= 500) || $.target = "{backend}")'
    requests = counted("LiveRequests", f"{backend}-requests", ours)
    errors = counted("LiveErrors", f"{backend}-errors", failed)
    alarm = cloudwatch.Alarm(
        scope,
        "LiveAlarm",
        alarm_name=f"{proxy.name}-{backend}-errors",
        alarm_description=f"More than 5 % of the responses of {backend} fail: all users go back",
        metric=cloudwatch.MathExpression(
            label=f"Errors of {backend} in percent",
            expression="IF(requests >= 20, 100 * errors / requests, 0)",
            using_metrics={"requests": requests, "errors": errors},
            period=Duration.minutes(1),
        ),
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
        threshold=5,
        evaluation_periods=1,
        # No requests, no alarm.
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
    )
    rule = events.CfnRule(
        scope,
        "StopRule",
        description="Aborts the migration",
        event_pattern={
            "source": ["aws.cloudwatch"],
            "detail-type": ["CloudWatch Alarm State Change"],
            "resources": [alarm.alarm_arn],
            "detail": {"state": {"value": ["ALARM"]}},
        },
        targets=[events.CfnRule.TargetProperty(id="proxy", arn=proxy.function.function_arn)],
    )
    lambda_.CfnPermission(
        scope,
        "StopPermission",
        action="lambda:InvokeFunction",
        function_name=proxy.function.function_arn,
        principal="events.amazonaws.com",
        source_arn=rule.attr_arn,
    )


def add_schedule(scope: Construct, proxy: "Proxy") -> None:
    """Every five minutes, with the function's own log as its evidence."""
    proxy.role.add_to_policy(evidence(proxy))
    # The group of the schedule, on behalf of this account alone.
    source = {"aws:SourceAccount": Aws.ACCOUNT_ID, "aws:SourceArn": arn("scheduler", "schedule-group/default")}
    principal = iam.ServicePrincipal("scheduler.amazonaws.com", conditions={"StringEquals": source})
    role = iam.Role(scope, "AdvanceRole", assumed_by=principal)
    role.add_to_policy(
        iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[proxy.function.function_arn])
    )
    schedule = scheduler.CfnSchedule(
        scope,
        "Advance",
        description="The next step of the migration",
        schedule_expression="rate(5 minutes)",
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        target=scheduler.CfnSchedule.TargetProperty(
            arn=proxy.function.function_arn,
            role_arn=role.role_arn,
            input=json.dumps({"crossfade": "advance"}, separators=(",", ":")),
            # The next one comes in five minutes.
            retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(maximum_retry_attempts=0),
        ),
    )
    schedule.node.add_dependency(role)


def add_people(scope: Construct, proxy: "Proxy", operate: list, abort: list) -> List[iam.ManagedPolicy]:
    """Policies to attach to roles. Whoever has the last one can take all users back, and nothing else."""
    return [
        iam.ManagedPolicy(
            scope,
            "LiveOperator",
            description="The commands of a live migration, with the log as their evidence",
            statements=operate,
        ),
        iam.ManagedPolicy(
            scope,
            "LiveEvidenceReader",
            description="The log of the function, as the evidence of `crossfade promote --log-group`",
            statements=[evidence(proxy)],
        ),
        iam.ManagedPolicy(scope, "LiveAborter", description="crossfade abort", statements=abort),
    ]


def evidence(proxy: "Proxy") -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=["logs:FilterLogEvents"], resources=[proxy.log_group.log_group_arn])
