"""What the client must know of a kind of server program. Light: the registry reads it of every kind."""

from __future__ import annotations

import re

from msgspec import Struct


class Program(Struct, frozen=True):
    """A kind of server program, as far as the client must know it. Its scripts and patterns are constants."""

    name: str
    """Its word in the deck file, which is also the name of its processes."""
    title: str
    """Its name for people."""
    folders: tuple[str, ...]
    """Its own tree where nothing else is said: folders, and single files."""
    describe: str
    """Shell that prints what is installed (its version, paths built into it), a line each. Reads, never writes."""
    titled: bool = False
    """It writes titles over its arguments: `NAME: master process …`."""
    sudo: tuple[tuple[str, ...], ...] = ()
    """Commands that may be allowed by sudo alone, where it gives no root shell: discovery asks sudo about each."""
    questions: re.Pattern[str] | None = None
    """All that may be asked of its socket: the whole line."""
    commands: re.Pattern[str] | None = None
    """All that its socket may be told: the whole line."""
    done: re.Pattern[str] = re.compile("")
    """What it answers to a command that it has done, as a whole; anything else is a refusal."""
