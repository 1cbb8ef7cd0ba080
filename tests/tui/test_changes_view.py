"""The Changes view reads the journal a page at a time, and says what it does not know."""

from __future__ import annotations

import time
from collections.abc import Callable

import fake_plane
import pytest
from driver import ready, screen_text, until

from control.errors import JournalError
from control.journal.history import PAGE
from control.planning.plan import HistoryItem, HistoryPage, ResultOutcome
from control.structs import replace
from tui.deck_app import DeckApp

Make = Callable[..., tuple[DeckApp, fake_plane.FakePlane]]


def changes(count: int) -> list[HistoryItem]:
    begin = time.time() - 7200
    return [
        HistoryItem(f"c{n}", begin - n * 60, f"op{n}@desk", "why", ResultOutcome.APPLIED, None, ())
        for n in range(count)
    ]


def read_pages(plane: fake_plane.FakePlane, monkeypatch: pytest.MonkeyPatch) -> list[int]:
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
    plane.shared["history"] = changes(3 * PAGE)
    sizes = read_pages(plane, monkeypatch)
    async with app.run_test(size=(120, 35)) as pilot:
        await ready(pilot, app)
        await pilot.press("3")
        await until(pilot, app, "op3 ")
        app.read_history()
        app.read_history()
        await pilot.pause(0.2)
        assert sizes == [PAGE] and len(app.store.changes) == PAGE + 1
        await pilot.press("G")
        await until(pilot, app, f"/{2 * PAGE + 1} ")
        assert sizes == [PAGE, PAGE]
        await pilot.press("1")
        plane.shared["history"] = [replace(changes(1)[0], change="new"), *changes(3 * PAGE)]
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
