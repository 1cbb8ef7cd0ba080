"""Plans as files: saved for a colleague, opened again."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from control.contract.plans import plan_document, read_plan
from control.errors import UsageError
from control.planning.plan import Plan
from control.serialiser import to_text

MOST_BYTES = 64 * 1024 * 1024
"""No plan is larger."""


def plan_text(plan: Plan) -> str:
    """What a saved plan holds, byte for byte."""
    return to_text(plan_document(plan)).decode() + "\n"


def write_plan(path: Path, plan: Plan, replace: bool = False) -> None:
    """Save a plan, readable by nobody else, whole or not at all. Raises `UsageError` where something is already there,
    with `replace` where that is not a plan itself; no link is followed."""
    try:
        _check_place(path, replace)
        if replace and os.path.lexists(path):
            beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            try:
                _write_new(beside, plan)
                _check_place(path, replace)
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
        else:
            _write_new(path, plan)
    except FileExistsError:
        raise UsageError(f"{path} is already there", hint="choose another name") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def _write_new(path: Path, plan: Plan) -> None:
    """Make a file that is not there yet, on disk when this returns; one that could not be written whole is removed."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(plan_text(plan).encode())
            file.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _check_place(path: Path, replace: bool) -> None:
    """Raises `UsageError` where a plan must not be put there."""
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(there.st_mode):
        raise UsageError(f"{path} is a link, which is not followed", hint="name the file itself")
    if not stat.S_ISREG(there.st_mode):
        raise UsageError(f"{path} is not a file", hint="choose another name")
    if not replace:
        raise UsageError(f"{path} is already there", hint="choose another name")
    try:
        read_plan_file(path)
    except UsageError:
        raise UsageError(
            f"{path} is already there and is not a saved plan: it stays as it is", hint="choose another name"
        ) from None


def read_plan_file(path: Path) -> Plan:
    """Read a saved plan. Raises `UsageError` for a file that is none."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise UsageError(f"{path} is too large for a plan")
        return read_plan(data.decode("utf-8"), str(path))
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}") from error
