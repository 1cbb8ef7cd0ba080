"""The JSON shapes of what is: environments, services, routes, limits, lists, doctor and errors.

Exact numbers are strings ("9/10", "50", "unlimited"), native weights are numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from control.errors import ControlError
from control.model import Effective, Limit, Route, Traffic
from control.ports import Check
from control.views import EnvironmentView, Inventory, ServiceView, Unreached

Json = dict[str, Any]


def list_to_json(items: Sequence[Json], unreached: Iterable[Unreached], age_seconds: float | None) -> Json:
    raise NotImplementedError


def environment_to_json(view: EnvironmentView, now: float) -> Json:
    raise NotImplementedError


def service_to_json(service: ServiceView, now: float) -> Json:
    raise NotImplementedError


def route_to_json(route: Route, inventory: Inventory, now: float) -> Json:
    raise NotImplementedError


def traffic_to_json(traffic: Traffic | None, now: float) -> Json:
    raise NotImplementedError


def limit_to_json(limit: Limit, now: float) -> Json:
    raise NotImplementedError


def effective_to_json(effective: Effective | None) -> Json | None:
    raise NotImplementedError


def doctor_to_json(checks: Iterable[tuple[str, Check]]) -> Json:
    raise NotImplementedError


def error_to_json(error: ControlError) -> Json:
    raise NotImplementedError
