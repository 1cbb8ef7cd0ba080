"""The demo fleet's Kubernetes objects: routes, weighted services, middlewares, and what stands around them."""

from __future__ import annotations

import uuid
from typing import Any

from adapters.demo.cluster_data import (
    CLUSTERS,
    GATEWAY,
    GATEWAY_NAMESPACE,
    NAMESPACE,
    PORT,
    Model,
    inflight_name,
    keys_name,
)
from adapters.kubernetes.memory.server import Native, accept

_SPACE = uuid.UUID("6f0c52a4-7d5a-4c9c-9d0d-0d8c2f0f7a11")
CREATED = "2026-09-14T08:00:00Z"


PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "rerank": "/v1/rerank",
    "moderations": "/v1/moderations",
}


def objects(environment: str) -> list[Native]:
    """All objects of one cluster."""
    made = [_gateway(environment), _application(environment)]
    for model in CLUSTERS[environment]:
        made += _middlewares(environment, model)
        made += {"HTTPRoute": _http_route, "split": _split, "inline": _inline}[model.shape](environment, model)
        made += [_endpoints(environment, model, service) for service in model.backends]
    return made


def _object(environment: str, version: str, kind: str, name: str, spec: Any, namespace: str = NAMESPACE) -> Native:
    uid = str(uuid.uuid5(_SPACE, f"{environment}/{kind}/{namespace}/{name}"))
    metadata: Native = {
        "name": name,
        "namespace": namespace,
        "uid": uid,
        "resourceVersion": "1",
        "generation": 1,
        "creationTimestamp": CREATED,
        "labels": {"app.kubernetes.io/part-of": "inference"},
    }
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _gateway(environment: str) -> Native:
    listener = {"name": "web", "protocol": "HTTP", "port": 8000, "allowedRoutes": {"namespaces": {"from": "All"}}}
    spec = {"gatewayClassName": "traefik", "listeners": [listener]}
    return _object(environment, "gateway.networking.k8s.io/v1", "Gateway", GATEWAY, spec, GATEWAY_NAMESPACE)


def _application(environment: str) -> Native:
    spec = {
        "project": "default",
        "source": {"repoURL": "https://git.example/inference.git", "path": environment, "targetRevision": "main"},
        "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
    }
    return _object(environment, "argoproj.io/v1alpha1", "Application", "inference", spec, "argocd")


def _middlewares(environment: str, model: Model) -> list[Native]:
    made = []
    if model.keyed:
        average, burst = model.keyed
        criterion = {"requestHeaderName": "X-Api-Key"}
        spec: Native = {"rateLimit": {"average": average, "burst": burst, "sourceCriterion": criterion}}
        made.append(_object(environment, "traefik.io/v1alpha1", "Middleware", keys_name(model), spec))
    if model.inflight:
        # All callers together: a header that none of them sends is one key.
        criterion = {"requestHeaderName": "X-Pool"}
        spec = {"inFlightReq": {"amount": model.inflight, "sourceCriterion": criterion}}
        made.append(_object(environment, "traefik.io/v1alpha1", "Middleware", inflight_name(model), spec))
    return made


def _limits(model: Model) -> list[str]:
    return [keys_name(model)] * bool(model.keyed) + [inflight_name(model)] * bool(model.inflight)


def _http_route(environment: str, model: Model) -> list[Native]:
    rules = []
    for name in model.rules:
        filters = [
            {"type": "ExtensionRef", "extensionRef": {"group": "traefik.io", "kind": "Middleware", "name": limit}}
            for limit in _limits(model)
        ]
        backends = [{"name": svc, "port": PORT, "weight": weight} for svc, weight in model.backends.items()]
        match = {"path": {"type": "PathPrefix", "value": PATHS[name]}}
        rules.append({"name": name, "matches": [match], "filters": filters, "backendRefs": backends})
    parent = {"name": GATEWAY, "namespace": GATEWAY_NAMESPACE, "sectionName": "web"}
    spec = {"parentRefs": [parent], "hostnames": [f"{model.name}.{environment}.example"], "rules": rules}
    route = _object(environment, "gateway.networking.k8s.io/v1", "HTTPRoute", model.name, spec)
    if model.argo:
        tracking = f"inference:gateway.networking.k8s.io/HTTPRoute:{NAMESPACE}/{model.name}"
        route["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": tracking}
    if model.helm:
        route["metadata"]["annotations"] = {
            "meta.helm.sh/release-name": model.helm,
            "meta.helm.sh/release-namespace": NAMESPACE,
        }
        route["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "Helm"
    route["status"] = {"parents": [{"parentRef": parent, "controllerName": "traefik.io/gateway-controller"}]}
    accept(route, CREATED)
    return [route]


def _members(model: Model) -> list[Native]:
    return [{"name": service, "port": PORT, "weight": weight} for service, weight in model.backends.items()]


def _ingress(environment: str, model: Model, services: list[Native]) -> Native:
    rule = {
        "kind": "Rule",
        "match": f"Host(`{model.name}.{environment}.example`) && PathPrefix(`/v1/audio`)",
        "middlewares": [{"name": name} for name in _limits(model)],
        "services": services,
    }
    spec = {"entryPoints": ["web"], "routes": [rule]}
    return _object(environment, "traefik.io/v1alpha1", "IngressRoute", model.name, spec)


def _split(environment: str, model: Model) -> list[Native]:
    name = f"{model.name}-split"
    spec = {"weighted": {"services": _members(model)}}
    split = _object(environment, "traefik.io/v1alpha1", "TraefikService", name, spec)
    return [split, _ingress(environment, model, [{"name": name, "kind": "TraefikService"}])]


def _inline(environment: str, model: Model) -> list[Native]:
    return [_ingress(environment, model, _members(model))]


def _endpoints(environment: str, model: Model, service: str) -> Native:
    ready = service not in model.sick
    number = uuid.uuid5(_SPACE, f"{environment}/{service}").int
    addresses = [f"10.{number % 200 + 20}.{number // 200 % 250}.{host}" for host in (11, 12, 13)]
    made = _object(environment, "discovery.k8s.io/v1", "EndpointSlice", f"{service}-x1", None)
    del made["spec"]
    made["metadata"]["labels"]["kubernetes.io/service-name"] = service
    made["addressType"] = "IPv4"
    made["ports"] = [{"name": "http", "port": PORT, "protocol": "TCP"}]
    made["endpoints"] = [{"addresses": [one], "conditions": {"ready": ready, "serving": ready}} for one in addresses]
    return made
