"""Hosts in memory behave as the real ones do, through the same reader, codecs and drivers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from pathlib import Path

import pytest
from preparing import prepared

from adapters.ssh.memory import MemoryHost, MemoryHosts, MemoryWriters
from adapters.ssh.proxies.haproxy.memory import MemoryHAProxy
from adapters.ssh.proxies.haproxy.program import CONFIG as HAPROXY_CONFIG
from adapters.ssh.proxies.nginx.program import CONFIG as NGINX_CONFIG
from adapters.ssh.reader import SshReader
from adapters.ssh.section import SECTION as SSH
from adapters.ssh.section import ProxyConfig, SshConfig
from adapters.ssh.writer import SshWriter
from control.contract.plans import plan_from_json, plan_to_json
from control.deck.config import DeckConfig, EnvironmentConfig
from control.errors import ControlError, Forbidden, PlatformError, Stale, Unreachable
from control.model import ReachState, TargetState
from control.model.ref import Ref
from control.plane import ControlPlane
from control.planning.edit import Change, SharesEdit, StateEdit
from control.planning.options import PlanOptions
from control.planning.plan import ResultOutcome
from control.ports import Delta, Prepared, ProofState, ReplaceFile, RuntimeCommand
from control.structs import replace

NGINX = b"""events {}
http {
    include /etc/nginx/conf.d/*.conf;
}
"""
MODELS = b"""upstream llama { zone llama 64k; server 10.0.0.1:80 weight=9; server 10.0.0.2:80; }
server { listen 80; location / { proxy_pass http://llama; } }
"""
HAPROXY = b"""global
    stats socket /run/haproxy/admin.sock level admin
frontend front
    bind :80
    default_backend chat
backend chat
    balance roundrobin
    server a 10.0.0.1:80 weight 90 check
    server b 10.0.0.2:80 weight 10 check
"""
MODELS_PATH = "/etc/nginx/conf.d/models.conf"
LLAMA = "targets/10.0.0.1:80/weight"


def web(name: str = "web-1") -> MemoryHost:
    return MemoryHost(name, {NGINX_CONFIG: NGINX, MODELS_PATH: MODELS, "/etc/nginx/conf.d/.hidden.conf": b"nonsense {"})


def lb(name: str = "lb-1") -> MemoryHost:
    return MemoryHost(name, {HAPROXY_CONFIG: HAPROXY})


def opened(kind: str, *hosts: MemoryHost) -> tuple[SshReader, SshWriter]:
    config = EnvironmentConfig(
        "vm", settings=SshConfig(tuple(host.name for host in hosts)), section=SSH, proxies=(ProxyConfig(kind),)
    )
    reader = SshReader(config, MemoryHosts(hosts))
    return reader, SshWriter(reader, MemoryWriters(hosts))


def ref(kind: str, host: str, name: str) -> Ref:
    return Ref("vm", kind, host, name)


async def only(reader: SshReader, change: Change) -> Prepared:
    [step] = await prepared(reader, [change])
    return step


async def test_an_nginx_weight_is_edited_loaded_and_stale_afterwards() -> None:
    host = web()
    reader, writer = opened("nginx", host)
    step = await only(reader, Change(ref("NginxUpstream", "web-1", "llama"), LLAMA, 9, 7))
    assert (await reader.loaded(step)).state is not ProofState.YES
    await writer.write(step)
    assert host.loaded[MODELS_PATH] == MODELS.replace(b"weight=9", b"weight=7")
    assert (await reader.loaded(step)).state is ProofState.YES
    with pytest.raises(Stale):
        await writer.write(step)


async def test_a_reload_publishes_what_others_left_on_disk() -> None:
    host = web()
    reader, writer = opened("nginx", host)
    host.write_file(NGINX_CONFIG, NGINX + b"# pending\n")
    step = await only(reader, Change(ref("NginxUpstream", "web-1", "llama"), LLAMA, 9, 7))
    assert any(NGINX_CONFIG in line for line in step.loses)
    await writer.write(step)
    assert host.loaded[NGINX_CONFIG].endswith(b"# pending\n")


async def test_a_haproxy_weight_runs_at_once_and_survives_a_reload() -> None:
    host = lb()
    reader, writer = opened("haproxy", host)
    step = await only(reader, Change(ref("HAProxyBackend", "lb-1", "chat"), "targets/a/weight", 90, 70))
    await writer.write(step)
    assert (await reader.loaded(step)).state is ProofState.YES
    assert host.generation == 1
    host.reload()
    [route] = (await reader.read()).routes
    assert [target.weight for target in route.targets] == [70, 10]


async def test_a_haproxy_state_is_lost_by_a_reload() -> None:
    host = lb()
    reader, writer = opened("haproxy", host)
    change = Change(ref("HAProxyBackend", "lb-1", "chat"), "targets/a/state", TargetState.ACTIVE, TargetState.DRAINING)
    await writer.write(await only(reader, change))
    [route] = (await reader.read()).routes
    assert route.targets[0].state is TargetState.DRAINING
    host.reload()
    [route] = (await reader.read()).routes
    assert route.targets[0].state is TargetState.ACTIVE


async def test_somebody_else_at_the_socket_makes_the_base_stale() -> None:
    host = lb()
    reader, writer = opened("haproxy", host)
    step = await only(reader, Change(ref("HAProxyBackend", "lb-1", "chat"), "targets/a/weight", 90, 70))
    host.proxies["haproxy"].tell("set server chat/b weight 50")
    with pytest.raises(Stale):
        await writer.write(step)
    assert host.files[HAPROXY_CONFIG] == HAPROXY


async def test_the_state_goes_out_and_comes_back_as_json() -> None:
    host = lb()
    reader, writer = opened("haproxy", host)
    await writer.write(await only(reader, Change(ref("HAProxyBackend", "lb-1", "chat"), "targets/a/weight", 90, 33)))
    state = json.loads(json.dumps(host.dump()))
    other = lb()
    other.load(state)
    reader, _ = opened("haproxy", other)
    [route] = (await reader.read()).routes
    assert [target.weight for target in route.targets] == [33, 10]
    assert other.dump() == host.dump()


async def test_several_hosts_are_one_row_and_a_lost_one_is_named() -> None:
    hosts = [web("web-1"), web("web-2"), web("web-3")]
    reader, _ = opened("nginx", *hosts)
    hosts[1].write_file(MODELS_PATH, MODELS.replace(b"weight=9", b"weight=4"))
    hosts[2].unreachable = "no route to host"
    snapshot = await reader.read()
    [route] = snapshot.routes
    assert str(route.ref) == "vm/NginxUpstream/*/llama"
    assert [member.targets[0].weight for member in route.members] == [9, 4]
    assert route.targets[0].weight is None
    assert snapshot.environment.reach.state is ReachState.DEGRADED
    assert "web-3" in snapshot.environment.reach.why
    assert [(one.what, one.why) for one in snapshot.missing] == [("web-3", "host web-3: no route to host")]
    for host in hosts:
        host.unreachable = "no route to host"
    with pytest.raises(Unreachable):
        await reader.read()


@pytest.mark.parametrize("sick", ["writable", "refuses_reload", "unreachable"])
async def test_a_sick_host_keeps_its_file(sick: str) -> None:
    host = web()
    reader, writer = opened("nginx", host)
    step = await only(reader, Change(ref("NginxUpstream", "web-1", "llama"), LLAMA, 9, 7))
    setattr(host, sick, False if sick == "writable" else "it is sick")
    errors: tuple[type[ControlError], ...] = (Forbidden, PlatformError, Unreachable)
    with pytest.raises(errors):
        await writer.write(step)
    assert host.files[MODELS_PATH] == MODELS


async def test_watching_sees_a_change_of_somebody_else() -> None:
    host = web()
    reader, _ = opened("nginx", host)
    await reader.read()
    changes = aiter(reader.watch())
    waiting = asyncio.create_task(anext(changes))
    await asyncio.sleep(1.2)
    assert not waiting.done()
    host.write_file(MODELS_PATH, MODELS + b"\n")
    await asyncio.wait_for(waiting, 3)


async def test_a_watch_names_the_files_of_the_host_that_changed_and_only_that_host_is_read_again() -> None:
    hosts = [web("web-1"), web("web-2")]
    reader, _ = opened("nginx", *hosts)
    await reader.read()
    before = {name: one.state for name in reader.hosts.names for one in await reader.instances_on(name)}
    changes = aiter(reader.watch())
    waiting = asyncio.create_task(anext(changes))
    await asyncio.sleep(1.2)
    hosts[1].write_file(MODELS_PATH, MODELS.replace(b"=9", b"=4"))
    delta = await asyncio.wait_for(waiting, 3)
    assert {Ref.parse(name).scope for name in delta.changed} == {"web-2"} and not delta.everything
    assert str(Ref("vm", "NginxFile", "web-2", MODELS_PATH)) in delta.changed
    snapshot = await reader.read(delta)
    now = {name: one.state for name in reader.hosts.names for one in await reader.instances_on(name)}
    assert now["web-1"] is before["web-1"] and now["web-2"] is not before["web-2"]
    (row,) = snapshot.routes
    assert [member.targets[0].weight for member in row.members] == [9, 4]
    hosts[0].unreachable = "no route to host"
    assert (await reader.read(Delta())).environment.reach.state is ReachState.OK, "nothing moved: nobody was asked"
    assert (await reader.read()).environment.reach.state is ReachState.DEGRADED
    hosts[0].unreachable = ""
    assert (await reader.read(Delta())).environment.reach.state is ReachState.OK, "the lost is asked again"


async def test_a_quiet_host_is_seen_to_be_as_it_was_read_and_a_lost_one_is_not() -> None:
    host = web()
    reader, _ = opened("nginx", host)
    await reader.read()
    assert reader.confirmed_at() is None
    changes = aiter(reader.watch())
    waiting = asyncio.create_task(anext(changes))
    for _ in range(100):
        await asyncio.sleep(0.1)
        first = reader.confirmed_at()
        if first is not None:
            break
    assert first is not None and time.time() - first < 1
    host.unreachable = "no route to host"
    await asyncio.wait_for(waiting, 3)
    lost = reader.confirmed_at()
    waiting = asyncio.create_task(anext(changes))
    await asyncio.sleep(1.3)
    assert reader.confirmed_at() == lost
    waiting.cancel()


async def test_a_file_that_somebody_changed_is_told_and_one_of_ours_is_not() -> None:
    host = web()
    reader, writer = opened("nginx", host)
    assert (await reader.read()).outside == ()
    step = await only(reader, Change(ref("NginxUpstream", "web-1", "llama"), LLAMA, 9, 7))
    await writer.write(step)
    assert (await reader.read()).outside == (), "what we wrote is no change of somebody else"
    host.write_file(MODELS_PATH, host.files[MODELS_PATH] + b"# by hand\n")
    [change] = (await reader.read()).outside
    assert change.object == step.object and time.time() - change.at < 5
    assert (change.what, change.source) == (f"{MODELS_PATH.rsplit('/', 1)[-1]} changed", "file time")


async def test_counters_of_several_hosts_are_added_up() -> None:
    hosts = [lb("lb-1"), lb("lb-2")]
    for number, host in enumerate(hosts, 1):
        twin = host.proxies["haproxy"]
        assert isinstance(twin, MemoryHAProxy)
        twin.counters = lambda proxy, server, n=number: {"lbtot": 100 * n} if server == "a" else {}  # type: ignore[misc]
    reader, _ = opened("haproxy", *hosts)
    await reader.read()
    counted = {str(one.ref): dict(one.targets) for one in await reader.count()}
    assert counted["vm/HAProxyBackend/lb-2/chat"]["a"].requests == 200
    assert counted["vm/HAProxyBackend/*/chat"]["a"].requests == 300


async def test_an_undo_from_the_journal_restores_the_bytes_that_were_there(tmp_path: Path) -> None:
    odd = MODELS.replace(b"server 10.0.0.2:80;", b"server 10.0.0.2:80 \tdown;\n  # spare\n  server 10.0.0.3:80;")
    host = web()
    host.write_file(MODELS_PATH, odd)
    host.reload()
    reader, writer = opened("nginx", host)
    deck = DeckConfig(tmp_path / "deck.yaml", (reader.config,), journal=tmp_path / "journal.db")
    plane = ControlPlane(deck, {"vm": reader}, lambda config, made: writer, "me@here")
    llama = ref("NginxUpstream", "web-1", "llama")
    edits = [
        SharesEdit(llama, (("10.0.0.3:80", 6),)),
        StateEdit(llama, (("10.0.0.2:80", TargetState.ACTIVE),), persist=True),
    ]
    options = PlanOptions(overrides=frozenset({"cool_down"}), reason="test")
    result = await plane.apply(await plane.plan(edits, options))
    assert result.outcome is ResultOutcome.APPLIED_UNPROVEN or result.outcome is ResultOutcome.APPLIED
    assert b"10.0.0.3:80 weight=6;" in host.files[MODELS_PATH] and b"down" not in host.files[MODELS_PATH]
    saved = plan_from_json(plan_to_json(await plane.undo_plan()))
    undone = await plane.apply(await plane.replan(saved))
    assert undone.outcome in (ResultOutcome.APPLIED, ResultOutcome.APPLIED_UNPROVEN)
    assert host.files[MODELS_PATH] == odd


async def test_an_edit_of_a_shared_include_warns_in_the_plan(tmp_path: Path) -> None:
    host = web()
    pool = "/etc/nginx/pool.inc"
    host.files[pool] = b"server 10.0.0.1:80 weight=9;\nserver 10.0.0.2:80;\n"
    shared = (
        b"upstream llama { zone llama 64k; include pool.inc; }\nupstream batch { zone batch 64k; include pool.inc; }\n"
    )
    host.write_file(MODELS_PATH, shared)
    host.reload()
    reader, _ = opened("nginx", host)
    step = await only(reader, Change(ref("NginxUpstream", "web-1", "llama"), LLAMA, 9, 7))
    assert step.object.endswith("pool.inc") and {route.ref.name for route in step.routes_after} == {"llama", "batch"}
    deck = DeckConfig(tmp_path / "deck.yaml", (reader.config,), journal=tmp_path / "journal.db")
    plane = ControlPlane(deck, {"vm": reader}, None, "me@here")
    plan = await plane.plan([SharesEdit(ref("NginxUpstream", "web-1", "llama"), (("10.0.0.1:80", 7),))])
    told = [guard.message for guard in plan.steps[0].guards if guard.name == "platform"]
    assert any("vm/NginxUpstream/web-1/batch" in message for message in told)


async def test_the_writes_of_a_step_are_files_and_commands_and_what_is_carried_out() -> None:
    host, other = web(), lb()
    reader, writer = opened("nginx", host)
    step = await only(reader, Change(ref("NginxUpstream", "web-1", "llama"), LLAMA, 9, 3))
    [write] = step.writes
    assert isinstance(write, ReplaceFile) and (write.object, write.path) == (step.object, MODELS_PATH)
    assert write.before == hashlib.sha256(MODELS).hexdigest() and write.data == MODELS.replace(b"=9", b"=3")
    written = await writer.write(replace(step, writes=(replace(write, data=write.data + b"# more\n"),)))
    assert host.files[MODELS_PATH] == write.data + b"# more\n"
    assert written.after is not None and written.after.base == (await reader.fetch([step.object]))[0].base
    reader, writer = opened("haproxy", other)
    step = await only(reader, Change(ref("HAProxyBackend", "lb-1", "chat"), "targets/a/weight", 90, 33))
    assert [write for write in step.writes if isinstance(write, RuntimeCommand)] == [
        RuntimeCommand(step.object, "/run/haproxy/admin.sock", "set server chat/a weight 33")
    ]
    assert any(isinstance(write, ReplaceFile) and write.path == HAPROXY_CONFIG for write in step.writes)
    written = await writer.write(step)
    assert written.after is not None and written.after.base == (await reader.fetch([step.object]))[0].base
