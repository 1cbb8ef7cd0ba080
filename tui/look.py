"""How things look: roles ("bad", "staged", "series_a") to terminal styles, and the marks of a character set.

Widgets draw lines of spans and name roles only; the theme file says what a role is. Nothing here parses markup.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.style import Style

Span = tuple[str, str]
"""(text that is already safe to draw, role)."""
Line = tuple[Span, ...]

SERIES = ("series_a", "series_b", "series_c", "series_d", "series_e", "series_f")
ROLES = (
    "text", "strong", "muted", "faint", "accent", "key", "title", "good", "warn", "bad", "info", "staged", "stale",
    "added", "removed", "production", "safe", "armed", "readonly", *SERIES,
)  # fmt: skip
MONO = "mono"
BADGES = frozenset({"production", "safe", "armed", "readonly"})
"""Roles that are a word on a ground of its own, its blanks included: everywhere else blanks are no message."""
GROUNDS = ("ground", "raised", "cursor", "marked")


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters that differ between a Unicode and an ASCII terminal."""

    fills: str
    """One fill per target of a weight bar: telling without colour."""
    empty: str
    eighths: str
    """A cell filled from 1/8 to 7/8, left to right; empty in ASCII."""
    full: str
    tick: str
    levels: str
    """Eight (or five) heights of a sparkline."""
    arrow: str
    rule: str
    bar: str
    dot: str
    ellipsis: str
    pointer: str
    tee: str
    corner: str


UNICODE = Glyphs("█▓▒░▚▞", "·", "▏▎▍▌▋▊▉", "█", "│", "▁▂▃▄▅▆▇█", "→", "─", "│", "·", "…", "▸", "├", "└")
ASCII = Glyphs("ABCDEF", ".", "", "#", "|", "._-=#", ">", "-", "|", "-", "~", ">", "|", "`")


SMALLEST = (72, 16)
"""The smallest terminal that the screens are drawn in: columns, rows."""
READABLE = 4.5
"""The contrast that WCAG AA asks of text."""


def luminance(color: str) -> float:
    """Relative luminance of `#rrggbb`, from 0 to 1 (WCAG 2)."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, from 1 to 21 (WCAG 2)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@dataclass(frozen=True)
class ThemeColors:
    """One theme file, checked."""

    name: str
    dark: bool
    grounds: Mapping[str, str]
    roles: Mapping[str, str]


@dataclass
class Look:
    """A theme and a character set, with the styles made so far."""

    theme: ThemeColors
    glyphs: Glyphs = UNICODE
    _styles: dict[tuple[str, str], Style] = field(default_factory=dict, repr=False)

    def style(self, role: str, ground: str = "ground") -> Style:
        """The style of `role` on `ground`; a role with a ground of its own keeps it."""
        style = self._styles.get((role, ground))
        if style is None:
            back = Style(bgcolor=self.theme.grounds.get(ground, self.theme.grounds["ground"]))
            style = back + Style.parse(self._words(role))
            self._styles[(role, ground)] = style
        return style

    def paints_blanks(self, role: str, ground: str) -> bool:
        """Whether blanks in this role would show as blocks of its own ground, and are to be drawn as plain ones."""
        own = self.style(role, ground).bgcolor
        return role not in BADGES and own is not None and own != self.style("text", ground).bgcolor

    def _words(self, role: str) -> str:
        """A role's style. A role may be a colour of the user's own (`#b3261e`), which a theme without colour drops."""
        if role.startswith("#"):
            return self._own_color(role)
        return self.theme.roles.get(role, self.theme.roles["text"])

    def _own_color(self, color: str) -> str:
        """The user's colour as text where it can be read on every ground, else as a ground of its own."""
        if self.theme.name == MONO:
            return self.theme.roles["accent"]
        if all(contrast(color, ground) >= READABLE for ground in self.theme.grounds.values()):
            return f"bold {color}"
        ink = max("#000000", "#ffffff", key=lambda one: contrast(one, color))
        return f"bold {ink} on {color}"

    def forget(self) -> None:
        """The theme changed: make the styles anew."""
        self._styles.clear()

    @property
    def ascii(self) -> bool:
        return self.glyphs is ASCII
