"""What people type for amounts, weights and states, and how amounts are written back for them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from control.edit import Edit, LimitEdit, Share, SharesEdit, StateEdit
from control.model import Amount, Limit, Weight, Window
from control.ref import Ref


def parse_weight(text: str) -> Weight | Share:
    """`80` or `0.3` is a native weight, `70%` a share."""
    raise NotImplementedError


def parse_shares(ref: Ref, items: Sequence[str]) -> SharesEdit:
    """`NAME=VALUE` items of `set shares`."""
    raise NotImplementedError


def parse_states(ref: Ref, items: Sequence[str], persist: bool = False) -> StateEdit:
    """`TARGET=active|draining|maintenance` items of `set state`."""
    raise NotImplementedError


def parse_limit(ref: Ref, items: Sequence[str]) -> LimitEdit:
    """`rate=50/s`, `inflight=64`, `amount=`, `window=`, `burst=` items of `set limit`."""
    raise NotImplementedError


def limit_expression(limit: Limit, text: str) -> LimitEdit:
    """What is typed into one field on the screen: `50/s`, `50`, `/2`, `*1.5`, `+10`, `-10%`, `unlimited`."""
    raise NotImplementedError


def parse_edits(text: str, source: str) -> list[Edit]:
    """The EDITS.yaml of `trafficdeck plan`: a list of `{ref, shares|limit|state: …}`."""
    raise NotImplementedError


def format_number(value: Fraction) -> str:
    """Exact and short for people: `50`, `0.3`, `1/3`."""
    raise NotImplementedError


def format_amount(amount: Amount, window: Window | None) -> str:
    """An amount for people: `50/s`, `3000/min`, `10/h`, `64`, `unlimited`."""
    raise NotImplementedError
