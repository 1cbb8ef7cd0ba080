"""`oncall` printed once: what is broken, where traffic goes against intent, what is throttled, full, and changed."""

from __future__ import annotations

import asyncio
import time

from control.contract.documents import Broken, Gap, Happened, LimitUse, OffIntent, OnCall, Unreachable
from control.errors import ControlError
from control.fleet.views import Inventory
from control.plane import ControlPlane
from tui.cli.arguments import Options
from tui.cli.emit import emit
from tui.risk import used_ratio
from tui.store import LimitRow, RouteRow, Store
from tui.views.oncall_lines import summary

SAMPLE_SECONDS = 1.0
NEARLY_FULL = 0.8
HOUR = 3600.0


async def oncall(plane: ControlPlane, options: Options) -> int:
    """Two samples a second apart, then the answers. 0 even where environments are out of reach: they are named."""
    await plane.refresh()
    await plane.measure()
    await asyncio.sleep(SAMPLE_SECONDS if options.sample is None else options.sample)
    inventory = await plane.measure()
    store = Store()
    store.update(inventory)
    try:
        store.set_history(await asyncio.to_thread(plane.changes, None, None, time.time() - HOUR))
    except ControlError as error:
        store.history_failed(error.message)
    emit(_document(store, inventory), options.output, lambda: summary(store))
    return 0


def _document(store: Store, inventory: Inventory) -> OnCall:
    now = time.time()
    rows = sorted(store.routes.values(), key=lambda row: -row.risk)
    everything: list[RouteRow | LimitRow] = [*rows, *store.limits.values()]
    ages = [view.read_at for view in inventory.environments.values() if view.read_at is not None]
    return OnCall(
        at=now,
        broken=[_problems(row) for row in everything if row.broken],
        off_intent=[_gap(row) for row in rows if row.seen and any(row.seen.significant.values())],
        throttled=[_limit(row) for row in store.limits.values() if row.limit.use.rejected_per_second],
        saturated=[_limit(row) for row in store.limits.values() if (used_ratio(row.limit) or 0) >= NEARLY_FULL],
        changes=_changes(store, now),
        changes_unknown=store.changes_unknown or None,
        unreachable=[Unreachable(one.environment, one.why) for one in inventory.lacking],
        age_seconds=round(now - min(ages), 3) if ages else None,
    )


def _changes(store: Store, now: float) -> list[Happened] | None:
    """Those of the last hour; null, and never an empty list, where the journal does not say."""
    recent = [
        Happened(change.at, change.who, change.what, change.outcome)
        for change in store.changes
        if now - change.at < HOUR
    ]
    return None if store.changes_unknown and not recent else recent


def _problems(row: RouteRow | LimitRow) -> Broken:
    return Broken(str(row.ref), row.service or None, [p.text for p in row.problems])


def _gap(row: RouteRow) -> OffIntent:
    assert row.seen is not None
    return OffIntent(
        ref=str(row.ref),
        service=row.service or None,
        targets=[
            Gap(
                name=target.name,
                set=target.share,
                seen=None if (seen := row.seen.shares.get(target.name)) is None else round(float(seen), 4),
                significant=row.seen.significant.get(target.name, False),
            )
            for target in row.route.targets
        ],
    )


def _limit(row: LimitRow) -> LimitUse:
    use, ratio = row.limit.use, used_ratio(row.limit)
    return LimitUse(
        ref=str(row.ref),
        service=row.service or None,
        key=list(row.limit.key),
        rejected_per_second=None if use.rejected_per_second is None else round(float(use.rejected_per_second), 3),
        used=None if ratio is None else round(float(ratio), 4),
    )
