"""Somebody who never saw it: from an empty home folder to a shift, a halved limit, an undo and the on-call view.

`SAVE_SCREENS=docs/first-run pytest tests/tui/test_first_run.py` writes every screen that it passes, to be read.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed.fixtures import skip_or_fail
from tests.tmux import GUARD_SECONDS, Tmux

pytestmark = [pytest.mark.pty, pytest.mark.timeout(180)]
ROOT = Path(__file__).parents[2]


class Run:
    """The screens of one run, numbered as they were passed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0
        self.terminal: Tmux | None = None

    def start(self, *words: str) -> None:
        self.close()
        environment = {"HOME": str(self.folder), "PATH": os.environ["PATH"]}
        self.terminal = Tmux(self.folder, [sys.executable, "-m", "tui", *words], environment)

    def see(self, name: str, pattern: str, *keys: str) -> str:
        """Type, wait for a screen, and keep it."""
        assert self.terminal is not None
        self.terminal.type(*keys)
        text = self.terminal.until(pattern)
        self.number += 1
        if os.environ.get("SAVE_SCREENS"):
            to = ROOT / os.environ["SAVE_SCREENS"]
            to.mkdir(parents=True, exist_ok=True)
            lines = [line.rstrip() for line in text.splitlines()]
            (to / f"{self.number:02d}-{name}.txt").write_text("\n".join(lines).rstrip() + "\n")
        return text

    def close(self) -> None:
        if self.terminal is not None:
            self.terminal.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    if shutil.which("tmux") is None:
        skip_or_fail("tmux is not installed")
    made = Run(tmp_path)
    yield made
    made.close()


def test_a_stranger_finds_the_way(run: Run) -> None:
    run.start("demo")
    board = run.see("board", r"\d/60 by risk[\s\S]*A\d+ B\d+")
    assert "DISARMED" in board and "enter open" in board and "? help" in board
    assert "Edit the value" in run.see("help", "HELP", "?")
    assert "words of a name" in run.see("help-end", "filter", "G")
    run.see("back", "by risk", "q")

    # Ten points from one target to another, in staging: nothing is typed there, one key confirms.
    run.see("filter", r"1/\d+ of 60", "/staging llama\n")
    run.see("detail", r"TARGET +SET", "\n")
    assert "nothing" not in run.see("staged", "staged, not sent", "j+")
    plan = run.see("plan", "y applies", "a")
    assert "not production" in plan and re.search(r"weight +\d+ → \d+", plan)
    time.sleep(GUARD_SECONDS)
    done = run.see("applied", "DONE  applied", "y")
    assert "accepted yes" in done and "u undoes this" in done
    run.see("undo", r"UNDO[\s\S]*y applies", "u")
    time.sleep(GUARD_SECONDS)
    run.see("undone", "DONE  applied", "y")

    # Halve a limit in production: it is disarmed, says how to arm, and takes its code.
    run.see("limits", "CALLER GETS", "qq2")
    run.see("limits-found", r"1/\d+ of \d+", "/prod-eu llama\n")
    assert re.search(r"→ \d+", run.see("expression", r"/2 +→", "e/2"))
    run.see("limit-staged", "staged, not sent", "\n")
    what_if = run.see("what-if", "what if", "a")
    assert ":arm 15m REASON" in what_if
    run.see("armed", r"ARMED 1[45]:\d\d", "n:arm 15m first try\n")
    run.see("limit-plan", "y then type", "a")
    time.sleep(GUARD_SECONDS)
    run.see("code", "type eu to apply", "y")
    run.see("limit-applied", "DONE  applied", "eu\n")
    changes = run.see("changes", r"first try|llama", "qq3")
    assert "applied" in changes
    run.see("pulse", "environments", "4")

    run.start("oncall", "--deck", "demo:")
    oncall = run.see("oncall", r"vision-v2 is down[\s\S]*changed in the last hour \d")
    assert "READ-ONLY" in oncall and "applied" in oncall and "not read yet" not in oncall


def test_a_first_start_without_a_deck_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui", "get", "routes"],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    assert "trafficdeck init" in done.stderr and "trafficdeck demo" in done.stderr
