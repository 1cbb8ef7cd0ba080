"""The command line on the bed."""

from __future__ import annotations

import importlib.util

import pytest

from tests.bed.description import Bed
from tests.bed.fixtures import skip_or_fail
from tests.e2e.cli import PROGRAM, Deck


@pytest.fixture
def deck(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Deck:
    if not PROGRAM.exists() or importlib.util.find_spec("tui.__main__") is None:
        skip_or_fail("the program is not installed beside this Python")
    return Deck(bed, tmp_path_factory.mktemp("state"))
