"""Which tests share a worker where several run side by side: those that share a server, and who begins first."""

from __future__ import annotations

from pathlib import PurePath

import pytest

_SECOND_BED = {"test_checks_crash.py", "test_checks_race.py", "test_checks_readonly.py"}
_SERVERS = {"kube": "kube", "ministack": "aws", "moto": "aws"}
"""Fixture of a session -> its group."""
_FIRST = ["second bed", "bed", "kube", "aws"]
"""The longest begin first."""
_NEXT = ["test_truth_demo.py", "test_bad_input.py", "test_night.py", "test_terminal_gone.py"]


def group_of(item: pytest.Item) -> str | None:
    """The group of a test; None for one that any worker may run."""
    fixtures: list[str] = getattr(item, "fixturenames", [])
    if "bed" in fixtures:
        return "second bed" if item.path.name in _SECOND_BED else "bed"
    for fixture, group in _SERVERS.items():
        if fixture in fixtures:
            return group
    # The servers of one file are shared by its tests.
    return str(item.path) if "adapters" in PurePath(item.path).parts else None


def share_out(items: list[pytest.Item]) -> None:
    """Mark every test with its group and put the longest groups first."""
    ranks = {}
    for item in items:
        group = group_of(item)
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))
        if group in _FIRST:
            ranks[item] = _FIRST.index(group)
        elif item.path.name in _NEXT:
            ranks[item] = len(_FIRST) + _NEXT.index(item.path.name)
        else:
            ranks[item] = len(_FIRST) + len(_NEXT) + (group is None)
    items.sort(key=ranks.__getitem__)
