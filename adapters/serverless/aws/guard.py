"""Refuses every AWS operation off an allow-list, before anything is sent.

Two nets. `before-parameter-build` stops calls, paginators, waiters and presigned URLs; `before-send` sees the request
itself. Both must be registered on a session before its first client is made. The hooks hold no state but the
allow-list, so clients stay safe to share between threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapters.serverless.aws.operations import CREDENTIALS, REST_JSON, WRITES, Operation
from control.errors import ReadOnly


def _refuse(service: str, operation: str) -> ReadOnly:
    return ReadOnly(
        f"{service}:{operation} is not on the list of operations that this AWS session may call",
        hint="nothing was sent",
    )


def install(events: Any, allowed: frozenset[Operation]) -> None:
    """Register both nets on a session's event emitter. `allowed` is READS or WRITES; the credential calls are added."""
    permitted = allowed | CREDENTIALS
    events.register_first("before-parameter-build", parameter_guard(permitted))
    events.register_first("before-send", request_guard(permitted))


def parameter_guard(permitted: frozenset[Operation]) -> Callable[..., None]:
    """The hook that judges an operation by its model, before parameters are even looked at."""

    def guard(model: Any, **unused: object) -> None:
        service, operation = str(model.service_model.service_name), str(model.name)
        if (service, operation) not in permitted:
            raise _refuse(service, operation)

    return guard


def request_guard(permitted: frozenset[Operation]) -> Callable[..., None]:
    """The hook that judges the request about to be sent: its operation, and its HTTP method where that tells reads."""

    def guard(request: Any, event_name: str, **unused: object) -> None:
        _, service, operation = event_name.split(".", 2)
        if (service, operation) not in permitted:
            raise _refuse(service, operation)
        writes = (service, operation) in WRITES
        if service in REST_JSON and not writes and request.method not in ("GET", "HEAD"):
            raise _refuse(service, f"{operation} ({request.method})")

    return guard
