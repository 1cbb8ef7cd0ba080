"""The commands about records and about the program itself: history, journal, resolve, doctor, schema."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence

from control.contract.documents import Results
from control.contract.plans import history_document, result_document
from control.contract.rows import doctor_document, verification_document
from control.deck.sections import DeckSection
from control.journal.history import PAGE
from control.plane import ControlPlane
from tui.cli import tables
from tui.cli.arguments import Options
from tui.cli.emit import emit, say, tell_interrupted, tell_not_understood

INCOMPLETE = 4


async def history(plane: ControlPlane, options: Options) -> int:
    """`history`: the newest changes; what is older is counted on stderr, what is not understood makes it 4."""
    since = None if options.since is None else time.time() - options.since
    limit = PAGE if options.limit is None and since is None else options.limit
    page = await asyncio.to_thread(plane.changes, limit or None, options.before, since)
    interrupted = await asyncio.to_thread(plane.interrupted)
    cut = page.older if since is None or len(page.items) == limit else 0

    def words() -> str:
        if page.items:
            return tables.history(page.items)
        return "no changes yet" if not page.older and not page.not_understood else "no changes listed"

    emit(history_document(page, cut), options.output, words)
    tell_interrupted(interrupted)
    if cut:
        last = page.items[-1].change if page.items else ""
        say(f"{cut} older changes are not listed\n  --before {last} lists the next, --limit all lists all")
    tell_not_understood(page)
    return INCOMPLETE if page.not_understood else 0


async def verify(plane: ControlPlane, options: Options) -> int:
    """`journal verify [--head HASH] [--from N|HASH]`: 1 where the chain is broken or cut."""
    begin = options.begin if options.begin is None or not options.begin.isdecimal() else int(options.begin)
    told = await asyncio.to_thread(plane.journal.verify, options.head, begin)

    def words() -> str:
        if told.ok:
            since = "" if begin is None else f", checked from entry {begin} on"
            return f"the chain of {told.entries} entries holds{since}\nhead {told.head}"
        if told.first_bad is not None and told.first_bad > told.entries:
            return (
                f"the chain of {told.entries} entries holds, and the head that was named is not in it: its tail is cut"
            )
        return f"entry {told.first_bad} of {told.entries} does not fit the chain"

    emit(verification_document(told), options.output, words)
    return 0 if told.ok else 1


async def resolve(plane: ControlPlane, options: Options) -> int:
    """`resolve [CHANGE]`: prints the one result, or `{items}` where there are none or several."""
    results = await plane.resolve(options.change)
    told = [result_document(result) for result in results]
    document = told[0] if len(told) == 1 else Results(told)
    emit(document, options.output, lambda: "\n".join(map(tables.result, results)) or "nothing was interrupted")
    return 0


async def doctor(plane: ControlPlane, options: Options) -> int:
    from control.folders import state_folder
    from tui.cli import here

    checks = [("here", check) for check in here.checks(os.environ, state_folder())]
    checks += await plane.doctor()
    emit(doctor_document(checks), options.output, lambda: tables.doctor(checks))
    return 1 if any(check.state == "fail" for _, check in checks) else 0


def schema(options: Options, sections: Sequence[DeckSection]) -> int:
    """`schema NAME`; without a name, the names."""
    from control.contract.schemas import NAMES
    from control.contract.schemas import schema as of

    if options.name is None:
        names = sorted(NAMES)
        emit(names, options.output, lambda: "\n".join(names))
        return 0
    document = of(options.name, sections)
    emit(document, "yaml" if options.output == "yaml" else "json", lambda: "")
    return 0
