"""How one word of a configuration stands, so that an undo restores the bytes that were there.

A change's `was` is one of: nothing (the value written anew gives the same bytes), `-` (the word is not there: what
holds is the default), the raw word (`"weight=05"`), or `INDEX:KEPT:WORD` for a word that was taken out with the blanks
before it (they lead WORD): how many tokens of its directive stand before it, and how far into the gap behind them its
blanks begin. What comes back from a journal or a saved plan is believed only where it has exactly the form that the
codec itself would have written.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from adapters.ssh.proxies.spans import Spanned, TokenEdit, text

ABSENT = "-"
_TAKEN_OUT = re.compile(r"\A(\d{1,4}):(\d{1,6}):([ \t]+)(\S+)\Z")
_LONGEST = 64


def raw_form(raw: bytes, anew: bytes) -> str:
    """The `was` of a word that stands as `raw` where the codec would write `anew` for the same value, quotes kept."""
    return "" if raw.strip(b"\"'") == anew or len(raw) > _LONGEST else text(raw)


def restored(again: str, form: re.Pattern[str], value: int) -> bytes | None:
    """The raw word of `again` where it is a word of this form whose first group is `value`, in quotes or not."""
    match = form.fullmatch(again.strip("\"'")) if again[:1] == again[-1:] or again[:1] not in "\"'" else None
    if match is None or len(again) > _LONGEST or int(match[1]) != value:
        return None
    return again.encode()


def taken_out(data: bytes, tokens: Sequence[Spanned], first: int, index: int) -> str:
    """The `was` of the token at `index` that is about to be taken out; its directive begins at the token `first`."""
    word = tokens[index]
    gap = data[tokens[index - 1].end : word.start]
    kept = len(gap.rstrip(b" \t"))
    if kept == len(gap) or len(gap) - kept + len(word.raw) > _LONGEST:
        return ""
    return f"{index - first}:{kept}:{text(gap[kept:] + word.raw)}"


def put_back(
    data: bytes,
    tokens: Sequence[Spanned],
    words: tuple[int, int],
    again: str,
    form: re.Pattern[str],
    going: Collection[int] = (),
    coming: int = 0,
) -> TokenEdit | None:
    """The edit that puts a word of this form back where `again` says that it stood.

    `words` are the first and the last token of its directive, comments in it included: it stands behind one of these,
    or nowhere. `going` are tokens that the same edit takes out, `coming` is how many words it puts behind the second.
    None where it cannot stand there, or is no such word.
    """
    first, last = words
    match = _TAKEN_OUT.match(again)
    if match is None or not form.fullmatch(match[4].strip("\"'")):
        return None
    before_it = max(int(match[1]) - coming, min(int(match[1]), 2))
    staying = [index for index in range(first, last + 1) if index not in going][:before_it]
    if len(staying) != before_it or not staying or staying[-1] + 1 >= len(tokens):
        return None
    before, kept = staying[-1], int(match[2])
    gap = data[tokens[before].end : tokens[before + 1].start]
    if gap[:kept].strip() or len(gap) < kept or gap[:kept] != gap[:kept].rstrip(b" \t"):
        return None
    return TokenEdit(before, tokens[before].raw, ((match[3] + match[4]).encode(),), kept)
