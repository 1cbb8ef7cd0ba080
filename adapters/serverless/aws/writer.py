"""Writes one account and region: one guarded call per step, sent once."""

from __future__ import annotations

from adapters.serverless.aws import alias as alias_codec
from adapters.serverless.aws import fetch
from adapters.serverless.aws.alias import AliasWrite
from adapters.serverless.aws.cloud import Cloud, ServiceError
from adapters.serverless.aws.concurrency import ConcurrencyWrite, base_of
from adapters.serverless.aws.failures import write_failure
from adapters.serverless.aws.reader import LambdaReader
from control.errors import ControlError, Forbidden, PlatformError, Stale
from control.ports import ApiCall, Prepared, Written


class LambdaWriter:
    """`control.ports.Writer` for AWS Lambda. Its cloud allows the write operations alone; it re-reads by its reader."""

    def __init__(self, reader: LambdaReader, cloud: Cloud) -> None:
        self._reader = reader
        self._cloud = cloud

    async def write(self, step: Prepared) -> Written:
        """As the port says."""
        write = step.payload
        if isinstance(write, AliasWrite):
            return await self._alias(step, write)
        if isinstance(write, ConcurrencyWrite):
            return await self._concurrency(step, write)
        raise PlatformError(f"{step.object} was not prepared here")

    async def close(self) -> None:
        """Close the connections. Idempotent."""
        await self._cloud.close()

    async def _alias(self, step: Prepared, write: AliasWrite) -> Written:
        if not write.revision:
            held = await fetch.alias(self._reader.cloud, write.function, write.alias)
            _compare(step, alias_codec.base_of(held))
        answer = await self._call(step)
        said = f"alias updated, revision {answer.get('RevisionId', 'unknown')}"
        return Written(said, self._reader.answered(step.object, answer))

    async def _concurrency(self, step: Prepared, write: ConcurrencyWrite) -> Written:
        _compare(step, base_of(await fetch.reserved(self._reader.cloud, write.function)))
        answer = await self._call(step)
        said = "reservation deleted" if write.after is None else f"reserved concurrency {write.after}"
        return Written(said, self._reader.answered(step.object, answer))

    async def _call(self, step: Prepared) -> dict[str, object]:
        (call,) = (one for one in step.writes if isinstance(one, ApiCall))
        try:
            return await self._cloud.call(call.service, call.operation, call.arguments)
        except ServiceError as error:
            failure: ControlError = write_failure(error, step.object)
            if isinstance(failure, Forbidden):
                self._reader.refused(failure.message)
            raise failure from None


def _compare(step: Prepared, base: str) -> None:
    if base != step.base:
        raise Stale(
            f"{step.object} was changed since it was read; nothing was written", ref=step.object, hint="plan again"
        )
