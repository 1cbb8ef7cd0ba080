"""The entry to the screen. Importing this is cheap: the first frame is painted before Textual is imported."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.deck_app import DeckApp
    from tui.session import DeckMode, MakeSession


def paint_first(mode: DeckMode) -> None:
    """Draw the frame of the deck at once, by hand, on the alternate screen that Textual takes over a moment later."""
    if not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return
    columns, rows = shutil.get_terminal_size()
    title = " READ-ONLY " if mode == "oncall" else " trafficdeck "
    tabs = " 1 Routes  2 Limits  3 Changes  4 Pulse" if mode == "deck" else " on call"
    lines = [f"\x1b[1;1H\x1b[7m{title}\x1b[27m reading...", f"\x1b[2;1H{tabs[:columns]}"]
    lines.append(f"\x1b[{rows};1H q quit")
    sys.stdout.write("\x1b[?1049h\x1b[?25l\x1b[2J" + "".join(lines))
    sys.stdout.flush()


def run(
    make_session: MakeSession,
    *,
    mode: DeckMode = "deck",
    read_only: bool = False,
    ascii: bool = False,
    theme: str | None = None,
) -> int:
    """Run the deck until the user leaves; returns the exit code. See `tui.session` for what `make_session` does."""
    from tui.leaving import Leaving

    leaving = Leaving()
    leaving.start()
    paint_first(mode)
    from tui.deck_app import DeckApp

    app = DeckApp(make_session, mode=mode, read_only=read_only, ascii=ascii, theme=theme, leaving=leaving)
    code = app.run()
    _tell_ended(app)
    if app.return_code:
        return app.return_code
    return code if code is not None else (1 if app.failure else 0)


def _tell_ended(app: DeckApp) -> None:
    """What came of the changes that were being applied when the screen was closed, as far as anybody can read it."""
    if not app.under_way.ended:
        return
    from tui.views.apply_lines import result_words

    with contextlib.suppress(OSError):
        for plan, result in app.under_way.ended:
            sys.stdout.write(result_words(result, plan) + "\n")
        sys.stdout.flush()
