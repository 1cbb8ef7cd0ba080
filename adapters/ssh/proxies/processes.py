"""What the command lines of processes say, for all proxies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from adapters.ssh.client.ports import Process


def own(processes: Sequence[Process], program: str) -> tuple[list[Process], list[Process]]:
    """(all processes of a program, those of them that none of them started)."""
    all_of_it = [process for process in processes if process.program == program]
    pids = {process.pid for process in all_of_it}
    return all_of_it, [process for process in all_of_it if process.parent not in pids]


def option(words: Sequence[str], *flags: str) -> str | None:
    """The word after one of these flags, or behind its `=`."""
    for at, word in enumerate(words):
        if word in flags and at + 1 < len(words):
            return words[at + 1]
        flag, mark, value = word.partition("=")
        if mark and flag in flags and flag.startswith("--"):
            return value
    return None


def below(folder: str, name: str) -> str:
    """A path of a command line, from the folder that it is relative to."""
    return str(PurePosixPath(folder) / name)
