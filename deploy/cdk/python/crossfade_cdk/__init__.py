"""Crossfade as a construct of the AWS CDK for Python: the same resources and settings as the one for TypeScript."""

from .crossfade import Crossfade
from .rules import Header, Query, Rule

__all__ = ["Crossfade", "Header", "Query", "Rule"]
