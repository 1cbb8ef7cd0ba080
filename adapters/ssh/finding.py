"""Which hosts a user's ssh config names, includes followed; patterns are none, and no host is asked."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

_LINE = re.compile(r"([A-Za-z]+)[ \t]*[ \t=][ \t]*(.*)")
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
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    holds_for_all = True
    for line in lines:
        keyword, words = words_of(line)
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


def words_of(line: str) -> tuple[str, list[str]]:
    """The keyword, in small letters, and the arguments of a line as ssh_config(5) splits it: at blanks, tabs and one
    `=`; quotes hold blanks, and a word that begins with `#` ends the line. Both empty for a comment, and for a line
    that OpenSSH refuses for its quotes."""
    match = _LINE.match(line.strip())
    if match is None:
        return "", []
    lexer = shlex.shlex(match[2], posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters, lexer.whitespace = True, "", " \t\r\f"
    lexer.escape = ""
    words: list[str] = []
    try:
        for word in lexer:
            if word.startswith("#"):
                break
            words.append(word)
    except ValueError:
        return "", []
    return match[1].lower(), words
