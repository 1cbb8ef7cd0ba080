"""Which headers may be shown with their values. All others may carry a key: people put keys under any name."""

from __future__ import annotations

import re

_NAMES = """
    accept acceptcharset acceptencoding acceptlanguage acceptranges age allow altsvc cachecontrol connection
    contentdisposition contentencoding contentlanguage contentlength contentlocation contentrange contenttype
    contentsecuritypolicy crossoriginembedderpolicy crossoriginopenerpolicy crossoriginresourcepolicy
    customframeoptionsvalue date dnt earlydata etag expect expires forwarded from grpctimeout host ifmatch
    ifmodifiedsince ifnonematch ifrange ifunmodifiedsince keepalive lastmodified location maxforwards origin
    permissionspolicy pragma priority publickeypins range referer referrerpolicy retryafter server servertiming
    ssecustomeralgorithm stricttransportsecurity te timingalloworigin traceparent tracestate trailer
    transferencoding upgrade upgradeinsecurerequests useragent vary via warning xbackend xcache
    xcontenttypeoptions xdnsprefetchcontrol xframeoptions xpoweredby xrealip xrequestid xrequestedwith
    xrequeststart xrobotstag xserver xupstream xversion xxssprotection xcanary xenvironment xmodel xregion
    xroute xshard xtenant xtier xservedby
"""
_HARMLESS = frozenset(_NAMES.split())
_HARMLESS_BEGINNINGS = ("accesscontrol", "ratelimit", "secfetch", "xb3", "xenvoy", "xforwarded", "xratelimit")
_RANDOM = re.compile(r"(?=[^\s]*\d)(?=[^\s]*[A-Za-z])[A-Za-z0-9+/_=.~-]{16,}")


def shows_its_value(name: str) -> bool:
    """True for a header that is known to carry no secret."""
    bare = re.sub(r"[^a-z0-9]", "", name.lower())
    return bare in _HARMLESS or bare.startswith(_HARMLESS_BEGINNINGS)


def looks_secret(value: str) -> bool:
    """True for a value that looks made by chance: 16 characters or more without a blank, letters and digits."""
    return _RANDOM.fullmatch(value) is not None
