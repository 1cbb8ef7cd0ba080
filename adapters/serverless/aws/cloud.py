"""What stands beneath the reader and the writer: one AWS call at a time, by service and operation name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from control.errors import ControlError


class ServiceError(Exception):
    """AWS answered with an error. `message` is cleaned; `reason` is Lambda's `Reason`, where it gives one."""

    def __init__(self, service: str, operation: str, code: str, message: str, status: int, reason: str = "") -> None:
        super().__init__(f"{service}:{operation}: {code}: {message}")
        self.service = service
        self.operation = operation
        self.code = code
        self.message = message
        self.status = status
        self.reason = reason

    @property
    def denied(self) -> bool:
        """Whether the identity is known but lacks the right."""
        return self.code.startswith("AccessDenied") or self.code == "UnauthorizedOperation" or self.status == 403


class NotOffered(ControlError):
    """The deck names test endpoints, and none for this service: it must not be asked anywhere else."""


class Cloud(Protocol):
    """One account and region. Implementations: `boto.BotoCloud` (the real one) and `memory.MemoryCloud`."""

    async def call(self, service: str, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Do one call and return its output members. Raises `ServiceError` (AWS answered with an error),
        `AuthError`, `Unreachable`, `ReadOnly` (off the allow-list), `NotOffered`."""
        ...

    def throttled(self, since: float) -> str:
        """How AWS said since a time of the monotonic clock that it is asked too often; "" where it did not."""
        ...

    async def close(self) -> None: ...
