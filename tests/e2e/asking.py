"""Sends requests to the bed and counts who answered."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from math import sqrt
from urllib.parse import urlsplit
from uuid import uuid4

from tests.bed.description import LimitEntry, RouteEntry

TIMEOUT_SECONDS = 5.0
PAUSE_SECONDS = 0.008


def split(route: RouteEntry, requests: int = 400) -> Counter[str]:
    """How many of so many requests each target answered."""
    url = urlsplit(route.url)
    found: Counter[str] = Counter()
    connection = http.client.HTTPConnection(url.netloc, timeout=TIMEOUT_SECONDS)
    for _ in range(requests):
        connection.request("GET", url.path, headers={"Host": route.host, **route.headers})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, (route.ref, answer.status)
        found[answer.headers["X-Backend"]] += 1
    connection.close()
    return found


def agrees(counts: Counter[str], shares: dict[str, float]) -> bool:
    """Whether every count is within four standard errors of its share."""
    total = counts.total()
    if set(counts) - {name for name, share in shares.items() if share > 0}:
        return False
    return all(
        abs(counts[name] / total - share) <= 4 * sqrt(max(share * (1 - share), 1e-9) / total)
        for name, share in shares.items()
    )


def passed(limit: LimitEntry, seconds: float, reloads: bool = False, stop: threading.Event | None = None) -> int:
    """How many requests of one fresh caller pass in `seconds` (or until `stop`) over all URLs, offered faster than the
    limit.

    With `reloads` a proxy may close the connection between two requests, and the caller opens another.
    """
    assert limit.fresh_key_header is not None
    headers = {"Host": limit.host, limit.fresh_key_header: uuid4().hex, **limit.headers}
    counts: list[int] = []
    end = time.monotonic() + seconds

    def offer(url: str) -> None:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_SECONDS)
        found = 0
        while time.monotonic() < end and not (stop is not None and stop.is_set()):
            connection.request("GET", parts.path, headers=headers)
            try:
                answer = connection.getresponse()
            except (http.client.RemoteDisconnected, ConnectionResetError):
                if not reloads:
                    raise
                connection.close()
                continue
            answer.read()
            assert answer.status in (200, limit.reject_status), answer.status
            found += answer.status == 200
            time.sleep(PAUSE_SECONDS)
        connection.close()
        counts.append(found)

    threads = [threading.Thread(target=offer, args=(url,)) for url in limit.urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == len(limit.urls), "one of the callers failed"
    return sum(counts)
