"""Through a real pseudo-terminal: paint first, keys on the screen in time, signals and crashes restore the terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bench.terminal import Terminal

pytestmark = pytest.mark.pty
ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, sys, tempfile
from pathlib import Path
from tui.app import run
async def make():
    from tests.tui import fleets, memory_plane
    folder = Path(tempfile.mkdtemp())
    plane = memory_plane.plane_of(fleets.{fleet}(), folder)
    await plane.begun()
    return memory_plane.session_of(plane, folder)
sys.exit(run(make))
"""


def program(fleet: str = "small") -> list[str]:
    return [sys.executable, "-c", PROGRAM.format(fleet=fleet)]


def environment() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "TEXTUAL_ANIMATIONS": "none"}


def run_code(code: str) -> None:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_entry_imports_nothing_heavy() -> None:
    run_code(
        "import sys, tui.app; "
        "heavy = {'textual', 'rich', 'yaml', 'sqlite3', 'kubernetes', 'boto3', 'paramiko', 'httpx'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )


def test_the_app_imports_no_platform_and_no_client() -> None:
    run_code(
        "import sys, tui.deck_app, tui.screens.deck, tui.screens.oncall; "
        "heavy = {'kubernetes', 'boto3', 'paramiko', 'httpx', 'adapters'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )


def test_the_first_frame_comes_before_the_rows_and_each_key_paints() -> None:
    with Terminal(program("large"), 120, 35, environment()) as terminal:
        frame = terminal.wait_for("Routes", 5)
        assert frame < terminal.wait_for("model-", 15)
        terminal.settle(0.3, 5)
        for key in [b"j", b"k", b"\x1b[6~", b"\x1b[5~"] * 2:
            assert terminal.key(key).data, "the figures are in the benchmarks; here it is that it paints at all"


def restored(output: bytes) -> bool:
    """The alternate screen left and the cursor shown again."""
    return b"\x1b[?1049l" in output and b"\x1b[?25h" in output


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signals_restore_the_terminal(name: str) -> None:
    with Terminal(program(), 80, 24, environment()) as terminal:
        terminal.wait_for("llm-gw", 10)
        os.kill(terminal.pid, getattr(signal, name))
        end = time.monotonic() + 5
        while time.monotonic() < end and not restored(terminal.output):
            try:
                terminal._read(0.05)
            except Exception:
                break
        assert restored(terminal.output)


def test_too_small_says_so_and_comes_back() -> None:
    with Terminal(program(), 60, 15, environment()) as terminal:
        terminal.wait_for("need 72x16", 10)
        terminal.resize(80, 24)
        terminal.wait_for("llm-gw", 10)
