"""FILTER words of `get` and of the deck's `/`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from control.model import Limit, Route
from control.views import EnvironmentView, Inventory, ServiceView

Row = Route | Limit | EnvironmentView | ServiceView


def parse_filter(words: Sequence[str]) -> Callable[[Row, Inventory], bool]:
    """A test of rows; all words must hold. Raises `UsageError` for a word that cannot be read.

    A word is a piece of a name, ref or label; `/RE` a regular expression over the same; `!WORD` and `!/RE` the
    inverse; `-l KEY=VALUE` a label of the environment; `COLUMN:VALUE` or `COLUMN:>NUMBER` one column.
    """
    raise NotImplementedError
