"""What is asked of many changes: the newest, those of one day or person, the open ones. Costs what is listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from control.errors import ControlError, JournalError, NotFound
from control.journal.events import NotKnown
from control.journal.log import ChangeLog, why_not_understood
from control.journal.port import ChangeIndex, check_understood
from control.journal.records import Entry, Indexed, told
from control.journal.state import IN_FORCE, ChangeState, advance
from control.model import Weight
from control.model.ref import Ref
from control.planning.edit import target_field
from control.planning.plan import HistoryItem, HistoryPage, HistoryStep, Result, ResultOutcome
from control.structs import replace

PAGE = 200
"""So many changes are listed where nobody asks for more."""


class History:
    """Questions about the changes of one log. Reads files; any thread may ask."""

    def __init__(self, log: ChangeLog) -> None:
        self._log = log
        self._journal = log.journal

    def unfinished(self) -> list[ChangeState]:
        """The changes that are open, or that their process left in progress; oldest first."""
        with self._journal.index() as index:
            rows = index.unfinished()
        names = dict.fromkeys([*(one.change for one in rows), *self._log.late()])
        every = [self._log.get(change) for change in names]
        return [one for one in every if one.result is None or one.unfinished]

    def last_of(self, actor: str) -> ChangeState:
        """The last change of `actor` that was begun and not refused, whatever came of it. Raises `NotFound`.

        One that was rolled back is not passed over: whoever says "undo" then does not mean the change before it.
        """
        nothing = (ResultOutcome.REFUSED, ResultOutcome.NO_CHANGE)
        with self._journal.index() as index:
            check_understood(self._journal.name, index)
            last = index.by_actor(actor, nothing)
        late = [one for one in self._log.late().values() if one.actor == actor and one.outcome not in nothing]
        mine = [*([self._log.get(last.change)] if last is not None else []), *late]
        if not mine:
            raise NotFound(f"{actor} has no change to undo", hint="name one: 'trafficdeck history' lists them")
        return max(mine, key=lambda one: one.at)

    def page(self, limit: int | None = PAGE, before: str | None = None, since: float | None = None) -> HistoryPage:
        """The newest changes first: at most `limit` (all with None) of those that were begun before the change
        `before`, or since then (Unix time). Costs what is listed, not what there is."""
        late = self._log.late()
        with self._journal.index() as index:
            rows, older = self._rows(index, limit, before, since)
            undone = {row.change: self._undone_by(index, row.change) for row in rows}
            count, first = index.unknown()
            beside = [one for one in late.values() if index.get(one.change) is None]
        items, wrong = self._items(rows, undone, late)
        if before is None:
            new = [one for one in beside if since is None or one.at >= since]
            items = [*sorted(map(_item, new), key=lambda item: -item.at), *items]
        return HistoryPage(tuple(items), older, count + len(wrong), told([*first, *wrong]))

    def _rows(
        self, index: ChangeIndex, limit: int | None, before: str | None, since: float | None
    ) -> tuple[list[Indexed], int]:
        """(what the index lists, how many older ones it has). Raises `NotFound`."""
        bound = index.get(before) if before is not None else None
        if before is not None and bound is None:
            raise NotFound(f"there is no change {before}", hint="'trafficdeck history' lists the newest")
        if since is not None:
            rows = index.since(since, limit)
        else:
            rows = index.page(limit, None if bound is None else bound.number)
        return rows, min(row.number for row in rows) - 1 if rows else (index.count() if bound is None else 0)

    def open_items(self) -> HistoryPage:
        """The changes that are open, as `history` lists them, oldest first, and what is not understood."""
        late = self._log.late()
        with self._journal.index() as index:
            rows = [row for row in index.unfinished() if row.outcome is None]
            count, first = index.unknown()
        items, wrong = self._items(rows, {}, late)
        listed = {item.change for item in items}
        items += [_item(one) for one in late.values() if one.change not in listed]
        still = [item for item in items if item.outcome in (ResultOutcome.IN_PROGRESS, ResultOutcome.INTERRUPTED)]
        return HistoryPage(tuple(still), 0, count + len(wrong), told([*first, *wrong]))

    def _items(
        self, rows: Sequence[Indexed], undone: Mapping[str, str | None], late: Mapping[str, ChangeState]
    ) -> tuple[list[HistoryItem], list[tuple[int, str]]]:
        """(what is listed of these changes, the records that are not understood)."""
        entries = self._journal.numbered([row.opened for row in rows])
        items: list[HistoryItem] = []
        wrong: list[tuple[int, str]] = []
        for row in rows:
            entry = entries[row.opened]
            try:
                if isinstance(entry, JournalError):
                    raise entry
                recorded = late.get(row.change) or self._as_indexed(row, entry)
                items.append(_item(recorded, undone.get(row.change)))
            except (NotKnown, ControlError, KeyError, ValueError, TypeError, AttributeError) as error:
                wrong.append((row.opened, why_not_understood(error)))
        return items, wrong

    def _as_indexed(self, row: Indexed, opening: Entry) -> ChangeState:
        """A change from its opening and what the index says became of it; its result holds no steps."""
        state = advance(row.change, None, opening)
        if state is None:
            raise NotKnown("it opens no change")
        result = None if row.outcome is None else Result(row.change, row.outcome, None)
        return self._log.with_process(replace(state, result=result))

    def _in_force(self, row: Indexed) -> bool:
        return (row.outcome or self._log.get(row.change).outcome) in IN_FORCE

    def _undone_by(self, index: ChangeIndex, change: str) -> str | None:
        """The last change that took one back and is in force."""
        return next((undo.change for undo in index.undoing(change) if self._in_force(undo)), None)

    def last_change_at(self, since: float) -> tuple[dict[Ref, float], str]:
        """When each ref was last changed, since then, by a change that left or may have left something in force; and
        why more than that may be so, where the journal holds what this version does not understand."""
        with self._journal.index() as index:
            known = index.touched_since(since, IN_FORCE)
            count, first = index.unknown()
        last_at = {Ref.parse(ref): at for ref, at in known.items()}
        for one in self._log.late().values():
            if one.at >= since:
                last_at.update({change.ref: max(one.at, last_at.get(change.ref, 0.0)) for change in one.changes()})
        return last_at, told(first) if count else ""

    def remembered_weight(self, ref: Ref, target: str) -> Weight | None:
        """The weight that a target had before it was last set to 0, as far as the journal knows. Raises `JournalError`
        where the journal may know more than this version understands."""
        fields = [target_field(target, what) for what in ("weight", "share")]
        with self._journal.index() as index:
            check_understood(self._journal.name, index)
            rows = index.zeroing(str(ref), *fields)
            zeroed = next((row for row in rows if self._in_force(row)), None)
        mine = [one for one in self._log.late().values() if one.outcome in IN_FORCE]
        mine += [self._log.get(zeroed.change)] if zeroed is not None else []
        for one in sorted(mine, key=lambda one: -one.at):
            for change in one.changes():
                if change.ref == ref and change.field in fields and change.after == 0:
                    return change.before if isinstance(change.before, Weight) else None
        return None


def _item(recorded: ChangeState, undone_by: str | None = None) -> HistoryItem:
    steps = tuple(HistoryStep(step.object, step.changes) for step in recorded.plan.steps)
    reason, outcome = recorded.reason, recorded.outcome
    return HistoryItem(recorded.change, recorded.at, recorded.actor, reason, outcome, undone_by, steps)
