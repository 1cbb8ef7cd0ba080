"""Which environments may be written now, and until when. The screen's only holder of writers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from control.errors import ReadOnly
from control.plane import ControlPlane
from tui.session import Session

LONGEST_MINUTES = 480.0


@dataclass
class Arming:
    """Disarmed until `start` was told of a session. Production is armed for minutes, never for good."""

    session: Session | None = None
    always: frozenset[str] = frozenset()
    """Armed from the start: what is not production."""
    timed: frozenset[str] = frozenset()
    until: float = 0.0
    reason: str = ""
    _plane: ControlPlane | None = field(default=None, repr=False)

    def start(self, session: Session) -> None:
        self.session = session
        self.always = session.armed_at_start()

    @property
    def can_arm(self) -> bool:
        """False in `oncall` and `--read-only`."""
        return self.session is not None and self.session.arm is not None

    @property
    def seconds_left(self) -> float:
        return max(self.until - time.monotonic(), 0.0) if self.timed else 0.0

    def armed(self) -> frozenset[str]:
        """The environments that may be written at this moment."""
        return self.always | (self.timed if self.seconds_left > 0 else frozenset())

    async def arm(self, environments: frozenset[str], minutes: float, reason: str) -> None:
        """Ask the platforms and make writers for these environments. Raises what `Arm` raises."""
        if self.session is None or self.session.arm is None:
            raise ReadOnly("this session cannot be armed", hint="start trafficdeck without --read-only")
        if not reason:
            raise ReadOnly("arming needs a reason", hint=":arm 15m REASON")
        minutes = min(minutes, LONGEST_MINUTES)
        wanted = environments - self.always
        self._plane = await self.session.arm(self.always | wanted, minutes, reason)
        self.timed, self.until, self.reason = wanted, time.monotonic() + minutes * 60, reason

    def disarm(self) -> None:
        """Drop the writers of what was armed for a time."""
        self.timed, self.until, self.reason, self._plane = frozenset(), 0.0, "", None

    def expire(self) -> bool:
        """Disarm when the time is over; returns whether it just was."""
        over = bool(self.timed) and self.seconds_left <= 0
        if over:
            self.disarm()
        return over

    async def writer_plane(self, environments: frozenset[str]) -> ControlPlane:
        """The plane that may write in these environments now. Raises `ReadOnly` where one of them is disarmed."""
        missing = sorted(environments - self.armed())
        if missing or self.session is None or self.session.arm is None:
            raise ReadOnly(f"{', '.join(missing) or 'the deck'} is disarmed", hint=":arm 15m REASON")
        if self._plane is None:
            self._plane = await self.session.arm(self.always, None, "starts armed")
        return self._plane
