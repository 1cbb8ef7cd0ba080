"""What is staged: edits that were typed and not sent. Kept as a draft file, so that a crash loses nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from msgspec import Struct

from control.errors import ControlError, InvalidValue
from control.model import Amount, Route, TargetState, Weight, exact
from control.model.ref import Ref
from control.model.shares import shares_of
from control.planning.edit import Edit, LimitEdit, Share, SharesEdit, StateEdit
from control.planning.edits import resolve_shares
from control.serialiser import from_text, to_text

HUNDRED = Fraction(100)


@dataclass(slots=True)
class RouteDraft:
    """The staged edits of one route. `after` is the share of each target that they lead to, for the bars."""

    after: dict[str, Fraction]
    weights: dict[str, Weight | Share] = field(default_factory=dict)
    states: dict[str, TargetState] = field(default_factory=dict)


def shares_now(route: Route) -> dict[str, Fraction]:
    """The share of each target as set; one that is not known counts as 0, so what is shown asks `unknown_share`."""
    return {target.name: target.share or Fraction(0) for target in route.targets}


def unknown_share(route: Route) -> str:
    """Why the split of a route is not known, in words; empty where it is."""
    strange = next((target for target in route.targets if target.native), None)
    if strange is not None:
        return f"the weight of {strange.name} is not understood: {strange.native}"
    unknown = next((t for t in route.targets if t.share is None and t.state is TargetState.ACTIVE), None)
    return f"the share of {unknown.name} is not known" if unknown is not None else ""


def check_known(route: Route) -> None:
    """Raise `InvalidValue` where shares cannot be moved about because they are not known: they are not 0."""
    why = unknown_share(route)
    if why:
        raise InvalidValue(why, hint="nothing can be added to it or taken from it; y shows the native text")


def step(
    route: Route, base: dict[str, Fraction], name: str, by: Fraction, locked: Iterable[str]
) -> dict[str, Fraction]:
    """Move `by` (a share) to `name` from the only other target, or from the largest ones that are not locked.

    Raises `InvalidValue` where nobody can give or take.
    """
    after = dict(base)
    wanted = min(max(after[name] + by, Fraction(0)), Fraction(1)) - after[name]
    locked = set(locked)
    others = [
        t.name for t in route.targets if t.name != name and t.name not in locked and t.state is TargetState.ACTIVE
    ]
    if name in locked:
        raise InvalidValue(f"{name} is locked", hint="L unlocks it")
    if not others:
        raise InvalidValue("there is no other target to take from or give to", hint="L unlocks a target")
    left = wanted
    for other in sorted(others, key=lambda n: -after[n]):
        change = min(left, after[other]) if left > 0 else left
        after[other] -= change
        after[name] += change
        left -= change
        if not left:
            break
    if after == base:
        raise InvalidValue("nothing can be moved that way", hint="the others are locked or at their end")
    return after


def even(route: Route) -> dict[str, Fraction]:
    """An even split over the active targets."""
    live = [t.name for t in route.targets if t.state is TargetState.ACTIVE]
    return {t.name: Fraction(1, len(live)) if t.name in live else Fraction(0) for t in route.targets}


def as_weights(route: Route, after: dict[str, Fraction]) -> dict[str, Weight | Share]:
    """What to ask for so that the shares become `after`, in the words of the command line: the targets that change,
    and all of them where the others cannot keep their native weights beside these.

    So the screen writes what `set shares` writes for the same split: the total stays where that can hold it, and no
    divisor is taken out. Raises `InvalidValue` with the nearest shares where the platform can hold it in no way.
    """
    now = shares_now(route)
    changed = {name: share for name, share in after.items() if share != now.get(name)}
    try:
        _check_shares(route, changed)
    except InvalidValue:
        changed = after
        _check_shares(route, changed)
    total = sum(
        (t.weight for t in route.targets if t.weight is not None and t.state is TargetState.ACTIVE), Fraction(0)
    )
    points = all((share * 100).denominator == 1 for share in changed.values())
    if total == HUNDRED and points and not route.grid.only_percent and route.grid.denominator is None:
        return {name: int(share * 100) for name, share in changed.items()}
    return {name: Share(share) for name, share in changed.items()}


def _check_shares(route: Route, shares: dict[str, Fraction]) -> None:
    """Raise `InvalidValue` where the route, or a member of its group, cannot hold these shares."""
    edit = SharesEdit(route.ref, tuple((name, Share(share)) for name, share in shares.items()))
    for one in route.members or (route,):
        resolve_shares(one, edit)


def natives_after(route: Route, weights: Mapping[str, Weight]) -> dict[str, Fraction]:
    """The share of each target where these native weights are set and the others stay."""
    shares = shares_of(
        [weights.get(t.name, t.weight) for t in route.targets], [t.state for t in route.targets], route.semantics
    )
    now = shares_now(route)
    return {t.name: now[t.name] if s is None else s for t, s in zip(route.targets, shares, strict=True)}


class Staging:
    """All staged edits, by the route or limit they are for, in the order in which they were made."""

    def __init__(self) -> None:
        self.routes: dict[Ref, RouteDraft] = {}
        self.limits: dict[Ref, LimitEdit] = {}
        self.locked: set[tuple[Ref, str]] = set()
        self.version = 0
        self.draft_file: Path | None = None

    def __len__(self) -> int:
        return len(self.routes) + len(self.limits)

    def __contains__(self, ref: object) -> bool:
        return ref in self.routes or ref in self.limits

    def after(self, route: Route) -> list[Fraction | None] | None:
        """The staged share of each target in order, or None where nothing is staged."""
        draft = self.routes.get(route.ref)
        return None if draft is None else [draft.after.get(t.name, t.share) for t in route.targets]

    # --- making edits

    def stage_step(self, route: Route, name: str, by: Fraction) -> None:
        """Move points to or from a target. Raises `InvalidValue` where the shares are not known."""
        check_known(route)
        draft = self.routes.get(route.ref)
        base = draft.after if draft else shares_now(route)
        locked = {target for ref, target in self.locked if ref == route.ref}
        self.stage_shares(route, step(route, base, name, by, locked))

    def stage_shares(self, route: Route, after: dict[str, Fraction]) -> None:
        """Stage these shares; back at what is set, the edit is gone."""
        draft = self.routes.get(route.ref) or RouteDraft({})
        draft.after, draft.weights = after, as_weights(route, after)
        self._keep(route.ref, draft)

    def stage_native(self, route: Route, name: str, weight: Weight) -> None:
        """Stage one native weight as it was typed, beside others that were typed before; a staged split gives way."""
        draft = self.routes.get(route.ref) or RouteDraft({})
        typed = {n: value for n, value in draft.weights.items() if not isinstance(value, Share)}
        natives = {**(typed if len(typed) == len(draft.weights) else {}), name: weight}
        draft.weights, draft.after = {**natives}, natives_after(route, natives)
        self._keep(route.ref, draft)

    def stage_typed(self, route: Route, weights: dict[str, Weight | Share], after: dict[str, Fraction]) -> None:
        """Stage several values as they were typed."""
        draft = self.routes.get(route.ref) or RouteDraft({})
        draft.weights, draft.after = weights, after
        self._keep(route.ref, draft)

    def stage_state(self, route: Route, name: str, state: TargetState) -> None:
        """Stage a state, and show where the traffic of a drained target would go."""
        draft = self.routes.get(route.ref) or RouteDraft(shares_now(route))
        target = route.target(name)
        if target is not None and target.state is state and name in draft.states:
            del draft.states[name]
        else:
            draft.states[name] = state
        out = {n for n, s in draft.states.items() if s is not TargetState.ACTIVE}
        rest = sum((s for n, s in shares_now(route).items() if n not in out), Fraction(0))
        if unknown_share(route):
            draft.after = {}
        elif not draft.weights:
            draft.after = {
                n: Fraction(0) if n in out else (s / rest if rest else Fraction(0))
                for n, s in shares_now(route).items()
            }
        self._keep(route.ref, draft)

    def _keep(self, ref: Ref, draft: RouteDraft) -> None:
        if draft.weights or draft.states:
            self.routes[ref] = draft
        else:
            self.routes.pop(ref, None)
        self._changed()

    def stage_limit(self, edit: LimitEdit) -> None:
        self.limits[edit.ref] = edit
        self._changed()

    def unstage(self, ref: Ref) -> bool:
        """Forget what is staged for one route or limit."""
        had = self.routes.pop(ref, None) is not None or self.limits.pop(ref, None) is not None
        if had:
            self._changed()
        return had

    def clear(self) -> None:
        self.routes.clear()
        self.limits.clear()
        self._changed()

    def toggle_lock(self, ref: Ref, name: str) -> bool:
        """Lock or unlock a target's share; returns whether it is locked now."""
        self.locked ^= {(ref, name)}
        self.version += 1
        return (ref, name) in self.locked

    # --- handing over

    def edits(self) -> list[Edit]:
        """Everything staged, as control takes it."""
        edits: list[Edit] = []
        for ref, draft in self.routes.items():
            if draft.weights:
                edits.append(SharesEdit(ref, tuple(draft.weights.items())))
            if draft.states:
                edits.append(StateEdit(ref, tuple(draft.states.items())))
        return [*edits, *self.limits.values()]

    def _changed(self) -> None:
        self.version += 1
        if self.draft_file is not None:
            save_draft(self.draft_file, self)


class KeptRoute(Struct, frozen=True):
    """The staged edits of one route in a draft file; weights as they are typed: `80`, `70%`."""

    after: dict[str, Fraction]
    weights: dict[str, str]
    states: dict[str, TargetState]


class KeptLimit(Struct, frozen=True):
    """The staged edits of one limit in a draft file."""

    ref: str
    amount: Amount | None
    window_seconds: Fraction | None
    burst: int | None
    factor: Fraction | None


class KeptDraft(Struct, frozen=True):
    """A draft file."""

    routes: dict[str, KeptRoute]
    limits: list[KeptLimit]


def save_draft(path: Path, staging: Staging) -> None:
    """Write the draft beside and rename, so that it is whole or not there. Failing to keep a draft stops nobody."""
    try:
        if not len(staging):
            path.unlink(missing_ok=True)
            return
        beside = path.with_suffix(".new")
        beside.write_bytes(to_text(_kept(staging)))
        beside.chmod(0o600)
        beside.replace(path)
    except (OSError, ValueError):
        return


def load_draft(path: Path, staging: Staging) -> int:
    """Stage what a draft file holds; returns how many. A file that cannot be read is left alone."""
    try:
        kept = from_text(path.read_bytes(), KeptDraft)
        routes = {Ref.parse(ref): _route_draft(item) for ref, item in kept.routes.items()}
        limits = {Ref.parse(item.ref): _limit_edit(item) for item in kept.limits}
    except (OSError, ValueError, ControlError):
        return 0
    staging.routes.update(routes)
    staging.limits.update(limits)
    staging.version += 1
    return len(staging)


def _kept(staging: Staging) -> KeptDraft:
    routes = {
        str(ref): KeptRoute(draft.after, {name: _typed(value) for name, value in draft.weights.items()}, draft.states)
        for ref, draft in staging.routes.items()
    }
    limits = [
        KeptLimit(str(edit.ref), edit.amount, edit.window_seconds, edit.burst, edit.factor)
        for edit in staging.limits.values()
    ]
    return KeptDraft(routes, limits)


def _route_draft(kept: KeptRoute) -> RouteDraft:
    return RouteDraft(kept.after, {name: _read(text) for name, text in kept.weights.items()}, kept.states)


def _limit_edit(kept: KeptLimit) -> LimitEdit:
    return LimitEdit(Ref.parse(kept.ref), kept.amount, kept.window_seconds, kept.burst, kept.factor)


def _typed(value: Weight | Share) -> str:
    return f"{value.value * 100}%" if isinstance(value, Share) else str(value)


def _read(text: str) -> Weight | Share:
    if text.endswith("%"):
        return Share(exact.fraction(text[:-1]) / 100)
    value = exact.fraction(text)
    return value.numerator if value.denominator == 1 else value
