"""Where a host really is: what ssh config says of it, asked of `ssh -G` itself where there is an ssh program."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.ssh.client import ssh_config, tokens
from adapters.ssh.section import SshConfig
from control.errors import DeckError

_HOST = re.compile(r"[A-Za-z0-9_.:%\[\]-]{1,255}")
_USER = re.compile(r"[A-Za-z0-9_.@\\+-]{1,64}")
_SSH_TIMEOUT = 5.0
_MAXIMUM_HOPS = 8

_YES = ("yes", "true")

Options = Mapping[str, list[str]]
"""Lower-case keyword -> its values, in order."""
Lookup = Callable[[str, str | None, str | None], Options]
"""(host, user, path of the ssh config file) -> what ssh config says."""


@dataclass(frozen=True, slots=True)
class HostConfig:
    """Everything needed to connect to one host."""

    name: str
    """As in the deck file."""
    hostname: str
    port: int
    user: str
    identity_files: tuple[str, ...] = ()
    certificate_files: tuple[str, ...] = ()
    identities_only: bool = False
    agent: str | None = None
    """Path of an agent's socket where ssh config names one; `none` for no agent; None for the usual one."""
    key_alias: str | None = None
    known_hosts: tuple[str, ...] = ()
    known_hosts_command: tuple[str, ...] = ()
    """`KnownHostsCommand` as words, with the tokens of a key (%H, %I, %K, %t, %f) still in them."""
    revoked: str | None = None
    """Path of a `RevokedHostKeys` file."""
    proxy_command: str | None = None
    """A shell command whose standard input and output are the way to the host."""
    jumps: tuple[HostConfig, ...] = ()
    """Bastions, nearest first."""

    @property
    def known_name(self) -> str:
        """The name under which known_hosts files hold its key."""
        if self.key_alias:
            return self.key_alias.lower()
        return self.hostname.lower() if self.port == 22 else f"[{self.hostname.lower()}]:{self.port}"

    @property
    def address(self) -> str:
        """`host:port`, for messages."""
        return f"{self.hostname}:{self.port}"


def resolve(name: str, ssh: SshConfig, lookup: Lookup | None = None) -> HostConfig:
    """What ssh config says of `name`, with the deck file's user on top. Blocking. Raises `DeckError`."""
    return _resolve(name, ssh, lookup or (_ask_ssh if shutil.which("ssh") else _read_config), ssh.user, 0)


def _resolve(name: str, ssh: SshConfig, lookup: Lookup, user: str | None, depth: int) -> HostConfig:
    target, at, port = split_target(name)
    if depth > _MAXIMUM_HOPS:
        raise DeckError(f"host '{name}': its ProxyJump leads in a circle", hint="check ProxyJump in the ssh config")
    config = str(Path(ssh.config).expanduser()) if ssh.config else None
    if config is not None and not Path(config).is_file():
        raise DeckError(f"ssh config '{config}' is not there", hint="correct `config` in the deck file's ssh section")
    options = lookup(target, at or user, config)
    hostname = _one(options, "hostname") or target
    about = tokens.About(
        given=target,
        hostname=hostname,
        port=port or _port(_one(options, "port"), name),
        user=at or user or _one(options, "user") or getpass.getuser(),
        alias=_one(options, "hostkeyalias"),
        jump=_one(options, "proxyjump") or "",
    )
    own_files = (str(Path(ssh.known_hosts).expanduser()),) if ssh.known_hosts else ()
    known = [*_words(options, "userknownhostsfile"), *_words(options, "globalknownhostsfile")]
    return HostConfig(
        name=name,
        hostname=hostname,
        port=about.port,
        user=about.user,
        identity_files=_paths(options, "identityfile", "IdentityFile", about),
        certificate_files=_paths(options, "certificatefile", "CertificateFile", about),
        identities_only=_one(options, "identitiesonly") in _YES,
        agent=_agent(_one(options, "identityagent")),
        key_alias=about.alias,
        known_hosts=own_files + tuple(_expand(path) for path in known if path != "none"),
        known_hosts_command=_known_hosts_command(_one(options, "knownhostscommand"), about),
        revoked=next(iter(_paths(options, "revokedhostkeys", "RevokedHostKeys", about)), None),
        proxy_command=_proxy_command(options, name, about),
        jumps=_hops(_one(options, "proxyjump"), about, ssh, lookup, depth),
    )


def _paths(options: Options, keyword: str, shown: str, about: tokens.About) -> tuple[str, ...]:
    values = options.get(keyword, [])
    return tuple(tokens.expand_path(value, about, shown) for value in values if value.strip('"') != "none")


def _proxy_command(options: Options, name: str, about: tokens.About) -> str | None:
    command = _one(options, "proxycommand")
    if command in (None, "none"):
        return None
    if _one(options, "proxyusefdpass") in _YES:
        raise DeckError(
            f"host '{name}' uses ProxyUseFdpass, which is not supported", hint="use ProxyJump, or a plain ProxyCommand"
        )
    known = about.tokens()
    return tokens.percent(command, {letter: known[letter] for letter in "hnpr"}, "ProxyCommand")


def _known_hosts_command(command: str | None, about: tokens.About) -> tuple[str, ...]:
    """The command's words with the tokens of the host replaced; those of a key wait for the key."""
    if command in (None, "none"):
        return ()
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise DeckError(f"KnownHostsCommand of host '{about.given}' is not a command: {error}") from error
    kept = [re.sub(r"%(%|[HIKtf])", lambda found: found[0].replace("%", "%%"), word) for word in words]
    return tuple(tokens.expand(word, about, "KnownHostsCommand") for word in kept)


def split_target(text: str) -> tuple[str, str | None, int | None]:
    """(host, user, port) of `[user@]host[:port]`, as in ProxyJump. Raises `DeckError` for what can be no host."""
    text = text.removeprefix("ssh://")
    user, mark, rest = text.rpartition("@")
    host, port = rest, None
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?", rest)
    if bracketed:
        host, port = bracketed[1], bracketed[2]
    elif rest.count(":") == 1:
        host, _, port = rest.partition(":")
    if host.startswith("-") or not _HOST.fullmatch(host) or (mark and (not _USER.fullmatch(user) or user[0] == "-")):
        raise DeckError(f"'{text}' is not a host name", hint="write a name from the ssh config, or user@host:port")
    return host, user or None, _port(port, text) if port is not None else None


def parse_options(text: str) -> dict[str, list[str]]:
    """The output of `ssh -G`: one `keyword value` a line; keywords that repeat keep every value."""
    options: dict[str, list[str]] = {}
    for line in text.splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword and value:
            options.setdefault(keyword.lower(), []).append(value.strip())
    return options


def _ask_ssh(host: str, user: str | None, config: str | None) -> Options:
    command = ["ssh", "-G", *(["-F", config] if config else []), *(["-l", user] if user else []), "--", host]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SSH_TIMEOUT, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeckError(f"'ssh -G {host}' gave no answer: {error}") from error
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["it failed"]
        raise DeckError(f"ssh config is not accepted for host '{host}': {reason[0]}")
    return parse_options(done.stdout)


def _read_config(host: str, user: str | None, config: str | None) -> Options:
    """The same from our own reader, where there is no ssh program."""
    return ssh_config.read(host, user, Path(config) if config else None)


def _hops(text: str | None, about: tokens.About, ssh: SshConfig, lookup: Lookup, depth: int) -> tuple[HostConfig, ...]:
    if text in (None, "none"):
        return ()
    hops: list[HostConfig] = []
    known = about.tokens()
    text = tokens.percent(text, {letter: known[letter] for letter in "hnpr"}, "ProxyJump")
    for hop in text.split(","):
        config = _resolve(hop.strip(), ssh, lookup, None, depth + 1)
        hops += [*config.jumps, replace(config, jumps=())] if not hops else [replace(config, jumps=())]
    return tuple(hops)


def _one(options: Options, keyword: str) -> str | None:
    values = options.get(keyword)
    return values[0] if values else None


def _words(options: Options, keyword: str) -> list[str]:
    return [word for value in options.get(keyword, []) for word in value.split()]


def _agent(value: str | None) -> str | None:
    """`$NAME` is the variable that holds the path; tokens and `${NAME}` are replaced where the value comes from."""
    if value in (None, "SSH_AUTH_SOCK"):
        return None
    if value.startswith("$"):
        return os.environ.get(value[1:]) or "none"
    return _expand(value)


def _expand(path: str) -> str:
    return str(Path(path.strip('"')).expanduser())


def _port(value: str | None, name: str) -> int:
    if value is None:
        return 22
    if not value.isdigit() or not 0 < int(value) < 65536:
        raise DeckError(f"host '{name}': '{value}' is no port")
    return int(value)
