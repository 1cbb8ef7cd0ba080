"""Edits of the `server` lines of upstreams: weight, `down`, `max_conns`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from adapters.ssh.proxies import standing
from adapters.ssh.proxies.nginx.lexer import span_of, tokenize
from adapters.ssh.proxies.nginx.routes import section_of
from adapters.ssh.proxies.nginx.tree import NginxTree
from adapters.ssh.proxies.nginx.upstream import GRID, Server, Upstream, editable_of, upstreams
from adapters.ssh.proxies.spans import FileEdit, TokenEdit
from control.errors import InvalidValue, NotFound
from control.model import TargetState, exact
from control.model.ref import Ref
from control.planning.edit import Change, split_field
from control.structs import replace
from control.text import clean

_WEIGHT = re.compile(r"weight=(\d+)", re.ASCII)
_STATE = re.compile(r"down|drain")


def edits(tree: NginxTree, changes: Sequence[Change]) -> list[FileEdit]:
    """Token edits, each with its file, for the changes of upstreams. Raises `InvalidValue`, `NotFound`."""
    wanted: dict[tuple[Ref, str], dict[str, Change]] = {}
    for change in changes:
        target, what = split_field(change.field)
        if target is None or what not in ("weight", "state"):
            raise InvalidValue(f"an nginx upstream has no field '{change.field}'", ref=str(change.ref))
        wanted.setdefault((change.ref, target), {})[what] = change
    found: list[FileEdit] = []
    for (ref, target), fields in wanted.items():
        upstream = named(tree, ref)
        editable = editable_of(upstream)
        if not editable.yes:
            raise InvalidValue(editable.reason, ref=str(ref))
        server = next((s for s in upstream.servers if s.name == target), None)
        if server is None:
            raise NotFound(f"upstream '{clean(ref.name)}' has no server '{clean(target)}'", ref=str(ref))
        found.extend(_server_edits(tree, server, fields))
    return found


def named(tree: NginxTree, ref: Ref) -> Upstream:
    """The upstream of a ref. Raises `NotFound`."""
    section = section_of(ref)
    upstream = next((u for u in upstreams(tree) if (u.section, u.name) == (section, ref.name)), None)
    if upstream is None:
        raise NotFound(f"there is no upstream '{clean(ref.name)}' here", ref=str(ref))
    return upstream


def _server_edits(tree: NginxTree, server: Server, fields: Mapping[str, Change]) -> list[FileEdit]:
    path = server.directive.path
    data = tree.tree.files[path]
    tokens, positions, words = tokenize(data, path), server.directive.positions, server.directive.words
    edited: dict[int, TokenEdit] = {}
    behind: list[bytes] = []
    done = dict(fields)
    weight, state = fields.get("weight"), fields.get("state")
    if weight is not None:
        value, there = weight_value(weight), _places(server, "weight=")
        if not there:
            if not (weight.again == standing.ABSENT and value == 1):
                behind.append(b"weight=%d" % value)
            done["weight"] = replace(weight, was=standing.ABSENT)
        elif weight.again == standing.ABSENT and value == 1:
            edited |= {positions[i]: TokenEdit(positions[i], None) for i in there}
        else:
            raw = words[there[-1]].raw
            new = standing.restored(weight.again, _WEIGHT, value) or _quoted(raw, b"weight=%d" % value)
            edited[positions[there[-1]]] = TokenEdit(positions[there[-1]], new)
            done["weight"] = replace(weight, was=standing.raw_form(raw, b"weight=%d" % (server.weight or 0)))
    if state is not None and _state(state) is not server.state:
        going = [i for i, word in enumerate(words) if i > 1 and word.value in ("down", "drain")]
        if len(going) == 1:
            done["state"] = replace(state, was=standing.taken_out(data, tokens, positions[0], positions[going[0]]))
        edited |= {positions[i]: TokenEdit(positions[i], None) for i in going}
        if _state(state) is TargetState.MAINTENANCE:
            out = [position for position, edit in edited.items() if edit.raw is None]
            span = span_of(tokens, positions)
            back = standing.put_back(data, tokens, span, state.again, _STATE, out, len(behind))
            if back is None or back.after[0].strip() != b"down" or (behind and back.index == positions[1]):
                behind.append(b"down")
            else:
                at = edited.get(back.index, back)
                edited[back.index] = replace(at, after=back.after, skip=back.skip)
    if behind:
        at = edited.get(positions[1], TokenEdit(positions[1], words[1].raw))
        edited[positions[1]] = replace(at, after=(*behind, *at.after))
    changes = tuple(done.values())
    return [FileEdit(path, edit, changes) for _, edit in sorted(edited.items())]


def _places(server: Server, prefix: str) -> list[int]:
    return [i for i, word in enumerate(server.directive.words) if i > 1 and word.value.startswith(prefix)]


def _quoted(like: bytes, word: bytes) -> bytes:
    """A word in the quotes that another one has. What stands there was read as digits: nothing else can be lost."""
    quote = like[:1] if like[:1] in (b'"', b"'") else b""
    return quote + word + quote


def weight_value(change: Change) -> int:
    """The new weight, checked: nginx takes whole numbers above 0 (`weight=0` is refused)."""
    number, ref = exact.whole(change.after), str(change.ref)
    if number is None:
        raise InvalidValue(f"'{change.after}' is no weight that nginx can hold", ref=ref, hint="a whole number")
    if number < 1:
        raise InvalidValue(
            f"nginx has no weight {number}",
            ref=str(change.ref),
            hint="1 is the smallest; set the state to maintenance to take the server out",
        )
    if number > GRID.maximum:
        raise InvalidValue(f"weight {number} is too large", ref=str(change.ref), hint=f"at most {GRID.maximum}")
    return number


def _state(change: Change) -> TargetState:
    if change.after in (TargetState.MAINTENANCE, TargetState.ACTIVE):
        return TargetState(str(change.after))
    raise InvalidValue(
        "nginx cannot drain a server: it is in or out", ref=str(change.ref), hint="maintenance is the nearest"
    )
