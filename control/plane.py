"""The control plane itself as one object: what the screen and the command line use, and nothing below it.

The start-up code makes it from a deck file and the platforms' adapters. In read-only mode it is given no way to make a
writer, so nothing above it can write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Hashable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from control.background import in_background
from control.calls import ENVIRONMENT_SECONDS, READ_SECONDS, ask, fetch_one, logged_in
from control.deck.config import DeckConfig
from control.errors import ControlError
from control.fleet.following import watch
from control.fleet.inventory import find_row
from control.fleet.store import FleetStore
from control.fleet.views import EnvironmentView, Headroom, Inventory, Seen, ServiceView, Unreached
from control.folders import journal_path
from control.journal.history import PAGE, History
from control.journal.log import ChangeLog, Kept
from control.journal.port import Journal
from control.journal.sqlite.chain import SqliteJournal
from control.model.ref import Ref
from control.planning.edit import Edit
from control.planning.fields import FieldKey, UndoField
from control.planning.options import ApplyOptions, PlanOptions
from control.planning.plan import HistoryItem, HistoryPage, Plan, Result, ResultOutcome, Step
from control.ports import Check, NativeText, ProofPart, Reader, WriterFactory
from control.structs import replace

if TYPE_CHECKING:
    from control.applying.acts import Aim
    from control.applying.telling import ProgressCall
    from control.changing import Changing
    from control.planning.planner import Remembered

__all__ = [
    "ApplyOptions",
    "ControlPlane",
    "EnvironmentView",
    "Headroom",
    "Inventory",
    "PlanOptions",
    "Seen",
    "ServiceView",
    "Unreached",
    "WriterFactory",
]

_PLAN = PlanOptions()
_APPLY = ApplyOptions()

DOCTOR_ENTRIES = 1_000
"""So many of the journal's last entries are checked by `doctor`."""


class ControlPlane:
    """See the module. All methods are safe to call from one event loop; none blocks it."""

    def __init__(
        self,
        deck: DeckConfig,
        readers: Mapping[str, Reader],
        writers: WriterFactory | None,
        actor: str,
        journal: Journal | None = None,
    ) -> None:
        """`writers` is None in read-only mode. `actor` is who acts, for the journal (`user@host`); without a `journal`
        it is the file that the deck names."""
        self.deck = deck
        self.actor = actor
        self.journal = SqliteJournal(journal_path(deck)) if journal is None else journal
        self._log = ChangeLog(self.journal)
        self._history = History(self._log)
        self._readers = dict(readers)
        self._writers = writers
        self._store = FleetStore(deck, self._readers)

    def with_writers(self, writers: WriterFactory) -> ControlPlane:
        """A control plane that can write, over the same readers and the same inventory."""
        armed = ControlPlane(self.deck, self._readers, writers, self.actor, self.journal)
        armed._store = self._store
        return armed

    @property
    def inventory(self) -> Inventory:
        """What is known now. A new value after every change of it."""
        return self._store.inventory

    @property
    def read_only(self) -> bool:
        """True where no writer can be made."""
        return self._writers is None

    # --- reading ------------------------------------------------------------------------------------------------------

    async def refresh(
        self, environments: Sequence[str] | None = None, deadline_seconds: float = ENVIRONMENT_SECONDS
    ) -> Inventory:
        """Read these environments (all by default) side by side; one that fails costs only its own rows."""
        names = list(self._readers) if environments is None else [self._store.known(name) for name in environments]
        await asyncio.gather(*(self._store.read(name, deadline_seconds) for name in names))
        return await self._store.rebuild()

    async def look_at(self, ref: Ref) -> Inventory:
        """Read what is needed to show one row: its object, where that tells all, else its whole environment."""
        name = self._store.known(ref.environment)
        reader = self._readers[name]
        object_ = reader.object_of(ref) if reader.stands_alone(ref) else None
        if object_ is not None and not self._store.state(name).was_read:
            with contextlib.suppress(ControlError):  # which reading it whole tells as it tells it of all others
                fetched = await fetch_one(await logged_in(reader), object_)
                await in_background(self._store.merge, [fetched])
                return await self._store.rebuild()
        return await self.refresh([name])

    async def measure(self) -> Inventory:
        """Take one sample of the counters of every environment that was reached and refresh `inventory.seen`."""
        await asyncio.gather(*(self._store.count(name) for name in self._readers))
        return await self._store.rebuild()

    def watch(self) -> AsyncIterator[Inventory]:
        """Keep reading and measuring until closed; yields after every change of the inventory."""
        return watch(self._store)

    async def native(self, ref: Ref) -> NativeText:
        """The native text that holds a route or limit; of a group, that on its first host."""
        reader, one = await self._one(ref)
        return await ask(reader.native(one), READ_SECONDS, f"reading {one}")

    async def edits_of(self, ref: Ref, original: str, text: str) -> list[Edit]:
        """The edits that an edited native text asks for, see `control.ports.Reader.edits_of`."""
        reader, one = await self._one(ref)
        return await ask(reader.edits_of(one, original, text), READ_SECONDS, f"comparing with {one}")

    async def _one(self, ref: Ref) -> tuple[Reader, Ref]:
        reader = self._readers[self._store.known(ref.environment)]
        row = find_row(self.inventory, ref)
        if row is None:
            from control.planning.planner import row_of

            await self._store.ensure_read([ref.environment])
            row = row_of(self.inventory, ref)
        return reader, row.members[0].ref if row.members else row.ref

    # --- changing -----------------------------------------------------------------------------------------------------

    @cached_property
    def _changing(self) -> Changing:
        from control.changing import Changing  # what only looks does without it

        return Changing(self.deck, self._readers, self._writers, self._store, self._log, self._history, self.actor)

    async def plan(self, edits: Sequence[Edit], options: PlanOptions = _PLAN) -> Plan:
        """See `control.changing.Changing.plan`."""
        return await self._changing.plan(edits, options)

    @property
    def remembered(self) -> Remembered:
        """The weights that targets had before they were drained, as the journal has them."""
        return self._history.remembered_weight

    async def replan(self, saved: Plan, overrides: Sequence[str] = ()) -> Plan:
        """See `control.changing.Changing.replan`."""
        return await self._changing.replan(saved, overrides)

    async def undo_plan(
        self, change: str | None = None, foreign_too: Collection[FieldKey] = (), overrides: Sequence[str] = ()
    ) -> Plan:
        """See `control.changing.Changing.undo_plan`."""
        return await self._changing.undo_plan(change, foreign_too, overrides)

    async def undo_fields(self, change: str | None = None) -> list[UndoField]:
        """See `control.changing.Changing.undo_fields`."""
        return await self._changing.undo_fields(change)

    async def apply(
        self,
        plan: Plan,
        options: ApplyOptions = _APPLY,
        progress: ProgressCall | None = None,
        stop: asyncio.Event | None = None,
    ) -> Result:
        """See `control.changing.Changing.apply`."""
        return await self._changing.apply(plan, options, progress, stop)

    async def take_up(
        self,
        change: str,
        aim: Aim | None = None,
        options: ApplyOptions = _APPLY,
        progress: ProgressCall | None = None,
        stop: asyncio.Event | None = None,
    ) -> Result:
        """See `control.changing.Changing.take_up`; goes on where no `aim` says otherwise."""
        return await self._changing.take_up(change, aim, options, progress, stop)

    def observe_on(self, step: Step) -> AsyncIterator[ProofPart]:
        """See `control.changing.Changing.observe_on`."""
        return self._changing.observe_on(step)

    async def resolve(self, change: str | None = None) -> list[Result]:
        """See `control.changing.Changing.resolve`."""
        return await self._changing.resolve(change)

    # --- the journal --------------------------------------------------------------------------------------------------

    def history(
        self, limit: int | None = PAGE, before: str | None = None, since: float | None = None
    ) -> list[HistoryItem]:
        """The newest changes, newest first, see `changes`."""
        return list(self.changes(limit, before, since).items)

    def changes(self, limit: int | None = PAGE, before: str | None = None, since: float | None = None) -> HistoryPage:
        """The newest changes first: at most `limit` (all with None) of those begun before the change `before`, or
        since then (Unix time). Reads the journal's file: off the event loop, please, where that may wait. Raises
        `JournalError` or `Locked` where changes are not known."""
        return self._history.page(limit, before, since)

    def changes_mark(self) -> Hashable:
        """Another as soon as a change was begun or has ended, by itself or with its process. Costs one look."""
        return self.journal.last(), tuple((one.change, one.outcome) for one in self._history.open_items().items)

    def interrupted(self) -> list[HistoryItem]:
        """The changes whose process died and of which nobody has stated the truth yet, newest first."""
        return list(self.interrupted_page().items)

    def interrupted_page(self) -> HistoryPage:
        """The interrupted changes, and what of the journal this version does not understand."""
        page = self._history.open_items()
        interrupted = [item for item in reversed(page.items) if item.outcome is ResultOutcome.INTERRUPTED]
        return replace(page, items=tuple(interrupted))

    def kept(self) -> list[Kept]:
        """What came of changes that the journal could not take, as it lies beside it. Reads files."""
        return self._log.kept()

    def take_in(self) -> list[Kept]:
        """Give the journal what lies beside it; returns what it took. Raises where it cannot take it now."""
        return self._log.take_in()

    async def note(self, what: str, data: Mapping[str, str]) -> None:
        """Journal something that is no change of a platform, as that a session was armed, for how long and why."""
        await asyncio.to_thread(self._log.note, self.actor, what, data)

    async def doctor(self) -> list[tuple[str, Check]]:
        """What every environment's reader says of reach, identity and rights."""
        answers = await asyncio.gather(*(self._check(name) for name in self._readers))
        journal = await asyncio.to_thread(self._check_journal)
        return [("", journal), *((name, check) for name, checks in answers for check in checks)]

    async def _check(self, name: str) -> tuple[str, list[Check]]:
        try:
            reader = await logged_in(self._readers[name])
            return name, await ask(reader.check(), ENVIRONMENT_SECONDS, f"checking {name}")
        except ControlError as error:
            return name, [Check("reach", "fail", error.message, error.hint or "")]

    def _check_journal(self) -> Check:
        """Its end, and what is not understood. The whole chain is for `journal verify`: that may take a minute."""
        try:
            last = self.journal.last()
            begin = max(last - DOCTOR_ENTRIES, 0) + 1
            told = self.journal.verify(begin=begin if last else None)
            page = self._history.open_items()
        except ControlError as error:
            return Check("journal", "fail", f"changes are not known: {error.message}", error.hint or "")
        if not told.ok:
            return Check("journal", "fail", f"{self.journal.name}: entry {told.first_bad} does not fit the chain")
        if page.not_understood:
            detail = f"{self.journal.name}: changes are not known in full: {page.why}"
            return Check("journal", "fail", detail, "update trafficdeck; nothing is written until then")
        checked = "the chain holds" if begin == 1 else f"the chain of the last {DOCTOR_ENTRIES} holds"
        hint = "" if begin == 1 else "trafficdeck journal verify checks all"
        return Check("journal", "ok", f"{self.journal.name}: {told.entries} entries, {checked}", hint)

    async def close(self) -> None:
        """Close every reader. Idempotent."""
        await asyncio.gather(*(reader.close() for reader in self._readers.values()), return_exceptions=True)
