"""The model servers of the bed, all in one small process: OpenAI chat completions, streaming too, vLLM's metric names.

`python -m tests.bed.backends CONFIG` where CONFIG is JSON `{"127.x.y.z:8000": "name", …}`. Every answer carries
`X-Backend: name`. `GET /v1/models` answers at once; `?hold=SECONDS` on any path keeps the request in flight that long.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

COMPLETION_SECONDS = 0.02
TOKENS_PER_ANSWER = 8
LONGEST_HOLD = 60.0


class Backend:
    """One model server: its name and its counters."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.finished = 0
        self.running = 0
        self.generated = 0
        self.busy_seconds = 0.0

    def metrics(self) -> bytes:
        label = f'{{model_name="{self.name}"}}'
        lines = [
            "# TYPE vllm:num_requests_running gauge",
            f"vllm:num_requests_running{label} {self.running}",
            "# TYPE vllm:num_requests_waiting gauge",
            f"vllm:num_requests_waiting{label} 0",
            "# TYPE vllm:request_success_total counter",
            f'vllm:request_success_total{{model_name="{self.name}",finished_reason="stop"}} {self.finished}',
            "# TYPE vllm:generation_tokens_total counter",
            f"vllm:generation_tokens_total{label} {self.generated}",
            "# TYPE vllm:e2e_request_latency_seconds summary",
            f"vllm:e2e_request_latency_seconds_sum{label} {self.busy_seconds:.6f}",
            f"vllm:e2e_request_latency_seconds_count{label} {self.finished}",
        ]
        return ("\n".join(lines) + "\n").encode()

    def models(self) -> bytes:
        return json.dumps({"object": "list", "data": [{"id": self.name, "object": "model"}]}).encode()

    def completion(self, content: str, kind: str = "message") -> dict[str, object]:
        choice = {"index": 0, kind: {"role": "assistant", "content": content}, "finish_reason": None}
        name = "chat.completion" if kind == "message" else "chat.completion.chunk"
        return {"id": "bed", "object": name, "model": self.name, "choices": [choice]}


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, one request after the other: what proxies speak to their backends."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.buffer = b""
        self.transport: asyncio.Transport | None = None
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self.task:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.task is None:
            self._next()

    def _next(self) -> None:
        """Take one whole request out of the buffer, if there is one, and answer it."""
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.split(b"\r\n")
        length = 0
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                length = int(value)
        if len(rest) < length:
            return
        body, self.buffer = rest[:length], rest[length:]
        self.task = asyncio.get_running_loop().create_task(self._serve(lines[0].split(b" ")[1].decode(), body))

    async def _serve(self, target: str, body: bytes) -> None:
        started = time.monotonic()
        url = urlsplit(target)
        self.backend.running += 1
        try:
            hold = parse_qs(url.query).get("hold")
            if hold:
                await asyncio.sleep(min(float(hold[0]), LONGEST_HOLD))
            if url.path.endswith("/chat/completions"):
                await self._complete(body)
            elif url.path == "/metrics":
                self._send(b"text/plain; version=0.0.4", self.backend.metrics())
            else:
                self._send(b"application/json", self.backend.models())
        finally:
            self.backend.running -= 1
            self.backend.finished += 1
            self.backend.busy_seconds += time.monotonic() - started
            self.task = None
        self._next()

    async def _complete(self, body: bytes) -> None:
        self.backend.generated += TOKENS_PER_ANSWER
        if b'"stream": true' not in body and b'"stream":true' not in body:
            await asyncio.sleep(COMPLETION_SECONDS)
            self._send(b"application/json", json.dumps(self.backend.completion("all is well")).encode())
            return
        self._write(self._head(b"text/event-stream", b"Transfer-Encoding: chunked"))
        for number in range(TOKENS_PER_ANSWER):
            await asyncio.sleep(COMPLETION_SECONDS / TOKENS_PER_ANSWER)
            self._chunk(b"data: " + json.dumps(self.backend.completion(f"t{number} ", "delta")).encode() + b"\n\n")
        self._chunk(b"data: [DONE]\n\n")
        self._write(b"0\r\n\r\n")

    def _head(self, content_type: bytes, length: bytes) -> bytes:
        name = self.backend.name.encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nX-Backend: %s\r\n%s\r\n\r\n" % (content_type, name, length)

    def _send(self, content_type: bytes, content: bytes) -> None:
        self._write(self._head(content_type, b"Content-Length: %d" % len(content)) + content)

    def _chunk(self, data: bytes) -> None:
        self._write(b"%x\r\n%s\r\n" % (len(data), data))

    def _write(self, data: bytes) -> None:
        if self.transport:
            self.transport.write(data)


async def serve(names: dict[str, str]) -> None:
    """Listen on every address of `names` until killed."""
    loop = asyncio.get_running_loop()
    for listen, name in names.items():
        host, _, port = listen.rpartition(":")
        await loop.create_server(partial(Connection, Backend(name)), host, int(port), backlog=256)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text())))
