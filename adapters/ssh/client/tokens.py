"""`%` tokens, `${VARIABLES}` and `~` in values of ssh config, as OpenSSH replaces them."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from control.errors import DeckError
from control.text import clean

_MARK = re.compile(r"%(.?)|\$\{([^}]*)\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class About:
    """What tokens stand for, of one host."""

    given: str
    """The name as it stands in the deck file."""
    hostname: str
    port: int
    user: str
    alias: str | None = None
    jump: str = ""

    def tokens(self) -> dict[str, str]:
        """Letter -> what it stands for."""
        here = socket.gethostname()
        whole = f"{here}{self.hostname}{self.port}{self.user}{self.jump}"
        return {
            "C": hashlib.sha1(whole.encode()).hexdigest(),  # noqa: S324  # OpenSSH's own name for a connection
            "d": str(Path("~").expanduser()),
            "h": self.hostname,
            "i": str(os.getuid()),
            "j": self.jump,
            "k": self.alias or self.given,
            "L": here.partition(".")[0],
            "l": here,
            "n": self.given,
            "p": str(self.port),
            "r": self.user,
            "u": getpass.getuser(),
        }


def percent(text: str, known: Mapping[str, str], keyword: str) -> str:
    """`text` with its `%` tokens replaced. Raises `DeckError` for one that the keyword does not know."""
    return _replaced(text, known, keyword, variables=False)


def expand(text: str, about: About, keyword: str) -> str:
    """`text` with `%` tokens and `${VARIABLES}` replaced. Raises `DeckError` for what OpenSSH refuses: a token that is
    none, a variable that is not set."""
    return _replaced(text, about.tokens(), keyword, variables=True)


def expand_path(text: str, about: About, keyword: str) -> str:
    """The same of a path, `~` and quotes too."""
    return str(Path(expand(text.strip('"'), about, keyword)).expanduser())


def _replaced(text: str, known: Mapping[str, str], keyword: str, *, variables: bool) -> str:
    def one(found: re.Match[str]) -> str:
        if found[2] is not None:
            if not variables:
                return found[0]
            value = os.environ.get(found[2])
            if value is None:
                raise DeckError(
                    f"{keyword} '{clean(text)}' names the environment variable {clean(found[2])}, which is not set"
                )
            return value
        if found[1] == "%":
            return "%"
        if found[1] not in known:
            raise DeckError(f"{keyword} '{clean(text)}' holds %{clean(found[1])}, which stands for nothing there")
        return known[found[1]]

    return _MARK.sub(one, text)
