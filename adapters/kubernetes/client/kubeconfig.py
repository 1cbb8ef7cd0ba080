"""Reading kubeconfig files: which server, which trust, which identity a context means.

What client-go refuses is refused here, with the reason; `kubefiles` beside it finds, merges and type-checks the files.
Nothing here connects to anything or runs anything.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from adapters.kubernetes.client.kubefiles import Entry, checked, files, merge
from adapters.kubernetes.client.oidc import OidcLogin
from adapters.kubernetes.client.proxying import own_proxy, shown
from control.errors import DeckError
from control.own_secrets import keep
from control.text import clean

EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its identity."""
_EXEC_CONFIG = "client.authentication.k8s.io/exec"
"""The cluster's extension that is handed to exec plugins."""


@dataclass(frozen=True, slots=True)
class ExecPlugin:
    """A program that prints credentials."""

    command: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    api_version: str = "client.authentication.k8s.io/v1"
    install_hint: str = ""
    provide_cluster_info: bool = False
    folder: Path = field(default_factory=Path)


@dataclass(frozen=True, slots=True)
class User:
    """How we prove who we are. Never printed: it holds secrets."""

    name: str
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    plugin: ExecPlugin | None = None
    impersonate: tuple[tuple[str, str], ...] = ()
    """Headers, in order."""
    oidc: OidcLogin | None = None

    def __post_init__(self) -> None:
        keep(self.token, self.key, self.password)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the API server is and what we trust there. `authority` None means the system's certificates."""

    name: str
    server: str
    authority: bytes | None = None
    insecure: bool = False
    server_name: str | None = None
    proxy: str | None = None
    compress: bool = True
    exec_config: Any = field(default=None, repr=False)
    """What an exec plugin is told of this cluster beside its address."""


@dataclass(frozen=True, slots=True)
class Context:
    name: str
    cluster: Cluster
    user: User
    namespace: str | None
    source: str
    """The files it was read from, for messages."""


def load(path: str | None, context: str | None) -> Context:
    """The context called `context` (the current one by default) of the kubeconfig at `path` (the usual places by
    default; several files may be named as in KUBECONFIG). Raises `DeckError`."""
    try:
        found = files(path)
    except DeckError:
        inside = _in_cluster() if path is None and context is None else None
        if inside is None:
            raise
        return inside
    merged = merge(found)
    source = clean(", ".join(str(file) for file in found))
    name = context or merged.current
    if not name:
        raise DeckError(f"{source} has no current context", hint="name one in the deck file: kubernetes: {context: …}")
    entry = merged.contexts.get(name)
    if entry is None:
        known = ", ".join(clean(k) for k in sorted(merged.contexts)[:20]) or "none"
        raise DeckError(f"there is no context '{clean(name)}' in {source}", hint=f"it has: {known}")
    body = checked(entry, "contexts")
    user_name = body.get("user") or ""
    user = _user(_find(merged.users, user_name, "user", name, source)) if user_name else User("")
    cluster = _cluster(_find(merged.clusters, body.get("cluster") or "", "cluster", name, source), user)
    return Context(name, cluster, user, body.get("namespace") or None, source)


def load_again(path: str | None, context: str | None) -> Context:
    """The same once more, for what may have changed in it. Raises `DeckError`, also for a pipe: it has nothing more."""
    for file in files(path):
        if not file.is_file():
            raise DeckError(f"the kubeconfig {clean(str(file))} is no file and is read once only")
    return load(path, context)


def _in_cluster() -> Context | None:
    """Who a pod is to its own cluster, where there is no kubeconfig; None outside of clusters."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "")
    token, authority, namespace = (SERVICE_ACCOUNT / name for name in ("token", "ca.crt", "namespace"))
    if not (host and port and token.is_file()):
        return None
    server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    trusted = authority.read_bytes() if authority.is_file() else None
    own = namespace.read_text().strip() if namespace.is_file() else None
    user = User("service account", token_file=token)
    return Context("in-cluster", Cluster("in-cluster", server, trusted), user, own, str(SERVICE_ACCOUNT))


def contexts(path: str | None = None) -> list[str]:
    """The names of all contexts, for choosing one."""
    return sorted(merge(files(path)).contexts)


def _find(table: Mapping[str, Entry], name: str, what: str, context: str, source: str) -> Entry:
    entry = table.get(name)
    if entry is None:
        raise DeckError(f"context '{clean(context)}' names the {what} '{clean(name)}', which {source} lacks")
    return entry


def _bytes(body: Mapping[str, Any], key: str, entry: Entry) -> bytes | None:
    """The content of `key-data` (base64) or of the file that `key` names."""
    data, name = body.get(f"{key}-data"), body.get(key)
    if data and name:
        raise DeckError(
            f"'{clean(entry.name)}' in {clean(str(entry.file))} has both {key} and {key}-data", hint="keep one"
        )
    if data:
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except ValueError:
            raise DeckError(f"{key}-data of '{clean(entry.name)}' in {clean(str(entry.file))} is no base64") from None
    if not name:
        return None
    file = entry.folder / Path(name).expanduser()
    try:
        return file.read_bytes()
    except OSError as error:
        raise DeckError(f"{key} {clean(str(file))} cannot be read: {error.strerror}") from None


def _cluster(entry: Entry, user: User) -> Cluster:
    body = checked(entry, "clusters")
    say = f"the cluster '{clean(entry.name)}' of the kubeconfig"
    authority = _bytes(body, "certificate-authority", entry)
    insecure = body.get("insecure-skip-tls-verify") or False
    if insecure and authority:
        raise DeckError(
            f"{say} has a certificate authority and insecure-skip-tls-verify, which contradict each other",
            hint="take insecure-skip-tls-verify out, so that the server is checked",
        )
    proxy = body.get("proxy-url") or None
    return Cluster(
        entry.name,
        _server(body.get("server") or "", bool(authority or user.certificate or insecure), say),
        authority,
        insecure,
        body.get("tls-server-name") or None,
        own_proxy(proxy, entry.name) if proxy else None,
        not body.get("disable-compression"),
        next((one.get("extension") for one in body.get("extensions") or [] if one.get("name") == _EXEC_CONFIG), None),
    )


def _server(server: str, secure: bool, say: str) -> str:
    """A server with its scheme: where it has none, https where certificates or `insecure` ask for it, else http."""
    scheme, mark, rest = server.partition("://")
    if not mark:
        if "/" in server.rstrip("/"):
            raise DeckError(f"the server of {say} must be a URL or HOST:PORT: {shown(server)}")
        scheme, rest = "https" if secure else "http", server
    try:
        url = urlsplit(f"{scheme.lower()}://{rest}")
        usable = (
            server == server.strip()
            and url.scheme in ("http", "https")
            and bool(url.hostname)
            and " " not in url.netloc
            and url.port != 0
        )
    except ValueError:
        usable = False
    if not usable:
        raise DeckError(f"{say} has no usable server: '{shown(server)}'", hint="write it as https://HOST:PORT")
    return url.geturl().rstrip("/")


def _user(entry: Entry) -> User:
    body = checked(entry, "users")
    say = f"the user '{clean(entry.name)}' of the kubeconfig"
    certificate, key = _bytes(body, "client-certificate", entry), _bytes(body, "client-key", entry)
    if certificate and not key:
        raise DeckError(f"{say} has a client certificate and no client-key for it", hint="add client-key")
    username = body.get("username") or None
    if body.get("token") and (username or body.get("password")):
        raise DeckError(f"{say} has a token and a password; only one may be used", hint="take one of them out")
    provider, plugin, token_file = body.get("auth-provider"), body.get("exec"), body.get("tokenFile")
    if provider and plugin:
        raise DeckError(f"{say} has both exec and auth-provider; only one may be used", hint="take one of them out")
    return User(
        entry.name,
        body.get("token") or None,
        entry.folder / Path(token_file).expanduser() if token_file else None,
        certificate,
        key,
        username,
        (body.get("password") or "") if username else None,
        _plugin(plugin, say, entry.folder) if plugin is not None else None,
        _impersonation(body, say),
        _oidc(provider, say, entry) if provider is not None else None,
    )


def _impersonation(body: Mapping[str, Any], say: str) -> tuple[tuple[str, str], ...]:
    """The headers by which we ask to be taken for somebody else."""
    user, uid = body.get("as"), body.get("as-uid")
    groups, extra = body.get("as-groups") or [], body.get("as-user-extra") or {}
    if not user:
        if uid or groups or extra:
            raise DeckError(f"{say} asks for a uid, groups or extras of another user and names none", hint="add 'as'")
        return ()
    headers = [("Impersonate-User", user), *(("Impersonate-Group", group) for group in groups)]
    if uid:
        headers.append(("Impersonate-Uid", uid))
    headers += [
        (f"Impersonate-Extra-{_header_key(key)}", value) for key, values in extra.items() for value in values or ()
    ]
    if not all(value.isascii() and value.isprintable() for _, value in headers):
        raise DeckError(f"{say} impersonates with a text that no HTTP header can carry")
    return tuple(headers)


def _header_key(key: str) -> str:
    """A key of `as-user-extra` as a header's name: what no name may hold is percent-encoded, the percent sign too."""
    return "".join(
        chr(byte) if chr(byte).isascii() and (chr(byte).isalnum() or chr(byte) in "!#$&'*+-.^_`|~") else f"%{byte:02X}"
        for byte in key.encode()
    )


def _oidc(provider: Mapping[str, Any], say: str, entry: Entry) -> OidcLogin:
    """The one auth-provider that client-go still has."""
    name, settings = provider.get("name") or "", provider.get("config") or {}
    if name != "oidc":
        raise DeckError(
            f"{say} uses the auth-provider '{clean(name)}', which Kubernetes 1.26 removed",
            hint="use an exec plugin (gke-gcloud-auth-plugin, kubelogin)",
        )
    issuer, client = settings.get("idp-issuer-url") or "", settings.get("client-id") or ""
    if not (issuer and client):
        lacks = "client-id" if issuer else "idp-issuer-url"
        raise DeckError(f"the auth-provider of {say} has no {lacks}")
    return OidcLogin(
        entry.name,
        entry.file,
        issuer,
        client,
        settings.get("client-secret") or "",
        settings.get("id-token") or "",
        settings.get("refresh-token") or "",
        _bytes(settings, "idp-certificate-authority", entry),
    )


def _plugin(body: Mapping[str, Any], say: str, folder: Path) -> ExecPlugin:
    command, version, mode = (body.get(key) or "" for key in ("command", "apiVersion", "interactiveMode"))
    if not command:
        raise DeckError(f"the exec plugin of {say} has no command")
    if version not in EXEC_VERSIONS:
        raise DeckError(
            f"the exec plugin of {say} has the apiVersion '{clean(version)}'",
            hint=f"write {' or '.join(EXEC_VERSIONS)}",
        )
    if mode == "Always":
        raise DeckError(
            f"the exec plugin of {say} needs a terminal (interactiveMode: Always), which it cannot have here",
            hint="log in with the tool itself, and set interactiveMode: IfAvailable",
        )
    if mode not in ("Never", "IfAvailable") and (mode or version == EXEC_VERSIONS[0]):
        raise DeckError(
            f"the exec plugin of {say} has the interactiveMode '{clean(mode)}'", hint="write Never or IfAvailable"
        )
    variables = [(one.get("name") or "", one.get("value") or "") for one in body.get("env") or []]
    if not all(name and "=" not in name and "\0" not in name + value for name, value in variables):
        raise DeckError(f"the exec plugin of {say} has an environment variable without a usable name")
    return ExecPlugin(
        command,
        tuple(body.get("args") or ()),
        tuple(variables),
        version,
        clean(body.get("installHint") or "", 300),
        body.get("provideClusterInfo") or False,
        folder,
    )
