"""What hosts over SSH declare of themselves: their section of the deck file, and how their proxies are named there.

Everything that starts the program imports this, so it imports nothing that is not light.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from adapters.ssh.proxies.kinds import KINDS
from control.deck.sections import ARGUMENTS, FLAG, TEXT, TEXTS, DeckSection, closed

if TYPE_CHECKING:
    from control.deck.config import EnvironmentConfig
    from control.deck.yamlcheck import Part

PLATFORM = "ssh"
MAXIMUM_HOSTS = 10_000
_ADDRESS = re.compile(r"^([^@\[\]]*@)?\[[^\[\]]*:[^\[\]]*\](:[0-9]+)?$")
"""An address of IPv6 in brackets, with a user and a port perhaps."""
_RANGE = re.compile(r"\[([0-9]{1,9})-([0-9]{1,9})\]")


@dataclass(frozen=True, slots=True)
class SshConfig:
    """The section `ssh` of an environment."""

    hosts: tuple[str, ...]
    """Names as in ssh config; `gpu-[01-40]` already expanded."""
    config: str | None = None
    known_hosts: str | None = None
    sudo: bool = False
    user: str | None = None


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """A proxy on the hosts of an environment."""

    kind: str
    """One of `adapters.ssh.proxies.kinds`."""
    config: str | None = None
    socket: str | None = None
    access_log: str | None = None
    master: str | None = None
    """HAProxy's master socket, for reloads; nginx's pid file."""
    name: str | None = None
    reload: tuple[str, ...] | None = None
    """A fixed command (argument list) that reloads the proxy, where neither systemd nor a signal is right."""
    validate: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None
    """Only on these hosts of the environment; None for all."""
    map_files: tuple[str, ...] = ()
    state_file: str | None = None


_PROXY_KEYS = {
    "config": TEXT,
    "socket": TEXT,
    "access_log": TEXT,
    "master": TEXT,
    "name": TEXT,
    "reload": ARGUMENTS,
    "validate": ARGUMENTS,
    "hosts": TEXTS,
    "map_files": TEXTS,
    "state_file": TEXT,
}


def _parse(part: Part) -> SshConfig:
    return SshConfig(
        hosts=_hosts(part),
        config=part.path("config"),
        known_hosts=part.path("known_hosts"),
        sudo=part.values.get("sudo", False),
        user=part.values.get("user"),
    )


def _parse_proxy(part: Part) -> ProxyConfig:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in part.values.items()
        if key == "kind" or key in _PROXY_KEYS
    }
    if "hosts" in values:
        values["hosts"] = _hosts(part)
    return ProxyConfig(**values)


def _hosts(part: Part) -> tuple[str, ...]:
    """All hosts that are named under the key `hosts`."""
    lines: dict[str, int] = {}
    for number, pattern in enumerate(part.values["hosts"]):
        at = ("hosts", number)
        spans = [int(last) - int(first) + 1 for first, last in _RANGE.findall(pattern)]
        if prod(max(span, 1) for span in spans) > MAXIMUM_HOSTS:
            raise part.error(f"the range of '{pattern}' is too long", f"at most {MAXIMUM_HOSTS} hosts", *at)
        for host in _expanded(pattern, part.below(*at)):
            if host in lines:
                raise part.error(f"the host '{host}' is there twice", f"first at line {lines[host]}", *at)
            lines[host] = part.below(*at).line
    return tuple(lines)


def _expanded(pattern: str, part: Part) -> list[str]:
    """`gpu-[01-40]` as gpu-01 … gpu-40: as many digits as the first number has."""
    match = _RANGE.search(pattern)
    if match is None:
        if ("[" in pattern or "]" in pattern) and not _ADDRESS.match(pattern):
            raise part.error(f"'{pattern}' is not a range of hosts", "write for example gpu-[01-40]")
        return [pattern]
    first, last = int(match[1]), int(match[2])
    if first > last:
        raise part.error(f"the range of '{pattern}' is empty", "write the smaller number first")
    width = len(match[1])
    numbered = (f"{pattern[: match.start()]}{n:0{width}d}{pattern[match.end() :]}" for n in range(first, last + 1))
    return [host for each in numbered for host in _expanded(each, part)]


def _is_group(settings: Any) -> bool:
    return isinstance(settings, SshConfig) and len(settings.hosts) > 1


SECTION = DeckSection(
    key="ssh",
    platform=PLATFORM,
    schema=closed(
        {
            "hosts": ARGUMENTS | {"description": "names as in ssh config; gpu-[01-40] is expanded"},
            "config": TEXT,
            "known_hosts": TEXT,
            "sudo": FLAG,
            "user": TEXT,
        },
        "hosts",
    ),
    parse=_parse,
    proxy_kinds=KINDS,
    proxy_keys=_PROXY_KEYS,
    parse_proxy=_parse_proxy,
    is_group=_is_group,
    limits_may_be_bypassed=True,  # other places may lead to the same upstream
)


def settings_of(config: EnvironmentConfig) -> SshConfig:
    """What the deck file says of the hosts of an environment."""
    assert isinstance(config.settings, SshConfig)
    return config.settings
