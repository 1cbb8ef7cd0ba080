"""A Caddyfile as directives with their spans, and what its imports lead to."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from adapters.ssh.client.ports import ConfigTree
from adapters.ssh.proxies.caddy.json_config import is_json
from adapters.ssh.proxies.caddy.lexer import CaddySyntaxError, Token, tokenize
from adapters.ssh.proxies.caddy.program import ADMIN
from adapters.ssh.proxies.spans import line_of
from control.text import clean

_DEEPEST_IMPORT = 16


@dataclass(frozen=True, slots=True, eq=False)
class Directive:
    """A row of words, with the block that it opens. `positions` are those of its words in the file's token list."""

    words: tuple[str, ...]
    positions: tuple[int, ...]
    children: tuple[Directive, ...] | None
    path: str
    line: int

    @property
    def name(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def location(self) -> str:
        return f"{self.path}:{self.line}"


@lru_cache(maxsize=256)
def parse(path: str, data: bytes) -> tuple[Directive, ...]:
    """The rows of one file. Raises `CaddySyntaxError` with the line."""
    tokens = tokenize(data, path)
    found, position = _rows(path, data, tokens, 0, False)
    assert position == len(tokens)
    return found


def _rows(
    path: str, data: bytes, tokens: Sequence[Token], position: int, inside: bool
) -> tuple[tuple[Directive, ...], int]:
    """Rows up to the closing brace (or the end of the file), and the position after it."""
    found: list[Directive] = []
    while position < len(tokens):
        token = tokens[position]
        if token.comment:
            position += 1
            continue
        if token.raw == b"}":
            if not inside:
                raise CaddySyntaxError(f"{clean(path)}:{line_of(data, token.start)}: a brace closes nothing")
            return tuple(found), position + 1
        taken = _row(tokens, position, inside)
        position, children = taken[-1] + 1, None
        if tokens[taken[-1]].raw == b"{":
            taken = taken[:-1]
            children, position = _rows(path, data, tokens, position, True)
        words = tuple(tokens[one].value for one in taken)
        found.append(Directive(words, taken, children, path, line_of(data, token.start)))
    if inside:
        raise CaddySyntaxError(f"{clean(path)}: a block does not end")
    return tuple(found), position


def _row(tokens: Sequence[Token], first: int, inside: bool) -> tuple[int, ...]:
    """The words of the row that begins here; addresses of a site may go on behind a comma."""
    taken = [first]
    for position in range(first + 1, len(tokens)):
        before, token = tokens[taken[-1]], tokens[position]
        if token.comment:
            continue
        goes_on = token.row == before.row or (not inside and before.raw.endswith(b","))
        if not goes_on or before.raw == b"{" or (token.raw == b"}" and before.row == token.row):
            break
        taken.append(position)
    return tuple(taken)


def include_globs(path: str, data: bytes) -> list[str]:
    """Absolute globs of the files that a file imports; relative ones count from its own folder."""
    if is_json(data):
        return []
    rows = parse(path, data)
    snippets = {row.name[1:-1] for row in rows if _is_snippet(row)}
    named = [row.words[1] for row in _all(rows) if row.name == "import" and len(row.words) > 1]
    return [absolute(path, name) for name in named if name not in snippets and not _has_placeholder(name)]


def absolute(path: str, pattern: str) -> str:
    """An import's pattern as Caddy takes it."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), pattern))


def _has_placeholder(word: str) -> bool:
    return "{" in word


def _is_snippet(row: Directive) -> bool:
    return len(row.words) == 1 and row.name.startswith("(") and row.name.endswith(")") and row.children is not None


def _all(rows: Sequence[Directive]) -> Iterator[Directive]:
    for row in rows:
        yield row
        yield from _all(row.children or ())


@dataclass(frozen=True, slots=True)
class Site:
    """A block of directives: those of some addresses, or of a snippet, `(name)`."""

    addresses: tuple[str, ...]
    directives: tuple[Directive, ...]


class CaddyTree:
    """The files of one Caddyfile, imports followed."""

    def __init__(self, config: ConfigTree) -> None:
        self.config = config
        self.json = next((path for path in config.main if is_json(config.files.get(path, b""))), None)
        """The main file, where it is JSON and no Caddyfile; then there is nothing else here."""
        mains = [path for path in config.main if path in config.files and self.json is None]
        rows = [row for path in mains for row in self._followed(path, 0)]
        self.options = next((row for row in rows if not row.words and row.children is not None), None)
        self.sites = tuple(_sites([row for row in rows if row.words]))
        self.snippets = frozenset(site.addresses[0] for site in self.sites if site.addresses[0].startswith("("))

    def _followed(self, path: str, depth: int) -> Iterator[Directive]:
        """The top rows of a file, those of files that it imports there in their place."""
        for row in parse(path, self.config.files[path]):
            files = self.imported(row)
            if files is None or row.children is not None or depth == _DEEPEST_IMPORT:
                yield row
            else:
                for file in files:
                    yield from self._followed(file, depth + 1)

    def imported(self, row: Directive) -> tuple[str, ...] | None:
        """The files of an `import`; None for another directive, and for one that no file stands for."""
        if row.name != "import" or len(row.words) < 2 or _has_placeholder(row.words[1]):
            return None
        files = self.config.expanded.get(absolute(row.path, row.words[1]), ())
        return tuple(file for file in files if file in self.config.files) or None

    def inside(self, directives: Sequence[Directive], depth: int = 0) -> Iterator[Directive]:
        """Directives with those of imported files in their place."""
        for row in directives:
            files = self.imported(row)
            if files is None or depth == _DEEPEST_IMPORT:
                yield row
            else:
                for file in files:
                    yield from self.inside(parse(file, self.config.files[file]), depth + 1)

    def users(self, snippet: str) -> tuple[Site, ...]:
        """The sites that import a snippet, `(name)`."""
        name = snippet[1:-1]

        def imports(site: Site) -> bool:
            return any(row.name == "import" and name in row.words[1:2] for row in _all(site.directives))

        return tuple(site for site in self.sites if imports(site))

    @property
    def admin(self) -> str | None:
        """Where the admin endpoint listens, as `HostReader.ask` takes it; None where it is off or not understood."""
        if self.json:
            listen = json.loads(self.config.files[self.json]).get("admin") or {}
            return None if listen.get("disabled") else _socket(str(listen.get("listen") or ADMIN))
        rows = [row for row in (self.options.children or () if self.options else ()) if row.name == "admin"]
        return _socket(rows[-1].words[1]) if rows and len(rows[-1].words) > 1 else ADMIN


def _sites(rows: Sequence[Directive]) -> Iterator[Site]:
    """A file without braces is one site: its addresses, then its directives."""
    if rows and rows[0].children is None and not rows[0].name.startswith("("):
        yield Site(_addresses(rows[0]), tuple(rows[1:]))
        return
    for row in rows:
        if row.children is not None:
            yield Site(_addresses(row), row.children)


def _addresses(row: Directive) -> tuple[str, ...]:
    return tuple(word for words in row.words for word in words.split(",") if word) or ("*",)


def _socket(listen: str) -> str | None:
    if listen.startswith("unix/"):
        return listen.removeprefix("unix/").partition("|")[0]
    host, mark, port = listen.removeprefix("tcp/").rpartition(":")
    if not mark or not port.isdigit():
        return None
    host = host.strip("[]")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def tree_of(config: ConfigTree) -> CaddyTree:
    """The tree of these files; hosts with the same files share one. Raises `CaddySyntaxError`."""
    return _tree(config.main, tuple(config.files.items()), tuple(config.expanded.items()))


@lru_cache(maxsize=64)
def _tree(
    main: tuple[str, ...], files: tuple[tuple[str, bytes], ...], expanded: tuple[tuple[str, tuple[str, ...]], ...]
) -> CaddyTree:
    return CaddyTree(ConfigTree(main, dict(files), dict(expanded)))
