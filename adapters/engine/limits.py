"""A section of limits, compiled: an object to `Limit`s, and a change of one to where its member stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import msgspec

from adapters.engine.coded import CodedLimits
from adapters.engine.frame import Frame
from adapters.engine.kind import LimitSection, Period
from adapters.engine.locators import Path, parse, shown
from adapters.engine.naming import part_of, parts
from adapters.engine.numbers import from_text, text, whole
from adapters.engine.periods import Grammar, grammar
from adapters.engine.places import Rules, Seen, Value, holds
from adapters.engine.routes import EDITABLE, Common
from adapters.engine.structs import Shape
from control.model import (
    Action,
    Amount,
    Burst,
    Charge,
    Editable,
    Grid,
    Limit,
    Measure,
    Mode,
    OverLimit,
    Special,
    StoreFail,
    Window,
    WindowKind,
)
from control.text import clean

_ZERO = {"blocked": Special.BLOCKED, "unlimited": Special.UNLIMITED}
_AT_ONCE: dict[str, Callable[[int, Fraction], Fraction]] = {
    "amount": lambda burst, amount: amount,
    "burst": lambda burst, amount: Fraction(burst),
    "burst+1": lambda burst, amount: Fraction(burst + 1),
    "max(burst,1)": lambda burst, amount: Fraction(max(burst, 1)),
}


class LimitReader:
    """One `LimitSection`, compiled for objects of one shape. `crowded`: the object holds other rows too."""

    def __init__(self, word: LimitSection, frame: Frame, shape: Shape, crowded: bool) -> None:
        self.word = word
        self.frame = frame
        self.holds = holds(shape, word.when)
        self.rules = rules = Rules(shape, word.at)
        self._crowded = crowded
        self.amount_at = parse(word.amount).members
        self._code(rules, word)
        self._name = rules.value(word.name) if word.name else None
        self._distinct = rules.value(word.distinct) if word.distinct else None
        self._amount = rules.value(word.amount)
        self.grid = Grid(minimum=word.minimum, maximum=word.maximum, zero=word.zero == "zero")
        self.special = _ZERO.get(word.zero)
        self._charge = Charge(word.charge)
        self._specials = frozenset({self.special} if self.special else ())
        self._measure = Measure(word.measure)
        self._store_fail = StoreFail(word.store_fail)
        self._over = OverLimit(Action.REJECT, word.status)
        self.period, self._period_of, self._fixed = self._window(rules)
        self._window_kind = WindowKind(word.window.kind if word.window else "bucket")
        period = word.window.seconds if word.window else None
        self._period_at = parse(period.at).members if isinstance(period, Period) else ()
        self._burst_at = parse(word.burst.at).members if word.burst else ()
        self._burst_of = rules.value(word.burst.at) if word.burst else None
        named = {"amount": True, "window": self.period is not None, "burst": word.burst is not None}
        self.fields = frozenset(name for name, there in named.items() if there)

    def _code(self, rules: Rules, word: LimitSection) -> None:
        coded = word if isinstance(word, CodedLimits) else CodedLimits(
            measure=word.measure, amount=word.amount, zero=word.zero
        )  # fmt: skip
        self._may_be_negative = not coded.not_negative
        given = (coded.over_by, coded.notes_by, coded.remainder_by, coded.shared_by, coded.why_not_by, coded.opaque)
        made = [rules.called(one) if one is not None else None for one in given]
        self._over_by, self._notes, self._remainder, self._shared, self._why_not, self._opaque = made
        self._key = rules.called(coded.key_by) if coded.key_by is not None else _key(rules, word.key)
        around = self.amount_at if coded.opaque is not None else self.amount_at[:-1]
        self._section = rules.value(".".join(around))
        self._location = shown(around)

    def _window(self, rules: Rules) -> tuple[Grammar | None, Value | None, Window | None]:
        word = self.word.window
        if word is None:
            return None, None, None
        if isinstance(word.seconds, Period):
            return grammar(word.seconds), rules.value(word.seconds.at), None
        return None, None, Window(WindowKind(word.kind), Fraction(word.seconds))

    def seen(self, native: Any) -> list[Seen]:
        """The limits, each with its name and its part."""
        return self.rules.seen(native, self._name, self._parts)

    def _parts(self, names: Sequence[str]) -> list[str | None]:
        part = self.word.part
        if not self.rules.alone:
            return list(parts(names, self._prefix))
        if "=" in part:
            return [part]
        return [f"limit={part}" if part != "limit" else f"limit={self.amount_at[-1]}" if self._crowded else None]

    @property
    def _prefix(self) -> str:
        return "limit=" if self.word.part == "limit" else f"limit={self.word.part}."

    def unnamed(self, seen: Sequence[Seen]) -> list[object]:
        """What tells apart the limits that are called by their index."""
        if self.rules.alone:
            return []
        distinct, prefix = self._distinct, self._prefix
        return [
            distinct(around, rule) if distinct is not None else None
            for rule, around, name, part in seen
            if part != prefix + name
        ]

    def read(self, native: Any, seen: Sequence[Seen], common: Common) -> list[Limit]:
        """The limits of the section."""
        found = [
            self._limit(native, index, rule, around, part, common) for index, (rule, around, _, part) in enumerate(seen)
        ]
        return [limit for limit in found if limit is not None]

    def _limit(self, native: Any, index: int, rule: Any, around: Any, part: str | None, common: Common) -> Limit | None:
        whole_ref = common.ref
        told = whole_ref.name if part is None else f"{whole_ref.name} {part.partition('=')[2]}"
        bare: dict[str, Any] = {
            "ref": part_of(whole_ref, part),
            "platform": self.frame.platform,
            "name": clean(told),
            "measure": self._measure,
            "object": common.object,
            "base": common.base,
            "read_at": common.at,
            "match": self.word.match,
            "status": common.status,
            "charge": self._charge,
            "location": self._where(native, index),
            "editable": self._editable(around, rule),
        }
        if self._opaque is not None:
            said = self._opaque(around, rule)
            if said is None:
                return None
            measure, why = said
            return self._not_understood(bare | {"measure": Measure(measure)}, around, rule, why)
        return self._read(bare, around, rule)

    def _where(self, native: Any, index: int) -> str:
        if self.rules.alone:
            return self._location
        return shown(self.rules.paths(native)[index]) + (f".{self._location}" if self._location else "")

    def _editable(self, around: Any, rule: Any) -> Editable:
        why = self.word.read_only or (self._why_not(around, rule) if self._why_not else "")
        return Editable(False, clean(why)) if why else EDITABLE

    def _read(self, bare: dict[str, Any], around: Any, rule: Any) -> Limit | None:
        native = self._amount(around, rule)
        if native is None and self.word.absent == "none":
            return None
        amount, number = self.amount_of(native)
        seconds = self.period.parse(self._period_of(around, rule)) if self.period and self._period_of else None
        bare |= {
            "store_fail": self._store_fail if self._shared is None or self._shared(around, rule) else StoreFail.NONE,
            "key": self._key(around, rule) if self._key else (),
            "over": self._over_by(around, rule, number or 0, seconds) if self._over_by else self._over,
            "notes": self._notes(around, rule) if self._notes else (),
            "remainder": self._remainder(around, rule) if self._remainder else (),
        }
        burst, native_burst = self._bursts(around, rule, amount)
        for member, held, understood in (
            (self.amount_at, native, amount is not None),
            (self._period_at, None if self._period_of is None else self._period_of(around, rule), self._knows(seconds)),
            (self._burst_at, native_burst, burst is not None or native_burst is None),
        ):
            if not understood:
                why = f"its {member[-1]} {text(held)} is not understood"
                return self._not_understood(bare, around, rule, why)
        window = self._fixed if self.period is None else Window(self._window_kind, seconds)
        return Limit(
            amount=amount, window=window, burst=burst, fields=self.fields, amounts=self.grid, specials=self._specials,
            windows=self.period.windows if self.period else None, **bare,
        )  # fmt: skip

    def _knows(self, seconds: Fraction | None) -> bool:
        return self.period is None or seconds is not None

    def amount_of(self, native: object) -> tuple[Amount | None, int | None]:
        """(amount, number) of what stands for an amount; amount None where that is not understood."""
        if native is None:
            if self.word.absent == "unlimited":
                return Special.UNLIMITED, None
            assert isinstance(self.word.absent, int)
            native = str(self.word.absent) if self.word.text else self.word.absent
        number = from_text(native) if self.word.text else whole(native)
        if number is None or number > self.word.maximum or (number < 0 and not self._may_be_negative):
            return None, number
        if number > 0 or (number == 0 and self.word.zero == "zero"):
            return Fraction(number), number
        if self.word.zero == "default":
            return (None, number) if native == self.word.absent else self.amount_of(None)
        return self.special, number

    def _bursts(self, around: Any, rule: Any, amount: Amount | None) -> tuple[Burst | None, object]:
        """(burst, what stands there)."""
        word = self.word.burst
        if word is None or self._burst_of is None:
            return None, None
        native = self._burst_of(around, rule)
        number = whole(native) if native is not None else word.absent
        if number is None:
            return None, native
        at_once = _AT_ONCE[word.at_once](number, amount if isinstance(amount, Fraction) else Fraction(0))
        return Burst(None if native is None else number, at_once), native

    def _not_understood(self, bare: dict[str, Any], around: Any, rule: Any, why: str) -> Limit:
        """The limit as its native text: it is in force, and nobody here knows what it lets through."""
        native = self.frame.told(msgspec.to_builtins(self._section(around, rule)))
        editable = bare["editable"] if not bare["editable"].yes else Editable(False, clean(why))
        return Limit(amount=None, mode=Mode.NOT_UNDERSTOOD, native=native, fields=frozenset(),
                     **(bare | {"editable": editable}))  # fmt: skip

    def path(self, native: Any, index: int, field: str) -> Path:
        """Where the member stands that holds `amount`, `window` or `burst` of one limit."""
        members = {"amount": self.amount_at, "window": self._period_at, "burst": self._burst_at}[field]
        return (*self.rules.paths(native)[index], *members)


def _key(rules: Rules, word: str) -> Callable[..., tuple[str, ...]] | None:
    """What gets a bucket of its own: words, or what stands at `@LOCATOR`."""
    if not word.startswith("@"):
        constant = (word,)
        return (lambda around, rule: constant) if word else None
    value = rules.value(word[1:])

    def key(around: Any, rule: Any) -> tuple[str, ...]:
        held = value(around, rule)
        texts = held if isinstance(held, list) else [] if held is None else [held]
        return tuple(clean(one if isinstance(one, str) else text(one)) for one in texts)

    return key
