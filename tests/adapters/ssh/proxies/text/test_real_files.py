"""Files as they stand on real hosts: all is read, every value can be edited, and the proxies accept the result."""

from __future__ import annotations

import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest
from proxy_files import changed_region, facts, read

from adapters.ssh.client.ports import ConfigTree
from adapters.ssh.proxies.file_owners import owners
from adapters.ssh.proxies.haproxy.codec import HAProxyCodec
from adapters.ssh.proxies.nginx.codec import NginxCodec
from control.capacity.effective import with_effective
from control.errors import InvalidValue
from control.model import Interval, Measure, Mode, OwnerRole, Special, TargetState
from control.planning.edit import Change

FIXTURES = Path(__file__).parent / "fixtures"
NGINX, HAPROXY = NginxCodec(), HAProxyCodec()


def _copy(kind: str, folder: Path) -> dict[str, bytes]:
    values = {b"@ROOT@": os.fsencode(folder), b"@PORT@": b"48080", b"@PEER@": b"48081", b"@STATS@": b"48082"}
    files = {}
    for source in sorted((FIXTURES / kind).rglob("*")):
        if source.is_file():
            data = source.read_bytes()
            for name, value in values.items():
                data = data.replace(name, value)
            path = folder / source.relative_to(FIXTURES / kind)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            files[str(path)] = data
    return files


@pytest.fixture
def nginx(tmp_path: Path) -> ConfigTree:
    files = _copy("nginx", tmp_path)
    enabled = tmp_path / "sites-enabled"
    enabled.mkdir()
    for name in ("models", "sticky"):
        (enabled / name).symlink_to(tmp_path / "sites-available" / name)
    (enabled / ".models.swp").write_text("not { nginx")
    pattern = f"{enabled}/*"
    sites = tuple(str(tmp_path / "sites-available" / name) for name in ("models", "sticky"))
    return ConfigTree((str(tmp_path / "nginx.conf"),), files, {pattern: sites})


@pytest.fixture
def haproxy(tmp_path: Path) -> ConfigTree:
    return ConfigTree((str(tmp_path / "haproxy.cfg"),), _copy("haproxy", tmp_path))


def _accepted(*command: str) -> None:
    """Ask the proxy itself. Skips where it is not installed."""
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail(f"{command[0]} is not installed")
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_nginx_includes_are_followed(nginx: ConfigTree, tmp_path: Path) -> None:
    main = nginx.main[0]
    assert NGINX.includes(main, main, nginx.files[main]) == [f"{tmp_path}/conf.d/*.conf", f"{tmp_path}/sites-enabled/*"]
    site = str(tmp_path / "sites-available" / "models")
    assert NGINX.includes(main, site, nginx.files[site]) == [f"{tmp_path}/snippets/proxy.conf"]


def test_nginx_upstreams(nginx: ConfigTree) -> None:
    routes, _ = read(NGINX, nginx)
    assert list(routes) == ["llama", "mistral", "canary", "sticky_pool", "variant"]
    llama = routes["llama"]
    assert [(t.name, t.weight, t.priority) for t in llama.targets] == [
        ("10.0.1.11:8000", 5, 0),
        ("10.0.1.12:8000", 5, 0),
        ("10.0.1.13:8000", 1, 0),
        ("10.0.1.14:8000", 2, 0),
        ("unix:/run/fallback.sock", 1, 1),
    ]
    assert [t.share for t in llama.targets] == [Fraction(n, 13) for n in (5, 5, 1, 2)] + [Fraction(0)]
    assert llama.matches == (
        "models.example.com /",
        "models.example.com /v1/",
        "models.example.com ~ ^/v1/(chat|completions)$",
    )
    assert any("least_conn" in note for note in llama.notes) and not any("no zone" in note for note in llama.notes)
    mistral = routes["mistral"]
    assert [(t.weight, t.state) for t in mistral.targets] == [
        (3, TargetState.ACTIVE),
        (1, TargetState.MAINTENANCE),
        (1, TargetState.ACTIVE),
    ]
    assert any("no zone" in note for note in mistral.notes)
    assert routes["sticky_pool"].sticky == "hash $http_authorization consistent"
    assert not any("not observable" in note for note in llama.notes)


def test_nginx_limits(nginx: ConfigTree) -> None:
    _, limits = read(NGINX, nginx)
    perip, perkey, perhost = limits["perip"], limits["perkey"], limits["perhost"]
    assert len({b.location for b in perip.bindings}) == 2 and perip.burst is None
    assert perip.fields == {"amount", "window"} and any("2 limit_req lines" in note for note in perip.notes)
    assert any("/v1/: its own limit_req discards" in note for note in perip.notes)
    assert any("/healthz: it answers with return" in note for note in perip.notes)
    assert perkey.window is not None and perkey.window.seconds == 60 and perkey.burst is not None
    assert (perkey.amount, perkey.burst.native, perkey.key) == (90, 5, ("header x-api-key",))
    assert perkey.over.max_wait_seconds == Fraction(2 * 60, 90)
    assert perhost.mode is Mode.OFF and any("limits nothing" in note for note in perhost.notes)
    names = sorted(name for name, limit in limits.items() if limit.measure is Measure.INFLIGHT)
    assert names == [
        "addr@server models.example.com location /v1/",
        "addr@server sticky.example.com",
        "llama/10.0.1.14:8000",
    ]


def test_every_nginx_number_can_be_edited(nginx: ConfigTree) -> None:
    routes, limits = read(NGINX, nginx)
    changes = [
        Change(r.ref, f"targets/{t.name}/weight", t.weight, Fraction(17))
        for r in routes.values()
        if r.ref.kind == "NginxUpstream"
        for t in r.targets
    ]
    changes += [Change(limit.ref, "amount", limit.amount, Fraction(33)) for limit in limits.values()]
    changes += [
        Change(routes["variant"].ref, f"targets/{name}/share", None, Fraction(share, 100))
        for name, share in (("canary", 17), ("llama", 83))
    ]
    edits = NGINX.edit(nginx, changes, facts("nginx"), None)
    assert len(edits) == 4 and all(edit.needs_reload for edit in edits)
    tree = nginx
    for edit in edits:
        tree, _ = NGINX.after(tree, edit, None)
        assert edit.data is not None
        Path(edit.path).write_bytes(edit.data)
        assert nginx.files[edit.path].count(b"\r\n") == edit.data.count(b"\r\n")
        assert nginx.files[edit.path].endswith(b"\n") == edit.data.endswith(b"\n")
    after_routes, after_limits = read(NGINX, tree)
    assert {t.weight for r in after_routes.values() if r.ref.kind == "NginxUpstream" for t in r.targets} == {17}
    assert [t.share for t in after_routes["variant"].targets] == [Fraction(17, 100), Fraction(83, 100)]
    assert {limit.amount for limit in after_limits.values()} == {33}
    _accepted("nginx", "-t", "-e", str(Path(nginx.main[0]).parent / "error.log"), "-c", nginx.main[0])


def test_burst_of_several_lines_is_refused_by_name(nginx: ConfigTree) -> None:
    _, limits = read(NGINX, nginx)
    with pytest.raises(InvalidValue, match="2 limit_req lines") as caught:
        NGINX.edit(nginx, [Change(limits["perip"].ref, "burst", None, 3)], facts("nginx"), None)
    assert caught.value.hint and "models:" in caught.value.hint


def test_nginx_secrets_are_masked(nginx: ConfigTree) -> None:
    shown = "\n".join(NGINX.mask(path, data) for path, data in nginx.files.items())
    for secret in ("not-for-eyes", "sk-test-123456", "dXNlcjpwYXNz"):
        assert secret not in shown
    for kept in ("$http_authorization", "weight=5", "hash $http_authorization consistent", "X-Request-Id $request_id"):
        assert kept in shown


def test_haproxy_backends(haproxy: ConfigTree) -> None:
    routes, _ = read(HAPROXY, haproxy)
    assert list(routes) == ["llama", "canary", "templated", "pool", "legacy", "lab", "stats"]
    llama = routes["llama"]
    assert [(t.name, t.weight, t.state, t.priority) for t in llama.targets] == [
        ("gpu-a", 100, TargetState.ACTIVE, 0),
        ("gpu-b", 60, TargetState.ACTIVE, 0),
        ("gpu-c", 1, TargetState.ACTIVE, 0),
        ("gpu-d", 1, TargetState.ACTIVE, 1),
        ("gpu-e", 20, TargetState.MAINTENANCE, 0),
    ]
    assert [t.share for t in llama.targets] == [Fraction(100, 161), Fraction(60, 161), Fraction(1, 161), 0, 0]
    assert "edge (default)" in llama.matches and "edge map llama.example.com" in llama.matches
    canary = routes["canary"]
    assert [(t.weight, t.share) for t in canary.targets] == [(10, 1), (0, 0)] and not canary.grid.all_or_nothing
    assert routes["legacy"].grid.all_or_nothing and not routes["pool"].editable.yes
    templated = routes["templated"]
    assert next((t.weight, t.share, t.native) for t in templated.targets) == (None, None, '"${GPU_WEIGHT-10}"')
    assert "comes from the environment" in templated.editable.reason
    with pytest.raises(InvalidValue, match="comes from the environment"):
        HAPROXY.edit(haproxy, [Change(templated.ref, "targets/t1/weight", 10, 3)], facts("haproxy"), None)
    assert any(".if" in note for note in routes["lab"].notes)


def test_haproxy_limits(haproxy: ConfigTree) -> None:
    _, limits = read(HAPROXY, haproxy)
    gpu_b = limits["llama/gpu-b"]
    assert gpu_b.amount == 32 and gpu_b.enforced == Interval(Fraction(8), Fraction(32))
    assert limits["llama/gpu-a"].amount == 64 and any("inherited" in n for n in limits["llama/gpu-a"].notes)
    assert limits["llama/gpu-a"].over.max_wait_seconds == 15
    first = limits["edge/per_source"]
    assert first.burst is not None and first.window is not None
    assert (first.amount, first.window.seconds, first.enforced) == (100, 10, Interval.exactly(100))
    assert first.match == "frontend edge; is_api !from_office"
    second = limits["edge/per_source~"]
    assert (second.amount, second.enforced) == (60, Interval(Fraction(0), Fraction(60)))
    gold, silver, other = (limits[f"edge/cluster/shared{name}"] for name in ("/gold", "/silver", ""))
    assert (gold.amount, silver.amount, other.amount) == (600, 120, 30)
    assert other.window is not None and other.window.seconds == 60
    shown_only = {limit.editable.reason for limit in limits.values() if not limit.editable.yes}
    assert any("not one of gt N, ge N" in reason for reason in shown_only)
    assert any("'1000:' is not one of gt N, ge N" in reason for reason in shown_only)


def test_every_haproxy_number_can_be_edited(haproxy: ConfigTree) -> None:
    routes, limits = read(HAPROXY, haproxy)
    changes = [
        Change(route.ref, f"targets/{t.name}/weight", t.weight, Fraction(17))
        for route in routes.values()
        if route.editable.yes
        for t in route.targets
        if t.name != "t1"
    ]
    changes += [Change(x.ref, "amount", x.amount, Fraction(33)) for x in limits.values() if x.editable.yes]
    config, tenants = HAPROXY.edit(haproxy, changes, facts("haproxy"), None)
    assert config.data is not None and tenants.data is not None
    tree = haproxy
    for edit in (config, tenants):
        tree, _ = HAPROXY.after(tree, edit, None)
        Path(edit.path).write_bytes(edit.data or b"")
    assert tenants.data == haproxy.files[tenants.path].replace(b"600", b"33").replace(b"120", b"33")
    after_routes, after_limits = read(HAPROXY, tree)
    assert {t.weight for r in after_routes.values() if r.editable.yes for t in r.targets if t.name != "t1"} == {17}
    assert {x.amount for x in after_limits.values() if x.editable.yes} == {33}
    assert b"weight 50 weight 17 minconn 8 maxconn 33 # the last weight holds" in config.data
    assert b"gpu-c 10.0.1.13:8000 check weight 17 maxconn 33 # default weight" in config.data
    assert b"cookie weight weight 17" in config.data and b'weight "17" disabled' in config.data
    _accepted("haproxy", "-c", "-f", haproxy.main[0])


def test_one_edit_touches_one_number(haproxy: ConfigTree) -> None:
    routes, _ = read(HAPROXY, haproxy)
    [edit] = HAPROXY.edit(
        haproxy, [Change(routes["llama"].ref, "targets/gpu-a/weight", 100, 7)], facts("haproxy"), None
    )
    assert edit.data is not None
    assert changed_region(haproxy.files[edit.path], edit.data) == (b"100", b"7")


def test_haproxy_secrets_are_masked(haproxy: ConfigTree) -> None:
    shown = HAPROXY.mask(haproxy.main[0], haproxy.files[haproxy.main[0]])
    for secret in ("s3cret-alice", "abcdefgh", "topsecret", "sk-live-42"):
        assert secret not in shown
    for kept in ("server gpu-a 10.0.1.11:8000 check weight 100 # main", "user alice", "cookie SRV insert"):
        assert kept in shown


@pytest.mark.parametrize(
    ("word", "read_as", "note"),
    [
        ("weight 0.5", 0, "0.5"),
        ("weight 1k", 1, "1k"),
        ("weight 0x10", 0, "0x10"),
        ("weight 10%", 10, "10%"),
        ("weight ${UNSET}", 0, "only inside double quotes"),
    ],
)
def test_numbers_that_haproxy_reads_otherwise_are_told(word: str, read_as: int, note: str) -> None:
    text = f"backend b\n server s 10.0.0.1:80 {word}\n server t 10.0.0.2:80\n".encode()
    tree = ConfigTree(("/h.cfg",), {"/h.cfg": text})
    route = read(HAPROXY, tree)[0]["b"]
    assert route.targets[0].weight == read_as
    assert any(note in said for said in route.notes)
    change = Change(route.ref, "targets/s/weight", read_as, 9)
    if "UNSET" in word:
        with pytest.raises(InvalidValue, match="only inside double quotes"):
            HAPROXY.edit(tree, [change], facts("haproxy"), None)
    else:
        [edit] = HAPROXY.edit(tree, [change], facts("haproxy"), None)
        assert edit.data == text.replace(word.encode(), b"weight 9")


@pytest.mark.parametrize("value", [257, -1, Fraction(1, 2), Special.UNLIMITED, None])
def test_weights_that_haproxy_cannot_hold_are_refused(value: object) -> None:
    tree = ConfigTree(("/h.cfg",), {"/h.cfg": b"backend b\n server s 10.0.0.1:80\n"})
    route = read(HAPROXY, tree)[0]["b"]
    with pytest.raises(InvalidValue, match="cannot hold"):
        HAPROXY.edit(tree, [Change(route.ref, "targets/s/weight", 1, value)], facts("haproxy"), None)  # type: ignore[arg-type]


def test_a_missing_final_newline_is_kept_and_told() -> None:
    tree = ConfigTree(("/h.cfg",), {"/h.cfg": b"backend b\r\n server s 10.0.0.1:80 weight 3"})
    route = read(HAPROXY, tree)[0]["b"]
    [edit] = HAPROXY.edit(tree, [Change(route.ref, "targets/s/weight", 3, 4)], facts("haproxy"), None)
    assert edit.data == b"backend b\r\n server s 10.0.0.1:80 weight 4"
    assert any("no final newline" in warning for warning in edit.warnings)


def test_the_state_file_goes_along() -> None:
    state = b"1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight\n"
    state += b"3 b 1 s 10.0.0.1 2 0 3 9\n"
    text = b"global\n server-state-file state\n server-state-base /var/lib/haproxy\n"
    text += b"backend b\n server s 10.0.0.1:80 weight 9\n"
    tree = ConfigTree(("/etc/haproxy/h.cfg",), {"/etc/haproxy/h.cfg": text, "/var/lib/haproxy/state": state})
    assert HAPROXY.includes(tree.main[0], tree.main[0], text) == ["/var/lib/haproxy/state"]
    route = read(HAPROXY, tree)[0]["b"]
    [edit] = HAPROXY.edit(tree, [Change(route.ref, "targets/s/weight", 9, 4)], facts("haproxy"), None)
    assert edit.also == {"/var/lib/haproxy/state": state.replace(b"2 0 3 9", b"2 0 4 4")}


def test_a_map_value_that_is_no_number_is_shown_only() -> None:
    text = b"""\
frontend f
 http-request set-var(txn.n) req.hdr(x),map_str_int(/m.map,5)
 http-request deny if { src_http_req_rate(t),sub(txn.n) gt 0 }
 http-request track-sc0 src table t
backend t
 stick-table type ip size 1k store http_req_rate(1s)
"""
    tree = ConfigTree(("/h.cfg",), {"/h.cfg": text, "/m.map": b"a lots\nb 4\n"})
    _, limits = read(HAPROXY, tree)
    assert not limits["f/t/a"].editable.yes and "not a plain number" in limits["f/t/a"].editable.reason
    assert limits["f/t/a"].amount is None and limits["f/t/a"].native == "a lots"
    with pytest.raises(InvalidValue, match="not understood"):
        HAPROXY.edit(tree, [Change(limits["f/t/a"].ref, "amount", None, Fraction(3))], facts("haproxy"), None)
    assert limits["f/t/b"].amount == 4 and limits["f/t/b"].enforced == Interval.exactly(5)


@pytest.mark.parametrize(
    ("rules", "at_once", "low", "mode"),
    [
        ("deny if { src_http_req_rate(t) ge 9 }\n{track}", 9, 9, Mode.ENFORCED),
        ("deny if { src_http_req_rate(t) gt 9 }\n{track}", 10, 10, Mode.ENFORCED),
        ("{track}\n http-request deny if { src_http_req_rate(t) ge 9 }", 8, 0, Mode.ENFORCED),
        ("{track}\n http-request deny if { sc0_http_req_rate gt 9 }", 9, 0, Mode.ENFORCED),
        ("{track}\n http-request deny if { sc_http_req_rate(0,t) gt 9 }", 9, 0, Mode.ENFORCED),
        ("deny if { sc_http_req_rate(0) gt 9 }\n{track}", 10, 10, Mode.OFF),
        ("deny if { src_http_req_rate(t) gt 9 }", 10, 10, Mode.OFF),
    ],
)
def test_what_the_order_of_rules_admits(rules: str, at_once: int, low: int, mode: Mode) -> None:
    track = "track-sc0 src table t" if rules.startswith("{track}") else " http-request track-sc0 src table t"
    rules = rules.replace("{track}", track)
    text = f"frontend f\n http-request {rules}\nbackend t\n stick-table type ip size 1k store http_req_rate(10s)\n"
    [limit] = read(HAPROXY, ConfigTree(("/h.cfg",), {"/h.cfg": text.encode()}))[1].values()
    assert limit.burst is not None and limit.enforced is not None
    assert (limit.burst.at_once, limit.enforced.low, limit.mode) == (at_once, low, mode)


def test_what_lets_nothing_through_is_blocked() -> None:
    text = b"frontend f\n http-request track-sc0 src\n http-request deny if { sc_http_req_rate(0) ge 1 }\n"
    text += b" stick-table type ip size 1k store http_req_rate(10s)\n"
    [limit] = read(HAPROXY, ConfigTree(("/h.cfg",), {"/h.cfg": text}))[1].values()
    assert limit.amount is Special.BLOCKED


def test_servers_that_an_upstream_includes_are_edited_where_they_stand() -> None:
    main, other = "/etc/nginx/nginx.conf", "/etc/nginx/pools/a.servers"
    tree = ConfigTree(
        (main,),
        {main: b"http { upstream a { include pools/a.servers; } }", other: b"server 10.0.0.1; server 10.0.0.2;"},
    )
    route = read(NGINX, tree)[0]["a"]
    assert route.object.endswith("a.servers") and route.base == NGINX.base(tree, other, None)
    [edit] = NGINX.edit(tree, [Change(route.ref, "targets/10.0.0.2/weight", 1, 3)], facts("nginx"), None)
    assert (edit.path, edit.data) == (other, b"server 10.0.0.1; server 10.0.0.2 weight=3;")


def test_a_limit_in_two_files_is_two_edits_each_with_its_change() -> None:
    main, site = "/etc/nginx/nginx.conf", "/etc/nginx/conf.d/a.conf"
    tree = ConfigTree(
        (main,),
        {
            main: b"http { limit_req_zone $uri zone=z:1m rate=5r/s; include conf.d/*.conf; }",
            site: b"server { location / { limit_req zone=z burst=2 nodelay; proxy_pass http://a; } }",
        },
    )
    limit = read(NGINX, tree)[1]["z"]
    amount = Change(limit.ref, "amount", limit.amount, Fraction(9))
    burst = Change(limit.ref, "burst", 2, 0)
    edits = NGINX.edit(tree, [amount, burst], facts("nginx"), None)
    assert [(edit.path, edit.changes) for edit in edits] == [(main, (amount,)), (site, (burst,))]
    assert b"limit_req zone=z nodelay;" in (edits[1].data or b"")


def test_upstreams_of_one_name_are_told_apart_and_not_edited() -> None:
    text = b"http { upstream a { server 1.1.1.1; }\nupstream a { server 2.2.2.2; } }"
    routes, _ = read(NGINX, ConfigTree(("/n.conf",), {"/n.conf": text}))
    assert list(routes) == ["a", "a@/n.conf:2"] and not routes["a@/n.conf:2"].editable.yes


def test_hostile_names_are_cleaned() -> None:
    text = 'http { upstream "a\x1b[31m\u202e" { server 1.1.1.1; } }'.encode()
    [route] = read(NGINX, ConfigTree(("/n.conf",), {"/n.conf": text}))[0].values()
    assert route.name == "a\u241b[31m" and "\x1b" not in str(route.ref)


@pytest.mark.parametrize(
    ("head", "kind", "role"),
    [
        (b"# Ansible managed: do not touch\n", "ansible", OwnerRole.DECLARED),
        (b"; x\n# This file is managed by Puppet.\n", "puppet", OwnerRole.DECLARED),
        (b"# _version=12\n# _md5hash=ab\n", "dataplaneapi", OwnerRole.DRIVER),
        (b"# managed by hand\n", None, None),
    ],
)
def test_the_head_of_a_file_names_its_owner(head: bytes, kind: str | None, role: OwnerRole | None) -> None:
    found = owners(head + b"backend b\n")
    assert [(owner.kind, owner.role) for owner in found] == ([(kind, role)] if kind else [])


def test_owners_reach_routes_and_limits() -> None:
    text = b"# generated by confd\nbackend b\n server s 10.0.0.1:80 maxconn 3\n"
    routes, limits = HAPROXY.read(ConfigTree(("/h.cfg",), {"/h.cfg": text}), None, facts("haproxy"))
    assert [row.owners[0].kind for row in (*routes, *limits)] == ["confd", "confd"]


def test_rules_over_other_counters_are_shown_only_and_unknown() -> None:
    text = b"frontend f\n tcp-request connection track-sc0 src\n stick-table type ip size 1k store http_err_cnt\n"
    text += b" http-request deny deny_status 429 if { sc_http_err_cnt(0) gt 4 }\n default_backend b\n"
    text += b"backend b\n server s 1.1.1.1\n"
    [limit] = read(HAPROXY, ConfigTree(("/h.cfg",), {"/h.cfg": text}))[1].values()
    assert (limit.amount, limit.mode) == (None, Mode.NOT_UNDERSTOOD) and "sc_http_err_cnt(0) gt 4" in limit.native
    assert limit.burst is None and not limit.editable.yes and limit.over.status == 429
    shown = with_effective(limit).bindings[0].effective
    assert shown is not None and (shown.low, shown.high, shown.unlimited) == (None, None, False)


@pytest.mark.parametrize(("name", "codec"), [("nginx", NGINX), ("haproxy", HAPROXY)])
def test_every_effective_limit_can_be_told(name: str, codec: NginxCodec, request: pytest.FixtureRequest) -> None:
    _, limits = read(codec, request.getfixturevalue(name))
    for limit in limits.values():
        for binding in with_effective(limit).bindings:
            assert binding.effective is not None and binding.effective.why
            if limit.enforced is not None and limit.editable.yes:
                assert binding.effective.low == limit.enforced.low
