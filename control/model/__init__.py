"""What traffic settings are: environments, routes, targets, limits and their bindings, owners.

Exact, with native values kept beside them: never a float for an amount or a share. Everything here is immutable;
adapters make these, control plans with them, the screen and the command line show them. Strings in here are already
cleaned (`control.text.clean`), except `Ref` segments and `Target.name`, which are raw for writing back and are cleaned
where they are shown.
"""

from __future__ import annotations

from control.model.environments import Access, AccessState, Environment, Reach, ReachState
from control.model.exact import Amount, Special, Weight
from control.model.limits import (
    Action,
    Binding,
    Burst,
    Charge,
    Domain,
    Effective,
    Interval,
    Life,
    Limit,
    Measure,
    Mode,
    OverLimit,
    StoreFail,
    Strength,
    Use,
    Window,
    WindowKind,
)
from control.model.measured import Counted, TargetCount, Traffic
from control.model.owners import Owner, OwnerRole, Source
from control.model.routes import (
    Editable,
    Grid,
    Health,
    Mirror,
    Route,
    Semantics,
    Status,
    StatusState,
    Target,
    TargetState,
)
from control.model.snapshot import Missing, Outside, Snapshot

__all__ = [
    "Access",
    "AccessState",
    "Action",
    "Amount",
    "Binding",
    "Burst",
    "Charge",
    "Counted",
    "Domain",
    "Editable",
    "Effective",
    "Environment",
    "Grid",
    "Health",
    "Interval",
    "Life",
    "Limit",
    "Measure",
    "Mirror",
    "Missing",
    "Mode",
    "Outside",
    "OverLimit",
    "Owner",
    "OwnerRole",
    "Reach",
    "ReachState",
    "Route",
    "Semantics",
    "Snapshot",
    "Source",
    "Special",
    "Status",
    "StatusState",
    "StoreFail",
    "Strength",
    "Target",
    "TargetCount",
    "TargetState",
    "Traffic",
    "Use",
    "Weight",
    "Window",
    "WindowKind",
]
