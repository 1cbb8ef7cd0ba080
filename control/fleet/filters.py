"""FILTER words of `get` and of the deck's `/`."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

from control import typed
from control.errors import UsageError
from control.fleet.filter_columns import (
    ALIASES,
    NUMBERS,
    PERCENTS,
    SECONDS,
    TEXTS,
    Row,
    SearchedTexts,
    columns_of,
    labels_of,
    searched,
)
from control.fleet.views import Inventory
from control.text import clean

__all__ = ["Filter", "Row", "parse_filter"]

Test = Callable[[Row, Inventory], bool]
Search = Callable[[Row, Inventory], SearchedTexts]

_COMPARISONS: dict[str, Callable[[Fraction, Fraction], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_PLACES = frozenset({"env", "platform"})
_COLUMN = re.compile(r"([A-Za-z0-9_-]+):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Filter:
    """A test of rows: all of `tests` must hold. `check` says whether its words mean anything where it is used."""

    tests: tuple[Test, ...]
    columns: tuple[str, ...] = ()
    """The columns that it asks about."""
    doubtful: tuple[str, ...] = ()
    """Words like `llama:live`: a name with a colon, or a column that does not exist; only the rows can tell."""
    search: Search = searched
    places: tuple[Test, ...] = ()
    """Those of `tests` that an environment passes or fails as a whole: its name, platform and labels."""

    def __call__(self, row: Row, inventory: Inventory) -> bool:
        return all(test(row, inventory) for test in self.tests)

    def concerns(self, environment: str, inventory: Inventory) -> bool:
        """Whether rows of an environment can pass: what it lacks then is lacking from the list."""
        view = inventory.environments.get(environment)
        return view is None or all(test(view, inventory) for test in self.places)

    def check(self, inventory: Inventory, what: str = "") -> None:
        """Raise `UsageError` for a column that does not exist, or that no row of the list `what` has."""
        missing = next((column for column in self.columns if column not in columns_of(what)), None)
        if missing is not None:
            raise UsageError(f"{what} have no column '{missing}'", hint=_listed(what))
        rows = (inventory.routes, inventory.limits, inventory.services, inventory.environments)
        for word in self.doubtful:
            wanted = word.casefold()
            everywhere: Iterable[Row] = chain.from_iterable(group.values() for group in rows)
            if not any(wanted in self.search(row, inventory).folded for row in everywhere):
                raise _no_column(word.partition(":")[0], what, word)


def parse_filter(words: Sequence[str], search: Search = searched) -> Filter:
    """A test of rows; all words must hold. Raises `UsageError` for a word that cannot be read.

    A word is a piece of a name, ref or label; `/RE` a regular expression over the same; `!WORD` and `!/RE` the
    inverse; `-l KEY=VALUE` a label of the environment; `COLUMN:VALUE` or `COLUMN:>NUMBER` one column.

    Case does not matter. Comparisons are `>`, `<`, `>=`, `<=` and `=`; a column of text takes `=` for the whole text
    and a bare value for a piece of it. `5xx`, `429` and `used` are in percent, `gap` in points, `p95` and `age` in
    seconds (`age:>5m` too). What is not known of a row holds for no comparison. `search` gives the texts of a row, for
    callers that keep them. A word that looks like a column and is none may be a name: `Filter.check` knows.
    """
    tests: list[Test] = []
    columns: list[str] = []
    doubtful: list[str] = []
    places: list[Test] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "-l":
            if not rest:
                raise UsageError("'-l' needs a label", hint="write -l KEY=VALUE")
            tests.append(_label(rest.pop(0)))
            places.append(tests[-1])
        elif word:
            tests.append(_word(word, search))
            match = _COLUMN.fullmatch(word.lstrip("!"))
            if match is not None:
                name = _named(match[1])
                known = name in NUMBERS or name in TEXTS
                (columns if known else doubtful).append(name if known else word.lstrip("!"))
                if name in _PLACES:
                    places.append(tests[-1])
    return Filter(tuple(tests), tuple(columns), tuple(doubtful), search, tuple(places))


def _named(name: str) -> str:
    """The column that is meant by a name."""
    return ALIASES.get(name.lower(), name.lower())


def _listed(what: str) -> str:
    return f"the columns are {', '.join(columns_of(what))}"


def _no_column(name: str, what: str, word: str) -> UsageError:
    return UsageError(
        f"there is no column '{clean(name)}', and no name holds '{clean(word)}'",
        hint=f"{_listed(what)}; write /{clean(word)} for the text itself",
    )


def _word(word: str, search: Search) -> Test:
    if word.startswith("!"):
        if word == "!":
            raise UsageError("'!' needs a word to leave out", hint="write !WORD or !/RE")
        positive = _word(word[1:], search)
        return lambda row, inventory: not positive(row, inventory)
    if word.startswith("/"):
        return _pattern(word[1:], search)
    match = _COLUMN.fullmatch(word)
    column = _column(match[1], match[2]) if match else None
    return column or _piece(word, search)


def _piece(word: str, search: Search) -> Test:
    wanted = word.casefold()
    return lambda row, inventory: wanted in search(row, inventory).folded


def _pattern(text: str, search: Search) -> Test:
    if not text:
        raise UsageError("'/' needs a regular expression", hint="write /RE, for example /llama-[0-9]+")
    try:
        pattern = re.compile(text, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"'/{clean(text)}' is not a regular expression: {clean(str(error))}") from None
    return lambda row, inventory: any(pattern.search(piece) for piece in search(row, inventory).pieces)


def _label(text: str) -> Test:
    key, mark, value = text.partition("=")
    if not key or not mark:
        raise UsageError(f"'{clean(text)}' is not a label", hint="write -l KEY=VALUE")
    return lambda row, inventory: (key, value) in labels_of(row, inventory)


def _column(name: str, value: str) -> Test | None:
    """The test of one column; None where the word only looks like one, as `llama:live` does."""
    column = _named(name)
    sign = next((sign for sign in _COMPARISONS if value.startswith(sign)), "")
    if column not in NUMBERS and column not in TEXTS:
        _refuse_unknown(name, column, sign)
        return None
    wanted = value[len(sign) :]
    if not wanted:
        raise UsageError(f"'{clean(name)}:{sign}' needs a value", hint=f"for example {_example(column)}")
    if column in NUMBERS:
        return _number_test(column, _COMPARISONS[sign or "="], _number(column, wanted))
    if sign not in ("", "="):
        raise UsageError(f"'{column}' is a text, it cannot be compared with '{sign}'", hint=f"write {column}:VALUE")
    return _text_test(column, wanted.casefold(), whole=sign == "=")


def _refuse_unknown(name: str, column: str, sign: str) -> None:
    known = [*NUMBERS, *TEXTS, *ALIASES]
    near = difflib.get_close_matches(column, known, 1, cutoff=0.8)
    if not sign and not near:
        return
    hint = f"did you mean '{near[0]}'? Write /{clean(name)}: for the text itself; " if near else ""
    raise UsageError(f"there is no column '{clean(name)}'", hint=hint + _listed(""))


def _example(column: str) -> str:
    return f"{column}:>1" if column in NUMBERS else f"{column}:VALUE"


def _number(column: str, text: str) -> Fraction:
    plain = text.strip().removesuffix("%") if column in PERCENTS else text
    value = typed.seconds(plain) if column in SECONDS else typed.number(plain)
    if value is None:
        raise UsageError(f"'{clean(text, 60)}' is no number for '{column}'", hint=f"for example {_example(column)}")
    return value


def _number_test(column: str, compare: Callable[[Fraction, Fraction], bool], wanted: Fraction) -> Test:
    read = NUMBERS[column]

    def test(row: Row, inventory: Inventory) -> bool:
        value = read(row, inventory)
        return value is not None and compare(value, wanted)

    return test


def _text_test(column: str, wanted: str, *, whole: bool) -> Test:
    read: Callable[[Row, Inventory], Iterable[str]] = TEXTS[column]
    if whole:
        return lambda row, inventory: any(wanted == text.casefold() for text in read(row, inventory))
    return lambda row, inventory: any(wanted in text.casefold() for text in read(row, inventory))
