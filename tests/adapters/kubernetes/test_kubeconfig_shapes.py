"""Kubeconfigs of every shape that clouds, tools and people write: used or refused as kubectl uses or refuses them.

Each shape stands here with client-go's verdict; where a real kubectl has been built, it is asked for its own.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import kube_servers
import pytest
import yaml

from adapters.kubernetes.client import kubeconfig
from adapters.kubernetes.client.kubeconfig import load
from adapters.kubernetes.client.proxying import bypassed, environment_proxy
from adapters.kubernetes.finding import find_contexts
from control.errors import DeckError

EXEC = "client.authentication.k8s.io"
SERVER = {"server": "http://127.0.0.1:1"}
TOKEN = {"token": "t"}

USERS: dict[str, tuple[str, bool]] = {
    "token": ("{token: abc}", True),
    "token like a time of day": ("{token: 12:30}", True),
    "token like a date": ("{token: 2020-01-01}", True),
    "token as a number": ("{token: 12345}", False),
    "token as a flag": ("{token: yes}", False),
    "token as a short flag": ("{token: y}", False),
    "token as a list": ("{token: [a]}", False),
    "token is null": ("{token: null, username: a, password: b}", True),
    "token and password": ("{token: a, username: b, password: c}", False),
    "password as a number": ("{username: a, password: 1234}", False),
    "unknown field": ("{token: t, expires: 3}", True),
    "certificate without key": ("{client-certificate-data: YQ==}", False),
    "certificate twice": ("{client-certificate: x, client-certificate-data: YQ==, client-key-data: YQ==}", False),
    "certificate file that is gone": ("{client-certificate: gone.pem, client-key: gone.key}", False),
    "groups as a text": ("{token: t, as: a, as-groups: admins}", False),
    "groups without a user": ("{token: t, as-groups: [admins]}", False),
    "uid as a number": ("{token: t, as: a, as-uid: 5}", False),
    "extras as a text": ("{token: t, as: a, as-user-extra: {scopes: view}}", False),
    "everything impersonated": ("{token: t, as: a, as-uid: '5', as-groups: [g], as-user-extra: {k: [v]}}", True),
    "EKS": (
        f"{{exec: {{apiVersion: {EXEC}/v1beta1, command: /bin/true, args: [eks, get-token, --cluster-name, ml],"
        " env: [{name: AWS_PROFILE, value: ml}], interactiveMode: IfAvailable, provideClusterInfo: false}}",
        True,
    ),
    "GKE": (
        f"{{exec: {{apiVersion: {EXEC}/v1beta1, command: /bin/true, env: null, args: null,"
        " installHint: see the page of the tool, provideClusterInfo: true}}",
        True,
    ),
    "args as a text": (f"{{exec: {{apiVersion: {EXEC}/v1beta1, command: /bin/true, args: get-token}}}}", False),
    "env as an object": (f"{{exec: {{apiVersion: {EXEC}/v1beta1, command: /bin/true, env: {{A: b}}}}}}", False),
    "env with a number": (
        f"{{exec: {{apiVersion: {EXEC}/v1beta1, command: /bin/true, env: [{{name: A, value: 1}}]}}}}",
        False,
    ),
    "cluster info as a text": (
        f'{{exec: {{apiVersion: {EXEC}/v1beta1, command: /bin/true, provideClusterInfo: "true"}}}}',
        False,
    ),
    "exec without a command": (f"{{exec: {{apiVersion: {EXEC}/v1beta1}}}}", False),
    "exec without a version": ("{exec: {command: /bin/true, interactiveMode: Never}}", False),
    "exec v1 without a mode": (f"{{exec: {{apiVersion: {EXEC}/v1, command: /bin/true}}}}", False),
    "exec of a removed version": (
        f"{{exec: {{apiVersion: {EXEC}/v1alpha1, command: /bin/true, interactiveMode: Never}}}}",
        False,
    ),
    "exec that needs a terminal": (
        f"{{exec: {{apiVersion: {EXEC}/v1, command: /bin/true, interactiveMode: Always}}}}",
        False,
    ),
    "exec of an unknown mode": (
        f"{{exec: {{apiVersion: {EXEC}/v1, command: /bin/true, interactiveMode: Maybe}}}}",
        False,
    ),
    "exec and auth-provider": (
        f"{{exec: {{apiVersion: {EXEC}/v1beta1, command: /bin/true}}, auth-provider: {{name: oidc}}}}",
        False,
    ),
    "OIDC": ("{auth-provider: {name: oidc, config: {idp-issuer-url: 'http://127.0.0.1:1', client-id: kube}}}", True),
    "OIDC with a number": ("{auth-provider: {name: oidc, config: {client-id: 5}}}", False),
}
CLUSTERS: dict[str, tuple[str, bool]] = {
    "host and port": ('{server: "127.0.0.1:1"}', True),
    "name and port": ('{server: "localhost:1"}', True),
    "host, port and path": ('{server: "127.0.0.1:1/k8s"}', False),
    "upper case": ('{server: "HTTPS://127.0.0.1:1/"}', True),
    "another scheme": ('{server: "ftp://127.0.0.1:1/"}', False),
    "blank before": ('{server: " https://127.0.0.1:1"}', False),
    "server as a number": ("{server: 5}", False),
    "insecure as a text": ('{server: "https://127.0.0.1:1", insecure-skip-tls-verify: "false"}', False),
    "insecure as a number": ('{server: "https://127.0.0.1:1", insecure-skip-tls-verify: 0}', False),
    "insecure as a word": ('{server: "https://127.0.0.1:1", insecure-skip-tls-verify: yes}', True),
    "insecure with an authority": (
        '{server: "https://127.0.0.1:1", insecure-skip-tls-verify: true, certificate-authority-data: YQ==}',
        False,
    ),
    "authority twice": (
        '{server: "https://127.0.0.1:1", certificate-authority: /etc/hostname, certificate-authority-data: YQ==}',
        False,
    ),
    "authority that is gone": ('{server: "https://127.0.0.1:1", certificate-authority: gone.pem}', False),
    "authority that is no base64": ('{server: "https://127.0.0.1:1", certificate-authority-data: "%%"}', False),
    "authority that is empty": ('{server: "https://127.0.0.1:1", certificate-authority-data: ""}', True),
    "compression as a text": ('{server: "https://127.0.0.1:1", disable-compression: "true"}', False),
    "server name as a number": ('{server: "https://127.0.0.1:1", tls-server-name: 5}', False),
    "extensions as an object": ('{server: "https://127.0.0.1:1", extensions: {a: b}}', False),
    "extensions": ('{server: "https://127.0.0.1:1", extensions: [{name: minikube, extension: {a: b}}]}', True),
    "proxy without a scheme": ('{server: "http://127.0.0.1:1", proxy-url: "127.0.0.1:2"}', False),
    "proxy with a name for a scheme": ('{server: "http://127.0.0.1:1", proxy-url: "proxy:2"}', False),
    "proxy of another scheme": ('{server: "http://127.0.0.1:1", proxy-url: "ftp://127.0.0.1:2"}', False),
    "socks5": ('{server: "https://127.0.0.1:1", proxy-url: "socks5://127.0.0.1:2"}', True),
    "socks5h": ('{server: "https://127.0.0.1:1", proxy-url: "socks5h://127.0.0.1:2"}', False),
}
ONE = 'contexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]\n'
FILES: dict[str, tuple[str, bool]] = {
    "no user": (f"current-context: x\n{ONE}", True),
    "JSON": ('{"current-context":"x","contexts":[{"name":"x","context":{"cluster":"c"}}],'
             '"clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:1"}}]}', True),
    "a byte-order mark": (f"\ufeffcurrent-context: x\n{ONE}", True),
    "a second document": (f"current-context: x\n{ONE}---\ncurrent-context: y\n", True),
    "preferences and version": (f"apiVersion: v1\nkind: Config\npreferences: {{}}\ncurrent-context: x\n{ONE}", True),
    "a list": ("- a\n", False),
    "a text": ("a\n", False),
    "another kind": (f"kind: Pod\napiVersion: v1\ncurrent-context: x\n{ONE}", False),
    "clusters as an object": ("current-context: x\ncontexts: [{name: x, context: {}}]\nclusters: {}\n", False),
    "contexts of texts": ("current-context: x\ncontexts: [x]\n", False),
    "a name twice": (f"current-context: x\n{ONE}users: [{{name: u}}, {{name: u}}]\n", False),
    "a context called 5": ("current-context: 5\n" + ONE.replace("name: x", "name: 5"), False),
    "a context called '5'": ("current-context: '5'\n" + ONE.replace("name: x", "name: '5'"), True),
    "a context that is not there": (f"current-context: z\n{ONE}", False),
}  # fmt: skip


def _shape(name: str) -> tuple[str, bool]:
    """The text of a shape's file, and whether client-go uses it."""
    where, _, key = name.partition(": ")
    if where == "file":
        return FILES[key]
    user, cluster = yaml.safe_dump(TOKEN), yaml.safe_dump(SERVER)
    text, used = USERS[key] if where == "user" else CLUSTERS[key]
    bodies = (text, cluster) if where == "user" else (user, text)
    return (
        "current-context: x\n"
        f"users: [{{name: u, user: {bodies[0] if where == 'user' else '{token: t}'}}}]\n"
        f"clusters: [{{name: c, cluster: {bodies[1] if where == 'cluster' else '{server: https://127.0.0.1:1}'}}}]\n"
        "contexts: [{name: x, context: {cluster: c, user: u}}]\n"
    ), used


SHAPES = [f"user: {key}" for key in USERS] + [f"cluster: {key}" for key in CLUSTERS] + [f"file: {key}" for key in FILES]


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_used_or_refused_as_client_go_does(tmp_path: Path, name: str) -> None:
    text, used = _shape(name)
    path = tmp_path / "config"
    path.write_text(text, encoding="utf-8")
    if used:
        load(str(path), None)
    else:
        with pytest.raises(DeckError) as caught:
            load(str(path), None)
        assert "abc" not in str(caught.value)


@pytest.mark.parametrize("name", SHAPES)
def test_kubectl_says_the_same(tmp_path: Path, name: str) -> None:
    kubectl = kube_servers.bedkube()
    if kubectl is None:
        pytest.skip("the Kubernetes binary is not built")
    text, used = _shape(name)
    path = tmp_path / "config"
    path.write_text(text, encoding="utf-8")
    command = [str(kubectl), "kubectl", "--kubeconfig", str(path), "get", "--raw", "/version"]
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    # A kubeconfig that is used gets as far as running its plugin or dialling its server, on which nobody listens.
    stages = ("was refused", "plugin returned version", "cannot refresh without refresh-token")
    reached = any(stage in done.stderr for stage in stages)
    assert reached is used, done.stderr


@pytest.mark.parametrize(
    ("server", "user", "cluster", "wanted"),
    [
        ("host:6443", TOKEN, {}, "http://host:6443"),
        ("host:6443", TOKEN, {"insecure-skip-tls-verify": True}, "https://host:6443"),
        ("host", TOKEN, {"certificate-authority-data": "YQ=="}, "https://host"),
        ("host", {"client-certificate-data": "YQ==", "client-key-data": "YQ=="}, {}, "https://host"),
        ("https://host/k8s/clusters/c1/", TOKEN, {}, "https://host/k8s/clusters/c1"),
    ],
)
def test_a_server_without_a_scheme(tmp_path: Path, server: str, user: Any, cluster: Any, wanted: str) -> None:
    path = tmp_path / "config"
    document = {
        "current-context": "x",
        "users": [{"name": "u", "user": user}],
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(document))
    assert load(str(path), None).cluster.server == wanted


def test_files_of_a_list_may_be_empty_and_hold_a_part_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "empty": "",
        "blank": "\n# nothing yet\n",
        "users": "users: [{name: u, user: {token: first}}]\n",
        "rest": "current-context: x\nusers: [{name: u, user: {username: a, password: b}}]\n"
        'clusters: [{name: c, cluster: {server: "https://h", certificate-authority: ca.pem}}]\n',
        "contexts": "contexts: [{name: x, context: {cluster: c, user: u, namespace: ml}}]\n",
    }
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "ca.pem").write_bytes(b"pem")
    for name, text in texts.items():
        (folder / name).write_text(text)
    listed = os.pathsep.join(str(folder / name) for name in [*texts, "missing"])
    monkeypatch.setenv("KUBECONFIG", listed)
    context = load(None, None)
    assert (context.user.token, context.user.username, context.namespace) == ("first", None, "ml")
    assert context.cluster.authority == b"pem"
    monkeypatch.delenv("KUBECONFIG")
    assert load(listed, "x").user.token == "first"  # a deck file may name several, too


def test_impersonation_is_sent_whole(tmp_path: Path) -> None:
    path = tmp_path / "config"
    user = "{token: t, as: jo, as-uid: '7', as-groups: [a, b], as-user-extra: {example.org/dept%: [v1, v2]}}"
    path.write_text(f"current-context: x\n{ONE}users: [{{name: u, user: {user}}}]\n".replace("c}}", "c, user: u}}"))
    assert load(str(path), None).user.impersonate == (
        ("Impersonate-User", "jo"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Extra-example.org%2Fdept%25", "v1"),
        ("Impersonate-Extra-example.org%2Fdept%25", "v2"),
    )


@pytest.mark.parametrize(
    ("host", "port", "no_proxy", "bypasses"),
    [
        ("10.1.2.3", 443, "10.0.0.0/8", True),
        ("11.1.2.3", 443, "10.0.0.0/8", False),
        ("fd00::1", 443, "fd00::/8", True),
        ("10.1.2.3", 443, "10.1.2.3:443", True),
        ("10.1.2.3", 6443, "10.1.2.3:443", False),
        ("api.example.org", 443, "example.org", True),
        ("example.org", 443, ".example.org", False),
        ("api.example.org", 443, "*.example.org", True),
        ("api.example.org", 6443, "example.org:443", False),
        ("badexample.org", 443, "example.org", False),
        ("API.Example.ORG", 443, " a.b , example.org ", True),
        ("anything", 443, "a,*", True),
        ("127.9.9.9", 443, "", True),
        ("localhost", 443, "", True),
        ("::1", 443, "", True),
        ("10.1.2.3", 443, "10.0.0.0/99,,:80", False),
    ],
)
def test_no_proxy_as_go_reads_it(host: str, port: int, no_proxy: str, bypasses: bool) -> None:
    assert bypassed(host, port, no_proxy) is bypasses


def test_the_environments_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("ALL_PROXY", "http://nobody:1")  # client-go does not know it
    assert environment_proxy("https://10.1.1.1:6443") is None
    monkeypatch.setenv("https_proxy", "proxy.test:3128")
    assert environment_proxy("https://10.1.1.1:6443") == "http://proxy.test:3128"
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.test:1080")
    assert environment_proxy("https://10.1.1.1:6443") == "socks5://proxy.test:1080"
    assert environment_proxy("http://10.1.1.1:6443") is None
    monkeypatch.setenv("HTTPS_PROXY", "ftp://user:s3cret@proxy.test")
    with pytest.raises(DeckError) as caught:
        environment_proxy("https://10.1.1.1:6443")
    assert "s3cret" not in str(caught.value)


def test_init_finds_contexts_whose_clusters_are_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "clusters": 'clusters: [{name: c, cluster: {server: "https://h"}}]\nusers: [{name: u, user: {token: t}}]\n',
        "contexts": "contexts: [{name: x, context: {cluster: c, user: u, namespace: ml}}]\n",
        "whole": 'clusters: [{name: d, cluster: {server: "https://d"}}]\n'
        "contexts: [{name: two, context: {cluster: d}}]\n",
        "empty": "",
        "broken": "contexts: {z: {}}\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(str(tmp_path / name) for name in [*texts, "missing"]))
    found = find_contexts(tmp_path)
    together = os.pathsep.join(str(tmp_path / name) for name in ("clusters", "contexts", "whole", "empty"))
    assert found == [
        {"context": "x", "namespace": "ml", "kubeconfig": together},
        {"context": "two", "kubeconfig": str(tmp_path / "whole")},
    ]
    monkeypatch.delenv("KUBECONFIG")
    for one in found:
        assert load(one["kubeconfig"], one["context"]).cluster.server.startswith("https://")
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text(texts["whole"])
    assert find_contexts(tmp_path) == [{"context": "two"}]


def test_a_pod_without_a_kubeconfig_is_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"token": "abc\n", "ca.crt": "pem", "namespace": "ml"}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(kubeconfig, "SERVICE_ACCOUNT", tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(DeckError):
        load(None, None)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    context = load(None, None)
    assert (context.cluster.server, context.cluster.authority) == ("https://[fd00::1]:443", b"pem")
    assert (context.user.token_file, context.namespace) == (tmp_path / "token", "ml")
    with pytest.raises(DeckError):
        load(None, "a-context")
    with pytest.raises(DeckError):
        load(str(tmp_path / "missing"), None)
