"""The rows of the last session: what is kept comes back as it was, and anything else is as if it were not there."""

from __future__ import annotations

import asyncio
import stat
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import make_limit, make_route
from worlds import world

from adapters.kubernetes.section import SECTION as KUBERNETES
from adapters.kubernetes.section import KubernetesConfig
from control.deck.config import DeckConfig, EnvironmentConfig
from control.fleet.inventory import EnvironmentState, build_inventory
from control.fleet.snapshot_cache import cache_file, load, save
from control.fleet.views import REMEMBERED
from control.model import Environment, Outside, Reach, Snapshot
from control.serialiser import pack, unpack
from control.structs import replace

NAMES = st.text(min_size=1, max_size=12)
WEIGHTS = st.one_of(st.none(), st.integers(0, 10**9), st.fractions(0, 1))


def snapshot(weights: dict[str, int | Fraction | None], amount: int, why: str) -> Snapshot:
    return Snapshot(
        Environment("east", "kubernetes", (("tier", why),), reach=Reach(why=why)),
        (make_route(weights, members=(make_route(weights),)),),
        (make_limit(amount, fields=frozenset({"amount", "burst"})), make_limit(amount, None)),
        1234.5,
        (Outside(7.0, why, "east/HTTPRoute/a/b", "updated", "managedFields"),),
    )


@given(st.dictionaries(NAMES, WEIGHTS, min_size=1, max_size=4), st.integers(0, 10**6), NAMES)
def test_what_is_kept_comes_back_the_same(weights: dict[str, int | Fraction | None], amount: int, why: str) -> None:
    kept = snapshot(weights, amount, why)
    assert unpack(pack(kept), Snapshot) == kept


@given(st.binary(max_size=200))
def test_other_bytes_are_no_snapshot(data: bytes) -> None:
    with pytest.raises(ValueError):
        unpack(data, Snapshot)


@given(st.integers(0, 10**6))
def test_a_file_cut_short_is_no_snapshot(cut: int) -> None:
    data = pack(snapshot({"v1": 90, "v2": Fraction(1, 3)}, 50, "x"))
    with pytest.raises(ValueError):
        unpack(data[: cut % len(data)], Snapshot)


def test_the_file_is_for_its_user_and_says_that_it_is_old(tmp_path: Path) -> None:
    path = cache_file(tmp_path / "cache", tmp_path / "deck.yaml", "east")
    kept = snapshot({"v1": 90, "v2": 10}, 50, "")
    save(path, kept)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    found = load(path)
    assert found is not None and found.routes == kept.routes and found.environment.reach.why == REMEMBERED
    path.write_bytes(b"not a snapshot")
    assert load(path) is None
    assert load(tmp_path / "nothing") is None
    (tmp_path / "file").write_text("")
    save(tmp_path / "file" / "beneath", kept)  # the cache is lost, the deck is not


async def test_the_first_rows_wait_for_nobody_who_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAFFICDECK_STATE_DIR", str(tmp_path / "state"))
    first = world(tmp_path)
    watching = first.plane.watch()
    async with asyncio.timeout(5):
        async for _ in watching:
            if len(list((tmp_path / "state" / "cache").glob("[!.]*"))) == len(first.readers):
                break
    kept = first.plane.inventory
    await watching.aclose()  # type: ignore[attr-defined]
    again = world(tmp_path)
    for name in again.readers:
        again.faults(name).late_seconds = 3600.0
    watching = again.plane.watch()
    async with asyncio.timeout(5):
        remembered = await anext(watching)
    await watching.aclose()  # type: ignore[attr-defined]
    assert remembered.routes == kept.routes
    assert all(view.is_awaited and view.read_at for view in remembered.environments.values())


def test_an_environment_of_the_last_session_is_awaited_until_it_is_read() -> None:
    deck = DeckConfig(None, (EnvironmentConfig("east", settings=KubernetesConfig(), section=KUBERNETES),))
    kept = snapshot({"v1": 90, "v2": 10}, 50, REMEMBERED)
    view = build_inventory(deck, {"east": EnvironmentState(kept, from_cache=True)}, 1).environments["east"]
    assert view.is_awaited and view.read_at == 1234.5
    fresh = replace(kept, environment=replace(kept.environment, reach=Reach()))
    assert not build_inventory(deck, {"east": EnvironmentState(fresh)}, 1).environments["east"].is_awaited
