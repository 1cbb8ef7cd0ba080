"""Which kinds of proxies there are on hosts: a line each."""

from __future__ import annotations

KINDS = (
    "nginx",
    "haproxy",
    "caddy",
)
"""In the order in which several on one host are listed. Each is a folder beside this file, and a kind in the deck."""
