"""Which clusters a user's kubeconfig names: contexts only, no credential is looked at."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from control.text import clean


def find_contexts(home: Path) -> list[dict[str, str]]:
    """Contexts of `KUBECONFIG` or `~/.kube/config`: `{context, namespace, kubeconfig}`.

    A file that cannot be read has none.
    """
    named = os.environ.get("KUBECONFIG", "")
    files = [Path(part).expanduser() for part in named.split(os.pathsep) if part] or [home / ".kube" / "config"]
    found: dict[str, dict[str, str]] = {}
    for file in files:
        for item in _contexts(file):
            name = item.get("name")
            if isinstance(name, str) and name and clean(name) == name and name not in found:
                context = item.get("context")
                namespace = context.get("namespace") if isinstance(context, dict) else None
                where = {"kubeconfig": str(file)} if named else {}
                found[name] = {"context": name, **({"namespace": str(namespace)} if namespace else {}), **where}
    return list(found.values())


def _contexts(file: Path) -> list[dict[str, object]]:
    try:
        document = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return []
    contexts = document.get("contexts") if isinstance(document, dict) else None
    return [item for item in contexts or [] if isinstance(item, dict)] if isinstance(contexts, list) else []
