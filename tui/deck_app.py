"""The Textual app: one loop, one store, one timer. It paints first; the control plane is made after the first frame."""

from __future__ import annotations

import asyncio
import base64
import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.theme import Theme

from control.errors import ControlError
from control.plane import ControlPlane
from control.planning.plan import HistoryPage, Plan, Result
from control.ports import ProofPart
from tui import staging as drafts
from tui.actions import Keymap, Situation
from tui.arming import Arming
from tui.cells import object_words
from tui.changes_reader import ChangesReader
from tui.collecting import Collecting
from tui.figures import plural
from tui.look import ASCII, UNICODE, Look, ThemeColors
from tui.observed import Observed
from tui.proofs import PROOF
from tui.screens.base import BaseScreen
from tui.session import DeckMode, MakeSession, Session
from tui.staging import Staging
from tui.store import Store
from tui.terminal_driver import DeckDriver
from tui.themes import load_theme, theme_names, usual_theme
from tui.underway import UnderWay, kept_words
from tui.widgets.canvas import Canvas
from tui.widgets.header import HeaderState

if TYPE_CHECKING:
    from tui.leaving import Leaving
    from tui.restoring import KeptSession
    from tui.screens.deck import DeckScreen

RATE_HERE, RATE_SSH, RATE_BLURRED = 4.0, 2.0, 1.0


class DeckApp(App[int], inherit_bindings=False):
    """See the module. Screens draw; this holds what they share."""

    CSS_PATH = "styles/deck.tcss"
    TITLE = "trafficdeck"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[Any]] = []
    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-one"), (100, "-two"), (160, "-three"), (190, "-wide")]  # noqa: RUF012 - as Textual declares it
    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-low"), (20, "-tall")]  # noqa: RUF012

    def __init__(
        self,
        make_session: MakeSession,
        *,
        mode: DeckMode = "deck",
        read_only: bool = False,
        ascii: bool = False,
        theme: str | None = None,
        leaving: Leaving | None = None,
    ) -> None:
        self.leaving = leaving
        super().__init__(driver_class=DeckDriver)
        self.make_session = make_session
        self.mode = mode
        self.no_color = bool(os.environ.get("NO_COLOR"))
        self._chosen_theme = theme
        self.look = Look(load_theme("mono" if self.no_color else self._first_theme(theme)), ASCII if ascii else UNICODE)
        self.store, self.staging, self.arming = Store(), Staging(), Arming()
        self.keymap = Keymap()
        self.collecting = Collecting()
        self.observed = Observed(self._observed)
        self.changes_reader = ChangesReader()
        self._reading_changes = False
        self.head = HeaderState(mode=mode, read_only=read_only or mode == "oncall")
        self.session: Session | None = None
        self.in_flight = 0
        self.under_way = UnderWay()
        self._dirty = False
        self._focused = True
        self._ticks = 0
        self._second = 0
        self.new_second = False
        """Whether this tick is the first of its second: ages grow then, all of them together."""
        self._theme_saved = 0.0
        self._crash: Path | None = None
        self._told_kept = ""
        self._kept: KeptSession | None = None
        """What of the session was last written; None before anything was restored."""

    def _first_theme(self, theme: str | None) -> str:
        return theme if theme is not None and theme in theme_names() else usual_theme(os.environ)

    # --- start

    def get_default_screen(self) -> BaseScreen:
        """The screen at the bottom: the on-call view or the deck, with no empty one below it to be laid out too."""
        if self.mode == "oncall":
            from tui.screens.oncall import OncallScreen

            return OncallScreen()
        from tui.screens.deck import DeckScreen

        return DeckScreen()

    def on_mount(self) -> None:
        self._apply_look()
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        rate = RATE_SSH if os.environ.get("SSH_CONNECTION") else RATE_HERE
        self.set_interval(1 / rate, self._tick)
        self.run_worker(self._open(), name="session", group="session", exit_on_error=False)
        self.app_resume_signal.subscribe(self, lambda _: self.repaint())
        if self.leaving is not None:
            loop = asyncio.get_running_loop()
            self.leaving.tell(
                lambda: loop.call_soon_threadsafe(self.exit, 1), lambda: self.in_flight > 0, self._ask_terminal
            )

    def _ask_terminal(self) -> None:
        """Ask for the cursor's place, which every terminal answers. From any thread."""
        if isinstance(self._driver, DeckDriver):
            self._driver.ask()

    async def _open(self) -> None:
        try:
            session = await self.make_session()
            self.keymap = Keymap(session.deck.keys)
            self.store.configured = {environment.name: environment for environment in session.deck.environments}
        except ControlError as error:
            self._fail(error)
            return
        except Exception as error:
            self.log_failure(error)
            self._fail(ControlError(f"could not start: {type(error).__name__}", hint=f"see {self._crash}"))
            return
        self.session = session
        self.collecting.start()
        self.head.demo = session.deck.path is None
        self.arming.start(session)
        self._choose_theme(self._chosen_theme or session.deck.theme)
        if self.mode == "deck":
            self.staging.draft_file = session.state_folder / "draft.json"
            self._restore(session)
            if drafts.load_draft(self.staging.draft_file, self.staging):
                self.say(f"{plural(len(self.staging), 'staged edit')} restored from the draft", "staged")
        await self._follow(session.reader_plane)

    @property
    def failure(self) -> ControlError | None:
        """Why the start did not come to a fleet; None where it did."""
        return self.head.failure

    def _fail(self, error: ControlError) -> None:
        self.head.failure = error
        self._redraw()

    def _restore(self, session: Session) -> None:
        """Bring back view, filters and order of the last time, and keep what they become."""
        from tui.restoring import NOTHING, load_session

        kept = load_session(session.state_folder)
        if kept is not NOTHING and (deck := self._deck_screen()) is not None:
            deck.restore(kept)
        self._kept = kept

    def _deck_screen(self) -> DeckScreen | None:
        from tui.screens.deck import DeckScreen

        return next((screen for screen in self.screen_stack if isinstance(screen, DeckScreen)), None)

    def remember(self) -> None:
        """Keep what a later start brings back, where it has changed."""
        from tui.restoring import save_session

        deck = self._deck_screen() if self.mode == "deck" else None
        if deck is None or self.session is None or self._kept is None:
            return
        now = deck.kept_session()
        if now != self._kept:
            self._kept = now
            save_session(self.session.state_folder, now)

    async def _follow(self, plane: ControlPlane) -> None:
        self.take(plane)
        while True:
            try:
                async for _ in plane.watch():
                    self.take(plane)
                return
            except ControlError as error:
                self.say(str(error), "bad")
            except Exception as error:
                self.log_failure(error)
                self.say(f"updates stopped: {type(error).__name__}; starting again", "bad")
            await asyncio.sleep(5)

    def take(self, plane: ControlPlane) -> None:
        """Remember that there is a newer inventory; the timer takes it into the store."""
        if not self.head.paused:
            self._dirty = True
        if not self.store.loaded:
            self.call_later(self._tick)  # the first rows wait for no timer

    # --- the timer

    def _tick(self) -> None:
        self._ticks += 1
        if not self._running or not self._screen_stack:
            return
        if not self._focused and self._ticks % 4:
            return
        second = int(time.monotonic())
        self.new_second, self._second = second != self._second, second
        if self.arming.expire():
            self.say("disarmed: the time is over", "warn")
        changed = False
        if self._dirty and self.session is not None:
            self._dirty = False
            self.store.update(self.session.reader_plane.inventory)
            if self.store.history is None and not self.store.changes_unknown:
                self.read_history()
            changed = True
        if self._ticks % 20 == 2 and self.session is not None:
            self.read_history()
            self._follow_theme_file()
        self.remember()
        self.collecting.tick()
        if self.mode == "deck":
            self.store.search_ahead()
        if isinstance(self.screen, BaseScreen):
            try:
                self.screen.tick(changed)
            except Exception as error:  # a fault in drawing costs one frame, not the night's screen
                self.log_failure(error)
                self.say(f"could not draw: {type(error).__name__}; the figures may be old", "bad")

    def read_history(self) -> None:
        """Bring the list of changes up to date, off the loop: the journal may lie on a slow disk."""
        self._read_changes(self.changes_reader.newest)

    def read_older(self) -> None:
        """Read on in the journal, where somebody has come to the end of what was read."""
        if self.store.older_changes:
            self._read_changes(self.changes_reader.older)

    def _read_changes(self, read: Callable[[ControlPlane], HistoryPage]) -> None:
        if self.session is not None and not self._reading_changes:
            self._reading_changes = True
            self.run_worker(self._take_changes(self.session.reader_plane, read), group="history", exit_on_error=False)

    async def _take_changes(self, plane: ControlPlane, read: Callable[[ControlPlane], HistoryPage]) -> None:
        try:
            self.store.set_history(await asyncio.to_thread(read, plane))
            kept = kept_words(await asyncio.to_thread(plane.kept))
            if kept and kept != self._told_kept:
                self.say(kept, "bad")
            self._told_kept = kept
        except ControlError as error:
            if error.message != self.store.changes_unknown:
                self.say(f"changes are not known: {error}", "bad")
            self.store.history_failed(error.message)
        finally:
            self._reading_changes = False
        self._redraw()

    def on_app_blur(self) -> None:
        self._focused = False

    def on_app_focus(self) -> None:
        self._focused = True

    # --- what traffic says after a change

    def observe_on(self, plan: Plan, result: Result) -> None:
        """Count on for every step that the traffic has not confirmed; a closed sheet does not end it."""
        if result.change is None or self.session is None:
            return
        plane = self.session.reader_plane
        for step in self.observed.open_steps(plan, result):
            job = self.observed.go_on(plane, result.change, step)
            self.run_worker(job, name=f"observed {step.object}", group="observed", exit_on_error=False)

    def _observed(self, change: str, object: str, part: ProofPart) -> None:
        if part.seconds is not None and isinstance(self.screen, BaseScreen):
            known = PROOF[part.state][0]
            if getattr(self.screen, "change_shown", None) != change:
                self.say(f"{object_words(object)}: observed {known}: {part.detail}")
        self._redraw()

    # --- what screens use

    @property
    def plane(self) -> ControlPlane:
        """The plane that reads. Raises `ControlError` before the start is over."""
        if self.session is None:
            raise ControlError("nothing has been read yet")
        return self.session.reader_plane

    def situation(self, scope: str) -> Situation:
        return Situation(
            scope=scope,
            ready=self.session is not None and self.store.loaded,
            can_arm=self.arming.can_arm and not self.head.read_only,
            armed=bool(self.arming.timed),
            staged=len(self.staging),
            in_flight=self.in_flight > 0,
        )

    def say(self, text: str, role: str = "info") -> None:
        """Show one message on the screen that is on top."""
        if isinstance(self.screen, BaseScreen):
            self.screen.say(text, role)

    def _redraw(self) -> None:
        if isinstance(self.screen, BaseScreen):
            self.screen.redraw()

    # --- looks

    def _choose_theme(self, name: str | None) -> None:
        if name is None or self.no_color:
            return
        try:
            self.set_theme(load_theme(name, self.session.config_folder if self.session else None))
        except ControlError as error:
            self.say(str(error), "bad")

    def set_theme(self, theme: ThemeColors) -> None:
        """Change the look of everything that is on the screen, live."""
        self.look.theme = theme
        self.look.forget()
        self._apply_look()
        self.repaint()

    def repaint(self) -> None:
        """Draw everything anew: another theme, or a terminal that somebody else had meanwhile."""
        for screen in self.screen_stack:
            for canvas in screen.query(Canvas):
                canvas.repaint_all()
            screen.refresh()

    def _follow_theme_file(self) -> None:
        """Apply the user's own theme again when its file was saved; a wrong one is named and the old one stays."""
        if self.session is None or self.no_color:
            return
        path = self.session.config_folder / "themes" / f"{self.look.theme.name}.yaml"
        try:
            saved = path.stat().st_mtime
        except OSError:
            return
        if saved != self._theme_saved:
            first, self._theme_saved = self._theme_saved == 0.0, saved
            if not first:
                self._choose_theme(self.look.theme.name)

    def copy(self, text: str) -> None:
        """Put text on the clipboard through the terminal (OSC 52), and through tmux where that is between."""
        self.copy_to_clipboard(text)
        if os.environ.get("TMUX") and self._driver is not None:
            code = base64.b64encode(text.encode()).decode()
            self._driver.write(f"\x1bPtmux;\x1b\x1b]52;c;{code}\x07\x1b\\")

    def _apply_look(self) -> None:
        theme = self.look.theme
        ground = theme.grounds["ground"]
        name = f"deck-{theme.name}-{time.monotonic_ns()}"
        text = theme.roles["text"].split()[-1]
        self.register_theme(Theme(name, primary=text, background=ground, surface=ground, dark=theme.dark))
        self.theme = name

    def do_theme(self, name: str = "") -> None:
        if self.no_color:
            self.say("NO_COLOR is set: the theme is mono", "warn")
            return
        folder = self.session.config_folder if self.session else None
        names = theme_names(folder)
        at = names.index(self.look.theme.name) if self.look.theme.name in names else -1
        self.set_theme(load_theme(name or names[(at + 1) % len(names)], folder))
        self.say(f"theme {self.look.theme.name}")

    # --- leaving

    async def run_async(self, **how: Any) -> int | None:
        """Run to the end. A change that is being applied then stops before its next step, and is waited for."""
        try:
            return await super().run_async(**how)
        finally:
            await self.under_way.finish()

    def on_unmount(self) -> None:
        self.collecting.stop()

    async def action_quit(self) -> None:
        self.exit(0)

    def do_help(self) -> None:
        from tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.screen.situation() if isinstance(self.screen, BaseScreen) else Situation()))

    def do_suspend(self) -> None:
        if self.in_flight:
            self.say("a change is being applied: not now", "warn")
            return
        self.action_suspend_process()

    def do_cancel(self) -> None:
        self.say("q leaves a screen, and the deck at its root; :q quits", "info")

    # --- failures

    def log_failure(self, error: BaseException) -> None:
        """Write where an unexpected failure came from, without any value of it."""
        folder = self.session.state_folder if self.session else None
        if folder is None:
            return
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f"{time.strftime('%F %T')} {type(error).__name__}"]
        lines += [f"  {Path(f.filename).name}:{f.lineno} {f.name}" for f in frames]
        self._crash = folder / "crash.log"
        try:
            with self._crash.open("a", encoding="utf-8") as log:
                log.write("\n".join(lines) + "\n")
        except OSError:
            self._crash = None

    def _handle_exception(self, error: Exception) -> None:
        self.log_failure(error)
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """Leave without a traceback of locals: they may hold what nobody should read on a screen."""
        where = f"; where it happened is in {self._crash}" if self._crash else ""
        self._exit_renderables.append(f"trafficdeck stopped on an unexpected failure{where}. No change was cut short.")
        self._close_messages_no_wait()
