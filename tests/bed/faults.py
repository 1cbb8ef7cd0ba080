"""Breaking things on purpose: a full disk, a server that hangs, one that is gone."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bed.build import run
from tests.bed.description import Bed
from tests.bed.processes import children_of, name_of

_TREES = {"nginx": "/etc/nginx", "haproxy": "/etc/haproxy"}

_FULL = """\
set -eu
mkdir -p /run/spare
cp -a {tree}/. /run/spare/
mount -t tmpfs -o size=256k,mode=755 tmpfs {tree}
cp -a /run/spare/. {tree}/
rm -rf /run/spare
dd if=/dev/zero of={tree}/.ballast bs=4k 2>/dev/null || true
"""


def fill_disk(bed: Bed, host: str) -> None:
    """Put the host's configuration tree on a small file system of its own that has no room left."""
    _inside(bed, host, _FULL.format(tree=_TREES[bed.host(host).proxy]))


def free_disk(bed: Bed, host: str) -> None:
    """Take that file system away again; the tree is then as it was before `fill_disk`."""
    _inside(bed, host, f"umount {_TREES[bed.host(host).proxy]}")


@contextmanager
def full_disk(bed: Bed, host: str) -> Iterator[None]:
    fill_disk(bed, host)
    try:
        yield
    finally:
        free_disk(bed, host)


@contextmanager
def hanging(bed: Bed, *names: str) -> Iterator[None]:
    """Stop processes of the bed by name with all that they started (they keep their sockets and answer nothing), and
    let them go on afterwards."""
    pids = [pid for name in names for pid in _family(bed.pid(name))]
    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@contextmanager
def no_ssh(bed: Bed, host: str) -> Iterator[None]:
    """Kill the host's sshd with all its sessions; its proxy goes on. Afterwards sshd runs again, by another pid."""
    init = bed.pid(f"init/{host}")
    for listener in (pid for pid in children_of(init) if name_of(pid) == "sshd"):
        for pid in _family(listener):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    try:
        yield
    finally:
        _inside(bed, host, "/usr/sbin/sshd -f /etc/ssh/sshd_config")


def _family(pid: int) -> list[int]:
    """A process, its children and theirs."""
    return [pid, *(member for child in children_of(pid) for member in _family(child))]


def _inside(bed: Bed, host: str, script: str) -> None:
    target = str(bed.pid(f"init/{host}"))
    run(["nsenter", "-t", target, "-m", "-p", "-u", "--", "/bin/sh", "-c", script], seconds=20)
