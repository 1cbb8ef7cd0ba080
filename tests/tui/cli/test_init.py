"""`trafficdeck init` in a home folder of its own: what it finds, what it writes, and what it leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.registry import sections
from control.deck.reading import parse_deck, read_deck

KUBECONFIG = """
apiVersion: v1
kind: Config
contexts:
- {name: prod-eu, context: {cluster: eu, user: admin, namespace: inference}}
- {name: lab, context: {cluster: lab, user: admin}}
- {name: "evil\\e]0;owned\\a", context: {cluster: lab, user: admin}}
users:
- {name: admin, user: {token: SECRET-TOKEN}}
"""
SSH = """
Include conf.d/*
Host *
  ForwardAgent no
Host gpu-01	gpu-02 gpu-03 # behind the "old" one
  HostName 10.0.0.1
Host github.com
  User git
Host=bastion !other web-?
Host lonely
  Include below/*
"""
AWS = "[default]\nregion = eu-central-1\n[profile ml-prod]\nregion = us-east-1\nsso_session = s\n[profile nowhere]\n"
CREDENTIALS = "[default]\naws_access_key_id = AKIASECRET\naws_secret_access_key = SECRET-KEY\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name, text in (
        (".kube/config", KUBECONFIG),
        (".ssh/config", SSH),
        (".ssh/conf.d/edge", "Host edge-1\n"),
        (".ssh/below/more", "Host never-alone\n"),
        (".aws/config", AWS),
        (".aws/credentials", CREDENTIALS),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def init(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "tui", "init", *words],
        env={**kept, "HOME": str(home), "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
    )


def test_what_is_there_becomes_a_deck_that_reads(home: Path) -> None:
    done = init(home)
    assert done.returncode == 0, done.stderr
    path = home / ".config" / "trafficdeck" / "deck.yaml"
    assert path.read_text() == done.stdout and path.stat().st_mode & 0o777 == 0o600
    deck = read_deck(path, sections())
    by_name = {environment.name: environment for environment in deck.environments}
    assert set(by_name) == {"prod-eu", "lab", "edge-1", "gpu", "bastion", "lonely", "default", "ml-prod"}
    assert {name for name, environment in by_name.items() if environment.production} == {"prod-eu", "ml-prod"}
    assert (by_name["prod-eu"].code, by_name["ml-prod"].code) == ("eu", "ml")
    assert "SECRET" not in done.stdout + done.stderr
    assert "profile 'nowhere' has no region" in done.stderr


def test_the_template_of_own_kinds_reads_once_its_marks_are_taken_off(home: Path) -> None:
    text = init(home, "--dry-run").stdout
    before, _, template = text.partition("# kinds:\n")
    assert "'trafficdeck schema kinds'" in before and template
    lines = [line.removeprefix("# ") for line in ("# kinds:\n" + template).splitlines()]
    [environment, *_] = parse_deck(before + "\n".join(lines), Path("deck.yaml"), sections()).environments
    assert [kind.kind for kind in environment.kinds] == ["SplitRoute", "KeyQuota"]
    (home / ".kube" / "config").unlink()
    assert "kinds:" not in init(home, "--dry-run").stdout


def test_a_deck_file_is_never_overwritten(home: Path) -> None:
    deck = home / "deck.yaml"
    deck.write_text("mine")
    for words in ((), ("--dry-run",)):
        done = init(home, "--deck", str(deck), *words)
        assert done.returncode == 1 and "stays as it is" in done.stderr
        assert deck.read_text() == "mine"


def test_a_dry_run_and_read_only_write_nothing(home: Path) -> None:
    shown = init(home, "--dry-run", "-o", "json")
    document = json.loads(shown.stdout)
    assert shown.returncode == 0 and document["written"] is False
    assert {"section": "ssh", "host": "gpu-02"} in document["found"]
    refused = init(home, "--read-only")
    assert refused.returncode == 3
    assert not (home / ".config").exists()


def test_where_nothing_is_found_the_demo_is_named(tmp_path: Path) -> None:
    done = init(tmp_path)
    assert done.returncode == 1 and "trafficdeck demo" in done.stderr and done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_first_start_names_init_and_the_demo(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui", "get", "routes"],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1 and "trafficdeck init" in done.stderr and "trafficdeck demo" in done.stderr
