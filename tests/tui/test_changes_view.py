"""The Changes view reads the journal a page at a time, and says what it does not know."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from driver import ready, screen_text, until

from control.errors import JournalError
from control.journal.history import PAGE
from control.model.ref import Ref
from control.planning.edit import SharesEdit
from control.planning.plan import HistoryPage
from tests.bench.journals import fill
from tests.control.fake_adapter import FakeWriter
from tests.tui.memory_plane import MemoryPlane
from tui.deck_app import DeckApp

Make = Callable[..., tuple[DeckApp, MemoryPlane]]
CHAT = Ref("fn", "LambdaAlias", "inference", "chat-v2")


def read_pages(plane: MemoryPlane, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many changes each reading of the journal gave."""
    sizes: list[int] = []
    was = plane.changes

    def counting(*args: object, **kwargs: object) -> HistoryPage:
        page = was(*args, **kwargs)  # type: ignore[arg-type]
        sizes.append(len(page.items))
        return page

    monkeypatch.setattr(plane, "changes", counting)
    return sizes


async def test_older_changes_are_read_as_somebody_goes_to_them(make_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app, plane = make_app()
    fill(plane.journal.path, 3 * PAGE, until=time.time() - 7200)
    sizes = read_pages(plane, monkeypatch)
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await pilot.press("3")
        await until(pilot, app, "somebody")
        app.read_history()
        app.read_history()
        await pilot.pause(0.2)
        assert sizes == [PAGE] and len(app.store.changes) == PAGE + 1
        await pilot.press("G")
        await until(pilot, app, f"/{2 * PAGE + 1} ")
        assert sizes == [PAGE, PAGE]
        await pilot.press("1")
        plan = await plane.plan([SharesEdit(CHAT, (("chat-v2-v1", 40), ("chat-v2-v2", 60)))])
        armed = plane.with_writers(lambda config, _reader: FakeWriter(plane.readers[config.name]))
        assert (await armed.apply(plan)).change is not None
        await pilot.press("3")
        await until(pilot, app, f"/{PAGE + 1} ")


async def test_a_journal_that_does_not_tell_is_never_an_empty_one(
    make_app: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, plane = make_app()

    def broken() -> object:
        raise JournalError("the journal j.db is damaged: page 3")

    monkeypatch.setattr(plane, "changes_mark", broken)
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await pilot.press("3")
        text = await until(pilot, app, "changes are not known: the journal j.db is damaged")
        assert "no changes on record" not in text
        monkeypatch.undo()
        app.read_history()
        await pilot.pause(0.3)
        assert "not known" not in screen_text(app)


async def test_on_call_says_that_changes_are_not_known(make_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app, plane = make_app(mode="oncall")
    page = HistoryPage((), 0, 1, "entry 9: it is of a kind that is not known here, 'ramp'")
    monkeypatch.setattr(plane, "changes", lambda *_args, **_kwargs: page)
    async with app.run_test(size=(120, 35)) as pilot:
        await until(pilot, app, "changes are not known: not in full: entry 9")
