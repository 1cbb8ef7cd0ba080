"""`trafficdeck init`: a deck file from what the user already has. It shows the file, and never overwrites one."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from control.contract.documents import Init
from control.errors import DeckError, ReadOnly
from control.text import clean
from tui.cli.emit import emit, say

Found = Mapping[str, Sequence[Mapping[str, str]]]
"""Section of the deck file -> what was found for it: contexts, hosts (`{host}`), profiles with a region."""
_NUMBERED = re.compile(r"(.*?)(\d+)")
_PRODUCTION = re.compile(r"(^|[^a-z])(prod|production|prd|live)([^a-z]|$)")
_HEAD = """\
# The deck of trafficdeck, made by 'trafficdeck init' from kubeconfig contexts, ssh config hosts and AWS profiles.
# Look it over: take out what serves no traffic, and check which environments are production.
# Then add 'proxies' (where the data plane itself can be asked) and 'services'. 'trafficdeck doctor' checks it.
"""
_KINDS = """\
# CRDs of your own, shown and edited like the built-in kinds: take the '# ' off the lines below, write your own names.
# 'trafficdeck schema kinds' prints every word that may stand here.
# kinds:
#   - kind: SplitRoute
#     api: {group: edge.example.com, versions: [v1], plural: splitroutes}
#     rules: {at: spec.paths, name: name}        # the list of rules, and what a rule is called
#     targets:
#       at: backends                             # in a rule
#       identity: [service, port]                # what tells targets apart
#       weight: share
#       absent: 0                                # what a missing share means
#     conditions: [Ready]                        # must be True: status and proof
#   - kind: KeyQuota
#     api: {group: edge.example.com, versions: [v1], plural: keyquotas}
#     limits:
#       at: spec.quotas
#       name: key
#       measure: requests
#       amount: count
#       zero: blocked                            # what 0 means: blocked, unlimited, zero or default
#       window: {seconds: {at: per}}
"""
"""Where clusters were found."""


def deck_document(found: Found) -> dict[str, Any]:
    """The deck: an environment for each context, group of numbered hosts and profile. Raises `DeckError`."""
    environments: list[dict[str, Any]] = []
    names: set[str] = set()
    codes: set[str] = set()

    def add(wanted: str, section: dict[str, Any]) -> None:
        name = _unique(re.sub(r"[^A-Za-z0-9_.-]+", "-", wanted).strip("-") or "environment", names)
        environment: dict[str, Any] = {"name": name, **section}
        if _PRODUCTION.search(wanted.lower()):
            environment |= {"labels": {"tier": "production"}, "code": _code(name, codes)}
        environments.append(environment)

    for context in found.get("kubernetes", ()):
        section = {key: context[key] for key in ("kubeconfig", "context") if key in context}
        if "namespace" in context:
            section = {**section, "namespaces": [context["namespace"]]}  # type: ignore[dict-item]
        add(context["context"], {"kubernetes": section})
    for name, hosts in _groups([item["host"] for item in found.get("ssh", ())]).items():
        add(name, {"ssh": {"hosts": hosts}})
    for profile in found.get("aws", ()):
        if profile["region"]:
            add(profile["profile"], {"aws": dict(profile)})
        else:
            say(f"the AWS profile '{profile['profile']}' has no region and is left out")
    if not environments:
        raise DeckError(
            "found no kubeconfig context, no host in ssh config and no AWS profile with a region",
            hint="look around without a deck file: trafficdeck demo",
        )
    return {"environments": environments}


def _unique(name: str, names: set[str]) -> str:
    free = next(n for n in (name, *(f"{name}-{i}" for i in range(2, 10_000))) if n not in names)
    names.add(free)
    return free


def _code(name: str, codes: set[str]) -> str:
    """Two to four letters to type: the last word of the name that is not `prod`, else its first letters."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word and not _PRODUCTION.search(word)]
    letters = re.sub(r"[^a-z]", "", name.lower()) + "prod"
    tries = [word[:4] for word in reversed(words) if len(word) >= 2] + [letters[:n] for n in (4, 3, 2)]
    free = next((code for code in tries if code not in codes), name)
    codes.add(free)
    return free


def _groups(hosts: Sequence[str]) -> dict[str, list[str]]:
    """Hosts that differ in their last number alone are one group: its name -> the hosts."""
    groups: dict[str, list[str]] = {}
    for host in hosts:
        match = _NUMBERED.fullmatch(host)
        stem = match[1].rstrip("-_.") if match else ""
        groups.setdefault(stem or host, []).append(host)
    return {name if len(members) > 1 else members[0]: members for name, members in groups.items()}


def init(found: Found, path: Path, output: str, dry_run: bool, read_only: bool) -> int:
    """Show the deck and write it. Returns the exit code. Raises `DeckError` and, read-only, `ReadOnly`."""
    import yaml

    document = deck_document(found)
    text = _HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=False, default_flow_style=None, width=110)
    text += _KINDS if found.get("kubernetes") else ""
    if path.exists():
        raise DeckError(
            f"{path} is there already and stays as it is",
            hint="write elsewhere with --deck FILE, or look with --dry-run --deck FILE",
        )
    if not dry_run and read_only:
        raise ReadOnly("--read-only writes no deck file", hint="--dry-run shows it")
    names = [{"section": section, **item} for section, items in found.items() for item in items]
    write = not dry_run and (output != "table" or _agreed(text, path))
    if write:
        _write(path, text)
    emit(
        Init(deck=document, found=names, path=str(path), written=write),
        output,
        lambda: "" if write and sys.stdin.isatty() and sys.stdout.isatty() else text,
    )
    say(f"wrote {path}; 'trafficdeck doctor' checks it" if write else f"nothing was written; {path} would be it")
    return 0


def _agreed(text: str, path: Path) -> bool:
    """On a terminal the file is shown and the answer asked for; elsewhere the command itself is the answer."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    sys.stdout.write(text)
    sys.stdout.flush()
    return input(f"Write this to {clean(str(path))}? [y/N] ").strip().lower() in ("y", "yes")


def _write(path: Path, text: str) -> None:
    """Write a new file, for its owner alone; a file that came meanwhile stays."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise DeckError(f"could not write {path}: {error.strerror}") from error
