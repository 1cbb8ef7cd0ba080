"""Properties of the Caddy codec: any text is split or refused; an edit changes one word; secrets are never shown."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from proxy_files import facts as facts_of

from adapters.ssh.client.ports import ConfigTree
from adapters.ssh.memory import MemoryHost, MemoryHosts, MemoryWriters
from adapters.ssh.proxies.caddy.codec import CaddyCodec
from adapters.ssh.proxies.caddy.lexer import CaddySyntaxError, tokenize
from adapters.ssh.proxies.caddy.program import CONFIG
from adapters.ssh.proxies.caddy.tree import include_globs, tree_of
from adapters.ssh.reader import SshReader
from adapters.ssh.section import SECTION, ProxyConfig, SshConfig
from adapters.ssh.writer import SshWriter
from control.deck.config import DeckConfig, EnvironmentConfig
from control.errors import InvalidValue
from control.model.ref import Ref
from control.plane import ControlPlane
from control.planning.edit import Change, SharesEdit
from control.planning.plan import ResultOutcome
from control.ports import ProofState

PIECES = [
    b"{",
    b"}",
    b'"',
    b"`",
    b"<<X\n",
    b"X",
    b"#",
    b"\\",
    b"\n",
    b" ",
    b"a,",
    b"reverse_proxy",
    b"\xff",
    b"\t",
    b"\r\n",
]
FACTS = facts_of("caddy")


@given(st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join) | st.binary(max_size=60))
@example(b'"\\')
@example(b"<<X\n X")
def test_any_text_is_split_into_its_words_or_refused(data: bytes) -> None:
    try:
        tokens = tokenize(data)
        tree_of(ConfigTree(("/f",), {"/f": data}))
    except CaddySyntaxError:
        CaddyCodec().mask("/f", data)
        return
    assert all(data[token.start : token.end] == token.raw for token in tokens)
    gaps = [data[a.end : b.start] for a, b in itertools.pairwise(tokens)]
    assert all(not gap.replace(b"\\\n", b"").replace(b"\\\r\n", b"").strip() for gap in gaps)
    CaddyCodec().mask("/f", data)


QUOTES = st.sampled_from(["{}", '"{}"', "`{}`"])


@given(
    st.lists(st.tuples(st.integers(0, 10**6), QUOTES), min_size=1, max_size=6),
    st.data(),
    st.sampled_from([" ", "  ", "\t", " \\\n\t"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_an_edit_changes_one_weight_and_undoing_it_restores_the_bytes(
    weights: list[tuple[int, str]], data: st.DataObject, gap: str, end: str, rows: bool
) -> None:
    names = [f"10.0.0.{number}:80" for number in range(len(weights))]
    upstreams = f" {{{end}\tto {f'{end}to '.join(names)}" if rows else f" {' '.join(names)} {{"
    words = gap.join(["\tlb_policy", "weighted_round_robin", *(quote.format(weight) for weight, quote in weights)])
    text = f"a.test {{ # one{end}reverse_proxy{upstreams}{end}{words}{end}\tlb_retries 2{end}}}{end}}}{end}".encode()
    tree = ConfigTree(("/etc/caddy/Caddyfile",), {"/etc/caddy/Caddyfile": text})
    codec = CaddyCodec()
    [route] = codec.read(tree, None, FACTS)[0]
    assert [target.weight for target in route.targets] == [weight for weight, _ in weights]
    number = data.draw(st.integers(0, len(weights) - 1))
    new = data.draw(st.integers(1, 10**6))
    change = Change(route.ref, f"targets/{names[number]}/weight", weights[number][0], new)
    [edit] = codec.edit(tree, [change], FACTS, None)
    assert edit.data is not None
    later, _ = codec.after(tree, edit, None)
    [after] = codec.read(later, None, FACTS)[0]
    assert [target.weight for target in after.targets] == [
        new if n == number else weight for n, (weight, _) in enumerate(weights)
    ]
    rest = [token.raw for token in tokenize(text)], [token.raw for token in tokenize(edit.data)]
    assert sum(a != b for a, b in zip(*rest, strict=True)) <= 1
    done = edit.changes[0]
    if sum(weight for weight, _ in weights):
        back = Change(route.ref, done.field, new, weights[number][0], again=done.was)
        [undo] = codec.edit(later, [back], FACTS, None)
        assert undo.data == text


@pytest.mark.parametrize(
    ("policy", "native"),
    [
        ("weighted_round_robin 3", "weighted_round_robin 3"),
        ("weighted_round_robin 3 1 2", "weighted_round_robin 3 1 2"),
        ("weighted_round_robin 3 {args[0]}", "weighted_round_robin 3 {args[0]}"),
        ("weighted_round_robin 3 {$N}", "weighted_round_robin 3 {$N}"),
        ("weighted_round_robin -1 1.5", "weighted_round_robin -1 1.5"),
        ("cookie lb", "cookie lb"),
        ("first", "first"),
    ],
)
def test_what_is_not_understood_is_listed_with_its_text(policy: str, native: str) -> None:
    text = f"a.test {{\n\treverse_proxy 10.0.0.1 10.0.0.2 {{\n\t\tlb_policy {policy}\n\t}}\n}}\n".encode()
    tree = ConfigTree((CONFIG,), {CONFIG: text})
    [route] = CaddyCodec().read(tree, None, FACTS)[0]
    assert not route.editable.yes and route.editable.reason
    assert [target.share for target in route.targets] == [None, None]
    assert native in {target.native for target in route.targets}
    with pytest.raises(InvalidValue):
        CaddyCodec().edit(tree, [Change(route.ref, "targets/10.0.0.1/weight", 3, 5)], FACTS, None)


def test_what_limits_requests_is_told() -> None:
    text = (
        b"a.test {\n\trate_limit {\n\t\tzone z\n\t}\n\treverse_proxy 10.0.0.1 {\n\t\tunhealthy_request_count 4\n"
        b"\t\ttransport http {\n\t\t\tmax_conns_per_host 8\n\t\t}\n\t}\n}\n"
    )
    in_json = (
        b'{"apps": {"http": {"servers": {"s": {"routes": [{"handle": [{"handler": "reverse_proxy", "upstreams": [],'
        b' "transport": {"max_conns_per_host": 8}}]}]}}}}}'
    )
    for data, told in (
        (text, ["unhealthy_request_count 4", "max_conns_per_host 8", "rate_limit"]),
        (in_json, ["max_conns_per_host 8"]),
    ):
        [route] = CaddyCodec().read(ConfigTree((CONFIG,), {CONFIG: data}), None, FACTS)[0]
        assert [note.rpartition(": ")[2] for note in route.notes] == told


def test_imports_lead_to_files_and_snippets_do_not() -> None:
    text = b"(pool) {\n}\nimport sites/*\na.test {\n\timport pool x\n\timport /srv/{args[0]}\n\timport ../common\n}\n"
    assert include_globs("/etc/caddy/Caddyfile", text) == ["/etc/caddy/sites/*", "/etc/common"]


SECRET = b"""\
a.test {
	# password: hunter2hunter2
	basic_auth {
		bob $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT
	}
	header_up Authorization "Bearer sk-live-51Habcdefgh"
	header X-Frame-Options DENY
	tls {
		dns cloudflare cf-token-value
	}
	reverse_proxy 10.0.0.1 10.0.0.2 {
		lb_policy weighted_round_robin 3 1
		header_up X-Api-Key key-51Habcdefgh
	}
}
"""


def test_secrets_are_masked_and_the_rest_is_shown() -> None:
    shown = CaddyCodec().mask(CONFIG, SECRET)
    for secret in ("hunter2hunter2", "$2a$14$", "sk-live", "cf-token-value", "key-51Habcdefgh"):
        assert secret not in shown
    for kept in ("X-Frame-Options", "weighted_round_robin 3 1", "reverse_proxy 10.0.0.1 10.0.0.2 {", "# password: ***"):
        assert kept in shown
    assert len(shown.split("\n")) == len(SECRET.split(b"\n"))


def test_secrets_of_a_json_configuration_are_masked() -> None:
    shown = CaddyCodec().mask(
        "/etc/caddy/caddy.json",
        b'{"apps": {"http": {"servers": {}}, "tls": {"api_token": "cf-value",'
        b' "secrets": ["one-value", {"x": "two-value"}], "email": "ops@a.test"}},'
        b' "accounts": [{"username": "bob", "password": "JDJhJDE0"}],\n "h": ["Bearer abc-value"]}',
    )
    for secret in ("cf-value", "one-value", "two-value", "JDJhJDE0", "abc-value"):
        assert secret not in shown
    assert "ops@a.test" in shown and shown.count("\n") == 1


async def test_a_caddy_in_memory_is_edited_proved_and_undone(tmp_path) -> None:  # type: ignore[no-untyped-def]
    host = MemoryHost("h-1", {CONFIG: SECRET})
    config = EnvironmentConfig("vm", settings=SshConfig(("h-1",)), section=SECTION, proxies=(ProxyConfig("caddy"),))
    reader = SshReader(config, MemoryHosts([host]))
    writer = SshWriter(reader, MemoryWriters([host]))
    deck = DeckConfig(tmp_path / "deck.yaml", (config,), journal=tmp_path / "journal.db")
    plane = ControlPlane(deck, {"vm": reader}, lambda _config, _made: writer, "me@here")
    ref = Ref("vm", "CaddyReverseProxy", "h-1", "a.test")
    native = (await plane.native(ref)).text
    [edit] = await plane.edits_of(ref, native, native.replace("robin 3 1", "robin 3 2"))
    assert edit == SharesEdit(ref, (("10.0.0.2", 2),)) or edit.ref == ref
    with pytest.raises(InvalidValue):
        await plane.edits_of(ref, native, native.replace("DENY", "ALLOW"))
    result = await plane.apply(await plane.plan([SharesEdit(ref, (("10.0.0.1", 5),))]))
    assert result.outcome in (ResultOutcome.APPLIED, ResultOutcome.APPLIED_UNPROVEN)
    assert result.steps[0].proof.loaded.state is ProofState.YES
    assert host.files[CONFIG] == SECRET.replace(b"robin 3 1", b"robin 5 1")
    await plane.apply(await plane.undo_plan())
    assert host.files[CONFIG] == SECRET
