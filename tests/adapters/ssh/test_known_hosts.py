"""known_hosts files, read whole: patterns, ports, hashes, markers, damaged lines."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ssh.client import known_hosts, revoked
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


@pytest.mark.parametrize("name", ["lb-1", "[lb-1]:2222", "[lb-1]:22022"])
@pytest.mark.parametrize("names", ["lb-1", "[lb-1]:2222", "[lb-1]:443", "*", "[*]:2222", hashed("lb-1"), "x,[lb-1]:9"])
def test_a_revoked_key_is_refused_on_every_port(name: str, names: str) -> None:
    with pytest.raises(AuthError, match="REVOKED"):
        _check(f"{name} ssh-ed25519 {TEXT}\n@revoked {names} ssh-ed25519 {TEXT}\n", name)


def test_a_key_revoked_for_another_host_counts_for_that_host_alone() -> None:
    _check(f"lb-1 ssh-ed25519 {TEXT}\n@revoked lb-2,[lb-3]:2222,!lb-1,* ssh-ed25519 {TEXT}\n")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three keys, and every form in which OpenSSH keeps a list of revoked ones; the first two are on the lists."""
    folder = tmp_path_factory.mktemp("revoked")
    for name, kind in (("a", "ed25519"), ("b", "ecdsa"), ("c", "ed25519")):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(folder / name)], check=True, timeout=20)
    (folder / "text").write_text("# ours\n\n" + (folder / "a.pub").read_text() + (folder / "b.pub").read_text())
    both = [str(folder / "a.pub"), str(folder / "b.pub")]
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", str(folder / "krl"), *both], check=True, timeout=20)
    for kind in ("sha1", "sha256"):
        text = "".join(f"{kind}: {Path(one).read_text()}" for one in both)
        (folder / f"spec-{kind}").write_text(text)
        subprocess.run(
            ["ssh-keygen", "-q", "-k", "-f", str(folder / kind), str(folder / f"spec-{kind}")], check=True, timeout=20
        )
    return {name: folder / name for name in ("a", "b", "c", "text", "krl", "sha1", "sha256")}


def _blob(path: Path) -> tuple[str, bytes]:
    kind, key, *_ = Path(f"{path}.pub").read_text().split()
    return kind, base64.b64decode(key)


@pytest.mark.parametrize("form", ["text", "krl", "sha1", "sha256"])
def test_every_form_of_a_list_of_revoked_keys_is_obeyed(made: dict[str, Path], form: str) -> None:
    for name in ("a", "b"):
        with pytest.raises(AuthError, match="REVOKED"):
            revoked.refuse_revoked(str(made[form]), "lb-1", *_blob(made[name]))
    revoked.refuse_revoked(str(made[form]), "lb-1", *_blob(made["c"]))


@pytest.mark.parametrize("damage", ["gone", "cut", "later"])
def test_a_list_that_cannot_be_read_trusts_no_host(made: dict[str, Path], tmp_path: Path, damage: str) -> None:
    path, data = tmp_path / "list", made["krl"].read_bytes()
    if damage != "gone":
        path.write_bytes(data[:-3] if damage == "cut" else data[:11] + b"\x09" + data[12:])
    with pytest.raises(AuthError, match="no host key is trusted"):
        revoked.refuse_revoked(str(path), "lb-1", *_blob(made["c"]))


@given(st.binary(max_size=200))
def test_no_list_of_revoked_keys_breaks_the_parser(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any-list"
    for content in (data, b"SSHKRL\n\0" + data):
        path.write_bytes(content)
        with contextlib.suppress(AuthError):
            revoked.refuse_revoked(str(path), "lb-1", "ssh-ed25519", KEY)
