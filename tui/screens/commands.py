"""The `:` line: the registry's commands, and the command line's own verbs on what is selected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from control import typed
from control.errors import ControlError, InvalidValue, UsageError
from control.model.ref import Ref
from control.planning.edit import Edit
from control.planning.expressions import parse_limit, parse_shares, parse_states
from tui.actions import BY_ID, COMMANDS, WHAT_IF
from tui.cells import safe
from tui.screens.parts import DeckParts
from tui.store import ChangeRow, LimitRow, RouteRow
from tui.widgets.line_input import LineInput

_PARSERS: Mapping[str, Callable[[Ref, list[str]], Edit]] = {
    "shares": parse_shares,
    "limit": parse_limit,
    "state": parse_states,
}
ALIASES = {
    "quit!": "quit",
    "exit": "quit",
    "history": "changes",
    "throttles": "limits",
    "ctx": "env",
    "?": "help",
    "s": "sort",
}


class Commands(DeckParts):
    """The part of the main screen that reads commands."""

    _typed_before: list[str]

    def do_command(self) -> None:
        if not hasattr(self, "_typed_before"):
            self._typed_before = []
        line = LineInput(":", self.command, history=self._typed_before)
        line.complete = self._completions
        line.check = self._about
        self.ask(line)

    def _completions(self, text: str) -> list[str]:
        if not text or " " in text:
            return []
        session = self.deck.session
        verbs = [*COMMANDS, *self._own_aliases, "set", "get", *(session.demo_verbs or {} if session else {})]
        return sorted(verb for verb in verbs if verb.startswith(text))

    def _about(self, text: str) -> tuple[str, str]:
        if not text:
            return "a command; tab completes, ? lists them all", "faint"
        action = COMMANDS.get(text.split(" ")[0])
        if action is None:
            options = self._completions(text)
            return " ".join(options) if len(options) > 1 else "", "faint"
        why = action.unavailable(self.situation())
        return (why or action.title), ("warn" if why else "faint")

    def command(self, text: str) -> None:
        """Do one command line."""
        if not text:
            return
        if hasattr(self, "_typed_before"):
            self._typed_before.append(text)
        try:
            self._command(*self._expanded(text))
        except ControlError as error:
            self.fail(error)

    @property
    def _own_aliases(self) -> Mapping[str, str]:
        """What the deck file says that words stand for."""
        return self.deck.session.deck.aliases if self.deck.session is not None else {}

    def _expanded(self, text: str) -> tuple[str, str]:
        """The verb and the rest of a command line; the user's aliases first, then ours, each once."""
        verb, _, rest = text.partition(" ")
        if verb in self._own_aliases:
            verb, _, first = self._own_aliases[verb].partition(" ")
            rest = f"{first} {rest}"
        return ALIASES.get(verb, verb), rest.strip()

    def _command(self, verb: str, rest: str) -> None:
        session = self.deck.session
        if verb == "set" and self.SCOPE == "deck":
            self._set(rest)
        elif verb == "get":
            self._get(rest)
        elif session is not None and session.demo_verbs and verb in session.demo_verbs:
            job = session.demo_verbs[verb]

            async def tell() -> None:
                self.say(await job(rest))

            self.work(tell(), verb)
        elif verb in COMMANDS and self.SCOPE in COMMANDS[verb].scopes:
            self.perform(COMMANDS[verb], rest)
        elif verb in WHAT_IF and self.SCOPE in WHAT_IF[verb].scopes:
            self.perform(WHAT_IF[verb], rest)
        elif verb in COMMANDS or verb == "set":
            raise UsageError(f":{verb} is not part of the on-call view", hint="the deck, 'trafficdeck', has it")
        else:
            near = [command for command in COMMANDS if command.startswith(verb[:2])]
            raise UsageError(
                f"there is no command '{safe(verb)}'", hint=f"near: {', '.join(near)}" if near else "? lists"
            )

    def _get(self, rest: str) -> None:
        what, _, words = rest.partition(" ")
        views = {"routes": 0, "limits": 1, "services": 3, "environments": 3}
        if what not in views:
            raise UsageError("get what?", hint="routes, limits, services, environments, then filter words")
        self.show_view(views[what])
        if words:
            self.perform(BY_ID["filter"], words)

    # --- set

    def _set(self, rest: str) -> None:
        """`set shares [REF] a=70 b=30`, `set limit [REF] rate=50/s`, `set state [REF] a=draining`: stages only."""
        words = rest.split()
        if len(words) < 2 or words[0] not in _PARSERS:
            raise UsageError(
                "set what?", hint="set shares [REF] a=70 b=30, set limit [REF] rate=50/s, set state [REF] a=draining"
            )
        here = "=" in words[1].split("/")[0]
        ref = self._ref_here() if here else Ref.parse(words[1])
        items = words[1:] if here else words[2:]
        from tui.views.preview import stage_edit

        store, parse = self.deck.store, _PARSERS[words[0]]
        if ref not in (store.limits if words[0] == "limit" else store.routes):
            raise InvalidValue(f"{safe(str(ref))} is no {'limit' if words[0] == 'limit' else 'route'}")
        stage_edit(self.deck.staging, store, parse(ref, items))
        self.refresh_rows()
        self.render_head()
        self.render_side()
        self.say(f"staged, not sent: {safe(str(ref))}; a plans it", "staged")

    def _ref_here(self) -> Ref:
        row = self.selected
        if not isinstance(row, RouteRow | LimitRow):
            raise UsageError("nothing is selected", hint="give a REF")
        return row.ref

    # --- arming

    def do_arm(self, argument: str = "") -> object:
        words = argument.split(maxsplit=1)
        seconds = typed.seconds(words[0], bare="m") if words else None
        if not seconds or len(words) < 2:
            raise UsageError("arming takes minutes and a reason", hint=":arm 15m [ENVIRONMENT…] REASON")
        wanted, reason = self._arm_which(words[1].split())
        return self._arm(wanted, float(seconds / 60), reason)

    def _arm_which(self, words: list[str]) -> tuple[frozenset[str], str]:
        """Environments named (by name or code) before the reason; all of production where none is."""
        session = self.deck.session
        if session is None:
            raise UsageError("nothing has been read yet")
        armable = session.armable()
        named: set[str] = set()
        while words:
            match = {e.name for e in session.deck.environments if words[0] in (e.name, e.code)} & armable
            if not match:
                break
            named |= match
            words = words[1:]
        if not words:
            raise UsageError("arming needs a reason", hint=":arm 15m [ENVIRONMENT…] REASON")
        production = frozenset(e.name for e in session.deck.environments if e.production) & armable
        return frozenset(named) or production or armable, " ".join(words)

    async def _arm(self, wanted: frozenset[str], minutes: float, reason: str) -> None:
        deck = self.deck
        deck.head.job = "asking for rights…"
        self.render_head()
        try:
            await deck.arming.arm(wanted, minutes, reason)
        finally:
            deck.head.job = ""
        self.render_head()
        names = ", ".join(sorted(wanted)) if len(wanted) <= 3 else f"{len(wanted)} environments"
        self.say(f"armed {names} for {minutes:g} minutes: {safe(reason)}", "armed")

    def do_disarm(self) -> None:
        self.deck.arming.disarm()
        self.render_head()
        self.say("disarmed")

    def do_resolve(self) -> object:
        return self._resolve()

    async def _resolve(self) -> None:
        results = await self.deck.plane.resolve()
        self.deck.read_history()
        told = ", ".join(f"{r.change}: {r.outcome.value.replace('_', ' ')}" for r in results)
        self.say(told or "no change was interrupted")

    # --- looking

    def do_native(self) -> None:
        from tui.screens.sheet import NativeScreen

        row = self.selected
        if isinstance(row, RouteRow | LimitRow):
            self.app.push_screen(NativeScreen(row.ref))

    def do_describe(self) -> None:
        if not self.in_detail:
            self.perform(BY_ID["open"])

    def do_palette(self) -> None:
        from tui.screens.help import PaletteScreen

        self.app.push_screen(PaletteScreen(self.situation(), self.perform))

    def do_copy(self) -> None:
        row = self.selected
        if isinstance(row, RouteRow | LimitRow):
            text = str(row.ref)
        elif isinstance(row, ChangeRow):
            text = row.item.change if row.item else row.what
        else:
            return
        self.deck.copy(text)
        self.say(f"copied by the terminal: {safe(text)}")

    # --- files

    def do_save(self, name: str = "") -> object:
        if not name:
            raise UsageError("save to which file?", hint=":w FILE")
        return self._save(Path(name).expanduser())

    async def _save(self, path: Path) -> None:
        from tui.planfiles import write_plan

        deck = self.deck
        plan = await deck.plane.plan(deck.staging.edits())
        write_plan(path, plan)
        self.say(f"saved {path}; 'trafficdeck apply {path}' or :open does it")

    def do_load(self, name: str = "") -> None:
        from tui.planfiles import read_plan_file
        from tui.screens.plan import PlanScreen

        if not name:
            raise UsageError("open which file?", hint=":open FILE")
        plan = read_plan_file(Path(name).expanduser())

        deck = self.deck
        self.app.push_screen(PlanScreen("file", lambda options: deck.plane.replan(plan, options.overrides)))

    def do_dump(self) -> None:
        from tui.dumping import dump

        deck = self.deck
        if deck.session is None:
            return
        rows = [row.data for row in self.table.rows if not row.heading]
        try:
            path = dump(self.app, deck.session.state_folder, rows, deck.store.inventory)
        except OSError as error:
            raise UsageError(f"the screen could not be saved: {error.strerror}") from error
        self.say(f"saved {path}, and .svg and .json beside it")
