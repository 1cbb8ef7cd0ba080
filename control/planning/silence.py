"""A plan over several environments is not hostage to one that does not answer: it is named, and can be left out."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from typing import TypeVar

from control.errors import ControlError, ErrorKind, Silent, UsageError
from control.planning.edit import Edit

T = TypeVar("T")
SILENCE = frozenset({ErrorKind.UNREACHABLE, ErrorKind.AUTH})
"""No answer, or none to us: it may be otherwise in a moment, and says nothing against the rest of a plan."""


async def from_environment(environment: str, job: Awaitable[T]) -> T:
    """What `job` gives; its failure knows which environment it is of."""
    try:
        return await job
    except ControlError as error:
        error.environment = error.environment or environment
        raise


def kept(edits: Sequence[Edit], leave_out: Collection[str]) -> list[Edit]:
    """The edits of the other environments. Raises `UsageError` where there are none."""
    left = [edit for edit in edits if edit.ref.environment not in leave_out]
    if edits and not left:
        raise UsageError(f"nothing is left to plan without {', '.join(sorted(leave_out))}")
    return left


def blocked(error: ControlError, edits: Sequence[Edit], silent_too: Collection[str]) -> ControlError:
    """The same failure, or, where one environment's silence blocks the edits of others, which it is and the way round.

    `silent_too` are environments that did not answer when they were last read.
    """
    planned = list(dict.fromkeys(edit.ref.environment for edit in edits))
    if error.kind not in SILENCE or error.environment not in planned or len(planned) < 2:
        return error
    silent = [name for name in planned if name == error.environment or name in silent_too]
    if len(silent) == len(planned):
        return error
    own = sum(edit.ref.environment in silent for edit in edits)
    rest = len(edits) - own
    names = ", ".join(silent)
    one = len(silent) == 1
    message = (
        f"{names} {'does' if one else 'do'} not answer, and {'its' if one else 'their'} "
        f"{own} {'edit' if own == 1 else 'edits'} would hold up {rest} of other environments: {error.message}"
    )
    options = " ".join(f"--leave-out {name}" for name in silent)
    return Silent(message, silent, ref=error.ref, hint=f"plan the others without {'it' if one else 'them'}: {options}")
