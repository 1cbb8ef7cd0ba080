"""Configurations in the shapes that people write: nginx takes them, all is shown right, every number can be edited.

The files were written for this; their shapes were seen in public ones. What is expected was worked out by hand from
nginx's rules, and those rules are proved on the real nginx in `live/test_nginx_*_live.py`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from proxy_files import NGINX_MAIN, facts, nginx_tree

from adapters.ssh.client.ports import ConfigTree
from adapters.ssh.proxies.nginx.codec import NginxCodec
from adapters.ssh.proxies.protocol import Runtime
from control.capacity.effective import with_effective
from control.model import Limit, Route, Special
from control.model.ref import Ref
from control.planning.edit import Change, target_field
from control.planning.fields import reverse, value_of

SHAPES = Path(__file__).parent / "fixtures" / "nginx_shapes"
CODEC = NginxCodec()
NAMES = Runtime(
    1.0, answers={"addresses one.test": "10.16.0.1", "addresses three.test": "10.16.0.2 10.16.0.3 10.16.0.4"}
)
HOSTS = "127.0.0.1 localhost\n10.16.0.1 one.test\n" + "".join(f"10.16.0.{n} three.test\n" for n in (2, 3, 4))
_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"

ROUTES: dict[str, dict[str, list[str]]] = {
    "auth": {"auth": ["1"], "inner": ["1"]},
    "canary_if": {"stable": ["1/2", "1/2"], "canary": ["1"], "variant": ["1/20 canary", "19/20 stable"]},
    "canary_map": {
        "gather_stable": ["1"],
        "gather_canary": ["1"],
        "bucket": ["9/400 gather_canary", "391/400 gather_stable"],
    },
    "certbot": {"web": ["1"]},
    "fallback": {"gpu": ["1/2", "1/2"], "spare": ["1"]},
    "halves": {
        "_Test_Site_A": ["1"],
        "_Test_Site_B": ["1"],
        "variant": ["1/2 _Test_Site_A", "1/2 _Test_Site_B"],
    },
    "http_level": {"u": ["1"]},
    "maintenance": {"api": ["1", "0"]},
    "mirror": {"primary": ["1"], "candidate": ["1"], "shadowed": ["1/20 candidate", "19/20"]},
    "names": {"named": ["1/3", "2/3"], "lonely": ["1"]},
    "nested": {"files": ["1"], "code": ["1"]},
    "odd_servers": {"odd": ["5/22", "7/22", "3/22", "7/22", "0", "0"]},
    "origins": {"origin": ["3333/10000", "3333/10000", "1667/5000"]},
    "php_site": {"php": ["100/101", "1/101"]},
    "protocols": {
        "grpc_pool": ["4/5", "1/5"],
        "cache": ["1/4", "3/4"],
        "wsgi": ["1"],
        "cgi": ["1"],
        "fast": ["1"],
    },
    "rack_app": {"app_server": ["1"]},
    "rewrites": {"v1": ["1"], "v2": ["1"]},
    "stream": {
        "app": ["1"],
        "app#stream": ["5/6", "0", "1/6"],
        "dns#stream": ["1", "0"],
        "tried#stream": ["1/200 dns#stream", "199/200 app#stream"],
    },
    "trusted": {"pages": ["1", "0"]},
    "two_ports": {"backend_pool": ["1/2", "1/2"]},
    "variables": {"frontend": ["1"], "backend": ["2/3", "1/3"]},
}
"""Shape -> route -> share of each target, and the route that it leads to."""

LIMITS: dict[str, dict[str, str]] = {
    "auth": {"logins": "10/60 enforced reject 503: auth"},
    "canary_if": {"all": "100/1 enforced delay 503: variant, stable, canary"},
    "fallback": {
        "inflight": "2 enforced reject 429: gpu, spare",
        "gpu/10.6.0.1:8000": "32 enforced reject 502: gpu",
        "gpu/10.6.0.2:8000": "32 enforced reject 502: gpu",
        "spare/10.6.1.1:8000": "unlimited enforced reject 502: spare",
    },
    "http_level": {
        "slow": "1/1 enforced delay 503: u, server files.test",
        "all@http": "50 enforced reject 503: server files.test",
        "all@server own.test": "5 enforced reject 503: u",
    },
    "maintenance": {"token": "30/60 enforced reject 503: api, server m.test location @maintenance"},
    "mirror": {"search": "20/1 enforced delay 503: primary, shadowed, candidate"},
    "nested": {
        "c@server n.test location /a": "1 enforced reject 503: files, code",
        r"c@server n.test location /b location ~ \.php$": "2 enforced reject 503: code",
        "c@server n.test location ^~ /static": "3 enforced reject 503: server n.test location ^~ /static",
    },
    "odd_servers": {"odd/[2001:db8::1]:8080": "16 enforced reject 502: odd"},
    "php_site": {
        "script": "5/1 enforced reject 503: php",
        "perip": "10 enforced reject 503: php, server site.test location = /favicon.ico, "
        r"server site.test location ~ /\.ht",
    },
    "rack_app": {"login": "6/60 enforced reject 503: app_server"},
    "rewrites": {
        "old": "2/1 enforced reject 503: v1",
        "new": "4/1 enforced reject 503: v2",
        "never": "4/1 off reject 503: ",
    },
    "stream": {
        "web": "3 enforced reject 503: app",
        "per_source@stream#stream": "8 enforced reject None: app#stream, dns#stream, tried#stream, stream server 5002",
        "per_source@stream server 53 udp#stream": "2 shadow reject None: dns#stream",
        "app/10.15.0.1:443#stream": "100 enforced reject None: app#stream",
    },
    "trusted": {
        "pages": "3/1 enforced delay 503: pages",
        "trial": "1/1 shadow reject 503: pages",
        "conns": "4 enforced reject 503: pages",
    },
    "two_ports": {
        "login_limit": "5/1 enforced reject 429: backend_pool",
        "addr@server shop.test:80": "3 off reject 503: ",
        "addr@server shop.test:8443": "20 enforced reject 503: backend_pool",
    },
    "variables": {
        "site": "100 enforced reject 503: frontend, server _ location /ported, backend, server _ location /tenant, "
        "server _ location ~ ^/u/(?<name>[a-z]+)"
    },
}
"""Shape -> limit -> amount per seconds, mode, what happens over it, and what it is bound to."""

EACH = pytest.mark.parametrize("shape", sorted(ROUTES))


def _tree(shape: str) -> ConfigTree:
    return nginx_tree(b"events {}\n" + (SHAPES / f"{shape}.conf").read_bytes())


def _rows(tree: ConfigTree) -> tuple[list[Route], list[Limit]]:
    return CODEC.read(tree, NAMES, facts("nginx"))


def _short(ref: Ref) -> str:
    return ref.name if ref.part is None else f"{ref.name}#{ref.part}"


def _bound(on: str) -> str:
    return _short(Ref.parse(on)) if on.startswith("lb/") else on


def _accepted(text: bytes, folder: Path) -> None:
    """Ask nginx itself, on a network and with host names of its own. Skips where that cannot be."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if program is None or os.geteuid() != 0 or (b"stream {" in text and not os.path.exists(_STREAM)):
        if os.environ.get("CI"):
            pytest.fail("nginx with its stream module and root are needed")
        pytest.skip("nginx with its stream module and root are needed")
    load = f"load_module {_STREAM};\n" if b"stream {" in text else ""
    head = f"{load}pid {folder}/pid;\n"
    for name in ("fastcgi_params", "uwsgi_params", "scgi_params"):
        (folder / name).write_text("")
    (folder / "hosts").write_text(HOSTS)
    (folder / "nginx.conf").write_bytes(head.encode() + text)
    script = f'mount --bind {folder}/hosts /etc/hosts && exec "$@"'
    nginx = [program, "-t", "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    done = subprocess.run(
        ["unshare", "-m", "-n", "sh", "-c", script, "sh", *nginx], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_every_shape_is_held() -> None:
    assert {path.stem for path in SHAPES.glob("*.conf")} == set(ROUTES)


@EACH
def test_what_is_shown_is_what_nginx_does(shape: str) -> None:
    routes, limits = _rows(_tree(shape))
    refs = [str(row.ref) for row in (*routes, *limits)]
    assert len(set(refs)) == len(refs), "two rows share a ref"
    shown = {
        _short(route.ref): [f"{t.share} {_short(t.to)}" if t.to else str(t.share) for t in route.targets]
        for route in routes
    }
    assert shown == ROUTES[shape]
    told = {}
    for limit in limits:
        amount = f"{limit.amount}/{limit.window.seconds}" if limit.window else str(limit.amount)
        on = ", ".join(dict.fromkeys(_bound(binding.on) for binding in limit.bindings))
        told[_short(limit.ref)] = f"{amount} {limit.mode.value} {limit.over.action.value} {limit.over.status}: {on}"
    assert told == LIMITS.get(shape, {})
    assert all(binding.effective for limit in limits for binding in with_effective(limit).bindings)


@EACH
def test_nothing_of_the_text_is_left_out(shape: str) -> None:
    """Counted with a plain search, by no parser of ours."""
    text = re.sub(r"#.*", "", (SHAPES / f"{shape}.conf").read_text())
    routes, limits = _rows(_tree(shape))
    assert sum(r.kind == "NginxUpstream" for r in routes) == len(re.findall(r"\bupstream\s+\w+\s*\{", text))
    assert sum(r.kind == "NginxSplitClients" for r in routes) == len(re.findall(r"\bsplit_clients\b", text))
    targets = sum(len(r.targets) for r in routes if r.kind == "NginxUpstream")
    assert targets == len(re.findall(r"\bserver\s+[^\s{;]", text))
    kinds = [limit.kind for limit in limits]
    assert kinds.count("NginxLimitReq") == len(re.findall(r"\blimit_req_zone\s", text))
    assert kinds.count("NginxLimitConn") == len(re.findall(r"\blimit_conn\s", text))
    assert kinds.count("NginxMaxConns") == len(re.findall(r"\bmax_conns=", text))


def _new(row: Route | Limit) -> Iterator[Change]:
    """Every number of a row set to another one."""
    if isinstance(row, Limit):
        yield Change(row.ref, "amount", row.amount, Special.UNLIMITED if row.amount == 16 else Fraction(37))
        return
    if row.grid.denominator:
        count = len(row.targets)
        shares = [Fraction(n + 1, count * (count + 1) // 2) for n in range(count)]
        rounded = [Fraction(int(share * 10_000), 10_000) for share in shares]
        rounded[-1] += 1 - sum(rounded)
        for target, share in zip(row.targets, rounded, strict=True):
            yield Change(row.ref, target_field(target.name, "share"), target.share, share)
        return
    for number, target in enumerate(row.targets, 11):
        yield Change(row.ref, target_field(target.name, "weight"), target.weight, number)


@EACH
def test_every_number_can_be_edited_and_an_undo_leaves_no_trace(shape: str, tmp_path: Path) -> None:
    tree = _tree(shape)
    before = tree.files[NGINX_MAIN]
    _accepted(before, tmp_path)
    routes, limits = _rows(tree)
    changes = [change for row in (*routes, *limits) for change in _new(row)]
    [edit] = CODEC.edit(tree, changes, facts("nginx"), None)
    after, _ = CODEC.after(tree, edit, None)
    _accepted(after.files[NGINX_MAIN], tmp_path)
    now = {row.ref: row for rows in _rows(after) for row in rows}
    assert set(now) == {row.ref for row in (*routes, *limits)}
    for change in changes:
        assert value_of(now[change.ref], change.field) == change.after, change
    [undo] = CODEC.edit(after, [reverse(c, value_of(now[c.ref], c.field)) for c in edit.changes], facts("nginx"), None)
    assert undo.data == before
