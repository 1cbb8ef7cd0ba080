"""Steps as control makes them: the objects of changes read anew, and the changes prepared on that."""

from __future__ import annotations

from collections.abc import Sequence

from control.errors import NotFound
from control.planning.edit import Change
from control.planning.fields import rows_of
from control.ports import Prepared, Reader


async def prepared(reader: Reader, changes: Sequence[Change]) -> list[Prepared]:
    """The steps of these changes on what is there now."""
    objects = [reader.object_of(change.ref) or await _found(reader, change) for change in changes]
    return reader.prepare(await reader.fetch(list(dict.fromkeys(objects))), changes)


async def _found(reader: Reader, change: Change) -> str:
    rows = rows_of(await reader.read())
    if change.ref not in rows:
        raise NotFound(f"there is no {change.ref}")
    return rows[change.ref].object
