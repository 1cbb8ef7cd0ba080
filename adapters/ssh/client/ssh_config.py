"""Reading ssh config as OpenSSH does, for machines without its program; `ssh -G` is asked wherever there is one.

What decides: the first value of a keyword wins, `IdentityFile` and `CertificateFile` add up; a `Host` or `Match` line
of an included file ends with that file; an `Include` below a `Host` or `Match` that does not apply is not applied.
"""

from __future__ import annotations

import getpass
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from adapters.ssh.client import tokens
from adapters.ssh.client.patterns import matches_any
from control.errors import DeckError

SYSTEM = Path("/etc/ssh/ssh_config")
_DEEPEST = 16
_EXEC_TIMEOUT = 5.0
_ADD_UP = frozenset({"identityfile", "certificatefile"})
_WHOLE_LINE = frozenset({"proxycommand", "knownhostscommand", "localcommand", "remotecommand", "proxyjump"})
_ONE_WORD = frozenset({"hostname", "user", "port", "identityfile", "certificatefile", "identityagent", "hostkeyalias"})
_WORD = re.compile(r"""(?:\\[\\"' ]|"(?:\\[\\"]|[^"])*"|'(?:\\[\\']|[^'])*'|[^\s"'])+""")
_PROGRAM = "install the OpenSSH client on this machine, or write the host out without it"


def read(host: str, user: str | None, config: Path | None) -> dict[str, list[str]]:
    """Lower-case keyword -> values, as `ssh -G` would print those that this program uses. `user` is one that is given
    apart from the config. Blocking. Raises `DeckError` for what only an ssh program can work out."""
    files = [(config, Path("~/.ssh").expanduser())] if config else []
    if config is None:
        home = Path("~/.ssh").expanduser()
        files = [(home / "config", home), (SYSTEM, SYSTEM.parent)]
    reading = _Reading(host, user)
    reading.all(files)
    name = reading.hostname()
    if reading.wants_final:
        reading.final, reading.host = True, name
        reading.all(files)
    if (reading.first("canonicalizehostname") or "no") not in ("no", "none", "false") and reading.first(
        "canonicaldomains"
    ):
        raise DeckError(f"host '{host}' uses CanonicalizeHostname, and there is no ssh program here", hint=_PROGRAM)
    return reading.options() | {"hostname": [name]}


@dataclass(slots=True)
class _Reading:
    """One host's values while files are read."""

    host: str
    """What `Host` patterns are compared with: the name as given, in the final pass the `HostName`."""
    user: str | None
    final: bool = False
    wants_final: bool = False
    values: dict[str, list[str]] = field(default_factory=dict)
    given: str = ""

    def __post_init__(self) -> None:
        self.given = self.host
        if self.user:
            self.values["user"] = [self.user]

    def first(self, keyword: str) -> str | None:
        """The value of a keyword, if there is one."""
        return next(iter(self.values.get(keyword, ())), None)

    def hostname(self) -> str:
        """`HostName` with its tokens, else the name as given."""
        name = self.first("hostname")
        return tokens.percent(name, {"h": self.given}, "HostName").lower() if name else self.given.lower()

    def options(self) -> dict[str, list[str]]:
        """All values, with those that `ssh -G` fills in and expands itself."""
        found = {key: list(values) for key, values in self.values.items()}
        found.setdefault("userknownhostsfile", ["~/.ssh/known_hosts ~/.ssh/known_hosts2"])
        found.setdefault("globalknownhostsfile", ["/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"])
        found.setdefault("identityfile", [f"~/.ssh/id_{kind}" for kind in ("rsa", "ecdsa", "ed25519")])
        about = self._about()
        for keyword, shown in (("userknownhostsfile", "UserKnownHostsFile"), ("identityagent", "IdentityAgent")):
            found[keyword] = [
                value if re.match(r"\$[^{]", value) else tokens.expand(value, about, shown)
                for value in found.get(keyword, ())
            ]
        return found

    def _about(self) -> tokens.About:
        port = self.first("port") or "22"
        return tokens.About(
            given=self.given,
            hostname=self.hostname(),
            port=int(port) if port.isdigit() else 22,
            user=self.first("user") or getpass.getuser(),
            alias=self.first("hostkeyalias"),
            jump=self.first("proxyjump") or "",
        )

    # --- files

    def all(self, files: Sequence[tuple[Path, Path]]) -> None:
        """Read the files in their order; one that is not there is none."""
        for path, folder in files:
            if path.is_file():
                self._file(path, folder, True, 0)

    def _file(self, path: Path, folder: Path, active: bool, depth: int) -> None:
        if depth > _DEEPEST:
            raise DeckError(f"ssh config '{path}': Include goes in a circle")
        try:
            text = path.read_text("utf-8", "replace")
        except OSError as error:
            raise DeckError(f"ssh config '{path}' cannot be read: {error.strerror}") from error
        applies = active
        for number, (keyword, rest) in enumerate(statements(text), 1):
            words = words_of(rest)
            if keyword == "host":
                applies = active and matches_any(words, self.host, exact_case=True)
            elif keyword == "match":
                applies = active and self._matches(words, f"{path}, statement {number}")
            elif keyword == "include":
                for included in _included(words, folder):
                    self._file(included, folder, applies, depth + 1)
            elif applies and words:
                self._take(keyword, rest, words)

    def _take(self, keyword: str, rest: str, words: list[str]) -> None:
        value = rest if keyword in _WHOLE_LINE else words[0] if keyword in _ONE_WORD else " ".join(words)
        known = self.values.setdefault(keyword, [])
        if keyword in _ADD_UP:
            if value not in known:
                known.append(value)
        elif not known and not (keyword in ("proxyjump", "proxycommand") and self._goes_otherwise(keyword)):
            known.append(value)

    def _goes_otherwise(self, keyword: str) -> bool:
        """The first of ProxyJump and ProxyCommand wins over the other."""
        return bool(self.values.get("proxycommand" if keyword == "proxyjump" else "proxyjump"))

    # --- Match

    def _matches(self, words: list[str], where: str) -> bool:
        result, rest = True, iter(words)
        for word in rest:
            negated = word.startswith("!")
            name, mark, argument = word.removeprefix("!").partition("=")
            criterion = name.lower()
            if criterion == "all":
                holds = True
            elif criterion in ("canonical", "final"):
                self.wants_final = self.wants_final or criterion == "final"
                holds = self.final
            else:
                holds = self._criterion(criterion, argument if mark else next(rest, ""), result, where)
            result = result and holds is not negated
        return result

    def _criterion(self, name: str, argument: str, so_far: bool, where: str) -> bool:
        local = getpass.getuser()
        if name == "exec":
            return so_far and self._succeeds(argument)  # as ssh does: not run where it can decide nothing
        compared = {
            "host": self.hostname(),
            "originalhost": self.given,
            "user": self.first("user") or local,
            "localuser": local,
        }
        if name not in compared:
            raise DeckError(f"'Match {name}' ({where}) needs an ssh program, which is not here", hint=_PROGRAM)
        return matches_any(argument.split(","), compared[name])

    def _succeeds(self, command: str) -> bool:
        line = tokens.percent(command, self._about().tokens(), "Match exec")
        try:
            done = subprocess.run(
                [os.environ.get("SHELL") or "/bin/sh", "-c", line],
                timeout=_EXEC_TIMEOUT,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DeckError(f"the command of 'Match exec' gave no answer: {error}") from error
        return done.returncode == 0


def statements(text: str) -> Iterator[tuple[str, str]]:
    """(keyword in small letters, the rest of its line) of every line that says something."""
    for line in text.splitlines():
        found = re.match(r"\s*([^\s=#\"][^\s=]*)(?:\s*=\s*|\s+)?(.*?)\s*$", line)
        if found:
            yield found[1].lower(), found[2]


def words_of(rest: str) -> list[str]:
    """The arguments of a line: quotes and backslashes as OpenSSH reads them, up to a comment."""
    words: list[str] = []
    for found in _WORD.finditer(rest):
        word = found[0]
        if word.startswith("#"):
            break
        words.append(re.sub(r"""\\([\\"' ])|["']""", lambda part: part[1] or "", word))
    return words


def has_open_quote(rest: str) -> bool:
    """Whether OpenSSH refuses a line for its quotes."""
    return bool({'"', "'"} & set(_WORD.sub("", rest.partition("#")[0])))


def _included(patterns: Sequence[str], folder: Path) -> Iterator[Path]:
    for pattern in patterns:
        full = Path(pattern).expanduser()
        full = full if full.is_absolute() else folder / full
        root = Path(full.anchor)
        yield from (one for one in sorted(root.glob(str(full.relative_to(root)))) if one.is_file())
