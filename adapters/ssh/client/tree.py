"""Reading what the tree script printed into a `ConfigTree`, level by level."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from adapters.ssh.client.ports import ConfigTree, FileFacts
from control.errors import PlatformError
from control.text import clean

MAXIMUM_FILE = 4 * 1024 * 1024
"""Bytes of one file that are read at most."""
UNREADABLE = "not readable for this user"
OUTSIDE = "outside the proxy's own tree"


class NotWhole(PlatformError):
    """The answer is not what the script printed, or a file was written while it was read: reading again may do."""


@dataclass(slots=True)
class TreeParts:
    """The tree while it is fetched."""

    root: bool = False
    """Whether we may write as root."""
    mains: tuple[str, ...] = ()
    files: dict[str, bytes] = field(default_factory=dict)
    facts: dict[str, FileFacts] = field(default_factory=dict)
    expanded: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    def take(self, answer: tuple[bytes, str]) -> list[str]:
        """Add one answer of the script (its output and marker); returns the paths that are new."""
        rest, marker = answer
        fresh: list[str] = []
        glob, paths = "", list[str]()
        while rest:
            line, _, rest = rest.partition(b"\n")
            text = line.decode("utf-8", "surrogateescape")
            fields = text.split("\t", 3 if text.startswith("F\t") else 1)
            if fields[0] in ("G", "D", "U", "X") and len(fields) < 2:
                raise NotWhole("the list of configuration files did not arrive whole")
            if fields[0] == "G":
                self._expand(glob, paths)
                glob, paths = fields[1], []
            elif fields[0] == "F" and len(fields) == 4:
                data, mark, rest = rest.partition(f"\n{marker}\n".encode())
                if not mark:
                    raise NotWhole("a configuration file did not arrive whole")
                path = fields[3]
                if path not in self.files:
                    digest = hashlib.sha256(data).hexdigest()
                    facts = self.facts_of(fields[1], fields[2], path, digest, self.root)
                    if len(data) != min(facts.size, MAXIMUM_FILE):
                        raise NotWhole(f"the file {clean(path)} did not arrive whole")
                    fresh.append(path)
                    self.files[path], self.facts[path] = data, facts
                paths.append(path)
            elif fields[0] == "D":
                paths.append(fields[1])
            elif fields[0] in ("U", "X"):
                self.unreadable[fields[1]] = UNREADABLE if fields[0] == "U" else OUTSIDE
                paths.append(fields[1])
        self._expand(glob, paths)
        return fresh

    def _expand(self, glob: str, paths: list[str]) -> None:
        if glob:
            self.expanded[glob] = tuple(paths)

    def tree(self) -> ConfigTree:
        return ConfigTree(self.mains, self.files, self.expanded, self.facts, self.unreadable)

    @staticmethod
    def facts_of(stat: str, writable: str, path: str, sha256: str, root: bool) -> FileFacts:
        """Facts from `stat -c '%s %a %U %G %.6Y %.6Z'`; user and group names hold no spaces."""
        size, mode, owner, group, mtime, ctime = (stat.split(" ") + [""] * 6)[:6]
        return FileFacts(
            path=path,
            sha256=sha256,
            size=int(size) if size.isdigit() else 0,
            owner=owner,
            group=group,
            mode=mode,
            mtime=_number(mtime),
            ctime=_number(ctime),
            writable=root or writable == "1",
        )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
