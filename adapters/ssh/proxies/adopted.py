"""Does a proxy run the file that is there? Judged by its processes, long after a write and whoever made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.ssh.client.ports import ConfigTree, FileFacts, HostReader, Process, Workers, sha256_of
from adapters.ssh.proxies.protocol import HostFacts, NativeEdit, Runtime
from control.ports import ProofPart, ProofState
from control.text import clean

CLOCK_GRAIN = 0.02
"""Start times of processes are known to 10 ms."""


def recorded(tree: ConfigTree, path: str, runtime: Runtime | None) -> dict[str, Any]:
    """What is journaled before a write of `path`: its digest and the processes that serve."""
    return {"sha256": tree.sha256(path), "workers": sorted(runtime.workers.serving) if runtime is not None else []}


def file_runs(
    tree: ConfigTree, path: str, facts: FileFacts | None, runtime: Runtime, before: Mapping[str, Any]
) -> ProofPart:
    """Whether the processes that serve now have read the file at `path` as it is. `before` is as `recorded` says."""
    workers = runtime.workers
    if facts is None:
        return ProofPart(ProofState.NO, f"{clean(path)} is gone")
    if workers.master is None or workers.since is None:
        return ProofPart(ProofState.UNKNOWN, runtime.why_not or "it does not run: live at its next start")
    former = frozenset(before.get("workers", ()))
    if before.get("sha256") == tree.sha256(path) and workers.serving <= former:
        return ProofPart(ProofState.YES, "the file is as it was and nothing was reloaded")
    newer = [one for one in workers.workers if not one.retiring and one.started + CLOCK_GRAIN >= facts.ctime]
    if len(newer) == len(workers.serving):
        return ProofPart(ProofState.YES, f"{len(newer)} workers started since the file was written")
    if newer:
        return ProofPart(ProofState.PENDING, "workers with the former configuration still serve")
    return ProofPart(ProofState.NO, "it is on disk only: all workers started before, and a reload publishes it")


def not_as_written(edit: NativeEdit, facts: FileFacts | None) -> ProofPart | None:
    """A no, where the file of an edit is gone or is not what was written."""
    if facts is None:
        return ProofPart(ProofState.NO, f"{clean(edit.path)} is gone")
    if edit.data is not None and facts.sha256 != sha256_of(edit.data):
        return ProofPart(ProofState.NO, f"{clean(edit.path)} is not what was written")
    return None


def pending_files(tree: ConfigTree, workers: Workers) -> tuple[str, ...]:
    """Files whose inode changed after the serving workers started: they are on disk and not live."""
    since = workers.since
    if since is None:
        return ()
    facts = tree.facts
    return tuple(sorted(path for path in tree.files if path in facts and facts[path].ctime > since + CLOCK_GRAIN))


async def processes_of(host: HostReader, facts: HostFacts) -> Sequence[Process]:
    """Those that were seen with the files, else those that run now."""
    return facts.processes if facts.processes is not None else (await host.stat()).processes
