"""Runs one command: opens what it needs, tells what was interrupted, turns errors into words and exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from control.errors import ControlError
from tui.cli.arguments import Options
from tui.cli.emit import fail, say, tell_interrupted, tell_kept, tell_not_understood

if TYPE_CHECKING:
    from control.deck.sections import DeckSection
    from control.journal.log import Kept
    from control.plane import ControlPlane

INTERRUPTED = 130
COMMANDS: Mapping[str, tuple[str, str]] = {
    "get": ("tui.cli.looking", "get"),
    "oncall": ("tui.cli.oncall", "oncall"),
    "history": ("tui.cli.records", "history"),
    "journal": ("tui.cli.records", "verify"),
    "resolve": ("tui.cli.records", "resolve"),
    "doctor": ("tui.cli.records", "doctor"),
    "set": ("tui.cli.changing", "set_"),
    "plan": ("tui.cli.changing", "plan"),
    "apply": ("tui.cli.changing", "apply"),
    "undo": ("tui.cli.changing", "undo"),
}
"""Command -> the module and the function that does it: a command imports nothing that only others need."""
TELL_THEMSELVES = frozenset({"resolve", "history", "journal", "doctor"})
"""The commands that are about the journal: they say themselves what it does not tell."""
WRITING = frozenset({"set", "plan", "apply", "undo"})
"""The commands that get a plane with writers, and only with `--apply` (or `apply` itself)."""


def _command(name: str) -> Callable[[ControlPlane, Options], Awaitable[int]]:
    module, function = COMMANDS[name]
    command: Callable[[ControlPlane, Options], Awaitable[int]] = getattr(importlib.import_module(module), function)
    return command


def writes(options: Options) -> bool:
    """Whether this command line asks for a write. Nothing else is ever given a way to make a writer."""
    return not options.read_only and (options.command == "apply" or (options.command in WRITING and options.apply))


def run(
    options: Options, open_plane: Callable[[Options], ControlPlane], sections: Callable[[], Sequence[DeckSection]]
) -> int:
    """Run a command to its end; returns the exit code."""
    try:
        if options.command == "schema":
            from tui.cli.records import schema

            return schema(options, sections())
        if options.command == "completion":
            from tui.cli.completion import script

            sys.stdout.write(script(options.name or "bash"))
            return 0
        return asyncio.run(_run(options, open_plane))
    except ControlError as error:
        return fail(error, options.output)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return 0  # who reads has seen enough
    except OSError as error:
        say(f"the result could not be printed: {error.strerror or error}")
        return 1


async def _run(options: Options, open_plane: Callable[[Options], ControlPlane]) -> int:
    plane = open_plane(options)
    try:
        await _say_kept(plane, options)
        if options.command not in TELL_THEMSELVES:
            await _say_interrupted(plane)
        command = _command(options.command)
        if options.command != "get":  # which reads once, prints and ends: its rows are no garbage
            gc.enable()
        return await command(plane, options)
    finally:
        await plane.close()


async def _say_kept(plane: ControlPlane, options: Options) -> None:
    """Give the journal what it could not take before; where it still cannot, or may not be written, say so."""
    taken: list[Kept] = []
    with contextlib.suppress(ControlError):
        if not options.read_only and options.command != "oncall":
            taken = await asyncio.to_thread(plane.take_in)
    tell_kept(await asyncio.to_thread(plane.kept), taken)


async def _say_interrupted(plane: ControlPlane) -> None:
    try:
        page = await asyncio.to_thread(plane.interrupted_page)
    except ControlError as error:
        say(f"changes are not known: {error.message}" + (f"\n  {error.hint}" if error.hint else ""))
        return
    tell_interrupted(list(page.items))
    tell_not_understood(page)
