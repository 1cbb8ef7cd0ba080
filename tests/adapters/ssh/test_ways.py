"""The ways to hosts that ssh config can describe, and servers that allow little: real sshd, real programs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from preparing import prepared
from sshhost import NO_SECRETS, USER, Host, deck_environment, environment

from adapters.ssh import adapter
from adapters.ssh.reader import SshReader
from adapters.ssh.section import ProxyConfig, SshConfig
from control.deck.config import EnvironmentConfig
from control.errors import AuthError, Forbidden, Unreachable
from control.model import Snapshot
from control.model.ref import Ref
from control.planning.edit import Change


async def _read(config: EnvironmentConfig) -> Snapshot:
    reader = adapter.open_reader(config, NO_SECRETS)
    try:
        return await reader.read()
    finally:
        await reader.close()


def _pipe(folder: Path) -> Path:
    """A program that carries bytes to a host, as `nc` does where it is installed."""
    program = folder / "carry"
    program.write_text(
        "#!/usr/bin/env python3\nimport os, select, socket, sys\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "while True:\n"
        "    for f in select.select([0, s], [], [])[0]:\n"
        "        d = os.read(0, 65536) if f == 0 else s.recv(65536)\n"
        "        if not d: sys.exit()\n"
        "        s.sendall(d) if f == 0 else os.write(1, d)\n"
    )
    program.chmod(0o755)
    return program


async def test_a_proxy_command_carries_the_connection_and_ends_with_it(host: Host, tmp_path: Path) -> None:
    program = _pipe(tmp_path)
    block = host.config_block(extra=f"  ProxyCommand {program} {host.address} %p\n  HostKeyAlias web\n")
    ssh = environment(tmp_path, [host], web_1=block.replace(f"HostName {host.address}", "HostName hidden.invalid"))
    (tmp_path / "known_hosts").write_text("web " + host.known_line().partition(" ")[2])
    reader = adapter.open_reader(deck_environment(ssh), NO_SECRETS)
    assert len((await reader.read()).routes) == 2
    assert _running(program)
    await reader.close()
    assert not _running(program)


def _running(program: Path) -> bool:
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(program).encode() in line.read_bytes().split(b"\0"):
                return True
    return False


async def test_what_a_proxy_command_complains_of_is_told(host: Host, tmp_path: Path) -> None:
    program = tmp_path / "refuse"
    program.write_text("#!/bin/sh\necho 'the token of the gate has expired' >&2\nexit 255\n")
    program.chmod(0o755)
    block = host.config_block(extra=f"  ProxyCommand {program}\n")
    with pytest.raises(Unreachable, match="the token of the gate has expired"):
        await _read(deck_environment(environment(tmp_path, [host], web_1=block)))


async def test_a_known_hosts_command_knows_the_host(host: Host, tmp_path: Path) -> None:
    program, asked = tmp_path / "lookup", tmp_path / "asked"
    program.write_text(f'#!/bin/sh\necho "$@" >> {asked}\nprintf \'%s\' "{host.known_line()}"\n')
    program.chmod(0o755)
    block = host.config_block(extra=f"  KnownHostsCommand {program} %I %H %t\n  UserKnownHostsFile /none\n")
    ssh = environment(tmp_path, [host], web_1=block)
    (tmp_path / "known_hosts").write_text("")
    assert (await _read(deck_environment(ssh))).routes
    known = f"[{host.address}]:{host.port}"
    assert asked.read_text().splitlines() == [f"ORDER {known} NONE", f"HOSTNAME {known} ssh-ed25519"]
    program.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(AuthError, match=r"unknown.*KnownHostsCommand .*ended with code 3"):
        await _read(deck_environment(ssh))


async def test_a_list_of_revoked_keys_stops_a_known_host(host: Host, tmp_path: Path) -> None:
    (tmp_path / "revoked").write_text((host.root / "host_key.pub").read_text())
    block = host.config_block(extra=f"  RevokedHostKeys {tmp_path}/revoked\n")
    ssh = environment(tmp_path, [host], web_1=block)
    with pytest.raises(AuthError, match="REVOKED"):
        await _read(deck_environment(ssh))
    (tmp_path / "revoked").write_text("")
    assert (await _read(deck_environment(ssh))).routes


async def test_a_bastion_that_forbids_forwarding_is_named_as_that(
    make_host: Callable[..., Host], host: Host, tmp_path: Path
) -> None:
    bastion = make_host("gate", forwarding=False)
    bastion.start(proxies=False)
    blocks = {"gate": bastion.config_block(USER), "web_1": host.config_block(extra="  ProxyJump gate\n")}
    ssh = environment(tmp_path, [host, bastion], **blocks)
    with pytest.raises(Forbidden, match=r"gate does not forward to .*forbids it"):
        await _read(deck_environment(replace(ssh, hosts=("web-1",))))


async def test_a_host_with_one_session_is_read_written_and_watched(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    host = make_host("narrow")
    host.sshd = "MaxSessions 1\n"
    host.start()
    config = deck_environment(environment(tmp_path, [host], user=USER, sudo=True))
    reader = adapter.open_reader(config, NO_SECRETS)
    assert isinstance(reader, SshReader)
    writer = adapter.open_writer(config, NO_SECRETS, reader)
    host.inside("/etc/nginx/conf.d/models.conf").chmod(0o600)  # needs the root shell beside ours
    try:
        assert len((await reader.read()).routes) == 2
        watching = asyncio.create_task(anext(aiter(reader.watch())))
        for after, before in ((7, 9), (9, 7)):
            ref = Ref("lb", "NginxUpstream", "narrow", "llama")
            [step] = await prepared(reader, [Change(ref, "targets/127.0.0.1:9/weight", before, after)])
            written, *_ = await asyncio.gather(writer.write(step), reader.count(), reader.access())
            assert "2 new workers" in written.said
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    finally:
        await reader.close()


async def test_a_server_that_opens_no_session_is_named_as_that(make_host: Callable[..., Host], tmp_path: Path) -> None:
    host = make_host("shut")
    host.sshd = "MaxSessions 0\n"
    host.start(proxies=False)
    with pytest.raises(Forbidden, match="opens no session"):
        await _read(deck_environment(environment(tmp_path, [host]), ProxyConfig("nginx")))


async def test_an_address_of_version_six_with_a_port(
    make_host: Callable[..., Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = make_host("six")
    host.sshd = f"ListenAddress [::1]:{host.port}\n"
    host.start()
    kind, key, *_ = (host.root / "host_key.pub").read_text().split()
    (tmp_path / "known").write_text(f"[::1]:{host.port} {kind} {key}\n")
    (tmp_path / "config").write_text(f"Host *\n  User root\n  IdentityFile {host.keys.plain}\n  IdentitiesOnly yes\n")
    name = f"[::1]:{host.port}"
    ssh = SshConfig((name,), str(tmp_path / "config"), str(tmp_path / "known"))
    snapshot = await _read(deck_environment(ssh, ProxyConfig("nginx")))
    assert [str(route.ref) for route in snapshot.routes] == [f"lb/NginxUpstream/{name}/llama"]
