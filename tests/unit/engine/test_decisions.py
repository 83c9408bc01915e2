"""Decisions: what follows a failed attempt."""

from __future__ import annotations

import random

import pytest

from pytest_retrychaos.engine import Asked, Failure, Kind, Retry, Stop, Wait, decide, exponential, fixed

LOST = Failure(Kind.AMBIGUOUS, is_retryable=True)


def after(policy, *, failure=LOST, attempt=1, elapsed=0.0, asked=None, previous_wait=None):
    """Decide with a seeded chance."""
    return decide(
        policy,
        failure,
        attempt=attempt,
        elapsed=elapsed,
        random=random.Random(1),
        asked=asked,
        previous_wait=previous_wait,
    )


def wanting(seconds):
    """A Retry-After of so many seconds."""
    return Asked(seconds, "Retry-After", "seconds", None, str(seconds))


def test_a_failure_that_may_pass_is_waited_for():
    """The wait is the backoff's."""
    assert after(Retry(backoff=fixed(2))) == Wait(2.0)


def test_a_permanent_failure_ends_it():
    """No wait makes it better."""
    assert after(Retry(), failure=Failure(Kind.REFUSED, is_retryable=False)) == Stop("permanent")


@pytest.mark.parametrize(("attempt", "decision"), [(2, Wait(2.0)), (3, Stop("attempts")), (4, Stop("attempts"))])
def test_no_attempt_follows_the_last(attempt, decision):
    """Of three attempts, the third is the last."""
    assert after(Retry(attempts=3, backoff=fixed(2)), attempt=attempt) == decision


def test_one_attempt_is_no_retry():
    """attempts=1 never waits."""
    assert after(Retry(attempts=1)) == Stop("attempts")


@pytest.mark.parametrize(("elapsed", "decision"), [(7.9, Wait(2.0)), (8.0, Stop("timeout")), (11.0, Stop("timeout"))])
def test_a_wait_that_ends_at_the_timeout_is_not_begun(elapsed, decision):
    """At the timeout there is no time left for an attempt."""
    assert after(Retry(backoff=fixed(2), timeout=10), elapsed=elapsed) == decision


@pytest.mark.parametrize(("asked", "seconds"), [(0, 2.0), (1, 2.0), (2, 2.0), (5, 5.0)])
def test_the_wait_is_the_greater_of_backoff_and_asked(asked, seconds):
    """Retry-After is a floor, and so is the backoff."""
    assert after(Retry(backoff=fixed(2)), asked=wanting(asked)) == Wait(seconds)


def test_a_retry_after_that_is_not_respected_changes_nothing():
    """The policy said so."""
    policy = Retry(backoff=fixed(2), respect_retry_after=False)
    assert after(policy, asked=wanting(7200)) == Wait(2.0)


@pytest.mark.parametrize(("asked", "decision"), [(9.9, Wait(9.9)), (10, Stop("retry-after"))])
def test_a_retry_after_over_the_remaining_time_ends_it_at_once(asked, decision):
    """Coming early is no way out."""
    assert after(Retry(backoff=fixed(1), timeout=12), elapsed=2, asked=wanting(asked)) == decision


@pytest.mark.parametrize(("asked", "decision"), [(3600, Wait(3600)), (3601, Stop("retry-after"))])
def test_a_retry_after_over_the_longest_accepted_ends_it(asked, decision):
    """An hour is the default."""
    assert after(Retry(backoff=fixed(1)), asked=wanting(asked)) == decision


@pytest.mark.parametrize(
    ("jitter", "least", "greatest"), [("none", 30, 30), ("full", 30, 40), ("equal", 30, 35), ("proportional", 30, 34)]
)
def test_above_retry_after_the_wait_is_spread_as_the_backoff_is(jitter, least, greatest):
    """Clients that were all told the same moment do not come back in it together."""
    policy = Retry(backoff=fixed(10, jitter=jitter))
    waits = [
        decide(policy, LOST, attempt=1, elapsed=0.0, random=random.Random(seed), asked=wanting(30)).seconds
        for seed in range(300)
    ]
    assert least <= min(waits) <= max(waits) <= greatest
    assert max(waits) - min(waits) >= 0.9 * (greatest - least)


def test_the_spread_above_retry_after_does_not_cost_the_retry():
    """Where only the moment itself lies within the timeout, it is taken."""
    policy = Retry(backoff=fixed(10, jitter="full"), timeout=30.001)
    assert after(policy, asked=wanting(30)) == Wait(30)


def test_decorrelated_jitter_sees_the_previous_wait():
    """The wait before spreads the next."""
    policy = Retry(backoff=exponential(1, cap=1000, jitter="decorrelated"))
    far, near = after(policy, previous_wait=100), after(policy)
    assert near.seconds <= 3.0 < far.seconds <= 300.0
