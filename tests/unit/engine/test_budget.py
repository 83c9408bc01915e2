"""`RetryBudget`: what is granted, and what is not."""

from __future__ import annotations

import copy
import pickle
import threading

import pytest

from pytest_retrychaos.engine import RetryBudget


def spent(**options):
    """Make a budget and take everything out."""
    budget = RetryBudget(**options)
    while budget.withdraw():
        pass
    return budget


def granted(budget):
    """Count what is granted at once."""
    count = 0
    while budget.withdraw():
        count += 1
    return count


def test_it_begins_full(clock):
    """Ten seconds of the floor, unless it was told."""
    assert granted(RetryBudget(clock=clock)) == 100
    assert granted(RetryBudget(burst=3, clock=clock)) == 3


def test_a_share_alone_begins_with_ten(clock):
    """Or its first failures would never be retried."""
    assert granted(RetryBudget(per_second=0, clock=clock)) == 10


def test_each_operation_adds_its_share(clock):
    """Ten tenths are one, though floats add up to less."""
    budget = spent(clock=clock)
    for _ in range(10):
        assert not budget.withdraw()
        budget.deposit()
    assert granted(budget) == 1


def test_each_second_adds_the_floor(clock):
    """With no traffic at all."""
    budget = spent(per_second=4, clock=clock)
    clock.now += 0.5
    assert granted(budget) == 2
    clock.now += 0.2
    assert granted(budget) == 0
    clock.now += 0.05
    assert granted(budget) == 1


def test_it_holds_no_more_than_the_burst(clock):
    """Quiet hours and busy ones save nothing up."""
    budget = RetryBudget(ratio=0.5, per_second=10, burst=5, clock=clock)
    clock.now += 3600
    for _ in range(1000):
        budget.deposit()
    assert budget.balance == 5.0
    assert granted(budget) == 5


def test_a_clock_that_jumps_back_does_no_harm(clock):
    """Nothing is taken away, and the floor goes on from there."""
    budget = spent(per_second=1, clock=clock)
    clock.now -= 1000
    assert granted(budget) == 0
    clock.now += 2
    assert granted(budget) == 2


def test_threads_are_granted_no_more_than_there_is(clock):
    """One budget for all of them."""
    budget = RetryBudget(burst=500, clock=clock)
    counts = []
    threads = [threading.Thread(target=lambda: counts.append(granted(budget))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 500


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"ratio": -0.1}, ValueError, "ratio=-0.1: it has to be 0 or more"),
        ({"ratio": float("nan")}, ValueError, "ratio=nan: it has to be a finite number"),
        ({"ratio": "10%"}, TypeError, "ratio='10%': it has to be a number"),
        ({"per_second": -1}, ValueError, "per_second=-1: it has to be 0 or more"),
        ({"per_second": float("inf")}, ValueError, "per_second=inf: it has to be a finite number"),
        ({"ratio": 0, "per_second": 0}, ValueError, "ratio=0, per_second=0: nothing would ever be granted again"),
        ({"burst": 0.5}, ValueError, "burst=0.5: it has to be 1 or more, the price of a retry"),
        ({"clock": 3}, TypeError, "clock=3: it has to be a function such as time.monotonic"),
    ],
    ids=str,
)
def test_a_bad_argument_is_refused_where_the_budget_is_made(options, kind, text):
    """Errors name argument, value, rule and way out."""
    with pytest.raises(kind) as caught:
        RetryBudget(**options)
    assert text in str(caught.value)


@pytest.mark.parametrize("travel", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_budget_cannot_be_copied(travel):
    """A copy would grant the same retries twice."""
    with pytest.raises(TypeError, match=r"<RetryBudget\(ratio=0.1, per_second=10, burst=100\): 100 left> cannot be"):
        travel(RetryBudget())
