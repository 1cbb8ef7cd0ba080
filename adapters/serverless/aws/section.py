"""What AWS Lambda declares of itself: its section of the deck file.

Everything that starts the program imports this, so it imports nothing that is not light.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from control.deck.sections import ARGUMENTS, TEXT, DeckSection, closed

if TYPE_CHECKING:
    from control.deck.config import EnvironmentConfig
    from control.deck.yamlcheck import Part

PLATFORM = "serverless"


@dataclass(frozen=True, slots=True)
class AwsConfig:
    """The section `aws` of an environment."""

    region: str
    profile: str | None = None
    functions: tuple[str, ...] = ("*",)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Service name -> URL; only for tests."""


def _parse(part: Part) -> AwsConfig:
    given = part.values
    functions = tuple(given.get("functions", ("*",)))
    return AwsConfig(given["region"], given.get("profile"), functions, given.get("endpoints", {}))


SECTION = DeckSection(
    key="aws",
    platform=PLATFORM,
    schema=closed(
        {
            "region": TEXT,
            "profile": TEXT,
            "functions": ARGUMENTS,
            "endpoints": {"type": "object", "additionalProperties": TEXT, "description": "only for tests"},
        },
        "region",
    ),
    parse=_parse,
    measure_seconds=30.0,  # a call of CloudWatch costs money, and its figures are a minute wide
)


def settings_of(config: EnvironmentConfig) -> AwsConfig:
    """What the deck file says of an account and region."""
    assert isinstance(config.settings, AwsConfig)
    return config.settings
