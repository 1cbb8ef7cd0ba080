from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from localproxy import Backends


@pytest.fixture(scope="module")
def backends() -> Iterator[Backends]:
    """Four small servers, `a` to `d`."""
    made = Backends("abcd")
    yield made
    made.close()
