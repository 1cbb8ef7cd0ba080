"""What ssh config says of hosts."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ssh.client import hosts
from adapters.ssh.client.hosts import Options
from adapters.ssh.section import SshConfig
from control.errors import DeckError

names = st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=30).filter(lambda n: n[0] != "-")
users = st.text(string.ascii_lowercase, min_size=1, max_size=12)
ports = st.integers(1, 65535)


def _lookup(answers: dict[str, Options]) -> hosts.Lookup:
    return lambda host, user, config: answers.get(host, {})


@given(names, users, ports)
def test_a_target_is_split_into_its_parts(name: str, user: str, port: int) -> None:
    assert hosts.split_target(f"{user}@{name}:{port}") == (name, user, port)
    assert hosts.split_target(name) == (name, None, None)
    assert hosts.split_target(f"ssh://{user}@{name}") == (name, user, None)


@given(st.text(max_size=40))
def test_no_target_breaks_the_parser_or_looks_like_an_option(text: str) -> None:
    try:
        host, user, _ = hosts.split_target(text)
    except DeckError:
        return
    assert not host.startswith("-")
    assert not (user or "").startswith("-")
    assert not any(c.isspace() or c in ";|&$`'\"" for c in host)


@given(st.text())
def test_no_output_breaks_the_parser(text: str) -> None:
    hosts.parse_options(text)


def test_an_ipv6_target() -> None:
    assert hosts.split_target("[::1]:2222") == ("::1", None, 2222)


def test_options_of_ssh_are_used() -> None:
    answers = {
        "gpu-1": hosts.parse_options(
            "user deploy\nhostname 10.0.0.7\nport 2222\nidentityfile /k/one\nidentityfile /k/two\n"
            "identitiesonly yes\nuserknownhostsfile /a /b\nglobalknownhostsfile /c\nproxyjump none\n"
        )
    }
    found = hosts.resolve("gpu-1", SshConfig(("gpu-1",)), _lookup(answers))
    assert (found.hostname, found.port, found.user) == ("10.0.0.7", 2222, "deploy")
    assert found.identity_files == ("/k/one", "/k/two")
    assert found.identities_only
    assert found.known_hosts == ("/a", "/b", "/c")
    assert found.known_name == "[10.0.0.7]:2222"
    assert found.jumps == ()


def test_the_decks_user_and_known_hosts_come_first() -> None:
    ssh = SshConfig(("a",), known_hosts="/deck", user="oncall")
    found = hosts.resolve("a", ssh, _lookup({"a": {"user": ["root"], "userknownhostsfile": ["/u"]}}))
    assert found.user == "oncall"
    assert found.known_hosts == ("/deck", "/u")


def test_a_key_alias_stands_without_a_port() -> None:
    found = hosts.resolve("a", SshConfig(("a",)), _lookup({"a": {"hostkeyalias": ["Fleet"], "port": ["99"]}}))
    assert found.known_name == "fleet"


def test_jumps_are_resolved_themselves() -> None:
    answers: dict[str, Options] = {
        "inner": {"proxyjump": ["ops@outer:2200,middle"]},
        "outer": {"hostname": ["203.0.113.9"]},
        "middle": {"user": ["hop"]},
    }
    found = hosts.resolve("inner", SshConfig(("inner",)), _lookup(answers))
    assert [(hop.user, hop.hostname, hop.port) for hop in found.jumps] == [
        ("ops", "203.0.113.9", 2200),
        ("hop", "middle", 22),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proxycommand": ["nc %h %p"], "proxyusefdpass": ["yes"]}, "ProxyUseFdpass"),
        ({"proxyjump": ["a"]}, "circle"),
        ({"port": ["many"]}, "port"),
    ],
)
def test_what_cannot_be_is_told(options: Options, message: str) -> None:
    with pytest.raises(DeckError, match=message):
        hosts.resolve("a", SshConfig(("a",)), _lookup({"a": options}))


def test_a_missing_config_is_told(tmp_path: Path) -> None:
    with pytest.raises(DeckError, match="is not there"):
        hosts.resolve("a", SshConfig(("a",), config=str(tmp_path / "none")), _lookup({}))


def test_tokens_and_variables_in_names_of_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KEYS", "/keys")
    monkeypatch.setenv("HOME", str(tmp_path))
    options = {
        "hostname": ["gpu.example"],
        "user": ["ops"],
        "port": ["2200"],
        "hostkeyalias": ["fleet"],
        "identityfile": ["~/.ssh/%r_%n", "${KEYS}/%h-%p", "%d/%k%%", "none"],
        "certificatefile": ["${KEYS}/%h-cert.pub"],
        "revokedhostkeys": ["~/revoked"],
        "knownhostscommand": ["/usr/bin/lookup --host %H %h %%"],
        "proxyjump": ["%r@%h-gate"],
    }
    answers: dict[str, Options] = {"gpu": options, "gpu.example-gate": {}}
    found = hosts.resolve("gpu", SshConfig(("gpu",)), _lookup(answers))
    assert found.identity_files == (f"{tmp_path}/.ssh/ops_gpu", "/keys/gpu.example-2200", f"{tmp_path}/fleet%")
    assert found.certificate_files == ("/keys/gpu.example-cert.pub",)
    assert found.revoked == f"{tmp_path}/revoked"
    assert found.known_hosts_command == ("/usr/bin/lookup", "--host", "%H", "gpu.example", "%%")
    assert [(hop.user, hop.hostname) for hop in found.jumps] == [("ops", "gpu.example-gate")]


def test_an_agent_named_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_AGENT", "/run/mine")
    for value, agent in (("$MY_AGENT", "/run/mine"), ("none", "none"), ("SSH_AUTH_SOCK", None), ("$UNSET_", "none")):
        found = hosts.resolve("a", SshConfig(("a",)), _lookup({"a": {"identityagent": [value]}}))
        assert found.agent == agent


@pytest.mark.parametrize(("value", "named"), [("/k/${NOT_SET_HERE}", "NOT_SET_HERE"), ("/k/%z", "%z")])
def test_what_ssh_would_not_expand_is_told(value: str, named: str) -> None:
    with pytest.raises(DeckError, match=named):
        hosts.resolve("a", SshConfig(("a",)), _lookup({"a": {"identityfile": [value]}}))


def test_a_proxy_command_is_the_way_and_its_tokens_are_replaced() -> None:
    answers = {"a": {"hostname": ["a.example"], "port": ["2022"], "proxycommand": ["nc %h %p # 100%%"]}}
    assert hosts.resolve("a", SshConfig(("a",)), _lookup(answers)).proxy_command == "nc a.example 2022 # 100%"
