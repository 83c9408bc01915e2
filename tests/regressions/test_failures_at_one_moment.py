"""Calls side by side that all run into their timeout at one moment: which of them its breaker heard of last."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from pytest_retrychaos import Chaos, LawsBroken
from pytest_retrychaos.engine import BreakerPolicy, CircuitBreaker, CircuitOpen

POLICY = BreakerPolicy(threshold=4, cooldown=30)


def pay_all(chaos, breaker):
    """Send twelve payments by four threads; what fails or is turned away is let go."""

    def once(number):
        requests.post(f"{chaos.url}/payments", json={"number": number}, timeout=5).raise_for_status()

    def pay(number):
        with contextlib.suppress(requests.RequestException, CircuitOpen):
            breaker.call(once, number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: chaos.call(pay, number), range(12)))


@pytest.mark.parametrize("seed", range(8))
def test_a_success_between_failures_of_one_moment_keeps_it_closed(seed):
    """By some seeds two of the four have failed, a call goes well, and only then do the others fail."""
    with Chaos("timeout x5, ok", seed=seed, strict=False) as chaos:
        pay_all(chaos, CircuitBreaker(threshold=POLICY.threshold, cooldown=POLICY.cooldown))

        chaos.verify(breaker=POLICY, only=["CB"])


class Never:
    """A breaker that does not open."""

    def call(self, function, *args):
        """Let everything through."""
        return function(*args)


@pytest.mark.chaos("timeout *")
def test_one_that_does_not_open_is_found(chaos):
    """What was sent after all four had failed was sent too late."""
    pay_all(chaos, Never())

    with pytest.raises(LawsBroken, match=r"^CB01 "):
        chaos.verify(breaker=POLICY, only=["CB"])
