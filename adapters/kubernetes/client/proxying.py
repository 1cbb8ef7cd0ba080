"""Through which proxy an API server is reached: the kubeconfig's own, else the environment's, as client-go chooses.

Python's own rules differ (no networks in NO_PROXY, lower-case names first), and a deck that goes round a proxy, or
through one, where kubectl does not, reaches another server or none.
"""

from __future__ import annotations

import base64
import ipaddress
import os
from urllib.parse import SplitResult, unquote, urlsplit

from control.errors import DeckError
from control.own_secrets import keep
from control.text import clean

SCHEMES = ("http", "https", "socks5")


def own_proxy(url: str, cluster: str) -> str:
    """The kubeconfig's `proxy-url`, which must have a scheme. Raises `DeckError`, which names no password."""
    found = _split(url)
    if found is None or found.scheme not in SCHEMES or not found.hostname:
        raise DeckError(
            f"proxy-url of the cluster '{clean(cluster)}' cannot be used: {shown(url)}",
            hint=f"write it with its scheme ({', '.join(SCHEMES)}): http://{_bare(url)}",
        )
    return url


def environment_proxy(server: str) -> str | None:
    """What HTTPS_PROXY, HTTP_PROXY and NO_PROXY say for a server; None for no proxy."""
    target = _split(server)
    if target is None or not target.hostname:
        return None
    name = "HTTPS_PROXY" if target.scheme == "https" else "HTTP_PROXY"
    url = os.environ.get(name) or os.environ.get(name.lower()) or ""
    port = target.port or (443 if target.scheme == "https" else 80)
    if not url or bypassed(target.hostname, port, os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""):
        return None
    found = _split(url)
    if found is not None and found.scheme in (*SCHEMES, "socks5h") and found.hostname:
        return url
    if "://" in url:
        raise DeckError(f"{name} cannot be used: {shown(url)}", hint=f"schemes: {', '.join(SCHEMES)}")
    return f"http://{url}"


def bypassed(host: str, port: int, no_proxy: str) -> bool:
    """Is a host reached without the environment's proxy? Loopback always is."""
    host = host.lower()
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_matches(one.strip().lower(), host, address, port) for one in no_proxy.split(","))


def shown(url: str) -> str:
    """A URL for messages, without its user part."""
    return clean(url.partition("://")[0] + "://" if "://" in url else "", 20) + clean(_bare(url), 200)


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _bare(url: str) -> str:
    return url.rpartition("://")[2].rpartition("@")[2]


def _matches(pattern: str, host: str, address: _Address | None, port: int) -> bool:
    if not pattern or pattern == "*":
        return bool(pattern)
    if "/" in pattern:
        try:
            network = ipaddress.ip_network(pattern, strict=False)
        except ValueError:
            return False
        return address is not None and address in network
    name, wanted = _with_port(pattern)
    if not name or (wanted and wanted != str(port)):
        return False
    alone = _address(name)
    if alone is not None:
        return address == alone
    suffix = name.removeprefix("*")
    return host.endswith(suffix) if suffix.startswith(".") else host == suffix or host.endswith(f".{suffix}")


def _with_port(pattern: str) -> tuple[str, str]:
    """`name`, `name:port`, `[v6]:port` as name and port."""
    if pattern.startswith("["):
        name, _, rest = pattern[1:].partition("]")
        return name, rest.removeprefix(":")
    if pattern.count(":") == 1:
        name, _, port = pattern.partition(":")
        return name, port
    return pattern, ""


def _address(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _split(url: str) -> SplitResult | None:
    try:
        found = urlsplit(url)
        _ = found.port
    except ValueError:
        return None
    if found.password:
        keep(found.password, unquote(found.password))
        keep(base64.b64encode(f"{unquote(found.username or '')}:{unquote(found.password)}".encode()))
    return found
