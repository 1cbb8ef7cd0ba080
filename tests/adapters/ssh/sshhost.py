"""A host for the tests: sshd, nginx and HAProxy in namespaces of their own, on a loopback address of their own.

Its folders lie under `root` and are bound over /etc/nginx, /run and so on inside, so that they can be looked at and
watched from outside.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from adapters.ssh.client.ports import HostReader, Lifecycle
from adapters.ssh.section import SECTION as SSH
from adapters.ssh.section import ProxyConfig, SshConfig
from control.deck.config import EnvironmentConfig
from control.ports import Secrets
from tests.bed import own_etc

USER = "deckop"
UID = 2101
_FOLDERS = {
    "etc": "/etc",
    "nginx": "/etc/nginx",
    "haproxy": "/etc/haproxy",
    "sudoers.d": "/etc/sudoers.d",
    "run": "/run",
    "var": "/var",
    "home": "/home",
}
_SSHD = """\
{more}ListenAddress {address}:{port}
HostKey {root}/host_key
AuthorizedKeysFile {root}/authorized/%u
PidFile none
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
UseDNS no
AllowTcpForwarding {forwarding}
AllowStreamLocalForwarding {forwarding}
MaxStartups 200:30:300
MaxSessions 10
"""
NGINX = """\
# the front of the models
worker_processes 2;
error_log /var/log/nginx/error.log;
pid /run/nginx.pid;
events { worker_connections 256; }
http {
    access_log off;
    limit_req_zone $binary_remote_addr zone=perip:1m rate=10r/s;
    include /etc/nginx/conf.d/*.conf;
    include sites-enabled/*;
}
"""
MODELS = """\
upstream llama {\t# weights by hand
    zone llama 64k;
    server 127.0.0.1:9 weight=9;
    server 127.0.0.2:9;
}
server {
    listen ADDRESS:8080;
    location / { limit_req zone=perip burst=5 nodelay; proxy_pass http://llama; }
}
"""
HAPROXY = """\
global
    stats socket /run/haproxy/admin.sock mode 660 group GROUP level admin
    stats socket /run/haproxy/user.sock mode 666 level user
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend front
    bind ADDRESS:8081
    default_backend chat
backend chat
    balance roundrobin
    server a 127.0.0.1:9 weight 90 maxconn 20
    server b 127.0.0.2:9 weight 10
"""


def missing() -> str:
    """Why no host can be started here, or nothing."""
    if os.geteuid() != 0:
        return "needs root, for hosts in namespaces of their own"
    absent = [name for name in ("sshd", "nginx", "haproxy", "sudo", "unshare") if not _program(name)]
    return f"needs {', '.join(absent)}" if absent else ""


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@dataclass
class Keys:
    """The keys of one test run: ours, plain and encrypted, and what hosts let in."""

    folder: Path
    plain: Path = field(init=False)
    locked: Path = field(init=False)
    passphrase = "correct horse"

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.plain, self.locked = self.folder / "id_plain", self.folder / "id_locked"
        make_key(self.plain)
        make_key(self.locked, self.passphrase)


def make_key(path: Path, passphrase: str = "", kind: str = "ed25519") -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path)], check=True, timeout=20)


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


class Host:
    """One host. `inside(path)` is a path of its own as seen from outside."""

    def __init__(self, name: str, root: Path, address: str, keys: Keys, *, forwarding: bool = True) -> None:
        self.name, self.root, self.address, self.keys = name, root, address, keys
        self.port = free_port(address)
        self.forwarding = forwarding
        self.small_disk = False
        self.sshd = ""
        """Lines of its sshd_config that come before the usual ones."""
        self.mounts: list[str] = []
        """Commands that change its mounts before its servers start."""
        self.sudoers = f"{USER} ALL=(root) NOPASSWD: /bin/sh\n"
        self.process: subprocess.Popen[bytes] | None = None
        self.init = 0
        self._write()

    def _write(self) -> None:
        for name in _FOLDERS:
            (self.root / name).mkdir(parents=True)
            (self.root / name).chmod(0o755)
        self.root.chmod(0o755)
        for name in ("run/sshd", "run/lock", "run/haproxy", "var/log/nginx", "var/lib/nginx", "var/tmp", "run/sudo"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "nginx" / "conf.d").mkdir()
        (self.root / "nginx" / "sites-enabled").mkdir()
        (self.root / "nginx" / "nginx.conf").write_text(NGINX)
        (self.root / "nginx" / "conf.d" / "models.conf").write_text(MODELS.replace("ADDRESS", self.address))
        text = HAPROXY.replace("ADDRESS", self.address).replace("GROUP", USER)
        (self.root / "haproxy" / "haproxy.cfg").write_text(text)
        make_key(self.root / "host_key")
        authorized = self.root / "authorized"
        authorized.mkdir()
        public = "".join(Path(f"{key}.pub").read_text() for key in (self.keys.plain, self.keys.locked))
        for user in ("root", USER):
            (authorized / user).write_text(public)
        self._write_users()

    def _write_users(self) -> None:
        etc = self.root / "etc"
        own_etc.make(etc, _FOLDERS.values())
        passwd = (etc / "passwd").read_text() + f"{USER}:x:{UID}:{UID}::/home/{USER}:/bin/sh\n"
        (etc / "passwd").write_text(passwd)
        (etc / "group").write_text((etc / "group").read_text() + f"{USER}:x:{UID}:\n")
        (etc / "hosts").write_text(f"127.0.0.1 localhost {self.name}\n")
        names = [line.partition(":")[0] for line in passwd.splitlines()]
        (etc / "shadow").write_text("".join(f"{name}:*:20000:0:99999:7:::\n" for name in names))
        (etc / "shadow").chmod(0o600)
        (self.root / "home" / USER).mkdir()
        os.chown(self.root / "home" / USER, UID, UID)

    def start(self, *, proxies: bool = True) -> None:
        (self.root / "sudoers.d" / "deck").write_text(self.sudoers)
        (self.root / "sudoers.d" / "deck").chmod(0o440)
        forwarding = "yes" if self.forwarding else "no"
        config = _SSHD.format(address=self.address, port=self.port, root="/mnt", forwarding=forwarding, more=self.sshd)
        (self.root / "sshd_config").write_text(config)
        binds = [f"mount --bind /mnt/{name} {place}" for name, place in _FOLDERS.items()]
        if self.small_disk:
            binds.append("mount -t tmpfs -o size=64k tmpfs /etc/nginx && cp -a /mnt/nginx/. /etc/nginx/")
        binds += self.mounts
        run = "/usr/sbin/nginx -g 'daemon off;' &\n/usr/sbin/haproxy -W -f /etc/haproxy/haproxy.cfg &\n"
        lines = [f"mount --bind {self.root} /mnt", *binds, f"hostname {self.name}"]
        script = (
            "set -eu\n"
            + "\n".join(lines)
            + f"\n{run if proxies else ''}exec /usr/sbin/sshd -D -e -f /mnt/sshd_config\n"
        )
        (self.root / "init.sh").write_text(script)
        names = ["--mount", "--pid", "--uts", "--fork", "--kill-child=KILL", "--mount-proc"]
        with (self.root / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["unshare", *names, "--", "/bin/sh", str(self.root / "init.sh")], stdout=log, stderr=log
            )
        wait_port(self.address, self.port)
        if proxies:
            wait_port(self.address, 8080)
            wait_port(self.address, 8081)
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.init = int(children[0])

    def login_shell(self, user: str, text: str) -> None:
        """Give a user a login shell of its own, which gets `-c COMMAND` from sshd. Before `start`."""
        shell = self.root / "home" / f"shell-{user}"
        shell.write_text(f"#!/bin/sh\n{text}")
        shell.chmod(0o755)
        lines = (self.root / "etc" / "passwd").read_text().splitlines()
        changed = [
            line.rpartition(":")[0] + f":/home/shell-{user}" if line.startswith(f"{user}:") else line for line in lines
        ]
        (self.root / "etc" / "passwd").write_text("\n".join(changed) + "\n")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def inside(self, path: str) -> Path:
        return Path(f"/proc/{self.init}/root{path}")

    def run(self, *command: str) -> str:
        """Do something on the host by other means than SSH."""
        entered = ["nsenter", "-t", str(self.init), "-m", "-p", "-u", "--", *command]
        return subprocess.run(entered, check=True, timeout=20, capture_output=True, text=True).stdout

    def known_line(self) -> str:
        kind, key, *_ = (self.root / "host_key.pub").read_text().split()
        return f"[{self.address}]:{self.port} {kind} {key}\n"

    def config_block(self, user: str = "root", key: Path | None = None, extra: str = "") -> str:
        return (
            f"Host {self.name}\n  HostName {self.address}\n  Port {self.port}\n  User {user}\n"
            f"  IdentityFile {key or self.keys.plain}\n  IdentitiesOnly yes\n{extra}\n"
        )


def wait_port(address: str, port: int, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=0.5):
            return
        time.sleep(0.02)
    raise TimeoutError(f"{address}:{port} does not answer")


def environment(folder: Path, hosts: list[Host], *, user: str = "root", sudo: bool = False, **blocks: str) -> SshConfig:
    """An `ssh` section for these hosts, with a config and a known_hosts file of its own. `blocks`: host -> ssh config
    in place of the usual one."""
    config, known = folder / "ssh_config", folder / "known_hosts"
    config.write_text("".join(blocks.get(host.name.replace("-", "_"), host.config_block(user)) for host in hosts))
    known.write_text("".join(host.known_line() for host in hosts))
    return SshConfig(tuple(host.name for host in hosts), str(config), str(known), sudo)


def deck_environment(ssh: SshConfig, *proxies: ProxyConfig) -> EnvironmentConfig:
    both = (ProxyConfig("nginx"), ProxyConfig("haproxy"))
    return EnvironmentConfig("lb", settings=ssh, section=SSH, proxies=proxies or both)


NO_SECRETS = Secrets(lambda what, key: None)


async def nginx_lifecycle(reader: HostReader, config: ProxyConfig) -> Lifecycle:
    """How the nginx that runs on a host now is checked and reloaded."""
    from adapters.ssh.proxies.nginx.lifecycle import NginxLifecycle
    from adapters.ssh.proxies.nginx.processes import workers

    processes = (await reader.stat()).processes
    return NginxLifecycle(config, workers(config, None, processes), processes)


class Watched:
    """Counts writes in a folder and below while it is open, by inotify."""

    _WRITES = 0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400
    """Modified, attributes, moved from and to, created, deleted, itself deleted."""

    def __init__(self, *folders: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK)
        for folder in folders:
            for one in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
                assert self._libc.inotify_add_watch(self._descriptor, str(one).encode(), self._WRITES) > 0

    def events(self) -> bytes:
        """What happened so far; empty for nothing."""
        try:
            return os.read(self._descriptor, 65536)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        os.close(self._descriptor)
