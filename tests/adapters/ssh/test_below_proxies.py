"""The client below knows files, commands and sockets, and no proxy; a proxy is one folder and one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adapters.ssh import adapter
from adapters.ssh.client import __file__ as client_file
from adapters.ssh.proxies import __file__ as proxies_file
from adapters.ssh.proxies.kinds import KINDS
from adapters.ssh.proxies.table import programs, proxy_for, twins
from adapters.ssh.section import SECTION

CLIENT, PROXIES = Path(client_file).parent, Path(proxies_file).parent
NAMES = re.compile(rf"(?i)({'|'.join((*KINDS, 'traefik', 'envoy', 'httpd', 'apache'))})")


@pytest.mark.parametrize("file", sorted(CLIENT.rglob("*.py")), ids=lambda file: file.name)
def test_the_client_names_no_proxy(file: Path) -> None:
    assert not NAMES.findall(file.read_text())


def test_every_folder_is_a_line_of_the_table() -> None:
    assert {folder.parent.name for folder in PROXIES.glob("*/program.py")} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_proxy_has_the_same_form(kind: str) -> None:
    proxy, program = proxy_for(kind), programs()[kind]
    assert (proxy.program, program.name) == (program, kind)
    assert proxy.object_kind.endswith("File") and kind in SECTION.proxy_kinds
    assert set(proxy.kinds) <= set(adapter.KINDS) and all(proxy.kinds.values())
    assert kind not in twins({}), "a host in memory without its file runs none"
    for name in ("program.py", "processes.py", "lifecycle.py", "codec.py", "memory.py", "proxy.py"):
        assert (PROXIES / kind / name).is_file()


def test_no_two_proxies_share_a_kind() -> None:
    names = [name for kind in KINDS for name in (proxy_for(kind).object_kind, *proxy_for(kind).kinds)]
    assert len(names) == len(set(names))
