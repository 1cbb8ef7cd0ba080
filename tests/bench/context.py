"""What benchmarks share in one run: a scratch folder, the cluster of 2,000 routes, the product's own program."""

from __future__ import annotations

import cProfile
import io
import json
import pstats
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).parent / "trafficdeck"
PROFILE_LINES = 8


class Context:
    """Use as a context manager; leaving it ends every server that was started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = ExitStack()
        self._cluster: Any = None

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def cluster(self) -> Any:
        """The API server with 2,000 HTTPRoutes, started on first use."""
        if self._cluster is None:
            from tests.bench import cluster

            self._cluster = self.stack.enter_context(cluster.started(self.folder / "cluster"))
        return self._cluster

    def deck(self, name: str, *environments: Mapping[str, Any]) -> Path:
        """A deck file of these environments (JSON is YAML)."""
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps({"environments": list(environments)}))
        return path

    def state(self, name: str) -> dict[str, str]:
        """The variable that gives the program a state folder of its own."""
        return {"TRAFFICDECK_STATE_DIR": str(self.folder / "state" / name)}


def profile_of_module(words: Sequence[str], folder: Path) -> list[str]:
    """Run `python -m …` under the profiler; its most expensive functions, one line each."""
    out = folder / "profile"
    command = [sys.executable, "-m", "cProfile", "-o", str(out), "-m", *words]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    return top_lines(str(out))


def top_lines(of: str | cProfile.Profile, count: int = PROFILE_LINES) -> list[str]:
    """The functions with the most time of their own: seconds, calls, where."""
    text = io.StringIO()
    stats: Any = pstats.Stats(of, stream=text)
    stats.strip_dirs().sort_stats("tottime")
    lines = []
    for function in stats.fcn_list[:count]:
        _, calls, own, cumulative, _ = stats.stats[function]
        file, line, name = function
        where = name if file == "~" else f"{file}:{line} {name}"
        lines.append(f"{own:.3f} s own, {cumulative:.3f} s with callees, {calls} calls: {where}")
    return lines
