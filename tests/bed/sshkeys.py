"""Keys, known hosts and the ssh config of a bed: files in its folder, nothing of the user's is touched."""

from __future__ import annotations

from pathlib import Path

from tests.bed.build import run
from tests.bed.layout import HOSTS, LB_HOSTS, SSH_PORT, Layout

DEPLOY = "deploy"
JUMP_HOST, JUMPED_HOST = LB_HOSTS


def login(host: str) -> str:
    """Who the deck logs in as: root, but an ordinary user with sudo rules on the HAProxy hosts."""
    return DEPLOY if host in LB_HOSTS else "root"


def make(layout: Layout) -> None:
    """Make the deck's key pair, one host key per host, known_hosts and the ssh config."""
    layout.ssh.mkdir(parents=True, exist_ok=True)
    layout.ssh.chmod(0o700)
    _key(layout.ssh / "id_deck", "deck")
    known = []
    for host in HOSTS:
        folder = layout.host_folder(host) / "etc-ssh"
        (folder / "keys").mkdir(parents=True, exist_ok=True)
        _key(folder / "ssh_host_ed25519_key", host)
        kind, data = (folder / "ssh_host_ed25519_key.pub").read_text().split()[:2]
        known += [f"[{layout.host(host)}]:{SSH_PORT} {kind} {data}", f"[{host}]:{SSH_PORT} {kind} {data}"]
        authorized = folder / "keys" / login(host)
        authorized.write_text((layout.ssh / "id_deck.pub").read_text())
    (layout.ssh / "known_hosts").write_text("\n".join(known) + "\n")
    (layout.ssh / "config").write_text(_config(layout))


def _key(path: Path, comment: str) -> None:
    for old in (path, path.with_name(path.name + ".pub")):
        old.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)], seconds=20)


def _config(layout: Layout) -> str:
    lines = []
    for host in HOSTS:
        lines += [f"Host {host}", f"    HostName {layout.host(host)}", f"    User {login(host)}"]
        if host == JUMPED_HOST:
            lines.append(f"    ProxyJump {JUMP_HOST}")
        lines.append("")
    lines += [
        "Host *",
        f"    Port {SSH_PORT}",
        f"    IdentityFile {layout.ssh / 'id_deck'}",
        "    IdentitiesOnly yes",
        f"    UserKnownHostsFile {layout.ssh / 'known_hosts'}",
        "    GlobalKnownHostsFile /dev/null",
        "    StrictHostKeyChecking yes",
        "    ConnectTimeout 5",
    ]
    return "\n".join(lines) + "\n"
