"""However a configuration names its stats sockets, the running values are read and changed through one that answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from preparing import prepared
from sshhost import NO_SECRETS, Host, deck_environment, environment, free_port

from adapters.ssh import adapter
from adapters.ssh.section import ProxyConfig
from control.model import Route
from control.planning.edit import Change


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAFFICDECK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.mark.parametrize(
    ("lines", "forwarding"),
    [
        (['stats socket "/run/haproxy/the admin.sock" mode 600 level "admin"'], True),
        (["unix-bind prefix /run/haproxy/none", "stats socket /run/haproxy/admin.sock mode 600 level admin"], True),
        (["stats socket ipv4@127.0.0.1:TCP level admin"], True),
        (["stats socket *:TCP level admin"], False),
        (["stats socket abns@nowhere level admin", "stats socket 127.0.0.1:TCP level admin"], True),
        (["setenv RUN /run/haproxy", 'stats socket "${RUN}/x.sock" mode 600 level admin'], True),
        (["stats socket /run/haproxy/gone.sock level admin", "stats socket 127.0.0.1:TCP level admin"], True),
    ],
)
async def test_the_socket_is_found_and_used(
    lines: list[str], forwarding: bool, make_host: Callable[..., Host], tmp_path: Path
) -> None:
    host = make_host("edge", forwarding=forwarding)
    config = host.root / "haproxy" / "haproxy.cfg"
    text = "\n    ".join(lines).replace("TCP", str(free_port("127.0.0.1")))
    head, _, rest = config.read_text().partition("    stats socket")
    config.write_text(f"{head}    {text}\n{rest[rest.index('defaults') :]}")
    host.start()
    if "gone.sock" in text:
        host.inside("/run/haproxy/gone.sock").unlink()
    settings = deck_environment(environment(tmp_path, [host]), ProxyConfig("haproxy"))
    reader = adapter.open_reader(settings, NO_SECRETS)
    writer = adapter.open_writer(settings, NO_SECRETS, reader)
    try:
        route = await _route(reader)
        assert not any("running values are not known" in note for note in route.notes), route.notes
        [step] = await prepared(reader, [Change(route.ref, "targets/a/weight", 90, 33)])
        assert step.diff.endswith("> set server chat/a weight 33")
        await writer.write(step)
        route = await _route(reader)
        assert route.targets[0].weight == 33 and not any("runs with weight" in note for note in route.notes)
    finally:
        await writer.close()
        await reader.close()
        host.stop()


async def _route(reader: object) -> Route:
    snapshot = await reader.read()  # type: ignore[attr-defined]
    return next(row.members[0] if row.members else row for row in snapshot.routes if row.ref.name == "chat")
