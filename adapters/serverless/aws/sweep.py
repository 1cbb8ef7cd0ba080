"""Reads many functions within a time that a screen can wait, oldest first, keeping what did not fit with its age."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from adapters.serverless.aws import fetch
from adapters.serverless.aws.cloud import Cloud
from adapters.serverless.aws.records import Function
from control.errors import AuthError, ControlError, NotFound, Unreachable
from control.model import Missing
from control.text import clean

SIDE_BY_SIDE = 16
NOT_YET = "not read yet, at the pace that AWS allows"


class Sweep:
    """The last known state of every function, and how to renew it. `functions` is keyed by name."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.functions: dict[str, Function] = {}

    async def run(self, names: Sequence[str], until: float) -> tuple[list[Function], tuple[Missing, ...]]:
        """Renew all of `names` that fit until a time of the event loop's clock; what could not be read now is named,
        one by one. Raises what the platform says where none could be read."""
        self.functions = {name: self.functions[name] for name in names if name in self.functions}
        queue = sorted(names, key=lambda name: self.functions[name].read_at if name in self.functions else 0.0)
        failures: dict[str, ControlError] = {}
        began = time.monotonic()
        gone = await self._drain(queue, until, failures)
        if failures and not self.functions:
            raise next(iter(failures.values()))
        found = [self.functions[name] for name in names if name in self.functions]
        refused = self._cloud.throttled(began)
        late = f"not read in time: AWS throttles reading ({refused})" if refused else NOT_YET
        return found, self._missing([name for name in names if name not in gone], failures, late)

    def _missing(self, names: Sequence[str], failures: Mapping[str, ControlError], late: str) -> tuple[Missing, ...]:
        """Functions that were not read although the list was asked for them; one that only waits for its turn keeps
        what was read of it before, with its age."""
        broken = next((failure for failure in failures.values() if _is_hopeless(failure)), None)
        found: list[Missing] = []
        for name in names:
            failure = failures.get(name) or (broken if name not in self.functions else None)
            if failure is not None:
                found.append(Missing(f"function {clean(name)}", _why(failure, name)))
            elif name not in self.functions:
                found.append(Missing(f"function {clean(name)}", late))
        return tuple(found)

    async def _drain(self, queue: list[str], until: float, failures: dict[str, ControlError]) -> set[str]:
        """Work through the queue side by side, until time runs out or nothing can be read any more; returns the names
        that are gone."""
        remaining = iter(queue)
        gone: set[str] = set()

        async def work() -> None:
            for name in remaining:
                if any(map(_is_hopeless, failures.values())) or asyncio.get_running_loop().time() >= until:
                    return
                try:
                    async with asyncio.timeout_at(until):
                        await self._renew(name)
                except TimeoutError:
                    return
                except NotFound:
                    self.functions.pop(name, None)
                    gone.add(name)
                except ControlError as failure:
                    failures[name] = failure

        async with asyncio.TaskGroup() as group:
            for _ in range(min(SIDE_BY_SIDE, len(queue))):
                group.create_task(work())
        return gone

    async def _renew(self, name: str) -> None:
        known = self.functions.get(name)
        function = await fetch.function(self._cloud, name)
        if known is not None:
            # Versions are immutable once published: those known stay true, and only a plan needs all of them.
            function = replace(function, versions=known.versions, provisioned=known.provisioned)
        self.functions[name] = function


def _is_hopeless(failure: ControlError) -> bool:
    """Would every other function fail in the same way?"""
    return isinstance(failure, (AuthError, Unreachable))


def _why(failure: ControlError, name: str) -> str:
    why = failure.message.removeprefix(f"function {clean(name)} ")
    return f"{why} ({failure.hint})" if failure.hint else why
