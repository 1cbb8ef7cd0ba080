"""What became of `observed` after a change was applied: counted on while its sheet is open, and when it is closed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Protocol, cast

from control.applying.aftermath import OPEN
from control.planning.plan import Plan, Result, Step, StepOutcome
from control.ports import ProofPart
from control.structs import replace

MOST_STEPS = 16
"""So many objects of one change are counted on; a drain of forty hosts is one question forty times."""


class Counts(Protocol):
    """A control plane, as far as this needs one."""

    def observe_on(self, step: Step) -> AsyncIterator[ProofPart]: ...


class Observed:
    """The latest answers of all changes of this session, by change and object."""

    def __init__(self, told: Callable[[str, str, ProofPart], None]) -> None:
        """`told` is called with change, object and each answer."""
        self._told = told
        self._parts: dict[tuple[str, str], ProofPart] = {}
        self._going: set[tuple[str, str]] = set()

    def open_steps(self, plan: Plan, result: Result) -> list[Step]:
        """The steps of an applied change whose traffic has not said yes."""
        results = {step.object: step for step in result.steps}
        still_open = []
        for step in plan.steps:
            done = results.get(step.object)
            if done is None or done.proof is None or done.outcome is not StepOutcome.APPLIED:
                continue
            if done.proof.observed.state in OPEN:
                still_open.append(step)
        return still_open[:MOST_STEPS]

    async def go_on(self, plane: Counts, change: str, step: Step) -> None:
        """Count on for one step until it is known."""
        key = (change, step.object)
        self._going.add(key)
        try:
            async with aclosing(cast("Any", plane.observe_on(step))) as answers:
                async for part in answers:
                    self._parts[key] = part
                    self._told(change, step.object, part)
        finally:
            self._going.discard(key)

    def going(self, change: str, object: str) -> bool:
        """Whether it is still being counted."""
        return (change, object) in self._going

    def part(self, change: str, object: str) -> ProofPart | None:
        """The latest answer; None where nothing was asked."""
        return self._parts.get((change, object))

    def latest(self, result: Result) -> Result:
        """A result with what is known by now in place of what was known when it came."""
        if result.change is None:
            return result
        steps = []
        for step in result.steps:
            part = self.part(result.change, step.object)
            if part is not None and step.proof is not None:
                step = replace(step, proof=replace(step.proof, observed=part))
            steps.append(step)
        return replace(result, steps=tuple(steps))
