"""An undo that meets newer values: every field before the change, as the change set it, and as it stands."""

from __future__ import annotations

from control.planning.edit import Value
from control.planning.fields import FieldKey, UndoField
from tui.cells import fit, safe
from tui.change_words import value_words
from tui.look import Line
from tui.screens.sheet import SheetScreen


class ThreeWayScreen(SheetScreen):
    """Space decides for a field that somebody changed since; Enter plans the way back with these decisions."""

    def __init__(self, change: str | None) -> None:
        """`change` is None for the caller's own last one."""
        super().__init__()
        self.change = change
        self.fields: list[UndoField] = []
        self.taken: set[FieldKey] = set()
        self.at = 0

    def on_mount(self) -> None:
        super().on_mount()
        self.work(self._read(), "three-way")

    async def _read(self) -> None:
        fields = await self.deck.plane.undo_fields(self.change)
        self.fields = sorted(fields, key=lambda field: not field.foreign)
        self.render_all()

    def heading(self) -> Line:
        return ((" THREE WAYS ", "strong"), (f"undo of {safe(self.change or 'your last change')}", "title"))

    def lines(self, width: int) -> list[Line]:
        cell = 12 if width >= 110 else 7
        name = max(width - 30 - 3 * (cell + 1), 20)
        head = f"{'':6}{fit('FIELD', name)} {'BEFORE':>{cell}} {'SET':>{cell}} {'NOW':>{cell}}  UNDO"
        lines: list[Line] = [((head, "muted"),)]
        if not self.fields:
            lines.append(((" reading what is there now", "info"),))
        return [*lines, *(self._field(field, name, cell) for field in self.fields)]

    def _field(self, field: UndoField, name: int, cell: int) -> Line:
        if field.foreign:
            mark, words = ("[x] ", "goes back") if field.key in self.taken else ("[ ] ", "stays: changed since")
        else:
            mark, words = "    ", "is back already" if field.is_back else "goes back"
        role = "warn" if field.foreign else "text"
        return (
            (f"  {mark}", "key"),
            (fit(f"{field.ref} {field.field}", name), role),
            (" " + _value(field.before, cell), "added"),
            (" " + _value(field.ours, cell), "muted"),
            (" " + _value(field.now, cell), role),
            (f"  {words}", "warn" if words.startswith("stays") else "muted"),
        )

    def pinned(self, width: int) -> list[Line]:
        return [((" space: take a newer value back too   enter: plan the way back   n: leave all as it is", "muted"),)]

    def cursor_line(self) -> int | None:
        return self.at + 1 if self.fields else None  # under the titles of the columns

    def _scroll(self, by: int) -> None:
        self.at = max(0, min(self.at + by, len(self.fields) - 1))
        self.top = max(0, min(self.top, self.at), self.at + 4 - max(self.body.size.height, 4))
        self.render_all()

    def do_switch(self) -> None:
        if not self.fields:
            return
        field = self.fields[self.at]
        if not field.foreign:
            self.say("nobody changed this one since: it goes back in any case", "warn")
            return
        self.taken ^= {field.key}
        self.render_all()

    def do_choose(self) -> None:
        from tui.screens.plan import PlanScreen

        deck, change, taken = self.deck, self.change, frozenset(self.taken)
        self.app.switch_screen(PlanScreen("undo", lambda o: deck.plane.undo_plan(change, taken, o.overrides), change))


def _value(value: Value, cells: int) -> str:
    return fit(value_words(value), cells, right=True)
