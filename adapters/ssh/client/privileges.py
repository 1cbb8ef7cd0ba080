"""What this user needs to replace files and reload a program; a missing right is named before anything is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from adapters.ssh.client.ports import Authority, Candidate, Command, Lifecycle, Probe
from adapters.ssh.client.shell import quote
from control.errors import Forbidden
from control.text import clean


class Asks(Protocol):
    """What is asked of the host's reader."""

    host: str

    async def probed(self) -> Probe: ...
    async def rights(self, paths: Sequence[str], pids: Iterable[int]) -> set[tuple[str, str]]: ...


@dataclass(frozen=True, slots=True)
class Privileges:
    root: bool
    """Everything is done as root: we are root, or sudo gives us a root shell."""
    reload: str
    """Quoted words; "" where nothing runs, or no reload is wanted."""
    validate: str
    """The program's own check of the files in place; "" where there is none for this user."""
    beside: str
    """The same of the candidate (`$T1`, …) beside the file, where the check can be told another path."""


async def privileges_for(
    host: Asks, lifecycle: Lifecycle, paths: Sequence[str], sudo: bool, reload: bool
) -> Privileges:
    """How to replace `paths`. Raises `Forbidden` that names the missing right and how to give it."""
    probed = await host.probed()
    root = probed.uid == 0 or (sudo and probed.root_shell)
    allowed = await host.rights(paths, lifecycle.pids)
    _refuse_impossible(host.host, paths, allowed)
    if not root:
        _require(host.host, paths, allowed, probed.sudo_trouble if sudo else None)
    signals = root or all(("K", str(pid)) in allowed for pid in lifecycle.pids)
    authority = Authority(root, signals, sudo and not root, probed.allowed)
    try:
        command = lifecycle.reload(authority) if reload else ()
    except Forbidden as error:
        raise Forbidden(f"host {clean(host.host)}: {error.message}", hint=error.hint) from error
    slots = {path: f'"$T{number}"' for number, path in enumerate(paths, 1)}
    beside = lifecycle.validate_beside()
    here = any(isinstance(word, Candidate) and word in slots for word in beside)
    return Privileges(
        root,
        words(command),
        words(lifecycle.validate(authority)),
        words(beside, slots) if here else "",
    )


def words(command: Command, slots: Mapping[str, str] | None = None) -> str:
    """Quoted for a shell. `slots`: where the new text of a file lies."""
    named = slots or {}
    return " ".join(named[w] if isinstance(w, Candidate) and w in named else quote(str(w)) for w in command)


def _refuse_impossible(host: str, paths: Sequence[str], allowed: set[tuple[str, str]]) -> None:
    """Name what not even root could write."""
    for path in paths:
        folder = path.rpartition("/")[0] + "/"
        if ("R", path) in allowed:
            raise Forbidden(
                f"host {clean(host)}: {clean(path)} is on a read-only file system",
                hint="mount it read-write, or change the file where it comes from",
            )
        if ("I", path) in allowed or ("I", folder) in allowed:
            raise Forbidden(
                f"host {clean(host)}: {clean(path)} or its folder is immutable (chattr)",
                hint="somebody protects it on purpose: ask them, or chattr -i it there",
            )


def _require(
    host: str, paths: Sequence[str], allowed: set[tuple[str, str]], sudo_trouble: tuple[str, str] | None
) -> None:
    """`sudo_trouble`: why sudo, which the deck file allows, gives no root shell."""
    cause = f", and {sudo_trouble[0]}" if sudo_trouble else ""
    for path in paths:
        if ("W", path) not in allowed:
            raise Forbidden(
                f"host {clean(host)}: this user may not replace {clean(path)} in its folder{cause}",
                hint=sudo_trouble[1]
                if sudo_trouble
                else "give the group write access to file and folder, or allow sudo and set `sudo: true`",
            )
        if ("O", path) not in allowed:
            raise Forbidden(
                f"host {clean(host)}: {clean(path)} belongs to somebody else, and its owner could not be kept{cause}",
                hint=sudo_trouble[1]
                if sudo_trouble
                else "make this user its owner, or allow sudo and set `sudo: true`",
            )
