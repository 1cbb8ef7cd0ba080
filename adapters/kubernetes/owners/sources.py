"""Reading the tools that write traffic objects: Argo CD, Flux, Argo Rollouts, Flagger; each only where it is there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from adapters.engine import durations
from adapters.kubernetes.client.api import Api
from adapters.kubernetes.client.discovery import Discovery
from adapters.kubernetes.client.objects import Metadata
from adapters.kubernetes.client.resource import Resource
from adapters.kubernetes.owners.owners import ARGO_SELF_HEAL_SECONDS, Reconciler, Sources
from adapters.kubernetes.owners.rollouts import Driver, Rollout, Route, driven_by
from control.errors import ControlError, Forbidden
from control.model import Source
from control.text import clean

APPLICATIONS = Resource("argoproj.io", ("v1alpha1",), "applications", "Application")
ROLLOUTS = Resource("argoproj.io", ("v1alpha1",), "rollouts", "Rollout")
KUSTOMIZATIONS = Resource("kustomize.toolkit.fluxcd.io", ("v1",), "kustomizations", "Kustomization")
HELM_RELEASES = Resource("helm.toolkit.fluxcd.io", ("v2",), "helmreleases", "HelmRelease")
GIT_REPOSITORIES = Resource("source.toolkit.fluxcd.io", ("v1",), "gitrepositories", "GitRepository")
CANARIES = Resource("flagger.app", ("v1beta1",), "canaries", "Canary")
_LET_IN = re.compile(r"(\b[a-z][a-z0-9+.-]*://)([^/@:]*)(?::[^/@]*)?@", re.IGNORECASE)
"""The user part of a URL, and the password behind it."""
_BY = "kustomize.toolkit.fluxcd.io"
T = TypeVar("T")


class _Wire(msgspec.Struct, rename="camel"):
    pass


class _Automated(_Wire):
    self_heal: bool = False
    enabled: bool | None = None


class _SyncPolicy(_Wire):
    automated: _Automated | None = None


class _ApplicationSource(_Wire):
    repo_url: str = msgspec.field(default="", name="repoURL")
    path: str = ""
    chart: str = ""
    target_revision: str = ""


class _ApplicationSpec(_Wire):
    sync_policy: _SyncPolicy | None = None
    source: _ApplicationSource | None = None
    sources: list[_ApplicationSource] | None = None


class _Application(_Wire):
    metadata: Metadata
    spec: _ApplicationSpec = msgspec.field(default_factory=_ApplicationSpec)


class _Drift(_Wire):
    mode: str = "disabled"


class _SourceRef(_Wire):
    kind: str = ""
    name: str = ""
    namespace: str = ""


class _ChartSpec(_Wire):
    chart: str = ""
    source_ref: _SourceRef | None = None


class _Chart(_Wire):
    spec: _ChartSpec = msgspec.field(default_factory=_ChartSpec)


class _FluxSpec(_Wire):
    path: str = ""
    source_ref: _SourceRef | None = None
    chart: _Chart | None = None
    interval: str = ""
    suspend: bool = False
    drift_detection: _Drift | None = None


class _Flux(_Wire):
    metadata: Metadata
    spec: _FluxSpec = msgspec.field(default_factory=_FluxSpec)


class _GitReference(_Wire):
    branch: str = ""
    tag: str = ""
    semver: str = ""
    name: str = ""
    commit: str = ""


class _GitSpec(_Wire):
    url: str = ""
    ref: _GitReference | None = None


class _GitRepository(_Wire):
    metadata: Metadata
    spec: _GitSpec = msgspec.field(default_factory=_GitSpec)


class _Routed(_Wire):
    name: str = ""


class _CanaryService(_Wire):
    name: str = ""


class _CanarySpec(_Wire):
    target_ref: _Routed | None = None
    service: _CanaryService | None = None


class _Canary(_Wire):
    metadata: Metadata
    spec: _CanarySpec = msgspec.field(default_factory=_CanarySpec)


Repositories = Mapping[tuple[str, str], _GitRepository]
"""Flux's GitRepositories by namespace and name."""


async def read_sources(api: Api, discovery: Discovery, namespaces: Sequence[str] = ("",)) -> Sources:
    """All of them, side by side: everywhere, or as far as we may in `namespaces`. What is absent has none, what is
    forbidden is named."""
    unread: list[str] = []

    async def listed(resource: Resource, wire: type[T], unread: list[str] = unread) -> list[T]:
        served: Resource | None = None
        try:
            served = await discovery.served(resource)
            if served is None:
                return []
            return (await api.list(served, "", wire)).items
        except Forbidden:
            return await within(served or resource, wire, unread)
        except ControlError:
            unread.append(resource.qualified)
            return []

    async def within(resource: Resource, wire: type[T], unread: list[str]) -> list[T]:
        found: list[T] = []
        for namespace in namespaces:
            try:
                found += (await api.list(resource, namespace, wire)).items if namespace else []
            except ControlError:
                namespace = ""
            if not namespace and resource.qualified not in unread:
                unread.append(resource.qualified)
        return found

    applications, kustomizations, releases, rollouts, canaries = await asyncio.gather(
        listed(APPLICATIONS, _Application),
        listed(KUSTOMIZATIONS, _Flux),
        listed(HELM_RELEASES, _Flux),
        listed(ROLLOUTS, Rollout),
        listed(CANARIES, _Canary),
    )
    git: Repositories = {}
    if kustomizations or releases:  # without them nothing names a repository
        git = {_key(one.metadata): one for one in await listed(GIT_REPOSITORIES, _GitRepository, [])}
    deployed = {_key(one.metadata): _kustomization(one, git) for one in kustomizations}
    return Sources(
        {key: value for one in applications for key, value in _application(one).items()},
        deployed,
        {_key(one.metadata): _release(one, deployed, git) for one in releases},
        driven_by(rollouts, _driven_by_canaries(canaries)),
        tuple(sorted(unread)),
    )


def _key(metadata: Metadata) -> tuple[str, str]:
    return metadata.namespace, metadata.name


def _application(one: _Application) -> dict[str, Reconciler]:
    policy = one.spec.sync_policy
    automated = policy.automated if policy else None
    heals = automated is not None and automated.self_heal and automated.enabled is not False
    reconciler = Reconciler(heals, ARGO_SELF_HEAL_SECONDS if heals else None, _argo_source(one))
    return {one.metadata.name: reconciler, f"{one.metadata.namespace}_{one.metadata.name}": reconciler}


def _argo_source(one: _Application) -> Source | None:
    """The one folder of manifests that an Application deploys. None for a chart of a registry, and where there are
    several folders: which of them holds an object is not said."""
    given = one.spec.sources or [one.spec.source or _ApplicationSource()]
    folders = [source for source in given if source.repo_url and source.path and not source.chart]
    if len(folders) != 1:
        return None
    (folder,) = folders
    return _source(folder.repo_url, folder.path, folder.target_revision, one.metadata)


def _kustomization(one: _Flux, git: Repositories) -> Reconciler:
    source = _in_repository(one.spec.source_ref, one.spec.path, one.metadata, git)
    return Reconciler(not one.spec.suspend, _seconds(one.spec.interval), source)


def _release(one: _Flux, deployed: Mapping[tuple[str, str], Reconciler], git: Repositories) -> Reconciler:
    """A HelmRelease's values stand in its own object, so they come from where that comes from; else there is the chart,
    where Git has it."""
    drift = one.spec.drift_detection
    corrects = drift is not None and drift.mode == "enabled" and not one.spec.suspend
    labels = one.metadata.labels or {}
    above = deployed.get((labels.get(f"{_BY}/namespace", ""), labels.get(f"{_BY}/name", "")))
    chart = one.spec.chart.spec if one.spec.chart else _ChartSpec()
    source = _in_repository(chart.source_ref, chart.chart, one.metadata, git)
    if above is not None and above.source is not None:
        source = _source(above.source.repository, above.source.path, above.source.revision, one.metadata)
    return Reconciler(corrects, _seconds(one.spec.interval) if corrects else None, source)


def _in_repository(reference: _SourceRef | None, path: str, by: Metadata, git: Repositories) -> Source | None:
    if reference is None or reference.kind != GIT_REPOSITORIES.kind:
        return None
    repository = git.get((reference.namespace or by.namespace, reference.name))
    if repository is None:
        return None
    ref = repository.spec.ref or _GitReference()
    revision = ref.commit or ref.name or ref.semver or ref.tag or ref.branch
    return _source(repository.spec.url, path, revision, by)


def _source(repository: str, path: str, revision: str, by: Metadata) -> Source | None:
    """Cleaned, and without what lets one in."""
    folder = "/".join(part for part in path.split("/") if part not in ("", "."))
    url = _LET_IN.sub(lambda found: f"{found[1]}{'' if found[1].startswith('http') else found[2] + '@'}", repository)
    if not url:
        return None
    return Source(clean(url), clean(folder), clean(revision), clean(f"{by.namespace}/{by.name}"))


def _seconds(interval: str) -> float | None:
    seconds = durations.go(interval)
    return None if seconds is None else float(seconds)


def _driven_by_canaries(canaries: list[_Canary]) -> Iterator[tuple[Route, Driver]]:
    for one in canaries:
        service = one.spec.service.name if one.spec.service else ""
        apex = service or (one.spec.target_ref.name if one.spec.target_ref else "")
        if apex:
            driver = Driver("flagger", one.metadata.namespace, one.metadata.name)
            yield ("HTTPRoute", one.metadata.namespace, apex), driver
            yield ("TraefikService", one.metadata.namespace, apex), driver
