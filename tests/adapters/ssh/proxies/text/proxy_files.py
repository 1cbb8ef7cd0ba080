"""Small helpers for codec tests: trees of files without a host."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.ssh.client.ports import ConfigTree
from adapters.ssh.proxies.haproxy.codec import HAProxyCodec
from adapters.ssh.proxies.nginx.codec import NginxCodec
from adapters.ssh.proxies.protocol import HostFacts, Runtime
from adapters.ssh.proxies.table import proxy_for
from adapters.ssh.section import ProxyConfig
from control.model import Limit, Route

NGINX_MAIN = "/etc/nginx/nginx.conf"
HAPROXY_MAIN = "/etc/haproxy/haproxy.cfg"


def facts(kind: str) -> HostFacts:
    return HostFacts("lb", "lb-1", 1.0, ProxyConfig(kind), object_kind=proxy_for(kind).object_kind)


def nginx_tree(files: Mapping[str, bytes] | bytes) -> ConfigTree:
    return ConfigTree((NGINX_MAIN,), files if isinstance(files, Mapping) else {NGINX_MAIN: files})


def haproxy_tree(files: Mapping[str, bytes] | bytes) -> ConfigTree:
    return ConfigTree((HAPROXY_MAIN,), files if isinstance(files, Mapping) else {HAPROXY_MAIN: files})


def read(
    codec: NginxCodec | HAProxyCodec, tree: ConfigTree, runtime: Runtime | None = None
) -> tuple[dict[str, Route], dict[str, Limit]]:
    """Routes and limits by name."""
    routes, limits = codec.read(tree, runtime, facts(codec.language))
    return {route.ref.name: route for route in routes}, {limit.ref.name: limit for limit in limits}


def changed_region(before: bytes, after: bytes) -> tuple[bytes, bytes]:
    """What stands between the longest common start and the longest common end of two texts."""
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return before[start : len(before) - end], after[start : len(after) - end]
