"""Turns an apiserver's audit log into a write log."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from tests.bed.writelog import WriteLog


def object_of(event: dict[str, Any]) -> str:
    """`resource.group/namespace/name[/subresource]`, with `?dryRun=All` where nothing was to be stored."""
    reference = event.get("objectRef") or {}
    resource = ".".join(part for part in (reference.get("resource"), reference.get("apiGroup")) if part)
    parts = [resource, *(reference.get(key) for key in ("namespace", "name", "subresource"))]
    name = "/".join(part for part in parts if part) or str(event.get("requestURI", "")).partition("?")[0]
    return f"{name}?dryRun=All" if "dryRun=" in str(event.get("requestURI", "")) else name


def record(line: bytes, log: WriteLog) -> None:
    """Write down one audit event, refused ones too: an attempt counts."""
    event = json.loads(line)
    at = datetime.fromisoformat(event["stageTimestamp"].replace("Z", "+00:00")).timestamp()
    log.add(event["user"]["username"], event["verb"], object_of(event), at)


class Follower:
    """Reads what was added to an audit log since the last look; the file may not be there yet."""

    def __init__(self, path: Path, log: WriteLog) -> None:
        self._path = path
        self._log = log
        self._source: BinaryIO | None = None
        self._rest = b""

    def look(self) -> None:
        if self._source is None:
            if not self._path.exists():
                return
            self._source = self._path.open("rb")
        *lines, self._rest = (self._rest + self._source.read()).split(b"\n")
        for line in lines:
            record(line, self._log)
