"""What botocore raises, as this program's errors, each with the command to run."""

from __future__ import annotations

import contextlib
import os
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from adapters.serverless.aws.cloud import ServiceError
from control.errors import AuthError, ControlError, Forbidden, InvalidValue, NotFound, PlatformError, Stale, Unreachable
from control.text import clean

_LOGIN = frozenset({"SSOTokenLoadError", "UnauthorizedSSOTokenError", "TokenRetrievalError", "SSOError"})
_LOGIN_SESSION = frozenset({"LoginRefreshRequired", "LoginError", "LoginInsufficientPermissions"})
_CREDENTIALS = frozenset({"NoCredentialsError", "NoAuthTokenError"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"})
_UNKNOWN_KEY = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "InvalidToken"})
_SIGNATURE = frozenset({"InvalidSignatureException", "SignatureDoesNotMatch", "InvalidSignature"})
_CLOCK = frozenset({"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"})
_SKEW_SECONDS = 240.0
_NO_ANSWER = frozenset(
    {"ConnectionError", "EndpointConnectionError", "HTTPClientError", "MetadataRetrievalError", "TimeoutError"}
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


def profile_words(profile: str | None) -> str:
    """A profile in a sentence."""
    return f"profile '{clean(profile)}'" if profile else "the default credentials"


def _credentials(profile: str | None) -> str:
    return f"the AWS credentials of {profile_words(profile)}" if profile else "the default AWS credentials"


def mend(method: str, profile: str | None) -> str:
    """The command, or the act, that renews credentials which were found in one of botocore's ways."""
    named = f" --profile {clean(profile)}" if profile else ""
    if method in ("env", "environment"):
        keys = "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN"
        return f"run: unset {keys}; or export fresh ones (they go before every profile of the files)"
    return {
        "sso": f"run: aws sso login{named}",
        "login": f"run: aws login{named}",
        "custom-process": "run its credential_process by hand",
        "iam-role": f"does the instance's role still exist? {_METADATA}",
        "container-role": "restart the container, or ask who runs the agent that gives it credentials",
        "assume-role": f"run: aws sts get-caller-identity{named}",
        "assume-role-with-web-identity": "renew the token in its file (web_identity_token_file)",
        "shared-credentials-file": f"run: aws configure{named}",
        "config-file": f"run: aws configure{named}",
    }.get(method, f"run: aws sso login{named}; or aws configure{named}, where it holds keys")


_METADATA = (
    "run there: aws ec2 modify-instance-metadata-options --instance-id ID --http-endpoint enabled"
    " --http-put-response-hop-limit 2"
)


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def auth_failure(error: Exception, profile: str | None, method: str = "") -> AuthError | None:
    """The `AuthError` that an exception means, or None when it is not about who we are."""
    names, whose = _names(error), profile_words(profile)
    if names & _LOGIN:
        broken = "is invalid" in str(error)
        state = "is damaged in its cache" if broken else "is missing or has expired"
        return AuthError(f"the AWS login of {whose} {state}", hint=mend("sso", profile))
    if names & _LOGIN_SESSION:
        return AuthError(f"the AWS login of {whose} has expired", hint=mend("login", profile))
    if "MissingDependencyException" in names:
        return AuthError(f"{whose} logs in with 'aws login'", hint="install trafficdeck[aws-login]")
    if names & _UNSENT:
        return AuthError(clean(str(error)), hint="run: aws configure list-profiles")
    if "PartialCredentialsError" in names:
        told = f"{_credentials(profile)} are incomplete: {clean(str(error), 300)}"
        return AuthError(told, hint=mend("env" if "found in env" in told else method, profile))
    if names & _CREDENTIALS:
        off = os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true"
        metadata = "is switched off (AWS_EC2_METADATA_DISABLED)" if off else "does not answer or has none"
        return AuthError(
            f"no AWS credentials for {whose}: neither environment nor files hold any, and instance metadata {metadata}",
            hint=f"set 'profile' in the deck file, or run: aws configure; on an instance, {_METADATA}",
        )
    if "CredentialRetrievalError" in names:
        return _not_retrieved(error, profile, method)
    if isinstance(error, FileNotFoundError):
        return AuthError(
            f"a credentials file of {whose} is missing: {clean(str(error.filename or ''))}",
            hint=mend("assume-role-with-web-identity" if "web" in method else method, profile),
        )
    return None


def _not_retrieved(error: Exception, profile: str | None, method: str) -> AuthError:
    """botocore's one error for every source that gives no credentials; it names the source."""
    details: dict[str, Any] = getattr(error, "kwargs", {})
    source, why = str(details.get("provider") or method), clean(str(details.get("error_msg") or ""), 300)
    whose = profile_words(profile)
    if source == "custom-process":
        return AuthError(
            f"the credential_process of {whose} failed", hint="run it by hand; its output is not shown here"
        )
    if source in ("Ec2InstanceMetadata", "iam-role"):
        return AuthError(f"instance metadata gives {whose} none: {why}", hint=_METADATA)
    if source in ("EcsContainer", "container-role"):
        hint = mend("container-role", profile)
        return AuthError(f"the container's endpoint gives {whose} none: {why}", hint=hint)
    return AuthError(f"{clean(source)} gives {whose} no credentials: {why}", hint=mend(source, profile))


def credential_failure(error: Exception, profile: str | None, method: str) -> ControlError:
    """What to raise for anything that finding credentials ended with."""
    if isinstance(error, ControlError):
        return error
    whose = profile_words(profile)
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:
        operation = clean(str(getattr(error, "operation_name", "") or "asking for credentials"))
        return _refused_credentials(response, operation, profile, method)
    known = auth_failure(error, profile, method)
    if known is not None:
        return known
    names = _names(error)
    if names & _NO_ANSWER:
        where = "instance metadata" if method == "iam-role" else "who gives credentials"
        return Unreachable(f"{where} for {whose} does not answer: {clean(str(error), 300)}")
    if method == "sso":
        return AuthError(f"the AWS login of {whose} is damaged in its cache", hint=mend("sso", profile))
    if "still expired" in str(error):
        return AuthError(f"{_credentials(profile)} have expired, and were not renewed", hint=mend(method, profile))
    # only the kind: the text of an error in parsing an answer holds the answer
    what = type(error).__name__
    return AuthError(f"{_credentials(profile)} cannot be loaded ({what})", hint=mend(method, profile))


def _refused_credentials(response: dict[str, Any], operation: str, profile: str | None, method: str) -> ControlError:
    code, message = _code_of(response)
    clock = _wrong_clock(response, code, message)
    if clock is not None:
        return clock
    told = f"{operation} for {profile_words(profile)} is refused: {code}: {message}"
    if operation == "AssumeRoleWithWebIdentity" and (code in _EXPIRED or code == "InvalidIdentityToken"):
        return AuthError(told, hint=mend("assume-role-with-web-identity", profile))
    if code in _EXPIRED or code in ("UnauthorizedException", "InvalidGrantException"):
        return AuthError(told, hint=mend(method if method == "sso" else "", profile))
    return AuthError(told, hint="may this identity take that role? correct the profile, or ask who owns the account")


def from_botocore(
    error: Exception, service: str, operation: str, profile: str | None, where: str, method: str = ""
) -> Exception:
    """What to raise for an exception that a botocore call ended with. `where` names environment and region, `method` is
    botocore's name for the way in which it found our credentials."""
    if isinstance(error, ControlError):
        return error
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:
        return _answered(response, service, operation, profile, method)
    auth = auth_failure(error, profile, method)
    if auth is not None:
        return auth
    names = _names(error)
    if "ParamValidationError" in names:
        return InvalidValue(f"{service}:{operation} was not sent: {clean(str(error))}")
    if "ResponseParserError" in names:  # its text holds the whole answer
        return Unreachable(
            f"what came from AWS {service} in {where} is no answer of AWS",
            hint="is there a proxy or a login page in between (HTTPS_PROXY)?",
        )
    return Unreachable(f"no answer from AWS {service} in {where}: {clean(str(error), 300)}")


def _code_of(response: dict[str, Any]) -> tuple[str, str]:
    details = response["Error"]
    code = clean(str(details.get("Code", "")), 200)
    message = clean(str(details.get("Message") or response.get("Message") or response.get("message") or ""), 1000)
    return code, message


def _answered(response: dict[str, Any], service: str, operation: str, profile: str | None, method: str) -> Exception:
    code, message = _code_of(response)
    clock = _wrong_clock(response, code, message)
    if clock is not None:
        return clock
    found = "the AWS keys in the environment" if method == "env" else _credentials(profile)
    if code in _EXPIRED:
        return AuthError(f"{found} have expired: {code}: {message}", hint=mend(method, profile))
    if code in _UNKNOWN_KEY:
        return AuthError(f"AWS does not know {found}: {code}: {message}", hint=_unknown_key(method, profile))
    if code in _SIGNATURE:
        return AuthError(f"{found} do not fit together: {code}: {message}", hint=mend(method, profile))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return ServiceError(service, operation, code, message, status, clean(str(response.get("Reason", "")), 200))


def _unknown_key(method: str, profile: str | None) -> str:
    temporary = os.environ.get("AWS_ACCESS_KEY_ID", "").startswith("ASIA") and not os.environ.get("AWS_SESSION_TOKEN")
    if method == "env" and temporary:
        return "the key is a temporary one: export its AWS_SESSION_TOKEN too"
    return mend(method, profile)


def _wrong_clock(response: dict[str, Any], code: str, message: str) -> AuthError | None:
    """The error that a clock which is off brings about: signatures hold for some minutes only."""
    stamps = re.findall(r"\d{8}T\d{6}Z", message)
    signed = code in _SIGNATURE and re.search(r"signature (expired|not yet current)", message, re.IGNORECASE)
    if not signed and code not in _CLOCK:
        return None
    off = ""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        if len(stamps) >= 2:
            ours, theirs = (datetime.strptime(text, "%Y%m%dT%H%M%SZ") for text in (stamps[0], stamps[-1]))
            seconds = (ours - theirs).total_seconds()
        else:
            sent = parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])
            seconds = (datetime.now(UTC) - sent).total_seconds()
        if abs(seconds) < _SKEW_SECONDS and code in _EXPIRED:
            return None
        off = f" by about {abs(seconds) / 60:.0f} min ({'behind' if seconds < 0 else 'ahead'})"
    return AuthError(
        f"this machine's clock is off{off}: AWS refuses the signature ({code})",
        hint="run: sudo timedatectl set-ntp true (or sudo chronyc makestep), then try again",
    )


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
