"""May this plan be applied here at all? Read-only environments, typed codes, reasons."""

from __future__ import annotations

from collections.abc import Iterable

from control.deck.config import DeckConfig
from control.errors import ErrorKind, NotFound, ReadOnly, UsageError
from control.planning.guards import NAMES
from control.planning.options import ApplyOptions
from control.planning.plan import Plan


def check_overrides(overrides: Iterable[str]) -> None:
    """Raises `UsageError` for an override of no guard."""
    unknown = sorted(set(overrides) - NAMES)
    if unknown:
        raise UsageError(f"there is no guard '{unknown[0]}'", hint=f"guards: {', '.join(sorted(NAMES))}")


def check_writable(plan: Plan, deck: DeckConfig, options: ApplyOptions) -> None:
    """Raises `ReadOnly` for an environment that the deck file holds back, `NotFound` for one it does not have, and
    `UsageError` for an override of no guard."""
    check_overrides(options.overrides)
    for step in plan.steps:
        config = deck.environment(step.environment)
        if config is None:
            raise NotFound(f"there is no environment '{step.environment}'", hint="the deck file names them")
        if config.read_only:
            raise ReadOnly(f"{config.name} is read-only by the deck file", ref=step.object)


def confirmation_missing(plan: Plan, deck: DeckConfig, options: ApplyOptions) -> dict[int, tuple[ErrorKind, str]]:
    """Why the plan is refused before anything is read, by step number: a code or a reason is missing."""
    missing: dict[int, tuple[ErrorKind, str]] = {}
    reason = options.reason or plan.reason
    for number, step in enumerate(plan.steps):
        config = deck.environment(step.environment)
        if config is None or not config.production:
            continue
        code = config.code or config.name
        if code not in options.confirmed:
            missing[number] = (ErrorKind.GUARD, f"{config.name} is production: type its code, --confirm {code}")
        elif not reason.strip():
            missing[number] = (ErrorKind.GUARD, f"{config.name} is production: say why, --reason TEXT")
    if options.overrides and not reason.strip() and plan.steps:
        missing.setdefault(0, (ErrorKind.GUARD, "overriding a guard needs a reason: --reason TEXT"))
    return missing
