"""The native text in the user's own editor: written to a file, edited, and read back until it makes a plan.

The file is kept where what was typed did not become a plan, so nothing is lost.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from control.errors import ControlError, UsageError

MARK = "#!"
"""Lines that begin so are ours: they are written at the top and never read back."""
SUFFIXES = {"yaml": ".yaml", "json": ".json", "nginx": ".conf", "haproxy": ".cfg"}
USUAL = "vi"


def editor() -> list[str]:
    """The command of the user's editor: VISUAL, EDITOR, or vi. Raises `UsageError` for one that cannot be read."""
    words = os.environ.get("VISUAL") or os.environ.get("EDITOR") or USUAL
    try:
        return shlex.split(words) or [USUAL]
    except ValueError as error:
        raise UsageError(f"EDITOR cannot be read: {error}") from None


def write_text(folder: Path, language: str, text: str, words: list[str]) -> Path:
    """Write a fresh file that only this user may read, with our words on top. Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"edit-{os.getpid()}-{os.urandom(4).hex()}{SUFFIXES.get(language, '.txt')}"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(_whole(text, words))
    return path


def put_words(path: Path, text: str, words: list[str]) -> None:
    """Write the text again, with other words of ours on top."""
    path.write_text(_whole(text, words), "utf-8", "surrogateescape")


def read_text(path: Path) -> str:
    """What the user made of it, without our words. Raises `UsageError` where the file is gone or is no text."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the edited file cannot be read: {error}") from None
    lines = text.split("\n")
    while lines and lines[0].startswith(MARK):
        lines.pop(0)
    return "\n".join(lines)


def _whole(text: str, words: list[str]) -> str:
    return "".join(f"{MARK} {line}\n" for word in words for line in word.splitlines()) + text


def run_editor(path: Path) -> None:
    """Run the editor on the terminal and wait. Raises `ControlError` where it cannot be run or says that it failed."""
    command = [*editor(), str(path)]
    try:
        done = subprocess.run(command, check=False)
    except OSError as error:
        raise ControlError(
            f"the editor '{command[0]}' cannot be run: {error.strerror}", hint="set EDITOR to one that is here"
        ) from None
    if done.returncode:
        raise ControlError(f"the editor ended with {done.returncode}: nothing was taken over")


def forget(path: Path) -> None:
    """Remove the file: what was typed lives on elsewhere, or there was nothing."""
    path.unlink(missing_ok=True)
