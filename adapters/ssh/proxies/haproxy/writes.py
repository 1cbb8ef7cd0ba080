"""Changes of HAProxy objects as native edits: one for each file, with its runtime commands and what a reload loses."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from adapters.ssh.proxies.haproxy import backend as haproxy_backend
from adapters.ssh.proxies.haproxy import edits as haproxy_edits
from adapters.ssh.proxies.haproxy import map as haproxy_map
from adapters.ssh.proxies.haproxy import maxconn as haproxy_maxconn
from adapters.ssh.proxies.haproxy import proxy_limits as haproxy_proxy_limits
from adapters.ssh.proxies.haproxy import request_limit as haproxy_request_limit
from adapters.ssh.proxies.haproxy.config import Config
from adapters.ssh.proxies.haproxy.edits import NumberEdit, ServerEdit
from adapters.ssh.proxies.haproxy.lines import tokenize
from adapters.ssh.proxies.haproxy.map import NUMBER_MAP
from adapters.ssh.proxies.haproxy.request_limit import Definition
from adapters.ssh.proxies.haproxy.rules import tables
from adapters.ssh.proxies.haproxy.runtime import Running, with_frontend, with_info, with_server
from adapters.ssh.proxies.protocol import NativeEdit, Runtime
from adapters.ssh.proxies.spans import TokenEdit, apply_edits, text
from control.errors import InvalidValue, NotFound
from control.model import exact
from control.planning.edit import Change, split_field
from control.structs import replace
from control.text import clean

_INTEGER = re.compile(r"\bint\(\s*(-?\d+)\s*\)", re.ASCII)


def native_edits(
    config: Config, changes: Sequence[Change], runtime: Runtime | None, running: Running
) -> list[NativeEdit]:
    """One edit for each file, in the order in which they must be written."""
    whole = {limit.name: limit for limit in haproxy_proxy_limits.find(config.sections)}
    of_proxies = [change for change in changes if change.ref.name in whole and _is_limit(change)]
    changes = [change for change in changes if change not in of_proxies]
    servers = _server_edits(config, running, changes)
    thresholds = [change for change in changes if change.ref.kind == haproxy_request_limit.KIND]
    tokens, entries = _threshold_edits(config, thresholds)
    for path, edits in haproxy_edits.proxy_numbers(list(whole.values()), of_proxies, running).items():
        tokens.setdefault(path, []).extend(edits)
    paths = dict.fromkeys([*(edit.server.line.path for edit in servers), *tokens])
    found: list[NativeEdit] = []
    for path in paths:
        here = [edit for edit in servers if edit.server.line.path == path]
        found.append(_config_edit(config, path, here, tokens.get(path, []), runtime, running))
    return found + [_map_edit(config, path, here, runtime, running) for path, here in entries.items()]


def _is_limit(change: Change) -> bool:
    return change.ref.kind in (haproxy_maxconn.KIND, haproxy_request_limit.KIND)


def _server_edits(config: Config, running: Running, changes: Sequence[Change]) -> list[ServerEdit]:
    edits: dict[tuple[str, str], ServerEdit] = {}
    for change in changes:
        ref = str(change.ref)
        if change.ref.kind == haproxy_backend.KIND:
            target, what = split_field(change.field)
            backend_name, server_name = change.ref.name, target or ""
            do: Callable[[ServerEdit, Change, Running], None] | None
            do = {"weight": haproxy_edits.weight, "state": haproxy_edits.state}.get(what)
            if target is None or do is None:
                raise InvalidValue(f"an HAProxy backend has no field '{change.field}'", ref=ref)
        elif change.ref.kind == haproxy_maxconn.KIND:
            backend_name, _, server_name = change.ref.name.rpartition("/")
            do = haproxy_edits.maxconn
        elif change.ref.kind == haproxy_request_limit.KIND:
            continue
        else:
            raise InvalidValue(f"HAProxy has no kind '{change.ref.kind}'", ref=ref)
        backend, server = haproxy_edits.find(config.backends, backend_name, server_name, ref)
        data = config.tree.files[server.line.path]
        edit = edits.setdefault((backend_name, server_name), ServerEdit(backend, server, data))
        do(edit, change, running)
    return list(edits.values())


_Place = tuple[str, int, int, str | None]
_Tokens = dict[str, list[NumberEdit]]
_Entries = dict[str, list[tuple[Definition, int, Change, str]]]


def _threshold_edits(config: Config, changes: Sequence[Change]) -> tuple[_Tokens, _Entries]:
    defined = config.definitions()
    by_name = {definition.name: definition for definition in defined}
    tokens: _Tokens = {}
    entries: _Entries = {}
    taken: dict[_Place, int] = {}
    for change in changes:
        ref = str(change.ref)
        definition = by_name.get(change.ref.name)
        if definition is None:
            raise NotFound(f"there is no request limit '{clean(change.ref.name)}' here", ref=ref)
        if definition.why_not:
            raise InvalidValue(f"not understood: {clean(definition.why_not)}", ref=ref)
        number = _threshold(change)
        if taken.get(definition.number_at, number) != number:
            raise InvalidValue("this number also feeds another limit that is to become something else", ref=ref)
        again = definition.number_at in taken
        taken[definition.number_at] = number
        if definition.map_key is None:
            token = None if again else _threshold_token(definition, number)
            edit = NumberEdit(token, change, _sharing(definition, defined, change))
            tokens.setdefault(definition.path, []).append(edit)
        else:
            warning = _sharing(definition, defined, change)
            entries.setdefault(definition.path, []).append((definition, number, change, warning))
    return tokens, entries


def _sharing(definition: Definition, defined: Sequence[Definition], change: Change) -> str:
    """Which other limits the same number feeds, or nothing."""
    others = [one.name for one in defined if one.number_at == definition.number_at and one.name != definition.name]
    if not others:
        return ""
    refs = ", ".join(str(replace(change.ref, name=name)) for name in others)
    return f"the number at {clean(f'{definition.path}:{definition.line}')} also feeds {refs}"


def _threshold(change: Change) -> int:
    value, ref = exact.whole(change.after), str(change.ref)
    if change.field != "amount":
        raise InvalidValue(f"an HAProxy request limit has no field '{change.field}' to edit", ref=ref)
    maximum = haproxy_request_limit.GRID.maximum
    if value is None or not 1 <= value <= maximum:
        raise InvalidValue(f"HAProxy cannot hold the threshold {change.after}", ref=ref, hint="a whole number from 1")
    return value


def _threshold_token(definition: Definition, number: int) -> TokenEdit:
    threshold = definition.rule.threshold
    assert threshold is not None
    token, index = threshold.line.words[threshold.index], threshold.line.first + threshold.index
    raw = text(token.raw)
    if threshold.map_file is None and threshold.inside:
        found = list(_INTEGER.finditer(raw))
        if len(found) != 1:
            raise InvalidValue(f"the number at {clean(threshold.line.location)} is not alone in its word")
        edited = raw[: found[0].start(1)] + str(number) + raw[found[0].end(1) :]
        return TokenEdit(index, edited.encode("utf-8", "surrogateescape"))
    if threshold.map_file is None:
        return TokenEdit(index, token.raw.replace(str(threshold.value).encode(), b"%d" % number))
    match = NUMBER_MAP.search(raw)
    if match is None:
        raise InvalidValue(f"the look-up at {clean(threshold.line.location)} is not understood")
    if match[2] is None:
        edited = f"{raw[: match.end() - 1]},{number}{raw[match.end() - 1 :]}"
    else:
        edited = raw[: match.start(2)] + str(number) + raw[match.end(2) :]
    return TokenEdit(index, edited.encode("utf-8", "surrogateescape"))


def _config_edit(
    config: Config,
    path: str,
    servers: Sequence[ServerEdit],
    numbers: Sequence[NumberEdit],
    runtime: Runtime | None,
    running: Running,
) -> NativeEdit:
    data = config.tree.files[path]
    tokens = [token for edit in servers for token in edit.tokens] + [edit.token for edit in numbers if edit.token]
    new = apply_edits(data, tokenize(data, path), tokens, tokenize) if tokens else None
    reload = any(edit.reload for edit in servers) or any(edit.reload for edit in numbers)
    warnings = [warning for edit in servers for warning in edit.warnings]
    warnings += dict.fromkeys(edit.warning for edit in numbers if edit.warning)
    if not data.endswith(b"\n"):
        warnings.append(f"{clean(path)} has no final newline: HAProxy refuses such a file at its next start")
    unread = config.state_file_unread()
    if unread and servers:
        warnings.append(f"the server-state file {clean(unread)} could not be read: an old one brings old weights back")
    return NativeEdit(
        path,
        (*(change for edit in servers for change in edit.changes), *(edit.change for edit in numbers)),
        data=new,
        commands=(
            *(command for edit in servers for command in edit.commands),
            *(command for edit in numbers for command in edit.commands),
        ),
        needs_reload=reload,
        also=_state_file(config, servers),
        loses=_losses(config, runtime, running, {edit.name for edit in servers}) if reload else (),
        warnings=tuple(warnings),
    )


def _state_file(config: Config, servers: Sequence[ServerEdit]) -> dict[str, bytes]:
    """The server-state file with the new weights: a stale one would bring the old ones back at a later reload."""
    path = config.state_file()
    if path is None:
        return {}
    before = text(config.tree.files[path])
    answers = {"servers state": before}
    for edit in servers:
        weight = edit.running.get("srv_uweight")
        if weight is not None:
            answers = with_server(answers, edit.name, {"srv_uweight": weight, "srv_iweight": weight})
    after = answers["servers state"]
    return {} if after == before else {path: after.encode("utf-8", "surrogateescape")}


def _losses(config: Config, runtime: Runtime | None, running: Running, edited: set[tuple[str, str]]) -> tuple[str, ...]:
    """Every runtime value that a reload takes back, and what it puts live."""
    lost = []
    for backend in config.backends:
        others = replace(backend, servers=tuple(s for s in backend.servers if (backend.name, s.name) not in edited))
        lost.extend(haproxy_backend.drift(others, running))
        lost.extend(haproxy_maxconn.drift(others, running))
    lost.extend(haproxy_proxy_limits.drift(config.sections, running))
    lost.extend(_map_drift(config, runtime))
    if any(not table.peers for table in tables(config.sections).values()):
        lost.append("the counters of stick tables without peers start again from zero")
    lost.extend(
        f"{clean(path)} was changed on disk after this HAProxy started: a reload reads all of it"
        for path in (runtime.pending if runtime else ())
    )
    return tuple(lost)


def _map_drift(config: Config, runtime: Runtime | None) -> list[str]:
    found: list[str] = []
    for name in config.maps():
        running = haproxy_map.running(runtime.answers.get(f"map {name}") if runtime else None)
        data = config.map_data(name)
        if running is None or data is None:
            continue
        written = {entry.key: entry.value for entry in reversed(haproxy_map.entries(data))}
        found.extend(
            f"map {clean(name)}: {clean(key)} runs with {clean(running.get(key, 'nothing'))}, "
            f"the file says {clean(written.get(key, 'nothing'))}"
            for key in dict.fromkeys([*written, *running])
            if written.get(key) != running.get(key)
        )
    return found


def _map_edit(
    config: Config,
    path: str,
    entries: Sequence[tuple[Definition, int, Change, str]],
    runtime: Runtime | None,
    running: Running,
) -> NativeEdit:
    values = {definition.map_key or "": number for definition, number, _, _ in entries}
    threshold = entries[0][0].rule.threshold
    name = threshold.map_file if threshold and threshold.map_file else path
    now = haproxy_map.running(runtime.answers.get(f"map {name}") if runtime else None)
    commands = () if now is None else tuple(_map_command(name, key, n, key in now) for key, n in values.items())
    return NativeEdit(
        path,
        tuple(change for _, _, change, _ in entries),
        data=haproxy_map.with_values(config.tree.files[path], values),
        commands=commands,
        needs_reload=now is None,
        loses=_losses(config, runtime, running, set()) if now is None else (),
        warnings=tuple(dict.fromkeys(warning for _, _, _, warning in entries if warning)),
    )


def _map_command(name: str, key: str, number: int, there: bool) -> str:
    for word in (name, key):
        if not word or any(character.isspace() or character in ";\\\"'" for character in word):
            raise InvalidValue(f"'{clean(word)}' cannot be named in a runtime command")
    return f"{'set' if there else 'add'} map {name} {key} {number}"


def answers_after(config: Config, edit: NativeEdit, runtime: Runtime) -> dict[str, str]:
    """The runtime answers as they will be once the files of `config` are live (a reload) or the commands are run."""
    answers = dict(runtime.answers)
    if edit.needs_reload:
        answers = _reloaded(config, answers)
    for command in edit.commands:
        match command.split(" "):
            case ["set", "server", address, "weight", number]:
                answers = with_server(answers, _name(address), {"srv_uweight": number})
            case ["set", "server", address, "state", word]:
                answers = with_server(answers, _name(address), {"srv_admin_state": haproxy_edits.ADMIN[word]})
            case ["set", "maxconn", "server", address, number]:
                answers = with_server(answers, _name(address), {"slim": "" if number == "0" else number})
            case ["set", "maxconn", "frontend", name, number]:
                answers = with_frontend(answers, name, number)
            case ["set", "maxconn", "global", number]:
                answers = with_info(answers, "Maxconn", number)
            case ["set" | "add", "map", name, key, number]:
                answers[f"map {name}"] = haproxy_map.with_running(answers.get(f"map {name}", ""), {key: int(number)})
    return answers


def _name(address: str) -> tuple[str, str]:
    backend, _, server = address.partition("/")
    return backend, server


def _reloaded(config: Config, answers: dict[str, str]) -> dict[str, str]:
    """A reload brings back what the files say."""
    for backend in config.backends:
        for server in backend.servers:
            if server.added:
                continue
            weight, maxconn = haproxy_backend.file_weight(server), server.all.get("maxconn")
            changed = {"srv_admin_state": "5" if server.disabled else "0"}
            if weight is not None:
                changed |= {"srv_uweight": str(weight), "srv_iweight": str(weight)}
            if maxconn is None or maxconn.known:
                changed["slim"] = str(maxconn.number) if maxconn and maxconn.number else ""
            answers = with_server(answers, (backend.name, server.name), changed)
    for limit in haproxy_proxy_limits.find(config.sections):
        number = str(limit.setting.number)
        if not limit.setting.known or not limit.setting.number:
            continue
        if limit.section.keyword == "global":
            answers = with_info(answers, haproxy_proxy_limits.GLOBAL[limit.what], number)
        elif limit.what in haproxy_proxy_limits.COLUMNS:
            column = haproxy_proxy_limits.COLUMNS[limit.what]
            answers = with_frontend(answers, limit.section.name, number, column)
    for name in config.maps():
        data = config.map_data(name)
        if f"map {name}" in answers and data is not None:
            entries = haproxy_map.entries(data)
            answers[f"map {name}"] = "\n".join(f"0x0 {entry.key} {entry.value}" for entry in entries)
    return answers
