"""Where requests may end up: the regions behind a route, followed through what its targets lead to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from control.deck.config import DeckConfig
from control.model import Route, Target, TargetState
from control.model.ref import GROUP_SCOPE, Ref
from control.planning.fields import Row

Destination = tuple[str, str | None]
"""(target name, region or None where it is not known)."""


def outside_after(
    before: Route,
    after: Route,
    rows_before: Mapping[Ref, Row],
    rows_after: Mapping[Ref, Row],
    deck: DeckConfig,
    allowed: frozenset[str],
) -> Iterator[Destination]:
    """The places outside `allowed` that requests reach afterwards and did not reach before. Unknown is outside."""
    already = set(_reached(before, rows_before, deck, frozenset()))
    for destination in dict.fromkeys(_reached(after, rows_after, deck, frozenset())):
        if destination not in already and destination[1] not in allowed:
            yield destination


def _reached(route: Route, rows: Mapping[Ref, Row], deck: DeckConfig, above: frozenset[Ref]) -> Iterator[Destination]:
    for target in route.targets:
        if target.state is not TargetState.ACTIVE or target.share == 0 or target.weight == 0:
            continue
        inner = _row(target.to, rows)
        if inner is not None and inner.ref not in above:
            yield from _reached(inner, rows, deck, above | {route.ref})
        else:
            yield target.name, _region(route, target, deck)


def _row(ref: Ref | None, rows: Mapping[Ref, Row]) -> Route | None:
    if ref is None:
        return None
    row = rows.get(ref) or rows.get(ref.on(GROUP_SCOPE))
    return row if isinstance(row, Route) else None


def _region(route: Route, target: Target, deck: DeckConfig) -> str | None:
    """The target's own region; behind a front that of the environment it leads to; else that of the environment."""
    if target.region:
        return target.region
    for service in deck.services:
        if service.front is not None and service.front.route in (str(route.ref), str(route.ref.on(GROUP_SCOPE))):
            led_to = service.front.targets.get(target.name)
            if led_to is not None:
                return _label(deck, led_to)
    return _label(deck, route.environment)


def _label(deck: DeckConfig, environment: str) -> str | None:
    config = deck.environment(environment)
    return config.labels.get("region") if config is not None else None
