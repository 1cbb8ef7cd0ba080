"""The command-line contract on the demo fleet: exit codes, and stdout that holds the result alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from control.contract.schemas import schema
from tui.__main__ import run

ROUTE = "lab/NginxUpstream/lab-1/llama-next"
PRODUCTION = "gpu-eu/NginxUpstream/*/mistral"
LIMIT = "lab/NginxLimitReq/lab-1/llama-next_keys"
A, B = "10.8.1.91:8000", "10.8.1.92:8000"


class Cli:
    """Runs command lines in this process, on a demo fleet of its own."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        code = run(list(words))
        self.out, self.err = self.capsys.readouterr()
        return code

    def json(self, name: str, *words: str, code: int = 0) -> Any:
        """The document of a command, held against the schema called `name`."""
        assert self(*words, "-o", "json") == code, (self.out, self.err)
        document = json.loads(self.out)
        Draft202012Validator(schema(name)).validate(document)
        return document

    def weights(self, ref: str = ROUTE) -> dict[str, Any]:
        return {t["name"]: t["weight"] for t in self.json("route", "get", "route", ref)["targets"]}


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    monkeypatch.setenv("TRAFFICDECK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("TRAFFICDECK_DECK", "demo:")
    monkeypatch.setenv("NO_COLOR", "1")
    return Cli(capsys)


def test_a_list_over_all_platforms(cli: Cli) -> None:
    document = cli.json("list", "get", "routes", code=4)
    assert {item["platform"] for item in document["items"]} == {"kubernetes", "ssh", "serverless"}
    [lacking] = document["unreachable"]
    assert lacking["environment"] == "gpu-us"
    assert lacking["why"].startswith("gpu-us-2: ")
    assert document["age_seconds"] > 0


def test_a_list_that_lacks_an_environment_exits_4_and_names_it(cli: Cli, tmp_path: Path) -> None:
    ssh_config = tmp_path / "ssh_config"
    ssh_config.write_text("Host gone\n  HostName 127.0.0.1\n  Port 1\n")
    deck = tmp_path / "deck.yaml"
    section = {"hosts": ["gone"], "config": str(ssh_config), "known_hosts": str(tmp_path / "known_hosts")}
    deck.write_text(yaml.safe_dump({"environments": [{"name": "vm", "ssh": section}]}))
    document = cli.json("list", "--deck", str(deck), "get", "routes", code=4)
    assert [one["environment"] for one in document["unreachable"]] == ["vm"]
    assert document["items"] == []
    assert "vm could not be read" in cli.err


def test_filters_and_labels_narrow_a_list(cli: Cli) -> None:
    found = cli.json("list", "get", "routes", "kind:LambdaAlias", "-l", "tier=production", "platform:serverless")[
        "items"
    ]
    assert found
    assert {item["kind"] for item in found} == {"LambdaAlias"}
    assert cli.json("list", "get", "routes", "no-such-thing", code=4)["items"] == []


def test_what_an_environment_lacks_counts_for_lists_that_it_can_be_in(cli: Cli) -> None:
    for words in (("env:lab",), ("platform:serverless",), ("!env:gpu-us",), ("-l", "region=eu-west-1")):
        assert cli.json("list", "get", "routes", *words)["unreachable"] == [], words
    for words in (("env:gpu",), ("platform:ssh",), ("!env:lab",), ("llama",), ()):
        [lacking] = cli.json("list", "get", "routes", *words, code=4)["unreachable"]
        assert lacking["environment"] == "gpu-us", words


@pytest.mark.parametrize("words", [("get", "routes"), ("get", "limits"), ("get", "environments"), ("get", "services")])
def test_a_column_that_does_not_exist_is_an_error_with_those_that_do(cli: Cli, words: tuple[str, ...]) -> None:
    assert cli(*words, "team:ml") == 1
    assert "there is no column 'team'" in cli.err and "name, env, kind" in cli.err and not cli.out
    assert cli("set", "limit", "--all", "5xx:>1", "rate=5/s") == 1
    assert "limits have no column '5xx'" in cli.err
    assert [row["name"] for row in cli.json("list", "get", "routes", "llama-chat:dev", code=4)["items"]] == [
        "llama-chat:dev"
    ]


def test_a_bulk_edit_that_some_cannot_have_names_every_one_with_its_reason(cli: Cli) -> None:
    words = ("set", "limit", "--all", "kind:NginxLimitReq platform:ssh env:lab", "rate=7.77/s")
    assert cli(*words) == 1
    assert "0 of 1 can have it; 1 not: lab/NginxLimitReq/lab-1/llama-next_keys" in cli.err
    assert "466/min and 467/min" in cli.err and "!NAME" in cli.err
    mixed = ("set", "limit", "--all", "env:lab", "rate=6/s")
    assert cli(*mixed, "--apply", "--reason", "a test") == 1 and not cli.out
    told = cli.err.split(" not: ")[1]
    assert told.count("lab/HAProxyMaxconn/") >= 2, "not the first alone"
    assert "llama-next_keys" not in told, "and not those that can"
    plan = cli.json("plan", *mixed, code=2)
    assert [change["ref"] for step in plan["steps"] for change in step["changes"]] == [
        "lab/NginxLimitReq/lab-1/llama-next_keys"
    ], "nothing is left out because of a neighbour"
    assert cli.err.split(" not: ")[1].count("lab/HAProxyMaxconn/") >= 2


def test_a_group_is_one_row_with_its_members(cli: Cli) -> None:
    one = cli.json("route", "get", "route", PRODUCTION)
    assert len(one["members"]) == 3
    assert cli.json("route", "get", "route", one["members"][0]["ref"])["members"] == []


def test_a_plan_is_shown_with_2_and_changes_nothing(cli: Cli) -> None:
    plan = cli.json("plan", "set", "shares", ROUTE, f"{A}=70%", f"{B}=30%", code=2)
    assert [(c["from"], c["to"]) for c in plan["steps"][0]["changes"]] == [(1, 7), (1, 3)]
    assert cli.weights() == {A: 1, B: 1}


def test_apply_and_undo(cli: Cli) -> None:
    result = cli.json("result", "set", "shares", ROUTE, f"{A}=70%", f"{B}=30%", "--apply", "--reason", "a test")
    assert cli.weights() == {A: 7, B: 3}
    assert cli.json("verify", "journal", "verify", "--head", result["head"])["ok"]
    undone = cli.json("result", "undo", "--apply")
    assert result["change"] in cli.err
    assert cli.weights() == {A: 1, B: 1}
    history = cli.json("history", "history")["items"]
    assert [item["undone_by"] for item in history] == [None, undone["change"]]
    assert history[1]["reason"] == "a test"


def test_no_change_exits_0(cli: Cli) -> None:
    assert cli.json("result", "set", "shares", ROUTE, f"{A}=1", "--apply")["outcome"] == "no_change"
    assert cli.json("plan", "set", "shares", ROUTE, f"{A}=50%", f"{B}=50%")["steps"] == []


def test_a_saved_plan_is_applied_once(cli: Cli, tmp_path: Path) -> None:
    saved = str(tmp_path / "plan.json")
    cli.json("plan", "set", "shares", ROUTE, f"{A}=70%", f"{B}=30%", "--out", saved, code=2)
    cli.json("plan", "set", "limit", LIMIT, "rate=50/s", "--add-to", saved, code=2)
    assert cli.json("result", "apply", saved)["outcome"] == "applied"
    assert cli.weights() == {A: 7, B: 3}
    assert cli.json("limit", "get", "limit", LIMIT)["amount"] == "50"
    stale = cli.json("result", "apply", saved, code=3)
    assert stale["outcome"] == "refused"
    assert "stale" in {step["reason"]["kind"] for step in stale["steps"] if step["reason"]}


def test_a_plan_edited_by_hand_is_an_error(cli: Cli, tmp_path: Path) -> None:
    saved = tmp_path / "plan.json"
    cli("set", "shares", ROUTE, f"{A}=7", "--out", str(saved))
    saved.write_text(saved.read_text().replace('"to": 7', '"to": 8'))
    assert "sha256" in cli.json("error", "apply", str(saved), code=1)["error"]["message"]
    assert cli.weights() == {A: 1, B: 1}


def test_edits_over_two_platforms_are_one_plan(cli: Cli, tmp_path: Path) -> None:
    found = cli.json("list", "get", "routes", "kind:LambdaAlias", "env:fn-lab")["items"]
    alias = next(item for item in found if len(item["targets"]) == 2)
    first, second = (target["name"] for target in alias["targets"])
    edits = tmp_path / "edits.yaml"
    edits.write_text(
        yaml.safe_dump(
            [
                {"ref": ROUTE, "shares": {A: "80%", B: "20%"}},
                {"ref": alias["ref"], "shares": {first: "60%", second: "40%"}},
            ]
        )
    )
    plan = cli.json("plan", "plan", str(edits), code=2)
    assert {step["environment"] for step in plan["steps"]} == {"lab", "fn-lab"}


def test_production_asks_for_its_code(cli: Cli) -> None:
    words = ("set", "shares", PRODUCTION, "10.8.1.21:8000=70%", "10.8.1.22:8000=30%", "--apply", "--reason", "a test")
    before = cli.weights(PRODUCTION)
    refused = cli.json("result", *words, code=3)
    assert refused["outcome"] == "refused"
    assert "--confirm" in cli.err
    assert cli.weights(PRODUCTION) == before


def test_read_only_refuses_every_write(cli: Cli) -> None:
    result = cli.json("result", "--read-only", "set", "shares", ROUTE, f"{A}=7", "--apply", code=3)
    assert {step["reason"]["kind"] for step in result["steps"]} == {"read_only"}
    assert cli("set", "shares", ROUTE, f"{A}=7", "--apply", "--read-only") == 3
    assert cli.weights() == {A: 1, B: 1}


@pytest.mark.parametrize(("kind", "words"), [
    ("usage", ("bogus",)), ("usage", ("get", "everything")), ("usage", ("get", "route", "nope")),
    ("usage", ("set", "shares")), ("usage", ("set", "limit", LIMIT, "speed=5")), ("usage", ("schema", "nope")),
    ("not_found", ("get", "route", "lab/NginxUpstream/lab-1/nope")), ("not_found", ("undo", "nope")),
    ("not_found", ("get", "route", "nowhere/NginxUpstream/x/y")), ("not_found", ("set", "shares", ROUTE, "zzz=1")),
    ("invalid_value", ("set", "shares", ROUTE, f"{A}=70%")), ("invalid_value", ("set", "shares", ROUTE, f"{A}=-1")),
    ("invalid_value", ("set", "limit", LIMIT, "rate=0")),
    ("invalid_value", ("set", "limit", LIMIT, "rate=10/fortnight")),
    ("invalid_value", ("set", "limit", LIMIT, "rate=10/h")), ("invalid_value", ("set", "limit", LIMIT, "rate=abc")),
    ("invalid_value", ("set", "state", ROUTE, f"{A}=draining")), ("deck", ("--deck", "/nowhere.yaml", "get", "routes")),
])  # fmt: skip
def test_an_error_is_one_object_and_one_sentence(cli: Cli, kind: str, words: tuple[str, ...]) -> None:
    error = cli.json("error", *words, code=1)["error"]
    assert error["kind"] == kind
    assert error["message"] in cli.err
    assert "Traceback" not in cli.err


def test_without_json_an_error_leaves_stdout_empty(cli: Cli) -> None:
    assert cli("set", "limit", LIMIT, "rate=-1") == 1
    assert cli.out == ""
    assert "'-1' is not a rate" in cli.err


def test_global_options_stand_before_or_after(cli: Cli) -> None:
    assert cli("-o", "yaml", "history") == cli("history", "-o", "yaml") == 0
    assert yaml.safe_load(cli.out) == {"items": []}


def test_progress_goes_to_stderr_line_by_line(cli: Cli) -> None:
    cli.json("result", "set", "shares", ROUTE, f"{A}=7", "--apply", "--progress", "json")
    stages = [json.loads(line) for line in cli.err.splitlines() if line.startswith("{")]
    assert [stage["stage"] for stage in stages][:4] == ["journaled", "written", "read_back", "loaded"]


def test_tables_are_narrow_and_plain(cli: Cli) -> None:
    for words in (("get", "environments"), ("history",), ("get", "services")):
        cli(*words)
        assert "\x1b" not in cli.out
        assert max(map(len, cli.out.splitlines()), default=0) < 180


def test_every_schema_is_printed(cli: Cli) -> None:
    cli("schema", "-o", "json")
    for name in json.loads(cli.out):
        assert cli("schema", name) == 0
        Draft202012Validator.check_schema(json.loads(cli.out))


def test_every_command_prints_a_document_of_its_schema(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that no other test here runs; without anything to resolve there is a list of no results."""
    told = cli.json("oncall", "oncall")
    assert told["broken"] and told["changes"]
    assert cli.json("results", "resolve") == {"items": []}
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host web-1\n  HostName 127.0.0.1\n")
    assert cli.json("init", "init", "--dry-run", "--deck", str(tmp_path / "new.yaml"))["written"] is False
    assert cli.json("verify", "journal", "verify") == {"ok": True, "entries": 0, "head": None, "first_bad": None}
    assert cli.json("doctor", "doctor", code=cli("doctor"))["items"]
