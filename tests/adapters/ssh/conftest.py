from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sshhost import Host, Keys, missing

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def ssh_keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def make_host(tmp_path_factory: pytest.TempPathFactory, ssh_keys: Keys) -> Iterator[Callable[..., Host]]:
    """Makes hosts (not yet started) on addresses of their own, and ends them all."""
    why = missing()
    if why:
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    made: list[Host] = []

    def make(name: str, **options: bool) -> Host:
        number = next(_numbers)
        address = f"127.77.{os.getpid() % 250 + 1}.{number}"
        host = Host(name, tmp_path_factory.mktemp(name), address, ssh_keys, **options)
        made.append(host)
        return host

    yield make
    for host in made:
        host.stop()


@pytest.fixture(scope="module")
def host(make_host: Callable[..., Host]) -> Host:
    """One host with nginx and HAProxy, shared by the tests of a module."""
    made = make_host("web-1")
    made.start()
    return made
