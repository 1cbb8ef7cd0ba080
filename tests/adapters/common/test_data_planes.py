"""Metrics text, Prometheus and Traefik's API, over a transport that answers from a table."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.common.http import Pages, place
from adapters.common.metrics_text import number, parse
from adapters.common.prometheus import Prometheus
from adapters.kubernetes.planes.traefik.api import TraefikApi
from control.errors import AuthError, NotFound, PlatformError, Unreachable


class Table(httpx.AsyncBaseTransport):
    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.seen: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        answer = self.answers.get(request.url.path, httpx.Response(404))
        return answer(request) if callable(answer) else answer


def test_samples_with_labels_escapes_and_timestamps() -> None:
    text = (
        "# HELP a b\n"
        'a_total{service="x@y",code="200"} 12 1700000000000\n'
        'a_total{path="a\\"b\\\\c\\n",} 1.5e3\n'
        "plain 7\n"
        'a_total{broken="x} 3\n'
        "nan NaN\n"
        "inf +Inf\n"
    )
    found = list(parse(text))
    assert [(one.name, one.value) for one in found] == [("a_total", 12), ("a_total", 1500), ("plain", 7)]
    assert found[0].label("service") == "x@y"
    assert found[0].label("none") == ""
    assert found[1].label("path") == 'a"b\\c\n'
    assert [one.name for one in parse(text, {"plain"})] == ["plain"]


@given(st.text(max_size=200))
def test_any_page_is_parsed_or_passed_over(text: str) -> None:
    for sample in parse(text):
        assert isinstance(sample.value, Fraction)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,6}", fullmatch=True), st.text(max_size=10), max_size=4))
def test_label_values_survive_the_format(labels: dict[str, str]) -> None:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    inside = ",".join(f'{key}="{escaped(value)}"' for key, value in labels.items())
    found = list(parse(f"m{{{inside}}} 3\n"))
    assert [dict(sample.labels) for sample in found] == [labels]


@pytest.mark.parametrize(("text", "value"), [("1e3", 1000), ("-0.5", Fraction(-1, 2)), ("1e400", None), ("x", None)])
def test_numbers_are_exact(text: str, value: Any) -> None:
    assert number(text) == value


async def test_prometheus_vectors_and_refusals() -> None:
    vector = {"resultType": "vector", "result": [{"metric": {"code": "200"}, "value": [1.5, "42"]}]}
    table = Table({"/api/v1/query": httpx.Response(200, json={"status": "success", "data": vector})})
    pages = Pages(table)
    server = Prometheus(pages, "http://p.invalid/")
    (sample,) = await server.query("up")
    assert (sample.value, sample.label("code")) == (42, "200")
    assert table.seen[0].url.params["query"] == "up"
    scalar = {"status": "success", "data": {"resultType": "scalar", "result": []}}
    for body in (scalar, {"status": "error", "error": "bad \x1b[31m"}, ["no"]):
        table.answers["/api/v1/query"] = httpx.Response(200, json=body)
        with pytest.raises(PlatformError) as caught:
            await server.query("up")
        assert "\x1b" not in str(caught.value)
    await pages.close()


async def test_traefik_lists_follow_their_pages() -> None:
    def services(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params["page"])
        weighted = {"services": [{"name": "a", "weight": 0}, {"name": "b"}]}
        body = [{"name": f"s{number}@kubernetescrd", "weighted": weighted, "extra": 1}]
        return httpx.Response(200, json=body, headers={"X-Next-Page": str(number + 1 if number < 3 else 1)})

    table = Table({"/api/http/services": services, "/api/http/middlewares/bad": httpx.Response(200, text="<html>")})
    pages = Pages(table)
    traefik = TraefikApi(pages, "http://u:p@t.invalid:8080/api/")
    found = await traefik.services("s")
    assert [one.name for one in found] == ["s1@kubernetescrd", "s2@kubernetescrd", "s3@kubernetescrd"]
    assert found[0].weighted is not None
    assert [member.weight for member in found[0].weighted.services] == [0, None]
    assert await traefik.middleware("none") is None
    with pytest.raises(PlatformError, match="Traefik"):
        await traefik.middleware("bad")
    assert traefik.place == "http://t.invalid:8080/"
    await pages.close()


@pytest.mark.parametrize(("code", "kind"), [(404, NotFound), (401, AuthError), (403, AuthError), (500, PlatformError)])
async def test_answers_other_than_200(code: int, kind: type[Exception]) -> None:
    pages = Pages(Table({"/x": httpx.Response(code)}))
    with pytest.raises(kind):
        await pages.get("http://a.invalid/x")
    await pages.close()


async def test_an_unreachable_page_names_its_place_without_the_password() -> None:
    pages = Pages()
    with pytest.raises(Unreachable) as caught:
        await pages.get("http://user:hunter2@127.0.0.1:1/metrics", deadline_seconds=2)
    assert "hunter2" not in str(caught.value)
    assert "127.0.0.1:1/metrics" in str(caught.value)
    await pages.close()


async def test_only_get_leaves() -> None:
    table = Table({})
    pages = Pages(table)
    with pytest.raises(PlatformError):
        await pages._made().post("http://a.invalid/x")
    assert table.seen == []
    await pages.close()


def test_places_hold_no_secret() -> None:
    assert place("http://u:p@h:1/x?token=t") == "http://h:1/x"
