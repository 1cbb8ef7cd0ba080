"""Staging edits: inline values, steps, locks, drains; and the way to the plan. Nothing here sends anything."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from control.errors import ControlError, InvalidValue
from control.model import Limit, Outside, Route, TargetState
from control.planning.edit import Edit, LimitEdit
from control.planning.edits import resolve_limit
from control.planning.expressions import limit_expression
from control.planning.text_edits import edits_between
from control.structs import replace
from tui.cells import safe
from tui.figures import plural
from tui.screens.parts import DeckParts
from tui.staging import check_known, even, shares_now
from tui.store import ChangeRow, LimitRow, RouteRow
from tui.views.limits import amount_text, staged_text
from tui.views.preview import stage_edit
from tui.weight_expression import weigh
from tui.widgets.bars import letter, percent
from tui.widgets.line_input import LineInput


def check_limit(limit: Limit, edit: LimitEdit) -> None:
    """Raise `InvalidValue`, with the nearest values, for what the platform cannot hold: here, and not at the plan."""
    for one in limit.members or (limit,):
        resolve_limit(one, replace(edit, ref=one.ref))


def check_understood(limit: Limit) -> None:
    """Raise `InvalidValue` for a limit whose amount cannot be read: what it is set to is not ours to replace."""
    if limit.amount is None:
        raise InvalidValue(f"what it is set to is not understood: {limit.native}", hint="y shows the native text")


STEP, ONE = Fraction(10, 100), Fraction(1, 100)


class Editing(DeckParts):
    """The part of the main screen that stages."""

    def _staged(self, text: str = "") -> None:
        self.refresh_rows()
        self.render_head()
        self.render_side()
        if text:
            self.say(text, "staged")
        else:
            self.render_foot()

    # --- weights

    def _route(self) -> tuple[Route, str]:
        row, name = self.selected, self.route_target()
        if not isinstance(row, RouteRow) or name is None:
            raise InvalidValue("choose a target of a route")
        return row.route, name

    def _step(self, by: Fraction) -> None:
        route, name = self._route()
        self.deck.staging.stage_step(route, name, by)
        self._staged(self._words(route))

    def _words(self, route: Route) -> str:
        draft = self.deck.staging.routes.get(route.ref)
        if draft is None:
            return f"{route.name}: back to what is set"
        arrow = self.deck.look.glyphs.arrow
        now = {target.name: target.share for target in route.targets}
        moved = [
            f"{letter(index)}{percent(now.get(name))}{arrow}{percent(after)}"
            for index, (name, after) in enumerate(draft.after.items())
            if after != now.get(name)
        ]
        states = [f"{name} {arrow} {state.value}" for name, state in draft.states.items()]
        return f"staged, not sent: {safe(route.name)} {' '.join([*moved, *states])}   a plans it, x unstages"

    def do_weight_more(self) -> None:
        self._step(STEP)

    def do_weight_less(self) -> None:
        self._step(-STEP)

    def do_weight_one_more(self) -> None:
        self._step(ONE)

    def do_weight_one_less(self) -> None:
        self._step(-ONE)

    def do_weight_all(self) -> None:
        self._step(Fraction(1))

    def do_weight_even(self) -> None:
        row = self.selected
        if isinstance(row, RouteRow):
            if any(target.native for target in row.route.targets):
                check_known(row.route)
            self.deck.staging.stage_shares(row.route, even(row.route))
            self._staged(self._words(row.route))

    def do_weight_lock(self) -> None:
        route, name = self._route()
        locked = self.deck.staging.toggle_lock(route.ref, name)
        self._staged(f"{safe(name)} is {'locked' if locked else 'free'}")

    # --- states

    def _stage_state(self, state: TargetState) -> None:
        route, name = self._route()
        if state is TargetState.DRAINING and state not in route.states and not route.grid.zero:
            if TargetState.MAINTENANCE in route.states:
                raise InvalidValue(f"{route.kind} cannot drain", hint=":maintenance stages the nearest, out at once")
            raise InvalidValue(f"{route.kind} cannot drain a target")
        if state is TargetState.MAINTENANCE and state not in route.states:
            raise InvalidValue(f"{route.kind} knows no maintenance", hint="D drains")
        self.deck.staging.stage_state(route, name, state)
        self._staged(self._words(route))

    def do_target_drain(self) -> None:
        self._stage_state(TargetState.DRAINING)

    def do_target_active(self) -> None:
        self._stage_state(TargetState.ACTIVE)

    def do_target_maintenance(self) -> None:
        self._stage_state(TargetState.MAINTENANCE)

    # --- inline values

    def do_edit(self, text: str = "") -> None:
        rows = self.marked_rows()
        kinds = {type(row) for row in rows}
        if len(kinds) != 1:
            raise InvalidValue("one expression is for routes or for limits, not for both")
        first = rows[0]
        apply = self._apply_to(rows)
        if text:
            apply(text)
            return
        if isinstance(first, LimitRow):
            label = f"{first.name} {amount_text(first.limit)}"
        else:
            name = self.route_target() if first is self.selected else first.route.targets[0].name
            target = first.route.target(name or "")
            now = "not understood" if target and target.native else f"{percent(target.share if target else None)}%"
            label = f"{first.name} {safe(name or '')} {now}"
        many = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        line = LineInput(f"{label}{many} =", apply)
        line.check = lambda typed: self._preview(rows, typed)
        self.ask(line)

    def _targets_of(self, row: RouteRow) -> str:
        name = self.route_target() if row is self.selected else None
        return name or row.route.targets[0].name

    def _apply_to(self, rows: list[RouteRow | LimitRow]) -> Callable[[str], None]:
        def apply(text: str) -> None:
            if not text:
                return
            if len(rows) > 1:
                self._apply_to_many(rows, text)
                return
            self._apply_one(rows[0], text)
            first = rows[0]
            self._staged(self._words(first.route) if isinstance(first, RouteRow) else self._limit_words(first))

        return apply

    def _apply_to_many(self, rows: list[RouteRow | LimitRow], text: str) -> None:
        """Stage it on every row that can have it; of each that cannot, say why."""
        refused: list[tuple[RouteRow | LimitRow, ControlError]] = []
        for row in rows:
            try:
                self._apply_one(row, text)
            except ControlError as error:
                refused.append((row, error))
        if not refused:
            self._staged(f"staged on {len(rows)}, not sent; a plans them")
            return
        from tui.screens.refusals import RefusalsScreen, told

        self._staged(told(len(rows), refused))
        self.app.push_screen(RefusalsScreen(len(rows), refused))

    def _apply_one(self, row: RouteRow | LimitRow, text: str) -> None:
        staging = self.deck.staging
        if isinstance(row, LimitRow):
            if not row.limit.editable.yes:
                raise InvalidValue(f"{row.name}: {row.limit.editable.reason}")
            check_understood(row.limit)
            edit = limit_expression(row.limit, text)
            check_limit(row.limit, edit)
            staging.stage_limit(edit)
            return
        if not row.route.editable.yes:
            raise InvalidValue(f"{row.name}: {row.route.editable.reason}")
        name = self._targets_of(row)
        draft = staging.routes.get(row.ref)
        locked = {target for ref, target in staging.locked if ref == row.ref}
        weighed = weigh(row.route, dict(draft.after) if draft else shares_now(row.route), name, text, locked)
        if weighed.native is None:
            staging.stage_shares(row.route, weighed.after)
        else:
            staging.stage_native(row.route, name, weighed.native)

    def _limit_words(self, row: LimitRow) -> str:
        edit = self.deck.staging.limits.get(row.ref) or LimitEdit(row.ref)
        arrow = self.deck.look.glyphs.arrow
        change = f"{amount_text(row.limit)}{arrow}{staged_text(row.limit, edit)}"
        return f"staged, not sent: {row.name} {change}   a plans it, x unstages"

    def _preview(self, rows: list[RouteRow | LimitRow], text: str) -> tuple[str, str]:
        """What the text typed so far comes to on the first row, and how many of the others can have it."""
        if len(rows) > 1 and text:
            can = [row for row in rows if self._can(row, text)]
            some = "" if len(can) == len(rows) else f"{len(can)} of {len(rows)} can: "
            words, role = self._preview(can[:1] or rows[:1], text)
            return some + words, "warn" if some and role != "bad" else role
        first = rows[0]
        if not text:
            weights, amounts = "80  80%  +10  /2  *1.5  70/30", "50/s  /2  *1.5  +10  -10%  unlimited"
            return amounts if isinstance(first, LimitRow) else weights, "faint"
        try:
            if isinstance(first, LimitRow):
                check_understood(first.limit)
                edit = limit_expression(first.limit, text)
                check_limit(first.limit, edit)
                return f"{self.deck.look.glyphs.arrow} {staged_text(first.limit, edit)}", "staged"
            name = self._targets_of(first)
            weighed = weigh(first.route, shares_now(first.route), name, text, set())
        except ControlError as error:
            return str(error), "bad"
        words = "  ".join(f"{safe(n)} {percent(s)}%" for n, s in weighed.after.items())
        native = f" (native weight {weighed.native})" if weighed.native is not None else ""
        return f"{self.deck.look.glyphs.arrow} {words}{native}", "staged"

    def _can(self, row: RouteRow | LimitRow, text: str) -> bool:
        try:
            if isinstance(row, LimitRow):
                check_understood(row.limit)
                check_limit(row.limit, limit_expression(row.limit, text))
                return row.limit.editable.yes
            weigh(row.route, shares_now(row.route), self._targets_of(row), text, set())
        except ControlError:
            return False
        return row.route.editable.yes

    # --- taking back, and on to the plan

    def do_unstage(self) -> None:
        for row in self.marked_rows():
            self.deck.staging.unstage(row.ref)
        self._staged("unstaged")

    def do_unstage_all(self) -> None:
        count = len(self.deck.staging)

        def answered(text: str) -> None:
            if text != "discard":
                raise InvalidValue("nothing was dropped: 'discard' was not typed", hint="esc keeps them")
            self.deck.staging.clear()
            self._staged(f"discarded {plural(count, 'staged edit')}")

        self.ask(LineInput(f"type discard to drop {plural(count, 'staged edit')}:", answered))

    def do_plan(self) -> None:
        from tui.screens.plan import PlanScreen

        deck = self.deck
        edits = deck.staging.edits()
        self.app.push_screen(PlanScreen("staged", lambda options: deck.plane.plan(edits, options)))

    def do_undo(self, change: str = "") -> None:
        from tui.screens.plan import PlanScreen

        deck, row = self.deck, self.selected
        named = change or None
        if not change and isinstance(row, ChangeRow):
            if row.outside is not None:
                self._take_back_outside(row.outside)
                return
            named = row.item.change if row.item is not None else None
        self.app.push_screen(PlanScreen("undo", lambda o: deck.plane.undo_plan(named, (), o.overrides), named))

    def _take_back_outside(self, outside: Outside) -> None:
        """Stage how the rows of an object stood before the last change that this deck saw, and open the plan."""
        store, staging = self.deck.store, self.deck.staging
        edits: list[Edit] = []
        for ref, was in store.was.items():
            now = store.routes[ref].route if ref in store.routes else store.limits[ref].limit
            if outside.object in (now.object, *(member.object for member in now.members)):
                edits += edits_between([now], [was])
        if not edits:
            raise InvalidValue(
                "what it was before is not known: this deck did not see that change happen",
                hint="set the values that you want",
            )
        for edit in edits:
            stage_edit(staging, store, edit)
        self._staged()
        self.perform("plan")

    def do_redo(self) -> None:
        """Take back the last undo: the change that undid another and still stands."""
        from tui.screens.plan import PlanScreen

        items = [row.item for row in self.deck.store.changes if row.item is not None]
        undoing = {item.undone_by for item in items if item.undone_by}
        last = next((item.change for item in items if item.change in undoing and not item.undone_by), None)
        if last is None:
            among = "" if not self.deck.store.older_changes else f" among the last {len(items)} changes"
            raise InvalidValue(f"nothing was undone{among}", hint="u undoes")
        deck = self.deck
        self.app.push_screen(PlanScreen("undo", lambda o: deck.plane.undo_plan(last, (), o.overrides), last))
