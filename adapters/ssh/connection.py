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
from typing import TYPE_CHECKING, Any

from adapters.ssh import known_hosts
from adapters.ssh.hosts import HostConfig
from adapters.ssh.keys import KeyRing
from adapters.ssh.shell import Done, Shell, run_once
from control.errors import AuthError, ControlError, Unreachable
from control.text import clean

if TYPE_CHECKING:
    from paramiko import Channel, Transport

CONNECT_TIMEOUT = 5.0
CHANNEL_TIMEOUT = 5.0
KEEPALIVE = 15
MAXIMUM_KEYS = 6
"""sshd closes the connection after six refused keys."""
_BACKOFF = (0.5, 15.0)
_BANNER_TRIES = 3
_EXECS = 2
"""Sessions beside the two shells that stay open: four in all, where sshd allows ten."""
_KEX = ("mlkem768x25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384")
_KEX_OLD = ("ecdh-sha2-nistp521", "diffie-hellman-group16-sha512", "diffie-hellman-group14-sha256")
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")
_RSA = ("rsa-sha2-512", "rsa-sha2-256")


class _QuickSocket:
    """A socket that acknowledges at once: asked for after every read, since the kernel forgets it."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._option: int | None = getattr(socket, "TCP_QUICKACK", None)

    def recv(self, size: int) -> bytes:
        data = self._raw.recv(size)
        if self._option is not None and data:
            with contextlib.suppress(OSError):
                self._raw.setsockopt(socket.IPPROTO_TCP, self._option, 1)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


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
        self._execs = threading.BoundedSemaphore(_EXECS)
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
        with self._told():
            with self._lock:
                transport = self._connected()
                shell = self._shells.get(root)
                if shell is None or shell.broken:
                    shell = self._shells[root] = Shell(self._session(transport), self._name, root)
            return shell.run(script, timeout)

    def execute(self, script: str, data: bytes, timeout: float, root: bool = False) -> Done:
        """Run a script in a session of its own, with `data` on its standard input."""
        with self._told():
            with self._lock:
                transport = self._connected()
            if not self._execs.acquire(timeout=timeout):
                raise Unreachable(f"host {self._name} is busy with other commands")
            try:
                return run_once(self._session(transport), script, data, timeout, self._name, root)
            finally:
                self._execs.release()

    def exchange(self, path: str, request: bytes, timeout: float) -> bytes:
        """Send a request to a unix socket on the host and read until it closes. `Forbidden` where not let through."""
        from adapters.ssh.streamlocal import open_socket

        with self._told():
            with self._lock:
                transport = self._connected()
            channel = open_socket(transport, path, CHANNEL_TIMEOUT)
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
            transport = _make_transport(self._socket())
            began = time.monotonic()
            try:
                self._handshake(transport)
                return transport
            except SSHException as error:
                _end(transport)
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
        target = (self.config.hostname, self.config.port)
        if self._through is not None:
            return self._through.forward(target)
        try:
            return _QuickSocket(socket.create_connection(target, timeout=CONNECT_TIMEOUT))
        except TimeoutError as error:
            raise Unreachable(f"host {self._name} ({self.config.address}): no answer in time") from error
        except OSError as error:
            reason = clean(error.strerror or str(error))
            raise Unreachable(f"host {self._name} ({self.config.address}): {reason}") from error

    def forward(self, target: tuple[str, int]) -> Channel:
        """A channel from this host, a bastion, to another."""
        with self._told():
            with self._lock:
                transport = self._connected()
            return transport.open_channel("direct-tcpip", target, ("127.0.0.1", 0), timeout=CHANNEL_TIMEOUT)

    def _handshake(self, transport: Transport) -> None:
        known = self._known()
        name = self.config.known_name
        _prefer_known(transport, known_hosts.key_types(known, name))
        transport.start_client(timeout=CONNECT_TIMEOUT)
        if not transport.initial_kex_done:
            raise Unreachable(f"host {self._name} ({self.config.address}): the SSH handshake took too long")
        key = transport.get_remote_server_key()
        known_hosts.check(known, name, self._name, key.get_name(), key.asbytes())
        self._authenticate(transport)
        transport.set_keepalive(KEEPALIVE)

    def _authenticate(self, transport: Transport) -> None:
        from paramiko.ssh_exception import AuthenticationException

        offered: list[str] = []
        for candidate in self._keys.candidates(self.config):
            try:
                more = transport.auth_publickey(self.config.user, candidate.key)
            except AuthenticationException:
                offered.append(candidate.what)
                if len(offered) == MAXIMUM_KEYS or not transport.is_active():
                    break
                continue
            if more:
                raise AuthError(f"host {self._name} asks for more than a key ({clean(', '.join(more))})")
            return
        raise AuthError(
            f"host {self._name} accepts no key of ours for user {clean(self.config.user)}",
            hint=f"offered: {', '.join(offered)}",
        )

    def _session(self, transport: Transport) -> Channel:
        channel = transport.open_session(timeout=CHANNEL_TIMEOUT)
        channel.settimeout(CHANNEL_TIMEOUT)
        return channel

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
