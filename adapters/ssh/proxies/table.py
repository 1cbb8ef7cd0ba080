"""What the folders of the kinds of proxies hold, imported on first use."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from adapters.ssh.client.program import Program
from adapters.ssh.proxies.kinds import KINDS
from adapters.ssh.proxies.protocol import MemoryTwin, Proxy
from control.errors import DeckError
from control.text import clean


@cache
def proxy_for(kind: str) -> Proxy:
    """Raises `DeckError` for a kind that is not in the table."""
    if kind not in KINDS:
        known = " or ".join(KINDS)
        raise DeckError(f"a proxy of kind '{clean(kind)}' is not supported on hosts", hint=known)
    proxy: Proxy = import_module(f"adapters.ssh.proxies.{kind}.proxy").PROXY
    return proxy


@cache
def programs() -> Mapping[str, Program]:
    """What the client must know of each."""
    return {kind: import_module(f"adapters.ssh.proxies.{kind}.program").PROGRAM for kind in KINDS}


def titles() -> str:
    """All of them, for people."""
    return " nor ".join(program.title for program in programs().values())


def twins(files: Mapping[str, bytes]) -> dict[str, MemoryTwin]:
    """The proxies that a host in memory runs, by kind: those whose usual configuration file is there."""
    found = {kind: import_module(f"adapters.ssh.proxies.{kind}.memory").twin(files) for kind in KINDS}
    return {kind: twin for kind, twin in found.items() if twin is not None}
