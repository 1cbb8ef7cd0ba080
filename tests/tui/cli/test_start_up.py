"""The command line starts quickly, because it imports nothing that it does not need."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tui.__main__ import _open_plane, _session
from tui.cli.arguments import Options, parse

HEAVY = ("textual", "boto3", "botocore", "paramiko", "kubernetes", "jsonschema", "keyring")
LOOK = """
import io, sys
out, sys.stdout = sys.stdout, io.StringIO()
from tui.__main__ import run
code = run(sys.argv[1:])
out.write(" ".join([str(code), *sys.modules]))
"""


def imported(state: Path, *words: str) -> tuple[int, set[str]]:
    """The exit code of a command line and the modules that it imported."""
    environment = {**os.environ, "TRAFFICDECK_STATE_DIR": str(state), "TRAFFICDECK_DECK": "demo:"}
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *words], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    code, *modules = done.stdout.split()
    return int(code), set(modules)


@pytest.mark.parametrize("words", [
    ("get", "environments", "kind:none"), ("get", "routes"), ("get", "limits", "-o", "json"), ("history",),
    ("journal", "verify"), ("schema", "route"), ("completion", "bash"), ("set", "shares", "nowhere", "a=1"),
    ("get", "route", "gpu-eu/NginxUpstream/*/llama"), ("apply", "missing.json"),
])  # fmt: skip
def test_commands_import_nothing_heavy(tmp_path: Path, words: tuple[str, ...]) -> None:
    _, modules = imported(tmp_path, *words)
    assert not modules & set(HEAVY)


REF = "gpu-eu/NginxUpstream/*/llama"


@pytest.mark.parametrize(("line", "may"), [
    ("get routes", False), ("doctor", False), ("resolve", False), ("history", False), ("journal verify", False),
    (f"set shares {REF} a=1", False), (f"set shares {REF} a=1 --apply", True), ("plan e.yaml", False),
    ("plan e.yaml --apply", True), ("undo", False), ("undo --apply", True), ("apply p.json", True),
    ("--read-only apply p.json", False), ("undo --apply --read-only", False),
    ("plan e.yaml --apply --read-only", False),
])  # fmt: skip
def test_a_writer_can_be_made_only_where_a_write_is_asked_for(tmp_path: Path, line: str, may: bool) -> None:
    options = parse(line.split())
    options.deck = "demo:"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAFFICDECK_STATE_DIR", str(tmp_path))
        plane = _open_plane(options)
    assert plane.read_only is not may


def test_the_demo_has_a_folder_of_its_own_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAFFICDECK_STATE_DIR", str(tmp_path / "state"))
    session = _session(Options(command="demo", deck="demo:"))
    assert session.state_folder == tmp_path / "state" / "demo" and session.state_folder.is_dir()


def test_the_help_of_apply_says_that_it_applies_without_being_told(capsys: pytest.CaptureFixture[str]) -> None:
    for words, says in (("apply", "not needed here"), ("undo", "without this the plan is shown")):
        with pytest.raises(SystemExit):
            parse([words, "--help"])
        told = " ".join(capsys.readouterr().out.split())
        assert says in told, told


@pytest.mark.pty
@pytest.mark.parametrize("words", [(), ("demo",), ("oncall",)])
def test_a_terminal_that_moves_no_cursor_gets_one_sentence(tmp_path: Path, words: tuple[str, ...]) -> None:
    environment = {**os.environ, "TERM": "dumb", "TRAFFICDECK_STATE_DIR": str(tmp_path), "TRAFFICDECK_DECK": "demo:"}
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "tui", *words]
    done = subprocess.Popen(command, env=environment, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    output = b""
    with contextlib.suppress(OSError):
        while data := os.read(master, 65536):
            output += data
    os.close(master)
    assert done.wait(30) == 1
    assert b"TERM=dumb" in output and b"\x1b" not in output and len(output.splitlines()) <= 3
