"""How a plan is made and applied: what the caller chose."""

from __future__ import annotations

from msgspec import Struct

from control.planning.plan import OnFailure


class PlanOptions(Struct, frozen=True):
    on_failure: OnFailure | None = None
    overrides: tuple[str, ...] = ()
    """Names of guards that are overridden; needs a reason at apply."""
    reason: str = ""
    """Why; kept in the plan."""
    leave_out: frozenset[str] = frozenset()
    """Environments whose edits are not planned, because they do not answer."""


class ApplyOptions(Struct, frozen=True):
    reason: str = ""
    confirmed: frozenset[str] = frozenset()
    """The codes that were typed, one per production environment."""
    overrides: tuple[str, ...] = ()
    on_failure: OnFailure | None = None
    wait: str = "loaded"
    """`loaded` or `observed`."""
    timeout_seconds: float | None = None
    require: str | None = None
    """`loaded` or `observed`: then an unproven change is an error for the exit code."""
