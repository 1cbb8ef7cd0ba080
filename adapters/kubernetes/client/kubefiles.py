"""The files of a kubeconfig: which they are, what YAML they hold, merged as client-go merges them, types checked.

client-go decodes into typed fields: a text where a flag belongs, or a number where a text belongs, makes the file
unusable there, and so it does here. Guessing turned TLS checks off for `insecure-skip-tls-verify: "false"`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from control.errors import DeckError
from control.text import clean

SECTIONS = {"clusters": "cluster", "users": "user", "contexts": "context"}
"""A list of the file -> the key under which each entry has its body."""

_EXEC = {
    "command": "text",
    "args": "texts",
    "env": {"name": "text", "value": "text"},
    "apiVersion": "text",
    "installHint": "text",
    "provideClusterInfo": "flag",
    "interactiveMode": "text",
}
_SHAPES: Mapping[str, Mapping[str, Any]] = {
    "clusters": {
        "server": "text",
        "tls-server-name": "text",
        "insecure-skip-tls-verify": "flag",
        "certificate-authority": "text",
        "certificate-authority-data": "text",
        "proxy-url": "text",
        "disable-compression": "flag",
        "extensions": {"name": "text", "extension": "anything"},
    },
    "users": {
        "client-certificate": "text",
        "client-certificate-data": "text",
        "client-key": "text",
        "client-key-data": "text",
        "token": "text",
        "tokenFile": "text",
        "as": "text",
        "as-uid": "text",
        "as-groups": "texts",
        "as-user-extra": "words to texts",
        "username": "text",
        "password": "text",
        "exec": "exec",
        "auth-provider": "provider",
    },
    "contexts": {"cluster": "text", "user": "text", "namespace": "text"},
}
_WORDS = {
    "text": "a text",
    "flag": "true or false",
    "texts": "a list of texts",
    "words to texts": "names with a list of texts each",
    "words": "names with a text each",
}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as client-go reads it: `y` and `n` are flags, dates and times of day are texts."""


_INTEGER = re.compile(r"^[-+]?(0b[01_]+|0o?[0-7_]+|[0-9][0-9_]*|0x[0-9a-fA-F_]+)$")
_FLAG = re.compile(r"^(?:y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$")
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in found if tag.rpartition(":")[2] not in ("timestamp", "int", "bool", "value")
    ]
    for first, found in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INTEGER, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", _FLAG, list("yYnNtTfFoO"))
_Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(re.sub(r"\D", "", node.value) or 0))
_Loader.add_constructor("tag:yaml.org,2002:bool", lambda loader, node: node.value.lower() in ("y", "yes", "true", "on"))


@dataclass(frozen=True, slots=True)
class Entry:
    """The body of a cluster, user or context, and the file that holds it. Paths in it are relative to that file."""

    name: str
    body: Mapping[str, Any]
    file: Path

    @property
    def folder(self) -> Path:
        """What relative paths start from."""
        return self.file.parent


@dataclass(slots=True)
class Merged:
    """All entries of all files; of a name the first one."""

    clusters: dict[str, Entry] = field(default_factory=dict)
    users: dict[str, Entry] = field(default_factory=dict)
    contexts: dict[str, Entry] = field(default_factory=dict)
    current: str | None = None


def files(path: str | None, home: Path | None = None) -> list[Path]:
    """The files to read, in the order of `KUBECONFIG`. One that is named by itself must exist; of a list any may be
    missing. `path` may be such a list too. Raises `DeckError`."""
    named = path if path is not None else os.environ.get("KUBECONFIG", "")
    whole = Path(named).expanduser()
    if path is not None and (whole.exists() or os.pathsep not in path):
        if not whole.exists():
            raise DeckError(
                f"the kubeconfig {clean(str(whole))} does not exist",
                hint="correct kubernetes.kubeconfig in the deck file",
            )
        return [whole]
    listed = list(dict.fromkeys(Path(part).expanduser() for part in named.split(os.pathsep) if part))
    candidates = listed or [(home / ".kube" / "config") if home else Path("~/.kube/config").expanduser()]
    found = [file for file in candidates if file.exists()]
    if not found:
        places = clean(", ".join(map(str, candidates)))
        raise DeckError(
            f"no kubeconfig: {places} does not exist",
            hint="set KUBECONFIG or kubernetes.kubeconfig in the deck file",
        )
    return found


def merge(found: list[Path]) -> Merged:
    """Everything that the files hold. Raises `DeckError` naming the file."""
    merged = Merged()
    for file in found:
        document = _document(file)
        for section, word in SECTIONS.items():
            into: dict[str, Entry] = getattr(merged, section)
            for name, body in _entries(document, section, word, file).items():
                into.setdefault(name, Entry(name, body, file))
        merged.current = merged.current or document.get("current-context") or None
    return merged


def checked(entry: Entry, section: str) -> Mapping[str, Any]:
    """The body of an entry of `section`, each field of the type that client-go demands. Raises `DeckError`."""
    what = f"the {SECTIONS[section]} '{clean(entry.name)}' of {clean(str(entry.file))}"
    _check(entry.body, _SHAPES[section], what, "")
    return entry.body


def _document(file: Path) -> Mapping[str, Any]:
    """The one document of a file; an empty file is an empty kubeconfig."""
    say = f"the kubeconfig {clean(str(file))}"
    try:
        loader = _Loader(file.read_bytes())
        try:
            document = loader.get_data() if loader.check_data() else None
        finally:
            loader.dispose()
    except OSError as error:
        raise DeckError(f"{say} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise DeckError(f"{say}{where} is no YAML") from None
    if document is None:
        return {}
    if not isinstance(document, dict) or document.get("kind") not in (None, "", "Config"):
        raise DeckError(f"{say} holds no kubeconfig")
    if not isinstance(document.get("current-context") or "", str):
        raise DeckError(f"current-context of {clean(str(file))} must be a text: put it into quotes")
    return document


def _entries(document: Mapping[str, Any], section: str, word: str, file: Path) -> dict[str, Mapping[str, Any]]:
    listed = document.get(section)
    if listed is None:
        return {}
    where = f"{section} of {clean(str(file))}"
    if not isinstance(listed, list):
        raise DeckError(f"{where} must be a list, and is {_told(listed)}")
    found: dict[str, Mapping[str, Any]] = {}
    for entry in listed:
        if not isinstance(entry, dict):
            raise DeckError(f"an entry of {where} must be a {word} with its name, and is {_told(entry)}")
        name, body = entry.get("name"), entry.get(word)
        if name is None:
            continue
        if not isinstance(name, str):
            raise DeckError(f"a name in {where} must be a text, and is {_told(name)}: put it into quotes")
        if body is not None and not isinstance(body, dict):
            raise DeckError(f"the {word} '{clean(name)}' of {clean(str(file))} must have fields, and is {_told(body)}")
        if name in found:
            raise DeckError(f"the {word} '{clean(name)}' is there twice in {clean(str(file))}")
        found[name] = body or {}
    return found


def _check(body: Mapping[str, Any], shape: Mapping[str, Any], what: str, above: str) -> None:
    for key, wanted in shape.items():
        value = body.get(key)
        if value is not None:
            _check_one(value, wanted, what, f"{above}{key}")


def _check_one(value: Any, wanted: Any, what: str, key: str) -> None:
    """One field. A wanted mapping is a list of objects of that shape."""
    if isinstance(wanted, Mapping):
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise DeckError(f"{key} of {what} must be a list of objects, and is {_told(value)}")
        for one in value:
            _check(one, wanted, what, f"{key}.")
    elif wanted in ("exec", "provider"):
        if not isinstance(value, dict):
            raise DeckError(f"{key} of {what} must have fields, and is {_told(value)}")
        _check(value, _EXEC if wanted == "exec" else {"name": "text", "config": "words"}, what, f"{key}.")
    elif not _fits(value, wanted):
        quote = ": put it into quotes" if wanted == "text" and isinstance(value, bool | int | float) else ""
        bare = ": write it without quotes" if wanted == "flag" and value in ("true", "false") else ""
        raise DeckError(f"{key} of {what} must be {_WORDS[wanted]}, and is {_told(value)}{quote}{bare}")


def _fits(value: Any, wanted: str) -> bool:
    if wanted == "anything":
        return True
    if wanted == "flag":
        return isinstance(value, bool)
    if wanted == "texts":
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if wanted == "words":
        return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    if wanted == "words to texts":
        return isinstance(value, dict) and all(one is None or _fits(one, "texts") for one in value.values())
    return isinstance(value, str)


def _told(value: Any) -> str:
    """What a value is, without the value: it may be a secret."""
    if isinstance(value, bool):
        return "a flag"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"
