"""The commands that change things: set, plan, apply, undo."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from pathlib import Path

from control.applying.outcomes import refused
from control.contract.plans import plan_document, result_document
from control.errors import ControlError, ErrorKind, InvalidValue, NotFound, Stale, UsageError
from control.fleet.filters import parse_filter
from control.fleet.views import Inventory
from control.model import TargetState
from control.model.ref import Ref
from control.plane import ControlPlane
from control.planning.edit import Change, Edit, LimitEdit, Share, SharesEdit, StateEdit, split_field
from control.planning.expressions import parse_limit, parse_shares, parse_states
from control.planning.options import ApplyOptions, PlanOptions
from control.planning.plan import OnFailure, Plan, Reason, Result, ResultOutcome, StepOutcome, StepResult, Verdict
from control.planning.planner import Remembered, resolve
from control.planning.saved_plans import StalePlan
from control.ports import ProofState
from tui.cli import tables
from tui.cli.arguments import Options
from tui.cli.emit import REFUSED, emit, exit_code, say
from tui.cli.stopping import stopping
from tui.cli.watching import progress
from tui.planfiles import read_plan_file, write_plan

PLANNED = 2
INTERRUPTED = 130
_UNCLEAR = (ResultOutcome.PARTLY_APPLIED, ResultOutcome.INTERRUPTED, ResultOutcome.ROLLED_BACK)
_SORTS = (
    ("in force", (StepOutcome.APPLIED, StepOutcome.IN_PROGRESS)),
    ("taken back", (StepOutcome.UNDONE,)),
    ("not taken back", (StepOutcome.UNDO_FAILED,)),
    ("failed", (StepOutcome.FAILED,)),
    ("not known", (StepOutcome.UNKNOWN,)),
    ("refused", (StepOutcome.REFUSED,)),
    ("never begun", (StepOutcome.NOT_STARTED,)),
)
_OUTCOMES = {ResultOutcome.ROLLED_BACK: 1, ResultOutcome.PARTLY_APPLIED: 1, ResultOutcome.INTERRUPTED: 1}


async def set_(plane: ControlPlane, options: Options) -> int:
    """`set shares|limit|state`."""
    edits = await _asked_for(plane, options)
    return await _planned(plane, options, await _plan(plane, options, edits))


async def plan(plane: ControlPlane, options: Options) -> int:
    """`plan EDITS.yaml`."""
    from control.planning.edit_file import parse_edits

    path = Path(options.file or "")
    edits = parse_edits(_text(path), str(path))
    return await _planned(plane, options, await _plan(plane, options, edits))


async def apply(plane: ControlPlane, options: Options) -> int:
    """`apply FILE`."""
    saved = await asyncio.to_thread(read_plan_file, Path(options.file or ""))
    try:
        fresh = await plane.replan(saved, options.override)
    except ControlError as error:
        return await _not_begun(plane, options, saved, error)
    for line in tables.computed_anew(saved, fresh):
        say(line)
    code = await _applied(plane, options, fresh)
    if code == REFUSED:
        command = _command(plane, options, saved, fresh)
        if command:
            say(f"this plan was made with overrides, and applying it asks for each again: {command}")
    return code


async def _not_begun(plane: ControlPlane, options: Options, saved: Plan, error: ControlError) -> int:
    """A saved plan that cannot be applied as it stands is a refused result, each step with its own reason."""
    if isinstance(error, StalePlan):
        reasons = {
            number: (error.kind, f"{error.by_object.get(step.object) or error.by_object['']} ({error.hint})")
            for number, step in enumerate(saved.steps)
            if step.object in error.by_object or "" in error.by_object
        }
        done = refused(saved, await _head(plane), reasons)
    else:
        done = await _refusal(plane, saved, error)
    _tell(done, stopped=False)
    _print(done, options.output)
    return exit_code(error.kind)


def _command(plane: ControlPlane, options: Options, saved: Plan, fresh: Plan) -> str:
    """What to type to apply a plan that only guards refuse that its maker overrode; "" where it takes more."""
    objecting = {g.name for step in fresh.steps for g in step.guards if g.verdict is Verdict.REFUSE}
    if not saved.overrides or objecting - set(saved.overrides):
        return ""
    words = ["trafficdeck", *(["--deck", options.deck] if options.deck else []), "apply", options.file or ""]
    words += [word for name in sorted(objecting | set(options.override)) for word in ("--override", name)]
    for step in fresh.steps:
        config = plane.deck.environment(step.environment)
        code = (config.code or config.name) if config is not None and config.production else None
        if code is not None and code not in words:
            words += ["--confirm", code]
    reason = options.reason or saved.reason
    return shlex.join([*words, *(["--reason", reason] if reason else [])]) + ("" if reason else " --reason TEXT")


async def undo(plane: ControlPlane, options: Options) -> int:
    """`undo [CHANGE]`."""
    made = await plane.undo_plan(options.change, overrides=options.override)
    if options.change is None and made.undo_of:
        say(f"this takes back change {made.undo_of}")
    return await _planned(plane, options, made)


# --- what is asked for ------------------------------------------------------------------------------------------------


async def _asked_for(plane: ControlPlane, options: Options) -> list[Edit]:
    if options.all is None:
        if not options.items:
            raise UsageError("no REF is given", hint=f"trafficdeck set {options.what} REF NAME=VALUE…")
        return [_edit(options, Ref.parse(options.items[0]), options.items[1:])]
    wanted = parse_filter(options.all.split())
    inventory = await plane.refresh()
    wanted.check(inventory, "limits" if options.what == "limit" else "routes")
    rows = inventory.limits.values() if options.what == "limit" else inventory.routes.values()
    refs = [row.ref for row in rows if wanted(row, inventory)]
    if not refs:
        raise NotFound(f"'{options.all}' matches nothing", hint=f"see: trafficdeck get {options.what}")
    say(f"{len(refs)} match: " + ", ".join(map(str, refs)))
    edits = [_edit(options, ref, options.items) for ref in refs]
    return _those_that_can(edits, inventory, plane.remembered, options.apply)


def _those_that_can(edits: Sequence[Edit], inventory: Inventory, remembered: Remembered, applies: bool) -> list[Edit]:
    """The edits that their rows can have. Every other one is named with its reason, and not the first alone.

    Raises `InvalidValue` where there is none, and where they would be applied at once: no script shall believe to have
    changed all that it named.
    """
    can: list[Edit] = []
    reasons: dict[str, list[str]] = {}
    for edit in edits:
        try:
            resolve([edit], inventory, remembered)
        except ControlError as error:
            reasons.setdefault(str(error), []).append(str(edit.ref))
        else:
            can.append(edit)
    if not reasons:
        return can
    refused = sum(map(len, reasons.values()))
    told = "; ".join(f"{', '.join(refs)}: {reason}" for reason, refs in reasons.items())
    message = f"{len(can)} of {len(edits)} can have it; {refused} not: {told}"
    if applies or not can:
        hint = "leave those out with filter words, for example !NAME or !env:NAME"
        raise InvalidValue(message, hint=f"{hint}; without --apply the plan of the others is shown" if can else hint)
    say(message)
    return can


def _edit(options: Options, ref: Ref, items: Sequence[str]) -> Edit:
    if options.what == "shares":
        return parse_shares(ref, items)
    if options.what == "limit":
        return parse_limit(ref, items)
    return parse_states(ref, items, options.persist)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}") from None


def edits_of(changes: Sequence[Change]) -> list[Edit]:
    """The edits that a saved plan's changes came from, so that more can be planned together with them."""
    edits: list[Edit] = []
    for ref in dict.fromkeys(change.ref for change in changes):
        own = [change for change in changes if change.ref == ref]
        shares = [(split_field(c.field), c.after) for c in own]
        weights = tuple(
            (name, Share(value) if what == "share" else value)  # type: ignore[arg-type]
            for (name, what), value in shares
            if what in ("weight", "share")
        )
        states = tuple(
            (name, value) for (name, _), value in shares if name is not None and isinstance(value, TargetState)
        )
        limit = {c.field: c.after for c in own if split_field(c.field)[0] is None}
        if weights:
            edits.append(SharesEdit(ref, weights))  # type: ignore[arg-type]
        if states:
            edits.append(StateEdit(ref, states, any(c.persist for c in own)))
        if limit:
            edits.append(
                LimitEdit(
                    ref,
                    amount=limit.get("amount"),  # type: ignore[arg-type]
                    window_seconds=limit.get("window"),  # type: ignore[arg-type]
                    burst=limit.get("burst"),  # type: ignore[arg-type]
                )
            )
    return edits


# --- plans ------------------------------------------------------------------------------------------------------------


async def _plan(plane: ControlPlane, options: Options, edits: Sequence[Edit]) -> Plan:
    chosen = PlanOptions(
        on_failure=OnFailure(options.on_failure) if options.on_failure else None,
        overrides=tuple(options.override),
        reason=options.reason,
        leave_out=frozenset(options.leave_out),
    )
    if options.add_to is None:
        return await plane.plan(edits, chosen)
    path = Path(options.add_to)
    saved = await asyncio.to_thread(read_plan_file, path)
    before = edits_of([change for step in saved.steps for change in step.changes])
    made = await plane.plan([*before, *edits], chosen)
    bases = {step.object: step.base for step in made.steps}
    for step in saved.steps:
        if bases.get(step.object, step.base) != step.base:
            raise Stale(f"{step.object} has changed since {path} was saved", hint="plan anew")
    return made


async def _planned(plane: ControlPlane, options: Options, made: Plan) -> int:
    """Save, show or apply a plan, as asked."""
    target = options.out or options.add_to
    if target is not None:
        await asyncio.to_thread(write_plan, Path(target), made, True)
        asked = "".join(f" --override {name}" for name in made.overrides)
        say(f"the plan is saved in {target}; do it with: trafficdeck apply {shlex.quote(target)}{asked}")
    if options.apply:
        return await _applied(plane, options, made)
    emit(plan_document(made), options.output, lambda: tables.plan(made))
    return PLANNED if made.steps else 0


async def _applied(plane: ControlPlane, options: Options, made: Plan) -> int:
    chosen = ApplyOptions(
        reason=options.reason or made.reason,
        confirmed=frozenset(options.confirm),
        overrides=tuple(options.override),
        on_failure=OnFailure(options.on_failure) if options.on_failure else None,
        wait=options.wait,
        timeout_seconds=options.timeout,
        require=options.require,
    )
    code, stop = None, asyncio.Event()
    with stopping(stop):
        try:
            done = await plane.apply(made, chosen, progress(options.progress), stop)
        except ControlError as error:
            code, done = exit_code(error.kind), await _refusal(plane, made, error)
            if not made.steps:
                say(str(error))
        _tell(done, stop.is_set())
        code = _code(done, options.require, stop.is_set()) if code is None else code
        _print(done, options.output)
    return code


def _print(done: Result, output: str) -> None:
    """The result on stdout. Where that takes nothing, stderr says so and what it is, and the exit code stays that of
    what was done: it is all that some callers get."""
    try:
        emit(result_document(done), output, lambda: tables.result(done))
    except OSError as error:
        why = error.strerror or str(error)
        say(f"the result could not be printed ({why}): change {done.change or '-'} is {done.outcome.value}")


async def _refusal(plane: ControlPlane, made: Plan, error: ControlError) -> Result:
    """A plan that could not begin is a refused result: stdout is one as soon as a plan exists."""
    reason, head = Reason(error.kind, str(error)), await _head(plane)
    steps = tuple(StepResult(step.object, StepOutcome.REFUSED, reason) for step in made.steps)
    return Result(None, ResultOutcome.REFUSED, head, steps)


async def _head(plane: ControlPlane) -> str | None:
    try:
        return await asyncio.to_thread(plane.journal.head)
    except ControlError:
        return None


def _tell(done: Result, stopped: bool) -> None:
    """The reasons on stderr, each once, and where not all went as planned what is in force and what is not."""
    reasons = [(step.object, step.reason.message) for step in done.steps if step.reason is not None]
    for name, message in dict.fromkeys(reasons):
        say(message if message.startswith(name) else f"{name}: {message}")
    if done.kept or done.outcome in _UNCLEAR or (stopped and not _whole(done)):
        say(summary(done))


def summary(done: Result) -> str:
    """What is in force of a change, what was taken back, what is not known, what never began, and what to do."""
    parts = []
    for words, outcomes in _SORTS:
        objects = [step.object for step in done.steps if step.outcome in outcomes]
        if objects:
            parts.append(f"{words}: {', '.join(objects)}")
    named = f"change {done.change} is {done.outcome.value}" if done.change else "nothing was written"
    if done.change and (done.kept or done.outcome in (ResultOutcome.PARTLY_APPLIED, ResultOutcome.INTERRUPTED)):
        parts.append(f"run: trafficdeck resolve {done.change}")
    return "; ".join([named, *parts])


def _whole(done: Result) -> bool:
    return all(step.outcome is StepOutcome.APPLIED for step in done.steps)


def _code(done: Result, require: str | None, stopped: bool) -> int:
    if stopped and not _whole(done):
        return INTERRUPTED
    if done.outcome is ResultOutcome.REFUSED:
        kinds = [step.reason.kind for step in done.steps if step.reason is not None]
        return max(map(exit_code, kinds), default=exit_code(ErrorKind.GUARD))
    code = 1 if done.kept else _OUTCOMES.get(done.outcome, 0)
    if code == 0 and require is not None and not all(_proven(step, require) for step in done.steps):
        say(f"not proved: --require {require} asks for more than was seen")
        return 1
    return code


def _proven(step: StepResult, require: str) -> bool:
    return step.proof is not None and getattr(step.proof, require).state is ProofState.YES
