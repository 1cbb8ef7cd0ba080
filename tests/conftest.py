"""What every test can ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from control import own_secrets as ownsecrets
from tests.bed.fixtures import bed, quiet_bed

__all__ = ["bed", "quiet_bed"]

# How fast an example is made or run is the machine's, and no property of what is tested.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture(autouse=True)
def no_credentials_of_other_tests() -> Iterator[None]:
    """What one test keeps as a credential is a word in another."""
    yield
    ownsecrets.forget_all()
