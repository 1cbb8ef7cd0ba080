"""What `doctor` says of this machine: the terminal, its colours and characters, the editor, where state is kept."""

from __future__ import annotations

import locale
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from control.errors import ControlError
from control.ports import Check

GOOD = (80, 24)
"""The size that the screens were made for first."""


def checks(environment: Mapping[str, str], state: Path) -> list[Check]:
    """All checks of this machine. Nothing is written."""
    return [
        _terminal(environment),
        _colours(environment),
        _characters(),
        _clipboard(environment),
        _editor(),
        _state(state),
    ]


def _terminal(environment: Mapping[str, str]) -> Check:
    from tui.look import SMALLEST

    if not sys.stdout.isatty():
        return Check("terminal", "ok", "this is a pipe: commands work, the deck needs a terminal")
    term = environment.get("TERM", "")
    columns, rows = shutil.get_terminal_size()
    told = f"TERM={term or 'not set'}, {columns}x{rows}"
    if term in ("", "dumb"):
        return Check("terminal", "warn", told, "the deck needs a terminal that can place text: set TERM")
    if columns < SMALLEST[0] or rows < SMALLEST[1]:
        return Check("terminal", "warn", told, f"the deck draws from {SMALLEST[0]}x{SMALLEST[1]} on")
    if columns < GOOD[0] or rows < GOOD[1]:
        return Check("terminal", "ok", told, f"better from {GOOD[0]}x{GOOD[1]} on")
    return Check("terminal", "ok", told)


def _colours(environment: Mapping[str, str]) -> Check:
    from tui.themes import SIXTEEN, TRUECOLOR, colours

    if environment.get("NO_COLOR"):
        return Check("colours", "ok", "NO_COLOR is set: the theme is mono")
    count = colours(environment)
    if count == TRUECOLOR:
        return Check("colours", "ok", "16 million")
    if count == 16:
        hint = "COLORTERM=truecolor or a TERM that ends in 256color, where the terminal has more"
        return Check("colours", "ok", f"16: the theme is {SIXTEEN} unless another is chosen", hint)
    return Check("colours", "ok", "256: the nearest to the theme's are shown")


def _characters() -> Check:
    encoding = locale.getpreferredencoding(False)
    if encoding.lower().replace("-", "") == "utf8":
        return Check("characters", "ok", encoding)
    return Check("characters", "warn", encoding, "start with --ascii, or use a UTF-8 locale")


def _clipboard(environment: Mapping[str, str]) -> Check:
    if environment.get("TMUX"):
        return Check("clipboard", "ok", "inside tmux", "copying needs 'set -g set-clipboard on' there")
    return Check("clipboard", "ok", "through the terminal (OSC 52), where it allows that")


def _editor() -> Check:
    from tui.native_editor import editor

    try:
        command = editor()[0]
    except ControlError as error:
        return Check("editor", "warn", error.message, "set EDITOR for the key E")
    if shutil.which(command) is None:
        return Check("editor", "warn", f"'{command}' is not found", "set EDITOR for the key E")
    return Check("editor", "ok", command)


def _state(folder: Path) -> Check:
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if os.access(nearest, os.W_OK):
        return Check("state", "ok", str(folder))
    hint = "drafts, the journal and the cache live there; set TRAFFICDECK_STATE_DIR"
    return Check("state", "fail", f"{folder} cannot be written", hint)
