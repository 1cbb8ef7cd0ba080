"""RESULTS.md: what the benchmarks measured, as tables."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence

from tests.bench.measure import Row, Section

_HEAD = "| | ours | theirs | ratio | goal | met |\n|---|---|---|---|---|---|"


def section_text(section: Section) -> str:
    """One benchmark: its title, method, table and notes."""
    parts = [f"## {section.title}", section.method]
    if section.rows:
        parts.append("\n".join([_HEAD, *(_row(row) for row in section.rows)]))
    return "\n\n".join([*parts, *_notes(section.notes)])


def _notes(notes: Sequence[str]) -> list[str]:
    """Paragraphs; indented lines that follow each other are one block."""
    found: list[str] = []
    for note in notes:
        if note.startswith("    ") and found and found[-1].startswith("    "):
            found[-1] += f"\n{note}"
        else:
            found.append(note)
    return found


def _row(row: Row) -> str:
    met = "" if row.met is None else "yes" if row.met else "**no**"
    return f"| {row.what} | {row.ours} | {row.theirs or '–'} | {row.ratio or '–'} | {row.goal} | {met} |"


def text(sections: Sequence[Section]) -> str:
    """The whole page."""
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    head = (
        f"# Benchmarks\n\nMeasured on {today}: {machine}, load {os.getloadavg()[2]:.1f} over the last 15 minutes "
        "(client, servers and other work share the cores). Written by `make bench`; every pair was run in turn in one "
        "run. Figures are medians, ratios are medians of pairs (theirs / ours), p95 where it says so. Bytecode is "
        "cached and one run of each goes before, uncounted."
    )
    return "\n\n".join([head, *(section_text(section) for section in sections)]) + "\n"
