"""An in-memory control plane for tests of the screen: it reads, plans and applies over a generated fleet.

`small()` is a fleet with one of everything that the screen must show; `large(routes, limits)` is for benchmarks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from fractions import Fraction
from pathlib import Path

from control.deck.config import DeckConfig, EnvironmentConfig
from control.errors import InvalidValue, NotFound, ReadOnly, Stale
from control.fleet.views import EnvironmentView, Headroom, Inventory, Seen, ServiceView, Unreached
from control.journal.log import Kept
from control.model import (
    Access,
    AccessState,
    Binding,
    Burst,
    Domain,
    Effective,
    Environment,
    Grid,
    Health,
    Interval,
    Limit,
    Measure,
    Outside,
    OverLimit,
    Owner,
    OwnerRole,
    Reach,
    ReachState,
    Route,
    Semantics,
    Special,
    Target,
    TargetState,
    Traffic,
    Use,
    Window,
    WindowKind,
)  # fmt: skip
from control.model.ref import Ref
from control.planning.edit import Change, Edit, LimitEdit, Share, SharesEdit, StateEdit
from control.planning.fields import FieldKey, UndoField, value_of
from control.planning.options import ApplyOptions, PlanOptions
from control.planning.plan import (
    EffectiveChange,
    GuardResult,
    HistoryItem,
    HistoryPage,
    HistoryStep,
    OnFailure,
    Plan,
    Progress,
    Proof,
    Result,
    ResultOutcome,
    Step,
    StepOutcome,
    StepResult,
    Verdict,
)  # fmt: skip
from control.planning.saved_plans import check_same
from control.ports import NativeText, ProofPart, ProofState
from control.structs import replace
from tui.session import Session

KINDS = {"kubernetes": "HTTPRoute", "ssh": "HAProxyBackend", "serverless": "LambdaAlias"}
YES, HUNDRED = ProofState.YES, 100
DEFAULTS, NO_OPTIONS = PlanOptions(), ApplyOptions()


def environment(name: str, platform: str, production: bool = False, reach: Reach | None = None) -> Environment:
    return Environment(
        name, platform, (("region", "eu"),), production, "eu" if production else None, "alice@deck", reach or Reach(),
        Access(AccessState.WRITABLE),
    )  # fmt: skip


def route(env: str, platform: str, name: str, weights: Sequence[int], **more: object) -> Route:
    ref = Ref(env, KINDS[platform], "inference", name)
    total = sum(weights) or 1
    targets = tuple(
        Target(f"{name}-v{i + 1}", weight, Fraction(weight, total), health=Health.UP, health_detail="6/6")
        for i, weight in enumerate(weights)
    )
    made = Route(
        ref, platform, name, Semantics.PROPORTIONAL, Grid(), targets, str(ref), "base-1", time.time(),
        matches=("PathPrefix /v1/chat",), states=frozenset(TargetState), location="spec.rules[0].backendRefs",
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def limit(env: str, platform: str, name: str, rate: int, on: Route | None = None, **more: object) -> Limit:
    ref = Ref(env, "Middleware", "inference", name)
    effective = Effective(
        Fraction(rate), Fraction(2 * rate), Interval(Fraction(rate), Fraction(2 * rate)), "requests",
        Fraction(1), "source address", "2 replicas from the deck file, each counts for itself",
    )  # fmt: skip
    bindings = (
        Binding(str(on.ref), OverLimit(status=429), Domain("instance", Interval(Fraction(1), Fraction(2)), "deck file"),
                effective=effective),
    ) if on else ()  # fmt: skip
    made = Limit(
        ref, platform, name, Measure.REQUESTS, Fraction(rate), str(ref), "base-1", time.time(),
        Window(WindowKind.BUCKET, Fraction(1)), Burst(2 * rate, Fraction(2 * rate)), key=("source address",),
        over=OverLimit(status=429), bindings=bindings, fields=frozenset({"amount", "window", "burst"}),
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


def seen(of: Route, rps: int, errors: Fraction = Fraction(0), throttled: Fraction = Fraction(0), off: int = 0) -> Seen:
    """As set, but `off` points less for the first target."""
    shares = {target.name: target.share or Fraction(0) for target in of.targets}
    if off and len(of.targets) > 1:
        shares[of.targets[0].name] -= Fraction(off, 100)
        shares[of.targets[1].name] += Fraction(off, 100)
    traffic = Traffic(Fraction(rps), errors, throttled, Fraction(19, 10), 60.0, time.time(), "fake")
    return Seen(traffic, shares, rps * 60, dict.fromkeys(shares, off > 5))


class FakePlane:
    """A `ControlPlane` double. Applying changes the fleet, after a moment for each stage."""

    def __init__(self, deck: DeckConfig, fleet: Inventory, *, writable: bool = False) -> None:
        self.deck = deck
        self.fleet = fleet
        self.writable = writable
        self.shared: dict[str, object] = {"inventory": fleet, "history": []}
        self.changed = asyncio.Event()
        self.observing: asyncio.Queue[ProofPart] = asyncio.Queue()
        self.applied: list[tuple[Plan, ApplyOptions]] = []
        self.stage_seconds = 0.0

    @property
    def inventory(self) -> Inventory:
        return self.shared["inventory"]  # type: ignore[return-value]

    def put(self, inventory: Inventory) -> None:
        """A new inventory, as a watch would bring it."""
        self.shared["inventory"] = inventory
        self.changed.set()

    @property
    def read_only(self) -> bool:
        return not self.writable

    def armed(self) -> FakePlane:
        other = FakePlane(self.deck, self.fleet, writable=True)
        other.shared, other.changed, other.applied = self.shared, self.changed, self.applied
        other.stage_seconds = self.stage_seconds
        return other

    async def refresh(self, environments: Sequence[str] | None = None, deadline_seconds: float = 15.0) -> Inventory:
        return self.inventory

    async def watch(self) -> AsyncIterator[Inventory]:
        yield self.inventory
        while True:
            await self.changed.wait()
            self.changed.clear()
            yield self.inventory

    async def native(self, ref: Ref) -> NativeText:
        return NativeText(str(ref), "yaml", f"kind: {ref.kind}\nmetadata:\n  name: {ref.name}\nspec: {{}}")

    async def edits_of(self, ref: Ref, original: str, text: str) -> list[Edit]:
        """`weight: N` after the original text is an edit of the first target; `wrong` is refused."""
        added = text.removeprefix(original).strip()
        if added.endswith("wrong"):
            raise InvalidValue("line 5: 'wrong' cannot be changed here")
        weight = added.rpartition("weight: ")[2]
        route = self.inventory.routes[ref]
        return [SharesEdit(ref, ((route.targets[0].name, int(weight)),))] if weight else []

    # --- planning and applying

    def _changes(self, edit: Edit) -> list[Change]:
        if isinstance(edit, LimitEdit):
            now = self.inventory.limits[edit.ref]
            amount = edit.amount if edit.amount is not None else now.amount
            if edit.factor is not None and isinstance(amount, Fraction):
                amount *= edit.factor
            return [Change(edit.ref, "amount", now.amount, amount)]
        row = self.inventory.routes[edit.ref]
        changes = []
        if isinstance(edit, SharesEdit):
            for name, value in edit.shares:
                weight = value.value * HUNDRED if isinstance(value, Share) else value
                target = row.target(name)
                assert target is not None
                changes.append(Change(edit.ref, f"targets/{name}/weight", target.weight, int(weight)))
        elif isinstance(edit, StateEdit):
            for name, state in edit.states:
                target = row.target(name)
                assert target is not None
                changes.append(Change(edit.ref, f"targets/{name}/state", target.state, state))
        return changes

    async def plan(self, edits: Sequence[Edit], options: PlanOptions = DEFAULTS) -> Plan:
        steps = []
        for edit in edits:
            changes = tuple(self._changes(edit))
            lines = [f"-  {c.field}: {c.before}\n+  {c.field}: {c.after}" for c in changes]
            row = self.inventory.routes.get(edit.ref)
            owners = row.owners if row else ()
            guards = [GuardResult("zero_sum", Verdict.OK, ""), GuardResult("last_healthy", Verdict.OK, "")]
            if owners:
                guards.append(GuardResult("declared", Verdict.WARN, "argocd/llm will revert this at its next sync"))
            effective: tuple[EffectiveChange, ...] = ()
            found = self.inventory.limits.get(edit.ref)
            if found and found.bindings and found.bindings[0].effective:
                before = found.bindings[0].effective
                after = replace(before, low=before.low / 2 if before.low else None)
                effective = (EffectiveChange(found.bindings[0].on, before, after),)
            steps.append(
                Step(str(edit.ref), edit.ref.environment, changes, "\n".join(["@@ spec", *lines]), "base-1",
                     tuple(owners), effective, tuple(guards))
            )  # fmt: skip
        verdict = Verdict.WARN if any(g.verdict is Verdict.WARN for s in steps for g in s.guards) else Verdict.OK
        return Plan("7f3a", tuple(steps), OnFailure.UNDO, verdict, headroom=("llama: 133 -> 200 rps, lb binds",),
                    reason=options.reason)  # fmt: skip

    def _item(self, change: str | None) -> HistoryItem:
        items: list[HistoryItem] = self.shared["history"]  # type: ignore[assignment]
        item = next((i for i in items if change in (None, i.change)), None)
        if item is None:
            raise NotFound("alice@deck has no change to undo", hint="name one: 'trafficdeck history' lists them")
        return item

    async def undo_fields(self, change: str | None = None) -> list[UndoField]:
        rows = {**self.inventory.routes, **self.inventory.limits}
        return [
            UndoField(c.ref, c.field, c.before, c.after, value_of(rows[c.ref], c.field))
            for step in self._item(change).steps
            for c in step.changes
        ]

    async def replan(self, saved: Plan, overrides: Sequence[str] = ()) -> Plan:
        from tui.cli.changing import edits_of

        edits = edits_of([change for step in saved.steps for change in step.changes])
        fresh = await self.plan(edits, PlanOptions(overrides=tuple(overrides), reason=saved.reason))
        return check_same(saved, fresh)

    async def undo_plan(
        self, change: str | None = None, foreign_too: Collection[FieldKey] = (), overrides: Sequence[str] = ()
    ) -> Plan:
        item = self._item(change)
        foreign = [f for f in await self.undo_fields(change) if f.foreign and f.key not in foreign_too]
        if foreign:
            raise Stale(f"{foreign[0].field} of {foreign[0].ref} is {foreign[0].now} now", hint="set what you want")
        steps = tuple(
            Step(s.object, Ref.parse(s.object).environment,
                 tuple(Change(c.ref, c.field, c.after, c.before) for c in s.changes), "@@ back", "base-1")
            for s in item.steps
        )  # fmt: skip
        return Plan("back", steps, OnFailure.UNDO, Verdict.OK, undo_of=item.change)

    async def apply(
        self,
        plan: Plan,
        options: ApplyOptions = NO_OPTIONS,
        progress: Callable[[Progress], Awaitable[None]] | None = None,
        stop: asyncio.Event | None = None,
    ) -> Result:
        if not self.writable:
            raise ReadOnly("this session is read-only")
        self.applied.append((plan, options))
        results = []
        for number, step in enumerate(plan.steps):
            for stage in ("journaled", "written", "read_back", "loaded", "observed"):
                await asyncio.sleep(self.stage_seconds)
                if progress is not None:
                    await progress(Progress(stage, number, step.object, time.time()))
            self._write(step.changes)
            proof = Proof(ProofPart(YES, "generation 8", 0.1), ProofPart(YES, "2 of 2 replicas", 0.4),
                          ProofPart(ProofState.WAITING_FOR_TRAFFIC, "31 of 400 requests"))  # fmt: skip
            results.append(StepResult(step.object, StepOutcome.APPLIED, proof=proof))
        steps = tuple(HistoryStep(s.object, s.changes) for s in plan.steps)
        history: list[HistoryItem] = self.shared["history"]  # type: ignore[assignment]
        change = f"c{len(history) + 1}"
        reason = options.reason or plan.reason
        history[:] = [replace(item, undone_by=change) if item.change == plan.undo_of else item for item in history]
        history.insert(0, HistoryItem(change, time.time(), "alice@deck", reason, ResultOutcome.APPLIED, None, steps))
        return Result(change, ResultOutcome.APPLIED_UNPROVEN, "9c1e77aa", tuple(results))

    async def observe_on(self, step: Step) -> AsyncIterator[ProofPart]:
        """The answers that a test puts into `observing`, each as soon as it is there; one with seconds is the last."""
        while True:
            part: ProofPart = await self.observing.get()
            yield part
            if part.seconds is not None:
                return

    def _write(self, changes: Sequence[Change]) -> None:
        routes, limits = dict(self.inventory.routes), dict(self.inventory.limits)
        for change in changes:
            if change.ref in limits and isinstance(change.after, Fraction | Special):
                limits[change.ref] = replace(limits[change.ref], amount=change.after)
            if change.ref not in routes:
                continue
            row, name = routes[change.ref], change.field.split("/")[1]
            what = "state" if change.field.endswith("/state") else "weight"
            targets = [replace(t, **{what: change.after}) if t.name == name else t for t in row.targets]  # type: ignore[arg-type]
            total = sum(t.weight or 0 for t in targets if t.state is TargetState.ACTIVE) or 1
            routes[change.ref] = replace(row, targets=tuple(
                replace(t, share=Fraction(t.weight or 0) / total if t.state is TargetState.ACTIVE else Fraction(0))
                for t in targets
            ))  # fmt: skip
        self.put(replace(self.inventory, version=self.inventory.version + 1, routes=routes, limits=limits))

    def kept(self) -> list[Kept]:
        return []

    def history(self) -> list[HistoryItem]:
        return list(self.shared["history"])  # type: ignore[call-overload]

    def changes(self, limit: int | None = None, before: str | None = None, since: float | None = None) -> HistoryPage:
        items = self.history()
        if before is not None:
            items = items[[item.change for item in items].index(before) + 1 :]
        if since is not None:
            items = [item for item in items if item.at >= since]
        return HistoryPage(tuple(items[:limit]), len(items) - len(items[:limit]))

    def changes_mark(self) -> object:
        return tuple(self.history())

    async def resolve(self, change: str | None = None) -> list[Result]:
        return []

    async def close(self) -> None:
        return None


def inventory_of(
    environments: Sequence[Environment], routes: Sequence[Route], limits: Sequence[Limit], measured: dict[Ref, Seen],
    services: dict[str, Sequence[Route]],
) -> Inventory:  # fmt: skip
    now = time.time()
    of = {row.ref: name for name, rows in services.items() for row in rows}
    views = {
        name: ServiceView(
            name, tuple(row.ref for row in rows), None,
            tuple((row.environment, Fraction(1, len(rows)), "measured") for row in rows),
            Headroom(Interval.exactly(133), rows[0].environment,
                     tuple((row.environment, Interval.exactly(120), Fraction(1, len(rows))) for row in rows),
                     "limits of two platforms"), now)
        for name, rows in services.items()
    }  # fmt: skip
    bound: dict[Ref, list[Ref]] = {}
    for one in limits:
        for binding in one.bindings:
            bound.setdefault(Ref.parse(binding.on), []).append(one.ref)
    return Inventory(
        1,
        {e.name: EnvironmentView(e, sum(r.environment == e.name for r in routes), 0,
                                 now - (94 if e.reach.state is ReachState.UNREACHABLE else 2)) for e in environments},
        {r.ref: r for r in routes},
        {one.ref: one for one in limits},
        views, of, measured, {ref: tuple(refs) for ref, refs in bound.items()},
        tuple(Unreached(e.name, e.reach.why, "unreachable") for e in environments
              if e.reach.state is ReachState.UNREACHABLE),
        outside=(Outside(now - 600, "argocd", f"{routes[0].ref}" if routes else "-", "synced", "managedFields"),),
    )  # fmt: skip


def small() -> Inventory:
    k8s, vm, fn = "kubernetes", "ssh", "serverless"
    environments = [
        environment("prod-eu", k8s, production=True),
        environment("lb", vm),
        environment("fn", fn),
        environment("old", vm, reach=Reach(ReachState.UNREACHABLE, "no answer in 5 s")),
    ]
    gateway = route("prod-eu", k8s, "llm-gw", (80, 20), owners=(
        Owner("argocd", "llm", OwnerRole.DECLARED, "annotation", True, 180.0, "the Git repository"),))  # fmt: skip
    sick = replace(gateway.targets[1], health=Health.DOWN, health_detail="3/4")
    gateway = replace(gateway, targets=(gateway.targets[0], sick))
    edge = route("lb", vm, "llm-edge", (50, 30, 20))
    chat = route("fn", fn, "chat-v2", (50, 50))
    embed = route("lb", vm, "embed", (100,))
    vision = route("old", vm, "vision", (90, 10))
    strict = limit("prod-eu", k8s, "per-client", 100, gateway,
                   use=Use(Fraction(97), Fraction(12), time.time()))  # fmt: skip
    wide = limit("lb", vm, "edge-rate", 400, edge, use=Use(Fraction(120), Fraction(0), time.time()))
    free = limit("fn", fn, "reserved", 64, chat, amount=Special.UNLIMITED, bindings=())
    measured = {
        gateway.ref: seen(gateway, 412, Fraction(31, 1000), off=9),
        edge.ref: seen(edge, 301),
        chat.ref: seen(chat, 88),
        embed.ref: seen(embed, 1200, throttled=Fraction(11, 100)),
    }
    services = {"llama": [gateway, edge, chat], "embedding": [embed]}
    return inventory_of(environments, [gateway, edge, chat, embed, vision], [strict, wide, free], measured, services)


def large(routes: int = 2000, limits: int = 3000) -> Inventory:
    platforms = list(KINDS)
    environments = [environment(f"env-{i:02}", platforms[i % 3], production=i % 5 == 0) for i in range(25)]
    made = []
    for i in range(routes):
        e = environments[i % 25]
        made.append(route(e.name, e.platform, f"model-{i:04}", (80, 20) if i % 3 else (60, 20, 20)))
    bounded = [
        limit(made[i % routes].environment, made[i % routes].platform, f"limit-{i:04}", 10 + i % 90, made[i % routes],
              use=Use(Fraction(i % 50), Fraction(0), time.time()))
        for i in range(limits)
    ]  # fmt: skip
    measured = {r.ref: seen(r, i % 900, Fraction(i % 7, 1000)) for i, r in enumerate(made)}
    services = {f"service-{n:03}": made[n::100] for n in range(100)}
    return inventory_of(environments, made, bounded, measured, services)


def deck_of(fleet: Inventory) -> DeckConfig:
    environments = tuple(
        EnvironmentConfig(v.environment.name, production=v.environment.production, code=v.environment.code)
        for v in fleet.environments.values()
    )
    return DeckConfig(None, environments)


def session_of(plane: FakePlane, folder: Path, *, read_only: bool = False) -> Session:
    """A session over the fake; arming is granted."""

    async def arm(environments: frozenset[str], minutes: float | None, reason: str) -> FakePlane:
        return plane.armed()

    return Session(plane, plane.deck, folder, folder, None if read_only else arm)  # type: ignore[arg-type]
