"""Live state: the small document with which a step of the migration needs no deployment. The function may read it, and write it
only if an alarm or a schedule moves users."""

from dataclasses import dataclass
from typing import List, Optional, Tuple

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_appconfig as appconfig
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from .arn import arn
from .movers import add_alarm, add_people, add_schedule

KEY = "live.json"


@dataclass(frozen=True)
class LiveSettings:
    """The settings of the construct that concern live state."""

    live: str
    app_config_layer_arn: Optional[str]
    live_alarm: bool
    live_alarm_backend: str
    live_schedule: bool
    live_people: bool


@dataclass(frozen=True)
class Proxy:
    """The function with what belongs to it."""

    function: lambda_.Function
    log_group: logs.LogGroup
    role: iam.Role
    name: str


@dataclass(frozen=True)
class Place:
    """A place, and what those who use it may do there: the function (`write` is None where it cannot: AppConfig's own alarms roll
    back), people and pipelines, and those who may only abort."""

    place: str
    read: List[iam.PolicyStatement]
    write: Optional[List[iam.PolicyStatement]]
    operate: List[iam.PolicyStatement]
    abort: List[iam.PolicyStatement]


def add_live(
    scope: Construct, proxy: Proxy, settings: LiveSettings
) -> Tuple[Optional[str], List[iam.ManagedPolicy]]:
    """Returns the place and the policies for people."""
    places = {"none": None, "s3": in_bucket, "ssm": in_parameter, "appconfig": in_app_config}
    if settings.live not in places:
        raise ValueError(f"`live` is `{settings.live}`: it must be none, s3, ssm or appconfig")
    if (settings.live == "appconfig") != (settings.app_config_layer_arn is not None):
        raise ValueError('`live="appconfig"` needs `app_config_layer_arn`, and no other value of `live` does')
    find = places[settings.live]
    place = find(scope, proxy, settings) if find else None
    is_written = settings.live_alarm or settings.live_schedule
    if is_written and (place is None or place.write is None):
        raise ValueError(
            '`live_alarm` and `live_schedule` need `live="s3"` or `live="ssm"`. With AppConfig, use the alarms of its environment'
        )
    if settings.live_people and place is None:
        raise ValueError("`live_people` needs `live`")
    if place is None:
        return None, []
    proxy.function.add_environment("CROSSFADE_LIVE", place.place)
    for statement in place.read + (place.write or [] if is_written else []):
        proxy.role.add_to_policy(statement)
    if settings.live_alarm:
        add_alarm(scope, proxy, settings.live_alarm_backend)
    if settings.live_schedule:
        add_schedule(scope, proxy)
    policies = add_people(scope, proxy, place.operate, place.abort) if settings.live_people else []
    return place.place, policies


def allow(actions: list, resources: list, conditions: Optional[dict] = None) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=actions, resources=resources, conditions=conditions)


def in_bucket(scope: Construct, _proxy: Proxy, _settings: LiveSettings) -> Place:
    # Encrypted with keys of S3 (SSE-S3): a key of KMS would add its price and its limits to every read.
    bucket = s3.Bucket(
        scope,
        "LiveBucket",
        encryption=s3.BucketEncryption.S3_MANAGED,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        # The history: `crossfade history` lists it, and `crossfade undo` returns to a version of it.
        versioned=True,
        lifecycle_rules=[
            s3.LifecycleRule(
                id="earlier-versions",
                noncurrent_version_expiration=Duration.days(90),
                noncurrent_versions_to_retain=100,
                abort_incomplete_multipart_upload_after=Duration.days(1),
            )
        ],
        # Without the state, everyone would be where the file says. So it outlives the stack.
        removal_policy=RemovalPolicy.RETAIN,
    )
    bucket.policy.apply_removal_policy(RemovalPolicy.RETAIN)
    document = [bucket.arn_for_objects(KEY)]
    if_key = {"StringEquals": {"s3:prefix": KEY}}
    return Place(
        place=f"s3://{bucket.bucket_name}/{KEY}",
        read=[
            allow(["s3:GetObject"], document),
            # Without it, S3 responds 403 instead of 404 until there is a state, and that is an error.
            allow(["s3:ListBucket"], [bucket.bucket_arn], if_key),
        ],
        write=[allow(["s3:PutObject"], document)],
        operate=[
            allow(["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"], document),
            allow(["s3:ListBucket", "s3:ListBucketVersions"], [bucket.bucket_arn], if_key),
        ],
        abort=[allow(["s3:PutObject"], document)],
    )


def in_parameter(_scope: Construct, proxy: Proxy, _settings: LiveSettings) -> Place:
    """The first change creates the parameter: one of the stack would be reset by a deployment."""
    name = f"/{proxy.name}/live"
    parameter = [arn("ssm", f"parameter{name}")]

    # A parameter cannot be written on a condition. So a writer first creates a claim next to it, and deletes it afterwards.
    def claims() -> iam.PolicyStatement:
        actions = ["ssm:GetParameter", "ssm:PutParameter", "ssm:DeleteParameter"]
        return allow(actions, [arn("ssm", f"parameter{name}.claim-*")])

    return Place(
        place=f"ssm:{name}",
        read=[allow(["ssm:GetParameter"], parameter)],
        write=[allow(["ssm:PutParameter"], parameter), claims()],
        operate=[allow(["ssm:GetParameter", "ssm:GetParameterHistory", "ssm:PutParameter"], parameter), claims()],
        abort=[allow(["ssm:PutParameter"], parameter)],
    )


def in_app_config(scope: Construct, proxy: Proxy, settings: LiveSettings) -> Place:
    """A configuration of AppConfig, read through its extension."""
    application = appconfig.CfnApplication(scope, "LiveApplication", name=proxy.name)
    environment = appconfig.CfnEnvironment(scope, "LiveEnvironment", application_id=application.ref, name="live")
    profile = appconfig.CfnConfigurationProfile(
        scope, "LiveProfile", application_id=application.ref, name="live", location_uri="hosted", type="AWS.Freeform"
    )
    for resource in [application, environment, profile]:
        resource.apply_removal_policy(RemovalPolicy.RETAIN)
    layer = lambda_.LayerVersion.from_layer_version_arn(scope, "AppConfigLayer", settings.app_config_layer_arn)
    proxy.function.add_layers(layer)
    # By default it looks for a change every 45 s.
    proxy.function.add_environment("AWS_APPCONFIG_EXTENSION_POLL_INTERVAL_SECONDS", "15")

    of_application = arn("appconfig", f"application/{application.ref}")
    of_environment = f"{of_application}/environment/{environment.ref}"
    of_profile = f"{of_application}/configurationprofile/{profile.ref}"
    versions = [of_application, of_profile, f"{of_profile}/hostedconfigurationversion/*"]
    strategy = arn("appconfig", "deploymentstrategy/AppConfig.AllAtOnce")

    def abort() -> List[iam.PolicyStatement]:
        return [
            allow(["appconfig:CreateHostedConfigurationVersion"], [of_application, of_profile]),
            # At once: in a gradual deployment, environments would decide by different weights, and users would change back and forth.
            allow(["appconfig:StartDeployment"], [of_application, of_profile, of_environment, strategy]),
            # The deployment before, which watches alarms for ten minutes, is stopped. A version that cannot be deployed is deleted.
            allow(
                ["appconfig:ListDeployments", "appconfig:StopDeployment"],
                [of_application, of_environment, f"{of_environment}/deployment/*"],
            ),
            allow(["appconfig:DeleteHostedConfigurationVersion"], versions),
        ]

    read = ["appconfig:StartConfigurationSession", "appconfig:GetLatestConfiguration"]
    history = ["appconfig:ListHostedConfigurationVersions", "appconfig:GetHostedConfigurationVersion"]
    return Place(
        place=f"appconfig:{application.ref}/{environment.ref}/{profile.ref}",
        read=[allow(read, [f"{of_environment}/configuration/{profile.ref}"])],
        write=None,
        operate=[*abort(), allow(history, versions)],
        abort=abort(),
    )
