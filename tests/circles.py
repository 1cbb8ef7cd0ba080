"""Circles in a graph of imports."""

from __future__ import annotations


def circles_of(imports: dict[str, set[str]]) -> list[list[str]]:
    """The sets of modules of which each can be reached from each other one, sorted (Tarjan's components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []
    for start in sorted(imports):
        if start in index:
            continue
        index[start] = low[start] = len(index)
        stack.append(start)
        work = [(start, iter(sorted(imports[start])))]
        while work:
            module, rest = work[-1]
            following = next((name for name in rest if name in imports), None)
            if following is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[module])
                if low[module] == index[module]:
                    at = stack.index(module)
                    if len(stack) - at > 1:
                        found.append(sorted(stack[at:]))
                    del stack[at:]
            elif following not in index:
                index[following] = low[following] = len(index)
                stack.append(following)
                work.append((following, iter(sorted(imports[following]))))
            elif following in stack:
                low[module] = min(low[module], index[following])
    return found
