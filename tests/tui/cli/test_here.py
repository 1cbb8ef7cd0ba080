"""What doctor says of the machine itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.cli.here import checks


def found(environment: dict[str, str], state: Path) -> dict[str, tuple[str, str]]:
    return {check.check: (check.state, f"{check.detail} {check.hint}") for check in checks(environment, state)}


def test_a_usual_machine_has_nothing_to_complain_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "sh")
    monkeypatch.delenv("VISUAL", raising=False)
    told = found({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, tmp_path / "not" / "yet")
    assert {state for state, _ in told.values()} == {"ok"}, told
    assert set(told) == {"terminal", "colours", "characters", "clipboard", "editor", "state"}


def test_what_is_missing_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "no-such-editor --wait")
    monkeypatch.delenv("VISUAL", raising=False)
    told = found({"TERM": "linux", "TMUX": "/tmp/x"}, tmp_path)
    assert told["editor"] == ("warn", "'no-such-editor' is not found set EDITOR for the key E")
    assert "sixteen" in told["colours"][1] and "set-clipboard" in told["clipboard"][1]
    assert "mono" in found({"NO_COLOR": "1"}, tmp_path)["colours"][1]
    monkeypatch.setattr("os.access", lambda *_: False)
    assert found({}, tmp_path)["state"][0] == "fail"
