"""`get`: lists of environments, routes, limits and services, and one route or limit."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any

from control.contract.documents import Item, List
from control.contract.rows import (
    environment_document,
    limit_document,
    list_document,
    route_document,
    service_document,
)
from control.errors import ControlError, NotFound, Unreachable, UsageError
from control.fleet.filters import Filter, parse_filter
from control.fleet.views import Inventory
from control.model import Limit, ReachState, Route
from control.model.ref import Ref
from control.plane import ControlPlane
from control.planning.fields import flattened
from control.structs import replace
from tui.cli.arguments import LISTS, Options
from tui.cli.emit import emit, say

INCOMPLETE = 4
LOOK_SECONDS = 1.0


async def get(plane: ControlPlane, options: Options) -> int:
    """`get environments|routes|limits|services [FILTER…]`, `get route REF`, `get limit REF`."""
    if options.what not in LISTS:
        return await _one(plane, options)
    words = [*options.items, *(word for label in options.labels for word in ("-l", label))]
    wanted = parse_filter(words) if words else None
    inventory = await _read(plane, None, _sample(options))
    if wanted is not None:
        wanted.check(inventory, options.what)
    rows: list[Any] = [
        row for row in getattr(inventory, options.what).values() if wanted is None or wanted(row, inventory)
    ]
    asked = inventory if wanted is None else _asked_for(inventory, wanted)
    emit(_list(rows, asked, options.what), options.output, lambda: _table(rows, inventory, options.what))
    for one in asked.unreached:
        say(f"{one.environment} could not be read: {one.why}")
    for one in asked.missing:
        say(f"{one.environment} lacks {one.why}")
    _tell_degraded(asked)
    return INCOMPLETE if asked.lacking else 0


def _asked_for(inventory: Inventory, wanted: Filter) -> Inventory:
    """Without what environments lack of which the filter lets no row through."""
    unreached = tuple(one for one in inventory.unreached if wanted.concerns(one.environment, inventory))
    missing = tuple(one for one in inventory.missing if wanted.concerns(one.environment, inventory))
    return replace(inventory, unreached=unreached, missing=missing)


def _tell_degraded(inventory: Inventory) -> None:
    """What else is wrong with environments that were reached."""
    told = {one.environment for one in inventory.missing}
    for view in inventory.environments.values():
        if view.environment.reach.state is ReachState.DEGRADED and view.environment.name not in told:
            say(f"{view.environment.name} was read in part: {view.environment.reach.why}")


async def _read(plane: ControlPlane, environments: list[str] | None, sample: float | None) -> Inventory:
    """Read, and count traffic once, or twice `sample` seconds apart."""
    if sample is None:
        return await plane.refresh(environments)
    await plane.refresh(environments)
    await plane.measure()
    if sample:
        await asyncio.sleep(sample)
    return await plane.measure()


def _sample(options: Options) -> float | None:
    """Traffic is counted where it was asked for, and for a person who looks at a list of it."""
    looked_at = options.output == "table" and options.what in ("routes", "services") and sys.stdout.isatty()
    return LOOK_SECONDS if options.sample is None and looked_at else options.sample


def _list(rows: list[Any], inventory: Inventory, what: str) -> List:
    now = time.time()
    items: Sequence[Item]
    if what == "routes":
        items = [route_document(row, inventory, now) for row in rows]
    elif what == "limits":
        items = [limit_document(row, now) for row in rows]
    elif what == "services":
        items = [service_document(row, now) for row in rows]
    else:
        items = [environment_document(row, now) for row in rows]
    ages = [view.read_at for view in inventory.environments.values() if view.read_at is not None]
    return list_document(items, inventory.lacking, round(now - min(ages), 3) if ages else None)


def _table(rows: list[Any], inventory: Inventory, what: str) -> str:
    from tui.cli import tables

    if not rows:
        return "nothing matches"
    if what == "routes":
        return tables.routes(rows, inventory)
    if what == "limits":
        return tables.limits(rows)
    return tables.services(rows) if what == "services" else tables.environments(rows)


async def _one(plane: ControlPlane, options: Options) -> int:
    if len(options.items) != 1:
        raise UsageError(f"get {options.what} takes one REF", hint=f"see: trafficdeck get {options.what}s")
    ref = Ref.parse(options.items[0])
    if plane.deck.environment(ref.environment) is None:
        raise NotFound(f"there is no environment '{ref.environment}'", ref=str(ref), hint="the deck file names them")
    counted = options.sample is not None
    inventory = await (_read(plane, [ref.environment], options.sample) if counted else plane.look_at(ref))
    rows = flattened([*inventory.routes.values(), *inventory.limits.values()])
    row = rows.get(ref)
    if row is None or isinstance(row, Route) != (options.what == "route"):
        raise _missing(ref, options.what, inventory)
    now = time.time()
    document = limit_document(row, now) if isinstance(row, Limit) else route_document(row, inventory, now)
    emit(document, options.output, lambda: _table_of_one(row, inventory))
    return 0


def _table_of_one(row: Route | Limit, inventory: Inventory) -> str:
    from tui.cli import tables

    return tables.limit(row) if isinstance(row, Limit) else tables.route(row, inventory)


def _missing(ref: Ref, what: str, inventory: Inventory) -> ControlError:
    """Why `ref` is not there: the error of its environment where that could not be read."""
    errors = {error.kind.value: error for error in ControlError.__subclasses__()}
    for one in inventory.unreached:
        if one.environment == ref.environment:
            error = errors.get(one.kind, Unreachable)
            return error(f"{one.environment} could not be read: {one.why}", ref=str(ref))
    view = inventory.environments.get(ref.environment)
    partly = view.environment.reach.why if view and view.environment.reach.state is not ReachState.OK else ""
    hint = f"{ref.environment} was read only in part: {partly}" if partly else f"see: trafficdeck get {what}s"
    return NotFound(f"there is no {what} {ref}", ref=str(ref), hint=hint)
