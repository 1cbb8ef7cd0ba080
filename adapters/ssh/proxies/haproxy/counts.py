"""What HAProxy's own counters say of a route, and of the section in which a limit stands.

Columns of `show stat` (management guide 9.1): `lbtot` of a server is what was sent to it; `dreq` of a frontend or
backend is what its rules refused, all of them together; `req_tot` of a frontend is all that came in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from adapters.ssh.proxies.haproxy import runtime as haproxy_runtime
from adapters.ssh.proxies.haproxy.config import Config
from adapters.ssh.proxies.haproxy.reach import led_to
from control.model import Counted, Limit, Route, TargetCount
from control.structs import replace

SOURCE = "HAProxy counters"
_Row = Mapping[str, str]
_Rows = Mapping[tuple[str, str], _Row]


def counted(
    config: Config, stat: Sequence[_Row], routes: Sequence[Route], limits: Sequence[Limit], now: float
) -> list[Counted]:
    """The counters of routes, then those of limits that stand in a section with counters of its own."""
    rows = {(row["pxname"], row.get("svname", "")): row for row in stat}
    leading = _leading(config)
    found = [_of_route(route, rows, leading.get(route.ref.name, {}), now) for route in routes]
    return found + _of_limits(config, limits, rows, now)


def _leading(config: Config) -> dict[str, dict[str, bool]]:
    """Backend -> the frontends that lead to it -> whether to it alone, so that their refusals are its own."""
    found: dict[str, dict[str, bool]] = {}
    for section in config.sections:
        if section.keyword == "frontend":
            names = {name for name, _ in led_to(section, config.map_data)}
            for name in names:
                found.setdefault(name, {})[section.name] = len(names) == 1
    return found


def _of_route(route: Route, rows: _Rows, frontends: Mapping[str, bool], now: float) -> Counted:
    name = route.ref.name
    backend = rows.get((name, "BACKEND"), {})
    before = [(alone, _count(rows.get((f, "FRONTEND"), {}), "dreq")) for f, alone in frontends.items()]
    denied = _count(backend, "dreq") + sum((count for alone, count in before if alone), Fraction(0))
    # What a frontend of several backends refused may have been meant for any of them.
    known = all(alone or not count for alone, count in before)
    return Counted(
        ref=route.ref,
        at=now,
        targets=tuple((t.name, _of_server(rows.get((name, t.name), {}))) for t in route.targets),
        total=_count(backend, "req_tot" if backend.get("req_tot") else "stot") + denied,
        errors=_count(backend, "hrsp_5xx"),
        throttled=denied if known else None,
        source=SOURCE,
    )


def _of_server(row: _Row) -> TargetCount:
    errors = haproxy_runtime.whole(row.get("hrsp_5xx"))
    return TargetCount(_count(row, "lbtot"), None if errors is None else Fraction(errors))


def _of_limits(config: Config, limits: Sequence[Limit], rows: _Rows, now: float) -> list[Counted]:
    """What came into a limit's section and what was refused there; several limits in one section have one counter."""
    sections = {definition.name: definition.rule.section for definition in config.definitions()} if limits else {}
    found = []
    for limit in limits:
        section = sections.get(limit.ref.name)
        if section is None:
            continue
        row = rows.get((section.name, "BACKEND" if section.keyword == "backend" else "FRONTEND"), {})
        if not row.get("req_tot"):
            continue
        refused = _count(row, "dreq")
        others = [name for name, other in sections.items() if name != limit.ref.name and other.name == section.name]
        found.append(
            Counted(
                ref=limit.ref,
                at=now,
                targets=((section.name, TargetCount(max(Fraction(0), _count(row, "req_tot") - refused))),),
                total=_count(row, "req_tot"),
                throttled=refused,
                source=SOURCE,
                together_with=tuple(str(replace(limit.ref, name=name)) for name in others),
            )
        )
    return found


def _count(row: _Row, column: str) -> Fraction:
    return Fraction(haproxy_runtime.whole(row.get(column)) or 0)
