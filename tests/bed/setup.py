"""`python -m tests.bed.setup`: makes ready what the tests need on this machine, once.

As root on a Debian-like system it installs the missing packages without starting any of their services; otherwise it
lists them and stops. Then it builds the Kubernetes binary and sets up MiniStack in the cache folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bed import build, system
from tests.bed.errors import BedError

POLICY = Path("/usr/sbin/policy-rc.d")
INSTALL_SECONDS = 900


@contextmanager
def no_service_starts() -> Iterator[None]:
    """A policy-rc.d that answers 101 ("do not start"), taken away again; one that is there already stays as it is."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def install(packages: list[str]) -> None:
    """Install packages by apt. Raises `BedError` where that cannot be done here."""
    command = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    if not system.is_root() or shutil.which("apt-get") is None:
        raise BedError(f"these packages are needed: {' '.join(packages)}\nAs root: {command}")
    build.say(f"installing {' '.join(packages)} (no service is started)")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with no_service_starts():
        for argv in (["apt-get", "update", "-qq"], [*command.split(), "-qq"]):
            done = subprocess.run(argv, env=environment, timeout=INSTALL_SECONDS, check=False, stdout=sys.stderr)
            if done.returncode != 0:
                raise BedError(f"'{' '.join(argv)}' failed with {done.returncode}")
    if still := system.missing():
        raise BedError(f"still missing after the installation: {' '.join(still)}")


def main() -> int:
    try:
        if packages := system.wanted():
            try:
                install(packages)
            except BedError as error:
                if system.missing():
                    raise
                build.say(f"{error}\nonly single tests need these: they say so where they are skipped")
        return build.main()
    except BedError as error:
        build.say(f"test bed: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
