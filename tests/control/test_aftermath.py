"""Observed goes on after the change: what is counted so far, when it will be known, and what it came to."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from making import make_route

from control.applying import aftermath
from control.applying.aftermath import go_on, observe_on
from control.applying.observing import Split
from control.deck.sections import NO_SECTION
from control.errors import Unreachable
from control.model import Counted, Route, TargetCount
from control.ports import Fetched, ProofPart, ProofState
from control.structs import replace

ROUTE: Route = make_route({"a": 70, "b": 30})
ASKED = [Split(ROUTE.ref, {"a": Fraction(7, 10), "b": Fraction(3, 10)})]


class Counting:
    """A reader whose counters are those of a list, one sample after the other, the last for ever."""

    def __init__(self, *totals: tuple[int, int]) -> None:
        self.samples = [
            Counted(
                ROUTE.ref,
                1000.0 + 10 * at,
                (("a", TargetCount(Fraction(a))), ("b", TargetCount(Fraction(b)))),
                source="counters",
            )
            for at, (a, b) in enumerate(totals)
        ]
        self.at = 0

    async def count(self, refs: Sequence[Any] | None = None) -> list[Counted]:
        sample = self.samples[min(self.at, len(self.samples) - 1)]
        self.at += 1
        return [sample]

    async def fetch(self, objects: Sequence[str]) -> list[Fetched]:
        raise Unreachable("no answer")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aftermath, "FIRST_PAUSE", 0.0)


async def answers(reader: Any) -> list[ProofPart]:
    return [part async for part in go_on(reader, ASKED)]


async def test_it_counts_on_until_enough_came_and_says_when_it_will_know() -> None:
    told = await answers(Counting((0, 0), (0, 0), (70, 30), (140, 60), (350, 150)))
    assert [part.state for part in told] == [ProofState.WAITING_FOR_TRAFFIC] * 3 + [ProofState.YES]
    assert "no request came by yet" in told[0].detail
    assert "100 of about 300 requests" in told[1].detail and "known in about 40 s" in told[1].detail
    assert "200 of about 300 requests" in told[2].detail and "known in about 15 s" in told[2].detail
    assert told[-1].seconds is not None and "500 requests" in told[-1].detail


async def test_no_is_believed_only_after_several_windows_say_it() -> None:
    told = await answers(Counting(*((50 * at, 450 * at) for at in range(8))))
    assert [part.state for part in told] == [ProofState.WAITING_FOR_TRAFFIC] * 2 + [ProofState.NO]


async def test_it_ends_where_nothing_can_be_counted_or_read_or_comes() -> None:
    (told,) = [part async for part in go_on(Counting((0, 0)), [replace(ASKED[0], shares={"a": None})])]  # type: ignore[arg-type]
    assert told.state is ProofState.UNKNOWN and "not known" in told.detail
    parts = [part async for part in observe_on(Counting((0, 0)), "c/x/y/z", (), {}, NO_SECTION)]  # type: ignore[arg-type]
    assert [part.state for part in parts] == [ProofState.UNKNOWN] and "no answer" in parts[0].detail


async def test_it_gives_up_after_a_time_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aftermath, "LONGEST_SECONDS", 0.2)
    monkeypatch.setattr(aftermath, "FIRST_PAUSE", 0.05)
    told = await answers(Counting((0, 0)))
    assert told[-1].state is ProofState.UNKNOWN and "too little traffic" in told[-1].detail
