"""The same reads and writes to Lambda on an emulator that enforces RevisionId and to the one in memory: what one tells,
takes or refuses, the other does too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest
from lambda_helpers import REGION, client, environment, make_function, opened
from preparing import prepared

from adapters.serverless.aws.memory import MemoryAws, MemoryCloud
from adapters.serverless.aws.operations import READS, WRITES
from adapters.serverless.aws.reader import LambdaReader
from adapters.serverless.aws.writer import LambdaWriter
from control.errors import ControlError
from control.model import Special
from control.model.ref import Ref
from control.planning.edit import Change, Value

FUNCTION = "both"
LIVE = Ref("fn", "LambdaAlias", REGION, f"{FUNCTION}:live")
STABLE = Ref("fn", "LambdaAlias", REGION, f"{FUNCTION}:stable")
RESERVED = Ref("fn", "LambdaConcurrency", REGION, FUNCTION)


@dataclass
class Account:
    """One account and region, at the emulator or in memory."""

    reader: LambdaReader
    writer: LambdaWriter
    others: Callable[[float], None]
    """Somebody else gives version 2 another weight."""

    async def write(self, *changes: Change) -> Any:
        step, *more = await prepared(self.reader, changes)
        assert not more
        await self.writer.write(step)
        return step.diff, step.warnings, (await self.reader.loaded(step)).state


Act = Callable[[Account], Awaitable[Any]]


@pytest.fixture
async def accounts(ministack: str) -> AsyncIterator[tuple[Account, Account]]:
    """The emulator's and the one in memory, with the same function."""
    admin = client("lambda", ministack)
    make_function(admin, FUNCTION)
    weights = {"AdditionalVersionWeights": {"2": 0.3}}
    admin.create_alias(FunctionName=FUNCTION, Name="live", FunctionVersion="1", RoutingConfig=weights)
    admin.create_alias(FunctionName=FUNCTION, Name="stable", FunctionVersion="1")
    config = environment(ministack, FUNCTION)
    reader, writer = await opened(config)

    def at_the_emulator(weight: float) -> None:
        routing = {"AdditionalVersionWeights": {"2": weight}}
        admin.update_alias(FunctionName=FUNCTION, Name="live", FunctionVersion="1", RoutingConfig=routing)

    aws = MemoryAws(REGION)
    aws.add_function(FUNCTION, 3)
    aws.add_alias(FUNCTION, "live", "1", {"2": 0.3})
    aws.add_alias(FUNCTION, "stable", "1")

    def in_memory(weight: float) -> None:
        routing = {"AdditionalVersionWeights": {"2": weight}}
        aws.call("lambda", "UpdateAlias", {
            "FunctionName": FUNCTION, "Name": "live", "FunctionVersion": "1", "RoutingConfig": routing,
        })  # fmt: skip

    remembered = LambdaReader(config, MemoryCloud(aws, READS))
    yield (
        Account(reader, writer, at_the_emulator),
        Account(remembered, LambdaWriter(remembered, MemoryCloud(aws, WRITES)), in_memory),
    )
    await reader.close()
    await remembered.close()
    for name in ("live", "stable"):
        admin.delete_alias(FunctionName=FUNCTION, Name=name)
    admin.delete_function(FunctionName=FUNCTION)


async def same(accounts: tuple[Account, Account], act: Act) -> Any:
    """What came of it in both: a value, or the kind of the failure."""
    told = []
    for account in accounts:
        try:
            told.append(await act(account))
        except ControlError as error:
            told.append(type(error).__name__)
    assert told[0] == told[1]
    return told[0]


async def rows(account: Account) -> Any:
    """What is set; revisions and when it was read are each one's own."""
    snapshot = await account.reader.read()
    routes = [
        (row.ref, row.semantics, row.grid, row.editable, [(t.name, t.weight, t.share, t.state) for t in row.targets])
        for row in snapshot.routes
    ]
    limits = [(row.ref, row.measure, row.amount, row.fields, row.specials, row.editable) for row in snapshot.limits]
    return routes, limits, snapshot.missing


async def test_they_list_the_same(accounts: tuple[Account, Account]) -> None:
    routes, limits, _ = await same(accounts, rows)
    assert [row[0] for row in routes] == [LIVE, STABLE] and [row[0] for row in limits] == [RESERVED]


WRITES_OF = [
    ("a share", LIVE, ("targets/1/share", Fraction(1, 2)), ("targets/2/share", Fraction(1, 2))),
    ("all for the main version", LIVE, ("targets/1/share", Fraction(1)), ("targets/2/share", Fraction(0))),
    ("a reservation", RESERVED, ("amount", Fraction(20))),
    ("no reservation", RESERVED, ("amount", Special.UNLIMITED)),
    ("nothing may run", RESERVED, ("amount", Special.BLOCKED)),
    ("more than all", LIVE, ("targets/1/share", Fraction(3, 2))),
    ("a share of nobody", LIVE, ("targets/9/share", Fraction(1, 2))),
    ("half an execution", RESERVED, ("amount", Fraction(1, 2))),
    ("more than the account has", RESERVED, ("amount", Fraction(100_000))),
    ("an alias that is not there", LIVE.on("eu-west-9"), ("targets/1/share", Fraction(1))),
]


@pytest.mark.parametrize(("ref", "fields"), [(w[1], w[2:]) for w in WRITES_OF], ids=[w[0] for w in WRITES_OF])
async def test_they_take_and_refuse_the_same(
    accounts: tuple[Account, Account], ref: Ref, fields: tuple[tuple[str, Value], ...]
) -> None:
    changes = [Change(ref, field, None, value) for field, value in fields]
    await same(accounts, lambda account: account.write(*changes))
    await same(accounts, rows)


async def test_a_revision_that_is_stale_is_refused_alike(accounts: tuple[Account, Account]) -> None:
    async def late(account: Account) -> Any:
        half = [Change(LIVE, f"targets/{version}/share", None, Fraction(1, 2)) for version in (1, 2)]
        [step] = await prepared(account.reader, half)
        account.others(0.1)
        await account.writer.write(step)

    assert await same(accounts, late) == "Stale"
    routes, *_ = await same(accounts, rows)
    assert routes[0][4][1][2] == Fraction(1, 10)
