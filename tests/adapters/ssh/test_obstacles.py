"""What keeps a host's files from being written is named as what it is, before and while it is tried."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from preparing import prepared
from sshhost import NO_SECRETS, USER, Host, deck_environment, environment

from adapters.ssh import adapter
from adapters.ssh.client import privileges as means
from adapters.ssh.reader import SshReader
from adapters.ssh.section import ProxyConfig
from control.errors import ControlError, Forbidden
from control.model import AccessState
from control.model.ref import Ref
from control.planning.edit import Change
from control.ports import Check, Prepared, Writer

FILE = "/etc/nginx/conf.d/models.conf"
NGINX = ProxyConfig("nginx", config="/etc/nginx/nginx.conf")


class Deck:
    def __init__(self, host: Host, folder: Path, user: str = USER, sudo: bool = True) -> None:
        config = deck_environment(environment(folder, [host], user=user, sudo=sudo), NGINX)
        reader = adapter.open_reader(config, NO_SECRETS)
        assert isinstance(reader, SshReader)
        self.host, self.reader = host, reader
        self.writer: Writer = adapter.open_writer(config, NO_SECRETS, reader)

    async def step(self, after: int = 7) -> Prepared:
        ref = Ref("lb", "NginxUpstream", self.host.name, "llama")
        [step] = await prepared(self.reader, [Change(ref, "targets/127.0.0.1:9/weight", 9, after)])
        return step

    async def refused(self) -> ControlError:
        step = await self.step()
        before = self.host.inside(FILE).read_bytes()
        with pytest.raises(ControlError) as caught:
            await self.writer.write(step)
        assert self.host.inside(FILE).read_bytes() == before
        assert [path.name for path in self.host.inside(FILE).parent.iterdir()] == ["models.conf"]
        return caught.value

    async def checks(self, name: str) -> list[Check]:
        return [check for check in await self.reader.check() if check.check.startswith(name)]


@pytest.mark.parametrize(
    ("sudoers", "cause"),
    [
        (f"{USER} ALL=(root) /bin/sh\n", "sudo asks for a password"),
        (f"{USER} ALL=(root) /bin/sh\n{USER} ALL=(root) NOPASSWD: /usr/bin/id\n", "sudo asks for a password"),
        (f"Defaults:{USER} requiretty\n{USER} ALL=(root) NOPASSWD: /bin/sh\n", "sudo wants a terminal"),
        (f"{USER} ALL=(root) NOPASSWD: /usr/bin/id\n", "sudo does not allow it to this user"),
    ],
)
async def test_what_sudo_wants_is_named(
    make_host: Callable[..., Host], tmp_path: Path, sudoers: str, cause: str
) -> None:
    host = make_host(f"sudo-{tmp_path.name[-1]}")
    host.sudoers = sudoers
    host.start()
    deck = Deck(host, tmp_path)
    access = await deck.reader.access()
    assert access.state is AccessState.READ_ONLY_BY_ROLE
    assert cause in access.why
    [check] = await deck.checks("sudo ")
    assert (check.state, check.detail) == ("warn", cause)
    error = await deck.refused()
    assert isinstance(error, Forbidden)
    assert cause in error.message
    await deck.reader.close()


async def test_sudo_that_is_taken_away_meanwhile_is_named_and_nothing_is_done(
    make_host: Callable[..., Host], tmp_path: Path
) -> None:
    host = make_host("revoked-sudo")
    host.start()
    deck = Deck(host, tmp_path)
    step = await deck.step()
    host.inside("/etc/sudoers.d/deck").write_text(f"{USER} ALL=(root) /bin/sh\n")
    before = host.inside(FILE).read_bytes()
    with pytest.raises(Forbidden, match="sudo asks for a password"):
        await deck.writer.write(step)
    assert host.inside(FILE).read_bytes() == before
    await deck.reader.close()


@pytest.mark.parametrize("user", ["root", USER])
@pytest.mark.parametrize("looked_before", [True, False])
async def test_a_read_only_file_system_is_named(
    make_host: Callable[..., Host],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    user: str,
    looked_before: bool,
) -> None:
    host = make_host(f"ro-{user}-{looked_before}".lower())
    host.mounts = ["mount -o remount,bind,ro /etc/nginx"]
    host.start()
    if not looked_before:
        monkeypatch.setattr(means, "_refuse_impossible", lambda *unused: None)
    deck = Deck(host, tmp_path, user)
    error = await deck.refused()
    assert isinstance(error, Forbidden)
    assert f"{FILE} is on a read-only file system" in error.message
    await deck.reader.close()


@pytest.mark.parametrize("what", [FILE, "/etc/nginx/conf.d"])
@pytest.mark.parametrize("looked_before", [True, False])
async def test_an_immutable_file_or_folder_is_named(
    make_host: Callable[..., Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, looked_before: bool
) -> None:
    host = make_host(f"fixed-{len(what)}-{looked_before}".lower())
    host.start()
    if not looked_before:
        monkeypatch.setattr(means, "_refuse_impossible", lambda *unused: None)
    deck = Deck(host, tmp_path, "root")
    if subprocess.run(["chattr", "+i", str(host.inside(what))], check=False, timeout=10).returncode:  # noqa: ASYNC221
        pytest.skip("this file system knows no immutable files")
    try:
        error = await deck.refused()
    finally:
        subprocess.run(["chattr", "-i", str(host.inside(what))], check=True, timeout=10)  # noqa: ASYNC221
    assert isinstance(error, Forbidden)
    assert "immutable" in error.message
    await deck.reader.close()


async def test_what_a_killed_run_left_is_taken_away_by_the_next_write(host: Host, tmp_path: Path) -> None:
    deck = Deck(host, tmp_path)
    folder = host.inside(FILE).parent
    step = await deck.step()
    program = folder.parent / "slow"
    program.write_text("#!/bin/sh\nsleep 60\n")
    program.chmod(0o755)
    slow = ProxyConfig("nginx", config="/etc/nginx/nginx.conf", validate=("/etc/nginx/slow",))
    hurried = deck_environment(environment(tmp_path, [host], user=USER, sudo=True), slow)
    reader = adapter.open_reader(hurried, NO_SECRETS)
    writer = adapter.open_writer(hurried, NO_SECRETS, reader)
    ref = Ref("lb", "NginxUpstream", host.name, "llama")
    [killed] = await prepared(reader, [Change(ref, "targets/127.0.0.1:9/weight", 9, 3)])
    writing = asyncio.create_task(writer.write(killed))
    left: list[str] = []
    while not left:
        await asyncio.sleep(0.02)
        left = [path.name for path in folder.iterdir() if path.name.endswith(".new")]
    number = left[0].split(".")[-2]
    host.run("sh", "-c", f"kill -9 {' '.join([number, *_children(host, number)])}; true")
    with pytest.raises(ControlError, match="not known"):
        await writing
    await reader.close()
    assert left[0] in [path.name for path in folder.iterdir()]
    (folder / ".models.conf.deck.999999.old").write_text("x")
    others = [".models.conf.swp", ".models.conf.deck.new", ".models.conf.deck.x.old", ".models.conf.deck.1.other"]
    for name in others:
        (folder / name).write_text("not ours")
    try:
        assert "2 new workers" in (await deck.writer.write(step)).said
        assert sorted(path.name for path in folder.iterdir()) == sorted(["models.conf", *others])
        await deck.writer.write((await prepared(deck.reader, [Change(ref, "targets/127.0.0.1:9/weight", 7, 9)]))[0])
    finally:
        for name in others:
            (folder / name).unlink()
        program.unlink()
        await deck.reader.close()


@pytest.mark.parametrize("pid", ["999999", None])
async def test_a_lock_that_a_killed_run_left_is_taken_away_where_there_is_no_flock(
    make_host: Callable[..., Host], tmp_path: Path, pid: str | None
) -> None:
    host = make_host(f"flockless-{pid}".lower())
    host.mounts = ['mount --bind /dev/null "$(command -v flock)"']
    host.start()
    lock = host.inside(FILE).parent / ".trafficdeck.lock"
    lock.mkdir()
    if pid is not None:
        (lock / "pid").write_text(pid)
    else:  # killed before it could say who it was
        os.utime(lock, (time.time() - 300, time.time() - 300))
    deck = Deck(host, tmp_path)
    assert "2 new workers" in (await deck.writer.write(await deck.step())).said
    assert [path.name for path in lock.parent.iterdir()] == ["models.conf"]
    await deck.reader.close()


def _children(host: Host, pid: str) -> list[str]:
    """All processes below one, seen from inside the host."""
    found: list[str] = []
    rows = [line.split() for line in host.run("ps", "-eo", "pid=,ppid=").splitlines()]
    wanted = {pid}
    while more := [child for child, parent in rows if parent in wanted and child not in found]:
        found += more
        wanted |= set(more)
    return found
