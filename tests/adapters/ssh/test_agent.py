"""Keys of an SSH agent, a real one and one that never answers."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sshhost import NO_SECRETS, Host, Keys, deck_environment, environment

from adapters.ssh import adapter
from control.errors import AuthError
from control.model import Snapshot


@pytest.fixture
def agent(tmp_path: Path, ssh_keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "agent.sock"
    running = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    end = time.monotonic() + 5
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    subprocess.run(["ssh-add", "-q", str(ssh_keys.plain)], check=True, timeout=10, env={**os.environ})
    yield path
    running.terminate()
    running.wait(5)


async def _read(host: Host, folder: Path, block: str) -> Snapshot:
    reader = adapter.open_reader(deck_environment(environment(folder, [host], web_1=block)), NO_SECRETS)
    try:
        return await reader.read()
    finally:
        await reader.close()


def _block(host: Host, *lines: str) -> str:
    head = f"Host {host.name}\n  HostName {host.address}\n  Port {host.port}\n  User root\n"
    return head + "".join(f"  {line}\n" for line in lines)


async def test_the_agents_key_is_used_without_a_file(host: Host, tmp_path: Path, agent: Path) -> None:
    block = _block(host, f"IdentityFile {tmp_path}/absent")
    assert (await _read(host, tmp_path, block)).routes


async def test_an_agent_named_by_the_config_is_used(
    host: Host, tmp_path: Path, agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK")
    block = _block(host, f"IdentityFile {tmp_path}/absent", f"IdentityAgent {agent}")
    assert (await _read(host, tmp_path, block)).routes


async def test_the_agents_copy_of_a_locked_key_needs_no_passphrase(
    host: Host, tmp_path: Path, ssh_keys: Keys, agent: Path
) -> None:
    subprocess.run(["cp", f"{ssh_keys.plain}.pub", f"{tmp_path}/id.pub"], check=True)  # noqa: ASYNC221
    subprocess.run(["cp", str(ssh_keys.locked), f"{tmp_path}/id"], check=True)  # noqa: ASYNC221
    assert (await _read(host, tmp_path, _block(host, f"IdentityFile {tmp_path}/id", "IdentitiesOnly yes"))).routes


async def test_an_agent_that_never_answers_costs_seconds_only(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "silent.sock"))
        began = time.monotonic()
        with pytest.raises(AuthError, match="no key to offer"):
            await _read(host, tmp_path, _block(host, f"IdentityFile {tmp_path}/absent"))
        assert time.monotonic() - began < 12
