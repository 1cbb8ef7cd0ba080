"""A host that is this machine: real nginx and HAProxy as plain local processes behind the client's ports, no SSH."""
# ruff: noqa: ASYNC230, ASYNC240

from __future__ import annotations

import asyncio
import glob
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from adapters.ssh.client.ports import (
    ConfigTree,
    FileFacts,
    FileReplacement,
    HostState,
    Look,
    Probe,
    Process,
    Replaced,
    TreeRequest,
    Workers,
)
from adapters.ssh.proxies.protocol import HostFacts, Proxy, Runtime, Step
from adapters.ssh.proxies.table import programs, proxy_for
from adapters.ssh.section import ProxyConfig
from control.errors import InvalidValue, PlatformError, Stale
from control.model import Limit, Route
from control.planning.edit import Change

TICKS = os.sysconf("SC_CLK_TCK")


def program(name: str) -> str:
    """The path of a server program; skips where there is none (in CI that is a failure)."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        time.sleep(self.server.delay)  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("X-Backend", self.server.label)  # type: ignore[attr-defined]
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A health check that hangs up is no error."""


class Backends:
    """Small servers, each with its own name in `X-Backend`."""

    def __init__(self, names: Sequence[str], port: int = 0) -> None:
        """Each at a port of its own; with `port` the names are addresses, all at that one."""
        self.servers = {name: _Server((name if port else "127.0.0.1", port), _Answer) for name in names}
        for name, server in self.servers.items():
            server.label, server.delay = name, 0.0  # type: ignore[attr-defined]
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def port(self, name: str) -> int:
        return int(self.servers[name].server_address[1])

    def delay(self, seconds: float) -> None:
        for server in self.servers.values():
            server.delay = seconds  # type: ignore[attr-defined]

    def close(self) -> None:
        for server in self.servers.values():
            server.shutdown()
            server.server_close()


async def get(port: int, path: str = "/", header: str = "") -> tuple[int, str]:
    """One request on a connection of its own: (status, X-Backend)."""
    reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 5)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: llama.test\r\nConnection: close\r\n{header}\r\n".encode())
    head = (await asyncio.wait_for(reader.read(), 15)).decode()
    writer.close()
    backend = next((line[11:] for line in head.split("\r\n") if line.lower().startswith("x-backend: ")), "")
    return int(head.split()[1]), backend


async def split(port: int, count: int, path: str = "/") -> dict[str, int]:
    """How many of `count` requests, one after the other, each backend answered."""
    seen: dict[str, int] = {}
    for _ in range(count):
        _, backend = await get(port, path)
        seen[backend] = seen.get(backend, 0) + 1
    return seen


class LocalHost:
    """`HostReader` and `HostWriter` of this machine for one proxy."""

    host = "lb-1"

    def __init__(self, kind: str, folder: Path, config: str) -> None:
        self.kind, self.folder, self.config = kind, folder, folder / config
        self.pidfile, self.socket = folder / "pid", folder / "s.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self.proxy = ProxyConfig(kind, config=str(self.config), socket=None if kind == "nginx" else str(self.socket))
        self.wrote: list[str] = []
        self.prefix: tuple[str, ...] = ()
        """Words before every command that is run on this host."""

    def command(self) -> list[str]:
        if self.kind == "nginx":
            return [*self.prefix, program("nginx"), "-e", str(self.folder / "error.log"), "-c", str(self.config)]
        return [program("haproxy"), "-W", "-f", str(self.config), "-p", str(self.pidfile)]

    def start(self) -> None:
        log = (self.folder / "start.log").open("wb")
        extra = ["-g", "daemon off;"] if self.kind == "nginx" else []
        self.process = subprocess.Popen([*self.command(), *extra], stdout=log, stderr=log)
        deadline = time.monotonic() + 8
        while self._workers().master is None or not self.serving:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError((self.folder / "start.log").read_text())
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)

    def facts(self) -> HostFacts:
        proxy = proxy_for(self.kind)
        return HostFacts(
            "lb", self.host, time.time(), self.proxy, workers=self._workers(), object_kind=proxy.object_kind
        )

    # --- HostReader

    async def probe(self) -> Probe:
        raise NotImplementedError

    async def close(self) -> None: ...

    async def tree(self) -> ConfigTree:
        """The files of the proxy, as its codec finds them."""
        includes = proxy_for(self.kind).codec.includes
        return (await self.look(TreeRequest(self.kind, (str(self.config),), includes))).tree

    async def look(self, request: TreeRequest) -> Look:
        (main,) = request.mains
        files: dict[str, bytes] = {}
        expanded: dict[str, tuple[str, ...]] = {}
        waiting = [main]
        while waiting:
            path = waiting.pop()
            if path in files:
                continue
            files[path] = Path(path).read_bytes()
            for pattern in request.includes(main, path, files[path]):
                found = tuple(os.path.realpath(match) for match in sorted(glob.glob(pattern)))
                expanded[pattern] = found
                waiting.extend(found)
        return Look(ConfigTree((main,), files, expanded, _files(list(files))), self._processes())

    async def stat(self, paths: Sequence[str] = ()) -> HostState:
        return HostState(_files(paths), self._processes())

    async def ask(self, program: str, socket: str, question: str) -> str:
        questions = programs()[program].questions
        assert questions is not None and questions.fullmatch(question), question
        return await self._talk(socket, question)

    async def show(self, what: str) -> str:
        return await self._talk(str(self.socket), f"show {what}")

    async def _talk(self, path: str, command: str) -> str:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(command.encode() + b"\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return answer.decode()

    @property
    def serving(self) -> frozenset[int]:
        return self._workers().serving

    def _workers(self) -> Workers:
        facts = HostFacts("lb", self.host, time.time(), self.proxy)
        return proxy_for(self.kind).workers(facts, self._processes())

    def _processes(self) -> tuple[Process, ...]:
        """The process that was started here, and its children."""
        if self.process is None or self.process.poll() is not None:
            return ()
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        found = [_process(self.kind, one) for one in (pid, *map(int, children))]
        return tuple(process for process in found if process is not None)

    async def log_tail(self, path: str, offset: int | None, maximum: int) -> tuple[int, bytes]:
        size = Path(path).stat().st_size
        if offset is None:
            return size, b""
        with Path(path).open("rb") as log:
            log.seek(offset if offset <= size else 0)
            data = log.read(maximum)
            return log.tell(), data

    async def addresses(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        found = {}
        for name in names:
            done = await asyncio.create_subprocess_exec(*self.prefix, "getent", "ahosts", name, stdout=subprocess.PIPE)
            lines = (await done.communicate())[0].decode()
            if own := dict.fromkeys(line.split()[0] for line in lines.splitlines() if " STREAM" in line):
                found[name] = tuple(own)
        return found

    # --- HostWriter

    async def replace_files(self, replacement: FileReplacement) -> Replaced:
        before = {}
        for file in replacement.files:
            before[file.path] = Path(file.path).read_bytes()
            if hashlib.sha256(before[file.path]).hexdigest() != file.expected_sha256:
                raise Stale(f"{file.path} was changed")
        former = self._workers().serving
        for file in replacement.files:
            self._put(file.path, file.data)
        checked = self.check()
        if checked.returncode:
            for path, data in before.items():
                self._put(path, data)
            raise InvalidValue(checked.stderr)
        if replacement.reload:
            await self._reload(former, replacement.adoption_seconds)
        state = await self.stat([file.path for file in replacement.files])
        return Replaced("replaced and reloaded" if replacement.reload else "replaced", state)

    def _put(self, path: str, data: bytes) -> None:
        self.wrote.append(path)
        beside = Path(path).with_name(f".{Path(path).name}.new")
        beside.write_bytes(data)
        beside.rename(path)

    def check(self) -> subprocess.CompletedProcess[str]:
        words = self.command()
        words = [*words, "-t"] if self.kind == "nginx" else [words[0], "-c", "-f", str(self.config)]
        return subprocess.run(words, capture_output=True, text=True, timeout=20)

    async def _reload(self, former: frozenset[int], seconds: float) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP if self.kind == "nginx" else signal.SIGUSR2)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            serving = self._workers().serving
            if serving and not serving & former:
                return
            await asyncio.sleep(0.05)
        raise PlatformError("the reload was not adopted")

    async def tell(self, program: str, socket: str, commands: Sequence[str]) -> list[str]:
        answers = []
        allowed = programs()[program].commands
        for command in commands:
            assert allowed is not None and allowed.fullmatch(command), command
            answer = (await self._talk(socket, command)).strip()
            if answer:
                raise PlatformError(f"'{command}': {answer}")
            answers.append(answer)
        return answers


def _process(program: str, pid: int) -> Process | None:
    booted = time.time() - float(Path("/proc/uptime").read_text().split()[0])
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").decode().split("\0")
    except OSError:
        return None
    title = words[0].removeprefix(f"{program}: ") if words[0].startswith(f"{program}: ") else ""
    return Process(
        program, pid, int(stat[1]), booted + int(stat[19]) / TICKS, () if title else tuple(words), title, os.getcwd()
    )


def _files(paths: Sequence[str]) -> dict[str, FileFacts]:
    found = {}
    for path in paths:
        if Path(path).exists():
            stat, data = Path(path).stat(), Path(path).read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            found[path] = FileFacts(path, digest, len(data), "root", "root", "644", stat.st_mtime, stat.st_ctime, True)
    return found


async def steps(proxy: Proxy, host: LocalHost, changes: Sequence[Change]) -> list[Step]:
    """Prepare changes as the platform does: read, ask the runtime, edit."""
    facts, tree = host.facts(), await host.tree()
    runtime: Runtime = await proxy.runtime(host, facts, tree)
    return [Step(facts, tree, runtime, edit) for edit in proxy.codec.edit(tree, changes, facts, runtime)]


async def read(proxy: Proxy, host: LocalHost) -> tuple[dict[str, Route], dict[str, Limit]]:
    """Routes and limits by name, as they are now."""
    facts, tree = host.facts(), await host.tree()
    runtime = await proxy.runtime(host, facts, tree)
    routes, limits = proxy.codec.read(tree, runtime, facts)
    return {route.ref.name: route for route in routes}, {limit.ref.name: limit for limit in limits}


async def write(proxy: Proxy, host: LocalHost, changes: Sequence[Change]) -> list[Step]:
    """Prepare, write and wait until loaded."""
    done = await steps(proxy, host, changes)
    for step in done:
        await proxy.write(host, host, step)
        deadline = time.monotonic() + 8
        while (proof := await proxy.loaded(host, step)).state == "pending":
            assert time.monotonic() < deadline, proof
            await asyncio.sleep(0.05)
        assert proof.state == "yes", proof
    return done
