"""known_hosts files, read whole: patterns, ports, hashes, markers, damaged lines."""

from __future__ import annotations

import base64
import hashlib
import hmac
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ssh import known_hosts
from control.errors import AuthError

KEY = b"\x00\x00\x00\x0bssh-ed25519" + bytes(range(36))
OTHER = b"\x00\x00\x00\x0bssh-ed25519" + bytes(range(1, 37))
TEXT = base64.b64encode(KEY).decode()
names = st.text(string.ascii_lowercase + string.digits + ".-", min_size=1, max_size=20)
keys = st.binary(min_size=1, max_size=64)


def hashed(name: str, salt: bytes = b"0123456789abcdefghij") -> str:
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("field", "name", "matches"),
    [
        ("lb-1", "lb-1", True),
        ("LB-1", "lb-1", True),
        ("lb-1,10.0.0.1", "10.0.0.1", True),
        ("lb-?", "lb-7", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com,!secret.example.com", "secret.example.com", False),
        ("[lb-1]:2222", "[lb-1]:2222", True),
        ("[lb-1]:2222", "lb-1", False),
        ("lb-1", "[lb-1]:2222", False),
        ("[*]:2222", "[lb-9]:2222", True),
        ("lb", "lb-1", False),
        ("!lb-1", "lb-1", False),
        (hashed("lb-1"), "lb-1", True),
        (hashed("lb-1"), "lb-2", False),
        ("|1|damaged", "lb-1", False),
        ("|1|###|###", "lb-1", False),
    ],
)
def test_patterns(field: str, name: str, matches: bool) -> None:
    assert known_hosts.matches(field, name) is matches


@given(names, keys, st.lists(st.text(max_size=40), max_size=6))
def test_a_good_line_counts_whatever_stands_around_it(name: str, key: bytes, junk: list[str]) -> None:
    good = f"{name} ssh-ed25519 {base64.b64encode(key).decode()} comment"
    lines = [*junk, "@cert-authority", "@revoked * ssh-rsa", good, "@unknown x y z"]
    found = known_hosts.parse("\n".join(lines), "file")
    assert any(one.key == key and known_hosts.matches(one.names, name) for one in found)


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    for one in known_hosts.parse(text, "file"):
        known_hosts.matches(one.names, "host")


@given(names, names)
def test_a_hashed_name_stands_for_itself_alone(name: str, other: str) -> None:
    assert known_hosts.matches(hashed(name), name)
    assert known_hosts.matches(hashed(name), other) is (name == other)


@given(names)
def test_a_plain_name_matches_itself_and_is_no_pattern(name: str) -> None:
    assert known_hosts.matches(name, name)
    assert not known_hosts.matches(name, name + "x")


def _check(text: str, name: str = "lb-1", key: bytes = KEY) -> None:
    known_hosts.check(known_hosts.parse(text, "known_hosts"), name, "lb-1", "ssh-ed25519", key)


def test_a_known_key_is_accepted() -> None:
    _check(f"lb-1 ssh-ed25519 {TEXT}\n")
    _check(f"[lb-1]:2222 ssh-ed25519 {TEXT}\n", "[lb-1]:2222")
    _check(f"lb-1 ssh-ed25519 {TEXT}\n", "[lb-1]:2222")


def test_an_unknown_host_is_refused_with_its_fingerprint_and_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRAFFICDECK_STATE_DIR", str(tmp_path))
    with pytest.raises(AuthError) as refused:
        _check(f"lb-2 ssh-ed25519 {TEXT}\n")
    assert known_hosts.fingerprint(KEY) in refused.value.message
    assert refused.value.hint is not None
    assert f"lb-1 ssh-ed25519 {TEXT}" in refused.value.hint
    assert str(tmp_path / "ssh_known_hosts") in refused.value.hint


def test_a_changed_key_is_blocked_and_both_are_shown() -> None:
    with pytest.raises(AuthError) as refused:
        _check(f"lb-1 ssh-ed25519 {TEXT}\n", key=OTHER)
    assert known_hosts.fingerprint(KEY) in refused.value.message
    assert known_hosts.fingerprint(OTHER) in refused.value.message
    assert "known_hosts:1" in refused.value.message


def test_a_key_of_another_type_does_not_make_a_host_known() -> None:
    with pytest.raises(AuthError, match="CHANGED"):
        _check(f"lb-1 ecdsa-sha2-nistp256 {TEXT}\n", key=OTHER)


def test_a_revoked_key_is_a_hard_stop_even_where_it_is_known() -> None:
    with pytest.raises(AuthError, match="REVOKED"):
        _check(f"lb-1 ssh-ed25519 {TEXT}\n@revoked * ssh-ed25519 {TEXT}\n")


def test_a_certificate_authority_is_told() -> None:
    with pytest.raises(AuthError, match="certificate authority"):
        _check(f"@cert-authority *,lb-1 ssh-ed25519 {base64.b64encode(OTHER).decode()}\n")


def test_files_that_are_not_there_are_no_error(tmp_path: Path) -> None:
    assert known_hosts.load([tmp_path / "nothing"]) == []
