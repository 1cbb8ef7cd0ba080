"""The fixture `bed`: the whole fleet, once per run.

TRAFFICDECK_BED_DIR names one that runs already. Without root or packages the tests are skipped with the reason; where
the environment variable CI is set they fail.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed import build, description, planes, system
from tests.bed.description import Bed

ROOT = Path(__file__).resolve().parents[2]
UP_SECONDS = 150


def why_not() -> str:
    """Why there is no bed to be had here; empty when there is one."""
    if reason := system.why_not():
        return reason
    if not build.is_built():
        return "the Kubernetes binary of the test bed is not built: python -m tests.bed.setup (about six minutes)"
    return ""


def skip_or_fail(reason: str) -> None:
    """Skip with the reason; in CI that is a failure."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _call(*arguments: str) -> None:
    argv = [sys.executable, "-m", "tests.bed", *arguments]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=UP_SECONDS, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(arguments)}: {done.stderr}")


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """The running fleet."""
    named = os.environ.get("TRAFFICDECK_BED_DIR")
    if named:
        yield description.read(Path(named).resolve())
        return
    if reason := why_not():
        skip_or_fail(reason)
    folder = tmp_path_factory.mktemp("fleet") / "bed"
    try:
        _call("up", "--detach", "--dir", str(folder), "--with", ",".join(planes.chosen()))
        yield description.read(folder)
    finally:
        _call("down", "--dir", str(folder))


@pytest.fixture
def quiet_bed(bed: Bed) -> Iterator[Bed]:
    """The bed with its own traffic paused."""
    _call("traffic", "pause", "--dir", str(bed.dir))
    yield bed
    _call("traffic", "resume", "--dir", str(bed.dir))
