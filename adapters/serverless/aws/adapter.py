"""Registers AWS Lambda: the deck file's `aws` section."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.serverless.aws.section import SECTION, settings_of
from control.deck.config import EnvironmentConfig
from control.ports import PlatformAdapter, Reader, Secrets, Writer

if TYPE_CHECKING:
    from adapters.serverless.aws.cloud import Cloud

KINDS = {
    "LambdaAlias": "An alias of a Lambda function: which version gets which share of the requests",
    "LambdaConcurrency": "Reserved concurrency of a Lambda function: 0 blocks it, absent leaves it to the account",
}

RATE = 8.0
RATE_VARIABLE = "TRAFFICDECK_LAMBDA_RATE"
"""Calls a second to the control plane of Lambda, whose 15 are shared with every pipeline of the account and region.
The variable changes it, for tests and for accounts with a higher quota."""


def open_reader(config: EnvironmentConfig, secrets: Secrets) -> Reader:
    """A reader for one account and region. No I/O and no boto3 before its first call."""
    from adapters.serverless.aws.reader import LambdaReader

    return LambdaReader(config, _cloud(config, "read"))


def open_writer(config: EnvironmentConfig, secrets: Secrets, reader: Reader) -> Writer:
    """A writer beside `reader`, with a session of its own that knows the write operations alone."""
    from adapters.serverless.aws.reader import LambdaReader
    from adapters.serverless.aws.writer import LambdaWriter

    if not isinstance(reader, LambdaReader):
        raise TypeError("the reader is not of this platform")
    return LambdaWriter(reader, _cloud(config, "write"))


def _cloud(config: EnvironmentConfig, purpose: str) -> Cloud:
    from adapters.serverless.aws.boto import BotoCloud

    return BotoCloud(config.name, settings_of(config), purpose, _rate())


def _rate() -> float:
    try:
        rate = float(os.environ.get(RATE_VARIABLE, ""))
    except ValueError:
        return RATE
    return rate if 0 < rate <= 10_000 else RATE


def _find(home: Path) -> list[dict[str, str]]:
    from adapters.serverless.aws.finding import find_profiles

    return find_profiles(home)


ADAPTER = PlatformAdapter(SECTION, KINDS, open_reader, open_writer, _find)
