"""How often an edit goes to its host over the open connection: what the plan, the comparison, the write and each look
of `loaded` cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sshhost import NO_SECRETS, USER, Host, deck_environment, environment

from adapters.ssh import adapter
from adapters.ssh.client.connection import Connection
from adapters.ssh.client.shell import Done
from adapters.ssh.reader import SshReader
from adapters.ssh.section import ProxyConfig
from control.deck.config import DeckConfig
from control.model.ref import Ref
from control.plane import ControlPlane
from control.planning.edit import SharesEdit
from control.planning.plan import ResultOutcome

FILE = "/etc/nginx/conf.d/models.conf"


class Trips:
    """What went to hosts: `read` a constant script in the open shell, `write` the one that replaces files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        shell, execute, exchange = Connection.shell, Connection.execute, Connection.exchange

        def counted_shell(connection: Connection, script: str, timeout: float, root: bool = False) -> Done:
            kinds = {"all_of": "tree", "sha256sum": "facts", "id -un": "probe", "lsattr": "rights"}
            self.made.append("read " + "+".join(kind for mark, kind in kinds.items() if mark in script))
            return shell(connection, script, timeout, root)

        def counted_execute(
            connection: Connection, script: str, data: bytes, timeout: float, root: bool = False
        ) -> Done:
            self.made.append("write")
            return execute(connection, script, data, timeout, root)

        def counted_exchange(connection: Connection, path: str, request: bytes, timeout: float) -> bytes:
            self.made.append("ask " + request.decode().strip())
            return exchange(connection, path, request, timeout)

        monkeypatch.setattr(Connection, "shell", counted_shell)
        monkeypatch.setattr(Connection, "execute", counted_execute)
        monkeypatch.setattr(Connection, "exchange", counted_exchange)

    def take(self) -> list[str]:
        """Those since the last call."""
        made, self.made = self.made, []
        return made


@pytest.mark.parametrize("user", ["root", USER])
async def test_an_nginx_edit_costs_one_round_trip_for_each_stage(
    user: str, make_host: Callable[..., Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = make_host("thrifty")
    host.start()
    sudo = user != "root"
    config = deck_environment(environment(tmp_path, [host], user=user, sudo=sudo), ProxyConfig("nginx"))
    reader = adapter.open_reader(config, NO_SECRETS)
    assert isinstance(reader, SshReader)
    deck = DeckConfig(tmp_path / "deck.yaml", (config,), journal=tmp_path / "journal.db")
    plane = ControlPlane(
        deck, {"lb": reader}, lambda known, made: adapter.open_writer(known, NO_SECRETS, made), "me@here"
    )
    trips = Trips(monkeypatch)
    await plane.refresh()
    trips.take()

    plan = await plane.plan([SharesEdit(Ref("lb", "NginxUpstream", host.name, "llama"), (("127.0.0.1:9", 5),))])
    assert trips.take() == ["read tree+rights"]

    result = await plane.apply(plan)
    assert result.outcome is ResultOutcome.APPLIED_UNPROVEN or result.outcome is ResultOutcome.APPLIED
    made = trips.take()
    at = made.index("write")
    assert made[:at] == ["read tree"], "the comparison; what may be written is known for a minute"
    looks = made[at + 1 :]
    assert looks and set(looks) == {"read facts"}, made
    assert b"weight=5" in host.inside(FILE).read_bytes()
    await plane.close()
