"""Asking adapters: every wait bounded, every failure a `ControlError`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from control.errors import ControlError, PlatformError, Unreachable
from control.text import clean

T = TypeVar("T")

READ_SECONDS = 20.0
"""How long one read of one object may take, whatever the adapter's own deadline is."""
WRITE_SECONDS = 90.0
"""How long one guarded write with its reload may take."""


async def ask(answer: Awaitable[T], seconds: float, what: str) -> T:
    """Wait for an adapter's answer. No answer in time is `Unreachable`; anything unexpected is a `PlatformError`."""
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError:
        raise Unreachable(f"{what}: no answer within {seconds:g} s") from None
    except ControlError:
        raise
    except Exception as error:
        raise PlatformError(f"{what}: {clean(str(error) or type(error).__name__, 500)}") from error
