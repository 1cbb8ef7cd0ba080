"""Writes one environment of hosts: each step by its proxy's driver, on what the step was prepared on."""

from __future__ import annotations

import hashlib

from adapters.ssh.client.ports import HostWriter
from adapters.ssh.instance import carried_out
from adapters.ssh.proxies.protocol import Step
from adapters.ssh.reader import SshReader
from adapters.ssh.sources import WritableHosts
from control.background import in_background
from control.errors import PlatformError, Stale
from control.ports import Prepared, Written
from control.structs import replace


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
        instance = await self._reader.instance_of_step(payload)
        edit = carried_out(payload.edit, step.writes)
        payload = replace(payload, edit=edit)
        if instance.proxy.codec.base(payload.tree, edit.path, payload.runtime) != step.base:
            raise Stale(f"{step.object} is not what the plan was made on; nothing was written", ref=step.object)
        report = await instance.proxy.write(instance.host, await self._writer(payload.facts.host), payload)
        for path, data in {**edit.also, **({edit.path: edit.data} if edit.data is not None else {})}.items():
            instance.written[path] = hashlib.sha256(data).hexdigest()
        return Written(report.said, await in_background(instance.after, payload, report))

    async def _writer(self, host: str) -> HostWriter:
        if host not in self._writers:
            self._writers[host] = await self._hosts.writer(host)
        return self._writers[host]

    async def close(self) -> None:
        for writer in self._writers.values():
            await writer.close()
