"""Fixtures of the engine's tests."""

from __future__ import annotations

import pytest

from pytest_retrychaos.engine import Retry, fixed
from tests.unit.engine.drives import DRIVERS, Clock


@pytest.fixture
def clock():
    """A clock for one test."""
    return Clock()


@pytest.fixture
def policy(clock):
    """Make policies that wait on the clock, one second each time."""

    def make(**options):
        given = {"backoff": fixed(1), "sleep": clock.sleep, "clock": clock, "wall_clock": lambda: 0.0}
        return Retry(**{**given, **options})

    return make


@pytest.fixture(params=DRIVERS)
def drive(request):
    """Run a script in each of the three forms, blocking, on asyncio and on trio."""
    return request.param
