"""A circuit breaker of another library, judged from what it sends."""

from __future__ import annotations

import contextlib

import pybreaker
import requests

from pytest_retrychaos.engine import BreakerPolicy

POLICY = BreakerPolicy(threshold=3, cooldown=30)


def rates(url):
    """A client of a service of exchange rates, behind a breaker."""
    breaker = pybreaker.CircuitBreaker(fail_max=POLICY.threshold, reset_timeout=POLICY.cooldown)

    @breaker
    def fetch():
        response = requests.get(f"{url}/rates", timeout=5)
        response.raise_for_status()  # a 503 that is only returned is a success to a breaker
        return response.json()

    return fetch


def test_the_breaker_opens_probes_and_closes(chaos):
    chaos.script("down=40s:503")
    fetch = rates(chaos.url)

    def call(times):
        for _ in range(times):
            with contextlib.suppress(requests.HTTPError, pybreaker.CircuitBreakerError):
                chaos.call(fetch)  # a call that is turned away leaves nothing on the wire: the scope shows it

    call(5)  # three fail, two are turned away
    chaos.assert_breaker_opened(after=3)
    chaos.clock.advance(31)
    call(2)  # the probe still meets the outage
    chaos.clock.advance(31)
    call(2)  # this one does not
    chaos.assert_breaker_closed()
    chaos.verify(breaker=POLICY, ignore=["RT01"])
