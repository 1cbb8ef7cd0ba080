"""Printing: the result alone on stdout, everything told on the way on stderr."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TextIO

from control.errors import ControlError, ErrorKind
from control.serialiser import to_json, to_text
from control.text import clean_lines

if TYPE_CHECKING:
    from control.journal.log import Kept
    from control.planning.plan import HistoryItem, HistoryPage

REFUSED = 3
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]")
"""What JSON and YAML may hold raw and a terminal must not get: C1 controls, bidi and zero-width characters."""
_EXIT = {
    ErrorKind.GUARD: REFUSED,
    ErrorKind.STALE: REFUSED,
    ErrorKind.LOCKED: REFUSED,
    ErrorKind.READ_ONLY: REFUSED,
}


def exit_code(kind: ErrorKind) -> int:
    """The contract's exit code of an error."""
    return _EXIT.get(kind, 1)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def emit(document: Any, output: str, table: Callable[[], str]) -> None:
    """Print a document as `table`, `json` or `yaml`."""
    if output == "json":
        text = _UNSAFE.sub(_escaped, to_text(document).decode())
    elif output == "yaml":
        import yaml

        document = to_json(document)
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110).rstrip("\n")
        if _UNSAFE.search(text):
            text = yaml.safe_dump(document, sort_keys=False, allow_unicode=False, width=110).rstrip("\n")
    else:
        text = table().rstrip("\n")
    try:
        if text:
            sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError:
        _discard(sys.stdout)
        raise


def _discard(stream: TextIO) -> None:
    """Nothing more goes to a stream that takes nothing: what is left in it would fail once more at the end of the
    program, with an exit code of its own."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()


def say(text: str) -> None:
    """One sentence on stderr; what came from the command line may hold anything, so it is cleaned here. Where nobody
    can hear it, nothing happens: the exit code tells."""
    try:
        sys.stderr.write(f"trafficdeck: {clean_lines(text)}\n")
        sys.stderr.flush()
    except OSError:
        _discard(sys.stderr)


def fail(error: ControlError, output: str) -> int:
    """Tell an error where no plan came to be; returns the exit code."""
    where = f" [{error.ref}]" if error.ref and error.ref not in error.message else ""
    say(f"{error.message}{where}" + (f"\n  {error.hint}" if error.hint else ""))
    if output != "table":
        from control.contract.rows import error_document

        with contextlib.suppress(OSError):  # it is told on stderr, and by the exit code
            emit(error_document(error), output, lambda: "")
    return exit_code(error.kind)


def tell_kept(kept: Iterable[Kept], taken: Iterable[Kept]) -> None:
    """What every command says first where the journal lacks what came of a change, or has just been given it."""
    for one in taken:
        say(f"the journal has now been given what came of change {one.change}, which it could not take before")
    for one in kept:
        outcome = one.outcome
        came = f"what came of change {one.change} ({outcome.value})" if outcome else f"what is known of {one.change}"
        why = f", and cannot be read: {one.why}" if one.why else ""
        say(f"{came} is not in the journal, which could not take it: it is kept in {one.where}{why}")


def tell_interrupted(items: list[HistoryItem]) -> None:
    """What every command says first where a change was interrupted."""
    for item in items:
        objects = ", ".join(step.object for step in item.steps)
        say(
            f"change {item.change} by {item.actor} was interrupted on {objects}: what is true of it is not known\n"
            f"  run: trafficdeck resolve {item.change}"
        )


def tell_not_understood(page: HistoryPage) -> None:
    """Where a later version wrote records into the journal, what they say of changes is not known."""
    if page.not_understood:
        say(
            f"changes are not known in full: {page.not_understood} records of the journal are not understood by this "
            f"version ({page.why})\n  update trafficdeck; nothing is written until then"
        )


def colours() -> bool:
    """Whether a person looks at stdout in colour."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
