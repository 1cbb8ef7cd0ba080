"""Reads and checks the deck file: every mistake is told with file and line."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import yaml

from control.deck.config import (
    AwsConfig,
    DeckConfig,
    EnvironmentConfig,
    FrontConfig,
    GuardConfig,
    KubernetesConfig,
    ProxyConfig,
    ServiceConfig,
    SshConfig,
)
from control.deck.schema import SECTIONS, deck_schema
from control.deck.yamlcheck import Place, check, compose, entries, line_of
from control.errors import DeckError, UsageError
from control.model.ref import Ref
from control.text import clean

MAXIMUM_HOSTS = 10_000
_ADDRESS = re.compile(r"^([^@\[\]]*@)?\[[^\[\]]*:[^\[\]]*\](:[0-9]+)?$")
"""An address of IPv6 in brackets, with a user and a port perhaps."""
_RANGE = re.compile(r"\[([0-9]{1,9})-([0-9]{1,9})\]")


def read_deck(path: Path, sections: Iterable[str] = ()) -> DeckConfig:
    """The deck of a file. `sections` names further adapters' keys. Raises `DeckError` naming file and line."""
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


def parse_deck(text: str, path: Path, sections: Iterable[str] = ()) -> DeckConfig:
    """The deck of a text that stands in `path`. Raises `DeckError` naming file and line."""
    place, extra = Place(path), tuple(sections)
    root = compose(text, place)
    values = check(root, _schema_with(extra), "the deck file", place)
    guards = _guards(GuardConfig(), values.get("guards", {}))
    environments = tuple(
        _environment(item, node, guards, extra, place)
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
        journal=Path(_home(journal["path"], root, place)) if journal else None,
        theme=values.get("theme"),
        aliases=dict(values.get("aliases", {})),
        keys={action: (k,) if isinstance(k, str) else tuple(k) for action, k in values.get("keys", {}).items()},
    )


def _schema_with(sections: tuple[str, ...]) -> dict[str, Any]:
    """The schema, with the keys of further adapters (whose sections are theirs to check)."""
    schema = deck_schema()
    properties = schema["properties"]["environments"]["items"]["properties"]
    properties.update({section: {"type": "object", "additionalProperties": {}} for section in sections})
    return schema


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
    item: Mapping[str, Any], node: yaml.Node, guards: GuardConfig, extra: tuple[str, ...], place: Place
) -> EnvironmentConfig:
    sections = [key for key in (*SECTIONS, *extra) if key in item]
    if len(sections) != 1:
        what = " and ".join(sections) if sections else "none"
        raise place.error(
            node, f"the environment '{item['name']}' needs exactly one of {', '.join(SECTIONS)}, and has {what}"
        )
    section = sections[0]
    below = entries(node, place)[section][1]
    labels = dict(item.get("labels", {}))
    production = item.get("production", labels.get("tier") == "production")
    return EnvironmentConfig(
        name=item["name"],
        kubernetes=_kubernetes(item[section], below, place) if section == "kubernetes" else None,
        ssh=_ssh(item[section], below, place) if section == "ssh" else None,
        aws=_aws(item[section]) if section == "aws" else None,
        section=section,
        other=item[section] if section in extra else {},
        labels=labels,
        production=production,
        code=item.get("code") or (item["name"] if production else None),
        color=item.get("color"),
        banner=clean(item.get("banner", "")),
        armed=item.get("armed"),
        read_only=item.get("read_only", False),
        proxies=tuple(
            _proxy(proxy, proxy_node, place)
            for proxy, proxy_node in zip(item.get("proxies", []), _items(node, "proxies", place), strict=True)
        ),
        prometheus=item.get("prometheus"),
        guards=_guards(guards, item.get("guards", {})),
        line=line_of(node),
    )


def _home(path: str, node: yaml.Node, place: Place) -> str:
    """A path with `~` expanded."""
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        raise place.error(node, f"the home folder in '{path}' cannot be found") from None


def _path(item: Mapping[str, Any], key: str, node: yaml.Node, place: Place) -> str | None:
    return _home(item[key], entries(node, place)[key][1], place) if key in item else None


def _kubernetes(item: Mapping[str, Any], node: yaml.Node, place: Place) -> KubernetesConfig:
    kubeconfig = _path(item, "kubeconfig", node, place)
    namespaces, kinds = tuple(item.get("namespaces", ())), tuple(item.get("kinds", ()))
    return KubernetesConfig(item.get("context"), kubeconfig, namespaces, kinds)


def _ssh(item: Mapping[str, Any], node: yaml.Node, place: Place) -> SshConfig:
    return SshConfig(
        hosts=_hosts(item["hosts"], node, place),
        config=_path(item, "config", node, place),
        known_hosts=_path(item, "known_hosts", node, place),
        sudo=item.get("sudo", False),
        user=item.get("user"),
    )


def _hosts(patterns: list[str], section: yaml.Node, place: Place) -> tuple[str, ...]:
    """All hosts that are named below the key `hosts` of a section."""
    lines: dict[str, int] = {}
    for pattern, node in zip(patterns, _items(section, "hosts", place), strict=True):
        spans = [int(last) - int(first) + 1 for first, last in _RANGE.findall(pattern)]
        if prod(max(span, 1) for span in spans) > MAXIMUM_HOSTS:
            raise place.error(node, f"the range of '{pattern}' is too long", f"at most {MAXIMUM_HOSTS} hosts")
        for host in _expanded(pattern, node, place):
            if host in lines:
                raise place.error(node, f"the host '{host}' is there twice", f"first at line {lines[host]}")
            lines[host] = line_of(node)
    return tuple(lines)


def _expanded(pattern: str, node: yaml.Node, place: Place) -> list[str]:
    """`gpu-[01-40]` as gpu-01 … gpu-40: as many digits as the first number has."""
    match = _RANGE.search(pattern)
    if match is None:
        if ("[" in pattern or "]" in pattern) and not _ADDRESS.match(pattern):
            raise place.error(node, f"'{pattern}' is not a range of hosts", "write for example gpu-[01-40]")
        return [pattern]
    first, last = int(match[1]), int(match[2])
    if first > last:
        raise place.error(node, f"the range of '{pattern}' is empty", "write the smaller number first")
    width = len(match[1])
    numbered = (f"{pattern[: match.start()]}{n:0{width}d}{pattern[match.end() :]}" for n in range(first, last + 1))
    return [host for each in numbered for host in _expanded(each, node, place)]


def _aws(item: Mapping[str, Any]) -> AwsConfig:
    return AwsConfig(
        region=item["region"],
        profile=item.get("profile"),
        functions=tuple(item.get("functions", ("*",))),
        endpoints=item.get("endpoints", {}),
    )


def _proxy(item: Mapping[str, Any], node: yaml.Node, place: Place) -> ProxyConfig:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in item.items()}
    if "hosts" in item:
        values["hosts"] = _hosts(item["hosts"], node, place)
    return ProxyConfig(**values)


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
