"""Variables, splits, other passes and `stream`: where the deck says requests go, a real nginx sends them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from localproxy import Backends, free_port, get, write
from nginxhost import Nginx, on, rows, started, stream_module, with_hosts

from adapters.ssh.proxies.nginx.proxy import NginxProxy
from control.errors import InvalidValue
from control.model import Measure, Mode, Special
from control.model.ref import Ref
from control.planning.edit import Change

HTTP = """\
upstream First { server 127.0.0.1:@A@; }
upstream second { server 127.0.0.1:@B@; }
upstream third { server 127.0.0.1:@C@; }
map $http_x_model $model { default first; mistral second; "~^llama" third; }
map $variant $chosen { new third; default first; }
split_clients $arg_n $variant { 20.5% new; * old; }
split_clients $arg_n $direct { 30% second; * FIRST; }
server {
  listen 127.0.0.1:@PORT@; server_name llama.test;
  set $target http://second;
  location /upper { proxy_pass HTTP://FIRST; }
  location /map { proxy_pass http://$model$request_uri; }
  location /scheme { proxy_pass $scheme://second; }
  location /set { proxy_pass $target; }
  location /if { set $up first; if ($http_x_canary) { set $up third; } proxy_pass http://${up}; }
  location /mapped { proxy_pass http://$chosen; }
  location /direct { proxy_pass http://$direct; }
  location /any { proxy_pass http://$http_x_up; }
  location /ported { set $up second; proxy_pass http://$up:80; }
  location /asked { if ($direct = second) { proxy_pass http://third; } proxy_pass http://first; }
}
"""


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory, backends: Backends) -> Iterator[Nginx]:
    host = started(tmp_path_factory.mktemp("passes"), HTTP, **{n: backends.port(n) for n in "abc"})
    yield host
    host.stop()


@pytest.mark.parametrize(
    ("path", "header", "answers", "route"),
    [
        ("/upper", "", "a", "First"),
        ("/map", "", "a", "First"),
        ("/map", "X-Model: MISTRAL\r\n", "b", "second"),
        ("/map", "X-Model: llama-3\r\n", "c", "third"),
        ("/scheme", "", "b", "second"),
        ("/set", "", "b", "second"),
        ("/if", "", "a", "First"),
        ("/if", "X-Canary: 1\r\n", "c", "third"),
    ],
)
async def test_a_pass_reaches_the_upstream_that_its_variables_say(
    nginx: Nginx, path: str, header: str, answers: str, route: str
) -> None:
    assert await get(nginx.port, path, header) == (200, answers)
    routes, _ = await rows(nginx)
    assert any(match.startswith(f"{path}") or f" {path}" in match for match in routes[route].matches), routes[route]


async def test_a_split_is_a_route_whose_shares_requests_meet(nginx: Nginx) -> None:
    routes, _ = await rows(nginx)
    split = routes["variant"]
    assert [(t.name, t.share) for t in split.targets] == [("new", Fraction(205, 1000)), ("old", Fraction(795, 1000))]
    assert [t.to and t.to.name for t in split.targets] == ["third", "First"], "through the map that uses it"
    leads = [t.to and t.to.name for t in routes["direct"].targets]
    assert leads == [None, "First"], "one value leads to two upstreams, by two ways"
    assert split.matches == ("llama.test /mapped",) and split.editable.yes
    seen = [await get(nginx.port, f"/mapped?n={number}") for number in range(400)]
    new = sum(backend == "c" for _, backend in seen)
    assert 50 <= new <= 114, "four standard deviations around 82"


async def test_a_name_with_a_port_from_a_variable_is_no_upstream(nginx: Nginx) -> None:
    assert (await get(nginx.port, "/ported"))[0] == 502, "nginx wants to look the name up"
    routes, _ = await rows(nginx)
    assert not any("/ported" in match for route in routes.values() for match in route.matches)


async def test_a_split_that_an_if_asks_for_decides_too(nginx: Nginx) -> None:
    routes, _ = await rows(nginx)
    assert "llama.test /asked" in routes["direct"].matches
    answers = [(await get(nginx.port, f"/asked?n={n}"))[1] for n in range(200)]
    assert set(answers) == {"a", "c"} and 34 <= answers.count("c") <= 86, "four standard deviations around 60"


async def test_a_split_is_edited_in_its_percentages(nginx: Nginx) -> None:
    before = (nginx.folder / "http.conf").read_bytes()
    driver = NginxProxy()
    routes, _ = await rows(nginx)
    ref = routes["variant"].ref
    shares = {"new": Fraction(9999, 10000), "old": Fraction(1, 10000)}
    changes = [Change(ref, f"targets/{n}/share", routes["variant"].target(n).share, s) for n, s in shares.items()]  # type: ignore[union-attr]
    [step] = await write(driver, nginx, changes)
    assert b"99.99% new; * old" in (nginx.folder / "http.conf").read_bytes()
    assert {change.field for change in step.edit.changes} == {"targets/new/share", "targets/old/share"}
    assert [(await get(nginx.port, f"/mapped?n={number}"))[1] for number in range(20)] == ["c"] * 20
    back = [Change(ref, c.field, c.after, c.before, again=c.was) for c in step.edit.changes]
    await write(driver, nginx, back)
    assert (nginx.folder / "http.conf").read_bytes() == before
    none = [Change(ref, "targets/new/share", None, Fraction(0)), Change(ref, "targets/old/share", None, Fraction(1))]
    with pytest.raises(InvalidValue, match="nginx refuses 0%"):
        await write(driver, nginx, none)


STREAM = """
stream {
  upstream second { server 127.0.0.1:@A@ weight=3; server 127.0.0.1:@B@ max_conns=2; }
  upstream few { zone few 64k; server 127.0.0.1:@C@; }
  limit_conn_zone $binary_remote_addr zone=per_source:1m;
  split_clients $remote_port $up { 50% second; * few; }
  server { listen 127.0.0.1:@PORT@; proxy_pass second; }
  server { listen 127.0.0.1:@OTHER@; limit_conn per_source 2; proxy_pass few; }
  server { listen 127.0.0.1:@THIRD@; proxy_pass $up; }
}
"""
BESIDE = "upstream second { server 127.0.0.1:@B@ max_conns=3; }\n"


async def test_stream_has_routes_and_limits_of_its_own(tmp_path: Path, backends: Backends) -> None:
    values = {name: backends.port(name) for name in "abc"}
    host = started(tmp_path, BESIDE, load=stream_module(), more=STREAM, third=free_port(), **values)
    try:
        driver, facts = NginxProxy(), host.facts()
        tree = await host.tree()
        routes, limits = driver.codec.read(tree, None, facts)
        refs = [str(row.ref) for row in (*routes, *limits)]
        assert len(set(refs)) == len(refs), "two sections never share a ref"
        by_ref = {str(row.ref): row for row in routes}
        split = by_ref["lb/NginxUpstream/lb-1/second#stream"]
        assert [t.share for t in split.targets] == [Fraction(3, 4), Fraction(1, 4)]
        assert [t.weight for t in by_ref["lb/NginxUpstream/lb-1/second"].targets] == [1]
        answers = [(await get(host.port))[1] for _ in range(8)]
        assert (answers.count("a"), answers.count("b")) == (6, 2)
        up = by_ref["lb/NginxSplitClients/lb-1/up#stream"]
        assert [str(t.to) for t in up.targets] == [str(split.ref), "lb/NginxUpstream/lb-1/few#stream"]
        conns = {str(limit.ref): limit for limit in limits}
        source = conns["lb/NginxLimitConn/lb-1/per_source#stream"]
        assert source.amount == 2 and source.measure is Measure.CONNECTIONS and on(source) == {"few"}
        assert await _held(host.other, 5) == 2
        most = conns[f"lb/NginxMaxConns/lb-1/second%2F127.0.0.1:{values['b']}#stream"]
        assert most.amount == 2 and most.bindings[0].domain.kind == "worker"
        changes = [
            Change(source.ref, "amount", source.amount, Fraction(4)),
            Change(split.ref, f"targets/127.0.0.1:{values['b']}/weight", 1, 9),
            Change(most.ref, "amount", most.amount, Special.UNLIMITED),
        ]
        [step] = await write(driver, host, changes)
        assert step.edit.data is not None and b"max_conns=0" in step.edit.data and b"weight=9" in step.edit.data
        assert await _held(host.other, 5) == 4
        answers = [(await get(host.port))[1] for _ in range(12)]
        assert (answers.count("a"), answers.count("b")) == (3, 9)
    finally:
        host.stop()


async def _held(port: int, count: int) -> int:
    """How many of `count` connections stay open when they are opened one after the other."""
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    stay = 0
    for reader, _ in opened:
        try:
            stay += await asyncio.wait_for(reader.read(1), 0.3) != b""
        except TimeoutError:
            stay += 1
        except ConnectionError:
            pass
    for _, writer in opened:
        writer.close()
    await asyncio.sleep(0.1)
    return stay


async def test_max_conns_is_what_a_server_takes_at_once(tmp_path: Path, backends: Backends) -> None:
    http = """
upstream zoned { zone zoned 64k; server 127.0.0.1:@A@ max_conns=3; }
server { listen 127.0.0.1:@PORT@; location / { proxy_pass http://zoned; } }
"""
    host = started(tmp_path, http, workers=2, a=backends.port("a"))
    backends.delay(0.4)
    try:
        _, limits = await rows(host)
        limit = limits[f"zoned/127.0.0.1:{backends.port('a')}"]
        assert (limit.amount, limit.mode, limit.measure) == (3, Mode.ENFORCED, Measure.INFLIGHT)
        assert Ref.parse(limit.bindings[0].on).name == "zoned" and limit.over.status == 502
        answers = await asyncio.gather(*(get(host.port) for _ in range(9)))
        assert sorted(status for status, _ in answers) == [200] * 3 + [502] * 6
        await write(NginxProxy(), host, [Change(limit.ref, "amount", limit.amount, Fraction(5))])
        answers = await asyncio.gather(*(get(host.port) for _ in range(9)))
        assert sum(status == 200 for status, _ in answers) == 5
    finally:
        backends.delay(0.0)
        host.stop()


async def test_each_address_of_a_host_name_takes_the_weight(tmp_path: Path) -> None:
    """Of nginx 1.22: three addresses of one line are three servers with its weight."""
    addresses = [f"127.77.0.{number}" for number in (1, 2, 3, 9)]
    port = free_port()
    servers = Backends(addresses, port)
    http = f"""
upstream named {{ zone named 64k; server gpu.test:{port} weight=2; server 127.77.0.9:{port} weight=4; }}
server {{ listen 127.0.0.1:@PORT@; location / {{ proxy_pass http://named; }} }}
"""
    hosts = "127.0.0.1 localhost\n127.77.0.1 gpu.test\n127.77.0.2 gpu.test\n127.77.0.3 gpu.test\n"
    host = started(tmp_path, http, prefix=with_hosts(tmp_path, hosts))
    try:
        routes, _ = await rows(host)
        assert [t.share for t in routes["named"].targets] == [Fraction(6, 10), Fraction(4, 10)]
        assert any("has 3 addresses" in note for note in routes["named"].notes)
        answers = [(await get(host.port))[1] for _ in range(20)]
        assert [answers.count(address) for address in addresses] == [4, 4, 4, 8]
    finally:
        host.stop()
        servers.close()
