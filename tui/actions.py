"""The one registry of what a person can do. Keys, palette, help, footer, `:` commands and the read-only test use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from control.errors import DeckError

RESERVED = frozenset(
    {"ctrl+i", "ctrl+m", "ctrl+h", "ctrl+j", "ctrl+left_square_bracket", "ctrl+z", "ctrl+q", "ctrl+s", "ctrl+k"}
    | {"ctrl+a", "ctrl+b", "ctrl+at", "ctrl+backslash", "ctrl+w", "ctrl+n", "ctrl+t"}
)
"""Keys that terminals, multiplexers or habits own: nothing that edits may sit on them."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What is true at this moment, as far as it decides whether an action makes sense."""

    scope: str = "deck"
    view: str = "routes"
    ready: bool = True
    """There is something on the screen to act on: the first read has come."""
    can_arm: bool = True
    armed: bool = False
    row: str = ""
    """`route`, `limit`, `change`, `service`, `environment`, or nothing."""
    target: bool = False
    """A target of the route is under the cursor (the detail has the focus), or is obvious."""
    fixed: str = ""
    """Why the thing under the cursor cannot be edited; empty where it can."""
    staged: int = 0
    staged_here: bool = False
    marks: int = 0
    in_flight: bool = False
    newer: bool = False
    """An undo that newer values of somebody else stand in the way of."""
    silent: bool = False
    """An environment that does not answer holds up a plan of others too."""
    phase: str = ""
    """Of the plan sheet: `being made`, `impossible`, `empty`, `refused` (it may not be sent), `ready`, …, `done`."""


Why = Callable[[Situation], str]


def _always(_: Situation) -> str:
    return ""


def _ready(now: Situation) -> str:
    return "" if now.ready else "nothing has been read yet"


def _row(now: Situation) -> str:
    return _ready(now) or ("" if now.row else "nothing is selected")


def _native(now: Situation) -> str:
    return _row(now) or ("" if now.row in ("route", "limit") else "only routes and limits have native text")


def _route(now: Situation) -> str:
    return _row(now) or ("" if now.row == "route" else "only routes have weights") or now.fixed


def _target(now: Situation) -> str:
    return _route(now) or ("" if now.target else "open the route (enter) and choose a target")


def _value(now: Situation) -> str:
    missing = "" if now.row in ("route", "limit") else "only routes and limits can be edited"
    return _row(now) or missing or now.fixed


def _staged(now: Situation) -> str:
    return "" if now.staged else "nothing is staged"


def _staged_here(now: Situation) -> str:
    return _row(now) or ("" if now.staged_here else "nothing is staged here")


def _undo(now: Situation) -> str:
    return _ready(now) or ("a change is being applied" if now.in_flight else "")


def _sendable(now: Situation) -> str:
    return "" if now.phase == "ready" else f"the plan is {now.phase}"


def _planned(now: Situation) -> str:
    return "" if now.phase in ("ready", "refused") else f"the plan is {now.phase}"


def _newer(now: Situation) -> str:
    return "" if now.newer else "no newer value stands in the way of an undo"


def _silent(now: Situation) -> str:
    return "" if now.silent else "no environment's silence holds this plan up"


def _done(now: Situation) -> str:
    return "" if now.phase == "done" else "nothing was applied here yet"


def _arm(now: Situation) -> str:
    return _ready(now) or ("" if now.can_arm else "read-only: start trafficdeck without --read-only")


def _disarm(now: Situation) -> str:
    return "" if now.armed else "nothing is armed for a time"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done. `keys` are defaults in Textual's names; `command` is the word after `:`."""

    id: str
    title: str
    group: str
    scopes: tuple[str, ...]
    keys: tuple[str, ...] = ()
    command: str = ""
    edits: bool = False
    """Stages something, or leads to a write: absent from the on-call view."""
    writes: bool = False
    """May send a write by itself, after its confirmation."""
    danger: str = ""
    """What to know before; empty for harmless ones."""
    asks: str = ""
    """The characters that what it asks for can begin with, `*` for any: where it is refused, a hand that types on all
    the same must fire no other key with it. Empty where nothing is asked for."""
    repeat: bool = False
    """Harmless when a burst of keys repeats it: moving."""
    unavailable: Why = field(default=_always)
    short: str = ""
    """One word for the footer; empty where it is not shown there."""
    over: str = ""
    """What that word becomes where there is nothing left to stop; empty where it stays."""

    def word(self, now: Situation) -> str:
        """What it does here, in a word for the footer."""
        return self.over if self.over and (now.scope == SHEET or now.phase == "done") else self.short


DECK, ONCALL, PLAN, SHEET = "deck", "oncall", "plan", "sheet"
_LISTS = (DECK, ONCALL)
_ALL = (DECK, ONCALL, PLAN, SHEET)


def _moves() -> list[Action]:
    rows: list[tuple[str, str, tuple[str, ...]]] = [
        ("move.down", "Down", ("j", "down")),
        ("move.up", "Up", ("k", "up")),
        ("move.top", "First", ("g", "home")),
        ("move.bottom", "Last", ("G", "end")),
        ("move.half_down", "Half a page down", ("ctrl+d",)),
        ("move.half_up", "Half a page up", ("ctrl+u",)),
        ("move.page_down", "Page down", ("pagedown", "ctrl+f")),
        ("move.page_up", "Page up", ("pageup",)),
    ]
    moves = [Action(id_, title, "move", _ALL, keys, repeat=True) for id_, title, keys in rows]
    panes = [
        Action("move.left", "Left pane", "move", _LISTS, ("h", "left"), repeat=True),
        Action("move.right", "Right pane", "move", _LISTS, ("l", "right"), repeat=True),
        Action("pane.next", "Next pane", "move", _LISTS, ("tab",), repeat=True),
        Action("pane.previous", "Previous pane", "move", _LISTS, ("shift+tab",), repeat=True),
    ]
    return moves + panes


def _look() -> list[Action]:
    return [
        Action("open", "Open what is selected", "look", _LISTS, ("enter",), unavailable=_row, short="open"),
        Action("back", "Back one level", "look", _ALL, ("escape",)),
        Action(
            "leave",
            "Back one level; quit at the root",
            "look",
            _ALL,
            ("q",),
            "q",
        ),
        Action("view.last", "The view before", "look", _LISTS, ("backspace",), "back"),
        Action("history.back", "The place before", "look", _LISTS, ("[", "left_square_bracket")),
        Action("history.forward", "The place after", "look", _LISTS, ("]", "right_square_bracket")),
        Action("related", "Related: what it leads to, its owner", "look", _LISTS, ("o",), "owner", unavailable=_native),
        Action("view.routes", "Routes", "look", _LISTS, ("1",), "routes"),
        Action("view.limits", "Limits", "look", _LISTS, ("2",), "limits"),
        Action("view.changes", "Changes", "look", _LISTS, ("3", "@", "at"), "changes"),
        Action("view.pulse", "Pulse: services and environments", "look", _LISTS, ("4",), "pulse"),
        Action("filter", "Filter rows", "find", _LISTS, ("/",), "filter", short="filter"),
        Action("filter.clear", "Clear the filter", "find", _LISTS, (), "nofilter"),
        Action("environment", "Only one environment", "find", _LISTS, (), "env", unavailable=_ready),
        Action("problems", "Only problems", "find", _LISTS, ("!", "exclamation_mark"), "problems"),
        Action("match.next", "Next row that the filter words name", "find", _LISTS, ("n",)),
        Action("match.previous", "The one before", "find", _LISTS, ("N",)),
        Action("sort", "Sort: choose the column, or name it", "find", _LISTS, ("s",), "sort"),
        Action("sort.next", "Sort by the next column", "find", _LISTS, ("shift+right",)),
        Action("sort.previous", "Sort by the column before", "find", _LISTS, ("shift+left",)),
        Action("sort.reverse", "Reverse the order", "find", _LISTS, ("S",), "reverse"),
        Action("columns", "Choose columns and their order", "find", _LISTS, ("C",), "columns"),
        Action("mark", "Mark or unmark the row", "find", _LISTS, ("space",), unavailable=_row),
        Action("mark.range", "Mark from the last mark to here", "find", _LISTS, ("v",), unavailable=_row),
        Action("mark.clear", "Clear all marks", "find", _LISTS, ("V",), "unmark"),
        Action("xray", "X-ray: from a service to the last server", "look", _LISTS, (), "xray", unavailable=_ready),
        Action("jump", "Jump to a row by its letters", "look", _LISTS, ("'", "apostrophe"), unavailable=_ready),
        Action("native", "Native text", "look", _LISTS, ("y",), "native", unavailable=_native, short="native"),
        Action("describe", "Describe", "look", _LISTS, ("d",), "describe", unavailable=_row),
        Action("copy", "Copy: the reference, or the summary", "look", _ALL, ("c",), "copy"),
        Action("refresh", "Read everything now", "look", _LISTS, ("r",), "refresh", unavailable=_ready),
        Action("pause", "Pause or resume live updates", "look", _LISTS, ("p",), "pause"),
        Action("theme", "Next theme, or the one named", "deck", _ALL, ("T",), "theme"),
        Action("help", "Help with reasons", "deck", _ALL, ("?", "question_mark"), "help", short="help"),
        Action("palette", "Command palette", "deck", _LISTS, ("ctrl+p",), "palette"),
        Action("command", "Command line", "deck", _LISTS, (":", "colon"), short="command"),
        Action("cancel", "Stop what is running, or say how to leave", "deck", _ALL, ("ctrl+c",)),
        Action("suspend", "Suspend", "deck", _LISTS, ("ctrl+z",)),
        Action("dump", "Save the screen as text and SVG, its rows as JSON", "deck", _LISTS, (), "dump"),
        Action("quit", "Quit", "deck", _LISTS, (), "quit"),
    ]


VALUE = "0123456789+-*/.%= ub"
"""What a value begins with: a number, a sign, `unlimited` or `blocked`."""
_ASKS = {"edit": VALUE, "unstage.all": "d", "plan.save": "*", "plan.override": "abcdefghilmorstuvwxyz"}


def _edit() -> list[Action]:
    rows: list[tuple[str, str, tuple[str, ...], str, Why, str]] = [
        ("edit", "Edit the value", ("e",), "edit", _value, "edit"),
        ("edit.native", "Edit the native text in $EDITOR, as a plan", ("E",), "", _value, ""),
        ("weight.more", "10 points more", ("+", "plus"), "", _target, ""),
        ("weight.less", "10 points less", ("-", "minus"), "", _target, ""),
        ("weight.one_more", "1 point more", (">", "greater_than_sign"), "", _target, ""),
        ("weight.one_less", "1 point less", ("<", "less_than_sign"), "", _target, ""),
        ("weight.lock", "Lock or unlock a share", ("L",), "lock", _target, ""),
        ("weight.all", "Send everything here", (), "all-here", _target, ""),
        ("weight.even", "Even split", (), "even", _route, ""),
        ("target.drain", "Drain: no new work", ("D",), "drain", _target, ""),
        ("target.active", "Bring back", ("B",), "bring-back", _target, ""),
        ("target.maintenance", "Take out at once", (), "maintenance", _target, ""),
        ("unstage", "Unstage this row", ("x",), "unstage", _staged_here, ""),
        ("unstage.all", "Discard all that is staged (asks)", ("X",), "discard", _staged, ""),
        ("plan", "Open the plan of what is staged", ("a",), "plan", _staged, "plan"),
        ("save", "Save the plan to a file", (), "w", _staged, ""),
        ("load", "Open a saved plan", (), "open", _ready, ""),
        ("undo", "Undo a change, as a plan", ("u",), "undo", _undo, "undo"),
        ("redo", "Redo what was last undone, as a plan", ("U",), "redo", _undo, ""),
        ("arm", "Arm production for a time", (), "arm", _arm, ""),
        ("disarm", "Disarm production", (), "disarm", _disarm, ""),
        ("resolve", "State the truth about interrupted changes", (), "resolve", _arm, ""),
    ]
    return [
        Action(
            id_, title, "edit", (DECK,), keys, command,
            edits=True, unavailable=why, short=short, asks=_ASKS.get(id_, ""),
        )
        for id_, title, keys, command, why, short in rows
    ]  # fmt: skip


def _what_if() -> list[Action]:
    """On call nothing can be sent: these stage here, plan, and save the plan for somebody who may apply it."""
    return [
        Action(
            "whatif.edit",
            "What if: another value",
            "whatif",
            (ONCALL,),
            ("e",),
            "edit",
            unavailable=_value,
            asks=VALUE,
        ),
        Action("whatif.drain", "What if: no new work", "whatif", (ONCALL,), ("D",), "drain", unavailable=_target),
        Action("whatif.plan", "What if: the plan, to save", "whatif", (ONCALL,), ("a",), "plan", unavailable=_staged),
        Action("whatif.drop", "What if: forget it", "whatif", (ONCALL,), ("x",), "unstage", unavailable=_staged_here),
    ]


def _sheets() -> list[Action]:
    note = "sends the plan; production is typed, not pressed"
    rows: list[tuple[str, str, str, str, Why, bool, str]] = [
        ("plan.apply", "Apply", "y", "apply", _sendable, True, note),
        ("plan.edit", "Back to editing", "e", "edit", _planned, True, ""),
        ("plan.save", "Save the plan to a file", "w", "save", _planned, True, ""),
        ("plan.native", "Native diff, whole", "v", "diff", _planned, False, ""),
        ("plan.three_way", "Three ways: before, as set, now", "t", "newer", _newer, False, ""),
        ("plan.leave_out", "Leave out what does not answer", "x", "leave out", _silent, True, ""),
        ("plan.override", "Override a guard", "O", "", _planned, True, "needs a reason"),
        ("apply.undo", "Undo what was applied", "u", "undo", _done, True, ""),
    ]
    actions = [
        Action(
            id_, title, "plan", (PLAN,), (key,),
            edits=edits, writes=id_ == "plan.apply", danger=danger, unavailable=why, short=short,
            asks=_ASKS.get(id_, ""),
        )
        for id_, title, key, short, why, edits, danger in rows
    ]  # fmt: skip
    chooser = [
        Action("choose", "Choose the line", "menu", (SHEET,), ("enter",)),
        Action("switch", "Switch the line on or off", "menu", (SHEET,), ("space",)),
        Action("carry.down", "Move the line down", "menu", (SHEET,), ("J", "shift+down")),
        Action("carry.up", "Move the line up", "menu", (SHEET,), ("K", "shift+up")),
    ]
    return [
        Action("plan.cancel", "Cancel", "plan", (PLAN, SHEET), ("n",), short="cancel", over="close"),
        *actions,
        *chooser,
    ]


ACTIONS: tuple[Action, ...] = (*_moves(), *_look(), *_edit(), *_what_if(), *_sheets())
BY_ID: Mapping[str, Action] = {action.id: action for action in ACTIONS}
COMMANDS: Mapping[str, Action] = {
    action.command: action for action in ACTIONS if action.command and action.group != "whatif"
}
WHAT_IF: Mapping[str, Action] = {action.command: action for action in ACTIONS if action.group == "whatif"}
"""The words after `:` that mean "what if" on call, and edit in the deck."""


class Keymap:
    """Which key does what in which scope, with the user's own keys on top of the defaults."""

    def __init__(self, own: Mapping[str, Sequence[str]] | None = None) -> None:
        """Raises `DeckError` for an unknown action, a reserved key, a clash, or a way out that is gone."""
        self.keys: dict[str, tuple[str, ...]] = {action.id: action.keys for action in ACTIONS}
        problems = []
        for id_, keys in (own or {}).items():
            if id_ not in BY_ID:
                problems.append(f"keys.{id_}: there is no such action")
            elif BY_ID[id_].edits and set(keys) & RESERVED:
                problems.append(f"keys.{id_}: {', '.join(sorted(set(keys) & RESERVED))} is reserved")
            else:
                self.keys[id_] = tuple(keys)
        problems += self._clashes()
        if not self.keys["back"] or not self.keys["plan.cancel"]:
            problems.append("keys: back and plan.cancel must have a key")
        if problems:
            raise DeckError("; ".join(problems), hint="ids and keys are listed by '?' in the deck")
        self._by_key = {
            (scope, key): action for action in ACTIONS for scope in action.scopes for key in self.keys[action.id]
        }

    def _clashes(self) -> list[str]:
        taken: dict[tuple[str, str], str] = {}
        problems = []
        for action in ACTIONS:
            for scope in action.scopes:
                for key in self.keys[action.id]:
                    first = taken.setdefault((scope, key), action.id)
                    if first != action.id:
                        problems.append(f"key {key}: both {first} and {action.id} in {scope}")
        return sorted(set(problems))

    def action(self, scope: str, key: str, character: str | None) -> Action | None:
        """The action of a key press, by its name or its character."""
        action = self._by_key.get((scope, key))
        if action is None and character is not None:
            action = self._by_key.get((scope, character))
        return action

    def written(self, action: Action) -> list[str]:
        """All keys of an action as people write them."""
        return [_SHOWN.get(key, key) for key in self.keys[action.id]]

    def shown(self, action: Action) -> str:
        """The first key of an action as people write it."""
        keys = self.written(action)
        return keys[0] if keys else (f":{action.command}" if action.command else "")


_SHOWN = {
    "escape": "esc", "backspace": "bksp", "pagedown": "PgDn", "pageup": "PgUp", "exclamation_mark": "!",
    "question_mark": "?", "left_square_bracket": "[", "right_square_bracket": "]", "apostrophe": "'", "at": "@",
    "colon": ":", "slash": "/", "plus": "+", "minus": "-", "greater_than_sign": ">", "less_than_sign": "<",
}  # fmt: skip


def in_scope(scope: str) -> list[Action]:
    """The actions of a scope in the order of the registry."""
    return [action for action in ACTIONS if scope in action.scopes]


def method_name(action: Action) -> str:
    """The method of a screen that does this action."""
    return "do_" + action.id.replace(".", "_")
