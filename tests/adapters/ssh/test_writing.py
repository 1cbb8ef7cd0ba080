"""Writing to real hosts: the precondition, the proof, and the old file in force after every failure."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from preparing import prepared
from sshhost import MODELS, NO_SECRETS, UID, USER, Host, Watched, deck_environment, environment, nginx_lifecycle

from adapters.ssh import adapter
from adapters.ssh.client import remote_writer
from adapters.ssh.client.ports import FileChange, FileReplacement
from adapters.ssh.reader import SshReader
from adapters.ssh.section import ProxyConfig
from adapters.ssh.sources import RemoteHosts, RemoteWriters
from control.errors import ControlError, Forbidden, InvalidValue, Locked, PlatformError, Stale, Unreachable
from control.model import AccessState
from control.model.ref import Ref
from control.planning.edit import Change
from control.ports import Prepared, ProofState, Writer, Written

FILE = "/etc/nginx/conf.d/models.conf"
NGINX = ProxyConfig("nginx", config="/etc/nginx/nginx.conf")


@dataclass
class Deck:
    """One host with its reader and writer."""

    host: Host
    reader: SshReader
    writer: Writer

    def change(self, after: int, target: str = "127.0.0.1:9", before: int = 9) -> Change:
        ref = Ref("lb", "NginxUpstream", self.host.name, "llama")
        return Change(ref, f"targets/{target}/weight", before, after)

    async def step(self, after: int) -> Prepared:
        [step] = await prepared(self.reader, [self.change(after)])
        return step

    async def replace(self, data: bytes, proxy: ProxyConfig = NGINX, reload: bool = True, seconds: float = 2) -> str:
        """Replace the file by way of the transport alone."""
        hosts = self.reader.hosts
        assert isinstance(hosts, RemoteHosts)
        writer = await RemoteWriters(hosts, self.reader._sudo).writer(self.host.name)
        expected = hashlib.sha256(self.text).hexdigest()
        change = FileChange(FILE, expected, data)
        lifecycle = await nginx_lifecycle(await hosts.reader(self.host.name), proxy)
        return (await writer.replace_files(FileReplacement(lifecycle, (change,), reload, seconds))).said

    @property
    def file(self) -> Path:
        return self.host.inside(FILE)

    @property
    def text(self) -> bytes:
        return self.file.read_bytes()

    def leftovers(self) -> list[str]:
        return [path.name for path in self.file.parent.iterdir() if path.name != self.file.name]


def _open(host: Host, folder: Path, user: str = "root", sudo: bool = False) -> Deck:
    config = deck_environment(environment(folder, [host], user=user, sudo=sudo))
    reader = adapter.open_reader(config, NO_SECRETS)
    assert isinstance(reader, SshReader)
    return Deck(host, reader, adapter.open_writer(config, NO_SECRETS, reader))


@pytest.fixture
async def deck(host: Host, tmp_path: Path) -> AsyncIterator[Deck]:
    opened = _open(host, tmp_path)
    (host.root / "nginx" / "conf.d" / "models.conf").write_text(MODELS.replace("ADDRESS", host.address))
    host.run("nginx", "-s", "reload")
    yield opened
    await opened.reader.close()


async def test_a_weight_is_written_loaded_and_the_other_bytes_stay(deck: Deck) -> None:
    before = deck.text
    step = await deck.step(7)
    assert "+    server 127.0.0.1:9 weight=7;" in step.diff
    said = (await deck.writer.write(step)).said
    assert "2 new workers" in said
    assert deck.text == before.replace(b"weight=9", b"weight=7")
    assert (await deck.reader.loaded(step)).state is ProofState.YES
    assert deck.leftovers() == []


async def test_a_haproxy_weight_is_written_and_runs_without_a_reload(deck: Deck) -> None:
    ref = Ref("lb", "HAProxyBackend", deck.host.name, "chat")
    [before] = [c.ref for c in await deck.reader.count() if c.ref == ref] or [ref]
    [step] = await prepared(deck.reader, [Change(before, "targets/a/weight", 90, 70)])
    pids = deck.host.run("pidof", "haproxy")
    await deck.writer.write(step)
    assert (await deck.reader.loaded(step)).state is ProofState.YES
    assert deck.host.run("pidof", "haproxy") == pids
    [back] = await prepared(deck.reader, [Change(ref, "targets/a/weight", 70, 90)])
    await deck.writer.write(back)


async def test_twenty_writers_with_one_base_have_one_winner(deck: Deck, tmp_path: Path) -> None:
    decks = []
    for number in range(20):
        (tmp_path / str(number)).mkdir()
        decks.append(_open(deck.host, tmp_path / str(number)))
    steps = [await one.step(11 + number) for number, one in enumerate(decks)]
    outcomes = await asyncio.gather(
        *(one.writer.write(step) for one, step in zip(decks, steps, strict=True)), return_exceptions=True
    )
    winners = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, Written)]
    assert len(winners) == 1, outcomes
    assert sum(isinstance(outcome, Stale) for outcome in outcomes) == 19, outcomes
    assert f"weight={11 + winners[0]};".encode() in deck.text
    assert deck.leftovers() == []
    for one in decks:
        await one.reader.close()


async def test_the_transport_alone_lets_one_of_twenty_win(deck: Deck) -> None:
    texts = [deck.text.replace(b"weight=9", b"weight=%d" % number) for number in range(30, 50)]
    outcomes = await asyncio.gather(*(deck.replace(text) for text in texts), return_exceptions=True)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1, outcomes
    assert sum(isinstance(outcome, Stale) for outcome in outcomes) == 19, outcomes


async def test_a_stale_base_writes_nothing(deck: Deck) -> None:
    step = await deck.step(7)
    theirs = deck.text + b"# somebody else\n"
    deck.file.write_bytes(theirs)
    with pytest.raises(Stale):
        await deck.writer.write(step)
    assert deck.text == theirs


async def test_owner_mode_acl_and_attributes_are_kept(deck: Deck) -> None:
    os.chown(deck.file, 12, 34)
    deck.file.chmod(0o640)
    # version 2; owner rw-, user 1000 r--, group r--, mask r--, others ---
    acl = bytes.fromhex("0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000000ffffffff")
    os.setxattr(deck.file, "system.posix_acl_access", acl)
    os.setxattr(deck.file, "user.team", b"inference")
    await deck.writer.write(await deck.step(8))
    facts = deck.file.stat()
    assert (facts.st_uid, facts.st_gid, facts.st_mode & 0o777) == (12, 34, 0o640)
    assert os.getxattr(deck.file, "system.posix_acl_access") == acl
    assert os.getxattr(deck.file, "user.team") == b"inference"


async def test_a_symlink_stays_and_its_target_is_replaced(deck: Deck) -> None:
    real = deck.host.inside("/etc/nginx/models.real")
    real.write_bytes(deck.text)
    deck.file.unlink()
    deck.file.symlink_to("../models.real")
    step = await deck.step(6)
    assert step.object.endswith("models.real")
    await deck.writer.write(step)
    assert deck.file.is_symlink()
    assert b"weight=6;" in real.read_bytes()
    deck.file.unlink()


async def test_what_the_proxy_refuses_is_never_in_force(deck: Deck) -> None:
    before, inode = deck.text, deck.file.stat().st_ino
    with pytest.raises(InvalidValue, match="old file is in force"):
        await deck.replace(before.replace(b"weight=9", b"weight=0"))
    assert (deck.text, deck.file.stat().st_ino) == (before, inode)
    assert deck.leftovers() == []


async def test_a_reload_that_is_not_adopted_is_rolled_back(deck: Deck) -> None:
    before = deck.text
    taken = before.replace(b":8080", b":8081")  # HAProxy listens there: `nginx -t` accepts it, the reload does not
    with pytest.raises((PlatformError, InvalidValue), match="old file is in force"):
        await deck.replace(taken)
    assert deck.text == before
    assert deck.leftovers() == []


async def test_a_failing_reload_command_is_rolled_back(deck: Deck) -> None:
    before = deck.text
    proxy = ProxyConfig("nginx", config="/etc/nginx/nginx.conf", reload=("/bin/false",))
    with pytest.raises(PlatformError, match="rolled back"):
        await deck.replace(before.replace(b"weight=9", b"weight=5"), proxy)
    assert deck.text == before


def meddling(deck: Deck, then: str) -> tuple[str, ...]:
    """A reload command that somebody else uses to change the file, before it does `then`."""
    script = deck.host.inside("/etc/nginx/meddle")
    script.write_text(f"#!/bin/sh\nprintf '# theirs\\n' >> {FILE}\n{then}\n")
    script.chmod(0o755)
    return ("/etc/nginx/meddle",)


@pytest.mark.parametrize("then", ["exit 1", "exit 0"], ids=["the reload fails", "the reload is not adopted"])
async def test_what_somebody_changed_meanwhile_is_not_rolled_back(deck: Deck, then: str) -> None:
    new = deck.text.replace(b"weight=9", b"weight=5")
    proxy = ProxyConfig("nginx", config="/etc/nginx/nginx.conf", reload=meddling(deck, then))
    with pytest.raises(PlatformError, match="somebody else has changed it meanwhile") as told:
        await deck.replace(new, proxy)
    assert "rolled back" not in str(told.value)
    assert deck.text == new + b"# theirs\n"
    assert deck.leftovers() == []


async def test_rolled_back_is_not_said_of_a_file_that_nobody_loaded(deck: Deck) -> None:
    """The first reload gets rid of the workers that served; none of the later ones does anything."""
    before = deck.text
    script = deck.host.inside("/etc/nginx/once")
    script.write_text(
        "#!/bin/sh\nnginx -s reload; sleep 1\nprintf 'exit 0\\n' > /etc/nginx/once.new; "
        "chmod 755 /etc/nginx/once.new; mv /etc/nginx/once.new /etc/nginx/once\nexit 1\n"
    )
    script.chmod(0o755)
    proxy = ProxyConfig("nginx", config="/etc/nginx/nginx.conf", reload=("/bin/sh", "/etc/nginx/once"))
    with pytest.raises(PlatformError, match="nothing shows that nginx has taken it") as told:
        await deck.replace(before.replace(b"weight=9", b"weight=5"), proxy)
    assert "rolled back" not in str(told.value)
    assert deck.text == before
    back = deck.change(5)
    reversed_ = Change(back.ref, back.field, 5, 9)
    name = f"lb/NginxFile/{deck.host.name}/{FILE.replace('/', '%2F')}"
    part = await deck.reader.running(name, [reversed_], {})
    assert part.state is ProofState.NO and "on disk only" in part.detail
    deck.host.run("nginx", "-s", "reload")
    await asyncio.sleep(0.5)
    assert (await deck.reader.running(name, [reversed_], {})).state is ProofState.YES


async def test_a_full_disk_leaves_the_old_file(make_host: Callable[..., Host], tmp_path: Path) -> None:
    host = make_host("small")
    host.small_disk = True
    host.start()
    deck = _open(host, tmp_path)
    step = await deck.step(7)
    before = deck.text
    filler = host.inside("/etc/nginx/filler")
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(b"x" * 512)
    with pytest.raises(PlatformError, match="No space left"):
        await deck.writer.write(step)
    assert deck.text == before
    assert deck.leftovers() == []
    await deck.reader.close()


async def test_a_connection_that_breaks_in_the_middle_leaves_the_old_file(deck: Deck) -> None:
    before = deck.text
    big = before + b"# " + b"x" * 30_000_000 + b"\n"
    writing = asyncio.create_task(deck.replace(big))
    for _ in range(500):
        await asyncio.sleep(0.005)
        if any(name.endswith(".new") for name in deck.leftovers()):
            break
    _cut_sessions(deck.host)
    with pytest.raises(Unreachable):
        await writing
    for _ in range(100):
        if not deck.leftovers():
            break
        await asyncio.sleep(0.05)
    assert deck.text == before
    assert deck.leftovers() == []


def _cut_sessions(host: Host) -> None:
    """End the sshd processes of open connections, not the listener."""
    for line in host.run("ps", "-eo", "pid=,ppid=,args=").splitlines():
        pid, parent, args = line.split(None, 2)
        if args.startswith("sshd: root@") or (args.startswith("sshd: root") and parent == "1"):
            host.run("kill", "-9", pid)


async def test_an_ordinary_user_without_rights_is_told_which(host: Host, tmp_path: Path) -> None:
    deck = _open(host, tmp_path, USER)
    access = await deck.reader.access()
    assert access.state is AccessState.READ_ONLY_BY_ROLE
    step = await deck.step(7)
    assert any("may not replace" in warning for warning in step.warnings)
    before = deck.text
    with pytest.raises(Forbidden, match="may not replace"):
        await deck.writer.write(step)
    assert deck.text == before
    await deck.reader.close()


async def test_an_ordinary_user_with_sudo_writes(host: Host, tmp_path: Path) -> None:
    deck = _open(host, tmp_path, USER, sudo=True)
    (host.root / "nginx" / "conf.d" / "models.conf").write_text(MODELS.replace("ADDRESS", host.address))
    assert (await deck.reader.access()).state is AccessState.WRITABLE
    await deck.writer.write(await deck.step(4))
    assert b"weight=4;" in deck.text
    assert deck.file.stat().st_uid == 0
    await deck.reader.close()


async def test_sudo_reads_what_only_root_may(host: Host, tmp_path: Path) -> None:
    inside = host.inside(FILE)
    inside.write_text(MODELS.replace("ADDRESS", host.address))
    inside.chmod(0o600)
    try:
        deck = _open(host, tmp_path, USER, sudo=True)
        assert any(route.ref.name == "llama" for route in (await deck.reader.read()).routes)
        await deck.reader.close()
        (tmp_path / "plain").mkdir()
        plain = _open(host, tmp_path / "plain", USER)
        snapshot = await plain.reader.read()
        assert not any(route.ref.name == "llama" for route in snapshot.routes)
        assert [str(one) for one in snapshot.missing] == [f"{FILE} on web-1: not readable for this user"]
        await plain.reader.close()
    finally:
        inside.chmod(0o644)


async def test_single_sudo_rules_and_own_files_are_enough(make_host: Callable[..., Host], tmp_path: Path) -> None:
    host = make_host("minimal")
    host.sudoers = f"{USER} ALL=(root) NOPASSWD: /usr/sbin/nginx -t, /usr/sbin/nginx -s reload\n"
    for path in (host.root / "nginx", *(host.root / "nginx").rglob("*")):
        os.chown(path, UID, UID)
    host.start()
    deck = _open(host, tmp_path, USER, sudo=True)
    assert "2 new workers" in (await deck.writer.write(await deck.step(3))).said
    before = deck.text
    with pytest.raises(InvalidValue, match="weight=0"):
        await deck.replace(before.replace(b"weight=3", b"weight=0"))
    assert deck.text == before
    assert deck.file.stat().st_uid == UID
    await deck.reader.close()


async def test_reading_writes_nothing(host: Host, tmp_path: Path) -> None:
    watched = Watched(host.root / "nginx", host.root / "haproxy", host.root / "run", host.root / "var" / "lib")
    config = deck_environment(environment(tmp_path, [host]))
    reader = adapter.open_reader(config, NO_SECRETS)
    snapshot = await reader.read()
    refs = [route.ref for route in snapshot.routes] + [limit.ref for limit in snapshot.limits]
    for ref in refs:
        await reader.native(ref)
    await reader.fetch([snapshot.routes[0].object])
    steps = await prepared(reader, [Change(snapshot.routes[0].ref, "targets/127.0.0.1:9/weight", 9, 2)])
    await reader.loaded(steps[0])
    await reader.count()
    await reader.access()
    await reader.check()
    watching = asyncio.create_task(anext(aiter(reader.watch())))
    await asyncio.sleep(1.3)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await reader.close()
    assert watched.events() == b""
    watched.close()
    assert not hasattr(reader, "write")


async def test_a_change_by_somebody_else_is_seen_within_seconds(deck: Deck) -> None:
    await deck.reader.read()
    watching = asyncio.create_task(anext(aiter(deck.reader.watch())))
    await asyncio.sleep(1.5)
    if watching.done():
        watching = asyncio.create_task(anext(aiter(deck.reader.watch())))
        await asyncio.sleep(1.5)
    deck.file.write_bytes(deck.text + b"\n")
    await asyncio.wait_for(watching, 3)


async def test_a_haproxy_command_that_is_refused_takes_the_file_back(deck: Deck) -> None:
    ref = Ref("lb", "HAProxyBackend", deck.host.name, "chat")
    [step] = await prepared(deck.reader, [Change(ref, "targets/a/weight", 90, 60)])
    config = deck.host.inside("/etc/haproxy/haproxy.cfg")
    before = config.read_bytes()
    hosts = deck.reader.hosts
    assert isinstance(hosts, RemoteHosts)
    writer = await RemoteWriters(hosts, False).writer(deck.host.name)
    with pytest.raises(ControlError):
        await writer.tell("haproxy", "/run/haproxy/user.sock", step.payload.edit.commands)
    with pytest.raises(InvalidValue):
        await writer.tell("haproxy", "/run/haproxy/admin.sock", ["set server chat/a weight 5; shutdown sessions"])
    assert config.read_bytes() == before


@pytest.mark.parametrize(
    "name", ["we ird.conf", "$(touch pwned).conf", "it's;quoted\".conf", "ünï[x].conf", "-rf.conf"]
)
async def test_hostile_file_names_are_only_names(deck: Deck, name: str) -> None:
    text = deck.text
    odd = deck.file.with_name(name)
    deck.file.rename(odd)
    try:
        step = await deck.step(2)
        assert Ref.parse(step.object).name == f"/etc/nginx/conf.d/{name}"
        await deck.writer.write(step)
        assert odd.read_bytes() == text.replace(b"weight=9", b"weight=2")
        assert [path.name for path in odd.parent.iterdir()] == [name]
    finally:
        odd.unlink()


async def test_a_file_that_does_not_parse_is_told_and_costs_only_its_proxy(deck: Deck) -> None:
    before = deck.text
    deck.file.write_bytes(before + b"upstream broken { server \x1b[31m")
    try:
        snapshot = await deck.reader.read()
        [missing] = snapshot.missing
        assert missing.what == "web-1 nginx"
        assert "models.conf" in missing.why
        assert "\x1b" not in missing.why
        assert [route.kind for route in snapshot.routes] == ["HAProxyBackend"]
    finally:
        deck.file.write_bytes(before)


async def test_a_lock_held_by_somebody_else_is_told(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_writer, "LOCK_WAIT", 1)
    before = deck.text
    folder = os.open(deck.file.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        with pytest.raises(Locked):
            await deck.replace(before + b"# more\n")
    finally:
        os.close(folder)
    assert deck.text == before
    await deck.replace(before + b"# more\n")


async def test_a_socket_of_root_alone_is_reached_by_sudo_only(host: Host, tmp_path: Path) -> None:
    socket, other = host.inside("/run/haproxy/admin.sock"), host.inside("/run/haproxy/user.sock")
    for one in (socket, other):
        one.chmod(0o600)
    (tmp_path / "plain").mkdir()
    plain, deck = _open(host, tmp_path / "plain", USER), _open(host, tmp_path, USER, sudo=True)
    try:
        checks = await plain.reader.check()
        assert any(check.check.startswith("runtime") and check.state == "warn" for check in checks)
        ref = Ref("lb", "HAProxyBackend", host.name, "chat")
        [step] = await prepared(deck.reader, [Change(ref, "targets/a/weight", 90, 80)])
        await deck.writer.write(step)
        assert (await deck.reader.loaded(step)).state is ProofState.YES
        await deck.writer.write((await prepared(deck.reader, [Change(ref, "targets/a/weight", 80, 90)]))[0])
    finally:
        socket.chmod(0o660)
        other.chmod(0o666)
        await plain.reader.close()
        await deck.reader.close()
