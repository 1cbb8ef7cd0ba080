"""On call when much is wrong at once: a network, a deployment, a start with the rows of the last session."""

from __future__ import annotations

import time
from collections.abc import Callable

from driver import until

from control.fleet.views import REMEMBERED, EnvironmentView
from control.model import Environment, Outside, Reach, ReachState
from control.structs import replace
from tests.tui import fleets
from tests.tui.memory_plane import MemoryPlane
from tui.deck_app import DeckApp
from tui.look import UNICODE, Look
from tui.store import Store
from tui.themes import load_theme
from tui.views.oncall_lines import MOST, oncall_lines, summary
from tui.worst import worst_of

Make = Callable[..., tuple[DeckApp, MemoryPlane]]
SIZE = (80, 24)


def far(number: int, state: ReachState, why: str) -> EnvironmentView:
    environment = Environment(f"far-{number:02}", "kubernetes", reach=Reach(state, why))
    return EnvironmentView(environment, 80, 0, time.time() - 40)


async def test_rows_of_the_last_session_are_being_read_and_not_broken(make_app: Make) -> None:
    fleet = fleets.small()
    views = {name: view for name, view in fleet.environments.items() if name != "old"}
    views |= {f"far-{n:02}": far(n, ReachState.DEGRADED, REMEMBERED) for n in range(2)}
    app, _ = make_app(replace(fleet, environments=views), mode="oncall")
    async with app.run_test(size=SIZE) as pilot:
        text = await until(pilot, app, "being read")
        line = next(line for line in text.splitlines() if "being read" in line)
        assert "far-00, far-01" in line and "40s" in line, "with the age of what is shown"
        assert "2 reading" in text and "broken 2 " in text, "what is read is no trouble"
        assert "answers in part" not in text
        assert "far-00" not in summary(app.store), "nobody is woken by what is still being read"


async def test_a_network_that_is_gone_is_one_answer(make_app: Make) -> None:
    fleet = fleets.small()
    views = {**fleet.environments, **{f"far-{n:02}": far(n, ReachState.UNREACHABLE, "no route") for n in range(25)}}
    app, _ = make_app(replace(fleet, environments=views), mode="oncall")
    async with app.run_test(size=SIZE) as pilot:
        text = await until(pilot, app, "26 environments")
        assert "broken 28 " in text, "two routes and 26 environments"
        assert text.count("do not answer") == 1 and "far-01 and 23" in text
        assert "throttled 1" in text and "nearly full 1" in text, "the other answers have their room"


async def test_what_is_broken_is_said_only_of_what_answers(make_app: Make) -> None:
    fleet = fleets.small()
    sound = {ref: row for ref, row in fleet.routes.items() if row.name in ("llm-edge", "chat-v2")}
    seen = {ref: fleet.seen[ref] for ref in sound}
    quiet = replace(fleet, routes=sound, limits={}, seen=seen)
    gone = {
        name: EnvironmentView(replace(v.environment, reach=Reach(ReachState.UNREACHABLE, "cut")), 1, 0, time.time())
        for name, v in quiet.environments.items()
    }
    for views, words in ((quiet.environments, "nothing else broken"), (gone, "nothing answers")):
        app, _ = make_app(replace(quiet, environments=views), mode="oncall")
        async with app.run_test(size=SIZE) as pilot:
            await until(pilot, app, words)


def test_thousands_of_rows_are_counted_and_only_what_has_room_is_drawn() -> None:
    fleet, store, look = fleets.large(), Store(), Look(load_theme("dusk"), UNICODE)
    store.update(fleet)
    worst = worst_of(store)
    assert len(worst.full) > MOST and worst.full == sorted(worst.full, key=lambda row: -row.used)
    lines = ["".join(text for text, _ in line) for line in oncall_lines(store, look, 80, 22)]
    assert len(lines) <= 22
    assert any(f"nearly full {len(worst.full)} more below" in line for line in lines)
    assert len(oncall_lines(store, look, 80, 10_000)) < 6 * (MOST + 1), "scrolled to the end, it is an end"


def test_the_worst_follow_the_rows() -> None:
    fleet, store = fleets.small(), Store()
    store.update(fleet)
    assert [row.name for row in worst_of(store).biting] == ["per-client"]
    calm = {
        ref: replace(limit, use=replace(limit.use, rejected_per_second=None)) for ref, limit in fleet.limits.items()
    }
    store.update(replace(fleet, limits=calm))
    assert not worst_of(store).biting


async def test_a_deployment_is_one_line_of_the_last_hour(make_app: Make) -> None:
    fleet = fleets.small()
    at = time.time() - 600
    rollout = tuple(Outside(at - n / 10, "argocd", f"prod-eu/HTTPRoute/a/m-{n}", "updated", "x") for n in range(200))
    hand = Outside(at - 300, "a-person-with-a-long-name", "prod-eu/HTTPRoute/a/other", "updated", "x")
    app, _ = make_app(replace(fleet, outside=(*rollout, hand)), mode="oncall")
    async with app.run_test(size=SIZE) as pilot:
        text = await until(pilot, app, "changed in the last hour 201 ")
        lines = [line for line in text.splitlines() if "(outside)" in line]
        assert 2 <= len(lines) <= 3, "a minute may end within the rollout"
        assert "m-0 updated and " in lines[0] and " more (outside)" in lines[0]
        assert "other updated (outside)" in lines[-1]
        assert f"m-0 updated and {199 if len(lines) == 2 else ''}" in summary(app.store)
