"""Runs `trafficdeck` as a user would: a process, its exit code, its JSON, what it says on stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bed.description import Bed

PROGRAM = Path(sys.executable).parent / "trafficdeck"
SECONDS = 90


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as JSON; shows everything where it is none."""
        try:
            return json.loads(self.out)
        except ValueError:
            raise AssertionError(f"exit {self.code}, no JSON on stdout: {self.out!r}\nstderr: {self.err}") from None


class Deck:
    """The command line on one deck file, with a state folder of its own."""

    def __init__(self, bed: Bed, state: Path) -> None:
        self.bed = bed
        self.environment = {**os.environ, "TRAFFICDECK_STATE_DIR": str(state), "NO_COLOR": "1"}
        self.environment.pop("TRAFFICDECK_DECK", None)

    def argv(self, *words: str) -> list[str]:
        return [str(PROGRAM), "--deck", str(self.bed.deck), *words]

    def run(self, *words: str, seconds: float = SECONDS) -> Done:
        """Run to the end."""
        done = subprocess.run(
            self.argv(*words), env=self.environment, capture_output=True, text=True, timeout=seconds, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def ask(self, *words: str) -> Any:
        """A command that must succeed; its JSON."""
        done = self.run(*words, "-o", "json")
        assert done.code == 0, f"{' '.join(words)}: exit {done.code}\n{done.out}\n{done.err}"
        return done.json

    def apply(self, *words: str, environments: Sequence[str]) -> Any:
        """A writing command with `--apply`, confirmed where it must be; its result."""
        done = self.run(*words, *self.consent(environments), "--apply", "-o", "json")
        assert done.code == 0, f"{' '.join(words)}: exit {done.code}\n{done.out}\n{done.err}"
        result = done.json
        assert result["outcome"] in ("applied", "applied_unproven"), result
        return result

    def consent(self, environments: Sequence[str]) -> list[str]:
        """The reason, and the codes of the production environments among these."""
        codes = [self.bed.codes[name] for name in dict.fromkeys(environments) if name in self.bed.codes]
        return ["--reason", "check", *(word for code in codes for word in ("--confirm", code))]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Run beside us, all three streams piped."""
        return subprocess.Popen(
            self.argv(*words),
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def environment_of(ref: str) -> str:
    return ref.partition("/")[0]
