"""Routes: grouped by service over all platforms, worst first, SET beside SEEN."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from fractions import Fraction

from control.plane import ServiceView
from tui import figures
from tui.look import Look, Span
from tui.staging import Staging
from tui.store import AT, RouteRow, Store
from tui.views.base import ListView, owner_names
from tui.widgets.bars import measured, weight_bar, weight_letters
from tui.widgets.line_table import Column, TableRow

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


class RoutesView(ListView):
    name = "routes"
    title = "Routes"
    sorts = ("risk", "name", "at", "rps", "5xx", "429", "age")
    columns = (
        Column("name", "ROUTE", 12, keep=100, grow=3, most=40),
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

    def __init__(self, store: Store, staging: Staging, look: Look) -> None:
        super().__init__(store, staging, look)
        self._stale: dict[str, bool] = {}

    def total(self) -> int:
        return len(self.store.routes)

    def _chosen(self) -> list[RouteRow]:
        rows = list(self.store.routes.values())
        if self.choice.test is not None:
            rows = [row for row in rows if self.choice.test(row.route)]
        if self.choice.problems:
            rows = [row for row in rows if row.problems or row.ref in self.staging]
        return rows

    def rows(self) -> list[TableRow]:
        self._stale.clear()
        rows = self._chosen()
        if self.choice.sort != "risk":
            rows.sort(
                key=self._sort_key, reverse=self.choice.reverse ^ (self.choice.sort in ("rps", "5xx", "429", "age"))
            )
            return [self._table_row(row) for row in rows]
        groups: dict[str, list[RouteRow]] = {}
        for row in rows:
            groups.setdefault(BROKEN if row.broken else row.service, []).append(row)
        order = sorted(groups, key=lambda s: (-max(r.risk for r in groups[s]), s == "", s), reverse=self.choice.reverse)
        shown: list[TableRow] = []
        for service in order:
            members = sorted(groups[service], key=lambda r: (-r.risk, r.name, r.ref), reverse=self.choice.reverse)
            if len(groups) > 1 or service:
                view = self.store.services().get(service)
                shown.append(
                    TableRow(("service", service), self.store.batch, (service, view, len(members)), heading=True)
                )
            shown += [self._table_row(row) for row in members]
        return shown

    def _sort_key(self, row: RouteRow) -> tuple[object, ...]:
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
        return (value, row.name, row.ref)

    def _table_row(self, row: RouteRow) -> TableRow:
        mark, role = self._mark(row)
        return TableRow(row.ref, row.serial, row, mark, role)

    def _is_stale(self, environment: str, read_at: float) -> bool:
        """Asked once for each environment while rows are made: there are thousands of rows."""
        found = self._stale.get(environment)
        if found is None:
            found = self._stale[environment] = self.store.stale(environment, read_at)
        return found

    def _mark(self, row: RouteRow) -> tuple[str, str]:
        if row.broken:
            return "!", "bad"
        if row.ref in self.staging:
            return "~", "staged"
        if self._is_stale(row.route.environment, row.route.read_at):
            return "?", "stale"
        if self.store.batch - row.changed < 8:
            return "*", "info"
        return " ", "muted"

    def volatile(self, row: TableRow) -> Hashable:
        if row.heading:
            return row.data[0], row.data[2]
        data: RouteRow = row.data
        age = figures.age(self.store.age(data.route.environment, data.route.read_at))
        return age, self.staging.version, row.mark

    def heading(self, row: TableRow, width: int) -> list[Span]:
        service, view, count = row.data
        if service == BROKEN:
            return [("broken ", "bad"), (self.clip(f"{count} route{'s' if count != 1 else ''}", width - 7), "muted")]
        head = f"{service or OTHERS} "
        tail = f"{count} route{'s' if count != 1 else ''}"
        if isinstance(view, ServiceView):
            tail += headroom_words(view)
        return [(head, "title"), (self.clip(tail, max(width - len(head), 0)), "muted")]

    def cells(self, row: TableRow, key: str, width: int) -> list[Span]:
        data: RouteRow = row.data
        dim = self.store.stale(data.route.environment, data.route.read_at)
        spans = self._cell(data, key, width)
        return (
            [(text, "stale" if role in ("text", "strong", "muted") else role) for text, role in spans] if dim else spans
        )

    def _cell(self, row: RouteRow, key: str, width: int) -> list[Span]:
        traffic = row.seen.traffic if row.seen else None
        if key == "name":
            return [(self.fit(row.name, width), "strong" if row.broken else "text")]
        if key == "at":
            return self.environment_cell(row.route.environment, width)
        if key == "bar":
            after = self.staging.after(row.route)
            shares = after if after is not None else [target.share for target in row.route.targets]
            return weight_bar(shares, width, self.look.glyphs)
        if key == "set":
            before = [target.share for target in row.route.targets]
            return weight_letters(before, self.staging.after(row.route), width, self.look.glyphs)
        if key == "seen":
            text, role = set_and_seen(row)
            return [(self.fit(text, width, True), role)]
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


def platform_word(row: RouteRow) -> str:
    """`k8s`, `vm` or `fn`."""
    return AT.get(row.route.platform, "")
