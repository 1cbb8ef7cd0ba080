"""A Caddy in memory: one process whose running configuration is what it last loaded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from adapters.ssh.client.ports import ConfigTree, Process
from adapters.ssh.proxies.caddy.program import CONFIG, PROGRAM
from adapters.ssh.proxies.caddy.reverse_proxy import reverse_proxies
from adapters.ssh.proxies.caddy.running import POLICY
from adapters.ssh.proxies.caddy.tree import CaddyTree
from control.errors import PlatformError


class MemoryCaddy:
    """See `adapters.ssh.proxies.protocol.MemoryTwin`."""

    program = PROGRAM
    main = CONFIG
    said: tuple[str, ...] = ("v2.11.7 h1:memory=",)

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.running: list[dict[str, Any]] = []
        """Its handlers, as the admin endpoint shows them."""
        self.started: float | None = None
        self.reload(files)

    def processes(self, started: float, first: int) -> list[Process]:
        """One process, which stays through reloads."""
        self.started = started if self.started is None else self.started
        return [Process(PROGRAM.name, 700, 1, self.started, ("/usr/bin/caddy", "run", "--config", CONFIG), "", "/")]

    def reload(self, files: Mapping[str, bytes]) -> None:
        """Load the files; what does not parse leaves the former configuration."""
        try:
            known = reverse_proxies(CaddyTree(ConfigTree((CONFIG,), dict(files))))
        except PlatformError:
            return
        self.running = [
            {
                "handler": "reverse_proxy",
                "upstreams": [{"dial": dial} for dial in one.dials],
                **(
                    {"load_balancing": {"selection_policy": {"policy": POLICY, "weights": list(one.weights)}}}
                    if one.policy_name == POLICY
                    else {}
                ),
            }
            for one in known
        ]

    def ask(self, question: str) -> str:
        """The running configuration; other pages are not there."""
        if not question.startswith("GET /config/ "):
            return "HTTP/1.0 404 Not Found\r\n\r\n"
        routes = [{"handle": [handler]} for handler in self.running]
        body = json.dumps({"apps": {"http": {"servers": {"srv0": {"routes": routes}}}}})
        return f"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}\n"

    def tell(self, command: str) -> str:
        """Nothing is told by its socket."""
        return ""

    def dump(self) -> dict[str, Any]:
        return {"running": self.running}

    def load(self, state: Mapping[str, Any]) -> None:
        self.running = list(state["running"])


def twin(files: Mapping[str, bytes]) -> MemoryCaddy | None:
    """What runs on a host that has these files."""
    return MemoryCaddy(files) if CONFIG in files else None
