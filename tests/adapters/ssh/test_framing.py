"""Whatever login shells and their start-up files print or read, answers and verdicts are the scripts' own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from preparing import prepared
from sshhost import MODELS, NO_SECRETS, USER, Host, deck_environment, environment

from adapters.ssh import adapter
from adapters.ssh.client import remote_writer
from adapters.ssh.client.ports import FileChange, FileReplacement, Workers
from adapters.ssh.client.shell import Done
from adapters.ssh.client.tree import NotWhole, TreeParts
from adapters.ssh.proxies.nginx.lifecycle import NginxLifecycle
from adapters.ssh.reader import SshReader
from adapters.ssh.section import ProxyConfig
from control.errors import Stale, Unreachable
from control.model.ref import Ref
from control.planning.edit import Change
from control.ports import ProofState, Writer

NOISE = {
    "a verdict before": "printf 'OK\\n9\\nFAIL stale\\nnot so\\n'\n",
    "no line end": "printf 'welcome to the machine'\n",
    "on standard error": "echo 'sudo: a password is required' >&2\necho 'FAIL forbidden' >&2\n",
    "after everything": '"$@"; /bin/sh "$@"; code=$?; printf "OK\\n9\\nFAIL locked\\n"; exit $code\n',
    "what holds the channel": "sleep 30 </dev/null & \n",
    "what reads standard input": "read -r line </dev/stdin & wait\n/bin/sh -c 'dd bs=1 count=0' 2>/dev/null\n",
}


@pytest.fixture(params=NOISE)
async def noisy(
    request: pytest.FixtureRequest, make_host: Callable[..., Host], tmp_path: Path
) -> AsyncIterator[tuple[Host, SshReader, Writer]]:
    host = make_host(f"noisy-{list(NOISE).index(request.param)}")
    text = NOISE[request.param]
    end = "" if request.param == "after everything" else 'exec /bin/sh "$@"\n'
    for user in ("root", USER):
        host.login_shell(user, text.replace('"$@"; /bin/sh', "/bin/sh") + end)
    host.start()
    config = deck_environment(environment(tmp_path, [host], user=USER, sudo=True))
    reader = adapter.open_reader(config, NO_SECRETS)
    assert isinstance(reader, SshReader)
    yield host, reader, adapter.open_writer(config, NO_SECRETS, reader)
    await reader.close()


async def test_reading_writing_and_refusing_are_what_they_are(noisy: tuple[Host, SshReader, Writer]) -> None:
    host, reader, writer = noisy
    file = host.inside("/etc/nginx/conf.d/models.conf")
    before = MODELS.replace("ADDRESS", host.address)
    assert file.read_text() == before
    snapshot = await reader.read()
    assert sorted(str(route.ref) for route in snapshot.routes) == [
        f"lb/HAProxyBackend/{host.name}/chat",
        f"lb/NginxUpstream/{host.name}/llama",
    ]
    ref = Ref("lb", "NginxUpstream", host.name, "llama")
    change = Change(ref, "targets/127.0.0.1:9/weight", 9, 7)
    [step] = await prepared(reader, [change])
    [late] = await prepared(reader, [change])
    assert "2 new workers" in (await writer.write(step)).said
    assert file.read_text() == before.replace("weight=9", "weight=7")
    assert (await reader.loaded(step)).state is ProofState.YES
    with pytest.raises(Stale):
        await writer.write(late)
    replacement = late.payload
    assert file.read_text() == before.replace("weight=9", "weight=7")
    assert replacement is not None


def test_an_answer_without_a_verdict_is_an_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = remote_writer.RemoteWriter("web-1", None, _Nothing(), False, {})  # type: ignore[arg-type]
    for text in (b"", b"OK\n1\n", b"FAIL stale\nx\n", b"mark FAI", b"xmark OK\n1\n"):
        with pytest.raises(Unreachable, match="not known"):
            writer._outcome(Done(0, text), None, "mark")  # type: ignore[arg-type]


def test_what_is_printed_among_the_lines_of_a_verdict_changes_nothing() -> None:
    writer = remote_writer.RemoteWriter("web-1", None, _Nothing(), False, {})  # type: ignore[arg-type]
    change = FileChange("/etc/nginx/a.conf", "", b"")
    replacement = FileReplacement(NginxLifecycle(ProxyConfig("nginx"), Workers(), ()), (change,), True)
    for text in (b"\nmark OK\n2\n", b"FAIL stale\nno\n\nmark OK\n2\n", b"x\nmark OK\nFAIL stale\n2\nmark FAIL x\n"):
        assert writer._outcome(Done(0, text), replacement, "mark").said == "replaced a.conf, reloaded, 2 new workers"
    with pytest.raises(Stale, match="it changed"):
        writer._outcome(Done(0, b"OK\n3\n\nmark FAIL stale\nit changed\nOK\n"), replacement, "mark")


def test_a_file_that_something_printed_into_is_not_taken_for_one() -> None:
    facts = b"F\t%d 644 root root 1.5 2.5\t1\t/x\n"
    TreeParts().take(b"G\t/x\n" + facts % 3 + b"abc\nmark\n", "mark")
    with pytest.raises(NotWhole):
        TreeParts().take(b"G\t/x\n" + facts % 3 + b"anoisebc\nmark\n", "mark")


class _Nothing:
    def may_be_root(self) -> bool:
        return False
