"""One plan over three platforms: in order, proved, undone; and taken back where one of its servers breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bed.aws import ALIAS, FUNCTION, REGION
from tests.bed.faults import no_ssh
from tests.e2e.cli import Deck
from tests.e2e.gates import Gated
from tests.e2e.servers import look

pytestmark = [pytest.mark.bed, pytest.mark.timeout(400)]

FRONT = "edge/HAProxyBackend/edge-1/edge-llama"
LIMIT = "web/NginxLimitReq/*/per_client"
EDITS = f"""\
- ref: {FRONT}
  shares: {{k8s: 40%, vm: 40%, fn: 20%}}
- ref: "{LIMIT}"
  limit: {{rate: 20/s}}
- ref: fn/LambdaAlias/{REGION}/{FUNCTION}:{ALIAS}
  shares: {{2: 80%, 3: 20%}}
"""


def start(deck: Deck, tmp_path: Path) -> Gated:
    edits = tmp_path / "edits.yaml"
    edits.write_text(EDITS)
    return Gated(deck.start("plan", str(edits), "--apply", "--reason", "move", "--progress", "gate", "-o", "json"))


def specs(deck: Deck) -> object:
    state = look(deck.bed)
    weights = [(item["Name"], item.get("RoutingConfig")) for item in state.aliases["Aliases"]]
    return state.files, sorted(weights, key=str)


def test_the_limit_goes_first_all_is_proved_and_undone(deck: Deck, tmp_path: Path) -> None:
    before = specs(deck)
    gated, written = start(deck, tmp_path), []
    while (stage := gated.stage()) is not None:
        if stage["stage"] == "written":
            written.append(str(stage["object"]))
        gated.go()
    assert gated.process.stdout is not None
    out = gated.process.stdout.read()
    assert gated.process.wait(60) == 0, (out, gated.said)
    assert written[0].startswith("web/"), written
    assert written[-1].startswith("edge/"), written
    deck.apply("undo", environments=[])
    assert specs(deck) == before


def test_what_was_done_is_taken_back_when_a_server_breaks(deck: Deck, tmp_path: Path) -> None:
    before = specs(deck)
    gated = start(deck, tmp_path)
    stage = gated.stage()
    while stage is not None and not (stage["stage"] == "written" and str(stage["object"]).startswith("web/")):
        gated.go()
        stage = gated.stage()
    assert stage is not None, gated.said
    with no_ssh(deck.bed, "edge-1"):
        gated.go()
        code, out = gated.finish()
    assert code == 1, (out, gated.said)
    assert '"rolled_back"' in out or '"partly_applied"' in out, out
    assert "edge" in out
    assert specs(deck) == before
