"""Bounded waits."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

from tests.bed.errors import BedError

T = TypeVar("T")


def until(what: str, look: Callable[[], T | None], *, seconds: float = 20.0, pause: float = 0.05) -> T:
    """Call `look` until it gives something true, at most `seconds` long. `OSError` means "not yet"."""
    deadline = time.monotonic() + seconds
    last = ""
    while True:
        try:
            found = look()
        except OSError as error:
            found, last = None, f" ({error})"
        if found:
            return found
        if time.monotonic() > deadline:
            raise BedError(f"{what} did not come within {seconds:g} s{last}")
        time.sleep(pause)


def until_port(address: str, port: int, *, seconds: float = 20.0) -> None:
    """Wait until somebody listens on `address:port`."""

    def connects() -> bool:
        with socket.create_connection((address, port), timeout=1.0):
            return True

    until(f"{address}:{port}", connects, seconds=seconds)
