"""The columns that FILTER words can name: what each is for a route, a limit, an environment and a service."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from control.fleet.views import EnvironmentView, Inventory, Seen, ServiceView
from control.model import Limit, Route
from control.text import clean

Row = Route | Limit | EnvironmentView | ServiceView

_HUNDRED = 100


def environments_of(row: Row) -> tuple[str, ...]:
    """The names of the environments that a row is in; several for a service."""
    if isinstance(row, EnvironmentView):
        return (row.environment.name,)
    if isinstance(row, ServiceView):
        return tuple(dict.fromkeys(ref.environment for ref in row.routes))
    return (row.environment,)


def labels_of(row: Row, inventory: Inventory) -> tuple[tuple[str, str], ...]:
    """The labels of the environments that a row is in."""
    views = (inventory.environments.get(name) for name in environments_of(row))
    return tuple(label for view in views if view is not None for label in view.environment.labels)


@dataclass(frozen=True, slots=True)
class SearchedTexts:
    """What a plain word or a regular expression is looked for in: name, ref, labels, targets' names."""

    pieces: tuple[str, ...]
    folded: str
    """All of them without case, one a line."""


def searched(row: Row, inventory: Inventory) -> SearchedTexts:
    """The searched texts of one row."""
    pieces = [*_names(row), *_labels(row, inventory)]
    if isinstance(row, Route):
        pieces += [clean(target.name) for target in row.targets]
    return SearchedTexts(tuple(pieces), "\n".join(pieces).casefold())


class SearchMemory:
    """`searched` with a memory, for a filter that is asked again at each letter: thousands of rows stay the same."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Row, SearchedTexts]] = {}
        """By `id`, which is the row's own for as long as the row is kept here."""

    def knows(self, row: Row) -> bool:
        return id(row) in self._kept

    def __call__(self, row: Row, inventory: Inventory) -> SearchedTexts:
        kept = self._kept.get(id(row))
        if kept is not None:
            return kept[1]
        if not isinstance(row, Route | Limit):
            return searched(row, inventory)
        if len(self._kept) > 2 * (len(inventory.routes) + len(inventory.limits)):
            self._kept.clear()  # rows come and go all night
        texts = searched(row, inventory)
        self._kept[id(row)] = row, texts
        return texts


def _names(row: Row) -> Iterator[str]:
    if isinstance(row, EnvironmentView):
        yield row.environment.name
        return
    yield row.name
    if isinstance(row, ServiceView):
        yield from map(str, row.routes)
        return
    yield str(row.ref)
    yield from (str(member.ref) for member in row.members)


def _labels(row: Row, inventory: Inventory) -> Iterator[str]:
    return (f"{key}={value}" for key, value in labels_of(row, inventory))


# --- columns of text --------------------------------------------------------------------------------------------------


def _kind(row: Row) -> Iterable[str]:
    if isinstance(row, EnvironmentView):
        return ("Environment",)
    return ("Service",) if isinstance(row, ServiceView) else (row.kind,)


def _name(row: Row) -> Iterable[str]:
    return (row.environment.name,) if isinstance(row, EnvironmentView) else (row.name,)


def _platform(row: Row, inventory: Inventory) -> Iterable[str]:
    views = (inventory.environments.get(name) for name in environments_of(row))
    return [view.environment.platform for view in views if view is not None]


def _service(row: Row, inventory: Inventory) -> Iterable[str]:
    if isinstance(row, ServiceView):
        return (row.name,)
    if isinstance(row, Route):
        name = inventory.service_of.get(row.ref)
        return () if name is None else (name,)
    if isinstance(row, EnvironmentView):
        return [name for name, view in inventory.services.items() if row.environment.name in environments_of(view)]
    limited = (ref for ref, limits in inventory.limits_of.items() if row.ref in limits)
    return {name for ref in limited if (name := inventory.service_of.get(ref)) is not None}


def _owner(row: Row) -> Iterable[str]:
    owners = row.owners if isinstance(row, Route | Limit) else ()
    return [text for owner in owners for text in (owner.kind, owner.name, f"{owner.kind}/{owner.name}")]


def _state(row: Row) -> Iterable[str]:
    """What is set: the targets' states, a limit's mode, an environment's access."""
    if isinstance(row, Route):
        return [target.state.value for target in row.targets]
    if isinstance(row, Limit):
        return (row.mode.value,)
    return (row.environment.access.state.value,) if isinstance(row, EnvironmentView) else ()


def _health(row: Row) -> Iterable[str]:
    """What is observed: the targets' health, an environment's reach."""
    if isinstance(row, Route):
        return [target.health.value for target in row.targets]
    return (row.environment.reach.state.value,) if isinstance(row, EnvironmentView) else ()


TEXTS: Mapping[str, Callable[[Row, Inventory], Iterable[str]]] = {
    "name": lambda row, _: _name(row),
    "env": lambda row, _: environments_of(row),
    "kind": lambda row, _: _kind(row),
    "service": _service,
    "platform": _platform,
    "label": _labels,
    "owner": lambda row, _: _owner(row),
    "state": lambda row, _: _state(row),
    "health": lambda row, _: _health(row),
    "scope": lambda row, _: (row.ref.scope,) if isinstance(row, Route | Limit) else (),
    "match": lambda row, _: row.matches if isinstance(row, Route) else (),
    "key": lambda row, _: (row.key or ("all callers",)) if isinstance(row, Limit) else (),
    "over": lambda row, _: (str(row.over),) if isinstance(row, Limit) else (),
}
"""Column -> its texts in a row; a test holds where it holds for one of them."""
ALIASES: Mapping[str, str] = {"environment": "env", "at": "env", "in": "scope", "per": "key", "mode": "state"}
"""What people call a column, as the lists' titles do."""


# --- columns of numbers -----------------------------------------------------------------------------------------------


def _seen(row: Row, inventory: Inventory) -> Seen | None:
    return inventory.seen.get(row.ref) if isinstance(row, Route) else None


def _percent(ratio: Fraction | None) -> Fraction | None:
    return None if ratio is None else ratio * _HUNDRED


def _errors(row: Row, inventory: Inventory) -> Fraction | None:
    seen = _seen(row, inventory)
    return _percent(seen.traffic.error_ratio) if seen else None


def _throttled(row: Row, inventory: Inventory) -> Fraction | None:
    seen = _seen(row, inventory)
    return _percent(seen.traffic.throttled_ratio) if seen else None


def _rps(row: Row, inventory: Inventory) -> Fraction | None:
    seen = _seen(row, inventory)
    return seen.traffic.rps if seen else None


def _p95(row: Row, inventory: Inventory) -> Fraction | None:
    seen = _seen(row, inventory)
    return seen.traffic.p95_seconds if seen else None


def _gap(row: Row, inventory: Inventory) -> Fraction | None:
    """The widest gap between set and seen among the targets, in points; None where no share was seen."""
    seen = _seen(row, inventory)
    if seen is None or not seen.shares or not isinstance(row, Route):
        return None
    pairs = [(target.share, seen.shares.get(target.name, Fraction(0))) for target in row.targets]
    return _percent(max((abs(share - measured) for share, measured in pairs if share is not None), default=None))


def _age(row: Row, inventory: Inventory) -> Fraction | None:
    at = inventory.as_of(row.environment, row.read_at) if isinstance(row, Route | Limit) else row.read_at
    return Fraction(max(0.0, time.time() - at)) if at else None


def _used(row: Row, inventory: Inventory) -> Fraction | None:
    """How full a limit is, in percent of its amount."""
    if not isinstance(row, Limit) or row.use.current is None or not isinstance(row.amount, Fraction) or not row.amount:
        return None
    return row.use.current / row.amount * _HUNDRED


def _rejected(row: Row, inventory: Inventory) -> Fraction | None:
    return row.use.rejected_per_second if isinstance(row, Limit) else None


NUMBERS: Mapping[str, Callable[[Row, Inventory], Fraction | None]] = {
    "5xx": _errors,
    "429": _throttled,
    "rps": _rps,
    "p95": _p95,
    "gap": _gap,
    "age": _age,
    "used": _used,
    "rejected": _rejected,
}
"""Column -> its number in a row, None where it is not known."""
PERCENTS = frozenset({"5xx", "429", "gap", "used"})
SECONDS = frozenset({"p95", "age"})
"""Columns whose numbers may carry `s`, `m` or `h`."""

_EVERYWHERE = ("name", "env", "kind", "service", "platform", "label", "age")
_MORE: Mapping[str, tuple[str, ...]] = {
    "routes": ("owner", "state", "health", "scope", "match", "5xx", "429", "rps", "p95", "gap"),
    "limits": ("owner", "state", "scope", "key", "over", "used", "rejected"),
    "environments": ("state", "health"),
    "services": (),
}


def columns_of(what: str) -> tuple[str, ...]:
    """The columns that rows of a list have: `routes`, `limits`, `environments` or `services`; all for another word."""
    more = _MORE.get(what)
    return tuple(dict.fromkeys([*TEXTS, *NUMBERS])) if more is None else (*_EVERYWHERE, *more)
