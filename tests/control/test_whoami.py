"""Who acts is who the system says; what the environment claims stands beside it."""

from __future__ import annotations

import os
import pwd
import socket

import pytest

from control.journal.actor import actor, who

ME = f"{pwd.getpwuid(os.geteuid()).pw_name}@{socket.gethostname()}"


@pytest.mark.parametrize(
    ("environment", "beside"),
    [
        ({}, ""),
        ({"USER": ME.split("@")[0], "LOGNAME": ""}, ""),
        ({"SUDO_USER": "ada", "USER": ME.split("@")[0]}, " (SUDO_USER=ada)"),
        ({"USER": "mallory", "LOGNAME": "eve"}, " (LOGNAME=eve, USER=mallory)"),
        ({"SUDO_USER": "a\x1b[31m\nb"}, " (SUDO_USER=a␛[31m b)"),
    ],
)
def test_the_environment_only_claims(environment: dict[str, str], beside: str) -> None:
    assert actor(environment) == ME + beside


def test_an_account_without_a_name_is_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    assert actor({"USER": "root"}) == f"uid-54321@{socket.gethostname()} (USER=root)"


def test_in_a_list_a_claim_is_a_question() -> None:
    assert who("ada@desk") == "ada" and who("root@jump (SUDO_USER=ada, USER=bob)") == "root (ada?)"
