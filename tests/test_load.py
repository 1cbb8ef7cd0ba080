"""Tests that count against the clock: done anew on a busy machine, never failed for it, failed on a quiet one."""

from __future__ import annotations

import pytest

from tests import load

pytest_plugins = ["pytester"]

OPTIONS = ["-p", "no:cacheprovider", "-p", "no:xdist", "-o", "asyncio_default_fixture_loop_scope=function"]
CONFTEST = """
import pytest

from tests import load
from tests import load

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    for report in load.run_against_the_clock(item, nextitem):
        item.ihook.pytest_runtest_logreport(report=report)
    return True
"""
TEST = """
import pytest

from tests import load
done = []

@pytest.fixture(scope="module")
def server():
    return "up"

@pytest.fixture
def fresh(server):
    return []

def test_counts(fresh):
    done.append(1)
    fresh.append(1)
    assert fresh == [1] and len(done) >= {good}
"""


@pytest.mark.parametrize(
    ("shares", "good", "outcome"),
    [
        ([0.1], 1, "passed"),
        ([0.9], 1, "passed"),
        ([0.1], 2, "failed"),
        ([0.9, 0.1], 2, "passed"),
        ([0.9, 0.1], 3, "failed"),
        ([0.9, 0.9, 0.9], 4, "skipped"),
    ],
)
def test_a_busy_machine_fails_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, shares: list[float], good: int, outcome: str
) -> None:
    measured = iter(shares)
    monkeypatch.setattr(load.Watch, "busy", lambda _: next(measured))
    monkeypatch.setattr(load, "until_quiet", lambda: None)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TEST.replace("{good}", str(good)))
    pytester.runpytest_inprocess(*OPTIONS).assert_outcomes(**{outcome: 1})
