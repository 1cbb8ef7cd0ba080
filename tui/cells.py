"""Text measured in terminal cells. Everything that is drawn passes `fit` or `safe`."""

from __future__ import annotations

from urllib.parse import unquote

from rich.cells import cell_len, set_cell_size

from control.text import clean
from tui.look import Line, Span


def safe(text: str) -> str:
    """`text` as one line without control characters: the last door before the screen."""
    return clean(text)


def object_words(text: str) -> str:
    """A native object's printable name for people: files as `lab lb-1:/etc/haproxy.cfg`, others as they are."""
    segments = text.split("/")
    if len(segments) == 4 and segments[3].startswith("%2F"):
        environment, _, host, path = (unquote(segment) for segment in segments)
        return safe(f"{environment} {host}:{path}")
    return safe(text)


_ASCII = str.maketrans({"…": "~", "→": ">", "·": "-", "│": "|", "─": "-", "▸": ">", "–": "-"})


def ascii_only(text: str) -> str:
    """`text` in ASCII and in as many cells: what has no counterpart becomes `?`."""
    text = safe(text)
    if text.isascii():
        return text
    text = text.translate(_ASCII)
    return "".join(c if c.isascii() else "?" * cell_len(c) for c in text)


def width(text: str) -> int:
    """Cells that `text` takes; wide characters take two, combining marks none."""
    return len(text) if text.isascii() else cell_len(text)


def fit(text: str, cells: int, *, right: bool = False, ellipsis: str = "…") -> str:
    """`text` in exactly `cells` cells: padded, or cut in the middle so that both ends of a name stay."""
    text = safe(text)
    if cells <= 0:
        return ""
    missing = cells - width(text)
    if missing >= 0:
        return " " * missing + text if right else text + " " * missing
    if cells < 4:
        return set_cell_size(text, cells)
    head = (cells - 1) // 2
    tail = cells - 1 - head
    return set_cell_size(text, head) + ellipsis + _tail(text, tail)


def clip(text: str, cells: int, *, ellipsis: str = "…") -> str:
    """A sentence in exactly `cells` cells: padded, or cut at its end."""
    text = safe(text)
    missing = cells - width(text)
    if missing >= 0:
        return text + " " * missing
    return set_cell_size(text, cells - 1) + ellipsis if cells > 1 else set_cell_size(text, max(cells, 0))


def _tail(text: str, cells: int) -> str:
    kept = ""
    for character in reversed(text):
        if width(character + kept) > cells:
            break
        kept = character + kept
    return " " * (cells - width(kept)) + kept


def line_width(line: Line) -> int:
    """Cells that a line takes."""
    return sum(width(text) for text, _ in line)


def plain(line: Line) -> str:
    """The text of a line without its roles."""
    return "".join(text for text, _ in line)


def spans(*parts: Span) -> Line:
    """A line of these parts, each made safe, empty ones left out."""
    return tuple((safe(text), role) for text, role in parts if text)


def wrap(text: str, cells: int) -> list[str]:
    """`text` broken at spaces into lines of at most `cells` cells; longer words are cut."""
    lines: list[str] = []
    line = ""
    for word in safe(text).split(" "):
        while width(word) > cells > 0:
            room = set_cell_size(word, cells)
            if line:
                lines.append(line)
                line = ""
            lines.append(room)
            word = word[len(room.rstrip()) or 1 :]
        if line and width(line) + 1 + width(word) > cells:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line] if line or not lines else lines
