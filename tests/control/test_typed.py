"""Numbers and lengths of time as people type them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from control import typed
from control.fleet.filters import parse_filter
from control.planning.expressions import parse_seconds
from tui.cli.arguments import parse


@pytest.mark.parametrize(("text", "seconds"), [
    ("10s", 10), ("90", 90), ("1.5m", 90), (" 2 hours ", 7200), ("1d", 86400), ("0", 0), ("7D", 7 * 86400),
    ("0.5s", Fraction(1, 2)), ("-1s", None), ("1e3", None), ("5 parsecs", None), ("", None), ("m", None),
    ("1.2.3s", None),
    ("\u0661s", None), ("nan", None),
])  # fmt: skip
def test_lengths_of_time(text: str, seconds: int | Fraction | None) -> None:
    assert typed.seconds(text) == seconds


def test_a_bare_number_counts_in_what_is_usual_there() -> None:
    assert typed.seconds("15", bare="m") == 900 == typed.seconds("15m") == typed.seconds("0.25h", bare="m")


def test_the_same_words_everywhere() -> None:
    """What one place takes, all take: a window, a filter, an option of a command."""
    for text in ("90s", "1.5m", "1.5min", "0.025h"):
        assert parse_seconds(text) == 90
        assert parse(["history", "--since", text]).since == 90
        assert parse_filter([f"age:>{text}"]).columns == ("age",)


@pytest.mark.parametrize(
    ("text", "number"), [("7", 7), ("007", 7), ("-7", None), ("7.0", None), ("\u0667", None), ("", None)]
)
def test_whole_numbers_are_digits_alone(text: str, number: int | None) -> None:
    assert typed.whole(text) == number
