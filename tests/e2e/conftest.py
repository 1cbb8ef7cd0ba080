"""The command line on the bed."""

from __future__ import annotations

import pytest

from tests.bed.description import Bed
from tests.e2e.cli import PROGRAM, Deck


@pytest.fixture
def deck(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Deck:
    assert PROGRAM.exists(), "the program is not installed beside this Python"
    return Deck(bed, tmp_path_factory.mktemp("state"))
