"""Reading what the tree script printed into a `ConfigTree`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from adapters.ssh.client.discovery import facts_of
from adapters.ssh.client.ports import ConfigTree, FileFacts, Includes
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
    files: dict[str, bytes] = field(default_factory=dict)
    facts: dict[str, FileFacts] = field(default_factory=dict)
    expanded: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)

    def take(self, rest: bytes, marker: str) -> None:
        """Add one answer of the script."""
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
                    facts = facts_of(fields[1], fields[2], path, digest, self.root)
                    if len(data) != min(facts.size, MAXIMUM_FILE):
                        raise NotWhole(f"the file {clean(path)} did not arrive whole")
                    self.files[path], self.facts[path] = data, facts
                paths.append(path)
            elif fields[0] == "D":
                paths.append(fields[1])
            elif fields[0] in ("U", "X"):
                self.unreadable[fields[1]] = UNREADABLE if fields[0] == "U" else OUTSIDE
                paths.append(fields[1])
        self._expand(glob, paths)

    def _expand(self, glob: str, paths: list[str]) -> None:
        if glob:
            self.expanded[glob] = tuple(paths)

    def missing(self, globs: Iterable[str]) -> list[str]:
        """Those of these globs that are not fetched yet."""
        return [glob for glob in dict.fromkeys(globs) if glob not in self.expanded]

    def mains(self, named: Sequence[str]) -> tuple[str, ...]:
        """The main files that are there and readable, in their order."""
        real = dict.fromkeys(path for main in named for path in self.expanded.get(main, ()))
        return tuple(path for path in real if path in self.files)

    def named_by(self, mains: Sequence[str], globs: Iterable[str], includes: Includes) -> list[str]:
        """All globs that the main files lead to, with those named beside them, as far as files are fetched."""
        found = dict.fromkeys(globs)
        waiting, seen = list(mains), set(mains)
        while waiting:
            level, waiting = waiting, []
            for path in level:
                found |= dict.fromkeys(includes(mains[0], path, self.files[path]))
            for glob in found:
                fresh = [path for path in self.expanded.get(glob, ()) if path in self.files and path not in seen]
                seen |= {*fresh}
                waiting += fresh
        return list(found)

    def tree(self, mains: Sequence[str], asked: Sequence[str], globs: Sequence[str]) -> ConfigTree:
        """What the main files, asked for as `asked`, and these globs lead to; what was fetched beside that is left
        out."""
        expanded = {glob: self.expanded[glob] for glob in (*asked, *globs) if glob in self.expanded}
        paths = dict.fromkeys(path for found in expanded.values() for path in found)
        return ConfigTree(
            tuple(mains),
            {path: self.files[path] for path in paths if path in self.files},
            expanded,
            {path: self.facts[path] for path in paths if path in self.facts},
            {path: self.unreadable[path] for path in paths if path in self.unreadable},
        )
