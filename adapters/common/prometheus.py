"""Asking a Prometheus server: instant queries, by GET.

Source: the HTTP API page of the Prometheus documentation, `GET /api/v1/query`.
"""

from __future__ import annotations

from fractions import Fraction

import msgspec

from adapters.common.http import Pages, place
from adapters.common.metrics_text import Sample, number
from control.errors import PlatformError
from control.text import clean


class _Series(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Data(msgspec.Struct):
    resultType: str = ""  # noqa: N815 - the wire's name
    result: list[msgspec.Raw] = []


class _Answer(msgspec.Struct):
    status: str
    data: _Data = msgspec.field(default_factory=_Data)
    error: str = ""


class Prometheus:
    """One Prometheus server at `url`, read through `pages`."""

    def __init__(self, pages: Pages, url: str) -> None:
        self._pages = pages
        self._url = url.rstrip("/")

    async def query(self, expression: str) -> list[Sample]:
        """The vector that `expression` gives now. Raises `Unreachable` or `PlatformError`."""
        body, _ = await self._pages.get(f"{self._url}/api/v1/query", {"query": expression})
        try:
            answer = msgspec.json.decode(body, type=_Answer)
            if answer.status != "success":
                raise PlatformError(f"Prometheus at {place(self._url)} refused the query: {clean(answer.error)}")
            if answer.data.resultType != "vector":
                raise PlatformError(f"Prometheus at {place(self._url)} answered with no vector")
            series = [msgspec.json.decode(raw, type=_Series) for raw in answer.data.result]
        except msgspec.DecodeError:
            raise PlatformError(f"{place(self._url)} does not answer as Prometheus does") from None
        return [sample for one in series if (sample := _sample(one)) is not None]


def _sample(series: _Series) -> Sample | None:
    value: Fraction | None = number(series.value[1])
    labels = tuple((k, v) for k, v in series.metric.items() if k != "__name__")
    return None if value is None else Sample(series.metric.get("__name__", ""), labels, value)
