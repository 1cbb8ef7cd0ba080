"""What an API server's refusal means, as one of our errors. Source: reference of the API conventions, Status kinds."""

from __future__ import annotations

import re

import msgspec

from adapters.kubernetes.client.objects import ApiStatus
from control.errors import (
    AuthError,
    ControlError,
    Forbidden,
    InvalidValue,
    NotFound,
    PlatformError,
    Stale,
    Unreachable,
)
from control.text import clean

_DENIED = re.compile(r"admission webhook .* denied the request|ValidatingAdmissionPolicy .* denied request", re.DOTALL)
_WEBHOOK_DOWN = re.compile(r"failed calling webhook")
LONGEST_WAIT_SECONDS = 600.0


class Gone(PlatformError):
    """410: the resource version or continue token is too old; list anew."""


class Busy(PlatformError):
    """429: overloaded. `after_seconds` is how long it wants to be left alone, 0 where it does not say."""

    after_seconds: float = 0.0


def status_of(body: bytes) -> ApiStatus:
    """The Status in `body`, an empty one where it holds none."""
    try:
        return msgspec.json.decode(body, type=ApiStatus)
    except msgspec.DecodeError:
        return ApiStatus()


def refusal(code: int, body: bytes, what: str, where: str, retry_after: str = "") -> ControlError:
    """The error for an answer `code` to `what` ("patch httproutes of inference/llama") at `where`."""
    status = status_of(body)
    said = clean(status.message, 600) or f"it answered {code}"
    if _DENIED.search(status.message):
        return _denial(code, said, what)
    if code == 401:
        return AuthError(
            f"{where} does not accept our identity (401) to {what}: the token or certificate has expired or is wrong",
            hint="log in again or renew the kubeconfig's credentials, then refresh",
        )
    if code == 403:
        return Forbidden(f"we may not {what}: {said}", hint="ask for this right, or use another context")
    if code == 404:
        return NotFound(f"{where} has nothing to {what}: {said}")
    if code == 409:
        return Stale(f"somebody else changed it while we tried to {what}: {said}", hint="plan again")
    if code == 410:
        return Gone(said)
    if code == 422:
        return _unprocessable(status, said, what)
    if code == 429:
        wait = retry_after if retry_after.isdecimal() else ""
        busy = Busy(
            f"{where} is overloaded and refused to {what} (429)",
            hint=f"try again in {wait} s" if wait else "try again later",
        )
        busy.after_seconds = min(float(wait or 0), LONGEST_WAIT_SECONDS)
        return busy
    if _WEBHOOK_DOWN.search(status.message):
        return PlatformError(
            f"the cluster could not ask its webhook, and refused to {what}: {said}",
            hint="the webhook is down; nothing was written",
        )
    if code in (500, 502, 503, 504):
        return Unreachable(f"{where} failed to {what} ({code}): {said}")
    return PlatformError(f"{where} refused to {what} ({code}): {said}")


def _denial(code: int, said: str, what: str) -> ControlError:
    """A rule of the cluster's own refuses a write. It chooses the code freely, so that the code means nothing else."""
    told, hint = f"the cluster refuses to {what}: {said}", "ask whoever runs this rule of the cluster"
    return Forbidden(told, hint=hint) if code == 403 else InvalidValue(told, hint=hint)


def _unprocessable(status: ApiStatus, said: str, what: str) -> ControlError:
    """A failed `test` names no cause; a schema or CEL rule does."""
    causes = (status.details.causes if status.details else None) or []
    if not causes:
        return Stale(
            f"the object is no longer what the plan was made on; the {what} was refused whole and nothing was written",
            hint="plan again",
        )
    told = "; ".join(clean(f"{cause.field}: {cause.message}", 300) for cause in causes[:5])
    return InvalidValue(f"the API server refused to {what}: {told}")
