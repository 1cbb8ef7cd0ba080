"""What is shown of HAProxy is what a real one does: numbers from the environment, branches, backups, other servers."""

from __future__ import annotations

import asyncio
from fractions import Fraction

import pytest
from haproxystart import Start, driver, start
from localproxy import Backends, get, read, split, steps, write

from adapters.ssh.proxies.haproxy.proxy import HAProxyProxy
from control.errors import InvalidValue
from control.model import Action, Measure, Mode, StatusState, TargetState
from control.planning.edit import Change

__all__ = ["driver", "start"]


async def test_numbers_from_the_environment_are_unknown_without_a_socket_and_right_with_one(
    start: Start, driver: HAProxyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPU_WEIGHT", "3")
    body = 'backend app\n server a @a@ weight "${GPU_WEIGHT}"\n server b @b@ weight "$SET" maxconn "${GPU_WEIGHT}"\n'
    host = start(body, "    setenv SET 9\n")
    routes, limits = await read(driver, host)
    app, limit = routes["app"], limits["app/b"]
    assert [(t.weight, t.share) for t in app.targets] == [(3, Fraction(1, 4)), (9, Fraction(3, 4))]
    assert await split(host.port, 40) == {"a": 10, "b": 30}
    assert limit.amount == 3 and limit.mode is Mode.ENFORCED
    for note in (*app.notes, *limit.notes):
        assert "is read as" not in note and "the file says" not in note
    with pytest.raises(InvalidValue, match="comes from the environment"):
        await steps(driver, host, [Change(app.ref, "targets/a/weight", 3, 5)])
    host.unseen()
    routes, limits = await read(driver, host)
    app, limit = routes["app"], limits["app/b"]
    assert [(t.weight, t.share, t.native) for t in app.targets] == [
        (None, None, '"${GPU_WEIGHT}"'),
        (None, None, '"$SET"'),
    ]
    assert not app.editable.yes and "comes from the environment" in app.editable.reason
    assert (limit.amount, limit.mode, limit.native) == (None, Mode.NOT_UNDERSTOOD, 'maxconn "${GPU_WEIGHT}"')
    assert not limit.editable.yes


BRANCHES = """\
.if defined(CANARY)
backend app
    server a @a@ weight 1
    server b @b@ weight 1
.else
backend app
    server a @a@ weight 7
.endif
.if streq("$STAGE",two)
backend second
    server a @a@
    server c @c@
.endif
backend mixed
    server a @a@
.if defined(CANARY)
    server d @d@ weight 3
.endif
"""


@pytest.mark.parametrize("canary", [True, False])
async def test_the_live_branch_is_known_with_a_socket_and_not_without_one(
    start: Start, driver: HAProxyProxy, monkeypatch: pytest.MonkeyPatch, canary: bool
) -> None:
    monkeypatch.delenv("CANARY", raising=False)
    monkeypatch.setenv("STAGE", "two" if canary else "one")
    if canary:
        monkeypatch.setenv("CANARY", "1")
    host = start(BRANCHES)
    routes, _ = await read(driver, host)
    assert list(routes) == (["app", "second", "mixed"] if canary else ["app", "mixed"])
    app = routes["app"]
    assert [(t.name, t.weight) for t in app.targets] == ([("a", 1), ("b", 1)] if canary else [("a", 7)])
    assert app.editable.yes and len(routes["mixed"].targets) == (2 if canary else 1)
    before = host.config.read_text()
    await write(driver, host, [Change(app.ref, "targets/a/weight", app.targets[0].weight, 5)])
    old = f"server a 127.0.0.1:{_port(app.targets[0].endpoints[0])} weight {1 if canary else 7}\n"
    assert host.config.read_text() == before.replace(
        old, old.replace("weight 1", "weight 5").replace("weight 7", "weight 5")
    )
    assert (await read(driver, host))[0]["app"].targets[0].weight == 5
    host.unseen()
    routes, _ = await read(driver, host)
    apps = [route for name, route in routes.items() if name.startswith("app")]
    assert [route.ref.name for route in apps] == ["app", f"app@{host.config}:{_line(before, 'backend app', 2)}"]
    assert all(not r.editable.yes and "is not known" in r.editable.reason for r in (*apps, routes["second"]))
    assert ".if defined(CANARY)" in apps[0].editable.reason and ".else" in apps[1].editable.reason
    for ref, target in (
        (apps[0].ref, "a"),
        (apps[1].ref, "a"),
        (routes["second"].ref, "c"),
        (routes["mixed"].ref, "d"),
    ):
        with pytest.raises(InvalidValue, match="is not known"):
            await steps(driver, host, [Change(ref, f"targets/{target}/weight", 1, 5)])
    assert [t.share for t in routes["mixed"].targets] == [None, None]


def _port(address: str) -> str:
    return address.rpartition(":")[2]


def _line(text: str, wanted: str, nth: int) -> int:
    return [number for number, line in enumerate(text.split("\n"), 1) if line == wanted][nth - 1]


async def test_what_the_file_itself_sets_decides_a_branch(start: Start, driver: HAProxyProxy) -> None:
    body = """\
.if defined(STAGE) && streq("$STAGE",one) && !defined(GONE)
backend app
    server a @a@
.else
backend app
    server b @b@
.endif
"""
    host = start(body, "    setenv STAGE one\n    unsetenv GONE\n")
    host.unseen()
    routes, _ = await read(driver, host)
    assert [t.name for t in routes["app"].targets] == ["a"] and routes["app"].editable.yes
    assert set(await split(host.port, 3)) == {"a"}


@pytest.mark.parametrize(
    ("lines", "shares"),
    [
        ("server a @a@\n server b @b@ backup\n", {"a": 1}),
        ("server a @a@ weight 0\n server b @b@ backup weight 5\n server c @c@ backup weight 9\n", {"b": 1}),
        (
            "server a @a@ disabled\n server b @b@ backup weight 0\n server c @c@ backup\n server d @d@ backup\n",
            {"c": 1},
        ),
        (
            "option allbackups\n server a @a@ weight 0\n server b @b@ backup\n server c @c@ backup weight 3\n",
            {"b": Fraction(1, 4), "c": Fraction(3, 4)},
        ),
        ("no option allbackups\n server b @b@ backup\n server c @c@ backup\n", {"b": 1}),
    ],
)
async def test_backup_servers_are_used_as_haproxy_uses_them(
    start: Start, driver: HAProxyProxy, lines: str, shares: dict[str, Fraction]
) -> None:
    host = start(f"backend app\n balance roundrobin\n {lines}")
    routes, _ = await read(driver, host)
    assert {t.name: t.share for t in routes["app"].targets if t.share} == shares
    assert await split(host.port, 40) == {name: 40 * share for name, share in shares.items()}


async def test_servers_of_templates_and_of_the_runtime_are_listed_and_changed_at_runtime_alone(
    start: Start, driver: HAProxyProxy
) -> None:
    host = start("backend app\n server a @a@\n server-template web 2-3 @b@ weight 4 maxconn 6\n")
    made = f"127.0.0.1:{_port((await read(driver, host))[0]['app'].targets[1].endpoints[0])}"
    await host.show("stat")
    for command in (f"add server app/new {made} weight 2 maxconn 5", "set server app/new state ready"):
        await host._talk(str(host.socket), command)
    routes, limits = await read(driver, host)
    app = routes["app"]
    assert [(t.name, t.weight) for t in app.targets] == [("a", 1), ("web2", 4), ("web3", 4), ("new", 2)]
    assert any("app/new was added at runtime" in note for note in app.notes)
    assert [(n, limit.amount) for n, limit in limits.items()] == [("app/web2", 6), ("app/web3", 6), ("app/new", 5)]
    before = host.config.read_bytes()
    for name, old, number in (("new", 2, 8), ("web3", 4, 1)):
        [step] = await write(driver, host, [Change(app.ref, f"targets/{name}/weight", old, number)])
        assert step.edit.data is None and any("at runtime alone" in warning for warning in step.edit.warnings)
    [step] = await write(driver, host, [Change(limits["app/new"].ref, "amount", Fraction(5), Fraction(7))])
    assert host.config.read_bytes() == before
    routes, limits = await read(driver, host)
    assert [t.weight for t in routes["app"].targets] == [1, 4, 1, 8] and limits["app/new"].amount == 7
    with pytest.raises(InvalidValue, match="cannot persist"):
        await steps(driver, host, [Change(app.ref, "targets/web2/state", None, TargetState.MAINTENANCE, True)])
    host.unseen()
    routes, limits = await read(driver, host)
    assert [(t.name, t.weight) for t in routes["app"].targets] == [("a", 1), ("web2", 4), ("web3", 4)]
    assert not limits["app/web2"].editable.yes and "server-template" in limits["app/web2"].editable.reason
    with pytest.raises(InvalidValue, match="server-template"):
        await steps(driver, host, [Change(app.ref, "targets/web2/weight", 4, 5)])


async def test_a_disabled_proxy_takes_nothing_and_use_server_is_told(start: Start, driver: HAProxyProxy) -> None:
    host = start(
        "backend app\n disabled\n server a @a@\n"
        "backend other\n use-server b if { path_beg /b }\n server a @a@\n server b @b@ weight 0\n"
    )
    routes, _ = await read(driver, host)
    app = routes["app"]
    assert [t.share for t in app.targets] == [0] and app.status.state is StatusState.WARNING
    assert "disabled" in app.status.detail and await split(host.port, 3) == {"": 3}
    assert any(note.startswith("use-server b if") for note in routes["other"].notes)


PROXY_LIMITS = """\
defaults shared
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    maxconn 30
frontend edge from shared
    bind @port@
    use_backend app
frontend second from shared
    bind @other@
    rate-limit sessions 3
    use_backend app
frontend third from shared
    bind unix@@folder@/f.sock
    maxconn 2
    use_backend app
backend app from shared
    fullconn 33
    server a @a@ minconn 1 maxconn 9
"""


async def test_limits_of_proxies_and_of_the_process_are_listed_and_edited(start: Start, driver: HAProxyProxy) -> None:
    host = start(PROXY_LIMITS, "    maxconn 500\n    maxsessrate 90\n")
    _, limits = await read(driver, host)
    assert {name: limit.amount for name, limit in limits.items() if "/" not in name} == {
        "global maxconn": 500,
        "global maxsessrate": 90,
        "frontend edge maxconn": 30,
        "frontend second maxconn": 30,
        "frontend second rate-limit sessions": 3,
        "frontend third maxconn": 2,
        "backend app fullconn": None,
    }
    assert limits["backend app fullconn"].native == "fullconn 33"
    edge = limits["frontend edge maxconn"]
    assert edge.measure is Measure.CONNECTIONS and edge.bindings[0].on == str((await read(driver, host))[0]["app"].ref)
    serving = host.serving
    before = host.config.read_text()
    for name, old, new, line in (
        ("frontend third maxconn", 2, 4, "maxconn {}\n    use_backend"),
        ("global maxconn", 500, 400, "maxconn {}\n    maxsessrate"),
    ):
        [step] = await write(driver, host, [Change(limits[name].ref, "amount", Fraction(old), Fraction(new))])
        assert not step.edit.needs_reload and step.edit.commands
        before = before.replace(line.format(old), line.format(new))
        assert host.config.read_text() == before
    assert host.serving == serving
    [step] = await write(driver, host, [Change(edge.ref, "amount", Fraction(30), Fraction(20))])
    second = limits["frontend second maxconn"].ref
    assert any(str(second) in warning for warning in step.edit.warnings) and len(step.edit.commands) == 2
    for name, old, new in (("global maxconn", 400, 600), ("frontend second rate-limit sessions", 3, 5)):
        [step] = await write(driver, host, [Change(limits[name].ref, "amount", Fraction(old), Fraction(new))])
        assert step.edit.needs_reload
    _, limits = await read(driver, host)
    assert [limits[f"frontend {n} maxconn"].amount for n in ("edge", "second", "third")] == [20, 20, 4]
    assert limits["global maxconn"].amount == 600 and limits["frontend second rate-limit sessions"].amount == 5
    await host.tell("haproxy", str(host.socket), ["set maxconn frontend edge 7"])
    _, limits = await read(driver, host)
    assert limits["frontend edge maxconn"].amount == 7
    assert any("runs with 7, the file says 20" in note for note in limits["frontend edge maxconn"].notes)


@pytest.mark.clock
async def test_a_frontend_takes_so_many_connections_as_is_shown(
    start: Start, driver: HAProxyProxy, backends: Backends
) -> None:
    swapped = PROXY_LIMITS.replace("@port@", "HERE").replace("unix@@folder@/f.sock", "@port@")
    host = start(swapped.replace("HERE", "unix@@folder@/f.sock"))
    limit = (await read(driver, host))[1]["frontend third maxconn"]
    backends.delay(0.6)
    try:
        waiting = [asyncio.create_task(get(host.port)) for _ in range(5)]
        await asyncio.sleep(0.3)
        limit = (await read(driver, host))[1]["frontend third maxconn"]
        assert limit.use.current == limit.amount == 2 and limit.over.action is Action.QUEUE
        assert [status for status, _ in await asyncio.gather(*waiting)] == [200] * 5
    finally:
        backends.delay(0.0)
