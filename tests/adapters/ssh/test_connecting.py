"""Connecting to real sshd: host keys, our keys, bastions, lost hosts."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sshhost import NO_SECRETS, USER, Host, Keys, deck_environment, environment, make_key

from adapters.ssh import adapter
from adapters.ssh.reader import SshReader
from adapters.ssh.section import ProxyConfig, SshConfig
from control.deck.config import EnvironmentConfig
from control.errors import AuthError, ControlError, DeckError, Forbidden, NotFound, Unreachable
from control.model import ReachState, Snapshot
from control.ports import Secrets


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAFFICDECK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


async def _read(config: EnvironmentConfig, secrets: Secrets = NO_SECRETS) -> Snapshot:
    reader = adapter.open_reader(config, secrets)
    try:
        return await reader.read()
    finally:
        await reader.close()


def _known(ssh: SshConfig, text: str) -> None:
    assert ssh.known_hosts is not None
    Path(ssh.known_hosts).write_text(text)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout


async def test_a_host_is_read(host: Host, tmp_path: Path) -> None:
    snapshot = await _read(deck_environment(environment(tmp_path, [host])))
    assert [str(route.ref) for route in snapshot.routes] == [
        "lb/NginxUpstream/web-1/llama",
        "lb/HAProxyBackend/web-1/chat",
    ]
    assert snapshot.environment.reach.state is ReachState.OK
    assert snapshot.environment.identity == "root"


async def test_host_names_are_resolved_as_the_host_does(host: Host, tmp_path: Path) -> None:
    reader = adapter.open_reader(deck_environment(environment(tmp_path, [host])), NO_SECRETS)
    assert isinstance(reader, SshReader)
    try:
        there = await reader.hosts.reader("web-1")
        found = await there.addresses(["localhost", "no-such-name.invalid", "$(touch /tmp/x)", "-h"])
        assert set(found) == {"localhost"}
        assert set(found["localhost"]) <= {"127.0.0.1", "::1"} and found["localhost"]
        assert await there.addresses([]) == {}
    finally:
        await reader.close()


async def test_what_an_include_names_and_cannot_be_read_is_missing_by_name(host: Host, tmp_path: Path) -> None:
    main = host.root / "nginx" / "nginx.conf"
    outside = tmp_path / "elsewhere" / "limits.conf"
    outside.parent.mkdir()
    outside.write_text("limit_req zone=x;\n")
    main.write_text(main.read_text().replace("http {", f"http {{ include {outside};", 1))
    snapshot = await _read(deck_environment(environment(tmp_path, [host])))
    assert [(one.what, one.why) for one in snapshot.missing] == [
        (f"{outside} on web-1", "outside the proxy's own tree")
    ]
    assert len(snapshot.routes) == 2


async def test_an_unknown_host_key_is_refused_and_the_printed_command_pins_it(host: Host, tmp_path: Path) -> None:
    ssh = environment(tmp_path, [host])
    _known(ssh, "")
    with pytest.raises(AuthError) as refused:
        await _read(deck_environment(ssh))
    fingerprint = _output("ssh-keygen", "-lf", str(host.root / "host_key.pub")).split()[1]
    assert fingerprint in refused.value.message
    assert refused.value.hint is not None
    command = refused.value.hint.partition("pin it: ")[2]
    _output("sh", "-c", command)
    assert (await _read(deck_environment(ssh))).routes


async def test_a_changed_host_key_is_blocked(host: Host, tmp_path: Path) -> None:
    make_key(tmp_path / "other")
    ssh = environment(tmp_path, [host])
    kind, key, *_ = (tmp_path / "other.pub").read_text().split()
    _known(ssh, f"[{host.address}]:{host.port} {kind} {key}\n")
    with pytest.raises(AuthError, match="CHANGED"):
        await _read(deck_environment(ssh))


async def test_a_revoked_host_key_is_a_hard_stop(host: Host, tmp_path: Path) -> None:
    ssh = environment(tmp_path, [host])
    _known(ssh, f"{host.known_line()}@revoked {host.known_line()}")
    with pytest.raises(AuthError, match="REVOKED"):
        await _read(deck_environment(ssh))


async def test_a_passphrase_comes_from_the_keyring(host: Host, ssh_keys: Keys, tmp_path: Path) -> None:
    ssh = environment(tmp_path, [host], web_1=host.config_block(key=ssh_keys.locked))
    asked: list[str] = []

    def ask(what: str, key: str) -> str:
        asked.append(key)
        return ssh_keys.passphrase

    assert (await _read(deck_environment(ssh), Secrets(ask))).routes
    assert asked == [f"ssh:{ssh_keys.locked}"]


async def test_a_passphrase_not_to_be_had_is_told(host: Host, ssh_keys: Keys, tmp_path: Path) -> None:
    ssh = environment(tmp_path, [host], web_1=host.config_block(key=ssh_keys.locked))
    with pytest.raises(AuthError, match=r"passphrase of .*id_locked is not to be had"):
        await _read(deck_environment(ssh))
    with pytest.raises(AuthError, match="does not open it"):
        await _read(deck_environment(ssh), Secrets(lambda what, key: "wrong"))


async def test_a_key_that_is_not_let_in_is_told(host: Host, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    ssh = environment(tmp_path, [host], web_1=host.config_block(key=tmp_path / "stranger"))
    with pytest.raises(AuthError, match="accepts no key of ours for user root"):
        await _read(deck_environment(ssh))


async def test_through_a_bastion(make_host: Callable[..., Host], host: Host, tmp_path: Path) -> None:
    bastion = make_host("bastion")
    bastion.start(proxies=False)
    ssh = environment(
        tmp_path,
        [host, bastion],
        bastion=bastion.config_block(USER),
        web_1=host.config_block(extra="  ProxyJump bastion\n"),
    )
    config = deck_environment(replace(ssh, hosts=("web-1",)))
    assert len((await _read(config)).routes) == 2
    bastion.stop()
    with pytest.raises(Unreachable, match="bastion"):
        await _read(config)


async def test_an_unreachable_host_costs_only_itself(
    make_host: Callable[..., Host], host: Host, tmp_path: Path
) -> None:
    gone = make_host("web-2")
    config = deck_environment(environment(tmp_path, [host, gone]))
    began = time.monotonic()
    snapshot = await _read(config)
    assert time.monotonic() - began < 10
    assert snapshot.environment.reach.state is ReachState.DEGRADED
    assert "web-2" in [one.what for one in snapshot.missing]
    assert [str(route.ref) for route in snapshot.routes] == ["lb/NginxUpstream/*/llama", "lb/HAProxyBackend/*/chat"]
    assert [member.ref.scope for member in snapshot.routes[0].members] == ["web-1"]


async def test_a_silent_server_fails_in_seconds(tmp_path: Path, host: Host) -> None:
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        block = f"Host web-1\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {host.keys.plain}\n"
        began = time.monotonic()
        with pytest.raises(Unreachable):
            await _read(deck_environment(environment(tmp_path, [host], web_1=block)))
        assert time.monotonic() - began < 12


async def test_a_host_that_comes_back_is_read_again(make_host: Callable[..., Host], tmp_path: Path) -> None:
    host = make_host("flaky")
    host.start()
    reader = adapter.open_reader(deck_environment(environment(tmp_path, [host])), NO_SECRETS)
    assert (await reader.read()).routes
    host.stop()
    with pytest.raises(Unreachable):
        await reader.read()
    host.start()
    end = time.monotonic() + 10
    while True:
        try:
            assert (await reader.read()).routes
            break
        except Unreachable:
            assert time.monotonic() < end
    await reader.close()


async def test_a_missing_configuration_is_named(host: Host, tmp_path: Path) -> None:
    ssh = environment(tmp_path, [host])
    with pytest.raises(NotFound, match=r"/etc/nginx/absent\.conf"):
        await _read(deck_environment(ssh, ProxyConfig("nginx", config="/etc/nginx/absent.conf")))
    with pytest.raises(DeckError, match="envoy"):
        reader = adapter.open_reader(deck_environment(ssh), NO_SECRETS)
        from adapters.ssh.proxies.table import proxy_for

        await reader.close()
        proxy_for("envoy")


async def test_a_file_outside_the_proxys_tree_is_not_read(host: Host, tmp_path: Path) -> None:
    (host.root / "nginx" / "sites-enabled" / "odd").write_text("include /etc/shadow;\n")
    try:
        reader = adapter.open_reader(deck_environment(environment(tmp_path, [host])), NO_SECRETS)
        checks = await reader.check()
        snapshot = await reader.read()
        await reader.close()
    finally:
        (host.root / "nginx" / "sites-enabled" / "odd").unlink()
    assert any("/etc/shadow" in check.detail and "outside" in check.detail for check in checks)
    assert "/etc/shadow on web-1: outside the proxy's own tree" in [str(one) for one in snapshot.missing]


async def test_where_forwarding_is_refused_a_program_on_the_host_reaches_the_socket(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    host = make_host("strict", forwarding=False)
    host.start()
    reader = adapter.open_reader(deck_environment(environment(tmp_path, [host]), ProxyConfig("haproxy")), NO_SECRETS)
    checks = await reader.check()
    counted = await reader.count()
    await reader.close()
    assert not [check for check in checks if check.check.startswith("runtime")]
    assert [str(one.ref) for one in counted] == ["lb/HAProxyBackend/strict/chat"]


async def test_a_forbidden_forward_to_a_socket_is_named_beside_what_else_failed(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    host = make_host("walled", forwarding=False)
    host.start()
    proxy = ProxyConfig("haproxy", socket="/run/haproxy/absent.sock")
    reader = adapter.open_reader(deck_environment(environment(tmp_path, [host]), proxy), NO_SECRETS)
    [check] = [check for check in await reader.check() if check.check.startswith("runtime")]
    await reader.close()
    assert "it does not let this user in" in check.detail
    assert "SSH server does not forward to the socket" in check.detail


async def test_a_key_that_cannot_be_used_from_its_file_is_named(host: Host, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    ssh = environment(tmp_path, [host], web_1=host.config_block(key=tmp_path / "token"))
    with pytest.raises(AuthError, match="token holds no private key that can be used"):
        await _read(deck_environment(ssh))


async def test_an_account_without_a_shell_is_told(make_host: Callable[..., Host], tmp_path: Path) -> None:
    host = make_host("locked")
    key = host.keys.plain.with_suffix(".pub").read_text()
    (host.root / "authorized" / "root").write_text(f'restrict,command="/bin/echo no" {key}')
    host.start()
    with pytest.raises(ControlError) as refused:
        await _read(deck_environment(environment(tmp_path, [host])))
    assert isinstance(refused.value, Unreachable | Forbidden)
    assert "shell" in str(refused.value)
