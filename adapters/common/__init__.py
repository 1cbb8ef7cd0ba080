"""What several platforms need; the HTTP client is imported below this package."""

from __future__ import annotations

import sys

# httpx imports its own command line with itself (click, rich, pygments: a third of its start) wherever those are
# installed, and does without it where it cannot be had. Nothing here uses it.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
