"""The start-up code: the only place that touches the adapters. Puts deck file, readers and writers together.

`trafficdeck` alone, `demo` and `oncall` open the deck; everything else is the command line. In read-only mode, and for
commands that only look, nothing that could write is constructed.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from control.deck.config import DeckConfig
    from control.deck.sections import DeckSection
    from control.plane import ControlPlane, WriterFactory
    from control.ports import Reader, Secrets
    from tui.cli.arguments import Options
    from tui.session import Session

DEMO = "demo:"


def main() -> None:
    """The console script."""
    gc.disable()  # the start makes nothing but what stays, and looking through it again and again costs a tenth of it
    _hold_streams()
    sys.exit(run(sys.argv[1:]))


def _hold_streams() -> None:
    """Put something that takes nothing where a stream was closed before we began: a file of ours that got its number
    would be written to by whoever prints."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDONLY)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for good


def run(words: list[str]) -> int:
    """Run a command line; returns the exit code."""
    from control.errors import ControlError
    from tui.cli.arguments import parse
    from tui.cli.emit import fail

    try:
        options = parse(words)
        if options.command in ("deck", "demo", "oncall") and options.output == "table":
            return _screen(options)
        if options.command in ("deck", "demo"):
            options.command = "oncall"
    except ControlError as error:
        return fail(error, _wanted_output(words))
    if options.command == "init":
        return _init(options)
    from tui.cli.main import run as run_command

    return run_command(options, _open_plane, _sections)


def _init(options: Options) -> int:
    """A first deck file from what the user already has."""
    from adapters import registry
    from control.errors import ControlError, UsageError
    from tui.cli.emit import fail
    from tui.cli.init import init

    named = options.deck or os.environ.get("TRAFFICDECK_DECK")
    try:
        if named == DEMO:
            raise UsageError("the demo fleet has no deck file to write", hint="name one with --deck FILE")
        path = Path(named).expanduser() if named else _usual_path()
        return init(registry.find(Path.home()), path, options.output, options.dry_run, options.read_only)
    except ControlError as error:
        return fail(error, options.output)
    except (KeyboardInterrupt, EOFError):
        return 130


def _usual_path() -> Path:
    import platformdirs

    return platformdirs.user_config_path("trafficdeck", appauthor=False) / "deck.yaml"


def _wanted_output(words: list[str]) -> str:
    """How an error is told where the words themselves could not be read."""
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        name, _, value = word.partition("=")
        if name in ("-o", "--output") and (value or following) in ("json", "yaml"):
            return value or following
    return "table"


# --- the screen -------------------------------------------------------------------------------------------------------


def _screen(options: Options) -> int:
    if options.command == "demo":
        options.deck = DEMO
        if options.reset:
            return _reset()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _without_terminal(options)
    _check_terminal()
    _deck_path(options)
    from tui import app

    async def make_session() -> Session:
        return await asyncio.to_thread(_session, options)

    return app.run(
        make_session,
        mode="oncall" if options.command == "oncall" else "deck",
        read_only=options.read_only or options.command == "oncall",
        ascii=options.ascii,
        theme=options.theme,
    )


def _check_terminal() -> None:
    """Raises `UsageError` for a terminal that moves no cursor: the screen would be a stream of escape sequences."""
    from control.errors import UsageError

    name = os.environ.get("TERM", "")
    if name in ("dumb", "unknown"):
        raise UsageError(
            f"the deck cannot be drawn on this terminal: TERM={name} says that it moves no cursor",
            hint="set TERM to what the terminal is (as xterm-256color), or use the commands: trafficdeck get routes, "
            "trafficdeck oncall | cat",
        )


def _without_terminal(options: Options) -> int:
    """The deck needs a terminal; a pipe gets the on-call view as text."""
    from tui.cli.emit import say
    from tui.cli.main import run as run_command

    say("this is no terminal: here is the on-call view as text; the deck opens in a terminal")
    options.command = "oncall"
    return run_command(options, _open_plane, _sections)


def _reset() -> int:
    from adapters import registry
    from control.folders import state_folder

    registry.reset_demo(state_folder())
    sys.stdout.write("the demo fleet starts anew\n")
    return 0


def _session(options: Options) -> Session:
    """Everything the screen works with. Runs in a thread, after the first frame."""
    import platformdirs

    from control.folders import state_folder
    from control.journal.actor import actor
    from control.plane import ControlPlane
    from tui.arm import SessionArm
    from tui.session import Session

    deck, readers, writers = _compose(options, writing=options.command != "oncall")
    plane = ControlPlane(deck, readers, None, actor(os.environ))
    folder = state_folder() / "demo" if deck.path is None else state_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Session(
        reader_plane=plane,
        deck=deck,
        state_folder=folder,
        config_folder=platformdirs.user_config_path("trafficdeck", appauthor=False),
        arm=None if writers is None else SessionArm(plane, readers, writers),
        demo_verbs=_demo_verbs() if deck.path is None else None,
    )


def _demo_verbs() -> dict[str, Callable[[str], Awaitable[str]]]:
    """`:incident NAME` lets trouble loose in the demo fleet, `:calm NAME` ends it."""
    from adapters import registry
    from control.folders import state_folder

    def verb(begins: bool) -> Callable[[str], Awaitable[str]]:
        async def change(name: str) -> str:
            going_on = await asyncio.to_thread(registry.demo_incident, state_folder(), name.strip(), begins)
            return f"going on: {', '.join(sorted(going_on)) or 'nothing'}"

        return change

    return {"incident": verb(True), "calm": verb(False)}


# --- putting things together ------------------------------------------------------------------------------------------


def _deck_path(options: Options) -> Path | None:
    """The deck file that was named, or the user's own; None for the demo fleet. Raises `DeckError`."""
    named = options.deck or os.environ.get("TRAFFICDECK_DECK")
    if named == DEMO:
        return None
    if named:
        return Path(named).expanduser()
    path = _usual_path()
    if not path.exists():
        from control.errors import DeckError

        raise DeckError(
            f"there is no deck file: neither --deck FILE nor TRAFFICDECK_DECK is given, and {path} is not there",
            hint="make one from what you have: trafficdeck init; look around without one: trafficdeck demo",
        )
    return path


def _compose(options: Options, writing: bool) -> tuple[DeckConfig, dict[str, Reader], WriterFactory | None]:
    """Deck, readers and, only where something may write, the way to make writers."""
    from adapters import registry
    from control.deck.reading import read_deck
    from control.folders import state_folder
    from tui.arm import only_in

    path = _deck_path(options)
    may_write = writing and not options.read_only
    if path is None:
        deck, readers, make = registry.demo(state_folder())
        return deck, readers, make if may_write else None
    secrets = _secrets()
    deck = read_deck(path, registry.sections())
    opened = {environment.name: registry.open_reader(environment, secrets) for environment in deck.environments}
    return deck, opened, only_in(None, registry.writer_factory(secrets)) if may_write else None


def _sections() -> tuple[DeckSection, ...]:
    from adapters import registry

    return registry.sections()


def _open_plane(options: Options) -> ControlPlane:
    from control.journal.actor import actor
    from control.plane import ControlPlane
    from tui.cli.main import writes

    deck, readers, writers = _compose(options, writing=writes(options))
    return ControlPlane(deck, readers, writers, actor(os.environ))


def _secrets() -> Secrets:
    """The keyring first; where it has nothing, one question, and only where somebody can answer it."""
    from control.own_secrets import keep
    from control.ports import Secrets

    def ask(what: str, key: str) -> str | None:
        secret = answer(what, key)
        keep(secret)
        return secret

    def answer(what: str, key: str) -> str | None:
        try:
            import keyring

            secret = keyring.get_password("trafficdeck", key)
        except Exception:  # every backend has errors of its own; without a keyring the question is asked
            secret = None
        if secret is not None or not sys.stdin.isatty() or _screen_is_up():
            return secret
        import getpass

        return getpass.getpass(f"{what}: ") or None

    return Secrets(ask)


def _screen_is_up() -> bool:
    return "tui.deck_app" in sys.modules


if __name__ == "__main__":
    main()
