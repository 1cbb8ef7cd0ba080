"""Reads and checks the deck file: every mistake is told with file and line."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from control.deck.config import (
    DeckConfig,
    EnvironmentConfig,
    FrontConfig,
    GuardConfig,
    ServiceConfig,
)
from control.deck.schema import deck_schema
from control.deck.sections import ANY_MAPPING, DeckSection
from control.deck.yamlcheck import Part, Place, check, compose, entries, line_of
from control.errors import DeckError, UsageError
from control.model.ref import Ref
from control.structs import replace
from control.text import clean


def read_deck(path: Path, sections: Sequence[DeckSection]) -> DeckConfig:
    """The deck of a file, whose environments are of these sections. Raises `DeckError` naming file and line."""
    try:
        text = _text_of(path)
    except FileNotFoundError:
        raise DeckError(
            f"there is no deck file {path}", hint="name one with --deck FILE, or try 'trafficdeck demo'"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8 text"
        raise DeckError(f"the deck file {path} cannot be read: {why}") from None
    return parse_deck(text, path, sections)


def _text_of(path: Path) -> str:
    """The text of a regular file. One that is none is refused unread: a FIFO waits for a writer for ever, a device may
    have no end, and neither says the same a second time."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read().decode("utf-8")
    finally:
        os.close(descriptor)
    raise DeckError(f"the deck file {path} is {_sort_of(mode)}, and no file", hint="name a file with --deck FILE")


def _sort_of(mode: int) -> str:
    return "a folder" if stat.S_ISDIR(mode) else "a FIFO" if stat.S_ISFIFO(mode) else "a device"


def parse_deck(text: str, path: Path, sections: Sequence[DeckSection]) -> DeckConfig:
    """The deck of a text that stands in `path`. Raises `DeckError` naming file and line."""
    place = Place(path)
    root = compose(text, place)
    has_kinds = "kinds" in entries(root, place)
    values = check(root, deck_schema(sections if has_kinds else _without_kinds(sections)), "the deck file", place)
    kinds = _kinds(Part(values, root, place), sections) if has_kinds else {}
    guards = _guards(GuardConfig(), values.get("guards", {}))
    environments = tuple(
        _environment(item, node, guards, sections, kinds, place)
        for item, node in zip(values["environments"], _items(root, "environments", place), strict=True)
    )
    _check_names(_items(root, "environments", place), "environment", place)
    _check_names(_items(root, "services", place), "service", place)
    names = [environment.name for environment in environments]
    services = tuple(
        _service(item, node, names, place)
        for item, node in zip(values.get("services", []), _items(root, "services", place), strict=True)
    )
    journal = values.get("journal")
    return DeckConfig(
        path=path,
        environments=environments,
        services=services,
        guards=guards,
        journal=Path(str(Part(values, root, place).below("journal").path("path"))) if journal else None,
        theme=values.get("theme"),
        aliases=dict(values.get("aliases", {})),
        keys={action: (k,) if isinstance(k, str) else tuple(k) for action, k in values.get("keys", {}).items()},
    )


def _without_kinds(sections: Sequence[DeckSection]) -> list[DeckSection]:
    """The same sections, for a file without `kinds`: what a kind may say is much to put together for nothing."""
    return [replace(one, kinds_schema=ANY_MAPPING.copy if one.kinds_schema else None) for one in sections]


def _kinds(part: Part, sections: Sequence[DeckSection]) -> dict[str, tuple[Any, ...]]:
    """Key of a section -> the kinds of the user's own that its environments have."""
    return {one.key: one.parse_kinds(part.below("kinds")) for one in sections if one.kinds_schema is not None}


def _items(root: yaml.Node, key: str, place: Place) -> list[yaml.Node]:
    pair = entries(root, place).get(key)
    return list(pair[1].value) if pair else []


def _check_names(nodes: list[yaml.Node], what: str, place: Place) -> None:
    lines: dict[str, int] = {}
    for node in nodes:
        name = entries(node, place)["name"][1]
        if clean(name.value) != name.value:
            raise place.error(name, f"the name of the {what} '{name.value}' has characters that cannot be shown")
        if name.value in lines:
            raise place.error(
                name,
                f"the {what} '{name.value}' is there twice",
                f"first at line {lines[name.value]}; names are unique",
            )
        lines[name.value] = line_of(name)


# --- environments -----------------------------------------------------------------------------------------------------


def _environment(
    item: Mapping[str, Any],
    node: yaml.Node,
    guards: GuardConfig,
    sections: Sequence[DeckSection],
    kinds: Mapping[str, tuple[Any, ...]],
    place: Place,
) -> EnvironmentConfig:
    given = [section for section in sections if section.key in item]
    if len(given) != 1:
        what = " and ".join(section.key for section in given) if given else "none"
        keys = ", ".join(section.key for section in sections)
        raise place.error(node, f"the environment '{item['name']}' needs exactly one of {keys}, and has {what}")
    [section] = given
    part = Part(item, node, place)
    labels = dict(item.get("labels", {}))
    production = item.get("production", labels.get("tier") == "production")
    return EnvironmentConfig(
        name=item["name"],
        section=section,
        settings=section.parse(part.below(section.key)),
        kinds=kinds.get(section.key, ()),
        labels=labels,
        production=production,
        code=item.get("code") or (item["name"] if production else None),
        color=item.get("color"),
        banner=clean(item.get("banner", "")),
        armed=item.get("armed"),
        read_only=item.get("read_only", False),
        proxies=tuple(
            section.parse_proxy(part.below("proxies", number)) for number in range(len(item.get("proxies", [])))
        ),
        prometheus=item.get("prometheus"),
        guards=_guards(guards, item.get("guards", {})),
        line=line_of(node),
    )


# --- guards and services ----------------------------------------------------------------------------------------------


def _guards(base: GuardConfig, item: Mapping[str, Any]) -> GuardConfig:
    """An environment's own guards on top of the deck's, key by key."""
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in item.items()}
    return replace(base, **(given | {"verdicts": {**base.verdicts, **item.get("verdicts", {})}}))


def _service(item: Mapping[str, Any], node: yaml.Node, names: list[str], place: Place) -> ServiceConfig:
    front = item.get("front")
    if front is not None:
        front_node = entries(node, place)["front"][1]
        try:
            Ref.parse(front["route"])
        except UsageError as error:
            raise place.error(front_node, error.message, error.hint) from None
        unknown = next((name for name in front["targets"].values() if name not in names), None)
        if unknown is not None:
            raise place.error(
                front_node, f"the front of '{item['name']}' leads to '{unknown}', which is no environment",
                f"the environments are {', '.join(names)}",
            )  # fmt: skip
    return ServiceConfig(
        name=item["name"],
        routes=tuple(item["routes"]),
        front=FrontConfig(front["route"], front["targets"]) if front else None,
        tokens_per_request=item.get("tokens_per_request"),
    )
