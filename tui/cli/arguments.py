"""The words of the command line, read into one typed value. Global options stand before or after the command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from control import typed
from control.errors import UsageError
from control.text import clean

LISTS = ("environments", "routes", "limits", "services")
_SET_EXAMPLES = {
    "shares": "NAME=VALUE: a=70 is a native weight, a=70%% a share",
    "limit": "rate=50/s, burst=100, inflight=64, amount=, window=",
    "state": "TARGET=active|draining|maintenance",
}


@dataclass(slots=True)
class Options:
    """Everything that may be said on the command line. `command` is `deck` where none was named."""

    command: str = "deck"
    output: str = "table"
    deck: str | None = None
    read_only: bool = False
    ascii: bool = False
    theme: str | None = None
    what: str = ""
    ref: str | None = None
    items: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    file: str | None = None
    change: str | None = None
    name: str | None = None
    head: str | None = None
    begin: str | None = None
    limit: int | None = None
    """0 for all."""
    before: str | None = None
    since: float | None = None
    """Seconds back from now."""
    reset: bool = False
    dry_run: bool = False
    apply: bool = False
    out: str | None = None
    add_to: str | None = None
    all: str | None = None
    reason: str = ""
    persist: bool = False
    on_failure: str | None = None
    override: list[str] = field(default_factory=list)
    leave_out: list[str] = field(default_factory=list)
    confirm: list[str] = field(default_factory=list)
    wait: str = "loaded"
    timeout: float | None = None
    require: str | None = None
    progress: str | None = None
    sample: float | None = None


class _Parser(argparse.ArgumentParser):
    """Tells a wrong word as a `UsageError`; the contract's exit code for it is 1."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(clean(message), hint=f"see: {self.prog} --help")


def _seconds(text: str) -> float:
    seconds = typed.seconds(text)
    if seconds is None:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds")
    if seconds >= 10**6:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds from 0")
    return float(seconds)


def _count(text: str) -> int:
    """How many; 0 for all."""
    if text == "all":
        return 0
    number = typed.whole(text)
    if not number:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1, nor 'all'")
    return number


def _duration(text: str) -> float:
    """Seconds of `90s`, `30m`, `1h`, `7d`; a bare number is seconds."""
    seconds = typed.seconds(text)
    if seconds is None or not 0 < seconds < 10**10:
        raise argparse.ArgumentTypeError(f"'{text}' is not a duration: 90s, 30m, 1h, 7d")
    return float(seconds)


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = common.add_argument_group("everywhere, before or after the command")
    group.add_argument("-o", "--output", choices=("table", "json", "yaml"), help="how the result is printed")
    group.add_argument("--deck", metavar="FILE", help="the deck file, or demo: for the demo fleet (TRAFFICDECK_DECK)")
    group.add_argument("--read-only", action="store_true", help="nothing can be written, whatever is asked")
    return common


def _writing(applies: bool = False) -> argparse.ArgumentParser:
    """What commands that may write share. `applies`: the command is the asking itself, and takes `--apply` as said."""
    writing = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    asked = "not needed here: this command applies" if applies else "do it; without this the plan is shown"
    writing.add_argument("--apply", action="store_true", help=asked)
    writing.add_argument("--reason", metavar="TEXT", help="why, for the journal; production asks for it")
    writing.add_argument("--on-failure", choices=("undo", "stop"), help="what a failed step does to those done")
    writing.add_argument("--override", action="append", metavar="GUARD", help="override a guard; needs a reason")
    writing.add_argument("--confirm", action="append", metavar="CODE", help="the code of a production environment")
    writing.add_argument("--wait", choices=("loaded", "observed"), help="how far apply waits (default: loaded)")
    writing.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="how long it waits for that")
    writing.add_argument("--require", choices=("loaded", "observed"), help="less proof than this is exit code 1")
    writing.add_argument("--progress", choices=("json", "gate"), help="a JSON line a stage on stderr; gate waits")
    return writing


def _saving() -> argparse.ArgumentParser:
    saving = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    saving.add_argument("--out", metavar="FILE", help="save the plan")
    saving.add_argument("--add-to", metavar="FILE", help="add to a saved plan")
    saving.add_argument(
        "--leave-out", action="append", metavar="ENVIRONMENT", help="plan without the edits of one that does not answer"
    )
    return saving


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar; also what completion is made from."""
    common, writing, saving = _common(), _writing(), _saving()
    parser = _Parser(
        prog="trafficdeck",
        parents=[common],
        description="Where inference traffic goes and how much of it is let through, on every platform.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    _version(parser)
    _look(parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)

    def add(name: str, text: str, *parents: argparse.ArgumentParser, under: Any = commands) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = under.add_parser(
            name,
            help=text,
            description=text,
            parents=[common, *parents],
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
        )
        return made

    demo = add("demo", "the deck on the in-memory demo fleet")
    demo.add_argument("--reset", action="store_true", help="forget what was done in the demo fleet, then end")
    _look(demo)
    _look(add("oncall", "the read-only on-call view; -o json prints it once"))
    get = add("get", "lists, or one route or limit")
    get.add_argument("what", choices=(*LISTS, "route", "limit"))
    get.add_argument("items", nargs="*", metavar="FILTER|REF", help="FILTER words for a list, REF for one")
    get.add_argument("-l", "--label", dest="labels", action="append", metavar="KEY=VALUE")
    get.add_argument("--sample", type=_seconds, metavar="SECONDS", help="count traffic for so long")
    setting = add("set", "shows what a change would do; --apply does it")
    sorts = setting.add_subparsers(dest="what", metavar="shares|limit|state", parser_class=_Parser, required=True)
    for name, text in _SET_EXAMPLES.items():
        one = add(name, text, writing, saving, under=sorts)
        one.add_argument("items", nargs="*", metavar="REF NAME=VALUE", help=text)
        one.add_argument("--all", metavar="FILTER", help="instead of REF: one plan over all that match")
        if name == "state":
            one.add_argument("--persist", action="store_true", help="a state that outlives a reload")
    plan = add("plan", "one plan from a file of edits", writing, saving)
    plan.add_argument("file", metavar="EDITS.yaml")
    apply = add("apply", "applies a saved plan", _writing(applies=True))
    apply.add_argument("file", metavar="FILE")
    undo = add("undo", "the plan that takes a change back; --apply does it", writing, saving)
    undo.add_argument("change", nargs="?", metavar="CHANGE", help="default: your own last one")
    history = add("history", "who changed what, why, and whether it worked; the newest first")
    history.add_argument("--limit", type=_count, metavar="N|all", help="so many changes (default: 200)")
    history.add_argument("--before", metavar="CHANGE", help="those that were begun before this one")
    history.add_argument("--since", type=_duration, metavar="DURATION", help="those of so long: 1h, 30m, 7d")
    journal = add("journal", "the journal itself")
    verify = add(
        "verify",
        "checks the chain of the journal",
        under=journal.add_subparsers(dest="what", metavar="verify", parser_class=_Parser, required=True),
    )
    verify.add_argument("--head", metavar="HASH", help="a head hash printed earlier: finds a cut-off tail")
    verify.add_argument("--from", dest="begin", metavar="N|HASH", help="begin with this entry, not with the first")
    resolve = add("resolve", "states the truth about interrupted changes and journals it")
    resolve.add_argument("change", nargs="?", metavar="CHANGE")
    init = add("init", "a deck file from kubeconfig contexts, ssh config hosts and AWS profiles; overwrites none")
    init.add_argument("--dry-run", action="store_true", help="show the file, write nothing")
    add("doctor", "checks reach, identity and rights of every environment")
    schema = add("schema", "prints the JSON Schema of a document")
    schema.add_argument("name", nargs="?", metavar="NAME")
    completion = add("completion", "prints a completion script")
    completion.add_argument("name", choices=("bash", "zsh", "fish"), metavar="bash|zsh|fish")
    return parser


def _version(parser: argparse.ArgumentParser) -> None:
    class Version(argparse.Action):
        def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
            from importlib.metadata import version

            parser.exit(0, f"trafficdeck {version('trafficdeck')}\n")

    parser.add_argument("--version", action=Version, nargs=0, help="print the version and end")


def _look(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ascii", action="store_true", help="draw with ASCII only")
    parser.add_argument("--theme", metavar="NAME", help="the theme of the deck")


def parse(words: Sequence[str]) -> Options:
    """Read the words. Raises `UsageError`; `SystemExit` with 0 after --help and --version."""
    namespace, rest = build_parser().parse_known_args(list(words))
    given = {name: value for name, value in vars(namespace).items() if value is not None}
    options = Options(**given)
    for word in rest:
        # argparse closes a list of words at the first option: REF --apply a=70% would lose a=70%.
        if word.startswith("-") or options.command not in ("get", "set"):
            raise UsageError(f"'{clean(word)}' is not understood", hint="see: trafficdeck --help")
        options.items.append(word)
    return options
