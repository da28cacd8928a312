"""The construct: the function with its log group and role. The role may do what an enabled feature needs, and nothing else.
`rules.py` has the listener, `live.py`, `spill.py` and `monitoring.py` what is off by default."""

import re
from typing import Mapping, Optional, Sequence

from aws_cdk import Duration, RemovalPolicy, Stack, Token
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from .live import LiveSettings, Proxy, add_live
from .monitoring import add_monitoring
from .rules import Rule, add_rules, check_rules
from .spill import add_spill


class Crossfade(Construct):
    """Crossfade behind a listener of an existing Application Load Balancer.

    listener_arn: ARN of the existing listener that gets the rules.
    rules: requests that go through the proxy.
    code: the zip file of `crossfade package`: `Code.from_asset("bootstrap.zip")` or `Code.from_bucket_v2`.
    name: name of the target group and beginning of other names, at most 32 characters; that of the stack by default.
    backend: all requests go to this back end. The function does not start with both this and a configuration in the package.
    environment: further environment variables, those that crossfade.yaml uses, and settings of Crossfade.
    architecture: of the package, x86_64 by default.
    memory_size: in MB. Lambda gives CPU in proportion.
    timeout: longer than any response takes, 30 seconds by default. The function responds with 504 shortly before.
    reserved_concurrency: prevents a back end that hangs from using up the concurrency of the account: requests per second x seconds
        per request, and twice that for a bad hour. -1 reserves nothing, for accounts with a low limit: AWS keeps 100 unreserved.
    log_retention: two weeks by default.
    vpc, vpc_subnets, security_groups: network from which back ends with private addresses can be reached.
    tracing: X-Ray, `Tracing.PASS_THROUGH` (off) or `Tracing.ACTIVE`.
    live: place of the live state: "none", "s3", "ssm" or "appconfig".
    app_config_layer_arn: with `live="appconfig"`, the layer of AppConfig's extension in your region.
    live_alarm: an alarm on the failed responses of `live_alarm_backend` takes all users back. Needs its name in `migration`:
        `alarms: [NAME-modern-errors]`.
    live_schedule: every five minutes the function takes the next step of the migration, or all users back. Needs `schedule: advance`
        or `schedule: abort` in `migration`.
    live_people: policies to attach to the roles of people and pipelines.
    spill: a bucket for responses that the load balancer cannot carry: `spill: { bucket: '${env:SPILL_BUCKET}' }` in crossfade.yaml.
    monitoring: a dashboard of the log, and alarms.
    alarm_actions: with `monitoring`, ARNs of SNS topics that the alarms notify.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        listener_arn: str,
        rules: Sequence[Rule],
        code: lambda_.Code,
        name: Optional[str] = None,
        backend: Optional[str] = None,
        environment: Optional[Mapping[str, str]] = None,
        architecture: Optional[lambda_.Architecture] = None,
        memory_size: int = 128,
        timeout: Optional[Duration] = None,
        reserved_concurrency: int = 50,
        log_retention: logs.RetentionDays = logs.RetentionDays.TWO_WEEKS,
        vpc: Optional[ec2.IVpc] = None,
        vpc_subnets: Optional[ec2.SubnetSelection] = None,
        security_groups: Optional[Sequence[ec2.ISecurityGroup]] = None,
        tracing: lambda_.Tracing = lambda_.Tracing.PASS_THROUGH,
        live: str = "none",
        app_config_layer_arn: Optional[str] = None,
        live_alarm: bool = False,
        live_alarm_backend: str = "modern",
        live_schedule: bool = False,
        live_people: bool = False,
        spill: bool = False,
        monitoring: bool = False,
        alarm_actions: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, id)
        name = checked_name(name, Stack.of(self).stack_name)
        check_rules(rules)

        self.log_group = logs.LogGroup(self, "LogGroup", retention=log_retention, removal_policy=RemovalPolicy.DESTROY)
        # Not the role that the CDK would make: that one may write all logs of the account.
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[self.log_group.log_group_arn]
            )
        )
        if vpc is not None:
            # AWSLambdaVPCAccessExecutionRole without its permissions for all logs of the account.
            actions = [
                "ec2:AssignPrivateIpAddresses",
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSubnets",
                "ec2:UnassignPrivateIpAddresses",
            ]
            # Lambda names the interfaces, and they do not exist yet.
            role.add_to_policy(iam.PolicyStatement(actions=actions, resources=["*"]))
        variables = dict(environment or {})
        if backend is not None:
            variables["CROSSFADE_BACKEND"] = backend
        self.function = lambda_.Function(
            self,
            "Function",
            description="Crossfade, the reverse proxy of this migration",
            code=code,
            runtime=lambda_.Runtime.PROVIDED_AL2023,
            handler="bootstrap",
            architecture=architecture or lambda_.Architecture.X86_64,
            memory_size=memory_size,
            timeout=timeout or Duration.seconds(30),
            reserved_concurrent_executions=None if reserved_concurrency < 0 else reserved_concurrency,
            log_group=self.log_group,
            role=role,
            vpc=vpc,
            vpc_subnets=vpc_subnets,
            security_groups=security_groups,
            environment=variables,
        )
        self._add_tracing(role, tracing)
        # For rules of your own.
        self.target_group_arn = add_rules(self, self.function, name, listener_arn, rules)

        proxy = Proxy(function=self.function, log_group=self.log_group, role=role, name=name)
        settings = LiveSettings(live, app_config_layer_arn, live_alarm, live_alarm_backend, live_schedule, live_people)
        # For `crossfade status --live`, and to attach to roles.
        self.live_place, self.live_policies = add_live(self, proxy, settings)
        if spill:
            add_spill(self, self.function, role)
        if monitoring:
            add_monitoring(self, self.function, self.log_group, name, list(alarm_actions))

    def _add_tracing(self, role: iam.Role, tracing: lambda_.Tracing) -> None:
        """The function of the CDK would give the permissions for `PASS_THROUGH`, too."""
        is_active = tracing == lambda_.Tracing.ACTIVE
        mode = "Active" if is_active else "PassThrough"
        self.function.node.default_child.tracing_config = lambda_.CfnFunction.TracingConfigProperty(mode=mode)
        if is_active:
            # IAM has no resources for these actions.
            actions = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
            role.add_to_policy(iam.PolicyStatement(actions=actions, resources=["*"]))


def checked_name(name: Optional[str], of_stack: str) -> str:
    if name is None and Token.is_unresolved(of_stack):
        raise ValueError("set `name`: the name of a nested stack is not known before it is deployed")
    chosen = of_stack if name is None else name
    if not Token.is_unresolved(chosen) and not re.fullmatch("[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?", chosen):
        raise ValueError(
            f"`name` is `{chosen}`: a target group's name has at most 32 letters, digits and hyphens; set `name`"
        )
    return chosen
