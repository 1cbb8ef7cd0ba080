"""Owners say where they deploy an object from, as data: repository, path, revision and the object that deploys it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from natives import httproute

from adapters.kubernetes.client.transport import Connection
from adapters.kubernetes.memory.server import MemoryApi, MemoryTransport
from adapters.kubernetes.reader import KubernetesReader
from adapters.kubernetes.section import SECTION as KUBERNETES
from adapters.kubernetes.section import KubernetesConfig
from control.deck.config import EnvironmentConfig
from control.model import Owner, Source

FLUX, HELM = "kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io"
TRACKING = "argocd.argoproj.io/tracking-id"


def made(api: str, kind: str, name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": f"{kind}-{name}", "resourceVersion": "1", "generation": 1}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}


def application(**spec: Any) -> dict[str, Any]:
    return made("argoproj.io/v1alpha1", "Application", "shop", "argocd", **spec)


def kustomization(name: str = "apps", **spec: Any) -> dict[str, Any]:
    reference = {"kind": "GitRepository", "name": "infra"}
    return made(f"{FLUX}/v1", "Kustomization", name, "flux-system", interval="10m", sourceRef=reference, **spec)


def repository(url: str = "ssh://git@forge.example/infra.git", **ref: str) -> dict[str, Any]:
    return made("source.toolkit.fluxcd.io/v1", "GitRepository", "infra", "flux-system", url=url, ref=ref)


def owned_by(tool: str, name: str) -> dict[str, Any]:
    return {"labels": {f"{tool}/name": name, f"{tool}/namespace": "flux-system"}}


async def owner(marks: dict[str, Any], *others: dict[str, Any]) -> Owner:
    """The owner of the one route with these marks, among these objects."""
    route = httproute("llama", "llama.test", {"v1": 1})
    route["metadata"] |= {"uid": "u", "generation": 1, "resourceVersion": "1", **marks}
    api = MemoryApi([route, *others])

    async def transport() -> httpx.AsyncBaseTransport:
        return MemoryTransport(api)

    async def headers(renew: bool) -> list[tuple[str, str]]:
        return []

    config = EnvironmentConfig("c", settings=KubernetesConfig(), section=KUBERNETES)
    reader = KubernetesReader(config, Connection("https://c.invalid", transport, headers, what="c"))
    try:
        (found,) = {one for row in (await reader.read()).routes for one in row.owners}
        return found
    finally:
        await reader.close()


ARGO = {"annotations": {TRACKING: "shop:gateway.networking.k8s.io/HTTPRoute:inference/llama"}}
FOLDER = {"repoURL": "https://user:secret@forge.example/apps.git", "path": "./shop/eu/", "targetRevision": "main"}
CHART = {"repoURL": "https://charts.example", "chart": "shop", "targetRevision": "1.2.3"}


@pytest.mark.parametrize(
    ("spec", "source"),
    [
        ({"source": FOLDER}, Source("https://forge.example/apps.git", "shop/eu", "main", "argocd/shop")),
        ({"sources": [CHART, FOLDER]}, Source("https://forge.example/apps.git", "shop/eu", "main", "argocd/shop")),
        ({"sources": [FOLDER, {**FOLDER, "path": "other"}]}, None),
        ({"source": CHART}, None),
        ({}, None),
    ],
)
async def test_an_argo_cd_application_names_the_one_folder_that_it_deploys(
    spec: dict[str, Any], source: Source | None
) -> None:
    found = await owner(ARGO, application(**spec))
    assert found.kind == "argocd" and found.source == source


@pytest.mark.parametrize(
    ("ref", "revision"),
    [({"branch": "main"}, "main"), ({"branch": "main", "tag": "v1", "commit": "abc"}, "abc"), ({}, "")],
)
async def test_a_flux_kustomization_names_the_folder_in_its_git_repository(ref: dict[str, str], revision: str) -> None:
    found = await owner(owned_by(FLUX, "apps"), kustomization(path="./clusters/eu"), repository(**ref))
    assert found.source == Source("ssh://git@forge.example/infra.git", "clusters/eu", revision, "flux-system/apps")


async def test_a_kustomization_whose_repository_is_not_there_names_no_source() -> None:
    assert (await owner(owned_by(FLUX, "apps"), kustomization(path="./clusters/eu"))).source is None


async def test_the_values_of_a_helm_release_come_from_where_the_release_itself_comes_from() -> None:
    chart = {"spec": {"chart": "charts/shop", "sourceRef": {"kind": "GitRepository", "name": "infra"}}}
    release = made(f"{HELM}/v2", "HelmRelease", "shop", "flux-system", chart=chart)
    others = (kustomization(path="./clusters/eu"), repository(branch="main"))
    found = await owner(owned_by(HELM, "shop"), release, *others)
    assert found.source == Source("ssh://git@forge.example/infra.git", "charts/shop", "main", "flux-system/shop")
    release["metadata"] |= owned_by(FLUX, "apps")
    found = await owner(owned_by(HELM, "shop"), release, *others)
    assert found.source == Source("ssh://git@forge.example/infra.git", "clusters/eu", "main", "flux-system/shop")


async def test_what_stands_in_a_repository_s_url_is_hostile() -> None:
    found = await owner(
        owned_by(FLUX, "apps"), kustomization(path="a/\u202eb"), repository("https://t0ken@forge.example/a\x1b[2J.git")
    )
    assert found.source is not None
    told = f"{found.source.repository} {found.source.path}"
    assert "t0ken" not in told and "\x1b" not in told and "\u202e" not in told
