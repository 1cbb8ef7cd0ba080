"""The nginx codec and driver against a real nginx on loopback: what is written is what requests meet."""
# ruff: noqa: ASYNC240

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from localproxy import Backends, LocalHost, free_port, get, program, read, split, steps, write

from adapters.ssh.proxies.nginx.proxy import NginxProxy
from control.errors import InvalidValue, Stale
from control.model import Action, Mode, TargetState
from control.planning.edit import Change
from control.ports import ProofState

MAIN = """\
# made for a test
worker_processes 2;
pid {folder}/pid;
events {{ worker_connections 256; }}
http {{
\tclient_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
\tuwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
\tlog_format up '$remote_addr [$time_local] "$request" $status ups="$upstream_addr" t=$upstream_response_time';
\taccess_log {folder}/access.log up;
\tlimit_req_zone $binary_remote_addr zone=burst5:1m rate=10r/s;   # ten a second
\tlimit_req_zone $http_x_client zone=delayed:1m "rate=10r/s";
\tlimit_req_zone $binary_remote_addr zone=slow:1m rate=7r/m;
\tlimit_req_zone $server_name zone=empty:1m rate=1r/s;
\tlimit_conn_zone $http_x_client zone=inflight:1m;
\tinclude sites/*;
}}
"""
SITE = """\
upstream llama {{
\tzone llama 64k;
\tserver 127.0.0.1:{a} weight=9 max_fails=0; # main
\tserver 127.0.0.1:{b} max_fails=0;
\tserver 127.0.0.1:{c} max_fails=0 down;
}}
server {{
\tlisten 127.0.0.1:{port};
\tserver_name llama.test;
\tlimit_req_status 429;
\tlimit_conn_status 429;
\tlocation / {{ proxy_pass http://llama; }}
\tlocation /burst {{ limit_req zone=burst5 burst=5 nodelay; proxy_pass http://llama; }}
\tlocation /delayed {{ limit_req zone=delayed burst=5; proxy_pass http://llama; }}
\tlocation /slow {{ limit_req zone=slow; proxy_pass http://llama; }}
\tlocation /conn {{ limit_conn inflight 4; proxy_pass http://llama; }}
}}
server {{
\tlisten 127.0.0.1:{unnamed};
\tlocation / {{ limit_req zone=empty; proxy_pass http://llama; }}
}}
"""


class Nginx(LocalHost):
    port: int
    unnamed: int
    names: dict[str, str]


@pytest.fixture
def nginx(tmp_path: Path, backends: Backends) -> Iterator[Nginx]:
    program("nginx")
    host = Nginx("nginx", tmp_path, "nginx.conf")
    host.port, host.unnamed = free_port(), free_port()
    host.names = {name: f"127.0.0.1:{backends.port(name)}" for name in "abc"}
    (tmp_path / "sites").mkdir()
    (tmp_path / "nginx.conf").write_text(MAIN.format(folder=tmp_path))
    site = SITE.format(port=host.port, unnamed=host.unnamed, **{name: backends.port(name) for name in "abc"})
    (tmp_path / "sites" / "llama").write_text(site)
    host.start()
    yield host
    host.stop()


@pytest.fixture
def driver() -> NginxProxy:
    return NginxProxy()


async def test_weights_are_what_requests_meet(nginx: Nginx, driver: NginxProxy) -> None:
    routes, _ = await read(driver, nginx)
    assert [t.share for t in routes["llama"].targets] == [Fraction(9, 10), Fraction(1, 10), Fraction(0)]
    assert await split(nginx.port, 50) == {"a": 45, "b": 5}
    ref = routes["llama"].ref
    done = await write(
        driver,
        nginx,
        [
            Change(ref, f"targets/{nginx.names['a']}/weight", 9, 2),
            Change(ref, f"targets/{nginx.names['b']}/weight", 1, 3),
            Change(ref, f"targets/{nginx.names['c']}/state", TargetState.MAINTENANCE, TargetState.ACTIVE),
            Change(ref, f"targets/{nginx.names['c']}/weight", 1, 5),
        ],
    )
    assert len(done) == 1, "all edits to one file are one write"
    assert await split(nginx.port, 100) == {"a": 20, "b": 30, "c": 50}
    routes, _ = await read(driver, nginx)
    assert [t.weight for t in routes["llama"].targets] == [2, 3, 5]
    assert (await driver.runtime(nginx, nginx.facts(), await _tree(nginx, driver))).pending == ()


async def _tree(host: LocalHost, driver: NginxProxy):
    return await host.tree()


async def test_maintenance_takes_a_server_out_and_back(nginx: Nginx, driver: NginxProxy) -> None:
    ref = (await read(driver, nginx))[0]["llama"].ref
    field = f"targets/{nginx.names['a']}/state"
    before = (nginx.folder / "sites" / "llama").read_bytes()
    await write(driver, nginx, [Change(ref, field, TargetState.ACTIVE, TargetState.MAINTENANCE)])
    assert set(await split(nginx.port, 10)) == {"b"}
    await write(driver, nginx, [Change(ref, field, TargetState.MAINTENANCE, TargetState.ACTIVE)])
    assert (nginx.folder / "sites" / "llama").read_bytes() == before
    with pytest.raises(InvalidValue, match="drain"):
        await steps(driver, nginx, [Change(ref, field, TargetState.ACTIVE, TargetState.DRAINING)])


async def test_counted_by_the_access_log(nginx: Nginx, driver: NginxProxy) -> None:
    routes, _ = await read(driver, nginx)
    tree = await _tree(nginx, driver)
    first = await driver.count(nginx, nginx.facts(), tree, list(routes.values()))
    await split(nginx.port, 40)
    second = await driver.count(nginx, nginx.facts(), tree, list(routes.values()))
    grown = {name: count.requests - dict(first[0].targets)[name].requests for name, count in second[0].targets}
    assert grown == {nginx.names["a"]: 36, nginx.names["b"]: 4, nginx.names["c"]: 0}
    assert second[0].p95_seconds is not None


async def test_loaded_waits_for_new_workers(nginx: Nginx, driver: NginxProxy) -> None:
    ref = (await read(driver, nginx))[0]["llama"].ref
    [step] = await steps(driver, nginx, [Change(ref, f"targets/{nginx.names['a']}/weight", 9, 4)])
    await asyncio.sleep(0.1)
    assert step.edit.data is not None
    Path(step.edit.path).write_bytes(step.edit.data)
    assert (await driver.loaded(nginx, step)).state is ProofState.PENDING, "written, and nobody reloaded"
    runtime = await driver.runtime(nginx, nginx.facts(), await _tree(nginx, driver))
    assert runtime.pending == (step.edit.path,)
    [other] = await steps(driver, nginx, [Change(ref, f"targets/{nginx.names['a']}/weight", 4, 5)])
    assert any(step.edit.path in line for line in other.edit.loses), "a reload would put the other edit live too"


async def test_stale_and_refused_edits_write_nothing(nginx: Nginx, driver: NginxProxy) -> None:
    ref = (await read(driver, nginx))[0]["llama"].ref
    field = f"targets/{nginx.names['a']}/weight"
    [step] = await steps(driver, nginx, [Change(ref, field, 9, 4)])
    site = nginx.folder / "sites" / "llama"
    site.write_bytes(site.read_bytes() + b"# somebody was here\n")
    with pytest.raises(Stale):
        await driver.write(nginx, nginx, step)
    for value in (0, -1, Fraction(1, 2), 2_000_000):
        with pytest.raises(InvalidValue):
            await steps(driver, nginx, [Change(ref, field, 9, value)])
    assert nginx.wrote == []


async def _passed(port: int, path: str, count: int, header: str = "") -> int:
    answers = await asyncio.gather(*[get(port, path, header) for _ in range(count)])
    return sum(status == 200 for status, _ in answers)


@pytest.mark.clock
async def test_rate_and_burst_are_what_the_limit_says(nginx: Nginx, driver: NginxProxy) -> None:
    _, limits = await read(driver, nginx)
    limit = limits["burst5"]
    assert limit.burst is not None
    assert (limit.amount, limit.burst.native, limit.burst.at_once) == (10, 5, 6)
    assert await _passed(nginx.port, "/burst", 20) == limit.burst.at_once
    await asyncio.sleep(1)
    await write(
        driver, nginx, [Change(limit.ref, "amount", Fraction(10), Fraction(20)), Change(limit.ref, "burst", 5, 11)]
    )
    _, limits = await read(driver, nginx)
    limit = limits["burst5"]
    assert limit.burst is not None and limit.burst.at_once == 12 and limit.amount == 20
    assert await _passed(nginx.port, "/burst", 30) == 12
    await asyncio.sleep(1)
    started, passed = time.monotonic(), 0
    while time.monotonic() - started < 3:
        passed += await _passed(nginx.port, "/burst", 2)
        await asyncio.sleep(0.01)
    seconds = time.monotonic() - started
    assert 20 * seconds * 0.95 <= passed <= (20 * seconds + 12) * 1.05


@pytest.mark.clock
async def test_a_burst_without_nodelay_waits(nginx: Nginx, driver: NginxProxy) -> None:
    _, limits = await read(driver, nginx)
    over = limits["delayed"].bindings[0].over
    assert over.action is Action.DELAY and over.max_wait_seconds == Fraction(1, 2)
    started = time.monotonic()
    assert await _passed(nginx.port, "/delayed", 20, "X-Client: one\r\n") == 6
    assert 0.45 <= time.monotonic() - started < 1.5
    assert await _passed(nginx.port, "/delayed", 20) == 20, "an empty key is not limited"
    assert any("is empty are not limited" in note for note in limits["delayed"].notes)


async def test_truncated_rate_and_empty_key_are_told(nginx: Nginx, driver: NginxProxy) -> None:
    _, limits = await read(driver, nginx)
    slow = limits["slow"]
    assert slow.amount == 7 and slow.enforced is not None and slow.enforced.high == Fraction(116 * 60, 1000)
    assert await _passed(nginx.port, "/slow", 5) == 1
    assert any("$server_name is empty" in note for note in limits["empty"].notes)
    assert await _passed(nginx.unnamed, "/", 10) == 10


async def test_connections_in_flight(nginx: Nginx, driver: NginxProxy, backends: Backends) -> None:
    _, limits = await read(driver, nginx)
    limit = limits["inflight"]
    assert limit.amount == 4 and limit.mode is Mode.ENFORCED
    backends.delay(0.4)
    try:
        assert await _passed(nginx.port, "/conn", 12, "X-Client: one\r\n") == 4
        await write(driver, nginx, [Change(limit.ref, "amount", Fraction(4), Fraction(7))])
        assert await _passed(nginx.port, "/conn", 12, "X-Client: one\r\n") == 7
    finally:
        backends.delay(0.0)
