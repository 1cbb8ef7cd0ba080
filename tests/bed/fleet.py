"""Brings the whole fleet up, in an order that keeps both cores busy, and takes it down again."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from tests.bed import aws, deck, description, haproxy, hosts, kubernetes, nginx, sshkeys, system, traefik, traffic
from tests.bed import planes as planes_of
from tests.bed.errors import BedError
from tests.bed.layout import BACKEND_PORT, CLUSTERS, HOSTS, Layout, hold_block
from tests.bed.objects import backends as cluster_backends
from tests.bed.processes import Ledger, Process, adopt_orphans, reap
from tests.bed.waiting import until

MARKER = ".trafficdeck-bed"
"""Says that a folder is a bed's, so that what an earlier bed left there may be cleared away."""
_SUPERVISOR = "bed"
SUPERVISOR_SECONDS = 20.0
LOOK_REQUESTS = 30
"""Enough for a target with a tenth of the requests to be among those that answer."""


def claim(folder: Path) -> Ledger:
    """Make `folder` ours and empty. Raises `BedError` where a bed runs in it or where it holds something else."""
    ledger = Ledger(folder)
    running = [process for process in ledger.all() if process.alive]
    if running:
        raise BedError(f"a bed runs in {folder} ({len(running)} processes): end it first with 'down --dir {folder}'")
    marker = folder / MARKER
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        raise BedError(f"{folder} is not empty and no bed's: give an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    marker.touch()
    for child in folder.iterdir():
        if child.name not in (MARKER, "logs"):
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
    return ledger


class Fleet:
    """One bed from claim to ready."""

    def __init__(self, folder: Path, planes: tuple[str, ...] = ()) -> None:
        """`planes`: those beyond the core that are started too. Raises `BedError`."""
        if reason := system.why_not():
            raise BedError(reason)
        self.planes = planes_of.known(planes)
        self.ledger = claim(folder)
        adopt_orphans()
        block, self._holder = hold_block()
        self.layout = Layout(folder, block)
        (folder / "block").write_text(str(block))
        self.ledger.record(_SUPERVISOR, os.getpid())

    def up(self) -> None:
        """Start everything and wait until it answers. What was started stays in the ledger if something fails."""
        layout, ledger = self.layout, self.ledger
        kubernetes.start(layout, ledger)
        aws.start(layout, ledger)
        self._start_backends()
        sshkeys.make(layout)
        for host in HOSTS:
            hosts.prepare(layout, host)
            hosts.start(layout, ledger, host)
        recorder = [sys.executable, "-m", "tests.bed.recorder", str(layout.dir), str(layout.block)]
        ledger.start("recorder", recorder)
        crds = [*kubernetes.load_crds(), *planes_of.definitions(self.planes)]
        with ThreadPoolExecutor(8) as pool:
            filled = [pool.submit(self._cluster, cluster, crds) for cluster in CLUSTERS]
            filled.append(pool.submit(aws.fill, layout, ledger))
            found = [pool.submit(hosts.wait, layout, ledger, host) for host in HOSTS]
            running = [future.result() for future in found]
            _all(filled)
        traefik.wait(layout)
        for route in description.routes(layout):
            until(f"{route.host} at {route.url}", _answers(route), seconds=20)
        ledger.start("traffic", [sys.executable, "-m", "tests.bed.traffic", str(traffic.write_config(layout))])
        until("the recorder", lambda: "ready" in (layout.logs / "recorder.log").read_text())
        until("the traffic", lambda: (layout.dir / "traffic.state").read_text() == "running")
        deck.write(layout, self.planes)
        description.write(layout, ledger, running)

    def _cluster(self, cluster: str, crds: list[dict[str, object]]) -> None:
        kubernetes.fill_cluster(self.layout, cluster, crds, planes_of.objects(self.planes, cluster))
        traefik.start(self.layout, self.ledger, cluster)

    def _start_backends(self) -> None:
        names = nginx.backends(self.layout) | haproxy.backends(self.layout)
        for cluster in CLUSTERS:
            names |= cluster_backends(self.layout, cluster)
        config = self.layout.dir / "backends.json"
        config.write_text(json.dumps({f"{address}:{BACKEND_PORT}": name for address, name in names.items()}))
        self.ledger.start("backends", [sys.executable, "-m", "tests.bed.backends", str(config)])

    def watch(self, stopped: Callable[[], bool]) -> None:
        """Stay until `stopped`, saying which process ended by itself."""
        known = self.ledger.all()
        while not stopped():
            reap()
            ended = [process for process in known if not process.alive]
            for process in ended:
                print(f"{process.name} (pid {process.pid}) has ended", file=sys.stderr, flush=True)
            known = [process for process in known if process not in ended]
            time.sleep(0.2)

    def down(self) -> None:
        """End everything but this process."""
        finish(self.ledger, spare=os.getpid())
        self._holder.close()


def finish_from_outside(ledger: Ledger) -> None:
    """Ask the supervisor to end its bed, then end by hand what is still there (all of it, should it have crashed)."""
    for process in ledger.all():
        if process.name == _SUPERVISOR and process.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
            _wait_gone(process)
    finish(ledger)


def _wait_gone(process: Process) -> None:
    deadline = time.monotonic() + SUPERVISOR_SECONDS
    while time.monotonic() < deadline:
        if not process.alive:
            return
        time.sleep(0.02)


def finish(ledger: Ledger, spare: int | None = None) -> None:
    """End the processes of a bed. Raises `BedError` naming what would not end."""
    left = ledger.end_all(spare=spare)
    if left:
        raise BedError("still running: " + ", ".join(f"{process.name} ({process.pid})" for process in left))
    (ledger.folder / "bed.json").unlink(missing_ok=True)
    ledger.path.unlink(missing_ok=True)


def _all(futures: list[Future[None]]) -> None:
    for future in futures:
        future.result()


def _answers(route: description.RouteEntry) -> Callable[[], bool]:
    """A look whether every target of a route answers."""
    url = urlsplit(route.url)

    def look() -> bool:
        connection = http.client.HTTPConnection(url.netloc, timeout=2)
        seen = set()
        try:
            for _ in range(LOOK_REQUESTS):
                connection.request("GET", url.path, headers={"Host": route.host, "X-Bed": "1", **route.headers})
                answer = connection.getresponse()
                answer.read()
                seen.add(answer.headers.get("X-Backend") if answer.status == 200 else None)
        except http.client.HTTPException:
            return False
        finally:
            connection.close()
        return seen == set(route.targets)

    return look
