"""One tuned SSH connection to one host, blocking; everything that knows the SSH library is here and in `keys`.

Figures behind the tuning: a socket with Nagle and delayed ACKs costs 48 ms a command, without them 3 ms; a shell kept
open answers in 0.1 to 0.3 ms.
"""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from adapters.ssh.client import known_command, known_hosts, ways
from adapters.ssh.client.hosts import HostConfig
from adapters.ssh.client.keys import MAXIMUM_KEYS, KeyRing
from adapters.ssh.client.paths import tcp_address
from adapters.ssh.client.revoked import refuse_revoked
from adapters.ssh.client.shell import Done, Shell, ShellClosed, run_once
from adapters.ssh.client.ways import CONNECT_TIMEOUT
from control.errors import AuthError, ControlError, Forbidden, Unreachable
from control.text import clean

if TYPE_CHECKING:
    from paramiko import Channel, Transport

CHANNEL_TIMEOUT = 5.0
KEEPALIVE = 15
_BACKOFF = (0.5, 15.0)
_BANNER_TRIES = 3
_EXECS = 2
"""Sessions beside the two shells that stay open: four in all, where sshd allows ten."""
_KEX = ("mlkem768x25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384")
_KEX_OLD = ("ecdh-sha2-nistp521", "diffie-hellman-group16-sha512", "diffie-hellman-group14-sha256")
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_PROHIBITED = 1
"""The reason of a channel that the server's configuration forbids."""
_T = TypeVar("_T")


class _NoSession(Exception):
    """The server opens no further session."""


class Connection:
    """One transport to one host, made when first needed and again when it broke, with backoff. Thread-safe."""

    def __init__(
        self,
        config: HostConfig,
        keys: KeyRing,
        known: Callable[[], Sequence[known_hosts.KnownKey]],
        through: Connection | None = None,
    ) -> None:
        self.config = config
        self._keys = keys
        self._known = known
        self._through = through
        self._lock = threading.Lock()
        self._transport: Transport | None = None
        self._shells: dict[bool, Shell] = {}
        self._opening = {False: threading.Lock(), True: threading.Lock()}
        self._execs = threading.BoundedSemaphore(_EXECS)
        self._narrow = False
        """The server opens fewer sessions than we would have (`MaxSessions`): then one at a time does everything."""
        self._turn = threading.Lock()
        self._failures = 0
        self._retry_at = 0.0
        self._last_error: ControlError | None = None
        self._closed = False

    # --- what is done over it

    @property
    def is_open(self) -> bool:
        """As far as is known without asking the host."""
        return self._transport is not None and self._transport.is_active()

    def open(self) -> None:
        """Connect where that is not done yet. Raises `Unreachable`, `AuthError`."""
        with self._told(), self._lock:
            self._connected()

    def shell(self, script: str, timeout: float, root: bool = False) -> Done:
        """Run a script in the shell that stays open (one for us, one for root). Raises `Unreachable`."""

        def run() -> Done:
            while True:
                try:
                    return self._open_shell(timeout, root).run(script, timeout)
                except ShellClosed:
                    continue  # it made room for another session before it began

        with self._told():
            return self._in_turn(run, timeout)

    def _open_shell(self, timeout: float, root: bool) -> Shell:
        """The shell that stays open, made by one thread for all."""
        with self._opening[root]:
            with self._lock:
                transport = self._connected()
                shell = self._shells.get(root)
            if shell is None or shell.broken:
                session = self._session(transport, timeout)
                with self._lock:
                    shell = self._shells[root] = Shell(session, self._name, root)
            return shell

    def execute(self, script: str, data: bytes, timeout: float, root: bool = False) -> Done:
        """Run a script in a session of its own, with `data` on its standard input."""

        def run() -> Done:
            with self._lock:
                transport = self._connected()
            if not self._execs.acquire(timeout=timeout):
                raise Unreachable(f"host {self._name} is busy with other commands")
            try:
                return run_once(self._session(transport, timeout), script, data, timeout, self._name, root)
            finally:
                self._execs.release()

        with self._told():
            return self._in_turn(run, timeout)

    def _in_turn(self, work: Callable[[], _T], timeout: float) -> _T:
        """Do work that needs a session; where the server opens too few, one after the other. A session that was not
        opened has run nothing, so the work may begin again."""
        if not self._narrow:
            try:
                return work()
            except _NoSession:
                self._narrow = True
        if not self._turn.acquire(timeout=timeout):
            raise Unreachable(f"host {self._name} is busy with another command, and opens no further session")
        try:
            return work()
        except _NoSession as error:
            raise Forbidden(
                f"host {self._name}: its SSH server opens no session for us",
                hint="allow at least one in its configuration (MaxSessions), and end other sessions of this connection",
            ) from error
        finally:
            self._turn.release()

    def exchange(self, path: str, request: bytes, timeout: float) -> bytes:
        """Send a request to a socket of the host (a path, or `HOST:PORT` as seen from there) and read until it closes.
        `Forbidden` where not let through."""
        from adapters.ssh.client.streamlocal import open_socket, open_tcp

        with self._told():
            with self._lock:
                transport = self._connected()
            address = tcp_address(path)
            channel = (
                open_tcp(transport, address, CHANNEL_TIMEOUT)
                if address
                else open_socket(transport, path, CHANNEL_TIMEOUT)
            )
            try:
                channel.settimeout(timeout)
                channel.sendall(request)
                return b"".join(iter(lambda: channel.recv(65536), b""))
            finally:
                channel.close()

    def close(self) -> None:
        """End the connection for good. Idempotent."""
        with self._lock:
            self._closed = True
            self._drop()

    # --- how it comes to be

    @property
    def _name(self) -> str:
        return clean(self.config.name)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Every failure of the library as one of our errors; a dead transport is forgotten."""
        from paramiko.ssh_exception import SSHException

        try:
            yield
        except ControlError:
            raise
        except (SSHException, OSError, EOFError) as error:
            reason = clean(str(error)) or ("no answer in time" if isinstance(error, TimeoutError) else "it broke")
            raise Unreachable(f"host {self._name} ({self.config.address}): {reason}") from error

    def _connected(self) -> Transport:
        if self._closed:
            raise Unreachable(f"host {self._name}: the connection was closed")
        if self._transport is not None and self._transport.is_active():
            return self._transport
        if self._last_error is not None and time.monotonic() < self._retry_at:
            last = self._last_error
            raise type(last)(last.message, ref=last.ref, hint=last.hint)
        self._drop()
        try:
            with self._told():
                self._transport = self._connect()
        except ControlError as error:
            delay = min(_BACKOFF[0] * 2**self._failures, _BACKOFF[1]) * random.uniform(0.7, 1.0)  # noqa: S311
            self._failures = min(self._failures + 1, 10)
            self._retry_at, self._last_error = time.monotonic() + delay, error
            raise
        self._failures, self._last_error = 0, None
        return self._transport

    def _connect(self) -> Transport:
        from paramiko.ssh_exception import SSHException

        for attempt in range(_BANNER_TRIES):
            stream = self._socket()
            transport = _make_transport(stream)
            if isinstance(stream, ways.ProxyStream):
                transport.banner_timeout = transport.handshake_timeout = ways.PROXY_TIMEOUT
            began = time.monotonic()
            try:
                self._handshake(transport)
                return transport
            except (SSHException, OSError, EOFError) as error:
                complaint = stream.complaint() if isinstance(stream, ways.ProxyStream) else ""
                _end(transport)
                if complaint:
                    raise Unreachable(f"host {self._name}: its ProxyCommand says: {complaint}") from error
                # sshd drops connections at random when many come at once (MaxStartups)
                slow = time.monotonic() - began > 1.0
                if "banner" not in str(error) or slow or attempt == _BANNER_TRIES - 1:
                    raise
                time.sleep(random.uniform(0.1, 0.5))  # noqa: S311
            except BaseException:
                _end(transport)
                raise
        raise Unreachable(f"host {self._name} does not answer as an SSH server")

    def _socket(self) -> Any:
        if self.config.proxy_command is not None:
            return ways.by_command(self.config)
        if self._through is not None:
            return self._through.forward((self.config.hostname, self.config.port))
        return ways.straight(self.config)

    def forward(self, target: tuple[str, int]) -> Channel:
        """A channel from this host, a bastion, to another. Raises `Forbidden` where its server lets nobody through."""
        from paramiko.ssh_exception import ChannelException

        where = f"{clean(target[0])}:{target[1]}"
        with self._told():
            with self._lock:
                transport = self._connected()
            try:
                return transport.open_channel("direct-tcpip", target, ("127.0.0.1", 0), timeout=CHANNEL_TIMEOUT)
            except ChannelException as error:
                if error.code == _PROHIBITED:
                    raise Forbidden(
                        f"bastion {self._name} does not forward to {where}: its SSH server forbids it",
                        hint="allow it there: AllowTcpForwarding, PermitOpen, or what restricts the key",
                    ) from error
                raise Unreachable(f"bastion {self._name} gets no connection to {where}: {clean(error.text)}") from error

    def _handshake(self, transport: Transport) -> None:
        name, command = self.config.known_name, self.config.known_hosts_command
        known = list(self._known())
        if command:
            known += known_command.ask(command, name, known_command.ORDER)[0]
        _prefer_known(transport, known_hosts.key_types(known, name))
        transport.start_client(timeout=transport.banner_timeout)
        if not transport.initial_kex_done:
            raise Unreachable(f"host {self._name} ({self.config.address}): the SSH handshake took too long")
        key = transport.get_remote_server_key()
        doubt = ""
        if command:
            told, doubt = known_command.ask(command, name, known_command.HOSTNAME, key.get_name(), key.asbytes())
            known += told
        if self.config.revoked is not None:
            refuse_revoked(self.config.revoked, self._name, key.get_name(), key.asbytes())
        known_hosts.check(known, name, self._name, key.get_name(), key.asbytes(), doubt)
        self._authenticate(transport)
        transport.set_keepalive(KEEPALIVE)

    def _authenticate(self, transport: Transport) -> None:
        from paramiko.ssh_exception import AuthenticationException, BadAuthenticationType

        user, offered, closed = clean(self.config.user), list[str](), False
        for candidate in self._keys.candidates(self.config):
            try:
                more = transport.auth_publickey(self.config.user, candidate.key)
            except BadAuthenticationType as error:
                takes = clean(", ".join(error.allowed_types)) or "nothing that we know"
                raise AuthError(f"host {self._name} takes no key for user {user}, only: {takes}") from error
            except AuthenticationException:
                offered.append(clean(candidate.what))
                closed = not transport.is_active()
                if len(offered) == MAXIMUM_KEYS or closed:
                    break
                continue
            if more:
                raise AuthError(f"host {self._name} asks for more than a key ({clean(', '.join(more))})")
            return
        ended = f"; it closed the connection after {len(offered)} of them (MaxAuthTries)" if closed else ""
        advice = "; name the right one with IdentityFile and IdentitiesOnly" if closed else ""
        raise AuthError(
            f"host {self._name} accepts no key of ours for user {user}{ended}",
            hint=f"offered: {', '.join(offered)}{advice}",
        )

    def _session(self, transport: Transport, timeout: float) -> Channel:
        """A new session. Where the server opens only few, shells that stay open without work make room for it; it
        counts them until their processes have ended."""
        from paramiko.ssh_exception import ChannelException

        end = time.monotonic() + min(timeout, CHANNEL_TIMEOUT)
        while True:
            try:
                channel = transport.open_session(timeout=CHANNEL_TIMEOUT)
                channel.settimeout(CHANNEL_TIMEOUT)
                return channel
            except ChannelException as error:
                if not self._narrow or time.monotonic() > end:
                    raise _NoSession from error
            with self._lock:
                shells = list(self._shells.values())
            for shell in shells:
                shell.make_room()
            time.sleep(0.03)

    def _drop(self) -> None:
        self._shells.clear()
        if self._transport is not None:
            _end(self._transport)
            self._transport = None


def _make_transport(stream: Any) -> Transport:
    import paramiko

    logger = logging.getLogger("paramiko")
    if logger.propagate:  # its warnings would be printed over the screen
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
    transport = _tuned(paramiko.Transport)(stream)
    transport.banner_timeout = transport.handshake_timeout = CONNECT_TIMEOUT
    transport.auth_timeout = CONNECT_TIMEOUT
    transport.channel_timeout = CHANNEL_TIMEOUT
    options = transport.get_security_options()
    options.kex = [kex for kex in (*_KEX, *_KEX_OLD) if kex in options.kex]
    options.ciphers = [cipher for cipher in _CIPHERS if cipher in options.ciphers]
    options.digests = [digest for digest in options.digests if "md5" not in digest and "sha1" not in digest]
    return transport


def _tuned(base: type[Transport]) -> type[Transport]:
    """The transport, waking once a second instead of ten times; the attribute is private, so only if it is there."""
    if not hasattr(base, "_active_check_timeout"):
        return base
    return type("TunedTransport", (base,), {"_active_check_timeout": 1.0})


def _prefer_known(transport: Transport, types: Sequence[str]) -> None:
    """Ask for a key of a type that is known for the host, else a known host looks changed."""
    options = transport.get_security_options()
    wanted = [one for kind in types for one in (_RSA if kind == "ssh-rsa" else (kind,))]
    offered = list(options.key_types)
    preferred = [kind for kind in wanted if kind in offered]
    options.key_types = preferred + [kind for kind in offered if kind not in preferred]


def _end(transport: Transport) -> None:
    with contextlib.suppress(Exception):
        transport.sock.shutdown(socket.SHUT_RDWR)  # its thread wakes at once instead of at its next look
    with contextlib.suppress(Exception):
        transport.close()
    with contextlib.suppress(Exception):
        transport.sock.close()  # a transport whose thread has ended by itself leaves it open
