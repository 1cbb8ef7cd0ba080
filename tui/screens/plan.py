"""The plan sheet: read it, confirm it, watch it happen. Enter never confirms, nor does the key that opened it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

from control.errors import ControlError, ErrorKind, GuardRefused, InvalidValue, Silent, UsageError
from control.planning.options import ApplyOptions, PlanOptions
from control.planning.plan import Plan, Progress, Result, ResultOutcome, StepOutcome, Verdict
from control.planning.undo import CHANGED_SINCE
from control.structs import replace
from tui.actions import BY_ID, Action, Situation
from tui.cells import wrap
from tui.danger import Assessment, Danger, assess
from tui.figures import plural
from tui.look import Line
from tui.screens.sheet import SheetScreen
from tui.views.apply_lines import OUTCOME, progress_lines, result_words
from tui.views.plan_lines import plan_body, plan_title, refused
from tui.widgets.line_input import LineInput

MakePlan = Callable[[PlanOptions], Awaitable[Plan]]
GUARD_SECONDS = 0.4
"""The sheet ignores confirmations until it has been on the screen for so long."""


class PlanScreen(SheetScreen):
    """Phases: planning, ready, applying, done (or failed to plan)."""

    SCOPE: ClassVar[str] = "plan"

    def __init__(self, source: str, make: MakePlan, undoes: str | None = None) -> None:
        """`source` is `staged`, `undo`, `text` or `file`: what the plan was made from. `undoes` names the change that
        an undo takes back; None for the caller's own last one."""
        super().__init__()
        self.undoes = undoes
        self.source, self.make = source, make
        self.plan: Plan | None = None
        self.danger = Assessment(Danger.LOCAL, (), ())
        self.problem: ControlError | None = None
        self.result: Result | None = None
        self.applying: asyncio.Task[None] | None = None
        self.stop = asyncio.Event()
        self.reached: dict[int, str] = {}
        self.overrides: tuple[str, ...] = ()
        self.left_out: tuple[str, ...] = ()
        """Environments whose edits are not in this plan, because they do not answer."""
        self.reason = ""
        self.whole_diff = False
        self.ready_at = self.done_at = 0.0

    def on_mount(self) -> None:
        super().on_mount()
        self.work(self._plan(), "plan")

    async def _plan(self) -> None:
        self.plan = self.problem = None
        self.render_all()
        try:
            options = PlanOptions(overrides=self.overrides, reason=self.reason, leave_out=frozenset(self.left_out))
            plan = await self.make(options)
        except ControlError as error:
            self.problem = error
        else:
            self.plan = plan
            self.danger = self._assess(plan)
            self.reason = self.reason or plan.reason
        self.ready_at = time.monotonic()
        self.render_all()

    def _assess(self, plan: Plan) -> Assessment:
        inventory = self.deck.plane.inventory
        return assess(plan, inventory.routes, inventory.limits, inventory.environments)

    def situation(self) -> Situation:
        if self.result is not None:
            phase = "done"
        elif self.applying is not None:
            phase = "applying"
        else:
            phase = self._phase()
        return replace(
            super().situation(), phase=phase, newer=self._meets_newer(), silent=isinstance(self.problem, Silent)
        )

    def _meets_newer(self) -> bool:
        """An undo that somebody else's newer value stands in the way of."""
        if self.source != "undo" or self.applying is not None:
            return False
        if self.problem is not None:
            return self.problem.kind is ErrorKind.STALE
        steps = self.plan.steps if self.plan is not None else ()
        return any(guard.name == CHANGED_SINCE for step in steps for guard in step.guards)

    def _phase(self) -> str:
        if self.problem is not None:
            return "impossible"
        if self.plan is None:
            return "being made"
        if not self.plan.steps:
            return "empty"
        return "refused" if refused(self.plan) or self._cannot_send() else "ready"

    # --- drawing

    def heading(self) -> Line:
        store, cells = self.deck.store, self.size.width
        if self.result is not None:
            words, role = OUTCOME[self.result.outcome]
            return ((" DONE  ", "strong"), (words, role), (f"   change {self.result.change or '-'}", "muted"))
        if self.applying is not None:
            return ((" APPLYING ", "armed"), (" one step after the other; ctrl+c stops before the next", "muted"))
        if self.plan is None:
            return (
                (" PLAN ", "strong"),
                ("  cannot be made" if self.problem else "  reading what is there now", "muted"),
            )
        return plan_title(self.plan, store, self.source, cells)

    def lines(self, width: int) -> list[Line]:
        store, look = self.deck.store, self.deck.look
        if self.problem is not None:
            lines: list[Line] = [()]
            lines += [((f" {part}", "bad"),) for part in wrap(self.problem.message, max(width - 2, 20))]
            if isinstance(self.problem, Silent):
                words = (
                    f"leaves {', '.join(self.problem.environments)} out: the others are planned, its edits stay staged"
                )
                lines += [(), ((" x ", "key"), (words, "text"))]
            elif self.problem.hint:
                lines += [(), ((f" {self.problem.hint}", "text"),)]
            if self._meets_newer():
                lines += [(), ((" t ", "key"), ("shows every field three ways and lets you decide", "text"))]
            return [*lines, (), ((" n goes back; what is staged stays", "muted"),)]
        if self.plan is None:
            return [(), ((" reading every object of the plan anew", "info"),)]
        if self.applying is not None or self.result is not None:
            result = self.deck.observed.latest(self.result) if self.result is not None else None
            lines = progress_lines(self.plan, self.reached, result, store, look, width, self._since())
            return [*lines, (), *self._after()] if self.result is not None else lines
        return [*self._without(), *plan_body(self.plan, self.danger, store, look, width, self.whole_diff), ()]

    def _without(self) -> list[Line]:
        """Which environments this plan leaves out."""
        if not self.left_out:
            return []
        staging, names = self.deck.staging, set(self.left_out)
        kept = sum(ref.environment in names for ref in (*staging.routes, *staging.limits))
        words = f" without {', '.join(self.left_out)}, which gives no answer: {plural(kept, 'edit')} left staged"
        return [((words, "warn"),)]

    @property
    def change_shown(self) -> str | None:
        """The change whose result is on this sheet."""
        return self.result.change if self.result is not None else None

    def _since(self) -> float:
        return time.monotonic() - self.done_at if self.result is not None else 0.0

    def pinned(self, width: int) -> list[Line]:
        waiting = self.problem is None and self.applying is None and self.result is None
        return self._confirm() if waiting else []

    def _confirm(self) -> list[Line]:
        """What it takes to send this, or why it cannot be sent."""
        plan = self.plan
        if plan is None or not plan.steps:
            return []
        names = refused(plan)
        if names:
            return [
                ((" refused by ", "bad"), (", ".join(names), "bad")),
                ((" e back to editing   O overrides a guard, with a reason   w saves it for somebody else", "muted"),),
            ]
        why = self._cannot_send()
        if why:
            return [((f" what if: {why}", "warn"),), ((" w saves the plan for somebody who may apply it", "muted"),)]
        if not self.danger.words:
            return [((" y", "key"), (" applies   ", "text"), ("n", "key"), (" cancels", "text"))]
        first = ", then ".join(f"type {word.text}" for word in self.danger.words)
        why = "; ".join(word.why for word in self.danger.words)
        return [((" y", "key"), (f" then {first} and Enter  ", "strong"), (why, "muted"))]

    def _after(self) -> list[Line]:
        result = self.result
        lines: list[Line] = []
        if result is not None and result.kept:
            lines += [((" " + part, "bad"),) for part in wrap(f"{result.kept}; :resolve states what is true", 76)]
        if result is not None and result.head:
            lines.append(((f" journal head {result.head[:16]}", "faint"),))
        done = result is not None and any(s.outcome is StepOutcome.APPLIED for s in result.steps)
        undo = (("u", "key"), (" undoes this   ", "text")) if done else ()
        return [
            *lines,
            ((" ", "text"), *undo, ("c", "key"), (" copies the outcome   ", "text"), ("q", "key"), (" closes", "text")),
        ]

    # --- confirming

    def _cannot_send(self) -> str:
        deck, plan = self.deck, self.plan
        if plan is None:
            return "there is no plan yet"
        if deck.head.read_only or not deck.arming.can_arm:
            return "this session is read-only"
        missing = sorted({step.environment for step in plan.steps} - deck.arming.armed())
        return f"{', '.join(missing)} disarmed; :arm 15m REASON in the deck" if missing else ""

    def do_plan_apply(self) -> None:
        if self.plan is None or self.applying is not None or self.result is not None or not self.plan.steps:
            return
        if time.monotonic() - self.ready_at < GUARD_SECONDS:
            self.refuse("not yet: read the plan first, then y again", self.asked(BY_ID["plan.apply"]))
            return
        if refused(self.plan) or self.plan.verdict is Verdict.REFUSE:
            raise GuardRefused("a guard refuses this plan; e goes back to editing")
        why = self._cannot_send()
        if why:
            raise InvalidValue(why)
        self._ask_words(0, frozenset())

    def asked(self, action: Action) -> str:
        """After `y` a hand goes on with the code or name that the plan says: it fires no other key where `y` did not
        ask for it."""
        if action.id == "plan.apply":
            if self.plan is None and self.problem is None:
                return "abcdefghijklmoprstuvwxyz"  # the words are not known yet; n and q leave
            return "".join(word.text[:1] for word in self.danger.words[:1]) if self.result is None else ""
        return super().asked(action)

    def _ask_words(self, index: int, codes: frozenset[str]) -> None:
        """Ask for each word in turn, then for a reason where one is needed, then go."""
        if index < len(self.danger.words):
            word = self.danger.words[index]

            def typed(text: str) -> None:
                if text != word.text:
                    raise InvalidValue(f"not applied: '{word.text}' was not typed")
                self._ask_words(index + 1, codes | ({word.text} if word.code else frozenset()))

            self.ask(LineInput(f"{word.why}: type {word.text} to apply:", typed))
            return
        self.reason = self.reason or self.deck.arming.reason
        if (codes or self.overrides) and not self.reason:
            self.ask(LineInput("reason:", lambda text: self._with_reason(text, codes)))
            return
        self._go(codes)

    def _with_reason(self, text: str, codes: frozenset[str]) -> None:
        if not text:
            raise InvalidValue("not applied: production needs a reason")
        self.reason = text
        self._go(codes)

    def _go(self, codes: frozenset[str]) -> None:
        self.stop = asyncio.Event()
        self.applying = asyncio.create_task(self._apply(codes))
        self.deck.under_way.begin(self.applying, self.stop)
        self.deck.in_flight += 1
        self.deck.head.job = "applying"
        self.render_all()

    async def _apply(self, codes: frozenset[str]) -> None:
        plan, deck = self.plan, self.deck
        try:
            if plan is None:
                return
            plane = await deck.arming.writer_plane(frozenset(step.environment for step in plan.steps))
            options = ApplyOptions(reason=self.reason, confirmed=codes, overrides=self.overrides)
            self.result = await plane.apply(plan, options, self._progress, self.stop)
            self.done_at = time.monotonic()
            self._settle(plan, self.result)
            if deck.is_running:
                deck.observe_on(plan, self.result)
            else:
                deck.under_way.ended.append((plan, self.result))
        except ControlError as error:
            self.applying = None
            self.say(str(error), "bad")
        except asyncio.CancelledError:
            self.applying = None
            self.say("stopped before the next step; 3 shows what was done", "warn")
        except Exception as error:
            deck.log_failure(error)
            self.applying = None
            self.say(f"unexpected: {type(error).__name__}; 3 shows what was journaled", "bad")
        finally:
            deck.in_flight -= 1
            deck.head.job = ""
            if deck.is_running:
                deck.take(deck.plane)
                deck.read_history()
            if self.is_attached:
                self.render_all()

    def _settle(self, plan: Plan, result: Result) -> None:
        """What was sent is no longer staged."""
        if result.outcome in (ResultOutcome.REFUSED, ResultOutcome.ROLLED_BACK):
            return
        sent = {step.object for step in result.steps if step.outcome in (StepOutcome.APPLIED, StepOutcome.IN_PROGRESS)}
        for step in plan.steps:
            if step.object in sent or result.outcome is ResultOutcome.NO_CHANGE:
                for change in step.changes:
                    self.deck.staging.unstage(change.ref)
                    self.deck.staging.unstage(change.ref.on("*"))
        if self.source == "staged" and result.outcome is ResultOutcome.NO_CHANGE and not self.left_out:
            self.deck.staging.clear()

    async def _progress(self, progress: Progress) -> None:
        self.reached[progress.step] = progress.stage
        self.render_all()

    # --- other keys

    def do_cancel(self) -> None:
        if self.applying is not None and self.result is None:
            self.stop.set()
            self.say("the step in flight is finished, no further one is begun", "warn")
        else:
            self.say("n or q goes back")

    def do_back(self) -> None:
        if self.applying is not None and self.result is None:
            self.say("being applied: ctrl+c stops before the next step", "warn")
            return
        self.app.pop_screen()
        self.deck._redraw()

    def do_plan_edit(self) -> None:
        self.do_back()

    def do_plan_leave_out(self) -> None:
        if isinstance(self.problem, Silent):
            self.left_out = (*self.left_out, *self.problem.environments)
            self.work(self._plan(), "plan")

    def do_plan_three_way(self) -> None:
        from tui.screens.three_way import ThreeWayScreen

        self.app.switch_screen(ThreeWayScreen(self.plan.undo_of if self.plan is not None else self.undoes))

    def do_plan_native(self) -> None:
        self.whole_diff = not self.whole_diff
        self.render_all()

    def do_plan_save(self, name: str = "") -> None:
        if self.plan is None:
            return
        plan = self.plan

        def save(text: str) -> None:
            from tui.planfiles import write_plan

            if not text:
                return
            try:
                write_plan(Path(text).expanduser(), plan)
            except UsageError as error:
                self.fail(error)
            else:
                self.say(f"saved {text}; 'trafficdeck apply {text}' does it")

        self.ask(LineInput("save the plan to file:", save, f"plan-{plan.plan}.json"))

    def do_plan_override(self) -> None:
        names = refused(self.plan) if self.plan is not None else []
        if not names:
            raise InvalidValue("no guard refuses this plan")

        def typed(text: str) -> None:
            name, _, reason = text.partition(" ")
            if name not in names or not reason.strip():
                raise InvalidValue("nothing overridden: the guard's name and a reason are needed")
            self.overrides, self.reason = (*self.overrides, name), reason.strip()
            self.work(self._plan(), "plan")

        self.ask(LineInput(f"override ({', '.join(names)}) GUARD REASON:", typed))

    def do_apply_undo(self) -> None:
        result, deck = self.result, self.deck
        if result is None or result.change is None:
            return
        change = result.change
        self.app.switch_screen(PlanScreen("undo", lambda o: deck.plane.undo_plan(change, (), o.overrides), change))

    def do_copy(self) -> None:
        if self.plan is None:
            return
        if self.result is not None:
            self.deck.copy(result_words(self.deck.observed.latest(self.result), self.plan))
            self.say("the outcome was copied by the terminal")
        else:
            self.deck.copy("\n".join(step.diff for step in self.plan.steps))
            self.say("the native diff was copied by the terminal")
