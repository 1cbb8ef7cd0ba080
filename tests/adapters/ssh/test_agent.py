"""Keys of an SSH agent, a real one and one that never answers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sshhost import NO_SECRETS, Host, Keys, deck_environment, environment, make_key

from adapters.ssh import adapter
from control.errors import AuthError
from control.model import Snapshot
from control.ports import Secrets


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


async def _read(host: Host, folder: Path, block: str, secrets: Secrets = NO_SECRETS) -> Snapshot:
    blocks = {host.name.replace("-", "_"): block}
    reader = adapter.open_reader(deck_environment(environment(folder, [host], **blocks)), secrets)
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


async def test_a_public_key_whose_private_half_is_in_the_agent_alone(
    host: Host, tmp_path: Path, ssh_keys: Keys, agent: Path
) -> None:
    shutil.copy(f"{ssh_keys.plain}.pub", tmp_path / "work.pub")
    make_key(tmp_path / "others")
    subprocess.run(["ssh-add", "-q", str(tmp_path / "others")], check=True, timeout=10)  # noqa: ASYNC221
    for named in ("work.pub", "work"):
        block = _block(host, f"IdentityFile {tmp_path}/{named}", "IdentitiesOnly yes")
        assert (await _read(host, tmp_path, block)).routes, named


async def test_the_public_half_is_found_in_an_encrypted_private_file(
    host: Host, tmp_path: Path, ssh_keys: Keys, agent: Path
) -> None:
    copy = tmp_path / "id"
    subprocess.run(["cp", str(ssh_keys.locked), str(copy)], check=True)  # noqa: ASYNC221
    _add_locked(ssh_keys)
    assert (await _read(host, tmp_path, _block(host, f"IdentityFile {copy}", "IdentitiesOnly yes"))).routes


def _add_locked(keys: Keys) -> None:
    opened = keys.folder / "id_unlocked"
    opened.write_bytes(keys.locked.read_bytes())
    opened.chmod(0o600)
    change = ["ssh-keygen", "-q", "-p", "-P", keys.passphrase, "-N", "", "-f", str(opened)]
    subprocess.run(change, check=True, timeout=20)
    subprocess.run(["ssh-add", "-q", str(opened)], check=True, timeout=10)
    opened.unlink()


async def test_with_identities_only_the_agents_other_keys_are_not_offered(
    host: Host, tmp_path: Path, agent: Path
) -> None:
    make_key(tmp_path / "stranger")
    block = _block(host, f"IdentityFile {tmp_path}/stranger", "IdentitiesOnly yes")
    with pytest.raises(AuthError, match="accepts no key of ours"):
        await _read(host, tmp_path, block)
    assert (await _read(host, tmp_path, _block(host, f"IdentityFile {tmp_path}/stranger"))).routes


async def test_a_full_agent_does_not_crowd_out_the_file_that_is_named(
    host: Host, tmp_path: Path, ssh_keys: Keys, agent: Path
) -> None:
    subprocess.run(["ssh-add", "-q", "-D"], check=True, timeout=10)  # noqa: ASYNC221
    for number in range(8):
        make_key(tmp_path / f"k{number}")
        subprocess.run(["ssh-add", "-q", str(tmp_path / f"k{number}")], check=True, timeout=10)  # noqa: ASYNC221
    assert (await _read(host, tmp_path, _block(host, f"IdentityFile {ssh_keys.plain}"))).routes
    with_passphrase = Secrets(lambda what, key: ssh_keys.passphrase)
    assert (await _read(host, tmp_path, _block(host, f"IdentityFile {ssh_keys.locked}"), with_passphrase)).routes


async def test_no_passphrase_is_asked_for_where_the_agent_has_a_key_that_fits(
    host: Host, tmp_path: Path, ssh_keys: Keys, agent: Path
) -> None:
    asked: list[str] = []
    secrets = Secrets(lambda what, key: asked.append(key) or None)
    assert (await _read(host, tmp_path, _block(host, f"IdentityFile {ssh_keys.locked}"), secrets)).routes
    assert asked == []


@pytest.fixture
def certified(make_host: Callable[..., Host], tmp_path: Path) -> tuple[Host, Path]:
    """A host that takes certificates of one authority alone, and a key with a certificate of it."""
    make_key(tmp_path / "authority")
    make_key(tmp_path / "person")
    sign = [
        "ssh-keygen",
        "-q",
        "-s",
        str(tmp_path / "authority"),
        "-I",
        "me",
        "-n",
        "root",
        str(tmp_path / "person.pub"),
    ]
    subprocess.run(sign, check=True, timeout=20)
    made = make_host(f"ca-{tmp_path.name[-12:]}".replace("_", "-"))
    (made.root / "authority.pub").write_text((tmp_path / "authority.pub").read_text())
    (made.root / "authorized" / "root").write_text("")
    made.sshd = "TrustedUserCAKeys /mnt/authority.pub\n"
    made.start()
    return made, tmp_path / "person"


async def test_certificates_beside_the_key_named_apart_and_of_an_agents_key(
    certified: tuple[Host, Path], tmp_path: Path, agent: Path
) -> None:
    host, key = certified
    assert (await _read(host, tmp_path, _block(host, f"IdentityFile {key}", "IdentitiesOnly yes"))).routes
    elsewhere = tmp_path / "elsewhere-%n.pub"
    shutil.move(f"{key}-cert.pub", str(elsewhere).replace("%n", host.name))
    with pytest.raises(AuthError):
        await _read(host, tmp_path, _block(host, f"IdentityFile {key}", "IdentitiesOnly yes"))
    lines = [f"IdentityFile {key}", f"CertificateFile {elsewhere}", "IdentitiesOnly yes"]
    assert (await _read(host, tmp_path, _block(host, *lines))).routes
    subprocess.run(["ssh-add", "-q", str(key)], check=True, timeout=10)  # noqa: ASYNC221
    key.unlink()
    assert (await _read(host, tmp_path, _block(host, *lines))).routes


async def test_a_certificate_that_the_host_refuses_does_not_hide_its_key(
    host: Host, tmp_path: Path, ssh_keys: Keys
) -> None:
    for name in ("id", "id.pub"):
        shutil.copy(f"{ssh_keys.plain}{name[2:]}", tmp_path / name)
    (tmp_path / "id").chmod(0o600)
    make_key(tmp_path / "unknown-authority")
    sign = ["ssh-keygen", "-q", "-s", str(tmp_path / "unknown-authority"), "-I", "me", str(tmp_path / "id.pub")]
    subprocess.run(sign, check=True, timeout=20)  # noqa: ASYNC221
    block = _block(host, f"IdentityFile {tmp_path}/id", "IdentitiesOnly yes")
    assert (await _read(host, tmp_path, block)).routes
    (tmp_path / "id-cert.pub").write_text("damaged")
    assert (await _read(host, tmp_path, block)).routes
