"""What botocore raises, as this program's errors, each with the command to run."""

from __future__ import annotations

from typing import Any

from adapters.serverless.cloud import ServiceError
from control.errors import AuthError, ControlError, Forbidden, InvalidValue, NotFound, PlatformError, Stale, Unreachable
from control.text import clean

_LOGIN = frozenset({"SSOTokenLoadError", "UnauthorizedSSOTokenError", "TokenRetrievalError", "SSOError"})
_LOGIN_SESSION = frozenset({"LoginRefreshRequired", "LoginError", "LoginInsufficientPermissions"})
_CREDENTIALS = frozenset({"NoCredentialsError", "PartialCredentialsError", "NoAuthTokenError"})
_EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "UnrecognizedClientException"}
)
THROTTLES = frozenset(
    {
        "TooManyRequestsException",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "SlowDown",
    }
)
"""How AWS says that it is asked too often."""
_UNSENT = frozenset({"ProfileNotFound", "ConfigParseError", "ConfigNotFound", "InvalidConfigError"})


def _profile(profile: str | None) -> str:
    return f"profile '{clean(profile)}'" if profile else "the default credentials"


def _login(profile: str | None) -> str:
    return f"run: aws sso login --profile {clean(profile)}" if profile else "run: aws sso login"


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def auth_failure(error: Exception, profile: str | None) -> AuthError | None:
    """The `AuthError` that an exception means, or None when it is not about who we are."""
    names = _names(error)
    if names & _LOGIN:
        return AuthError(f"the AWS login of {_profile(profile)} is missing or has expired", hint=_login(profile))
    if names & _LOGIN_SESSION:
        command = f"aws login --profile {clean(profile)}" if profile else "aws login"
        return AuthError(f"the AWS login of {_profile(profile)} has expired", hint=f"run: {command}")
    if "MissingDependencyException" in names:
        return AuthError(f"{_profile(profile)} logs in with 'aws login'", hint="install trafficdeck[aws-login]")
    if names & _UNSENT:
        return AuthError(clean(str(error)), hint="aws configure list-profiles shows what there is")
    if names & _CREDENTIALS:
        return AuthError(
            f"no AWS credentials for {_profile(profile)}", hint="set 'profile' in the deck file, or run: aws configure"
        )
    if "CredentialRetrievalError" in names:
        return AuthError(
            f"the credential_process of {_profile(profile)} failed", hint="run it by hand; its output is not shown here"
        )
    if isinstance(error, FileNotFoundError):
        return AuthError(f"a credentials file of {_profile(profile)} is missing: {clean(str(error.filename or ''))}")
    return None


def from_botocore(error: Exception, service: str, operation: str, profile: str | None, where: str) -> Exception:
    """What to raise for an exception that a botocore call ended with. `where` names environment and region."""
    if isinstance(error, ControlError):
        return error
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:
        return _answered(response, service, operation, profile)
    auth = auth_failure(error, profile)
    if auth is not None:
        return auth
    names = _names(error)
    if "ParamValidationError" in names:
        return InvalidValue(f"{service}:{operation} was not sent: {clean(str(error))}")
    return Unreachable(f"no answer from AWS {service} in {where}: {clean(str(error), 300)}")


def _answered(response: dict[str, Any], service: str, operation: str, profile: str | None) -> Exception:
    details = response["Error"]
    code = clean(str(details.get("Code", "")), 200)
    message = clean(str(details.get("Message") or response.get("Message") or response.get("message") or ""), 1000)
    if code in _EXPIRED:
        return AuthError(f"AWS does not accept {_profile(profile)}: {code}: {message}", hint=_login(profile))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return ServiceError(service, operation, code, message, status, clean(str(response.get("Reason", "")), 200))


def read_failure(error: ServiceError, what: str) -> ControlError:
    """A refused read as one of the contract's errors. `what` is what was to be read."""
    if error.denied:
        return Forbidden(f"{what} may not be read: {error.message or error.code}", hint=_right(error))
    if error.code == "ResourceNotFoundException":
        return NotFound(f"{what} does not exist")
    if error.code in THROTTLES:
        return PlatformError(
            f"{what} could not be read: AWS throttles it ({error.reason or error.code})",
            hint="others use the same quota of the account: read again later",
        )
    if error.status >= 500:
        return Unreachable(f"AWS answered {error.status} to {error.service}:{error.operation} for {what}")
    return PlatformError(f"{what} could not be read: {error.code}: {error.message}")


def write_failure(error: ServiceError, ref: str) -> ControlError:
    """A refused write as one of the contract's errors. An answer of 500 and above leaves the outcome unknown."""
    if error.status >= 500:
        return Unreachable(f"AWS answered {error.status} to {error.operation}: the outcome is not known", ref=ref)
    if error.code == "PreconditionFailedException":
        return Stale(f"{ref} was changed since it was read; nothing was written", ref=ref, hint="plan again")
    if error.denied:
        return Forbidden(f"{ref} may not be written: {error.message or error.code}", ref=ref, hint=_right(error))
    if error.code == "ResourceNotFoundException":
        return NotFound(f"{ref}: AWS says it does not exist: {error.message}", ref=ref)
    if error.code in ("InvalidParameterValueException", "ValidationException"):
        return InvalidValue(f"AWS refused the value for {ref}: {error.message}", ref=ref)
    if error.code in THROTTLES:
        return PlatformError(
            f"AWS throttled the write to {ref} ({error.reason or error.code}); nothing was written",
            ref=ref,
            hint="try again in some seconds",
        )
    if error.code == "ResourceConflictException":
        return PlatformError(f"{ref} is being changed elsewhere; nothing was written: {error.message}", ref=ref)
    return PlatformError(f"AWS refused to write {ref}: {error.code}: {error.message}", ref=ref)


def _right(error: ServiceError) -> str:
    return f"the identity needs {error.service}:{error.operation}"
