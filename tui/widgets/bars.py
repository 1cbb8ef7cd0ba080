"""Bars and sparklines as spans. Never colour alone: fills, letters and numbers say the same."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from tui.look import SERIES, Glyphs, Span

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def letter(index: int) -> str:
    """The letter of a target by its place; `+` beyond the alphabet."""
    return LETTERS[index] if index < len(LETTERS) else "+"


def series(index: int) -> str:
    """The role that draws a target by its place."""
    return SERIES[index % len(SERIES)]


def cells_of(shares: Sequence[Fraction | None], cells: int) -> list[int]:
    """How many of `cells` each share gets: largest remainder, and at least one for any share above zero."""
    known = [max(share or Fraction(0), Fraction(0)) for share in shares]
    total = sum(known, Fraction(0))
    live = sum(1 for share in known if share)
    if not total or live > cells:
        return [1 if share and index < cells else 0 for index, share in enumerate(known)] if total else [0] * len(known)
    exact = [share / total * cells for share in known]
    counts = [max(int(part), 1) if part else 0 for part in exact]
    while sum(counts) > cells:
        counts[max(range(len(counts)), key=lambda i: (counts[i] > 1, counts[i] - exact[i]))] -= 1
    while sum(counts) < cells:
        counts[max(range(len(counts)), key=lambda i: (exact[i] > 0, exact[i] - counts[i]))] += 1
    return counts


def weight_bar(shares: Sequence[Fraction | None], cells: int, glyphs: Glyphs) -> list[Span]:
    """One segmented bar of exactly `cells` cells."""
    if all(share is None for share in shares):
        return [(("?" + glyphs.empty * (cells - 1))[:cells], "faint")]
    counts = cells_of(shares, cells)
    spans = [
        (glyphs.fills[index % len(glyphs.fills)] * count, series(index)) for index, count in enumerate(counts) if count
    ]
    rest = cells - sum(counts)
    return [*spans, (glyphs.empty * rest, "faint")] if rest else spans


def measured(share: Fraction | None) -> str:
    """A counted share in points: whole, as tenths of a count are noise, but for small ones."""
    return percent(share if share is None or share < Fraction(5, 100) else Fraction(round(share * 100), 100))


def percent(share: Fraction | None) -> str:
    """A share in points without its sign: `70`, `0.5`, `<1`, `--` for unknown."""
    if share is None:
        return "--"
    points = share * 100
    if points.denominator == 1:
        return str(points.numerator)
    if points < 1:
        return "<1"
    tenths = round(points * 10)
    return str(round(points)) if points >= 10 or tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10}"


def weight_letters(
    before: Sequence[Fraction | None], after: Sequence[Fraction | None] | None, cells: int, glyphs: Glyphs
) -> list[Span]:
    """`A80→70 B20→30` in exactly `cells` cells; what does not fit is counted: `+3`."""
    parts: list[list[Span]] = []
    for index, share in enumerate(before):
        new = after[index] if after is not None and index < len(after) else share
        part: list[Span] = [(letter(index), series(index)), (percent(share), "text")]
        if new != share:
            part.append((f"{glyphs.arrow}{percent(new)}", "staged"))
        parts.append(part)
    return _packed(parts, cells)


def _packed(parts: list[list[Span]], cells: int) -> list[Span]:
    spans: list[Span] = []
    used = 0
    for index, part in enumerate(parts):
        size = sum(len(text) for text, _ in part) + (1 if index else 0)
        rest = len(parts) - index
        reserve = 0 if rest == 1 else len(f" +{rest - 1}")
        if used + size + reserve > cells and used + size > cells - (0 if rest == 1 else reserve):
            more = f"{' ' if used else ''}+{rest}"
            if used + len(more) <= cells:
                spans.append((more, "muted"))
                used += len(more)
            break
        if index:
            spans.append((" ", "text"))
        spans += part
        used += size
    return [*spans, (" " * (cells - used), "text")] if used < cells else spans


def limit_bar(
    current: Fraction | None, amount: Fraction | None, at_once: Fraction | None, cells: int, glyphs: Glyphs
) -> list[Span]:
    """How full a limit is. The bar ends at the limit, or at the burst with a tick where the limit stands."""
    if amount is None or not amount:
        return [(("?" if amount is None else "0").ljust(cells, glyphs.empty)[:cells], "faint")]
    end = max(amount, at_once or Fraction(0))
    filled = min((current or Fraction(0)) / end, Fraction(1)) * cells
    whole = int(filled)
    part = int((filled - whole) * 8)
    bar = glyphs.full * whole
    if part and glyphs.eighths and whole < cells:
        bar += glyphs.eighths[part - 1]
    role = "bad" if current is not None and current * 10 >= amount * 9 else "series_b"
    empty = list(glyphs.empty * (cells - len(bar)))
    tick = int(min(amount, end if at_once is None else min(amount, at_once)) / end * cells) - len(bar)
    if at_once and at_once != amount and 0 <= tick < len(empty):
        empty[tick] = glyphs.tick
    return [(bar, role), ("".join(empty), "faint")]


def sparkline(values: Sequence[Fraction | None], cells: int, glyphs: Glyphs, top: Fraction | None = None) -> str:
    """The last `cells` values on a scale from 0 to `top` (the largest by default); gaps are blank."""
    recent = list(values)[-cells:]
    known = [value for value in recent if value is not None]
    scale = top or max(known, default=Fraction(0))
    steps = glyphs.levels
    drawn = "".join(
        " "
        if value is None
        else steps[0]
        if not scale
        else steps[min(int(value / scale * (len(steps) - 1) + Fraction(1, 2)), len(steps) - 1)]
        for value in recent
    )
    return drawn.rjust(cells)
