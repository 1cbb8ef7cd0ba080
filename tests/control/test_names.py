"""control names no platform, no proxy and no kind: adapters declare them."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import control
from adapters import registry

WORDS_TOO = frozenset({"Service"})
"""Kinds whose names are words that everybody uses."""
TOOLS = (
    "kubectl", "kubeconfig", "k8s", "gateway api", "http route", "grpc route", "istio", "envoy", "caddy", "argo",
    "argocd", "flux", "helm", "flagger", "terraform", "knative", "kserve", "cloudwatch", "codedeploy", "cloudformation",
    "stick-table", "limit_req", "split_clients", "upstream", "virtualservice", "configmap", "crd",
)  # fmt: skip
"""What nobody declares and is a platform's all the same."""


def declared() -> set[str]:
    """Everything that the adapters bring: sections of the deck file, platforms, kinds of proxies, kinds."""
    found: set[str] = set()
    for section in registry.sections():
        found |= {section.key, section.platform, *section.proxy_kinds}
    return found | (set(registry.kinds()) - WORDS_TOO)


def written(path: Path) -> Iterator[tuple[int, str]]:
    """Names, texts and comments of a module with their lines; the keywords of Python are none."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT) or (
            token.type == tokenize.NAME and token.string != "lambda"
        ):
            yield token.start[0], token.string


def named(text: str, names: re.Pattern[str]) -> list[str]:
    return names.findall(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text) + "\n" + text.replace("_", " ") + "\n" + text)


def pattern() -> re.Pattern[str]:
    words = sorted({*declared(), *TOOLS, "lambda"}, key=len, reverse=True)
    return re.compile(rf"(?<![a-z0-9])(?:{'|'.join(map(re.escape, words))})(?![a-z0-9])", re.IGNORECASE)


def test_control_names_no_platform_no_proxy_and_no_kind() -> None:
    names, found = pattern(), []
    for path in sorted(Path(control.__file__).parent.rglob("*.py")):
        for line, text in written(path):
            found += [f"{path.name}:{line}: {word}" for word in named(text, names)]
    assert not found, "\n".join(found)


def test_what_is_looked_for_would_be_found() -> None:
    names = pattern()
    for text in (
        "KubernetesConfig",
        "is_ssh",
        "aws",
        "HTTPRoute",
        "an nginx upstream",
        "Middleware",
        "HAPROXY",
        "Lambda",
    ):
        assert named(text, names), text
    assert {"kubernetes", "serverless", "haproxy", "LambdaAlias", "NginxLimitReq"} <= declared()
