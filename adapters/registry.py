"""Which adapters exist: the three platforms and what third parties register, each imported on first use.

Importing this module imports no platform.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from control.deck.config import DeckConfig, EnvironmentConfig
from control.deck.sections import DeckSection
from control.ports import PlatformAdapter, Reader, Secrets, Writer
from control.text import clean

GROUP = "trafficdeck.adapters"
OWN: Mapping[str, str] = {
    "kubernetes": "adapters.kubernetes.adapter",
    "ssh": "adapters.ssh.adapter",
    "aws": "adapters.serverless.aws.adapter",
}
"""Section of the deck file -> the module whose `ADAPTER` serves it."""

WriterFactory = Callable[[EnvironmentConfig, Reader], Writer]


@lru_cache(maxsize=1)
def platforms() -> Mapping[str, PlatformAdapter]:
    """Section of the deck file -> its adapter. A third party's that cannot be loaded is left out with a warning."""
    found = {section: _load(module) for section, module in OWN.items()}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        adapter = _load_entry(entry)
        if adapter is None:
            continue
        key = adapter.section.key
        if key in found:
            _warn(entry, f"its section '{clean(key)}' is taken")
            continue
        found[key] = adapter
    return found


def sections() -> tuple[DeckSection, ...]:
    """What every adapter brings to the deck file."""
    return tuple(adapter.section for adapter in platforms().values())


def kinds() -> dict[str, str]:
    """Every kind of every adapter, with one line of what it is."""
    return {kind: text for adapter in platforms().values() for kind, text in adapter.kinds.items()}


def open_reader(config: EnvironmentConfig, secrets: Secrets) -> Reader:
    """A reader for an environment of a deck file. Raises `KeyError` for a section that no adapter serves."""
    return platforms()[config.section.key].open_reader(config, secrets)


def writer_factory(secrets: Secrets) -> WriterFactory:
    """How to make writers, for the start-up code of an armed session or a writing command alone."""

    def make(config: EnvironmentConfig, reader: Reader) -> Writer:
        return platforms()[config.section.key].open_writer(config, secrets, reader)

    return make


def find(home: Path) -> dict[str, list[dict[str, str]]]:
    """What the user's own files name, by section of the deck file; nothing is asked over the network."""
    return {key: adapter.find(home) for key, adapter in platforms().items()}


def demo(state_dir: Path) -> tuple[DeckConfig, dict[str, Reader], WriterFactory]:
    """The demo fleet kept under `state_dir`/demo: its deck, its readers by environment, how to make its writers."""
    from adapters.demo.fleet import open_fleet

    return open_fleet(state_dir / "demo")


def reset_demo(state_dir: Path) -> None:
    """Forget everything that was done in the demo fleet under `state_dir`/demo, its journal too."""
    from adapters.demo.store import reset

    reset(state_dir / "demo")


def demo_incident(state_dir: Path, name: str, begins: bool = True) -> frozenset[str]:
    """Let trouble loose in the demo fleet under `state_dir`/demo, or end it; returns what goes on. Raises
    `UsageError` for a name that is none, and tells those that are."""
    from adapters.demo.incidents import change

    return change(state_dir / "demo", name, begins)


def _load(module: str) -> PlatformAdapter:
    adapter = importlib.import_module(module).ADAPTER
    if not isinstance(adapter, PlatformAdapter):
        raise TypeError(f"{module}.ADAPTER is not a PlatformAdapter")
    return adapter


def _load_entry(entry: EntryPoint) -> PlatformAdapter | None:
    try:
        adapter = entry.load()
    except Exception as error:  # a third party's fault must not keep the deck from opening
        _warn(entry, f"{type(error).__name__}: {error}")
        return None
    if not isinstance(adapter, PlatformAdapter):
        _warn(entry, "it is not a PlatformAdapter")
        return None
    return adapter


def _warn(entry: EntryPoint, why: str) -> None:
    warnings.warn(f"the adapter '{clean(entry.name)}' was not loaded: {clean(why)}", RuntimeWarning, stacklevel=3)
