"""Changes beside the objects that they are planned on."""

from __future__ import annotations

from collections.abc import Sequence

from control.errors import NotFound
from control.model.ref import Ref
from control.planning.edit import Change
from control.ports import Fetched
from control.text import clean


def by_object(fetched: Sequence[Fetched], changes: Sequence[Change]) -> list[tuple[Ref, Fetched, list[Change]]]:
    """Each native object with the changes to it, in the order in which the objects are first named, for platforms whose
    rows are named after their objects. Raises `NotFound` for one that was not fetched."""
    known = {one.object: one for one in fetched}
    grouped: dict[Ref, list[Change]] = {}
    for change in changes:
        grouped.setdefault(change.ref.whole, []).append(change)
    for ref in grouped:
        if str(ref) not in known:
            raise NotFound(f"{clean(str(ref))} is not among what was read", ref=str(ref))
    return [(ref, known[str(ref)], own) for ref, own in grouped.items()]
