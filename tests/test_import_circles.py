"""What `make check` says of files that import each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.circles import circles_of

_NAMES = "abcdef"
_GRAPHS = st.fixed_dictionaries({name: st.sets(st.sampled_from(_NAMES)) for name in _NAMES})


def _reached(imports: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    todo = list(imports[start])
    while todo:
        module = todo.pop()
        if module not in found:
            found.add(module)
            todo += imports[module]
    return found


@given(_GRAPHS)
def test_a_circle_is_what_can_be_reached_from_each_other(imports: dict[str, set[str]]) -> None:
    reached = {name: _reached(imports, name) for name in imports}
    together = {
        frozenset(other for other in imports if other == name or (other in reached[name] and name in reached[other]))
        for name in imports
    }
    assert {frozenset(circle) for circle in circles_of(imports)} == {one for one in together if len(one) > 1}


def test_a_library_that_is_imported_is_in_no_circle() -> None:
    assert circles_of({"a": {"b", "httpx"}, "b": {"a"}, "c": {"a"}}) == [["a", "b"]]
