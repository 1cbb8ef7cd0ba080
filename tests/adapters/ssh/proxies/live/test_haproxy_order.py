"""Who is counted and who is refused, by the order of the rules: what is shown is what a real HAProxy does."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from fractions import Fraction

import pytest
from haproxystart import Proxy, Start, driver, start
from localproxy import get, read, write

from adapters.ssh.proxies.haproxy.proxy import HAProxyProxy
from control.model import Limit, Measure, Mode
from control.planning.edit import Change

__all__ = ["driver", "start"]

OFFERED = 16
STORE = "stick-table type ip size 1k expire 60s store http_req_rate(20s),conn_rate(20s),conn_cur"
APP = "backend app\n server a @a@\n"
T = f"backend t\n {STORE}\n"


def _edge(*rules: str) -> str:
    lines = "".join(f" {rule}\n" for rule in rules)
    return f"frontend edge\n bind @port@\n default_backend app\n {STORE}\n{lines}"


@dataclass(frozen=True)
class Case:
    """`passes` of 16 requests get through; `counted` is what the table then holds."""

    body: str
    limit: str
    passes: int
    counted: int
    table: str = "edge"
    column: str = "http_req_rate"


DENY = "http-request deny deny_status 429 if"
TRACK = "http-request track-sc0 src"
ABUSE = (
    "http-request set-var(req.limit) int(5)",
    "http-request set-var(req.rate) src,table_http_req_rate()",
)
CASES = {
    "counted at the connection, refused at the request": Case(
        _edge("tcp-request connection track-sc0 src", f"{DENY} {{ sc_http_req_rate(0) gt 5 }}") + APP,
        "edge/edge", 5, 16,
    ),
    "counted and refused before the request is parsed": Case(
        _edge("tcp-request content track-sc0 src", "tcp-request content reject if { src_http_req_rate ge 5 }") + APP,
        "edge/edge", 5, 5,
    ),
    "counted before the request is parsed, refused after": Case(
        _edge("tcp-request content track-sc0 src", f"{DENY} {{ sc0_http_req_rate ge 5 }}") + APP, "edge/edge", 4, 16
    ),
    "refused before it is counted": Case(
        _edge(f"{DENY} {{ src_http_req_rate ge 5 }}", TRACK) + APP, "edge/edge", 5, 5
    ),
    "refused in the frontend, counted in the backend": Case(
        _edge(f"{DENY} {{ src_http_req_rate(app) ge 5 }}") + f"{APP} {STORE}\n {TRACK}\n", "edge/app", 5, 5, "app"
    ),
    "counted in the frontend, refused in the backend": Case(
        _edge(TRACK) + f"{APP} {DENY} {{ sc_http_req_rate(0) gt 5 }}\n", "app/edge", 5, 16
    ),
    "counted and refused in the backend": Case(
        _edge() + f"{APP} tcp-request content track-sc1 src table edge\n {DENY} {{ sc1_http_req_rate gt 5 }}\n",
        "app/edge", 5, 16,
    ),
    "counted only unless refused, by a number that was looked at before": Case(
        _edge(*ABUSE, "acl abuse var(req.limit),sub(req.rate) le 0", f"{TRACK} unless abuse", f"{DENY} abuse") + APP,
        "edge/edge", 5, 5,
    ),
    "counted only unless refused, by the number of the moment": Case(
        _edge("acl abuse src_http_req_rate ge 5", f"{TRACK} unless abuse", f"{DENY} abuse") + APP, "edge/edge", 4, 5
    ),
    "counted, then compared by arithmetic": Case(
        _edge(TRACK, *ABUSE, "acl abuse var(req.limit),sub(req.rate) lt 0", f"{DENY} abuse") + APP, "edge/edge", 5, 16
    ),
    "turned round": Case(
        _edge(TRACK, "http-request deny deny_status 429 unless { sc_http_req_rate(0) le 5 }") + APP, "edge/edge", 5, 16
    ),
    "one of two reasons": Case(
        _edge(TRACK, f"{DENY} {{ path /never }} or {{ sc_http_req_rate(0) gt 5 }}") + APP, "edge/edge", 5, 16
    ),
    "by a mark that another rule sets": Case(
        _edge(
            TRACK,
            "http-request set-var(txn.over) bool(true) if { sc_http_req_rate(0) gt 5 }",
            f"{DENY} {{ var(txn.over) -m bool }}",
        ) + APP,
        "edge/edge", 5, 16,
    ),
    "with a flag that holds for all": Case(
        _edge(TRACK, "acl over src_http_req_rate(edge) ge 5", "acl mark src_inc_gpc0(edge) ge 0", f"{DENY} over mark")
        + APP, "edge/edge", 4, 16,
    ),
    "led to a backend that has no servers": Case(
        _edge(TRACK, "use_backend none if { sc_http_req_rate(0) gt 5 }") + APP + "backend none\n", "edge/edge", 5, 16
    ),
    "led to a backend that refuses": Case(
        _edge(TRACK, "use_backend none if { sc_http_req_rate(0) gt 5 }") + APP
        + "backend none\n http-request deny deny_status 429\n", "edge/edge", 5, 16,
    ),
    "tarpit": Case(
        _edge(TRACK, "http-request tarpit deny_status 429 if { sc_http_req_rate(0) gt 13 }") + APP, "edge/edge", 13, 16
    ),
    "reject": Case(_edge(TRACK, "http-request reject if { sc_http_req_rate(0) gt 5 }") + APP, "edge/edge", 5, 16),
    "return": Case(
        _edge(TRACK, "http-request return status 429 if { sc_http_req_rate(0) gt 5 }") + APP, "edge/edge", 5, 16
    ),
    "new connections": Case(
        _edge("tcp-request connection track-sc0 src", "tcp-request connection reject if { sc_conn_rate(0) gt 5 }")
        + APP,
        "edge/edge", 5, 16, "edge", "conn_rate",
    ),
    "new connections, refused before they are counted": Case(
        _edge("tcp-request connection reject if { src_conn_rate ge 5 }", "tcp-request connection track-sc0 src") + APP,
        "edge/edge", 5, 5, "edge", "conn_rate",
    ),
    "rules of named defaults": Case(
        "defaults limited\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n"
        f" {TRACK} table t\n {DENY} {{ sc_http_req_rate(0) gt 5 }}\n"
        "frontend edge from limited\n bind @port@\n use_backend app\n"
        "defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n" + APP + T,
        "edge/t", 5, 16, "t",
    ),
    "the first key that is there": Case(
        _edge("http-request track-sc0 req.hdr(x-none) table t", TRACK, f"{DENY} {{ sc_http_req_rate(0,edge) gt 5 }}")
        + APP + T.replace("type ip", "type string len 16"), "edge/edge", 5, 16,
    ),
}  # fmt: skip


async def _passed(port: int, path: str = "/", offered: int = OFFERED) -> int:
    return sum([await _passes(port, path) for _ in range(offered)])


async def _passes(port: int, path: str) -> bool:
    try:
        return (await get(port, path))[0] == 200
    except (OSError, IndexError):  # rejected: no answer at all
        return False


@pytest.mark.parametrize("name", list(CASES))
async def test_what_passes_and_what_is_counted_is_what_is_shown(name: str, start: Start, driver: HAProxyProxy) -> None:
    case = CASES[name]
    host = start(case.body)
    limit = (await read(driver, host))[1][case.limit]
    told = limit.notes
    assert await _passed(host.port) == case.passes
    assert await host.table(case.table, case.column) == case.counted
    if limit.mode is Mode.NOT_UNDERSTOOD:
        assert name == "the first key that is there"
        assert limit.amount is None and "sc_http_req_rate(0,edge) gt 5" in limit.native
        return
    assert limit.mode is Mode.ENFORCED and limit.editable.yes, told
    assert limit.burst is not None and limit.burst.at_once == case.passes, told
    assert limit.enforced is not None and limit.enforced.high == case.passes
    starves = case.counted == OFFERED
    assert limit.enforced.low == (0 if starves else case.passes) and any("low 0" in n for n in told) is starves


@pytest.mark.parametrize("name", [name for name in CASES if name != "the first key that is there"])
async def test_the_edited_number_is_the_one_in_force(name: str, start: Start, driver: HAProxyProxy) -> None:
    case = CASES[name]
    host = start(case.body)
    limit = (await read(driver, host))[1][case.limit]
    assert isinstance(limit.amount, Fraction)
    [step] = await write(driver, host, [Change(limit.ref, "amount", limit.amount, limit.amount - 2)])
    assert step.edit.needs_reload
    assert await _passed(host.port) == case.passes - 2


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ([f"{DENY} {{ sc_http_req_rate(0) ge 3 }}", TRACK], "nothing is counted before"),
        ([f"{DENY} {{ src_http_req_rate ge 3 }}"], "nothing is counted before"),
        ([TRACK, "http-request allow", f"{DENY} {{ sc_http_req_rate(0) gt 3 }}"], "'http-request allow' at"),
        ([TRACK, "use_backend app", "use_backend none if { sc_http_req_rate(0) gt 3 }"], "'use_backend app' at"),
    ],
)
async def test_a_rule_that_never_refuses_is_off(rules: list[str], why: str, start: Start, driver: HAProxyProxy) -> None:
    host = start(_edge(*rules) + APP + "backend none\n")
    [limit] = (await read(driver, host))[1].values()
    assert await _passed(host.port) == OFFERED
    assert limit.mode is Mode.OFF and any(why in note for note in limit.notes), limit.notes


async def test_all_requests_of_a_frontend_together(start: Start, driver: HAProxyProxy) -> None:
    host = start(_edge(f"{DENY} {{ fe_req_rate gt 5 }}") + APP)
    [limit] = (await read(driver, host))[1].values()
    assert limit.window is not None and (limit.amount, limit.window.seconds, limit.key) == (5, 1, ())
    started = time.monotonic()
    passed = sum(await asyncio.gather(*[_passes(host.port, "/") for _ in range(OFFERED)]))
    left = math.ceil(5 * (time.monotonic() - started))  # so many have left the window of a second meanwhile
    assert limit.burst is not None and limit.burst.at_once == 5 and 5 <= passed <= 5 + left


async def test_a_redirect_line_runs_behind_the_rules_that_stand_after_it(start: Start, driver: HAProxyProxy) -> None:
    host = start(_edge("redirect location /elsewhere", TRACK, f"{DENY} {{ sc_http_req_rate(0) gt 5 }}") + APP)
    [limit] = (await read(driver, host))[1].values()
    answers = [(await get(host.port))[0] for _ in range(OFFERED)]
    assert answers == [302] * 5 + [429] * (OFFERED - 5)
    assert limit.mode is Mode.ENFORCED and limit.burst is not None and limit.burst.at_once == 5


async def test_those_whom_an_earlier_rule_allows_are_told(start: Start, driver: HAProxyProxy) -> None:
    allow = "http-request allow if { path_beg /free }"
    host = start(_edge(allow, TRACK, f"{DENY} {{ sc_http_req_rate(0) gt 3 }}") + APP)
    [limit] = (await read(driver, host))[1].values()
    assert await _passed(host.port, "/free") == OFFERED and await _passed(host.port) == 3
    assert any("not for requests that 'http-request allow if { path_beg /free }' takes" in n for n in limit.notes)


async def test_a_condition_on_the_counting_is_told(start: Start, driver: HAProxyProxy) -> None:
    host = start(_edge(f"{TRACK} if {{ path_beg /api }}", f"{DENY} {{ src_http_req_rate gt 3 }}") + APP)
    [limit] = (await read(driver, host))[1].values()
    assert await _passed(host.port, "/x") == OFFERED and await _passed(host.port, "/api") == 3
    assert await _passed(host.port, "/x") == 0
    assert any("counted are only requests of frontend edge if { path_beg /api }" in n for n in limit.notes)


async def test_several_frontends_on_one_table(start: Start, driver: HAProxyProxy) -> None:
    second = f"frontend second\n bind @other@\n default_backend app\n {DENY} {{ src_http_req_rate(edge) gt 3 }}\n"
    host = start(_edge(TRACK, f"{DENY} {{ sc_http_req_rate(0) gt 9 }}") + second + APP)
    limits = (await read(driver, host))[1]
    own, other = limits["edge/edge"], limits["second/edge"]
    assert await _passed(host.other) == OFFERED and await _passed(host.port, offered=4) == 4
    assert await _passed(host.other) == 0
    assert other.mode is Mode.ENFORCED and other.enforced is not None and other.enforced.high is None
    assert any("counted are only requests of frontend edge" in note for note in other.notes)
    assert own.enforced is not None and own.enforced.high == 9


async def test_requests_of_another_frontend_in_the_same_table_are_told(start: Start, driver: HAProxyProxy) -> None:
    second = f"frontend second\n bind @other@\n default_backend app\n {TRACK} table edge\n"
    host = start(_edge(TRACK, f"{DENY} {{ sc_http_req_rate(0) gt 5 }}") + second + APP)
    limit = (await read(driver, host))[1]["edge/edge"]
    assert await _passed(host.other, offered=5) == 5 and await _passed(host.port) == 0
    assert any("requests of frontend second are counted in the same table" in note for note in limit.notes)


async def test_requests_in_flight_by_what_is_tracked_now(start: Start, driver: HAProxyProxy, backends: object) -> None:
    host = start(_edge(TRACK, f"{DENY} {{ sc_conn_cur(0) gt 3 }}") + APP)
    [limit] = (await read(driver, host))[1].values()
    assert (limit.measure, limit.amount, limit.window) == (Measure.INFLIGHT, 3, None)
    backends.delay(0.5)  # type: ignore[attr-defined]
    try:
        passed = sum(await asyncio.gather(*[_passes(host.port, "/") for _ in range(8)]))
    finally:
        backends.delay(0.0)  # type: ignore[attr-defined]
    assert passed == 3 == (limit.enforced.high if limit.enforced else None)


NOT_UNDERSTOOD = [
    ("{ sc_http_req_cnt(0) gt 3 }", "sc_http_req_cnt(0)"),
    ("{ sc_http_err_rate(0) gt 3 }", "sc_http_err_rate(0)"),
    ("{ src_get_gpc0(edge) gt 0 }", "src_get_gpc0(edge)"),
    ("{ sc0_gpc0_rate gt 3 }", "sc0_gpc0_rate"),
    ('{ sc_http_req_rate(0) gt "${RATE}" }', "comes from the environment"),
    ("{ sc_http_req_rate(0) 4: }", "not one of gt N, ge N"),
    ("{ sc_http_req_rate(0),mul(2) gt 3 }", "mul(2)"),
    ("{ sc_http_req_rate(0) gt 3 } { sc_conn_cur(0) gt 1 }", "more than one rate"),
    ("{ src,ipmask(24),table_http_req_rate(edge) gt 3 }", "looks up src,ipmask(24)"),
]


@pytest.mark.parametrize(("condition", "why"), NOT_UNDERSTOOD)
async def test_what_is_not_understood_is_listed_with_its_text(
    condition: str, why: str, start: Start, driver: HAProxyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATE", "4")
    more = ",http_req_cnt,http_err_rate(20s),gpc0,gpc0_rate(20s)"
    host = start((_edge(TRACK, f"{DENY} {condition}") + APP).replace(STORE, STORE + more))
    [limit] = (await read(driver, host))[1].values()
    _not_understood(limit, condition)
    assert why in limit.editable.reason


def _not_understood(limit: Limit, native: str) -> None:
    assert (limit.amount, limit.mode, limit.burst) == (None, Mode.NOT_UNDERSTOOD, None)
    assert native in limit.native and not limit.editable.yes


@pytest.mark.parametrize(
    ("rules", "native"),
    [
        ([TRACK, "http-request allow if { sc_http_req_rate(0) le 3 }", "http-request deny"], "allow if"),
        ([TRACK, "use_backend slow if { sc_http_req_rate(0) gt 3 }"], "use_backend slow"),
        ([TRACK, "http-request redirect location /slow if { sc_http_req_rate(0) gt 3 }"], "redirect location"),
        ([TRACK, "http-response deny if { sc_http_req_rate(0) gt 3 }"], "http-response deny"),
        ([TRACK, "acl over sc_http_req_cnt(0) gt 3", f"{DENY} over"], "acl over sc_http_req_cnt(0) gt 3"),
    ],
)
async def test_what_a_rate_decides_otherwise_is_listed(
    rules: list[str], native: str, start: Start, driver: HAProxyProxy
) -> None:
    host = start((_edge(*rules) + APP + "backend slow\n server b @b@\n").replace(STORE, f"{STORE},http_req_cnt"))
    [limit] = (await read(driver, host))[1].values()
    _not_understood(limit, native)


async def test_one_number_that_feeds_several_limits_names_them_all(start: Start, driver: HAProxyProxy) -> None:
    host = start(
        _edge(
            TRACK,
            "acl over sc_http_req_rate(0) gt 5",
            f"{DENY} over {{ path_beg /a }}",
            f"{DENY} over {{ path_beg /b }}",
        )
        + APP
    )
    limits = (await read(driver, host))[1]
    one, other = limits["edge/edge"], limits["edge/edge~"]
    [step] = await write(driver, host, [Change(one.ref, "amount", Fraction(5), Fraction(3))])
    assert any(str(other.ref) in warning for warning in step.edit.warnings)
    assert [limit.amount for limit in (await read(driver, host))[1].values()] == [3, 3]


async def test_a_limit_of_a_map_without_number_type(start: Start, driver: HAProxyProxy) -> None:
    host = start(
        _edge(
            TRACK,
            "http-request set-var(req.limit) path,map_beg(@folder@/rates.map,9)",
            "http-request set-var(req.rate) src,table_http_req_rate()",
            "acl abuse var(req.limit),sub(req.rate) lt 0",
            f"{DENY} abuse",
        )
        + APP,
        files={"rates.map": "/few 3\n"},
    )
    limits = (await read(driver, host))[1]
    assert [(name, limit.amount) for name, limit in limits.items()] == [("edge/edge", 9), ("edge/edge//few", 3)]
    assert await _passed(host.port, "/few") == 3
    await _wait_for_nothing(host)
    await write(driver, host, [Change(limits["edge/edge//few"].ref, "amount", Fraction(3), Fraction(6))])
    assert await _passed(host.port, "/few") == 6


async def _wait_for_nothing(host: Proxy) -> None:
    """Forget what was counted."""
    await host._talk(str(host.socket), "clear table edge")
