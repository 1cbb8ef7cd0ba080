"""A change on the real platforms, stopped, killed and robbed of its journal at its gates: what is said is what is."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bed.aws import ALIAS, FUNCTION, REGION
from tests.e2e.cli import Deck
from tests.e2e.gates import Gated
from tests.e2e.servers import look

pytestmark = [pytest.mark.bed, pytest.mark.timeout(400)]

EDITS = f"""\
- ref: us/HTTPRoute/inference/llama#rule=chat
  shares: {{llama-v1: 70%, llama-v2: 30%}}
- ref: lb/HAProxyBackend/lb-1/llama
  shares: {{gpu-a: 70%, gpu-b: 30%}}
- ref: web/NginxLimitReq/web-1/per_client
  limit: {{rate: 20/s}}
- ref: fn/LambdaAlias/{REGION}/{FUNCTION}:{ALIAS}
  shares: {{2: 80%, 3: 20%}}
"""


def start(deck: Deck, folder: Path, *more: str) -> Gated:
    edits = folder / "edits.yaml"
    edits.write_text(EDITS)
    words = ("plan", str(edits), "--apply", "--reason", "truth", "--progress", "gate", "-o", "json")
    return Gated(deck.start(*words, *more))


def held(deck: Deck) -> dict[str, Any]:
    """What the servers hold, by the environment that the deck knows it under."""
    state = look(deck.bed)
    aliases = sorted(((item["Name"], item.get("RoutingConfig")) for item in state.aliases["Aliases"]), key=str)
    hosts = {entry.host: entry.environment for entry in deck.bed.hosts}
    found: dict[str, Any] = {"fn": aliases}
    for name, item in state.objects.items():
        found.setdefault(name.partition("/")[0], {})[name] = item["spec"]
    for name, text in state.files.items():
        found.setdefault(hosts[name.partition(":")[0]], {})[name] = text
    return found


def to_gate(gated: Gated, stage: str, environment: str) -> None:
    while (told := gated.stage()) is not None:
        if told["stage"] == stage and told["object"].startswith(f"{environment}/"):
            return
        gated.go()
    assert gated.process.stdout is not None
    raise AssertionError((gated.said, gated.process.stdout.read()))


def check(result: Any, before: dict[str, Any], now: dict[str, Any]) -> None:
    """A result says of each step what its server holds."""
    for step in result["steps"]:
        name = step["object"].partition("/")[0]
        if step["outcome"] in ("applied", "in_progress"):
            assert now[name] != before[name], step
        if step["outcome"] in ("not_started", "refused", "undone"):
            assert now[name] == before[name], step
    if result["outcome"] in ("refused", "rolled_back"):
        assert now == before


def undo(deck: Deck, change: str, before: dict[str, Any]) -> None:
    deck.apply("undo", change, environments=[])
    assert held(deck) == before


@pytest.mark.parametrize(
    ("environment", "name"), [("us", "SIGTERM"), ("web", "SIGHUP"), ("lb", "SIGINT"), ("fn", "SIGTERM")]
)
def test_a_signal_right_after_a_write(deck: Deck, tmp_path: Path, environment: str, name: str) -> None:
    before = held(deck)
    gated = start(deck, tmp_path)
    to_gate(gated, "written", environment)
    gated.process.send_signal(getattr(signal, name))
    while gated.stage() is not None:
        pass
    assert gated.process.stdout is not None
    result = json.loads(gated.process.stdout.read())
    code = gated.process.wait(30)
    check(result, before, held(deck))
    whole = all(step["outcome"] == "applied" for step in result["steps"])
    assert code == (0 if whole else 130), (result, gated.said)
    assert deck.ask("history")["items"][0]["outcome"] == result["outcome"]
    assert result["outcome"] in ("partly_applied", "applied", "applied_unproven")
    undo(deck, result["change"], before)


@pytest.mark.parametrize("environment", ["us", "web", "lb", "fn"])
def test_killed_right_after_a_write_resolve_says_what_is_loaded(deck: Deck, tmp_path: Path, environment: str) -> None:
    before = held(deck)
    gated = start(deck, tmp_path)
    to_gate(gated, "written", environment)
    gated.kill()
    done = deck.run("resolve", "-o", "json")
    assert done.code == 0, done
    result = done.json
    check(result, before, held(deck))
    in_force = [step for step in result["steps"] if step["outcome"] == "applied"]
    assert any(step["object"].startswith(environment) for step in in_force)
    assert {step["proof"]["loaded"]["state"] for step in in_force} == {"yes"}, result
    assert {step["outcome"] for step in result["steps"]} <= {"applied", "not_started"}
    assert deck.ask("history")["items"][0]["outcome"] == result["outcome"]
    undo(deck, result["change"], before)


@dataclass(frozen=True)
class SmallDisk:
    """A file system of 2 MB, and a deck file of the same fleet whose journal is on it."""

    folder: Path
    deck: Path

    @property
    def words(self) -> tuple[str, str]:
        return "--deck", str(self.deck)


@pytest.fixture
def small_disk(deck: Deck, tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], check=True)
    document = yaml.safe_load(deck.bed.deck.read_text())
    document["journal"] = {"path": str(folder / "journal.db")}
    copy = deck.bed.deck.with_name("deck-small.yaml")
    copy.write_text(yaml.safe_dump(document))
    yield SmallDisk(folder, copy)
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 512, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


@pytest.mark.parametrize("environment", ["us", "web"])
@pytest.mark.parametrize("on_failure", ["undo", "stop"])
def test_the_disk_of_the_journal_fills_up_after_a_write(
    deck: Deck, tmp_path: Path, small_disk: SmallDisk, environment: str, on_failure: str
) -> None:
    before = held(deck)
    gated = start(deck, tmp_path, "--on-failure", on_failure, *small_disk.words)
    to_gate(gated, "written", environment)
    filler = fill(small_disk.folder)
    gated.go()
    code, out = gated.finish()
    result = json.loads(out)
    check(result, before, held(deck))
    assert code == 1, (result, gated.said)
    change = result["change"]
    assert f"trafficdeck resolve {change}" in out and f"trafficdeck resolve {change}" in "".join(gated.said)
    told = deck.run("get", "route", "us/HTTPRoute/inference/llama#rule=chat", *small_disk.words)
    assert change in told.err and "kept in" in told.err, told
    filler.unlink()
    told = deck.run("get", "route", "us/HTTPRoute/inference/llama#rule=chat", *small_disk.words)
    assert f"given what came of change {change}" in told.err, told
    assert deck.ask("history", *small_disk.words)["items"][0]["outcome"] == result["outcome"]
    undone = deck.run("undo", change, "--apply", "--reason", "truth", "-o", "json", *small_disk.words)
    assert undone.code == 0 and held(deck) == before, undone
    assert deck.ask("journal", "verify", *small_disk.words)["ok"] is True
