"""A status condition is a controller's word: no result says `loaded yes` where nothing else said so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from control.applying.proving import running, wait_loaded
from control.ports import ProofPart, ProofState


class Saying:
    """A reader that answers one thing."""

    def __init__(self, part: ProofPart) -> None:
        self.part = part

    async def loaded(self, _step: object) -> ProofPart:
        return self.part

    async def running(self, *_what: object) -> ProofPart:
        return self.part


class Step:
    object = "c/HTTPRoute/ml/llama"
    deadline_seconds = 5.0


@pytest.mark.parametrize("state", list(ProofState))
@pytest.mark.parametrize("by_condition", [True, False])
async def test_only_what_the_data_plane_says_is_a_yes(state: ProofState, by_condition: bool) -> None:
    reader: Any = Saying(ProofPart(state, "accepted by its controller", by_condition=by_condition))
    step: Any = Step()
    for part in (
        await wait_loaded(reader, step, 0.1, asyncio.Event()),
        *([await running(reader, step.object, (), {})] if state is not ProofState.PENDING else []),
    ):
        if state is ProofState.YES and by_condition:
            assert part.state is ProofState.UNKNOWN and part.detail.startswith("only a condition says so: accepted")
        else:
            assert part.state is state
