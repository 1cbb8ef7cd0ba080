"""What the lists show, derived from the inventory in batches. A row is derived anew only when its sources changed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice

from control.deck.config import EnvironmentConfig
from control.fleet.filter_columns import SearchMemory
from control.fleet.views import Part
from control.journal.actor import who
from control.model import Limit, Outside, Route
from control.model.ref import Ref
from control.plane import EnvironmentView, Inventory, Seen, ServiceView
from control.planning.plan import HistoryItem, HistoryPage
from tui.cells import safe
from tui.change_words import change_words
from tui.naming import told_apart
from tui.risk import STALE_SECONDS, Problem, is_broken, limit_problems, risk, route_problems, steady, used_ratio

AT = {"kubernetes": "k8s", "ssh": "vm", "serverless": "fn"}
"""Platform -> its short name, in the order in which they are shown."""
HISTORY = 60
"""Samples kept for a sparkline: five minutes at one in five seconds."""
SAMPLE_SECONDS = 5.0
WAVER = 100
"""Permille by which a limit's fullness must change before it changes its place in the order by risk."""
OURS_SECONDS = 30.0
"""A file's time so near to a change of ours on it is that change's."""


def at(platform: str) -> str:
    """The short name of a platform; one that a third party brings is cut."""
    return AT.get(platform) or platform[:4]


@dataclass(frozen=True, slots=True)
class RouteRow:
    """A route with what was measured of it. `serial` grows whenever anything drawn of it changed."""

    route: Route
    seen: Seen | None
    service: str
    name: str
    problems: tuple[Problem, ...]
    risk: int
    broken: bool
    changed: int
    """Of the batch in which its weights last changed; drawn as `*` for two batches."""
    serial: int

    @property
    def ref(self) -> Ref:
        return self.route.ref

    @property
    def subject(self) -> Route:
        return self.route


@dataclass(frozen=True, slots=True)
class LimitRow:
    limit: Limit
    service: str
    name: str
    problems: tuple[Problem, ...]
    risk: int
    broken: bool
    used: int
    """How full in permille, -1 for unknown: to sort by."""
    fullness: int
    """How full, in permille, as of when it last changed by a tenth: for the order by risk."""
    serial: int

    @property
    def ref(self) -> Ref:
        return self.limit.ref

    @property
    def subject(self) -> Limit:
        return self.limit


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One line of the Changes view: ours (`item`) or somebody else's (`outside`)."""

    at: float
    who: str
    what: str
    outcome: str
    item: HistoryItem | None = None
    outside: Outside | None = None


Sample = tuple[int, int, int]
"""(requests per second × 10, errors in permille, throttled in permille), -1 for unknown."""


class Store:
    """See the module. Only `update` writes; views read."""

    def __init__(self) -> None:
        self.inventory: Inventory | None = None
        self.batch = 0
        """How many inventories were taken."""
        self.revision = 0
        """How many of them changed any row."""
        self.routes: dict[Ref, RouteRow] = {}
        self.limits: dict[Ref, LimitRow] = {}
        self.history: HistoryPage | None = None
        """What was read of the journal; None where nothing was yet."""
        self.changes: list[ChangeRow] = []
        self.changes_unknown = ""
        """Why changes are not known, or not all of them. Without a word none is missing."""
        self.told = 0
        """How many times the changes were listed."""
        self.broken = {"routes": 0, "limits": 0}
        """How many rows of each list are broken."""
        self.samples: dict[Ref | str, deque[Sample]] = {}
        self.was: dict[Ref, Route | Limit] = {}
        """How a row stood before the last change of its values that this deck saw, whoever made it."""
        self.loaded = False
        self.configured: Mapping[str, EnvironmentConfig] = {}
        """The environments of the deck file, by name: their colours and banners."""
        self.searched = SearchMemory()
        """What the filter looks for words in."""
        self.naming = 0
        """Grows whenever a row came, went or has another name."""
        self._labels: tuple[int, dict[bool, dict[Ref, str]]] = (-1, {})
        self._ahead: Iterator[Route | Limit] = iter(())
        self._ahead_of = -1
        self._sampled = 0.0
        self._held: dict[Ref, float] = {}
        """Until when (monotonic seconds) a row keeps its place though it is better by now."""
        self._parts: dict[str, tuple[dict[Ref, RouteRow], dict[Ref, LimitRow]]] = {}
        """The rows of each environment."""

    def update(self, inventory: Inventory) -> bool:
        """Take a new inventory. Returns whether any row changed."""
        self.batch += 1
        before, self.inventory = self.inventory, inventory
        if before is None or before.outside is not inventory.outside:
            self._tell()
        moved = _moved(before, inventory) | self._let_go()
        regrouped = before is None or before.service_of is not inventory.service_of
        if before is not None and not regrouped and not moved and _same_rows(before, inventory):
            self._sample()
            return False
        old = before.parts if before is not None and not regrouped else {}
        routes, limits = self._derived(inventory, old, moved, regrouped)
        rows: tuple[RouteRow | LimitRow, ...] = (*routes.values(), *limits.values())
        before_count = len(self.routes) + len(self.limits)
        changed = bool(moved) or len(rows) != before_count or any(row.serial == self.batch for row in rows)
        self.naming += len(routes) != len(self.routes) or len(limits) != len(self.limits)
        self.routes, self.limits = routes, limits
        self.revision += changed
        self.broken = {
            "routes": sum(row.broken for row in routes.values()),
            "limits": sum(row.broken for row in limits.values()),
        }
        self.loaded = self.loaded or bool(routes or limits or inventory.unreached) or self._all_read()
        self._sample()
        return changed

    def _derived(
        self, inventory: Inventory, old: Mapping[str, Part], moved: frozenset[str], regrouped: bool
    ) -> tuple[dict[Ref, RouteRow], dict[Ref, LimitRow]]:
        """All rows; those of an environment that gave the same as in its `old` part are taken over unseen."""
        parts, self._parts = self._parts, {}
        for name, part in _parts(inventory).items():
            if name in parts and name in old and name not in moved and _same_rows(old[name], part):
                self._parts[name] = parts[name]
                continue
            routes = {ref: self._route(ref, route, inventory, moved) for ref, route in part.routes.items()}
            limits = {ref: self._limit(ref, limit, inventory, moved, regrouped) for ref, limit in part.limits.items()}
            self._parts[name] = routes, limits
        all_routes: dict[Ref, RouteRow] = {}
        all_limits: dict[Ref, LimitRow] = {}
        for some_routes, some_limits in self._parts.values():
            all_routes.update(some_routes)
            all_limits.update(some_limits)
        return all_routes, all_limits

    def _all_read(self) -> bool:
        views = self.environments()
        return bool(views) and all(view.read_at is not None for view in views)

    def _route(self, ref: Ref, route: Route, inventory: Inventory, moved: frozenset[str]) -> RouteRow:
        old, seen = self.routes.get(ref), inventory.seen.get(ref)
        service = inventory.service_of.get(ref, "")
        same = old is not None and old.route is route and old.seen is seen and old.service == service
        if old is not None and same and ref.environment not in moved:
            return old
        current = route_problems(route, seen, inventory.environments.get(ref.environment))
        problems = self._steady(ref, current, old)
        if old is not None and _weights(old.route) != _weights(route):
            changed = self.batch
            self.was[ref] = old.route
        else:
            changed = old.changed if old else -10
        name = safe(route.name)
        self.naming += old is None or old.name != name
        return RouteRow(
            route,
            seen,
            service,
            name,
            problems,
            risk(problems, self._production(ref, inventory)),
            is_broken(problems),
            changed,
            self.batch,
        )

    def _limit(self, ref: Ref, limit: Limit, inventory: Inventory, moved: frozenset[str], regrouped: bool) -> LimitRow:
        old = self.limits.get(ref)
        same = old is not None and old.limit is limit and ref.environment not in moved
        if old is not None and same and (not regrouped or old.service == self._service_of(limit, inventory)):
            return old
        if old is not None and (old.limit.amount, old.limit.window, old.limit.burst) != (
            limit.amount,
            limit.window,
            limit.burst,
        ):
            self.was[ref] = old.limit
        problems = self._steady(ref, limit_problems(limit, inventory.environments.get(ref.environment)), old)
        service = self._service_of(limit, inventory)
        name = safe(limit.name)
        self.naming += old is None or old.name != name
        used = _scaled(used_ratio(limit), 1000)
        return LimitRow(
            limit,
            service,
            name,
            problems,
            risk(problems, self._production(ref, inventory)),
            is_broken(problems),
            used,
            old.fullness if old is not None and abs(old.fullness - used) < WAVER and used >= 0 else used,
            self.batch,
        )

    def _steady(self, ref: Ref, problems: tuple[Problem, ...], old: RouteRow | LimitRow | None) -> tuple[Problem, ...]:
        """The problems of a row; where one is held, it is looked at again when that is over."""
        kept = steady(problems, old.problems if old is not None else (), time.monotonic())
        ends = [problem.held_until for problem in kept if problem.held_until is not None]
        if ends:
            self._held[ref] = min(ends)
        return kept

    def _let_go(self) -> frozenset[str]:
        """The environments of rows whose held problems are over: they are derived anew."""
        now = time.monotonic()
        over = [ref for ref, until in self._held.items() if until <= now]
        for ref in over:
            del self._held[ref]
        return frozenset(ref.environment for ref in over)

    def _service_of(self, limit: Limit, inventory: Inventory) -> str:
        """The service of the first route that has one and that the limit is bound to."""
        if not inventory.service_of:
            return ""
        return next((inventory.service_of[r] for r in self._bound(limit) if r in inventory.service_of), "")

    @staticmethod
    def _production(ref: Ref, inventory: Inventory) -> bool:
        view = inventory.environments.get(ref.environment)
        return view is not None and view.environment.production

    def _bound(self, limit: Limit) -> list[Ref]:
        refs: list[Ref] = []
        for binding in limit.bindings:
            path, _, part = binding.on.partition("#")
            if path.count("/") == 3 and all(path.split("/")):
                refs.append(Ref.parse(f"{path}#{part}" if part else path))
        return refs

    def routes_of(self, limit: Limit) -> list[RouteRow]:
        """The routes that a limit is bound to, as far as they are known."""
        return [self.routes[ref] for ref in self._bound(limit) if ref in self.routes]

    def set_history(self, page: HistoryPage) -> None:
        """Take what was read of the journal; changes made without us come from the inventory."""
        self.history = page
        self.changes_unknown = f"not in full: {page.why}" if page.not_understood else ""
        self._tell()

    def history_failed(self, why: str) -> None:
        """The journal could not be read: what was read before is old, and what others did is still known."""
        self.history, self.changes_unknown = None, why
        self._tell()

    @property
    def older_changes(self) -> int:
        """How many changes of the journal were not read."""
        return self.history.older if self.history is not None else 0

    def _tell(self) -> None:
        items = self.history.items if self.history is not None else ()
        rows = [_ours(item) for item in items]
        if self.inventory is not None:
            ours = {(step.object, item.at) for item in items for step in item.steps}
            rows += [_outside(change) for change in self.inventory.outside if not _is_ours(change, ours)]
        self.changes = sorted(rows, key=lambda row: -row.at)
        self.told += 1

    def _sample(self) -> None:
        now = time.monotonic()
        if self.inventory is None or now - self._sampled < SAMPLE_SECONDS or not self.inventory.seen:
            return
        self._sampled = now
        totals: dict[str, list[Fraction]] = {}
        for ref, seen in self.inventory.seen.items():
            traffic = seen.traffic
            sample = (
                _scaled(traffic.rps, 10),
                _scaled(traffic.error_ratio, 1000),
                _scaled(traffic.throttled_ratio, 1000),
            )
            self.samples.setdefault(ref, deque(maxlen=HISTORY)).append(sample)
            service = self.inventory.service_of.get(ref)
            if service and traffic.rps is not None and self._counts(service, ref):
                sums = totals.setdefault(service, [Fraction(0), Fraction(0), Fraction(0)])
                sums[0] += traffic.rps
                sums[1] += traffic.rps * (traffic.error_ratio or 0)
                sums[2] += traffic.rps * (traffic.throttled_ratio or 0)
        for service, (rps, errors, throttled) in totals.items():
            sample = (
                _scaled(rps, 10),
                _scaled(errors / rps if rps else None, 1000),
                _scaled(throttled / rps if rps else None, 1000),
            )
            self.samples.setdefault(service, deque(maxlen=HISTORY)).append(sample)
        kept = self.inventory.services  # routes come and go all night: what is gone keeps no samples
        self.samples = {key: s for key, s in self.samples.items() if key in self.routes or key in kept}
        self.was = {ref: row for ref, row in self.was.items() if ref in self.routes or ref in self.limits}

    def _counts(self, service: str, ref: Ref) -> bool:
        """Whether a route's requests are the service's own: where there is a front, all of them pass it."""
        view = self.inventory.services.get(service) if self.inventory else None
        return view is None or view.front is None or view.front == ref or view.front not in self.routes

    def search_ahead(self, number: int = 50) -> None:
        """Make the searched texts of so many more rows, so that the first letter of a filter need not make all."""
        if self.inventory is None:
            return
        if self._ahead_of != self.revision:
            self._ahead_of = self.revision
            self._ahead = chain(self.inventory.routes.values(), self.inventory.limits.values())
        new = (row for row in self._ahead if not self.searched.knows(row))
        for row in islice(new, number):
            self.searched(row, self.inventory)

    # --- questions

    @property
    def alerts(self) -> int:
        """How many rows are broken, in both lists."""
        return sum(self.broken.values())

    def environments(self) -> list[EnvironmentView]:
        return list(self.inventory.environments.values()) if self.inventory else []

    def environment(self, name: str) -> EnvironmentView | None:
        return self.inventory.environments.get(name) if self.inventory else None

    def labels(self, environment_shown: bool = True) -> Mapping[Ref, str]:
        """The name of every row, with what tells it apart where others of its list have the same; `place` says that
        the environment is shown beside it."""
        if self._labels[0] != self.naming:
            self._labels = self.naming, {}
        made = self._labels[1]
        if environment_shown not in made:
            made[environment_shown] = {
                **told_apart({ref: row.name for ref, row in self.routes.items()}, environment_shown),
                **told_apart({ref: row.name for ref, row in self.limits.items()}, environment_shown),
            }
        return made[environment_shown]

    def label(self, ref: Ref) -> str:
        """The name of one row as the lists have it."""
        return self.labels().get(ref, ref.name)

    def environment_names(self) -> list[str]:
        return list(self.inventory.environments) if self.inventory else []

    def color(self, environment: str) -> str:
        """The role that draws an environment's name: the deck file's colour, or how dangerous it is."""
        config = self.configured.get(environment)
        if config is not None and config.color is not None:
            return config.color
        view = self.environment(environment)
        return "accent" if view is not None and view.environment.production else "muted"

    def banner(self, environment: str) -> str:
        config = self.configured.get(environment)
        return config.banner if config is not None else ""

    def services(self) -> Mapping[str, ServiceView]:
        return self.inventory.services if self.inventory else {}

    def age(self, environment: str, read_at: float | None = None) -> float | None:
        """Seconds since the figures of an environment were read; None where they never were."""
        at = self.inventory.as_of(environment, read_at) if self.inventory else read_at
        return None if not at else max(time.time() - at, 0.0)

    def stale(self, environment: str, read_at: float | None = None) -> bool:
        """Old values look old: never read, read long ago, or of an environment out of reach."""
        seconds = self.age(environment, read_at)
        view = self.environment(environment)
        unreachable = view is not None and view.environment.reach.state.value == "unreachable"
        return seconds is None or seconds > STALE_SECONDS or unreachable


def _moved(before: Inventory | None, now: Inventory) -> frozenset[str]:
    """The environments whose reach is another than before: their rows are derived anew."""
    old = before.environments if before is not None else {}
    return frozenset(
        name
        for name, view in now.environments.items()
        if name not in old or old[name].environment.reach != view.environment.reach
    )


def _parts(inventory: Inventory) -> Mapping[str, Part]:
    """The rows by environment; all under one name where nobody has divided them."""
    return inventory.parts or {"": Part(inventory.routes, inventory.limits, inventory.seen)}


def _same_rows(before: Part | Inventory, now: Part | Inventory) -> bool:
    """Whether these are the very same rows and measures again: only how old they are is news then."""
    return before.routes is now.routes and before.limits is now.limits and before.seen is now.seen


def _weights(route: Route) -> tuple[object, ...]:
    return tuple((target.name, target.weight, target.share, target.state) for target in route.targets)


def _scaled(value: Fraction | None, by: int) -> int:
    return -1 if value is None else int(value * by)


def _ours(item: HistoryItem) -> ChangeRow:
    names = list(dict.fromkeys(change.ref.name for step in item.steps for change in step.changes))
    what = _describe(item)
    more = f" +{len(names) - 1}" if len(names) > 1 else ""
    outcome = f"undone by {item.undone_by}" if item.undone_by else item.outcome.value.replace("_", " ")
    name = safe(names[0]) if names else ""
    return ChangeRow(item.at, safe(who(item.actor)), f"{name}{more} {what}", outcome, item=item)


def _describe(item: HistoryItem) -> str:
    """The fields of the first step: `A80→70 B20→30`, in names."""
    return safe(" ".join(change_words(change) for step in item.steps[:1] for change in step.changes[:3]))


def _is_ours(change: Outside, ours: Collection[tuple[str, float]]) -> bool:
    """A host remembers a file's time and not who changed it: at the time of a change of ours, it was that one."""
    return change.source == "file time" and any(
        name == change.object and abs(at - change.at) < OURS_SECONDS for name, at in ours
    )


def _outside(change: Outside) -> ChangeRow:
    name = change.object.rsplit("/", 1)[-1]
    return ChangeRow(change.at, safe(change.who), safe(f"{name} {change.what}"), "outside", outside=change)
