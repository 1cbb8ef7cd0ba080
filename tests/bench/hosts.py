"""40 hosts read over SSH, against ansible and ssh."""

from __future__ import annotations

import functools
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from tests.bench import rivals
from tests.bench.context import Context, profile_of_module
from tests.bench.listing import again
from tests.bench.measure import Row, Section, compared, cost_of, in_turn, milliseconds

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "ssh"))

import sshhost

HOSTS = 40
DAEMONS = 4
"""An sshd listens on at most 16 addresses."""
AT_ONCE = 50
AGAIN = 20.0
"""How much faster a refresh of an open deck is to be than ansible."""
FILES = "cat /etc/nginx/nginx.conf /etc/nginx/conf.d/* /etc/haproxy/haproxy.cfg"
METHOD = (
    f"{HOSTS} loopback addresses of {DAEMONS} sshd, with nginx and HAProxy behind them; every run opens its {HOSTS} "
    "connections anew. Ours, a process of its own, reads both proxies' configuration trees, workers and runtime values "
    f"and makes rows of them. Theirs is one `{FILES}` on each host and no more: `ansible -m raw` with {AT_ONCE} forks, "
    "`ssh` one after the other, `ssh` by `xargs -P32`."
)
Rival = tuple[str, list[str], int, float | None, float | None]
"""What it is, its command, how often it is run, how much faster in wall and in processor time we are to be."""
REASON = "The server's half of the handshakes takes the same cores on one machine."


def run(context: Context) -> Section:
    section = Section(f"{HOSTS} hosts read over SSH", METHOD)
    if why := sshhost.missing():
        section.method = f"Not run: {why}."
        return section
    folder = context.folder / "hosts"
    folder.mkdir()
    host = sshhost.Host("gpu", folder / "gpu", "127.78.3.1", sshhost.Keys(folder / "keys"))
    context.stack.callback(host.stop)
    host.start()
    names = [f"gpu-{number:02}" for number in range(1, HOSTS + 1)]
    addresses = [f"127.78.3.{number}" for number in range(11, HOSTS + 11)]
    _listen(host, addresses)
    config, given = _environment(folder, host, dict(zip(names, addresses, strict=True)))
    reading = ["tests.bench.reading", json.dumps(given)]
    _against(section, reading, _rivals(folder, config, names))
    if not all(row.met for row in section.rows if row.goal):
        section.notes += [REASON, "Profile of our process:"]
        section.notes += [f"    {line}" for line in profile_of_module(reading, context.folder)]
    return section


def _listen(host: Any, addresses: list[str]) -> None:
    """Start more sshd on the host, each on its part of the addresses; they end with it."""
    first, _, rest = (host.root / "sshd_config").read_text().partition("\n")
    assert first.startswith("ListenAddress")
    for number in range(DAEMONS):
        lines = [f"ListenAddress {address}:{host.port}" for address in addresses[number::DAEMONS]]
        (host.root / f"sshd_config_{number}").write_text("\n".join([*lines, rest]))
        host.run("/usr/sbin/sshd", "-f", f"/mnt/sshd_config_{number}")
    for address in addresses:
        sshhost.wait_port(address, host.port)


def _environment(folder: Path, host: Any, hosts: dict[str, str]) -> tuple[Path, dict[str, Any]]:
    config = folder / "ssh_config"
    known = folder / "known_hosts"
    key = host.known_line().partition(" ")[2]
    known.write_text("".join(f"[{address}]:{host.port} {key}" for address in hosts.values()))
    heads = [f"Host {name}\n  HostName {address}\n" for name, address in hosts.items()]
    block = host.config_block(sshhost.USER).replace(f"Host {host.name}\n  HostName {host.address}\n", "Host gpu-*\n")
    config.write_text(f"{''.join(heads)}{block}  UserKnownHostsFile {known}\n  StrictHostKeyChecking yes\n")
    section = {"hosts": list(hosts), "config": str(config), "known_hosts": str(known)}
    return config, {"name": "lb", "ssh": section, "proxies": [{"kind": "nginx"}, {"kind": "haproxy"}]}


def _rivals(folder: Path, config: Path, names: list[str]) -> list[Rival]:
    """The rivals, ansible first."""
    inventory = folder / "inventory"
    inventory.write_text("\n".join(names) + "\n")
    settings = folder / "ansible.cfg"
    arguments = f"-F {config} -o ControlMaster=no -o ControlPath=none"
    settings.write_text(f"[defaults]\ninterpreter_python=auto_silent\n[ssh_connection]\nssh_args={arguments}\n")
    words = [str(rivals.ansible()), "all", "-i", str(inventory), "-f", str(AT_ONCE), "-m", "raw", "-a", FILES]
    ansible = ["env", f"ANSIBLE_CONFIG={settings}", f"ANSIBLE_HOME={folder / 'ansible'}", *words]
    ssh = f"ssh -F {shlex.quote(str(config))}"
    loop = f"while read -r host; do {ssh} -n $host '{FILES}' || exit 1; done < {inventory}"
    fanned = f"xargs -P32 -I HOST {ssh} -n HOST '{FILES}' < {inventory}"
    return [
        (f"`ansible -m raw`, {AT_ONCE} forks", ansible, 3, None, None),
        ("`ssh` in a loop", ["sh", "-c", loop], 2, None, None),
        ("`ssh` by `xargs -P32`", ["sh", "-c", fanned], 3, 1.0, 2.0),
    ]


def _against(section: Section, reading: list[str], others: list[Rival]) -> None:
    command = [sys.executable, "-m", *reading]
    for what, theirs, runs, wall, processor in others:
        other = functools.partial(cost_of, theirs)
        section.rows += compared(f"against {what}", lambda: cost_of(command), other, runs, wall, processor)
    what, ansible, runs, *_ = others[0]
    ours, theirs_seconds, ratio = in_turn(lambda: again(reading), lambda: cost_of(ansible).wall, runs)
    told = milliseconds(ours), milliseconds(theirs_seconds), f"{ratio:.1f}x", f"at least {AGAIN:g}x", ratio >= AGAIN
    section.rows.append(Row(f"a refresh of an open deck against {what}", *told))
