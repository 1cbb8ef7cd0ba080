"""Who else writes an alias or a reservation: CodeDeploy while a deployment runs, CloudFormation at its next update."""

from __future__ import annotations

from adapters.serverless.aws.records import Function, Place
from control.model import Owner, OwnerRole
from control.text import clean

STACK_TAG = "aws:cloudformation:stack-name"


def function_owners(function: Function) -> tuple[Owner, ...]:
    """The stack that declares the function, if a tag names one."""
    stack = dict(function.tags).get(STACK_TAG)
    if stack is None:
        return ()
    return (
        Owner(
            kind="cloudformation",
            name=clean(stack),
            role=OwnerRole.DECLARED,
            found_by=f"tag {STACK_TAG}",
            reverts=None,
            edit_instead=f"the template of stack {clean(stack)}; its next update resets this",
        ),
    )


def alias_owners(place: Place, function: Function, alias: str) -> tuple[Owner, ...]:
    """The running CodeDeploy deployment that moves this alias, then the stack."""
    driving = tuple(
        Owner(
            kind="codedeploy",
            name=f"{deployment.application}/{deployment.identifier}",
            role=OwnerRole.DRIVER,
            found_by=f"deployment {deployment.identifier} is {deployment.status}",
            reverts=True,
            edit_instead=f"stop or finish deployment {deployment.identifier}",
        )
        for deployment in place.deployments
        if deployment.function == function.name and deployment.alias == alias
    )
    return driving + function_owners(function)
