"""Textual's driver for a terminal, and what it lacks: an end when the terminal is gone, and a return from any stop."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, cast

from textual.drivers.linux_driver import LinuxDriver
from textual.events import CursorPosition
from textual.message import Message

if TYPE_CHECKING:
    from tui.deck_app import DeckApp
    from tui.leaving import Leaving


class TerminalOutput:
    """The terminal as a file that never raises: a writer thread that dies of an error would leave the event loop
    waiting for it for ever. What cannot be written is told to whoever ends the program."""

    encoding = "utf-8"

    def __init__(self, leaving: Leaving | None) -> None:
        stream = sys.__stdout__
        assert stream is not None
        self._stream = stream
        self._leaving = leaving

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            self._failed()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self._failed()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def _failed(self) -> None:
        if self._leaving is not None:
            self._leaving.terminal_failed()


class DeckDriver(LinuxDriver):
    """See the module. It draws on standard output, so that standard error can be kept in a file."""

    def __init__(self, app: DeckApp, **options: Any) -> None:
        super().__init__(app, **options)
        self._leaving = app.leaving
        self._file = cast(Any, TerminalOutput(app.leaving))

    def ask(self) -> None:
        """Ask the terminal where its cursor is; the answer goes to whoever watches it. Never waits."""
        threading.Thread(target=self.write, args=("\x1b[6n",), daemon=True).start()

    def process_message(self, message: Message) -> None:
        if isinstance(message, CursorPosition) and self._leaving is not None:
            self._leaving.answered()
        super().process_message(message)

    def run_input_thread(self) -> None:
        """Read keys until told to end, or until the terminal fails."""
        try:
            super().run_input_thread()
        except OSError:
            if self._leaving is None:
                raise
            self._leaving.terminal_failed()

    def _sigcont_application(self, *_: object) -> None:
        """Come back from a stop. One that came as SIGSTOP left the terminal to whoever had it meanwhile, with our
        threads still on it: leave it in order first, then take it anew."""
        if self._auto_restart and not self._must_signal_resume and os.isatty(self.fileno):
            self.suspend_application_mode()
            self._must_signal_resume = True
        super()._sigcont_application()
