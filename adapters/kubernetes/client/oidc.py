"""The OIDC login that kubectl keeps in the kubeconfig: its token while it lasts, and a new one for its refresh token.

A provider may hand out each refresh token once only. So nothing is asked for where the answer could not be kept in
the file, and the file is locked as client-go locks it, lest kubectl spends the same refresh token.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import yaml

from control.errors import AuthError, Unreachable
from control.own_secrets import keep
from control.text import clean

DEADLINE_SECONDS = 10.0
LOCK_SECONDS = 5.0
EARLY_SECONDS = 10.0
"""A token that ends within so long is renewed at once."""


@dataclass(frozen=True, slots=True)
class OidcLogin:
    """What the kubeconfig holds of one user's login. Never printed."""

    user: str
    file: Path
    """The kubeconfig that holds it."""
    issuer: str
    client: str
    secret: str = field(default="", repr=False)
    id_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    authority: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        keep(self.secret, self.id_token, self.refresh_token)


def ends_at(token: str) -> float | None:
    """When a token ends, in Unix seconds; None where it does not say. Raises `ValueError` for no token."""
    try:
        part = token.split(".")[1]
        ends = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))).get("exp")
    except (IndexError, AttributeError):
        raise ValueError("no token") from None
    return float(ends) if isinstance(ends, int | float) else None


async def current_token(login: OidcLogin, context: str, again: Callable[[], OidcLogin | None]) -> str:
    """A token that has not ended: the one of the file, or a new one that is kept there. `again` reads the file once
    more. Raises `AuthError`, and `Unreachable` where the provider does not answer."""
    if _lasts(login.id_token):
        return login.id_token
    say, hint = (
        f"the OIDC login of context '{clean(context)}'",
        f"log in anew: kubectl --context {clean(context)} get ns",
    )
    if not login.refresh_token:
        raise AuthError(f"{say} has {_ended(login.id_token)} and no refresh-token", hint=hint)
    try:
        async with _locked(login.file):
            newest = await asyncio.to_thread(again)
            login = newest if newest is not None else login
            if _lasts(login.id_token):
                return login.id_token
            await asyncio.to_thread(_edited, login, {"id-token": "", "refresh-token": ""})  # before anything is spent
            answer = await _asked(login, say, hint)
            new = str(answer.get("id_token") or "")
            if not _lasts(new):
                raise AuthError(f"{say}: the provider gave no id_token that lasts", hint=hint)
            tokens = {"id-token": new, "refresh-token": str(answer.get("refresh_token") or login.refresh_token)}
            keep(*tokens.values())
            with contextlib.suppress(OSError):  # a full disk: the token does for this session
                await asyncio.to_thread(_keep, login, tokens)
            return new
    except OSError as error:
        told = f"{_ended(login.id_token)}, and {clean(str(login.file))} cannot be written: {error.strerror}"
        raise AuthError(f"{say} has {told}", hint=hint) from None


def _lasts(token: str) -> bool:
    try:
        ends = ends_at(token)
    except ValueError:
        return False
    return ends is None or ends > time.time() + EARLY_SECONDS


def _ended(token: str) -> str:
    try:
        ends = ends_at(token)
    except ValueError:
        return "no id-token"
    since = time.time() - (ends or 0)
    size, word = next(((s, w) for s, w in ((86400, "d"), (3600, "h"), (60, "min")) if since >= s), (1, "s"))
    return f"an id-token that ended {max(0.0, since / size):.0f} {word} ago"


@contextlib.asynccontextmanager
async def _locked(file: Path) -> AsyncIterator[None]:
    """Hold the lock that client-go holds while it changes a kubeconfig. Raises `OSError`."""
    lock = file.with_name(f"{file.name}.lock")
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            break
        except FileExistsError:
            if time.monotonic() > until:
                raise OSError(0, f"another program holds {lock.name}") from None
            await asyncio.sleep(0.1)
    try:
        if not os.access(file, os.W_OK):
            raise OSError(0, "it is read-only")
        yield
    finally:
        lock.unlink(missing_ok=True)


async def _asked(login: OidcLogin, say: str, hint: str) -> Mapping[str, Any]:
    """What the provider answers to the refresh token."""
    tls = ssl.create_default_context()
    if login.authority is not None:
        tls = ssl.create_default_context(cadata=login.authority.decode("ascii", "ignore"))
    form = {"grant_type": "refresh_token", "refresh_token": login.refresh_token}
    pair = (quote(login.client, safe=""), quote(login.secret, safe=""))
    try:
        async with httpx.AsyncClient(verify=tls, timeout=DEADLINE_SECONDS) as client:
            found = await client.get(f"{login.issuer.rstrip('/')}/.well-known/openid-configuration")
            endpoint = _json(found).get("token_endpoint")
            if found.status_code != 200 or not isinstance(endpoint, str):
                raise AuthError(f"{say}: {clean(login.issuer)} is no OIDC provider ({found.status_code})", hint=hint)
            # Providers want the client's secret in the header or in the form: the header first, as Go has it.
            answer = await client.post(endpoint, data=form, auth=pair) if login.secret else None
            if answer is None or (answer.status_code != 200 and _json(answer).get("error") != "invalid_grant"):
                answer = await client.post(
                    endpoint, data={**form, "client_id": login.client, "client_secret": login.secret}
                )
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, ValueError) as error:
        told = clean(str(error), 200) or type(error).__name__
        raise Unreachable(f"{say}: its provider {clean(login.issuer)} cannot be asked: {told}", hint=hint) from None
    body = _json(answer)
    if answer.status_code != 200:
        told = clean(str(body.get("error") or answer.status_code), 100)
        raise AuthError(f"{say} has {_ended(login.id_token)}, and its provider refuses to renew it: {told}", hint=hint)
    return body


def _json(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


# --- keeping them in the file -----------------------------------------------------------------------------------------


def _keep(login: OidcLogin, tokens: Mapping[str, str]) -> None:
    """Put tokens into the kubeconfig, every other byte as it was. Raises `OSError`, or `AuthError` for a file that
    cannot be edited so."""
    edited = _edited(login, tokens)
    file = Path(os.path.realpath(login.file))
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as new:
            new.write(edited.encode("utf-8"))
            os.fchmod(new.fileno(), file.stat().st_mode & 0o777)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _edited(login: OidcLogin, tokens: Mapping[str, str]) -> str:
    """The file's text with these tokens. Raises `AuthError` where it cannot hold them, and `OSError`."""
    try:
        text = login.file.read_bytes().decode("utf-8")
        for key, value in tokens.items():
            text = _with(text, login.user, key, value)
    except ValueError:
        raise AuthError(
            f"the OIDC login of '{clean(login.user)}' in {clean(str(login.file))} cannot be renewed in place",
            hint="kubectl can: run any kubectl command with this context",
        ) from None
    return text


def _with(text: str, user: str, key: str, value: str) -> str:
    """The text with one value of the user's login. What it means else is compared, not assumed. Raises `ValueError`."""
    try:
        settings = _settings(yaml.compose(text, Loader=yaml.SafeLoader), user)
        at = {name.value: (name, node) for name, node in settings.value}
        written = json.dumps(value)
        if key in at:
            node = at[key][1]
            edited = text[: node.start_mark.index] + written + text[node.end_mark.index :]
        else:
            name, node = settings.value[-1]
            lead = f', "{key}"' if settings.flow_style else "\n" + " " * name.start_mark.column + key
            edited = f"{text[: node.end_mark.index]}{lead}: {written}{text[node.end_mark.index :]}"
        wanted, found = yaml.safe_load(text), yaml.safe_load(edited)
        _login(wanted, user)[key] = value
        if wanted == found:
            return edited
    except (yaml.YAMLError, LookupError, TypeError, AttributeError, StopIteration, AssertionError):
        pass
    raise ValueError("it cannot be edited in place")


def _settings(root: yaml.Node | None, user: str) -> yaml.MappingNode:
    def below(node: yaml.Node | None, key: str) -> yaml.Node:
        assert isinstance(node, yaml.MappingNode)
        found: yaml.Node = next(value for name, value in node.value if name.value == key)
        return found

    one = next(node for node in below(root, "users").value if below(node, "name").value == user)
    found = below(below(below(one, "user"), "auth-provider"), "config")
    assert isinstance(found, yaml.MappingNode)
    return found


def _login(document: Any, user: str) -> dict[str, Any]:
    one = next(entry for entry in document["users"] if entry["name"] == user)
    found: dict[str, Any] = one["user"]["auth-provider"]["config"]
    return found
