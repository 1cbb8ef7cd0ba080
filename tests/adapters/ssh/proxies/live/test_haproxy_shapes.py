"""Configurations in the shapes of public ones: a real HAProxy takes them and runs them, and what is shown is what runs.

Each file says in lines that start with `#:` what is to be shown: `limit NAME enforced N`, `limit NAME not_understood`,
`weight BACKEND SERVER N`; and what it needs: `map FILE TEXT`, `environment NAME VALUE`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote

import pytest
from haproxystart import driver
from localproxy import LocalHost, free_port, program, read, steps

from adapters.ssh.client.ports import ConfigTree
from adapters.ssh.proxies.haproxy.acls import counts
from adapters.ssh.proxies.haproxy.codec import HAProxyCodec
from adapters.ssh.proxies.haproxy.lines import lines
from adapters.ssh.proxies.haproxy.proxy import HAProxyProxy
from adapters.ssh.proxies.haproxy.runtime import servers_state
from control.capacity.effective import with_effective
from control.model import Limit, Mode, Route, Special
from control.planning.edit import Change

__all__ = ["driver"]

SHAPES = sorted((Path(__file__).parent / "shapes").glob("*.cfg"))
REFUSALS = ("deny", "reject", "tarpit", "silent-drop", "return", "use_backend", "redirect")
CODEC = HAProxyCodec()
Run = Callable[[Path], LocalHost]


def said(file: Path, what: str) -> list[list[str]]:
    """The words of the `#:` lines of a kind."""
    found = [line.split(" ") for line in file.read_text().split("\n") if line.startswith(f"#: {what} ")]
    return [words[2:] for words in found]


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    program("haproxy")
    running = []

    def start(file: Path) -> LocalHost:
        folder = tmp_path_factory.mktemp("h")
        host = LocalHost("haproxy", folder, "haproxy.cfg")
        values = {"folder": str(folder), "port": f"127.0.0.1:{free_port()}", "other": f"127.0.0.1:{free_port()}"}
        text = file.read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        host.config.write_text(text)
        for name, *content in said(file, "map"):
            (folder / name).write_text(" ".join(content).replace("\\n", "\n"))
        for name, value in said(file, "environment"):
            monkeypatch.setenv(name, value)
        checked = host.check()
        assert checked.returncode == 0, checked.stderr
        host.start()
        running.append(host)
        return host

    yield start
    for host in running:
        host.stop()


def of(rows: dict[str, Limit], name: str) -> Limit | None:
    return next((limit for key, limit in rows.items() if quote(key, safe="/~-_.") == name), None)


@pytest.mark.parametrize("file", SHAPES, ids=lambda file: file.stem)
async def test_what_is_shown_is_what_runs(file: Path, run: Run, driver: HAProxyProxy) -> None:
    host = run(file)
    routes, limits = await read(driver, host)
    state = servers_state(await host.show("servers state"))
    ran = {(row["be_name"], row["srv_name"]): int(row["srv_uweight"]) for row in state}
    assert {(name, t.name): t.weight for name, route in routes.items() for t in route.targets} == ran
    for name, target, weight in said(file, "weight"):
        assert ran[name, target] == int(weight)
    for route in routes.values():
        assert sum(t.share or 0 for t in route.targets) in (0, 1) and all(t.share is not None for t in route.targets)
        assert not any("is read as" in note or "the file says" in note for note in route.notes)
    for words in said(file, "limit"):
        name, mode, *amount = words
        limit = of(limits, name)
        if mode == "absent":
            assert limit is None
            continue
        assert limit is not None, (name, list(limits))
        assert (limit.mode.value, limit.amount) == (mode, Fraction(amount[0]) if amount else None), (name, limit.notes)
    for limit in limits.values():
        _is_whole(limit)


def _is_whole(limit: Limit) -> None:
    unknown = limit.mode is Mode.NOT_UNDERSTOOD
    assert (limit.amount is None) is unknown and bool(limit.native) is unknown
    assert not unknown or (not limit.editable.yes and limit.editable.reason)
    assert limit.bindings and all(b.effective and b.effective.why for b in with_effective(limit).bindings)


@pytest.mark.parametrize("file", SHAPES, ids=lambda file: file.stem)
async def test_every_rule_over_a_counter_is_a_limit(file: Path, run: Run, driver: HAProxyProxy) -> None:
    host = run(file)
    _, limits = await read(driver, host)
    shown = {limit.remainder[0][1] for limit in limits.values() if limit.remainder}
    path = str(host.config)
    for line in lines(path, host.config.read_bytes()):
        refuses = any(word in REFUSALS for word in line.values[:3])
        if refuses and any(counts(word) for word in line.values):
            assert " ".join(word.raw.decode() for word in line.words) in shown
    assert len({str(limit.ref) for limit in limits.values()}) == len(limits)


@pytest.mark.parametrize("file", SHAPES, ids=lambda file: file.stem)
async def test_without_a_socket_a_number_is_the_running_one_or_not_known(
    file: Path, run: Run, driver: HAProxyProxy
) -> None:
    host = run(file)
    seen = await read(driver, host)
    host.proxy = type(host.proxy)("haproxy", config=str(host.config), socket=None)
    routes, limits = await read(driver, host)
    for name, route in seen[0].items():
        for target in route.targets:
            alone = routes[name].target(target.name) if name in routes else None
            if alone is not None and not alone.native and routes[name].editable.yes:
                assert alone.weight == target.weight
    for name, limit in seen[1].items():
        assert limits[name].mode is Mode.NOT_UNDERSTOOD or limits[name].amount == limit.amount


@pytest.mark.parametrize("file", SHAPES, ids=lambda file: file.stem)
async def test_every_number_that_can_be_edited_is_the_only_thing_that_changes(
    file: Path, run: Run, driver: HAProxyProxy
) -> None:
    host = run(file)
    facts = host.facts()
    routes, limits = await read(driver, host)
    for change in [*_weights(routes), *_amounts(limits)]:
        for step in await steps(driver, host, [change]):
            tree, runtime = CODEC.after(step.tree, step.edit, step.runtime)
            later_routes, later_limits = CODEC.read(tree, runtime, facts)
            told = {str(row.ref): row for row in (*later_routes, *later_limits)}
            _only(
                change, {**routes, **{f"\0{name}": limit for name, limit in limits.items()}}, told, step.edit.warnings
            )
            if step.edit.data is not None and step.edit.path == str(host.config):
                _taken(host, tree)


def _weights(routes: dict[str, Route]) -> list[Change]:
    return [
        Change(route.ref, f"targets/{target.name}/weight", target.weight, 11)
        for route in routes.values()
        if route.editable.yes
        for target in route.targets
        if "comes from the environment" not in " ".join(route.notes)
    ]


def _amounts(limits: dict[str, Limit]) -> list[Change]:
    return [
        Change(limit.ref, "amount", limit.amount, Fraction(41))
        for limit in limits.values()
        if limit.editable.yes and not isinstance(limit.amount, Special)
    ]


def _only(change: Change, before: dict[str, object], after: dict[str, object], warnings: tuple[str, ...]) -> None:
    for row in before.values():
        assert isinstance(row, Route | Limit)
        now = after[str(row.ref)]
        if isinstance(row, Route):
            assert isinstance(now, Route)
            wanted = {
                t.name: 11 if (row.ref, f"targets/{t.name}/weight") == (change.ref, change.field) else t.weight
                for t in row.targets
            }
            assert {t.name: t.weight for t in now.targets} == wanted
        elif row.ref == change.ref:
            assert isinstance(now, Limit) and now.amount == 41
        else:
            assert isinstance(now, Limit)
            assert now.amount == row.amount or any(str(row.ref) in warning for warning in warnings)


def _taken(host: LocalHost, tree: ConfigTree) -> None:
    """The real HAProxy takes the edited file."""
    path = host.folder / "edited.cfg"
    path.write_bytes(tree.files[str(host.config)])
    former, host.config = host.config, path
    try:
        checked = host.check()
    finally:
        host.config = former
        os.unlink(path)
    assert checked.returncode == 0, checked.stderr
