"""Every error that a person or a script may meet, by the kinds of the command-line contract."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from control.own_secrets import strike


class ErrorKind(StrEnum):
    """The `kind` of an error object on stdout (design.md, command line contract)."""

    USAGE = "usage"
    DECK = "deck"
    NOT_FOUND = "not_found"
    UNREACHABLE = "unreachable"
    AUTH = "auth"
    FORBIDDEN = "forbidden"
    GUARD = "guard"
    STALE = "stale"
    LOCKED = "locked"
    READ_ONLY = "read_only"
    INVALID_VALUE = "invalid_value"
    JOURNAL = "journal"
    PLATFORM = "platform"


class ControlError(Exception):
    """An expected failure, told in one sentence: what, where, and what to do.

    `message` says what went wrong and where; `hint` what to do about it; `ref` names the object, if there is one.
    Texts that came from a platform must have been cleaned (`control.text.clean`) before they get here. Our own
    credentials are struck from both, whoever echoed them.
    """

    kind: ErrorKind = ErrorKind.PLATFORM

    def __init__(self, message: str, *, ref: str | None = None, hint: str | None = None) -> None:
        message = strike(message, in_error=True)
        super().__init__(message)
        self.message = message
        self.ref = ref
        self.hint = None if hint is None else strike(hint, in_error=True)
        self.environment = ""
        """Where it came from, as far as whoever asked several environments has noted it."""

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(ControlError):
    """The command or expression itself is wrong."""

    kind = ErrorKind.USAGE


class DeckError(ControlError):
    """The deck file is wrong; the message names file and line."""

    kind = ErrorKind.DECK


class NotFound(ControlError):
    """A reference to nothing."""

    kind = ErrorKind.NOT_FOUND


class Unreachable(ControlError):
    """The platform gave no answer in time. After a write this leaves the outcome unknown until read back."""

    kind = ErrorKind.UNREACHABLE


class Silent(Unreachable):
    """A plan over several environments of which some give no answer: the message names them."""

    def __init__(self, message: str, environments: Sequence[str], *, ref: str | None = None, hint: str | None = None):
        super().__init__(message, ref=ref, hint=hint)
        self.environments = tuple(environments)


class AuthError(ControlError):
    """The identity is not accepted: expired token, unknown host key, passphrase not to be had."""

    kind = ErrorKind.AUTH


class Forbidden(ControlError):
    """The identity is accepted and lacks a right; the message names it."""

    kind = ErrorKind.FORBIDDEN


class GuardRefused(ControlError):
    """A guard refused the plan."""

    kind = ErrorKind.GUARD


class Stale(ControlError):
    """The object is no longer what the plan was made on. Nothing was written."""

    kind = ErrorKind.STALE


class Locked(ControlError):
    """Somebody else holds the lock of the object or of the journal."""

    kind = ErrorKind.LOCKED


class ReadOnly(ControlError):
    """A write was asked for where none may happen."""

    kind = ErrorKind.READ_ONLY


class InvalidValue(ControlError):
    """A value that the platform cannot hold or that makes no sense; the hint names the nearest ones."""

    kind = ErrorKind.INVALID_VALUE


class JournalError(ControlError):
    """The journal is corrupt, newer than this program or cannot be written."""

    kind = ErrorKind.JOURNAL


class PlatformError(ControlError):
    """The platform refused or misbehaved in a way that has no kind of its own."""

    kind = ErrorKind.PLATFORM
