from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from command import PROGRAM, Command


@pytest.fixture
def demo(tmp_path: Path) -> Command:
    """The command line on a demo fleet of its own."""
    assert PROGRAM.exists(), "trafficdeck is not installed beside this Python"
    return Command(tmp_path)
