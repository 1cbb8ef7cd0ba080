"""Who else writes a configuration file, by the comments at its head."""

from __future__ import annotations

import re
from functools import lru_cache

from adapters.ssh.proxies.spans import text
from control.model import Owner, OwnerRole
from control.text import clean

_HEAD = 4096
_TOOLS = {
    "ansible": ("ansible", "the playbook or its variables"),
    "puppet": ("puppet", "the manifest or its data"),
    "chef": ("chef", "the cookbook or its attributes"),
    "salt": ("salt", "the state or its pillar"),
    "saltstack": ("salt", "the state or its pillar"),
    "terraform": ("terraform", "the Terraform configuration"),
    "cfengine": ("cfengine", "the policy"),
    "confd": ("confd", "the keys that confd reads"),
    "consul-template": ("consul-template", "the template or its keys"),
}
_MANAGED = re.compile(
    r"(?i)(?:managed|generated|maintained|controlled|written|created)\s+(?:by|with|via|through|using)\s+(\S+)"
)
_DATA_PLANE = re.compile(r"(?m)^# _(?:version|md5hash)=")


def owners(data: bytes) -> tuple[Owner, ...]:
    """The owners that the first comment lines of a file name: configuration management, or HAProxy's Data Plane API."""
    return _of_head(data[:_HEAD])


@lru_cache(maxsize=256)
def _of_head(data: bytes) -> tuple[Owner, ...]:
    head = text(data)
    comments = [line for line in head.splitlines() if line.lstrip("\ufeff \t").startswith("#")]
    found: list[Owner] = []
    if _DATA_PLANE.search(head):
        found.append(
            Owner(
                "dataplaneapi",
                "HAProxy Data Plane API",
                OwnerRole.DRIVER,
                found_by="the comment '# _version=' at the head of the file",
                reverts=True,
                edit_instead="its API",
            )
        )
    for line in comments:
        match = _MANAGED.search(line)
        word = match[1].strip(".,:;!()").lower() if match else "ansible" if "ansible managed" in line.lower() else ""
        if word in _TOOLS and not any(owner.kind == _TOOLS[word][0] for owner in found):
            kind, instead = _TOOLS[word]
            by = f"the comment '{clean(line.strip(), 120)}'"
            found.append(Owner(kind, kind, OwnerRole.DECLARED, found_by=by, edit_instead=instead))
    return tuple(found)
