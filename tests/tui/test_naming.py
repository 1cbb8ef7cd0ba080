"""No two rows look the same: names are cut in what they share, and told apart by kind, scope or part."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from driver import ready, screen_text, until
from hypothesis import given
from hypothesis import strategies as st

from control.fleet.views import Inventory
from control.model.ref import Ref
from control.planning.plan import OnFailure, Plan, Step, Verdict
from control.structs import replace
from tests.tui import fleets
from tests.tui.memory_plane import MemoryPlane
from tui.cells import width
from tui.deck_app import DeckApp
from tui.look import Look
from tui.naming import shortened, told_apart
from tui.screens.deck import DeckScreen
from tui.themes import load_theme
from tui.views.plan_lines import object_names
from tui.views.routes import whole_shares
from tui.widgets.line_table import Column, layout

Make = Callable[..., tuple[DeckApp, MemoryPlane]]
NAMES = st.lists(st.text(alphabet="ab-/: é模", min_size=1, max_size=40).map(str.strip).filter(bool), max_size=12)


@pytest.mark.parametrize(
    ("names", "cells", "expected"),
    [
        (["llama"], 12, ["llama"]),
        (["inference-llama-3-chat-v1", "inference-llama-3-chat-v2"], 12, ["infer…hat-v1", "infer…hat-v2"]),
        (
            ["edge-gateway-A-chat-completions", "edge-gateway-B-chat-completions"],
            12,
            ["edge-…A…ions", "edge-…B…ions"],
        ),
        (["prod-eu-west-1-a", "prod-eu-west-1-b"], 8, ["prod…1-a", "prod…1-b"]),
        (["llama-a-completions", "llama-b-completions"], 14, ["ll…-a-completi", "ll…-b-completi"]),
    ],
)
def test_names_are_cut_in_what_they_share(names: list[str], cells: int, expected: list[str]) -> None:
    short = shortened(names, cells)
    assert len({short[name] for name in names}) == len(names)
    for name, cut in short.items():
        assert width(cut) <= cells, cut
        differ = set(re.split(r"[^A-Za-z0-9]+", name)) - set.intersection(
            *(set(re.split(r"[^A-Za-z0-9]+", one)) for one in names)
        )
        assert len(names) == 1 or any(part in cut for part in differ), (cut, differ)


@given(NAMES, st.integers(8, 30))
def test_distinct_names_stay_distinct_in_any_column(names: list[str], cells: int) -> None:
    short = shortened(names, cells)
    assert set(short) == set(names)
    assert len(set(short.values())) == len(short)
    assert all(width(cut) <= cells for cut in short.values())
    assert all(short[name] == name for name in names if width(name) <= cells)


def test_rows_of_one_name_are_told_apart_by_the_fewest_words() -> None:
    def labels(*refs: Ref, place: bool = True) -> list[str]:
        return list(told_apart(dict.fromkeys(refs, "llama"), place).values())

    route, other = Ref("eu", "HTTPRoute", "ml", "llama"), Ref("eu", "IngressRoute", "ml", "llama")
    assert labels(route) == ["llama"]
    assert labels(route, other) == ["llama HTTPRoute", "llama IngressRoute"]
    assert labels(route, replace(route, scope="team")) == ["llama ml", "llama team"]
    assert labels(replace(route, part="rule=0"), replace(route, part="rule=1")) == ["llama rule=0", "llama rule=1"]
    assert labels(route, replace(route, environment="us")) == ["llama", "llama"], "the column beside it says where"
    assert labels(route, replace(route, environment="us"), place=False) == ["llama eu", "llama us"]
    assert len(set(labels(route, other, replace(route, scope="team"), replace(other, scope="team")))) == 4


@given(st.lists(st.builds(Ref, *(st.sampled_from(["a", "b"]),) * 4, st.sampled_from([None, "x", "y"])), unique=True))
def test_no_two_refs_have_the_same_words(refs: list[Ref]) -> None:
    told = told_apart(dict.fromkeys(refs, "same"))
    assert len({(ref.environment, name) for ref, name in told.items()}) == len(refs)


def test_columns_use_the_width_there_is() -> None:
    columns = [
        Column("name", "NAME", 12, keep=100, most=60),
        Column("at", "AT", 8, keep=90, most=16),
        Column("bar", "BAR", 10, keep=70, grow=1, most=20),
    ]
    needs = {"name": 30, "at": 4}
    assert layout(columns, 32, needs) == {"name": 16, "at": 4, "bar": 10}
    assert layout(columns, 46, needs) == {"name": 30, "at": 4, "bar": 10}
    assert layout(columns, 52, needs) == {"name": 30, "at": 4, "bar": 16}


def like(fleet: Inventory, names: list[tuple[str, str, str | None]]) -> Inventory:
    """The fleet with routes of these (kind, name, part) beside its own."""
    first = next(iter(fleet.routes.values()))
    routes = dict(fleet.routes)
    for kind, name, part in names:
        ref = Ref(first.ref.environment, kind, "inference", name, part)
        routes[ref] = replace(first, ref=ref, name=name, object=str(ref.whole))
    return replace(fleet, routes=routes)


@pytest.mark.parametrize("size", [(80, 24), (120, 35), (200, 60)])
async def test_no_two_rows_of_a_list_look_the_same(make_app: Make, size: tuple[int, int]) -> None:
    wanted: list[tuple[str, str, str | None]] = [
        ("HTTPRoute", "inference-gateway-llama-3-70b-instruct-chat-completions", None),
        ("HTTPRoute", "inference-gateway-llama-3-80b-instruct-chat-completions", None),
        ("HTTPRoute", "inference-gateway-llama-4-70b-instruct-chat-completions", None),
        ("IngressRoute", "inference-gateway-llama-3-70b-instruct-chat-completions", None),
        ("HTTPRoute", "embed", "rule=0"),
        ("HTTPRoute", "embed", "rule=1"),
        ("IngressRoute", "embed", "rule=0"),
    ]
    app, _ = make_app(like(fleets.small(), wanted))
    async with app.run_test(size=size) as pilot:
        await ready(pilot, app)
        deck = app.screen
        assert isinstance(deck, DeckScreen)
        for key in ("1", "2"):
            await pilot.press(key)
            await pilot.pause(0.1)
            cells = deck.table._cells
            drawn = []
            for row in deck.table.rows:
                if not row.heading:
                    spans = dict(deck.view.draw(row, cells))
                    drawn.append("".join(text for column in ("name", "at") for text, _ in spans[column]))
            assert len(drawn) > 2 and len(set(drawn)) == len(drawn), sorted(drawn)
        await until(pilot, app, "LIMIT")
        assert len(screen_text(app).splitlines()) == size[1]


@pytest.mark.parametrize(
    ("text", "cells", "expected"),
    [("71/29", 8, "71/29"), ("55/26/14/5", 8, "55/26 +2"), ("55/26/14/5 !", 8, "55 +3 !"), ("100", 8, "100")],
)
def test_half_a_share_is_never_shown(text: str, cells: int, expected: str) -> None:
    assert whole_shares(text, cells) == expected


def test_objects_of_a_plan_are_told_apart() -> None:
    objects = [f"lab/file/a-very-long-host-name-{n}-in-the-rack/%2Fetc%2Fnginx%2Fconf.d%2Fllama.conf" for n in (1, 2)]
    steps = tuple(Step(name, "lab", (), "", "") for name in objects)
    names = object_names(Plan("p", steps, OnFailure.UNDO, Verdict.OK), 40, Look(load_theme("dusk")))
    assert len(set(names.values())) == 2 and all(width(name) <= 40 for name in names.values())
