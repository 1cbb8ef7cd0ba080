"""From edits to a plan: what will be written, in which order, what it leads to and what objects to it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from control.capacity import effective as capacity
from control.contract.plans import seal
from control.deck.config import DeckConfig, EnvironmentConfig
from control.errors import ControlError, Forbidden, InvalidValue, NotFound, UsageError
from control.fleet.inventory import Rows, find_row, rows_with, with_rows
from control.fleet.merging import carried
from control.fleet.services import headroom_line
from control.fleet.views import Inventory
from control.model import AccessState, Limit, Owner, Route, Weight
from control.model.graph import Graph
from control.model.ref import Ref
from control.own_secrets import strike
from control.planning.edit import Change, Edit, LimitEdit, SharesEdit
from control.planning.edits import resolve_limit, resolve_shares, resolve_states
from control.planning.fields import Row, flattened, same, show, value_of
from control.planning.guards import GuardView, judge, worst
from control.planning.options import PlanOptions
from control.planning.ordering import default_on_failure, ordered
from control.planning.plan import EffectiveChange, GuardResult, Plan, Step, Verdict
from control.ports import IDENTITY, Prepared
from control.structs import replace

Remembered = Callable[[Ref, str], Weight | None]
"""(route, target name) -> the weight that the journal has from before the target was drained."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a plan is made on: the rows as they are, just read where they are touched, and what the journal says."""

    deck: DeckConfig
    inventory: Inventory
    last_change_at: Mapping[Ref, float]
    now: float
    changes_unknown: str = ""
    """Why the journal cannot be asked, or not for all; then `last_change_at` is not all."""
    identities: Mapping[str, str] = field(default_factory=dict)
    """Of an undo: native object -> which one it was when the change that is undone wrote it."""

    def environment(self, name: str) -> EnvironmentConfig:
        config = self.deck.environment(name)
        if config is None:
            raise NotFound(f"there is no environment '{name}'", hint="the deck file names them")
        return config


# --- edits to changes -------------------------------------------------------------------------------------------------


def row_of(inventory: Inventory, ref: Ref) -> Row:
    """The row or member that `ref` names. Raises `NotFound`."""
    row = find_row(inventory, ref)
    if row is None:
        known = ref.environment in inventory.environments
        what = f"there is no {ref}" if known else f"{ref}: the deck file has no environment '{ref.environment}'"
        raise NotFound(what, ref=str(ref), hint="'trafficdeck get routes' and 'get limits' list what there is")
    return row


def resolve(edits: Sequence[Edit], inventory: Inventory, remembered: Remembered) -> list[Change]:
    """What the edits change, field by field, groups expanded to their members in the order of hosts."""
    changes: dict[tuple[Ref, str], Change] = {}
    for edit in edits:
        for change in _resolve_one(edit, inventory, remembered):
            known = changes.setdefault((change.ref, change.field), change)
            if known.after != change.after:
                raise UsageError(
                    f"two edits set {change.field} of {change.ref}: {show(known.after)} and {show(change.after)}",
                    ref=str(change.ref),
                    hint="keep one of them",
                )
    return list(changes.values())


def _resolve_one(edit: Edit, inventory: Inventory, remembered: Remembered) -> Iterable[Change]:
    row = row_of(inventory, edit.ref)
    for one in row.members or (row,):
        if not one.editable.yes:
            raise _not_editable(one, inventory)
        if isinstance(edit, LimitEdit):
            if not isinstance(one, Limit):
                raise UsageError(f"{edit.ref} is a route, not a limit", ref=str(edit.ref), hint="use 'set shares'")
            yield from resolve_limit(one, edit)
        elif not isinstance(one, Route):
            raise UsageError(f"{edit.ref} is a limit, not a route", ref=str(edit.ref), hint="use 'set limit'")
        elif isinstance(edit, SharesEdit):
            yield from resolve_shares(one, edit)
        else:
            yield from resolve_states(one, edit, partial(remembered, one.ref))


def _not_editable(row: Row, inventory: Inventory) -> ControlError:
    view = inventory.environments.get(row.ref.environment)
    by_role = view is not None and view.environment.access.state is AccessState.READ_ONLY_BY_ROLE
    kind = Forbidden if by_role else InvalidValue
    return kind(f"{row.ref} cannot be edited: {row.editable.reason}", ref=str(row.ref))


# --- changes to a plan ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outlook:
    """The rows before and after a whole plan: what guards and effective limits are computed on."""

    before: Mapping[Ref, Row]
    after: Mapping[Ref, Row]
    rows_after: Rows
    """The rows of the inventory after the plan, group rows among them."""


def outlook(situation: Situation, steps: Iterable[Prepared]) -> Outlook:
    """Where these steps lead, all of them done."""
    inventory = situation.inventory
    before = flattened((*inventory.routes.values(), *inventory.limits.values()))
    changed: dict[Ref, Row] = {}
    for step in steps:
        for route in step.routes_after:
            changed[route.ref] = carried(route, before[route.ref]) if route.ref in before else route
        for limit in step.limits_after:
            told = carried(limit, before[limit.ref]) if limit.ref in before else limit
            changed[limit.ref] = capacity.with_effective(told)
    routes, limits = rows_with(inventory, changed)
    after = {**flattened((*routes.values(), *limits.values())), **changed}
    return Outlook(before, after, (routes, limits))


def guards_of(
    step: Prepared, situation: Situation, ahead: Outlook, overrides: Iterable[str], is_undo: bool
) -> tuple[GuardResult, ...]:
    """What objects to one step in the state that the whole plan leads to; the platform's own warnings among it."""
    view = GuardView(
        situation.environment(step.environment),
        situation.deck,
        step.changes,
        ahead.before,
        ahead.after,
        situation.last_change_at,
        situation.now,
        is_undo,
        situation.changes_unknown,
        _recreated(step, situation),
    )
    warnings = tuple(GuardResult("platform", Verdict.WARN, text) for text in step.warnings)
    return (*judge(view, frozenset(overrides)), *warnings)


def _recreated(step: Prepared, situation: Situation) -> str:
    """Where an undo meets another object of the same name: it, in words."""
    was, now = situation.identities.get(step.object), step.recorded.get(IDENTITY)
    if was is None or now is None or was == now:
        return ""
    return f"{step.object} was deleted and made again since the change that is undone (uid {was}, now {now})"


def make_plan(
    prepared: Sequence[Prepared],
    situation: Situation,
    options: PlanOptions,
    undo_of: str | None = None,
    notes: Sequence[GuardResult] = (),
) -> Plan:
    """A plan of steps that adapters have made ready. `notes` are objections that belong to the plan as a whole."""
    ahead = outlook(situation, prepared)
    graph = Graph(situation.inventory.routes, situation.deck.services)
    steps = [
        _step(one, situation, ahead, options, undo_of is not None)
        for one in ordered(prepared, ahead.before, ahead.after, graph)
    ]
    if steps and notes:
        steps[0] = replace(steps[0], guards=(*notes, *steps[0].guards))
    plan = Plan(
        plan=f"p-{secrets.token_hex(4)}",
        steps=tuple(steps),
        on_failure=options.on_failure
        or default_on_failure(prepared, ahead.before, ahead.after, situation.inventory.routes.keys()),
        verdict=worst(guard for step in steps for guard in step.guards),
        undo_of=undo_of,
        headroom=_headroom(prepared, situation, ahead),
        reason=strike(options.reason),
        overrides=tuple(sorted(set(options.overrides))),
    )
    return seal(plan)


def _step(one: Prepared, situation: Situation, ahead: Outlook, options: PlanOptions, is_undo: bool) -> Step:
    return Step(
        object=one.object,
        environment=one.environment,
        changes=one.changes,
        diff=one.diff,
        base=one.base,
        owners=_owners(one, ahead),
        effective=_effective(one, ahead),
        guards=guards_of(one, situation, ahead, options.overrides, is_undo),
        loses=one.loses,
    )


def _owners(step: Prepared, ahead: Outlook) -> tuple[Owner, ...]:
    rows = [ahead.before[change.ref] for change in step.changes if change.ref in ahead.before]
    return tuple(dict.fromkeys(owner for row in rows for owner in row.owners))


def _effective(step: Prepared, ahead: Outlook) -> tuple[EffectiveChange, ...]:
    effective: list[EffectiveChange] = []
    for ref in dict.fromkeys(change.ref for change in step.changes):
        before, after = ahead.before.get(ref), ahead.after.get(ref)
        if not isinstance(before, Limit) or not isinstance(after, Limit):
            continue
        then = {binding.on: binding.effective for binding in after.bindings}
        effective.extend(
            EffectiveChange(binding.on, binding.effective, then.get(binding.on)) for binding in before.bindings
        )
    return tuple(effective)


def _headroom(prepared: Sequence[Prepared], situation: Situation, ahead: Outlook) -> tuple[str, ...]:
    """Lines on the services whose demand limit the plan touches: before, and after where it differs."""
    before = situation.inventory
    if not prepared or not before.services:
        return ()
    after = with_rows(situation.deck, before, ahead.rows_after)
    touched = {before.service_of.get(change.ref) for step in prepared for change in step.changes}
    lines: list[str] = []
    for name, service in before.services.items():
        then = after.services[name]
        was, will = headroom_line(name, service.headroom), headroom_line(name, then.headroom)
        if was != will:
            lines.append(f"{was} -> {will.removeprefix(f'{name}: D* ')}")
        elif name in touched:
            lines.append(f"{was}, unchanged")
    return tuple(lines)


def mismatches(changes: Iterable[Change], rows: Mapping[Ref, Row]) -> list[str]:
    """Where what is there is not what the changes start from, in words."""
    reasons = []
    for change in changes:
        row = rows.get(change.ref)
        now = value_of(row, change.field) if row is not None else None
        if not same(change.field, now, change.before):
            reasons.append(f"{change.field} of {change.ref} is {show(now)}, the plan starts from {show(change.before)}")
    return reasons
