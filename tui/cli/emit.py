"""Printing: the result alone on stdout, everything told on the way on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from control.errors import ControlError, ErrorKind
from control.plan import HistoryItem

REFUSED = 3
_EXIT = {
    ErrorKind.GUARD: REFUSED,
    ErrorKind.STALE: REFUSED,
    ErrorKind.LOCKED: REFUSED,
    ErrorKind.READ_ONLY: REFUSED,
}


def exit_code(kind: ErrorKind) -> int:
    """The contract's exit code of an error."""
    return _EXIT.get(kind, 1)


def emit(document: Any, output: str, table: Callable[[], str]) -> None:
    """Print a result as `table`, `json` or `yaml`."""
    if output == "json":
        text = json.dumps(document, ensure_ascii=False, indent=2)
    elif output == "yaml":
        import yaml

        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110).rstrip("\n")
    else:
        text = table().rstrip("\n")
    if text:
        sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """One sentence on stderr."""
    sys.stderr.write(f"trafficdeck: {text}\n")
    sys.stderr.flush()


def fail(error: ControlError, output: str) -> int:
    """Tell an error where no plan came to be; returns the exit code."""
    where = f" [{error.ref}]" if error.ref and error.ref not in error.message else ""
    say(f"{error.message}{where}" + (f"\n  {error.hint}" if error.hint else ""))
    if output != "table":
        from control.shapes import error_to_json

        emit(error_to_json(error), output, lambda: "")
    return exit_code(error.kind)


def tell_interrupted(items: list[HistoryItem]) -> None:
    """What every command says first where a change was interrupted."""
    for item in items:
        objects = ", ".join(step.object for step in item.steps)
        say(
            f"change {item.change} by {item.actor} was interrupted on {objects}: what is true of it is not known\n"
            f"  run: trafficdeck resolve {item.change}"
        )


def colours() -> bool:
    """Whether a person looks at stdout in colour."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
