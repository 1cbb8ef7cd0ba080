"""What is in force and not understood, and what could not be read: said on the screen, and never edited blindly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from driver import pick, ready, screen_text, type_text, until

from control.fleet.views import Inventory, Unreached
from control.model import Editable, Mode
from control.structs import replace
from tests.tui import fleets
from tests.tui.memory_plane import MemoryPlane
from tui.deck_app import DeckApp
from tui.screens.deck import DeckScreen

Make = Callable[..., tuple[DeckApp, MemoryPlane]]
SIZES = [(80, 24), (120, 35), (200, 60)]
NATIVE = "http-request deny if { sc0_http_req_rate,sub(txn.limit) gt 0 }"
WHY = "the rule compares with a variable"


def strange_limits() -> Inventory:
    fleet = fleets.small()
    ref, limit = next((ref, row) for ref, row in fleet.limits.items() if row.name == "per-client")
    strange = replace(limit, amount=None, mode=Mode.NOT_UNDERSTOOD, native=NATIVE, editable=Editable(False, WHY))
    return replace(fleet, limits={**fleet.limits, ref: strange})


def strange_weights() -> Inventory:
    fleet = fleets.small()
    ref, route = next((ref, row) for ref, row in fleet.routes.items() if row.name == "chat-v2")
    targets = [replace(target, share=None) for target in route.targets]
    targets[1] = replace(targets[1], weight=None, native='weight "${W2}"')
    return replace(fleet, routes={**fleet.routes, ref: replace(route, targets=tuple(targets))})


def line_of(app: DeckApp, name: str) -> str:
    return next(line for line in screen_text(app).splitlines() if line[2:].startswith(f"{name} "))


@pytest.mark.parametrize("size", SIZES)
async def test_a_limit_that_is_not_understood_is_said_with_its_native_text(
    make_app: Make, size: tuple[int, int]
) -> None:
    app, _ = make_app(strange_limits())
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        await pilot.press("2")
        await until(pilot, app, "per-client")
        line = line_of(app, "per-client")
        assert "not understood" in line
        assert not any(word in line.split("│")[0] for word in ("unlimited", "blocked", " off ", " 0 "))
        await pick(pilot, app, "per-client")
        await pilot.press("e")
        assert WHY in screen_text(app).splitlines()[-1]
        await pilot.press("escape", "enter")
        text = await until(pilot, app, "native")
        assert "not understood" in text and "http-request deny" in text and WHY.split()[-1] in text


@pytest.mark.parametrize("size", SIZES)
async def test_a_weight_that_is_not_understood_is_said_and_never_moved(make_app: Make, size: tuple[int, int]) -> None:
    app, _ = make_app(strange_weights())
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        await pick(pilot, app, "chat-v2")
        line = line_of(app, "chat-v2")
        assert "not unders" in line and "A0" not in line and "B0" not in line
        for keys in ("+", "-", "<"):
            await pilot.press(keys)
            assert "is not understood" in screen_text(app).splitlines()[-1]
        for value in ("50/50", "+10", "80%"):
            await pilot.press("e")
            assert " 0%" not in screen_text(app).splitlines()[-1], "unknown is not 0"
            await type_text(pilot, value)
            await pilot.press("enter")
            assert "is not understood" in screen_text(app).splitlines()[-1]
            await pilot.press("escape")
        assert not len(app.staging)
        await pilot.press("enter")
        assert 'not understood: weight "${W2}"' in await until(pilot, app, "TARGET")


@pytest.mark.parametrize("size", SIZES)
async def test_what_could_not_be_read_is_named_under_the_list(make_app: Make, size: tuple[int, int]) -> None:
    missing = (
        Unreached("prod-eu", "3 HTTPRoutes of gateway.networking.k8s.io/v1beta1: this version is not read", "missing"),
        Unreached("fn", "function chat-v9: throttled", "missing"),
        Unreached("fn", "function chat-v8: throttled", "missing"),
    )
    app, _ = make_app(replace(fleets.reached(fleets.small()), missing=missing))
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        for key in ("1", "2"):
            await pilot.press(key)
            line = next(line for line in screen_text(app).splitlines() if line.startswith(" not read: "))
            assert "prod-eu: 3 HTTPRoutes" in line
            shown = line.count(";") + 1 - (" more: 4" in line)
            assert shown == 3 or f"{3 - shown} more: 4" in line, "what has no room is counted"
        assert screen_text(app).splitlines()[-1].startswith(" enter"), "and the keys are still there"
        await pilot.press("4")
        deck = app.screen
        assert isinstance(deck, DeckScreen)
        await pick_environment(deck, "fn")
        await pilot.press("enter")
        text = await until(pilot, app, "lacks")
        assert "chat-v9" in text and "chat-v8" in text


async def pick_environment(deck: DeckScreen, name: str) -> None:
    assert deck.table.select(("environment", name))


async def test_where_nothing_is_missing_no_line_is_lost(make_app: Make) -> None:
    app, _ = make_app(fleets.reached(fleets.small()))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        assert " not read: " not in screen_text(app) and app.screen.query_one("#foot").size.height == 2
