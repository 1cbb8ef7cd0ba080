"""The four usual tasks, typed in tmux on the demo fleet from an armed session, with no more keys than are promised."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.bed.fixtures import skip_or_fail
from tests.tmux import GUARD_SECONDS, Tmux

pytestmark = [pytest.mark.pty, pytest.mark.timeout(120)]
PROGRAM = [sys.executable, "-m", "tui", "--deck", "demo:"]
CODE = "eu"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        skip_or_fail("tmux is not installed")
    environment = {**os.environ, "TRAFFICDECK_STATE_DIR": str(tmp_path), "HOME": str(tmp_path)}
    started = Tmux(tmp_path, PROGRAM, environment)
    started.until(r"\d/\d+ by risk")
    started.until(r"A\d+")
    yield started
    started.close()


def fleet(folder: Path, what: str) -> list[Any]:
    """What the fleet says of its routes or limits, in a process of its own."""
    done = subprocess.run(
        [*PROGRAM, "get", what, "-o", "json"],
        env={**os.environ, "TRAFFICDECK_STATE_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    rows: list[Any] = json.loads(done.stdout)["items"]
    return rows


def shares(folder: Path) -> dict[str, list[float]]:
    return {row["ref"]: [float(Fraction(t["share"] or 0)) for t in row["targets"]] for row in fleet(folder, "routes")}


def amounts(folder: Path) -> dict[str, Any]:
    return {row["ref"]: row["amount"] for row in fleet(folder, "limits")}


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[Any, Any]]:
    return [(before[name], after[name]) for name in before if before[name] != after[name]]


def press(terminal: Tmux, *steps: tuple[str, str], most: int, code: str = "") -> None:
    """Type each step and wait for what it brings; then confirm, and count."""
    keys = terminal.keys
    for typed, brings in steps:
        terminal.type(typed)
        terminal.until(brings)
    time.sleep(GUARD_SECONDS)
    terminal.type("y")
    if code:
        terminal.until(f"type {code} to apply")
        terminal.type(f"{code}\n")
    terminal.until(r"DONE  applied")
    assert terminal.keys - keys <= most, terminal.keys - keys


def test_shift_ten_points_in_nine_keys_and_undo_in_two(terminal: Tmux, tmp_path: Path) -> None:
    before = shares(tmp_path)
    press(
        terminal,
        ("/ev\n", r"1/\d+ of 60"),
        ("\n", "TARGET"),
        ("j+", "staged, not sent"),
        ("a", r"y applies"),
        most=9,
    )
    [(old, new)] = changed(before, shares(tmp_path))
    assert (new[1] - old[1], old[0] - new[0]) == (pytest.approx(0.1), pytest.approx(0.1))
    terminal.type("q")
    terminal.until("TARGET")
    press(terminal, ("u", r"UNDO[\s\S]*y applies"), most=2)
    assert shares(tmp_path) == before


def test_halve_a_rate_limit_in_eleven_keys(terminal: Tmux, tmp_path: Path) -> None:
    before = amounts(tmp_path)
    press(
        terminal,
        ("2", "CALLER GETS"),
        ("/ev\n", r"1/\d+ of \d+"),
        ("e/2\n", "staged, not sent"),
        ("a", r"y applies"),
        most=11,
    )
    [(old, new)] = changed(before, amounts(tmp_path))
    assert float(new) * 2 == float(old)


def test_drain_a_target_in_nine_keys(terminal: Tmux, tmp_path: Path) -> None:
    before = shares(tmp_path)
    press(
        terminal,
        ("/ev\n", r"1/\d+ of 60"),
        ("\n", "TARGET"),
        ("jD", "staged, not sent"),
        ("a", r"y applies"),
        most=9,
    )
    [(old, new)] = changed(before, shares(tmp_path))
    assert old[1] > 0 == new[1]


def test_production_costs_its_code_more(terminal: Tmux, tmp_path: Path) -> None:
    terminal.type(":arm 15m ramp\n")
    terminal.until(r"ARMED 1[45]:\d\d")
    terminal.type("/embed prod-eu\n")
    terminal.until(r"1/1 of 60")
    before = shares(tmp_path)
    press(terminal, ("\n", "TARGET"), ("j+", "staged, not sent"), ("a", rf"type {CODE}|y then"), most=5 + 3, code=CODE)
    [(old, new)] = changed(before, shares(tmp_path))
    assert new[1] - old[1] == pytest.approx(0.1)
    screen = terminal.screen()
    assert re.search(r"accepted yes", screen)
