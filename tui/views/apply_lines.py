"""Apply as it happens: each step with its stages, then its three proofs; and the outcome in words to paste."""

from __future__ import annotations

from control.planning.plan import Plan, Result, ResultOutcome, StepOutcome, StepResult
from control.ports import ProofPart
from tui import figures
from tui.cells import clip, object_words, wrap
from tui.change_words import change_words, value_words
from tui.look import Line, Look
from tui.proofs import PROOF
from tui.store import Store
from tui.views.plan_lines import object_names

STAGES = ("journaled", "written", "read_back", "loaded", "observed")
STAGE_WORDS = {"read_back": "read back"}
OUTCOME = {
    ResultOutcome.APPLIED: ("applied: the data plane uses it", "good"),
    ResultOutcome.APPLIED_UNPROVEN: ("applied, not proved", "warn"),
    ResultOutcome.ROLLED_BACK: ("failed, and rolled back: everything is as it was", "bad"),
    ResultOutcome.PARTLY_APPLIED: ("partly applied: look at each step", "bad"),
    ResultOutcome.REFUSED: ("refused: nothing was written", "bad"),
    ResultOutcome.NO_CHANGE: ("nothing to change", "muted"),
    ResultOutcome.IN_PROGRESS: ("written, still on its way", "warn"),
    ResultOutcome.INTERRUPTED: ("interrupted: :resolve states what is true", "bad"),
}
STEP_WORDS = {StepOutcome.NOT_STARTED: "never begun", StepOutcome.UNDONE: "taken back"}


def progress_lines(
    plan: Plan, reached: dict[int, str], result: Result | None, store: Store, look: Look, width: int, since: float = 0.0
) -> list[Line]:
    """The steps with how far each has come; with a result, which came `since` seconds ago, its proofs."""
    lines: list[Line] = []
    results = {step.object: step for step in result.steps} if result else {}
    names = object_names(plan, max(width - 6, 10), look)
    for number, step in enumerate(plan.steps):
        lines += [(), ((f" {number + 1}  ", "key"), (names[step.object], "title"))]
        words = ", ".join(change_words(change, look.glyphs.arrow) for change in step.changes[:4])
        lines.append((("    ", "text"), (clip(words, width - 5).rstrip(), "text")))
        done = results.get(step.object)
        lines += _proofs(done, width) if done is not None else [_stages(reached.get(number, ""), look)]
        if done is not None and step.changes:
            lines += _seen(step.changes[0].ref, store, since)
    return lines


def _stages(reached: str, look: Look) -> Line:
    at = STAGES.index(reached) if reached in STAGES else -1
    line: list[tuple[str, str]] = [("    ", "text")]
    for index, stage in enumerate(STAGES):
        word = STAGE_WORDS.get(stage, stage)
        role = "good" if index <= at else "info" if index == at + 1 else "faint"
        proven = index < STAGES.index("loaded")  # what came of asking is in the result
        sign = ("ok " if proven else "asked ") if index <= at else ".. " if index == at + 1 else "   "
        line += [(sign, role), (word + "  ", role)]
    return tuple(line)


def _proofs(done: StepResult, width: int) -> list[Line]:
    role = (
        "good" if done.outcome is StepOutcome.APPLIED else "warn" if done.outcome is StepOutcome.IN_PROGRESS else "bad"
    )
    lines: list[Line] = [(("    ", "text"), (done.outcome.value.replace("_", " "), role))]
    if done.reason is not None:
        lines += [(("    ", "text"), (part, "bad")) for part in wrap(done.reason.message, width - 6)]
    if done.proof is not None:
        for label, part in (
            ("accepted", done.proof.accepted),
            ("loaded", done.proof.loaded),
            ("observed", done.proof.observed),
        ):
            lines += _proof(label, part, width)
    return lines


def _proof(label: str, part: ProofPart, width: int) -> list[Line]:
    word, role = PROOF[part.state]
    after = f" after {part.seconds:.1f}s" if part.seconds is not None else ""
    details = wrap(part.detail, max(width - 19 - len(word) - len(after), 30))
    first = "  " + details[0] if details else ""
    head: Line = ((f"      {label:9}", "muted"), (word + after, role), (first, "muted"))
    return [head, *(((" " * (17 + len(word) + len(after)) + text, "muted"),) for text in details[1:])]


def _seen(ref: object, store: Store, since: float) -> list[Line]:
    """The measured split, and whether what was measured before the change is still among it."""
    from control.model.ref import Ref
    from tui.views.routes import set_and_seen

    row = store.routes.get(ref) if isinstance(ref, Ref) else None
    if row is None and isinstance(ref, Ref):
        row = store.routes.get(ref.on("*"))
    if row is None:
        return []
    text, role = set_and_seen(row)
    window = (row.seen.traffic.window_seconds if row.seen else None) or 60.0
    words = f"  over {window:.0f}s"
    if since < window:
        words += ", some of it from before the change"
    elif text != figures.UNKNOWN:
        words += ": not what is set" if role == "bad" else ": what is set"
    return [(("      seen     ", "muted"), (text, "text" if since < window else role), (words, "muted"))]


def result_words(result: Result, plan: Plan) -> str:
    """The outcome in words that can be pasted into an incident channel."""
    outcome = OUTCOME[result.outcome][0]
    lines = [f"trafficdeck change {result.change or '-'}: {outcome}"]
    if plan.reason:
        lines.append(f"reason: {plan.reason}")
    lines += [
        f"- {change.ref} {change.field}: {value_words(change.before)} -> {value_words(change.after)}"
        for step in plan.steps
        for change in step.changes
    ]
    for done in result.steps:
        proof = done.proof
        if proof is not None:
            parts = (("accepted", proof.accepted), ("loaded", proof.loaded), ("observed", proof.observed))
            lines.append(f"  {object_words(done.object)}: " + ", ".join(f"{n} {PROOF[p.state][0]}" for n, p in parts))
        elif done.reason is not None:
            lines.append(f"  {object_words(done.object)}: {done.reason.message}")
        else:
            lines.append(f"  {object_words(done.object)}: {STEP_WORDS.get(done.outcome, done.outcome.value)}")
    if result.kept:
        lines.append(result.kept)
    if result.change and (result.kept or result.outcome in (ResultOutcome.PARTLY_APPLIED, ResultOutcome.INTERRUPTED)):
        lines.append(f"what is true: trafficdeck resolve {result.change}")
    if result.change and result.outcome in (ResultOutcome.APPLIED, ResultOutcome.APPLIED_UNPROVEN):
        lines.append(f"undo: trafficdeck undo {result.change} --apply")
    return "\n".join(lines)
