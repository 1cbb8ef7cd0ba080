"""Reading the tools that write traffic objects: Argo CD, Flux, Argo Rollouts, Flagger; each only where it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
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

APPLICATIONS = Resource("argoproj.io", ("v1alpha1",), "applications", "Application")
ROLLOUTS = Resource("argoproj.io", ("v1alpha1",), "rollouts", "Rollout")
KUSTOMIZATIONS = Resource("kustomize.toolkit.fluxcd.io", ("v1",), "kustomizations", "Kustomization")
HELM_RELEASES = Resource("helm.toolkit.fluxcd.io", ("v2",), "helmreleases", "HelmRelease")
CANARIES = Resource("flagger.app", ("v1beta1",), "canaries", "Canary")
T = TypeVar("T")


class _Wire(msgspec.Struct, rename="camel"):
    pass


class _Automated(_Wire):
    self_heal: bool = False
    enabled: bool | None = None


class _SyncPolicy(_Wire):
    automated: _Automated | None = None


class _ApplicationSpec(_Wire):
    sync_policy: _SyncPolicy | None = None


class _Application(_Wire):
    metadata: Metadata
    spec: _ApplicationSpec = msgspec.field(default_factory=_ApplicationSpec)


class _Drift(_Wire):
    mode: str = "disabled"


class _FluxSpec(_Wire):
    interval: str = ""
    suspend: bool = False
    drift_detection: _Drift | None = None


class _Flux(_Wire):
    metadata: Metadata
    spec: _FluxSpec = msgspec.field(default_factory=_FluxSpec)


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


async def read_sources(api: Api, discovery: Discovery, namespaces: Sequence[str] = ("",)) -> Sources:
    """All of them, side by side: everywhere, or as far as we may in `namespaces`. What is absent has none, what is
    forbidden is named."""
    unread: list[str] = []

    async def listed(resource: Resource, wire: type[T]) -> list[T]:
        served: Resource | None = None
        try:
            served = await discovery.served(resource)
            if served is None:
                return []
            return (await api.list(served, "", wire)).items
        except Forbidden:
            return await within(served or resource, wire)
        except ControlError:
            unread.append(resource.qualified)
            return []

    async def within(resource: Resource, wire: type[T]) -> list[T]:
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
    return Sources(
        {key: value for one in applications for key, value in _application(one).items()},
        {_key(one.metadata): Reconciler(not one.spec.suspend, _seconds(one.spec.interval)) for one in kustomizations},
        {_key(one.metadata): _release(one) for one in releases},
        driven_by(rollouts, _driven_by_canaries(canaries)),
        tuple(sorted(unread)),
    )


def _key(metadata: Metadata) -> tuple[str, str]:
    return metadata.namespace, metadata.name


def _application(one: _Application) -> dict[str, Reconciler]:
    policy = one.spec.sync_policy
    automated = policy.automated if policy else None
    heals = automated is not None and automated.self_heal and automated.enabled is not False
    reconciler = Reconciler(heals, ARGO_SELF_HEAL_SECONDS if heals else None)
    return {one.metadata.name: reconciler, f"{one.metadata.namespace}_{one.metadata.name}": reconciler}


def _release(one: _Flux) -> Reconciler:
    drift = one.spec.drift_detection
    corrects = drift is not None and drift.mode == "enabled" and not one.spec.suspend
    return Reconciler(corrects, _seconds(one.spec.interval) if corrects else None)


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
