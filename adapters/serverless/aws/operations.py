"""Which AWS operations this program may call, by name: the allow-lists of the read and of the write session.

Names, not prefixes: dozens of operations that start with Get or List take work, cost money or hand out secrets.
"""

from __future__ import annotations

from typing import Final

Operation = tuple[str, str]
"""(service, operation): the client's service name and the API's own operation name."""

READS: Final[frozenset[Operation]] = frozenset(
    {
        ("lambda", "ListFunctions"),
        ("lambda", "GetFunction"),
        ("lambda", "GetFunctionConcurrency"),
        ("lambda", "ListAliases"),
        ("lambda", "GetAlias"),
        ("lambda", "ListVersionsByFunction"),
        ("lambda", "ListProvisionedConcurrencyConfigs"),
        ("lambda", "GetAccountSettings"),
        ("codedeploy", "ListDeployments"),
        ("codedeploy", "BatchGetDeployments"),
        ("codedeploy", "ListDeploymentTargets"),
        ("codedeploy", "BatchGetDeploymentTargets"),
        ("cloudwatch", "GetMetricData"),
        ("sts", "GetCallerIdentity"),
    }
)

WRITES: Final[frozenset[Operation]] = frozenset(
    {
        ("lambda", "UpdateAlias"),
        ("lambda", "PutFunctionConcurrency"),
        ("lambda", "DeleteFunctionConcurrency"),
    }
)

CREDENTIALS: Final[frozenset[Operation]] = frozenset(
    {
        ("sts", "AssumeRole"),
        ("sts", "AssumeRoleWithWebIdentity"),
        ("sso", "GetRoleCredentials"),
        ("sso-oidc", "CreateToken"),
        ("signin", "CreateOAuth2Token"),
    }
)
"""What botocore itself calls to resolve a profile; without these, profiles stop working."""

REST_JSON: Final[frozenset[str]] = frozenset({"lambda"})
"""Services whose reads are all GET or HEAD; the others always POST, so that there the name decides."""
