"""One line of typing: the command line, the filter, inline values and confirmations. It holds no Textual focus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tui.cells import clip, safe, width
from tui.look import Line, Span

Check = Callable[[str], tuple[str, str]]
"""Text typed so far -> (remark, role) shown after it."""


@dataclass
class LineInput:
    """What is being typed. `key` takes a key press and says whether it ended: `enter`, `escape` or nothing."""

    label: str
    submit: Callable[[str], None]
    text: str = ""
    check: Check = lambda _text: ("", "muted")
    complete: Callable[[str], list[str]] = lambda _text: []
    changed: Callable[[str], None] | None = None
    cancelled: Callable[[], None] | None = None
    history: list[str] = field(default_factory=list)
    refused: str = ""
    """Why what was typed last cannot be: shown until the next key, while the text stays to be mended."""
    dead: str = ""
    """Nothing can be typed here (`label` says why). What begins with one of these characters (`*`: any) goes nowhere,
    until Enter or Esc; any other key is a key again."""
    cursor: int = 0
    _at: int = 0

    def __post_init__(self) -> None:
        self.cursor = len(self.text)
        self._at = len(self.history)

    def takes(self, character: str | None) -> bool:
        """Whether a dead line takes in this key, so that it does nothing."""
        begins = character is not None and (self.dead == "*" or character in self.dead)
        return bool(self.text) or begins

    def key(self, key: str, character: str | None) -> str:
        """Take one key press; returns `enter` or `escape` when the typing is over."""
        self.refused = ""
        if key in ("enter", "escape"):
            return key
        before = self.text
        handler = _KEYS.get(key)
        if handler is not None:
            handler(self)
        elif key == "tab":
            self._complete()
        elif character is not None and character.isprintable():
            self._insert(character)
        if self.text != before and self.changed is not None:
            self.changed(self.text)
        return "escape" if key == "backspace" and not before and self.label in (":", "/") else ""

    def paste(self, text: str) -> None:
        """Pasted text is text: its line breaks never submit."""
        self._insert(safe(text).strip())
        if self.changed is not None:
            self.changed(self.text)

    def _insert(self, text: str) -> None:
        self.text = self.text[: self.cursor] + text + self.text[self.cursor :]
        self.cursor += len(text)

    def _complete(self) -> None:
        options = self.complete(self.text)
        if options:
            common = options[0]
            for option in options[1:]:
                while not option.startswith(common):
                    common = common[:-1]
            self.text = common if len(common) > len(self.text) else options[0]
            self.cursor = len(self.text)

    def _backspace(self) -> None:
        if self.cursor:
            self.text = self.text[: self.cursor - 1] + self.text[self.cursor :]
            self.cursor -= 1

    def _delete(self) -> None:
        self.text = self.text[: self.cursor] + self.text[self.cursor + 1 :]

    def _left(self) -> None:
        self.cursor = max(self.cursor - 1, 0)

    def _right(self) -> None:
        if self.cursor == len(self.text):
            self._complete()
        self.cursor = min(self.cursor + 1, len(self.text))

    def _home(self) -> None:
        self.cursor = 0

    def _end(self) -> None:
        self.cursor = len(self.text)

    def _clear(self) -> None:
        self.text, self.cursor = self.text[self.cursor :], 0

    def _word(self) -> None:
        head = self.text[: self.cursor].rstrip()
        head = head[: head.rfind(" ") + 1]
        self.text, self.cursor = head + self.text[self.cursor :], len(head)

    def _recall(self, by: int) -> None:
        self._at = max(0, min(self._at + by, len(self.history)))
        self.text = self.history[self._at] if self._at < len(self.history) else ""
        self.cursor = len(self.text)

    def line(self, cells: int) -> Line:
        """The line as it is drawn, cursor and remark included."""
        if self.dead:
            return self._dead_line(cells)
        label: list[Span] = [(self.label + (" " if len(self.label) > 1 else ""), "key")]
        before, at, after = (
            self.text[: self.cursor],
            self.text[self.cursor : self.cursor + 1],
            self.text[self.cursor + 1 :],
        )
        ghost = next((o[len(self.text) :] for o in self.complete(self.text) if o != self.text), "")
        if self.refused:
            label = [(clip(label[0][0], max(cells - width(self.refused) - width(self.text) - 6, 4)), "key")]
        remark, role = (self.refused, "bad") if self.refused else self.check(self.text)
        room = max(cells // 2 if remark else cells - width(label[0][0]) - 2, 8)
        before = before[-room:]
        parts = [*label, (safe(before), "strong"), (safe(at) or " ", "readonly"), (safe(after), "strong")]
        if ghost and not after and not at:
            parts.append((safe(ghost), "faint"))
        return tuple([*parts, ("  " + safe(remark), role)] if remark else parts)

    def _dead_line(self, cells: int) -> Line:
        """The reason, and of what is typed that it does nothing."""
        tail = f"  '{safe(self.text)[-12:]}' does nothing: esc" if self.text else ""
        return ((" " + clip(self.label, max(cells - 2 - width(tail), 1)).rstrip(), "warn"), (tail, "muted"))


_KEYS: dict[str, Callable[[LineInput], None]] = {
    "backspace": LineInput._backspace,
    "delete": LineInput._delete,
    "left": LineInput._left,
    "right": LineInput._right,
    "home": LineInput._home,
    "ctrl+e": LineInput._end,
    "end": LineInput._end,
    "ctrl+u": LineInput._clear,
    "ctrl+w": LineInput._word,
    "up": lambda line: line._recall(-1),
    "down": lambda line: line._recall(1),
}
