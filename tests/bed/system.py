"""Which Debian packages the bed needs, and whether they are there."""

from __future__ import annotations

import os
import shutil

PROGRAMS = {
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "sudo": "sudo",
    "openssl": "openssl",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "hostname": "hostname",
    "tmux": "tmux",
}
"""Program -> the package that brings it."""

MODULES = {"/usr/lib/nginx/modules/ngx_stream_module.so": "libnginx-mod-stream"}
"""File -> the package that brings it: single tests need these, no bed does."""

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find(program: str) -> str | None:
    """Where a program is, the folders of the administrator's programs included."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}")


def missing() -> list[str]:
    """The packages that bring what is not there, each once."""
    return sorted({package for program, package in PROGRAMS.items() if find(program) is None})


def wanted() -> list[str]:
    """The packages that the tests can use and that are not there: those of the bed, and of single tests."""
    modules = (package for file, package in MODULES.items() if not os.path.exists(file))
    return sorted({*missing(), *modules})


def is_root() -> bool:
    return os.geteuid() == 0


def why_not() -> str:
    """Why no bed can run on this machine now; empty when one can."""
    if os.uname().sysname != "Linux":
        return "the test bed needs Linux"
    if not is_root():
        return "the test bed needs root: its hosts are namespaces"
    if packages := missing():
        return f"the test bed needs these packages: {' '.join(packages)} (python -m tests.bed.setup installs them)"
    return ""
