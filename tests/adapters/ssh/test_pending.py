"""A file that changed on disk and was not loaded: its rows say that what runs may be something else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from preparing import prepared
from sshhost import HAPROXY, NO_SECRETS, Host, deck_environment, environment

from adapters.ssh import adapter
from control.model import Limit, Route
from control.model.ref import Ref
from control.planning.edit import Change

RULES = """\
    stick-table type ip size 1k expire 60s store http_req_rate(1s)
    http-request track-sc0 src
    http-request deny deny_status 429 if { sc_http_req_rate(0) gt 20 }
    default_backend chat
"""
NGINX_SAYS, HAPROXY_SAYS = "changed on disk and not yet loaded", "what runs may differ from what is shown"


async def test_rows_of_a_file_that_is_not_loaded_say_so_until_it_is(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    host = make_host("waiting")
    text = HAPROXY.replace("ADDRESS", host.address).replace("GROUP", "root")
    (host.root / "haproxy" / "haproxy.cfg").write_text(text.replace("    default_backend chat\n", RULES))
    host.start()
    reader = adapter.open_reader(deck_environment(environment(tmp_path, [host])), NO_SECRETS)

    async def said() -> dict[str, set[str]]:
        snapshot = await reader.read()
        rows: tuple[Route | Limit, ...] = (*snapshot.routes, *snapshot.limits)
        return {
            mark: {row.kind for row in rows if any(mark in note for note in row.notes)}
            for mark in (NGINX_SAYS, HAPROXY_SAYS)
        }

    assert await said() == {NGINX_SAYS: set(), HAPROXY_SAYS: set()}
    ref = Ref("lb", "HAProxyBackend", host.name, "chat")
    writer = adapter.open_writer(deck_environment(environment(tmp_path, [host])), NO_SECRETS, reader)
    [step] = await prepared(reader, [Change(ref, "targets/a/weight", 90, 80)])
    await writer.write(step)
    assert (await said())[HAPROXY_SAYS] == set(), "what we wrote to file and process alike is no doubt"
    for file, old, new in (
        ("/etc/haproxy/haproxy.cfg", "gt 20", "gt 50"),
        ("/etc/nginx/conf.d/models.conf", "weight=9", "weight=3"),
    ):
        path = host.inside(file)
        path.write_text(path.read_text().replace(old, new))
    assert await said() == {NGINX_SAYS: {"NginxUpstream", "NginxLimitReq"}, HAPROXY_SAYS: {"HAProxyRequestLimit"}}
    host.run("nginx", "-s", "reload")
    host.run("sh", "-c", "kill -USR2 $(ps -eo pid=,args= | grep '[h]aproxy -W' | head -n 1 | awk '{print $1}')")
    for _ in range(100):
        if await said() == {NGINX_SAYS: set(), HAPROXY_SAYS: set()}:
            break
        await asyncio.sleep(0.1)
    else:
        raise AssertionError(await said())
    await reader.close()
