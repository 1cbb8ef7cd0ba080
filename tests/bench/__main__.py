"""`python -m tests.bench [NAME…]`: runs benchmarks in one run and prints them; without names also writes RESULTS.md."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.bench import report
from tests.bench.context import Context
from tests.bench.measure import Section

NAMES = ("listing", "rows", "hosts", "functions", "first_frame", "oncall", "keys", "large", "idle", "journal", "proof")
RESULTS = Path(__file__).parent / "RESULTS.md"


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        print(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="trafficdeck-bench-") as scratch:
        _cache_bytecode(Path(scratch))
        with Context(Path(scratch)) as context:
            sections = []
            for name in names or NAMES:
                sections.append(_run(name, context))
                if not names:
                    RESULTS.write_text(report.text(sections))
    if not names:
        print(f"written to {RESULTS}", file=sys.stderr)
    return 1 if any(section.failed for section in sections) else 0


def _cache_bytecode(scratch: Path) -> None:
    """As after an installation: Python's programs, ours and the rivals', do not compile their sources at each start."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(scratch / "bytecode")
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])


def _run(name: str, context: Context) -> Section:
    """One benchmark; one that cannot be run says so in its place and does not take the others with it."""
    begin = time.monotonic()
    print(f"{name} …", file=sys.stderr, flush=True)
    try:
        section: Section = importlib.import_module(f"tests.bench.{name}").run(context)
    except Exception as error:
        traceback.print_exc()
        section = Section(name, f"Could not be run: {type(error).__name__}: {str(error)[:300]}", failed=True)
    print(report.section_text(section), f"({time.monotonic() - begin:.0f} s)", sep="\n\n", end="\n\n", flush=True)
    return section


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
