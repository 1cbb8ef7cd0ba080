"""Journals of any size, made in one transaction: the chain as appending makes it, without one fsync an entry."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from control.contract.plans import plan_to_json, result_to_json
from control.journal.records import GENESIS
from control.journal.sqlite.chain import SqliteJournal
from control.model.ref import Ref
from control.planning.edit import Change, target_field
from control.planning.plan import (
    OnFailure,
    Plan,
    Proof,
    Result,
    ResultOutcome,
    Step,
    StepOutcome,
    StepResult,
    Verdict,
)
from control.ports import ProofPart, ProofState

EVERY_SECONDS = 300.0
"""One change every five minutes: 200,000 of them are about two years."""
_DIFF = "\n".join(
    [f" context line {number} of a native object" for number in range(24)] + ["-  weight: 50", "+  weight: 60"]
)


def fill(path: Path, changes: int, actor: str = "somebody@elsewhere", until: float | None = None) -> None:
    """Make a journal of so many closed changes of one route each, three entries a change; the last ended at `until`.
    Its index is left to whoever opens it, as after an update of the program."""
    SqliteJournal(path).append("note", "", {"actor": actor, "what": "began"})
    end = time.time() if until is None else until
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        seq, previous = connection.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        for at, kind, change, data in _records(changes, actor, end):
            seq += 1
            record = {"seq": seq, "at": at, "kind": kind, "change": change, "data": data}
            body = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            own = hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()
            connection.execute(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", (seq, own, previous, at, kind, change, body)
            )
            previous = own
    assert previous != GENESIS


def _records(changes: int, actor: str, end: float) -> Iterator[tuple[float, str, str, dict[str, Any]]]:
    part = ProofPart(ProofState.YES, "reading back shows it", 0.1)
    for number in range(changes):
        at = end - (changes - number) * EVERY_SECONDS
        change, plan = f"{number:06}-filled", _plan(number)
        step = StepResult(plan.steps[0].object, StepOutcome.APPLIED, None, None, Proof(part, part, part))
        result = result_to_json(Result(change, ResultOutcome.APPLIED, None, (step,)))
        process = {"pid": 1, "started": 1, "boot_id": ""}
        opened = {"actor": actor, "reason": "a ramp", "overrides": [], "plan": plan_to_json(plan), "process": process}
        yield at, "open", change, opened
        yield at + 1, "step", change, {"step": 0, "result": result["steps"][0]}
        yield at + 2, "close", change, {"result": result, "closes": True}


def _plan(number: int) -> Plan:
    """One route's weights, of a fleet of 500 routes; now and then a target is drained."""
    ref = Ref.parse(f"cluster-{number % 25}/HTTPRoute/inference/model-{number % 500:04}")
    to = 0 if number % 50 == 0 else 10 + number % 80
    moved = (Change(ref, target_field("v1", "weight"), 50, to), Change(ref, target_field("v2", "weight"), 50, 100 - to))
    step = Step(f"{ref}", ref.environment, moved, _DIFF, f"{number}/{number}")
    return Plan(f"p-{number:08x}", (step,), OnFailure.UNDO, Verdict.OK, reason="a ramp")
