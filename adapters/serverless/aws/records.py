"""What is kept of AWS answers, past the boundary: nothing of a function's code location or environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

from control.text import clean

LATEST = "$LATEST"


@dataclass(frozen=True, slots=True)
class Alias:
    """One alias as Lambda holds it."""

    name: str
    version: str
    """The main version."""
    weights: tuple[tuple[str, Fraction], ...] = ()
    """(version, share of requests) of the additional version, if there is one."""
    revision: str | None = None
    """RevisionId: changes with every update; None where the answer holds none."""
    description: str = ""

    @property
    def shares(self) -> dict[str, Fraction]:
        """Version -> share; the main version first, with what the additional ones leave."""
        extra = dict(self.weights)
        return {self.version: 1 - sum(extra.values(), Fraction(0)), **extra}


@dataclass(frozen=True, slots=True)
class Version:
    """One published version: what decides whether an alias can hold it beside another."""

    number: str
    state: str = ""
    reason: str = ""
    role: str = ""
    dead_letter: str = ""
    package: str = ""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """Provisioned concurrency of one alias or version."""

    qualifier: str
    status: str
    requested: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A CodeDeploy deployment that is moving one alias."""

    identifier: str
    application: str
    status: str
    function: str | None
    """None where its target could not be read: then it may be any."""
    alias: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """The account's concurrency in this region."""

    limit: int
    unreserved: int


@dataclass(frozen=True, slots=True)
class Function:
    """One function with its aliases and its reservation."""

    name: str
    arn: str
    aliases: tuple[Alias, ...]
    reserved: int | None
    """None: nothing is reserved, the function draws on the account's pool."""
    read_at: float
    tags: tuple[tuple[str, str], ...] = ()
    state: str = ""
    versions: tuple[Version, ...] | None = None
    """None: not asked for."""
    provisioned: tuple[Provisioned, ...] = ()

    def alias(self, name: str) -> Alias | None:
        """The alias called `name`, or None."""
        return next((alias for alias in self.aliases if alias.name == name), None)


@dataclass(frozen=True, slots=True)
class Place:
    """What all codecs need to know of where a function is."""

    environment: str
    region: str
    account: Account | None = None
    deployments: tuple[Deployment, ...] = ()
    doubts: tuple[str, ...] = field(default=())
    """What could not be asked, and so is not known of any alias here."""


def exact(weight: object) -> Fraction:
    """A JSON number as written: 0.3 is 3/10, not the nearest double."""
    return Fraction(Decimal(repr(weight)) if isinstance(weight, float) else Fraction(str(weight)))


def alias_from(answer: Mapping[str, Any]) -> Alias:
    """An AliasConfiguration."""
    routing = answer.get("RoutingConfig") or {}
    weights = routing.get("AdditionalVersionWeights") or {}
    return Alias(
        name=str(answer["Name"]),
        version=str(answer["FunctionVersion"]),
        weights=tuple((str(version), exact(weight)) for version, weight in weights.items()),
        revision=str(answer["RevisionId"]) if answer.get("RevisionId") else None,
        description=clean(str(answer.get("Description") or "")),
    )


def version_from(answer: Mapping[str, Any]) -> Version:
    """One FunctionConfiguration of ListVersionsByFunction, without its environment variables."""
    return Version(
        number=str(answer["Version"]),
        state=clean(str(answer.get("State") or "")),
        reason=clean(str(answer.get("StateReason") or "")),
        role=str(answer.get("Role") or ""),
        dead_letter=str((answer.get("DeadLetterConfig") or {}).get("TargetArn") or ""),
        package=str(answer.get("PackageType") or ""),
    )


def function_from(answer: Mapping[str, Any], aliases: tuple[Alias, ...], read_at: float) -> Function:
    """A GetFunction answer: its configuration's names, tags and reservation. `Code` and `Environment` end here."""
    configuration = answer["Configuration"]
    concurrency = answer.get("Concurrency") or {}
    reserved = concurrency.get("ReservedConcurrentExecutions")
    return Function(
        name=str(configuration["FunctionName"]),
        arn=str(configuration["FunctionArn"]),
        aliases=aliases,
        reserved=None if reserved is None else int(reserved),
        read_at=read_at,
        tags=tuple(sorted((str(key), str(value)) for key, value in (answer.get("Tags") or {}).items())),
        state=clean(str(configuration.get("State") or "")),
    )


def provisioned_from(answer: Mapping[str, Any]) -> Provisioned:
    """One item of ListProvisionedConcurrencyConfigs; the qualifier is the last part of its ARN."""
    return Provisioned(
        qualifier=str(answer["FunctionArn"]).rsplit(":", 1)[-1],
        status=clean(str(answer.get("Status") or "")),
        requested=int(answer.get("RequestedProvisionedConcurrentExecutions") or 0),
        reason=clean(str(answer.get("StatusReason") or "")),
    )
