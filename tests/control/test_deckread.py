from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from adapters.registry import sections
from control.deck.reading import parse_deck, read_deck
from control.deck.schema import deck_schema
from control.deck.sections import DeckSection
from control.errors import DeckError, ErrorKind
from control.text import clean

PATH = Path("/etc/deck.yaml")
SECTIONS = sections()

WHOLE = """\
environments:
  - name: prod-eu
    kubernetes: {kubeconfig: ~/.kube/config, context: eu-1, namespaces: [inference]}
    labels: {region: eu-west-1, tier: production, rank: 1, spot: false}
    code: eu
    color: "#b3261e"
    banner: payments, page first
    proxies:
      - {kind: traefik, api: "http://127.0.0.1:8080", metrics: "http://127.0.0.1:8080/metrics"}
    guards: {maximum_move: 10, verdicts: {declared: off}}
  - name: lb
    ssh: {hosts: ["lb-[1-2]", "gpu-[08-10]"], config: ~/.ssh/config, sudo: true}
    proxies: [{kind: haproxy, config: /etc/haproxy/haproxy.cfg, hosts: ["lb-[1-2]"], reload: [service, haproxy]}]
    read_only: true
  - name: fn
    aws: {profile: ml, region: eu-central-1, functions: ["chat-*"], endpoints: {lambda: "http://127.0.0.1:1"}}
    production: true
services:
  - name: llama
    routes: ["prod-eu/HTTPRoute/inference/llama*"]
    front: {route: lb/HAProxyBackend/*/edge-llama, targets: {k8s: prod-eu, vm: lb, fn: fn}}
    tokens_per_request: 800
guards: {maximum_move: 20, cool_down_seconds: 5, verdicts: {driven: warn}}
journal: {path: /var/lib/trafficdeck/journal.db}
theme: dusk
keys: {route.edit: e, route.undo: [u, U]}
aliases: {gw: get routes llm-gw}
"""


def wrong(text: str) -> DeckError:
    with pytest.raises(DeckError) as caught:
        parse_deck(text, PATH, SECTIONS)
    assert caught.value.kind is ErrorKind.DECK
    return caught.value


def test_a_whole_deck_is_read() -> None:
    deck = parse_deck(WHOLE, PATH, SECTIONS)
    eu, lb, fn = deck.environments
    assert eu.settings.kubeconfig == str(Path("~/.kube/config").expanduser())
    assert (eu.production, eu.code, eu.section.key, eu.line) == (True, "eu", "kubernetes", 2)
    assert (eu.color, eu.banner, lb.color, lb.banner) == ("#b3261e", "payments, page first", None, "")
    assert deck.aliases == {"gw": "get routes llm-gw"}
    assert eu.labels == {"region": "eu-west-1", "tier": "production", "rank": "1", "spot": "false"}
    assert lb.settings.hosts == ("lb-1", "lb-2", "gpu-08", "gpu-09", "gpu-10")
    assert (lb.production, lb.code, lb.read_only, lb.settings.sudo) == (False, None, True, True)
    assert lb.proxies[0].hosts == ("lb-1", "lb-2")
    assert lb.proxies[0].reload == ("service", "haproxy")
    assert (fn.production, fn.code, fn.settings.functions) == (True, "fn", ("chat-*",))
    service = deck.services[0]
    assert service.front is not None
    assert service.front.targets == {"k8s": "prod-eu", "vm": "lb", "fn": "fn"}
    assert (deck.theme, deck.journal) == ("dusk", Path("/var/lib/trafficdeck/journal.db"))
    assert deck.keys == {"route.edit": ("e",), "route.undo": ("u", "U")}


def test_an_environment_has_its_own_guards_on_top_of_the_decks() -> None:
    eu, lb, _ = parse_deck(WHOLE, PATH, SECTIONS).environments
    assert (eu.guards.maximum_move, eu.guards.cool_down_seconds) == (10, 5)
    assert eu.guards.verdicts == {"driven": "warn", "declared": "off"}
    assert lb.guards.maximum_move == 20


def test_the_published_schema_takes_what_is_read() -> None:
    Draft202012Validator.check_schema(deck_schema(SECTIONS))
    values = yaml.safe_load(WHOLE.replace("declared: off", "declared: 'off'"))
    Draft202012Validator(deck_schema(SECTIONS)).validate(values)
    json.dumps(deck_schema(SECTIONS))


def test_the_published_schema_is_the_one_that_editors_know() -> None:
    """Word for word; what a kind of a user's own may say grows with the engine, and is tested beside it."""
    made = deck_schema(SECTIONS)
    del made["properties"]["kinds"]
    assert made == json.loads((Path(__file__).parent / "deck.schema.json").read_text())


ONE = "environments:\n  - name: a\n    kubernetes: {}\n"


def test_addresses_of_version_six_with_a_port_are_hosts(tmp_path: Path) -> None:
    path = tmp_path / "deck.yaml"
    path.write_text(
        "environments:\n  - name: a\n    ssh: {hosts: ['[::1]:2222', 'ops@[fe80::1%eth0]', '::1', 'b-[1-2]']}\n"
    )
    [environment] = read_deck(path, SECTIONS).environments
    assert environment.settings.hosts == ("[::1]:2222", "ops@[fe80::1%eth0]", "::1", "b-1", "b-2")


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        ("enviroments: []\n", 1, "unknown key 'enviroments' in the deck file", "did you mean 'environments'?"),
        (ONE + "    proxie: []\n", 4, "unknown key 'proxie' in environments[0]", "did you mean 'proxies'?"),
        (ONE + "    zzz: 1\n", 4, "unknown key 'zzz'", "it may have name, kubernetes"),
        (ONE + "guards:\n  maximum_mov: 3\n", 5, "unknown key 'maximum_mov' in guards", "did you mean 'maximum_move'?"),
        (ONE + "theme: [dusk]\n", 4, "'theme' must be a text, and is a list", None),
        (ONE + "guards: {maximum_move: many}\n", 4, "'maximum_move' must be a whole number, and is 'many'", None),
        (ONE + "guards: {maximum_move: 101}\n", 4, "'maximum_move' must be 1 to 100, and is '101'", None),
        (ONE + "guards: {cool_down_seconds: -1}\n", 4, "'cool_down_seconds' must be 0 or more", None),
        (ONE + "guards: {verdicts: {declared: perhaps}}\n", 4, "'declared' cannot be 'perhaps'", "warn, refuse, off"),
        (ONE + "    read_only: maybe\n", 4, "'read_only' must be true or false, and is 'maybe'", None),
        (ONE + "    code:\n", 4, "'code' must be a text, and is empty", None),
        (ONE + "keys: {a: 3}\n", 4, "'a' must be a text or a list", None),
        (ONE + "  - name: a\n    kubernetes: {}\n", 4, "the environment 'a' is there twice", "first at line 2"),
        (ONE + "theme: x\ntheme: y\n", 5, "'theme' is there twice", "first at line 4"),
        ("environments:\n  - name: a\n", 2, "the environment 'a' needs exactly one of", None),
        (ONE + "    aws: {region: x}\n", 2, "and has kubernetes and aws", None),
        ("environments:\n  - kubernetes: {}\n", 2, "environments[0] needs 'name'", None),
        ("theme: dusk\n", 1, "the deck file needs 'environments'", None),
        ("environments: []\n", 1, "'environments' must not be empty", None),
        ("environments:\n  - name: a\n    aws: {}\n", 3, "aws needs 'region'", None),
        ("environments:\n  - name: a\n    ssh:\n      hosts:\n        - b\n        - g-[9-1]\n", 6, "is empty", None),
        ("environments:\n  - name: a\n    ssh: {hosts: ['g-[a-b]']}\n", 3, "is not a range of hosts", "gpu-[01-40]"),
        ("environments:\n  - name: a\n    ssh: {hosts: ['g-[1-999]-[1-999]']}\n", 3, "is too long", "at most 10000"),
        ("environments:\n  - name: a\n    ssh:\n      hosts: [b-1,\n        'b-[1-2]']\n", 5,
         "host 'b-1' is there twice", "first at line 4"),
        ("environments: [\n  - name\n", 2, "", None),
        ("environments:\n\t- name: a\n", 2, "cannot start any token", None),
        (ONE + "theme: \x1b[31m\n", 4, "YAML takes no control characters", None),
        ("environments:\n  - name: \"a\\e[31m\"\n    kubernetes: {}\n", 2, "cannot be shown", None),
        ("- name: a\n", 1, "'the deck file' must be a mapping, and is a list", None),
        ("just words\n", 1, "'the deck file' must be a mapping, and is 'just words'", None),
        ("", 1, "the file is empty", "it needs at least 'environments:'"),
        ("# nothing yet\n", 1, "the file is empty", None),
        ("[" * 3000, 1, "it is nested too deeply", None),
        (ONE + "services:\n  - {name: s, routes: []}\n", 5, "'routes' must not be empty", None),
        (ONE + "services:\n  - name: s\n    routes: [x]\n    front: {route: x/y, targets: {k: a}}\n", 7,
         "'x/y' is not a reference", "write ENVIRONMENT"),
        (ONE + "services:\n  - name: s\n    routes: [x]\n    front: {route: a/B/c/d, targets: {k: z}}\n", 7,
         "leads to 'z', which is no environment", "the environments are a"),
        ("environments:\n  - name: a\n    kubernetes: {kubeconfig: ~nobody-at-all/x}\n", 3, "cannot be found", None),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, message: str, hint: str | None) -> None:
    error = wrong(text)
    assert error.message.startswith(f"{PATH}:{line}: "), error.message
    assert message in error.message
    assert clean(error.message) == error.message
    if hint:
        assert error.hint is not None
        assert hint in error.hint


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeckError, match=r"there is no deck file .*/none\.yaml") as caught:
        read_deck(tmp_path / "none.yaml", SECTIONS)
    assert caught.value.hint is not None


def test_what_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "deck.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DeckError, match="it is not UTF-8 text"):
        read_deck(tmp_path / "deck.yaml", SECTIONS)
    with pytest.raises(DeckError, match="is a folder, and no file"):
        read_deck(tmp_path, SECTIONS)


def test_a_further_adapter_has_its_own_section() -> None:
    text = "environments:\n  - name: a\n    edge: {zone: 3, list: [1, {x: null}]}\n"
    environment = parse_deck(text, PATH, [*SECTIONS, DeckSection("edge", "cdn")]).environments[0]
    assert (environment.section.key, environment.settings) == ("edge", {"zone": 3, "list": [1, {"x": None}]})
    assert "unknown key 'edge'" in wrong(text).message


@given(st.text(max_size=60))
def test_any_text_is_a_deck_or_an_error_with_a_line(text: str) -> None:
    try:
        parse_deck(text, PATH, SECTIONS)
    except DeckError as error:
        assert error.message.startswith(f"{PATH}:")
        assert clean(error.message) == error.message


@given(st.integers(0, 400), st.integers(0, 12))
def test_a_deck_cut_or_bitten_never_crashes(at: int, length: int) -> None:
    try:
        parse_deck(WHOLE[:at] + WHOLE[at + length :], PATH, SECTIONS)
    except DeckError as error:
        assert error.message.startswith(f"{PATH}:")


@pytest.mark.parametrize(
    "written", ["NO", "1.10", "007", "12:30", "2026-11-28", "0x1F", "1_000", "+1", "~x", "off", "1e3"]
)
def test_labels_keep_their_text(written: str) -> None:
    deck = parse_deck(
        f"environments:\n  - name: a\n    aws: {{region: r}}\n    labels: {{is: {written}}}\n", PATH, SECTIONS
    )
    assert deck.environments[0].labels == {"is": written}


@pytest.mark.parametrize(("make", "sort"), [(os.mkfifo, "a FIFO"), (os.mkdir, "a folder"), (None, "a device")])
def test_a_deck_file_that_is_no_file_is_refused_unread(
    tmp_path: Path, make: Callable[[str], None] | None, sort: str
) -> None:
    path = Path("/dev/zero") if make is None else tmp_path / "deck"
    if make is not None:
        make(str(path))
    with pytest.raises(DeckError, match=sort):
        read_deck(path, SECTIONS)
