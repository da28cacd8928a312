"""The beginning of ARNs."""

from aws_cdk import Aws


def arn(service: str, rest: str) -> str:
    """An ARN in this account and region."""
    return f"arn:{Aws.PARTITION}:{service}:{Aws.REGION}:{Aws.ACCOUNT_ID}:{rest}"
