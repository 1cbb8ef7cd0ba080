"""Bad input through the command line: one clear sentence, the contract's exit code, nothing written."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command import LIMIT, ROUTE, Command

from control.serialiser import canonical

ONE = "environments:\n  - name: a\n    kubernetes: {kubeconfig: KUBECONFIG, context: x}\n"
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
"""


def deck_of(folder: Path, text: str) -> Command:
    """The command line on a deck file of this text; `KUBECONFIG` in it is a file with the context `x`."""
    (folder / "kubeconfig").write_text(KUBECONFIG)
    path = folder / "deck.yaml"
    path.write_text(text.replace("KUBECONFIG", str(folder / "kubeconfig")))
    return Command(folder, str(path))


# --- the deck file ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "says", "hint"),
    [
        (ONE + "    proxie: []\n", 4, "unknown key 'proxie'", "did you mean 'proxies'?"),
        (ONE + "guards: {maximum_move: lots}\n", 4, "'maximum_move' must be a whole number, and is 'lots'", None),
        (ONE + "  - name: a\n    aws: {region: r}\n", 4, "the environment 'a' is there twice", "first at line 2"),
        (ONE + "theme: [\n", 5, "", None),
        ("", 1, "the file is empty", "it needs at least 'environments:'"),
        ('environments:\n  - name: "a\\e[2J"\n    kubernetes: {}\n', 2, "has characters that cannot be shown", None),
    ],
)
def test_a_fault_in_the_deck_file(tmp_path: Path, text: str, line: int, says: str, hint: str | None) -> None:
    command = deck_of(tmp_path, text)
    error = command.refused("get", "routes", code=1, kind="deck", says=says)
    assert error["message"].startswith(f"{command.deck}:{line}: ")
    assert hint is None or hint in error["hint"]


def test_a_missing_deck_file(tmp_path: Path) -> None:
    command = Command(tmp_path, str(tmp_path / "none.yaml"))
    command.refused("get", "routes", code=1, kind="deck", says=f"there is no deck file {command.deck}")


# --- reach ------------------------------------------------------------------------------------------------------------


def test_a_missing_kubeconfig(tmp_path: Path) -> None:
    command = deck_of(tmp_path, ONE)
    (tmp_path / "kubeconfig").unlink()
    done = command.run("get", "routes", "-o", "json")
    (unreachable,) = done.json["unreachable"]
    assert done.code == 4
    assert unreachable["environment"] == "a"
    assert f"the kubeconfig {tmp_path / 'kubeconfig'} does not exist" in unreachable["why"]
    assert done.err.count("\n") == 1
    assert unreachable["why"] in done.err


def test_a_missing_context(tmp_path: Path) -> None:
    command = deck_of(tmp_path, ONE.replace("context: x", "context: y"))
    done = command.run("get", "routes", "-o", "json")
    assert done.code == 4
    (unreachable,) = done.json["unreachable"]
    assert "there is no context 'y'" in unreachable["why"]
    assert "it has: x" in unreachable["why"]
    assert unreachable["why"] in done.err


def test_a_write_where_nothing_answers(tmp_path: Path) -> None:
    command = deck_of(tmp_path, ONE)
    words = ("set", "shares", "a/HTTPRoute/inference/llama", "v1=1", "--apply")
    command.refused(*words, code=1, kind="unreachable", says="context 'x' at http://127.0.0.1:1 cannot be reached")


@pytest.fixture
def moto() -> Iterator[str]:
    """The URL of an AWS emulator that has no functions."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_an_unreachable_environment_among_reachable_ones(tmp_path: Path, moto: str) -> None:
    names = ("lambda", "sts", "cloudwatch", "codedeploy", "resourcegroupstaggingapi")
    endpoints = ", ".join(f'{name}: "{moto}"' for name in names)
    command = deck_of(tmp_path, ONE + f"  - name: fn\n    aws: {{region: eu-central-1, endpoints: {{{endpoints}}}}}\n")
    command.environment = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    done = command.run("get", "environments", "-o", "json")
    reach = {item["name"]: item["reach"]["state"] for item in done.json["items"]}
    assert reach == {"a": "unreachable", "fn": "ok"}
    assert done.code == 4
    assert [one["environment"] for one in done.json["unreachable"]] == ["a"]
    assert "trafficdeck: a could not be read: " in done.err
    assert "fn" not in done.err


def test_an_unreachable_host_among_reachable_ones(demo: Command) -> None:
    done = demo.run("get", "routes", "env:gpu-us", "-o", "json")
    members = {member["ref"].split("/")[2] for item in done.json["items"] for member in item["members"]}
    assert members
    assert "gpu-us-2" not in members
    assert "host gpu-us-2: no answer within 5 s" in done.err


# --- what is asked for ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "kind", "says", "hint"),
    [
        ((ROUTE, "vision-v2=60%", "vision-v3=30%"), "invalid_value", "make 90%, not 100%", "must make 100%"),
        ((ROUTE, "vision-v2=60%"), "invalid_value", "with the unchanged vision-v3 50% make 110%", "give the other"),
        ((ROUTE, "vision-v2=1000001"), "invalid_value", "HTTPRoute takes 0 to 1000000", "the nearest is 1000000"),
        ((ROUTE, "vision-v2=1.5"), "invalid_value", "weights are whole numbers", "the nearest are 1 and 2"),
        ((ROUTE, "vision-v9=1"), "not_found", "has no target 'vision-v9'", "its targets are vision-v2, vision-v3"),
        (("lab/HAProxyBackend/lab-1/lab-llama", "a100=257"), "invalid_value", "takes 0 to 256", "the nearest is 256"),
        (("staging/HTTPRoute/inference/none", "a=1"), "not_found", "there is no staging/HTTPRoute", "get routes"),
        (("nowhere/HTTPRoute/inference/none", "a=1"), "not_found", "there is no environment 'nowhere'", "deck file"),
        (("staging/llama", "a=1"), "usage", "'staging/llama' is not a reference", "ENVIRONMENT/Kind/scope/name"),
        (("a/B/c/%ff", "a=1"), "usage", "is not a reference", None),
        (("a/\x1b[2J", "a=1"), "usage", "is not a reference", None),
    ],
)
def test_shares_that_cannot_be(demo: Command, words: tuple[str, ...], kind: str, says: str, hint: str | None) -> None:
    error = demo.refused("set", "shares", *words, "--apply", code=1, kind=kind, says=says)
    assert hint is None or hint in error["hint"]


@pytest.mark.parametrize(
    ("rate", "says", "hint"),
    [
        ("0", "a rate of 0 is not taken", "blocked"),
        ("-1", "'-1' is not a rate", "50/s"),
        ("abc", "'abc' is not a rate", "50/s"),
        ("10/fortnight", "'fortnight' is not a unit of time", "50/s"),
    ],
)
def test_rates_that_are_none(demo: Command, rate: str, says: str, hint: str) -> None:
    words = ("set", "limit", LIMIT, f"rate={rate}", "--apply")
    assert hint in demo.refused(*words, code=1, kind="invalid_value", says=says)["hint"]


def test_a_reference_to_nothing_that_is_looked_at(demo: Command) -> None:
    demo.refused("get", "route", f"{ROUTE}-not", code=1, kind="not_found", says="there is no route dev/")


def test_words_that_are_none(demo: Command) -> None:
    demo.refused("frobnicate", code=1, kind="usage", says="invalid choice: 'frobnicate'")
    demo.refused("get", "routes", "rpss:>3", code=1, kind="usage", says="there is no column 'rpss'")


# --- saved plans ------------------------------------------------------------------------------------------------------


def saved(demo: Command) -> tuple[Path, dict[str, Any]]:
    """A saved plan: its file and its content."""
    path = demo.folder / "plan.json"
    done = demo.run("set", "shares", ROUTE, "vision-v2=60", "vision-v3=40", "--out", str(path))
    assert done.code == 2, done.err
    return path, json.loads(path.read_text())


def test_plan_files_that_were_tampered_with(demo: Command) -> None:
    path, plan = saved(demo)
    whole = path.read_text()
    edited = json.loads(whole)
    edited["steps"][0]["changes"][0]["to"] = 99
    newer = {key: value for key, value in plan.items() if key != "sha256"} | {"schema": 2}
    newer["sha256"] = hashlib.sha256(canonical(newer)).hexdigest()
    cases = [
        (json.dumps(edited), "its sha256 does not fit"),
        (json.dumps(newer), "was saved by a newer trafficdeck (schema 2, this one knows 1)"),
        (whole[: len(whole) // 2], "it is no whole JSON"),
        ("", "it is no whole JSON"),
        ("[]", "this is not a plan"),
        ('{"schema": 1, "plan": "p"}', "its sha256 does not fit"),
    ]
    for text, says in cases:
        path.write_text(text)
        error = demo.refused("apply", str(path), code=1, kind="usage", says=says)
        assert error["message"].startswith(f"{path}")
        assert error["hint"]
    demo.refused("apply", str(path.with_name("none")), code=1, kind="usage", says="there is no file")


def test_a_stale_base(demo: Command) -> None:
    path, _ = saved(demo)
    assert demo.run("set", "shares", ROUTE, "vision-v2=55", "--apply").code == 0
    demo.refused_plan("apply", str(path), code=3, kind="stale", says="plan anew")
    weights = {t["name"]: t["weight"] for t in demo.run("get", "route", ROUTE, "-o", "json").json["targets"]}
    assert weights == {"vision-v2": 55, "vision-v3": 1}


# --- the journal ------------------------------------------------------------------------------------------------------


def test_a_damaged_and_a_newer_journal(demo: Command) -> None:
    path, _ = saved(demo)
    journal = demo.state / "demo" / "journal.db"
    journal.parent.mkdir(parents=True, exist_ok=True)
    journal.write_bytes(b"no database at all " * 100)
    demo.refused("history", code=1, kind="journal", says=f"the journal {journal} is damaged")
    demo.refused_plan("apply", str(path), code=1, kind="journal", says="is damaged")
    journal.unlink()
    with sqlite3.connect(journal) as connection:
        connection.executescript(f"PRAGMA application_id = {0x74726466}; PRAGMA user_version = 99; CREATE TABLE t (x)")
    connection.close()
    demo.refused("history", code=1, kind="journal", says="was written by a newer trafficdeck (schema 99")
    demo.refused_plan("apply", str(path), code=1, kind="journal", says="newer trafficdeck")


HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(journal: Path) -> Iterator[None]:
    """Another process holds the journal's write lock."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(journal)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
    finally:
        holder.communicate()


def test_a_locked_journal(demo: Command) -> None:
    path, _ = saved(demo)
    assert demo.run("set", "limit", LIMIT, "rate=49/s", "--apply").code == 0
    journal = demo.state / "demo" / "journal.db"
    with held(journal):
        demo.refused_plan("apply", str(path), code=3, kind="locked", says=f"the journal {journal} is locked by")


# --- native texts -----------------------------------------------------------------------------------------------------


def rewritten(demo: Command, environment: str, old: str, new: str) -> None:
    """Put `new` for `old` in the native texts of one environment of the fleet."""
    path = demo.state / "demo" / "fleet" / f"{environment}.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_an_nginx_file_that_does_not_parse(demo: Command) -> None:
    ref = "lab/NginxUpstream/lab-1/llama-next"
    assert demo.run("set", "shares", ref, "10.8.1.91:8000=2", "--apply").code == 0
    rewritten(demo, "lab", "server  10.8.1.91:8000 ", "server { 10.8.1.91:8000 ")
    done = demo.run("get", "routes", "env:=lab", "-o", "json")
    where = "/etc/nginx/conf.d/llama-next.conf:3: a block is opened and never closed"
    assert f"lab-1 nginx: {where}" in done.err
    assert [item["kind"] for item in done.json["items"]] == ["HAProxyBackend"] * 2
    demo.refused("set", "shares", ref, "10.8.1.91:8000=3", "--apply", code=1, kind="not_found", says=ref)


def test_escapes_in_names_reach_no_terminal(demo: Command) -> None:
    assert demo.run("set", "shares", ROUTE, "vision-v2=51", "--apply").code == 0
    rewritten(demo, "dev", "vision-v2", "vision\\u001b[2J\\u202ev2")
    for output in ("table", "json", "yaml"):
        done = demo.run("get", "routes", "env:dev", "-o", output)
        assert "vision" in done.out
        assert "\u202e" not in done.out
        assert "\x1b" not in done.out
