"""The nginx codec: upstreams and limits read from, and edited in, a tree of files."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.ssh.client.ports import ConfigTree
from adapters.ssh.proxies.also_fed import also_fed
from adapters.ssh.proxies.masking import (
    COMMENT,
    MASK,
    is_value,
    mask_comment,
    mask_schemes,
    mask_unread,
    names_secret,
    sets_nginx_header,
)
from adapters.ssh.proxies.nginx import limit_conn as nginx_limit_conn
from adapters.ssh.proxies.nginx import limit_req as nginx_limit_req
from adapters.ssh.proxies.nginx import max_conns as nginx_max_conns
from adapters.ssh.proxies.nginx import server_edits as nginx_server_edits
from adapters.ssh.proxies.nginx import split as nginx_split
from adapters.ssh.proxies.nginx import upstream as nginx_upstream
from adapters.ssh.proxies.nginx.lexer import NginxSyntaxError, Token, TokenKind, tokenize
from adapters.ssh.proxies.nginx.log import logs
from adapters.ssh.proxies.nginx.tree import NginxTree, include_globs, tree_of
from adapters.ssh.proxies.protocol import HostFacts, NativeEdit, Runtime, base_of
from adapters.ssh.proxies.spans import FileEdit, TokenEdit, apply_edits, text
from control.errors import InvalidValue
from control.model import Limit, Route
from control.planning.edit import Change
from control.structs import replace
from control.text import clean, clean_lines


class NginxCodec:
    """See `adapters.ssh.proxies.protocol.Codec`."""

    language = "nginx"

    def includes(self, main: str, path: str, data: bytes) -> list[str]:
        return include_globs(main, path, data)

    def read(self, tree: ConfigTree, runtime: Runtime | None, facts: HostFacts) -> tuple[list[Route], list[Limit]]:
        parsed = tree_of(tree)
        workers = len((runtime or facts).workers.serving) or None
        extra = _notes(parsed, runtime)
        named = facts.access_log or facts.proxy.access_log
        addresses = nginx_upstream.addresses_of(runtime.answers if runtime else {})
        routes = nginx_upstream.read(parsed, tree, facts, workers, _unseen(parsed, named) + extra, addresses)
        routes += nginx_split.read(parsed, tree, facts, extra)
        limits = nginx_limit_req.read(parsed, tree, facts)
        limits += nginx_limit_conn.read(parsed, tree, facts)
        limits += nginx_max_conns.read(parsed, tree, facts, workers)
        if extra:
            limits = [replace(limit, notes=limit.notes + extra) for limit in limits]
        return routes, limits

    def edit(
        self, tree: ConfigTree, changes: Sequence[Change], facts: HostFacts, runtime: Runtime | None
    ) -> list[NativeEdit]:
        parsed = tree_of(tree)
        by_path: dict[str, list[FileEdit]] = {}
        for group in _groups(changes):
            for edit in _token_edits(parsed, group):
                by_path.setdefault(edit.path, []).append(edit)
        made = [self._native(tree, path, edits, runtime) for path, edits in by_path.items()]
        asked = {change.ref for change in changes}
        told, now = list[NativeEdit](), tree
        for one in made:
            before = self.read(now, None, facts)
            now, _ = self.after(now, one, None)
            others = also_fed(before, self.read(now, None, facts), asked)
            told.append(replace(one, warnings=(*one.warnings, *others)))
        return told

    def _native(self, tree: ConfigTree, path: str, edits: list[FileEdit], runtime: Runtime | None) -> NativeEdit:
        data = tree.files[path]
        tokens = tokenize(data, path)
        new = apply_edits(data, tokens, _merged(tokens, edits), tokenize)
        changes = dict.fromkeys(change for edit in edits for change in edit.changes)
        pending = runtime.pending if runtime else ()
        loses = tuple(
            f"{clean(name)} was changed on disk since nginx last read it: this goes live too" for name in pending
        )
        return NativeEdit(path, tuple(changes), data=new, needs_reload=True, loses=loses)

    def base(self, tree: ConfigTree, path: str, runtime: Runtime | None) -> str:
        return base_of(tree.files[path])

    def after(self, tree: ConfigTree, edit: NativeEdit, runtime: Runtime | None) -> tuple[ConfigTree, Runtime | None]:
        if edit.data is None:
            return tree, runtime
        return replace(tree, files={**tree.files, edit.path: edit.data}), runtime

    def mask(self, path: str, data: bytes, comments: bool = True) -> str:
        try:
            tokens = tokenize(data, path)
        except NginxSyntaxError:
            return clean_lines(mask_unread(text(data), comments))
        out, position, secret, secret_map = list[str](), 0, False, False
        words: list[str] = []
        for token in tokens:
            out.append(text(data[position : token.start]))
            out.append(_masked(token, secret or secret_map, comments))
            position = token.end
            if token.kind is TokenKind.WORD:
                words.append(token.value)
                plain = not token.value.startswith("$") or words[0] == "set"
                secret = secret or (plain and names_secret(token.value)) or sets_nginx_header(words)
            elif token.kind is not TokenKind.COMMENT:
                if token.kind is TokenKind.OPEN:
                    secret_map = words[:1] == ["map"] and any(map(names_secret, words))
                elif token.kind is TokenKind.CLOSE:
                    secret_map = False
                secret, words = False, []
        out.append(text(data[position:]))
        return clean_lines("".join(out).replace("\r\n", "\n"))


def _masked(token: Token, secret: bool, comments: bool) -> str:
    raw = text(token.raw)
    if token.kind is TokenKind.COMMENT:
        return mask_comment(raw) if comments else COMMENT
    if token.kind is TokenKind.WORD and secret and is_value(raw):
        return MASK
    return mask_schemes(raw)


def _unseen(parsed: NginxTree, named: str | None) -> tuple[str, ...]:
    return () if logs(parsed, named) else ("not observable: no access log with $upstream_addr in its format",)


def _notes(parsed: NginxTree, runtime: Runtime | None) -> tuple[str, ...]:
    notes = [f"{clean(path)} could not be read: what it holds is not shown" for path in parsed.unread()]
    if runtime and runtime.pending:
        names = ", ".join(clean(path) for path in runtime.pending)
        notes.append(f"changed on disk and not yet loaded: {names}")
    return tuple(notes)


def _merged(tokens: Sequence[Token], edits: Sequence[FileEdit]) -> list[TokenEdit]:
    """One edit for each token: one place may feed two rows, and a word may be put behind one that is edited."""
    found: dict[int, TokenEdit] = {}
    for edit in (one.edit for one in edits):
        known = found.setdefault(edit.index, edit)
        if known == edit:
            continue
        raw = tokens[edit.index].raw
        if raw not in (known.raw, edit.raw) and known.raw != edit.raw:
            ref = next(str(one.changes[0].ref) for one in edits if one.edit is edit)
            raise InvalidValue("two of these edits want different values in one place", ref=ref)
        new = edit.raw if known.raw == raw else known.raw
        found[edit.index] = TokenEdit(edit.index, new, (*known.after, *edit.after), max(known.skip, edit.skip))
    return list(found.values())


def _groups(changes: Sequence[Change]) -> list[list[Change]]:
    """Changes of one route or limit together, in the order in which they came."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(str(change.ref), []).append(change)
    return list(groups.values())


def _token_edits(parsed: NginxTree, changes: Sequence[Change]) -> list[FileEdit]:
    kind = changes[0].ref.kind
    if kind == nginx_upstream.KIND:
        return nginx_server_edits.edits(parsed, changes)
    if kind == nginx_split.KIND:
        return nginx_split.edits(parsed, changes)
    if kind == nginx_max_conns.KIND:
        return nginx_max_conns.edits(parsed, changes)
    if kind == nginx_limit_req.KIND:
        return nginx_limit_req.edits(parsed, changes)
    if kind == nginx_limit_conn.KIND:
        return nginx_limit_conn.edits(parsed, changes)
    raise InvalidValue(f"nginx has no kind '{kind}'", ref=str(changes[0].ref))
