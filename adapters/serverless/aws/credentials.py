"""Who we are at AWS, found out before a call is made, so that what goes wrong on the way names itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from adapters.serverless.aws.failures import credential_failure, profile_words
from control.errors import AuthError
from control.own_secrets import keep
from control.text import clean

PROCESS_SECONDS = 8.0
"""How long a credential_process may take; it must end before the call that waits for it gives up."""
_BY_HAND = "run it by hand, since its output is not shown here"
_DEEPEST = 8


@dataclass(slots=True)
class ObjectStore:
    """A session of boto3 with the credentials that it found."""

    session: Any
    profile: str | None
    credentials: Any = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Of this session alone: a helper that hangs keeps no other profile waiting."""
    resolving: bool = False
    """Whether credentials are being waited for now."""

    @property
    def method(self) -> str:
        """How botocore found the credentials: `env`, `sso`, `custom-process`, …; "" where it has not."""
        return str(getattr(self.credentials, "method", "") or "")

    def resolve(self) -> None:
        """Have credentials that are good now, renewed where they must be. Blocking. Raises `AuthError` that names the
        trouble, `Unreachable` where who gives them does not answer."""
        with self.lock:
            self.resolving = True
            try:
                if self.credentials is None:
                    self.credentials = self.session.get_credentials()
                if self.credentials is None:
                    from botocore.exceptions import NoCredentialsError

                    raise NoCredentialsError
                frozen = self.credentials.get_frozen_credentials()
                keep(frozen.secret_key, frozen.token)
            except Exception as error:
                method = self.method or ("sso" if self._logs_in_by_sso() else "")
                self.credentials = None
                raise credential_failure(error, self.profile, method) from None
            finally:
                self.resolving = False

    def _logs_in_by_sso(self) -> bool:
        """Whether the profile, or one that it builds on, says so."""
        with contextlib.suppress(Exception):
            profiles = self.session._session.full_config.get("profiles", {})
            name = self.profile or os.environ.get("AWS_PROFILE") or "default"
            for _ in range(_DEEPEST):
                section = profiles.get(name, {})
                if "sso_session" in section or "sso_start_url" in section:
                    return True
                name = section.get("source_profile", "")
        return False


def watch_helpers(session: Any, profile: str | None) -> None:
    """Put our own way of running a credential_process in the place of botocore's, which waits for ever and has no word
    for most of what can go wrong; for the profiles that a role builds on too."""
    chain = session._session.get_component("credential_provider")
    run = _runner(profile)
    with contextlib.suppress(Exception):
        chain.get_provider("custom-process")._popen = run
    builder = getattr(chain.get_provider("assume-role"), "_profile_provider_builder", None)
    make: Callable[[str], Any] | None = getattr(builder, "_create_process_provider", None)
    if builder is None or make is None:
        return

    def made(name: str) -> Any:
        provider = make(name)
        provider._popen = _runner(name)
        return provider

    builder._create_process_provider = made


class _Done:
    """As much of a process that has ended as botocore asks for."""

    returncode = 0

    def __init__(self, out: bytes) -> None:
        self._out = out

    def communicate(self) -> tuple[bytes, bytes]:
        return self._out, b""


def _runner(profile: str | None) -> Callable[..., _Done]:
    def run(words: Sequence[str], **unused: object) -> _Done:
        whose = f"the credential_process of {profile_words(profile)}"
        program = clean(words[0], 300) if words else ""
        try:
            code, out = _run(words)
        except subprocess.TimeoutExpired:
            hint = f"it may wait for an answer: {_BY_HAND}"
            raise AuthError(f"{whose}, {program}, gave no answer in {PROCESS_SECONDS:.0f} s", hint=hint) from None
        except (OSError, IndexError) as error:
            why = clean(getattr(error, "strerror", None) or "it names no program")
            hint = "install it, or correct credential_process in the AWS config file"
            raise AuthError(f"{whose}, {program}, cannot be started: {why}", hint=hint) from None
        if code:
            raise AuthError(f"{whose}, {program}, failed with code {code}", hint=_BY_HAND)
        wrong = _wrong_with(out)
        if wrong:
            raise AuthError(f"{whose}, {program}, {wrong}", hint=_BY_HAND)
        return _Done(out)

    return run


def _run(words: Sequence[str]) -> tuple[int, bytes]:
    """(exit code, standard output). In a session of its own, so that it cannot ask on our terminal and all that it
    started ends with it."""
    process = subprocess.Popen(
        list(words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(timeout=PROCESS_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        raise
    return process.returncode, out


def _wrong_with(out: bytes) -> str:
    """What is wrong with what a credential_process printed, without a word of it; "" for nothing."""
    try:
        printed = json.loads(out.decode("utf-8"))
    except ValueError:
        return "printed no JSON" if out.strip() else "printed nothing"
    if not isinstance(printed, dict):
        return "printed JSON that is no object"
    if printed.get("Version") != 1:
        return "printed JSON whose Version is not 1"
    absent = [name for name in ("AccessKeyId", "SecretAccessKey") if not isinstance(printed.get(name), str)]
    if absent:
        return f"printed JSON without {' and '.join(absent)}"
    return _expired(printed.get("Expiration"))


def _expired(text: object) -> str:
    if text is None:
        return ""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return "printed an Expiration that is no time"
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    passed = (datetime.now(UTC) - at).total_seconds()
    return f"printed credentials that expired {_ago(passed)} ago" if passed >= 0 else ""


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"
