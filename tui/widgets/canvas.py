"""A widget that draws lines of spans and repaints only those that changed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.cells import ascii_only, safe
from tui.look import Line, Look

Painted = tuple[str, Line]
"""(ground, line)."""


class Canvas(Widget):
    """Lines on a ground. The owner calls `show`; nothing is measured, parsed or laid out here."""

    ALLOW_SELECT = False
    can_focus = False

    def __init__(self, look: Look, *, ground: str = "ground", id: str | None = None) -> None:
        super().__init__(id=id)
        self.look = look
        self.ground = ground
        self._painted: list[Painted] = []
        self._strips: dict[int, Strip] = {}

    @property
    def painted(self) -> Sequence[Painted]:
        """What is shown now, for tests and dumps."""
        return self._painted

    def show(self, lines: Sequence[Line]) -> None:
        """Show these lines from the top on the widget's own ground."""
        self.paint([(self.ground, line) for line in lines])

    def paint(self, painted: list[Painted]) -> None:
        """Show these lines, repainting those that differ from before."""
        before, self._painted = self._painted, painted
        changed = [
            y
            for y in range(max(len(before), len(painted)))
            if y >= len(before) or y >= len(painted) or before[y] != painted[y]
        ]
        for y in changed:
            self._strips.pop(y, None)
        if not self.is_attached or not changed:
            return
        self.refresh(*(Region(0, y, self.size.width, 1) for y in changed if y < self.size.height))

    def repaint_all(self) -> None:
        """Draw everything anew: the theme changed."""
        self._strips.clear()
        self.refresh()

    class Resized(Message):
        """The canvas has another size, and its owner may have other lines for it."""

    def on_resize(self) -> None:
        self.post_message(self.Resized())

    def render_line(self, y: int) -> Strip:
        strip = self._strips.get(y)
        if strip is None or strip.cell_length != self.size.width:
            strip = self._strips[y] = self._strip(y)
        return strip

    def _strip(self, y: int) -> Strip:
        ground, line = self._painted[y] if y < len(self._painted) else (self.ground, ())
        look, cells = self.look, self.size.width
        door = ascii_only if look.ascii else safe
        parts: list[tuple[str, Style]] = []
        for text, role in line:
            text, style = door(text), look.style(role, ground)
            if look.paints_blanks(role, ground):
                words = text.strip(" ")
                plain, before = look.style("text", ground), len(text) - len(text.lstrip(" "))
                after = len(text) - before - len(words)
                parts += [part for part in ((" " * before, plain), (words, style), (" " * after, plain)) if part[0]]
            else:
                parts.append((text, style))
        strip = Strip(merged(parts))
        return strip.adjust_cell_length(cells, look.style("text", ground))


def merged(parts: list[tuple[str, Style]]) -> list[Segment]:
    """As few segments as look the same: half of a list's cells are blanks, and the terminal reads every colour."""
    segments: list[Segment] = []
    text, style = "", Style.null()
    for more, its in parts:
        if its is style or (not more.strip(" ") and _same_blank(its, style)):
            text += more
        elif not text.strip(" ") and _same_blank(its, style):
            text, style = text + more, its
        else:
            if text:
                segments.append(Segment(text, style))
            text, style = more, its
    if text:
        segments.append(Segment(text, style))
    return segments


@lru_cache(maxsize=4096)
def _same_blank(one: Style, other: Style) -> bool:
    """Whether a blank looks the same in both."""
    return one.bgcolor == other.bgcolor and not (_marks_blanks(one) or _marks_blanks(other))


def _marks_blanks(style: Style) -> bool:
    return bool(style.underline or style.reverse or style.strike or style.overline or style.underline2)
