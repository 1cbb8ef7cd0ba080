"""Two real kube-apiservers on one etcd: two clusters, apart by the etcd prefix."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from tests.bed import build
from tests.bed.errors import BedError
from tests.bed.kubeclient import KubeClient
from tests.bed.layout import API_PORT, CLUSTERS, ETCD_PEER_PORT, ETCD_PORT, Layout
from tests.bed.objects import cluster_objects
from tests.bed.processes import Ledger
from tests.bed.waiting import until, until_port

DECK_USER = "trafficdeck"
VIEWER = "viewer"
ADMINISTRATOR = "admin"
TRAEFIK_USER = "traefik"
TOKENS = {
    ADMINISTRATOR: ("admin-token", "system:masters"),
    TRAEFIK_USER: ("traefik-token", "system:masters"),
    DECK_USER: ("deck-token", "deck"),
    VIEWER: ("viewer-token", "view"),
}
"""User -> token and group. Only ever valid on loopback, for servers that live as long as the bed."""

AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "users": ["system:apiserver"]},
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {"level": "None", "resources": [{"group": "authorization.k8s.io"}, {"group": "authentication.k8s.io"}]},
        {"level": "Metadata"},
    ],
}
"""Writes only: no reads, no reviews of one's own rights, none of the server's own housekeeping."""

_CRD_FILES = {
    "sigs.k8s.io/gateway-api": "config/crd/standard/gateway.networking.k8s.io_*.yaml",
    "github.com/traefik/traefik/v3": ("docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml"),
}


def start_etcd(layout: Layout, ledger: Ledger, binary: Path) -> None:
    data = layout.dir / "etcd"
    shutil.rmtree(data, ignore_errors=True)
    argv = [str(binary), "etcd", "--data-dir", str(data)]
    argv += ["--client", f"http://{layout.etcd}:{ETCD_PORT}", "--peer", f"http://{layout.etcd}:{ETCD_PEER_PORT}"]
    ledger.start("etcd", argv)


def prepare_cluster(layout: Layout, cluster: str) -> Path:
    """Write what an apiserver needs: tokens, key of the service accounts, audit policy. Returns the folder."""
    folder = layout.kube / cluster
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lines = [f'{token},{user},{user},"{group}"' for user, (token, group) in TOKENS.items()]
    tokens = folder / "tokens.csv"
    tokens.write_text("\n".join(lines) + "\n")
    tokens.chmod(0o600)
    key = str(folder / "service-account.key")
    build.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], seconds=20)
    (folder / "audit-policy.yaml").write_text(yaml.safe_dump(AUDIT_POLICY))
    return folder


def start_apiserver(layout: Layout, ledger: Ledger, binary: Path, cluster: str) -> None:
    folder = prepare_cluster(layout, cluster)
    flags = {
        "etcd-servers": f"http://{layout.etcd}:{ETCD_PORT}",
        "etcd-prefix": f"/{cluster}",
        "secure-port": str(API_PORT),
        "bind-address": layout.api(cluster),
        "cert-dir": str(folder / "certificates"),
        "service-account-key-file": str(folder / "service-account.key"),
        "service-account-signing-key-file": str(folder / "service-account.key"),
        "service-account-issuer": layout.api_url(cluster),
        "token-auth-file": str(folder / "tokens.csv"),
        "authorization-mode": "RBAC",
        "disable-admission-plugins": "ServiceAccount",
        "service-cluster-ip-range": layout.service_range(cluster),
        "endpoint-reconciler-type": "none",
        "audit-policy-file": str(folder / "audit-policy.yaml"),
        "audit-log-path": str(folder / "audit.log"),
        "profiling": "false",
    }
    argv = [str(binary), "apiserver", *(f"--{name}={value}" for name, value in flags.items())]
    ledger.start(f"apiserver/{cluster}", argv, env={"GOGC": "200"})


def start(layout: Layout, ledger: Ledger) -> None:
    """Start etcd and the apiservers and wait until both are ready."""
    binary = build.build()
    start_etcd(layout, ledger, binary)
    until_port(layout.etcd, ETCD_PORT)
    for cluster in CLUSTERS:
        start_apiserver(layout, ledger, binary, cluster)


def client(layout: Layout, cluster: str, user: str = ADMINISTRATOR) -> KubeClient:
    return KubeClient(layout.api_url(cluster), TOKENS[user][0], authority(layout, cluster))


def authority(layout: Layout, cluster: str) -> Path:
    """What clients trust: the certificate that the apiserver made for itself."""
    return layout.kube / cluster / "certificates" / "apiserver.crt"


def fill_cluster(layout: Layout, cluster: str, crds: list[dict[str, Any]], more: Iterable[dict[str, Any]] = ()) -> None:
    """Wait for one apiserver, then create the CRDs, the rights and the objects of its cluster, and `more`."""
    until(f"the certificate of {cluster}", lambda: authority(layout, cluster).exists())
    kube = client(layout, cluster)
    until(f"the apiserver of {cluster}", kube.ready, seconds=40)
    write_kubeconfigs(layout, cluster)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(kube.create, crds))
    names = [crd["metadata"]["name"] for crd in crds]
    until(f"the CRDs of {cluster}", lambda: kube.established(names))
    for obj in (*cluster_objects(layout, cluster), *more):
        kube.create(obj)
    kube.close()


def load_crds() -> list[dict[str, Any]]:
    """The CRDs of the Gateway API and of Traefik, as their Go modules hold them."""
    found = []
    for module, pattern in _CRD_FILES.items():
        for path in sorted(build.module_folder(module).glob(pattern)):
            documents = yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader)
            found += [doc for doc in documents if doc and doc["kind"] == "CustomResourceDefinition"]
    if not found:
        raise BedError("no CRD found in the Go modules")
    return found


def write_kubeconfigs(layout: Layout, cluster: str) -> None:
    """One kubeconfig per user, the certificate beside it by path."""
    for user in (ADMINISTRATOR, DECK_USER, VIEWER):
        server = {"server": layout.api_url(cluster), "certificate-authority": str(authority(layout, cluster))}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": cluster, "cluster": server}],
            "users": [{"name": user, "user": {"token": TOKENS[user][0]}}],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user, "namespace": "inference"}}],
            "current-context": cluster,
        }
        path = layout.kubeconfig(cluster, user)
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        path.chmod(0o600)
