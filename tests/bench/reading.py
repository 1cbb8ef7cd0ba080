"""One read of one environment by the product's own reader, as a process of its own: `python -m tests.bench.reading`.

Arguments: a deck file's environment as JSON, `{"name": …, "kubernetes": {…}}`. Prints how many routes and limits there
were and the seconds inside; what the caller times is the whole process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from adapters.registry import open_reader, sections
from control.deck.config import EnvironmentConfig
from control.deck.reading import parse_deck
from control.ports import Secrets


def environment(given: dict[str, object]) -> EnvironmentConfig:
    """An environment from its JSON form."""
    deck = parse_deck(json.dumps({"environments": [given]}), Path("deck.json"), sections())
    return deck.environments[0]


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
