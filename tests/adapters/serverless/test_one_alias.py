"""One alias, shown or changed by a fresh process, is read with its function; the account is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from lambda_helpers import REGION

from adapters.serverless.aws.memory import MemoryAws, MemoryCloud
from adapters.serverless.aws.operations import READS, WRITES
from adapters.serverless.aws.reader import LambdaReader
from adapters.serverless.aws.section import SECTION as AWS
from adapters.serverless.aws.section import AwsConfig
from adapters.serverless.aws.writer import LambdaWriter
from control.deck.config import DeckConfig, EnvironmentConfig, ServiceConfig
from control.errors import NotFound
from control.model.ref import Ref
from control.plane import ControlPlane
from control.planning.edit import LimitEdit, Share, SharesEdit
from control.planning.plan import ResultOutcome
from control.ports import ProofState, Reader, Writer
from tui.cli import looking
from tui.cli.arguments import Options

LIVE = Ref("fn", "LambdaAlias", REGION, "chat:live")
RESERVED = Ref("fn", "LambdaConcurrency", REGION, "chat")
FUNCTION = ["GetFunction", "ListAliases", "ListProvisionedConcurrencyConfigs", "ListVersionsByFunction"]
AROUND = ["GetAccountSettings", "ListDeployments"]


class Counted(MemoryAws):
    """An account whose calls are written down: (operation, function)."""

    def __init__(self) -> None:
        super().__init__(REGION)
        self.calls: list[tuple[str, str]] = []
        for name in ("chat", "embed", "rank"):
            self.add_function(name, 3)
            self.add_alias(name, "live", "1", {"2": 0.25})

    def call(self, service: str, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append((operation, str(arguments.get("FunctionName", ""))))
        return super().call(service, operation, arguments)

    def take(self) -> list[str]:
        """The operations since the last call, sorted; none of another function than `chat`."""
        made, self.calls = self.calls, []
        assert {function for _, function in made} <= {"", "chat"}, made
        return sorted(operation for operation, _ in made)


@pytest.fixture
def aws() -> Counted:
    return Counted()


def plane_on(aws: Counted, folder: Path, *globs: str) -> ControlPlane:
    """What a fresh process has; `globs` are the routes of a service."""
    config = EnvironmentConfig("fn", settings=AwsConfig(REGION), section=AWS)

    def writer(config: EnvironmentConfig, reader: Reader) -> Writer:
        assert isinstance(reader, LambdaReader)
        return LambdaWriter(reader, MemoryCloud(aws, WRITES))

    services = (ServiceConfig("llama", globs),) if globs else ()
    deck = DeckConfig(None, (config,), services, journal=folder / "journal.db")
    return ControlPlane(deck, {"fn": LambdaReader(config, MemoryCloud(aws, READS))}, writer, "me")


def shares(one: str, two: str) -> SharesEdit:
    return SharesEdit(LIVE, (("1", Share(Fraction(one))), ("2", Share(Fraction(two)))))


@pytest.mark.parametrize("globs", [(), ("fn/LambdaAlias/*/chat:live",), ("fn/LambdaAlias/*/embed*",)])
async def test_a_change_of_one_alias_reads_it_once_to_plan_and_once_before_the_write(
    aws: Counted, tmp_path: Path, globs: tuple[str, ...]
) -> None:
    plane = plane_on(aws, tmp_path, *globs)
    plan = await plane.plan([shares("1/2", "1/2")])
    assert aws.take() == sorted([*FUNCTION, *AROUND])
    assert plan.headroom == () if not globs or "embed" in globs[0] else len(plan.headroom) == 1
    result = await plane.apply(plan)
    made = [one for one in aws.take() if one != "GetMetricData"]  # of `observed`
    looks = ["GetAlias", "ListProvisionedConcurrencyConfigs"]  # of `loaded`, as the only truth of the data plane
    assert made == sorted([*FUNCTION, *AROUND, "UpdateAlias", *looks]), made
    assert result.outcome is ResultOutcome.APPLIED
    assert result.steps[0].proof is not None and result.steps[0].proof.accepted.state is ProofState.YES
    await plane.close()


async def test_what_is_planned_on_the_alias_alone_is_what_is_planned_on_the_whole_account(
    aws: Counted, tmp_path: Path
) -> None:
    alone = await plane_on(aws, tmp_path / "a", "fn/LambdaAlias/*/chat:live").plan([shares("1/2", "1/2")])
    whole = plane_on(aws, tmp_path / "b", "fn/LambdaAlias/*/chat:live")
    await whole.refresh()
    other = await whole.plan([shares("1/2", "1/2")])
    assert (alone.steps, alone.verdict, alone.headroom) == (other.steps, other.verdict, other.headroom)


async def test_a_row_that_does_not_stand_alone_is_planned_on_the_whole_environment(
    aws: Counted, tmp_path: Path
) -> None:
    plane = plane_on(aws, tmp_path)
    await plane.plan([LimitEdit(RESERVED, amount=Fraction(7))])
    assert "ListFunctions" in {operation for operation, _ in aws.calls}
    other = plane_on(aws, tmp_path, "fn/LambdaAlias/*/*:live")
    aws.calls.clear()
    await other.plan([shares("1/2", "1/2")])
    assert "ListFunctions" in {operation for operation, _ in aws.calls}, "a service that may name any other row"


async def test_an_alias_that_is_not_there_is_told_as_the_whole_environment_tells_it(
    aws: Counted, tmp_path: Path
) -> None:
    gone = Ref("fn", "LambdaAlias", REGION, "chat:gone")
    with pytest.raises(NotFound, match="there is no fn/LambdaAlias/eu-central-1/chat:gone"):
        await plane_on(aws, tmp_path).plan([SharesEdit(gone, (("1", Share(Fraction(1))),))])


async def test_get_of_one_alias_reads_that_alias_and_its_function(
    aws: Counted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = Options(what="route", items=[str(LIVE)], output="json")
    assert await looking.get(plane_on(aws, tmp_path), options) == 0
    alone = json.loads(capsys.readouterr().out)
    assert aws.take() == sorted([*FUNCTION, *AROUND])
    whole = plane_on(aws, tmp_path)
    await whole.refresh()
    assert await looking.get(whole, options) == 0
    told = json.loads(capsys.readouterr().out)
    assert alone["limits"] == [str(RESERVED)]
    health = [target.pop("health") for target in (*alone["targets"], *told["targets"])]
    assert health == ["up", "up", "unknown", "unknown"], "a sweep of the account does not ask for versions"
    assert {**alone, "age_seconds": 0} == {**told, "age_seconds": 0}
