"""What `doctor` says of an environment of hosts: reach, identity, proxies, rights and clock, host by host."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from adapters.ssh.instance import ProxyInstance, files_with_rows
from adapters.ssh.proxies.table import titles
from adapters.ssh.sources import Hosts
from control.errors import ControlError
from control.ports import Check
from control.text import clean

Instances = Callable[[str], Awaitable[list[ProxyInstance]]]
"""The proxies of a host."""

CLOCK_SECONDS = 5.0


async def check_hosts(hosts: Hosts, instances: Instances) -> list[Check]:
    """The checks of every host, in the deck file's order."""
    found = await asyncio.gather(*(_check_host(hosts, instances, name) for name in hosts.names))
    return [check for checks in found for check in checks]


async def _check_host(hosts: Hosts, instances: Instances, name: str) -> list[Check]:
    shown = clean(name)
    try:
        probe = await (await hosts.reader(name)).probe()
        instances_on = await instances(name)
    except ControlError as error:
        return [Check(f"reach {shown}", "fail", error.message, error.hint or "")]
    checks = [Check(f"reach {shown}", "ok", f"{probe.user} on {probe.hostname}")]
    offset = probe.clock - probe.read_at
    if abs(offset) > CLOCK_SECONDS:
        checks.append(Check(f"clock {shown}", "warn", f"{offset:+.0f} s against ours", "set its clock: ages are wrong"))
    if probe.sudo_trouble is not None:
        checks.append(Check(f"sudo {shown}", "warn", *probe.sudo_trouble))
    if not instances_on:
        hint = "name its `proxies` in the deck file"
        checks.append(Check(f"proxies {shown}", "warn", f"neither {titles()} runs there", hint))
    for instance in instances_on:
        checks += await _check_instance(instance)
    return checks


async def _check_instance(instance: ProxyInstance) -> list[Check]:
    what = f"{instance.kind} on {clean(instance.host.host)}"
    try:
        state = await instance.read()
        missing = await instance.host.may_write(
            instance.lifecycle(state), files_with_rows(state), instance.proxy.reloads_always
        )
    except ControlError as error:
        return [Check(f"read {what}", "fail", error.message, error.hint or "")]
    amount = f"{len(state.routes)} routes and {len(state.limits)} limits in {len(state.tree.files)} files"
    checks = [Check(f"read {what}", "ok", f"version {state.facts.version or 'unknown'}, {amount}")]
    if state.runtime.why_not:
        checks.append(Check(f"runtime {what}", "warn", state.runtime.why_not, "running values and health stay unknown"))
    checks += [Check(f"read {what}", "warn", f"{clean(path)}: {why}") for path, why in state.tree.unreadable.items()]
    rights = Check(f"write {what}", "warn", missing) if missing else Check(f"write {what}", "ok", "files and reload")
    return [*checks, rights]
