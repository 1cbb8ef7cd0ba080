"""What has not changed is not derived, placed or drawn again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from driver import ready, screen_text, until
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from control.fleet.views import Part
from control.plane import Inventory
from control.structs import replace
from tests.tui import fleets
from tests.tui.memory_plane import MemoryPlane
from tui.deck_app import DeckApp
from tui.look import UNICODE, Look
from tui.staging import Staging
from tui.store import Store
from tui.themes import load_theme
from tui.views.routes import RoutesView
from tui.widgets.canvas import merged

Make = Callable[..., tuple[DeckApp, MemoryPlane]]


def divided(fleet: Inventory) -> Inventory:
    """The fleet with its rows by environment, as the control plane gives them."""
    parts = {
        name: Part(
            {ref: row for ref, row in fleet.routes.items() if ref.environment == name},
            {ref: row for ref, row in fleet.limits.items() if ref.environment == name},
            {ref: seen for ref, seen in fleet.seen.items() if ref.environment == name},
        )
        for name in fleet.environments
    }
    return replace(fleet, parts=parts)


def with_part(fleet: Inventory, name: str, part: Part) -> Inventory:
    """The next inventory: one environment gave something new."""
    parts = {**fleet.parts, name: part}
    return replace(
        fleet,
        version=fleet.version + 1,
        routes={ref: row for one in parts.values() for ref, row in one.routes.items()},
        limits={ref: row for one in parts.values() for ref, row in one.limits.items()},
        seen={ref: row for one in parts.values() for ref, row in one.seen.items()},
        parts=parts,
    )


def test_only_the_rows_of_what_moved_are_derived_anew() -> None:
    fleet, store = divided(fleets.large()), Store()
    store.update(fleet)
    before = {**store.routes, **store.limits}
    part = fleet.parts["env-03"]
    first, *_ = part.routes.values()
    turned = replace(first, targets=tuple(replace(t, weight=7) for t in first.targets))
    assert store.update(with_part(fleet, "env-03", replace(part, routes={**part.routes, first.ref: turned})))
    changed = [ref for ref, row in {**store.routes, **store.limits}.items() if row is not before[ref]]
    assert changed == [first.ref]
    assert store.routes[first.ref].route is turned
    assert len(store.routes) == 2000 and len(store.limits) == 3000


def test_rows_that_are_gone_are_gone_and_new_measures_are_taken() -> None:
    fleet, store = divided(fleets.large()), Store()
    store.update(fleet)
    part = fleet.parts["env-03"]
    gone, stays, *_ = part.routes
    seen = {**part.seen, stays: fleets.seen(part.routes[stays], 4242)}
    routes = {ref: row for ref, row in part.routes.items() if ref != gone}
    store.update(with_part(fleet, "env-03", Part(routes, part.limits, seen)))
    assert gone not in store.routes and len(store.routes) == 1999
    measured = store.routes[stays].seen
    assert measured is not None and measured.traffic.rps == 4242


def test_a_route_that_gets_a_service_gives_it_to_its_limits() -> None:
    fleet, store = divided(fleets.small()), Store()
    store.update(replace(fleet, service_of={}))
    assert {row.service for row in store.limits.values()} == {""}
    store.update(fleet)
    assert {row.name: row.service for row in store.limits.values()}["per-client"] == "llama"


def test_the_order_follows_what_changed() -> None:
    fleet, store = divided(fleets.large()), Store()
    look = Look(load_theme("dusk"), UNICODE)
    view = RoutesView(store, Staging(), look)
    view.choice.sort = "name"
    store.update(fleet)
    rows = view.rows()
    assert [row.data.name for row in rows] == sorted(row.data.name for row in rows)
    part = fleet.parts["env-03"]
    first, *_ = part.routes.values()
    renamed = replace(first, name="a-new-name")
    store.update(with_part(fleet, "env-03", replace(part, routes={**part.routes, first.ref: renamed})))
    after = view.rows()
    assert after[0].data.name == "a-new-name"
    kept = {row.key: row for row in rows if row.key != first.ref}
    assert all(row is kept[row.key] for row in after[1:])


async def test_ages_grow_once_a_second_and_not_at_each_tick(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        screen = app.screen
        drawn: list[int] = []
        screen.render_head = lambda: drawn.append(1)  # type: ignore[attr-defined]
        app.new_second = False
        screen.tick(False)  # type: ignore[attr-defined]
        assert not drawn
        app.new_second = True
        screen.tick(False)  # type: ignore[attr-defined]
        assert drawn


async def test_a_resize_is_laid_out_and_drawn_in_one_go(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await asyncio.sleep(0.3)
        painted: list[str] = []
        display = app._display
        app._display = lambda screen, what: (  # type: ignore[method-assign]
            None if app._batch_count or what is None else painted.append(screen_text(app)),
            display(screen, what),
        )[1]
        await pilot.resize_terminal(80, 24)
        await until(pilot, app, "by risk")
        await asyncio.sleep(0.3)
        assert painted, "it was painted"
        first = painted[0].splitlines()
        assert max(len(line) for line in first) <= 80 and "enter open" in first[-1], "the first frame is the whole one"
        assert app._batch_count == 0


async def test_a_screen_that_goes_while_it_is_resized_holds_nothing_up(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await pilot.press("question_mark")
        await until(pilot, app, "HELP")
        screen = app.screen
        original = screen._fill  # type: ignore[attr-defined]

        async def fill_and_go(held: object) -> None:
            app.pop_screen()
            await original(held)

        screen._fill = fill_and_go  # type: ignore[attr-defined]
        await pilot.resize_terminal(100, 30)
        await asyncio.sleep(0.4)
        assert app._batch_count == 0
        await until(pilot, app, "by risk")
        await pilot.press("2")
        await until(pilot, app, "per-client")


async def test_a_menu_is_drawn_when_it_opens_and_not_with_the_next_news(make_app: Make) -> None:
    app, _ = make_app()
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        app._tick = lambda: None  # type: ignore[method-assign]
        await pilot.press("s")
        await pilot.pause(0.1)
        assert "risk: the worst first" in screen_text(app)


_STYLES = [
    Style.parse(words)
    for words in ("red on black", "green on black", "bold red on black", "red on blue", "underline red on black",
                  "reverse red on black", "red", "strike green on blue")
]  # fmt: skip
_PARTS = st.lists(st.tuples(st.text("a █", max_size=4), st.sampled_from(_STYLES)), max_size=12)


def _cells(segments: Iterable[tuple[str, Style]]) -> list[tuple[str, Style]]:
    return [(character, style) for text, style in segments for character in text]


@given(_PARTS)
def test_fewer_segments_look_the_same(parts: list[tuple[str, Style]]) -> None:
    segments = merged(parts)
    before, after = _cells(parts), _cells((s.text, s.style or Style()) for s in segments)
    assert [character for character, _ in before] == [character for character, _ in after]
    for (character, style), (_, now) in zip(before, after, strict=True):
        blank = character == " "
        assert style.bgcolor == now.bgcolor and (blank or style == now)
        marks = [(one.underline, one.reverse, one.strike) for one in (style, now)]
        assert marks[0] == marks[1], "a line through or under blanks is seen"
    assert len(segments) <= len([text for text, _ in parts if text])


def test_a_row_of_a_list_is_half_as_many_segments() -> None:
    words = [("model-001   ", _STYLES[0]), (" ", _STYLES[1]), ("k8s ", _STYLES[1]), (" ", _STYLES[0]), ("", _STYLES[3])]
    assert [segment.text for segment in merged(words)] == ["model-001    ", "k8s  "]
