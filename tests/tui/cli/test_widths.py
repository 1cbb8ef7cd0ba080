"""A table of the demo fleet fits a terminal of 80 columns, sentences apart."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_table_of_environments_fits_80_columns(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui", "--deck", "demo:", "get", "environments"],
        env={**os.environ, "TRAFFICDECK_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert len(lines) > 3
    assert [line for line in lines if len(line) > 80] == []
