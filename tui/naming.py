"""Names that tell rows apart: what is added where several rows have one name, and where a name is cut that is too long.

A name is cut in the middle, and where several names would then look the same it is cut in what they share instead: at
the front, at the end, or both, never in the part in which they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile

from control.model.ref import Ref
from tui.cells import fit, safe, width

LEAST = 4
"""Cells below which nothing can be cut so that it is still told apart."""


def shortened(names: Iterable[str], cells: int, ellipsis: str = "…") -> dict[str, str]:
    """Each distinct name -> its form in at most `cells` cells; distinct names stay distinct where that can be."""
    distinct = list(dict.fromkeys(names))
    short = {name: name for name in distinct if width(name) <= cells}
    groups: dict[str, list[str]] = {}
    for name in distinct:
        if name not in short:
            groups.setdefault(fit(name, cells, ellipsis=ellipsis), []).append(name)
    taken = set(short.values())
    for cut, members in groups.items():
        if len(members) == 1 and cut not in taken:
            short[members[0]] = cut
        else:
            short.update(_apart(members, cells, ellipsis))
        taken |= {short[name] for name in members}
    return short if len(set(short.values())) == len(short) else _numbered(distinct, short, cells, ellipsis)


def _apart(names: Sequence[str], cells: int, ellipsis: str) -> dict[str, str]:
    """Names that their usual cut makes one: cut in what they share, at the front and at the end."""
    front = _same(names)
    back = min(_same([name[::-1] for name in names]), min(map(len, names)) - front)
    differ = [name[front : len(name) - back] for name in names]
    head, tail = names[0][:front], names[0][len(names[0]) - back :]
    room = cells - bool(front) - bool(back)
    if room < LEAST or len(names) == 1:
        return {name: fit(name, cells, ellipsis=ellipsis) for name in names}
    if max(map(width, differ)) > room:
        inner = shortened(differ, room, ellipsis)
        return {
            name: (ellipsis if front else "") + inner[part].strip() + (ellipsis if back else "")
            for name, part in zip(names, differ, strict=True)
        }
    return {name: _framed(head, part, tail, cells, ellipsis) for name, part in zip(names, differ, strict=True)}


def _same(names: Sequence[str]) -> int:
    """How many characters all of these begin with."""
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*names, strict=False)))


def _framed(head: str, part: str, tail: str, cells: int, ellipsis: str) -> str:
    """As much of what is shared as has room around the part that differs; the end of a name first, it says most."""
    left = cells - width(part)
    whole_head, whole_tail = width(head), width(tail)
    if whole_tail + min(whole_head, 2) <= left:
        kept_tail, room = tail, left - whole_tail
    elif whole_head + min(whole_tail, 2) <= left:
        kept_tail, room = "", whole_head
    else:
        kept_tail, room = "", max((left + 1) // 2, 1)
    kept_head = head if whole_head <= room else head[: max(room - 1, 0)] + ellipsis
    if not kept_tail and tail:
        rest = left - width(kept_head)
        kept_tail = tail if whole_tail <= rest else (ellipsis + (tail[-(rest - 1) :] if rest > 1 else ""))
    return kept_head + part + kept_tail


def _numbered(names: Sequence[str], short: Mapping[str, str], cells: int, ellipsis: str) -> dict[str, str]:
    """The last resort in a narrow column: names that are still the same get a number."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(short[name], []).append(name)
    told = {}
    for cut, members in groups.items():
        for number, name in enumerate(members, 1):
            mark = f"{ellipsis}{number}" if len(members) > 1 else ""
            told[name] = cut.rstrip() if not mark else cut[: max(cells - width(mark), 0)] + mark
    return told


def told_apart(rows: Mapping[Ref, str], environment_shown: bool = True) -> dict[Ref, str]:
    """Each row's name, with its kind, scope or part where several rows of one place have the same name.

    `environment_shown` says that it is shown beside the name, so that rows of two environments may share one.
    """
    groups: dict[tuple[str, str], list[Ref]] = {}
    for ref, name in rows.items():
        groups.setdefault((ref.environment if environment_shown else "", name), []).append(ref)
    told: dict[Ref, str] = {}
    for (_, name), refs in groups.items():
        if len(refs) == 1:
            told[refs[0]] = name
            continue
        added = _added(refs, not environment_shown)
        told.update({ref: f"{name} {safe(more)}".rstrip() for ref, more in zip(refs, added, strict=True)})
    return told


def _added(refs: Sequence[Ref], environment: bool) -> list[str]:
    """The fewest words that tell these refs apart, in this order: kind, scope, object, part, and the environment."""
    sources: list[Callable[[Ref], str]] = [
        lambda ref: ref.kind,
        lambda ref: ref.scope,
        lambda ref: ref.name,
        lambda ref: ref.part or "",
    ]
    if environment:
        sources.insert(0, lambda ref: ref.environment)
    for source in sources:
        words = [source(ref) for ref in refs]
        if len(set(words)) == len(words):
            return words
    chosen: list[Callable[[Ref], str]] = []
    for source in sources:
        if len({source(ref) for ref in refs}) > 1:
            chosen.append(source)
            words = [" ".join(filter(None, (one(ref) for one in chosen))) for ref in refs]
            if len(set(words)) == len(words):
                return words
    return [str(ref) for ref in refs]
