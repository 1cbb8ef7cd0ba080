"""The Caddy codec: reverse proxies read from, and edited in, a tree of Caddyfiles."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.common.headers import shows_its_value
from adapters.ssh.client.ports import ConfigTree
from adapters.ssh.proxies.also_fed import also_fed
from adapters.ssh.proxies.caddy import json_config, reverse_proxy, running
from adapters.ssh.proxies.caddy.lexer import CaddySyntaxError, Token, tokenize
from adapters.ssh.proxies.caddy.processes import process_of, resumes
from adapters.ssh.proxies.caddy.tree import include_globs, tree_of
from adapters.ssh.proxies.masking import (
    COMMENT,
    MASK,
    mask_comment,
    mask_schemes,
    mask_unread,
    names_secret,
)
from adapters.ssh.proxies.protocol import HostFacts, NativeEdit, Runtime, base_of
from adapters.ssh.proxies.spans import FileEdit, TokenEdit, apply_edits, text
from control.errors import InvalidValue
from control.model import Limit, Route
from control.planning.edit import Change
from control.structs import replace
from control.text import clean, clean_lines

_SECRET = frozenset({"basic_auth", "basicauth", "dns", "acme_dns", "eab", "acme_eab", "storage", "client_secret"})
"""Directives whose words, in their block too, are secrets or hashes of secrets."""
_HEADERS = frozenset({"header", "header_up", "header_down", "request_header"})


class CaddyCodec:
    """See `adapters.ssh.proxies.protocol.Codec`."""

    language = "caddy"

    def includes(self, main: str, path: str, data: bytes) -> list[str]:
        return include_globs(path, data)

    def read(self, tree: ConfigTree, runtime: Runtime | None, facts: HostFacts) -> tuple[list[Route], list[Limit]]:
        parsed, now = tree_of(tree), running.parse(runtime)
        notes: tuple[str, ...] = ()
        if runtime is not None and not now.known:
            notes = (f"running values are not known ({clean(runtime.why_not)}): these are the file's",)
        process = process_of(facts.proxy, facts.processes or ())
        closed = "this Caddy runs with --resume: it takes what its API was told last, not this file"
        return reverse_proxy.read(parsed, now, facts, notes, closed if resumes(process) else ""), []

    def edit(
        self, tree: ConfigTree, changes: Sequence[Change], facts: HostFacts, runtime: Runtime | None
    ) -> list[NativeEdit]:
        parsed = tree_of(tree)
        by_path: dict[str, list[FileEdit]] = {}
        for edit in reverse_proxy.edits(parsed, changes):
            by_path.setdefault(edit.path, []).append(edit)
        made = [self._native(tree, path, edits) for path, edits in by_path.items()]
        told, now = list[NativeEdit](), tree
        asked = {change.ref for change in changes}
        for one in made:
            before = self.read(now, None, facts)
            now, _ = self.after(now, one, None)
            after = self.read(now, None, facts)
            self._refuse_nothing(after[0], one)
            told.append(replace(one, loses=self._loses(tree, runtime), warnings=also_fed(before, after, asked)))
        return told

    def _native(self, tree: ConfigTree, path: str, edits: list[FileEdit]) -> NativeEdit:
        tokens = reverse_proxy.words_of(tree.files[path], path)
        wanted: dict[int, TokenEdit] = {}
        for edit in edits:
            if wanted.setdefault(edit.edit.index, edit.edit) != edit.edit:
                ref = str(edit.changes[0].ref)
                raise InvalidValue("two of these edits want different values in one place", ref=ref)
        new = apply_edits(tree.files[path], tokens, list(wanted.values()), reverse_proxy.words_of)
        changes = dict.fromkeys(change for edit in edits for change in edit.changes)
        return NativeEdit(path, tuple(changes), data=new, needs_reload=True)

    def _refuse_nothing(self, routes: Sequence[Route], edit: NativeEdit) -> None:
        """Caddy refuses weights that are all 0."""
        asked = {change.ref for change in edit.changes}
        for route in routes:
            if route.ref in asked and not any(target.weight for target in route.targets):
                raise InvalidValue("all weights would be 0, which Caddy refuses", ref=str(route.ref))

    def _loses(self, tree: ConfigTree, runtime: Runtime | None) -> tuple[str, ...]:
        """What the reload puts in the place of values that only the running process has."""
        parsed, now = tree_of(tree), running.parse(runtime)
        found = ((proxy, reverse_proxy.differs(parsed, proxy, now)) for proxy in reverse_proxy.reverse_proxies(parsed))
        return tuple(f"{clean(proxy.site)}: {why}; the reload loads the file" for proxy, why in found if why)

    def base(self, tree: ConfigTree, path: str, runtime: Runtime | None) -> str:
        return base_of(tree.files[path])

    def after(self, tree: ConfigTree, edit: NativeEdit, runtime: Runtime | None) -> tuple[ConfigTree, Runtime | None]:
        """The running process is not asked what it will say: its rows are the file's."""
        files = tree.files if edit.data is None else {**tree.files, edit.path: edit.data}
        return replace(tree, files=files), None

    def mask(self, path: str, data: bytes, comments: bool = True) -> str:
        if json_config.is_json(data):
            return json_config.mask(data)
        try:
            tokens = tokenize(data, path)
        except CaddySyntaxError:
            return clean_lines(mask_unread(text(data), comments))
        out, position, row, words, blocks = list[str](), 0, -1, list[str](), [False]
        for token in tokens:
            out.append(text(data[position : token.start]))
            if token.row != row:
                row, words = token.row, []
            out.append(_masked(token, words, blocks[-1], comments))
            position = token.end
            if token.comment:
                continue
            if token.raw == b"{":
                blocks.append(blocks[-1] or (words[:1] != [] and words[0] in _SECRET))
            elif token.raw == b"}" and len(blocks) > 1:
                blocks.pop()
            words.append(token.value)
        out.append(text(data[position:]))
        return clean_lines("".join(out).replace("\r\n", "\n"))


def _masked(token: Token, words: Sequence[str], secret: bool, comments: bool) -> str:
    """`words` stand before it in its row, `secret`: it stands in a block of secrets."""
    raw = text(token.raw)
    if token.comment:
        return mask_comment(raw) if comments else COMMENT
    if token.raw in (b"{", b"}") or not words:
        return mask_schemes(raw)
    header = words[0] in _HEADERS and len(words) > 1 and not shows_its_value(words[-1].lstrip("+-?>"))
    named = any(names_secret(word) for word in words)
    if (secret or header or named or words[0] in _SECRET) and not raw.lstrip('"`').startswith("{"):
        return MASK
    return mask_schemes(raw)
