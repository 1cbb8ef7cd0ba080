"""A kind of a user's own, as the deck file's `kinds` has it: the words of `adapters.engine.kind`, shortened where one
section says it all, and without what a user's kind must not do.

It names no Secrets and no subresource, and writes nothing under `metadata` or `status`. What the user wrote is
converted first and put into the engine's form afterwards, so that a mistake is told where it stands in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from adapters.engine.kind import Api, Kind, LimitSection, RouteSection, StatusOf, Targets, Word
from adapters.engine.locators import EACH, VALUES, Place, parse
from adapters.engine.machine import check
from control.errors import InvalidValue

Path = tuple[str | int, ...]
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_KIND = re.compile(r"[A-Z][A-Za-z0-9]{0,62}")
_PROTECTED = frozenset({"metadata", "status", "apiVersion", "kind"})
_IN_TEMPLATE = re.compile(r"\{([^{}|]*)(?:\|[^{}]*)?\}")


class UserKind(Word, frozen=True, kw_only=True):
    """A kind of a user's own: its routes, its limits, or both."""

    kind: str
    api: Api
    title: str = ""
    rules: RouteSection | None = None
    targets: Targets | None = None
    routes: tuple[RouteSection, ...] = ()
    limits: LimitSection | tuple[LimitSection, ...] = ()
    conditions: tuple[str, ...] = ()
    status: StatusOf | None = None
    loses: tuple[str, ...] = ()


class Fault(Exception):
    """What is wrong with a kind, and where: the path of it in what the user wrote."""

    def __init__(self, path: Path, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.path, self.message, self.hint = path, message, hint


def schema() -> dict[str, Any]:
    """The JSON Schema of one kind, in one piece."""
    (root,), components = msgspec.json.schema_components((UserKind,))
    made = _inlined(root, components)
    made.pop("title", None)
    assert isinstance(made, dict)
    return made


def _inlined(schema: Any, components: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inlined(one, components) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(components[schema["$ref"].rpartition("/")[2]], components)
    return {key: _inlined(value, components) for key, value in schema.items()}


def converted(values: Any) -> Kind:
    """The kind of what a user wrote. Raises `Fault`."""
    try:
        given = msgspec.convert(values, UserKind)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        steps = re.findall(r"\.([^.\[`]+)|\[(\d+)\]", place)
        raise Fault(tuple(name or int(number) for name, number in steps), message) from None
    _check_names(given)
    _check_sections(given)
    kind = _normalised(given)
    for path, section, at in _route_sections(given):
        _check_routes(section, path, at)
    for path, limit in _limit_sections(given):
        _check_limits(limit, path)
    try:
        check(kind)
    except InvalidValue as error:
        raise Fault((), error.message, error.hint) from None
    return kind


def _normalised(given: UserKind) -> Kind:
    routes = given.routes
    if given.targets is not None:
        routes = (msgspec.structs.replace(given.rules or RouteSection(), targets=given.targets),)
    limits = (given.limits,) if isinstance(given.limits, LimitSection) else given.limits
    status = given.status or StatusOf(conditions=given.conditions)
    title = given.title or f"a kind of your own in {given.api.group}"
    return Kind(
        kind=given.kind, api=given.api, title=title, routes=routes, limits=limits, status=status, loses=given.loses
    )


# --- names ------------------------------------------------------------------------------------------------------------


def _check_names(given: UserKind) -> None:
    api = given.api
    if not _KIND.fullmatch(given.kind):
        raise Fault(("kind",), f"'{given.kind}' is no name of a kind", "write it as the CRD has it, as SplitRoute")
    labels = api.group.split(".")
    if len(labels) < 2 or len(api.group) > 253 or not all(map(_LABEL.fullmatch, labels)):
        what = f"'{api.group}' is no group of a CRD" if api.group else "a kind of your own needs the group of its CRD"
        raise Fault(("api", "group") if api.group else ("api",), what, "groups are DNS names, as edge.example.com")
    if not _LABEL.fullmatch(api.plural):
        hint = "write it as the CRD has it, as splitroutes; subresources are not read"
        raise Fault(("api", "plural"), f"'{api.plural}' is no plural of a CRD", hint)
    if api.plural == "secrets" or given.kind == "Secret":
        raise Fault(
            ("kind",) if given.kind == "Secret" else ("api", "plural"),
            "Secrets are never read",
            "name the objects that hold shares or limits",
        )
    if not api.versions:
        raise Fault(("api", "versions"), "'versions' must not be empty", "write for example [v1]")
    for number, version in enumerate(api.versions):
        if not _LABEL.fullmatch(version):
            raise Fault(("api", "versions", number), f"'{version}' is no version of a CRD", "write for example v1")


# --- sections ---------------------------------------------------------------------------------------------------------


def _check_sections(given: UserKind) -> None:
    if given.rules is not None and given.targets is None:
        raise Fault(("rules",), "'rules' needs 'targets' beside it", "say where the targets of a rule stand")
    if given.rules is not None and given.rules.targets is not None:
        raise Fault(("rules", "targets"), "'targets' stands beside 'rules', not in it")
    if given.targets is not None and given.routes:
        raise Fault(("routes",), "'targets' is short for one section: write either it or 'routes'")
    if given.conditions and given.status is not None:
        raise Fault(("conditions",), "'conditions' is short for 'status': write one of them")
    if given.targets is None and not given.routes and not given.limits:
        raise Fault((), f"{given.kind} says neither where routes nor where limits stand", "write 'targets' or 'limits'")
    for key, parts in (("routes", [section.part for section in given.routes]),
                       ("limits", [section.part for _, section in _limit_sections(given)])):  # fmt: skip
        for number, part in enumerate(parts):
            if not re.fullmatch(r"[a-z][a-z0-9-]*", part):
                raise Fault((key, number, "part"), f"'{part}' is no name of a section", "write for example tcp")
            if part in parts[:number]:
                raise Fault((key, number), f"two sections are called '{part}'", "give each a 'part' of its own")


def _route_sections(given: UserKind) -> Iterator[tuple[Path, RouteSection, Path]]:
    """Each section with where it stands, and where its targets do."""
    if given.targets is not None:
        section = msgspec.structs.replace(given.rules or RouteSection(), targets=given.targets)
        yield ("rules",), section, ("targets",)
    for number, section in enumerate(given.routes):
        yield ("routes", number), section, ("routes", number, "targets")


def _limit_sections(given: UserKind) -> Iterator[tuple[Path, LimitSection]]:
    if isinstance(given.limits, LimitSection):
        yield ("limits",), given.limits
    else:
        yield from ((("limits", number), section) for number, section in enumerate(given.limits))


Around = tuple[tuple[str, ...], ...]
"""The object and the elements inside which a locator is read, each as the steps down to it."""


def _check_routes(section: RouteSection, path: Path, below: Path) -> None:
    inside = _inside(((),), section.at, (*path, "at"))
    for word in ("name", "distinct", "matches", "sticky", "note"):
        _resolved(inside, getattr(section, word), (*path, word))
    for locator in section.when:
        _resolved(((),), locator, (*path, "when"))
    targets = section.targets
    if targets is None:
        return
    places = (targets.at,) if isinstance(targets.at, str) else targets.at
    for at in places:
        target = _inside(inside, at, (*below, "at"))
        for number, locator in enumerate(targets.identity):
            for one in _IN_TEMPLATE.findall(locator) or [locator]:
                _resolved(target, one, (*below, "identity", number))
        _resolved(target, targets.priority, (*below, "priority"))
        if targets.weight:
            _written(target, targets.weight, (*below, "weight"))
    if not targets.identity:
        raise Fault((*below, "identity"), "'identity' must not be empty", "say what tells targets apart, as [name]")
    if targets.minimum > targets.maximum:
        raise Fault((*below, "minimum"), f"the smallest weight {targets.minimum} is more than {targets.maximum}")


def _check_limits(section: LimitSection, path: Path) -> None:
    inside = _inside(((),), section.at, (*path, "at"))
    for word in ("name", "distinct"):
        _resolved(inside, getattr(section, word), (*path, word))
    for locator in section.when:
        _resolved(((),), locator, (*path, "when"))
    if section.key.startswith("@"):
        _resolved(inside, section.key[1:], (*path, "key"))
    _written(inside, section.amount, (*path, "amount"))
    window = section.window
    if window is not None and not isinstance(window.seconds, int):
        period = window.seconds
        _written(inside, period.at, (*path, "window", "seconds", "at"))
        if period.form == "words" and not period.words:
            raise Fault((*path, "window", "seconds"), "'words' are needed: how many seconds each word is")
    if section.burst is not None:
        _written(inside, section.burst.at, (*path, "burst", "at"))
    if section.minimum > section.maximum:
        raise Fault((*path, "minimum"), f"the smallest amount {section.minimum} is more than {section.maximum}")


# --- locators ---------------------------------------------------------------------------------------------------------


def _inside(around: Around, locator: str, path: Path) -> Around:
    return (*around, _resolved(around, locator, path)) if locator else around


def _resolved(around: Around, locator: str, path: Path) -> tuple[str, ...]:
    """The steps from the object to what a locator names. Raises `Fault` for what is no locator."""
    try:
        place: Place = parse(locator)
    except InvalidValue as error:
        raise Fault(path, error.message, error.hint) from None
    if place.above >= len(around):
        raise Fault(path, f"'{locator}' leads out of the object", "each ^ is one element around")
    base = () if place.from_object else around[-1 - place.above]
    return (*base, *place.steps)


def _written(around: Around, locator: str, path: Path) -> None:
    """A place that is edited: one number, and the user's to write."""
    steps = _resolved(around, locator, path)
    if {EACH, VALUES} & set(parse(locator).steps):
        raise Fault(path, f"'{locator}' names several places where one is needed")
    named = [step for step in steps if step not in (EACH, VALUES)]
    if not named:
        raise Fault(path, f"'{locator}' names the object itself, not a number in it")
    if named[0] in _PROTECTED:
        what = f"'{'.'.join(named)}' cannot be a number that is edited: it stands under '{named[0]}'"
        raise Fault(path, what, "kinds of your own are edited under spec; metadata and status are never written")
