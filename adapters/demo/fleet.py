"""Opens the demo fleet: the platforms' own readers and writers over memory transports that keep their state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adapters.demo import deck as deck_data
from adapters.demo.clusters import CLUSTERS
from adapters.demo.functions import REGIONS
from adapters.demo.hosts import GROUPS
from adapters.demo.simulation import Simulator
from adapters.demo.stale import StaleReader
from control.deckfile import DeckConfig, EnvironmentConfig
from control.ports import Reader, Writer

STALE = "prod-ap"
"""The environment whose last read is minutes old."""

Part = tuple[Reader, Callable[[Reader], Writer]]
"""A reader, and how to make a writer beside it."""


def open_fleet(
    folder: Path, simulator: Simulator | None = None
) -> tuple[DeckConfig, dict[str, Reader], Callable[[EnvironmentConfig, Reader], Writer]]:
    """The demo's deck, readers by environment, and how to make writers. `folder` keeps the state and the journal."""
    deck = deck_data.deck(folder)
    running = simulator or Simulator()
    parts = {config.name: _open(config, folder, running) for config in deck.environments}
    readers = {name: part[0] for name, part in parts.items()}
    if STALE in readers:
        readers[STALE] = StaleReader(readers[STALE])

    def make_writer(config: EnvironmentConfig, reader: Reader) -> Writer:
        inner = reader.inner if isinstance(reader, StaleReader) else reader
        return parts[config.name][1](inner)

    return deck, readers, make_writer


def _open(config: EnvironmentConfig, folder: Path, simulator: Simulator) -> Part:
    if config.name in REGIONS:
        from adapters.demo.functions import open_functions

        return open_functions(config, folder, simulator)
    if config.name in CLUSTERS:
        from adapters.demo.cluster_side import open_cluster

        return open_cluster(config, folder, simulator)
    if config.name in GROUPS:
        from adapters.demo.host_side import open_hosts

        return open_hosts(config, folder, simulator)
    raise KeyError(config.name)
