"""Plans as files: saved for a colleague, opened again."""

from __future__ import annotations

import json
from pathlib import Path

from control.errors import UsageError
from control.plan import Plan
from control.planshapes import plan_to_json, read_plan


def plan_text(plan: Plan) -> str:
    """What a saved plan holds, byte for byte."""
    return json.dumps(plan_to_json(plan), indent=2, ensure_ascii=False) + "\n"


def write_plan(path: Path, plan: Plan) -> None:
    """Save a plan. Raises `UsageError` where the file is already there or cannot be written."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(plan_text(plan))
    except FileExistsError as error:
        raise UsageError(f"{path} is already there", hint="choose another name") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def read_plan_file(path: Path) -> Plan:
    """Read a saved plan. Raises `UsageError` for a file that is none."""
    try:
        return read_plan(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not text'}") from error
