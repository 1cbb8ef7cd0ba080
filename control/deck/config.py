"""The deck file: which environments, services, guards and journal. It holds no secret.

The classes here are what the rest of the program uses; reading and checking the YAML is `control.deck.reading`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from control.deck.sections import NO_SECTION, DeckSection


class GuardConfig(Struct, frozen=True):
    maximum_move: int = 25
    cool_down_seconds: int = 60
    verdicts: Mapping[str, str] = field(default_factory=dict)
    """Guard name -> `warn` | `refuse` | `off`, where it differs from the default."""
    freeze: str | None = None
    """A reason: while it is set every write is refused."""
    regions: tuple[str, ...] = ()
    """Where traffic may go (residency); empty for anywhere."""


class EnvironmentConfig(Struct, frozen=True):
    name: str
    section: DeckSection = NO_SECTION
    """Which of the adapters' sections was given."""
    settings: Any = None
    """What that section says, as its adapter parsed it."""
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
    kinds: tuple[Any, ...] = ()
    """Kinds of the user's own, as the section's adapter parsed them."""
    proxies: tuple[Any, ...] = ()
    """Where data planes themselves can be asked, as the section's adapter parsed it; several replicas, several."""
    prometheus: str | None = None
    guards: GuardConfig = GuardConfig()
    """The deck's guards with this environment's own on top."""
    line: int = 0

    @property
    def is_group(self) -> bool:
        """Is it several hosts, whose rows are shown as one?"""
        return self.section.is_group(self.settings)


class FrontConfig(Struct, frozen=True):
    route: str
    """The ref of the route whose targets lead to the environments."""
    targets: Mapping[str, str]
    """Target name -> environment name."""


class ServiceConfig(Struct, frozen=True):
    name: str
    routes: tuple[str, ...]
    """Globs over listed refs."""
    front: FrontConfig | None = None
    tokens_per_request: int | None = None


class DeckConfig(Struct, frozen=True):
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

    def section(self, name: str) -> DeckSection:
        """The section of the environment called `name`."""
        config = self.environment(name)
        return NO_SECTION if config is None else config.section
