"""Conditions of `.if` are decided as a real HAProxy decides them, or said not to be known."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from proxy_files import facts, haproxy_tree, read

from adapters.ssh.proxies.haproxy.codec import HAProxyCodec
from adapters.ssh.proxies.haproxy.lines import sections
from control.model import Measure, Mode

CODEC = HAProxyCodec()
HEAD = "global\n setenv A yes\n setenv N 2\n presetenv P any\n unsetenv GONE\n"
CONDITIONS = [
    ("defined(A)", True),
    ("defined(P)", True),
    ("!defined(A)", False),
    ("! defined(GONE)", True),
    ("defined(GONE) || defined(A)", True),
    ("defined(A) && !defined(GONE)", True),
    ("defined(A)&&(defined(GONE)||1)", True),
    ('streq("$A",yes)', True),
    ('streq("${A}",no)', False),
    ('"streq($A,yes)"', True),
    ("streq(${A},yes)", False),
    ("streq('$A',yes)", False),
    ('streq("$A", yes)', False),
    ('streq("$GONE",)', True),
    ('streq("${GONE-x}",x)', True),
    ('strneq("$A",no)', True),
    ('defined("A")', True),
    ("1", True),
    ("0", False),
    ("2", True),
    ("", False),
    ("(1)", True),
    ("version_atleast(2.0)", True),
    ("version_before(2.0)", False),
    ("version_atleast(99)", False),
    ("defined(ELSEWHERE)", None),
    ("!defined(ELSEWHERE) && 0", False),
    ("defined(ELSEWHERE) || 1", True),
    ('streq("$ELSEWHERE",one)', None),
    ('streq("$P",any)', None),
    ("feature(OPENSSL)", None),
]


def _haproxy() -> str:
    found = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("haproxy is not installed")
        pytest.skip("haproxy is not installed")
    return found


@pytest.mark.parametrize(("condition", "wanted"), CONDITIONS)
def test_a_condition_is_decided_as_haproxy_decides_it(condition: str, wanted: bool | None, tmp_path: Path) -> None:
    text = f'{HEAD}.if {condition}\n.notice "LIVE"\nbackend live\n.else\n.notice "DEAD"\nbackend dead\n.endif\n'
    file = tmp_path / "h.cfg"
    file.write_text(text)
    told = subprocess.run([_haproxy(), "-c", "-f", str(file)], capture_output=True, text=True, timeout=20).stderr
    shown = subprocess.run([_haproxy(), "-v"], capture_output=True, text=True, timeout=20).stdout
    version = re.search(r"version (\d[\w.]*)", shown)
    assert version and ("LIVE" in told) is not ("DEAD" in told), told
    found = {s.name: s.head.branches for s in sections([("h.cfg", text.encode())], version[1]) if s.name}
    if wanted is None:
        assert set(found) == {"live", "dead"} and all(found.values())
    else:
        assert found == {"live" if "LIVE" in told else "dead": ()}
        assert wanted is ("LIVE" in told)


TWINS = b"""\
.if defined(STAGE)
frontend edge
    maxconn 10
    http-request track-sc0 src table t
    http-request deny if { sc_http_req_rate(0) gt 5 }
    default_backend app
backend app
    server a 10.0.0.1:80 maxconn 3
.else
frontend edge
    maxconn 20
    http-request track-sc0 src table t
    http-request deny if { sc_http_req_rate(0) gt 6 }
    default_backend app
backend app
    server a 10.0.0.1:80 maxconn 4
.endif
backend t
    stick-table type ip size 1k store http_req_rate(10s)
"""


def test_two_sections_never_share_a_ref() -> None:
    tree = haproxy_tree(TWINS)
    routes, limits = CODEC.read(tree, None, facts("haproxy"))
    refs = [str(row.ref) for row in (*routes, *limits)]
    assert len(refs) == len(set(refs)) == 8
    assert not any(row.editable.yes for row in (*routes, *limits))
    assert all("defined(STAGE)" in row.editable.reason or ".else" in row.editable.reason for row in (*routes, *limits))
    assert all(limit.mode is Mode.NOT_UNDERSTOOD and limit.native for limit in limits)
    assert routes[0].matches[0] == "edge (default) (not known to be live)"


def test_a_disabled_frontend_limits_nothing() -> None:
    text = (
        TWINS.split(b".else")[0].replace(b".if defined(STAGE)\n", b"").replace(b"maxconn 10", b"maxconn 10\n disabled")
    )
    text += b"backend t\n stick-table type ip size 1k store http_req_rate(10s)\n"
    routes, limits = read(CODEC, haproxy_tree(text))
    assert routes["app"].matches == ("edge (default) (disabled)",)
    rule, whole = limits["edge/t"], limits["frontend edge maxconn"]
    assert (rule.mode, rule.amount, whole.mode, whole.amount) == (Mode.OFF, 5, Mode.OFF, 10)
    assert any("disabled" in note for note in rule.notes) and any("disabled" in note for note in whole.notes)


def test_a_bandwidth_filter_is_listed_with_its_text() -> None:
    text = b"frontend f\n filter bwlim-out slow default-limit 500k default-period 1s\n default_backend b\nbackend b\n"
    [limit] = read(CODEC, haproxy_tree(text))[1].values()
    assert (limit.mode, limit.amount, limit.measure) == (Mode.NOT_UNDERSTOOD, None, Measure.BYTES)
    assert limit.native == "filter bwlim-out slow default-limit 500k default-period 1s" and not limit.editable.yes


@pytest.mark.parametrize(
    ("sample", "key", "why"),
    [
        ("sc_http_req_cnt(0)", "source address", "not per time"),
        ("src_get_gpc0(t)", "source address", "change themselves"),
        ("req.hdr(x-key),table_http_err_rate(t)", "header x-key", "counts errors"),
        ("be_conn(app)", "not understood", "load of a proxy"),
    ],
)
def test_whom_a_rule_counts_that_is_not_understood(sample: str, key: str, why: str) -> None:
    text = f"frontend f\n http-request track-sc0 src table t\n http-request deny if {{ {sample} gt 3 }}\n"
    [limit] = read(CODEC, haproxy_tree(text.encode()))[1].values()
    assert limit.key == (key,) and why in limit.editable.reason and limit.mode is Mode.NOT_UNDERSTOOD
