"""The real AWS beneath `cloud`: boto3 in worker threads.

One session per profile and purpose, made under a lock with its guard registered before its first client; clients are
cached per environment. Everything of boto3 is imported on first use, in a worker.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from adapters.common.workers import Workers
from adapters.serverless.aws import guard
from adapters.serverless.aws.cloud import NotOffered, ServiceError
from adapters.serverless.aws.credentials import ObjectStore, watch_helpers
from adapters.serverless.aws.failures import THROTTLES, from_botocore, mend, profile_words
from adapters.serverless.aws.operations import READS, WRITES, Operation
from adapters.serverless.aws.pace import Pace
from adapters.serverless.aws.section import AwsConfig
from control.errors import AuthError, Unreachable
from control.text import clean

THREADS = 16
CALL_SECONDS = 12.0
"""For one read with its retries: a server that is gone must be told of before a whole refresh gives up."""
CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
WRITE_READ_SECONDS = 30.0
READ_ATTEMPTS = 5
FAST_OPERATIONS = frozenset({"GetFunction"})
"""Of Lambda's control plane, what has a quota of its own (100 a second; all else shares 15)."""

_lock = threading.Lock()
_sessions: dict[tuple[str, str], ObjectStore] = {}
"""(profile, purpose) -> session: one session costs 10 MB, and its clients must be made under one lock."""

_LOOPBACK = ("127.", "localhost", "::1")


def is_test_bed(config: AwsConfig) -> bool:
    """Whether all calls go to emulators on this machine, for which no real credentials must be used."""
    hosts = [urlsplit(url).hostname or "" for url in config.endpoints.values()]
    return bool(hosts) and all(host.startswith(_LOOPBACK) for host in hosts)


def _new_session(config: AwsConfig, allowed: frozenset[Operation]) -> ObjectStore:
    import boto3

    if is_test_bed(config) and config.profile is None and "AWS_ACCESS_KEY_ID" not in os.environ:
        session = boto3.session.Session(aws_access_key_id="trafficdeck", aws_secret_access_key="trafficdeck")  # noqa: S106
    else:
        session = boto3.session.Session(profile_name=config.profile)
    guard.install(session.events, allowed)
    _no_prompt(session, config.profile)
    watch_helpers(session, config.profile)
    return ObjectStore(session, config.profile)


def _no_prompt(session: Any, profile: str | None) -> None:
    """Keep botocore from asking for an MFA code on the terminal, from a worker thread, across the screen."""

    def refuse(_: str = "") -> str:
        raise AuthError(
            f"profile '{profile}' asks for an MFA code",
            hint="get a session first (aws sts get-session-token, or an SSO profile), then try again",
        )

    provider = session._session.get_component("credential_provider").get_provider("assume-role")
    provider._prompter = refuse


class BotoCloud:
    """`cloud.Cloud` on boto3, for one environment and one purpose.

    `purpose` is `read` (adaptive retries, paced) or `write` (one attempt, the write operations only).
    `rate` is calls a second to Lambda's shared quota.
    """

    def __init__(self, environment: str, config: AwsConfig, purpose: str, rate: float = 8.0) -> None:
        self._environment = environment
        self._config = config
        self._purpose = purpose
        self._allowed = READS if purpose == "read" else WRITES
        self._workers = Workers(THREADS if purpose == "read" else 2, f"aws-{purpose}")
        self._clients: dict[str, Any] = {}
        self._slow = Pace(rate, burst=max(1, int(rate * 2)))
        self._fast = Pace(rate * 6, burst=max(1, int(rate * 6)))
        self._throttled: tuple[float, str] = (0.0, "")
        """When AWS last said that it is asked too often, and how."""

    async def call(self, service: str, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """As `cloud.Cloud.call`; ends within `CALL_SECONDS` (a write: its own read timeout)."""
        if self._config.endpoints and service not in self._config.endpoints:
            raise NotOffered(f"the deck file names endpoints and none for {service}")
        if service == "lambda" and self._purpose == "read":
            await (self._fast if operation in FAST_OPERATIONS else self._slow).wait()
        started = time.monotonic()
        seconds = CALL_SECONDS if self._purpose == "read" else WRITE_READ_SECONDS + CONNECT_SECONDS
        try:
            async with asyncio.timeout(seconds):
                return await self._workers.run(self._do, service, operation, arguments)
        except TimeoutError:
            code = self.throttled(started)
            if code:  # what it waited for were its own pauses between tries
                raise ServiceError(service, operation, code, "every try was refused", 429) from None
            held = _sessions.get((self._session_name(), self._purpose))
            if held is not None and held.resolving:
                whose = profile_words(self._config.profile)
                raise Unreachable(
                    f"no credentials came for {whose} within {seconds:.0f} s: who gives them does not answer",
                    hint=mend(held.method, self._config.profile),
                ) from None
            raise Unreachable(f"no answer from AWS {service} in {self._where} within {seconds:.0f} s") from None

    def throttled(self, since: float) -> str:
        """As `cloud.Cloud.throttled`."""
        at, code = self._throttled
        return code if at >= since else ""

    def _see_answer(self, response: Any = None, **unused: object) -> None:
        """A hook of botocore's, after each try: notes refusals that its own further tries would hide."""
        parsed = response[1] if isinstance(response, tuple) else None
        code = str(((parsed or {}).get("Error") or {}).get("Code") or "")
        if code in THROTTLES:
            self._throttled = (time.monotonic(), clean(code, 200))

    async def close(self) -> None:
        """End the threads and close the connections. Idempotent."""
        self._workers.close()
        clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    @property
    def _where(self) -> str:
        return f"{self._environment} ({self._config.region})"

    def _do(self, service: str, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        held: ObjectStore | None = None
        try:
            held = self._held()
            held.resolve()
            method = self._method(held, service, operation)
            answer: dict[str, Any] = method(**arguments)
        except Exception as error:
            found_by = held.method if held is not None else ""
            failure = from_botocore(error, service, operation, self._config.profile, self._where, found_by)
            if isinstance(failure, AuthError):
                self._forget()
            raise failure from None
        answer.pop("ResponseMetadata", None)
        return answer

    def _method(self, held: ObjectStore, service: str, operation: str) -> Callable[..., dict[str, Any]]:
        from botocore import xform_name

        client = self._clients.get(service)
        if client is None:
            with _lock:
                client = self._clients.get(service) or self._new_client(held.session, service)
                self._clients[service] = client
        method: Callable[..., dict[str, Any]] = getattr(client, xform_name(operation))
        return method

    def _new_client(self, session: Any, service: str) -> Any:
        from botocore.config import Config

        reads = self._purpose == "read"
        # The mode only matters for reads: a write is sent once, whatever the answer.
        retries: dict[str, Any] = {
            "mode": "adaptive" if reads else "standard",
            "total_max_attempts": READ_ATTEMPTS if reads else 1,
        }
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS if reads else WRITE_READ_SECONDS,
            max_pool_connections=THREADS,
            retries=retries,  # type: ignore[arg-type]
            user_agent_extra="trafficdeck",
        )
        client = session.client(
            service, region_name=self._config.region, endpoint_url=self._config.endpoints.get(service), config=config
        )
        client.meta.events.register("needs-retry", self._see_answer)
        return client

    def _held(self) -> ObjectStore:
        key = (self._session_name(), self._purpose)
        with _lock:
            if key not in _sessions:
                _sessions[key] = _new_session(self._config, self._allowed)
            return _sessions[key]

    def _session_name(self) -> str:
        return ("test:" if is_test_bed(self._config) else "aws:") + (self._config.profile or "")

    def _forget(self) -> None:
        """Let the next call resolve the credentials anew: a session caches those it has."""
        with _lock:
            _sessions.pop((self._session_name(), self._purpose), None)
            self._clients.clear()
