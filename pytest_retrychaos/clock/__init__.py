"""Virtual time: a clock that costs no real time, and its installation for the test's thread."""

from __future__ import annotations

from pytest_retrychaos.clock.errors import ClockPolled, Deadlock, Refused, Unsupported
from pytest_retrychaos.clock.install import Installation, current, install
from pytest_retrychaos.clock.virtual import EPOCH, EPOCH_NS, Clock, VirtualClock

__all__ = [
    "EPOCH",
    "EPOCH_NS",
    "Clock",
    "ClockPolled",
    "Deadlock",
    "Installation",
    "Refused",
    "Unsupported",
    "VirtualClock",
    "current",
    "install",
]
