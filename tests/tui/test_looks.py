"""Themes: every file is complete, AA contrast holds, wrong ones are named; bars never lie; ASCII mode is ASCII."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
from driver import ready, screen_text, until
from hypothesis import given
from hypothesis import strategies as st
from rich._palettes import STANDARD_PALETTE

from control.errors import DeckError
from tests.tui.memory_plane import MemoryPlane
from tui.cells import clip, fit, width, wrap
from tui.deck_app import DeckApp
from tui.look import ASCII, GROUNDS, READABLE, ROLES, SERIES, UNICODE, Look, contrast
from tui.themes import load_theme, our_themes, parse_theme, usual_theme
from tui.widgets.bars import cells_of, limit_bar, percent, sparkline, weight_bar, weight_letters

Make = Callable[..., tuple[DeckApp, MemoryPlane]]
NAMES = sorted(our_themes())
DECORATION = {"faint"}
"""Rules, empty cells and keys that do nothing now: never the only place of a fact."""


@pytest.mark.parametrize("name", NAMES)
def test_text_of_every_theme_reaches_wcag_aa(name: str) -> None:
    theme = load_theme(name)
    assert theme.name == name and set(theme.roles) == set(ROLES) and set(theme.grounds) == set(GROUNDS)
    for role, style in theme.roles.items():
        words = style.split()
        color = next(word for word in words if word.startswith("#"))
        grounds = [words[words.index("on") + 1]] if "on" in words else list(theme.grounds.values())
        least = 3.0 if role in SERIES or role in DECORATION else 4.5
        for ground in grounds:
            assert contrast(color, ground) >= least, (
                f"{name}: {role} {color} on {ground}: {contrast(color, ground):.2f}"
            )


@given(st.sampled_from(NAMES), st.from_regex(r"#[0-9a-f]{6}", fullmatch=True))
def test_a_colour_of_the_users_own_can_be_read_in_every_theme(name: str, color: str) -> None:
    theme = load_theme(name)
    style = Look(theme).style(color)
    assert style.color is not None and style.bgcolor is not None
    ink, ground = style.color.get_truecolor().hex, style.bgcolor.get_truecolor().hex
    assert contrast(ink, ground) >= READABLE
    assert name == "mono" or color in (ink, ground)


def test_there_is_a_theme_for_every_need() -> None:
    assert {"dusk", "dark", "light", "high-contrast", "mono", "deuteranopia", "tritanopia", "sixteen"} <= set(NAMES)
    for style in load_theme("mono").roles.values():
        for word in style.split():
            if word.startswith("#"):
                assert word[1:3] == word[3:5] == word[5:7], "mono has a colour"


def test_sixteen_colours_are_the_terminals_own_and_chosen_where_there_are_no_more() -> None:
    theme = load_theme("sixteen")
    known = {"#{:02x}{:02x}{:02x}".format(*STANDARD_PALETTE[number]) for number in range(16)}
    words = {word for style in (*theme.roles.values(), *theme.grounds.values()) for word in style.split()}
    assert {word for word in words if word.startswith("#")} <= known
    assert usual_theme({"TERM": "linux"}) == usual_theme({"TERM": "screen"}) == "sixteen"
    for rich in ({"TERM": "xterm-256color"}, {"TERM": "xterm", "COLORTERM": "truecolor"}, {"TERM": "xterm-kitty"}, {}):
        assert usual_theme(rich) == "dusk"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "not YAML"),
        ("name: x\ndark: true\ncolour: 1\ngrounds: {}\nroles: {}", "line 3: colour: unknown field"),
        ("name: x\ndark: maybe\ngrounds: {ground: red}\nroles: {}", "not a colour"),
        ("- a", "must be a mapping"),
    ],
)
def test_a_wrong_theme_is_named_with_its_line(text: str, words: str) -> None:
    with pytest.raises(DeckError, match=words):
        parse_theme(text, "mine.yaml")


async def test_themes_change_live_and_no_color_forces_mono(make_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app, _ = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        app.screen.command("theme light")  # type: ignore[attr-defined]
        await pilot.pause(0.1)
        assert app.look.theme.name == "light"
        strips = app.screen._compositor.render_strips()
        grounds = {
            segment.style.bgcolor.name
            for strip in strips
            for segment in strip
            if segment.style and segment.style.bgcolor
        }
        assert load_theme("light").grounds["ground"] in grounds
        assert load_theme("dusk").grounds["ground"] not in grounds
    monkeypatch.setenv("NO_COLOR", "1")
    app = DeckApp(app.make_session, theme="dusk")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot, app)
        assert app.look.theme.name == "mono"


async def test_ascii_mode_draws_ascii(make_app: Make) -> None:
    app, _ = make_app(ascii=True)
    async with app.run_test(size=(120, 35)) as pilot:
        await until(pilot, app, "AAAAAAAABB")
        for key in ("2", "4", "1", "enter", "plus"):
            await pilot.press(key)
            assert screen_text(app).isascii(), [line for line in screen_text(app).split("\n") if not line.isascii()]


shares_lists = st.lists(st.integers(0, 1000), min_size=1, max_size=6).filter(any)


@given(shares_lists, st.integers(10, 40))
def test_a_weight_bar_has_its_width_and_every_live_target_a_cell(weights: list[int], cells: int) -> None:
    shares = [Fraction(w, sum(weights)) for w in weights]
    counts = cells_of(shares, cells)
    assert sum(counts) == cells
    assert all((count > 0) == (share > 0) for count, share in zip(counts, shares, strict=True))
    for glyphs in (UNICODE, ASCII):
        assert sum(len(text) for text, _ in weight_bar(shares, cells, glyphs)) == cells


@given(shares_lists, st.integers(3, 40))
def test_weight_letters_fill_exactly_their_column(weights: list[int], cells: int) -> None:
    shares: list[Fraction | None] = [Fraction(w, sum(weights)) for w in weights]
    for after in (None, list(reversed(shares))):
        assert sum(len(t) for t, _ in weight_letters(shares, after, cells, UNICODE)) == cells


@given(st.integers(0, 500), st.integers(1, 300), st.integers(0, 600), st.integers(5, 30))
def test_a_limit_bar_has_its_width(current: int, amount: int, burst: int, cells: int) -> None:
    bar = limit_bar(Fraction(current), Fraction(amount), Fraction(burst) or None, cells, UNICODE)
    assert sum(len(text) for text, _ in bar) == cells


def test_figures_of_bars() -> None:
    assert "".join(t for t, _ in weight_bar([Fraction(4, 5), Fraction(1, 5)], 10, ASCII)) == "AAAAAAAABB"
    assert "".join(t for t, _ in weight_bar([None, None], 4, UNICODE)) == "?···"
    assert [percent(Fraction(n, 1000)) for n in (0, 3, 55, 333, 1000)] == ["0", "<1", "5.5", "33", "100"]
    text = "".join(
        t for t, _ in weight_letters([Fraction(4, 5), Fraction(1, 5)], [Fraction(7, 10), Fraction(3, 10)], 16, UNICODE)
    )
    assert text.rstrip() == "A80→70 B20→30"
    assert sparkline([Fraction(0), None, Fraction(8)], 4, ASCII) == " . #"


@given(st.text(max_size=40), st.integers(0, 30))
def test_every_text_is_cut_to_its_cells(text: str, cells: int) -> None:
    assert width(fit(text, cells)) == cells
    assert width(clip(text, cells)) == cells
    assert all(width(line) <= max(cells, 2) for line in wrap(text, max(cells, 2)))
