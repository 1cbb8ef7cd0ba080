"""What is read before the first write, and what the guards say to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from control.applying.writing import Compared, compare
from control.background import in_background
from control.deck.config import DeckConfig
from control.errors import ControlError, ErrorKind, Stale
from control.model import Limit
from control.model.ref import Ref
from control.planning.fields import rows_of
from control.planning.plan import GuardResult, Plan, Step, Verdict
from control.planning.planner import Outlook, Situation, guards_of, mismatches, outlook
from control.ports import Fetched, Prepared, Reader

Refresh = Callable[[Sequence[Fetched]], Awaitable[Situation]]
"""Fresh reads of objects -> the situation with them merged in."""

AT_ONCE = 16
"""So many objects are read side by side before the first write."""
FRESH_SECONDS = 5.0
"""For so long what was read before the first write is what a step is written on: the write's own precondition refuses
any object but that one. What is older is read again."""


class Judging:
    """One plan compared with what is there, and judged by its guards in the state that it leads to."""

    def __init__(self, plan: Plan, readers: Mapping[str, Reader], overrides: Sequence[str], refresh: Refresh) -> None:
        self.limits_before: dict[Ref, Limit] = {}
        self._plan = plan
        self._readers = readers
        self._overrides = overrides
        self._refresh = refresh
        self._few = asyncio.Semaphore(AT_ONCE)
        self._compared: dict[int, Compared] = {}
        self._situation: Situation | None = None

    @property
    def deck(self) -> DeckConfig:
        """The deck file that the steps were judged by."""
        assert self._situation is not None
        return self._situation.deck

    def knows(self, number: int) -> bool:
        """Whether a step was compared."""
        return number in self._compared

    async def first(self, numbers: Iterable[int]) -> dict[int, tuple[ErrorKind, str]]:
        """Read the objects of these steps anew and look at all of them again: why they are refused, by step number."""
        numbers = list(numbers)
        answers = await asyncio.gather(
            *(self._compare(self._plan.steps[number]) for number in numbers), return_exceptions=True
        )
        reasons: dict[int, tuple[ErrorKind, str]] = {}
        for number, answer in zip(numbers, answers, strict=True):
            if isinstance(answer, ControlError):
                reasons[number] = (answer.kind, str(answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                self._compared[number] = answer
                rows = rows_of(answer.fetched)
                self.limits_before.update((ref, row) for ref, row in rows.items() if isinstance(row, Limit))
        if reasons:
            return reasons
        self._situation = await self._refresh([self._compared[number].fetched for number in numbers])
        ahead = await in_background(outlook, self._situation, self._steps())
        for number in numbers:
            against = self._against(self._compared[number].prepared, self._situation, ahead)
            if against:
                reasons[number] = (ErrorKind.GUARD, told(against))
        return reasons

    async def _compare(self, step: Step) -> Compared:
        async with self._few:
            compared = await compare(self._readers[step.environment], step)
        wrong = mismatches(step.changes, rows_of(compared.fetched))
        if wrong:
            raise Stale("; ".join(wrong), ref=step.object, hint="plan again on what is there now")
        return compared

    def prepared(self, number: int) -> Prepared:
        """The step as it was prepared last."""
        return self._compared[number].prepared

    async def still(self, number: int) -> Prepared:
        """The step on what was read before the first write, or on what is read now where that is long ago."""
        if time.monotonic() - self._compared[number].at > FRESH_SECONDS:
            step = self._plan.steps[number]
            self._compared[number] = await compare(self._readers[step.environment], step)
        return self._compared[number].prepared

    async def objections(self, number: int) -> list[GuardResult]:
        """The refusing guards of one step as last prepared, in the state that the whole plan leads to."""
        assert self._situation is not None
        ahead = await in_background(outlook, self._situation, self._steps())
        return self._against(self._compared[number].prepared, self._situation, ahead)

    def _steps(self) -> list[Prepared]:
        return [self._compared[number].prepared for number in sorted(self._compared)]

    def _against(self, fresh: Prepared, situation: Situation, ahead: Outlook) -> list[GuardResult]:
        guards = guards_of(fresh, situation, ahead, self._overrides, self._plan.undo_of is not None)
        return [guard for guard in guards if guard.verdict is Verdict.REFUSE]


def told(guards: Sequence[GuardResult]) -> str:
    """The objections in one sentence, each with the name that overrides it."""
    return "; ".join(f"{guard.name}: {guard.message}" for guard in guards)
