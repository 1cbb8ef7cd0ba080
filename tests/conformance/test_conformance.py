"""What every kind must do on its real server: the shared suite of all adapters."""

from __future__ import annotations

import asyncio
import difflib
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from preparing import prepared

from adapters import registry
from adapters.registry import sections
from control.deck.config import DeckConfig, EnvironmentConfig
from control.deck.reading import read_deck
from control.errors import ControlError, InvalidValue, Locked, ReadOnly, Stale
from control.model import Limit, Route
from control.model.ref import Ref
from control.plane import ControlPlane
from control.planning.edit import Change
from control.planning.edits import resolve_limit, resolve_shares
from control.planning.plan import Plan
from control.ports import Prepared, Reader, Secrets, Writer
from tests.bed.description import Bed
from tests.bed.fixtures import ROOT
from tests.conformance.detour import detour
from tests.conformance.hostile import is_clean, planted, texts
from tests.conformance.subjects import BEYOND, ELSEWHERE, SUBJECTS, Subject, chosen

SECRETS = Secrets(ask=lambda what, key: None)
COUNTED = re.compile(r"\W*(generation|observedGeneration|resourceVersion|lastTransitionTime|RevisionId)\W")
"""Lines that a server counts up by itself at every write."""
GONE_SECONDS = 25
"""A server that went away must be told of within this."""


@dataclass(slots=True)
class Case:
    """A subject with its reader and a writer, on the real server."""

    subject: Subject
    config: EnvironmentConfig
    deck: DeckConfig
    reader: Reader
    writer: Writer

    async def found(self, reader: Reader | None = None) -> Route | Limit:
        """The subject as it stands now, read as one object."""
        listed = self.subject.find(await (reader or self.reader).read())
        return self.subject.find((await (reader or self.reader).fetch([listed.object]))[0])

    async def step(self, number: int, reader: Reader | None = None) -> Prepared:
        """The n-th edit, ready to be written."""
        changes = self.subject.changes(await self.found(reader), number)
        steps = await prepared(reader or self.reader, changes)
        assert len(steps) == 1
        return steps[0]

    async def text(self) -> str:
        """The native text, without what a server counts up by itself at every write."""
        text = (await self.reader.native(self.subject.ref)).text
        return "\n".join(line for line in text.split("\n") if not COUNTED.match(line))

    async def restore(self, before: Route | Limit) -> None:
        """Back to `before`, by the same means."""
        changes = differences(await self.found(), before)
        for step in await prepared(self.reader, changes) if changes else []:
            await self.writer.write(step)


def values(row: Route | Limit) -> object:
    """What the edits of this suite change."""
    if isinstance(row, Limit):
        return row.amount
    return [(target.name, target.weight, target.share) for target in row.targets]


def differences(now: Route | Limit, before: Route | Limit) -> list[Change]:
    """The changes that lead from `now` back to `before`."""
    if isinstance(now, Limit):
        assert isinstance(before, Limit)
        return [] if now.amount == before.amount else [Change(now.ref, "amount", now.amount, before.amount)]
    assert isinstance(before, Route)
    field = "share" if now.grid.only_percent else "weight"
    changes = []
    for target in before.targets:
        current = now.target(target.name)
        old, new = (getattr(current, field) if current else None), getattr(target, field)
        if old != new:
            changes.append(Change(now.ref, f"targets/{target.name}/{field}", old, new))
    return changes


@pytest.fixture(params=chosen(), ids=lambda subject: subject.kind)
async def case(request: pytest.FixtureRequest, bed: Bed) -> AsyncIterator[Case]:
    subject: Subject = request.param
    deck = read_deck(bed.deck, sections())
    config = deck.environment(subject.environment)
    assert config is not None
    reader = registry.open_reader(config, SECRETS)
    writer = registry.writer_factory(SECRETS)(config, reader)
    made = Case(subject, config, deck, reader, writer)
    before = await made.found()
    try:
        yield made
    finally:
        await made.restore(before)
        await writer.close()
        await reader.close()


def test_every_kind_has_a_subject() -> None:
    beyond = {subject.kind for subjects in BEYOND.values() for subject in subjects}
    assert {subject.kind for subject in SUBJECTS} | set(ELSEWHERE) | beyond >= set(registry.kinds())
    assert all((ROOT / tests).is_file() for tests in ELSEWHERE.values())


async def test_list_and_read_agree(case: Case) -> None:
    listed = case.subject.find(await case.reader.read())
    alone = case.subject.find((await case.reader.fetch([listed.object]))[0])
    assert Ref.parse(str(listed.ref)) == listed.ref
    assert listed.base and listed.base == alone.base
    assert values(listed) == values(alone)
    assert listed.editable.yes, listed.editable.reason


async def test_an_edit_reads_back_and_its_reverse_leaves_every_byte(case: Case) -> None:
    before, text = await case.found(), await case.text()
    step = await case.step(0)
    assert step.diff and step.base == before.base
    await case.writer.write(step)
    after = await case.found()
    planned = [*step.routes_after, *step.limits_after]
    assert values(after) == values(next(row for row in planned if row.ref == after.ref))
    assert values(after) != values(before) and after.base != before.base
    await case.restore(before)
    assert values(await case.found()) == values(before)
    assert await case.text() == text


async def test_a_stale_base_is_refused_and_nothing_written(case: Case) -> None:
    first, second = await case.step(0), await case.step(1)
    await case.writer.write(first)
    won, text = values(await case.found()), await case.text()
    with pytest.raises(Stale):
        await case.writer.write(second)
    assert values(await case.found()) == won
    assert await case.text() == text


async def test_what_the_platform_cannot_hold_is_refused_before_any_write(case: Case) -> None:
    before, text = await case.found(), await case.text()
    with pytest.raises(InvalidValue) as refusal:
        await prepared(case.reader, [case.subject.refused(before)])
    assert is_clean(str(refusal.value))
    assert await case.text() == text


async def test_of_two_racing_writers_one_wins(case: Case) -> None:
    other_reader = registry.open_reader(case.config, SECRETS)
    other_writer = registry.writer_factory(SECRETS)(case.config, other_reader)
    try:
        steps = [await case.step(0), await case.step(1, other_reader)]
        outcomes = await asyncio.gather(
            case.writer.write(steps[0]), other_writer.write(steps[1]), return_exceptions=True
        )
    finally:
        await other_writer.close()
        await other_reader.close()
    lost = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, BaseException)]
    if case.subject.unguarded:
        assert all(case.subject.unguarded in " ".join(step.warnings) for step in steps)
        return
    assert len(lost) == 1, outcomes
    assert isinstance(outcomes[lost[0]], Stale | Locked), outcomes
    winner = steps[1 - lost[0]]
    planned = next(row for row in [*winner.routes_after, *winner.limits_after] if row.ref == case.subject.ref)
    assert values(await case.found()) == values(planned)


def taken_over(before: str, after: str) -> str:
    """The text before with what an edit changed in the text after, but for what the server counts up by itself."""
    old, new = before.split("\n"), after.split("\n")
    out: list[str] = []
    for tag, i, i_end, j, j_end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        counted = any(COUNTED.match(line) for line in old[i:i_end])
        out += old[i:i_end] if tag == "equal" or counted else new[j:j_end]
    return "\n".join(out)


async def test_an_edited_text_is_the_same_edit_and_nothing_else_is_taken(case: Case) -> None:
    ref = case.subject.ref
    original, before = (await case.reader.native(ref)).text, await case.found()
    assert await case.reader.edits_of(ref, original, original) == []
    await case.writer.write(await case.step(0))
    text = taken_over(original, (await case.reader.native(ref)).text)
    assert text != original
    await case.restore(before)
    edits = await case.reader.edits_of(ref, original, text)
    assert [edit.ref for edit in edits] == [ref]
    now = await case.found()
    [edit] = edits
    changes = resolve_limit(now, edit) if isinstance(now, Limit) else resolve_shares(now, edit)  # type: ignore[arg-type]
    wanted = {(change.field, change.after) for change in case.subject.changes(now, 0)}
    assert {(change.field, change.after) for change in changes} == wanted
    for broken in (original.replace(original.split("\n")[-3], "{ wrong", 1), original + "\nadded: line\n", ""):
        with pytest.raises(InvalidValue):
            await case.reader.edits_of(ref, original, broken)


async def test_read_only_has_no_writer(case: Case) -> None:
    text = await case.text()
    plane = ControlPlane(case.deck, {case.config.name: case.reader}, None, "reader@test")
    assert plane.read_only and not isinstance(case.reader, Writer)
    await plane.refresh()
    plan: Plan = await plane.plan([case.subject.edits(await case.found(), 0)])
    with pytest.raises(ReadOnly):
        await plane.apply(plan)
    assert await case.text() == text


async def test_hostile_strings_never_come_through(case: Case, bed: Bed) -> None:
    with planted(bed, case.subject.ref):
        snapshot = await case.reader.read()
        row = case.subject.find(snapshot)
        native = await case.reader.native(row.ref)
        step = await case.step(0)
    assert [text for text in texts(snapshot) if not is_clean(text)] == []
    assert is_clean(native.text, lines=True)
    assert is_clean(step.diff, lines=True)


async def test_a_server_that_goes_away_is_told_within_seconds(case: Case, bed: Bed, tmp_path: Path) -> None:
    config, relay = detour(bed, case.config, case.subject.ref.scope, tmp_path)
    reader = registry.open_reader(config, SECRETS)
    writer = registry.writer_factory(SECRETS)(config, reader)
    before = values(await case.found())
    try:
        step = await case.step(0, reader)
        relay.cut()
        started = time.monotonic()
        with pytest.raises(ControlError):
            await asyncio.wait_for(writer.write(step), GONE_SECONDS)
        with pytest.raises(ControlError) as failure:
            await asyncio.wait_for(reader.read(), GONE_SECONDS)
        assert time.monotonic() - started < 2 * GONE_SECONDS
        assert str(failure.value)
    finally:
        relay.cut()
        await writer.close()
        await reader.close()
    assert values(await case.found()) == before
