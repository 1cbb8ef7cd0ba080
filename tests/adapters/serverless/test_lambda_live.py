"""Lambda on a real emulator that enforces RevisionId and pages (MiniStack)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from fractions import Fraction
from typing import Any

import pytest
from lambda_helpers import REGION, Proxy, client, environment, make_function, opened
from preparing import prepared

from control.errors import InvalidValue, NotFound, PlatformError, Stale, Unreachable
from control.model import AccessState, ReachState, Special
from control.model.ref import Ref
from control.planning.edit import Change, Share, SharesEdit
from control.planning.share_edits import resolve_shares
from control.ports import ProofState, Written

_serial = iter(range(10_000))


@pytest.fixture
def admin(ministack: str) -> Any:
    return client("lambda", ministack)


@pytest.fixture
def function(admin: Any) -> str:
    """A fresh function with three versions and the alias `live` at 1, 30 % on 2."""
    name = f"chat-{next(_serial)}"
    make_function(admin, name)
    weights = {"AdditionalVersionWeights": {"2": 0.3}}
    admin.create_alias(FunctionName=name, Name="live", FunctionVersion="1", RoutingConfig=weights)
    return name


def alias_ref(function: str) -> Ref:
    return Ref("fn", "LambdaAlias", REGION, f"{function}:live")


def concurrency_ref(function: str) -> Ref:
    return Ref("fn", "LambdaConcurrency", REGION, function)


def shares(ref: Ref, **wanted: str) -> list[Change]:
    return [Change(ref, f"targets/{name[1:]}/share", None, Fraction(value)) for name, value in wanted.items()]


async def test_read_shows_alias_and_reservation(ministack: str, admin: Any, function: str) -> None:
    admin.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=7)
    reader, _ = await opened(environment(ministack, function))
    snapshot = await reader.read()
    (route,) = snapshot.routes
    assert route.ref == alias_ref(function)
    assert [(target.name, target.weight, target.share) for target in route.targets] == [
        ("1", None, Fraction(7, 10)),
        ("2", Fraction(3, 10), Fraction(3, 10)),
    ]
    (limit,) = snapshot.limits
    assert limit.amount == 7
    assert limit.bindings[0].on == str(route.ref)
    account = admin.get_account_settings()["AccountLimit"]
    assert limit.amounts is not None
    assert limit.amounts.maximum == account["UnreservedConcurrentExecutions"] - 100 + 7
    assert snapshot.environment.identity.startswith("arn:aws:iam::")
    assert snapshot.environment.access.state is AccessState.UNKNOWN
    assert "hunter2" not in repr(snapshot) + repr(reader._sweep.functions)
    await reader.close()


async def test_shares_are_written_read_back_and_undone(ministack: str, admin: Any, function: str) -> None:
    reader, writer = await opened(environment(ministack, function))
    ref = alias_ref(function)
    (step,) = await prepared(reader, shares(ref, v1="7/20", v2="13/20"))
    assert '-      "2": 0.3' in step.diff
    assert '+      "2": 0.65' in step.diff
    assert (await reader.loaded(step)).state is ProofState.NO
    await writer.write(step)
    assert (await reader.loaded(step)).state is ProofState.YES
    held = admin.get_alias(FunctionName=function, Name="live")
    assert held["FunctionVersion"] == "1"
    assert held["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.65}}
    (route,) = (await reader.fetch([str(ref)]))[0].routes
    promised = [(target.name, target.weight, target.share, target.state) for target in step.routes_after[0].targets]
    found = [(target.name, target.weight, target.share, target.state) for target in route.targets]
    assert found == promised  # a version that was Pending may be Active by now
    assert route.base != step.base
    (back,) = await prepared(reader, shares(ref, v1="7/10", v2="3/10"))
    await writer.write(back)
    assert admin.get_alias(FunctionName=function, Name="live")["RoutingConfig"]["AdditionalVersionWeights"]["2"] == 0.3
    await reader.close()
    await writer.close()


async def test_promotion_clears_the_weights_in_the_same_call(ministack: str, admin: Any, function: str) -> None:
    proxy = Proxy(ministack)
    reader, writer = await opened(environment(proxy.url, function))
    ref = alias_ref(function)
    (step,) = await prepared(reader, shares(ref, v1="0", v2="1"))
    await writer.write(step)
    assert len(proxy.writes) == 1
    held = admin.get_alias(FunctionName=function, Name="live")
    assert held["FunctionVersion"] == "2"
    assert not held.get("RoutingConfig", {}).get("AdditionalVersionWeights")
    (back,) = await prepared(reader, shares(ref, v1="7/10", v2="3/10"))
    await writer.write(back)
    held = admin.get_alias(FunctionName=function, Name="live")
    assert (held["FunctionVersion"], held["RoutingConfig"]["AdditionalVersionWeights"]) == ("1", {"2": 0.3})
    proxy.stop()
    await reader.close()
    await writer.close()


async def test_a_new_version_joins_when_another_leaves(ministack: str, admin: Any, function: str) -> None:
    reader, writer = await opened(environment(ministack, function))
    (step,) = await prepared(reader, shares(alias_ref(function), v1="9/10", v2="0", v3="1/10"))
    await writer.write(step)
    held = admin.get_alias(FunctionName=function, Name="live")
    assert (held["FunctionVersion"], held["RoutingConfig"]["AdditionalVersionWeights"]) == ("1", {"3": 0.1})
    await reader.close()
    await writer.close()


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"v1": "1/2", "v2": "1/4", "v3": "1/4"}, "at most two versions"),
        ({"v1": "1/2"}, "not 100 %"),
        ({"v1": "1/3", "v2": "2/3"}, "cannot hold exactly 1/3"),
        ({"v1": "1/2", "v2": "0", "v99": "1/2"}, "version 99 of"),
        ({"v1": "3/2", "v2": "-1/2"}, "not between 0 % and 100 %"),
        ({"v1": "1/2", "v2": "0", "v$LATEST": "1/2"}, "cannot share an alias"),
    ],
)
async def test_what_an_alias_cannot_hold_is_refused_before_anything_is_sent(
    proxy: Proxy, function: str, wanted: dict[str, str], says: str
) -> None:
    reader, _ = await opened(environment(proxy.url, function))
    with pytest.raises(InvalidValue, match=says):
        await prepared(reader, shares(alias_ref(function), **wanted))
    assert proxy.writes == []
    await reader.close()


async def test_a_stale_revision_writes_nothing(ministack: str, admin: Any, function: str) -> None:
    reader, writer = await opened(environment(ministack, function))
    (step,) = await prepared(reader, shares(alias_ref(function), v1="1/2", v2="1/2"))
    admin.update_alias(FunctionName=function, Name="live", Description="somebody else")
    with pytest.raises(Stale):
        await writer.write(step)
    held = admin.get_alias(FunctionName=function, Name="live")
    assert held["RoutingConfig"]["AdditionalVersionWeights"] == {"2": 0.3}
    await reader.close()
    await writer.close()


async def test_of_two_racing_writers_one_is_stale(ministack: str, admin: Any, function: str) -> None:
    pairs = [await opened(environment(ministack, function)) for _ in range(2)]
    steps = []
    for (reader, _), percent in zip(pairs, ("4/10", "6/10"), strict=True):
        other = str(1 - Fraction(percent))
        steps += await prepared(reader, shares(alias_ref(function), v1=other, v2=percent))
    results = await asyncio.gather(
        *(writer.write(step) for (_, writer), step in zip(pairs, steps, strict=True)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Stale", "Written"]
    winner = next(step for step, result in zip(steps, results, strict=True) if isinstance(result, Written))
    held = admin.get_alias(FunctionName=function, Name="live")
    assert held["RoutingConfig"]["AdditionalVersionWeights"]["2"] == float(winner.payload.after.weights[0][1])
    for reader, writer in pairs:
        await reader.close()
        await writer.close()


async def test_reservation_set_blocked_and_removed(ministack: str, admin: Any, function: str) -> None:
    reader, writer = await opened(environment(ministack, function))
    ref = concurrency_ref(function)
    for value, native in ((Fraction(12), 12), (Special.BLOCKED, 0), (Special.UNLIMITED, None)):
        (step,) = await prepared(reader, [Change(ref, "amount", None, value)])
        assert any("unguarded" in warning for warning in step.warnings)
        await writer.write(step)
        assert (await reader.loaded(step)).state is ProofState.YES
        held = admin.get_function_concurrency(FunctionName=function)
        assert held.get("ReservedConcurrentExecutions") == native
        (limit,) = (await reader.fetch([str(ref)]))[0].limits
        assert limit.amount == value
    await reader.close()
    await writer.close()


async def test_reservation_range_and_stale_base(ministack: str, admin: Any, function: str) -> None:
    reader, writer = await opened(environment(ministack, function))
    ref = concurrency_ref(function)
    unreserved = admin.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    for wrong, hint in (
        (Fraction(unreserved - 99), f"nearest: {unreserved - 100}"),
        (Fraction(5, 2), "nearest: 2 or 3"),
        (Fraction(-1), "whole number"),
    ):
        with pytest.raises(InvalidValue) as caught:
            await prepared(reader, [Change(ref, "amount", None, wrong)])
        assert hint in str(caught.value)
    (step,) = await prepared(reader, [Change(ref, "amount", None, Fraction(3))])
    admin.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=9)
    with pytest.raises(Stale):
        await writer.write(step)
    assert admin.get_function_concurrency(FunctionName=function)["ReservedConcurrentExecutions"] == 9
    await reader.close()
    await writer.close()


async def test_applied_but_answered_500_leaves_the_outcome_unknown_and_is_not_sent_twice(
    proxy: Proxy, admin: Any, function: str
) -> None:
    reader, writer = await opened(environment(proxy.url, function))
    (step,) = await prepared(reader, shares(alias_ref(function), v1="1/2", v2="1/2"))
    proxy.mode = "applied_500"
    with pytest.raises(Unreachable):
        await writer.write(step)
    assert len(proxy.writes) == 1
    proxy.mode = ""
    assert (await reader.loaded(step)).state is ProofState.YES
    await reader.close()
    await writer.close()


async def test_a_throttled_write_is_told_and_not_repeated(proxy: Proxy, admin: Any, function: str) -> None:
    reader, writer = await opened(environment(proxy.url, function))
    (step,) = await prepared(reader, shares(alias_ref(function), v1="1/2", v2="1/2"))
    proxy.mode = "throttle"
    with pytest.raises(PlatformError, match="CallerRateLimitExceeded"):
        await writer.write(step)
    assert len(proxy.writes) == 1
    proxy.mode = ""
    assert (await reader.loaded(step)).state is ProofState.NO
    await reader.close()
    await writer.close()


async def test_server_gone_ends_in_seconds(proxy: Proxy, function: str) -> None:
    reader, writer = await opened(environment(proxy.url, function))
    (step,) = await prepared(reader, shares(alias_ref(function), v1="1/2", v2="1/2"))
    proxy.stop()
    started = time.monotonic()
    with pytest.raises(Unreachable):
        await writer.write(step)
    with pytest.raises(Unreachable):
        await reader.read()
    assert time.monotonic() - started < 25
    await reader.close()
    await writer.close()


async def test_pages_are_followed_and_globs_choose(ministack: str, admin: Any) -> None:
    for number in range(55):
        make_function(admin, f"paged-{number:02}", versions=0)
    reader, _ = await opened(environment(ministack, "paged-*"))
    reader.cloud._slow._rate = reader.cloud._fast._rate = 1000.0  # type: ignore[attr-defined]
    snapshot = await reader.read()
    assert len(snapshot.limits) == 55
    assert snapshot.environment.reach.state is ReachState.OK
    await reader.close()


async def test_a_sweep_that_does_not_fit_says_so_and_goes_on(ministack: str, admin: Any) -> None:
    for number in range(12):
        make_function(admin, f"sweep-{number:02}", versions=0)
    reader, _ = await opened(environment(ministack, "sweep-*"))
    reader._read_seconds = 2.0
    reader.cloud._slow._rate, reader.cloud._slow._burst = 5.0, 2  # type: ignore[attr-defined]
    first = await reader.read()
    assert 0 < len(first.limits) < 12
    read = {limit.name for limit in first.limits}
    late = {f"function sweep-{number:02}" for number in range(12)} - {f"function {name}" for name in read}
    assert {one.what for one in first.missing} == late
    assert {one.why for one in first.missing} == {"not read yet, at the pace that AWS allows"}
    reader._read_seconds = 10.0
    reader.cloud._slow._rate = 1000.0  # type: ignore[attr-defined]
    second = await reader.read()
    assert (len(second.limits), second.missing) == (12, ())
    await reader.close()


@pytest.mark.clock
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((403, "AccessDeniedException", "not for you"), "may not be read: not for you (the identity needs lambda:"),
        ((429, "TooManyRequestsException", "Rate exceeded"), "AWS throttles"),
        ((400, "InvalidParameterValueException", "odd"), "could not be read: InvalidParameterValueException: odd"),
    ],
)
@pytest.mark.parametrize("at", ["functions/partly-1", "functions/partly-1/aliases"])
async def test_a_function_that_cannot_be_read_is_named_and_the_others_are_listed(
    proxy: Proxy, admin: Any, answer: tuple[int, str, str], why: str, at: str
) -> None:
    for number in range(3):
        with contextlib.suppress(admin.exceptions.ResourceConflictException):
            make_function(admin, f"partly-{number}", versions=0)
    reader, _ = await opened(environment(proxy.url, "partly-?", "partly-gone"))
    reader._read_seconds = 4.0
    proxy.mode, proxy.only, proxy.answer = "answer", at, answer
    first = await reader.read()
    assert [limit.name for limit in first.limits] == ["partly-0", "partly-2"]
    absent, refused = first.missing
    assert str(absent) == f"function partly-gone: there is none of this name in {REGION}"
    assert refused.what == "function partly-1"
    assert why in refused.why
    proxy.mode, reader._read_seconds = "", 12.0
    assert [one.what for one in (await reader.read()).missing] == ["function partly-gone"]
    proxy.mode, reader._read_seconds = "answer", 4.0
    again = await reader.read()
    assert len(again.limits) == 3, "what was read before is kept, with its age"
    assert "function partly-1" in [one.what for one in again.missing] or why == "AWS throttles"
    await reader.close()


async def test_an_account_that_is_throttled_names_every_function(proxy: Proxy, admin: Any, function: str) -> None:
    reader, _ = await opened(environment(proxy.url, function))
    reader._read_seconds = 3.0
    proxy.mode, proxy.only = "throttle", f"functions/{function}"
    snapshot = await reader.read()
    assert snapshot.limits == ()
    assert [one.what for one in snapshot.missing] == [f"function {function}"]
    assert "AWS throttles" in snapshot.missing[0].why
    await reader.close()


async def test_a_weight_off_the_grid_is_left_and_comes_back(ministack: str, admin: Any, function: str) -> None:
    admin.update_alias(
        FunctionName=function, Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.3333333333333333}}
    )
    reader, writer = await opened(environment(ministack, function))
    [route] = (await reader.read()).routes
    back = {target.name: target.share for target in route.targets}
    away = resolve_shares(route, SharesEdit(route.ref, (("1", Share(Fraction(4, 5))), ("2", Share(Fraction(1, 5))))))
    (step,) = await prepared(reader, away)
    await writer.write(step)
    (undo,) = await prepared(reader, [Change(c.ref, c.field, c.after, c.before) for c in away])
    assert {target.name: target.share for target in undo.routes_after[0].targets} == back
    await writer.write(undo)
    held = admin.get_alias(FunctionName=function, Name="live")
    assert held["RoutingConfig"]["AdditionalVersionWeights"] == {"2": 0.3333333333333333}
    assert (await reader.loaded(undo)).state is ProofState.YES
    await reader.close()
    await writer.close()


async def test_a_reference_to_nothing(ministack: str, function: str) -> None:
    reader, _ = await opened(environment(ministack, function))
    with pytest.raises(NotFound):
        await reader.fetch([str(Ref("fn", "LambdaAlias", REGION, f"{function}:gone"))])
    with pytest.raises(NotFound):
        await prepared(reader, shares(Ref("fn", "LambdaAlias", REGION, "no-such:live"), v1="1"))
    await reader.close()


async def test_doctor_and_native(ministack: str, function: str) -> None:
    reader, _ = await opened(environment(ministack, function))
    checks = {check.check: check for check in await reader.check()}
    assert checks["functions"].state == "ok"
    assert checks["identity"].detail.startswith("arn:aws:")
    assert checks["codedeploy"].state == "warn"
    native = await reader.native(alias_ref(function))
    assert '"2": 0.3' in native.text
    await reader.close()
