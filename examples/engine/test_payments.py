"""The breaker of the example, held to its promise."""

from __future__ import annotations

import pytest

from examples.engine.payments import PAYMENTS, POLICY, charge
from pytest_retrychaos.engine import CircuitOpen


@pytest.fixture(autouse=True)
def _closed():
    """Begin each test with a closed circuit: a breaker lives as long as its process."""
    PAYMENTS.reset()


def test_an_outage_opens_the_circuit_and_a_probe_closes_it(chaos):
    """Failures are retried; at the fourth the breaker ends the loop, and says when to come back."""
    chaos.script("503, timeout, reset, 503, ok")

    with pytest.raises(CircuitOpen) as refused:
        chaos.call(charge, chaos.url, 1000)
    assert refused.value.retry_in == 30
    assert len(chaos.attempts) == 4

    with pytest.raises(CircuitOpen):
        chaos.call(charge, chaos.url, 2000)  # not sent
    chaos.clock.advance(30)
    chaos.call(charge, chaos.url, 3000)  # the probe

    assert len(chaos.attempts) == 5
    chaos.verify(POLICY)  # its breaker's laws too


def test_a_short_trouble_leaves_it_closed(chaos):
    """Three failures are fewer than four."""
    chaos.script("503 x3, ok")

    assert charge(chaos.url, 1000)["amount"] == 1000

    assert PAYMENTS.failures == 0
    chaos.verify(POLICY)
