"""A bucket for responses that the load balancer cannot carry. Clients get links to its objects that expire; everything is deleted
after a day."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct


def add_spill(scope: Construct, handler: lambda_.Function, role: iam.Role) -> None:
    # Encrypted with keys of S3 (SSE-S3). With a key of KMS, the function also needs `kms:GenerateDataKey` and `kms:Decrypt` for it.
    bucket = s3.Bucket(
        scope,
        "SpillBucket",
        encryption=s3.BucketEncryption.S3_MANAGED,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforce_ssl=True,
        lifecycle_rules=[
            # The shortest time that S3 has. A link has ended long before.
            s3.LifecycleRule(
                id="responses", expiration=Duration.days(1), abort_incomplete_multipart_upload_after=Duration.days(1)
            )
        ],
        # For scripts of the site that follow the redirect. Whoever has a link may read, wherever their page is from.
        cors=[
            s3.CorsRule(allowed_origins=["*"], allowed_methods=[s3.HttpMethods.GET], allowed_headers=["*"], max_age=3600)
        ],
        # A bucket that is not empty would keep the stack from being removed. Delete it a day later.
        removal_policy=RemovalPolicy.RETAIN,
    )
    bucket.policy.apply_removal_policy(RemovalPolicy.RETAIN)
    # Reading is what a link allows: S3 checks the role that signed it, when the link is used.
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["s3:PutObject", "s3:AbortMultipartUpload", "s3:GetObject"],
            resources=[bucket.arn_for_objects("responses/*")],
        )
    )
    handler.add_environment("SPILL_BUCKET", bucket.bucket_name)
