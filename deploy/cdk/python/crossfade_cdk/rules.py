"""The rules of the listener, and the target group that has the function. Resources of CloudFormation as they are: the listener is
known by its ARN alone, and the permission is for this target group alone."""

from dataclasses import dataclass
from typing import Optional, Sequence

from aws_cdk import Token
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from .arn import arn


@dataclass(frozen=True)
class Header:
    """A request header with one of these values."""

    name: str
    values: Sequence[str]


@dataclass(frozen=True)
class Query:
    """A parameter of the query, or with any name."""

    value: str
    key: Optional[str] = None


@dataclass(frozen=True)
class Rule:
    """All conditions of a rule must hold; values of one condition are alternatives. AWS allows 5 values in a rule.

    priority: the listener uses the first rule, by priority, whose conditions all hold.
    header: each is a condition of its own.
    ip: ranges, such as 192.0.2.0/24.
    """

    priority: int
    path: Sequence[str] = ()
    method: Sequence[str] = ()
    host: Sequence[str] = ()
    header: Sequence[Header] = ()
    query: Sequence[Query] = ()
    ip: Sequence[str] = ()


def check_rules(rules: Sequence[Rule]) -> None:
    """Raises what AWS would reject in the middle of a deployment."""
    priorities = set()
    for rule in rules:
        place = f"rule with priority {rule.priority}"
        for name in ["path", "method", "host", "ip"]:
            if isinstance(getattr(rule, name), str):
                raise ValueError(f"{place}: `{name}` must be a list of texts")
        count = sum(len(values) for values in [rule.path, rule.method, rule.host, rule.query, rule.ip])
        count += sum(len(header.values) for header in rule.header)
        if not 1 <= count <= 5:
            raise ValueError(
                f"{place}: it has {count} condition values, and AWS requires 1 to 5. Split it, with a priority for each part"
            )
        if any(len(header.values) == 0 for header in rule.header):
            raise ValueError(f"{place}: each entry of `header` needs at least one value")
        if Token.is_unresolved(rule.priority):
            continue
        if not isinstance(rule.priority, int) or not 1 <= rule.priority <= 50000 or rule.priority in priorities:
            raise ValueError(f"{place}: each rule needs a priority of its own, a whole number from 1 to 50000")
        priorities.add(rule.priority)


def add_rules(
    scope: Construct, handler: lambda_.Function, name: str, listener_arn: str, rules: Sequence[Rule]
) -> str:
    """Returns the ARN of the target group."""
    permission = lambda_.CfnPermission(
        scope,
        "Permission",
        action="lambda:InvokeFunction",
        function_name=handler.function_arn,
        principal="elasticloadbalancing.amazonaws.com",
        source_arn=arn("elasticloadbalancing", f"targetgroup/{name}/*"),
    )
    group = elb.CfnTargetGroup(
        scope,
        "TargetGroup",
        # Named, so that the permission can name it before it exists.
        name=name,
        target_type="lambda",
        targets=[elb.CfnTargetGroup.TargetDescriptionProperty(id=handler.function_arn)],
        target_group_attributes=[
            elb.CfnTargetGroup.TargetGroupAttributeProperty(key="lambda.multi_value_headers.enabled", value="true")
        ],
        # The function responds itself, without contacting a back end. Each check is an invocation: one every 30 seconds makes about
        # 90,000 per month, or 0.02 USD.
        health_check_enabled=True,
        health_check_path="/",
        health_check_interval_seconds=30,
        health_check_timeout_seconds=10,
        healthy_threshold_count=2,
        unhealthy_threshold_count=2,
        matcher=elb.CfnTargetGroup.MatcherProperty(http_code="200"),
    )
    # A function can be registered only if the load balancer may already invoke it.
    group.node.add_dependency(permission)
    for index, rule in enumerate(rules):
        elb.CfnListenerRule(
            scope,
            f"Rule-{index}" if Token.is_unresolved(rule.priority) else f"Rule{rule.priority}",
            listener_arn=listener_arn,
            priority=rule.priority,
            conditions=conditions(rule),
            actions=[elb.CfnListenerRule.ActionProperty(type="forward", target_group_arn=group.ref)],
        )
    return group.ref


def conditions(rule: Rule) -> list:
    kind = elb.CfnListenerRule
    found = []

    def add(field: str, **config) -> None:
        found.append(kind.RuleConditionProperty(field=field, **config))

    if rule.path:
        add("path-pattern", path_pattern_config=kind.PathPatternConfigProperty(values=list(rule.path)))
    if rule.method:
        method = kind.HttpRequestMethodConfigProperty(values=list(rule.method))
        add("http-request-method", http_request_method_config=method)
    if rule.host:
        add("host-header", host_header_config=kind.HostHeaderConfigProperty(values=list(rule.host)))
    for header in rule.header:
        config = kind.HttpHeaderConfigProperty(http_header_name=header.name, values=list(header.values))
        add("http-header", http_header_config=config)
    if rule.query:
        pairs = [kind.QueryStringKeyValueProperty(key=query.key, value=query.value) for query in rule.query]
        add("query-string", query_string_config=kind.QueryStringConfigProperty(values=pairs))
    if rule.ip:
        add("source-ip", source_ip_config=kind.SourceIpConfigProperty(values=list(rule.ip)))
    return found
