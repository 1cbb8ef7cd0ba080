"""A service from its front down to the last server, over all platforms, as a tree with what share gets there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from control.deck.config import ServiceConfig
from control.model import Health, Route, Target, TargetState
from control.model.graph import Graph
from control.model.ref import Ref
from tui import figures
from tui.cells import fit, safe, width
from tui.look import Glyphs, Line, Span
from tui.store import RouteRow, Store
from tui.widgets.bars import letter, percent, series

MOST_ENDPOINTS = 4
_HEALTH = {Health.UP: "good", Health.DOWN: "bad"}


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of the tree. `ref` is the route that it stands for or lies in."""

    line: Line
    ref: Ref


class Xray:
    """Makes the tree. A route that leads back to one above it is named and not entered again."""

    def __init__(self, store: Store, services: Sequence[ServiceConfig], glyphs: Glyphs, cells: int) -> None:
        self._rows = store.routes
        self._views = store.services()
        self._limits = _limits_of(store)
        self._services = {service.name: service for service in services}
        self._graph = Graph({ref: row.route for ref, row in store.routes.items()}, services)
        self._glyphs = glyphs
        self._cells = cells
        self._made: list[Branch] = []

    def service(self, name: str) -> list[Branch]:
        """All of a service: from its front, then what no other route of it leads to."""
        view = self._views[name]
        front = self._graph.row(view.front) if view.front else None
        return self._trees([front] if front else [], view.routes)

    def route(self, ref: Ref) -> list[Branch]:
        """One route and what it leads to."""
        return self._trees([ref], ())

    def _trees(self, first: Sequence[Ref], others: Iterable[Ref]) -> list[Branch]:
        self._made = []
        inner = {to for ref in (*first, *others) for to in self._graph.leads_to(ref)}
        for ref in dict.fromkeys((*first, *(ref for ref in others if ref not in inner))):
            if ref in self._rows:
                # Without a front in common nobody sets how much of the whole a route gets.
                self._route(ref, "", "", Fraction(1) if ref in first else None, ())
        return self._made

    def _route(self, ref: Ref, lead: str, below: str, share: Fraction | None, above: tuple[Ref, ...]) -> None:
        row = self._rows[ref]
        self._add(ref, lead, [(row.name, "bad" if row.broken else "strong")], _words(row), share, row)
        if ref in above:
            return
        limits = self._limits.get(ref, [])
        last = len(row.route.targets) + len(row.route.members) + len(limits) - 1
        for number, words in enumerate(limits):
            self._add(ref, below + self._tee(number == last), [(words, "warn")], "", None, None)
        for number, target in enumerate(row.route.targets, len(limits)):
            self._target(row.route, target, number - len(limits), below, number == last, share, (*above, ref))
        for number, member in enumerate(row.route.members, len(limits) + len(row.route.targets)):
            weights = " ".join(f"{letter(i)}{percent(t.share)}" for i, t in enumerate(member.targets))
            head: list[Span] = [("host ", "faint"), (safe(member.ref.scope), "text")]
            self._add(ref, below + self._tee(number == last), head, weights, None, None)

    def _target(
        self,
        route: Route,
        target: Target,
        number: int,
        below: str,
        last: bool,
        share: Fraction | None,
        above: tuple[Ref, ...],
    ) -> None:
        gets = None if share is None or target.share is None else share * target.share
        head: list[Span] = [
            (letter(number), series(number)),
            (percent(target.share).rjust(4) + "% ", "text"),
            (safe(target.name), _HEALTH.get(target.health, "text")),
        ]
        state = "" if target.state is TargetState.ACTIVE else f" {target.state.value}"
        word, detail = target.health.value, target.health_detail
        told = detail if detail.lower().startswith(word) else f"{word} {detail}".rstrip()
        health = "" if target.health is Health.UNKNOWN else f" {told}"
        self._add(route.ref, below + self._tee(last), head, safe(state + health).strip(), gets, None)
        deeper = below + ("   " if last else self._glyphs.bar + "  ")
        onward = self._onward(route, target)
        if len(onward) > 1:
            gets = None  # how they divide it among themselves is not set anywhere
        for index, ref in enumerate(onward):
            end = index == len(onward) - 1
            self._route(ref, deeper + self._tee(end), deeper + ("   " if end else self._glyphs.bar + "  "), gets, above)
        if not onward:
            self._endpoints(route.ref, target, deeper)

    def _onward(self, route: Route, target: Target) -> list[Ref]:
        if target.to is not None:
            row = self._graph.row(target.to)
            return [row] if row else []
        for service in self._services.values():
            front = service.front
            if front is not None and self._graph.row(Ref.parse(front.route)) == route.ref:
                behind = front.targets.get(target.name)
                return [ref for ref in self._graph.leads_to(route.ref) if ref.environment == behind]
        return []

    def _endpoints(self, ref: Ref, target: Target, below: str) -> None:
        shown = target.endpoints[:MOST_ENDPOINTS]
        more = len(target.endpoints) - len(shown)
        for index, endpoint in enumerate(shown):
            last = index == len(shown) - 1 and not more
            self._add(ref, below + self._tee(last), [(safe(endpoint), "muted")], "", None, None)
        if more:
            self._add(ref, below + self._tee(True), [(f"and {more} more", "faint")], "", None, None)

    def _tee(self, last: bool) -> str:
        return (self._glyphs.corner if last else self._glyphs.tee) + " "

    def _add(
        self,
        ref: Ref,
        lead: str,
        head: list[Span],
        tail: str,
        share: Fraction | None,
        row: RouteRow | None,
    ) -> None:
        traffic = row.seen.traffic if row is not None and row.seen is not None else None
        figure = "" if row is None else f"{figures.count(traffic.rps if traffic else None)} rps"
        gets = "" if share is None else f"{percent(share)}%"
        used = width(lead) + sum(width(text) for text, _ in head) + 1
        left = max(self._cells - used - 16, 0)
        line: Line = (
            (f" {lead}", "faint"),
            *head,
            (fit(f"  {tail}", left), "muted"),
            (gets.rjust(6), "accent"),
            (figure.rjust(9), "text"),
        )
        self._made.append(Branch(line, ref))


def _words(row: RouteRow) -> str:
    route = row.route
    return f"{route.environment} {route.kind}" + (f", {row.problems[0].text}" if row.broken and row.problems else "")


def _limits_of(store: Store) -> Mapping[Ref, list[str]]:
    from tui.views.limits import amount_text

    limits: dict[Ref, list[str]] = {}
    for limit in store.limits.values():
        for routed in store.routes_of(limit.limit):
            rejects = limit.limit.use.rejected_per_second
            words = f"limit {limit.name} {amount_text(limit.limit)}"
            limits.setdefault(routed.ref, []).append(
                words + (f", rejects {figures.count(rejects)}/s" if rejects else "")
            )
    return limits
