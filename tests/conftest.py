"""What every test can ask for."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.bed.fixtures import bed, quiet_bed

__all__ = ["bed", "quiet_bed"]

# How fast an example is made or run is the machine's, and no property of what is tested.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")
