"""What we may do, asked of the API server by self-subject reviews before it is needed. Answers are kept a minute."""

from __future__ import annotations

import time

import msgspec

from adapters.kubernetes.client.api import Api
from adapters.kubernetes.client.resource import Resource
from control.errors import ControlError
from control.text import clean

FRESH_SECONDS = 60.0
_ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


class _AccessStatus(msgspec.Struct):
    allowed: bool = False


class _Access(msgspec.Struct):
    status: _AccessStatus = msgspec.field(default_factory=_AccessStatus)


class _UserInfo(msgspec.Struct):
    username: str = ""


class _WhoStatus(msgspec.Struct):
    userInfo: _UserInfo = msgspec.field(default_factory=_UserInfo)  # noqa: N815 - the wire's name


class _Who(msgspec.Struct):
    status: _WhoStatus = msgspec.field(default_factory=_WhoStatus)


class Rights:
    """The rights of the identity in use."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[tuple[str, ...], tuple[float, bool | None]] = {}
        self._why_unknown = ""
        self._identity: str | None = None

    @property
    def why_unknown(self) -> str:
        """Why the server does not say what we may do; empty where it says."""
        now = time.monotonic()
        return self._why_unknown if any(may is None and now < end for end, may in self._known.values()) else ""

    async def may(
        self, verb: str, resource: Resource, namespace: str = "", name: str = "", fresh: bool = False
    ) -> bool | None:
        """May we `verb` this resource (in all namespaces, all names, where these are empty)? None where the server
        does not say: then only trying tells."""
        key = (verb, resource.group, resource.plural, namespace, name)
        known = self._known.get(key)
        if known and not fresh and time.monotonic() < known[0]:
            return known[1]
        attributes = {"verb": verb, "group": resource.group, "version": resource.version, "resource": resource.plural}
        attributes |= {"namespace": namespace, "name": name}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {k: v for k, v in attributes.items() if v}},
        }
        allowed: bool | None = None
        try:
            allowed = msgspec.json.decode(await self._api.review(_ACCESS, review), type=_Access).status.allowed
        except ControlError as error:
            self._why_unknown = error.message
        except msgspec.DecodeError:
            self._why_unknown = "the answer is no review"
        self._known[key] = (time.monotonic() + FRESH_SECONDS, allowed)
        return allowed

    async def identity(self) -> str:
        """Who the server takes us for; empty where it does not say (before Kubernetes 1.28)."""
        if self._identity is None:
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            try:
                who = msgspec.json.decode(await self._api.review(_WHO, review), type=_Who)
            except (ControlError, msgspec.DecodeError):
                return ""
            self._identity = clean(who.status.userInfo.username, 200)
        return self._identity
