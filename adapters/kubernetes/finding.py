"""Which clusters a user's kubeconfig names: contexts only, no credential is looked at."""

from __future__ import annotations

import os
from pathlib import Path

from adapters.kubernetes.client.kubefiles import Entry, Merged, files, merge
from control.errors import DeckError
from control.text import clean


def find_contexts(home: Path) -> list[dict[str, str]]:
    """Contexts of `KUBECONFIG` or `~/.kube/config`: `{context, namespace, kubeconfig}`.

    `kubeconfig` names the file where it alone means what all of `KUBECONFIG` means, else all of the list: a context
    and its cluster may stand in different files. A file that cannot be used has none.
    """
    named = bool(os.environ.get("KUBECONFIG"))
    try:
        usable = [file for file in files(None, home) if _is_usable(file)]
    except DeckError:
        return []
    merged = merge(usable)
    found = []
    for name, entry in merged.contexts.items():
        if not name or clean(name) != name:
            continue
        one = {"context": name}
        namespace = entry.body.get("namespace")
        if namespace:
            one["namespace"] = str(namespace)
        if named:
            where = [entry.file] if _stands_alone(entry, merged) else usable
            one["kubeconfig"] = os.pathsep.join(map(str, where))
        found.append(one)
    return found


def _is_usable(file: Path) -> bool:
    if not file.is_file():
        return False  # a pipe gives what it holds once
    try:
        merge([file])
    except DeckError:
        return False
    return True


def _stands_alone(context: Entry, merged: Merged) -> bool:
    """Are the cluster and user of a context those of its own file?"""
    tables = (("cluster", merged.clusters), ("user", merged.users))
    used = [table.get(str(context.body.get(key))) for key, table in tables]
    return all(entry is None or entry.file == context.file for entry in used)
