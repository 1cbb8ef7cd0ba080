"""Names of rules and targets, and the hash of what has no name."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import msgspec

from control.model.ref import Ref

_ENCODER = msgspec.json.Encoder(order="deterministic")


def parts(names: Sequence[str], part: str) -> list[str]:
    """The part of each rule: its name, or its index where it has none, or one that is a number or not unique."""
    if len(names) == 1:
        return [f"{part}{names[0]}" if names[0] and not names[0].isdecimal() else f"{part}0"]
    often = Counter(names)
    return [
        f"{part}{name}" if name and not name.isdecimal() and often[name] == 1 else f"{part}{index}"
        for index, name in enumerate(names)
    ]


def part_of(whole: Ref, part: str | None) -> Ref:
    """The ref of a part of an object; of the object itself without one."""
    return whole if part is None else Ref(whole.environment, whole.kind, whole.scope, whole.name, part)


def unique(candidates: Sequence[Sequence[str]]) -> list[str]:
    """One name for each of a list: the first of its candidates that no other one shares, else the last, numbered."""
    depth = max((len(c) for c in candidates), default=0)
    chosen: list[str | None] = [None] * len(candidates)
    for level in range(depth):
        at = [c[min(level, len(c) - 1)] for c in candidates]
        often = Counter(at)
        for index, name in enumerate(at):
            if chosen[index] is None and often[name] == 1 and name not in chosen:
                chosen[index] = name
        if None not in chosen:
            break
    return [name if name is not None else f"{candidates[i][-1]}~{i}" for i, name in enumerate(chosen)]


def fingerprint(content: object) -> str:
    """A short hash of decoded content, the same however it was spaced or ordered on the wire."""
    return hashlib.sha256(_ENCODER.encode(content)).hexdigest()[:12]
