"""Writes one environment of hosts: each step by its proxy's driver, on what the step was prepared on."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from adapters.ssh.client.ports import HostWriter
from adapters.ssh.proxies.protocol import Step
from adapters.ssh.reader import SshReader
from adapters.ssh.sources import WritableHosts
from control.errors import PlatformError, Stale
from control.ports import Prepared, Written


class SshWriter:
    """`control.ports.Writer` of one environment of hosts."""

    def __init__(self, reader: SshReader, hosts: WritableHosts) -> None:
        self._reader = reader
        self._hosts = hosts
        self._writers: dict[str, HostWriter] = {}

    async def write(self, step: Prepared) -> Written:
        payload = step.payload
        if not isinstance(payload, Step):
            raise PlatformError("the step was not prepared by this reader")
        site = await self._reader.site_of_step(payload)
        state = await site.read()
        codec = site.proxy.codec
        if payload.edit.path not in state.tree.files:
            raise Stale(f"{step.object} is gone", ref=step.object)
        if codec.base(state.tree, payload.edit.path, state.runtime) != step.base:
            raise Stale(f"{step.object} was changed since the plan was made; nothing was written", ref=step.object)
        payload = replace(
            payload, facts=replace(payload.facts, processes=state.facts.processes, probe=state.facts.probe)
        )
        said = await site.proxy.write(site.host, await self._writer(payload.facts.host), payload)
        edit = payload.edit
        for path, data in {**edit.also, **({edit.path: edit.data} if edit.data is not None else {})}.items():
            site.written[path] = hashlib.sha256(data).hexdigest()
        return Written(said)

    async def _writer(self, host: str) -> HostWriter:
        if host not in self._writers:
            self._writers[host] = await self._hosts.writer(host)
        return self._writers[host]

    async def close(self) -> None:
        for writer in self._writers.values():
            await writer.close()
