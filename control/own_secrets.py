"""Our own credentials, struck from every text that leaves the process, whoever echoes them.

Where a credential is read (a file, a keyring, a profile, a proxy's URL) it is kept here with `keep`. Texts pass
`strike` where they are cleaned (`control.text`) and where an error is made (`control.errors`). A credential is found as
it is, base64 at any place in a longer text, percent-encoded, escaped as in JSON or HTML, hexadecimal, with blanks, line
breaks and quotes anywhere in it; of a long one also any piece of `PIECE` characters.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator
from functools import lru_cache

STRUCK = "********"
LONG = 20
"""From so many characters on a credential is struck in pieces, too."""
PIECE = 12
SHORTEST = 6
"""Shorter ones are not looked for: they are in every text."""
MOST = 400
"""So many credentials are remembered: tokens are renewed while a deck is open for days."""
_OUR_NAME = "trafficdeck"
"""Where somebody takes it for a password, our own commands must still be named."""
DEEP = 3
"""So many layers of escapes are undone."""
_WINDOW, _STRIDE = 8, 4
_CACHED = 256
_URL_SAFE = str.maketrans("-_", "+/")
_DROPPED = re.compile(r"[\s\"'`]+")
_PEM = re.compile(r"-----[A-Z ]+-----")
_SOFT_BREAK = r"|=\r?\n"
_PERCENT = r"%[0-9A-Fa-f]{2}"
_BACKSLASH = r"\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\[nrtbf]|\\[\"'\\/]"
_ENTITY = r"&#?[0-9A-Za-z]{2,8};"
_ESCAPES = tuple(
    re.compile(one + _SOFT_BREAK) for one in (f"{_PERCENT}|{_BACKSLASH}|{_ENTITY}", _BACKSLASH, _PERCENT, _ENTITY)
)
"""All at once, and one kind alone: a password may itself hold what looks like an escape of another kind."""
_BREAKS = frozenset({"\\n", "\\r", "\\t", "\\b", "\\f"})

_kept: dict[str, tuple[str, ...]] = {}
"""Credential -> the forms in which it is looked for."""
_short: dict[str, bool] = {}
"""Forms that are looked for as a whole -> whether everywhere (True) or in errors only."""
_capitals = True
_small: tuple[str, ...] = ()
_pieces: dict[str, tuple[str, int]] = {}
"""Windows of long forms -> (form, where in it)."""


def keep(*secrets: str | bytes | None) -> None:
    """Remember credentials, for as long as the process lives. What is no text, empty or very short is left out."""
    for one in secrets:
        text = one.decode("utf-8", "replace") if isinstance(one, bytes) else one or ""
        bare = _DROPPED.sub("", _PEM.sub("", text))
        if len(bare) >= SHORTEST and bare not in _kept and bare != _OUR_NAME:
            if len(_kept) >= MOST:
                _forget_oldest()
            _kept[bare] = _forms(bare, text.strip())
            _add(bare)
            _struck.cache_clear()
            _look_quickly()


def strike(text: str, in_error: bool = False) -> str:
    """`text` without our credentials. `in_error` also looks for those that are short or plain words, which in other
    texts may be names."""
    if not _kept or (len(text) < _WINDOW and not in_error):
        return text
    if not in_error and _capitals and text == text.lower() and not _escaped(text) and not _any_small(text):
        return text  # as nearly all names are
    return _struck(text, in_error) if len(text) <= _CACHED else _strike(text, in_error)


def forget_all() -> None:
    """Forget every credential; for tests."""
    for table in (_kept, _short, _pieces):
        table.clear()
    _struck.cache_clear()
    _look_quickly()


# --- forms ------------------------------------------------------------------------------------------------------------


def _forms(bare: str, text: str) -> tuple[str, ...]:
    """What stands for a credential in a text that has been freed of blanks, quotes and escapes."""
    coded: list[str] = []
    for data in {text.encode()} if _PEM.search(text) else {bare.encode(), text.encode()}:
        coded += _base64_inside(data)
        if len(data) < LONG:
            coded.append(data.hex())
    plain = (bare, bare.encode().decode("latin-1"))
    return tuple(dict.fromkeys([*plain, *(form for form in coded if len(form) >= _WINDOW)]))


def _base64_inside(data: bytes) -> Iterator[str]:
    """The letters of base64 that are the same whatever stands before and after the data, for the three places that it
    may begin at."""
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + data).decode().rstrip("=")
        whole = (shift + len(data)) * 8 // 6
        yield coded[-(-shift * 8 // 6) : whole]


def _add(bare: str) -> None:
    everywhere = len(bare) >= PIECE or (len(bare) >= 8 and not bare.isalpha() and not bare.isdecimal())
    for form in _kept[bare]:
        if len(bare) >= LONG and len(form) >= LONG:
            for at in range(0, len(form) - _WINDOW + 1, _STRIDE):
                _pieces[form[at : at + _WINDOW]] = (form, at)
        else:
            _short[form] = everywhere or _short.get(form, False)


def _look_quickly() -> None:
    """Whether every piece of what is long has a capital, and what is short and has none: what a text without capitals
    is to be searched for."""
    global _capitals, _small
    long = {form for form, _ in _pieces.values()}
    _capitals = all(re.search(rf"[^A-Z]{{{LONG}}}", form) is None for form in long)
    _small = tuple(form for form, everywhere in _short.items() if everywhere and form == form.lower())


def _any_small(text: str) -> bool:
    return any(form in text for form in _small)


def _forget_oldest() -> None:
    for old in list(_kept)[: MOST // 4]:
        del _kept[old]
    _short.clear()
    _pieces.clear()
    for bare in _kept:
        _add(bare)


_Places = list[tuple[int, int]]
"""For each character of a view, where in the text it begins and ends."""


# --- finding ----------------------------------------------------------------------------------------------------------


def _strike(text: str, in_error: bool) -> str:
    spans: list[tuple[int, int]] = []
    for view, places in _views(text):
        for begin, end, alone in _found(view, in_error):
            span = places[begin][0], places[end - 1][1]
            if not alone or _stands_alone(text, *span):
                spans.append(span)
    if not spans:
        return text
    out, at = [], 0
    for begin, end in _merged(spans):
        out += [text[at:begin], STRUCK]
        at = end
    return "".join([*out, text[at:]])


_struck = lru_cache(maxsize=32_768)(_strike)
"""The same names and notes are cleaned at each read."""


def _merged(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    spans.sort()
    begin, end = spans[0]
    for one, other in spans[1:]:
        if one > end:
            yield begin, end
            begin, end = one, other
        end = max(end, other)
    yield begin, end


def _views(text: str) -> Iterator[tuple[str, _Places]]:
    """The text freed of blanks and quotes, as it stands and with its escapes undone, once and more often."""
    if _suspect(_DROPPED.sub("", text)):
        yield _compact(text, [(at, at + 1) for at in range(len(text))])
    for escape in _ESCAPES if _escaped(text) else ():
        view = text
        for times in range(1, DEEP + 1):
            before, view = view, escape.sub(lambda match: _meant(match[0]), view)
            if view == before:
                break
            if _suspect(_DROPPED.sub("", view)):
                yield _with_places(text, escape, times)


def _escaped(text: str) -> bool:
    return "%" in text or "\\" in text or "&" in text or "=\n" in text or "=\r" in text


def _with_places(text: str, escape: re.Pattern[str], times: int) -> tuple[str, _Places]:
    view, places = text, [(at, at + 1) for at in range(len(text))]
    for _ in range(times):
        view, places = _undone(view, escape, places)
    return _compact(view, places)


def _compact(view: str, places: _Places) -> tuple[str, _Places]:
    kept = [(letter, position) for letter, position in zip(view, places, strict=True) if not _DROPPED.match(letter)]
    return "".join(letter for letter, _ in kept), [position for _, position in kept]


def _suspect(view: str) -> bool:
    """Whether anything of ours may be in it: what can be said quickly."""
    plain = view.translate(_URL_SAFE)
    windows = [plain[at : at + _WINDOW] for at in range(len(plain) - _WINDOW + 1)] if _pieces else []
    raw = [view[at : at + _WINDOW] for at in range(len(view) - _WINDOW + 1)] if _pieces and plain != view else []
    return (
        not _pieces.keys().isdisjoint(windows)
        or not _pieces.keys().isdisjoint(raw)
        or any(form in view or form in plain for form in _short)
    )


def _undone(view: str, escape: re.Pattern[str], places: _Places) -> tuple[str, _Places]:
    letters: list[str] = []
    found: _Places = []
    at = 0
    for match in escape.finditer(view):
        letters.append(view[at : match.start()])
        found += places[at : match.start()]
        letter = _meant(match[0])
        letters.append(letter)
        found += [(places[match.start()][0], places[match.end() - 1][1])] * len(letter)
        at = match.end()
    letters.append(view[at:])
    return "".join(letters), found + places[at:]


def _meant(escape: str) -> str:
    """What an escape stands for."""
    if escape[0] == "%":
        return chr(int(escape[1:], 16))
    if escape[0] == "&":
        return html.unescape(escape)
    if escape[0] == "=":
        return ""
    if escape[1] in "ux":
        return chr(int(escape[2:], 16))
    return " " if escape in _BREAKS else escape[1]


def _stands_alone(text: str, begin: int, end: int) -> bool:
    return not (text[begin - 1 : begin].isalnum() or text[end : end + 1].isalnum())


def _found(view: str, in_error: bool) -> Iterator[tuple[int, int, bool]]:
    """Where in a view something of ours stands, and whether only where no letter or digit is beside it."""
    for seen in dict.fromkeys((view, view.translate(_URL_SAFE))):
        for form, everywhere in _short.items():
            at = seen.find(form) if everywhere or in_error else -1
            while at >= 0:
                yield at, at + len(form), not everywhere
                at = seen.find(form, at + 1)
        for begin, end in _runs(seen) if _pieces else ():
            yield begin, end, False


def _runs(view: str) -> Iterator[tuple[int, int]]:
    """Pieces of long forms, as far as they go on to both sides."""
    done = 0
    for at in range(len(view) - _WINDOW + 1):
        hit = _pieces.get(view[at : at + _WINDOW]) if at >= done else None
        if hit is None:
            continue
        form, there = hit
        begin, end, of, to = at, at + _WINDOW, there, there + _WINDOW
        while begin > 0 and of > 0 and view[begin - 1] == form[of - 1]:
            begin, of = begin - 1, of - 1
        while end < len(view) and to < len(form) and view[end] == form[to]:
            end, to = end + 1, to + 1
        if end - begin >= PIECE:
            yield begin, end
            done = end
