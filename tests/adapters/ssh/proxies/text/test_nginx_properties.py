"""Over generated nginx files: an edit reads back as intended and leaves every other byte as it was."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxy_files import NGINX_MAIN, changed_region, facts, nginx_tree, read

from adapters.ssh.proxies.nginx.codec import NginxCodec
from adapters.ssh.proxies.nginx.lexer import NginxSyntaxError, TokenKind, tokenize
from control.model import TargetState
from control.planning.edit import Change
from control.planning.fields import reverse, value_of
from control.structs import replace

CODEC = NginxCodec()
BLANK = st.text(" \t", min_size=1, max_size=3)
BREAK = st.sampled_from(["\n", "\r\n", "\n\n", "\n\t", " # comment; { } \" '\n", "\r\n  # weight=9\r\n", " "])
WEIGHT = st.integers(1, 1000)


@dataclass
class Server:
    address: str
    weight: int | None
    quoted: bool
    down: bool
    extra: str


@st.composite
def servers(draw: st.DrawFn) -> list[Server]:
    count = draw(st.integers(1, 5))
    extra = st.sampled_from(["", "max_fails=0", 'fail_timeout="10s"', "backup"])
    return [
        Server(
            f"10.0.0.{number}:80",
            draw(st.none() | WEIGHT),
            draw(st.booleans()),
            draw(st.booleans()),
            draw(extra),
        )
        for number in range(count)
    ]


@st.composite
def configurations(draw: st.DrawFn) -> tuple[bytes, list[Server]]:
    found = draw(servers())
    text = draw(st.sampled_from(["", "# first\r\n", "user nobody;\n"])) + "events {}" + draw(BREAK) + "http {"
    text += draw(BREAK) + "log_format x '$remote_addr ; } \\' \"';" + draw(BREAK)
    text += 'map $http_x $y { default "a;{"; "~^b\\d{2}" \'c\'; }' + draw(BREAK)
    text += "upstream" + draw(BLANK) + "llama" + draw(st.sampled_from([" {", "{", "\n{"])) + draw(BREAK)
    for server in found:
        words = [server.address]
        if server.weight is not None:
            words.append(f'"weight={server.weight}"' if server.quoted else f"weight={server.weight}")
        words += [server.extra] if server.extra else []
        words += ["down"] if server.down else []
        text += "server"
        for word in words:
            text += draw(st.one_of(BLANK, st.just(" # why\n\t"))) + word
        text += draw(st.sampled_from(["", " "])) + ";" + draw(BREAK)
    text += "}" + draw(BREAK) + "}" + draw(st.sampled_from(["", "\n", "\r\n"]))
    return text.encode(), found


@given(st.binary(max_size=300))
def test_gaps_between_tokens_are_white_space_or_the_file_is_refused(data: bytes) -> None:
    try:
        tokens = tokenize(data)
    except NginxSyntaxError:
        return
    position = 0
    for token in tokens:
        assert data[position : token.start].strip(b" \t\r\n") == b""
        assert data[token.start : token.end] == token.raw
        position = token.end
    assert data[position:].strip(b" \t\r\n") == b""


@given(configurations(), st.data(), WEIGHT)
def test_a_weight_edit_changes_only_the_number(
    made: tuple[bytes, list[Server]], data: st.DataObject, weight: int
) -> None:
    text, found = made
    server = data.draw(st.sampled_from(found))
    tree = nginx_tree(text)
    route = read(CODEC, tree)[0]["llama"]
    target = route.target(server.address)
    assert target is not None and target.weight == (server.weight or 1)
    change = Change(route.ref, f"targets/{server.address}/weight", target.weight, Fraction(weight))
    [edit] = CODEC.edit(tree, [change], facts("nginx"), None)
    assert edit.data is not None and edit.changes == (change,)
    old, new = changed_region(text, edit.data)
    assert re.fullmatch(rb"\d*", old) and re.fullmatch(rb"\d*" if server.weight else rb"( ?weight=\d+ ?)?", new)
    after = read(CODEC, CODEC.after(tree, edit, None)[0])[0]["llama"]
    for before_target, after_target in zip(route.targets, after.targets, strict=True):
        wanted = weight if after_target.name == server.address else before_target.weight
        assert (after_target.weight, after_target.state) == (wanted, before_target.state)


@given(configurations(), st.data())
def test_a_state_goes_in_and_out_without_a_trace(made: tuple[bytes, list[Server]], data: st.DataObject) -> None:
    text, found = made
    server = data.draw(st.sampled_from([s for s in found if not s.down] or found))
    tree = nginx_tree(text)
    route = read(CODEC, tree)[0]["llama"]
    field = f"targets/{server.address}/state"
    states = [TargetState.MAINTENANCE, TargetState.ACTIVE]
    for state in states if not server.down else reversed(states):
        [edit] = CODEC.edit(tree, [Change(route.ref, field, None, state)], facts("nginx"), None)
        tree, _ = CODEC.after(tree, edit, None)
        target = read(CODEC, tree)[0]["llama"].target(server.address)
        assert target is not None and target.state is state
    before = [t.raw for t in tokenize(text)]
    after = [t.raw for t in tokenize(tree.files[NGINX_MAIN])]
    assert sorted(before) == sorted(after)
    if not server.down:
        assert tree.files[NGINX_MAIN] == text


@given(configurations(), st.data())
def test_an_undo_restores_every_byte(made: tuple[bytes, list[Server]], data: st.DataObject) -> None:
    text, found = made
    tree = nginx_tree(text)
    route = read(CODEC, tree)[0]["llama"]
    changes = []
    for server in data.draw(st.lists(st.sampled_from(found), min_size=1, unique_by=lambda s: s.address)):
        what = data.draw(st.sampled_from(["weight", "state", "both"]))
        if what != "state":
            field = f"targets/{server.address}/weight"
            changes.append(Change(route.ref, field, server.weight or 1, data.draw(WEIGHT)))
        if what != "weight":
            state = TargetState.ACTIVE if server.down else TargetState.MAINTENANCE
            changes.append(Change(route.ref, f"targets/{server.address}/state", None, state))
    edits = CODEC.edit(tree, changes, facts("nginx"), None)
    for edit in edits:
        there = CODEC.after(tree, edit, None)[0]
        now = read(CODEC, there)[0]["llama"]
        before = {change.field: value_of(route, change.field) for change in edit.changes}
        back = [reverse(replace(c, before=before[c.field]), value_of(now, c.field)) for c in edit.changes]
        for undo in CODEC.edit(there, back, facts("nginx"), None):
            there = CODEC.after(there, undo, None)[0]
        assert there.files[NGINX_MAIN] == text


LIMITS = """\
http {{
  limit_req_zone $http_x_client{gap}zone=calls:1m{gap}{rate};
  limit_conn_zone $http_x_client zone=streams:1m;
  server {{ server_name a.test;
    location / {{ limit_req{gap}zone=calls{burst}{gap}nodelay; limit_conn streams{gap}{streams}; proxy_pass http://u; }}
  }}
  upstream u {{ server 10.0.0.1; }}
}}
"""


@given(
    gap=st.sampled_from([" ", "\t", " # x;\n", "\r\n"]),
    rate=st.integers(1, 10**6),
    suffix=st.sampled_from(["r/s", "r/m", ""]),
    quote=st.sampled_from(["", '"', "'"]),
    burst=st.none() | st.integers(1, 1000),
    streams=st.integers(1, 65535),
    amount=st.integers(1, 10**6),
    new_burst=st.integers(0, 1000),
    new_streams=st.integers(1, 65535),
)
def test_limits_read_back_as_intended(
    gap: str,
    rate: int,
    suffix: str,
    quote: str,
    burst: int | None,
    streams: int,
    amount: int,
    new_burst: int,
    new_streams: int,
) -> None:
    shown = "" if burst is None else f"{gap}burst={burst}"
    text = LIMITS.format(gap=gap, rate=f"{quote}rate={rate}{suffix}{quote}", burst=shown, streams=streams)
    tree = nginx_tree(text.encode())
    _, limits = read(CODEC, tree)
    calls, conn = limits["calls"], limits["streams"]
    assert calls.amount == rate and calls.window is not None and calls.burst is not None and conn.amount == streams
    assert calls.window.seconds == (60 if suffix == "r/m" else 1) and calls.burst.at_once == (burst or 0) + 1
    changes = [
        Change(calls.ref, "amount", calls.amount, Fraction(amount)),
        Change(calls.ref, "burst", calls.burst.native, new_burst),
        Change(conn.ref, "amount", conn.amount, Fraction(new_streams)),
    ]
    [edit] = CODEC.edit(tree, changes, facts("nginx"), None)
    assert edit.data is not None
    _, after = read(CODEC, CODEC.after(tree, edit, None)[0])
    assert after["calls"].burst is not None
    assert (after["calls"].amount, after["calls"].burst.native) == (amount, new_burst)
    assert after["streams"].amount == new_streams and after["calls"].window == calls.window
    assert _others(edit.data) == _others(text.encode())


def _others(text: bytes) -> bytes:
    """The text without the numbers that were edited, and without the gaps beside them."""
    return re.sub(rb"rate=\d+|burst=\d+|limit_connstreams\d+", b"", re.sub(rb"# x;|\s", b"", text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"a ${b}c;", ["a", "${b}c"]),
        (b"a $b{c;}", ["a", "$b", "c"]),
        (b"a b\\ c;", ["a", "b\\ c"]),
        (b"a b}c;", ["a", "b}c"]),
        (b"a b#c; # d", ["a", "b#c"]),
        (b'a x"y z";', ["a", 'x"y', 'z"']),
        (b'a "y\\"z;";', ["a", 'y"z;']),
    ],
)
def test_words_are_nginx_words(text: bytes, words: list[str]) -> None:
    assert [t.value for t in tokenize(text) if t.kind is TokenKind.WORD] == words


def test_a_lua_block_is_opaque() -> None:
    body = b""" local s = "}" -- }
        local l = [==[ } ]] ]==] --[[ } ]]
        if x then y = { a = '{' } end """
    text = b"http { server { location / { content_by_lua_block {" + body + b"} } }\n upstream u { server a:1; } }"
    tokens = tokenize(text)
    assert [t.raw for t in tokens if t.kind is TokenKind.LUA] == [body]
    assert "u" in read(CODEC, nginx_tree(text))[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"http {\n  server {\n", ":2: a block is opened"),
        (b"http {}\n}\n", ":2: unexpected '}'"),
        (b"a;\nb 'c;\n", ":2: a quote is opened"),
        (b"a;\n\nb c", ":3: a directive has no ';'"),
        (b"a 'b'c;", ":1: unexpected text after a quoted word"),
    ],
)
def test_what_does_not_parse_names_file_and_line(text: bytes, told: str) -> None:
    with pytest.raises(NginxSyntaxError, match=re.escape(NGINX_MAIN + told)):
        read(CODEC, nginx_tree(text))
