"""Who acts, for the journal: who the system says, and beside that what the environment claims."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping

from control.text import clean

CLAIMS = ("SUDO_USER", "LOGNAME", "USER")
"""What may say who somebody was before he became who he is. Anybody can set these: they are only told."""
_LONGEST = 64


def actor(environment: Mapping[str, str]) -> str:
    """`name@host` by the user id of this process, and in brackets every claim that says otherwise:
    `root@jump (SUDO_USER=ada)`. Who claims to be another is another: his own last change is his own."""
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid-{uid}"
    claims = [
        f"{key}={clean(environment[key], _LONGEST)}" for key in CLAIMS if environment.get(key, "") not in ("", name)
    ]
    beside = f" ({', '.join(claims)})" if claims else ""
    return f"{name}@{socket.gethostname()}{beside}"


def who(actor: str) -> str:
    """An actor in few letters: `ada`, and `root (ada?)` for root of whom the environment says that it is ada."""
    name, _, rest = actor.partition("@")
    claim = rest.partition(" (")[2].partition("=")[2].partition(",")[0].rstrip(")")
    return f"{name} ({claim}?)" if claim else name
