"""Who else writes an object, and whether they would take an edit back. Source: kubernetes.md §11 of the references.

The order matters: a controller owner first, since operators often copy the marks of GitOps tools to their children.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.kubernetes.client.objects import Metadata, OwnerReference
from adapters.kubernetes.client.resource import Resource
from adapters.kubernetes.owners.rollouts import IN_PROGRESS, Driven, Driver
from control.model import Owner, OwnerRole, Source
from control.text import clean

ARGO_SELF_HEAL_SECONDS = 5.0
_TRACKING = "argocd.argoproj.io/tracking-id"
_INSTANCE = "app.kubernetes.io/instance"
_FLUX = "kustomize.toolkit.fluxcd.io"
_FLUX_HELM = "helm.toolkit.fluxcd.io"
_HELM = "meta.helm.sh/release-name"


@dataclass(frozen=True, slots=True)
class Reconciler:
    """An Argo CD Application, a Flux Kustomization or HelmRelease: does it restore what it declares?"""

    reverts: bool
    within_seconds: float | None = None
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """What was read of the tools that write traffic objects. An absent entry means that it could not be read."""

    applications: Mapping[str, Reconciler] = field(default_factory=dict)
    """Argo CD Applications by name, and by `namespace_name`."""
    kustomizations: Mapping[tuple[str, str], Reconciler] = field(default_factory=dict)
    helm_releases: Mapping[tuple[str, str], Reconciler] = field(default_factory=dict)
    driven: Driven = field(default_factory=Driven)
    unread: tuple[str, ...] = ()
    """The tools' kinds that are installed and could not be read, at least not everywhere."""


NO_SOURCES = Sources()


def owners_of(metadata: Metadata, resource: Resource, sources: Sources = NO_SOURCES) -> tuple[Owner, ...]:
    """All owners of one object, drivers first."""
    found: list[Owner] = []
    controller = next((ref for ref in metadata.owner_references or [] if ref.controller), None)
    if controller is not None:
        found.append(_controller(controller, metadata.namespace))
    drivers = sources.driven.drivers(resource.kind, metadata)
    controllers = {owner.kind for owner in found}
    found += [_driver(driver) for driver in drivers if driver.tool not in controllers]
    if not drivers and IN_PROGRESS in (metadata.labels or {}):
        found.append(_UNREAD_ROLLOUT)
    if controller is None:
        declared = (_argo(metadata, resource, sources), _flux(metadata, sources), _helm(metadata, sources))
        found += [owner for owner in declared if owner is not None]
    return tuple(found)


def _controller(reference: OwnerReference, namespace: str) -> Owner:
    kind = "flagger" if reference.api_version.startswith("flagger.app/") else "operator"
    name = clean(f"{reference.kind} {namespace}/{reference.name}")
    return Owner(
        kind,
        name,
        OwnerRole.DRIVER,
        found_by="ownerReferences, controller: true",
        reverts=True,
        within_seconds=0.0 if kind == "operator" else None,
        edit_instead=name,
    )


_UNREAD_ROLLOUT = Owner(
    "argo-rollouts",
    "a Rollout that could not be read",
    OwnerRole.DRIVER,
    found_by=f"label {IN_PROGRESS}: a canary is under way",
    reverts=True,
    edit_instead="the Rollout: its steps set the weights",
)


def _driver(driver: Driver) -> Owner:
    what = "Rollout" if driver.tool == "argo-rollouts" else "Canary"
    full = clean(f"{what} {driver.namespace}/{driver.name}")
    return Owner(
        driver.tool,
        full,
        OwnerRole.DRIVER,
        found_by=f"the {what} names or selects this route",
        reverts=True,
        edit_instead=f"{full}: its steps set the weights",
    )


def _declared(kind: str, name: str, found_by: str, reconciler: Reconciler | None, edit_instead: str) -> Owner:
    """A tool that restores what it declares; whether it does is unknown where its own object could not be read."""
    return Owner(
        kind,
        clean(name),
        OwnerRole.DECLARED,
        found_by=found_by,
        reverts=reconciler.reverts if reconciler else None,
        within_seconds=reconciler.within_seconds if reconciler else None,
        edit_instead=clean(edit_instead),
        source=reconciler.source if reconciler else None,
    )


def _argo(metadata: Metadata, resource: Resource, sources: Sources) -> Owner | None:
    """Argo CD, by a tracking id that names this very object (a copied one does not), or by its older label.

    Helm charts set the same label, so it counts only where an Application of that name was read and no Helm release
    is named.
    """
    application, _, tail = (metadata.annotations or {}).get(_TRACKING, "").partition(":")
    found_by = f"annotation {_TRACKING}"
    if application and tail != f"{resource.group}/{resource.kind}:{metadata.namespace}/{metadata.name}":
        return None
    if not application:
        application = (metadata.labels or {}).get(_INSTANCE, "")
        found_by = f"label {_INSTANCE}, which names an Application"
        if application not in sources.applications or _HELM in (metadata.annotations or {}):
            return None
    return _declared(
        "argocd",
        f"Application {application}",
        found_by,
        sources.applications.get(application),
        f"the Git source of Argo CD's Application {application}",
    )


def _flux(metadata: Metadata, sources: Sources) -> Owner | None:
    labels = metadata.labels or {}
    name, namespace = labels.get(f"{_FLUX}/name"), labels.get(f"{_FLUX}/namespace", "")
    if not name:
        return None
    off = "disabled" in (
        labels.get(f"{_FLUX}/reconcile"),
        (metadata.annotations or {}).get(f"{_FLUX}/reconcile"),
    )
    reconciler = sources.kustomizations.get((namespace, name))
    if off:
        reconciler = Reconciler(False, source=reconciler.source if reconciler else None)
    return _declared(
        "flux",
        f"Kustomization {namespace}/{name}",
        f"label {_FLUX}/name",
        reconciler,
        f"the Git source of Flux's Kustomization {namespace}/{name}",
    )


def _helm(metadata: Metadata, sources: Sources) -> Owner | None:
    labels, annotations = metadata.labels or {}, metadata.annotations or {}
    name, namespace = labels.get(f"{_FLUX_HELM}/name"), labels.get(f"{_FLUX_HELM}/namespace", "")
    if name:
        reconciler = sources.helm_releases.get((namespace, name))
        return _declared(
            "flux",
            f"HelmRelease {namespace}/{name}",
            f"label {_FLUX_HELM}/name",
            reconciler,
            f"the values of the HelmRelease {namespace}/{name}",
        )
    release = annotations.get(_HELM)
    if not release or labels.get("app.kubernetes.io/managed-by") != "Helm":
        return None
    return Owner(
        "helm",
        clean(f"release {annotations.get('meta.helm.sh/release-namespace', metadata.namespace)}/{release}"),
        OwnerRole.DECLARED,
        found_by=f"annotation {_HELM}",
        reverts=False,
        edit_instead=clean(f"the values of the Helm release {release}: its next upgrade may restore or refuse"),
    )
