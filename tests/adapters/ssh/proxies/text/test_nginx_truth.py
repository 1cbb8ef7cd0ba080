"""What is shown of an nginx configuration is true or says that it is not known, and an edit lands where it says."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from proxy_files import NGINX_MAIN, facts, nginx_tree, read

from adapters.ssh.client.ports import ConfigTree
from adapters.ssh.proxies.nginx.codec import NginxCodec
from adapters.ssh.proxies.nginx.lexer import NginxSyntaxError
from adapters.ssh.proxies.protocol import Runtime
from control.contract.plans import change_from_json, change_to_json
from control.errors import InvalidValue
from control.model import Limit, Mode, Route, TargetState, Window
from control.planning.edit import Change
from control.planning.fields import reverse, value_of
from control.structs import replace

CODEC = NginxCodec()
FOLDER = NGINX_MAIN.rpartition("/")[0]
MARK = b"\xef\xbb\xbf"


def _row(tree: ConfigTree, name: str) -> Route | Limit:
    routes, limits = read(CODEC, tree)
    return routes.get(name) or limits[name]


# --- a byte order mark ------------------------------------------------------------------------------------------------

MARKED = [
    ("at the start of the main file", {"nginx.conf": MARK + b"events {}\nhttp {}\n"}),
    ("before a comment", {"nginx.conf": MARK + b"# all\nevents {}\nhttp {}\n"}),
    ("in an included file", {"nginx.conf": b"events {}\nhttp { include x.conf; }\n", "x.conf": MARK + b"gzip on;\n"}),
    (
        "in a map's file",
        {"nginx.conf": b"events {}\nhttp { map $uri $m { include m.map; } }\n", "m.map": MARK + b"/a b;\n"},
    ),
    (
        "in a file that nobody includes",
        {"nginx.conf": b"events {}\nhttp { }\n", "x.conf": MARK + b"gzip on;\n"},
    ),
]


@pytest.mark.parametrize(("files",), [(files,) for _, files in MARKED], ids=[name for name, _ in MARKED])
def test_a_byte_order_mark_is_refused_where_nginx_refuses_it(files: dict[str, bytes], tmp_path: Path) -> None:
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("nginx is not installed")
    for name, data in files.items():
        start = f"pid {tmp_path}/pid; ".encode() if name == "nginx.conf" and not data.startswith(MARK) else b""
        (tmp_path / name).write_bytes(start + data)
    command = [program, "-t", "-e", str(tmp_path / "error.log"), "-c", str(tmp_path / "nginx.conf")]
    accepted = subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    tree = nginx_tree({f"{FOLDER}/{name}": data for name, data in files.items()})
    if accepted:
        CODEC.read(tree, None, facts("nginx"))
    else:
        with pytest.raises(NginxSyntaxError):
            CODEC.read(tree, None, facts("nginx"))


# --- one native place, several rows -----------------------------------------------------------------------------------

SHARED = {
    NGINX_MAIN: b"""http {
  upstream chat { zone chat 64k; include pool.inc; }
  upstream batch { zone batch 64k; include pool.inc; }
  upstream alone { server 10.0.0.9; }
  limit_conn_zone $remote_addr zone=c:1m;
  server { listen 80; server_name a.test; location /x { include limits.inc; proxy_pass http://chat; } }
  server { listen 80; server_name b.test; location /y { include limits.inc; proxy_pass http://batch; } }
}
""",
    f"{FOLDER}/pool.inc": b"server 10.0.0.1 weight=3 max_conns=7;\nserver 10.0.0.2;\n",
    f"{FOLDER}/limits.inc": b"limit_conn c 4;\n",
}


def test_an_edit_of_a_shared_include_names_all_rows_that_it_feeds() -> None:
    tree = nginx_tree(SHARED)
    chat = _row(tree, "chat")
    [edit] = CODEC.edit(tree, [Change(chat.ref, "targets/10.0.0.1/weight", 3, 5)], facts("nginx"), None)
    assert edit.path.endswith("pool.inc") and edit.data == SHARED[edit.path].replace(b"weight=3", b"weight=5")
    [warning] = edit.warnings
    assert "lb/NginxUpstream/lb-1/batch" in warning and "chat" not in warning and "alone" not in warning
    after = CODEC.after(tree, edit, None)[0]
    assert value_of(_row(after, "batch"), "targets/10.0.0.1/weight") == 5
    most = _row(tree, "chat/10.0.0.1")
    [edit] = CODEC.edit(tree, [Change(most.ref, "amount", Fraction(7), Fraction(9))], facts("nginx"), None)
    assert "lb/NginxMaxConns/lb-1/batch%2F10.0.0.1" in edit.warnings[0]
    alone = _row(tree, "alone")
    [edit] = CODEC.edit(tree, [Change(alone.ref, "targets/10.0.0.9/weight", 1, 5)], facts("nginx"), None)
    assert edit.warnings == ()


def test_both_rows_of_a_shared_include_may_be_asked_for_the_same_and_not_for_two_things() -> None:
    tree = nginx_tree(SHARED)
    refs = [_row(tree, name).ref for name in ("chat", "batch")]
    same = [Change(ref, "targets/10.0.0.1/weight", 3, 5) for ref in refs]
    [edit] = CODEC.edit(tree, same, facts("nginx"), None)
    assert edit.warnings == () and len(edit.changes) == 2
    with pytest.raises(InvalidValue, match="different values in one place"):
        CODEC.edit(tree, [same[0], replace(same[1], after=6)], facts("nginx"), None)


def test_a_line_that_several_servers_include_is_one_row_bound_to_each() -> None:
    _, limits = read(CODEC, nginx_tree(SHARED))
    assert [binding.on for binding in limits["c"].bindings] == [
        "lb/NginxUpstream/lb-1/chat",
        "lb/NginxUpstream/lb-1/batch",
    ]


# --- undo -------------------------------------------------------------------------------------------------------------

ODD = b"""http {
  upstream u {
    server 10.0.0.1;
    server 10.0.0.2\tmax_fails=0
      # slow since may
      down;
    server 10.0.0.3 "weight=007"   max_fails=1 max_conns=010;
    server 10.0.0.4 max_fails=2 \tdown\tfail_timeout=3s;
  }
  split_clients $remote_addr $v { "010.50%" u; * w; }
  limit_req_zone $remote_addr zone=z:1m rate=5;
  limit_conn_zone $remote_addr zone=c:1m;
  server { listen 80; location / { limit_req zone=z nodelay \tburst=07; limit_conn c '004'; proxy_pass http://u; } }
}
"""
UP = TargetState.ACTIVE
OUT = TargetState.MAINTENANCE
ONES: list[tuple[str, dict[str, object]]] = [
    ("u", {"targets/10.0.0.1/weight": 5}),
    ("u", {"targets/10.0.0.1/state": OUT}),
    ("u", {"targets/10.0.0.1/weight": 5, "targets/10.0.0.1/state": OUT}),
    ("u", {"targets/10.0.0.2/state": UP}),
    ("u", {"targets/10.0.0.2/weight": 4, "targets/10.0.0.2/state": UP}),
    ("u", {"targets/10.0.0.3/weight": 4}),
    ("u", {"targets/10.0.0.4/state": UP}),
    ("u", {"targets/10.0.0.4/state": UP, "targets/10.0.0.4/weight": 9, "targets/10.0.0.1/weight": 2}),
    ("u/10.0.0.3", {"amount": Fraction(12)}),
    ("v", {"targets/u/share": Fraction(1, 4), "targets/w/share": Fraction(3, 4)}),
    ("z", {"amount": Fraction(50)}),
    ("z", {"window": Fraction(60)}),
    ("z", {"amount": Fraction(50), "window": Fraction(60), "burst": 3}),
    ("z", {"burst": 0}),
    ("c", {"amount": Fraction(9)}),
]


@pytest.mark.parametrize("through", [lambda change: change, lambda change: change_from_json(change_to_json(change))])
@pytest.mark.parametrize(("name", "fields"), ONES, ids=[f"{n}: {', '.join(f)}" for n, f in ONES])
def test_an_undo_restores_the_bytes_that_were_there(
    name: str, fields: dict[str, object], through: Callable[[Change], Change]
) -> None:
    tree = nginx_tree(ODD)
    row = _row(tree, name)
    changes = [Change(row.ref, field, value_of(row, field), after) for field, after in fields.items()]  # type: ignore[arg-type]
    [edit] = CODEC.edit(tree, changes, facts("nginx"), None)
    there = CODEC.after(tree, edit, None)[0]
    assert there.files[NGINX_MAIN] != ODD
    now = _row(there, name)
    back = [reverse(through(change), value_of(now, change.field)) for change in edit.changes]
    [undo] = CODEC.edit(there, back, facts("nginx"), None)
    assert undo.data == ODD
    again = [reverse(through(c), value_of(_row(tree, name), c.field)) for c in undo.changes]
    [redo] = CODEC.edit(tree, again, facts("nginx"), None)
    assert redo.data == there.files[NGINX_MAIN], "and so does a redo"


@pytest.mark.parametrize(
    "again",
    [
        "weight=5; } evil {",
        "weight=6",
        "2:0: down; evil",
        '"weight=5',
        "9999:0: down",
        "1:1: down",
        "6:0: down",
        "7:0: down",
        "12:0: down",
        "3:0:\ndown",
        "x" * 99,
    ],
)
def test_what_a_saved_plan_says_of_the_former_bytes_is_believed_only_in_its_form(again: str) -> None:
    tree = nginx_tree(ODD)
    ref = _row(tree, "u").ref
    plain = [
        Change(ref, "targets/10.0.0.3/weight", 7, 5),
        Change(ref, "targets/10.0.0.3/state", UP, OUT),
    ]
    [wanted] = CODEC.edit(tree, plain, facts("nginx"), None)
    [edit] = CODEC.edit(tree, [replace(change, again=again) for change in plain], facts("nginx"), None)
    after = CODEC.after(tree, edit, None)[0]
    assert value_of(_row(after, "u"), "targets/10.0.0.3/weight") == 5
    assert value_of(_row(after, "u"), "targets/10.0.0.3/state") is OUT
    assert edit.data == wanted.data


# --- what cannot be understood ----------------------------------------------------------------------------------------


def test_a_number_that_is_not_understood_is_listed_with_its_text_and_never_as_a_number() -> None:
    text = b"""http {
  limit_req_zone $remote_addr zone=odd:1m rate=5r/h;
  limit_conn_zone $remote_addr zone=c:1m;
  upstream u { server 10.0.0.1 weight=$w max_conns=many; server 10.0.0.2; }
  server { limit_req zone=odd burst=3; limit_conn c few; location / { proxy_pass http://u; } }
}
"""
    routes, limits = read(CODEC, nginx_tree(text))
    for name, native in (("odd", "rate=5r/h"), ("c", "limit_conn c few"), ("u/10.0.0.1", "max_conns=many")):
        limit = limits[name]
        assert limit.amount is None and limit.mode is Mode.NOT_UNDERSTOOD and native in limit.native
        assert not limit.editable.yes and limit.bindings
    first, second = routes["u"].targets
    assert (first.weight, first.share, first.native) == (None, None, "weight=$w")
    assert second.share is None, "the sum is not known"
    assert not routes["u"].editable.yes


def test_a_limit_whose_zone_stands_in_a_file_that_was_not_read_is_still_listed() -> None:
    text = b"""http {
  include zones.conf;
  upstream u { server 10.0.0.1; }
  server { location / { limit_req zone=hidden burst=5 nodelay; limit_conn quiet 3; proxy_pass http://u; } }
}
"""
    tree = replace(nginx_tree(text), unreadable={f"{FOLDER}/zones.conf": "not readable for this user"})
    _, limits = read(CODEC, tree)
    hidden, quiet = limits["hidden"], limits["quiet"]
    assert hidden.mode is Mode.NOT_UNDERSTOOD and hidden.native == "limit_req zone=hidden burst=5 nodelay"
    assert not hidden.editable.yes and [b.on for b in hidden.bindings] == ["lb/NginxUpstream/lb-1/u"]
    assert quiet.amount == 3 and quiet.mode is Mode.ENFORCED and quiet.key == ()
    assert all(any("no file that was read defines" in note for note in x.notes) for x in (hidden, quiet))


def test_what_the_request_decides_is_bound_to_its_place_by_name() -> None:
    text = b"""http {
  limit_conn_zone $remote_addr zone=c:1m;
  upstream u { server 10.0.0.1; }
  server { server_name a.test; limit_conn c 3; location / { proxy_pass http://$http_x_up; } }
}
"""
    _, limits = read(CODEC, nginx_tree(text))
    assert [b.on for b in limits["c"].bindings] == ["server a.test location /"]
    assert limits["c"].mode is Mode.ENFORCED


def test_a_rate_is_the_last_one_written_and_so_is_what_delays() -> None:
    text = b"""http {
  limit_req_zone $remote_addr zone=z:1m rate=30r/m;
  server { location / { limit_req burst=9 nodelay zone=z delay=4; root /srv; } }
}
"""
    _, limits = read(CODEC, nginx_tree(text))
    assert (limits["z"].amount, limits["z"].window and limits["z"].window.seconds) == (30, 60)
    assert isinstance(limits["z"].window, Window) and limits["z"].over.max_wait_seconds == Fraction(5 * 60, 30)


# --- host names -------------------------------------------------------------------------------------------------------

NAMED = b"http { upstream u { zone u 64k; server gpu.test:80 weight=2; server 10.0.0.9:80 weight=4; } }\n"


def test_a_host_name_takes_its_weight_once_for_each_address() -> None:
    tree = nginx_tree(NAMED)
    known = Runtime(1.0, answers={"addresses gpu.test": "10.0.0.1\n10.0.0.2\n10.0.0.3\n"})
    route = read(CODEC, tree, known)[0]["u"]
    assert [t.share for t in route.targets] == [Fraction(6, 10), Fraction(4, 10)]
    assert any("3 addresses, each of which takes the weight" in note for note in route.notes)
    unknown = read(CODEC, tree)[0]["u"]
    assert [t.share for t in unknown.targets] == [None, None] and [t.weight for t in unknown.targets] == [2, 4]
    assert any("how many it has is not known" in note for note in unknown.notes)
    single = read(CODEC, nginx_tree(b"http { upstream u { server gpu.test; } }\n"))[0]["u"]
    assert [t.share for t in single.targets] == [Fraction(1)]


# --- servers that weights do not tell of ------------------------------------------------------------------------------


def test_shares_that_a_program_makes_are_not_known() -> None:
    text = b"""http { upstream u { server 0.0.0.1 weight=5; server 0.0.0.2; balancer_by_lua_block { x() } } }
"""
    route = read(CODEC, nginx_tree(text))[0]["u"]
    assert [t.share for t in route.targets] == [None, None] and not route.editable.yes
    assert any("chooses the server for each request" in note for note in route.notes)


def test_a_server_that_drains_takes_no_share_and_can_be_brought_back() -> None:
    text = b"http { upstream u { zone u 64k; server 10.0.0.1 weight=5 drain; server 10.0.0.2; } }\n"
    tree = nginx_tree(text)
    route = read(CODEC, tree)[0]["u"]
    assert [(t.state, t.share) for t in route.targets] == [(TargetState.DRAINING, 0), (TargetState.ACTIVE, 1)]
    field = "targets/10.0.0.1/state"
    [edit] = CODEC.edit(tree, [Change(route.ref, field, TargetState.DRAINING, UP)], facts("nginx"), None)
    assert edit.data == text.replace(b" drain", b"")
