"""What a journal is made of: numbered entries, each with the hash of the one before it, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from control.planning.plan import ResultOutcome

GENESIS = "0" * 64
"""The hash before the first entry."""


@dataclass(frozen=True, slots=True)
class Record:
    """What an entry says, whether or not the journal has it yet."""

    kind: str
    """`open`, `writing`, `step`, `undoing`, `close`, `resolve`, `note`."""
    at: float
    """Unix time."""
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of the journal, in its chain."""

    seq: int
    hash: str
    at: float
    """Unix time."""
    kind: str
    change: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Indexed:
    """One change as the journal's index has it: found without reading the chain."""

    number: int
    """Its number among all changes, from 1."""
    opened: int
    """The number of its opening entry."""
    change: str
    at: float
    actor: str
    undo_of: str | None
    closed: int | None
    """The number of the last entry that closed it, or opened it again."""
    outcome: ResultOutcome | None
    """None while it is open."""


@dataclass(frozen=True, slots=True)
class Verification:
    ok: bool
    entries: int
    head: str | None
    first_bad: int | None
    """The number of the first entry that does not fit; one past the last where the tail was cut off."""


def told(unknown: Sequence[tuple[int, str]]) -> str:
    """Records that are not understood, in words."""
    return "; ".join(f"entry {seq}: {why}" for seq, why in unknown)


def same_data(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two entries say the same; when it was noted does not count."""
    return bool(_bare(one) == _bare(other))


def _bare(data: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps({key: value for key, value in data.items() if key != "noted_at"}))
