"""Real servers for the tests of this platform: etcd, a kube-apiserver, Traefik, and small HTTP backends.

Everything binds to loopback, waits with a deadline and is ended by process id.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.bed import build
from tests.bed.errors import BedError

ADMIN = "admin-token"
DECK = "deck-token"
VIEWER = "viewer-token"
GATEWAY_MODULE = "sigs.k8s.io/gateway-api"
TRAEFIK_MODULE = "github.com/traefik/traefik/v3"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def bedkube() -> Path | None:
    """The binary of the Kubernetes servers, where it has been built."""
    return build.binary_path() if build.is_built() else None


def module_folder(module: str) -> Path | None:
    """The folder of a Go module that holds CRDs, None where it cannot be had."""
    try:
        return build.module_folder(module)
    except (BedError, OSError):
        return None


@dataclass
class Servers:
    """The processes of one session."""

    folder: Path
    server: str = ""
    ca: Path = field(default_factory=Path)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    proxies: list[tuple[str, str]] = field(default_factory=list)
    """(API URL, traffic URL) of each Traefik."""
    audit: Path = field(default_factory=Path)
    web_port: int = 0
    backends: list[http.server.ThreadingHTTPServer] = field(default_factory=list)

    def spawn(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{name}.log").open("wb")
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def stop(self) -> None:
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait(timeout=10)
        for backend in self.backends:
            backend.shutdown()
            backend.server_close()

    # --- the API server, as its administrator --------------------------------------------------------------------

    def call(self, method: str, path: str, body: Any = None, kind: str = "application/json", token: str = ADMIN) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.server + path, data=data, method=method)
        request.add_header("Authorization", f"Bearer {token}")
        request.add_header("Content-Type", kind)
        context = ssl.create_default_context(cafile=str(self.ca))
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            return json.loads(answer.read() or b"{}")

    def put(self, group: str, plural: str, native: dict[str, Any]) -> Any:
        """Create an object, or replace the one that is there."""
        namespace = native["metadata"].get("namespace")
        root = f"/apis/{group}" if "/" in group else f"/api/{group}"
        path = root + (f"/namespaces/{namespace}" if namespace else "") + f"/{plural}"
        try:
            return self.call("POST", path, native)
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise AssertionError(error.read().decode()) from None
        one = f"{path}/{native['metadata']['name']}"
        native["metadata"]["resourceVersion"] = self.call("GET", one)["metadata"]["resourceVersion"]
        return self.call("PUT", one, native)

    def kubeconfig(self, token: str = DECK, **cluster: Any) -> Path:
        """A kubeconfig with one context, `bed`."""
        path = self.folder / f"kubeconfig-{token}"
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "bed",
                    "clusters": [
                        {
                            "name": "c",
                            "cluster": {"server": self.server, "certificate-authority": str(self.ca), **cluster},
                        }
                    ],
                    "users": [{"name": "u", "user": {"token": token}}],
                    "contexts": [{"name": "bed", "context": {"cluster": "c", "user": "u"}}],
                }
            )
        )
        return path

    def writes_by(self, user: str) -> list[dict[str, Any]]:
        """What the audit log says that a user wrote."""
        return [event for event in self.asked_by(user) if event["verb"] not in ("get", "list", "watch")]

    def asked_by(self, user: str) -> list[dict[str, Any]]:
        """All that the audit log says of a user."""
        events = (json.loads(line) for line in self.audit.read_text().splitlines())
        return [event for event in events if event["user"].get("username") == user]

    # --- backends and traffic ----------------------------------------------------------------------------------------

    def backend(self, namespace: str, name: str, address: str) -> None:
        """A Service with a fixed address on which a backend answers with its own name."""
        port = 8080
        handler = type("Named", (_Backend,), {"target": name})
        server = http.server.ThreadingHTTPServer((address, port), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.backends.append(server)
        annotations = {"traefik.io/service.nativelb": "true"}
        self.put(
            "v1",
            "services",
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
                "spec": {"clusterIP": address, "ports": [{"port": port, "targetPort": port}]},
            },
        )

    def send(self, host: str, count: int, proxy: int = 0, path: str = "/") -> dict[str, int]:
        """Send requests one after another; how many each backend answered, or each status where none did."""
        seen: dict[str, int] = {}
        for _ in range(count):
            request = urllib.request.Request(self.proxies[proxy][1] + path, headers={"Host": host})
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    name = answer.headers.get("X-Backend", "?")
            except urllib.error.HTTPError as error:
                name = str(error.code)
            seen[name] = seen.get(name, 0) + 1
        return seen

    def start_traefik(self, *more: str, providers: tuple[str, ...] = ("kubernetesgateway", "kubernetescrd")) -> None:
        """One more Traefik replica on this cluster, with flags of its own."""
        number = len(self.proxies)
        admin = free_port()
        token = self.folder / "traefik-token"
        common = f"endpoint={self.server}", f"token={token}", f"certauthfilepath={self.ca}", "throttleDuration=100ms"
        flags = [f"--providers.{p}.{flag}" for p in providers for flag in common]
        traefik = shutil.which("traefik") or str(Path(sys.executable).parent / "traefik")
        self.spawn(
            f"traefik-{number}",
            traefik,
            f"--entrypoints.web.address=127.0.0.{1 + number}:{self.web_port}",
            f"--entrypoints.traefik.address=127.0.0.1:{admin}",
            "--api.insecure=true",
            "--metrics.prometheus=true",
            "--metrics.prometheus.addrouterslabels=true",
            "--providers.providersThrottleDuration=100ms",
            "--providers.kubernetescrd.allowcrossnamespace=true",
            "--global.checknewversion=false",
            "--global.sendanonymoususage=false",
            *flags,
            *more,
        )
        self.proxies.append((f"http://127.0.0.1:{admin}", f"http://127.0.0.{1 + number}:{self.web_port}"))
        wait_for(lambda: urllib.request.urlopen(f"http://127.0.0.1:{admin}/api/version", timeout=2).status == 200, 15)


class _Backend(http.server.BaseHTTPRequestHandler):
    target = "?"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.target.encode()
        self.send_response(200)
        self.send_header("X-Backend", self.target)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


def wait_for(condition: Any, seconds: float) -> None:
    """Wait until `condition()` is true, or fail."""
    end = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {condition}")
        time.sleep(0.05)


def start(folder: Path, binary: Path) -> Servers:
    """etcd and the API server, with the administrator, a deck that may patch, and a viewer."""
    servers = Servers(folder)
    client, peer, port = free_port(), free_port(), free_port()
    servers.spawn(
        "etcd",
        str(binary),
        "etcd",
        "--data-dir",
        str(folder / "etcd"),
        "--client",
        f"http://127.0.0.1:{client}",
        "--peer",
        f"http://127.0.0.1:{peer}",
    )
    key, public = folder / "sa.key", folder / "sa.pub"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    subprocess.run(["openssl", "rsa", "-in", str(key), "-pubout", "-out", str(public)], check=True, capture_output=True)
    tokens = folder / "tokens.csv"
    tokens.write_text(f'{ADMIN},admin,1,"system:masters"\n{DECK},deck,2,"deck"\n{VIEWER},viewer,3,"viewer"\n')
    (folder / "traefik-token").write_text(ADMIN)
    policy = folder / "audit.yaml"
    policy.write_text(
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"
    )
    servers.audit = folder / "audit.log"
    servers.server = f"https://127.0.0.1:{port}"
    servers.ca = folder / "certs" / "apiserver.crt"
    servers.spawn(
        "apiserver",
        str(binary),
        "apiserver",
        f"--etcd-servers=http://127.0.0.1:{client}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        f"--cert-dir={folder / 'certs'}",
        f"--service-account-key-file={public}",
        f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--token-auth-file={tokens}",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        "--service-cluster-ip-range=127.96.0.0/16",
        "--profiling=false",
        f"--audit-policy-file={policy}",
        f"--audit-log-path={servers.audit}",
    )
    wait_for(lambda: servers.ca.exists() and _ready(servers), 40)
    make_roles(servers)
    servers.web_port = free_port()
    return servers


def _ready(servers: Servers) -> bool:
    try:
        servers.call("GET", "/api/v1/namespaces/default")
        return True
    except urllib.error.HTTPError:
        return False


def make_roles(servers: Servers) -> None:
    """The deck may read and patch, the viewer only read."""
    groups = ["gateway.networking.k8s.io", "traefik.io", "discovery.k8s.io", "argoproj.io"]
    for name, verbs in (("deck", ["get", "list", "watch", "patch"]), ("viewer", ["get", "list", "watch"])):
        rules = [
            {"apiGroups": groups, "resources": ["*"], "verbs": verbs},
            {"apiGroups": ["", "networking.k8s.io"], "resources": ["services", "ingresses"], "verbs": ["get", "list"]},
        ]
        servers.put(
            "rbac.authorization.k8s.io/v1",
            "clusterroles",
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": {"name": f"bed-{name}"},
                "rules": rules,
            },
        )
        servers.put(
            "rbac.authorization.k8s.io/v1",
            "clusterrolebindings",
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": f"bed-{name}"},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"bed-{name}"},
                "subjects": [{"kind": "Group", "name": name, "apiGroup": "rbac.authorization.k8s.io"}],
            },
        )


def install_crds(servers: Servers, gateway: Path, traefik: Path) -> None:
    """Gateway API's and Traefik's definitions."""
    files = sorted((gateway / "config/crd/standard").glob("gateway.networking.k8s.io_*.yaml"))
    files = [file for file in files if "vap_" not in file.name]
    files.append(traefik / "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for file in files:
        for document in yaml.load_all(file.read_text(), Loader=loader):
            if document:
                servers.put("apiextensions.k8s.io/v1", "customresourcedefinitions", document)
    for path in (
        "/apis/gateway.networking.k8s.io/v1/httproutes",
        "/apis/traefik.io/v1alpha1/middlewares",
        "/apis/traefik.io/v1alpha1/ingressroutes",
        "/apis/traefik.io/v1alpha1/traefikservices",
    ):
        wait_for(lambda path=path: _served(servers, path), 20)


def _served(servers: Servers, path: str) -> bool:
    try:
        servers.call("GET", path)
        return True
    except urllib.error.HTTPError:
        return False
