from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.errors import ControlError, InvalidValue, UsageError
from control.model import Special, TargetState, Window, WindowKind
from control.model.ref import Ref
from control.planning.edit import LimitEdit, Share, SharesEdit, StateEdit
from control.planning.edit_file import parse_edits
from control.planning.expressions import (
    format_amount,
    parse_limit,
    parse_shares,
    parse_states,
    parse_weight,
)
from control.typed import decimal

REF = Ref("east", "HTTPRoute", "inference", "llama", "rule=0")


@pytest.mark.parametrize(("text", "amount", "seconds"), [
    ("50/s", 50, 1), ("3000/min", 3000, 60), ("10/h", 10, 3600), ("50", 50, None), ("0.5/s", Fraction(1, 2), 1),
    ("100/10s", 100, 10), ("5/Minute", 5, 60), ("7/d", 7, 86400),
])  # fmt: skip
def test_rates(text: str, amount: int | Fraction, seconds: int | None) -> None:
    edit = parse_limit(REF, [f"rate={text}"])
    assert (edit.amount, edit.window_seconds) == (amount, None if seconds is None else Fraction(seconds))


@pytest.mark.parametrize("text", [
    "0", "0/s", "-1", "abc", "10/fortnight", "", "50/", "/", "1e9", "nan", "5/0s", "٣/s", "1/3", "/0", "-100%", "50//s",
])  # fmt: skip
def test_rates_that_are_none(text: str) -> None:
    with pytest.raises((InvalidValue, UsageError)) as caught:
        parse_limit(REF, [f"rate={text}"])
    assert caught.value.hint


def test_the_message_of_an_unknown_unit_says_what_may_be_written() -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_limit(REF, ["rate=10/fortnight"])
    assert "fortnight" in caught.value.message
    assert "3000/min" in (caught.value.hint or "")


def test_specials() -> None:
    assert parse_limit(REF, ["rate=unlimited"]).amount is Special.UNLIMITED
    assert parse_limit(REF, ["amount=blocked"]).amount is Special.BLOCKED


def test_limit_items() -> None:
    assert parse_limit(REF, ["rate=50/s", "burst=100"]) == LimitEdit(
        REF, Fraction(50), Fraction(1), 100, None, "rate")  # fmt: skip
    assert parse_limit(REF, ["inflight=64"]) == LimitEdit(REF, Fraction(64), written_as="inflight")
    assert parse_limit(REF, ["amount=5", "window=1m"]) == LimitEdit(REF, Fraction(5), Fraction(60))
    assert parse_limit(REF, ["rate=/2"]) == LimitEdit(REF, factor=Fraction(1, 2), written_as="rate")


@pytest.mark.parametrize("items", [
    ["speed=5"], ["rate"], [], ["rate=5/s", "amount=5"], ["rate=5/s", "window=1m"], ["rate=5/s", "rate=6/s"],
    ["burst=1.5"], ["burst=-1"], ["window=0"], ["window=ever"], ["inflight=5/s"],
])  # fmt: skip
def test_limit_items_that_make_no_sense(items: list[str]) -> None:
    with pytest.raises((InvalidValue, UsageError)):
        parse_limit(REF, items)


@pytest.mark.parametrize(("text", "value"), [
    ("80", 80), ("0", 0), ("70%", Share(Fraction(7, 10))), ("0.5%", Share(Fraction(1, 200))), ("0.3", Fraction(3, 10)),
])  # fmt: skip
def test_weights(text: str, value: object) -> None:
    assert parse_weight(text) == value


@pytest.mark.parametrize("text", ["-5", "abc", "101%", "%", "", "1/3", "true"])
def test_weights_that_are_none(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_weight(text)


def test_names_may_hold_an_equals_sign() -> None:
    assert parse_shares(REF, ["a=b=70%"]).shares == (("a=b", Share(Fraction(7, 10))),)


def test_states() -> None:
    assert parse_states(REF, ["b1=Draining"]).states == (("b1", TargetState.DRAINING),)
    with pytest.raises(InvalidValue, match="asleep"):
        parse_states(REF, ["b1=asleep"])


@given(st.text(max_size=20))
def test_nothing_that_is_typed_crashes(text: str) -> None:
    for parse in (parse_limit, parse_shares, parse_states):
        for item in (text, f"rate={text}", f"burst={text}", f"window={text}", f"a={text}"):
            try:
                parse(REF, [item])
            except ControlError as error:
                assert "\x1b" not in str(error)


@given(st.fractions(min_value=0, max_value=10**9, max_denominator=10**6))
def test_numbers_written_for_people_are_exact_where_they_end(value: Fraction) -> None:
    assert Fraction(decimal(value)) == value


@pytest.mark.parametrize(("amount", "seconds", "text"), [
    (50, 1, "50/s"), (3000, 60, "3000/min"), (10, 3600, "10/h"), (100, 10, "100/10s"), (64, None, "64"),
])  # fmt: skip
def test_amounts_for_people(amount: int, seconds: int | None, text: str) -> None:
    window = None if seconds is None else Window(WindowKind.BUCKET, Fraction(seconds))
    assert format_amount(Fraction(amount), window) == text


def test_special_and_calendar_amounts_for_people() -> None:
    assert format_amount(Special.UNLIMITED, None) == "unlimited"
    assert format_amount(Fraction(9), Window(WindowKind.CALENDAR, None, "month")) == "9/month"


# --- EDITS.yaml -------------------------------------------------------------------------------------------------------

EDITS = f"""
- ref: {REF}
  shares: {{v1: 70%, v2: 30%}}
- ref: lb/NginxLimitReq/*/api
  limit: {{rate: 50/s, burst: 100}}
- ref: lb/HAProxyBackend/*/llama
  state: {{b1: draining}}
  persist: true
"""


def test_edits_of_a_file() -> None:
    shares, limit, state = parse_edits(EDITS, "edits.yaml")
    assert isinstance(shares, SharesEdit)
    assert shares.ref == REF
    assert isinstance(limit, LimitEdit)
    assert limit.burst == 100
    assert isinstance(state, StateEdit)
    assert state.persist


@pytest.mark.parametrize(("text", "said"), [
    ("", "no list"), ("- {}", "no ref"), ("- {ref: x, shares: {a: 1}}", "not a reference"), ("a: [", "not YAML"),
    (f'- {{ref: "{REF}"}}', "exactly one"), (f'- {{ref: "{REF}", shares: [1]}}', "NAME: VALUE"),
    (f'- {{ref: "{REF}", shares: {{a: 1}}, extra: 1}}', "extra"),
    (f'- {{ref: "{REF}", shares: {{a: yes}}}}', "'yes' is not a weight"),
    (f'- {{ref: "{REF}", limit: {{rate: 10/fortnight}}}}', "fortnight"),
    (f'- {{ref: "{REF}", state: {{a: active}}, persist: 3}}', "persist"),
])  # fmt: skip
def test_edits_that_are_wrong(text: str, said: str) -> None:
    with pytest.raises(ControlError) as caught:
        parse_edits(text, "edits.yaml")
    assert said in caught.value.message
    assert "edits.yaml" in caught.value.message


@pytest.mark.parametrize("name", ["NO", "1.10", "007", "12:30", "0o17"])
def test_names_in_a_file_of_edits_keep_their_text(name: str) -> None:
    (edit,) = parse_edits(f'- {{ref: "{REF}", shares: {{{name}: 70, b: 010}}}}', "edits.yaml")
    assert isinstance(edit, SharesEdit) and dict(edit.shares) == {name: 70, "b": 10}


def test_what_stands_twice_in_a_file_of_edits_is_named_with_its_line() -> None:
    with pytest.raises(UsageError, match=r"edits.yaml:3: 'a' is there twice"):
        parse_edits(f'- ref: "{REF}"\n  shares: {{a: 1,\n    a: 2}}', "edits.yaml")


def test_a_number_that_yaml_would_make_another_is_refused() -> None:
    with pytest.raises(ControlError, match="12:30"):
        parse_edits(f'- {{ref: "{REF}", limit: {{rate: 12:30}}}}', "edits.yaml")
