"""Fixtures: real emulators on loopback, and no way to a real account."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from lambda_helpers import Proxy, free_port, ministack_python, wait_for


@pytest.fixture(autouse=True)
def no_real_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may find credentials or an endpoint of a real account."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running MiniStack; its URL."""
    port = free_port()
    log = tmp_path_factory.mktemp("ministack") / "log"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(log.parent),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(ministack_python()), "-m", "ministack"], env=environment, stdout=out, stderr=out, cwd=log.parent
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/_ministack/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """A moto server in this process; its URL."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port())
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def proxy(ministack: str) -> Iterator[Proxy]:
    """A proxy before MiniStack."""
    proxy = Proxy(ministack)
    yield proxy
    proxy.stop()
