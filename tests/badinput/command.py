"""Runs `trafficdeck` as a process on bad input and holds what it says against the contract."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from control.text import clean

PROGRAM = Path(sys.executable).parent / "trafficdeck"
SECONDS = 60
ROUTE = "dev/HTTPRoute/inference/vision#rule=chat"
"""Of the demo fleet: vision-v2 and vision-v3, weight 1 each, in an environment that is not production."""
LIMIT = "staging/Middleware/inference/llama-per-key"


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def assert_clean(self) -> None:
        """No control character or escape reaches a terminal, and no traceback."""
        bad = {c for c in self.out + self.err if unicodedata.category(c) == "Cc" and c != "\n"}
        assert not bad, f"control characters {bad!r} in {self.out!r} {self.err!r}"
        assert "Traceback" not in self.err


@dataclass(slots=True)
class Command:
    """The command line on one deck, with a state folder of its own."""

    folder: Path
    deck: str = "demo:"
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def run(self, *words: str) -> Done:
        """Run to the end; stdin is closed."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("TRAFFICDECK_", "KUBE", "AWS_"))}
        more = {"TRAFFICDECK_STATE_DIR": str(self.state), "NO_COLOR": "1", "HOME": str(self.folder)}
        done = subprocess.run(
            [str(PROGRAM), "--deck", self.deck, *words],
            env=kept | more | self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        result = Done(done.returncode, done.stdout, done.stderr)
        result.assert_clean()
        return result

    def written(self) -> dict[str, str]:
        """Every file of the state folder with its content's hash: the demo fleet and its journal live there."""
        return {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.state.rglob("*"))
            if path.is_file()
        }

    def refused(self, *words: str, code: int, kind: str, says: str) -> Any:
        """Run with `-o json`: exit code, kind and one sentence on stderr as told, nothing written; the error."""
        before = self.written()
        done = self.run(*words, "-o", "json")
        assert self.written() == before, "something was written"
        assert done.code == code, f"exit {done.code}\n{done.out}\n{done.err}"
        error = done.json["error"]
        assert set(error) == {"kind", "message", "ref", "hint"}
        assert error["kind"] == kind
        assert says in error["message"], error["message"]
        self._told_once(done, error)
        return error

    def _told_once(self, done: Done, error: dict[str, Any]) -> None:
        """stderr is the message on one line, with the hint below it."""
        first, *rest = done.err.splitlines()
        assert first.startswith(f"trafficdeck: {clean(error['message'])}")
        assert rest == ([f"  {error['hint']}"] if error["hint"] else [])

    def refused_plan(self, *words: str, code: int, kind: str, says: str) -> Any:
        """As `refused`, where a plan exists: stdout is then a result whose outcome is `refused`."""
        before = self.written()
        done = self.run(*words, "-o", "json")
        assert self.written() == before, "something was written"
        assert done.code == code, f"exit {done.code}\n{done.out}\n{done.err}"
        result = done.json
        assert result["outcome"] == "refused"
        reasons = [step["reason"] for step in result["steps"] if step["reason"]]
        assert [reason["kind"] for reason in reasons] == [kind]
        assert says in reasons[0]["message"], reasons
        assert reasons[0]["message"] in done.err
        return result
