"""Tests that share servers share a worker."""

from __future__ import annotations

import pytest

from tests.groups import group_of


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("tests/conformance/test_conformance.py", "bed"),
        ("tests/e2e/test_checks_shares.py", "bed"),
        ("tests/e2e/test_checks_crash.py", "second bed"),
        ("tests/e2e/test_checks_race.py", "second bed"),
        ("tests/bed/test_bed_fleet.py", "bed"),
        ("tests/adapters/kubernetes/test_real_cluster.py", "kube"),
        ("tests/adapters/serverless/test_lambda_live.py", "aws"),
        ("tests/adapters/ssh/test_writing.py", "tests/adapters/ssh/test_writing.py"),
        ("tests/control/test_apply.py", ""),
        ("tests/e2e/test_truth_demo.py", ""),
    ],
)
def test_a_file_goes_by_the_servers_that_it_asks_for(path: str, group: str) -> None:
    assert group_of(path) == group
