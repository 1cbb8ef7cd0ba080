"""The commands and the journal: lists in pages, and what it does not tell is said as unknown, never as none."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from control.contract.schemas import schema
from tests.bench.journals import fill
from tui.__main__ import run

ROUTE = "lab/NginxUpstream/lab-1/llama-next"
A, B = "10.8.1.91:8000", "10.8.1.92:8000"


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRAFFICDECK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("TRAFFICDECK_DECK", "demo:")
    monkeypatch.setenv("NO_COLOR", "1")
    path = tmp_path / "state" / "demo" / "journal.db"
    path.parent.mkdir(parents=True)
    return path


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any, str]:
    """(exit code, the document on stdout, stderr)."""
    code = run([*words, "-o", "json"])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def test_history_is_a_page_and_says_what_it_leaves_out(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(journal, 250)
    code, document, err = answer(capsys, "history")
    Draft202012Validator(schema("history")).validate(document)
    assert code == 0 and len(document["items"]) == 200 and document["older"] == 50
    assert "50 older changes are not listed" in err and "--before 000050-filled" in err
    assert [len(answer(capsys, "history", *w)[1]["items"]) for w in (("--limit", "all"), ("--limit", "7"))] == [250, 7]
    code, document, err = answer(capsys, "history", "--before", "000050-filled")
    assert [item["change"] for item in document["items"]][:1] == ["000049-filled"] and "older" not in document
    assert "older" not in err
    assert len(answer(capsys, "history", "--since", "31m")[1]["items"]) == 6


def test_verify_from(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(journal, 5)
    code, document, _ = answer(capsys, "journal", "verify", "--from", "10")
    assert code == 0 and document["ok"] and document["entries"] == 16
    assert answer(capsys, "journal", "verify", "--from", document["head"])[0] == 0
    code, document, _ = answer(capsys, "journal", "verify", "--from", "f" * 64)
    assert code == 1 and document["error"]["kind"] == "not_found"


def damage(journal: Path) -> None:
    journal.write_bytes(b"SQLite format 3\0" + b"\xff" * 8000)


def later_version(journal: Path) -> None:
    fill(journal, 3)
    with sqlite3.connect(journal) as connection:
        connection.execute("PRAGMA user_version = 7")


def later_record(journal: Path) -> None:
    from control.journal.sqlite.chain import SqliteJournal

    fill(journal, 3)
    SqliteJournal(journal).append("ramp", "260101-000000-aaaa", {"stages": [10, 50]})


@pytest.mark.parametrize("harm", [damage, later_version, later_record])
def test_what_the_journal_does_not_tell_is_not_known(
    journal: Path, capsys: pytest.CaptureFixture[str], harm: Any
) -> None:
    harm(journal)
    for words in (("get", "environments"), ("get", "limits"), ("oncall",)):
        code, document, err = answer(capsys, *words)
        assert code in (0, 4) and "changes are not known" in err
    assert document["changes_unknown"] and (harm is later_record or document["changes"] != [])
    code, document, err = answer(capsys, "history")
    assert code == (4 if harm is later_record else 1)
    assert "items" not in document or document["unreachable"]
    code, _, _ = answer(capsys, "set", "shares", ROUTE, f"{A}=70%", f"{B}=30%")
    assert code == 2
    code, document, err = answer(capsys, "set", "shares", ROUTE, f"{A}=70%", f"{B}=30%", "--apply", "--reason", "x")
    assert code == 1 and document["outcome"] == "refused" and document["steps"][0]["reason"]["kind"] == "journal"
    _, route, _ = answer(capsys, "get", "route", ROUTE)
    assert [target["weight"] for target in route["targets"]] == [1, 1]
    code, document, _ = answer(capsys, "doctor")
    assert code == 1
    assert any(one["check"] == "journal" and "not known" in one["detail"] for one in document["items"])


def test_the_table_never_says_none(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later_record(journal)
    run(["oncall", "-o", "table"])
    out, err = capsys.readouterr()
    assert "changes are not known" in out + err
