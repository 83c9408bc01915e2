"""Backoffs: the numbers, the names, and what is refused."""

from __future__ import annotations

import copy
import pickle
import random

import pytest

from pytest_retrychaos.engine import computed, delays, exponential, fibonacci, fixed, linear


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
    drawn = [backoff.delay(2, random=chance, previous=100) for _ in range(1000)]
    assert drawn.count(20.0) > 900


def heights(backoff, count):
    """Tell the upper bounds of the first retries."""
    return [backoff.bounds(retry)[1] for retry in range(1, count + 1)]


def test_linear_adds_a_step_each_time():
    """Up to the cap."""
    assert heights(linear(0.5, cap=2, jitter="none"), 6) == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]


def test_fibonacci_adds_the_last_two():
    """Up to the cap."""
    assert heights(fibonacci(0.5, cap=5, jitter="none"), 7) == [0.5, 0.5, 1.0, 1.5, 2.5, 4.0, 5.0]


def test_the_last_delay_of_a_list_repeats():
    """How often to retry is the policy's business."""
    assert heights(delays([1, 5, 2]), 5) == [1.0, 5.0, 2.0, 2.0, 2.0]


def test_a_computed_height_is_capped():
    """Whatever the function says."""
    assert heights(computed(lambda n: n**2, cap=10, jitter="none"), 5) == [1.0, 4.0, 9.0, 10.0, 10.0]


def test_a_function_that_overflows_is_capped():
    """It meant a lot."""
    assert computed(lambda n: 10.0**n, cap=60, jitter="none").bounds(999) == (60.0, 60.0)
    assert computed(lambda n: 10**n, cap=60, jitter="none").bounds(999) == (60.0, 60.0)


@pytest.mark.parametrize("told", [-1, float("nan"), "1", None])
def test_a_function_that_tells_no_seconds_is_refused(told):
    """The error says for which retry."""
    with pytest.raises(ValueError, match=r"told .* for retry 3: it has to tell seconds, 0 or more"):
        computed(lambda _: told, cap=60).bounds(3)


def test_what_a_function_raises_goes_through():
    """It is the user's own."""
    with pytest.raises(ZeroDivisionError):
        computed(lambda n: 1 / (n - 1), cap=60).bounds(1)


def test_proportional_jitter_reaches_up_and_down_by_its_share():
    """A fifth unless told."""
    assert linear(10, cap=100, jitter="proportional").bounds(2) == (16.0, 24.0)
    assert fixed(10, jitter="proportional", share=0.5).bounds(9) == (5.0, 15.0)
    assert delays([10, 20], jitter="proportional", share=0.5).bounds(2) == (10.0, 30.0)


def test_proportional_delays_at_the_cap_are_spread_below_it():
    """They would all be the cap, and clients would come back together."""
    backoff = exponential(10, cap=20, jitter="proportional")
    chance = random.Random(1)
    drawn = [backoff.delay(5, random=chance) for _ in range(1000)]
    assert backoff.bounds(5) == (16.0, 20.0)
    assert len(set(drawn)) == 1000


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
        (linear(2, cap=9), 'linear(2, cap=9, jitter="full")'),
        (fibonacci(cap=5, jitter="equal"), 'fibonacci(0.1, cap=5, jitter="equal")'),
        (delays([1, 0.5, 30]), 'delays([1, 0.5, 30], jitter="none")'),
        (fixed(2, jitter="proportional"), 'fixed(2, jitter="proportional", share=0.2)'),
        (computed(max, cap=5), 'computed(<built-in function max>, cap=5, jitter="full")'),
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
    if "<" not in text:
        names = (fixed, linear, exponential, fibonacci, delays)
        assert eval(text, {made.__name__: made for made in names}) == backoff


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
            lambda: fixed(1, jitter="proportional", share=float("nan")),
            "share=nan: it has to be a finite number",
        ),
        (lambda: fibonacci(0), "base=0: it has to be above 0 seconds; 0 would never grow: write fixed(0)"),
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
            (
                'jitter=\'ful\': it has to be one of "none", "full", "equal", "proportional", "decorrelated"; '
                'did you mean "full"?'
            ),
        ),
        (
            lambda: fixed(1, jitter="decorrelated"),
            (
                'jitter="decorrelated": only exponential backoff can have it, since its delays grow from the wait '
                'before, up to a cap, whatever the curve; write exponential(1, cap=..., jitter="decorrelated")'
            ),
        ),
        (
            lambda: fibonacci(jitter="decorrelated"),
            (
                'jitter="decorrelated": only exponential backoff can have it, since its delays grow from the wait '
                'before, up to a cap, whatever the curve; write exponential(..., jitter="decorrelated")'
            ),
        ),
        (
            lambda: linear(0),
            "step=0: it has to be above 0 seconds; 0 would never grow: write fixed(0)",
        ),
        (
            lambda: linear(5, cap=1),
            "cap=1: it has to be at least step=5, the first wait; raise cap or lower step",
        ),
        (lambda: delays([]), "seconds=[]: it names no wait; write fixed(0) to retry at once"),
        (lambda: delays([1, -2]), "seconds[1]=-2: it has to be 0 or more seconds"),
        (
            lambda: computed(abs, cap=float("inf")),
            "cap=inf: it has to be a finite number; a wait without end is none: name the longest one",
        ),
        (
            lambda: fixed(1, share=0.2),
            'share=0.2: only proportional jitter has one; add jitter="proportional" or leave it',
        ),
        (
            lambda: fixed(1, jitter="proportional", share=20),
            "share=20: it has to be above 0 and at most 1, a part of the height; 0.2 means 20 % up and down",
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


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: delays(5), "seconds=5: it has to be a list of seconds; write fixed(seconds) for a single one"),
        (lambda: delays("12"), "seconds[0]='1': it has to be a number of seconds, an int or a float"),
        (
            lambda: computed(3, cap=5),
            "height=3: it has to be a function of the retry's number, such as lambda n: n ** 2",
        ),
    ],
)
def test_what_is_no_list_or_function_is_refused(make, text):
    """With the way out."""
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value) == text


def test_fibonacci_spreads_in_proportion():
    """A fifth of each wait to either side, or another share of it."""
    assert [fibonacci(1, jitter="proportional").bounds(retry) for retry in (1, 3)] == [(0.8, 1.2), (1.6, 2.4)]
    assert fibonacci(1, jitter="proportional", share=0.5).bounds(3) == (1.0, 3.0)
