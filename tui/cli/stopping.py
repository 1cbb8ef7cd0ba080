"""Being told to stop while something is applied: the step in flight is finished, no further one is begun."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator

from tui.cli.emit import say

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


@contextlib.contextmanager
def stopping(stop: asyncio.Event) -> Iterator[None]:
    """As long as this is open, a signal to end sets `stop` and ends nothing by itself. Signals that are ignored, as
    under `nohup`, stay ignored."""
    loop = asyncio.get_running_loop()
    taken: list[signal.Signals] = []

    def asked(name: str) -> None:
        if not stop.is_set():
            say(f"{name}: the step in flight is finished, no further one is begun")
        stop.set()

    for name in _SIGNALS:
        one = getattr(signal, name)
        if signal.getsignal(one) is signal.SIG_IGN:
            continue
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):  # not in the main thread
            loop.add_signal_handler(one, asked, name)
            taken.append(one)
    try:
        yield
    finally:
        for one in taken:
            loop.remove_signal_handler(one)
