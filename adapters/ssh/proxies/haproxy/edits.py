"""Changes of HAProxy settings as token edits and runtime commands.

A weight or maxconn goes to the file and to the running process, without a reload. A state goes to the running process
alone, unless it is to persist. A threshold in a rule needs a reload; one in a map file does not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from adapters.ssh.proxies import standing
from adapters.ssh.proxies.haproxy import proxy_limits as haproxy_proxy_limits
from adapters.ssh.proxies.haproxy.backend import (
    MAXIMUM_WEIGHT,
    file_weight,
    state_of,
    weight_of,
    why_not_section,
)
from adapters.ssh.proxies.haproxy.lines import Line, tokenize
from adapters.ssh.proxies.haproxy.maxconn import GRID as MAXCONN_GRID
from adapters.ssh.proxies.haproxy.maxconn import file_maxconn
from adapters.ssh.proxies.haproxy.proxy_limits import ProxyLimit
from adapters.ssh.proxies.haproxy.runtime import FORCED_DRAIN, FORCED_MAINTENANCE, Running
from adapters.ssh.proxies.haproxy.servers import Backend, Server, templated_reason
from adapters.ssh.proxies.spans import TokenEdit
from control.errors import InvalidValue, NotFound
from control.model import Special, TargetState, exact
from control.planning.edit import Change
from control.structs import replace
from control.text import clean

_COMMANDS = {TargetState.ACTIVE: "ready", TargetState.DRAINING: "drain", TargetState.MAINTENANCE: "maint"}
ADMIN = {"ready": "0", "drain": str(FORCED_DRAIN), "maint": str(FORCED_MAINTENANCE)}
"""What `srv_admin_state` is after `set server … state WORD`."""


@dataclass(slots=True)
class ServerEdit:
    """Everything that changes of one server."""

    backend: Backend
    server: Server
    data: bytes = b""
    """The file that the server's line stands in."""
    changes: list[Change] = field(default_factory=list)
    tokens: list[TokenEdit] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    running: dict[str, str] = field(default_factory=dict)
    """Columns of the runtime answers as they will be."""
    reload: bool = False
    warnings: list[str] = field(default_factory=list)

    @property
    def name(self) -> tuple[str, str]:
        return self.backend.name, self.server.name

    def taken_out(self, word: int) -> str:
        """The `was` of a word of the server's line that this edit takes out."""
        tokens = tokenize(self.data, self.server.line.path)
        first = self.server.line.first
        return standing.taken_out(self.data, tokens, first, first + word)

    def put_back(self, again: str) -> bool:
        """Put `disabled` back where `again` says that it stood; false where it cannot stand there."""
        tokens, line = tokenize(self.data, self.server.line.path), self.server.line
        back = standing.put_back(self.data, tokens, (line.first, line.first + len(line.words) - 1), again, _DISABLED)
        if back is None or any(edit.index == back.index for edit in self.tokens):
            return False
        self.tokens.append(back)
        return True

    def append(self, *words: bytes) -> None:
        """Put words at the end of the server's line."""
        last = len(self.server.line.words) - 1
        token = self.server.line.words[last]
        index = self.server.line.first + last
        for position, edit in enumerate(self.tokens):
            if edit.index == index:
                self.tokens[position] = replace(edit, after=(*edit.after, *words))
                return
        self.tokens.append(TokenEdit(index, token.raw, words))

    def replace(self, line: Line, word: int, raw: bytes | None) -> None:
        """Put other bytes in the place of one word of the server's line."""
        index = line.first + word
        for position, edit in enumerate(self.tokens):
            if edit.index == index:
                self.tokens[position] = replace(edit, raw=raw)
                return
        self.tokens.append(TokenEdit(index, raw))


@dataclass(frozen=True, slots=True)
class NumberEdit:
    """The edit of one number that is no server's."""

    token: TokenEdit | None
    """None where another change does it: two limits may share a number."""
    change: Change
    warning: str = ""
    commands: tuple[str, ...] = ()
    reload: bool = True


def proxy_numbers(
    found: Sequence[ProxyLimit], changes: Sequence[Change], running: Running
) -> dict[str, list[NumberEdit]]:
    """Numbers of proxies and of the process by file, each with the limits that share it. Raises `InvalidValue`."""
    by_name = {limit.name: limit for limit in found}
    edits: dict[str, list[NumberEdit]] = {}
    taken: dict[tuple[str, int, int], int] = {}
    for change in changes:
        limit, ref = by_name[change.ref.name], str(change.ref)
        reason = haproxy_proxy_limits.why_not(limit)
        if reason or limit.what == "fullconn":
            raise InvalidValue(reason or "fullconn limits nothing by itself", ref=ref)
        number = _whole(change, ref)
        if taken.get(limit.number_at, number) != number:
            raise InvalidValue("this number also feeds another limit that is to become something else", ref=ref)
        first = limit.number_at not in taken
        taken[limit.number_at] = number
        sharing = [one for one in found if one.number_at == limit.number_at]
        commands = [one.command(number, running) for one in sharing]
        live = tuple(command for command in commands if command is not None)
        reload = len(live) < len(commands)
        refs = ", ".join(str(replace(change.ref, name=one.name)) for one in sharing if one is not limit)
        line = limit.setting.line
        warning = f"the number at {clean(line.location)} also feeds {refs}" if refs else ""
        raw = limit.setting.token.raw
        written = standing.restored(change.again, _NUMBER, number) or quoted(raw, b"%d" % number)
        token = TokenEdit(line.first + limit.setting.index, written) if first else None
        change = replace(change, was=standing.raw_form(raw, b"%d" % limit.setting.number))
        edit = NumberEdit(token, change, warning, live if first and not reload else (), reload)
        edits.setdefault(line.path, []).append(edit)
    return edits


def _whole(change: Change, ref: str) -> int:
    if change.field != "amount":
        raise InvalidValue(f"this limit has no field '{change.field}' to edit", ref=ref)
    value = exact.whole(change.after)
    if value is None or not 1 <= value <= MAXCONN_GRID.maximum:
        raise InvalidValue(f"HAProxy cannot hold the limit {change.after}", ref=ref, hint="a whole number from 1")
    return value


def find(found: Sequence[Backend], backend: str, server: str, ref: str) -> tuple[Backend, Server]:
    """A server of the file that can be edited. Raises `NotFound`, `InvalidValue`."""
    section = next((b for b in found if b.ref_name == backend), None)
    if section is None:
        raise NotFound(f"there is no backend '{clean(backend)}' here", ref=ref)
    line = section.server(server)
    if line is None:
        raise NotFound(f"backend '{clean(backend)}' has no server line '{clean(server)}'", ref=ref)
    why = why_not_section(section) or line.unknown
    if server in section.doubled:
        why = f"server '{clean(server)}' stands more than once in '{clean(backend)}'"
    if why:
        raise InvalidValue(why, ref=ref)
    return section, line


_NUMBER = re.compile(r"(\d{1,9})[\w.%]*", re.ASCII)
_DISABLED = re.compile(r"disabled")


def set_number(edit: ServerEdit, name: str, value: int, default: int, change: Change) -> str:
    """Write `weight N` or `maxconn N`: over the last one on the server's own line, else behind everything; an undo
    takes away what was put there. Of a server that no line of its own makes, nothing is written: its value lives at
    runtime alone. `default` holds where the line has none. Returns the change's `was`."""
    ref = str(change.ref)
    if edit.server.runtime_only:
        edit.warnings.append(
            f"{'/'.join(map(clean, edit.name))}: {edit.server.runtime_only}: {name} {value} is set at runtime alone, "
            "and a reload takes it back"
        )
        return ""
    setting = edit.server.own.get(name)
    if setting is None:
        if change.again == standing.ABSENT and value == default:
            return ""
        inherited = edit.server.all.get(name)
        if inherited is not None:
            edit.warnings.append(
                f"{name} of {clean(edit.server.name)} came from {clean(inherited.line.location)}: "
                "it is now set on the server itself"
            )
        edit.append(name.encode(), b"%d" % value)
        return standing.ABSENT
    reason = templated_reason(setting)
    if reason:
        raise InvalidValue(reason, ref=ref)
    if change.again == standing.ABSENT and value == default:
        edit.replace(setting.line, setting.index - 1, None)
        edit.replace(setting.line, setting.index, None)
        return ""
    raw = setting.token.raw
    written = standing.restored(change.again, _NUMBER, value) or quoted(raw, b"%d" % value)
    edit.replace(setting.line, setting.index, written)
    return standing.raw_form(raw, b"%d" % setting.number)


def quoted(like: bytes, word: bytes) -> bytes:
    """A number in the quotes that another one has. What stands there was read as a number: nothing else is lost."""
    quote = like[:1] if like[:1] in (b'"', b"'") and like[:1] == like[-1:] else b""
    return quote + word + quote


def _inherited(server: Server, name: str, default: int) -> int:
    """What holds where the server's own line says nothing."""
    setting = server.inherited.get(name)
    return setting.number if setting is not None and setting.known else default


def weight(edit: ServerEdit, change: Change, running: Running) -> None:
    """Change a weight in the file and at runtime; where the algorithm takes none at runtime, by a reload."""
    number, ref = exact.whole(change.after), str(change.ref)
    if number is None or not 0 <= number <= MAXIMUM_WEIGHT:
        raise InvalidValue(f"HAProxy cannot hold weight {change.after}", ref=ref, hint="whole numbers from 0 to 256")
    now = running.servers.get(edit.name)
    _refuse_unseen(edit, now is None, ref)
    written, current, was = file_weight(edit.server), weight_of(edit.server, now), ""
    if written is not None and written != current:
        edit.warnings.append(
            f"{'/'.join(map(clean, edit.name))} runs with weight {current}, the file says {written}: "
            f"both become {number}"
        )
    if number != written or not _plain(edit.server, "weight") or change.again:
        was = set_number(edit, "weight", number, _inherited(edit.server, "weight", 1), change)
    edit.changes.append(replace(change, was=was))
    initial = now.initial_weight if now else None
    if now is None or not (edit.backend.dynamic or number in (0, initial)):
        if edit.server.runtime_only:
            raise InvalidValue(
                f"{edit.server.runtime_only}, and balance {clean(edit.backend.balance[0])} takes only 0 and {initial} "
                "at runtime",
                ref=ref,
            )
        edit.reload = True
    else:
        edit.commands.append(f"set server {_address(edit)} weight {number}")
    edit.running["srv_uweight"] = str(number)


def _refuse_unseen(edit: ServerEdit, unseen: bool, ref: str) -> None:
    """A server that no line of its own makes can be changed only where it runs."""
    if edit.server.runtime_only and unseen:
        raise InvalidValue(f"{edit.server.runtime_only}, and the running HAProxy cannot be asked", ref=ref)


def _plain(server: Server, name: str) -> bool:
    setting = server.all.get(name)
    return setting is None or setting.plain


def state(edit: ServerEdit, change: Change, running: Running) -> None:
    """Change a state at runtime; with `persist` in the file too (`disabled`)."""
    value, ref = change.after, str(change.ref)
    if not isinstance(value, TargetState):
        raise InvalidValue(f"'{value}' is no state", ref=ref, hint="active, draining or maintenance")
    now = running.servers.get(edit.name)
    was = _persist(edit, value, change) if change.persist else ""
    edit.changes.append(replace(change, was=was))
    if not change.persist and now is None:
        raise InvalidValue(
            "a state is set at runtime, and the running HAProxy cannot be asked",
            ref=ref,
            hint="name its stats socket in the deck file, or ask for the state to persist",
        )
    if now is None:
        edit.reload = True
    elif change.persist or state_of(edit.server, now) is not value:
        edit.commands.append(f"set server {_address(edit)} state {_COMMANDS[value]}")


def _persist(edit: ServerEdit, value: TargetState, change: Change) -> str:
    """Write a state to the file; returns the change's `was`."""
    ref, server = str(change.ref), edit.server
    if server.runtime_only:
        raise InvalidValue(f"{server.runtime_only}: its state cannot persist", ref=ref)
    if value is TargetState.DRAINING:
        raise InvalidValue(
            "HAProxy's file cannot hold a drained server",
            ref=ref,
            hint="weight 0 persists and drains; maintenance persists; draining without persist is at runtime",
        )
    if value is TargetState.MAINTENANCE and not server.disabled:
        own = server.own.get("enabled")
        if own is not None:
            edit.replace(own.line, own.index, b"disabled")
        elif not edit.put_back(change.again):
            edit.append(b"disabled")
    if value is TargetState.ACTIVE and server.disabled:
        own = server.own.get("disabled")
        if own is None:
            edit.append(b"enabled")
            return ""
        words = enumerate(own.line.words)
        places = [i for i, word in words if i >= own.index and word.value == "disabled"]
        for index in places:
            edit.replace(own.line, index, b"enabled" if server.inherited_disabled else None)
        if len(places) == 1 and not server.inherited_disabled:
            return edit.taken_out(places[0])
    return ""


def maxconn(edit: ServerEdit, change: Change, running: Running) -> None:
    """Change a server's maxconn in the file and at runtime."""
    ref, number = str(change.ref), 0 if change.after is Special.UNLIMITED else exact.whole(change.after)
    if change.field != "amount":
        raise InvalidValue(f"a server's maxconn has no field '{change.field}'", ref=ref)
    if number is None or not (1 <= number <= MAXCONN_GRID.maximum or change.after is Special.UNLIMITED):
        hint = "whole numbers from 1, or unlimited"
        raise InvalidValue(f"HAProxy cannot hold maxconn {change.after}", ref=ref, hint=hint)
    now = running.servers.get(edit.name)
    _refuse_unseen(edit, now is None, ref)
    was = ""
    if number != file_maxconn(edit.server) or not _plain(edit.server, "maxconn") or change.again:
        was = set_number(edit, "maxconn", number, _inherited(edit.server, "maxconn", 0), change)
    edit.changes.append(replace(change, was=was))
    if now is None:
        edit.reload = True
    else:
        edit.commands.append(f"set maxconn server {_address(edit)} {number}")


def _address(edit: ServerEdit) -> str:
    """`backend/server` for a command. Names of HAProxy hold no blank, `/` or `;` (its own parser refuses them)."""
    for name in edit.name:
        if not name or any(character.isspace() or character in "/;\\\"'" for character in name):
            raise InvalidValue(f"'{clean(name)}' cannot be named in a runtime command")
    return "/".join(edit.name)
