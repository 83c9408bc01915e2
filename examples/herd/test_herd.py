"""A hundred clients meet an outage of five seconds, at a service that takes twenty requests a second."""

from __future__ import annotations

from examples.herd.orders import Orders
from pytest_retrychaos.engine import exponential, fixed


def test_fixed_delays_bring_the_spike_back(chaos):
    chaos.service.limit("20/s")
    chaos.script("down=5s")

    herd = chaos.herd(100, Orders(chaos.url, fixed(1)).fetch)

    assert herd.arrivals.peak_after_cause == 100  # the service is back, and so are all of them, in the same moment
    assert herd.arrivals.outlived_by == 4  # seconds more, for which the clients kept it down


def test_full_jitter_spreads_it(chaos):
    chaos.service.limit("20/s")
    chaos.script("down=5s")

    herd = chaos.herd(100, Orders(chaos.url, exponential(1, cap=20, jitter="full")).fetch)

    assert herd.arrivals.peak_after_cause < 40
    assert herd.arrivals.outlived_by == 0
    assert not herd.errors
