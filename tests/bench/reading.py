"""One read of one environment by the product's own reader, as a process of its own: `python -m tests.bench.reading`.

Arguments: a deck file's environment as JSON, `{"name": …, "kubernetes": {…}}`. Prints how many routes and limits there
were and the seconds inside; what the caller times is the whole process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from adapters.registry import open_reader
from control.deck.config import AwsConfig, EnvironmentConfig, KubernetesConfig, ProxyConfig, SshConfig
from control.ports import Secrets

_SECTIONS = {"kubernetes": KubernetesConfig, "ssh": SshConfig, "aws": AwsConfig}


def environment(given: dict[str, object]) -> EnvironmentConfig:
    """An environment from its JSON form."""
    section = next(key for key in given if key in _SECTIONS)
    fields = {key: tuple(v) if isinstance(v, list) else v for key, v in given[section].items()}  # type: ignore[attr-defined]
    proxies = tuple(ProxyConfig(**proxy) for proxy in given.get("proxies", ()))  # type: ignore[attr-defined]
    made = {section: _SECTIONS[section](**fields), "section": section, "proxies": proxies}
    return EnvironmentConfig(str(given["name"]), **made)


async def read(given: dict[str, object], times: int) -> list[dict[str, float]]:
    reader = open_reader(environment(given), Secrets(lambda what, key: None))
    told = []
    for _ in range(times):
        begin = time.perf_counter()
        snapshot = await reader.read()
        seconds = time.perf_counter() - begin
        told.append({"routes": len(snapshot.routes), "limits": len(snapshot.limits), "seconds": seconds})
    await reader.close()
    return told


if __name__ == "__main__":
    print(json.dumps(asyncio.run(read(json.loads(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))))
