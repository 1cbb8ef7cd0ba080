"""Does a running HAProxy hold what a step wrote? Compared with what its answers should be after the step."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.ssh.proxies.haproxy import map as haproxy_map
from adapters.ssh.proxies.haproxy.backend import KIND as BACKEND
from adapters.ssh.proxies.haproxy.codec import HAProxyCodec
from adapters.ssh.proxies.haproxy.maxconn import KIND as MAXCONN
from adapters.ssh.proxies.haproxy.runtime import Running, info, parse
from adapters.ssh.proxies.protocol import Runtime, Step
from control.model import TargetState
from control.planning.edit import split_field
from control.text import clean

_STATE_WORDS = {TargetState.ACTIVE: "ready", TargetState.DRAINING: "drain", TargetState.MAINTENANCE: "maint"}


def servers_of(step: Step) -> dict[tuple[str, str], set[str]]:
    """The servers that a step changes, each with the fields: `weight`, `state`, `amount`."""
    found: dict[tuple[str, str], set[str]] = {}
    for change in step.edit.changes:
        target, what = split_field(change.field)
        if change.ref.kind == BACKEND and target is not None:
            found.setdefault((change.ref.name, target), set()).add(what)
        elif change.ref.kind == MAXCONN and "/" in change.ref.name:
            backend, _, server = change.ref.name.rpartition("/")
            found.setdefault((backend, server), set()).add("amount")
    return found


def differences(codec: HAProxyCodec, step: Step, now: Runtime) -> list[str]:
    """Where the running values are not what the step meant, in words; empty when all are."""
    if step.runtime is None or not step.runtime.answers:
        return []
    _, meant = codec.after(step.tree, step.edit, step.runtime)
    wanted, running = parse(meant), parse(now)
    found = [note for name, fields in servers_of(step).items() for note in _server(name, fields, wanted, running)]
    for command in step.edit.commands:
        words = command.split(" ")
        if words[:3] == ["set", "maxconn", "frontend"]:
            limit = running.proxies.get((words[3], "FRONTEND"), {}).get("slim")
            if limit != words[4]:
                found.append(f"frontend {clean(words[3])} runs with maxconn {limit}, not {clean(words[4])}")
        if words[:3] == ["set", "maxconn", "global"] and running.info.get("Maxconn") != words[3]:
            found.append(f"the process runs with maxconn {running.info.get('Maxconn')}, not {clean(words[3])}")
        if words[1] == "map":
            entries = haproxy_map.running(now.answers.get(f"map {words[2]}")) or {}
            if entries.get(words[3]) != words[4]:
                found.append(f"map {clean(words[2])}: {clean(words[3])} runs with {clean(entries.get(words[3], '?'))}")
    return found


def _server(name: tuple[str, str], fields: set[str], wanted: Running, running: Running) -> list[str]:
    meant, now, shown = wanted.servers.get(name), running.servers.get(name), "/".join(map(clean, name))
    if meant is None or now is None:
        return [f"{shown} does not run"]
    found = []
    if "weight" in fields and now.weight != meant.weight:
        found.append(f"{shown} runs with weight {now.weight}, not {meant.weight}")
    if "state" in fields and now.state is not meant.state:
        found.append(f"{shown} runs as {now.state}, not {meant.state}")
    if "amount" in fields and now.maxconn != meant.maxconn:
        found.append(f"{shown} runs with maxconn {now.maxconn}, not {meant.maxconn}")
    return found


def reloaded(step: Step, now: Runtime) -> bool:
    """True when another process answers or serves than before the step."""
    if step.runtime is None:
        return True
    before, after = (info(runtime.answers.get("info", "")).get("Pid") for runtime in (step.runtime, now))
    if before and after:
        return before != after
    return bool(now.workers.serving) and not now.workers.serving & step.runtime.workers.serving


@dataclass(frozen=True, slots=True)
class _Running:
    """One running value that a step changes: as it was, as it was meant, as it is, and how to bring it back."""

    shown: str
    before: object
    meant: object
    now: object
    command: str


def former_commands(codec: HAProxyCodec, step: Step, now: Runtime) -> tuple[list[str], list[str]]:
    """(the runtime commands that bring back what ran before the step, what is left alone because it is neither what
    ran before nor what the step set, in words). A runtime has no precondition, so `now` must be as new as can be."""
    if not now.answers:
        return [], [f"the running values, which cannot be asked: {clean(now.why_not)}"]
    back: list[str] = []
    foreign: list[str] = []
    for value in [*_server_values(codec, step, now), *_map_values(step, now), *_proxy_values(step, now)]:
        if value.now == value.before:
            continue
        if value.now == value.meant:
            back.append(value.command)
        else:
            foreign.append(f"{value.shown}, which is {value.now} now")
    return back, foreign


def _server_values(codec: HAProxyCodec, step: Step, now: Runtime) -> list[_Running]:
    if step.runtime is None:
        return []
    former = parse(step.runtime)
    wanted, running = parse(codec.after(step.tree, step.edit, step.runtime)[1]), parse(now)
    found: list[_Running] = []
    for name, fields in servers_of(step).items():
        was, meant, runs, address = (
            former.servers.get(name), wanted.servers.get(name), running.servers.get(name), "/".join(name)
        )  # fmt: skip
        if was is None or meant is None or runs is None:
            continue
        shown = clean(address)
        if "weight" in fields and was.weight is not None:
            command = f"set server {address} weight {was.weight}"
            found.append(_Running(f"the weight of {shown}", was.weight, meant.weight, runs.weight, command))
        if "state" in fields and was.state is not None:
            command = f"set server {address} state {_STATE_WORDS[was.state]}"
            found.append(_Running(f"the state of {shown}", was.state, meant.state, runs.state, command))
        if "amount" in fields and was.maxconn is not None:
            command = f"set maxconn server {address} {was.maxconn}"
            found.append(_Running(f"the maxconn of {shown}", was.maxconn, meant.maxconn, runs.maxconn, command))
    return found


def _map_values(step: Step, now: Runtime) -> list[_Running]:
    answers = step.runtime.answers if step.runtime else {}
    found: list[_Running] = []
    for command in step.edit.commands:
        words = command.split(" ")
        if words[1] != "map":
            continue
        _, _, name, key, meant = words
        was = (haproxy_map.running(answers.get(f"map {name}")) or {}).get(key)
        runs = (haproxy_map.running(now.answers.get(f"map {name}")) or {}).get(key)
        back = f"del map {name} {key}" if was is None else f"set map {name} {key} {was}"
        found.append(_Running(f"{clean(key)} in the map {clean(name)}", was, meant, runs, back))
    return found


def _proxy_values(step: Step, now: Runtime) -> list[_Running]:
    """The maxconn of frontends and of the process."""
    former, running = parse(step.runtime), parse(now)
    found: list[_Running] = []
    for command in step.edit.commands:
        match command.split(" "):
            case ["set", "maxconn", "frontend", name, meant]:
                key = (name, "FRONTEND")
                was, runs = (one.proxies.get(key, {}).get("slim") for one in (former, running))
                back = f"set maxconn frontend {name} {was}"
                found.append(_Running(f"the maxconn of frontend {clean(name)}", was, meant, runs, back))
            case ["set", "maxconn", "global", meant]:
                was, runs = (one.info.get("Maxconn") for one in (former, running))
                found.append(_Running("the maxconn of the process", was, meant, runs, f"set maxconn global {was}"))
    return [value for value in found if value.before is not None]


def told(step: Step) -> str:
    """What was proved, in words."""
    if step.edit.needs_reload:
        return "a new process answers"
    return "the running process says so"
