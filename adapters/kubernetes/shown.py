"""Native objects as text for people: YAML without the machinery's own fields, secrets masked, unified differences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from adapters.common.differences import planned
from adapters.common.headers import looks_secret, shows_its_value
from control.text import clean, clean_lines

MASK = "(masked)"
_SECRET_KEY = re.compile(
    r"authorization|passw(or)?d|token|api[-_]?key|access[-_]?key|private[-_]?key|credential|(set-)?cookie|secret", re.I
)
_SETS_HEADERS = re.compile(r"(headers|headermodifier)$", re.I)
_RULE_HEADER = re.compile(r"""(Headers?(?:Regexp)?\(\s*[`"]([^`"]+)[`"]\s*,\s*[`"])([^`"]*)([`"])""")
_USER_INFO = re.compile(r"(://)[^/@\s]+@")
_REFERENCES = frozenset({"secret", "secretName", "secretRef", "tokenFile"})
_LEFT_OUT = "kubectl.kubernetes.io/last-applied-configuration"
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def masked(node: Any, sets_headers: bool = False) -> Any:
    """`node` with every value that is named like a secret replaced, and that of every header that is not known to be
    harmless; names of Secret objects stay. `sets_headers`: it is what is done to headers."""
    if isinstance(node, Mapping):
        if _is_header_map(node, sets_headers):
            return {key: value if not value or shows_its_value(key) else MASK for key, value in node.items()}
        named, value = node.get("name"), node.get("value")
        pair = isinstance(named, str) and isinstance(value, str) and _hides(named, value, sets_headers)
        return {
            key: MASK
            if (pair and key == "value") or (isinstance(value, str) and _is_secret(key))
            else masked(value, sets_headers or _SETS_HEADERS.search(key) is not None)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [masked(item, sets_headers) for item in node]
    return masked_rule(_USER_INFO.sub(rf"\1{MASK}@", node)) if isinstance(node, str) else node


def masked_rule(rule: str) -> str:
    """A rule of Traefik with the values of headers that are named like secrets, or look made by chance, masked."""
    if "Header" not in rule:
        return rule
    return _RULE_HEADER.sub(lambda m: f"{m[1]}{MASK}{m[4]}" if hides(m[2], m[3]) else m[0], rule)


def hides(name: str, value: str) -> bool:
    """Whether the value that a header or parameter is compared with is masked."""
    return _hides(name, value, sets_headers=False)


def _is_header_map(node: Mapping[Any, Any], sets_headers: bool) -> bool:
    """Header names and their values, as Traefik and plugins have them."""
    texts = bool(node) and all(isinstance(value, str) for value in node.values())
    return sets_headers and texts and not ("name" in node and "value" in node) and "type" not in node


def _hides(name: str, value: str, sets_headers: bool) -> bool:
    """Whether the value of a header, or of something else that has a name, is masked."""
    if _is_secret(name):
        return True
    return (sets_headers and bool(value) and not shows_its_value(name)) or looks_secret(value)


def _is_secret(key: str) -> bool:
    return key not in _REFERENCES and _SECRET_KEY.search(key) is not None


def tidy(native: Mapping[str, Any]) -> dict[str, Any]:
    """The object without managedFields and the copy of itself that kubectl keeps, secrets masked."""
    metadata = {k: v for k, v in native.get("metadata", {}).items() if k != "managedFields"}
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != _LEFT_OUT}
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    order = ("apiVersion", "kind")
    head = {k: native[k] for k in order if k in native}
    rest = {k: v for k, v in native.items() if k not in (*order, "metadata")}
    shown: dict[str, Any] = masked({**head, "metadata": metadata, **rest})
    return shown


def as_yaml(node: Any) -> str:
    """YAML, every line cleaned."""
    text = yaml.dump(node, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, default_flow_style=False, width=4096)
    return clean_lines(str(text))


def difference(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """The unified difference of two states of one object's spec, as YAML; empty where they are the same."""
    old, new = (as_yaml(masked({"spec": one.get("spec")})) for one in (before, after))
    return planned(old, new, clean(name), around=4)
