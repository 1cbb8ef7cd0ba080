"""Pulse: every service with its traffic over five minutes and its headroom, then every environment with its reach."""

from __future__ import annotations

from collections.abc import Hashable
from fractions import Fraction

from control.model import ReachState
from control.plane import EnvironmentView, ServiceView
from tui import figures
from tui.look import Span
from tui.store import at
from tui.views.base import ListView
from tui.views.routes import headroom_words
from tui.widgets.bars import sparkline
from tui.widgets.line_table import NO_MARK, Column, TableRow


class PulseView(ListView):
    name = "pulse"
    title = "Pulse"
    columns = (
        Column("name", "NAME", 16, keep=100, grow=1, most=28),
        Column("now", "NOW", 9, right=True, keep=95),
        Column("trend", "5 MINUTES", 20, keep=80, grow=2, most=60),
        Column("state", "STATE", 28, keep=90, grow=4),
    )

    def rows(self) -> list[TableRow]:
        wanted = self.choice.test or (lambda _view: True)
        services = [TableRow(("service", v.name), v, v) for v in self.store.services().values() if wanted(v)]
        environments = [view for view in self.store.environments() if wanted(view)]
        environments.sort(key=lambda v: (v.environment.reach.state is ReachState.OK, v.environment.name))
        rows = [TableRow("services", 0, "services", heading=True), *services] if services else []
        if environments:
            rows.append(TableRow("environments", 0, "environments", heading=True))
        return rows + [TableRow(("environment", view.environment.name), view, view) for view in environments]

    def total(self) -> int:
        return len(self.store.services()) + len(self.store.environments())

    def mark(self, row: TableRow) -> Span:
        if not isinstance(row.data, EnvironmentView) or row.data.is_awaited:
            return NO_MARK
        return NO_MARK if row.data.environment.reach.state is ReachState.OK else ("!", "bad")

    def version(self) -> Hashable:
        return super().version(), self.store.batch

    def volatile(self, row: TableRow) -> Hashable:
        if isinstance(row.data, EnvironmentView):
            return figures.age(self.store.age(row.data.environment.name))
        return None if row.heading else len(self.store.samples.get(row.data.name, ())), self.store.batch

    def heading(self, row: TableRow, width: int) -> list[Span]:
        return [(self.fit(str(row.data), width), "title")]

    def cells(self, row: TableRow, key: str, width: int) -> list[Span]:
        if isinstance(row.data, ServiceView):
            return self._service(row.data, key, width)
        return self._environment(row.data, key, width)

    def _service(self, view: ServiceView, key: str, width: int) -> list[Span]:
        samples = list(self.store.samples.get(view.name, ()))
        if key == "name":
            return [(self.fit(view.name, width), "strong")]
        if key == "now":
            rps = Fraction(samples[-1][0], 10) if samples and samples[-1][0] >= 0 else None
            return [(self.fit(f"{figures.count(rps)} rps", width, True), "text")]
        if key == "trend":
            values = [Fraction(rps) if rps >= 0 else None for rps, _, _ in samples]
            return [(sparkline(values, width, self.look.glyphs), "series_b")]
        largest = sorted(view.shares, key=lambda item: -(item[1] or 0))
        shares = " ".join(f"{name} {figures.ratio(share)}" for name, share, _ in largest)
        return [(self.clip((shares or "shares unknown") + headroom_words(view), width), "muted")]

    def _environment(self, view: EnvironmentView, key: str, width: int) -> list[Span]:
        environment = view.environment
        if key == "name":
            return [(self.fit(environment.name, width), "accent" if environment.production else "text")]
        if key == "now":
            age = figures.age(self.store.age(environment.name))
            return [
                (
                    self.fit(f"{at(environment.platform)} {age}", width, True),
                    "stale" if self.store.stale(environment.name) else "muted",
                )
            ]
        if key == "trend":
            return [(self.fit(f"{view.routes} routes {view.limits} limits", width), "muted")]
        if view.is_awaited:
            return [(self.clip("being read", width), "info")]
        reach = environment.reach
        role = {"ok": "good", "degraded": "warn"}.get(reach.state.value, "bad")
        words = [reach.state.value, reach.why, environment.access.state.value.replace("_", " "), environment.identity]
        return [(self.clip(" · ".join(word for word in words if word), width), role)]
