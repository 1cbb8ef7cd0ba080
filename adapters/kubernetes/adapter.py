"""Registers Kubernetes: HTTPRoute, TraefikService and IngressRoute as routes, Traefik's Middleware as limits.

Importing this module is cheap: HTTP client, codecs and YAML come with the first reader.
"""

from __future__ import annotations

from pathlib import Path

from adapters.kubernetes.section import KINDS, SECTION
from control.deck.config import EnvironmentConfig
from control.ports import PlatformAdapter, Reader, Secrets, Writer


def _open_reader(config: EnvironmentConfig, secrets: Secrets) -> Reader:
    from adapters.kubernetes.reader import KubernetesReader

    return KubernetesReader(config)


def _open_writer(config: EnvironmentConfig, secrets: Secrets, reader: Reader) -> Writer:
    from adapters.kubernetes.reader import KubernetesReader
    from adapters.kubernetes.writer import KubernetesWriter

    assert isinstance(reader, KubernetesReader)
    return KubernetesWriter(reader)


def _find(home: Path) -> list[dict[str, str]]:
    from adapters.kubernetes.finding import find_contexts

    return find_contexts(home)


ADAPTER = PlatformAdapter(SECTION, KINDS, _open_reader, _open_writer, _find)
"""What the registry lists."""
