"""Laws of backoffs."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from pytest_retrychaos.engine import Backoff, computed, delays, exponential, fibonacci, fixed, linear
from pytest_retrychaos.engine.curves import Computed

retries = st.integers(1, 60) | st.integers(1, 10**12) | st.just(10**400)
seconds = st.floats(min_value=1e-6, max_value=1e6)


shares = st.floats(min_value=0, max_value=1, exclude_min=True)
heights = seconds | st.just(0.0)


@st.composite
def backoffs(draw, grows=False) -> Backoff:
    """Draw any backoff; one that never falls, if asked."""
    jitter = draw(st.sampled_from(["none", "full", "equal", "proportional", "decorrelated"]))
    options = {"jitter": jitter}
    if jitter == "proportional":
        options["share"] = draw(shares)
    base = draw(seconds)
    cap = draw(st.floats(min_value=base, max_value=1e300))
    if jitter == "decorrelated":
        return exponential(base, cap=cap, jitter=jitter)
    kinds = ["fixed", "linear", "exponential", "fibonacci", *([] if grows else ["delays", "computed"])]
    match draw(st.sampled_from(kinds)):
        case "fixed":
            return fixed(draw(heights | st.just(1.7e308)), **options)
        case "linear":
            return linear(base, cap=cap, **options)
        case "fibonacci":
            return fibonacci(base, cap=cap, **options)
        case "delays":
            return delays(draw(st.lists(heights | st.just(1.7e308), min_size=1, max_size=5)), **options)
        case "computed":
            return computed(draw(st.sampled_from([square, falling, explosive])), cap=draw(heights), **options)
        case _:
            return exponential(base, factor=draw(st.floats(min_value=1, max_value=1e308)), cap=cap, **options)


def square(retry):
    """A curve of the user's own; an int may be too large for a float."""
    return retry**2


def falling(retry):
    """A curve that falls."""
    return 5 / min(retry, 10**9)


def explosive(retry):
    """A curve that overflows."""
    return 2.0**retry


class Chance:
    """Gives one number for ever."""

    def __init__(self, number: float) -> None:
        self.number = number

    def random(self) -> float:
        """Give it."""
        return self.number


@given(backoffs(), retries, st.floats(min_value=0, max_value=1, exclude_max=True), st.none() | seconds)
def test_every_delay_lies_within_its_bounds(backoff, retry, number, previous):
    """Whatever is drawn, ``low <= delay <= high``, and never above the cap."""
    low, high = backoff.bounds(retry, previous=previous)
    assert low <= backoff.delay(retry, random=Chance(number), previous=previous) <= high <= backoff.cap


@given(backoffs(), st.integers(0, 2**32), st.integers(1, 30))
def test_a_whole_run_of_delays_lies_within_bounds_with_and_without_history(backoff, seed, length):
    """Decorrelated delays, each from the one before, stay within the bounds for every history."""
    chance, previous = random.Random(seed), None
    for retry in range(1, length + 1):
        delay = backoff.delay(retry, random=chance, previous=previous)
        for low, high in (backoff.bounds(retry), backoff.bounds(retry, previous=previous)):
            assert low <= delay <= high or low <= delay <= high * (1 + 1e-15)
        previous = delay


@given(backoffs(grows=True), retries)
def test_bounds_never_fall_from_one_retry_to_the_next(backoff, retry):
    """Both ends grow to the cap and stay there."""
    (low, high), (low_next, high_next) = backoff.bounds(retry), backoff.bounds(retry + 1)
    assert low <= low_next
    assert high <= high_next


@given(backoffs(), retries, st.none() | seconds)
def test_bounds_are_tight(backoff, retry, previous):
    """Chance at its ends brings the delay to the ends of the bounds."""
    if previous is None and backoff.jitter == "decorrelated":
        retry = 1  # later, the ends are reached through the history only
    low, high = backoff.bounds(retry, previous=previous)
    assert backoff.delay(retry, random=Chance(0.0), previous=previous) == low
    assert backoff.delay(retry, random=Chance(1 - 2**-53), previous=previous) >= high * (1 - 1e-9)


@given(backoffs())
def test_a_printed_backoff_is_the_same_backoff(backoff):
    """``eval(repr(x)) == x``."""
    if not isinstance(backoff.curve, Computed):
        names = (fixed, linear, exponential, fibonacci, delays)
        assert eval(repr(backoff), {made.__name__: made for made in names}) == backoff
