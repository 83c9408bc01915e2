"""Backoffs: the numbers, the names, and what is refused."""

from __future__ import annotations

import copy
import pickle
import random

import pytest

from pytest_retrychaos.engine import exponential, fixed


def test_exponential_doubles_up_to_its_cap():
    """Without jitter the bounds are the delay itself."""
    backoff = exponential(0.5, cap=3, jitter="none")
    assert [backoff.bounds(retry) for retry in (1, 2, 3, 4, 5)] == [
        (0.5, 0.5),
        (1.0, 1.0),
        (2.0, 2.0),
        (3.0, 3.0),
        (3.0, 3.0),
    ]


def test_full_jitter_reaches_from_nothing_to_the_height():
    """Full jitter is uniform(0, t)."""
    assert [exponential(1, cap=5).bounds(retry) for retry in (1, 2, 3, 4)] == [(0, 1), (0, 2), (0, 4), (0, 5)]


def test_equal_jitter_keeps_half():
    """Equal jitter is t/2 + uniform(0, t/2)."""
    assert exponential(1, cap=5, jitter="equal").bounds(4) == (2.5, 5.0)


def test_decorrelated_jitter_reaches_to_three_times_the_previous_wait():
    """Decorrelated jitter is min(cap, uniform(base, 3 * previous))."""
    backoff = exponential(1, cap=10, jitter="decorrelated")
    assert backoff.bounds(2, previous=2) == (1.0, 6.0)
    assert backoff.bounds(2, previous=9) == (1.0, 10.0)
    assert backoff.bounds(2, previous=0) == (1.0, 1.0)


def test_decorrelated_bounds_without_a_previous_wait_cover_every_history():
    """Nothing that could have happened before lies outside."""
    backoff = exponential(1, cap=100, jitter="decorrelated")
    assert [backoff.bounds(retry) for retry in (1, 2, 3, 5)] == [(1, 3), (1, 9), (1, 27), (1, 100)]


def test_decorrelated_delays_that_reach_beyond_the_cap_fall_on_it():
    """The source caps what was drawn: of 10 to 300, nearly all is above 20."""
    backoff = exponential(10, cap=20, jitter="decorrelated")
    chance = random.Random(1)
    delays = [backoff.delay(2, random=chance, previous=100) for _ in range(1000)]
    assert delays.count(20.0) > 900


def test_fixed_is_the_same_every_time():
    """A fixed backoff does not grow."""
    assert fixed(2).bounds(1) == fixed(2).bounds(10**9) == (2.0, 2.0)
    assert fixed(2, jitter="full").bounds(7) == (0.0, 2.0)
    assert fixed(0).bounds(1) == (0.0, 0.0)


@pytest.mark.parametrize("retry", [10**9, 10**400])
@pytest.mark.parametrize("factor", [1.0000001, 2, 1e308])
def test_no_retry_number_overflows(retry, factor):
    """However late the retry, the wait is the cap."""
    assert exponential(0.1, factor=factor, cap=20, jitter="none").bounds(retry) == (20.0, 20.0)
    assert exponential(0.1, cap=1e308, jitter="decorrelated").bounds(retry) == (0.1, 1e308)


def test_a_factor_of_one_never_grows():
    """One to any power is one."""
    assert exponential(0.1, factor=1, jitter="none").bounds(10**400) == (0.1, 0.1)


def test_no_jitter_draws_no_number():
    """Chance is touched only where it is needed."""
    chance = random.Random(3)
    before = chance.getstate()
    assert exponential(1, jitter="none").delay(2, random=chance) == 2.0
    assert chance.getstate() == before


@pytest.mark.parametrize(
    ("backoff", "text"),
    [
        (fixed(1), 'fixed(1, jitter="none")'),
        (fixed(0.25, jitter="equal"), 'fixed(0.25, jitter="equal")'),
        (exponential(), 'exponential(0.1, factor=2, cap=20, jitter="full")'),
        (
            exponential(1 / 3, factor=1.5, cap=1e9),
            'exponential(0.3333333333333333, factor=1.5, cap=1e+09, jitter="full")',
        ),
    ],
)
def test_repr_is_the_call_that_makes_it(backoff, text):
    """What is printed can be pasted."""
    assert repr(backoff) == text
    assert eval(text, {"fixed": fixed, "exponential": exponential}) == backoff


def test_a_backoff_is_a_value():
    """It equals its like, hashes, copies, and travels to other processes; it cannot be changed."""
    backoff = exponential(1, cap=5)
    assert backoff == exponential(1, cap=5)
    assert backoff != exponential(1, cap=6)
    assert len({backoff, exponential(1, cap=5)}) == 1
    assert pickle.loads(pickle.dumps(backoff)) == copy.deepcopy(backoff) == backoff
    with pytest.raises(AttributeError, match="Backoff is frozen: cap cannot be changed; make a new one"):
        backoff.cap = 7


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: fixed(-1), "seconds=-1: it has to be 0 or more seconds"),
        (lambda: fixed(float("nan")), "seconds=nan: it has to be a finite number"),
        (
            lambda: exponential(0),
            "base=0: it has to be above 0 seconds; 0 would never grow: write fixed(0) to retry at once",
        ),
        (
            lambda: exponential(1, cap=0.5),
            "cap=0.5: it has to be at least base=1, the first wait; raise cap or lower base",
        ),
        (
            lambda: exponential(cap=float("inf")),
            "cap=inf: it has to be a finite number; a wait without end is none: name the longest one",
        ),
        (
            lambda: exponential(factor=0.5),
            "factor=0.5: it has to be 1 or more, or waits would shrink; 2 doubles them",
        ),
        (lambda: exponential(factor=10**400), f"factor=1{'0' * 56}...: it has to be a finite number"),
        (lambda: exponential(factor=10**5000), "factor=(an int of 16610 bits): it has to be a finite number"),
        (
            lambda: exponential(jitter="ful"),
            'jitter=\'ful\': it has to be one of "none", "full", "equal", "decorrelated"; did you mean "full"?',
        ),
        (
            lambda: fixed(1, jitter="decorrelated"),
            (
                'jitter="decorrelated": a fixed backoff cannot have it, since its delays grow up to a cap; '
                'write exponential(1, cap=..., jitter="decorrelated")'
            ),
        ),
        (
            lambda: exponential(factor=3, jitter="decorrelated"),
            "factor=3: decorrelated jitter grows by 3 times the previous wait, whatever the factor; leave factor out",
        ),
        (
            lambda: fixed(1).bounds(0),
            "retry=0: it has to be 1 or more; the first retry, after the first attempt, is 1",
        ),
        (
            lambda: exponential(jitter="decorrelated").bounds(1, previous=-1),
            "previous=-1: it has to be 0 or more seconds",
        ),
    ],
)
def test_a_bad_number_is_refused_with_the_rule_and_the_way_out(make, text):
    """Errors name argument, value, rule and way out."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared below
        make()
    assert str(caught.value) == text


@pytest.mark.parametrize("value", [True, "1", None, 1j])
def test_what_is_no_number_is_refused(value):
    """True is no number of seconds either."""
    with pytest.raises(TypeError, match="it has to be a number of seconds, an int or a float"):
        fixed(value)
