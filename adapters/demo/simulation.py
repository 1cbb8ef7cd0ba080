"""Traffic that follows the weights, with noise and lag: what the fleet's counters are made of.

Nothing runs in the background: whoever reads a counter first lets the time pass until now. Floats are right here, as
these are measurements, not settings. The same seed and the same times give the same noise.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from adapters.demo.incidents import Active, Incident

LAG_SECONDS = 2.0
"""How slowly the measured split follows the weights: a data plane takes them over within two seconds."""
PAST_SECONDS = 3600.0
"""How long the traffic has been running when the fleet is opened."""
WAVE_SECONDS = 600.0
USUAL_ERRORS = 0.001

Shares = Mapping[str, float]


@dataclass(slots=True)
class Flow:
    """The requests of one route. `rps` is the mean demand; `limit` gives what its limit admits, None for all."""

    key: str
    rps: float
    shares: Callable[[], Shares]
    error_ratio: Mapping[str, float] = field(default_factory=dict)
    """Target -> how many of its answers are errors, where it is not the usual one in a thousand."""
    limit: Callable[[], float | None] = lambda: None
    mean_seconds: float = 0.8


@dataclass(slots=True)
class Tally:
    """What was counted of one flow since the fleet began."""

    requests: dict[str, float] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    throttled: float = 0.0
    felt: dict[str, float] = field(default_factory=dict)
    """The split as the data plane has it by now."""


class Simulator:
    """All flows of a fleet. `skip` lets tests pass time."""

    def __init__(self, seed: int = 7, clock: Callable[[], float] = time.time) -> None:
        self.incidents: Active | None = None
        self._seed = seed
        self._clock = clock
        self._ahead = 0.0
        self._flows: dict[str, Flow] = {}
        self._tallies: dict[str, Tally] = {}
        self._reached: dict[str, float] = {}

    def now(self) -> float:
        """The simulated time."""
        return self._clock() + self._ahead

    def skip(self, seconds: float) -> None:
        """Let time pass at once."""
        self._ahead += seconds

    def add(self, flow: Flow) -> None:
        """Begin a flow, as if it had run for an hour."""
        self._flows[flow.key] = flow

    @property
    def keys(self) -> list[str]:
        return list(self._flows)

    def flow(self, key: str) -> Flow | None:
        """The flow called `key`, or None."""
        return self._flows.get(key)

    def settle(self, key: str) -> None:
        """Count up to now with the weights as they were; called right before they change."""
        self.tally(key)

    def tally(self, key: str) -> Tally:
        """The counters of a flow as they stand now."""
        now = self.now()
        flow = self._flows[key]
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally(felt=dict(flow.shares()))
            self._reached[key] = now - PAST_SECONDS
        self._advance(flow, tally, self._reached[key], now)
        self._reached[key] = now
        return tally

    def demand(self, flow: Flow, at: float) -> float:
        """Requests per second that callers want at a time: the mean, with a slow wave."""
        phase = (hash_of(flow.key) % 628) / 100
        usual = flow.rps * (1 + 0.15 * math.sin(2 * math.pi * at / WAVE_SECONDS + phase))
        return usual * math.prod(incident.demand for incident in self._troubles(flow))

    def _troubles(self, flow: Flow) -> list[Incident]:
        return self.incidents.of_route(flow.key) if self.incidents else []

    def noise(self, *what: object) -> random.Random:
        """Randomness that is the same for the same question."""
        return random.Random(":".join(map(str, (self._seed, *what))))  # noqa: S311 - noise, not secrets

    def _advance(self, flow: Flow, tally: Tally, since: float, now: float) -> None:
        seconds = now - since
        if seconds <= 0:
            return
        demand = self.demand(flow, (since + now) / 2)
        limit = flow.limit()
        admitted = demand if limit is None else min(demand, limit)
        tally.throttled += (demand - admitted) * seconds
        random = self.noise(flow.key, f"{now:.1f}")
        wanted = dict(flow.shares())
        troubles = {target: ratio for one in self._troubles(flow) for target, ratio in one.errors.items()}
        faded = 1 - math.exp(-seconds / LAG_SECONDS)
        for target in {**tally.felt, **wanted}:
            aim, was = wanted.get(target, 0.0), tally.felt.get(target, 0.0)
            mean = admitted * (aim * seconds + (was - aim) * LAG_SECONDS * faded)
            count = scattered(mean, random)
            tally.requests[target] = tally.requests.get(target, 0.0) + count
            ratio = max(flow.error_ratio.get(target, USUAL_ERRORS), troubles.get(target, 0.0))
            tally.errors[target] = tally.errors.get(target, 0.0) + count * ratio
            tally.felt[target] = aim + (was - aim) * (1 - faded)


def scattered(mean: float, random: random.Random) -> float:
    """A whole number of events around `mean`, scattered as independent arrivals are."""
    return float(max(0, round(random.gauss(mean, math.sqrt(mean))))) if mean > 0 else 0.0


def hash_of(text: str) -> int:
    """A number that is the same in every process, unlike `hash`."""
    value = 0
    for byte in text.encode():
        value = (value * 131 + byte) & 0xFFFFFFFF
    return value
