"""Which tests share a worker where several run side by side: those that share a server. The longest begin first.

A group goes by what its file asks for, since it must be the same in every worker and in the process that shares out.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[1]
_SECOND_BED = {"test_checks_crash.py", "test_checks_race.py", "test_checks_readonly.py"}
_SERVERS = {
    "bed": re.compile(r"\bbed: Bed\b|from tests.e2e.cli import .*\bDeck\b"),
    "kube": re.compile(r"\bkube: Servers\b"),
    "aws": re.compile(r"from lambda_helpers import"),
}
"""Group -> what in a file asks for its servers, which last for a whole session."""
_FIRST = ["second bed", "bed", "kube", "aws"]
_NEXT = ["test_truth_demo.py", "test_bad_input.py", "test_night.py", "test_terminal_gone.py"]


@cache
def group_of(path: str) -> str:
    """The group of a file's tests; empty where any worker may run each of them."""
    file = Path(path)
    text = (ROOT / path).read_text(encoding="utf-8")
    for group, asks in _SERVERS.items():
        if asks.search(text):
            return "second bed" if file.name in _SECOND_BED else group
    # The servers of one file are shared by its tests.
    return path if "adapters" in file.parts else ""


class ByGroup(LoadScopeScheduling):
    """Hands out one group after the other, and single tests."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0]) or nodeid


def longest_first(items: list[pytest.Item]) -> None:
    """Put the longest groups first, then the longest tests."""

    def rank(item: pytest.Item) -> int:
        group = group_of(item.nodeid.partition("::")[0])
        if group in _FIRST:
            return _FIRST.index(group)
        if item.path.name in _NEXT:
            return len(_FIRST) + _NEXT.index(item.path.name)
        return len(_FIRST) + len(_NEXT) + (not group)

    items.sort(key=rank)
