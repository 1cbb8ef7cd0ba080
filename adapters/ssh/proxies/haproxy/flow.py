"""The rules of HAProxy sections as steps, in the order in which HAProxy runs them for a request.

A frontend runs its connection, session, content and http-request rules and then picks a backend, which runs its own
content and http-request rules; a `listen` section runs them once. Lines of `redirect` run behind all http-request
rules, wherever they stand; the rules for answers come last. Rules of the defaults come before those of the section. The
requests of a counter that is tracked before the request is parsed are counted when it is (`COUNTED`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adapters.ssh.proxies.haproxy.lines import Line, Section
from adapters.ssh.proxies.haproxy.mask import shown
from adapters.ssh.proxies.haproxy.reach import led_to

CONNECTION, SESSION, CONTENT, COUNTED, REQUEST, REDIRECT, PICK = range(7)
BACKEND_CONTENT, BACKEND_REQUEST, BACKEND_REDIRECT, ANSWER = range(7, 11)
Position = tuple[int, int]
"""(phase, number in it): grows in the order in which rules run for one request."""
_PHASES = {"connection": CONNECTION, "session": SESSION, "content": CONTENT}
REFUSING = frozenset({"deny", "tarpit", "reject", "silent-drop", "return"})
PASSING = frozenset({"allow", "accept"})
"""End the rules of their own kind in their section, and let the request go on."""
ENDING = REFUSING | {"redirect", "auth", "use-service"}
"""Answer the request: nothing that stands behind runs."""
_PROXIES = ("frontend", "listen", "backend")


@dataclass(frozen=True, slots=True)
class Step:
    """One rule line as it runs for the requests of `section`. It stands in `owner`: the section or its defaults."""

    section: Section
    owner: Section
    line: Line
    at: Position
    start: int
    """Of the verb among the words."""

    @property
    def verb(self) -> str:
        return self.line.values[self.start]

    @property
    def condition(self) -> int | None:
        """The place of `if` or `unless` among the words; None where the rule has no condition."""
        values = self.line.values
        found = [at for at in range(self.start + 1, len(values)) if values[at] in ("if", "unless")]
        return found[-1] if found and found[-1] + 1 < len(values) else None

    @property
    def told(self) -> str:
        """The condition as it stands, or nothing."""
        at = self.condition
        return "" if at is None else " ".join(self.line.values[at:])

    @property
    def arguments(self) -> list[str]:
        """The words between the verb and the condition."""
        return self.line.values[self.start + 1 : self.condition]


class Flows:
    """The steps of every proxy of a configuration, and which proxies come before which."""

    def __init__(self, found: Sequence[Section], map_data: Callable[[str], bytes | None]) -> None:
        self.sections = found
        self._steps = {id(section): _steps(section) for section in found if section.keyword in _PROXIES}
        self._led: dict[str, list[Section]] = {}
        self._anywhere: list[Section] = []
        """Frontends that may lead to any backend: their rules name none that we could read."""
        for section in found:
            if section.keyword not in ("frontend", "listen"):
                continue
            for name in dict.fromkeys(name for name, _ in led_to(section, map_data)):
                self._led.setdefault(name, []).append(section)
            if any(line.values[0] == "use_backend" and "%[" in line.values[1] for line in section.lines):
                self._anywhere.append(section)

    @property
    def proxies(self) -> list[Section]:
        return [section for section in self.sections if id(section) in self._steps]

    def steps(self, section: Section) -> list[Step]:
        """The rules that run for the requests of a section, in order."""
        return self._steps.get(id(section), [])

    def before(self, section: Section) -> list[Section]:
        """The frontends whose requests come to a backend; all of them where none is known to."""
        if section.keyword != "backend":
            return []
        found = self._led.get(section.name, []) + self._anywhere
        return list({id(one): one for one in found}.values()) or [
            one for one in self.sections if one.keyword in ("frontend", "listen")
        ]

    def after(self, section: Section) -> list[Section]:
        """The backends to which the requests of a frontend may go."""
        return [one for one in self.sections if any(front is section for front in self.before(one))]


def _steps(section: Section) -> list[Step]:
    found: list[Step] = []
    for owner in reversed(section.chain()):
        for line in owner.lines:
            phase_and_start = _phase_and_start(section, line.values)
            if phase_and_start is not None and len(line.values) > phase_and_start[1]:
                phase, start = phase_and_start
                found.append(Step(section, owner, line, (phase, len(found)), start))
    return sorted(found, key=lambda step: step.at)


def _phase_and_start(section: Section, values: Sequence[str]) -> tuple[int, int] | None:
    """When a rule runs, and the word that holds its verb; None for other lines."""
    backend = section.keyword == "backend"
    if values[0] == "http-request":
        return (BACKEND_REQUEST if backend else REQUEST), 1
    if values[0] == "tcp-request" and len(values) > 1 and values[1] in _PHASES:
        phase = _PHASES[values[1]]
        return (BACKEND_CONTENT if backend and phase == CONTENT else phase), 2
    if values[0] in ("http-response", "http-after-response"):
        return ANSWER, 1
    if values[:2] == ["tcp-response", "content"]:
        return ANSWER, 2
    if values[0] == "redirect":
        return (BACKEND_REDIRECT if backend else REDIRECT), 0
    if values[0] == "use_backend" and not backend:
        return PICK, 0
    return None


def never_runs(step: Step, steps: Sequence[Step]) -> str:
    """Why a rule is never reached, or nothing: one without a condition stands before it and answers or lets pass."""
    mode = step.section.last("mode")
    if step.line.values[0] == "http-request" and mode is not None and mode.values[1:2] == ["tcp"]:
        return "http-request rules do not run in mode tcp"
    for former in steps:
        if former.at >= step.at or former.condition is not None or former.line.branches:
            continue
        if former.verb in ENDING or (former.at[0] == step.at[0] and former.verb in (*PASSING, "use_backend")):
            return f"never reached: '{shown(former.line)}' at {former.line.location} stands before it"
    return ""


def spared(step: Step, steps: Sequence[Step]) -> list[Step]:
    """The rules with a condition that take requests out before `step` sees them."""
    return [
        former
        for former in steps
        if former.at < step.at
        and former.condition is not None
        and (
            (former.verb in PASSING and former.at[0] == step.at[0])
            or (former.verb in ("return", "redirect", "use-service", "auth"))
            or (former.verb == "use_backend" and step.at[0] == PICK)
        )
    ]
