"""What hosts over SSH declare of themselves: the name of the platform."""

from __future__ import annotations

PLATFORM = "ssh"
