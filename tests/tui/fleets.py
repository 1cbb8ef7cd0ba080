"""Fleets for tests of the screen: rows as adapters give them, and the inventory that control makes of them.

`small()` is a fleet with one of everything that the screen must show; `large(routes, limits)` is for benchmarks.
`memory_plane` serves such a fleet through a `ControlPlane`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from fractions import Fraction

from control.deck.config import DeckConfig, EnvironmentConfig, GuardConfig, ServiceConfig
from control.deck.sections import DeckSection
from control.fleet.inventory import EnvironmentState, build_inventory, filled_limit, prepared_snapshot
from control.fleet.views import Inventory, Seen, Unreached
from control.memo import Memo
from control.model import (
    Access,
    AccessState,
    Binding,
    Burst,
    Domain,
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
    Snapshot,
    Special,
    Target,
    TargetState,
    Traffic,
    Use,
    Window,
    WindowKind,
)  # fmt: skip
from control.model.ref import Ref
from control.structs import replace

KINDS = {"kubernetes": "HTTPRoute", "ssh": "HAProxyBackend", "serverless": "LambdaAlias"}
WINDOW_SECONDS = 60
SECTIONS = {platform: DeckSection(platform, platform, measure_seconds=0.2) for platform in KINDS}
"""The deck file's sections, with counters that are looked at often."""


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
    bindings = (
        (
            Binding(
                str(on.ref), OverLimit(status=429), Domain("instance", Interval(Fraction(1), Fraction(2)), "deck file")
            ),
        )
        if on
        else ()
    )
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


def deck_of(environments: Sequence[Environment], services: Mapping[str, Sequence[Ref]], **more: object) -> DeckConfig:
    """The deck file that names these. Nothing cools down: tests edit one row twice."""
    guards = GuardConfig(cool_down_seconds=0)
    configs = tuple(
        EnvironmentConfig(e.name, section=SECTIONS[e.platform], production=e.production, code=e.code, guards=guards)
        for e in environments
    )
    named = tuple(ServiceConfig(name, tuple(map(str, refs)), None, None) for name, refs in services.items())
    return DeckConfig(None, configs, named, guards, **more)  # type: ignore[arg-type]


def inventory_of(
    environments: Sequence[Environment],
    routes: Sequence[Route],
    limits: Sequence[Limit],
    measured: Mapping[Ref, Seen],
    services: Mapping[str, Sequence[Route]],
    outside: Sequence[Outside] = (),
) -> Inventory:
    """What control makes of these rows. An environment that is out of reach was read a while ago."""
    now = time.time()
    deck = deck_of(environments, {name: [row.ref for row in rows] for name, rows in services.items()})
    states = {}
    for one in environments:
        gone = one.reach.state is ReachState.UNREACHABLE
        snapshot = Snapshot(
            replace(one, reach=Reach()) if gone else one,
            tuple(row for row in routes if row.environment == one.name),
            tuple(row for row in limits if row.environment == one.name),
            now - (94 if gone else 2),
            tuple(outside) if one is environments[0] else (),
        )
        state = EnvironmentState()
        state.take(prepared_snapshot(snapshot, deck.environment(one.name), Memo(filled_limit)))
        state.seen = {ref: seen for ref, seen in measured.items() if ref.environment == one.name}
        state.unreached = Unreached(one.name, one.reach.why, "unreachable") if gone else None
        states[one.name] = state
    # Without its parts: tests change rows of it, and parts would say that they are the same.
    return replace(build_inventory(deck, states, 1), parts={})


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
    wide = limit("lb", vm, "edge-rate", 400, embed, key=(), use=Use(Fraction(120), Fraction(0), time.time()))
    free = limit("fn", fn, "reserved", 64, chat, amount=Special.UNLIMITED, bindings=())
    measured = {
        gateway.ref: seen(gateway, 412, Fraction(31, 1000), off=9),
        edge.ref: seen(edge, 301),
        chat.ref: seen(chat, 88),
        embed.ref: seen(embed, 1200, throttled=Fraction(11, 100)),
    }
    services = {"llama": [gateway, edge, chat], "embedding": [embed]}
    outside = [Outside(time.time() - 600, "argocd", gateway.object, "synced", "managedFields")]
    rows = [gateway, edge, chat, embed, vision]
    return inventory_of(environments, rows, [strict, wide, free], measured, services, outside)


def reached(fleet: Inventory) -> Inventory:
    """The fleet with every environment answering."""
    views = {
        name: replace(view, environment=replace(view.environment, reach=Reach()))
        for name, view in fleet.environments.items()
    }
    return replace(fleet, environments=views, unreached=())


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
