"""A machine on which an account is added while hosts of the tests run: `python -m tests.bed.account_added FOLDER`.

It is run in a mount namespace of its own in which /etc is a copy, so that nothing happens to this machine's. Prints one
JSON object: host -> who a login as its ordinary user was before and after, and `bound`: whether a file that was bound
over /etc/passwd alone was still there afterwards.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.adapters.ssh import sshhost
from tests.bed import hosts, own_etc, sshkeys
from tests.bed.layout import LB_HOSTS, Layout, hold_block
from tests.bed.processes import Ledger

_BOUND = "mount --bind '{file}' /etc/passwd && echo ready && read go && cat /etc/passwd"


def add_account() -> None:
    """As `useradd` does: the files anew, renamed into place."""
    for name, line in (
        ("passwd", "added:x:2999:2999::/:/bin/sh"),
        ("group", "added:x:2999:"),
        ("shadow", "added:*:::::::"),
    ):
        file = own_etc.ETC / name
        fresh = file.with_name(f"{name}+")
        fresh.write_text(file.read_text() + line + "\n" if file.exists() else line + "\n")
        fresh.rename(file)


def who(config: Path, host: str) -> str:
    """Who a login by ssh is, or what ssh says."""
    done = subprocess.run(
        ["ssh", "-F", str(config), "-o", "BatchMode=yes", host, "id -un"],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    return done.stdout.strip() or done.stderr.strip()


def main(folder: Path) -> None:
    plain = sshhost.Host("plain", folder / "plain", "127.77.251.1", sshhost.Keys(folder / "keys"))
    plain.start(proxies=False)
    sshhost.environment(folder, [plain], user=sshhost.USER)
    (folder / "ssh_config").open("a").write(f"  UserKnownHostsFile {folder / 'known_hosts'}\n")
    block, holder = hold_block()
    (folder / "bed").mkdir()
    layout, of_bed = Layout(folder / "bed", block), LB_HOSTS[0]
    ledger = Ledger(layout.dir)
    (folder / "file").write_text((own_etc.ETC / "passwd").read_text() + "bound:x:2998:2998::/:/bin/sh\n")
    bound = subprocess.Popen(
        ["unshare", "--mount", "--", "sh", "-c", _BOUND.format(file=folder / "file")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        sshkeys.make(layout)
        hosts.prepare(layout, of_bed)
        hosts.start(layout, ledger, of_bed)
        hosts.wait(layout, ledger, of_bed)
        assert bound.stdout is not None
        bound.stdout.readline()
        ways = [("plain", folder / "ssh_config", plain.name), ("bed", layout.ssh / "config", of_bed)]
        before = {name: who(config, host) for name, config, host in ways}
        add_account()
        after = {name: who(config, host) for name, config, host in ways}
        said, _ = bound.communicate("go\n", timeout=20)
        logins = {name: [before[name], after[name]] for name in before}
        print(json.dumps({**logins, "bound": "bound:x:" in said}))
    finally:
        bound.kill()
        plain.stop()
        ledger.end_all()
        holder.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
