"""Reading kubeconfig files: which server, which trust, which identity a context means.

Merging follows kubectl: of several files the first to name a thing wins, and paths inside a file are relative to it.
Nothing here connects to anything or runs anything.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from control.errors import DeckError
from control.text import clean

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
    default). Raises `DeckError` that says which file, which context, and which ones there are."""
    files = _files(path)
    merged = _merge(files)
    source = clean(", ".join(str(file) for file in files))
    name = context or merged.current
    if not name:
        raise DeckError(f"{source} has no current context", hint="name one in the deck file: kubernetes: {context: …}")
    entry = merged.contexts.get(name)
    if entry is None:
        known = ", ".join(clean(k) for k in sorted(merged.contexts)[:20]) or "none"
        raise DeckError(f"there is no context '{clean(name)}' in {source}", hint=f"it has: {known}")
    body, _ = entry
    cluster = _find(merged.clusters, body.get("cluster"), "cluster", name, source)
    user = _find(merged.users, body.get("user"), "user", name, source) if body.get("user") else ("", {}, Path())
    namespace = body.get("namespace")
    return Context(name, _cluster(*cluster), _user(*user), str(namespace) if namespace else None, source)


def contexts(path: str | None = None) -> list[str]:
    """The names of all contexts, for choosing one."""
    return sorted(_merge(_files(path)).contexts)


@dataclass(slots=True)
class _Merged:
    clusters: dict[str, tuple[dict[str, Any], Path]] = field(default_factory=dict)
    users: dict[str, tuple[dict[str, Any], Path]] = field(default_factory=dict)
    contexts: dict[str, tuple[dict[str, Any], Path]] = field(default_factory=dict)
    current: str | None = None


def _files(path: str | None) -> list[Path]:
    """The files to read; one that is named by itself must exist, of a list any may be missing, as kubectl has it."""
    if path is not None:
        named = Path(path).expanduser()
        if not named.is_file():
            raise DeckError(
                f"the kubeconfig {clean(str(named))} does not exist",
                hint="correct kubernetes.kubeconfig in the deck file",
            )
        return [named]
    listed = [Path(p).expanduser() for p in os.environ.get("KUBECONFIG", "").split(os.pathsep) if p]
    candidates = listed or [Path("~/.kube/config").expanduser()]
    found = [file for file in candidates if file.is_file()]
    if not found:
        places = clean(", ".join(map(str, candidates)))
        raise DeckError(
            f"no kubeconfig: {places} does not exist",
            hint="set KUBECONFIG or kubernetes.kubeconfig in the deck file",
        )
    return found


def _merge(files: list[Path]) -> _Merged:
    merged = _Merged()
    for file in files:
        document = _document(file)
        for section, into in (("clusters", merged.clusters), ("users", merged.users), ("contexts", merged.contexts)):
            for entry in document.get(section) or []:
                if isinstance(entry, Mapping) and entry.get("name"):
                    body = entry.get(section.removesuffix("s")) or {}
                    into.setdefault(str(entry["name"]), (dict(body), file.parent))
        merged.current = merged.current or document.get("current-context") or None
    return merged


def _document(file: Path) -> dict[str, Any]:
    try:
        document = yaml.load(file.read_bytes(), Loader=_LOADER)  # noqa: S506 - a safe loader, the C one
    except OSError as error:
        raise DeckError(f"the kubeconfig {clean(str(file))} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise DeckError(f"the kubeconfig {clean(str(file))}{where} is no YAML") from None
    if not isinstance(document, dict):
        raise DeckError(f"the kubeconfig {clean(str(file))} holds no kubeconfig")
    return document


def _find(
    table: Mapping[str, tuple[dict[str, Any], Path]], name: object, what: str, context: str, source: str
) -> tuple[str, dict[str, Any], Path]:
    entry = table.get(str(name)) if name else None
    if entry is None:
        raise DeckError(f"context '{clean(context)}' names the {what} '{clean(str(name))}', which {source} lacks")
    return str(name), *entry


def _bytes(body: Mapping[str, Any], key: str, folder: Path) -> bytes | None:
    """The content of `key-data` (base64) or of the file that `key` names."""
    data = body.get(f"{key}-data")
    if data:
        import base64

        try:
            return base64.b64decode("".join(str(data).split()), validate=True)
        except ValueError:
            raise DeckError(f"{key}-data of the kubeconfig is no base64") from None
    name = body.get(key)
    if not name:
        return None
    file = folder / Path(str(name)).expanduser()
    try:
        return file.read_bytes()
    except OSError as error:
        raise DeckError(f"{key} {clean(str(file))} cannot be read: {error.strerror}") from None


def _cluster(name: str, body: Mapping[str, Any], folder: Path) -> Cluster:
    server = str(body.get("server") or "")
    if not server.startswith(("https://", "http://")):
        raise DeckError(f"the cluster '{clean(name)}' of the kubeconfig has no usable server: '{clean(server)}'")
    return Cluster(
        name,
        server.rstrip("/"),
        _bytes(body, "certificate-authority", folder),
        bool(body.get("insecure-skip-tls-verify", False)),
        str(body["tls-server-name"]) if body.get("tls-server-name") else None,
        str(body["proxy-url"]) if body.get("proxy-url") else None,
        not body.get("disable-compression", False),
    )


def _user(name: str, body: Mapping[str, Any], folder: Path) -> User:
    if body.get("auth-provider"):
        raise DeckError(
            f"the user '{clean(name)}' of the kubeconfig uses auth-provider, which Kubernetes 1.26 removed",
            hint="use an exec plugin (kubelogin, gke-gcloud-auth-plugin)",
        )
    token_file = body.get("tokenFile")
    impersonate: list[tuple[str, str]] = []
    if body.get("as"):
        impersonate.append(("Impersonate-User", str(body["as"])))
    impersonate += [("Impersonate-Group", str(group)) for group in body.get("as-groups") or []]
    return User(
        name,
        str(body["token"]) if body.get("token") else None,
        folder / Path(str(token_file)).expanduser() if token_file else None,
        _bytes(body, "client-certificate", folder),
        _bytes(body, "client-key", folder),
        str(body["username"]) if body.get("username") else None,
        str(body.get("password") or "") if body.get("username") else None,
        _plugin(body["exec"], folder) if isinstance(body.get("exec"), Mapping) else None,
        tuple(impersonate),
    )


def _plugin(body: Mapping[str, Any], folder: Path) -> ExecPlugin:
    command = str(body.get("command") or "")
    if not command:
        raise DeckError("an exec plugin of the kubeconfig has no command")
    return ExecPlugin(
        command,
        tuple(str(a) for a in body.get("args") or []),
        tuple((str(e.get("name")), str(e.get("value"))) for e in body.get("env") or [] if isinstance(e, Mapping)),
        str(body.get("apiVersion") or "client.authentication.k8s.io/v1"),
        clean(str(body.get("installHint") or ""), 300),
        bool(body.get("provideClusterInfo", False)),
        folder,
    )
