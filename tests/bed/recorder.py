"""Writes the write logs of the clusters and the hosts: one process, `python -m tests.bed.recorder DIR BLOCK`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.bed import auditlog, haproxy, hosts, socketlog
from tests.bed.inotify import Watch
from tests.bed.layout import CLUSTERS, HOSTS, Layout
from tests.bed.writelog import WriteLog

AUDIT_SECONDS = 0.1
"""How often the audit logs are looked at."""


def watch_files(layout: Layout, host: str, log: WriteLog) -> None:
    """Log every change in the proxy's configuration tree. The kernel does not say who it was."""
    tree = hosts.configuration_tree(layout, host)
    inside = f"/etc/{hosts.proxy_kind(host)}"
    watch = Watch(tree)

    def changed() -> None:
        for verb, path in watch.read():
            log.add("unknown", verb, inside if path in (tree, Path()) else f"{inside}/{path.relative_to(tree)}")

    asyncio.get_running_loop().add_reader(watch.fileno(), changed)


async def watch_sockets(layout: Layout, host: str, log: WriteLog) -> None:
    home = layout.host_folder(host)
    run = home / haproxy.SOCKET.strip("/").rpartition("/")[0]
    names = socketlog.users_of(home / "etc" / "passwd")
    for socket in (haproxy.SOCKET, haproxy.MASTER):
        name = Path(socket).name
        await socketlog.serve(run / name, run / "direct" / name, name, log, names)


async def record(layout: Layout) -> None:
    """Set up everything, say `ready` (one line on stdout), then log until killed."""
    followers = [
        auditlog.Follower(layout.kube / cluster / "audit.log", WriteLog(layout.write_log(cluster)))
        for cluster in CLUSTERS
    ]
    for host in HOSTS:
        log = WriteLog(layout.write_log(host))
        watch_files(layout, host, log)
        if hosts.proxy_kind(host) == "haproxy":
            await watch_sockets(layout, host, log)
    print("ready", flush=True)
    while True:
        for follower in followers:
            follower.look()
        await asyncio.sleep(AUDIT_SECONDS)


if __name__ == "__main__":
    asyncio.run(record(Layout(Path(sys.argv[1]), int(sys.argv[2]))))
