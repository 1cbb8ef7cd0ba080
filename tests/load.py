"""How busy this machine is with something else, and tests that count against the clock done anew where it is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from _pytest.reports import TestReport
from _pytest.runner import runtestprotocol

PRESSURE = Path("/proc/pressure/cpu")
BUSY = 0.4
"""From this share of the time on in which something waited for a core, clocks say nothing of what is tested."""
TIMES = 3
QUIET_SECONDS, LOOK_SECONDS = 30.0, 0.5


def waited() -> float:
    """Seconds since some moment in which something on this machine waited for a core."""
    try:
        some = PRESSURE.read_text().splitlines()[0]
        return int(some.rpartition("total=")[2]) / 1e6
    except (OSError, ValueError, IndexError):
        # No such count here: from the length of the queue, which is told as an average of a minute.
        too_many = os.getloadavg()[0] - (os.cpu_count() or 1)
        return time.monotonic() * min(max(too_many, 0.0), 1.0)


class Watch:
    """The share of the time since it was made in which something waited for a core."""

    def __init__(self) -> None:
        self._at, self._waited = time.monotonic(), waited()

    def busy(self) -> float:
        return (waited() - self._waited) / max(time.monotonic() - self._at, 1e-3)


def until_quiet(seconds: float = QUIET_SECONDS) -> None:
    """Wait until nothing waits for a core, but no longer than this."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watch = Watch()
        time.sleep(LOOK_SECONDS)
        if watch.busy() < BUSY:
            return


def failed_of(reports: list[TestReport]) -> TestReport | None:
    return next((report for report in reports if report.failed), None)


def run_against_the_clock(item: pytest.Item, following: pytest.Item | None) -> list[TestReport]:
    """The reports of a test: as it ended on a machine that was quiet, or as it ended well. One that never ends well on
    a machine that is busy each time is skipped, with what was measured."""
    measured = []
    for _ in range(TIMES):
        until_quiet()
        watch = Watch()
        reports = runtestprotocol(item, nextitem=following, log=False)
        failed = failed_of(reports)
        busy = watch.busy()
        if failed is None or busy < BUSY:
            return reports
        measured.append(f"{busy:.0%}")
        item._initrequest()  # type: ignore[attr-defined]
    failed.outcome = "skipped"
    why = f"the machine was busy each time: something waited for a core {', '.join(measured)} of the time"
    failed.longrepr = (str(item.path), 0, f"Skipped: {why}")
    return reports
