"""Environments: a cluster context, a group of hosts, an account and region; how they are reached, who we are there."""

from __future__ import annotations

from enum import StrEnum

from control.structs import Frozen


class ReachState(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    UNREACHABLE = "unreachable"


class AccessState(StrEnum):
    """May we write here? By role: the platform itself refuses us. By tool: only we hold ourselves back."""

    WRITABLE = "writable"
    READ_ONLY_BY_ROLE = "read_only_by_role"
    READ_ONLY_BY_TOOL = "read_only_by_tool"
    UNKNOWN = "unknown"


class Reach(Frozen, frozen=True):
    state: ReachState = ReachState.OK
    why: str = ""


class Access(Frozen, frozen=True):
    state: AccessState = AccessState.UNKNOWN
    why: str = ""


class Environment(Frozen, frozen=True):
    """A cluster context, a group of hosts, or an account and region."""

    name: str
    platform: str
    """As its adapter declares it."""
    labels: tuple[tuple[str, str], ...] = ()
    production: bool = False
    code: str | None = None
    """What is typed to confirm a write in production."""
    identity: str = ""
    """Who we are there: user, role ARN, login at host."""
    reach: Reach = Reach()
    access: Access = Access()
