"""Reads many functions within a time that a screen can wait, oldest first, keeping what did not fit with its age."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from adapters.serverless import fetch
from adapters.serverless.cloud import Cloud
from adapters.serverless.records import Function
from control.errors import AuthError, ControlError, NotFound, Unreachable
from control.model import Reach, ReachState

SIDE_BY_SIDE = 16


class Sweep:
    """The last known state of every function, and how to renew it. `functions` is keyed by name."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.functions: dict[str, Function] = {}

    async def run(self, names: Sequence[str], until: float) -> tuple[list[Function], Reach]:
        """Renew all of `names` that fit until a time of the event loop's clock. Raises what the platform says where
        none could be read."""
        self.functions = {name: self.functions[name] for name in names if name in self.functions}
        queue = sorted(names, key=lambda name: self.functions[name].read_at if name in self.functions else 0.0)
        failures: list[ControlError] = []
        missed = await self._drain(queue, until, failures)
        if failures and not self.functions:
            raise failures[0]
        found = [self.functions[name] for name in names if name in self.functions]
        return found, _reach(len(names), len(found), missed, failures)

    async def _drain(self, queue: list[str], until: float, failures: list[ControlError]) -> int:
        """Work through the queue side by side; returns how many names were left when time ran out."""
        remaining = iter(queue)
        left = 0

        async def work() -> None:
            nonlocal left
            for name in remaining:
                hopeless = any(isinstance(failure, (AuthError, Unreachable)) for failure in failures)
                if hopeless or asyncio.get_running_loop().time() >= until:
                    left += 1
                    continue
                try:
                    async with asyncio.timeout_at(until):
                        await self._renew(name)
                except TimeoutError:
                    left += 1
                except NotFound:
                    self.functions.pop(name, None)
                except ControlError as failure:
                    failures.append(failure)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(SIDE_BY_SIDE, len(queue))):
                group.create_task(work())
        return left

    async def _renew(self, name: str) -> None:
        known = self.functions.get(name)
        function = await fetch.function(self._cloud, name)
        if known is not None:
            # Versions are immutable once published: those known stay true, and only a plan needs all of them.
            function = replace(function, versions=known.versions, provisioned=known.provisioned)
        self.functions[name] = function


def _reach(asked: int, found: int, missed: int, failures: Sequence[ControlError]) -> Reach:
    if failures:
        return Reach(ReachState.DEGRADED, f"{len(failures) + missed} of {asked} not read: {failures[0].message}")
    if found < asked:
        return Reach(ReachState.DEGRADED, f"{found} of {asked} functions read so far, at the pace AWS allows")
    return Reach()
