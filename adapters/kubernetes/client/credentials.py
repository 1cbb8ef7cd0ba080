"""Who we are to an API server: the header to send, renewed in time.

Token files are read anew every minute (bound service-account tokens rotate). Exec plugins are run by ourselves, with
no terminal: what they print on stdout is parsed, what they print on stderr is never shown, since it may hold secrets
or escape sequences.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from adapters.kubernetes.client.kubeconfig import Cluster, ExecPlugin, User
from adapters.kubernetes.client.oidc import OidcLogin, current_token
from control.errors import AuthError, DeckError
from control.own_secrets import keep
from control.text import clean

PLUGIN_DEADLINE_SECONDS = 60.0
"""A token may come from a browser, a smart card or a slow machine; `control.calls` waits a little longer still."""
TOKEN_FILE_SECONDS = 60.0
REFRESH_AT = 0.8
"""Of a credential's life."""
LEEWAY_SECONDS = 5.0
"""A credential that ends within so long may have ended when it arrives."""
AGAIN_SECONDS = 10.0
"""A renewal in good time that failed is tried again after so long."""


class _PluginStatus(msgspec.Struct):
    token: str | None = None
    clientCertificateData: str | None = None  # noqa: N815 - the wire's name
    clientKeyData: str | None = None  # noqa: N815
    expirationTimestamp: str | None = None  # noqa: N815


class _PluginAnswer(msgspec.Struct):
    apiVersion: str = ""  # noqa: N815
    kind: str = ""
    status: _PluginStatus | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """What proves us for a while. `certificate` is a PEM pair that belongs into the TLS context."""

    token: str | None = field(default=None, repr=False)
    certificate: tuple[bytes, bytes] | None = field(default=None, repr=False)
    renew_at: float | None = None
    """When another is to be asked for, on the monotonic clock; None for never."""
    ends_at: float | None = None
    """Until when it is good all the same; None where that is not known."""

    def __post_init__(self) -> None:
        keep(self.token, self.certificate[1] if self.certificate else None)


class Credentials:
    """The credential of one context, cached until it nears its end. Safe to use from several tasks.

    `reload` reads the user from the kubeconfig again: whoever logs in anew, in any tool, renews that file.
    """

    def __init__(self, context: str, cluster: Cluster, user: User, reload: Callable[[], User] | None = None) -> None:
        self._context = context
        self._cluster = cluster
        self._user = user
        self._reload = reload
        self._cached: Credential | None = None
        self._begun = False
        self._begun_at = float("-inf")
        self._making: asyncio.Task[Credential] | None = None

    @property
    def renewable(self) -> bool:
        """True where asking again may give another credential."""
        return self._user.plugin is not None or self._user.token_file is not None or self._reload is not None

    @property
    def certificate(self) -> tuple[bytes, bytes] | None:
        """The client certificate of the credential that was asked for last: connections are made with it."""
        return self._cached.certificate if self._cached else None

    async def current(self, renew: bool = False) -> Credential:
        """The credential to use now; `renew` asks for a new one even if the old has not ended.

        One is made at a time, for all who ask meanwhile, and goes on being made where who asked has given up. While the
        old one is good nobody waits for the new one.
        """
        cached, now = self._cached, time.monotonic()
        if cached and not renew and (cached.renew_at is None or now < cached.renew_at):
            return cached
        good = cached is not None and not renew and cached.ends_at is not None and now < cached.ends_at
        if self._making is None or self._making.done():
            if cached and good and now < self._begun_at + AGAIN_SECONDS:
                return cached
            self._begun_at = now
            self._making = asyncio.create_task(self._remade())
            self._making.add_done_callback(lambda task: task.cancelled() or task.exception())
        return cached if cached and good else await asyncio.shield(self._making)

    async def held(self) -> Credential:
        """The credential that was asked for last; whether it has ended is for `current` to say."""
        return self._cached or await self.current()

    async def headers(self, renew: bool = False) -> list[tuple[str, str]]:
        """The headers that carry the identity."""
        credential = await self.current(renew)
        headers = list(self._user.impersonate)
        if credential.token:
            headers.append(("Authorization", f"Bearer {credential.token}"))
        elif self._user.username is not None:
            pair = f"{self._user.username}:{self._user.password or ''}".encode()
            coded = base64.b64encode(pair).decode()
            keep(coded)
            headers.append(("Authorization", f"Basic {coded}"))
        return headers

    async def close(self) -> None:
        """End a plugin that is still running."""
        if self._making is not None and not self._making.done():
            self._making.cancel()
            await asyncio.gather(self._making, return_exceptions=True)

    async def _remade(self) -> Credential:
        again, self._begun = self._begun, True
        if again and self._reload is not None and self._user.plugin is None:
            with contextlib.suppress(DeckError):  # half written, or gone: what we have may still do
                self._user = await asyncio.to_thread(self._reload)
        made = await self._made()
        self._cached = made
        return made

    def _login_again(self) -> OidcLogin | None:
        """The OIDC login as the file has it now."""
        with contextlib.suppress(DeckError):
            self._user = self._reload() if self._reload is not None else self._user
        return self._user.oidc

    async def _made(self) -> Credential:
        user = self._user
        own = (user.certificate, user.key) if user.certificate and user.key else None
        if user.token_file is not None:
            return Credential(_read_token(user), own, time.monotonic() + TOKEN_FILE_SECONDS)
        if user.token is not None:
            return Credential(_checked_token(user.token, user.name), own)
        if user.plugin is not None:
            return await run_plugin(user.plugin, self._cluster, self._context)
        if user.oidc is not None:
            token = await current_token(user.oidc, self._context, self._login_again)
            # The file is looked at again as a token file is: kubectl may have renewed it.
            return Credential(_checked_token(token, self._context), own, time.monotonic() + TOKEN_FILE_SECONDS)
        return Credential(None, own)


def _read_token(user: User) -> str:
    assert user.token_file is not None
    try:
        return _checked_token(user.token_file.read_text().strip(), user.name)
    except (OSError, UnicodeDecodeError) as error:
        if user.token:
            return _checked_token(user.token, user.name)
        why = getattr(error, "strerror", None) or "it is no text"
        raise AuthError(f"the token file {clean(str(user.token_file))} cannot be read: {why}") from None


def _checked_token(token: str, user: str) -> str:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise AuthError(f"the token of the user '{clean(user)}' is no token", hint="renew it in the kubeconfig")
    return token


async def run_plugin(plugin: ExecPlugin, cluster: Cluster, context: str) -> Credential:
    """Run an exec plugin and read its credential. Raises `AuthError`, which never holds what the plugin printed."""
    say = f"the exec plugin '{clean(plugin.command)}' of context '{clean(context)}'"
    hint = f"run 'kubectl --context {clean(context)} get ns' once in a shell"
    path = _program(plugin)
    if path is None:
        raise AuthError(f"{say} is not installed", hint=plugin.install_hint or hint)
    output, code = await _output(path, plugin, cluster, say, hint)
    if code != 0:
        raise AuthError(f"{say} failed with exit code {code}", hint=hint)
    try:
        answer = msgspec.json.decode(output, type=_PluginAnswer)
    except msgspec.DecodeError:
        answer = _PluginAnswer()
    status = answer.status
    if status is None or not (status.token or status.clientCertificateData or status.clientKeyData):
        raise AuthError(f"{say} gave no credential", hint=hint)
    if answer.apiVersion not in ("", plugin.api_version):
        told = clean(answer.apiVersion, 100)
        raise AuthError(
            f"{say} answers in the version {told}, and the kubeconfig says {plugin.api_version}",
            hint="correct apiVersion of the exec plugin in the kubeconfig",
        )
    if bool(status.clientCertificateData) != bool(status.clientKeyData):
        which = "key for its certificate" if status.clientCertificateData else "certificate for its key"
        raise AuthError(f"{say} gave no {which}", hint=hint)
    pair = None
    if status.clientCertificateData and status.clientKeyData:
        pair = (status.clientCertificateData.encode(), status.clientKeyData.encode())
    token = _checked_token(status.token, context) if status.token else None
    left = _left(status.expirationTimestamp)
    if left is None:
        return Credential(token, pair)
    now = time.monotonic()
    return Credential(token, pair, now + left * REFRESH_AT, now + max(0.0, left - LEEWAY_SECONDS))


def _program(plugin: ExecPlugin) -> str | None:
    """Where the program is; a relative path is relative to the kubeconfig, a bare name is looked up."""
    if os.sep in plugin.command:
        path = plugin.folder / plugin.command
        return str(path) if os.access(path, os.X_OK) else None
    return shutil.which(plugin.command)


async def _output(path: str, plugin: ExecPlugin, cluster: Cluster, say: str, hint: str) -> tuple[bytes, int]:
    environment = {**os.environ, **dict(plugin.env), "KUBERNETES_EXEC_INFO": json.dumps(_info(plugin, cluster))}
    try:
        process = await asyncio.create_subprocess_exec(
            path,
            *plugin.args,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise AuthError(f"{say} cannot be run: {error.strerror}", hint=hint) from None
    try:
        async with asyncio.timeout(PLUGIN_DEADLINE_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        raise AuthError(f"{say} did not end within {PLUGIN_DEADLINE_SECONDS:g} s", hint=hint) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a session of its own: what it started goes too
            await process.wait()
    return output, process.returncode or 0


def _info(plugin: ExecPlugin, cluster: Cluster) -> dict[str, Any]:
    spec: dict[str, Any] = {"interactive": False}
    if plugin.provide_cluster_info:
        authority = base64.b64encode(cluster.authority).decode() if cluster.authority else None
        told = {
            "server": cluster.server,
            "tls-server-name": cluster.server_name,
            "insecure-skip-tls-verify": cluster.insecure,
            "certificate-authority-data": authority,
            "proxy-url": cluster.proxy,
            "disable-compression": not cluster.compress,
            "config": cluster.exec_config,
        }
        spec["cluster"] = {key: value for key, value in told.items() if value not in (None, False)}
    return {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}


def _left(expiry: str | None) -> float | None:
    """Seconds until a credential ends; None where it does not say."""
    if not expiry:
        return None
    try:
        return max(0.0, datetime.fromisoformat(expiry.replace("Z", "+00:00")).timestamp() - time.time())
    except ValueError:
        return None
