"""Seeing what others change on hosts: files, workers and running values, asked about once a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import PurePosixPath

from adapters.ssh.instance import ProxyInstance
from control.errors import ControlError
from control.ports import Delta

INTERVAL = 1.0
HOSTS_A_SECOND = 50
"""More hosts than this are asked less often, so that watching stays under 5 % of a core."""
AT_ONCE = 10
"""So many hosts are looked at side by side; the others wait their turn, spread over the interval."""
_WATCHED: dict[object, int] = {}
"""How many hosts each watch of this process looks at: they share what may be asked in a second."""
UNREACHABLE = b"unreachable"


async def watch(
    instances: Callable[[], Sequence[ProxyInstance]], hosts: int, unchanged: Callable[[], None] = lambda: None
) -> AsyncIterator[Delta]:
    """Yield the files of each proxy that was read and has changed, was lost or came back. The first look is what it
    starts from: it is taken at once, so that little can happen between a read and it. `unchanged` is called after each
    look that found all as it was, on a host at least."""
    seen: dict[int, bytes] = {}
    token = object()
    _WATCHED[token] = hosts
    try:
        while True:
            known = [instance for instance in instances() if instance.state is not None]
            parts = [known[at : at + AT_ONCE] for at in range(0, len(known), AT_ONCE)] or [[]]
            pause = max(INTERVAL, sum(_WATCHED.values()) / HOSTS_A_SECOND) / len(parts)
            first, quiet = not seen, True
            for number, part in enumerate(parts, 1):
                now = dict(zip(map(id, part), await asyncio.gather(*map(_look, part)), strict=True))
                changed = [one for one in part if seen.get(id(one), now[id(one)]) != now[id(one)]]
                seen.update(now)
                if changed:
                    quiet = False
                    yield Delta(frozenset(name for one in changed for name in one.objects()))
                if number == len(parts) and quiet and not first and any(seen[id(s)] != UNREACHABLE for s in known):
                    unchanged()
                await asyncio.sleep(pause)
    finally:
        del _WATCHED[token]


async def _look(instance: ProxyInstance) -> bytes:
    """What the proxy looks like; the same for every way of not being reachable."""
    state = instance.state
    assert state is not None
    files = [path for path in state.tree.files if path.startswith("/")]
    folders = {str(PurePosixPath(path).parent) for path in (*files, *state.tree.expanded)}
    masters = [state.runtime.workers.master] if state.runtime.workers.master else []
    try:
        look = await instance.host.fingerprint([*files, *sorted(f for f in folders if "*" not in f)], masters)
        return look + await instance.proxy.fingerprint(instance.host, state.facts)
    except ControlError:
        return UNREACHABLE
