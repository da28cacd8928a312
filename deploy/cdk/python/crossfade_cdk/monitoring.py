"""A dashboard of the log, and alarms, without custom metrics. The folder `monitoring` has the dashboard and the queries of the
alarms."""

import re
from pathlib import Path
from typing import List, Tuple

from aws_cdk import Aws, Fn
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

FOLDER = Path(__file__).parent / "monitoring"

# Alarms with queries: five minutes of the log that are at least two minutes old, and two of three results.
QUERIES = [
    ("FailedResponsesAlarm", "failed-responses", 5, "More than 5 % of the responses failed"),
    ("BackEndFailingAlarm", "back-end-failing", 50, "A back end failed more than half of its requests"),
    ("LostCopiesAlarm", "lost-copies", 20, "More than 20 % of the shadow requests were lost"),
]

# Alarms with metrics that Lambda has anyway, by the number of minutes that must be bad.
METRICS = [
    # Their clients got a 502 from the load balancer.
    ("ThrottlesAlarm", "throttles", "Throttles", 2, "Lambda rejected invocations because too many were running"),
    # Crossfade responds to failures, so an error of the function is a crash or a timeout.
    ("FunctionErrorsAlarm", "function-errors", "Errors", 1, "Invocations of the function failed"),
]


def add_monitoring(
    scope: Construct, handler: lambda_.Function, log_group: logs.LogGroup, name: str, actions: List[str]
) -> None:
    values = {"LogGroup": log_group.log_group_name, "Region": Aws.REGION, "FunctionName": handler.function_name}
    body = Fn.sub((FOLDER / "dashboard.json").read_text(encoding="utf-8"), values)
    cloudwatch.CfnDashboard(scope, "Dashboard", dashboard_name=name, dashboard_body=body)
    # With it, CloudWatch Logs runs the queries of the alarms.
    role = iam.Role(scope, "AlarmQueryRole", assumed_by=iam.ServicePrincipal("logs.amazonaws.com"))
    policy = iam.Policy(
        scope,
        "AlarmQueryPolicy",
        roles=[role],
        statements=[
            iam.PolicyStatement(
                actions=["logs:StartQuery", "logs:GetQueryResults"], resources=[log_group.log_group_arn]
            ),
            # IAM has no resources for these two.
            iam.PolicyStatement(actions=["logs:StopQuery", "logs:DescribeLogGroups"], resources=["*"]),
        ],
    )
    kind = cloudwatch.CfnLogAlarm
    for id, file, threshold, text in QUERIES:
        query, aggregation = parts((FOLDER / "alarms" / f"{file}.query").read_text(encoding="utf-8"))
        alarm = kind(
            scope,
            id,
            alarm_name=f"{name}-{file}",
            alarm_description=text,
            scheduled_query_configuration=kind.ScheduledQueryConfigurationProperty(
                query_string=query,
                aggregation_expression=aggregation,
                log_group_identifiers=[log_group.log_group_name],
                scheduled_query_role_arn=role.role_arn,
                schedule_configuration=kind.ScheduleConfigurationProperty(
                    schedule_expression="rate(5 minutes)", start_time_offset=420, end_time_offset=120
                ),
            ),
            comparison_operator="GreaterThanThreshold",
            threshold=threshold,
            query_results_to_evaluate=3,
            query_results_to_alarm=2,
            treat_missing_data="notBreaching",
            alarm_actions=actions,
            ok_actions=actions,
        )
        alarm.node.add_dependency(policy)
    for id, suffix, metric, minutes, text in METRICS:
        cloudwatch.CfnAlarm(
            scope,
            id,
            alarm_name=f"{name}-{suffix}",
            alarm_description=text,
            namespace="AWS/Lambda",
            metric_name=metric,
            dimensions=[cloudwatch.CfnAlarm.DimensionProperty(name="FunctionName", value=handler.function_name)],
            statistic="Sum",
            period=60,
            comparison_operator="GreaterThanThreshold",
            threshold=0,
            evaluation_periods=5,
            datapoints_to_alarm=minutes,
            treat_missing_data="notBreaching",
            alarm_actions=actions,
            ok_actions=actions,
        )


def parts(file: str) -> Tuple[str, str]:
    """A file is a comment, a query, and the aggregation that an alarm has apart."""
    query, aggregation = re.sub("^#.*\n", "", file, flags=re.MULTILINE).strip().split("\n| stats ")
    return query, aggregation
