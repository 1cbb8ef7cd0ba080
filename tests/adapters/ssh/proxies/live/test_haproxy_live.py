"""The HAProxy codec and driver against a real HAProxy on loopback: what is written is what requests meet."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction

import pytest
from localproxy import Backends, LocalHost, free_port, get, program, read, split, steps, write

from adapters.ssh.client.ports import FileReplacement, Replaced
from adapters.ssh.proxies.haproxy.proxy import HAProxyProxy
from control.errors import InvalidValue, PlatformError, Stale
from control.model import Action, Interval, Mode, Special, TargetState
from control.planning.edit import Change
from control.ports import ProofState

CONFIG = """\
global
    stats socket {folder}/s.sock mode 600 level admin
    maxconn 2000
    # server-state-file {folder}/state
defaults base
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
    timeout queue 500ms
frontend edge from base
    bind 127.0.0.1:{port}
    http-request set-var(txn.tenant) req.hdr(x-tenant)
    http-request set-var(txn.lim) var(txn.tenant),map_str_int({folder}/limits.map,5)
    http-request deny deny_status 429 if {{ path_beg /first }} {{ src_http_req_rate(t_first) ge 20 }}
    http-request track-sc0 src table t_first if {{ path_beg /first }}
    acl over_own var(txn.tenant),table_http_req_rate(t_tenant),sub(txn.lim) ge 0
    acl too_fast sc_http_req_rate(1) gt 8   # after the counting
    http-request track-sc1 src table t_after if {{ path_beg /after }}
    http-request deny deny_status 429 if {{ path_beg /after }} too_fast
    http-request deny deny_status 429 if {{ path_beg /tenant }} over_own
    http-request track-sc2 var(txn.tenant) table t_tenant if {{ path_beg /tenant }}
    use_backend queued if {{ path_beg /queued }}
    use_backend fixed if {{ path_beg /fixed }}
    default_backend llama
backend llama from base
\tbalance roundrobin
    default-server weight 1
    server a 127.0.0.1:{a} weight 9 # main
    server b 127.0.0.1:{b}
    server c 127.0.0.1:{c} weight 5 disabled
backend queued from base
    server a 127.0.0.1:{a} maxconn 2
backend fixed from base
    balance static-rr
    server a 127.0.0.1:{a} weight 3
    server b 127.0.0.1:{b} weight 1
backend t_first from base
    stick-table type ip size 1m expire 60s store http_req_rate(1s)
backend t_after from base
    stick-table type ip size 1m expire 60s store http_req_rate(1s)
backend t_tenant from base
    stick-table type string size 1m expire 60s store http_req_rate(10s)
"""
MAP = "# tenants\ngold 30\nsilver 10\n"


class HAProxy(LocalHost):
    port: int


@pytest.fixture
def haproxy(tmp_path_factory: pytest.TempPathFactory, backends: Backends) -> Iterator[HAProxy]:
    program("haproxy")
    folder = tmp_path_factory.mktemp("h")  # short: the path of a unix socket has 107 bytes at most
    host = HAProxy("haproxy", folder, "haproxy.cfg")
    host.port = free_port()
    ports = {name: backends.port(name) for name in "abc"}
    (folder / "haproxy.cfg").write_text(CONFIG.format(folder=folder, port=host.port, **ports))
    (folder / "limits.map").write_text(MAP)
    host.start()
    yield host
    host.stop()


@pytest.fixture
def driver() -> HAProxyProxy:
    return HAProxyProxy()


async def test_weights_go_to_file_and_process_without_a_reload(haproxy: HAProxy, driver: HAProxyProxy) -> None:
    routes, _ = await read(driver, haproxy)
    assert [t.share for t in routes["llama"].targets] == [Fraction(9, 10), Fraction(1, 10), Fraction(0)]
    assert await split(haproxy.port, 50) == {"a": 45, "b": 5}
    ref, serving = routes["llama"].ref, haproxy.serving
    done = await write(
        driver, haproxy, [Change(ref, "targets/a/weight", 9, 3), Change(ref, "targets/b/weight", 1, Fraction(7))]
    )
    assert len(done) == 1 and not done[0].edit.needs_reload and not done[0].edit.loses
    assert haproxy.serving == serving
    await split(haproxy.port, 20)
    assert await split(haproxy.port, 100) == {"a": 30, "b": 70}
    text = haproxy.config.read_text()
    assert "weight 3 # main" in text and f"server b 127.0.0.1:{_port(routes, 'b')} weight 7\n" in text
    assert haproxy.check().returncode == 0
    routes, _ = await read(driver, haproxy)
    assert [t.weight for t in routes["llama"].targets] == [3, 7, 5]
    assert not any("runs with weight" in note for note in routes["llama"].notes)


def _port(routes: dict, name: str) -> str:  # type: ignore[type-arg]
    target = routes["llama"].target(name)
    return str(target.endpoints[0].rpartition(":")[2])


async def test_states_live_at_runtime_unless_they_are_to_persist(haproxy: HAProxy, driver: HAProxyProxy) -> None:
    ref = (await read(driver, haproxy))[0]["llama"].ref
    before = haproxy.config.read_bytes()
    await write(driver, haproxy, [Change(ref, "targets/a/state", TargetState.ACTIVE, TargetState.DRAINING)])
    routes, _ = await read(driver, haproxy)
    assert routes["llama"].targets[0].state is TargetState.DRAINING
    assert set(await split(haproxy.port, 10)) == {"b"}
    assert haproxy.config.read_bytes() == before
    assert any("draining at runtime" in note for note in routes["llama"].notes)
    await write(driver, haproxy, [Change(ref, "targets/c/state", TargetState.MAINTENANCE, TargetState.ACTIVE, True)])
    assert haproxy.config.read_bytes() == before.replace(b" weight 5 disabled", b" weight 5")
    await write(driver, haproxy, [Change(ref, "targets/a/state", TargetState.DRAINING, TargetState.ACTIVE)])
    assert set(await split(haproxy.port, 30)) == {"a", "b", "c"}
    await write(driver, haproxy, [Change(ref, "targets/c/state", TargetState.ACTIVE, TargetState.MAINTENANCE, True)])
    assert haproxy.config.read_bytes() == before
    with pytest.raises(InvalidValue, match="cannot hold a drained"):
        await steps(driver, haproxy, [Change(ref, "targets/a/state", TargetState.ACTIVE, TargetState.DRAINING, True)])


async def test_a_stale_runtime_and_a_stale_file_write_nothing(haproxy: HAProxy, driver: HAProxyProxy) -> None:
    routes, _ = await read(driver, haproxy)
    [step] = await steps(driver, haproxy, [Change(routes["llama"].ref, "targets/a/weight", 9, 3)])
    await haproxy.tell("haproxy", str(haproxy.socket), ["set server llama/b weight 100"])
    with pytest.raises(Stale):
        await driver.write(haproxy, haproxy, step)
    drifted, _ = await read(driver, haproxy)
    assert drifted["llama"].base != routes["llama"].base
    assert any("llama/b runs with weight 100, the file says 1" in note for note in drifted["llama"].notes)
    [step] = await steps(driver, haproxy, [Change(routes["llama"].ref, "targets/a/weight", 9, 3)])
    haproxy.config.write_bytes(haproxy.config.read_bytes() + b"# somebody\n")
    with pytest.raises(Stale):
        await driver.write(haproxy, haproxy, step)
    assert haproxy.wrote == []


async def test_a_refused_command_takes_the_file_back(haproxy: HAProxy, driver: HAProxyProxy) -> None:
    routes, _ = await read(driver, haproxy)
    before = haproxy.config.read_bytes()
    [step] = await steps(driver, haproxy, [Change(routes["llama"].ref, "targets/a/weight", 9, 3)])
    commands = (*step.edit.commands, "set server llama/nobody weight 3")
    broken = dataclasses.replace(step, edit=dataclasses.replace(step.edit, commands=commands))
    with pytest.raises(PlatformError, match="rolled back"):
        await driver.write(haproxy, haproxy, broken)
    assert haproxy.config.read_bytes() == before
    assert [t.weight for t in (await read(driver, haproxy))[0]["llama"].targets] == [9, 1, 5]


class Meddled(LocalHost):
    """The host, on which somebody else gives runtime commands right after the file or the commands of a step."""

    def __init__(self, inner: HAProxy, after: str, commands: list[str]) -> None:
        self.inner, self.after, self.meddling = inner, after, commands

    async def _meddle(self, at: str) -> None:
        if at == self.after and self.meddling:
            commands, self.meddling = self.meddling, []
            await self.inner.tell("haproxy", str(self.inner.socket), commands)

    async def replace_files(self, replacement: FileReplacement) -> Replaced:
        said = await self.inner.replace_files(replacement)
        await self._meddle("file")
        return said

    async def tell(self, program: str, socket: str, commands: Sequence[str]) -> list[str]:
        try:
            return await self.inner.tell(program, socket, commands)
        finally:
            await self._meddle("commands")


async def test_a_running_value_that_moved_while_the_file_was_replaced_is_not_written_over(
    haproxy: HAProxy, driver: HAProxyProxy
) -> None:
    routes, _ = await read(driver, haproxy)
    before = haproxy.config.read_bytes()
    [step] = await steps(driver, haproxy, [Change(routes["llama"].ref, "targets/a/weight", 9, 3)])
    with pytest.raises(Stale, match="rolled back"):
        await driver.write(haproxy, Meddled(haproxy, "file", ["set server llama/b weight 100"]), step)
    assert haproxy.config.read_bytes() == before
    assert [t.weight for t in (await read(driver, haproxy))[0]["llama"].targets] == [9, 100, 5]


async def test_taking_back_leaves_a_running_value_that_is_not_ours_any_more(
    haproxy: HAProxy, driver: HAProxyProxy
) -> None:
    routes, _ = await read(driver, haproxy)
    before = haproxy.config.read_bytes()
    changes = [
        Change(routes["llama"].ref, "targets/a/weight", 9, 3),
        Change(routes["llama"].ref, "targets/b/weight", 1, 4),
    ]
    [step] = await steps(driver, haproxy, changes)
    commands = (*step.edit.commands, "set server llama/nobody weight 3")
    broken = dataclasses.replace(step, edit=dataclasses.replace(step.edit, commands=commands))
    with pytest.raises(PlatformError, match="left alone: the weight of llama/a, which is 100 now") as told:
        await driver.write(haproxy, Meddled(haproxy, "commands", ["set server llama/a weight 100"]), broken)
    assert "rolled back" not in str(told.value)
    assert haproxy.config.read_bytes() == before
    assert [t.weight for t in (await read(driver, haproxy))[0]["llama"].targets] == [100, 1, 5]


async def test_a_static_algorithm_needs_a_reload_which_says_what_it_loses(
    haproxy: HAProxy, driver: HAProxyProxy
) -> None:
    routes, _ = await read(driver, haproxy)
    assert routes["fixed"].grid.all_or_nothing and not routes["llama"].grid.all_or_nothing
    await haproxy.tell(
        "haproxy",
        str(haproxy.socket),
        [
            "set server llama/a weight 2",
            "set maxconn server queued/a 9",
            f"set map {haproxy.folder}/limits.map gold 99",
        ],
    )
    [step] = await steps(driver, haproxy, [Change(routes["fixed"].ref, "targets/a/weight", 3, 1)])
    assert step.edit.needs_reload and not step.edit.commands
    lost = "\n".join(step.edit.loses)
    assert "llama/a runs with weight 2, the file says 9" in lost
    assert "queued/a runs with maxconn 9, the file says 2" in lost
    assert "gold runs with 99, the file says 30" in lost
    assert "stick tables without peers" in lost
    await write(driver, haproxy, [Change(routes["fixed"].ref, "targets/a/weight", 3, 1)])
    assert await split(haproxy.port, 40, "/fixed") == {"a": 20, "b": 20}
    routes, limits = await read(driver, haproxy)
    assert routes["llama"].targets[0].weight == 9 and limits["queued/a"].amount == 2


async def test_maxconn_queues_and_follows_an_edit(haproxy: HAProxy, driver: HAProxyProxy, backends: Backends) -> None:
    _, limits = await read(driver, haproxy)
    limit = limits["queued/a"]
    assert (limit.amount, limit.over.action, limit.over.max_wait_seconds) == (2, Action.QUEUE, Fraction(1, 2))
    assert str(limit.ref) == "lb/HAProxyMaxconn/lb-1/queued%2Fa"
    backends.delay(0.4)
    try:
        assert await _passed(haproxy.port, "/queued", 8) == 4, "two at once, two from the queue, the rest wait too long"
        task = asyncio.gather(*[get(haproxy.port, "/queued") for _ in range(3)])
        await asyncio.sleep(0.2)
        _, limits = await read(driver, haproxy)
        assert limits["queued/a"].use.current == 2
        assert "now waiting: 0 for this server, 1 for any server of the backend" in limits["queued/a"].notes
        await task
        await write(driver, haproxy, [Change(limit.ref, "amount", Fraction(2), Fraction(8))])
        assert await _passed(haproxy.port, "/queued", 8) == 8
        await write(driver, haproxy, [Change(limit.ref, "amount", Fraction(8), Special.UNLIMITED)])
        _, limits = await read(driver, haproxy)
        assert limits["queued/a"].amount is Special.UNLIMITED
        await write(driver, haproxy, [Change(limit.ref, "amount", Special.UNLIMITED, Fraction(2))])
        assert "maxconn 2\n" in haproxy.config.read_text()
    finally:
        backends.delay(0.0)


async def _passed(port: int, path: str, count: int, header: str = "") -> int:
    answers = await asyncio.gather(*[get(port, path, header) for _ in range(count)])
    return sum(status == 200 for status, _ in answers)


def _slid(amount: int, window_seconds: float, started: float) -> int:
    """So many more than `amount` may have passed since `started`: what was counted leaves the window steadily."""
    return math.ceil(amount * (time.monotonic() - started) / window_seconds)


async def _offered(port: int, path: str, seconds: float) -> tuple[int, float]:
    started, passed = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        passed += (await get(port, path))[0] == 200
        await asyncio.sleep(0.005)
    return passed, time.monotonic() - started


@pytest.mark.clock
async def test_refusing_before_counting_admits_what_is_said(haproxy: HAProxy, driver: HAProxyProxy) -> None:
    _, limits = await read(driver, haproxy)
    limit = limits["edge/t_first"]
    assert limit.burst is not None
    assert (limit.amount, limit.burst.at_once, limit.enforced) == (20, 20, Interval.exactly(20))
    assert limit.mode is Mode.ENFORCED and limit.over.status == 429 and limit.key == ("source address",)
    started = time.monotonic()
    assert 20 <= await _passed(haproxy.port, "/first", 40) <= 20 + _slid(20, 1, started)
    await asyncio.sleep(2.1)
    [step] = await write(driver, haproxy, [Change(limit.ref, "amount", Fraction(20), Fraction(30))])
    assert step.edit.needs_reload and step.edit.loses
    passed, seconds = await _offered(haproxy.port, "/first", 3)
    assert 30 * seconds * 0.95 <= passed <= (30 * seconds + 30) * 1.05


@pytest.mark.clock
async def test_counting_before_refusing_starves_a_caller_that_keeps_trying(
    haproxy: HAProxy, driver: HAProxyProxy
) -> None:
    _, limits = await read(driver, haproxy)
    limit = limits["edge/t_after"]
    assert limit.burst is not None and limit.burst.at_once == 8
    assert limit.enforced == Interval(Fraction(0), Fraction(8))
    assert any("low 0" in note for note in limit.notes)
    assert await _passed(haproxy.port, "/after", 20) == 8
    passed, _ = await _offered(haproxy.port, "/after", 1.5)
    assert passed == 0


@pytest.mark.clock
async def test_thresholds_in_a_map_change_without_a_reload(haproxy: HAProxy, driver: HAProxyProxy) -> None:
    _, limits = await read(driver, haproxy)
    gold, default = limits["edge/t_tenant/gold"], limits["edge/t_tenant"]
    assert (gold.amount, limits["edge/t_tenant/silver"].amount, default.amount) == (30, 10, 5)
    assert gold.object != default.object and gold.object.endswith("limits.map")
    started = time.monotonic()
    first = await _passed(haproxy.port, "/tenant", 40, "X-Tenant: gold\r\n")
    assert 30 <= first <= 30 + _slid(30, 10, started)
    assert 5 <= await _passed(haproxy.port, "/tenant", 40, "X-Tenant: other\r\n") <= 5 + _slid(5, 10, started)
    serving = haproxy.serving
    [step] = await write(driver, haproxy, [Change(gold.ref, "amount", Fraction(30), Fraction(40))])
    assert not step.edit.needs_reload and haproxy.serving == serving
    assert (haproxy.folder / "limits.map").read_text() == MAP.replace("30", "40")
    both = first + await _passed(haproxy.port, "/tenant", 40, "X-Tenant: gold\r\n")
    assert 40 <= both <= 40 + _slid(40, 10, started)
    [step] = await write(driver, haproxy, [Change(default.ref, "amount", Fraction(5), Fraction(7))])
    assert step.edit.needs_reload
    started = time.monotonic()
    assert 7 <= await _passed(haproxy.port, "/tenant", 40, "X-Tenant: other\r\n") <= 7 + _slid(7, 10, started)


async def test_counted_by_haproxy(haproxy: HAProxy, driver: HAProxyProxy) -> None:
    routes, _ = await read(driver, haproxy)
    tree = await haproxy.tree()
    await split(haproxy.port, 40)
    counted = await driver.count(haproxy, haproxy.facts(), tree, list(routes.values()))
    llama = next(count for count in counted if count.ref.name == "llama")
    assert {name: count.requests for name, count in llama.targets} == {"a": 36, "b": 4, "c": 0}
    assert llama.total == 40


async def test_loaded_says_no_where_the_process_differs(haproxy: HAProxy, driver: HAProxyProxy) -> None:
    routes, _ = await read(driver, haproxy)
    [step] = await steps(driver, haproxy, [Change(routes["llama"].ref, "targets/a/weight", 9, 3)])
    await driver.write(haproxy, haproxy, step)
    assert (await driver.loaded(haproxy, step)).state is ProofState.YES
    await haproxy.tell("haproxy", str(haproxy.socket), ["set server llama/a weight 9"])
    assert (await driver.loaded(haproxy, step)).state is ProofState.NO


@pytest.mark.parametrize("weights", [(0, 256), (256, 1), (1, 0)])
async def test_the_whole_range_is_taken(haproxy: HAProxy, driver: HAProxyProxy, weights: Sequence[int]) -> None:
    routes, _ = await read(driver, haproxy)
    changes = [Change(routes["llama"].ref, f"targets/{n}/weight", None, w) for n, w in zip("ab", weights, strict=True)]
    await write(driver, haproxy, changes)
    routes, _ = await read(driver, haproxy)
    assert tuple(t.weight for t in routes["llama"].targets[:2]) == weights
    for value in (257, -1, Fraction(1, 2)):
        with pytest.raises(InvalidValue):
            await steps(driver, haproxy, [Change(routes["llama"].ref, "targets/a/weight", None, value)])
