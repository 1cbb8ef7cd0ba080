"""`KnownHostsCommand`: a program of the user's that prints known_hosts lines for a host."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Sequence

from adapters.ssh.client import known_hosts, tokens
from adapters.ssh.client.known_hosts import KnownKey
from control.text import clean

_TIMEOUT = 5.0
ORDER, HOSTNAME = "ORDER", "HOSTNAME"
"""Why the program is asked: for the types of key to prefer, or about the key that the host showed."""


def ask(
    command: Sequence[str], name: str, why: str, key_type: str = "", key: bytes = b""
) -> tuple[list[KnownKey], str]:
    """What the program knows of `name`, a host as known_hosts files hold it, and what went wrong. Blocking.

    As for ssh, a program that fails knows nothing; the other known_hosts files count beside it.
    """
    about = {
        "H": name,
        "I": why,
        "K": base64.b64encode(key).decode() or "NONE",
        "t": key_type or "NONE",
        "f": known_hosts.fingerprint(key) if key else "NONE",
    }
    words = [tokens.percent(word, about, "KnownHostsCommand") for word in command]
    program = clean(words[0])
    try:
        done = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        return [], f"KnownHostsCommand {program} gave no answer in {_TIMEOUT:.0f} s"
    except OSError as error:
        return [], f"KnownHostsCommand {program}: {clean(error.strerror or str(error))}"
    if done.returncode:
        return [], f"KnownHostsCommand {program} ended with code {done.returncode}"
    return known_hosts.parse(done.stdout.decode("utf-8", "replace"), f"KnownHostsCommand {program}"), ""
