"""What every test can ask for."""

from __future__ import annotations

from tests.bed.fixtures import bed, quiet_bed

__all__ = ["bed", "quiet_bed"]
