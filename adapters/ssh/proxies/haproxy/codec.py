"""The HAProxy codec: backends, server limits and request limits, in files and at runtime."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.ssh.client.ports import ConfigTree
from adapters.ssh.proxies.file_owners import owners
from adapters.ssh.proxies.haproxy import backend as haproxy_backend
from adapters.ssh.proxies.haproxy import maxconn as haproxy_maxconn
from adapters.ssh.proxies.haproxy import proxy_limits as haproxy_proxy_limits
from adapters.ssh.proxies.haproxy import request_limit as haproxy_request_limit
from adapters.ssh.proxies.haproxy.config import Config, base, resolve, state_file_name
from adapters.ssh.proxies.haproxy.lines import SECTIONS, lines, sections
from adapters.ssh.proxies.haproxy.map import map_names
from adapters.ssh.proxies.haproxy.mask import mask
from adapters.ssh.proxies.haproxy.reach import matches
from adapters.ssh.proxies.haproxy.runtime import Running
from adapters.ssh.proxies.haproxy.writes import answers_after, native_edits
from adapters.ssh.proxies.protocol import HostFacts, NativeEdit, Runtime, object_name
from control.errors import PlatformError
from control.model import Limit, Route
from control.planning.edit import Change
from control.structs import replace
from control.text import clean


class HAProxyCodec:
    """See `adapters.ssh.proxies.protocol.Codec`."""

    language = "haproxy"

    def includes(self, main: str, path: str, data: bytes) -> list[str]:
        """The map files and the state file that a configuration file names."""
        try:
            if not any(line.values[0] in SECTIONS for line in lines(path, data)):
                return []
            found = sections([(path, data)])
        except PlatformError:
            return []
        names = [*map_names(found), state_file_name(found)]
        return [resolve(main, name) for name in names if name and not any(c in name for c in "*?[$%")]

    def read(self, tree: ConfigTree, runtime: Runtime | None, facts: HostFacts) -> tuple[list[Route], list[Limit]]:
        config = Config(tree, runtime)
        running = config.running
        defined = config.definitions()
        paths = {*tree.main, *(d.path for d in defined)}
        bases = {path: base(config, path, runtime, running) for path in paths if path in tree.files}
        answers = runtime.answers if runtime else {}
        routes = haproxy_backend.read(config.backends, running, facts, bases, matches(config.sections, config.map_data))
        limits = haproxy_maxconn.read(config.backends, running, facts, bases)
        limits += haproxy_request_limit.read(facts, bases, defined, answers, config.map_data)
        kinds = (haproxy_maxconn.KIND, haproxy_request_limit.KIND)
        limits += haproxy_proxy_limits.read(config.sections, running, facts, bases, config.map_data, kinds)
        extra = _notes(runtime, running)
        owned = {object_name(facts, path): owners(tree.files[path]) for path in bases}
        routes = [replace(route, notes=route.notes + extra, owners=owned[route.object]) for route in routes]
        limits = [replace(limit, notes=limit.notes + extra, owners=owned[limit.object]) for limit in limits]
        return routes, limits

    def edit(
        self, tree: ConfigTree, changes: Sequence[Change], facts: HostFacts, runtime: Runtime | None
    ) -> list[NativeEdit]:
        config = Config(tree, runtime)
        return native_edits(config, changes, runtime, config.running)

    def base(self, tree: ConfigTree, path: str, runtime: Runtime | None) -> str:
        config = Config(tree, runtime)
        return base(config, path, runtime, config.running)

    def after(self, tree: ConfigTree, edit: NativeEdit, runtime: Runtime | None) -> tuple[ConfigTree, Runtime | None]:
        files = {**tree.files, **edit.also, **({edit.path: edit.data} if edit.data is not None else {})}
        later = replace(tree, files=files)
        if runtime is None or not runtime.answers:
            return later, runtime
        return later, replace(runtime, answers=answers_after(Config(later, runtime), edit, runtime))

    def mask(self, path: str, data: bytes, comments: bool = True) -> str:
        return mask(path, data, comments)


def _notes(runtime: Runtime | None, running: Running) -> tuple[str, ...]:
    notes = []
    if not running.known:
        why = clean(runtime.why_not) if runtime and runtime.why_not else "no stats socket"
        notes.append(f"running values are not known ({why}): these are the file's")
    return tuple(notes)
