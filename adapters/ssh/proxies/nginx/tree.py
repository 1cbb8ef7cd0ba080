"""nginx directives with their spans over a tree of files, includes followed where they stand."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from adapters.ssh.client.ports import ConfigTree
from adapters.ssh.proxies.nginx.lexer import NginxSyntaxError, Token, TokenKind, tokenize
from adapters.ssh.proxies.spans import BOM, line_of, text

_DEEPEST_INCLUDE = 16
_MARK = text(BOM)
_TABLES = frozenset({"map", "geo", "types", "charset_map"})
"""Blocks whose lines are entries, not directives: nginx takes any first word there."""


@dataclass(frozen=True, slots=True, eq=False)
class Directive:
    """One directive. `positions` are those of its words in the file's token list (comments may stand between)."""

    words: tuple[Token, ...]
    values: tuple[str, ...]
    """The words as nginx reads them."""
    positions: tuple[int, ...]
    children: tuple[Directive, ...] | None
    path: str
    line: int

    @property
    def name(self) -> str:
        return self.values[0]

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.values[1:]

    @property
    def location(self) -> str:
        return f"{self.path}:{self.line}"


@lru_cache(maxsize=256)
def parse(path: str, data: bytes) -> tuple[Directive, ...]:
    """The directives of one file. Raises `NginxSyntaxError` with the line."""
    tokens = tokenize(data, path)
    directives, position = _block(path, data, tokens, 0, None)
    assert position == len(tokens)
    return directives


def _block(
    path: str, data: bytes, tokens: Sequence[Token], position: int, opened: Token | None
) -> tuple[tuple[Directive, ...], int]:
    """Directives up to the closing brace (or the end of the file), and the position after it."""
    found: list[Directive] = []
    words: list[Token] = []
    positions: list[int] = []
    while position < len(tokens):
        token = tokens[position]
        position += 1
        match token.kind:
            case TokenKind.WORD:
                words.append(token)
                positions.append(position - 1)
            case TokenKind.END | TokenKind.OPEN:
                if not words:
                    raise _error(path, data, token, f"unexpected '{token.kind.value}'")
                children = None
                if token.kind is TokenKind.OPEN:
                    children, position = _block(path, data, tokens, position, token)
                line = line_of(data, words[0].start)
                found.append(
                    Directive(tuple(words), tuple(w.value for w in words), tuple(positions), children, path, line)
                )
                words, positions = [], []
            case TokenKind.CLOSE:
                if words or opened is None:
                    raise _error(path, data, token, "unexpected '}'")
                return tuple(found), position
    if words:
        raise _error(path, data, words[0], "a directive has no ';' at its end")
    if opened is not None:
        raise _error(path, data, opened, "a block is opened and never closed")
    return tuple(found), position


def _error(path: str, data: bytes, token: Token, what: str) -> NginxSyntaxError:
    return NginxSyntaxError(f"{path}:{line_of(data, token.start)}: {what}")


def include_globs(main: str, path: str, data: bytes) -> list[str]:
    """Absolute globs of the files that `path` includes; relative ones count from the folder of the main file."""
    found: list[str] = []

    def visit(directives: Sequence[Directive]) -> None:
        for directive in directives:
            if directive.name == "include" and len(directive.words) == 2:
                found.append(absolute(main, directive.arguments[0]))
            if directive.children:
                visit(directive.children)

    visit(parse(path, data))
    return found


def absolute(main: str, pattern: str) -> str:
    """An include's pattern as nginx takes it: relative to the folder of the main file."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(main), pattern))


def tree_of(config: ConfigTree) -> NginxTree:
    """The tree of these files. Hosts with the same files share one, and all that is worked out of it.

    Raises `NginxSyntaxError`.
    """
    return _tree(config.main, *(tuple(part.items()) for part in (config.files, config.expanded, config.unreadable)))


@lru_cache(maxsize=64)
def _tree(
    main: tuple[str, ...],
    files: tuple[tuple[str, bytes], ...],
    expanded: tuple[tuple[str, tuple[str, ...]], ...],
    unreadable: tuple[tuple[str, str], ...],
) -> NginxTree:
    return NginxTree(ConfigTree(main, dict(files), dict(expanded), unreadable=dict(unreadable)))


class NginxTree:
    """A configuration as nginx sees it: `children` gives directives with every include replaced by what it holds."""

    def __init__(self, tree: ConfigTree) -> None:
        """Parse every file. Raises `NginxSyntaxError`."""
        self.tree = tree
        self.main = tree.main[0]
        self._parsed = {path: parse(path, data) for path, data in self._reached(tree)}
        if any(tree.files[path].startswith(BOM) for path in self._parsed):
            self._refuse_marks(self.children())

    def _reached(self, tree: ConfigTree) -> Iterator[tuple[str, bytes]]:
        """Files that the main file leads to: others (access lists, keys, backups) are not ours to read."""
        waiting, seen = [self.main], set[str]()
        while waiting:
            path = waiting.pop()
            data = tree.files.get(path)
            if path in seen or data is None:
                continue
            seen.add(path)
            yield path, data
            for glob in include_globs(self.main, path, data):
                waiting.extend(self.matching(glob))

    def matching(self, glob: str) -> tuple[str, ...]:
        """The real paths that a glob names, in nginx's order: sorted; `*` takes no leading dot and no slash."""
        known = self.tree.expanded.get(glob)
        if known is not None:
            return known
        return tuple(sorted(path for path in self.tree.files if _matches(path, glob)))

    def children(self, directive: Directive | None = None, depth: int = 0) -> Iterator[Directive]:
        """The directives of a block (None: of the whole configuration), includes replaced by what they hold."""
        inside = self._parsed.get(self.main, ()) if directive is None else directive.children or ()
        yield from self._expanded(inside, depth)

    def _expanded(self, directives: Sequence[Directive], depth: int) -> Iterator[Directive]:
        for directive in directives:
            if directive.name != "include" or len(directive.words) != 2:
                yield directive
                continue
            if depth >= _DEEPEST_INCLUDE:
                raise NginxSyntaxError(f"{directive.location}: includes lead in a circle")
            for path in self.matching(absolute(self.main, directive.arguments[0])):
                yield from self._expanded(self._parsed.get(path, ()), depth + 1)

    def _refuse_marks(self, directives: Iterator[Directive]) -> None:
        for directive in directives:
            if directive.name.startswith(_MARK):
                raise NginxSyntaxError(f"{directive.location}: it begins with a byte order mark, which nginx refuses")
            if directive.children is not None and directive.name not in _TABLES:
                self._refuse_marks(self.children(directive))

    def unread(self) -> list[str]:
        """Paths that the configuration includes and that could not be read."""
        return sorted(self.tree.unreadable)

    def blocks(self, name: str, inside: Directive | None = None) -> Iterator[Directive]:
        """The blocks called `name` directly inside a block."""
        return (d for d in self.children(inside) if d.name == name and d.children is not None)

    def section(self, name: str) -> Iterator[Directive]:
        """All directives directly inside `http` or `stream`."""
        for block in self.blocks(name):
            yield from self.children(block)

    def http(self) -> Iterator[Directive]:
        """All directives directly inside `http`."""
        yield from self.section("http")


def _matches(path: str, glob: str) -> bool:
    parts, patterns = path.split("/"), glob.split("/")
    if len(parts) != len(patterns):
        return False
    return all(
        fnmatch.fnmatchcase(part, pattern) and (not part.startswith(".") or pattern.startswith("."))
        for part, pattern in zip(parts, patterns, strict=True)
    )
