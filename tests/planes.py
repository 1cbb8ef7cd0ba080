"""`python -m tests.planes all|NAME…`: the shared conformance suite on planes beyond the core, each on a bed of its own.

Says of each plane that is not checked why; the exit code is that of what was.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tests.bed import fixtures, planes

SUITE = "tests/conformance"


def main(names: list[str]) -> int:
    asked = [*planes.PLANES, *planes.NOT_THERE] if names in ([], ["all"]) else names
    status = 0
    for name in asked:
        if name not in planes.PLANES:
            print(f"{name}: not checked: {planes.NOT_THERE.get(name, 'there is no such plane')}")
            status |= names not in ([], ["all"])
        elif reason := fixtures.why_not():
            print(f"{name}: not checked: {reason}")
            status = 1
        else:
            print(f"{name}: {planes.PLANES[name].about}", flush=True)
            environment = {**os.environ, planes.CHOSEN: name}
            done = subprocess.run([sys.executable, "-m", "pytest", "-q", SUITE], env=environment, check=False)
            status |= done.returncode != 0
    return int(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
