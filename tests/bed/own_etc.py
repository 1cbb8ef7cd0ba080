"""An /etc of a host's own: a copy of the machine's, bound whole over /etc in the host's mount namespace.

Whole, since files bound one by one are lost when the machine replaces them: `useradd`, which packages run as they are
installed, writes /etc/passwd anew and renames it into place, and the kernel then drops every mount over the old file,
in the namespaces of others too. The folder /etc itself is never replaced.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

ETC = Path("/etc")
_SECRET = ("shadow", "shadow-", "gshadow", "gshadow-", "private", "ssh", "sudoers.d")
"""What no host needs of the machine: its passwords, its keys, who may become whom."""


def make(target: Path, folders: Iterable[str] = ()) -> None:
    """Copy the machine's /etc to `target`; `folders` (`/etc/nginx`) are there then, for a host's own to be bound
    over."""
    shutil.copytree(ETC, target, symlinks=True, ignore=_left_out, dirs_exist_ok=True)
    target.chmod(0o755)
    for folder in folders:
        if folder.startswith("/etc/"):
            (target / folder.removeprefix("/etc/")).mkdir(parents=True, exist_ok=True)


def _left_out(folder: str, names: list[str]) -> list[str]:
    def odd(name: str) -> bool:
        mode = (Path(folder) / name).lstat().st_mode
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))

    return [name for name in names if name in _SECRET or odd(name)]
