"""Plans as files on the command line: where they are put, what of them is believed, what has to be typed again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from control.serialiser import canonical
from tui.__main__ import run

ROUTE = "lab/NginxUpstream/lab-1/llama-next"
PRODUCTION = "gpu-eu/NginxUpstream/*/mistral"
A, B = "10.8.1.91:8000", "10.8.1.92:8000"


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, Any, str]]:
    """(exit code, the document on stdout, stderr) of a command line."""
    monkeypatch.setenv("TRAFFICDECK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("TRAFFICDECK_DECK", "demo:")
    monkeypatch.setenv("NO_COLOR", "1")

    def command(*words: str) -> tuple[int, Any, str]:
        code = run([*words, "-o", "json"])
        out, err = capsys.readouterr()
        return code, json.loads(out), err

    return command


Cli = Callable[..., tuple[int, Any, str]]


def saving(path: Path, *more: str) -> tuple[str, ...]:
    return ("set", "shares", ROUTE, f"{A}=70%", f"{B}=30%", "--out", str(path), *more)


def test_a_saved_plan_is_for_its_owner_alone_and_replaces_a_plan(cli: Cli, tmp_path: Path) -> None:
    saved = tmp_path / "plan.json"
    before = os.umask(0)
    try:
        assert cli(*saving(saved))[0] == 2
    finally:
        os.umask(before)
    assert saved.stat().st_mode & 0o777 == 0o600
    saved.chmod(0o644)
    first = json.loads(saved.read_text())["plan"]
    assert cli(*saving(saved))[0] == 2
    assert json.loads(saved.read_text())["plan"] != first and saved.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name != "state"] == ["plan.json"]


@pytest.mark.parametrize(
    "what", ["a link", "a link to a plan", "a dangling link", "a file", "a folder", "a pipe", "empty"]
)
def test_nothing_but_a_plan_is_replaced_and_no_link_followed(cli: Cli, tmp_path: Path, what: str) -> None:
    target, other = tmp_path / "plan.json", tmp_path / "other"
    other.write_text("precious: true\n")
    if what == "a link to a plan":
        other.unlink()
        cli(*saving(other))
    if what.startswith("a link"):
        target.symlink_to(other)
    elif what == "a dangling link":
        target.symlink_to(tmp_path / "nowhere")
    elif what == "a folder":
        target.mkdir()
    elif what == "a pipe":
        os.mkfifo(target)
    else:
        target.write_text("" if what == "empty" else "precious: true\n")
    was = other.read_bytes()
    for words in (saving(target), (*saving(target)[:-2], "--add-to", str(target))):
        if words[-2] == "--add-to" and what in ("a pipe", "a link to a plan"):
            continue
        code, document, _ = cli(*words)
        assert code == 1 and document["error"]["kind"] == "usage"
    assert other.read_bytes() == was and not (tmp_path / "nowhere").exists()
    assert what in ("a link", "a link to a plan", "a dangling link", "a folder", "a pipe") or target.read_text() != "{"


def forge(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Alter a saved plan and seal it anew, as anybody can."""
    document = json.loads(path.read_text())
    change(document)
    content = {key: value for key, value in document.items() if key != "sha256"}
    path.write_text(json.dumps(document | {"sha256": hashlib.sha256(canonical(content)).hexdigest()}))


def test_a_forged_plan_is_stale_with_what_differs(cli: Cli, tmp_path: Path) -> None:
    saved = tmp_path / "plan.json"
    cli(*saving(saved))
    forge(saved, lambda document: document["steps"][0].update(diff="- harmless\n+ harmless too"))
    code, document, err = cli("apply", str(saved))
    assert code == 3 and document["outcome"] == "refused" and document["steps"][0]["reason"]["kind"] == "stale"
    assert "the file says '- harmless'" in err
    assert [t["weight"] for t in cli("get", "route", ROUTE)[1]["targets"]] == [1, 1]


def test_overrides_are_named_asked_for_again_and_printed(cli: Cli, tmp_path: Path) -> None:
    saved = tmp_path / "a plan.json"
    wish = ("10.8.1.21:8000=5%", "10.8.1.22:8000=95%")
    code, plan, err = cli("set", "shares", PRODUCTION, *wish, "--override", "maximum_move", "--out", str(saved))
    assert code == 2 and plan["overrides"] == ["maximum_move"] and "--override maximum_move" in err
    code, document, err = cli("apply", str(saved), "--confirm", "gpu-eu", "--reason", "it is time")
    assert code == 3 and document["steps"][0]["reason"]["kind"] == "guard"
    command = f"trafficdeck apply '{saved}' --override maximum_move --confirm gpu-eu --reason 'it is time'"
    assert command in err
    code, document, err = cli(
        "apply", str(saved), "--override", "maximum_move", "--confirm", "gpu-eu", "--reason", "it is time"
    )
    assert code == 0 and "warn maximum_move: overridden" in err


def test_effective_limits_are_printed_when_a_plan_is_applied(cli: Cli, tmp_path: Path) -> None:
    saved = tmp_path / "plan.json"
    cli("set", "limit", "lab/NginxLimitReq/lab-1/llama-next_keys", "rate=20/s", "--out", str(saved))
    code, _, err = cli("apply", str(saved))
    assert code == 0 and "really, on lab/" in err
