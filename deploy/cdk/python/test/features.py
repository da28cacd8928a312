"""Synthesises the example in the folder `CDK_OUTDIR`, and a stack for each set of features in the folder of the argument, in one
process, as `test/features.ts` does with TypeScript. Checks that the construct rejects what AWS would."""

import os
import runpy
import sys
from pathlib import Path

from aws_cdk import App, NestedStack, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))
from crossfade_cdk import Crossfade, Header, Rule  # noqa: E402

runpy.run_path(str(HERE / "app.py"))

app = App(outdir=sys.argv[1])


def required():
    return {
        "listener_arn": os.environ["ALB_LISTENER_ARN"],
        "code": lambda_.Code.from_asset("bootstrap.zip"),
        "rules": [Rule(priority=110, path=["/api/*"])],
    }


def stack(name, settings=lambda _: {}, **more):
    scope = Stack(app, name)
    Crossfade(scope, "Crossfade", **{**required(), **settings(scope), **more})


layer = "arn:aws:lambda:eu-west-1:123456789012:layer:AWS-AppConfig-Extension:1"
stack("s3", live="s3")
stack("s3-alarm", live="s3", live_alarm=True)
stack("s3-all", live="s3", live_alarm=True, live_schedule=True, live_people=True)
stack("ssm", live="ssm")
stack("ssm-all", live="ssm", live_alarm=True, live_schedule=True, live_people=True)
stack("appconfig", live="appconfig", app_config_layer_arn=layer, live_people=True)
stack("spill", spill=True)
stack("monitoring", monitoring=True, alarm_actions=["arn:aws:sns:eu-west-1:123456789012:on-call"])
stack("tracing", tracing=lambda_.Tracing.ACTIVE)


def in_vpc(scope):
    zones = ["eu-west-1a", "eu-west-1b"]
    subnets = ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"]
    vpc = ec2.Vpc.from_vpc_attributes(scope, "Vpc", vpc_id="vpc-0a1b2c3d4e5f60000", availability_zones=zones, private_subnet_ids=subnets)
    return {"vpc": vpc, "security_groups": [ec2.SecurityGroup.from_security_group_id(scope, "Group", "sg-0a1b2c3d4e5f60003")]}


stack(
    "vpc",
    in_vpc,
    reserved_concurrency=-1,
    environment={"MODERN": "https://modern.example.com"},
    architecture=lambda_.Architecture.ARM_64,
)
app.synth()

scratch = App()


def rejects(message, *, scope=None, **settings):
    scope = scope or Stack(scratch, f"rejected-{len(scratch.node.children)}")
    try:
        Crossfade(scope, "Crossfade", **{**required(), **settings})
    except ValueError as error:
        assert message in str(error), f"{error}: not `{message}`"
    else:
        raise AssertionError(f"not rejected: {message}")


header = Header("x", ["4", "5", "6"])
rejects("priority 1: it has 6 condition values", rules=[Rule(1, path=["/1", "/2", "/3"], header=[header])])
rejects("it has 0 condition values", rules=[Rule(1)])
rejects("`path` must be a list", rules=[Rule(1, path="/1")])
rejects("at least one value", rules=[Rule(1, path=["/1"], header=[Header("x", [])])])
rejects("from 1 to 50000", rules=[Rule(0, path=["/1"])])
rejects("a priority of its own", rules=[Rule(1, path=["/1"]), Rule(1, path=["/1"])])
rejects("at most 32", name="a-name-that-is-longer-than-target-groups-have")
rejects("`live_alarm` and `live_schedule` need", live_alarm=True)
rejects("`live_alarm` and `live_schedule` need", live="appconfig", app_config_layer_arn=layer, live_schedule=True)
rejects("needs `app_config_layer_arn`", live="appconfig")
rejects("`live_people` needs `live`", live_people=True)
rejects("it must be none, s3, ssm or appconfig", live="S3")
rejects("set `name`", scope=NestedStack(Stack(scratch, "parent"), "nested"))
