"""What a whole change came to."""

from __future__ import annotations

from collections.abc import Mapping

from control.errors import ErrorKind
from control.planning.plan import Plan, Reason, Result, ResultOutcome, StepOutcome, StepResult


def refused(plan: Plan, head: str | None, reasons: Mapping[int, tuple[ErrorKind, str]]) -> Result:
    """The result of a plan of which nothing was written; `reasons` are by step number."""
    steps = tuple(
        StepResult(step.object, StepOutcome.REFUSED, Reason(*reasons[number]))
        if number in reasons
        else StepResult(step.object, StepOutcome.NOT_STARTED)
        for number, step in enumerate(plan.steps)
    )
    return Result(None, ResultOutcome.REFUSED, head, steps)
