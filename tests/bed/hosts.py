"""Hosts that are namespaces: each sees its own /etc/nginx, /etc/haproxy, /run, /proc, users and host name.

The folders that a host has for itself are real folders under `DIR/hosts/NAME`, bound into its mount namespace, so that
they can be watched and compared from outside. The network is shared: one loopback address per host.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.bed import haproxy, nginx, own_etc
from tests.bed.layout import EDGE_HOST, HOSTS, HTTP_PORT, SSH_PORT, WEB_HOSTS, Layout
from tests.bed.processes import Ledger, children_of, name_of
from tests.bed.sshkeys import DEPLOY
from tests.bed.waiting import until, until_port

_FOLDERS = {
    "etc": "/etc",
    "etc-nginx": "/etc/nginx",
    "etc-haproxy": "/etc/haproxy",
    "etc-ssh": "/etc/ssh",
    "etc-sudoers.d": "/etc/sudoers.d",
    "var": "/var",
    "run": "/run",
    "home": "/home",
    "root": "/root",
    "tmp": "/tmp",
}
_DEPLOY_UID = 2001

_SSHD = """\
ListenAddress {address}:{port}
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /etc/ssh/keys/%u
PidFile /run/sshd.pid
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
AllowTcpForwarding yes
AllowStreamLocalForwarding yes
MaxSessions 100
MaxStartups 100:30:200
Subsystem sftp internal-sftp
"""

_SUDOERS = f"""\
Defaults:{DEPLOY} !requiretty
{DEPLOY} ALL=(root) NOPASSWD: /bin/sh
"""

# The host's folder is bound to /mnt first: later binds may hide the place where it lies (/tmp, /var, /root).
_INIT = """\
set -eu
mount --bind '{folder}' /mnt
{binds}
hostname {host}
# The folder that the bed was started in may be hidden now, and HAProxy wants one to come back to.
cd /
/usr/sbin/sshd -D -e -f /etc/ssh/sshd_config &
{proxy} &
wait
"""


@dataclass(frozen=True, slots=True)
class Running:
    """The processes of one host, by their pids outside of it."""

    host: str
    init: int
    sshd: int
    proxy: int


def proxy_kind(host: str) -> str:
    return "nginx" if host in WEB_HOSTS else "haproxy"


def configuration_tree(layout: Layout, host: str) -> Path:
    """The proxy's configuration tree as seen from outside."""
    return layout.host_folder(host) / f"etc-{proxy_kind(host)}"


def prepare(layout: Layout, host: str) -> None:
    """Write everything that a host has for itself. Its keys must be there (`sshkeys.make`)."""
    home = layout.host_folder(host)
    for name in _FOLDERS:
        (home / name).mkdir(parents=True, exist_ok=True)
        (home / name).chmod(0o755)
    own_etc.make(home / "etc", _FOLDERS.values())
    _write_users(home)
    names = [f"{layout.host(name)} {name}" for name in HOSTS]
    (home / "etc" / "hosts").write_text("\n".join(["127.0.0.1 localhost", *names]) + "\n")
    (home / "etc" / "hostname").write_text(f"{host}\n")
    sshd = _SSHD.format(address=layout.host(host), port=SSH_PORT)
    (home / "etc-ssh" / "sshd_config").write_text(sshd)
    sudoers = home / "etc-sudoers.d" / DEPLOY
    sudoers.write_text(_SUDOERS)
    sudoers.chmod(0o440)
    _write_state(home)
    module = nginx if proxy_kind(host) == "nginx" else haproxy
    module.write_configuration(layout, host, configuration_tree(layout, host))
    (home / "init.sh").write_text(_init_script(host, home))


def _write_users(home: Path) -> None:
    """The machine's own users without their passwords, and one ordinary user more."""
    etc = home / "etc"
    passwd = (etc / "passwd").read_text().rstrip("\n").splitlines()
    passwd = [line for line in passwd if not line.startswith(f"{DEPLOY}:")]
    passwd.append(f"{DEPLOY}:x:{_DEPLOY_UID}:{_DEPLOY_UID}::/home/{DEPLOY}:/bin/sh")
    groups = []
    for line in (etc / "group").read_text().splitlines():
        name = line.partition(":")[0]
        if name in ("haproxy", "adm"):
            line = f"{line},{DEPLOY}" if not line.endswith(":") else f"{line}{DEPLOY}"
        if name != DEPLOY:
            groups.append(line)
    groups.append(f"{DEPLOY}:x:{_DEPLOY_UID}:")
    (etc / "passwd").write_text("\n".join(passwd) + "\n")
    (etc / "group").write_text("\n".join(groups) + "\n")
    (etc / "shadow").write_text("".join(f"{line.partition(':')[0]}:*:20000:0:99999:7:::\n" for line in passwd))
    (etc / "shadow").chmod(0o600)
    own = home / "home" / DEPLOY
    own.mkdir(exist_ok=True)
    shutil.chown(own, _DEPLOY_UID, _DEPLOY_UID)


def _write_state(home: Path) -> None:
    """The empty folders that servers expect under /run and /var."""
    for name in ("log/nginx", "lib/nginx", "lib/haproxy", "lib/misc", "backups", "cache", "spool", "tmp", "mail"):
        (home / "var" / name).mkdir(parents=True, exist_ok=True)
    for name in ("run", "lock"):
        link = home / "var" / name
        if not link.is_symlink():
            link.symlink_to("/run" if name == "run" else "/run/lock")
    for name in ("sshd", "lock", "sudo", "haproxy/direct", "nginx"):
        (home / "run" / name).mkdir(parents=True, exist_ok=True)
    (home / "run" / "lock").chmod(0o1777)
    (home / "run" / "haproxy" / "direct").chmod(0o700)
    for name in ("tmp", "var/tmp"):
        (home / name).chmod(0o1777)
    (home / "root").chmod(0o700)


def _init_script(host: str, home: Path) -> str:
    binds = [f"mount --bind /mnt/{name} {place}" for name, place in _FOLDERS.items()]
    if proxy_kind(host) == "nginx":
        proxy = "/usr/sbin/nginx -g 'daemon off;'"
    else:
        proxy = f"/usr/sbin/haproxy -W -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid -S {haproxy.DIRECT}/master.sock"
    return _INIT.format(folder=home, host=host, proxy=proxy, binds="\n".join(binds))


def start(layout: Layout, ledger: Ledger, host: str) -> None:
    """Start one host: a first process in new namespaces, and with it everything that the host runs."""
    script = layout.host_folder(host) / "init.sh"
    namespaces = ["--mount", "--pid", "--uts", "--fork", "--kill-child=KILL", "--mount-proc"]
    ledger.start(f"host/{host}", ["unshare", *namespaces, "--", "/bin/sh", str(script)])


def wait(layout: Layout, ledger: Ledger, host: str) -> Running:
    """Wait until a host serves; returns and records its processes."""
    until_port(layout.host(host), SSH_PORT)
    until_port(layout.host(host), HTTP_PORT)
    outer = next(process.pid for process in reversed(ledger.all()) if process.name == f"host/{host}")
    init = until(f"the first process of {host}", lambda: children_of(outer))[0]
    found = {name_of(pid): pid for pid in reversed(children_of(init))}
    kind = proxy_kind(host)
    ledger.record(f"init/{host}", init)
    ledger.record(f"sshd/{host}", found["sshd"])
    ledger.record(f"{kind}/{host}", found[kind])
    return Running(host, init, found["sshd"], found[kind])


def reload_command(running: Running) -> list[str]:
    """Reload the host's proxy from outside."""
    if proxy_kind(running.host) == "nginx":
        return ["nsenter", "-t", str(running.init), "-m", "-u", "-p", "--", "/usr/sbin/nginx", "-s", "reload"]
    return ["kill", "-USR2", str(running.proxy)]


def environment_of(host: str) -> str:
    """The deck's environment that a host belongs to."""
    if host == EDGE_HOST:
        return "edge"
    return "web" if host in WEB_HOSTS else "lb"
