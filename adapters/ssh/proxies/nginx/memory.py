"""An nginx in memory: a master and workers that a reload replaces. It has no running state beside its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.ssh.client.ports import Process
from adapters.ssh.proxies.nginx.program import CONFIG, PROGRAM

_WORKERS = 4


class MemoryNginx:
    """See `adapters.ssh.proxies.protocol.MemoryTwin`."""

    program = PROGRAM
    main = CONFIG
    said: tuple[str, ...] = ("nginx/1.26.3", f"--conf-path={CONFIG}")

    def processes(self, started: float, first: int) -> list[Process]:
        """A master and its workers."""
        master = Process(PROGRAM.name, 800, 1, started, (), "master process /usr/sbin/nginx")
        workers = [Process(PROGRAM.name, first + n, 800, started, (), "worker process") for n in range(_WORKERS)]
        return [master, *workers]

    def reload(self, files: Mapping[str, bytes]) -> None:
        """Nothing is kept beside the files."""

    def ask(self, question: str) -> str:
        """It has no socket."""
        return ""

    def tell(self, command: str) -> str:
        """It has no socket."""
        return ""

    def dump(self) -> dict[str, Any]:
        """No state of its own."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """No state of its own."""


def twin(files: Mapping[str, bytes]) -> MemoryNginx | None:
    """What runs on a host that has these files."""
    return MemoryNginx() if CONFIG in files else None
