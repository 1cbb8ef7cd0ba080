"""The parts of the bed that judge others have to be right themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bed import build, setup, system
from tests.bed.auditlog import Follower
from tests.bed.awsproxy import Request
from tests.bed.errors import BedError
from tests.bed.fleet import MARKER, Fleet, claim
from tests.bed.inotify import Watch
from tests.bed.processes import Ledger, start_ticks
from tests.bed.socketlog import writes_in
from tests.bed.waiting import until
from tests.bed.writelog import WriteLog


@pytest.mark.parametrize(
    ("line", "writes"),
    [
        ("show stat", []),
        ("show info;show servers state", []),
        ("set server be/a weight 5", ["set server be/a weight 5"]),
        ("show info;set maxconn server be/a 4; get weight be/a", ["set maxconn server be/a 4"]),
        ("@1 show proc", []),
        ("@!17 disable server be/a", ["@!17 disable server be/a"]),
        ("reload", ["reload"]),
        ("prompt", []),
        ("@1", []),
    ],
)
def test_socket_log_tells_questions_from_commands(line: str, writes: list[str]) -> None:
    assert writes_in(line) == writes


def test_inotify_sees_a_replaced_file_and_a_new_folder(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    (tmp_path / ".new").write_text("x")
    (tmp_path / ".new").rename(tmp_path / "nginx.conf")
    (tmp_path / "conf.d").mkdir()
    seen = list(watch.read())
    (tmp_path / "conf.d" / "a.conf").write_text("y")
    seen += list(watch.read())
    assert ("moved_to", tmp_path / "nginx.conf") in seen
    assert ("create", tmp_path / "conf.d" / "a.conf") in seen


def test_inotify_is_silent_about_reading(tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text("x")
    watch = Watch(tmp_path)
    (tmp_path / "nginx.conf").read_text()
    os.stat(tmp_path / "nginx.conf")
    assert list(watch.read()) == []


def test_audit_events_become_write_lines(tmp_path: Path) -> None:
    event = {
        "stageTimestamp": "2026-01-01T00:00:00.500000Z",
        "user": {"username": "somebody"},
        "verb": "patch",
        "requestURI": "/apis/x/namespaces/inference/httproutes/llama?dryRun=All",
        "objectRef": {"resource": "httproutes", "apiGroup": "x", "namespace": "inference", "name": "llama"},
    }
    follower = Follower(tmp_path / "audit.log", WriteLog(tmp_path / "writes.jsonl"))
    follower.look()
    text = json.dumps(event)
    (tmp_path / "audit.log").write_text(text + "\n" + text[:20])
    follower.look()
    assert [json.loads(line) for line in (tmp_path / "writes.jsonl").read_text().splitlines()] == [
        {"at": 1767225600.5, "by": "somebody", "verb": "patch", "object": "httproutes.x/inference/llama?dryRun=All"}
    ]


def _request(method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Request:
    credential = "AWS4-HMAC-SHA256 Credential=KEY/20260101/eu-central-1/lambda/aws4_request, SignedHeaders=host"
    return Request(method, path, {"authorization": credential, **(headers or {})}, body, b"")


def test_aws_proxy_names_operations_and_tells_writes() -> None:
    update = _request("PUT", "/2015-03-31/functions/chat/aliases/live")
    assert (update.caller, update.service, update.operation, update.writes) == ("KEY", "lambda", "UpdateAlias", True)
    assert not _request("GET", "/2015-03-31/functions/").writes
    assert not _request("POST", "/", {"x-amz-target": "CodeDeploy_20141006.ListDeployments"}).writes
    assert not _request("POST", "/service/Granite/operation/GetMetricData").writes
    assert _request("POST", "/", {"x-amz-target": "CodeDeploy_20141006.StopDeployment"}).writes
    form = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert not _request("POST", "/", form, b"Action=GetCallerIdentity&Version=2011-06-15").writes


def test_ledger_ends_what_it_started_and_nothing_else(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ours = ledger.start("sleeper", ["sleep", "60"])
    with subprocess.Popen(["sleep", "60"]) as other:
        ticks = start_ticks(other.pid)
        assert ticks is not None
        with ledger.path.open("a") as out:
            out.write(json.dumps({"name": "reused pid", "pid": other.pid, "start_ticks": ticks + 1}) + "\n")
            out.write('{"name": "cut sho')
        assert ledger.end_all() == []
        assert other.poll() is None
        other.kill()
    assert ours.wait(5) == -9


def test_bed_takes_only_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(BedError, match="no bed's"):
        claim(tmp_path)
    assert (tmp_path / "thesis.txt").exists()
    own = tmp_path / "own"
    claim(own)
    assert (own / MARKER).exists()
    ledger = Ledger(own)
    child = ledger.start("sleeper", ["sleep", "60"])
    with pytest.raises(BedError, match="a bed runs"):
        claim(own)
    ledger.end_all()
    child.wait(5)
    (own / "old.yaml").write_text("x")
    claim(own)
    assert not (own / "old.yaml").exists()


def test_waits_are_bounded() -> None:
    with pytest.raises(BedError, match="the moon did not come"):
        until("the moon", lambda: False, seconds=0.1)


def test_binary_is_kept_by_what_goes_into_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "kube"
    source.mkdir()
    for name in build.INPUTS:
        (source / name).write_text(name)
    monkeypatch.setattr(build, "SOURCE", source)
    monkeypatch.setenv("TRAFFICDECK_BED_CACHE", str(tmp_path / "cache"))
    before = build.binary_path()
    (source / "go.sum").write_text("other")
    assert build.binary_path() != before


def test_binary_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    go = tmp_path / "go"
    go.write_text(
        f"#!{sys.executable}\n"
        "import sys, pathlib\n"
        f"open({str(calls)!r}, 'a').write('x')\n"
        "out = pathlib.Path(sys.argv[sys.argv.index('-o') + 1])\n"
        "out.write_text('binary'); out.chmod(0o755)\n"
    )
    go.chmod(0o755)
    monkeypatch.setenv("TRAFFICDECK_BED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "find_go", lambda: go)
    assert build.build() == build.build() == build.binary_path()
    assert build.binary_path().read_text() == "binary"
    assert calls.read_text() == "x"


def test_failed_build_leaves_no_binary_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho 'main.go:1: no such thing' >&2\nexit 1\n")
    go.chmod(0o755)
    monkeypatch.setenv("TRAFFICDECK_BED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "find_go", lambda: go)
    with pytest.raises(BedError, match="no such thing"):
        build.build()
    assert not build.is_built()


def test_no_service_starts_while_packages_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(setup, "POLICY", policy)
    with pytest.raises(RuntimeError), setup.no_service_starts():
        assert subprocess.run([str(policy)], check=False).returncode == 101
        raise RuntimeError
    assert not policy.exists()
    policy.write_text("the administrator's own")
    with setup.no_service_starts():
        pass
    assert policy.read_text() == "the administrator's own"


def test_missing_packages_are_listed_where_they_cannot_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "is_root", lambda: False)
    with pytest.raises(BedError, match="apt-get install -y --no-install-recommends haproxy tmux"):
        setup.install(["haproxy", "tmux"])


def test_a_plane_that_the_bed_cannot_start_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "why_not", lambda: "")
    for name, why in (("flux", "no part for Flux yet"), ("fluxx", "there is no plane 'fluxx'; there are crds")):
        with pytest.raises(BedError, match=why):
            Fleet(tmp_path / "bed", ("crds", name))
    assert not (tmp_path / "bed").exists()
