"""Over generated HAProxy files: an edit reads back as intended and leaves every other byte as it was."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from proxy_files import HAPROXY_MAIN, changed_region, facts, haproxy_tree, read

from adapters.ssh.proxies.haproxy.codec import HAProxyCodec
from adapters.ssh.proxies.haproxy.lines import HAProxySyntaxError, TokenKind, tokenize
from adapters.ssh.proxies.protocol import Runtime
from adapters.ssh.proxies.spans import BOM
from control.model import Special, TargetState
from control.planning.edit import Change

CODEC = HAProxyCodec()
BLANK = st.text(" \t", min_size=1, max_size=3)
END = st.sampled_from(["\n", "\r\n", " # weight 7 maxconn 9\n", "\t#x\r\n"])


@dataclass
class Server:
    name: str
    weights: list[int]
    maxconn: int | None
    disabled: bool


@st.composite
def configurations(draw: st.DrawFn) -> tuple[bytes, list[Server], int | None]:
    inherited = draw(st.none() | st.integers(0, 256))
    text = "global" + draw(END) + "defaults" + draw(END) + "    mode http" + draw(END)
    if inherited is not None:
        text += f"\tdefault-server inter 2s weight {inherited} check" + draw(END)
    text += "backend" + draw(BLANK) + "llama" + draw(END) + "  balance roundrobin" + draw(END)
    found = []
    for number in range(draw(st.integers(1, 4))):
        server = Server(
            f"s{number}",
            draw(st.lists(st.integers(0, 256), max_size=2)),
            draw(st.none() | st.integers(0, 500)),
            draw(st.booleans()),
        )
        words = ["server", server.name, f"10.0.0.{number}:80", "check", "cookie", "weight"]
        words += [word for weight in server.weights for word in ("weight", str(weight))]
        words += ["maxconn", str(server.maxconn)] if server.maxconn is not None else []
        words += ["disabled"] if server.disabled else []
        text += draw(st.sampled_from(["", "\t", "    "])) + draw(BLANK).join(words) + draw(END)
        found.append(server)
    text += "frontend fe\n  bind 127.0.0.1:1\n  http-request set-header X \"a # b\" if { path '/x y' } # end\n"
    return (BOM if draw(st.booleans()) else b"") + text.encode(), found, inherited


def _running(found: list[Server], inherited: int | None) -> Runtime:
    head = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight\n"
    state, stat = head, "# pxname,svname,qcur,qmax,scur,smax,slim,stot,status,weight\n"
    for number, server in enumerate(found):
        weight = server.weights[-1] if server.weights else 1 if inherited is None else inherited
        state += f"3 llama {number} {server.name} 10.0.0.{number} 2 {5 if server.disabled else 0} {weight} {weight}\n"
        stat += f"llama,{server.name},0,0,0,0,{server.maxconn or ''},0,no check,{weight}\n"
    return Runtime(1.0, answers={"servers state": state, "stat": stat, "info": "Pid: 1\n"})


@given(st.binary(max_size=300))
def test_gaps_between_tokens_are_blanks_or_the_file_is_refused(data: bytes) -> None:
    try:
        tokens = tokenize(data)
    except HAProxySyntaxError:
        return
    position = len(BOM) if data.startswith(BOM) else 0
    for token in tokens:
        assert data[position : token.start].strip(b" \t") == b""
        assert data[token.start : token.end] == token.raw
        position = token.end
    assert data[position:].strip(b" \t") == b""


@given(configurations(), st.data(), st.integers(0, 256), st.booleans())
def test_a_weight_edit_changes_only_the_number(
    made: tuple[bytes, list[Server], int | None], data: st.DataObject, weight: int, asked: bool
) -> None:
    text, found, inherited = made
    server = data.draw(st.sampled_from(found))
    tree, runtime = haproxy_tree(text), _running(found, inherited) if asked else None
    route = read(CODEC, tree, runtime)[0]["llama"]
    target = route.target(server.name)
    written = server.weights[-1] if server.weights else 1 if inherited is None else inherited
    assert target is not None and target.weight == written
    change = Change(route.ref, f"targets/{server.name}/weight", target.weight, Fraction(weight))
    [edit] = CODEC.edit(tree, [change], facts("haproxy"), runtime)
    assert edit.needs_reload is not asked
    assert edit.commands == ((f"set server llama/{server.name} weight {weight}",) if asked else ())
    if weight == written:
        assert edit.data is None
        return
    assert edit.data is not None
    old, new = changed_region(text, edit.data)
    assert re.fullmatch(rb"\d*", old) and re.fullmatch(rb"\d*" if server.weights else rb" ?weight \d+ ?", new)
    after = read(CODEC, *CODEC.after(tree, edit, runtime))[0]["llama"]
    for was, now in zip(route.targets, after.targets, strict=True):
        wanted = weight if now.name == server.name else was.weight
        assert (now.weight, now.state) == (wanted, was.state)


@given(configurations(), st.data(), st.integers(0, 500))
def test_a_maxconn_edit_changes_only_the_number(
    made: tuple[bytes, list[Server], int | None], data: st.DataObject, number: int
) -> None:
    text, found, inherited = made
    limited = [server for server in found if server.maxconn is not None]
    if not limited:
        return
    server = data.draw(st.sampled_from(limited))
    tree, runtime = haproxy_tree(text), _running(found, inherited)
    _, limits = read(CODEC, tree, runtime)
    assert len(limits) == len(limited)
    limit = limits[f"llama/{server.name}"]
    assert limit.amount == (server.maxconn or Special.UNLIMITED)
    amount = Fraction(number) if number else Special.UNLIMITED
    [edit] = CODEC.edit(tree, [Change(limit.ref, "amount", limit.amount, amount)], facts("haproxy"), runtime)
    assert edit.commands == (f"set maxconn server llama/{server.name} {number}",) and not edit.needs_reload
    if edit.data is not None:
        old, new = changed_region(text, edit.data)
        assert re.fullmatch(rb"\d*", old) and re.fullmatch(rb"\d*", new)
    after = read(CODEC, *CODEC.after(tree, edit, runtime))[1]
    assert after[f"llama/{server.name}"].amount == amount
    assert {name: x.amount for name, x in after.items() if x.ref != limit.ref} == {
        name: x.amount for name, x in limits.items() if x.ref != limit.ref
    }


@given(configurations(), st.data())
def test_a_persisted_state_reads_back(made: tuple[bytes, list[Server], int | None], data: st.DataObject) -> None:
    text, found, inherited = made
    server = data.draw(st.sampled_from(found))
    tree, runtime = haproxy_tree(text), _running(found, inherited)
    route = read(CODEC, tree, runtime)[0]["llama"]
    state = TargetState.ACTIVE if server.disabled else TargetState.MAINTENANCE
    change = Change(route.ref, f"targets/{server.name}/state", None, state, persist=True)
    [edit] = CODEC.edit(tree, [change], facts("haproxy"), runtime)
    assert edit.data is not None and edit.commands
    later, running = CODEC.after(tree, edit, runtime)
    for asked in (running, None):
        target = read(CODEC, later, asked)[0]["llama"].target(server.name)
        assert target is not None and target.state is state
    old, new = changed_region(text, edit.data)
    assert re.fullmatch(rb"[ \t]*(disabled)?[ \t]*", old) and re.fullmatch(rb"[ \t]*(disabled)?[ \t]*", new)


def _undone(text: bytes, change: Change, runtime: Runtime | None) -> bytes:
    """The file once an edit was made and taken back."""
    tree = haproxy_tree(text)
    [edit] = CODEC.edit(tree, [change], facts("haproxy"), runtime)
    later, running = CODEC.after(tree, edit, runtime)
    [done] = edit.changes
    back = Change(done.ref, done.field, done.after, done.before, done.persist, again=done.was)
    [undo] = CODEC.edit(later, [back], facts("haproxy"), running)
    return undo.data if undo.data is not None else later.files[HAPROXY_MAIN]


@given(configurations(), st.data(), st.integers(0, 256), st.booleans())
def test_an_undo_restores_the_bytes_that_were_there(
    made: tuple[bytes, list[Server], int | None], data: st.DataObject, number: int, asked: bool
) -> None:
    text, found, inherited = made
    server = data.draw(st.sampled_from(found))
    runtime = _running(found, inherited) if asked else None
    routes, limits = read(CODEC, haproxy_tree(text), runtime)
    route = routes["llama"]
    target = route.target(server.name)
    assert target is not None
    assert _undone(text, Change(route.ref, f"targets/{server.name}/weight", target.weight, number), runtime) == text
    other = TargetState.ACTIVE if server.disabled else TargetState.MAINTENANCE
    state = Change(route.ref, f"targets/{server.name}/state", target.state, other, persist=True)
    assert _undone(text, state, runtime) == text
    limit = limits.get(f"llama/{server.name}")
    if limit is not None:
        assert _undone(text, Change(limit.ref, "amount", limit.amount, Fraction(number + 1)), runtime) == text


@pytest.mark.parametrize(
    "words",
    [
        "weight 05", 'weight "7"', "weight 10%", "weight 0.5", "weight '3' check", "disabled weight 4  check",
        "maxconn 5\tdisabled  check # x", "weight 3 weight 06", "",
    ],
)  # fmt: skip
def test_an_undo_restores_odd_numbers_and_places(words: str) -> None:
    servers = f" server s 10.0.0.1:80 {words}\n server t 10.0.0.2:80\n"
    text = f"defaults\n default-server weight 9\nbackend b\n{servers}".encode()
    routes, limits = read(CODEC, haproxy_tree(text))
    target = routes["b"].targets[0]
    assert _undone(text, Change(routes["b"].ref, "targets/s/weight", target.weight, 77), None) == text
    other = TargetState.ACTIVE if target.state is TargetState.MAINTENANCE else TargetState.MAINTENANCE
    assert _undone(text, Change(routes["b"].ref, "targets/s/state", target.state, other, persist=True), None) == text
    for limit in limits.values():
        assert _undone(text, Change(limit.ref, "amount", limit.amount, Fraction(8)), None) == text


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (b'a "b c" d', ["a", "b c", "d"]),
        (b"a b\\ c#d", ["a", "b c"]),
        (b"a b\\#c 'd#e'", ["a", "b#c", "d#e"]),
        (b'a "x\\"y" z"w w"', ["a", 'x"y', "zw w"]),
    ],
)
def test_words_are_haproxy_words(text: bytes, values: list[str]) -> None:
    assert [t.value for t in tokenize(text) if t.kind is TokenKind.WORD] == values


def test_an_open_quote_names_file_and_line() -> None:
    with pytest.raises(HAProxySyntaxError, match=f"{HAPROXY_MAIN}:2: a quote is opened"):
        read(CODEC, haproxy_tree(b'backend a\n server x "1.1.1.1\n'))
