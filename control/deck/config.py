"""The deck file: which environments, services, guards and journal. It holds no secret.

The classes here are what the rest of the program uses; reading and checking the YAML is `control.deck.reading`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """Where a data plane itself can be asked. Several replicas, several entries."""

    kind: str
    """`traefik`, `nginx`, `haproxy`."""
    api: str | None = None
    metrics: str | None = None
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


@dataclass(frozen=True, slots=True)
class KubernetesConfig:
    context: str | None = None
    kubeconfig: str | None = None
    """Path, `~` expanded; None for the usual places (KUBECONFIG, ~/.kube/config)."""
    namespaces: tuple[str, ...] = ()
    """Empty for all that the identity may list."""
    kinds: tuple[str, ...] = ()
    """Empty for all that the adapter reads. What is not asked for is not missing either."""


@dataclass(frozen=True, slots=True)
class SshConfig:
    hosts: tuple[str, ...]
    """Names as in ssh config; `gpu-[01-40]` already expanded."""
    config: str | None = None
    known_hosts: str | None = None
    sudo: bool = False
    user: str | None = None


@dataclass(frozen=True, slots=True)
class AwsConfig:
    region: str
    profile: str | None = None
    functions: tuple[str, ...] = ("*",)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Service name -> URL; only for tests."""


@dataclass(frozen=True, slots=True)
class GuardConfig:
    maximum_move: int = 25
    cool_down_seconds: int = 60
    verdicts: Mapping[str, str] = field(default_factory=dict)
    """Guard name -> `warn` | `refuse` | `off`, where it differs from the default."""
    freeze: str | None = None
    """A reason: while it is set every write is refused."""
    regions: tuple[str, ...] = ()
    """Where traffic may go (residency); empty for anywhere."""


@dataclass(frozen=True, slots=True)
class EnvironmentConfig:
    name: str
    kubernetes: KubernetesConfig | None = None
    ssh: SshConfig | None = None
    aws: AwsConfig | None = None
    section: str = ""
    """The key that was given: `kubernetes`, `ssh`, `aws`, or that of a third party's adapter."""
    other: Mapping[str, Any] = field(default_factory=dict)
    """The section of a third party's adapter, as it stands in the file."""
    labels: Mapping[str, str] = field(default_factory=dict)
    production: bool = False
    """`production: true`, or the label `tier: production`."""
    code: str | None = None
    color: str | None = None
    """`#rrggbb`: how the screen draws its name."""
    banner: str = ""
    """A sentence over everything of it that can be changed: "payments: page #sre first"."""
    armed: bool | None = None
    """Start armed or not; None for the default (production disarmed, others armed)."""
    read_only: bool = False
    proxies: tuple[ProxyConfig, ...] = ()
    prometheus: str | None = None
    guards: GuardConfig = GuardConfig()
    """The deck's guards with this environment's own on top."""
    line: int = 0


@dataclass(frozen=True, slots=True)
class FrontConfig:
    route: str
    """The ref of the route whose targets lead to the environments."""
    targets: Mapping[str, str]
    """Target name -> environment name."""


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    name: str
    routes: tuple[str, ...]
    """Globs over listed refs."""
    front: FrontConfig | None = None
    tokens_per_request: int | None = None


@dataclass(frozen=True, slots=True)
class DeckConfig:
    path: Path | None
    """None for the demo fleet."""
    environments: tuple[EnvironmentConfig, ...] = ()
    services: tuple[ServiceConfig, ...] = ()
    guards: GuardConfig = GuardConfig()
    journal: Path | None = None
    """None for the user's state folder."""
    theme: str | None = None
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Action id -> keys."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Word after `:` -> the command line that it stands for."""

    def environment(self, name: str) -> EnvironmentConfig | None:
        """The environment called `name`, or None."""
        return next((e for e in self.environments if e.name == name), None)
