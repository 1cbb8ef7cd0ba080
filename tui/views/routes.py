"""Routes: grouped by service over all platforms, worst first, SET beside SEEN."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from fractions import Fraction
from typing import Any

from control.model.ref import Ref
from control.plane import ServiceView
from tui import figures
from tui.look import Span
from tui.store import RouteRow
from tui.views.base import owner_names
from tui.views.row_list import RowList
from tui.widgets.bars import measured, weight_bar, weight_letters
from tui.widgets.line_table import NO_MARK, Column, TableRow

OTHERS = "other routes"
BROKEN = "\0broken"
"""The group of what is broken, whatever its service: it comes first. No service can have this name."""


_EXTRA: Mapping[str, Callable[[RouteRow], str]] = {
    "kind": lambda row: row.route.kind,
    "scope": lambda row: row.ref.scope,
    "owner": lambda row: owner_names(row.route.owners),
    "match": lambda row: "; ".join(row.route.matches) or figures.UNKNOWN,
}


def set_and_seen(row: RouteRow) -> tuple[str, str]:
    """The text of SEEN and its role: `71/29`, `--` where unknown; `bad` where the difference is no noise."""
    if row.seen is None or not row.seen.shares:
        return figures.UNKNOWN, "faint"
    texts = [measured(row.seen.shares.get(target.name)) for target in row.route.targets]
    off = any(row.seen.significant.values())
    while len(texts) > 1 and texts[-1] in ("0", "--"):
        texts.pop()
    return "/".join(texts) + (" !" if off else ""), "bad" if off else "text"


def whole_shares(text: str, cells: int) -> str:
    """`55/26/14/5` in so many cells: what has no room is counted (`55 +3`), as half a number is another number."""
    if len(text) <= cells:
        return text
    shares, _, mark = text.partition(" ")
    parts, tail = shares.split("/"), f" {mark}" if mark else ""
    for kept in range(len(parts) - 1, 0, -1):
        short = f"{'/'.join(parts[:kept])} +{len(parts) - kept}{tail}"
        if len(short) <= cells:
            return short
    return text


class RoutesView(RowList[RouteRow]):
    name = "routes"
    title = "Routes"
    sorts = ("risk", "name", "at", "rps", "5xx", "429", "age")
    downward = frozenset({"rps", "5xx", "429", "age"})
    columns = (
        Column("name", "ROUTE", 12, keep=100, grow=3, most=60),
        Column("at", "AT", 8, keep=90, grow=1, most=16, about="environment"),
        Column("bar", "SET", 10, keep=70, grow=1, most=20, about="weights as a bar"),
        Column("set", "", 11, keep=95, grow=4, most=36, about="weights by letter", alone="SET"),
        Column("seen", "SEEN", 8, right=True, keep=92, grow=2, most=16, about="the measured split"),
        Column("rps", "RPS", 5, right=True, keep=85, about="requests per second"),
        Column("5xx", "5xx", 5, right=True, keep=88, about="errors"),
        Column("429", "429", 4, right=True, keep=87, about="throttled"),
        Column("age", "AGE", 4, right=True, keep=50, about="since it was read"),
        Column("p95", "P95", 6, right=True, keep=60, extra=True, about="95 of 100 are faster"),
        Column("kind", "KIND", 14, keep=40, grow=1, most=16, extra=True),
        Column("scope", "IN", 10, keep=40, grow=1, most=20, extra=True, about="namespace or host"),
        Column("owner", "OWNER", 10, keep=45, grow=1, most=20, extra=True, about="who else writes it"),
        Column("match", "MATCH", 12, keep=30, grow=1, most=40, extra=True, about="which requests"),
    )

    def source(self) -> Mapping[Ref, RouteRow]:
        return self.store.routes

    def rows(self) -> list[TableRow]:
        rows = super().rows()
        return self._grouped(rows) if self.choice.sort == "risk" else rows

    def _grouped(self, rows: list[TableRow]) -> list[TableRow]:
        """Under the name of their service, the service of the worst row first."""
        groups: dict[str, list[TableRow]] = {}
        for row in rows:
            groups.setdefault(BROKEN if row.data.broken else row.data.service, []).append(row)
        reverse = self.choice.reverse
        worst = {name: group[-1 if reverse else 0].data.risk for name, group in groups.items()}
        shown: list[TableRow] = []
        for service in sorted(groups, key=lambda name: (-worst[name], name == "", name), reverse=reverse):
            members = groups[service]
            if len(groups) > 1 or service:
                view = self.store.services().get(service)
                data = (service, view, len(members))
                shown.append(TableRow(("service", service), self.store.revision, data, heading=True))
            shown += members
        return shown

    def sort_key(self, row: RouteRow) -> tuple[Any, ...]:
        if self.choice.sort == "risk":
            return (-row.risk,)
        traffic = row.seen.traffic if row.seen else None
        unknown = Fraction(-1)
        value: object = {
            "name": row.name.lower(),
            "at": row.route.environment,
            "rps": (traffic.rps if traffic else None) or unknown,
            "5xx": (traffic.error_ratio if traffic else None) or unknown,
            "429": (traffic.throttled_ratio if traffic else None) or unknown,
            "age": self.store.age(row.route.environment, row.route.read_at) or 0.0,
        }.get(self.choice.sort, row.name)
        return (value,)

    def more_needs(self) -> Mapping[str, int]:
        most = max((len(row.route.targets) for row in self.store.routes.values()), default=1)
        staged = max((len(draft.after) for draft in self.staging.routes.values()), default=0)
        return {"set": 4 * most + 3 * staged, "seen": 3 * most + 2}

    def mark(self, row: TableRow) -> Span:
        mark = super().mark(row)
        recent = not row.heading and self.store.batch - row.data.changed < 8
        return ("*", "info") if recent and mark == NO_MARK else mark

    def volatile(self, row: TableRow) -> Hashable:
        return (row.data[0], row.data[2]) if row.heading else super().volatile(row)

    def heading(self, row: TableRow, width: int) -> list[Span]:
        service, view, count = row.data
        if service == BROKEN:
            return [("broken ", "bad"), (self.clip(figures.plural(count, "route"), width - 7), "muted")]
        head = f"{service or OTHERS} "
        tail = figures.plural(count, "route")
        if isinstance(view, ServiceView):
            tail += headroom_words(view)
        return [(head, "title"), (self.clip(tail, max(width - len(head), 0)), "muted")]

    def cell(self, row: RouteRow, key: str, width: int) -> list[Span]:
        traffic = row.seen.traffic if row.seen else None
        if key == "name":
            return self.name_cell(row, width)
        if key == "at":
            return self.environment_cell(row.route.environment, width)
        if key == "bar":
            after = self.staging.after(row.route)
            shares = after if after is not None else [target.share for target in row.route.targets]
            return weight_bar(shares, width, self.look.glyphs)
        if key == "set":
            if any(target.native for target in row.route.targets):
                return [(self.clip("not understood", width), "warn")]
            before = [target.share for target in row.route.targets]
            return weight_letters(before, self.staging.after(row.route), width, self.look.glyphs)
        if key == "seen":
            text, role = set_and_seen(row)
            return [(self.fit(whole_shares(text, width), width, True), role)]
        if key == "age":
            return self.age_cell(row.route.environment, row.route.read_at, width)
        if key in _EXTRA:
            return [(self.fit(_EXTRA[key](row), width), "muted")]
        if traffic is None:
            return [(self.fit(figures.UNKNOWN, width, True), "faint")]
        if key == "p95":
            slow = traffic.p95_seconds
            return [(self.fit(figures.seconds(slow), width, True), "faint" if slow is None else "text")]
        return self._traffic_cell(key, width, traffic.rps, traffic.error_ratio, traffic.throttled_ratio)

    def _traffic_cell(
        self, key: str, width: int, rps: Fraction | None, errors: Fraction | None, throttled: Fraction | None
    ) -> list[Span]:
        if key == "rps":
            return [(self.fit(figures.count(rps), width, True), "text" if rps is not None else "faint")]
        value = errors if key == "5xx" else throttled
        role = "faint" if not value else "bad" if value >= Fraction(1, 100) else "text"
        return [(self.fit(figures.ratio(value), width, True), role)]


def headroom_words(view: ServiceView) -> str:
    """What a service can still take: ` · D* 133 rps, lb saturates first`."""
    headroom = view.headroom
    if headroom.demand_max is None or headroom.demand_max.low is None:
        return ""
    first = f", {headroom.first_to_saturate} saturates first" if headroom.first_to_saturate else ""
    return f" · up to {figures.count(headroom.demand_max.low)} rps{first}"
