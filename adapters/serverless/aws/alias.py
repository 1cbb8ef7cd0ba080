"""The codec of Lambda aliases: a main version and at most one other, which holds an exact share of the requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from adapters.serverless.aws.owners import alias_owners
from adapters.serverless.aws.records import LATEST, Alias, Function, Place, Version, exact
from adapters.serverless.aws.section import PLATFORM
from control.errors import InvalidValue, NotFound
from control.model import Grid, Health, Route, Semantics, Status, StatusState, Target
from control.model.ref import Ref
from control.planning.edit import Change
from control.text import clean

KIND = "LambdaAlias"
DENOMINATOR = 1_000_000
"""Shares in millionths: six digits survive the way through a JSON double exactly."""
GRID = Grid(denominator=DENOMINATOR, live_targets=2, only_percent=True, open_targets=True)


def ref_of(place: Place, function: str, alias: str) -> Ref:
    """`env/LambdaAlias/<region>/<function>:<alias>`."""
    return Ref(place.environment, KIND, place.region, f"{function}:{alias}")


def split_name(name: str) -> tuple[str, str]:
    """The function and the alias that a ref's name holds. Raises `NotFound`."""
    function, colon, alias = name.rpartition(":")
    if not (function and colon and alias):
        raise NotFound(f"'{clean(name)}' is not FUNCTION:ALIAS")
    return function, alias


def base_of(alias: Alias) -> str:
    """RevisionId with versions and weights, so that it compares even where an emulator keeps the id constant."""
    extra = "".join(f"+{version}={share}" for version, share in alias.weights)
    return f"revision:{clean(alias.revision or 'none')};{clean(alias.version)}{extra}"


def to_route(place: Place, function: Function, alias: Alias) -> Route:
    """The route that an alias is."""
    ref = ref_of(place, function.name, alias.name)
    return Route(
        ref=ref,
        platform=PLATFORM,
        name=clean(f"{function.name}:{alias.name}"),
        semantics=Semantics.PRIMARY_ADDITIONAL,
        grid=GRID,
        targets=tuple(_targets(function, alias)),
        object=str(ref),
        base=base_of(alias),
        read_at=function.read_at,
        matches=(clean(f"{function.arn}:{alias.name}"),),
        owners=alias_owners(place, function, alias.name),
        status=_status(function, alias),
        notes=tuple(_notes(place, function, alias)),
        location="FunctionVersion, RoutingConfig.AdditionalVersionWeights",
    )


def _targets(function: Function, alias: Alias) -> list[Target]:
    versions = {version.number: version for version in function.versions or ()}
    extra = dict(alias.weights)
    targets = []
    for number, share in alias.shares.items():
        health, detail = _health(versions.get(number))
        targets.append(Target(number, extra.get(number), share, health=health, health_detail=detail))
    return targets


def _health(version: Version | None) -> tuple[Health, str]:
    if version is None or not version.state:
        return Health.UNKNOWN, ""
    if version.state in ("Active", "ActiveNonInvocable"):
        return Health.UP, version.state
    if version.state in ("Failed", "Inactive", "Deactivated"):
        return Health.DOWN, f"{version.state}: {version.reason}".rstrip(": ")
    return Health.UNKNOWN, version.state


def _status(function: Function, alias: Alias) -> Status:
    moving = [item for item in function.provisioned if item.qualifier == alias.name]
    if any(item.status == "IN_PROGRESS" for item in moving):
        return Status(StatusState.PENDING, "AWS is moving provisioned capacity")
    if any(item.status == "FAILED" for item in moving):
        return Status(StatusState.ERROR, f"provisioned concurrency failed: {moving[0].reason}")
    if function.state == "Failed":
        return Status(StatusState.ERROR, "the function's state is Failed")
    return Status(StatusState.OK, function.state)


def _notes(place: Place, function: Function, alias: Alias) -> list[str]:
    notes = list(place.doubts)
    if any(item.qualifier == alias.name for item in function.provisioned):
        notes.append(
            "has provisioned concurrency: after a change of version AWS sets weights of its own for up to 15 minutes"
        )
    if alias.weights:
        notes.append("each request is tossed anew: at few requests the measured split strays far")
    return notes


# --- edit -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AliasWrite:
    """One UpdateAlias: what `Prepared.payload` holds for an alias."""

    function: str
    alias: str
    after: Alias
    revision: str | None

    def arguments(self) -> dict[str, Any]:
        """The call's parameters. Version and weights go together: a version alone would keep the old weights."""
        weights = {version: float(share) for version, share in self.after.weights}
        arguments: dict[str, Any] = {
            "FunctionName": self.function,
            "Name": self.alias,
            "FunctionVersion": self.after.version,
            "RoutingConfig": {"AdditionalVersionWeights": weights},
        }
        if self.revision:
            arguments["RevisionId"] = self.revision
        return arguments


def edit(ref: Ref, function: Function, alias: Alias, changes: Sequence[Change]) -> AliasWrite:
    """The one call that makes `changes` true. Raises `InvalidValue` for what an alias cannot hold."""
    shares = _wanted(ref, alias, changes)
    live = {version: share for version, share in shares.items() if share > 0}
    _check_total(ref, live)
    main = _main(alias, live)
    _check_weight(ref, live, main)
    weights = tuple((version, share) for version, share in live.items() if version != main)
    if live != {version: share for version, share in alias.shares.items() if share > 0}:
        _check_versions(ref, function, live)
    return AliasWrite(
        function.name, alias.name, replace(alias, version=main, weights=weights, revision=None), alias.revision
    )


def _wanted(ref: Ref, alias: Alias, changes: Sequence[Change]) -> dict[str, Fraction]:
    shares = alias.shares
    for change in changes:
        head, _, rest = change.field.partition("/")
        version, _, leaf = rest.rpartition("/")
        if head != "targets" or leaf != "share" or not version:
            raise InvalidValue(
                f"{ref} has no field '{clean(change.field)}' that can be set", ref=str(ref), hint="set shares, in %"
            )
        after = change.after if change.after is not None else Fraction(0)
        if isinstance(after, str) or not 0 <= after <= 1:
            raise InvalidValue(f"a share of {after} is not between 0 % and 100 %", ref=str(ref))
        shares[version] = Fraction(after)
    return shares


def _check_total(ref: Ref, live: Mapping[str, Fraction]) -> None:
    total = sum(live.values(), Fraction(0))
    if total != 1:
        raise InvalidValue(
            f"the shares make {float(total * 100):g} %, not 100 %", ref=str(ref), hint="name both versions"
        )
    if len(live) > 2:
        names = ", ".join(clean(version) for version in live)
        raise InvalidValue(
            f"an alias holds at most two versions at once, not {len(live)} ({names})",
            ref=str(ref),
            hint="set one of them to 0%",
        )


def _check_weight(ref: Ref, live: Mapping[str, Fraction], main: str) -> None:
    """Only the additional version's weight is sent; the main version has the rest."""
    if all(_held(share) for version, share in live.items() if version != main):
        return
    version, share = next((version, share) for version, share in live.items() if not _held(share))
    low = Fraction(int(share * DENOMINATOR), DENOMINATOR)
    high = low + Fraction(1, DENOMINATOR)
    raise InvalidValue(
        f"version {clean(version)} cannot hold exactly {share}",
        ref=str(ref),
        hint=f"nearest: {percent(low)} or {percent(high)}",
    )


def _held(share: Fraction) -> bool:
    """Can the weight be sent so that it is read back as it is? Millionths can, and every double that AWS held before:
    somebody else may have set `0.3333333333333333`, and taking our change back must restore it."""
    return (share * DENOMINATOR).denominator == 1 or exact(float(share)) == share


def percent(share: Fraction) -> str:
    """A share on the grid as percent, exact."""
    whole, rest = divmod(int(share * DENOMINATOR), DENOMINATOR // 100)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".") + "%"


def _main(alias: Alias, live: Mapping[str, Fraction]) -> str:
    """Which version is the main one: the present one while the same two share; else the older of the two, as in a
    canary, so that taking a promotion back restores the same record. The other way round where only so the weight of
    the additional one can be held."""
    if len(live) == 1:
        return next(iter(live))
    older = min(live, key=lambda version: (not version.isdigit(), int(version) if version.isdigit() else 0))
    main = alias.version if alias.version in live and set(live) == set(alias.shares) else older
    (extra,) = (version for version in live if version != main)
    return extra if not _held(live[extra]) and _held(live[main]) else main


def _check_versions(ref: Ref, function: Function, live: Mapping[str, Fraction]) -> None:
    if len(live) > 1 and any(not version.isdigit() for version in live):
        raise InvalidValue(
            f"{LATEST} cannot share an alias with another version", ref=str(ref), hint="publish a version first"
        )
    if function.versions is None:
        return
    published = {version.number: version for version in function.versions}
    for version in live:
        if version not in published:
            known = sorted((number for number in published if number.isdigit()), key=int)
            shown = ", ".join(known[-8:]) or "none"
            raise InvalidValue(
                f"version {clean(version)} of {clean(function.name)} is not published",
                ref=str(ref),
                hint=f"published: {shown}",
            )
    if len(live) == 2:
        first, second = (published[version] for version in live)
        for what, differs in (
            ("execution roles", first.role != second.role),
            ("dead-letter queues", first.dead_letter != second.dead_letter),
            ("package types", first.package != second.package),
        ):
            if differs:
                raise InvalidValue(
                    f"versions {first.number} and {second.number} have different {what}: an alias cannot hold both",
                    ref=str(ref),
                    hint="move all traffic at once: set the new version to 100%",
                )
