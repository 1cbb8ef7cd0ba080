"""What the start-up code hands the screen, and how the screen may ask for more.

The screen is given readers only. `tui/__main__.py` composes a `Session` inside the coroutine `make_session` that it
passes to `tui.app.run`; the app awaits it once, after its first frame is painted, on its own event loop. So:

- nothing heavy is imported by calling `run`; `make_session` does its own heavy imports with `asyncio.to_thread` and
  must never block the loop;
- `make_session` raises `ControlError` (a wrong deck file, …) to have its one sentence shown on the screen; the app then
  stays up until the user leaves, and `run` returns 1;
- questions that need the terminal (passphrases) are asked before `run` is called.

How to start the app::

    async def make_session() -> Session:
        deck = await asyncio.to_thread(read_deck, path)
        readers = {...}
        return Session(
            reader_plane=ControlPlane(deck, readers, None, actor),
            deck=deck,
            state_folder=Path(...),
            config_folder=Path(...),
            arm=None if read_only else arm,
        )

    sys.exit(tui.app.run(make_session, mode="deck", read_only=False, ascii=False, theme=None))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from control.deck.config import DeckConfig
    from control.plane import ControlPlane


DeckMode = Literal["deck", "oncall"]


class Arm(Protocol):
    """Make writers for these environments, after asking each platform what this identity may do there.

    Called with every environment that is to be writable from now on (not only the new ones) and returns a plane that
    can write in exactly those; the app uses it for `apply` only and drops it when it disarms. It shares the readers
    and the inventory of `Session.reader_plane`. Environments that start armed are asked for with `minutes` None and
    the reason "starts armed". Raises `Forbidden` (a missing right), `ReadOnly` (held back by the deck file),
    `AuthError` or `Unreachable`; then nothing is armed. Journals the arming where the journal has a place for it.
    """

    async def __call__(self, environments: frozenset[str], minutes: float | None, reason: str) -> ControlPlane: ...


@dataclass(frozen=True, slots=True)
class Session:
    """Everything the screen works with."""

    reader_plane: ControlPlane
    """Reads, measures, plans and keeps the history; cannot write."""
    deck: DeckConfig
    state_folder: Path
    """Ours to write in: drafts, saved plans, crash logs. Made by the start-up code."""
    config_folder: Path
    """The user's; `themes/*.yaml` in it are offered beside our own. Never written to."""
    arm: Arm | None = None
    """None where nothing can be armed: `oncall` and `--read-only`."""
    demo_verbs: dict[str, Callable[[str], Awaitable[str]]] | None = None
    """Further `:` commands of the demo fleet (`incident NAME`): name -> coroutine that answers one line."""

    def armable(self) -> frozenset[str]:
        """The environments that may be armed at all."""
        if self.arm is None:
            return frozenset()
        return frozenset(e.name for e in self.deck.environments if not e.read_only)

    def armed_at_start(self) -> frozenset[str]:
        """Production starts disarmed and others armed, unless the deck file says otherwise."""
        allowed = self.armable()
        return frozenset(
            e.name
            for e in self.deck.environments
            if e.name in allowed and (e.armed if e.armed is not None else not e.production)
        )


MakeSession = Callable[[], Awaitable[Session]]
