"""The pace of calls and the pool of threads beneath them."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from lambda_helpers import environment, opened

from adapters.common.workers import Workers
from adapters.serverless.aws import adapter
from adapters.serverless.aws.pace import Pace


async def test_a_burst_waits_for_nothing() -> None:
    pace = Pace(rate=0.5, burst=5)
    async with asyncio.timeout(5):  # one after the other they would take eight seconds
        await asyncio.gather(*(pace.wait() for _ in range(5)))


async def test_the_pace_holds_after_the_burst() -> None:
    pace = Pace(rate=50.0, burst=5)
    started = time.monotonic()
    await asyncio.gather(*(pace.wait() for _ in range(25)))
    assert time.monotonic() - started > 0.3


@pytest.mark.parametrize(("text", "rate"), [("100", 100.0), ("", 8.0), ("abc", 8.0), ("-1", 8.0), ("nan", 8.0)])
async def test_the_pace_can_be_set(monkeypatch: pytest.MonkeyPatch, text: str, rate: float) -> None:
    monkeypatch.setenv(adapter.RATE_VARIABLE, text)
    reader, _ = await opened(environment("http://127.0.0.1:1"))
    assert reader.cloud._slow._rate == rate  # type: ignore[attr-defined]
    await reader.close()


async def test_no_more_threads_than_allowed_and_none_left_behind() -> None:
    workers = Workers(3, "counted")
    at_once, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.02)
        with lock:
            at_once -= 1

    await asyncio.gather(*(workers.run(work) for _ in range(12)))
    assert most == 3
    workers.close()
    workers.close()
    until = time.monotonic() + 3
    while any(thread.name.startswith("counted-") for thread in threading.enumerate()):
        assert time.monotonic() < until
        await asyncio.sleep(0.01)


async def test_an_error_reaches_the_caller_and_a_cancelled_job_does_not_block_the_next() -> None:
    workers = Workers(1, "erring")

    def fail() -> None:
        raise ValueError("told")

    with pytest.raises(ValueError, match="told"):
        await workers.run(fail)
    slow = asyncio.ensure_future(workers.run(lambda: time.sleep(0.1)))
    await asyncio.sleep(0.01)
    slow.cancel()
    assert await workers.run(lambda: 7) == 7
    workers.close()


async def test_threads_do_not_keep_the_process_from_ending() -> None:
    workers = Workers(1, "daemonic")
    await workers.run(lambda: None)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("daemonic"))
    workers.close()
