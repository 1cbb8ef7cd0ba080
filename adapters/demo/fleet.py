"""Opens the demo fleet: the platforms' own readers and writers over memory transports that keep their state."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from adapters.demo import deck as deck_data
from adapters.demo.incidents import Active
from adapters.demo.lazy import LazyReader, LazyWriter, Part
from adapters.demo.simulation import Simulator
from adapters.demo.stale import StaleReader
from adapters.kubernetes.section import PLATFORM as CLUSTERS
from adapters.serverless.aws.section import PLATFORM as FUNCTIONS
from control.deck.config import DeckConfig, EnvironmentConfig
from control.ports import Reader, Writer

STALE = "prod-ap"
"""The environment whose last read is minutes old."""


def open_fleet(
    folder: Path, simulator: Simulator | None = None
) -> tuple[DeckConfig, dict[str, Reader], Callable[[EnvironmentConfig, Reader], Writer]]:
    """The demo's deck, readers by environment, and how to make writers. `folder` keeps the state and the journal."""
    deck = deck_data.deck(folder)
    running = simulator or Simulator()
    running.incidents = Active(folder, running.now)
    lazy = {
        config.name: LazyReader(config.name, partial(_open, config, folder, running)) for config in deck.environments
    }
    readers: dict[str, Reader] = {**lazy, STALE: StaleReader(lazy[STALE])}

    def make_writer(config: EnvironmentConfig, reader: Reader) -> Writer:
        return LazyWriter(lazy[config.name])

    return deck, readers, make_writer


def _open(config: EnvironmentConfig, folder: Path, simulator: Simulator) -> Part:
    if config.section.platform == FUNCTIONS:
        from adapters.demo.functions import open_functions

        return open_functions(config, folder, simulator)
    if config.section.platform == CLUSTERS:
        from adapters.demo.cluster_side import open_cluster

        return open_cluster(config, folder, simulator)
    from adapters.demo.host_side import open_hosts

    return open_hosts(config, folder, simulator)
