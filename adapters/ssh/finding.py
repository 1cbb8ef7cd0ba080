"""Which hosts a user's ssh config names, includes followed; patterns are none, and no host is asked."""

from __future__ import annotations

import re
from pathlib import Path

from adapters.ssh.client.ssh_config import has_open_quote, statements, words_of

_HOST = re.compile(r"[A-Za-z0-9_.:-]{1,255}")
_FORGES = frozenset({"github.com", "gitlab.com", "bitbucket.org", "ssh.dev.azure.com", "codeberg.org"})
"""Hosts that serve Git and no traffic."""
_DEEPEST = 16


def find_hosts(home: Path) -> list[str]:
    """Names of `Host` lines in `~/.ssh/config`, in their order. Files that cannot be read have none."""
    names: dict[str, None] = {}
    _read(home / ".ssh" / "config", home, names, 0)
    return list(names)


def _read(file: Path, home: Path, names: dict[str, None], depth: int) -> None:
    try:
        text = file.read_text("utf-8", "replace")
    except OSError:
        return
    holds_for_all = True
    for keyword, rest in statements(text):
        if has_open_quote(rest):
            continue
        words = words_of(rest)
        if keyword == "host":
            holds_for_all = "*" in words
            names |= dict.fromkeys(w for w in words if _HOST.fullmatch(w) and w.lower() not in _FORGES)
        elif keyword == "match":
            holds_for_all = [word.lower() for word in words] == ["all"]
        elif keyword == "include" and depth < _DEEPEST and holds_for_all:
            for word in words:  # below a Host of some names its own Host lines name nobody else
                path = home / ".ssh" / (word.replace("~", str(home), 1) if word.startswith("~") else word)
                for found in sorted(path.parent.glob(path.name)):
                    _read(found, home, names, depth + 1)
