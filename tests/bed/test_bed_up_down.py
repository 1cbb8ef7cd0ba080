"""Up in time, down without a trace, also after the supervisor was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bed import description, fixtures
from tests.bed.description import Bed
from tests.bed.processes import MARK, state_of

pytestmark = [pytest.mark.bed, pytest.mark.timeout(180)]

UP_SECONDS = 30


def processes_of(folder: Path) -> dict[int, str]:
    """Every living process that was started for the bed in `folder`, wherever it hangs in the tree now (but those that
    write over their own environment, as nginx and sshd do)."""
    mark = f"{MARK}={folder}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0") and state_of(int(entry.name)) != "Z":
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def all_gone(folder: Path, bed: Bed) -> bool:
    """True when nothing of a bed runs any more: neither what it listed nor what bears its mark."""
    listed = [process for process in bed.processes if state_of(process.pid) not in ("", "Z")]
    return not listed and not processes_of(folder)


def bed_command(*words: str) -> list[str]:
    return [sys.executable, "-m", "tests.bed", *words]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if reason := fixtures.why_not():
        fixtures.skip_or_fail(reason)
    return tmp_path / "bed"


@pytest.mark.timeout(600)
@pytest.mark.clock
def test_foreground_up_in_time_and_down_by_a_signal(folder: Path) -> None:
    started = time.monotonic()
    up = subprocess.Popen(bed_command("up", "--dir", str(folder)), stdout=subprocess.PIPE, text=True)
    try:
        assert up.stdout is not None
        assert up.stdout.readline() == "ready\n"
        assert time.monotonic() - started < UP_SECONDS
        bed = description.read(folder)
        assert not all_gone(folder, bed)
        second = subprocess.run(
            bed_command("up", "--dir", str(folder)), capture_output=True, text=True, timeout=30, check=False
        )
        assert second.returncode == 1
        assert "a bed runs in" in second.stderr
        up.send_signal(signal.SIGINT)
        assert up.wait(30) == 0
    finally:
        up.kill()
        subprocess.run(bed_command("down", "--dir", str(folder)), check=True, timeout=60)
    assert all_gone(folder, bed)
    assert not (folder / "bed.json").exists()


def test_down_after_the_supervisor_was_killed(folder: Path) -> None:
    subprocess.run(bed_command("up", "--detach", "--dir", str(folder)), check=True, timeout=120)
    bed = description.read(folder)
    os.kill(bed.pid("bed"), signal.SIGKILL)
    assert not all_gone(folder, bed)
    subprocess.run(bed_command("down", "--dir", str(folder)), check=True, timeout=60)
    assert all_gone(folder, bed)
    subprocess.run(bed_command("down", "--dir", str(folder)), check=True, timeout=60)
