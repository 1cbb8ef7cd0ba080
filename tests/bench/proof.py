"""From an edit to its proof on the data plane, against the least that the platform itself needs."""

from __future__ import annotations

import asyncio
import cProfile
import re
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from adapters.kubernetes.section import SECTION as KUBERNETES
from adapters.kubernetes.section import KubernetesConfig
from adapters.kubernetes.section import ProxyConfig as TraefikConfig
from adapters.registry import open_reader, writer_factory
from adapters.ssh.section import SECTION as SSH
from adapters.ssh.section import ProxyConfig
from control.deck.config import DeckConfig, EnvironmentConfig
from control.model.ref import Ref
from control.plane import ControlPlane
from control.planning.edit import SharesEdit
from control.planning.options import ApplyOptions
from control.ports import ProofState, Secrets
from tests.bed.processes import children_of, name_of
from tests.bench import cluster
from tests.bench.context import Context, top_lines
from tests.bench.hosts import sshhost
from tests.bench.measure import Row, Section, milliseconds

RUNS = 9
NGINX, TRAEFIK = 1.5, 1.2
"""How many times the bare act each may take."""
POLL_SECONDS = 0.002
SECRETS = Secrets(lambda what, key: None)
METHOD = (
    "Ours: `apply` of a plan that is shown, from the call until loaded is proved: journal, re-reading and comparing, "
    "the guarded write, reading back, the data plane's own word. The plane is open, as in the deck. Theirs: the bare "
    "act, with nothing compared, checked, locked or noted: on the host itself `sed -i` and `nginx -s reload` until two "
    "new workers run; one raw PATCH on an open connection until Traefik's API shows the weight. Done in turn; here "
    "the ratio is ours / theirs."
)
NGINX_REASON = (
    "nginx: ours does over SSH what the bare act leaves out: read and compare before the journal's entry and again "
    "before the write, lock, compare by sha-256, fsync, `nginx -t`, rename, reload, see the new workers, read back, "
    "journal. Each look is a round trip to the host and a few processes there."
)
TRAEFIK_REASON = (
    "Traefik: the bare act is little more than the throttle of its provider, 100 ms here. Ours reads and compares "
    "twice before the write, opens the writer's own connection, reads back, journals, and asks at growing intervals "
    "whether the weights are loaded."
)


def run(context: Context) -> Section:
    section = Section("Edit to proof", METHOD)
    asyncio.run(_run(context, section))
    return section


async def _run(context: Context, section: Section) -> None:
    if why := sshhost.missing():
        section.notes.append(f"nginx was not measured: {why}.")
    else:
        await _nginx(context, section)
    await _traefik(context, section)


# --- ours -------------------------------------------------------------------------------------------------------------


class Ours:
    """One plane over one environment and one route whose first target is moved to and fro."""

    def __init__(self, folder: Path, environment: EnvironmentConfig, ref: str, targets: tuple[str, str]) -> None:
        deck = DeckConfig(folder / "deck.yaml", (environment,), journal=folder / "journal.db")
        reader = open_reader(environment, SECRETS)
        self.plane = ControlPlane(deck, {environment.name: reader}, writer_factory(SECRETS), "bench@here")
        self.ref, self.targets = Ref.parse(ref), targets
        self.profile = cProfile.Profile()

    async def apply(self, weight: int) -> float:
        """Seconds of applying; the plan before it is not timed, as a person reads it."""
        shares = ((self.targets[0], weight), (self.targets[1], 100 - weight))
        plan = await self.plane.plan([SharesEdit(self.ref, shares)])
        begin = time.perf_counter()
        self.profile.enable()
        result = await self.plane.apply(plan, ApplyOptions(reason="benchmark"))
        self.profile.disable()
        seconds = time.perf_counter() - begin
        proof = result.steps[0].proof if result.steps else None
        if proof is None or proof.loaded.state is not ProofState.YES:
            raise RuntimeError(f"not proved: {result}")
        return seconds


async def _compare(
    section: Section, what: str, ours: Ours, theirs: Callable[[int], Awaitable[float]], goal: float, reason: str
) -> None:
    pairs = []
    for number in range(RUNS + 1):
        pair = await ours.apply(51 + number), await theirs(71 + number)
        if number:
            pairs.append(pair)
    await ours.plane.close()
    mine, other = statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)
    ratios = sorted(a / b for a, b in pairs)
    ratio = statistics.median(ratios)
    met = ratio <= goal
    told = f"{ratio:.2f}x ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    row = Row(what, milliseconds(mine), milliseconds(other), told, f"within {goal}x", met)
    section.rows.append(row)
    if not met:
        section.notes += [
            reason,
            f"Profile of {RUNS + 1} applies:",
            *(f"    {line}" for line in top_lines(ours.profile)),
        ]


# --- nginx ------------------------------------------------------------------------------------------------------------


async def _nginx(context: Context, section: Section) -> None:
    folder = context.folder / "proof-nginx"
    folder.mkdir()
    host = sshhost.Host("web-1", folder / "web-1", "127.78.4.1", sshhost.Keys(folder / "keys"))
    context.stack.callback(host.stop)
    host.start()
    ssh = sshhost.environment(folder, [host], user=sshhost.USER, sudo=True)
    environment = EnvironmentConfig("lb", settings=ssh, section=SSH, proxies=(ProxyConfig("nginx"),))
    targets = ("127.0.0.1:9", "127.0.0.2:9")
    ours = Ours(folder, environment, "lb/NginxUpstream/web-1/llama", targets)
    master = _master(host.init)

    async def bare(weight: int) -> float:
        return await asyncio.to_thread(_reload, host, master, weight)

    await _compare(section, "nginx: weight of a server, over SSH", ours, bare, NGINX, NGINX_REASON)


def _master(init: int) -> int:
    """nginx's master process on the host."""
    for pid in children_of(init):
        if name_of(pid) == "nginx":
            return pid
    raise RuntimeError("nginx does not run on the host")


def _workers(master: int) -> set[int]:
    """Worker processes that still serve."""
    found = set()
    for pid in children_of(master):
        try:
            if b"shutting down" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
        except OSError:
            continue
    return found


def _reload(host: Any, master: int, weight: int) -> float:
    former = _workers(master)
    begin = time.perf_counter()
    change = f"sed -i 's/server 127.0.0.1:9 weight=[0-9]*;/server 127.0.0.1:9 weight={weight};/'"
    host.run("sh", "-c", f"{change} /etc/nginx/conf.d/models.conf && nginx -s reload")
    while True:
        now = _workers(master)
        if len(now - former) >= 2 and not now & former:
            return time.perf_counter() - begin
        if time.perf_counter() - begin > 10:
            raise RuntimeError("nginx did not take new workers")
        time.sleep(POLL_SECONDS)


# --- Traefik ----------------------------------------------------------------------------------------------------------


async def _traefik(context: Context, section: Section) -> None:
    folder = context.folder / "proof-traefik"
    servers = context.stack.enter_context(cluster.started(folder, routes=1, traefik=True))
    api = servers.proxies[0][0]
    kubernetes = KubernetesConfig("bed", str(servers.kubeconfig()))
    proxies = (TraefikConfig("traefik", api=api),)
    environment = EnvironmentConfig("eu", settings=kubernetes, section=KUBERNETES, proxies=proxies)
    ours = Ours(folder, environment, f"eu/HTTPRoute/{cluster.NAMESPACE}/model-0000#rule=main", ("v1", "v2"))
    headers = {"Authorization": f"Bearer {cluster.kube_servers.ADMIN}"}
    async with (
        httpx.AsyncClient(base_url=servers.server, headers=headers, verify=_trust(servers)) as kube,
        httpx.AsyncClient(base_url=api) as pages,
    ):

        async def bare(weight: int) -> float:
            return await _patch(kube, pages, weight)

        await _compare(section, "Traefik: weights of an HTTPRoute", ours, bare, TRAEFIK, TRAEFIK_REASON)


def _trust(servers: Any) -> Any:
    import ssl

    return ssl.create_default_context(cafile=str(servers.ca))


async def _patch(kube: httpx.AsyncClient, pages: httpx.AsyncClient, weight: int) -> float:
    path = f"/apis/{cluster.GATEWAY_API}/namespaces/{cluster.NAMESPACE}/httproutes/model-0000"
    where = "/spec/rules/0/backendRefs"
    ops = [
        {"op": "replace", "path": f"{where}/{index}/weight", "value": value}
        for index, value in enumerate((weight, 100 - weight))
    ]
    shown = re.compile(rf'"weight":{weight}\b')
    begin = time.perf_counter()
    answer = await kube.patch(path, json=ops, headers={"Content-Type": "application/json-patch+json"})
    answer.raise_for_status()
    while not shown.search((await pages.get("/api/http/services")).text):
        if time.perf_counter() - begin > 10:
            raise RuntimeError("Traefik did not take the weight")
        await asyncio.sleep(POLL_SECONDS)
    return time.perf_counter() - begin
