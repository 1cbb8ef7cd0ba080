"""Our own credentials leave the process in no text, however they are written in it."""

from __future__ import annotations

import base64
import html
import json
import quopri
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from fake_adapter import FakeWriter
from hypothesis import example, given
from hypothesis import strategies as st
from worlds import A, shares, world

from control import own_secrets as ownsecrets
from control.errors import PlatformError
from control.own_secrets import STRUCK, keep, strike
from control.planning.options import ApplyOptions, PlanOptions
from control.text import clean, clean_lines

TOKEN = "eyJhbGciOiJSUzI1NiJ9.c3lzdGVtOnNlcnZpY2VhY2NvdW50-_Zm9vOmJhcg.Q2k5dGVzdC1vbmx5LW5vdC1hLXJlYWwta2V5"
PASSWORD = 'p@s"s/w0rd%41\\x é'


@pytest.fixture(autouse=True)
def nothing_else_is_kept() -> Iterator[None]:
    ownsecrets.forget_all()
    yield
    ownsecrets.forget_all()


def wrapped(text: str, width: int) -> str:
    return "\n ".join(text[at : at + width] for at in range(0, len(text), width))


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": lambda s: s,
    "in a header": lambda s: f"Authorization: Bearer {s}",
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 behind a user": lambda s: base64.b64encode(f"user:{s}".encode()).decode(),
    "base64 for URLs": lambda s: base64.urlsafe_b64encode(f"u:{s}".encode()).decode().rstrip("="),
    "base64 in lines": lambda s: wrapped(base64.b64encode(f"u:{s}:x".encode()).decode(), 16),
    "percent": lambda s: quote(s, safe=""),
    "percent twice": lambda s: quote(quote(s, safe=""), safe=""),
    "every byte percent": lambda s: "".join(f"%{byte:02x}" for byte in s.encode()),
    "base64 in a query": lambda s: quote(base64.b64encode(s.encode()).decode(), safe=""),
    "JSON": lambda s: json.dumps({"token": s}),
    "JSON in JSON": lambda s: json.dumps({"body": json.dumps({"token": s})}),
    "HTML": lambda s: html.escape(s),
    "lines": lambda s: wrapped(s, 9),
    "escaped lines": lambda s: wrapped(s, 9).replace("\n", "\\n"),
    "quoted parts": lambda s: f'"{s[:8]}" "{s[8:]}"',
    "mail": lambda s: quopri.encodestring(s.encode(), quotetabs=True).decode() if len(s) > 60 else s,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", [TOKEN, PASSWORD])
def test_struck_in_every_form(form: str, secret: str) -> None:
    keep(secret)
    written = FORMS[form](secret)
    for told in (strike(f"before {written} after"), clean(f"before {written} after"), str(PlatformError(written))):
        assert STRUCK in told
        for piece in range(len(written) - 11):
            window = written[piece : piece + 12]
            assert window not in told or window in FORMS[form]("")
    assert strike(f"before {written} after").startswith("before ")


@pytest.mark.parametrize("piece", [TOKEN[:40], TOKEN[30:50], TOKEN[-20:], TOKEN[:-1] + "…"])
def test_pieces_of_a_token_are_struck(piece: str) -> None:
    keep(TOKEN)
    assert clean(f"token {piece} was cut").count(STRUCK) == 1


def test_a_key_is_struck_line_by_line() -> None:
    body = "\n".join(base64.b64encode(bytes((n * 7 + m * 31) % 251 for m in range(48))).decode() for n in range(20))
    pem = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"
    keep(pem.encode())
    lines = clean_lines(pem).split("\n")
    assert all(line not in "\n".join(lines) for line in body.split("\n"))
    assert base64.b64encode(pem.encode()).decode()[60:100] not in clean(base64.b64encode(pem.encode()).decode())


def test_names_stay_what_they_are() -> None:
    keep(TOKEN, "inference", "wizard", "gw")
    for name in ("inference-gateway", "inference", "10.8.1.91:8000", "llama%2Fchat", "k8s/HTTPRoute/inference/llama"):
        assert clean(name) == name
    assert str(PlatformError("login as wizard with inference failed")) == f"login as {STRUCK} with {STRUCK} failed"
    assert str(PlatformError("inferences of wizardry")) == "inferences of wizardry"


@given(st.text(max_size=300))
@example("%41&lt;\\u0041=\n")
def test_texts_without_a_secret_are_not_touched(text: str) -> None:
    ownsecrets.forget_all()
    keep(TOKEN, PASSWORD)
    assert strike(text) == text or TOKEN[:12] in text


def test_the_oldest_of_many_are_forgotten_and_the_newest_struck() -> None:
    tokens = [base64.b64encode(bytes((n * 13 + m * 7) % 256 for m in range(60))).decode() + str(n) for n in range(600)]
    keep(*tokens)
    assert clean(f"{tokens[-1]}") == STRUCK and len(ownsecrets._kept) <= ownsecrets.MOST


async def test_neither_errors_nor_the_journal_nor_a_plan_hold_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(TOKEN)
    w = world(tmp_path)
    plan = await w.plane.plan([shares(A, a=80, b=20)], PlanOptions(reason=f"curl -H 'Authorization: Bearer {TOKEN}'"))
    assert TOKEN not in plan.reason

    async def refusing(self: object, step: object) -> str:
        raise PlatformError(f"400: bad header Authorization: Bearer {TOKEN}")

    monkeypatch.setattr(FakeWriter, "write", refusing)
    result = await w.plane.apply(plan, ApplyOptions(reason=f"because {TOKEN}"))
    assert result.steps[0].reason is not None and STRUCK in result.steps[0].reason.message
    assert TOKEN[:30].encode() not in (tmp_path / "journal.db").read_bytes()
    assert w.plane.journal.verify().ok and w.plane.history()[0].reason == f"because {STRUCK}"
