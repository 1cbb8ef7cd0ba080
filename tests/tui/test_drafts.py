"""Draft files: what is staged comes back as it was, also from an earlier version, and a broken file stages nothing."""

from __future__ import annotations

import json
import stat
from fractions import Fraction
from pathlib import Path

import pytest

from control.model import Special, TargetState
from control.model.ref import Ref
from control.planning.edit import LimitEdit, Share
from tui.staging import RouteDraft, Staging, load_draft, save_draft

ROUTE = Ref("east", "HTTPRoute", "inference", "a b/c", "rule=0")
LIMITS = [Ref("east", "Middleware", "inference", name) for name in ("rate", "open", "half")]
EARLIER = """{
 "routes": {"east/HTTPRoute/inference/a%20b%2Fc#rule=0": {
  "after": {"v1": "9/10", "v2": "1/10"},
  "weights": {"v1": "90", "v2": "10%", "v3": "3/10"}, "states": {"v2": "draining"}
 }},
 "limits": [
  {"ref": "east/Middleware/inference/rate", "amount": "50", "window_seconds": "1/2", "burst": 7, "factor": null},
  {"ref": "east/Middleware/inference/open", "amount": "unlimited",
   "window_seconds": null, "burst": null, "factor": null},
  {"ref": "east/Middleware/inference/half", "amount": null, "window_seconds": null, "burst": null, "factor": "1/2"}
 ]
}"""


def staged() -> Staging:
    staging = Staging()
    shares = {"v1": Fraction(9, 10), "v2": Fraction(1, 10)}
    weights = {"v1": 90, "v2": Share(Fraction(1, 10)), "v3": Fraction(3, 10)}
    staging.routes[ROUTE] = RouteDraft(shares, weights, {"v2": TargetState.DRAINING})
    rate, opened, half = LIMITS
    staging.limits[rate] = LimitEdit(rate, Fraction(50), Fraction(1, 2), 7)
    staging.limits[opened] = LimitEdit(opened, Special.UNLIMITED)
    staging.limits[half] = LimitEdit(half, factor=Fraction(1, 2))
    return staging


def test_what_is_staged_comes_back(tmp_path: Path) -> None:
    path, again = tmp_path / "draft.json", Staging()
    save_draft(path, staged())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_draft(path, again) == 4
    assert (again.routes, again.limits) == (staged().routes, staged().limits)
    assert type(again.routes[ROUTE].weights["v1"]) is int
    save_draft(path, Staging())
    assert not path.exists()


def test_a_draft_of_an_earlier_version_is_read_and_written_the_same(tmp_path: Path) -> None:
    path, again = tmp_path / "draft.json", Staging()
    path.write_text(EARLIER)
    assert load_draft(path, again) == 4
    assert again.edits() == staged().edits()
    save_draft(path, again)
    assert json.loads(path.read_text()) == json.loads(EARLIER)


@pytest.mark.parametrize("wrong", [
    "", "[]", "{", EARLIER[:-3], EARLIER.replace('"50"', '"1/0"'), EARLIER.replace('"50"', "1.5"),
    EARLIER.replace('"10%"', '"ten"'), EARLIER.replace("draining", "asleep"), EARLIER.replace("/rate", ""),
])  # fmt: skip
def test_a_broken_draft_stages_nothing(tmp_path: Path, wrong: str) -> None:
    path, staging = tmp_path / "draft.json", Staging()
    path.write_text(wrong)
    assert load_draft(path, staging) == 0 and not len(staging)
    assert path.read_text() == wrong
