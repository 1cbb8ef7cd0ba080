"""The periods of windows, compiled: native to seconds and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from adapters.engine import durations
from adapters.engine.coded import CodedPeriod
from adapters.engine.kind import Period
from adapters.engine.numbers import whole
from control.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class Grammar:
    """How a period is read and written."""

    parse: Callable[[object], Fraction | None]
    write: Callable[[Fraction, object], int | str]
    windows: tuple[Fraction, ...] | None = None
    """The only lengths that can be written; None for any."""


def grammar(word: Period) -> Grammar:
    """Of a period, what is absent included."""
    if isinstance(word, CodedPeriod):
        return Grammar(word.parse, word.write)
    made = _words(word) if word.form == "words" else _FORMS[word.form]
    if word.absent is None:
        return made
    absent, parse = Fraction(word.absent), made.parse
    return Grammar(lambda native: absent if native is None else parse(native), made.write, made.windows)


def _seconds(native: object) -> Fraction | None:
    found = whole(native)
    return Fraction(found) if found is not None and found > 0 else None


def _write_seconds(seconds: Fraction, before: object) -> int:
    if seconds.denominator != 1 or seconds <= 0:
        low = max(1, seconds.numerator // seconds.denominator)
        raise InvalidValue("a period is counted in whole seconds here", hint=f"nearest: {low} and {low + 1}")
    durations.write(seconds)  # no longer than a duration may be
    return int(seconds)


def _words(word: Period) -> Grammar:
    by_word = {name: Fraction(seconds) for name, seconds in word.words.items()}

    def parse(native: object) -> Fraction | None:
        return by_word.get(native) if isinstance(native, str) else None

    def write(seconds: Fraction, before: object) -> str:
        for name, length in by_word.items():
            if length == seconds:
                return name
        known = ", ".join(f"{length} ({name})" for name, length in by_word.items())
        raise InvalidValue(f"there is no period of {seconds} seconds here", hint=f"seconds: {known}")

    return Grammar(parse, write, tuple(dict.fromkeys(by_word.values())))


_FORMS = {
    "seconds": Grammar(_seconds, _write_seconds),
    "go": Grammar(durations.go, lambda seconds, before: durations.write(seconds)),
    "gep2257": Grammar(durations.gep2257, lambda seconds, before: durations.write(seconds, ("h", "m", "s", "ms"))),
}
