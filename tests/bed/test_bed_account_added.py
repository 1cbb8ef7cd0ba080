"""The hosts of the tests live on when the machine gets another account, as packages add them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bed import fixtures, own_etc, system

pytestmark = pytest.mark.bed

_MACHINE = "mount --bind '{etc}' /etc && exec '{python}' -m tests.bed.account_added '{folder}'"


def test_hosts_know_their_users_after_an_account_was_added_to_the_machine(tmp_path: Path) -> None:
    if reason := system.why_not():
        fixtures.skip_or_fail(reason)
    folder = tmp_path / "hosts"
    folder.mkdir()
    own_etc.make(tmp_path / "etc", ["/etc/nginx", "/etc/haproxy", "/etc/ssh", "/etc/sudoers.d"])
    script = _MACHINE.format(etc=tmp_path / "etc", python=sys.executable, folder=folder)
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", script],
        cwd=fixtures.ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["plain"] == ["deckop", "deckop"]
    assert said["bed"] == ["deploy", "deploy"]
    assert said["bound"] is False, "the kernel drops a mount over a file that is replaced: what this is about"
    assert "added:x:2999" in (tmp_path / "etc" / "passwd").read_text()
    assert "added:x:2999" not in Path("/etc/passwd").read_text()
