"""The bed's steady traffic: `python -m tests.bed.traffic CONFIG`, where CONFIG is what `plan` makes of a layout.

Every request carries `X-Bed: 1` and an `X-Client` of its own and comes from an address of its own, so it spends no
bucket of anybody else. It pauses while the file `pause` of the configuration exists; the file `state` says what holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bed.layout import HTTP_PORT, LIMITED_PORT, Layout
from tests.bed.waiting import until

TIMEOUT_SECONDS = 10.0
LOOK_SECONDS = 0.1
RETRY_SECONDS = 1.0
CHAT = json.dumps({"model": "bed", "messages": [{"role": "user", "content": "hello"}]})
STREAM = json.dumps({"model": "bed", "stream": True, "messages": [{"role": "user", "content": "hello"}]})


@dataclass(frozen=True, slots=True)
class Stream:
    """One steady stream of requests: `rate` a second, one after the other on one connection."""

    address: str
    port: int
    host: str
    rate: float
    body: str = ""
    """A POST of this to /v1/chat/completions; empty for GET /v1/models."""


def plan(layout: Layout) -> list[Stream]:
    """About 90 requests a second in all; a fifth of them through the edge, and so through two proxies."""
    eu = [layout.traefik("eu", 1), layout.traefik("eu", 2)]
    us = layout.traefik("us", 1)
    web, lb = layout.host("web-1"), layout.host("lb-1")
    streams = [Stream(address, HTTP_PORT, host, 4.0) for address in eu for host in ("llama.test", "mixtral.test")]
    streams += [Stream(address, HTTP_PORT, "qwen.test", 2.0) for address in eu]
    streams += [
        Stream(eu[0], HTTP_PORT, "embed.test", 4.0),
        Stream(eu[0], HTTP_PORT, "llama.test", 1.0, CHAT),
        Stream(eu[1], HTTP_PORT, "llama.test", 1.0, STREAM),
        Stream(eu[0], HTTP_PORT, "tenant.test", 4.0),
        Stream(eu[0], HTTP_PORT, "limited.test", 2.0),
        Stream(us, HTTP_PORT, "llama.test", 5.0),
        Stream(web, HTTP_PORT, "llama.test", 5.0),
        Stream(web, HTTP_PORT, "llama.test", 1.0, STREAM),
        Stream(web, HTTP_PORT, "mistral.test", 4.0),
        Stream(layout.host("web-2"), HTTP_PORT, "llama.test", 5.0),
        Stream(web, LIMITED_PORT, "llama.test", 2.0),
        Stream(lb, HTTP_PORT, "llama.test", 5.0),
        Stream(lb, HTTP_PORT, "llama.test", 1.0, STREAM),
        Stream(layout.host("lb-2"), HTTP_PORT, "llama.test", 5.0),
        Stream(lb, LIMITED_PORT, "batch.test", 4.0),
        Stream(layout.host("edge-1"), HTTP_PORT, "llama.test", 20.0),
    ]
    return streams


# --- from outside -----------------------------------------------------------------------------------------------------


def config_path(layout: Layout) -> Path:
    return layout.dir / "traffic.json"


def write_config(layout: Layout) -> Path:
    path = config_path(layout)
    content = {
        "source": layout.traffic_source,
        "pause": str(layout.dir / "traffic.pause"),
        "state": str(layout.dir / "traffic.state"),
        "streams": [asdict(stream) for stream in plan(layout)],
    }
    path.write_text(json.dumps(content))
    return path


def switch(folder: Path, wanted: str) -> None:
    """`pause` or `resume`; returns once no request is under way (pause) or requests run again (resume)."""
    pause, state = folder / "traffic.pause", folder / "traffic.state"
    if wanted == "pause":
        pause.touch()
    else:
        pause.unlink(missing_ok=True)
    expected = {"pause": "paused", "resume": "running"}[wanted]
    until(f"traffic {expected}", lambda: state.read_text() == expected, seconds=TIMEOUT_SECONDS + 5)


# --- the process ------------------------------------------------------------------------------------------------------


class Generator:
    def __init__(self, source: str) -> None:
        self.source = source
        self.open = asyncio.Event()
        self.under_way = 0

    async def run(self, stream: Stream, offset: float) -> None:
        """Send for ever. A server that is gone is tried again every second."""
        await asyncio.sleep(offset)
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        due = time.monotonic()
        while True:
            await self.open.wait()
            self.under_way += 1
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    if connection is None:
                        connection = await self._connect(stream)
                    if not await _exchange(*connection, stream):
                        connection[1].close()
                        connection = None
            except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
                if connection:
                    connection[1].close()
                connection = None
                due = time.monotonic() + RETRY_SECONDS
            finally:
                self.under_way -= 1
            due = max(due + 1.0 / stream.rate, time.monotonic() - 1.0)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _connect(self, stream: Stream) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(stream.address, stream.port, local_addr=(self.source, 0))


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: Stream) -> bool:
    """One request and its whole answer; True when the connection can be used again."""
    lines = ["POST /v1/chat/completions HTTP/1.1" if stream.body else "GET /v1/models HTTP/1.1"]
    lines += [f"Host: {stream.host}", "X-Bed: 1", "X-Client: bed"]
    if stream.body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(stream.body)}"]
    writer.write(("\r\n".join(lines) + "\r\n\r\n" + stream.body).encode())
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"transfer-encoding: chunked" in head:
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readuntil(b"\r\n")
    else:
        _, found, rest = head.partition(b"content-length:")
        if not found:
            return False
        await reader.readexactly(int(rest.split(b"\r\n")[0]))
    return b"connection: close" not in head


class Switch:
    """The two files by which traffic is paused from outside: `pause` asks, `state` answers."""

    def __init__(self, pause: Path, state: Path) -> None:
        self._pause = pause
        self._state = state
        self._said = ""

    def paused(self) -> bool:
        return self._pause.exists()

    def say(self, now: str) -> None:
        if now != self._said:
            unfinished = self._state.with_suffix(".part")
            unfinished.write_text(now)
            unfinished.replace(self._state)
            self._said = now


async def generate(content: dict[str, Any]) -> None:
    switch = Switch(Path(content["pause"]), Path(content["state"]))
    generator = Generator(content["source"])
    streams = [Stream(**stream) for stream in content["streams"]]
    tasks = [asyncio.create_task(generator.run(s, i / len(streams))) for i, s in enumerate(streams)]
    while not any(task.done() for task in tasks):
        if switch.paused():
            generator.open.clear()
            switch.say("pausing" if generator.under_way else "paused")
        else:
            generator.open.set()
            switch.say("running")
        await asyncio.sleep(LOOK_SECONDS)
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(generate(json.loads(Path(sys.argv[1]).read_text())))
