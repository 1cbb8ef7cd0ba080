"""The fleet as a stranger meets it: everything that `bed.json` says is true."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.bed.description import Bed
from tests.bed.faults import full_disk
from tests.bed.processes import name_of

pytestmark = pytest.mark.bed


def ask(url: str, host: str, times: int, headers: dict[str, str] | None = None) -> Counter[str]:
    """How often each `X-Backend` answered; refused requests under their status."""
    parts = urlsplit(url)
    found: Counter[str] = Counter()
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    for _ in range(times):
        connection.request("GET", parts.path, headers={"Host": host, **(headers or {})})
        answer = connection.getresponse()
        answer.read()
        found[answer.headers["X-Backend"] if answer.status == 200 else str(answer.status)] += 1
    connection.close()
    return found


def lines(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_every_route_answers_by_its_targets_and_is_under_no_limit(bed: Bed) -> None:
    for route in bed.routes:
        assert set(ask(route.url, route.host, 60, route.headers)) == set(route.targets), route.ref


@pytest.mark.clock
def test_every_limit_refuses_and_a_fresh_key_has_a_full_bucket(bed: Bed) -> None:
    for limit in bed.limits:
        assert limit.fresh_key_header is not None
        for url in limit.urls:
            for _ in range(2):
                found = ask(url, limit.host, 40, {limit.fresh_key_header: uuid4().hex, **limit.headers})
                refused = found[str(limit.reject_status)]
                assert 0 < refused < 30, (limit.ref, url, found)


def test_every_process_runs_under_its_name(bed: Bed) -> None:
    expected = {"nginx": "nginx", "haproxy": "haproxy", "sshd": "sshd", "traefik": "traefik", "apiserver": "bedkube"}
    for process in bed.processes:
        command = name_of(process.pid)
        assert command, process.name
        kind = process.name.partition("/")[0]
        assert command == expected.get(kind, command), process.name


def test_hosts_see_only_themselves(bed: Bed) -> None:
    for entry in bed.hosts:
        argv = ["ssh", "-F", str(bed.dir / "ssh" / "config"), entry.host, "hostname; ps -eo comm; ls /etc/nginx"]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()
        assert said[0] == entry.host
        assert entry.proxy in said
        assert ({"nginx": "haproxy", "haproxy": "nginx"}[entry.proxy]) not in said
        assert ("nginx.conf" in said) == (entry.proxy == "nginx")


def test_reload_from_outside_starts_new_workers(bed: Bed) -> None:
    for entry in bed.hosts:
        assert subprocess.run(entry.reload, timeout=20, check=False).returncode == 0, entry.host
    time.sleep(0.5)
    test_every_route_answers_by_its_targets_and_is_under_no_limit(bed)


def test_deck_user_may_edit_routes_and_no_more_and_shows_in_the_write_log(bed: Bed) -> None:
    from tests.bed import build

    entry = next(entry for entry in bed.kubernetes if entry.environment == "us")
    kubeconfig = bed.dir / "kube" / "us" / f"{entry.user}.kubeconfig"

    def kubectl(*words: str) -> int:
        argv = [str(build.binary_path()), "kubectl", "--kubeconfig", str(kubeconfig), "-n", "inference", *words]
        return subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode

    before = len(lines(Path(entry.write_log)))
    assert kubectl("get", "httproutes") == 0
    assert kubectl("auth", "can-i", "patch", "httproutes.gateway.networking.k8s.io") == 0
    assert kubectl("get", "secrets") != 0
    assert kubectl("delete", "httproute", "llama") != 0
    assert kubectl("annotate", "httproute", "llama", "note=x", "--overwrite") == 0
    time.sleep(0.5)
    ours = [line for line in lines(Path(entry.write_log))[before:] if line["by"] == entry.user]
    assert [line["verb"] for line in ours] == ["delete", "patch"]
    assert ours[1]["object"] == "httproutes.gateway.networking.k8s.io/inference/llama"


def test_ssh_host_with_a_full_disk_takes_no_more_bytes(bed: Bed) -> None:
    config = ["ssh", "-F", str(bed.dir / "ssh" / "config"), "web-2"]
    write = "head -c 9000 /dev/zero > /etc/nginx/.more"
    with full_disk(bed, "web-2"):
        done = subprocess.run([*config, write], capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode != 0
        assert "No space left" in done.stderr
        assert subprocess.run([*config, "test -s /etc/nginx/nginx.conf"], timeout=20, check=False).returncode == 0
    assert not (Path(bed.host("web-2").config).parent / ".more").exists()
