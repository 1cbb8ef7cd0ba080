"""The same questions and writes to a real host (sshd, nginx, HAProxy) and to one in memory that holds the same files:
what one tells, takes or refuses, the other does too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from preparing import prepared
from sshhost import NO_SECRETS, Host, deck_environment, environment

from adapters.ssh import adapter
from adapters.ssh.memory import MemoryHost, MemoryHosts, MemoryWriters
from adapters.ssh.reader import SshReader
from adapters.ssh.writer import SshWriter
from control.errors import ControlError
from control.model import Limit, Route, TargetState
from control.model.ref import Ref
from control.planning.edit import Change, Value
from control.ports import Reader, Writer

MAIN, MODELS, HAPROXY = "/etc/nginx/nginx.conf", "/etc/nginx/conf.d/models.conf", "/etc/haproxy/haproxy.cfg"
LLAMA = Ref("lb", "NginxUpstream", "web-1", "llama")
CHAT = Ref("lb", "HAProxyBackend", "web-1", "chat")
PER_IP = Ref("lb", "NginxLimitReq", "web-1", "perip")
MAXCONN = Ref("lb", "HAProxyMaxconn", "web-1", "chat/a")


@dataclass
class Site:
    """One host, real or in memory."""

    reader: Reader
    writer: Writer
    put: Callable[[str, bytes], None]
    """Somebody else writes a file."""
    get: Callable[[str], bytes]

    async def change(self, ref: Ref, field: str, before: Value, after: Value) -> Any:
        """Prepare and write one change; what the step says, and what it leaves on disk."""
        [step] = await prepared(self.reader, [Change(ref, field, before, after)])
        await self.writer.write(step)
        loaded = await self.reader.loaded(step)
        return step.diff, step.loses, loaded.state, self.files()

    def files(self) -> list[bytes]:
        return [self.get(path) for path in (MAIN, MODELS, HAPROXY)]


Act = Callable[[Site], Awaitable[Any]]


@pytest.fixture
async def sites(make_host: Callable[..., Host], tmp_path: Path) -> AsyncIterator[tuple[Site, Site]]:
    """The real one and the one in memory, with the same files, both just started."""
    host = make_host("web-1")
    host.start()
    paths = {MAIN: "nginx/nginx.conf", MODELS: "nginx/conf.d/models.conf", HAPROXY: "haproxy/haproxy.cfg"}
    before = {path: (host.root / place).read_bytes() for path, place in paths.items()}
    config = deck_environment(environment(tmp_path, [host]))
    reader = adapter.open_reader(config, NO_SECRETS)
    writer = adapter.open_writer(config, NO_SECRETS, reader)
    real = Site(
        reader,
        writer,
        lambda path, data: (host.root / paths[path]).write_bytes(data) and None,
        lambda path: (host.root / paths[path]).read_bytes(),
    )
    memory = MemoryHost("web-1", before, user="root")
    remembered = SshReader(config, MemoryHosts([memory]))
    twin = Site(
        remembered,
        SshWriter(remembered, MemoryWriters([memory])),
        memory.write_file,
        memory.files.__getitem__,
    )
    yield real, twin
    for one in (reader, remembered):
        await one.close()
    host.stop()


async def told(site: Site, act: Act) -> Any:
    """What came of it: a value, or the failure in its words."""
    try:
        return await act(site)
    except ControlError as error:
        return type(error).__name__, error.message, error.hint


async def same(sites: tuple[Site, Site], act: Act) -> Any:
    real, twin = sites
    first, second = await told(real, act), await told(twin, act)
    assert first == second
    return first


def facts(row: Route | Limit) -> Any:
    """What the configuration says of a row; what runs, and when it was read, is each host's own."""
    if isinstance(row, Route):
        targets = [(t.name, t.weight, t.share, t.state, t.priority, t.endpoints) for t in row.targets]
        return row.ref, row.matches, row.semantics, row.grid, row.states, row.object, row.editable, targets
    return (
        row.ref, row.measure, row.match, row.amount, row.window, row.burst, row.key, row.over, row.mode, row.life,
        row.object, row.fields, row.specials, row.remainder, [(b.on, b.domain.kind) for b in row.bindings],
    )  # fmt: skip


async def rows(site: Site) -> Any:
    snapshot = await site.reader.read()
    return [facts(row) for row in (*snapshot.routes, *snapshot.limits)], snapshot.missing


async def test_they_list_the_same(sites: tuple[Site, Site]) -> None:
    listed, _ = await same(sites, rows)
    assert {row[0] for row in listed} >= {LLAMA, CHAT, PER_IP, MAXCONN}


@pytest.mark.parametrize("ref", [LLAMA, CHAT, PER_IP, MAXCONN], ids=str)
async def test_they_show_the_same_text(sites: tuple[Site, Site], ref: Ref) -> None:
    async def text(site: Site) -> Any:
        return (await site.reader.native(ref)).text

    assert await same(sites, text)


WRITES = [
    ("a weight of nginx", LLAMA, "targets/127.0.0.1:9/weight", 9, 4),
    ("a weight that was left out", LLAMA, "targets/127.0.0.2:9/weight", 1, 3),
    ("a rate of nginx", PER_IP, "amount", Fraction(10), Fraction(7)),
    ("a weight of HAProxy", CHAT, "targets/a/weight", 90, 70),
    ("maxconn of a server", MAXCONN, "amount", Fraction(20), Fraction(15)),
    ("no weight of nginx", LLAMA, "targets/127.0.0.1:9/weight", 9, 0),
    ("half a weight", LLAMA, "targets/127.0.0.1:9/weight", 9, Fraction(5, 2)),
    ("more than HAProxy's greatest weight", CHAT, "targets/a/weight", 90, 257),
    ("a target that is not there", CHAT, "targets/c/weight", 1, 2),
    ("a third of a request", PER_IP, "amount", Fraction(10), Fraction(1, 3)),
    ("an upstream that is not there", LLAMA.on("web-1"), "targets/nobody/weight", 1, 2),
]


@pytest.mark.parametrize(("ref", "field", "before", "after"), [w[1:] for w in WRITES], ids=[w[0] for w in WRITES])
async def test_they_take_and_refuse_the_same(
    sites: tuple[Site, Site], ref: Ref, field: str, before: Value, after: Value
) -> None:
    await same(sites, lambda site: site.change(ref, field, before, after))
    await same(sites, rows)


async def test_draining_is_done_and_told_alike(sites: tuple[Site, Site]) -> None:
    async def drain(site: Site) -> Any:
        done = await site.change(CHAT, "targets/b/state", TargetState.ACTIVE, TargetState.DRAINING)
        await site.change(CHAT, "targets/b/state", TargetState.DRAINING, TargetState.ACTIVE)
        return done

    await same(sites, drain)


async def test_a_base_that_is_stale_is_refused_alike(sites: tuple[Site, Site]) -> None:
    async def late(site: Site) -> Any:
        [step] = await prepared(site.reader, [Change(LLAMA, "targets/127.0.0.1:9/weight", 9, 4)])
        site.put(MODELS, site.get(MODELS).replace(b"weight=9", b"weight=8"))
        try:
            await site.writer.write(step)
        except ControlError as error:
            return type(error).__name__, site.files()
        return "written"

    kind, _ = await same(sites, late)
    assert kind == "Stale"


async def test_what_waits_on_disk_is_told_alike(sites: tuple[Site, Site]) -> None:
    async def pending(site: Site) -> Any:
        site.put(MAIN, site.get(MAIN) + b"# by hand\n")
        return await site.change(LLAMA, "targets/127.0.0.1:9/weight", 9, 4)

    _, loses, *_ = await same(sites, pending)
    assert any(MAIN in line for line in loses)
