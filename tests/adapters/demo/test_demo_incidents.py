"""Each incident of the demo fleet, let loose alone, is named in words by the first on-call view."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters import registry
from adapters.demo.incidents import INCIDENTS

LOOKS = 5
WORDS = {
    "bad-canary": ("prod-eu/HTTPRoute/inference/llama#rule=chat", "requests fail"),
    "rush": ("prod-us/HTTPRoute/inference/embed#rule=embeddings", "throttled"),
    "dying-host": ("gpu-eu", "gpu-eu-3"),
    "bad-release": ("prod-us/HTTPRoute/inference/mistral#rule=chat", "requests fail"),
    "crowd": ("prod-eu/HTTPRoute/inference/mistral#rule=chat", "throttled"),
    "failing-pool": ("edge/HAProxyBackend/*/edge-embed", "requests fail"),
    "blind-edge": ("edge", "lb-2"),
    "argo-sync": ("prod-eu/HTTPRoute/inference/mistral#rule=chat", "requests fail"),
    "flood": ("prod-us/HTTPRoute/inference/moderation#rule=moderations", "throttled"),
}


def oncall(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tui", "oncall", "--deck", "demo:"],
        env={**os.environ, "TRAFFICDECK_STATE_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


def named(text: str, name: str) -> bool:
    """Whether one line says both what and how."""
    what, how = WORDS[name]
    return any(what in line and how in line for line in text.splitlines())


def test_every_incident_has_its_words() -> None:
    assert set(WORDS) == set(INCIDENTS) and len(INCIDENTS) >= 8


@pytest.mark.parametrize("name", sorted(WORDS))
def test_the_first_view_names_what_is_broken(tmp_path: Path, name: str) -> None:
    # The view counts for about a second: few requests scatter, so each answer has a few more looks.
    assert not all(named(oncall(tmp_path), name) for _ in range(LOOKS))
    registry.demo_incident(tmp_path, name)
    assert any(named(oncall(tmp_path), name) for _ in range(LOOKS))
