"""What others changed on hosts: configuration files by their time, but for those that we wrote ourselves."""

from __future__ import annotations

import time
from collections.abc import Mapping

from adapters.ssh.instance import State, files_with_rows
from adapters.ssh.proxies.protocol import object_name
from control.model import Outside
from control.text import clean

RECENT_SECONDS = 24 * 3600.0
"""Older than that, a file's time says when it was installed, not what somebody did."""


def changed_files(state: State, written: Mapping[str, str]) -> list[Outside]:
    """Files with routes or limits that changed lately. `written` has the sha-256 of what we wrote, by path.

    A host remembers when a file was changed and whose it is, not who changed it nor what it held before. Times are
    the host's clock's, corrected by how far it is from ours.
    """
    facts = dict(state.tree.facts)
    found = []
    for path in files_with_rows(state):
        file = facts.get(path)
        if file is None or written.get(path) == file.sha256:
            continue
        at = file.mtime - state.facts.clock_offset
        if time.time() - at < RECENT_SECONDS:
            name = path.rsplit("/", 1)[-1]
            found.append(
                Outside(at, clean(file.owner), object_name(state.facts, path), f"{clean(name)} changed", "file time")
            )
    return found
