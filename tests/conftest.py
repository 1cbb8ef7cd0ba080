"""What every test can ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from control import own_secrets as ownsecrets
from tests import groups, load
from tests.bed.fixtures import bed, quiet_bed

__all__ = ["bed", "quiet_bed"]

# How fast an example is made or run is the machine's, and no property of what is tested.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture(autouse=True)
def no_credentials_of_other_tests() -> Iterator[None]:
    """What one test keeps as a credential is a word in another."""
    yield
    ownsecrets.forget_all()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        groups.longest_first(items)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Of our own: xdist's groups by marks have no effect with this pytest."""
    return groups.ByGroup(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Tests that count against the clock are done anew where the machine was busy with something else."""
    if item.get_closest_marker("clock") is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in load.run_against_the_clock(item, nextitem):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
