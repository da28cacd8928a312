"""Crossfade behind a listener of an existing Application Load Balancer. README.md has the commands."""

import os
import sys

from aws_cdk import App, CfnOutput, Environment, Stack
from aws_cdk import aws_lambda as lambda_

from crossfade_cdk import Crossfade, Header, Query, Rule

listener_arn = os.environ.get("ALB_LISTENER_ARN")
if not listener_arn:
    sys.exit("set ALB_LISTENER_ARN to the ARN of the listener: EC2 console, Load balancers, Listeners")
# arn:PARTITION:elasticloadbalancing:REGION:ACCOUNT:listener/…
region, account = listener_arn.split(":")[3:5]

app = App()
stack = Stack(
    app,
    "crossfade",
    description="Crossfade, the reverse proxy of a migration",
    env=Environment(account=account, region=region),
)

crossfade = Crossfade(
    stack,
    "Crossfade",
    listener_arn=listener_arn,
    # Created by `crossfade package --output bootstrap.zip`.
    code=lambda_.Code.from_asset("bootstrap.zip"),
    # All requests go to this back end. Leave it out if the package has a configuration.
    backend=os.environ.get("CROSSFADE_BACKEND"),
    # The listener uses the first rule, by priority, whose conditions all hold. Values of one condition are alternatives.
    rules=[
        # Start here: only read requests of one area pass through the proxy.
        Rule(priority=110, path=["/api/orders/*"], method=["GET", "HEAD"]),
        # Testers who send a field.
        Rule(priority=120, header=[Header("x-crossfade", ["on", "preview-*"])]),
        # Testers who type `?crossfade=on`.
        Rule(priority=130, query=[Query(key="crossfade", value="on")]),
        # The office, on one host.
        Rule(priority=140, host=["shop.example.com"], ip=["192.0.2.0/24", "2001:db8::/32"]),
    ],
)

CfnOutput(stack, "LogGroup", value=crossfade.log_group.log_group_name)
if crossfade.live_place:
    CfnOutput(stack, "LivePlace", value=crossfade.live_place)

app.synth()
